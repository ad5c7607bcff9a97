//! A gateway under test: its site file, its process, its log.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::certificates::{UPSTREAM, certificates};
use super::postgres::Databases;
use super::{CLERK, DOMAIN, GATEWAY, Scratch, loopback, port};

/// A site file in the making.
pub struct Site {
    name: String,
    listeners: String,
    upstreams: String,
    limits: BTreeMap<String, String>,
    rules: String,
    mode: String,
    binds: Vec<Bind>,
    one_worker: bool,
    monitoring: String,
    retention: String,
    more: String,
    files: Vec<(String, Vec<u8>)>,
    environment: Vec<(String, String)>,
    shell: Option<String>,
    databases: Option<Databases>,
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
            mode: "enforce".into(),
            binds: Vec::new(),
            one_worker: false,
            monitoring: "[monitoring]\npurposes = [\"effective-operation\"]\nnotice-version = \"2026-05\"\nnotice-date = 2026-05-14\nimpact-assessment = \"Minute 2026/41\"\n".into(),
            retention: String::new(),
            more: String::new(),
            files: Vec::new(),
            environment: Vec::new(),
            shell: None,
            databases: None,
        }
    }

    /// Record, custody and keyring on a server, instead of files beside the gateway.
    pub fn on(mut self, databases: &Databases) -> Site {
        self.databases = Some(databases.clone());
        self.file("secrets/database-password", databases.password.clone())
    }

    /// The rules as they are shipped for this council, with these partners.
    pub fn wragby(mut self, partners: &str) -> Site {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/wragby");
        for entry in std::fs::read_dir(folder).expect("the shipped rules are there") {
            let path = entry.expect("a folder can be read").path();
            let text = std::fs::read_to_string(&path).expect("a rule file can be read");
            let text = text.replace("entries = []  ", &format!("entries = [{partners}]  "));
            self.files.push((format!("rules/{}", path.file_name().expect("it has a name").display()), text.into_bytes()));
        }
        self
    }

    /// The ceiling for every rule.
    pub fn mode(mut self, mode: &str) -> Site {
        self.mode = mode.into();
        self
    }

    /// Further keys of `[monitoring]`.
    pub fn monitored(mut self, keys: &str) -> Site {
        self.monitoring += keys;
        self.monitoring.push('\n');
        self
    }

    pub fn unmonitored(mut self) -> Site {
        self.monitoring.clear();
        self
    }

    /// The keys of `[records.retention]`.
    pub fn retention(mut self, keys: &str) -> Site {
        self.retention = format!("[records.retention]\n{keys}\n");
        self
    }

    /// Further tables of the site file.
    pub fn table(mut self, toml: &str) -> Site {
        self.more += toml;
        self.more.push('\n');
        self
    }

    /// A file beside the site file, readable by its owner alone.
    pub fn file(mut self, name: &str, content: impl Into<Vec<u8>>) -> Site {
        self.files.push((name.into(), content.into()));
        self
    }

    /// A variable of the gateway's; `{site}` in it stands for the site's folder.
    pub fn environment(mut self, name: &str, value: &str) -> Site {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts the gateway by a shell, which says this first and then `exec "$0" "$@"` with this behind it.
    pub fn shell(mut self, first: &str, behind: &str) -> Site {
        self.shell = Some(format!("{first}\nexec \"$0\" \"$@\" {behind}"));
        self
    }

    /// Each processor has a worker with kept connections of its own: on one processor a test knows which is used.
    pub fn one_worker(mut self) -> Site {
        self.one_worker = true;
        self
    }

    /// A listener on a port of its own. `keys` are further lines of its table.
    pub fn listener(mut self, name: &str, role: &str, tls: &str, upstream: &str, keys: &str) -> Site {
        let bind = loopback(port());
        let trust = if role == "connector" && !keys.contains("trust") { "trust = { networks = [\"127.0.0.0/8\"] }\n" } else { "" };
        self.listeners += &format!(
            "[[listener]]\nname = \"{name}\"\nrole = \"{role}\"\nbind = \"{bind}\"\ntls = \"{tls}\"\nupstream = \"{upstream}\"\n{trust}{keys}\n\n"
        );
        self.binds.push(Bind { name: name.to_string(), address: bind, implicit: tls == "implicit" });
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

    fn toml(&self) -> String {
        let rules = if self.rules.is_empty() && !self.files.iter().any(|(n, _)| n.starts_with("rules/")) { "[]" } else { "[\"rules\"]" };
        let limits = self.limits.iter().map(|(k, v)| format!("{k} = {v}\n")).collect::<String>();
        format!(
            "[council]\nname = \"Wragby Parish Council\"\ndomains = [\"{DOMAIN}\"]\nclerk = \"{CLERK}\"\nchair = \"chair@{DOMAIN}\"\nhostname = \"{GATEWAY}\"\n\n\
             [rules]\npaths = {rules}\nmode = \"{}\"\n\n{}{}[tls]\ncertificate-file = \"tls/gateway.pem\"\nkey-file = \"tls/gateway.key\"\n\n\
             {}\n[records]\n{}\nkey-file = \"data/site.key\"\n\n{}[limits]\n{limits}\n{}",
            self.mode,
            self.listeners,
            self.upstreams,
            self.monitoring,
            self.databases.as_ref().map_or_else(
                || "database = \"sqlite:data/lychgate.db\"".into(),
                |on| format!(
                    "database = \"{}\"\nkeyring = \"{}\"\ndatabase-password-file = \"secrets/database-password\"",
                    on.record, on.keyring
                )
            ),
            self.retention,
            self.more
        )
    }

    /// Starts the gateway and waits until every listener answers.
    pub fn start(self) -> Gateway {
        let mut gateway = self.prepare();
        gateway.restart();
        gateway
    }

    /// Writes all files and starts nothing.
    pub fn prepare(self) -> Gateway {
        let scratch = Scratch::new(&self.name);
        let pki = certificates();
        scratch.file("tls/ca.pem", &pki.ca_pem);
        scratch.file("tls/gateway.pem", &pki.gateway.certificate_pem);
        let key = scratch.file("tls/gateway.key", &pki.gateway.key_pem);
        private(&key);
        if !self.rules.is_empty() {
            scratch.file("rules/rules.toml", &self.rules);
        }
        for (name, content) in &self.files {
            private(&scratch.file(name, content));
        }
        std::fs::create_dir_all(scratch.path().join("data")).expect("a folder can be made");
        let config = scratch.file("lychgate.toml", self.toml());
        let log = scratch.path().join("gateway.log");
        Gateway {
            child: None,
            config,
            log,
            binds: self.binds,
            one_worker: self.one_worker,
            environment: self.environment,
            shell: self.shell,
            databases: self.databases,
            scratch,
        }
    }
}

/// A listener and whether TLS comes before the greeting.
#[derive(Clone)]
struct Bind {
    name: String,
    address: SocketAddr,
    implicit: bool,
}

fn greets(address: SocketAddr, implicit: bool) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    if implicit {
        return true;
    }
    let patience = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut greeting = [0; 4];
    patience.and_then(|()| stream.read_exact(&mut greeting)).is_ok_and(|()| &greeting == b"220 ")
}

