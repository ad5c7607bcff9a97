//! Delivery of what waits, by mail-send through the configured upstream: one connection at a time, a few letters on each.
//!
//! Two kinds of trouble are kept apart. Trouble with the upstream (no connection, no TLS, no AUTH) makes the whole outbox pause,
//! longer each time. Trouble with one letter (its recipient is refused for now) puts that letter off. A refusal for good ends it:
//! a bounce of a notice would tell nobody anything.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mail_send::smtp::message::Parameters;
use mail_send::{Credentials, SmtpClient, SmtpClientBuilder};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use super::desk::{Desk, now};
use super::lanes::LOOK;
use super::pace::backoff;
use super::{Options, Pace, Setup, Shared};
use crate::config::settings::UpstreamTls;
use crate::observe::crash::{self, Point};
use crate::records::StoreError;
use crate::records::custody::{Becomes, Custody, Decision, Kind, LEASE, NewParcel, Parcel, State};

/// Letters on one connection: providers limit them, and a lost connection should cost little.
const TOGETHER: usize = 20;
/// How long a store that cannot be read is let alone: a disk that was full has room again when somebody made it, not by waiting.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Runs until the outbox is gone.
pub(super) async fn run(mut setup: watch::Receiver<Arc<Setup>>, desk: Desk, shared: Arc<Shared>) {
    let mut trouble = 0u32;
    let mut reverse = ReversePath::Null;
    loop {
        let setup_now = setup.borrow_and_update().clone();
        // Without a credential nothing is asked for but the store's upkeep.
        let most = if setup_now.options.is_blocked() { 0 } else { TOGETHER };
        let pause = {
            match due(&desk, most).await {
                None => return,
                Some(Err(pause)) => pause,
                Some(Ok(_)) if most == 0 => Duration::from_secs(3600),
                Some(Ok(due)) if due.letters.is_empty() => until(due.next),
                Some(Ok(due)) => {
                    let most = whole_session(&setup_now.options.pace);
                    let ids: Vec<i64> = due.letters.iter().map(|l| l.parcel.id).collect();
                    let ended = tokio::time::timeout(most, session(&setup_now, due.letters, &desk, &shared, &mut reverse)).await;
                    // What is not settled may be had again.
                    let _ = desk.with(move |custody, now| custody.settle(ids.into_iter().map(|id| (id, unchanged())).collect(), now)).await;
                    match ended {
                        Ok(Ok(())) => {
                            trouble = 0;
                            shared.heard.answers(&setup_now.options.upstream.name);
                            continue;
                        }
                        ended => {
                            trouble = trouble.saturating_add(1);
                            let trouble_is = ended.map_or(Trouble::Slow, |e| e.err().unwrap_or(Trouble::Slow));
                            if trouble_is.is_silence() {
                                shared.heard.silent(&setup_now.options.upstream.name);
                            }
                            let pause = trouble_is.pause(&setup_now.options.pace, trouble);
                            let waiting = shared.waiting.load(Ordering::Relaxed);
                            tracing::warn!(
                                event = "outbox_upstream",
                                trouble = trouble_is.word(),
                                waiting,
                                pause = pause.as_secs(),
                                "notices wait: {trouble_is}"
                            );
                            pause
                        }
                    }
                }
            }
        };
        let sleep = tokio::time::sleep(pause);
        tokio::pin!(sleep);
        tokio::select! {
            () = &mut sleep => {}
            // While the upstream is in trouble, a new letter is no reason to try it at once.
            () = shared.arrived.notified(), if trouble == 0 => {}
            changed = setup.changed() => match changed {
                Ok(()) => trouble = 0,
                Err(_) => return,
            },
        }
    }
}

fn whole_session(pace: &Pace) -> Duration {
    pace.timeout * (TOGETHER as u32 + 1)
}

/// A letter that is due.
struct Letter {
    parcel: Parcel,
    message: Vec<u8>,
}

impl Letter {
    fn to(&self) -> &str {
        self.parcel.sheet.recipients.first().map_or("", |r| &r.address)
    }
}

/// Letters to send now, and when the next is due (milliseconds).
struct Due {
    letters: Vec<Letter>,
    next: Option<i64>,
}

fn unchanged() -> Decision {
    Decision::of(Becomes::Same)
}

/// What is due, or none when the outbox has ended, or how long to wait where the store does not answer.
async fn due(desk: &Desk, most: usize) -> Option<Result<Due, Duration>> {
    let claimed = desk.with(move |custody, now| {
        let claim = custody.claim(Kind::Notice, "", most, now)?;
        let mut letters = Vec::with_capacity(claim.parcels.len());
        for parcel in claim.parcels {
            match custody.content(parcel.id) {
                Ok(Some(message)) => letters.push(Letter { parcel, message }),
                Ok(None) => {}
                Err(error) if error.may_pass() => return Err(error),
                Err(error) => {
                    tracing::error!(event = "notice_unreadable", %error, "a notice could not be opened and was removed");
                    custody.settle(vec![(parcel.id, Decision::done())], now)?;
                }
            }
        }
        Ok(Due { letters, next: claim.next })
    });
    match claimed.await {
        Ok(due) => Some(Ok(due)),
        Err(StoreError::Stopped) => None,
        Err(error) => {
            tracing::error!(event = "custody_unreadable", %error, "notices wait: the custody store cannot be read");
            Some(Err(STORE_PAUSE))
        }
    }
}

