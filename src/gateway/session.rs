//! One client's session: octets in, questions to the upstream, replies out.
//!
//! Commands that arrive together are answered together: what one read brought goes upstream in one write, and the replies that one
//! read brings back leave in one write. While an answer is awaited nothing more is read from the client.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::admission::{self, Peer};
use super::late::Digest;
use super::reroute::Said;
use super::site::{Offered, Site, Worker};
use crate::config::settings::{Listener, ListenerTls, Role};
use crate::policy::{Envelope, Login, Recipient};
use crate::smtp::address::Charset;
use crate::smtp::client::Asked;
use crate::smtp::command::{Mail, Rcpt};
use crate::smtp::server::{Secret, Ticket, WaitsFor};
use crate::smtp::{Answer, Ask, Committed, Extensions, Input, Mechanism, Outputs, Reply, ServerSession, wording};
use crate::transport::connection::{self, UpstreamError};
use crate::transport::limits::AuthKey;
use crate::transport::stream::Read;
use crate::transport::{Connection, Stream, Timer, tls};

/// What a rewrite may add to a message: one Received field, a subject tag, a stamp.
const GROWTH: u64 = 4096;
/// While content arrives slowly, the upstream hears NOOP this often.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Serves one connection to its end.
pub async fn serve(worker: Rc<Worker>, site: Arc<Site>, listener: usize, tcp: TcpStream, from: SocketAddr) {
    let shared = worker.shared.clone();
    let settings = &site.settings.listeners[listener];
    let metrics = shared.metrics.listener(listener);
    metrics.sessions.inc();
    let peer = Peer { address: from.ip().to_canonical(), certificate_names: Vec::new(), logged_in: false, upstream_has_auth: false };
    // A connector that is trusted is the council's own provider: it is not slowed down as a stranger is.
    let counted = (settings.role != Role::Connector || !admission::is_trusted(settings, &peer)).then_some(peer.address);
    let _place = match shared.limits.connect(counted) {
        Ok(place) => place,
        Err(refusal) => {
            metrics.turned_away.inc();
            tracing::debug!(event = "turned_away", listener = %settings.name, ?refusal);
            return turn_away(tcp).await;
        }
    };
    metrics.open.inc();
    let id = worker.enter();
    let mut session = Session::new(worker.clone(), site.clone(), listener, id, Stream::Plain(tcp), peer);
    let end = session.run().await;
    tracing::debug!(event = "session_end", listener = %settings.name, why = end.why());
    session.finish().await;
}

/// However a session ends, a panic included, nothing of it is counted any more.
impl Drop for Session {
    fn drop(&mut self) {
        self.worker.shared.limits.grow(self.held, 0);
        self.worker.leave(self.id);
        self.worker.shared.metrics.listener(self.listener).open.dec();
    }
}

async fn turn_away(tcp: TcpStream) {
    let mut timer = Timer::new(Duration::from_secs(5));
    let mut stream = Stream::Plain(tcp);
    if stream.write(wording::TOO_MANY_CONNECTIONS.wire(), &mut timer).await.is_ok() {
        stream.close(&mut timer).await;
    }
}

/// Why a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// As the protocol has it: after QUIT, or after a 421 of ours.
    Closed,
    /// The client went away.
    Left,
    Lost(io::ErrorKind),
    Tls(String),
}

impl End {
    fn why(&self) -> String {
        match self {
            End::Closed => "closed".into(),
            End::Left => "the client left".into(),
            End::Lost(kind) => format!("lost: {kind}"),
            End::Tls(error) => format!("TLS: {error}"),
        }
    }
}

pub(super) struct Session {
    pub(super) worker: Rc<Worker>,
    pub(super) site: Arc<Site>,
    pub(super) listener: usize,
    id: u64,
    client: Stream,
    pub(super) peer: Peer,
    machine: Option<ServerSession>,
    out: Outputs,
    pub(super) upstream: Option<Connection>,
    /// Questions whose answers the upstream owes, in order.
    expected: VecDeque<Expected>,
    pub(super) envelope: Option<Envelope>,
    /// How the client said it.
    pub(super) said: Said,
    pub(super) utf8: bool,
    /// The transaction's upstream is gone: what every later command of it hears.
    broken: Option<Reply>,
    /// What was sent on a kept connection before any reply, to be sent again if the connection turns out to be stale.
    replay: Option<Replay>,
    pub(super) hello: Box<str>,
    pub(super) esmtp: bool,
    pub(super) login: Login,
    account: Option<String>,
    timer: Timer,
    /// When the content that is coming must be here whole.
    content_ends: Option<tokio::time::Instant>,
    held: usize,
    /// The upstream's 250 came late: what to remember if the client is gone.
    /// Tokens of answers that this message is.
    pub(super) answers: Vec<String>,
    pub(super) unheard: Option<(Digest, Committed)>,
    draining_said: bool,
}

