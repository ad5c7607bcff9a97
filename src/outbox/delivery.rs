//! Delivery of what waits, by mail-send through the configured upstream: one connection at a time, a few letters on each.
//!
//! Two kinds of trouble are kept apart. Trouble with the upstream (no connection, no TLS, no AUTH) makes the whole outbox pause,
//! longer each time. Trouble with one letter (its recipient is refused for now) puts that letter off. A refusal for good ends it:
//! a bounce of a notice would tell nobody anything.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use mail_send::smtp::message::Parameters;
use mail_send::{Credentials, SmtpClient, SmtpClientBuilder};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsConnector;

use super::{Due, Job, Options, Pace, Setup, Shared};
use crate::config::settings::UpstreamTls;
use crate::records::custody::Waiting;

/// Letters on one connection: providers limit them, and a lost connection should cost little.
const TOGETHER: usize = 20;

/// Runs until the outbox is gone.
pub(super) async fn run(mut setup: watch::Receiver<Arc<Setup>>, jobs: SyncSender<Job>, shared: Arc<Shared>) {
    let mut trouble = 0u32;
    let mut reverse = ReversePath::Null;
    loop {
        let now = setup.borrow_and_update().clone();
        // Without a credential nothing is asked for but the store's upkeep.
        let most = if now.options.is_blocked() { 0 } else { TOGETHER };
        let pause = {
            match due(&jobs, most).await {
                None => return,
                Some(Err(pause)) => pause,
                Some(Ok(_)) if most == 0 => Duration::from_secs(3600),
                Some(Ok(due)) if due.letters.is_empty() => until(due.next),
                Some(Ok(due)) => {
                    match tokio::time::timeout(whole_session(&now.options.pace), session(&now, due.letters, &jobs, &mut reverse)).await {
                        Ok(Ok(())) => {
                            trouble = 0;
                            continue;
                        }
                        ended => {
                            trouble = trouble.saturating_add(1);
                            let trouble_is = ended.map_or(Trouble::Slow, |e| e.err().unwrap_or(Trouble::Slow));
                            let pause = trouble_is.pause(&now.options.pace, trouble);
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

/// What is due, or none when the outbox has ended, or how long to wait where the store does not answer.
async fn due(jobs: &SyncSender<Job>, most: usize) -> Option<Result<Due, Duration>> {
    const WAIT: Duration = Duration::from_secs(5);
    let (answer, heard) = oneshot::channel();
    match jobs.try_send(Job::Due(most, answer)) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => return Some(Err(WAIT)),
        Err(TrySendError::Disconnected(_)) => return None,
    }
    match heard.await {
        Ok(Ok(due)) => Some(Ok(due)),
        Ok(Err(error)) => {
            tracing::error!(event = "custody_unreadable", %error, "notices wait: the custody store cannot be read");
            Some(Err(WAIT * 12))
        }
        Err(_) => None,
    }
}

fn until(next: Option<i64>) -> Duration {
    let now = jiff::Timestamp::now().as_millisecond();
    let wait = next.map_or(3_600_000, |n| (n - now).clamp(10, 3_600_000));
    Duration::from_millis(wait as u64)
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

    /// A wrong password is not tried often: providers lock the account.
    fn pause(self, pace: &Pace, times: u32) -> Duration {
        if self == Trouble::Credential { pace.longest } else { backoff(pace, times.saturating_sub(1)) }
    }
}

fn backoff(pace: &Pace, times: u32) -> Duration {
    pace.first.saturating_mul(1 << times.min(16)).min(pace.longest)
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
async fn session(setup: &Setup, letters: Vec<Waiting>, jobs: &SyncSender<Job>, reverse: &mut ReversePath) -> Result<(), Trouble> {
    let options = &setup.options;
    let builder = builder(options, setup.tls.clone());
    let timeout = options.pace.timeout;
    match options.upstream.tls {
        UpstreamTls::None => send_all(plain(&builder, timeout).await?, letters, options, jobs, reverse).await,
        UpstreamTls::Starttls | UpstreamTls::Implicit => send_all(builder.connect().await?, letters, options, jobs, reverse).await,
        UpstreamTls::Opportunistic => match builder.connect().await {
            Ok(client) => send_all(client, letters, options, jobs, reverse).await,
            // A credential never goes in the clear, whatever the settings came to.
            Err(mail_send::Error::MissingStartTls) if options.credential.is_none() => {
                send_all(plain(&builder, timeout).await?, letters, options, jobs, reverse).await
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
    letters: Vec<Waiting>,
    options: &Options,
    jobs: &SyncSender<Job>,
    reverse: &mut ReversePath,
) -> Result<(), Trouble> {
    for letter in letters {
        let fate = match send(&mut client, &letter, options, reverse).await {
            Ok(fate) => fate,
            Err(trouble) => {
                // A letter that the upstream breaks off at must not keep the others waiting behind it.
                if !matches!(trouble, Trouble::Sender(_)) {
                    settle(jobs, put_off(&letter, &options.pace)).await?;
                }
                return Err(trouble);
            }
        };
        let done = match fate {
            Fate::Delivered => Job::Delivered(letter.id),
            Fate::Refused(code) => {
                tracing::warn!(event = "notice_refused", code, "the upstream refused a notice for good; it is given up");
                Job::Refused(letter.id)
            }
            Fate::Later => put_off(&letter, &options.pace),
        };
        settle(jobs, done).await?;
        if fate != Fate::Delivered {
            // The transaction is half open (RFC 5321 §4.1.1.5).
            client.rset().await?;
        }
    }
    // The letters are settled: whether the upstream says goodbye changes nothing.
    let _ = client.quit().await;
    Ok(())
}

fn put_off(letter: &Waiting, pace: &Pace) -> Job {
    let now = jiff::Timestamp::now().as_millisecond();
    let wait = i64::try_from(backoff(pace, letter.attempts).as_millis()).unwrap_or(i64::MAX / 2);
    Job::Again(letter.id, now.saturating_add(wait))
}

/// The store must hear what became of a letter, or it would be sent again. The store's thread drains its queue in moments.
async fn settle(jobs: &SyncSender<Job>, mut job: Job) -> Result<(), Trouble> {
    loop {
        match jobs.try_send(job) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(back)) => {
                job = back;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(TrySendError::Disconnected(_)) => return Err(Trouble::Connection),
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
    letter: &Waiting,
    options: &Options,
    reverse: &mut ReversePath,
) -> Result<Fate, Trouble> {
    let mut parameters = Parameters::new();
    if !letter.to.is_ascii() {
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
    match client.rcpt_to(&letter.to, &Parameters::new()).await {
        Ok(()) => {}
        Err(mail_send::Error::UnexpectedReply(reply)) => return fate_of(reply.code),
        Err(error) => return Err(error.into()),
    }
    match client.data(&letter.message).await {
        Ok(_) => Ok(Fate::Delivered),
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