fn until(next: Option<i64>) -> Duration {
    let most = LOOK.as_millis() as i64;
    Duration::from_millis(next.map_or(most, |n| (n - now()).clamp(10, most)) as u64)
}

/// Which reverse path the upstream takes: none, as RFC 3834 §3.3 asks of automatic mail, unless it refuses that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReversePath {
    Null,
    From,
}

/// Why the outbox pauses. Holds nothing of the upstream's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Trouble {
    #[error("the upstream cannot be reached, or the connection broke")]
    Connection,
    #[error("TLS with the upstream failed, or its certificate is not for its name")]
    Tls,
    #[error("the upstream refused the gateway's credential; see [outbox] username and password-file")]
    Credential,
    #[error("the upstream does not take mail from the gateway's address ({0}); see [outbox] from")]
    Sender(u16),
    #[error("the upstream answers too slowly")]
    Slow,
    #[error("the upstream did not answer as SMTP asks")]
    Protocol,
}

impl Trouble {
    fn word(self) -> &'static str {
        match self {
            Trouble::Connection => "connection",
            Trouble::Tls => "tls",
            Trouble::Credential => "credential",
            Trouble::Sender(_) => "sender",
            Trouble::Slow => "slow",
            Trouble::Protocol => "protocol",
        }
    }

    /// The upstream is not there; otherwise it said no.
    fn is_silence(self) -> bool {
        matches!(self, Trouble::Connection | Trouble::Tls | Trouble::Slow)
    }

    /// A wrong password is not tried often: providers lock the account.
    fn pause(self, pace: &Pace, times: u32) -> Duration {
        if self == Trouble::Credential { pace.longest } else { backoff(pace, times.saturating_sub(1), 128) }
    }
}

impl From<mail_send::Error> for Trouble {
    fn from(error: mail_send::Error) -> Trouble {
        use mail_send::Error as E;
        match error {
            E::Io(e) if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => Trouble::Tls,
            E::Io(_) => Trouble::Connection,
            E::Tls(_) | E::InvalidTLSName | E::MissingStartTls => Trouble::Tls,
            E::AuthenticationFailed(_) | E::MissingCredentials | E::UnsupportedAuthMechanism | E::Auth(_) | E::Base64(_) => {
                Trouble::Credential
            }
            E::Timeout => Trouble::Slow,
            _ => Trouble::Protocol,
        }
    }
}

/// One connection and what is due.
async fn session(setup: &Setup, letters: Vec<Letter>, desk: &Desk, shared: &Shared, reverse: &mut ReversePath) -> Result<(), Trouble> {
    let options = &setup.options;
    let builder = builder(options, setup.tls.clone());
    let timeout = options.pace.timeout;
    match options.upstream.tls {
        UpstreamTls::None => send_all(plain(&builder, timeout).await?, letters, options, (desk, shared), reverse).await,
        UpstreamTls::Starttls | UpstreamTls::Implicit => {
            send_all(builder.connect().await?, letters, options, (desk, shared), reverse).await
        }
        UpstreamTls::Opportunistic => match builder.connect().await {
            Ok(client) => send_all(client, letters, options, (desk, shared), reverse).await,
            // A credential never goes in the clear, whatever the settings came to.
            Err(mail_send::Error::MissingStartTls) if options.credential.is_none() => {
                send_all(plain(&builder, timeout).await?, letters, options, (desk, shared), reverse).await
            }
            Err(error) => Err(error.into()),
        },
    }
}

fn builder(options: &Options, tls: Arc<rustls::ClientConfig>) -> SmtpClientBuilder<String> {
    let mut builder = SmtpClientBuilder::new_with_tls_connector(options.upstream.server_name.clone(), 0, TlsConnector::from(tls))
        .implicit_tls(options.upstream.tls == UpstreamTls::Implicit)
        .helo_host(options.hostname.clone())
        // Its own default is an hour.
        .timeout(options.pace.timeout);
    builder.addr = options.upstream.address.clone();
    if let Some((username, password)) = &options.credential {
        builder = builder.credentials(Credentials::new(username.clone(), password.clone()));
    }
    builder
}

/// mail-send waits for the greeting of a plain connection without a limit.
async fn plain(builder: &SmtpClientBuilder<String>, timeout: Duration) -> Result<SmtpClient<tokio::net::TcpStream>, Trouble> {
    tokio::time::timeout(timeout, builder.connect_plain()).await.map_err(|_| Trouble::Slow)?.map_err(Trouble::from)
}