/// Commands as they were written, and what their replies answer.
#[derive(Default)]
struct Replay {
    wire: Vec<u8>,
    asked: Vec<Asked>,
}

enum Expected {
    Mail(Ticket),
    Rcpt(Ticket, usize),
}

impl Session {
    fn new(worker: Rc<Worker>, site: Arc<Site>, listener: usize, id: u64, client: Stream, peer: Peer) -> Session {
        Session {
            worker,
            site,
            listener,
            id,
            client,
            peer,
            machine: None,
            out: Outputs::default(),
            upstream: None,
            expected: VecDeque::new(),
            envelope: None,
            said: Said::default(),
            utf8: false,
            broken: None,
            replay: None,
            hello: "".into(),
            esmtp: false,
            login: Login::None,
            account: None,
            timer: Timer::new(Duration::from_secs(60)),
            content_ends: None,
            held: 0,
            unheard: None,
            answers: Vec::new(),
            draining_said: false,
        }
    }

    pub(super) fn settings(&self) -> &Listener {
        &self.site.settings.listeners[self.listener]
    }

    async fn run(&mut self) -> End {
        if self.settings().tls == ListenerTls::Implicit
            && let Err(end) = self.handshake().await
        {
            return end;
        }
        let secured = !matches!(self.client, Stream::Plain(_));
        self.machine = Some(ServerSession::new(self.site.servers[self.listener].clone(), secured, &mut self.out));
        loop {
            self.answer_all().await;
            if let Err(error) = self.send().await {
                return End::Lost(error.kind());
            }
            if self.out.close {
                return End::Closed;
            }
            if std::mem::take(&mut self.out.start_tls) {
                if let Err(end) = self.handshake().await {
                    return end;
                }
                self.step(Input::TlsReady);
                continue;
            }
            if let Err(end) = self.hear().await {
                return end;
            }
        }
    }

    /// Gives the machine an input.
    pub(super) fn step(&mut self, input: Input<'_>) {
        if let Some(machine) = self.machine.take() {
            self.machine = Some(machine.handle(input, &mut self.out));
        }
    }

    fn decide(&mut self, ticket: Ticket, answer: Answer) {
        self.step(Input::Decided(ticket, answer));
    }

    pub(super) fn is_logged_in(&self) -> bool {
        self.machine.as_ref().is_some_and(ServerSession::is_logged_in)
    }

    pub(super) fn is_tls(&self) -> bool {
        self.machine.as_ref().is_some_and(ServerSession::is_tls)
    }

    /// Writes what is to be said.
    async fn send(&mut self) -> io::Result<()> {
        if self.out.send.is_empty() {
            return Ok(());
        }
        self.timer.set(self.site.settings.limits.command_timeout);
        let result = self.client.write(&self.out.send, &mut self.timer).await;
        self.out.send.clear();
        if self.out.send.capacity() > 4096 {
            self.out.send = Vec::new();
        }
        if result.is_err() {
            self.remember_unheard();
        }
        result
    }

    /// Waits for the client's next octets, the deadline, or the end of the gateway.
    async fn hear(&mut self) -> Result<(), End> {
        let limits = &self.site.settings.limits;
        let waits_for = self.machine.as_ref().map_or(WaitsFor::Command, ServerSession::waits_for);
        let now = tokio::time::Instant::now();
        let (patience, deadline) = match waits_for {
            // A content that drips must end some day too.
            WaitsFor::Content => {
                let end = *self.content_ends.get_or_insert(now + limits.message_timeout);
                (limits.data_timeout, end.min(now + limits.data_timeout))
            }
            WaitsFor::Command | WaitsFor::Answer => {
                self.content_ends = None;
                (limits.command_timeout, now + limits.command_timeout)
            }
        };
        // An upstream that waits for content is kept awake.
        let keep_alive = waits_for == WaitsFor::Content && self.upstream.is_some() && KEEP_ALIVE < patience;
        self.timer.set_at(if keep_alive { deadline.min(now + KEEP_ALIVE) } else { deadline });
        loop {
            match self.wait().await {
                Heard::Octets => return Ok(()),
                Heard::End => {
                    self.remember_unheard();
                    return Err(End::Left);
                }
                Heard::Fault(kind) => {
                    self.remember_unheard();
                    return Err(End::Lost(kind));
                }
                Heard::Draining => {
                    self.draining_said = true;
                    self.step(Input::Shutdown);
                    return Ok(());
                }
                Heard::Deadline if tokio::time::Instant::now() < deadline => {
                    self.keep_upstream_awake().await;
                    self.timer.set_at(deadline.min(tokio::time::Instant::now() + KEEP_ALIVE));
                }
                Heard::Deadline => {
                    // A telephone that lost its network says no farewell.
                    self.remember_unheard();
                    self.step(Input::Deadline);
                    return Ok(());
                }
            }
        }
    }

