//! The client's side of a session, sans-io: towards the upstream (RFC 5321 §3, §4.2).
//!
//! Commands that are sent are remembered in order, and each reply is matched to the oldest: a reply that nobody asked for, or one
//! that cannot be, is a fault of the protocol, after which nothing of this connection is believed.

use std::collections::VecDeque;

use super::reply::{Reply, Severity};
use super::wording;

/// Octets of one reply with all its lines. RFC 5321 §4.5.3.1.5 allows 512 a line; live EHLO replies have about 20 lines.
const REPLY_LIMIT: usize = 32 * 1024;

/// What a durable store hands out for a message that it has taken. Only the store's own writer may make one; `tests/architecture.rs`
/// holds that nobody else has this trait.
pub trait Durable {}

/// Proof that a message is safe: made here, from the upstream's 2xx after the dot or from what a durable store handed out, and nowhere
/// else.
#[derive(Debug)]
pub struct Committed {
    reply: Reply,
}

impl Committed {
    /// The store has it. `reply` must say 250.
    pub fn kept(_proof: impl Durable, reply: Reply) -> Committed {
        debug_assert_eq!(reply.code(), 250);
        Committed { reply }
    }

    /// The words that go with it.
    pub fn reply(&self) -> &Reply {
        &self.reply
    }

    pub fn into_reply(self) -> Reply {
        self.reply
    }

    /// The same proof for the same message, should its client come again.
    pub fn repeat(&self) -> Committed {
        Committed { reply: self.reply.clone() }
    }
}

/// What a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// The end of data.
    Final,
    Rset,
    Noop,
    Quit,
}

/// What came of the end of data.
#[derive(Debug)]
pub enum Final {
    Committed(Committed),
    Refused(Reply),
}

/// The upstream does not speak SMTP as it must; the connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolFault {
    #[error("a reply came that nothing asked for")]
    Unasked,
    #[error("a reply is not well formed")]
    Malformed,
    #[error("a reply is too long")]
    TooLong,
    #[error("the reply to {0:?} has a code that cannot answer it")]
    Code(Asked),
}

/// One session with an upstream: which replies are owed, and what has come of them.
#[derive(Debug, Default)]
pub struct ClientSession {
    owed: VecDeque<Asked>,
    buffer: Vec<u8>,
    /// How much of `buffer` has been given out.
    used: usize,
    /// Whether a 4xx or 5xx was seen: such a session is not kept for another client.
    blemished: bool,
    fault: Option<ProtocolFault>,
}

impl ClientSession {
    /// A session that waits for the greeting.
    pub fn new() -> ClientSession {
        ClientSession { owed: VecDeque::from([Asked::Greeting]), ..ClientSession::default() }
    }

    /// Notes that a command was sent, so that its reply is owed. What lies there already was not said to it: were it taken for the
    /// reply, every later reply would be taken for another. Only 421 may come unasked (RFC 5321 §3.8).
    pub fn asked(&mut self, asked: Asked) {
        let early = self.buffer.get(self.used..).unwrap_or_default();
        if self.owed.is_empty() && !early.is_empty() && !early.starts_with(b"421") {
            self.fault.get_or_insert(ProtocolFault::Unasked);
        }
        self.owed.push_back(asked);
    }

    /// How many replies are owed.
    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    /// Whether every reply was 2xx or 3xx and none is owed.
    pub fn is_clean(&self) -> bool {
        !self.blemished && self.fault.is_none() && self.owed.is_empty() && self.used == self.buffer.len()
    }

    /// Octets from the upstream.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.used == self.buffer.len() {
            self.buffer.clear();
            self.used = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next reply that is whole, with what it answers.
    ///
    /// Errors are final: the same comes again. A 421 may come at any time, also unasked (RFC 5321 §3.8): it then answers the
    /// oldest command, or stands for itself when the next command is sent.
    pub fn next_reply(&mut self) -> Result<Option<(Asked, Reply)>, ProtocolFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        // Replies that come before their question are looked at when it is asked, and are a fault then.
        let Some(&asked) = self.owed.front() else { return Ok(None) };
        match take_reply(&self.buffer[self.used..]) {
            Ok(None) if self.buffer.len() - self.used > REPLY_LIMIT => self.fail(ProtocolFault::TooLong),
            Ok(None) => Ok(None),
            Ok(Some((code, length))) => {
                let reply = Reply::received(code, &self.buffer[self.used..self.used + length]);
                self.used += length;
                self.owed.pop_front();
                if !answers(asked, code) {
                    return self.fail(ProtocolFault::Code(asked));
                }
                self.blemished |= matches!(reply.severity(), Severity::Transient | Severity::Permanent);
                Ok(Some((asked, reply)))
            }
            Err(fault) => self.fail(fault),
        }
    }

    /// To be called before a command is sent while no reply is owed: whether octets lie there that nobody asked for. A 421 among
    /// them is the upstream's farewell, anything else a fault.
    pub fn check_quiet(&mut self) -> Result<(), ProtocolFault> {
        match self.fault {
            Some(fault) => Err(fault),
            None if self.owed.is_empty() && self.used < self.buffer.len() => self.fail(ProtocolFault::Unasked).map(|_: Option<()>| ()),
            None => Ok(()),
        }
    }

    /// Octets that came with the reply to STARTTLS were not protected: RFC 3207 §4.2 has them dropped; here they end the session.
    pub fn secured(self) -> Result<ClientSession, ProtocolFault> {
        if self.used < self.buffer.len() {
            Err(ProtocolFault::Unasked)
        } else {
            Ok(ClientSession { blemished: self.blemished, ..ClientSession::default() })
        }
    }

    /// Turns the reply to the end of data into its outcome. The only maker of [`Committed`].
    pub fn conclude(reply: Reply) -> Final {
        match reply.severity() {
            Severity::Success => Final::Committed(Committed { reply }),
            Severity::Intermediate => Final::Refused(wording::UPSTREAM_PROTOCOL),
            Severity::Transient | Severity::Permanent => Final::Refused(reply),
        }
    }

    fn fail<T>(&mut self, fault: ProtocolFault) -> Result<Option<T>, ProtocolFault> {
        self.fault = Some(fault);
        Err(fault)
    }
}

