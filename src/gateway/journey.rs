//! What happens to a message, in order: receive, gather, judge, splice, commit, record, answer. A step added elsewhere is a step
//! hidden.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answers::is_for_us_alone;
use super::past::{self, PastMail};
use super::received::{Protocol, Received};
use super::session::Session;
use super::site::Site;
use super::{admission, late, suspended};
use crate::config::Settings;
use crate::config::settings::Role;
use crate::evidence::authentication::{Authenticated, Claims};
use crate::evidence::clamd::{ScanFault, Scanned};
use crate::message::view::View;
use crate::message::{EditPlan, RawMessage, Splice};
use crate::observe::crash::{self, Point};
use crate::observe::{Part, PartState};
use crate::outbox::{Departure, Told, author_domains, stamp};
use crate::policy::outside::{Fact, Source};
use crate::policy::reply::reply as reply_to;
use crate::policy::{self, Case, Disposition, Envelope, FactVector, Facts, Outside, RecordLevel, Verdict, Wants};
use crate::records::{Entry, Outcome, Stage, StoreError, Ticket};
use crate::smtp::client::Asked;
use crate::smtp::{Answer, ClientSession, Final, Reply, server, wording};
use crate::transport::UpstreamError;
use crate::transport::connection::{DATA_INITIATION, DATA_TERMINATION};

/// Above this many octets a message is judged on a thread of its own, so that other sessions of this one go on.
const LARGE: usize = 512 * 1024;

/// Whether judging may take long: of a small message only where it carries files. A hostile one of a few kilobytes unpacks to megabytes,
/// and to try a password on it takes what its maker says.
fn takes_long(message: &RawMessage) -> bool {
    message.len() > LARGE || View::new(message.as_bytes()).parts().iter().any(|p| p.is_leaf() && (p.is_attachment || !p.is_text()))
}
/// A 250 that took longer than this after the dot may find its client gone.
const LATE: Duration = Duration::from_millis(500);
/// How long a refusal waits for its notice to be on the disk.
const NOTICE: Duration = Duration::from_secs(2);

/// A message with all that was found out about it.
pub(super) struct Judged {
    pub(super) message: RawMessage,
    pub(super) envelope: Envelope,
    pub(super) verdict: Verdict,
    pub(super) message_id: Option<String>,
    subject: Option<String>,
    pub(super) sender: String,
    /// A refusal that is not the policy's: a loop, or mail that this listener does not take.
    refusal: Option<Reply>,
    pub(super) size: u64,
    /// What the verdict still hangs on.
    wants: Wants,
    past: PastMail,
    /// What other rules might ask of it; none where nothing of it is kept.
    vector: Option<Box<FactVector<String>>>,
}

impl Judged {
    /// The subject, decoded.
    pub(super) fn subject_text(&self) -> String {
        View::new(self.message.as_bytes()).subject().to_string()
    }
}

