//! The engines that the tests run on: SQLite, and a PostgreSQL server of this process's own where one is installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::server::Server;
use super::{Database, Durability, Location};

/// A server that runs until this process ends.
pub(crate) struct Trial {
    folder: PathBuf,
    port: u16,
}

/// The one that the tests share; none where PostgreSQL is not installed, which is said aloud, and a failure where peers are required.
pub(crate) fn shared() -> Option<&'static Trial> {
    static SERVER: OnceLock<Option<Trial>> = OnceLock::new();
    SERVER.get_or_init(Trial::start).as_ref()
}

impl Trial {
    #[expect(clippy::zombie_processes, reason = "it is to outlive the tests, sees for itself when they have ended, and ends then")]
    pub(crate) fn start() -> Option<Trial> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let name = format!("lychgate-postgres-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/postgres.sh");
        let mut running = Command::new(script)
            .args([folder.as_os_str(), port.to_string().as_ref(), std::process::id().to_string().as_ref()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while !folder.join("ready").exists() {
            if let Some(status) = running.try_wait().unwrap() {
                let required = std::env::var("LYCHGATE_PEERS").is_ok_and(|v| v == "required");
                assert!(!required && status.code() == Some(3), "PostgreSQL did not start ({status})");
                eprintln!("SKIPPED: the stores on PostgreSQL: it is not installed (tests/peers/install.sh brings it)");
                return None;
            }
            assert!(Instant::now() < until, "PostgreSQL did not start in time");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Trial { folder, port })
    }

    /// A fresh database that belongs to a role with a password of its own.
    pub(crate) fn database(&self) -> Location {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut all = self.open(&Server::new(format!("postgres://tests@127.0.0.1:{}/postgres", self.port)));
        for sql in [format!("CREATE ROLE {name} LOGIN PASSWORD 'pw-{name}'"), format!("CREATE DATABASE {name} OWNER {name}")] {
            all.statements().execute(&sql, &[]).unwrap();
        }
        let server = Server::new(format!("postgres://{name}@127.0.0.1:{}/{name}", self.port));
        Location::Postgres(Arc::new(Server { password: Some(Zeroizing::new(format!("pw-{name}"))), ..server }))
    }

    fn open(&self, server: &Server) -> Database {
        Database::open(&Location::Postgres(Arc::new(server.clone())), Durability::Full).unwrap()
    }

    /// Brings everything into the files of the data folder; says where that is.
    pub(crate) fn settled(&self) -> PathBuf {
        let mut all = self.open(&Server::new(format!("postgres://tests@127.0.0.1:{}/postgres", self.port)));
        // All servers of all tests share one disk: this takes as long as it takes.
        all.statements().execute("SET statement_timeout = 0", &[]).unwrap();
        all.statements().execute("CHECKPOINT", &[]).unwrap();
        self.folder.join("data")
    }

    /// Takes the server down, or brings it back.
    pub(crate) fn set_down(&self, down: bool) {
        let (file, pid) = (self.folder.join("down"), self.folder.join("data/postmaster.pid"));
        if down {
            std::fs::write(&file, b"").unwrap()
        } else {
            std::fs::remove_file(&file).unwrap()
        }
        let until = Instant::now() + Duration::from_secs(30);
        while pid.exists() == down {
            assert!(Instant::now() < until, "PostgreSQL did not {} in time", if down { "stop" } else { "start" });
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Runs a test on each engine that is there.
pub(crate) fn on_each(test: impl Fn(&Location)) {
    let folder = crate::records::tests::Folder::new();
    let location = Location::Sqlite(folder.path("trial.db"));
    Database::create(&location).unwrap();
    test(&location);
    if let Some(server) = shared() {
        test(&server.database());
    }
}