    /// The client is gone without a word after a 250 that came late.
    fn remember_unheard(&mut self) {
        if let Some((digest, committed)) = self.unheard.take() {
            self.worker.shared.late.remember(digest, committed);
        }
    }

    async fn wait(&mut self) -> Heard {
        let Session { client, timer, machine, out, worker, id, draining_said, unheard, .. } = self;
        let mut noted = false;
        let heard = std::future::poll_fn(|cx| {
            // A client that never pauses must hear of the end too.
            if !*draining_said && worker.shared.is_draining() {
                return Poll::Ready(Heard::Draining);
            }
            let read = client.poll_read(cx, |octets| {
                *unheard = None;
                if let Some(mut before) = machine.take() {
                    if let Some(buffer) = worker.borrow_buffer(&before) {
                        worker.return_buffer(before.lend(buffer));
                    }
                    *machine = Some(before.handle(Input::Bytes(octets), out));
                }
            });
            match read {
                Poll::Ready(Ok(Read::Octets(()))) => return Poll::Ready(Heard::Octets),
                Poll::Ready(Ok(Read::End)) => return Poll::Ready(Heard::End),
                Poll::Ready(Err(error)) => return Poll::Ready(Heard::Fault(error.kind())),
                Poll::Pending => {}
            }
            if !*draining_said && !noted {
                noted = true;
                worker.note_waker(*id, cx.waker());
            }
            timer.poll_expired(cx).map(|()| Heard::Deadline)
        })
        .await;
        self.account_memory();
        heard
    }

    /// Counts what content this session holds against the memory for all; without room it is read and dropped.
    fn account_memory(&mut self) {
        // A message that is whole is counted when it is looked at.
        if self.out.asks.iter().any(|(_, ask)| matches!(ask, Ask::Message(_))) {
            return;
        }
        let now = self.machine.as_ref().map_or(0, ServerSession::content_held);
        if now != self.held && !self.hold(now) {
            self.step(Input::Shed);
        }
    }

    /// Counts so many octets as held; false, and none are, without room.
    fn hold(&mut self, now: usize) -> bool {
        let limits = &self.worker.shared.limits;
        let room = limits.grow(self.held, now);
        if !room {
            self.worker.shared.metrics.memory_refused.inc();
            limits.grow(self.held, 0);
        }
        self.held = if room { now } else { 0 };
        room
    }

    async fn keep_upstream_awake(&mut self) {
        if let Some(upstream) = &mut self.upstream {
            upstream.queue(Asked::Noop, &["NOOP"]);
            let lost = upstream.flush().await.is_err();
            if lost {
                self.lose_upstream(&UpstreamError::Lost);
            }
        }
    }

    async fn handshake(&mut self) -> Result<(), End> {
        let Some(config) = self.site.tls_in[self.listener].clone() else { return Err(End::Tls("no certificate".into())) };
        let blank = std::mem::replace(&mut self.client, Stream::None);
        let Stream::Plain(tcp) = blank else { return Err(End::Tls("TLS is already active".into())) };
        let accepted = tokio::time::timeout(Duration::from_secs(30), TlsAcceptor::from(config).accept(tcp)).await;
        match accepted {
            Ok(Ok(stream)) => {
                if let Some(certificate) = stream.get_ref().1.peer_certificates().and_then(<[_]>::first) {
                    self.peer.certificate_names = tls::certificate_names(certificate);
                }
                self.client = Stream::Server(Box::new(stream));
                Ok(())
            }
            other => {
                self.worker.shared.metrics.listener(self.listener).tls_failures.inc();
                Err(End::Tls(match other {
                    Ok(Err(error)) => error.to_string(),
                    _ => "took too long".into(),
                }))
            }
        }
    }