impl Session {
    /// The journey. Only `Answer::Committed` can say 250; and `Answer::Dropped`, for automatic mail that a rule drops.
    pub(super) async fn journey(&mut self, received: server::Received) -> Answer {
        let shared = self.worker.shared.clone();
        // 1 receive
        let Some(envelope) = self.envelope.take() else { return Answer::Reply(wording::LOCAL_FAULT) };
        let message = RawMessage::new(received.bytes);
        let tokens = std::mem::take(&mut self.answers);
        if !tokens.is_empty() {
            let answer = self.answered(tokens, &message, &envelope).await;
            if is_for_us_alone(&envelope) || matches!(answer, Answer::Reply(_)) {
                self.reset_upstream().await;
                return answer;
            }
        }
        if !shared.late.is_empty() {
            let digest = late::digest(&self.settings().name, &self.login, &envelope, message.as_bytes());
            if let Some(committed) = shared.late.take(&digest) {
                self.reset_upstream().await;
                return Answer::Committed(committed);
            }
        }
        let reference = self.worker.reference();
        let now = jiff::Timestamp::now().to_zoned(self.site.settings.time_zone.clone());
        // 2 gather, 3 judge
        let started = Instant::now();
        let Some(mut judged) = self.judge_with_all(message, envelope, now.clone()).await else {
            tracing::error!(event = "judge_failed", listener = %self.settings().name, %reference);
            self.reset_upstream().await;
            return Answer::Reply(wording::LOCAL_FAULT);
        };
        shared.metrics.judged(started.elapsed(), &judged.verdict.matches);
        shared.metrics.listener(self.listener).message(&judged.verdict.disposition);
        self.log(&judged, &reference);
        if let Some(reply) = judged.refusal.take().or_else(|| reply_to(&judged.verdict.disposition, &reference)) {
            self.reset_upstream().await;
            self.tell(&mut judged, &reference, now.clone(), true).await;
            self.record(judged, &reference, now.timestamp(), Outcome::own(reply.code()));
            return Answer::Reply(reply);
        }
        if judged.verdict.route.drop.is_some() && judged.verdict.automatic {
            return self.drop_it(judged, &reference, &now).await;
        }
        self.settle_rates(&mut judged.past);
        if Session::is_to_be_kept(&judged) {
            return self.take_into_custody(judged, &reference, &now).await;
        }
        // 4 splice
        let plan = self.outgoing(&mut judged, &reference, &now);
        // 5 commit: where the record is mandatory its row is durable before the content goes upstream
        let ticket = match self.reserve(&mut judged, &reference, now.timestamp()).await {
            Ok(ticket) => ticket,
            Err(error) => {
                tracing::error!(event = "record_failed", %error);
                self.reset_upstream().await;
                return Answer::Reply(wording::RECORD_FAULT);
            }
        };
        if !judged.verdict.route.is_as_sent()
            && let Err(reply) = self.reroute(&judged.envelope, &judged.verdict.route).await
        {
            let end = Outcome::own(reply.code());
            match ticket {
                Some(ticket) => shared.recorder.complete(ticket, end),
                None => self.record(judged, &reference, now.timestamp(), end),
            }
            return Answer::Reply(reply);
        }
        let dot = Instant::now();
        let mut heard = true;
        let outcome = match self.relay(&judged.message, &plan).await {
            Ok(Final::Committed(committed)) => {
                crash::here(Point::Relayed);
                Ok(committed)
            }
            Ok(Final::Refused(reply)) => {
                shared.metrics.listener(self.listener).upstream_refused.inc();
                Err(reply)
            }
            Err(reply) => {
                heard = false;
                Err(reply)
            }
        };
        // 6 record
        let end = match &outcome {
            Ok(committed) => Outcome::relayed(committed.reply()),
            Err(reply) if heard => Outcome::relayed(reply),
            // The words are the gateway's: the provider's are not to be made up.
            Err(reply) => Outcome::own(reply.code()),
        };
        if let Ok(committed) = &outcome {
            // Of a hidden log-in nobody can say that it is the same when it comes again.
            if dot.elapsed() > LATE && self.login != policy::Login::Hidden {
                let digest = late::digest(&self.settings().name, &self.login, &judged.envelope, judged.message.as_bytes());
                self.unheard = Some((digest, committed.repeat()));
            }
            self.add_rates(&judged.past, now.timestamp().as_millisecond());
            self.tell(&mut judged, &reference, now.clone(), false).await;
        }
        let message = std::mem::replace(&mut judged.message, RawMessage::new(Vec::new()));
        self.worker.return_buffer(Some(message.into_buffer()));
        match ticket {
            Some(ticket) => shared.recorder.complete(ticket, end),
            None => self.record(judged, &reference, now.timestamp(), end),
        }
        // 7 answer
        match outcome {
            Ok(committed) => Answer::Committed(committed),
            Err(reply) => Answer::Reply(reply),
        }
    }

    /// Judges with nothing asked outside, and where the verdict hangs on something, asks and judges again.
    async fn judge_with_all(&self, message: RawMessage, envelope: Envelope, now: jiff::Zoned) -> Option<Judged> {
        let mut judged = self.judge(message, envelope, now.clone(), None).await?;
        if judged.wants.is_empty() {
            return Some(judged);
        }
        let outside = self.gather(&mut judged, &now).await;
        let reserved = std::mem::take(&mut judged.past.reserved);
        let mut judged = self.judge(judged.message, judged.envelope, now, Some(outside)).await?;
        judged.past.reserved = reserved;
        Some(judged)
    }

