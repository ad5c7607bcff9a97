//! A gateway under test: its site file, its process, its log.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::certificates::{UPSTREAM, certificates};
use super::{CLERK, DOMAIN, GATEWAY, Scratch, loopback, port};

/// A site file in the making.
pub struct Site {
    name: String,
    listeners: String,
    upstreams: String,
    limits: BTreeMap<String, String>,
    rules: String,
    extra: String,
    binds: Vec<(String, SocketAddr)>,
}

impl Site {
    pub fn new(name: &str) -> Site {
        // All of a test's connections come from one address, so the limits on addresses would be met by the tests alone.
        let limits = [("connection-rate", "1000000"), ("connections-per-client", "10000"), ("message-size", "\"35MB\"")];
        Site {
            name: name.to_string(),
            listeners: String::new(),
            upstreams: String::new(),
            limits: limits.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            rules: String::new(),
            extra: String::new(),
            binds: Vec::new(),
        }
    }

    /// A listener on a port of its own. `keys` are further lines of its table.
    pub fn listener(mut self, name: &str, role: &str, tls: &str, upstream: &str, keys: &str) -> Site {
        let bind = loopback(port());
        let trust = if role == "connector" && !keys.contains("trust") { "trust = { networks = [\"127.0.0.0/8\"] }\n" } else { "" };
        self.listeners +=
            &format!("[[listener]]\nname = \"{name}\"\nrole = \"{role}\"\nbind = \"{bind}\"\ntls = \"{tls}\"\nupstream = \"{upstream}\"\n{trust}{keys}\n\n");
        self.binds.push((name.to_string(), bind));
        self
    }

    pub fn upstream(mut self, name: &str, address: SocketAddr, tls: &str, keys: &str) -> Site {
        self.upstreams += &format!("[upstream.{name}]\naddress = \"{address}\"\ntls = \"{tls}\"\n");
        if tls != "none" {
            if !keys.contains("ca-file") {
                self.upstreams += "ca-file = \"tls/ca.pem\"\n";
            }
            if !keys.contains("server-name") {
                self.upstreams += &format!("server-name = \"{UPSTREAM}\"\n");
            }
        }
        self.upstreams += &format!("{keys}\n\n");
        self
    }

    /// A value of `[limits]`, as TOML.
    pub fn limit(mut self, key: &str, value: &str) -> Site {
        self.limits.insert(key.to_string(), value.to_string());
        self
    }

    pub fn rules(mut self, toml: &str) -> Site {
        self.rules += toml;
        self
    }

    /// Further tables.
    pub fn extra(mut self, toml: &str) -> Site {
        self.extra += toml;
        self
    }

    fn toml(&self) -> String {
        let rules = if self.rules.is_empty() { "[]" } else { "[\"rules\"]" };
        let limits = self.limits.iter().map(|(k, v)| format!("{k} = {v}\n")).collect::<String>();
        format!(
            "[council]\nname = \"Wragby Parish Council\"\ndomains = [\"{DOMAIN}\"]\nclerk = \"{CLERK}\"\nchair = \"chair@{DOMAIN}\"\nhostname = \"{GATEWAY}\"\n\n\
             [rules]\npaths = {rules}\n\n{}{}[tls]\ncertificate-file = \"tls/gateway.pem\"\nkey-file = \"tls/gateway.key\"\n\n\
             [monitoring]\npurposes = [\"effective-operation\"]\nnotice-version = \"2026-05\"\nnotice-date = 2026-05-14\nimpact-assessment = \"Minute 2026/41\"\n\n\
             [records]\ndatabase = \"sqlite:data/lychgate.db\"\nkey-file = \"data/site.key\"\n\n[limits]\n{limits}\n{}",
            self.listeners, self.upstreams, self.extra
        )
    }

    /// Starts the gateway and waits until every listener answers.
    pub fn start(self) -> Gateway {
        let scratch = Scratch::new(&self.name);
        let pki = certificates();
        scratch.file("tls/ca.pem", &pki.ca_pem);
        scratch.file("tls/gateway.pem", &pki.gateway.certificate_pem);
        let key = scratch.file("tls/gateway.key", &pki.gateway.key_pem);
        private(&key);
        if !self.rules.is_empty() {
            scratch.file("rules/rules.toml", &self.rules);
        }
        std::fs::create_dir_all(scratch.path().join("data")).expect("a folder can be made");
        let config = scratch.file("lychgate.toml", self.toml());
        let log = scratch.path().join("gateway.log");
        let mut gateway = Gateway { child: None, config, log, binds: self.binds, scratch };
        gateway.restart();
        gateway
    }
}

fn private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("a mode can be set");
}

pub struct Gateway {
    child: Option<Child>,
    config: PathBuf,
    log: PathBuf,
    binds: Vec<(String, SocketAddr)>,
    pub scratch: Scratch,
}

impl Gateway {
    /// Where the listener of this name listens.
    pub fn address(&self, name: &str) -> SocketAddr {
        self.binds.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no listener {name}")).1
    }

    /// Starts the process (again), and waits until every listener answers.
    pub fn restart(&mut self) {
        self.kill();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log).expect("a log can be written");
        let child = Command::new(env!("CARGO_BIN_EXE_lychgate"))
            .args(["serve", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file has two handles"))
            .stderr(log)
            .spawn()
            .expect("the gateway can be started");
        self.child = Some(child);
        let end = Instant::now() + Duration::from_secs(30);
        for (name, address) in self.binds.clone() {
            while TcpStream::connect(address).is_err() {
                let status = self.child.as_mut().and_then(|c| c.try_wait().ok().flatten());
                assert!(status.is_none(), "the gateway ended ({status:?}):\n{}", self.tail(40));
                assert!(Instant::now() < end, "listener {name} does not answer:\n{}", self.tail(40));
                std::thread::sleep(Duration::from_millis(3));
            }
        }
    }

    /// SIGKILL, and no more of it when this returns.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM: it drains.
    pub fn terminate(&self) {
        if let Some(child) = &self.child {
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        }
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self, patience: Duration) -> Option<std::process::ExitStatus> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Some(status) = self.child.as_mut()?.try_wait().ok()? {
                self.child = None;
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of the log.
    pub fn tail(&self, lines: usize) -> String {
        let log = self.log();
        let skip = log.lines().count().saturating_sub(lines);
        log.lines().skip(skip).map(|l| format!("   | {l}\n")).collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}
