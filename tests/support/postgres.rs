//! A PostgreSQL server of the tests' own, which Debian's packages bring.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::port;

/// A server that runs until this process ends.
pub struct Postgres {
    folder: PathBuf,
    port: u16,
}

/// Record and keyring of one site, each with a database of its own, and the user that both belong to.
#[derive(Clone)]
pub struct Databases {
    pub record: String,
    pub keyring: String,
    pub password: String,
    name: String,
    port: u16,
}

/// The one that the tests share. None where PostgreSQL is not installed, which is said aloud, and a failure where peers are required.
pub fn shared(what: &str) -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    let server = SERVER.get_or_init(Postgres::start).as_ref();
    if server.is_none() {
        super::skip(what, "PostgreSQL is not installed (tests/peers/install.sh brings it)");
    }
    server
}

impl Postgres {
    #[expect(clippy::zombie_processes, reason = "it is to outlive the tests, sees for itself when they have ended, and ends then")]
    pub fn start() -> Option<Postgres> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let port = port();
        let folder = std::env::temp_dir().join(format!("lychgate-pg-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let mut running = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/postgres.sh"))
            .args([folder.as_os_str(), port.to_string().as_ref(), std::process::id().to_string().as_ref()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the script runs");
        let until = Instant::now() + Duration::from_secs(60);
        while !folder.join("ready").exists() {
            if let Some(status) = running.try_wait().expect("it can be asked") {
                let required = std::env::var("LYCHGATE_PEERS").is_ok_and(|v| v == "required");
                assert!(!required && status.code() == Some(3), "PostgreSQL did not start ({status})");
                return None;
            }
            assert!(Instant::now() < until, "PostgreSQL did not start in time");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Postgres { folder, port })
    }

    /// Two fresh databases.
    pub fn databases(&self) -> Databases {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("s{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let password = format!("pw-{name}");
        ask(self.port, "postgres", &format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'"));
        for database in [name.clone(), format!("{name}_keys")] {
            ask(self.port, "postgres", &format!("CREATE DATABASE {database} OWNER {name}"));
        }
        let url = |database: &str| format!("postgres://{name}@127.0.0.1:{}/{database}", self.port);
        Databases { record: url(&name), keyring: url(&format!("{name}_keys")), password, name: name.clone(), port: self.port }
    }

    /// Takes the server down, or brings it back.
    pub fn set_down(&self, down: bool) {
        let (file, pid) = (self.folder.join("down"), self.folder.join("data/postmaster.pid"));
        if down {
            std::fs::write(&file, b"").expect("it can be said")
        } else {
            std::fs::remove_file(&file).expect("it was said")
        }
        let until = Instant::now() + Duration::from_secs(30);
        while pid.exists() == down {
            assert!(Instant::now() < until, "PostgreSQL did not {} in time", if down { "stop" } else { "start" });
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Databases {
    /// What the record's database answers; none while it cannot be asked.
    pub fn ask(&self, sql: &str) -> Option<String> {
        psql(self.port, &self.name, sql)
    }
}

fn ask(port: u16, database: &str, sql: &str) -> String {
    psql(port, database, sql).unwrap_or_else(|| panic!("{sql} failed"))
}

fn psql(port: u16, database: &str, sql: &str) -> Option<String> {
    let output = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "tests", "-p", &port.to_string(), "-d", database])
        .args(["-c", sql])
        .stdin(Stdio::null())
        .output()
        .expect("psql runs");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}