    /// Asks outside for what the judgement hangs on, all at once. Whatever cannot be had is unknown, with the reason.
    async fn gather(&self, judged: &mut Judged, now: &jiff::Zoned) -> Outside {
        let message = Arc::new(std::mem::replace(&mut judged.message, RawMessage::new(Vec::new())));
        let (virus, authenticated, past, (rates, reserved)) = tokio::join!(
            self.scan(&message, judged),
            self.authenticate(&message, judged),
            self.ask_past(&judged.past),
            self.count_rates(&judged.past, judged.wants, now.timestamp().as_millisecond()),
        );
        let mut outside = Outside { virus, rates, ..Outside::default() };
        past::tell(past, &mut outside);
        if let Some(Authenticated { spf, dkim, dmarc }) = authenticated {
            (outside.spf, outside.dkim, outside.dmarc) = (spf, dkim, dmarc);
        }
        judged.past.reserved = reserved;
        outside.settle("it cannot be asked for");
        // Nobody else holds it any more: what was asked has answered or was ended.
        judged.message = Arc::try_unwrap(message).unwrap_or_else(|shared| RawMessage::new(shared.as_bytes().to_vec()));
        outside
    }

    /// The virus scanner's word, where the verdict hangs on it.
    async fn scan(&self, message: &RawMessage, judged: &Judged) -> Fact<bool> {
        let scanner = match &self.site.evidence.scanner {
            Some(scanner) if judged.wants.any_of(Source::Scanner) => scanner,
            _ => return Fact::Unasked,
        };
        let metrics = &self.worker.shared.metrics;
        metrics.scans.inc();
        let scanned = scanner.scan(message.as_bytes()).await;
        metrics
            .health()
            .set(Part::Scanner, if scanned.as_ref().is_err_and(ScanFault::is_the_scanners) { PartState::Degraded } else { PartState::Ok });
        match scanned {
            Ok(Scanned::Clean) => Fact::Known(false),
            Ok(Scanned::Infected(signature)) => {
                metrics.scans_infected.inc();
                tracing::info!(event = "virus_found", listener = %self.settings().name, signature, octets = message.len());
                Fact::Known(true)
            }
            Ok(Scanned::Remarked(signature)) => {
                tracing::debug!(event = "scanner_remarked", listener = %self.settings().name, signature);
                Fact::Known(false)
            }
            Err(fault) => {
                metrics.scans_failed.inc();
                tracing::warn!(event = "scan_failed", listener = %self.settings().name, %fault, octets = message.len());
                Fact::unknown(&fault.to_string())
            }
        }
    }

    /// What the DNS says of the sender, where the verdict hangs on it.
    async fn authenticate(&self, message: &Arc<RawMessage>, judged: &Judged) -> Option<Authenticated> {
        let authenticator = self.site.evidence.authenticator.as_ref().filter(|_| judged.wants.any_of(Source::Dns))?;
        // A mail program's address and its unsigned mail are nothing that the DNS knows about: there the login proves the sender.
        if self.settings().role == Role::Submission {
            return Some(Authenticated::nothing());
        }
        let claims = Claims {
            // A connector's mail comes from the provider, whose address says nothing of the author.
            peer: (self.settings().role == Role::Mx).then_some(self.peer.address),
            hello: self.hello.to_string(),
            reverse_path: judged.envelope.reverse_path.address().map(|a| a.normal()).unwrap_or_default(),
            author_domains: author_domains(&View::new(message.as_bytes())),
        };
        let found = authenticator.authenticate(message.clone(), claims).await;
        let open = [&found.spf, &found.dkim, &found.dmarc].into_iter().find_map(|fact| match fact {
            Fact::Unknown(why) => Some(why),
            _ => None,
        });
        let metrics = &self.worker.shared.metrics;
        metrics.lookups.inc();
        metrics.health().set(Part::Dns, if open.is_some() { PartState::Degraded } else { PartState::Ok });
        if let Some(why) = open {
            metrics.lookups_failed.inc();
            tracing::warn!(event = "lookups_failed", listener = %self.settings().name, why = %why);
        }
        Some(found)
    }

