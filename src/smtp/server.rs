//! The server's side of a session, sans-io (RFC 5321 §3, §4; RFC 2920, 3030, 3207, 4954).
//!
//! Bytes and answers go in by [`ServerSession::handle`]; bytes to send and questions come out in [`Outputs`]. Questions of MAIL
//! and RCPT may be open together; their replies leave in the order of the commands. Input stops at a command that must end a
//! group (RFC 2920 §3.1), at AUTH and at the recipient limit: [`ServerSession::wants_input`] is false then, and what has come
//! already waits. Fed whole or byte by byte, the machine says the same.

use std::collections::VecDeque;
use std::sync::Arc;

use super::address::Charset;
use super::client::Committed;
use super::command::{self, Command, Mail, Rcpt};
use super::data::{Content, Drain, Fed, Finished, LineEnds};
use super::extension::{Extensions, Mechanism};
use super::reply::Reply;
use super::sasl::{Credentials, LoginStep};
use super::wording;

/// What one listener allows.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub hostname: Arc<str>,
    pub starttls: Starttls,
    /// Whether AUTH is taken at all (submission).
    pub auth: bool,
    pub line_ends: LineEnds,
    pub limits: Limits,
}

/// Whether TLS can or must be started within the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starttls {
    /// Not offered: TLS from the first octet, or none (loopback).
    No,
    Offered,
    /// MAIL and AUTH get 530 or 538 before it.
    Required,
}

/// Bounds of one session, each with a clear reply.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Octets of a message.
    pub message: usize,
    pub recipients: usize,
    /// Commands since the last message; RCPT not counted.
    pub commands: u32,
    /// Faults of the client's, before 421.
    pub errors: u32,
}

/// Octets of a command line with its CRLF. RFC 5321 §4.5.3.1.4 asks for 512, RFC 3461 and 6531 for about 1,000 more.
const COMMAND_LINE: usize = 2048;
/// Recipients of one message that may be refused, beside those that are taken: each is remembered.
const REFUSED_RECIPIENTS: usize = 1000;
/// RFC 4954 §4: a base64 line of AUTH.
const AUTH_LINE: usize = 12_288;

/// What comes in.
#[derive(Debug)]
pub enum Input<'a> {
    Bytes(&'a [u8]),
    /// The TLS handshake that `Outputs::start_tls` asked for is done.
    TlsReady,
    /// The answer to the question with this ticket.
    Decided(Ticket, Answer),
    /// Nothing was heard for as long as [`ServerSession::waits_for`] allows.
    Deadline,
    /// There is no memory for more content: what comes is read and dropped.
    Shed,
    /// The gateway is going down: say so as soon as no content is on its way.
    Shutdown,
}

/// What goes out.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Octets for the client.
    pub send: Vec<u8>,
    /// Questions, in the order of the commands.
    pub asks: Vec<(Ticket, Ask)>,
    /// Send what is in `send`, then do the handshake, then say `TlsReady`.
    pub start_tls: bool,
    /// Send what is in `send`, then close.
    pub close: bool,
}

/// Names a question, so that its answer finds its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u32);

/// What only the world outside can answer.
#[derive(Debug)]
pub enum Ask {
    /// EHLO or HELO: what can be offered? ([`Answer::Offer`] or a refusal)
    Hello {
        name: Box<str>,
        esmtp: bool,
    },
    Mail(Mail),
    Rcpt(Rcpt),
    /// PLAIN and LOGIN, decoded.
    Login(Credentials),
    /// Another mechanism, to be passed on (the initial response is still base64).
    AuthBegin {
        mechanism: Mechanism,
        initial: Option<Secret>,
    },
    /// The client's line in that exchange, base64, `=` or `*`.
    AuthLine(Secret),
    /// The whole content. Only [`Answer::Committed`] can say 250, and [`Answer::Dropped`] where the policy wants nothing kept.
    Message(Received),
    /// The transaction is gone (RSET, EHLO, refused content). Needs no answer.
    Reset,
}

/// Content that ended well.
#[derive(Debug)]
pub struct Received {
    pub bytes: Vec<u8>,
    pub eight_bit: bool,
}

/// A line of a SASL exchange: wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub zeroize::Zeroizing<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Answers to asks.
#[derive(Debug)]
pub enum Answer {
    Offer(Extensions),
    Reply(Reply),
    /// The message is safe: the token proves it, and carries the words.
    Committed(Committed),
    /// Automatic mail that a rule drops: nobody waits for it, and it goes nowhere. Said in one place of the gateway only.
    Dropped,
}