/// Whether a code can answer a command (RFC 5321 §4.3.2). 354 to anything but DATA, and 250 to DATA, would leave both sides with
/// different ideas of what the next octets are.
fn answers(asked: Asked, code: u16) -> bool {
    match (asked, code) {
        (_, 400..=599) => true,
        (Asked::Data, 354) | (Asked::Auth, 334 | 200..=299) => true,
        (Asked::Data, _) => false,
        (_, 200..=299) => true,
        _ => false,
    }
}

/// The first whole reply in `bytes`: its code and length.
fn take_reply(bytes: &[u8]) -> Result<Option<(u16, usize)>, ProtocolFault> {
    let mut code = None;
    let mut at = 0;
    loop {
        let Some(end) = memchr::memchr(b'\n', &bytes[at..]) else { return Ok(None) };
        let line = &bytes[at..at + end];
        // A bare LF would have to be mended to be relayed; a reply that has one is not from a server to be believed.
        let line = line.strip_suffix(b"\r").ok_or(ProtocolFault::Malformed)?;
        if line.contains(&b'\r') || line.contains(&0) {
            return Err(ProtocolFault::Malformed);
        }
        let &[a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', ref rest @ ..] = line else { return Err(ProtocolFault::Malformed) };
        let this = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
        if code.is_some_and(|code| code != this) {
            return Err(ProtocolFault::Malformed);
        }
        code = Some(this);
        at += end + 1;
        match rest.first() {
            Some(b'-') => {}
            Some(b' ') | None => return Ok(Some((this, at))),
            Some(_) => return Err(ProtocolFault::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(asked: &[Asked], pieces: &[&[u8]]) -> Vec<Result<(Asked, String), ProtocolFault>> {
        let mut session = ClientSession::default();
        asked.iter().for_each(|a| session.asked(*a));
        let mut out = Vec::new();
        for piece in pieces {
            session.receive(piece);
            loop {
                match session.next_reply() {
                    Ok(Some((asked, reply))) => out.push(Ok((asked, String::from_utf8_lossy(reply.wire()).into_owned()))),
                    Ok(None) => break,
                    Err(fault) => {
                        out.push(Err(fault));
                        return out;
                    }
                }
            }
        }
        out
    }

    #[test]
    fn replies_find_their_commands_whole_or_byte_by_byte() {
        let wire = b"250 2.1.0 Ok\r\n550-5.1.1 no such\r\n550 5.1.1 mailbox\r\n354\r\n";
        let asked = [Asked::Mail, Asked::Rcpt, Asked::Data];
        let whole = replies(&asked, &[wire]);
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(whole, replies(&asked, &bytes));
        assert_eq!(whole[1], Ok((Asked::Rcpt, "550-5.1.1 no such\r\n550 5.1.1 mailbox\r\n".into())));
        assert_eq!(whole.len(), 3);
    }

    #[test]
    fn what_cannot_be_is_a_fault() {
        assert_eq!(replies(&[Asked::Data], &[b"250 ok\r\n"]), [Err(ProtocolFault::Code(Asked::Data))]);
        assert_eq!(replies(&[Asked::Mail], &[b"354 go\r\n"]), [Err(ProtocolFault::Code(Asked::Mail))]);
        for wire in [&b"250-a\r\n251 b\r\n"[..], b"hello\r\n", b"250 ok\n", b"199 x\r\n", b"250x\r\n", b"250 a\rb\r\n"] {
            assert_eq!(replies(&[Asked::Mail], &[wire]), [Err(ProtocolFault::Malformed)], "{wire:?}");
        }
        let mut session = ClientSession::default();
        session.receive(b"250 surprise\r\n");
        assert_eq!(session.check_quiet(), Err(ProtocolFault::Unasked));
        session.asked(Asked::Rcpt);
        assert_eq!(session.next_reply(), Err(ProtocolFault::Unasked));
        let mut session = ClientSession::default();
        session.receive(b"421 bye\r\n");
        session.asked(Asked::Rcpt);
        assert!(matches!(session.next_reply(), Ok(Some((Asked::Rcpt, reply))) if reply.code() == 421));
        let mut session = ClientSession::new();
        session.receive(&[b'2'; REPLY_LIMIT + 1]);
        assert_eq!(session.next_reply(), Err(ProtocolFault::TooLong));
    }

    #[test]
    fn only_2xx_after_the_dot_commits() {
        assert!(matches!(ClientSession::conclude(Reply::line(250, "2.0.0", "queued")), Final::Committed(_)));
        assert!(matches!(ClientSession::conclude(Reply::line(354, "2.0.0", "go")), Final::Refused(r) if r.code() == 451));
        assert!(matches!(ClientSession::conclude(Reply::line(552, "5.2.2", "full")), Final::Refused(r) if r.code() == 552));
    }
}