    /// Judges, on a thread of its own where the message is large. None if the judge failed: a fault of ours.
    async fn judge(&self, message: RawMessage, envelope: Envelope, now: jiff::Zoned, outside: Option<Outside>) -> Option<Judged> {
        let context = Context {
            site: self.site.clone(),
            listener: self.listener,
            peer: self.peer.clone(),
            session: policy::Session {
                role: self.settings().role,
                listener: self.settings().name.clone(),
                login: self.login.clone(),
                tls: self.is_tls(),
            },
            now,
            outside,
            present: self.worker.shared.site.load().settings.clone(),
        };
        if !takes_long(&message) {
            return std::panic::catch_unwind(AssertUnwindSafe(|| context.judge(message, envelope))).ok();
        }
        tokio::task::spawn_blocking(move || context.judge(message, envelope)).await.ok()
    }

    /// Automatic mail that a rule drops. What must be on record is there before the client hears of it.
    async fn drop_it(&mut self, mut judged: Judged, reference: &str, now: &jiff::Zoned) -> Answer {
        self.reset_upstream().await;
        match self.reserve(&mut judged, reference, now.timestamp()).await {
            Ok(ticket) => {
                self.tell(&mut judged, reference, now.clone(), false).await;
                let end = Outcome::own(wording::DROPPED.code());
                match ticket {
                    Some(ticket) => self.worker.shared.recorder.complete(ticket, end),
                    None => self.record(judged, reference, now.timestamp(), end),
                }
                Answer::Dropped
            }
            Err(error) => {
                tracing::error!(event = "record_failed", %error);
                Answer::Reply(wording::RECORD_FAULT)
            }
        }
    }

    /// The verdict's edits, with what the gateway itself adds and takes away.
    fn outgoing(&self, judged: &mut Judged, reference: &str, now: &jiff::Zoned) -> EditPlan {
        let mut plan = std::mem::take(&mut judged.verdict.plan);
        self.dress(&mut plan, judged, reference, now);
        let departure = Departure {
            dkim: if judged.verdict.sign { &self.site.settings.dkim } else { &[] },
            stamp: self.settings().stamp.as_ref(),
            reverse_path: judged.envelope.reverse_path.as_str(),
            now: now.timestamp().as_second(),
        };
        departure.seal(&judged.message, &mut plan);
        plan
    }

    /// Takes away what is only between the provider and the gateway, and adds the Received field.
    pub(super) fn dress(&self, plan: &mut EditPlan, judged: &Judged, reference: &str, now: &jiff::Zoned) {
        let listener = self.settings();
        let secret = listener.trust.header.as_ref().map(|(name, _)| name);
        let stamp = listener.stamp.as_ref();
        if secret.is_some() || stamp.is_some() {
            let view = View::new(judged.message.as_bytes());
            for name in secret.into_iter().chain(stamp.map(|s| &s.field)) {
                for field in view.named(name) {
                    // A rule may have taken it away already.
                    let _ = plan.edit(field.whole.clone(), Vec::new());
                }
            }
        }
        let accepted: Vec<&str> = judged.envelope.accepted().take(2).map(|r| r.address.as_str()).collect();
        let received = Received {
            name: &self.hello,
            client: listener.received_client_address.then_some(self.peer.address),
            hostname: &self.site.settings.hostname,
            protocol: Protocol { esmtp: self.esmtp, tls: self.is_tls(), auth: self.is_logged_in(), utf8: self.utf8 },
            reference,
            only_recipient: match accepted.as_slice() {
                // Who gets it besides or instead is nobody's to know.
                [only] if judged.verdict.route.is_as_sent() => Some(only),
                _ => None,
            },
            date: &self.worker.date(now),
        };
        plan.prefix(received.field().as_bytes());
    }