async fn send_all<T: AsyncRead + AsyncWrite + Unpin>(
    mut client: SmtpClient<T>,
    letters: Vec<Letter>,
    options: &Options,
    (desk, shared): (&Desk, &Shared),
    reverse: &mut ReversePath,
) -> Result<(), Trouble> {
    let mut waiting: Vec<i64> = letters.iter().map(|l| l.parcel.id).collect();
    let mut renewed = Instant::now();
    for letter in letters {
        if renewed.elapsed() > LEASE / 3 {
            renewed = Instant::now();
            let ids = waiting.clone();
            let lost = desk.with(move |custody, now| custody.renew(&ids, now)).await.map_err(|_| Trouble::Connection)?;
            // Another gateway has taken them meanwhile: it sends them.
            waiting.retain(|id| !lost.contains(id));
        }
        if !waiting.contains(&letter.parcel.id) {
            continue;
        }
        waiting.retain(|id| *id != letter.parcel.id);
        let fate = match send(&mut client, &letter, options, reverse).await {
            Ok(fate) => fate,
            Err(trouble) => {
                // A letter that the upstream breaks off at must not keep the others waiting behind it.
                if !matches!(trouble, Trouble::Sender(_)) {
                    settle(desk, letter.parcel.id, put_off(letter.parcel, &options.pace), false).await?;
                }
                return Err(trouble);
            }
        };
        let (counter, decision) = match fate {
            Fate::Delivered => (Some(&shared.delivered), Decision::done()),
            Fate::Refused(code) => {
                tracing::warn!(event = "notice_refused", code, "the upstream refused a notice for good; it is given up");
                (Some(&shared.refused), Decision::done())
            }
            Fate::Later => (None, put_off(letter.parcel.clone(), &options.pace)),
        };
        settle(desk, letter.parcel.id, decision, fate == Fate::Delivered).await?;
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if fate != Fate::Delivered {
            // The transaction is half open (RFC 5321 §4.1.1.5).
            client.rset().await?;
        }
    }
    // The letters are settled: whether the upstream says goodbye changes nothing.
    let _ = client.quit().await;
    Ok(())
}

fn put_off(letter: Parcel, pace: &Pace) -> Decision {
    let wait = i64::try_from(backoff(pace, letter.attempts, 128).as_millis()).unwrap_or(i64::MAX / 2);
    let again = NewParcel { id: None, state: State::Waiting, due: now().saturating_add(wait), ends: letter.ends, sheet: letter.sheet };
    Decision::of(Becomes::This(Box::new(again)))
}

/// The store must hear what became of a letter, however long it takes to come back: otherwise it would be sent again.
async fn settle(desk: &Desk, id: i64, decision: Decision, delivered: bool) -> Result<(), Trouble> {
    loop {
        let decided = decision.clone();
        let act = move |custody: &mut dyn Custody, now| {
            if delivered {
                // First: a crash in between has it sent again, and does not have it missed.
                custody.digest_delivered(id, now)?;
            }
            custody.settle(vec![(id, decided)], now)
        };
        match desk.with(act).await {
            Ok(()) => return Ok(()),
            Err(StoreError::Stopped) => return Err(Trouble::Connection),
            Err(error) => {
                tracing::error!(event = "notice_not_settled", %error, "what became of a notice cannot be written down yet");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Delivered,
    Later,
    Refused(u16),
}

async fn send<T: AsyncRead + AsyncWrite + Unpin>(
    client: &mut SmtpClient<T>,
    letter: &Letter,
    options: &Options,
    reverse: &mut ReversePath,
) -> Result<Fate, Trouble> {
    let mut parameters = Parameters::new();
    if !letter.to().is_ascii() {
        // RFC 6531 §3.4. An upstream without it refuses the letter, which could not be delivered there anyhow.
        parameters.add("SMTPUTF8");
    }
    let path = if *reverse == ReversePath::Null { "" } else { options.from.as_str() };
    match client.mail_from(path, &parameters).await {
        Ok(()) => {}
        Err(mail_send::Error::UnexpectedReply(reply)) if *reverse == ReversePath::Null && reply.code / 100 == 5 => {
            *reverse = ReversePath::From;
            client.rset().await?;
            match client.mail_from(&options.from, &parameters).await {
                Ok(()) => {}
                Err(mail_send::Error::UnexpectedReply(reply)) => {
                    *reverse = ReversePath::Null;
                    return Err(Trouble::Sender(reply.code));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(mail_send::Error::UnexpectedReply(reply)) => return Err(Trouble::Sender(reply.code)),
        Err(error) => return Err(error.into()),
    }
    match client.rcpt_to(letter.to(), &Parameters::new()).await {
        Ok(()) => {}
        Err(mail_send::Error::UnexpectedReply(reply)) => return fate_of(reply.code),
        Err(error) => return Err(error.into()),
    }
    crash::here(Point::NoticeEnvelope);
    match client.data(&letter.message).await {
        Ok(_) => {
            crash::here(Point::NoticeTaken);
            Ok(Fate::Delivered)
        }
        Err(mail_send::Error::UnexpectedReply(reply)) => fate_of(reply.code),
        Err(error) => Err(error.into()),
    }
}

/// RFC 5321 §4.2.1. 421 is the whole session's end.
fn fate_of(code: u16) -> Result<Fate, Trouble> {
    match code {
        421 => Err(Trouble::Connection),
        500..=599 => Ok(Fate::Refused(code)),
        400..=499 => Ok(Fate::Later),
        _ => Err(Trouble::Protocol),
    }
}