/// What the session waits for, for the pump's timer (RFC 5321 §4.5.3.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    Command,
    Content,
    /// An answer of ours: no timer for the client.
    Answer,
}

/// One session. Consumed and given back by every input; the box makes that cheap.
#[derive(Debug)]
pub struct ServerSession(Box<Inner>);

#[derive(Debug)]
struct Inner {
    config: Arc<ServerConfig>,
    stage: Stage,
    greeted: Option<Greeted>,
    tls: bool,
    logged_in: bool,
    transaction: Option<Transaction>,
    /// Input that may not be looked at yet.
    pending: Vec<u8>,
    replies: Replies,
    commands: u32,
    errors: u32,
    shutdown: bool,
}

/// What the next octets are.
#[derive(Debug)]
enum Stage {
    Commands,
    /// The next input waits for the answer to a command that ends a group.
    Held(Held),
    Auth(Exchange),
    Data(Box<Content>),
    /// A BDAT chunk. Its reply is said at its end.
    Chunk {
        content: Box<Content>,
        last: bool,
        refusal: Option<Reply>,
    },
    /// TLS is being negotiated.
    Handshake,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Hello {
        esmtp: bool,
    },
    /// MAIL and RCPT must be answered before 354.
    Data,
    /// They must be answered before a chunk is, too.
    Chunk {
        last: bool,
    },
    /// This command begins or ends a transaction, or a log-in: what was asked for the one before is answered first, so that no
    /// answer is ever taken for the next one's.
    Group,
    /// At the recipient limit: refused ones give their place back.
    RecipientLimit,
    Final,
    Auth,
}

#[derive(Debug)]
enum Exchange {
    /// PLAIN or LOGIN, ended here.
    Own(LoginStep),
    /// 334 was relayed: the client's line goes upstream.
    Relayed,
}

#[derive(Debug)]
struct Greeted {
    offer: Extensions,
}

/// MAIL to the end of the message; RSET drops it whole.
#[derive(Debug)]
struct Transaction {
    mail: MailState,
    charset: Charset,
    accepted: usize,
    open_rcpts: usize,
    /// Recipients that were asked for, whatever was answered.
    named: usize,
    chunks: Chunks,
}

