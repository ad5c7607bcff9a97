//! ClamAV's daemon with a signature of our own, so that nothing is fetched: what it finds is refused, what it cannot say waits.

use std::net::SocketAddr;
use std::process::Child;

use lychgate::config::settings::{Clamd as Place, Scan};
use lychgate::evidence::clamd::{ScanFault, Scanned, Scanner};

use super::*;
use crate::evidence::health;
use crate::support::client::{Client, Reply, stuffed};
use crate::support::sink::Sink;
use crate::support::{base64, loopback};

/// The harmless file that every scanner knows, taken apart so that none finds it here (eicar.org).
fn eicar() -> String {
    ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE", "!$H+H*"].concat()
}

struct Daemon {
    child: Option<Child>,
    socket: PathBuf,
    tcp: SocketAddr,
    scratch: Scratch,
}

impl Daemon {
    fn new() -> Daemon {
        let scratch = Scratch::new("clamd");
        let hex: String = eicar().bytes().map(|b| format!("{b:02x}")).collect();
        let database = scratch.file("db/test.ndb", format!("Lychgate.Test:0:*:{hex}\n"));
        let database = database.parent().expect("a folder").display().to_string();
        let (socket, tcp) = (scratch.path().join("clamd.sock"), loopback(port()));
        let settings = format!(
            "Foreground yes\nDatabaseDirectory {database}\nTemporaryDirectory {}\nLocalSocket {}\nTCPSocket {}\nTCPAddr 127.0.0.1\n\
             StreamMaxLength 1M\nAlertEncrypted yes\nOfficialDatabaseOnly no\n",
            scratch.path().display(),
            socket.display(),
            tcp.port()
        );
        scratch.file("clamd.conf", settings);
        let mut daemon = Daemon { child: None, socket, tcp, scratch };
        daemon.start();
        daemon
    }

    fn start(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.scratch.path().join("log")).expect("a log");
        let child = Command::new(cache().join("clamav/usr/sbin/clamd"))
            .arg("--config-file")
            .arg(self.scratch.path().join("clamd.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("clamd starts"));
        let end = Instant::now() + Duration::from_secs(30);
        while std::os::unix::net::UnixStream::connect(&self.socket).is_err() || std::net::TcpStream::connect(self.tcp).is_err() {
            assert!(Instant::now() < end, "clamd does not listen: {:?}", std::fs::read_to_string(self.scratch.path().join("log")));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

fn with_attachment(name: &str, kind: &str, content: &[u8]) -> String {
    let encoded = base64(content).into_bytes();
    let lines: Vec<&str> = encoded.chunks(76).map(|l| std::str::from_utf8(l).expect("base64 is ASCII")).collect();
    format!(
        "From: Jo <{OUTSIDER}>\r\nTo: {CLERK}\r\nSubject: For you\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--b\r\nContent-Type: {kind}; name=\"{name}\"\r\n\
         Content-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\r\n")
    )
}

const RULES: &str = r#"
[[rule]]
id = "virus"
title = "No viruses"
when.virus = true
then.reject = "Not delivered: a virus was found in it."
"#;

#[test]
fn what_clamav_finds_is_refused() {
    let what = "ClamAV as the scanner";
    if !have(what, &["clamd"]) {
        return;
    }
    let mut daemon = Daemon::new();
    let sink = Sink::start(&["PIPELINING"]);
    let metrics = loopback(port());
    let gateway = Site::new("scanner")
        .listener("mx", "mx", "none", "out", "")
        .listener("submission", "submission", "none", "out", "")
        .upstream("out", sink.address, "none", "")
        .rules(RULES)
        .table(&format!("[scan]\nclamd = \"unix:{}\"\ntimeout = \"10s\"\n\n[metrics]\nbind = \"{metrics}\"", daemon.socket.display()))
        .start();
    let clean = with_attachment("agenda.txt", "text/plain", b"1. Apologies");
    let infected = with_attachment("agenda.com", "application/octet-stream", eicar().as_bytes());
    for listener in ["mx", "submission"] {
        assert!(send(&gateway, listener, &clean).ok());
        let refusal = send(&gateway, listener, &infected);
        assert_eq!(
            (refusal.code, refusal.lines[0].starts_with("5.7.1 Not delivered: a virus was found in it.")),
            (550, true),
            "{refusal:?}"
        );
        assert!(!refusal.lines[0].contains("Lychgate.Test"), "a peer learns no scanner's words: {refusal:?}");
    }
    assert!(gateway.log().contains("signature=\"Lychgate.Test.UNOFFICIAL\""), "{}", gateway.tail(10));
    // What needs a password is no virus, although this daemon remarks on it.
    let locked = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/features/needs-password.pdf")).expect("a locked file");
    assert!(send(&gateway, "mx", &with_attachment("locked.pdf", "application/pdf", &locked)).ok());
    // Larger than the daemon takes: nobody can say, and it waits.
    let large = with_attachment("map.bin", "application/octet-stream", &vec![7; 2_000_000]);
    assert_eq!(send(&gateway, "mx", &large).code, 451);
    assert!(health(metrics).contains("\"scanner\":\"ok\""), "{}", health(metrics));

    daemon.kill();
    let waits = send(&gateway, "mx", &clean);
    assert_eq!((waits.code, waits.lines[0].starts_with("4.7.")), (451, true), "{waits:?}");
    assert!(health(metrics).contains("\"scanner\":\"degraded\""), "{}", health(metrics));
    daemon.start();
    assert!(send(&gateway, "mx", &clean).ok());
    assert!(health(metrics).contains("\"scanner\":\"ok\""), "{}", health(metrics));
    assert_eq!(sink.take().len(), 4);
    no_secret_in(&gateway.log());
    over_tcp(&daemon);
}

/// The same daemon by its other door.
fn over_tcp(daemon: &Daemon) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let scanner = Scanner::new(Scan { clamd: Place::Tcp(daemon.tcp), timeout: Duration::from_secs(10), max_size: None });
    runtime.block_on(async {
        scanner.ping().await.expect("it is there");
        assert_eq!(scanner.scan(b"").await.expect("an answer"), Scanned::Clean);
        assert_eq!(scanner.scan(eicar().as_bytes()).await.expect("an answer"), Scanned::Infected("Lychgate.Test.UNOFFICIAL".into()));
        assert!(matches!(scanner.scan(&vec![7; 3_000_000]).await, Err(ScanFault::TooLarge)));
        // Twice as many at once as there are places.
        let many = (0..20).map(|_| scanner.scan(b"Subject: x\r\n\r\nx\r\n"));
        for answer in futures_of(many).await {
            assert_eq!(answer.expect("an answer"), Scanned::Clean);
        }
    });
}

/// All at once.
async fn futures_of<T>(each: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = each.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        waiting.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(value) => {
                done.push(value);
                false
            }
            std::task::Poll::Pending => true,
        });
        if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

fn send(gateway: &Gateway, listener: &str, content: &str) -> Reply {
    let mut client = Client::connect(gateway.address(listener)).expect("the gateway answers");
    for line in ["EHLO client.test", &format!("MAIL FROM:<{OUTSIDER}>"), &format!("RCPT TO:<{CLERK}>"), "DATA"] {
        assert!(client.command(line).expect("an answer").code < 400, "{line}");
    }
    client.send(&stuffed(content.as_bytes())).expect("it is sent");
    client.reply().expect("an answer")
}