    /// Answers every question that is open, until the client is to be heard again.
    async fn answer_all(&mut self) {
        loop {
            while !self.out.asks.is_empty() {
                for (ticket, ask) in std::mem::take(&mut self.out.asks) {
                    self.answer(ticket, ask).await;
                }
            }
            // After 421 the session is over, whatever is owed still.
            if self.expected.is_empty() || self.out.close {
                return;
            }
            self.collect().await;
        }
    }

    async fn answer(&mut self, ticket: Ticket, ask: Ask) {
        match ask {
            Ask::Hello { name, esmtp } => {
                self.hello = name;
                self.esmtp = esmtp;
                let answer = Box::pin(self.offer()).await;
                self.decide(ticket, answer);
            }
            Ask::Mail(mail) => self.mail(ticket, mail).await,
            Ask::Rcpt(rcpt) => self.rcpt(ticket, rcpt).await,
            Ask::Reset => self.reset().await,
            Ask::Login(credentials) => {
                let reply = Box::pin(self.log_in(credentials)).await;
                self.decide(ticket, Answer::Reply(reply));
            }
            Ask::AuthBegin { mechanism, initial } => {
                let reply = Box::pin(self.begin_auth(mechanism, initial)).await;
                self.decide(ticket, Answer::Reply(reply));
            }
            Ask::AuthLine(Secret(line)) => {
                let reply = Box::pin(self.auth_line(&line)).await;
                self.decide(ticket, Answer::Reply(reply));
            }
            Ask::Message(received) => {
                let size = received.bytes.len();
                // The time for one content is over.
                self.content_ends = None;
                let answer = match self.broken.take() {
                    Some(reply) => Answer::Reply(reply),
                    // It is counted until the last word on it, however long the upstream thinks.
                    None if !self.hold(size) => {
                        self.reset_upstream().await;
                        Answer::Reply(wording::NO_MEMORY)
                    }
                    None => Box::pin(self.journey(received)).await,
                };
                self.worker.shared.metrics.listener(self.listener).bytes.inc_by(size as u64);
                self.hold(0);
                self.envelope = None;
                self.decide(ticket, answer);
                self.release().await;
            }
        }
    }

    /// What EHLO may offer: the allow-list met with the upstream's.
    async fn offer(&mut self) -> Answer {
        let limit = self.site.settings.limits.message_size;
        let own = Extensions::own(limit);
        if self.settings().role != Role::Submission {
            let index = self.settings().upstream;
            // A stranger at a connector will be refused at MAIL: nobody is dialled for it.
            let welcome = admission::mail(self.settings(), &self.peer).is_none();
            if welcome
                && self.offered(index).is_worth_a_dial()
                && let Ok(connection) = self.dial().await
            {
                self.keep(connection).await;
            }
            return Answer::Offer(self.offered(index).extensions.map_or(own, |theirs| Extensions::offer(&theirs, limit, GROWTH)));
        }
        if self.site.servers[self.listener].starttls != crate::smtp::server::Starttls::No && !self.is_tls() {
            return Answer::Offer(own);
        }
        if self.upstream.is_none() {
            // The log-in went with the connection that it was made on: a new one would be nobody's.
            if self.is_logged_in() {
                return Answer::Reply(wording::UPSTREAM_CLOSING);
            }
            match self.dial().await {
                Ok(connection) => self.upstream = Some(connection),
                Err(error) => {
                    // Without the upstream nothing can be promised: the client is told to come again.
                    let reply = error.reply();
                    return Answer::Reply(if reply.code() >= 500 || reply.code() == 421 { reply } else { farewell(&reply) });
                }
            }
        }
        let theirs = self.upstream.as_ref().map(|u| u.extensions).unwrap_or_default();
        self.peer.upstream_has_auth = !theirs.auth.is_empty();
        let mut offer = Extensions::offer(&theirs, limit, GROWTH);
        offer.auth = theirs.auth.for_client();
        Answer::Offer(offer)
    }