/// One of the processors that this process may use, in turn.
fn some_processor() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).unwrap_or("0").trim().to_string();
    let number = |text: &str| text.parse::<usize>().unwrap_or(0);
    let all: Vec<usize> = list
        .split(',')
        .flat_map(|range| match range.split_once('-') {
            Some((first, last)) => number(first)..=number(last),
            None => number(range)..=number(range),
        })
        .collect();
    all[NEXT.fetch_add(1, Ordering::Relaxed) % all.len()].to_string()
}

/// The program under test. Another build, such as a packaged one, can be held to the same tests.
pub fn binary() -> String {
    std::env::var("LYCHGATE_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_lychgate").to_string())
}

fn private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("a mode can be set");
}

pub struct Gateway {
    child: Option<Child>,
    config: PathBuf,
    log: PathBuf,
    binds: Vec<Bind>,
    one_worker: bool,
    environment: Vec<(String, String)>,
    shell: Option<String>,
    /// Where its stores are, if they are on a server.
    pub databases: Option<Databases>,
    pub scratch: Scratch,
}

impl Gateway {
    /// Where the listener of this name listens.
    pub fn address(&self, name: &str) -> SocketAddr {
        self.binds.iter().find(|bind| bind.name == name).unwrap_or_else(|| panic!("no listener {name}")).address
    }

    /// Starts the process (again), and waits until every listener answers.
    pub fn restart(&mut self) {
        self.try_restart().unwrap_or_else(|fault| panic!("{fault}:\n{}", self.tail(40)));
    }

    /// The same, and what became of it where it does not answer.
    pub fn try_restart(&mut self) -> Result<(), String> {
        self.kill();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log).expect("a log can be written");
        let binary = binary();
        let mut command = Command::new(match &self.shell {
            Some(_) => "sh",
            None if self.one_worker => "taskset",
            None => &binary,
        });
        if let Some(script) = &self.shell {
            command.args(["-c", script, &binary]);
        } else if self.one_worker {
            command.args(["--cpu-list", &some_processor(), &binary]);
        }
        let child = command
            .envs(self.environment.iter().map(|(name, value)| (name, value.replace("{site}", &self.scratch.path().to_string_lossy()))))
            .args(["serve", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file has two handles"))
            .stderr(log)
            .spawn()
            .expect("the gateway can be started");
        self.child = Some(child);
        let end = Instant::now() + Duration::from_secs(30);
        for Bind { name, address, implicit } in self.binds.clone() {
            // The port is there before anybody serves it: ready is who greets.
            while !greets(address, implicit) {
                let status = self.child.as_mut().and_then(|c| c.try_wait().ok().flatten());
                if let Some(status) = status {
                    return Err(format!("the gateway ended ({status})"));
                }
                if Instant::now() > end {
                    return Err(format!("listener {name} does not answer"));
                }
                std::thread::sleep(Duration::from_millis(3));
            }
        }
        Ok(())
    }

    /// Other variables from the next start on.
    pub fn set_environment(&mut self, variables: &[(&str, &str)]) {
        self.environment = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    }

    /// Where its databases are.
    pub fn data(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    /// SIGKILL, and no more of it when this returns.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends the process a signal: `TERM`, `HUP`.
    pub fn signal(&self, name: &str) {
        if let Some(child) = &self.child {
            let _ = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
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

    /// Runs another command of the program, on this site, where it takes one.
    pub fn command(&self, words: &[&str]) -> std::process::Output {
        self.prepared(words).stdin(Stdio::null()).output().expect("the program runs")
    }

    /// The same, to be run.
    pub fn prepared(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg(words[0]).arg("--config").arg(&self.config).args(&words[1..]).env_remove("LYCHGATE_LOG");
        command
    }

    /// The process, while it runs.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the gateway runs").id()
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
