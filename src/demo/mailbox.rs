//! The demo's upstream: a small mail server that plays the council's provider and the whole world behind it.
//!
//! It keeps what it is given, in memory and within bounds, and tells what came and what was begun but never came. Any password
//! is right for an account of the council. It listens on loopback only; it is no mail server for anything else.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// One message as it arrived.
#[derive(Debug)]
pub struct Mail {
    /// Counted from 1 since the start.
    pub number: u64,
    pub reverse_path: String,
    pub recipients: Vec<String>,
    /// Whom AUTH let in.
    pub login: Option<String>,
    /// Dot-stuffing undone.
    pub octets: Vec<u8>,
}

/// What the mailbox tells.
#[derive(Debug)]
pub enum Event {
    Came(Arc<Mail>),
    /// Sender and recipients were named, but the content was never sent: something in front thought better of it.
    Withdrawn {
        reverse_path: String,
        recipients: Vec<String>,
    },
}

/// A mailbox that runs as long as the runtime that it was started on.
pub struct Mailbox {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    mails: VecDeque<Arc<Mail>>,
    octets: usize,
    came: u64,
}

const MESSAGE_LIMIT: usize = 36_000_000;
const KEPT_MESSAGES: usize = 500;
const KEPT_OCTETS: usize = 100_000_000;
const CONNECTIONS: usize = 16;
const RECIPIENTS: usize = 1000;
const EVENTS: usize = 1000;
/// RFC 4954 §4 allows AUTH lines of 12,288 octets.
const LINE_LIMIT: usize = 12_288;
const TIMEOUT: Duration = Duration::from_secs(300);

impl Mailbox {
    /// Serves connections on `listener`; `domain` is the one whose accounts may log in.
    pub fn start(listener: TcpListener, domain: &str) -> (Mailbox, Receiver<Event>) {
        let (events, told) = sync_channel(EVENTS);
        let kept = Arc::new(Mutex::new(Kept::default()));
        let desk = Desk { kept: kept.clone(), events, domain: domain.into() };
        tokio::spawn(serve(listener, desk));
        (Mailbox { kept }, told)
    }

    /// How many messages came since the start, also those that were let go again for want of room.
    pub fn came(&self) -> u64 {
        locked(&self.kept).came
    }

    /// The messages kept that came after this many.
    pub fn after(&self, number: u64) -> Vec<Arc<Mail>> {
        locked(&self.kept).mails.iter().filter(|m| m.number > number).cloned().collect()
    }
}

