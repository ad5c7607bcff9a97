//! Notices against a small SMTP server on loopback.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::config::settings::UpstreamTls;
use crate::policy::{Mode, Person};
use crate::records::tests::Folder;

/// What the server saw, and what it is to answer.
#[derive(Default)]
struct Upstream25 {
    lines: Mutex<Vec<String>>,
    letters: Mutex<Vec<String>>,
    /// Replies to come, by command, before the usual ones.
    replies: Mutex<VecDeque<(&'static str, &'static str)>>,
}

impl Upstream25 {
    async fn start() -> (Arc<Upstream25>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Arc::new(Upstream25::default());
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        (server, address)
    }

    async fn serve(self: Arc<Self>, stream: tokio::net::TcpStream) {
        let (read, mut write) = stream.into_split();
        let mut read = BufReader::new(read);
        let _ = write.write_all(b"220 test ESMTP\r\n").await;
        let mut line = String::new();
        while read.read_line(&mut line).await.unwrap_or(0) > 0 {
            let said = line.trim_end().to_string();
            self.lines.lock().unwrap().push(said.clone());
            let verb = said.split([' ', ':']).next().unwrap_or("").to_ascii_uppercase();
            let special = {
                let mut replies = self.replies.lock().unwrap();
                if replies.front().is_some_and(|(command, _)| *command == verb) { replies.pop_front().map(|r| r.1) } else { None }
            };
            let reply = match (special, verb.as_str()) {
                (Some(""), _) => return,
                (Some(reply), _) => reply,
                (None, "EHLO") => "250-test\r\n250 AUTH PLAIN\r\n",
                (None, "AUTH") => "235 2.7.0 ok\r\n",
                (None, "DATA") => {
                    let _ = write.write_all(b"354 go\r\n").await;
                    let mut letter = String::new();
                    loop {
                        line.clear();
                        if read.read_line(&mut line).await.unwrap_or(0) == 0 {
                            return;
                        }
                        if line == ".\r\n" {
                            break;
                        }
                        letter.push_str(&line);
                    }
                    self.letters.lock().unwrap().push(letter);
                    "250 2.0.0 queued\r\n"
                }
                (None, "QUIT") => "221 bye\r\n",
                _ => "250 ok\r\n",
            };
            let _ = write.write_all(reply.as_bytes()).await;
            line.clear();
        }
    }

    fn letters(&self) -> Vec<String> {
        self.letters.lock().unwrap().clone()
    }
}

pub(super) fn options(folder: &Folder, address: &str) -> Options {
    Options {
        console: None,
        store: folder.prepared(),
        upstream: Arc::new(Upstream {
            name: "provider".into(),
            address: address.into(),
            tls: UpstreamTls::None,
            ca_file: None,
            server_name: "localhost".into(),
            keep: 0,
            pacing: Default::default(),
        }),
        from: "gateway@wragby.gov.uk".into(),
        answers: "gateway@wragby.gov.uk".into(),
        credential: None,
        needs_credential: false,
        hostname: "gw.wragby.gov.uk".into(),
        council: "Wragby Parish Council".into(),
        clerk: Some("clerk@wragby.gov.uk".into()),
        chair: None,
        time_zone: jiff::tz::TimeZone::UTC,
        lanes: Vec::new(),
        pace: Pace { first: Duration::from_millis(50), longest: Duration::from_millis(400), ..Pace::default() },
    }
}

fn tls() -> Arc<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

fn notice(person: Person, rule: &str) -> Notice {
    let to = match person {
        Person::Sender => "Cllr.Elm@wragby.gov.uk",
        Person::Clerk => "clerk@wragby.gov.uk",
        Person::Chair => "chair@wragby.gov.uk",
    };
    Notice { person, to: to.into(), rule: rule.into(), text: format!("Add a password to the document, then resend. ({rule})"), every: None }
}

fn told(message_id: &str, notices: Vec<Notice>) -> Told {
    let matches = ["encrypt", "hide"]
        .map(|rule| Match {
            rule: rule.into(),
            title: format!("Title of {rule}").into(),
            mode: Mode::Enforce,
            clauses: vec!["wragby/email-confidential".into()],
            because: Vec::new(),
            actions: vec!["reject"],
            overridden: None,
        })
        .to_vec();
    Told {
        notices,
        matches,
        disposition: Disposition::Reject { text: "Not sent".into() },
        message_id: (!message_id.is_empty()).then(|| message_id.to_string()),
        fallback: "content-digest".into(),
        reference: "LG-7F3K".into(),
        time: "2026-05-12T10:03:00+01:00[Europe/London]".parse().unwrap(),
        sender: "cllr.elm@wragby.gov.uk".into(),
        subject: Some("Tender café\r\nBcc: x@evil.example".into()),
        automatic: false,
        care: None,
    }
}

async fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..200 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{what} never came about");
}

#[tokio::test]
async fn once_within_the_time_that_a_rule_sets() {
    let folder = Folder::new();
    let (_server, address) = Upstream25::start().await;
    let outbox = Outbox::start(options(&folder, &address), tls()).unwrap();
    let delivered = |id: &str, rule: &str| Told {
        disposition: Disposition::Deliver,
        ..told(id, vec![Notice { every: Some(1), ..notice(Person::Sender, rule) }])
    };
    assert_eq!(outbox.tell(delivered("<1@x>", "hide")).await.unwrap().letters, 1);
    assert_eq!(outbox.tell(delivered("<2@x>", "hide")).await.unwrap().letters, 0, "another message, the same day");
    assert_eq!(outbox.tell(delivered("<3@x>", "encrypt")).await.unwrap().letters, 1, "another rule");
    let refused = told("<4@x>", vec![Notice { every: Some(1), ..notice(Person::Sender, "hide") }]);
    assert_eq!(outbox.tell(refused).await.unwrap().letters, 1, "a refusal is always told");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(outbox.tell(delivered("<5@x>", "hide")).await.unwrap().letters, 1, "its time is over");
}

#[tokio::test]
async fn one_letter_a_person_however_often_a_phone_retries() {
    let folder = Folder::new();
    let (server, address) = Upstream25::start().await;
    let outbox = Outbox::start(options(&folder, &address), tls()).unwrap();
    let notices = || vec![notice(Person::Sender, "encrypt"), notice(Person::Sender, "hide"), notice(Person::Clerk, "encrypt")];
    for retry in 0..5 {
        let done = outbox.tell(told("<a@b>", notices())).await.unwrap();
        assert_eq!(done, if retry == 0 { Enqueued { letters: 2, repeated: 0 } } else { Enqueued { letters: 0, repeated: 3 } });
    }
    wait_for("both letters", || server.letters().len() == 2).await;
    let letters = server.letters();
    let sender = letters.iter().find(|l| l.contains("To: <cllr.elm@wragby.gov.uk>")).expect("the sender's letter");
    let clerk = letters.iter().find(|l| l.contains("To: <clerk@wragby.gov.uk>")).expect("the Clerk's letter");
    for part in [
        "Auto-Submitted: auto-generated\r\n",
        "X-Auto-Response-Suppress: All\r\n",
        "In-Reply-To: <a@b>\r\n",
        "Date: Tue, 12 May 2026 09:03:00 ",
        "<gateway@wragby.gov.uk>",
        "Title of encrypt",
        "Title of hide",
        "(encrypt)",
        "(hide)",
        "wragby/email-confidential",
        "Reference: LG-7F3K",
    ] {
        assert!(sender.contains(part), "{part}\n{sender}");
    }
    assert!(!sender.contains("\r\nBcc:"), "nothing from a subject starts a field\n{sender}");
    assert!(clerk.contains("Subject: Not sent: a message from cllr.elm@wragby.gov.uk\r\n"), "{clerk}");
    assert!(!clerk.contains("Tender"), "the subject is the sender's own business\n{clerk}");
    let parsed = mail_parser::MessageParser::new().parse(sender.as_bytes()).unwrap();
    assert_eq!(parsed.subject().unwrap(), "Not sent: Tender café Bcc: x@evil.example");
    assert!(parsed.body_text(0).unwrap().contains("\"Tender café Bcc: x@evil.example\" of 12 May 2026, 10:03 was not sent."));
    let lines = server.lines.lock().unwrap().clone();
    assert_eq!(lines.iter().filter(|l| *l == "MAIL FROM:<>").count(), 2);
    assert!(lines.iter().any(|l| l == "EHLO gw.wragby.gov.uk"));
    // Another message is other news; so is another rule.
    assert_eq!(outbox.tell(told("<c@d>", vec![notice(Person::Sender, "encrypt")])).await.unwrap().letters, 1);
    assert_eq!(outbox.tell(told("<a@b>", vec![notice(Person::Chair, "encrypt")])).await.unwrap().letters, 1);
    // Without a Message-ID its content names it.
    assert_eq!(outbox.tell(told("", vec![notice(Person::Sender, "encrypt")])).await.unwrap().letters, 1);
    assert_eq!(outbox.tell(told("", vec![notice(Person::Sender, "encrypt")])).await.unwrap().letters, 0);
    wait_for("all five", || outbox.counters().delivered == 5 && outbox.counters().waiting == 0).await;
    assert_eq!(outbox.counters().repeated, 13);
}