impl Transaction {
    fn new(mail: MailState, charset: Charset) -> Transaction {
        Transaction { mail, charset, accepted: 0, open_rcpts: 0, named: 0, chunks: Chunks::None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MailState {
    Asked,
    Accepted,
    Refused,
}

#[derive(Debug)]
enum Chunks {
    None,
    /// Between two BDAT commands.
    Some(Box<Content>),
    Failed,
}

impl ServerSession {
    /// Begins a session: the greeting is in `out`.
    pub fn new(config: Arc<ServerConfig>, tls: bool, out: &mut Outputs) -> ServerSession {
        out.send.extend_from_slice(wording::greeting(&config.hostname).wire());
        ServerSession(Box::new(Inner {
            config,
            stage: Stage::Commands,
            greeted: None,
            tls,
            logged_in: false,
            transaction: None,
            pending: Vec::new(),
            replies: Replies::default(),
            commands: 0,
            errors: 0,
            shutdown: false,
        }))
    }

    pub fn handle(mut self, input: Input<'_>, out: &mut Outputs) -> ServerSession {
        match input {
            Input::TlsReady => ServerSession(Box::new(self.0.secured())),
            input => {
                self.0.handle(input, out);
                self
            }
        }
    }

    /// Whether more octets of the client are wanted now.
    pub fn wants_input(&self) -> bool {
        self.0.wants_input()
    }

    pub fn waits_for(&self) -> WaitsFor {
        match self.0.stage {
            Stage::Commands | Stage::Auth(_) => WaitsFor::Command,
            Stage::Data(_) | Stage::Chunk { .. } => WaitsFor::Content,
            Stage::Held(_) | Stage::Handshake | Stage::Closed => WaitsFor::Answer,
        }
    }

    /// Whether the client is within a message: between MAIL and its final reply.
    pub fn in_transaction(&self) -> bool {
        self.0.transaction.is_some()
    }

    /// Octets of content held in memory.
    pub fn content_held(&self) -> usize {
        match (&self.0.stage, &self.0.transaction) {
            (Stage::Data(content) | Stage::Chunk { content, .. }, _) => content.held(),
            (_, Some(Transaction { chunks: Chunks::Some(content), .. })) => content.held(),
            _ => 0,
        }
    }

    /// Lends a buffer to content that has just begun, so that its memory need not be asked of the system again. Gives it back where
    /// it is of no use.
    pub fn lend(&mut self, buffer: Vec<u8>) -> Option<Vec<u8>> {
        match &mut self.0.stage {
            Stage::Data(content) => content.lend(buffer),
            _ => Some(buffer),
        }
    }

    pub fn is_logged_in(&self) -> bool {
        self.0.logged_in
    }

    pub fn is_tls(&self) -> bool {
        self.0.tls
    }
}

impl Inner {
    fn handle(&mut self, input: Input<'_>, out: &mut Outputs) {
        match input {
            Input::Bytes(bytes) => {
                if self.pending.is_empty() {
                    let used = self.consume(bytes, out);
                    if used < bytes.len() && !matches!(self.stage, Stage::Closed) {
                        self.pending.extend_from_slice(&bytes[used..]);
                    }
                } else {
                    self.pending.extend_from_slice(bytes);
                    self.resume(out);
                }
            }
            Input::Decided(ticket, answer) => {
                self.decided(ticket, answer, out);
                self.resume(out);
            }
            // Seen to by the caller: it makes a new state.
            Input::TlsReady => {}
            Input::Deadline => self.end(wording::TIMEOUT, out),
            Input::Shed => {
                if let Stage::Data(content) | Stage::Chunk { content, .. } = &mut self.stage {
                    content.drain(Drain::NoMemory);
                }
            }
            Input::Shutdown => {
                self.shutdown = true;
                self.end_if_shutting_down(out);
            }
        }
    }

    fn wants_input(&self) -> bool {
        !matches!(self.stage, Stage::Held(_) | Stage::Handshake | Stage::Closed)
    }

    /// RFC 3207 §4.2: all that was heard before is forgotten, octets that came with the command included.
    fn secured(self) -> Inner {
        Inner {
            stage: Stage::Commands,
            greeted: None,
            tls: true,
            logged_in: false,
            transaction: None,
            pending: Vec::new(),
            replies: Replies::default(),
            ..self
        }
    }

    fn resume(&mut self, out: &mut Outputs) {
        if self.pending.is_empty() || !self.wants_input() {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let used = self.consume(&pending, out);
        if used < pending.len() && !matches!(self.stage, Stage::Closed) {
            // A RCPT at the limit puts its own line back first.
            if used == 0 && self.pending.is_empty() {
                self.pending = pending;
            } else {
                self.pending.extend_from_slice(&pending[used..]);
            }
        }
    }

    /// Takes as much of `bytes` as may be looked at; returns how much.
    fn consume(&mut self, bytes: &[u8], out: &mut Outputs) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.stage {
                Stage::Commands | Stage::Auth(_) => match self.line(rest, out) {
                    Some(used) => at += used,
                    None => break,
                },
                Stage::Data(content) => match content.feed(rest) {
                    Fed::More => return bytes.len(),
                    Fed::End(used) => {
                        at += used;
                        self.content_ended(out);
                    }
                },
                Stage::Chunk { content, .. } => match content.feed(rest) {
                    Fed::More => return bytes.len(),
                    Fed::End(used) => {
                        at += used;
                        self.chunk_ended(out);
                    }
                },
                Stage::Held(_) | Stage::Handshake | Stage::Closed => break,
            }
        }
        at
    }

    /// One line, if it is whole; `None` if more must come first.
    fn line(&mut self, rest: &[u8], out: &mut Outputs) -> Option<usize> {
        let limit = if matches!(self.stage, Stage::Auth(_)) || starts_with(rest, b"AUTH ") { AUTH_LINE } else { COMMAND_LINE };
        // A lone CR or LF ends nothing and is refused at once, so that two readers never disagree on where a command ends.
        let end = memchr::memchr2(b'\r', b'\n', rest);
        if self.check_length(end.unwrap_or(rest.len()) + 2, limit, out) {
            return Some(rest.len());
        }
        let end = end?;
        if rest[end] == b'\r' && end + 1 == rest.len() {
            return None;
        }
        if rest[end] == b'\n' || rest[end + 1] != b'\n' {
            self.end(wording::BARE_LINE_END, out);
            return Some(rest.len());
        }
        let line = &rest[..end];
        match std::mem::replace(&mut self.stage, Stage::Commands) {
            Stage::Auth(exchange) => self.auth_line(exchange, line, out),
            _ => self.command(line, out),
        }
        Some(end + 2)
    }

    /// True if the line is too long: the session ends, since where the line ends is no longer sure.
    fn check_length(&mut self, length: usize, limit: usize, out: &mut Outputs) -> bool {
        let long = length > limit;
        if long {
            let auth = matches!(self.stage, Stage::Auth(_));
            self.end(if auth { wording::AUTH_LINE_TOO_LONG } else { wording::LINE_TOO_LONG }, out);
        }
        long
    }

    fn command(&mut self, line: &[u8], out: &mut Outputs) {
        let none = Extensions::default();
        let offer = self.greeted.as_ref().map_or(&none, |g| &g.offer);
        let charset = self.transaction.as_ref().map_or(Charset::Ascii, |t| t.charset);
        let command = match command::parse(line, offer, charset) {
            Ok(command) => command,
            // How many octets of content follow such a line nobody knows: none of them may be taken for commands.
            Err(fault) if starts_with(line, b"BDAT") => return self.end(fault.reply(), out),
            Err(fault) => {
                // A message cannot go on with a recipient or a sender that was not understood, but the session can.
                return self.fault(fault.reply(), out);
            }
        };
        let begins_or_ends = matches!(
            command,
            Command::Ehlo(_) | Command::Helo(_) | Command::Mail(_) | Command::Rset | Command::StartTls | Command::Auth { .. }
        );
        if begins_or_ends && !self.replies.is_empty() {
            return self.put_back(line, Held::Group);
        }
        if !matches!(command, Command::Rcpt(_)) {
            self.commands += 1;
            if self.commands > self.config.limits.commands && !matches!(command, Command::Quit) {
                return self.end(wording::TOO_MANY_COMMANDS, out);
            }
        }
        match command {
            Command::Ehlo(name) => self.hello(name, true, out),
            Command::Helo(name) => self.hello(name, false, out),
            Command::Mail(mail) => self.mail(mail, out),
            Command::Rcpt(rcpt) => self.rcpt(rcpt, line, out),
            Command::Data => self.data(out),
            Command::Bdat { size, last } => self.bdat(size, last, out),
            Command::Rset => {
                self.reset(out);
                self.say(wording::OK, out);
            }
            Command::Noop => self.say(wording::OK, out),
            Command::Vrfy => self.say(wording::VRFY, out),
            Command::Help => self.say(wording::HELP, out),
            Command::Expn => self.fault(wording::NOT_IMPLEMENTED, out),
            Command::Quit => self.end(wording::BYE, out),
            Command::StartTls => self.starttls(out),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial, out),
        }
    }

    /// The line is looked at again once what it waits for is answered.
    fn put_back(&mut self, line: &[u8], held: Held) {
        self.stage = Stage::Held(held);
        let rest = std::mem::take(&mut self.pending);
        self.pending = [line, b"\r\n", &rest].concat();
    }

    fn hello(&mut self, name: &str, esmtp: bool, out: &mut Outputs) {
        // RFC 5321 §4.1.4: EHLO within a session is as RSET.
        self.reset(out);
        let ticket = self.replies.open();
        self.stage = Stage::Held(Held::Hello { esmtp });
        out.asks.push((ticket, Ask::Hello { name: name.into(), esmtp }));
    }

    fn mail(&mut self, mail: Mail, out: &mut Outputs) {
        if self.greeted.is_none() {
            return self.fault(wording::HELLO_FIRST, out);
        }
        if self.needs_tls() {
            return self.fault(wording::TLS_FIRST, out);
        }
        // A MAIL that was refused left nothing behind.
        if self.transaction.as_ref().is_some_and(|t| t.mail != MailState::Refused) {
            return self.fault(wording::NESTED_MAIL, out);
        }
        // RFC 1870 §6.1.
        if mail.size.is_some_and(|size| size > self.config.limits.message as u64) {
            self.transaction = Some(Transaction::new(MailState::Refused, mail.charset));
            return self.say(wording::TOO_LARGE, out);
        }
        self.transaction = Some(Transaction::new(MailState::Asked, mail.charset));
        let ticket = self.replies.open_for(Kind::Mail);
        out.asks.push((ticket, Ask::Mail(mail)));
    }

    fn rcpt(&mut self, rcpt: Rcpt, line: &[u8], out: &mut Outputs) {
        let limit = self.config.limits.recipients;
        match &mut self.transaction {
            Some(t) if t.mail != MailState::Refused && matches!(t.chunks, Chunks::None) => {
                if t.accepted >= limit {
                    // RFC 5321 §4.5.3.1.10: 452 where 552 was once said.
                    return self.say(wording::TOO_MANY_RECIPIENTS, out);
                }
                if t.accepted + t.open_rcpts >= limit {
                    return self.put_back(line, Held::RecipientLimit);
                }
                if t.named >= limit.saturating_add(REFUSED_RECIPIENTS) {
                    return self.fault(wording::TOO_MANY_RECIPIENTS, out);
                }
                t.named += 1;
                t.open_rcpts += 1;
                let ticket = self.replies.open_for(Kind::Rcpt);
                out.asks.push((ticket, Ask::Rcpt(rcpt)));
            }
            // What a client sent along with a MAIL that is refused is no fault of its own.
            Some(t) if t.mail == MailState::Refused => self.say(wording::MAIL_FIRST, out),
            _ => self.fault(wording::MAIL_FIRST, out),
        }
    }

    fn data(&mut self, out: &mut Outputs) {
        match &self.transaction {
            Some(Transaction { chunks: Chunks::None, .. }) => {
                self.stage = Stage::Held(Held::Data);
                self.begin_data(out);
            }
            Some(_) => self.fault(wording::MIXED_DATA, out),
            None => self.fault(wording::MAIL_FIRST, out),
        }
    }

    /// Says 354 once every MAIL and RCPT is answered.
    fn begin_data(&mut self, out: &mut Outputs) {
        if !self.replies.is_empty() {
            return;
        }
        self.stage = Stage::Commands;
        let Some(transaction) = &self.transaction else { return self.fault(wording::MAIL_FIRST, out) };
        if transaction.mail == MailState::Refused {
            return self.say(wording::MAIL_FIRST, out);
        }
        if transaction.accepted == 0 {
            // The transaction stays, as RFC 5321 §3.3 has it: the client may name others.
            return self.say(wording::NO_VALID_RECIPIENTS, out);
        }
        self.stage = Stage::Data(Box::new(Content::new(self.config.limits.message)));
        self.say(wording::START_DATA, out);
    }

    fn content_ended(&mut self, out: &mut Outputs) {
        if let Stage::Data(content) = std::mem::replace(&mut self.stage, Stage::Commands) {
            self.message(*content, out);
        }
    }

    fn message(&mut self, content: Content, out: &mut Outputs) {
        let refusal = match content.finish(self.config.line_ends) {
            Finished::Message { bytes, eight_bit } => {
                self.stage = Stage::Held(Held::Final);
                let ticket = self.replies.open_for(Kind::Final);
                out.asks.push((ticket, Ask::Message(Received { bytes, eight_bit })));
                return;
            }
            Finished::TooLarge => wording::TOO_LARGE,
            Finished::NoMemory => wording::NO_MEMORY,
            Finished::BareLineEnd => wording::CONTENT_BARE_LINE_END,
            Finished::Nul => wording::CONTENT_NUL,
        };
        self.reset(out);
        self.say(refusal, out);
        self.end_if_shutting_down(out);
    }

    /// RFC 3030 §2: the octets of the chunk follow whatever the answer will be.
    fn bdat(&mut self, size: usize, last: bool, out: &mut Outputs) {
        let mut refusal = None;
        let limit = self.config.limits.message;
        let mut content = match &mut self.transaction {
            // Unlike DATA, BDAT cannot wait for its answer: the octets come anyway. Without recipients none is kept.
            Some(t) => match std::mem::replace(&mut t.chunks, Chunks::Failed) {
                Chunks::None if t.mail == MailState::Refused || t.accepted + t.open_rcpts == 0 => Box::new(Content::chunked(0)),
                Chunks::None => Box::new(Content::chunked(limit)),
                Chunks::Some(content) => content,
                Chunks::Failed => {
                    refusal = Some(wording::BDAT_AFTER_FAULT);
                    Box::new(Content::chunked(0))
                }
            },
            None => {
                refusal = Some(wording::MAIL_FIRST);
                Box::new(Content::chunked(0))
            }
        };
        if refusal.is_some() {
            content.drain(Drain::TooLarge);
        }
        content.begin_chunk(size);
        self.stage = Stage::Chunk { content, last, refusal };
        if size == 0 {
            self.chunk_ended(out);
        }
    }

    fn chunk_ended(&mut self, out: &mut Outputs) {
        let Stage::Chunk { content, last, refusal } = std::mem::replace(&mut self.stage, Stage::Commands) else { return };
        if let Some(refusal) = refusal {
            return self.refuse_chunk(refusal, out);
        }
        if let Some(t) = &mut self.transaction {
            t.chunks = Chunks::Some(content);
        }
        self.stage = Stage::Held(Held::Chunk { last });
        self.end_chunk(last, out);
    }

    /// A chunk of a transaction that was refused is no fault of the client's, which may have sent it along.
    fn refuse_chunk(&mut self, refusal: Reply, out: &mut Outputs) {
        if self.transaction.is_some() { self.say(refusal, out) } else { self.fault(refusal, out) }
    }

    /// After a chunk, once every MAIL and RCPT is answered.
    fn end_chunk(&mut self, last: bool, out: &mut Outputs) {
        if !self.replies.is_empty() {
            return;
        }
        self.stage = Stage::Commands;
        let Some(t) = &mut self.transaction else { return self.fault(wording::MAIL_FIRST, out) };
        let chunks = std::mem::replace(&mut t.chunks, Chunks::None);
        if t.mail == MailState::Refused {
            return self.say(wording::MAIL_FIRST, out);
        }
        if t.accepted == 0 {
            return self.say(wording::NO_VALID_RECIPIENTS, out);
        }
        if !last {
            t.chunks = chunks;
            return self.say(wording::OK, out);
        }
        t.chunks = Chunks::Failed;
        let Chunks::Some(content) = chunks else { return self.say(wording::BDAT_AFTER_FAULT, out) };
        self.message(*content, out);
    }

    fn starttls(&mut self, out: &mut Outputs) {
        if self.tls {
            return self.fault(wording::TLS_ALREADY, out);
        }
        if self.config.starttls == Starttls::No {
            return self.fault(wording::TLS_NOT_OFFERED, out);
        }
        if self.greeted.is_none() {
            return self.fault(wording::HELLO_FIRST, out);
        }
        self.reset(out);
        self.say(wording::READY_FOR_TLS, out);
        self.stage = Stage::Handshake;
        out.start_tls = true;
    }

    fn needs_tls(&self) -> bool {
        !self.tls && self.config.starttls == Starttls::Required
    }

    fn auth(&mut self, mechanism: Option<Mechanism>, initial: Option<&str>, out: &mut Outputs) {
        let refusal = match (&self.greeted, mechanism) {
            (None, _) => wording::HELLO_FIRST,
            _ if !self.config.auth => wording::AUTH_NOT_OFFERED,
            _ if !self.tls && self.config.starttls != Starttls::No => wording::AUTH_NEEDS_TLS,
            _ if self.logged_in => wording::AUTH_ALREADY,
            _ if self.transaction.as_ref().is_some_and(|t| t.mail != MailState::Refused) => wording::AUTH_IN_TRANSACTION,
            (Some(greeted), _) if greeted.offer.auth.is_empty() => wording::AUTH_NOT_OFFERED,
            (Some(greeted), Some(mechanism)) if greeted.offer.auth.has(mechanism) => {
                return match mechanism {
                    Mechanism::Plain | Mechanism::Login => {
                        let step = if mechanism == Mechanism::Plain { LoginStep::plain() } else { LoginStep::login() };
                        match initial {
                            Some(response) => self.login_step(step, response, out),
                            None => self.challenge(step, out),
                        }
                    }
                    _ => {
                        let ticket = self.replies.open_for(Kind::Auth);
                        self.stage = Stage::Held(Held::Auth);
                        out.asks.push((ticket, Ask::AuthBegin { mechanism, initial: initial.map(|text| Secret(text.to_string().into())) }));
                    }
                };
            }
            _ => wording::AUTH_MECHANISM,
        };
        self.fault(refusal, out);
    }

    fn challenge(&mut self, step: LoginStep, out: &mut Outputs) {
        out.send.extend_from_slice(step.challenge());
        self.stage = Stage::Auth(Exchange::Own(step));
    }

    fn auth_line(&mut self, exchange: Exchange, line: &[u8], out: &mut Outputs) {
        let text = match (std::str::from_utf8(line), &exchange) {
            (Ok(text), _) => text,
            (Err(_), Exchange::Own(_)) => return self.fault(wording::AUTH_MALFORMED, out),
            // The upstream waits for a response: were it not called off, the next command would be taken for it.
            (Err(_), Exchange::Relayed) => "*",
        };
        match exchange {
            // RFC 4954 §4: a lone `*` cancels.
            Exchange::Own(_) if text == "*" => self.fault(wording::AUTH_CANCELLED, out),
            Exchange::Own(step) => self.login_step(step, text, out),
            Exchange::Relayed => {
                let ticket = self.replies.open_for(Kind::Auth);
                self.stage = Stage::Held(Held::Auth);
                out.asks.push((ticket, Ask::AuthLine(Secret(text.to_string().into()))));
            }
        }
    }

    fn login_step(&mut self, step: LoginStep, response: &str, out: &mut Outputs) {
        match step.respond(response) {
            Ok(super::sasl::Progress::Next(step)) => self.challenge(step, out),
            Ok(super::sasl::Progress::Done(credentials)) => {
                let ticket = self.replies.open_for(Kind::Auth);
                self.stage = Stage::Held(Held::Auth);
                out.asks.push((ticket, Ask::Login(credentials)));
            }
            Err(super::sasl::Malformed) => self.fault(wording::AUTH_MALFORMED, out),
        }
    }

    fn decided(&mut self, ticket: Ticket, answer: Answer, out: &mut Outputs) {
        let Some(kind) = self.replies.kind(ticket) else { return };
        match (kind, answer) {
            (Kind::Other, Answer::Offer(offer)) => self.greet(ticket, offer, out),
            (Kind::Other, Answer::Reply(reply)) => {
                self.stage = Stage::Commands;
                self.replies.answer(ticket, reply, out);
            }
            (Kind::Mail, Answer::Reply(reply)) => {
                if let Some(t) = &mut self.transaction {
                    t.mail = if reply.is_success() { MailState::Accepted } else { MailState::Refused };
                }
                self.replies.answer(ticket, reply, out);
            }
            (Kind::Rcpt, Answer::Reply(reply)) => {
                if let Some(t) = &mut self.transaction {
                    t.open_rcpts = t.open_rcpts.saturating_sub(1);
                    t.accepted += usize::from(reply.is_success());
                }
                self.replies.answer(ticket, reply, out);
            }
            (Kind::Auth, Answer::Reply(reply)) => self.auth_answered(ticket, reply, out),
            (Kind::Final, Answer::Committed(committed)) => self.finished(ticket, committed.into_reply(), out),
            (Kind::Final, Answer::Dropped) => self.finished(ticket, wording::DROPPED, out),
            (Kind::Final, Answer::Reply(reply)) => {
                // Only a token can say 2xx here: whatever else claims so is a fault of ours, and the client keeps its message.
                let reply = if reply.is_success() { wording::LOCAL_FAULT } else { reply };
                self.finished(ticket, reply, out);
            }
            (_, Answer::Offer(_) | Answer::Committed(_) | Answer::Dropped) => self.replies.answer(ticket, wording::LOCAL_FAULT, out),
        }
        if self.replies.last_was_421(out) {
            self.close(out);
            return;
        }
        self.after_answer(out);
    }

    fn after_answer(&mut self, out: &mut Outputs) {
        match self.stage {
            Stage::Held(Held::Data) => self.begin_data(out),
            Stage::Held(Held::Chunk { last }) => self.end_chunk(last, out),
            Stage::Held(Held::Group) if self.replies.is_empty() => self.stage = Stage::Commands,
            Stage::Held(Held::RecipientLimit) => {
                let full = self
                    .transaction
                    .as_ref()
                    .is_some_and(|t| t.open_rcpts > 0 && t.accepted + t.open_rcpts >= self.config.limits.recipients);
                if !full {
                    self.stage = Stage::Commands;
                }
            }
            _ => {}
        }
        self.end_if_shutting_down(out);
    }

    fn greet(&mut self, ticket: Ticket, mut offer: Extensions, out: &mut Outputs) {
        let Stage::Held(Held::Hello { esmtp }) = self.stage else { return };
        self.stage = Stage::Commands;
        offer.starttls = !self.tls && self.config.starttls != Starttls::No;
        if !self.config.auth || (!self.tls && self.config.starttls != Starttls::No) {
            offer.auth = Default::default();
        }
        let reply = if esmtp {
            Reply::received(250, &offer.reply(&self.config.hostname))
        } else {
            // RFC 5321 §4.1.1.1: HELO offers nothing.
            offer = Extensions::default();
            Reply::received(250, format!("250 {}\r\n", self.config.hostname).as_bytes())
        };
        self.greeted = Some(Greeted { offer });
        self.replies.answer(ticket, reply, out);
    }

    fn auth_answered(&mut self, ticket: Ticket, reply: Reply, out: &mut Outputs) {
        self.stage = match reply.code() {
            334 => Stage::Auth(Exchange::Relayed),
            _ => Stage::Commands,
        };
        self.logged_in = reply.is_success();
        let failed = reply.code() >= 400;
        self.replies.answer(ticket, reply, out);
        if failed {
            self.count_error(out);
        }
    }

    fn finished(&mut self, ticket: Ticket, reply: Reply, out: &mut Outputs) {
        self.stage = Stage::Commands;
        self.transaction = None;
        self.commands = 0;
        self.replies.answer(ticket, reply, out);
    }

    fn reset(&mut self, out: &mut Outputs) {
        if self.transaction.take().is_some_and(|t| t.mail != MailState::Refused) {
            out.asks.push((Ticket(u32::MAX), Ask::Reset));
        }
    }

    fn say(&mut self, reply: Reply, out: &mut Outputs) {
        self.replies.say(reply, out);
    }

    fn fault(&mut self, reply: Reply, out: &mut Outputs) {
        self.replies.say(reply, out);
        self.count_error(out);
    }

    fn count_error(&mut self, out: &mut Outputs) {
        self.errors += 1;
        if self.errors >= self.config.limits.errors {
            self.end(wording::TOO_MANY_ERRORS, out);
        }
    }

    /// Says the last words, in their place, and closes once they are out.
    fn end(&mut self, reply: Reply, out: &mut Outputs) {
        self.replies.say(reply, out);
        self.replies.closing = true;
        self.stage = Stage::Closed;
        self.pending = Vec::new();
        if self.replies.is_empty() {
            self.close(out);
        }
    }

    fn close(&mut self, out: &mut Outputs) {
        self.stage = Stage::Closed;
        self.pending = Vec::new();
        out.close = true;
    }

    /// RFC 5321 §3.8: 421 may be said at any time, but a message on its way is let through.
    fn end_if_shutting_down(&mut self, out: &mut Outputs) {
        if !self.shutdown || out.close {
            return;
        }
        match self.stage {
            Stage::Commands | Stage::Auth(_) if self.replies.is_empty() => self.end(wording::SHUTTING_DOWN, out),
            Stage::Closed if self.replies.is_empty() => self.close(out),
            _ => {}
        }
    }
}

fn starts_with(line: &[u8], verb: &[u8]) -> bool {
    line.get(..verb.len()).is_some_and(|start| start.eq_ignore_ascii_case(verb))
}

/// Replies in the order of their commands: an answer that comes early waits for those before it.
#[derive(Debug, Default)]
struct Replies {
    queue: VecDeque<Slot>,
    next: u32,
    closing: bool,
    said_421: bool,
}

#[derive(Debug)]
struct Slot {
    ticket: Ticket,
    kind: Kind,
    reply: Option<Reply>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Mail,
    Rcpt,
    Auth,
    Final,
    Other,
}

impl Replies {
    fn open(&mut self) -> Ticket {
        self.open_for(Kind::Other)
    }

