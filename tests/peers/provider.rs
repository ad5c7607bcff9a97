//! Providers: Postfix with Dovecot, Exim, and a small one with bearer tokens.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::process::Child;

use super::*;
use crate::support::loopback;

pub const TOKEN: &str = "ya29.a-token-that-no-log-may-hold";

/// How to run something as root: directly, or by sudo where it asks nothing; none where neither goes.
pub fn root() -> Option<Vec<&'static str>> {
    if myself().0 == 0 {
        return Some(Vec::new());
    }
    let sudo = Command::new("sudo").args(["-n", "true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    sudo.is_ok_and(|s| s.success()).then(|| vec!["sudo", "-n"])
}

/// User and group of this process.
fn myself() -> (u32, u32) {
    let scratch = Scratch::new("who");
    let file = std::fs::metadata(scratch.path()).expect("it was just made");
    (file.uid(), file.gid())
}

/// A provider that a script starts and stops.
struct Scripted {
    script: &'static str,
    scratch: Scratch,
}

impl Scripted {
    fn start(name: &str, script: &'static str, ports: &[(&str, SocketAddr)]) -> Scripted {
        let scratch = Scratch::new(name);
        let identity = &certificates().upstream;
        let tls = scratch.file("tls/server.pem", &identity.certificate_pem).parent().expect("a folder").to_path_buf();
        scratch.file("tls/server.key", &identity.key_pem);
        // Mail belongs to whoever runs the tests, so that it can be read; to nobody where that is root.
        let (uid, gid) = match myself() {
            (0, _) => (65534, 65534),
            own => own,
        };
        let mut environment = vec![
            format!("TLS={}", tls.display()),
            format!("EXIM={}", cache().join("exim").display()),
            format!("OWNER={}", std::process::id()),
            format!("MAIL_UID={uid}"),
            format!("MAIL_GID={gid}"),
            format!("USER_NAME={CLERK}"),
            format!("USER_PASSWORD={PASSWORD}"),
            format!("DOMAIN={DOMAIN}"),
        ];
        environment.extend(ports.iter().map(|(name, address)| format!("{name}={}", address.port())));
        let scripted = Scripted { script, scratch };
        let output = scripted.run("start", &environment);
        assert!(output.status.success(), "{script} does not start:\n{}", String::from_utf8_lossy(&output.stderr));
        scripted
    }

    fn run(&self, what: &str, environment: &[String]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(self.script);
        let mut words: Vec<String> = root().expect("checked before").into_iter().map(Into::into).collect();
        words.push("env".into());
        words.extend_from_slice(environment);
        words.extend(["bash".into(), script.display().to_string(), what.into(), self.scratch.path().display().to_string()]);
        // To a file, since what is started keeps the descriptors: a pipe would never end.
        let log = self.scratch.path().join(format!("{what}.log"));
        let out = || std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log can be written");
        let status =
            Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).stdout(out()).stderr(out()).status().expect("a shell runs");
        Output { status, stdout: Vec::new(), stderr: std::fs::read(&log).unwrap_or_default() }
    }

    fn maildir(&self) -> PathBuf {
        self.scratch.path().join("mail/all/new")
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.run("stop", &[]);
    }
}

pub struct Postfix {
    pub sub: SocketAddr,
    pub smtps: SocketAddr,
    pub bare: SocketAddr,
    pub mx: SocketAddr,
    pub relay: SocketAddr,
    scripted: Scripted,
}

impl Postfix {
    pub fn start() -> Postfix {
        let [sub, smtps, bare, mx, relay] = [(); 5].map(|()| loopback(port()));
        let ports = [("SUB", sub), ("SMTPS", smtps), ("BARE", bare), ("MX", mx), ("RELAY", relay)];
        Postfix { sub, smtps, bare, mx, relay, scripted: Scripted::start("postfix", "postfix.sh", &ports) }
    }

    pub fn maildir(&self) -> PathBuf {
        self.scripted.maildir()
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.scripted.scratch.path().join("mail.log")).unwrap_or_default()).into_owned()
    }
}

pub struct Exim {
    pub sub: SocketAddr,
    pub smtps: SocketAddr,
    scripted: Scripted,
}

impl Exim {
    pub fn start() -> Exim {
        let [sub, smtps] = [(); 2].map(|()| loopback(port()));
        Exim { sub, smtps, scripted: Scripted::start("exim", "exim.sh", &[("SUB", sub), ("SMTPS", smtps)]) }
    }

    pub fn maildir(&self) -> PathBuf {
        self.scripted.maildir()
    }
}

/// The provider with bearer tokens; it ends when its standard input does, also where this process is killed.
pub struct Bearer {
    pub address: SocketAddr,
    scratch: Scratch,
    child: Child,
}

impl Bearer {
    pub fn start() -> Bearer {
        let (scratch, address) = (Scratch::new("bearer-provider"), loopback(port()));
        let identity = &certificates().upstream;
        let (certificate, key) = (scratch.file("server.pem", &identity.certificate_pem), scratch.file("server.key", &identity.key_pem));
        std::fs::create_dir_all(scratch.path().join("mail")).expect("a folder can be made");
        let child = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/xoauth2_upstream.py"))
            .arg(address.port().to_string())
            .args([&certificate, &key, &scratch.path().join("mail")])
            .args([CLERK, TOKEN])
            .stdin(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let end = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(address).is_err() {
            assert!(Instant::now() < end, "the provider with tokens does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Bearer { address, scratch, child }
    }

    pub fn mailbox(&self) -> PathBuf {
        self.scratch.path().join("mail")
    }
}

impl Drop for Bearer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