#[tokio::test]
async fn automatic_mail_and_bad_addresses_get_no_letter() {
    let folder = Folder::new();
    let outbox = Outbox::start(options(&folder, "127.0.0.1:9"), tls()).unwrap();
    let mut automatic = told("<a@b>", vec![notice(Person::Sender, "encrypt"), notice(Person::Clerk, "encrypt")]);
    automatic.automatic = true;
    assert_eq!(outbox.tell(automatic).await.unwrap().letters, 1, "the Clerk's only");
    let mut bad = notice(Person::Sender, "encrypt");
    for to in ["", "elm", "elm@x.uk>\r\nRCPT TO:<x@y.uk", "Elm <elm@x.uk>"] {
        bad.to = to.into();
        assert_eq!(outbox.tell(told("<c@d>", vec![bad.clone()])).await.unwrap().letters, 0, "{to:?}");
    }
}

#[tokio::test]
async fn what_waits_outlives_a_restart_and_is_sent_when_the_upstream_is_back() {
    let folder = Folder::new();
    // A port that nobody listens on.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let first = options(&folder, &closed);
    let outbox = Outbox::start(first.clone(), tls()).unwrap();
    outbox.tell(told("<a@b>", vec![notice(Person::Sender, "encrypt")])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(outbox.counters().waiting, 1);
    for file in std::fs::read_dir(folder.path("data")).unwrap() {
        let octets = std::fs::read(file.unwrap().path()).unwrap();
        for text in ["cllr.elm", "Tender", "password to the document"] {
            assert!(memchr::memmem::find(&octets, text.as_bytes()).is_none(), "{text} can be read");
        }
    }
    drop(outbox);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (server, address) = Upstream25::start().await;
    let outbox = Outbox::start(options(&folder, &address), tls()).unwrap();
    wait_for("the letter", || server.letters().len() == 1).await;
    wait_for("the store", || outbox.counters().waiting == 0).await;
    assert_eq!(
        outbox.tell(told("<a@b>", vec![notice(Person::Sender, "encrypt")])).await.unwrap().repeated,
        1,
        "remembered over the restart"
    );
}

#[tokio::test]
async fn refusals_for_now_are_tried_again_and_refusals_for_good_are_not() {
    let folder = Folder::new();
    let (server, address) = Upstream25::start().await;
    server.replies.lock().unwrap().extend([
        ("RCPT", "450 4.2.1 busy\r\n"),
        ("DATA", "451 4.3.0 later\r\n"),
        ("DATA", ""),
        ("EHLO", "421 4.3.2 closing\r\n"),
    ]);
    let outbox = Outbox::start(options(&folder, &address), tls()).unwrap();
    outbox.tell(told("<a@b>", vec![notice(Person::Sender, "encrypt")])).await.unwrap();
    wait_for("the letter in the end", || outbox.counters().delivered == 1).await;
    assert_eq!(server.letters().len(), 1);
    assert!(server.replies.lock().unwrap().is_empty());

    server.replies.lock().unwrap().push_back(("RCPT", "550 5.1.1 unknown\r\n"));
    outbox.tell(told("<c@d>", vec![notice(Person::Sender, "encrypt"), notice(Person::Clerk, "encrypt")])).await.unwrap();
    wait_for("the other letter", || outbox.counters().delivered == 2 && outbox.counters().refused == 1).await;
    assert_eq!(outbox.counters().waiting, 0);

    // A provider that refuses <> gets the gateway's own address as the reverse path.
    server.replies.lock().unwrap().push_back(("MAIL", "550 5.1.7 no empty sender\r\n"));
    outbox.tell(told("<e@f>", vec![notice(Person::Sender, "encrypt")])).await.unwrap();
    wait_for("the third", || outbox.counters().delivered == 3).await;
    assert!(server.lines.lock().unwrap().iter().any(|l| l == "MAIL FROM:<gateway@wragby.gov.uk>"));
}

#[tokio::test]
async fn a_credential_is_used_and_without_one_notices_wait_in_sight() {
    let folder = Folder::new();
    let (server, address) = Upstream25::start().await;
    let mut options = options(&folder, &address);
    options.needs_credential = true;
    let outbox = Outbox::start(options.clone(), tls()).unwrap();
    outbox.tell(told("<a@b>", vec![notice(Person::Sender, "encrypt")])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(outbox.is_blocked());
    assert_eq!(outbox.counters().waiting, 1);
    assert!(server.lines.lock().unwrap().is_empty(), "the upstream is left in peace");
    options.credential = Some(("gateway".into(), "secret".into()));
    outbox.reload(options, tls());
    wait_for("the letter", || outbox.counters().delivered == 1).await;
    // PLAIN of \0gateway\0secret.
    assert!(server.lines.lock().unwrap().iter().any(|l| l == "AUTH PLAIN AGdhdGV3YXkAc2VjcmV0"));
}