async fn serve(listener: TcpListener, desk: Desk) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, _)) => {
                let session = Session { socket, desk: desk.clone(), input: Vec::new(), login: None, transaction: None };
                tokio::spawn(async move {
                    // A client that goes away is no fault of the mailbox.
                    let _ = session.run().await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Where sessions hand in what they took.
#[derive(Clone)]
struct Desk {
    kept: Arc<Mutex<Kept>>,
    events: SyncSender<Event>,
    domain: Arc<str>,
}

impl Desk {
    fn keep(&self, transaction: Transaction, login: Option<String>, octets: Vec<u8>) -> u64 {
        let mut kept = locked(&self.kept);
        kept.came += 1;
        let Transaction { reverse_path, recipients } = transaction;
        let mail = Arc::new(Mail { number: kept.came, reverse_path, recipients, login, octets });
        kept.octets += mail.octets.len();
        kept.mails.push_back(mail.clone());
        while kept.mails.len() > KEPT_MESSAGES || (kept.octets > KEPT_OCTETS && kept.mails.len() > 1) {
            kept.octets -= kept.mails.pop_front().map_or(0, |m| m.octets.len());
        }
        let number = kept.came;
        // Told while the desk is locked, so that events come in the order of the numbers. With nobody listening they are dropped.
        let _ = self.events.try_send(Event::Came(mail));
        number
    }

    fn withdraw(&self, transaction: Option<Transaction>) {
        if let Some(Transaction { reverse_path, recipients }) = transaction.filter(|t| !t.recipients.is_empty()) {
            let _ = self.events.try_send(Event::Withdrawn { reverse_path, recipients });
        }
    }

    /// Any password will do, but not none.
    fn lets_in(&self, user: &str, password: &str) -> bool {
        let domain = user.rsplit_once('@').map_or("", |(_, domain)| domain);
        domain.eq_ignore_ascii_case(&self.domain) && !password.is_empty()
    }
}

struct Transaction {
    reverse_path: String,
    recipients: Vec<String>,
}

struct Session {
    socket: TcpStream,
    desk: Desk,
    input: Vec<u8>,
    login: Option<String>,
    transaction: Option<Transaction>,
}

enum Step {
    Reply(String),
    Data,
    Auth(Mechanism, Option<String>),
    Quit,
}

#[derive(Clone, Copy)]
enum Mechanism {
    Plain,
    Login,
}

impl Session {
    async fn run(mut self) -> io::Result<()> {
        self.socket.set_nodelay(true)?;
        let result = self.talk().await;
        self.desk.withdraw(self.transaction.take());
        result
    }

    async fn talk(&mut self) -> io::Result<()> {
        let mut replies = String::from("220 mailbox.demo ESMTP The demo's mailbox\r\n");
        loop {
            // Replies to commands that came together leave together (RFC 2920 §3.2).
            if !self.input.contains(&b'\n') {
                self.say(&mut replies).await?;
            }
            let Some(line) = self.line().await? else { return Ok(()) };
            match self.step(&line) {
                Step::Reply(reply) => replies.push_str(&reply),
                Step::Data => {
                    replies.push_str("354 Go ahead, end with a dot\r\n");
                    self.say(&mut replies).await?;
                    replies.push_str(&self.content().await?);
                }
                Step::Auth(mechanism, initial) => {
                    self.say(&mut replies).await?;
                    replies.push_str(self.authenticate(mechanism, initial).await?);
                }
                Step::Quit => {
                    replies.push_str("221 2.0.0 Goodbye\r\n");
                    return self.say(&mut replies).await;
                }
            }
        }
    }

    fn step(&mut self, line: &str) -> Step {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let reply = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.desk.withdraw(self.transaction.take());
                format!(
                    "250-mailbox.demo\r\n250-PIPELINING\r\n250-SIZE {MESSAGE_LIMIT}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN LOGIN\r\n"
                )
            }
            "HELO" => "250 mailbox.demo\r\n".into(),
            "MAIL" if self.transaction.is_some() => "503 5.5.1 One message at a time\r\n".into(),
            "MAIL" => match path(rest, "FROM:") {
                Some((_, parameters)) if announced_size(parameters) > MESSAGE_LIMIT as u64 => "552 5.3.4 Too large\r\n".into(),
                Some((reverse_path, _)) => {
                    self.transaction = Some(Transaction { reverse_path: reverse_path.to_owned(), recipients: Vec::new() });
                    "250 2.1.0 Sender noted\r\n".into()
                }
                None => "501 5.5.4 MAIL FROM:<address>\r\n".into(),
            },
            "RCPT" => match (&mut self.transaction, path(rest, "TO:")) {
                (None, _) => "503 5.5.1 MAIL first\r\n".into(),
                (Some(_), None | Some(("", _))) => "501 5.5.4 RCPT TO:<address>\r\n".into(),
                (Some(t), Some(_)) if t.recipients.len() >= RECIPIENTS => "452 4.5.3 Too many recipients\r\n".into(),
                (Some(t), Some((recipient, _))) => {
                    t.recipients.push(recipient.to_owned());
                    "250 2.1.5 Recipient noted\r\n".into()
                }
            },
            "DATA" if self.transaction.as_ref().is_some_and(|t| !t.recipients.is_empty()) => return Step::Data,
            "DATA" => "503 5.5.1 RCPT first\r\n".into(),
            "RSET" => {
                self.desk.withdraw(self.transaction.take());
                "250 2.0.0 Forgotten\r\n".into()
            }
            "NOOP" => "250 2.0.0 Here\r\n".into(),
            "VRFY" => "252 2.5.0 Try it\r\n".into(),
            "AUTH" if self.login.is_some() || self.transaction.is_some() => "503 5.5.1 Not now\r\n".into(),
            "AUTH" => {
                let (mechanism, initial) = rest.trim().split_once(' ').map_or((rest.trim(), None), |(m, i)| (m, Some(i.to_owned())));
                match mechanism.to_ascii_uppercase().as_str() {
                    "PLAIN" => return Step::Auth(Mechanism::Plain, initial),
                    "LOGIN" => return Step::Auth(Mechanism::Login, initial),
                    _ => "504 5.5.4 PLAIN or LOGIN\r\n".into(),
                }
            }
            "QUIT" => return Step::Quit,
            _ => "500 5.5.2 Not understood\r\n".into(),
        };
        Step::Reply(reply)
    }

    /// RFC 4954 §4; `*` gives up.
    async fn authenticate(&mut self, mechanism: Mechanism, initial: Option<String>) -> io::Result<&'static str> {
        const REFUSED: &str = "535 5.7.8 The demo lets in accounts of the council's domain, with any password\r\n";
        let answers = match mechanism {
            Mechanism::Plain => self.answer(initial, "").await?.map(|plain| match plain.split('\0').collect::<Vec<_>>().as_slice() {
                [_, user, password] => (user.to_string(), password.to_string()),
                _ => Default::default(),
            }),
            Mechanism::Login => match self.answer(initial, "VXNlcm5hbWU6").await? {
                Some(user) => self.answer(None, "UGFzc3dvcmQ6").await?.map(|password| (user, password)),
                None => None,
            },
        };
        Ok(match answers {
            Some((user, password)) if self.desk.lets_in(&user, &password) => {
                self.login = Some(user);
                "235 2.7.0 Welcome\r\n"
            }
            Some(_) => REFUSED,
            None => "501 5.5.2 Not understood\r\n",
        })
    }

    async fn answer(&mut self, initial: Option<String>, challenge: &str) -> io::Result<Option<String>> {
        let line = match initial {
            Some(initial) => initial,
            None => {
                self.say(&mut format!("334 {challenge}\r\n")).await?;
                self.line().await?.ok_or(io::ErrorKind::UnexpectedEof)?
            }
        };
        let line = if line == "=" { String::new() } else { line };
        Ok(STANDARD.decode(line).ok().and_then(|octets| String::from_utf8(octets).ok()))
    }

    /// Reads up to the line with the single dot, and keeps the message. What is too large is read and dropped.
    async fn content(&mut self) -> io::Result<String> {
        let mut octets = Vec::new();
        let mut too_large = false;
        let mut line = Vec::new();
        loop {
            let end = loop {
                match memchr::memchr(b'\n', &self.input) {
                    Some(at) => break at + 1,
                    // A line without end is taken in pieces.
                    None if self.input.len() >= 65_536 => break self.input.len(),
                    None if self.fill().await? => {}
                    None => return Err(io::ErrorKind::UnexpectedEof.into()),
                }
            };
            let begins = line.last().is_none_or(|&b| b == b'\n');
            line.clear();
            line.extend(self.input.drain(..end));
            if begins && line == b".\r\n" {
                break;
            }
            // RFC 5321 §4.5.2: a dot in front of a line is one too many.
            let kept = if begins { line.strip_prefix(b".").unwrap_or(&line) } else { &line };
            too_large |= octets.len() + kept.len() > MESSAGE_LIMIT;
            if too_large { octets = Vec::new() } else { octets.extend_from_slice(kept) }
        }
        let Some(transaction) = self.transaction.take() else { return Ok("503 5.5.1 RCPT first\r\n".into()) };
        if too_large {
            return Ok("552 5.3.4 Too large\r\n".into());
        }
        let number = self.desk.keep(transaction, self.login.clone(), octets);
        Ok(format!("250 2.0.0 Kept by the demo's mailbox as message {number}\r\n"))
    }

    async fn say(&mut self, replies: &mut String) -> io::Result<()> {
        if !replies.is_empty() {
            within(self.socket.write_all(replies.as_bytes())).await?;
            replies.clear();
        }
        Ok(())
    }

    /// The next line without its end; none when the client is gone.
    async fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.input) {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            if self.input.len() > LINE_LIMIT {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without end"));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    async fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16_384];
        let n = within(self.socket.read(&mut chunk)).await?;
        self.input.extend_from_slice(&chunk[..n]);
        Ok(n > 0)
    }
}

