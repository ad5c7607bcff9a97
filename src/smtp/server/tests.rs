//! The machine against itself: whole, in pieces, or byte by byte, it says and asks the same.

use proptest::prelude::*;

use super::*;
use crate::smtp::client::{ClientSession, Final};

/// One session with a world that answers every question after each piece that comes in.
struct World {
    machine: Option<ServerSession>,
    out: Outputs,
    said: Vec<u8>,
    asked: Vec<String>,
    mail_refused: bool,
    closed: bool,
}

impl World {
    fn new(config: ServerConfig) -> World {
        let mut out = Outputs::default();
        let machine = ServerSession::new(Arc::new(config), true, &mut out);
        let said = std::mem::take(&mut out.send);
        World { machine: Some(machine), out, said, asked: Vec::new(), mail_refused: false, closed: false }
    }

    fn step(&mut self, input: Input<'_>) {
        let machine = self.machine.take().expect("a machine").handle(input, &mut self.out);
        self.machine = Some(machine);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.closed {
            return;
        }
        self.step(Input::Bytes(bytes));
        while !self.out.asks.is_empty() {
            for (ticket, ask) in std::mem::take(&mut self.out.asks) {
                if let Some(answer) = self.answer(ask) {
                    self.step(Input::Decided(ticket, answer));
                }
            }
        }
        self.said.append(&mut self.out.send);
        if std::mem::take(&mut self.out.start_tls) {
            self.step(Input::TlsReady);
        }
        self.closed |= self.out.close;
        assert!(self.closed || self.machine.as_ref().is_some_and(ServerSession::wants_input), "it waits for nothing");
    }

    /// What a name says is what is answered to it.
    fn answer(&mut self, ask: Ask) -> Option<Answer> {
        // A RCPT that came along with others is asked before MAIL is refused or 421 heard; one that came later is not.
        if matches!(ask, Ask::Rcpt(_)) && (self.mail_refused || self.out.close) {
            return Some(Answer::Reply(wording::MAIL_FIRST));
        }
        self.asked.push(match &ask {
            Ask::Message(received) => format!("message {:?}", String::from_utf8_lossy(&received.bytes)),
            Ask::Mail(mail) => format!("mail {}", mail.reverse_path.as_str()),
            Ask::Rcpt(rcpt) => format!("rcpt {}", rcpt.forward_path),
            Ask::AuthLine(Secret(line)) => format!("auth {}", **line),
            ask => format!("{ask:?}"),
        });
        let word = |text: &str| match text {
            _ if text.contains("later") => Reply::line(451, "4.0.0", "later"),
            _ if text.contains("never") => Reply::line(550, "5.0.0", "never"),
            _ if text.contains("bye") => Reply::line(421, "4.0.0", "bye"),
            _ => Reply::line(250, "2.0.0", "ok"),
        };
        Some(match ask {
            Ask::Hello { .. } => {
                let mut offer = Extensions::own(1000);
                offer.auth.insert(Mechanism::Plain);
                offer.auth.insert(Mechanism::XOAuth2);
                Answer::Offer(offer)
            }
            Ask::Mail(mail) => {
                let reply = word(mail.reverse_path.as_str());
                self.mail_refused = !reply.is_success();
                Answer::Reply(reply)
            }
            Ask::Rcpt(rcpt) => Answer::Reply(word(rcpt.forward_path.as_str())),
            Ask::Login(_) => Answer::Reply(Reply::line(535, "5.7.8", "no")),
            Ask::AuthBegin { .. } => Answer::Reply(Reply::received(334, b"334 \r\n")),
            Ask::AuthLine(_) => Answer::Reply(Reply::line(535, "5.7.8", "no")),
            Ask::Message(received) if received.bytes.starts_with(b"never") => Answer::Reply(word("never")),
            Ask::Message(_) => match ClientSession::conclude(Reply::line(250, "2.0.0", "queued")) {
                Final::Committed(committed) => Answer::Committed(committed),
                Final::Refused(reply) => Answer::Reply(reply),
            },
            Ask::Reset => return None,
        })
    }
}

fn config() -> ServerConfig {
    ServerConfig {
        hostname: "gw.test".into(),
        starttls: Starttls::No,
        auth: true,
        line_ends: LineEnds::Refuse,
        limits: Limits { message: 60, recipients: 2, commands: 100, errors: 8 },
    }
}

fn talk<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (String, Vec<String>, bool) {
    let mut world = World::new(config());
    pieces.for_each(|piece| world.bytes(piece));
    (String::from_utf8_lossy(&world.said).into_owned(), world.asked, world.closed)
}

fn whole(wire: &[u8]) -> (String, Vec<String>, bool) {
    talk([wire].into_iter())
}

#[test]
fn an_answer_is_never_taken_for_the_next_transaction() {
    let wire = b"EHLO c\r\nMAIL FROM:<later@x.uk>\r\nRCPT TO:<jo@x.uk>\r\nRSET\r\nMAIL FROM:<a@x.uk>\r\nRCPT TO:<never@x.uk>\r\nDATA\r\n";
    let (said, asked, _) = whole(wire);
    assert!(said.ends_with("451 4.0.0 later\r\n503 5.5.1 Say MAIL first\r\n250 2.0.0 Ok\r\n250 2.0.0 ok\r\n550 5.0.0 never\r\n554 5.5.1 No valid recipients\r\n"), "{said}");
    assert_eq!(asked[1..], ["mail later@x.uk", "mail a@x.uk", "rcpt never@x.uk"]);
}