    /// DATA, the content, and what the upstream says to it. The error is what the client hears where the upstream said nothing
    /// that could be believed.
    async fn relay(&mut self, message: &RawMessage, plan: &EditPlan) -> Result<Final, Reply> {
        let Some(upstream) = &mut self.upstream else { return Err(wording::UPSTREAM_LOST) };
        upstream.queue(Asked::Data, &["DATA"]);
        let mut heard = upstream.round_trip(DATA_INITIATION).await;
        // Replies to an earlier RSET or NOOP of ours come first.
        while matches!(heard, Ok((Asked::Rset | Asked::Noop, _))) {
            heard = upstream.reply(DATA_INITIATION).await;
        }
        match heard {
            Ok((Asked::Data, reply)) if reply.code() == 354 => {}
            Ok((Asked::Data, reply)) => {
                // To the client, which has sent its content, the transaction is over; to the upstream it is not (RFC 5321 §3.3).
                // On other listeners a session that refused is not used again.
                if self.settings().role == Role::Submission {
                    self.reset_upstream().await;
                }
                return Ok(Final::Refused(reply));
            }
            Ok((asked, _)) => return Err(self.fail(&UpstreamError::Protocol(crate::smtp::client::ProtocolFault::Code(asked)))),
            Err(error) => return Err(self.fail(&error)),
        }
        if upstream.spoke_early().await {
            // Whatever it says now, it did not say to this content. Maybe it is a refusal and a farewell; never a 250.
            return match upstream.early_refusal().await {
                Some(reply) => {
                    self.upstream = None;
                    Ok(Final::Refused(reply))
                }
                None => Err(self.fail(&UpstreamError::Protocol(crate::smtp::client::ProtocolFault::Unasked))),
            };
        }
        let splice = Splice::apply(message, plan);
        let sent = upstream.content(splice.slices()).await;
        // An upstream that has had enough may say so and close before all is written: its words are worth hearing.
        let heard = match sent {
            Ok(()) => upstream.reply(DATA_TERMINATION).await,
            Err(error) => match upstream.reply(Duration::from_secs(1)).await {
                Ok((asked, reply)) if reply.code() >= 400 => Ok((asked, reply)),
                _ => Err(error),
            },
        };
        match heard {
            Ok((_, reply)) => {
                upstream.uses += 1;
                if reply.code() == 421 {
                    self.upstream = None;
                }
                Ok(ClientSession::conclude(reply))
            }
            // RFC 1047: it may have been delivered, and it may not.
            Err(error) => {
                self.worker.shared.metrics.upstream_error(crate::observe::UpstreamError::UnknownOutcome);
                self.fail(&error);
                Err(wording::UNKNOWN_OUTCOME)
            }
        }
    }

    /// The upstream is of no more use; says what the client hears.
    fn fail(&mut self, error: &UpstreamError) -> Reply {
        self.note_upstream_error(error);
        self.upstream = None;
        error.reply()
    }

    fn entry(&self, judged: Judged, reference: &str, time: jiff::Timestamp, outcome: Option<Outcome>) -> Entry {
        Entry {
            time,
            reference: reference.into(),
            listener: self.settings().name.clone(),
            role: self.settings().role,
            rules: self.site.classes.clone(),
            message_id: judged.message_id,
            subject: judged.subject,
            size: judged.size,
            envelope: judged.envelope,
            disposition: judged.verdict.disposition,
            matches: judged.verdict.matches,
            facts: judged.verdict.facts,
            level: judged.verdict.record,
            personal: judged.verdict.personal,
            automatic: judged.verdict.automatic,
            imprint: judged.past.imprint,
            vector: judged.vector,
            detectors: Vec::new(),
            outcome,
            stage: Stage::Judged,
        }
    }

    /// Never waits; what the queue cannot take is counted there.
    pub(super) fn record(&self, judged: Judged, reference: &str, time: jiff::Timestamp, outcome: Outcome) {
        let _ = self.worker.shared.recorder.record(self.entry(judged, reference, time, Some(outcome)));
    }

    /// Where the council makes the record mandatory: the row, durable. A message that is not to be recorded has an empty one.
    pub(super) async fn reserve(&self, judged: &mut Judged, reference: &str, time: jiff::Timestamp) -> Result<Option<Ticket>, StoreError> {
        let recorder = &self.worker.shared.recorder;
        if !recorder.is_mandatory() {
            return Ok(None);
        }
        let copy = Judged {
            message: RawMessage::new(Vec::new()),
            envelope: judged.envelope.clone(),
            verdict: Verdict { plan: EditPlan::new(), ..judged.verdict.clone() },
            message_id: judged.message_id.clone(),
            subject: judged.subject.clone(),
            sender: String::new(),
            refusal: None,
            size: judged.size,
            wants: Wants::default(),
            past: judged.past.take_imprint(),
            vector: judged.vector.clone(),
        };
        let entry = self.entry(copy, reference, time, None);
        recorder.reserve(entry).await.map(Some)
    }

