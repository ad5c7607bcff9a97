//! A whole council on loopback: the gateway, a mailbox that plays the provider, sample mail sent through, and an account of what
//! happened to each message and why.
//!
//! Nothing else is needed: the rules are compiled in, and the site file, key and database live in a temporary folder that goes
//! at the end. Everything listens on 127.0.0.1 and speaks without TLS; no message leaves the machine.

mod account;
mod client;
mod gate;
mod letter;
mod mailbox;
mod month;
mod sample;
pub mod shipped;
mod site;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use gate::{Gate, Recorded};
use mailbox::{Event, Mail, Mailbox};
use sample::Sample;
use site::{Ports, Site};

/// What `lychgate demo` takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// End after the samples; the exit code says whether each came out as it should.
    pub once: bool,
}

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("{0}: {1}")]
    Machine(&'static str, io::Error),
    #[error("the gateway did not start: {0}")]
    Gateway(String),
    /// Nobody reads the account any more.
    #[error("the account could not be written: {0}")]
    Account(#[from] io::Error),
}

/// Runs until Ctrl-C, or to the end of the samples. Exit 0 if every sample came out as it should.
pub fn run(options: Options) -> ExitCode {
    match council(options, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn council(options: Options, out: &mut dyn Write) -> Result<bool, DemoError> {
    crate::observe::init_quiet();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| DemoError::Machine("no threads", e))?;
    let stopped = runtime.block_on(async { watch_for_the_end() }).map_err(|e| DemoError::Machine("no signals", e))?;
    let (ports, mailbox, events, _site, gate) = start(&runtime, options)?;
    account::welcome(out, &ports)?;
    let told = samples(out, &ports, &mailbox, &gate, &stopped)?;
    // What the samples brought has been told already.
    while events.try_recv().is_ok() {}
    if !options.once && !stopped.load(Relaxed) {
        look_alike(&ports);
        std::thread::sleep(Duration::from_millis(300));
        while events.try_recv().is_ok() {}
        account::your_turn(out, &ports, gate.sign_in_link().as_deref())?;
        keep_telling(out, &events, &gate, &stopped)?;
    }
    gate.stop();
    Ok(told)
}

/// Mail that passes for the Clerk's, from a domain that looks like the council's: it is held, so that there is something to decide.
fn look_alike(ports: &Ports) {
    const TEXT: &str = "From: Wragby Parish Clerk <clerk@wragby-parishcouncil.gov.uk.example>\r\nTo: alice.thorn@wragbyparishcouncil.gov.uk\r\nSubject: Invoice for the hall roof, to be paid today\r\nMessage-ID: <hall-roof@wragby-parishcouncil.gov.uk.example>\r\nDate: Thu, 14 May 2026 09:12:00 +0100\r\n\r\nAlice,\r\n\r\nplease pay the attached invoice today; the bank details have changed.\r\n\r\nThe Clerk\r\n";
    let to = ["alice.thorn@wragbyparishcouncil.gov.uk".to_string()];
    let _ = client::send(ports.mx, None, "clerk@wragby-parishcouncil.gov.uk.example", &to, TEXT.as_bytes());
}

/// Starts all. A port that was free a moment ago can be taken by now: then others are tried.
fn start(runtime: &tokio::runtime::Runtime, options: Options) -> Result<(Ports, Mailbox, Receiver<Event>, Site, Gate), DemoError> {
    let mut attempts = 5;
    loop {
        attempts -= 1;
        let ports = Ports::choose().map_err(|e| DemoError::Machine("no port is free", e))?;
        let mailbox = runtime.block_on(start_mailbox(&ports)).map_err(|e| DemoError::Machine("the mailbox", e));
        let site = Site::write(&ports).map_err(|e| DemoError::Machine("the temporary folder", e))?;
        let gate = mailbox.and_then(|mailbox| Ok((mailbox, Gate::start(&site.file(), !options.once)?)));
        match gate {
            Ok(((mailbox, events), gate)) => return Ok((ports, mailbox, events, site, gate)),
            Err(error) if attempts == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

async fn start_mailbox(ports: &Ports) -> io::Result<(Mailbox, Receiver<Event>)> {
    Ok(Mailbox::start(tokio::net::TcpListener::bind(ports.mailbox).await?, site::DOMAIN))
}

/// Set once Ctrl-C or SIGTERM came, so that the gateway is stopped and the folder goes.
fn watch_for_the_end() -> io::Result<Arc<AtomicBool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let stopped = Arc::new(AtomicBool::new(false));
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut heard = signal(kind)?;
        let stopped = stopped.clone();
        tokio::spawn(async move {
            heard.recv().await;
            stopped.store(true, Relaxed);
        });
    }
    Ok(stopped)
}

/// Sends each sample, waits for what should follow, and tells of it. True if all came out as they should.
fn samples(out: &mut dyn Write, ports: &Ports, mailbox: &Mailbox, gate: &Gate, stopped: &AtomicBool) -> Result<bool, DemoError> {
    let mut faults = 0;
    let mut accounted = Vec::new();
    for (index, sample) in sample::ALL.iter().enumerate() {
        if stopped.load(Relaxed) {
            return Ok(false);
        }
        let sent = sample.octets();
        let before = mailbox.came();
        let recipients = sample.recipients(&sent);
        let login = Some((sample.sender, "demo"));
        let heard = client::send(ports.submission, login, sample.sender, &recipients, &sent).unwrap_or_else(client::Heard::nothing);
        let (arrived, notice) = what_came(mailbox, before, sample, stopped);
        accounted.extend(notice.as_ref().map(|n| n.number));
        let happened = account::Happened {
            sample,
            sent: &sent,
            recipients: &recipients,
            heard: &heard,
            arrived: arrived.as_deref(),
            notice: notice.as_deref(),
        };
        let (reasons, unmatched) = gate.reasons(sample.sender, &recipients, &sent, sample.rule);
        faults += account::tell(out, index + 1, &happened, &reasons, unmatched)?;
    }
    let stray = stray_notices(mailbox, &accounted);
    for notice in &stray {
        writeln!(out, "A notice that should not have been sent:")?;
        account::tell_mail(out, notice, account::Passed::Through, None)?;
    }
    faults += stray.len();
    account::sum_up(out, sample::ALL.len(), faults)?;
    Ok(faults == 0)
}

/// The sample as it arrived, and the notice about it, each if it came in time.
fn what_came(mailbox: &Mailbox, before: u64, sample: &Sample, stopped: &AtomicBool) -> (Option<Arc<Mail>>, Option<Arc<Mail>>) {
    const PATIENCE: Duration = Duration::from_secs(15);
    let start = Instant::now();
    loop {
        let came = mailbox.after(before);
        let message = came.iter().find(|m| !letter::is_notice(&m.octets)).cloned();
        let notice = came.iter().find(|m| letter::is_notice(&m.octets) && m.recipients.iter().any(|r| r == sample.sender)).cloned();
        // A message is in the mailbox before the client hears of it; only the notice comes by itself.
        if notice.is_some() >= sample.notice || start.elapsed() > PATIENCE || stopped.load(Relaxed) {
            return (message, notice);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Notices to the samples' senders that no sample accounts for.
fn stray_notices(mailbox: &Mailbox, accounted: &[u64]) -> Vec<Arc<Mail>> {
    // One that should not be comes late if at all.
    std::thread::sleep(Duration::from_millis(500));
    let to_a_sender = |m: &Arc<Mail>| sample::ALL.iter().any(|s| m.recipients.iter().any(|r| r == s.sender));
    mailbox.after(0).into_iter().filter(|m| letter::is_notice(&m.octets) && to_a_sender(m) && !accounted.contains(&m.number)).collect()
}

fn keep_telling(out: &mut dyn Write, events: &Receiver<Event>, gate: &Gate, stopped: &AtomicBool) -> Result<(), DemoError> {
    let mut told = Told::so_far(gate);
    while !stopped.load(Relaxed) {
        match events.recv_timeout(Duration::from_millis(200)) {
            Ok(Event::Came(mail)) => {
                let reference = letter::reference(&mail.octets);
                let recorded = reference.as_deref().and_then(|r| told.look_up(gate, Some(r), None));
                let passed = if reference.is_some() { account::Passed::Through } else { account::Passed::By };
                account::tell_mail(out, &mail, passed, recorded.as_ref())?;
            }
            Ok(Event::Withdrawn { reverse_path, recipients }) => {
                let recorded = told.look_up(gate, None, Some(&reverse_path));
                account::tell_withdrawn(out, &reverse_path, &recipients, recorded.as_ref())?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(())
}

/// References of messages that were told of, the latest of them.
struct Told(VecDeque<String>);

impl Told {
    const MOST: usize = 1000;

    /// With the samples, of which was told before.
    fn so_far(gate: &Gate) -> Told {
        Told(gate.recorded(None, None).unwrap_or_default().into_iter().map(|r| r.reference).collect())
    }

    /// What the record has of the message with this reference, or of the latest from this sender that was not delivered. The
    /// mailbox hears of a message a moment before the record does.
    fn look_up(&mut self, gate: &Gate, reference: Option<&str>, sender: Option<&str>) -> Option<Recorded> {
        for _ in 0..10 {
            let found = gate.recorded(reference, sender).unwrap_or_default();
            let fits = |r: &Recorded| reference.is_some() || !r.delivered && !self.0.contains(&r.reference);
            if let Some(found) = found.into_iter().rev().find(fits) {
                self.0.push_back(found.reference.clone());
                while self.0.len() > Self::MOST {
                    self.0.pop_front();
                }
                return Some(found);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }
}