#[test]
fn a_group_after_a_refused_mail_is_no_fault() {
    let mut wire = b"EHLO c\r\nMAIL FROM:<later@x.uk>\r\n".to_vec();
    wire.extend(b"RCPT TO:<jo@x.uk>\r\n".repeat(30));
    wire.extend(b"DATA\r\nNOOP\r\n");
    for step in [1, 25, 10_000] {
        let (said, _, closed) = talk(wire.chunks(step));
        assert!(!closed && said.ends_with("250 2.0.0 Ok\r\n"), "{said}");
    }
}

#[test]
fn refused_recipients_are_bounded() {
    let mut wire = b"EHLO c\r\nMAIL FROM:<a@x.uk>\r\n".to_vec();
    wire.extend(b"RCPT TO:<never@x.uk>\r\n".repeat(5000));
    for step in [22, 1_000_000] {
        let (_, asked, closed) = talk(wire.chunks(step));
        assert!(closed && asked.len() < 1010, "{} asked", asked.len());
    }
}

#[test]
fn an_exchange_that_is_not_text_is_called_off_upstream() {
    let (said, asked, _) = whole(b"EHLO c\r\nAUTH XOAUTH2\r\n\xff\xfe\r\nNOOP\r\n");
    assert_eq!(asked.last().map(String::as_str), Some("auth *"));
    assert!(said.ends_with("535 5.7.8 no\r\n250 2.0.0 Ok\r\n"), "{said}");
}

#[test]
fn a_chunk_of_unknown_length_is_not_taken_for_commands() {
    let wire = b"EHLO c\r\nMAIL FROM:<a@x.uk>\r\nRCPT TO:<b@x.uk>\r\nBDAT much\r\nMAIL FROM:<smuggled@x.uk>\r\n";
    let (said, asked, _) = whole(wire);
    assert!(said.ends_with("octets and, for the last chunk, LAST\r\n"), "{said}");
    assert!(!asked.iter().any(|a| a.contains("smuggled")), "{asked:?}");
}

#[test]
fn shutdown_lets_content_in_and_ends_all_else() {
    for (wire, waits) in [
        (&b""[..], false),
        (b"EHLO c\r\nMAIL FROM:<a@x.uk>\r\nRCPT TO:<b@x.uk>\r\n", false),
        (b"EHLO c\r\nAUTH PLAIN\r\n", false),
        (b"EHLO c\r\nMAIL FROM:<a@x.uk>\r\nRCPT TO:<b@x.uk>\r\nDATA\r\nhalf", true),
        (b"EHLO c\r\nMAIL FROM:<a@x.uk>\r\nRCPT TO:<b@x.uk>\r\nBDAT 6 LAST\r\nha", true),
    ] {
        let mut world = World::new(config());
        world.bytes(wire);
        world.step(Input::Shutdown);
        assert_eq!(!world.out.close, waits, "{:?}", String::from_utf8_lossy(wire));
        if waits {
            world.bytes(if wire.ends_with(b"half") { b"\r\n.\r\n" } else { b"lf\r\n" });
            let said = String::from_utf8_lossy(&world.said).into_owned();
            assert!(world.closed && said.contains("250 2.0.0 queued\r\n421 4.3.2 "), "{said}");
        }
    }
}

fn command() -> impl Strategy<Value = &'static [u8]> {
    prop::sample::select(vec![
        &b"EHLO c\r\n"[..],
        b"EHLO c\r\n",
        b"HELO c\r\n",
        b"MAIL FROM:<a@x.uk>\r\n",
        b"MAIL FROM:<a@x.uk>\r\n",
        b"MAIL FROM:<a@x.uk>\r\n",
        b"MAIL FROM:<later@x.uk>\r\n",
        b"MAIL FROM:<a@x.uk> SIZE=70\r\n",
        b"MAIL FROM:<>\r\n",
        b"RCPT TO:<b@x.uk>\r\n",
        b"RCPT TO:<b@x.uk>\r\n",
        b"RCPT TO:<never@x.uk>\r\n",
        b"RCPT TO:<bye@x.uk>\r\n",
        b"DATA\r\n",
        b"DATA\r\n",
        b"DATA\r\nhello\r\n.\r\n",
        b"never\r\n..\r\n.\r\n",
        b"hello\r\n.\r\n",
        b"BDAT 5\r\nhello",
        b"BDAT 7 LAST\r\nhello\r\n",
        b"BDAT 0 LAST\r\n",
        b"BDAT 70\r\n0123456789012345678901234567890123456789012345678901234567890123456789",
        b"BDAT 4\r\nQ\n\0\r",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"VRFY x\r\n",
        b"STARTTLS\r\n",
        b"AUTH PLAIN AGEAYg==\r\n",
        b"AUTH PLAIN\r\n",
        b"AUTH LOGIN\r\n",
        b"AUTH XOAUTH2 eA==\r\n",
        b"AGEAYg==\r\n",
        b"\xff\xfe\r\n",
        b"*\r\n",
        b"WHAT\r\n",
        b"QUIT\r\n",
        b"a\nb",
        b"a\rb",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn whole_or_in_pieces_it_says_and_asks_the_same(
        begin in 0usize..3,
        commands in proptest::collection::vec(command(), 0..14),
        cuts in proptest::collection::vec(0usize..400, 0..12),
    ) {
        let start: [&[u8]; 3] = [b"", b"EHLO c\r\n", b"EHLO c\r\nMAIL FROM:<a@x.uk>\r\nRCPT TO:<b@x.uk>\r\n"];
        let wire = [start[begin], &commands.concat()].concat();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(wire.len())).chain([0, wire.len()]).collect();
        cuts.sort_unstable();
        let expected = whole(&wire);
        prop_assert_eq!(&talk(wire.chunks(1)), &expected);
        prop_assert_eq!(&talk(cuts.windows(2).map(|cut| &wire[cut[0]..cut[1]]).filter(|piece| !piece.is_empty())), &expected);
    }
}