    /// What the verdict says people must hear; none if nobody is to hear anything.
    pub(super) fn told(&self, judged: &mut Judged, reference: &str, time: jiff::Zoned) -> Option<Told> {
        let notices = std::mem::take(&mut judged.verdict.notices);
        if notices.is_empty() {
            return None;
        }
        Some(Told {
            notices,
            matches: judged.verdict.matches.clone(),
            disposition: judged.verdict.disposition.clone(),
            message_id: judged.message_id.clone(),
            fallback: if judged.message_id.is_none() {
                blake3::hash(judged.message.as_bytes()).to_hex().to_string()
            } else {
                String::new()
            },
            reference: reference.into(),
            time,
            sender: judged.sender.clone(),
            subject: Some(judged.subject_text()),
            automatic: judged.verdict.automatic,
            care: None,
        })
    }

    /// Tells people what the verdict says they must hear. A refusal waits a moment for its notice to be durable; a delivery does
    /// not keep its client waiting.
    async fn tell(&self, judged: &mut Judged, reference: &str, time: jiff::Zoned, wait: bool) {
        let (Some(told), Some(outbox)) = (self.told(judged, reference, time), self.worker.shared.outbox.clone()) else { return };
        let telling = async move {
            if let Err(error) = outbox.tell(told).await {
                tracing::error!(event = "notice_lost", %error);
            }
        };
        let telling = tokio::task::spawn_local(telling);
        if wait {
            // The task goes on by itself if this is not long enough.
            let _ = tokio::time::timeout(NOTICE, telling).await;
        }
    }

    /// One line where a rule acted; a plain delivery is in the record and the figures. No address, no subject.
    fn log(&self, judged: &Judged, reference: &str) {
        let verdict = &judged.verdict;
        if verdict.disposition == Disposition::Deliver && verdict.matches.is_empty() && judged.refusal.is_none() {
            tracing::debug!(event = "message", listener = %self.settings().name, reference, octets = judged.message.len());
            return;
        }
        let acted = verdict.matches.iter().any(|m| m.mode >= policy::Mode::Warn);
        if !acted && judged.refusal.is_none() {
            tracing::debug!(event = "message", listener = %self.settings().name, reference, matches = verdict.matches.len());
            return;
        }
        let rules: Vec<&str> = verdict.matches.iter().map(|m| &*m.rule).collect();
        let disposition = if judged.refusal.is_some() { "refused" } else { verdict.disposition.word() };
        tracing::info!(event = "message", listener = %self.settings().name, reference, disposition, rules = rules.join(","), octets = judged.message.len());
    }
}

/// What judging needs, owned, so that it can move to another thread.
struct Context {
    site: Arc<Site>,
    listener: usize,
    peer: admission::Peer,
    session: policy::Session,
    now: jiff::Zoned,
    /// None on the first pass: nothing was asked yet.
    outside: Option<Outside>,
    /// What the site is now, which the session may have outlived: of that, who is suspended.
    present: Arc<Settings>,
}

