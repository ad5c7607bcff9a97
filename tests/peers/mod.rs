//! Real peers: mail programs send through the gateway to real providers, in each role, each TLS mode and each AUTH mechanism that
//! the peers have, and what is delivered is compared byte for byte below the gateway's Received field.
//!
//! `install.sh` beside this file brings the peers; each is started by a test on loopback and stopped by its recorded pid.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::support::certificates::certificates;
use crate::support::gateway::{Gateway, Site};
use crate::support::{CLERK, DOMAIN, PASSWORD, Scratch, below_received, difference, port, say, skip};

mod certificates_refused;
mod custody;
mod mail;
mod provider;
mod scanner;
mod signature;

use mail::{Auth, Case, Front, Program};
use provider::{Bearer, Exim, Postfix, TOKEN};

const OUTSIDER: &str = "jo@outside.test";

/// Where `install.sh` puts what is not a Debian package.
pub(crate) fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is below the target folder").join("peers")
}

/// Whether all of this is there; says aloud what is missing.
pub(crate) fn have(what: &str, programs: &[&str]) -> bool {
    let found = |program: &str| match program {
        "nodemailer" => cache().join("node_modules/nodemailer").is_dir(),
        "exim" => cache().join("exim/usr/sbin/exim4").is_file(),
        "clamd" => cache().join("clamav/usr/sbin/clamd").is_file(),
        "simplesamlphp" => cache().join("simplesamlphp/usr/share/simplesamlphp/www").is_dir(),
        "dkimpy" => Path::new("/usr/lib/python3/dist-packages/dkim").is_dir(),
        "root" => provider::root().is_some(),
        _ => {
            let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
            path.split(':').any(|folder| Path::new(folder).join(program).is_file())
        }
    };
    let missing: Vec<_> = programs.iter().copied().filter(|p| !found(p)).collect();
    if !missing.is_empty() {
        skip(what, &format!("{} missing (tests/peers/install.sh brings them)", missing.join(", ")));
    }
    missing.is_empty()
}

const CLIENTS: [&str; 5] = ["swaks", "curl", "msmtp", "python3", "node"];

#[test]
fn every_client_through_every_role_to_postfix() {
    let what = "Postfix with Dovecot as the upstream";
    if !have(what, &[&CLIENTS[..], &["postfix", "dovecot", "nodemailer", "root"]].concat()) {
        return;
    }
    let postfix = Postfix::start();
    let gateway = Site::new("postfix")
        .listener("starttls", "submission", "starttls", "sub", "")
        .listener("implicit", "submission", "implicit", "smtps", "")
        .listener("required", "submission", "starttls-required", "bare", "")
        .listener("connector", "connector", "starttls", "relay", "")
        .listener("clear", "connector", "none", "relay-clear", "")
        .listener("mx", "mx", "starttls", "mx", "")
        .upstream("sub", postfix.sub, "starttls", "")
        .upstream("smtps", postfix.smtps, "implicit", "")
        .upstream("bare", postfix.bare, "starttls", "")
        .upstream("relay", postfix.relay, "starttls", "")
        .upstream("relay-clear", postfix.relay, "none", "")
        .upstream("mx", postfix.mx, "opportunistic", "")
        .start();

    let mut cases = Vec::new();
    for program in Program::ALL {
        for auth in [Auth::Plain, Auth::Login] {
            cases.push(Case::new(program, "starttls", Front::Starttls, auth));
        }
        cases.push(Case::new(program, "implicit", Front::Implicit, Auth::Plain));
        cases.push(Case::new(program, "required", Front::Starttls, Auth::Login));
        cases.push(Case::new(program, "connector", Front::Starttls, Auth::None));
        cases.push(Case::new(program, "clear", Front::None, Auth::None));
        cases.push(Case { from: OUTSIDER, to: "clerk@wragby.test", ..Case::new(program, "mx", Front::Starttls, Auth::None) });
    }
    run(what, &gateway, &cases, &postfix.maildir());
    refusals_are_postfix_own_words(&gateway, &postfix);
    extensions_are_those_of_the_upstream(&gateway);
    no_secret_in(&gateway.log());
}

#[test]
fn submission_to_exim() {
    let what = "Exim as the upstream";
    if !have(what, &["swaks", "curl", "python3", "exim", "root"]) {
        return;
    }
    let exim = Exim::start();
    let gateway = Site::new("exim")
        .listener("starttls", "submission", "starttls", "sub", "")
        .listener("implicit", "submission", "implicit", "smtps", "")
        .upstream("sub", exim.sub, "starttls", "")
        .upstream("smtps", exim.smtps, "implicit", "")
        .start();
    let cases = [
        Case::new(Program::Swaks, "starttls", Front::Starttls, Auth::Plain),
        Case::new(Program::Curl, "starttls", Front::Starttls, Auth::Login),
        Case::new(Program::Smtplib, "implicit", Front::Implicit, Auth::Plain),
        Case::new(Program::Curl, "implicit", Front::Implicit, Auth::Login),
    ];
    run(what, &gateway, &cases, &exim.maildir());

    let mut client = mail::submit(&gateway, "starttls");
    let login = client.command(&format!("AUTH PLAIN {}", mail::plain(CLERK, PASSWORD))).expect("an answer");
    assert_eq!((login.code, &login.lines[0][..]), (235, "Authentication succeeded"));
    assert!(client.command(&format!("MAIL FROM:<{CLERK}>")).expect("an answer").ok());
    let refusal = client.command("RCPT TO:<gone@outside.test>").expect("an answer");
    assert_eq!((refusal.code, &refusal.lines[..]), (550, &["there is nobody".to_string(), "of that name here".to_string()][..]));
    no_secret_in(&gateway.log());
}