    fn offered(&self, upstream: usize) -> Offered {
        *self.site.offers[upstream].lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn dial(&mut self) -> Result<Connection, UpstreamError> {
        let index = self.settings().upstream;
        let upstream = &self.site.settings.upstreams[index];
        let dialling = Connection::dial(upstream, &self.site.tls_out[index], &self.site.settings.hostname);
        let dialled = tokio::time::timeout(connection::DIAL_WHOLE, dialling).await.unwrap_or(Err(UpstreamError::Timeout));
        let found = dialled.as_ref().ok().map(|connection| connection.extensions);
        self.site.offers[index].lock().unwrap_or_else(std::sync::PoisonError::into_inner).note(found);
        use crate::observe::{Part, PartState};
        let health = self.worker.shared.metrics.health();
        health.set(Part::Upstream, if dialled.is_ok() { PartState::Ok } else { PartState::Degraded });
        if let Err(error) = &dialled {
            self.note_upstream_error(error);
        }
        dialled
    }

    pub(super) fn note_upstream_error(&self, error: &UpstreamError) {
        use crate::observe::UpstreamError as Kind;
        let kind = match error {
            UpstreamError::Down(_) | UpstreamError::Refused(_) => Kind::Connect,
            UpstreamError::Lost => Kind::Closed,
            UpstreamError::Timeout => Kind::Timeout,
            UpstreamError::Protocol(_) => Kind::Protocol,
            UpstreamError::Tls(_) => Kind::Tls,
        };
        self.worker.shared.metrics.upstream_error(kind);
        let upstream = &self.site.settings.upstreams[self.settings().upstream].name;
        tracing::warn!(event = "upstream_error", %upstream, listener = %self.settings().name, kind = error.word());
        tracing::debug!(event = "upstream_error_detail", %upstream, %error);
    }

    /// An upstream connection for a transaction: a kept one where the listener may, else a new one.
    async fn connect(&mut self) -> Result<(), UpstreamError> {
        if self.upstream.is_some() {
            return Ok(());
        }
        self.replay = None;
        if self.settings().role != Role::Submission
            && let Some(kept) = self.worker.pool_of(&self.site).and_then(|pool| pool.take(self.settings().upstream))
        {
            self.worker.shared.metrics.upstream_reused.inc();
            self.replay = Some(Replay::default());
            self.upstream = Some(kept);
            return Ok(());
        }
        self.upstream = Some(Box::pin(self.dial()).await?);
        Ok(())
    }

    async fn mail(&mut self, ticket: Ticket, mail: Mail) {
        self.peer.logged_in = self.is_logged_in();
        let refusal = match admission::mail(self.settings(), &self.peer) {
            Some(refusal) => Some(refusal),
            None if self.is_suspended(&mail.reverse_path) => {
                self.record_suspended(mail.reverse_path);
                return self.decide(ticket, Answer::Reply(wording::SENDER_SUSPENDED));
            }
            // The log-in went with the connection that it was made on: another would be nobody's.
            None if self.settings().role == Role::Submission && self.upstream.is_none() => Some(wording::UPSTREAM_CLOSING),
            None => self.connect().await.err().map(|error| error.reply()),
        };
        if let Some(reply) = refusal {
            return self.decide(ticket, Answer::Reply(reply));
        }
        self.broken = None;
        self.answers.clear();
        self.utf8 = mail.charset == Charset::Utf8;
        let logged_in = self.peer.logged_in;
        let parameters = &*mail.parameters;
        let auth = mail.auth.as_deref().filter(|_| logged_in).unwrap_or("");
        self.pace().await;
        // The parameters were met with what was offered; a kept connection's upstream offers the same.
        self.queue(Asked::Mail, &["MAIL FROM:<", mail.reverse_path.as_str(), ">", parameters, auth]);
        self.said = Said { mail: format!("{parameters}{auth}").into(), rcpt: Vec::new() };
        self.envelope = Some(Envelope { reverse_path: mail.reverse_path, recipients: Vec::new() });
        self.expected.push_back(Expected::Mail(ticket));
    }

    async fn rcpt(&mut self, ticket: Ticket, rcpt: Rcpt) {
        if self.envelope.is_some()
            && self.broken.is_none()
            && let Some(token) = self.answer_token(&rcpt.forward_path)
        {
            self.answers.push(token);
            return self.decide(ticket, Answer::Reply(wording::OK));
        }
        let Some(envelope) = &mut self.envelope else {
            let reply = self.broken.clone().unwrap_or(wording::MAIL_FIRST);
            return self.decide(ticket, Answer::Reply(reply));
        };
        if let Some(reply) = self.broken.clone() {
            return self.decide(ticket, Answer::Reply(reply));
        }
        let settings = &self.site.settings;
        let refusal = admission::rcpt(&settings.listeners[self.listener], &settings.council, &envelope.reverse_path, &rcpt.forward_path);
        let index = envelope.recipients.len();
        envelope.recipients.push(Recipient { address: rcpt.forward_path, reply_code: refusal.as_ref().map_or(0, Reply::code) });
        self.said.rcpt.push(rcpt.parameters.clone());
        if let Some(reply) = refusal {
            return self.decide(ticket, Answer::Reply(reply));
        }
        self.pace().await;
        let Some(envelope) = &self.envelope else {
            let reply = self.broken.clone().unwrap_or(wording::MAIL_FIRST);
            return self.decide(ticket, Answer::Reply(reply));
        };
        let words = ["RCPT TO:<", envelope.recipients[index].address.as_str(), ">", &*rcpt.parameters];
        if let Some(upstream) = &mut self.upstream {
            upstream.queue(Asked::Rcpt, &words);
        }
        if let Some(replay) = &mut self.replay {
            replay.asked.push(Asked::Rcpt);
        }
        self.expected.push_back(Expected::Rcpt(ticket, index));
    }

    /// An upstream without PIPELINING (RFC 2920) gets a command only when the last one is answered.
    async fn pace(&mut self) {
        while self.upstream.as_ref().is_some_and(|u| !u.extensions.pipelining && u.owed() > 0) {
            self.collect().await;
        }
    }

    fn queue(&mut self, asked: Asked, words: &[&str]) {
        if let Some(upstream) = &mut self.upstream {
            upstream.queue(asked, words);
        }
        if let Some(replay) = &mut self.replay {
            replay.asked.push(asked);
        }
    }

    /// Writes what is queued for the upstream and takes the replies that come, until none is owed that a question waits for.
    async fn collect(&mut self) {
        let result = self.collect_replies().await;
        if let Err(error) = result {
            self.lose_upstream(&error);
        }
    }

    async fn collect_replies(&mut self) -> Result<(), UpstreamError> {
        loop {
            let Some(upstream) = &mut self.upstream else { return Err(UpstreamError::Lost) };
            if let Some(replay) = &mut self.replay {
                replay.wire.extend_from_slice(upstream.queued());
            }
            let next = match upstream.flush().await {
                Ok(()) => upstream.ready_reply(),
                Err(error) => Err(error),
            };
            match next {
                Ok(Some((asked, reply))) => {
                    if self.is_stale(&reply) {
                        self.replace_stale().await?;
                        continue;
                    }
                    self.replay = None;
                    // An upstream that does not forget a transaction would mix it with the next.
                    if asked == Asked::Rset && !reply.is_success() {
                        return Err(UpstreamError::Refused(reply));
                    }
                    self.upstream_said(asked, reply);
                    if self.expected.is_empty() || self.out.close {
                        return Ok(());
                    }
                }
                Ok(None) if self.upstream.as_ref().is_some_and(|u| u.owed() == 0) => {
                    return if self.expected.is_empty() { Ok(()) } else { Err(UpstreamError::Lost) };
                }
                Ok(None) => {
                    // What the client can hear already is not held back for what is still to come.
                    if self.send().await.is_err() {
                        return Err(UpstreamError::Lost);
                    }
                    let Some(upstream) = &mut self.upstream else { return Err(UpstreamError::Lost) };
                    if let Err(error) = upstream.receive(connection::COMMAND).await {
                        self.replace_or(error).await?;
                    }
                }
                Err(error) => self.replace_or(error).await?,
            }
        }
    }

    /// A kept connection that says goodbye before anything else was stale.
    fn is_stale(&self, reply: &Reply) -> bool {
        reply.code() == 421 && self.replay.is_some()
    }

    async fn replace_or(&mut self, error: UpstreamError) -> Result<(), UpstreamError> {
        match error {
            UpstreamError::Lost if self.replay.is_some() => self.replace_stale().await,
            error => Err(error),
        }
    }

    /// Replaces a stale connection, once, and says again what it did not hear.
    async fn replace_stale(&mut self) -> Result<(), UpstreamError> {
        let Some(replay) = self.replay.take() else { return Err(UpstreamError::Lost) };
        self.upstream = None;
        let mut fresh = Box::pin(self.dial()).await?;
        fresh.queue_again(&replay.asked, &replay.wire);
        self.upstream = Some(fresh);
        Ok(())
    }

    fn upstream_said(&mut self, asked: Asked, reply: Reply) {
        // RSET and NOOP were ours; nobody waits to hear of them.
        if matches!(asked, Asked::Rset | Asked::Noop) {
            return;
        }
        match self.expected.pop_front() {
            Some(Expected::Mail(ticket)) => {
                if !reply.is_success() {
                    self.envelope = None;
                }
                self.decide(ticket, Answer::Reply(reply));
            }
            Some(Expected::Rcpt(ticket, index)) => {
                if let Some(recipient) = self.envelope.as_mut().and_then(|e| e.recipients.get_mut(index)) {
                    recipient.reply_code = reply.code();
                }
                if reply.is_success() {
                    self.worker.shared.metrics.listener(self.listener).recipients.inc();
                }
                self.decide(ticket, Answer::Reply(reply));
            }
            None => {}
        }
    }

    /// The upstream is gone: every open question gets a 4xx, and so does the rest of the transaction.
    pub(super) fn lose_upstream(&mut self, error: &UpstreamError) {
        self.note_upstream_error(error);
        self.upstream = None;
        self.replay = None;
        // In submission the log-in is gone with it: the client must begin anew.
        let reply = if self.settings().role == Role::Submission { wording::UPSTREAM_CLOSING } else { error.reply() };
        self.broken = Some(reply.clone());
        while let Some(expected) = self.expected.pop_front() {
            let (Expected::Mail(ticket) | Expected::Rcpt(ticket, _)) = expected;
            self.decide(ticket, Answer::Reply(reply.clone()));
        }
    }

    /// RSET, or a transaction that ended without content going upstream.
    pub(super) async fn reset(&mut self) {
        self.broken = None;
        self.content_ends = None;
        self.hold(0);
        if self.envelope.take().is_some() {
            self.reset_upstream().await;
        }
    }

    pub(super) async fn reset_upstream(&mut self) {
        let Some(upstream) = &mut self.upstream else { return };
        // What was refused before it may be owed still; from here on nothing is to be said again elsewhere.
        self.replay = None;
        upstream.queue(Asked::Rset, &["RSET"]);
        if let Err(error) = upstream.flush().await {
            self.lose_upstream(&error);
            self.broken = None;
        }
    }

    /// After a message: a connector's and an mx's connection goes back to the pool.
    async fn release(&mut self) {
        if self.settings().role == Role::Submission {
            return;
        }
        self.replay = None;
        let Some(connection) = self.upstream.take() else { return };
        if connection.owed() > 0 {
            // The client does not wait for what only the upstream has to say to RSET. A fault shows when it is heard next.
            let _ = self.send().await;
        }
        self.keep(connection).await;
    }

    async fn keep(&mut self, mut connection: Connection) {
        // RSET after a refusal of ours is still to be answered; a connection that owes nothing is kept.
        while connection.owed() > 0 {
            if connection.reply(Duration::from_secs(5)).await.is_err() {
                return;
            }
        }
        let index = self.settings().upstream;
        let keep = self.site.settings.upstreams[index].keep;
        let surplus = match self.worker.pool_of(&self.site) {
            Some(pool) => pool.give(index, connection, keep),
            None => Some(connection),
        };
        if let Some(surplus) = surplus {
            tokio::task::spawn_local(surplus.quit());
        }
    }

    async fn log_in(&mut self, credentials: crate::smtp::sasl::Credentials) -> Reply {
        let keys = self.auth_keys(Some(&credentials.authcid));
        if !self.worker.shared.limits.auth_allowed(&keys) {
            return wording::AUTH_TOO_OFTEN;
        }
        let Some(upstream) = &mut self.upstream else { return wording::UPSTREAM_CLOSING };
        let lines = match credentials.lines_for(upstream.extensions.auth) {
            Ok(lines) => lines,
            Err(_) => return wording::AUTH_MECHANISM,
        };
        let mut reply = wording::AUTH_MALFORMED;
        for line in lines {
            match upstream.secret_line(Asked::Auth, &line).await {
                Ok(heard) if heard.code() == 334 => reply = heard,
                Ok(heard) => {
                    reply = heard;
                    break;
                }
                Err(error) => {
                    self.lose_upstream(&error);
                    return wording::UPSTREAM_CLOSING;
                }
            }
        }
        if reply.code() == 334 {
            // The upstream wants more than the mechanism has: the exchange is called off.
            reply = match self.relay_auth("*").await {
                Ok(heard) if heard.code() >= 400 => heard,
                _ => wording::AUTH_CANCELLED,
            };
        }
        let names = [credentials.authcid.as_str(), credentials.authzid.as_str()];
        if let Some(refusal) = self.suspended_login(&reply, &names) {
            return refusal;
        }
        self.conclude_auth(&reply, &keys, Login::Known(credentials.authcid.clone()));
        reply
    }

    async fn begin_auth(&mut self, mechanism: Mechanism, initial: Option<Secret>) -> Reply {
        self.account = initial.as_ref().and_then(|initial| crate::smtp::sasl::oauth_account(&initial.0));
        let keys = self.auth_keys(self.account.clone().as_deref());
        if !self.worker.shared.limits.auth_allowed(&keys) {
            return wording::AUTH_TOO_OFTEN;
        }
        let line = zeroize::Zeroizing::new(match &initial {
            Some(Secret(initial)) => format!("AUTH {} {}", mechanism.name(), **initial),
            None => format!("AUTH {}", mechanism.name()),
        });
        self.relayed_auth(&line).await
    }

    async fn auth_line(&mut self, line: &str) -> Reply {
        if self.account.is_none() {
            self.account = crate::smtp::sasl::oauth_account(line);
            if !self.worker.shared.limits.auth_allowed(&self.auth_keys(self.account.as_deref())) {
                return wording::AUTH_TOO_OFTEN;
            }
        }
        self.relayed_auth(line).await
    }

    async fn relayed_auth(&mut self, line: &str) -> Reply {
        match self.relay_auth(line).await {
            Ok(reply) => {
                let keys = self.auth_keys(self.account.clone().as_deref());
                let login = self.account.clone().map_or(Login::Hidden, Login::Known);
                if let Some(refusal) = self.suspended_login(&reply, &[self.account.clone().as_deref().unwrap_or_default()]) {
                    return refusal;
                }
                self.conclude_auth(&reply, &keys, login);
                reply
            }
            Err(error) => {
                self.lose_upstream(&error);
                wording::UPSTREAM_CLOSING
            }
        }
    }

    async fn relay_auth(&mut self, line: &str) -> Result<Reply, UpstreamError> {
        match &mut self.upstream {
            Some(upstream) => upstream.secret_line(Asked::Auth, line).await,
            None => Err(UpstreamError::Lost),
        }
    }

    fn conclude_auth(&mut self, reply: &Reply, keys: &[AuthKey], login: Login) {
        if reply.is_success() {
            self.login = login;
        } else if reply.code() >= 500 {
            self.worker.shared.metrics.listener(self.listener).auth_failures.inc();
            self.worker.shared.limits.auth_failed(keys);
            tracing::info!(event = "auth_failed", listener = %self.settings().name);
        }
    }

    fn auth_keys(&self, account: Option<&str>) -> Vec<AuthKey> {
        use std::hash::BuildHasher;
        // Keyed anew in every process: an account cannot be read out of memory dumps of another day.
        static KEY: std::sync::OnceLock<std::hash::RandomState> = std::sync::OnceLock::new();
        let key = KEY.get_or_init(std::hash::RandomState::new);
        let account = account.map(|a| AuthKey::Account(key.hash_one(a.to_ascii_lowercase())));
        [Some(AuthKey::Client(crate::transport::limits::network(self.peer.address))), account].into_iter().flatten().collect()
    }

    /// The last things of a session, whatever ended it.
    async fn finish(&mut self) {
        self.hold(0);
        let mut timer = Timer::new(Duration::from_secs(5));
        self.client.close(&mut timer).await;
        match self.upstream.take() {
            // A transaction that was given up properly leaves a connection as good as new.
            Some(upstream) if self.settings().role != Role::Submission && self.envelope.is_none() => self.keep(upstream).await,
            Some(upstream) => upstream.quit().await,
            None => {}
        }
    }
}

enum Heard {
    Octets,
    End,
    Fault(io::ErrorKind),
    Deadline,
    Draining,
}

/// One of our own replies, said as the last of a session.
fn farewell(reply: &Reply) -> Reply {
    let text = reply.text();
    let (enhanced, text) = text.split_once(' ').unwrap_or(("4.4.1", &text));
    Reply::line(421, enhanced, text)
}