impl Context {
    fn judge(self, message: RawMessage, envelope: Envelope) -> Judged {
        let settings = &self.site.settings;
        let listener = &settings.listeners[self.listener];
        let judged_already = listener
            .stamp
            .as_ref()
            .is_some_and(|s| stamp::verifies(s, envelope.reverse_path.as_str(), &message, self.now.timestamp().as_second()));
        let nothing = policy::Policy::default();
        let policy = if judged_already { &nothing } else { &*settings.policy };
        let outside = self.outside.as_ref().unwrap_or_else(|| Outside::unasked());
        let case = Case { message: &message, envelope: &envelope, session: &self.session, now: self.now.clone(), outside };
        let facts = Facts::new(&case, &settings.policy);
        if settings.monitoring.is_some() {
            facts.keep_readings();
        }
        let view = facts.view();
        let refusal = if view.named("Received").count() > settings.limits.hops {
            Some(wording::LOOP)
        } else if listener.role == Role::Connector {
            let header_is_right = admission::header_is_right(listener, view);
            let every = admission::every_is_council(&settings.council, envelope.accepted().map(|r| &r.address));
            admission::content(listener, &self.peer, header_is_right, facts.sender().is_council, every)
        } else {
            None
        };
        // The reverse path was looked at; here it is the author of what the council sends without one, or under another's.
        let suspends = refusal.is_none() && self.present.at_desk.suspends() && facts.sender().is_council;
        let is_suspended = suspends
            && facts.sender().authors.iter().any(|(author, _)| admission::is_suspended(listener, &self.present, Some(author), None));
        let refusal = refusal.or(is_suspended.then_some(wording::SENDER_SUSPENDED));
        let verdict = match &refusal {
            Some(_) if is_suspended => Verdict { matches: vec![suspended::matched()], ..plain(&facts) },
            Some(_) => plain(&facts),
            None if judged_already => policy::evaluate(policy, &Facts::new(&case, policy)),
            None => policy::evaluate(policy, &facts),
        };
        let message_id = view.message_id().map(str::to_string);
        let subject = settings.monitoring.as_ref().filter(|m| m.subject).map(|_| view.subject().to_string());
        let is_named = !verdict.notices.is_empty() || verdict.splits() || matches!(verdict.disposition, Disposition::Hold { .. });
        let sender = if !is_named { String::new() } else { facts.sender().who.clone().unwrap_or_default() };
        let wants = facts.wants();
        // What was judged on an earlier pass was counted and remembered there.
        let mut past = PastMail::default();
        if !judged_already && refusal.is_none() {
            past = PastMail::new(&facts, wants, !policy.rates().is_empty());
            if wants.is_empty() || self.outside.is_some() {
                past.leaving(&facts, &verdict, settings.password_within);
            }
        }
        // Last, since what it asks for itself is not what the verdict hangs on.
        let is_final = wants.is_empty() || self.outside.is_some();
        let is_kept = settings.monitoring.is_some() && verdict.record >= RecordLevel::Metadata && !verdict.personal;
        let by_rules = refusal.is_none() && !judged_already;
        let vector = (is_final && is_kept && by_rules).then(|| Box::new(FactVector::of(&facts, &verdict)));
        drop(facts);
        drop(case);
        let size = message.len() as u64;
        Judged { message, envelope, verdict, message_id, subject, sender, refusal, size, wants, past, vector }
    }
}

/// The verdict on what was refused before any rule was asked.
fn plain(facts: &Facts<'_>) -> Verdict {
    Verdict {
        // The words are the refusal's; the record and the figures must not count it as delivered.
        disposition: Disposition::Reject { text: String::new() },
        decided_by: None,
        matches: Vec::new(),
        plan: EditPlan::new(),
        edits: Vec::new(),
        sign: false,
        route: Default::default(),
        split: false,
        alternatives: Default::default(),
        notices: Vec::new(),
        open: Vec::new(),
        record: RecordLevel::Metadata,
        personal: false,
        facts: facts.summary(false),
        automatic: facts.automatic().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_take_long() {
        let long = |text: &str| takes_long(&RawMessage::new(text.replace('\n', "\r\n").into_bytes()));
        assert!(!long("Subject: x\n\nText\n"));
        assert!(!long("Content-Type: multipart/alternative; boundary=b\n\n--b\n\nText\n--b\nContent-Type: text/html\n\n<p>\n--b--\n"));
        assert!(long("Content-Type: application/zip\n\nPK\n"));
        assert!(long("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nText\n--b\nContent-Disposition: attachment\n\nx\n--b--\n"));
        assert!(long(&format!("Subject: x\n\n{}", "long\n".repeat(LARGE / 5))));
    }

    #[test]
    fn domains_of_authors() {
        let domains = |from: &str| author_domains(&View::new(format!("From: {from}\r\n\r\n").as_bytes()));
        assert_eq!(domains("a@x.uk, b@X.UK"), ["x.uk"]);
        assert_eq!(domains("a@x.uk, b@y.uk, c@z.uk"), ["x.uk", "y.uk"]);
    }
}