async fn within<T>(io: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(TIMEOUT, io).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// `FROM:<address> parameters` into address and parameters.
fn path<'a>(text: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let text = text.trim_start();
    let rest = text.get(..keyword.len()).filter(|k| k.eq_ignore_ascii_case(keyword)).map(|_| &text[keyword.len()..])?;
    rest.trim_start().strip_prefix('<')?.split_once('>')
}

fn announced_size(parameters: &str) -> u64 {
    let size = |p: &str| p.get(..5).filter(|k| k.eq_ignore_ascii_case("SIZE=")).and_then(|_| p[5..].parse().ok());
    parameters.split_whitespace().find_map(size).unwrap_or(0)
}

fn locked(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    // A session that panicked left whole messages behind, never half of one.
    kept.lock().unwrap_or_else(|broken| broken.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::SocketAddr;

    /// Says all of it in pieces of `step` octets and hears the replies up to the end of the connection.
    fn talk(address: SocketAddr, said: &[u8], step: usize) -> String {
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        for piece in said.chunks(step) {
            socket.write_all(piece).unwrap();
        }
        let mut heard = String::new();
        socket.read_to_string(&mut heard).unwrap();
        heard
    }

    fn with_mailbox(test: impl FnOnce(SocketAddr, Mailbox, Receiver<Event>)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (mailbox, events) = runtime.block_on(async { Mailbox::start(listener, "x.gov.uk") });
        test(address, mailbox, events);
    }

    #[test]
    fn keeps_what_it_is_given_however_it_is_cut() {
        with_mailbox(|address, mailbox, events| {
            let said = b"EHLO me\r\nAUTH PLAIN AGFAeC5nb3YudWsAYW55\r\nMAIL FROM:<a@x.gov.uk> SIZE=20\r\nRCPT TO:<b@y> NOTIFY=NEVER\r\nRCPT TO:<c@y>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n..\r\n.\r\nQUIT\r\n";
            for step in [1, 7, said.len()] {
                let before = mailbox.came();
                let heard = talk(address, said, step);
                let replies = "235 2.7.0 Welcome\r\n250 2.1.0 Sender noted\r\n250 2.1.5 Recipient noted\r\n250 2.1.5 Recipient noted\r\n354 Go ahead, end with a dot\r\n";
                let end = format!("{replies}250 2.0.0 Kept by the demo's mailbox as message {}\r\n221 2.0.0 Goodbye\r\n", before + 1);
                assert!(heard.ends_with(&end), "{heard}");
                let Ok(Event::Came(mail)) = events.recv() else { panic!("no mail") };
                assert_eq!(
                    (mail.number, mail.reverse_path.as_str(), mail.login.as_deref()),
                    (before + 1, "a@x.gov.uk", Some("a@x.gov.uk"))
                );
                assert_eq!(mail.recipients, ["b@y", "c@y"]);
                assert_eq!(mail.octets, b"Subject: x\r\n\r\n.dot\r\n.\r\n");
                assert_eq!(mailbox.after(before).len(), 1);
            }
        });
    }

    #[test]
    fn tells_what_was_begun_and_never_came() {
        with_mailbox(|address, _, events| {
            talk(address, b"EHLO me\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRSET\r\nMAIL FROM:<>\r\nQUIT\r\n", 1000);
            let Ok(Event::Withdrawn { reverse_path, recipients }) = events.recv() else { panic!("nothing told") };
            assert_eq!((reverse_path.as_str(), recipients), ("a@x", vec!["b@y".to_owned()]));
            assert!(events.try_recv().is_err());
        });
    }

    #[test]
    fn lets_in_the_council_only() {
        with_mailbox(|address, _, _| {
            let login = |user: &str, password: &str| {
                let said = format!("AUTH LOGIN\r\n{}\r\n{}\r\nQUIT\r\n", STANDARD.encode(user), STANDARD.encode(password));
                let heard = talk(address, said.as_bytes(), 1000);
                heard.contains("\r\n235 ")
            };
            assert!(login("clerk@X.gov.uk", "any"));
            assert!(!login("clerk@x.gov.uk", ""));
            assert!(!login("clerk@other.example", "any"));
            assert!(talk(address, b"AUTH PLAIN !!\r\nQUIT\r\n", 100).contains("\r\n501 5.5.2"));
            assert!(
                talk(address, b"MAIL FROM:<a@b\r\nRCPT TO:<>\r\nDATA\r\nMAIL FROM:<a@b> SIZE=99999999\r\n\xff\xfe\r\nQUIT\r\n", 100)
                    .contains("552 5.3.4")
            );
        });
    }

    #[test]
    fn room_is_bounded() {
        let (events, _told) = sync_channel(1);
        let kept = Arc::new(Mutex::new(Kept::default()));
        let desk = Desk { kept: kept.clone(), events, domain: "x".into() };
        for _ in 0..KEPT_MESSAGES + 10 {
            desk.keep(Transaction { reverse_path: String::new(), recipients: Vec::new() }, None, vec![0; KEPT_OCTETS / 100]);
        }
        let kept = locked(&kept);
        assert!(kept.octets <= KEPT_OCTETS && kept.mails.len() <= KEPT_MESSAGES);
        assert_eq!(kept.came, KEPT_MESSAGES as u64 + 10);
    }
}