#[test]
fn bearer_tokens_pass() {
    let what = "XOAUTH2 and OAUTHBEARER";
    if !have(what, &["python3", "curl", "msmtp", "node", "nodemailer"]) {
        return;
    }
    let bearer = Bearer::start();
    let gateway = Site::new("bearer")
        .listener("starttls", "submission", "starttls", "oauth", "")
        .upstream("oauth", bearer.address, "starttls", "")
        .start();
    let cases = [
        Case::new(Program::Nodemailer, "starttls", Front::Starttls, Auth::XOAuth2),
        Case::new(Program::Curl, "starttls", Front::Starttls, Auth::XOAuth2),
        Case::new(Program::Msmtp, "starttls", Front::Starttls, Auth::XOAuth2),
        Case::new(Program::Curl, "starttls", Front::Starttls, Auth::OAuthBearer),
        Case::new(Program::Msmtp, "starttls", Front::Starttls, Auth::OAuthBearer),
    ];
    run(what, &gateway, &cases, &bearer.mailbox());

    // A wrong token: the reason in a 334, the client's empty answer, and only then the refusal, all in the provider's words.
    let mut client = mail::submit(&gateway, "starttls");
    let wrong = crate::support::base64(format!("user={CLERK}\x01auth=Bearer not-{TOKEN}\x01\x01").as_bytes());
    let challenge = client.command(&format!("AUTH XOAUTH2 {wrong}")).expect("an answer");
    assert_eq!(challenge.code, 334);
    assert!(String::from_utf8_lossy(&crate::support::unbase64(&challenge.lines[0])).contains("401"));
    let refusal = client.command("").expect("an answer");
    assert_eq!((refusal.code, &refusal.lines[0][..]), (535, "5.7.8 This token opens nothing"));
    no_secret_in(&gateway.log());
}

/// Runs the cases, three at a time, and says all that went wrong.
fn run(what: &str, gateway: &Gateway, cases: &[Case], mailbox: &Path) {
    let (queue, failures) = (Mutex::new(cases.iter().enumerate()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((number, case)) = { queue.lock().expect("no other panics").next() } {
                    if let Err(fault) = mail::deliver(gateway, case, number, mailbox) {
                        failures.lock().expect("no other panics").push(format!("{case:?}: {fault}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("all are done");
    assert!(failures.is_empty(), "{what}: {} of {} failed\n{}\n{}", failures.len(), cases.len(), failures.join("\n"), gateway.tail(30));
    say(&format!("peers: {what}: {} deliveries byte for byte", cases.len()));
}

/// What Postfix says to a client directly, it says to one of the gateway's.
fn refusals_are_postfix_own_words(gateway: &Gateway, postfix: &Postfix) {
    let mut direct = crate::support::client::Client::connect(postfix.relay).expect("Postfix answers");
    let mut through = crate::support::client::Client::connect(gateway.address("clear")).expect("the gateway answers");
    for client in [&mut direct, &mut through] {
        assert!(client.command("EHLO client.example").expect("an answer").ok());
    }
    for line in [&format!("MAIL FROM:<{CLERK}>"), "RCPT TO:<gone@outside.test>", "RCPT TO:<busy@outside.test>", "RCPT TO:<jo@outside.test>"]
    {
        assert_eq!(through.command(line).expect("an answer"), direct.command(line).expect("an answer"), "{line}");
    }

    let mut client = mail::submit(gateway, "starttls");
    let refused = client.command(&format!("AUTH PLAIN {}", mail::plain(CLERK, "wrong"))).expect("an answer");
    assert_eq!(refused.code, 535);
    assert!(refused.lines[0].starts_with("5.7.8 Error: authentication failed"), "{refused:?}");
}

/// EHLO is the upstream's, where it hides what it could do; before TLS, only what the gateway supplies itself.
fn extensions_are_those_of_the_upstream(gateway: &Gateway) {
    let mut all = mail::submit(gateway, "starttls");
    let mut bare = mail::submit(gateway, "required");
    let (all, bare) = (all.command("EHLO client.example").expect("an answer"), bare.command("EHLO client.example").expect("an answer"));
    for keyword in ["8BITMIME", "DSN", "SMTPUTF8", "AUTH", "SIZE", "PIPELINING", "CHUNKING", "ENHANCEDSTATUSCODES"] {
        assert!(all.offers(keyword), "{keyword} in {all:?}");
    }
    for keyword in ["8BITMIME", "DSN", "SMTPUTF8", "VRFY", "ETRN", "STARTTLS"] {
        assert!(!bare.offers(keyword), "{keyword} in {bare:?}");
    }
    for keyword in ["AUTH", "SIZE", "PIPELINING", "CHUNKING", "ENHANCEDSTATUSCODES"] {
        assert!(bare.offers(keyword), "{keyword} in {bare:?}");
    }
    assert!(!all.offers("VRFY") && !all.offers("ETRN"), "{all:?}");
}

/// Neither a credential nor an address nor a word of a message stands in the log.
fn no_secret_in(log: &str) {
    let encoded = [mail::plain(CLERK, PASSWORD), crate::support::base64(PASSWORD.as_bytes()), crate::support::base64(CLERK.as_bytes())];
    let secrets = [PASSWORD, TOKEN, CLERK, OUTSIDER, "gone@outside.test", mail::SUBJECT];
    for secret in secrets.into_iter().chain(encoded.iter().map(String::as_str)) {
        assert!(!log.contains(secret), "{secret:?} is in the log:\n{log}");
    }
}