    fn open_for(&mut self, kind: Kind) -> Ticket {
        let ticket = Ticket(self.next);
        self.next = (self.next + 1) % u32::MAX;
        self.queue.push_back(Slot { ticket, kind, reply: None });
        ticket
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn position(&self, ticket: Ticket) -> Option<usize> {
        // Answers come in the order of the questions nearly always.
        self.queue.iter().position(|slot| slot.ticket == ticket)
    }

    fn kind(&self, ticket: Ticket) -> Option<Kind> {
        self.position(ticket).map(|at| self.queue[at].kind)
    }

    fn answer(&mut self, ticket: Ticket, reply: Reply, out: &mut Outputs) {
        match self.position(ticket) {
            Some(0) => {
                self.queue.pop_front();
                self.send(&reply, out);
                self.flush(out);
            }
            Some(at) => self.queue[at].reply = Some(reply),
            None => {}
        }
    }

    fn say(&mut self, reply: Reply, out: &mut Outputs) {
        if self.closing {
            return;
        }
        if self.queue.is_empty() {
            self.send(&reply, out);
        } else {
            self.queue.push_back(Slot { ticket: Ticket(u32::MAX), kind: Kind::Other, reply: Some(reply) });
        }
    }

    fn flush(&mut self, out: &mut Outputs) {
        while let Some(reply) = self.queue.front_mut().and_then(|slot| slot.reply.take()) {
            self.queue.pop_front();
            self.send(&reply, out);
        }
        if self.closing && self.queue.is_empty() {
            out.close = true;
        }
    }

    fn send(&mut self, reply: &Reply, out: &mut Outputs) {
        if self.said_421 {
            return;
        }
        out.send.extend_from_slice(reply.wire());
        self.said_421 = reply.code() == 421;
    }

    /// RFC 5321 §3.8: after 421 the channel is closed, whoever said it first.
    fn last_was_421(&self, _out: &Outputs) -> bool {
        self.said_421
    }
}

#[cfg(test)]
mod tests;
