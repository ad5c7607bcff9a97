//! Pure benchmarks: no socket, no file, no clock within what is measured, so that instructions can be counted.
//!
//! `pure NAME ITERATIONS` does one of them that often and prints nothing; `benches/floor.py` runs it under callgrind with two
//! iteration counts and takes the difference. `pure list` names them. Without arguments (`cargo bench`) each is timed.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use lychgate::config::rules::{self, Site};
use lychgate::config::settings::{Council, Markings, People};
use lychgate::config::{Diagnostics, Source};
use lychgate::demo::shipped;
use lychgate::message::{EditPlan, RawMessage, Splice};
use lychgate::policy::outside::{Authentication, Fact};
use lychgate::policy::{
    Case, Envelope, FactVector, Facts, Login, Malformed, Mode, Outside, Policy, Recipient, Role, Session, Sources, evaluate, explain_facts,
};
use lychgate::smtp::address::Charset;
use lychgate::smtp::client::Asked;
use lychgate::smtp::data::{self, LineEnds};
use lychgate::smtp::server::{Limits, Starttls, Ticket};
use lychgate::smtp::{
    Address, Answer, Ask, ClientSession, Extensions, Final, Input, Outputs, Reply, ReversePath, ServerConfig, ServerSession,
};

mod judging;

/// One benchmark: sets up, and gives back what one iteration does.
type Set = fn() -> Box<dyn FnMut()>;

const ALL: &[(&str, Set)] = &[
    ("session-single", session_single),
    ("session-list", session_list),
    ("stuffing", stuffing),
    ("facts", facts),
    ("policy-shipped", policy_shipped),
    ("policy-recorded", policy_recorded),
    ("policy-patterns", policy_patterns),
    ("splice-untouched", splice_untouched),
    ("splice-hide", splice_hide),
];

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => time_all(),
        ["list"] => names().for_each(|name| println!("{name}")),
        [name, iterations] => {
            let (Some(mut once), Ok(iterations)) = (set(name), iterations.parse::<u64>()) else {
                return usage();
            };
            (0..iterations).for_each(|_| once());
        }
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn names() -> impl Iterator<Item = String> {
    ALL.iter().map(|(name, _)| name.to_string()).chain(judging::names())
}

fn set(name: &str) -> Option<Box<dyn FnMut()>> {
    ALL.iter().find(|(n, _)| *n == name).map(|(_, set)| set()).or_else(|| judging::set(name))
}

fn usage() -> ExitCode {
    eprintln!("pure [list | NAME ITERATIONS]");
    ExitCode::FAILURE
}

fn time_all() {
    for name in names() {
        let mut once = set(&name).expect("each name is one of a benchmark");
        let mut iterations = 1u64;
        let nanoseconds = loop {
            let start = Instant::now();
            (0..iterations).for_each(|_| once());
            let spent = start.elapsed();
            if spent.as_millis() >= 200 {
                break spent.as_nanos() as f64 / iterations as f64;
            }
            iterations *= 2;
        };
        println!("{name:<24} {nanoseconds:>12.1} ns each");
    }
}

/// An agenda to seventeen residents, 10 KiB.
fn agenda() -> RawMessage {
    let mut text = String::from(
        "Received: from laptop ([192.0.2.7]) by mail.example; Thu, 14 May 2026 10:11:12 +0100\r\nFrom: The Clerk <clerk@council.example>\r\nTo: ",
    );
    for k in 0..17 {
        text.push_str(&format!("{}Resident {k} <resident{k}@village.example>", if k > 0 { ",\r\n " } else { "" }));
    }
    text.push_str("\r\nSubject: Agenda\r\nDate: Thu, 14 May 2026 10:11:12 +0100\r\nMessage-ID: <1.bench@council.example>\r\n\r\n");
    while text.len() < 10_240 {
        text.push_str("The council will consider the hedge, the drain and the footpath.\r\n");
    }
    RawMessage::new(text.into_bytes())
}

/// The common case: one Received field in front, nothing else.
fn splice_untouched() -> Box<dyn FnMut()> {
    let message = agenda();
    Box::new(move || {
        let mut plan = EditPlan::new();
        plan.prefix(b"Received: from a by b with ESMTPA id 7F3K; Thu, 14 May 2026 10:11:12 +0100\r\n");
        let splice = Splice::apply(black_box(&message), &plan);
        black_box(splice.slices().iter().map(|s| s.len()).sum::<usize>());
    })
}

/// To replaced, one Received field in front.
fn splice_hide() -> Box<dyn FnMut()> {
    let message = agenda();
    let find = |what: &[u8]| memchr::memmem::find(message.as_bytes(), what).expect("the field stands in the message");
    let to = find(b"\r\nTo:") + 2..find(b"\r\nSubject:") + 2;
    Box::new(move || {
        let mut plan = EditPlan::new();
        plan.prefix(b"Received: from a by b with ESMTPA id 7F3K; Thu, 14 May 2026 10:11:12 +0100\r\n");
        plan.edit(to.clone(), &b"To: undisclosed-recipients:;\r\n"[..]).expect("one edit overlaps no other");
        let splice = Splice::apply(black_box(&message), &plan);
        black_box(splice.slices().iter().map(|s| s.len()).sum::<usize>());
    })
}

/// The agenda judged by the rules that come with Lychgate, its recipients hidden by them.
fn policy_shipped() -> Box<dyn FnMut()> {
    judged(compiled(shipped::RULES), agenda(), Some(1))
}

/// The same, and what the record keeps of it.
fn policy_recorded() -> Box<dyn FnMut()> {
    let (policy, message) = (compiled(shipped::RULES), agenda());
    let (envelope, session, outside) = (envelope(), submission(), harmless(&policy));
    Box::new(move || {
        let case = Case { message: black_box(&message), envelope: &envelope, session: &session, now: now(), outside: &outside };
        let facts = Facts::new(&case, &policy);
        facts.keep_readings();
        let verdict = evaluate(&policy, &facts);
        black_box(FactVector::of(&facts, &verdict));
    })
}

/// An ordinary message held against a hundred patterns more, none of which fits.
fn policy_patterns() -> Box<dyn FnMut()> {
    let text = String::from_utf8(agenda().as_bytes().to_vec()).expect("it is ASCII");
    let (before, after) = (text.find("To:").expect("it has To"), text.find("Subject:").expect("it has Subject"));
    let reply = format!("{}To: Resident 1 <resident1@village.example>\r\n{}", &text[..before], &text[after..]);
    let files = [shipped::RULES, &[("patterns.toml", include_str!("patterns.toml"))]].concat();
    judged(compiled(&files), RawMessage::new(reply.into_bytes()), Some(0))
}

/// Everything that could be asked about a message.
fn facts() -> Box<dyn FnMut()> {
    let policy = compiled(shipped::RULES);
    let message = agenda();
    let (envelope, session) = (envelope(), submission());
    Box::new(move || {
        let case = Case { message: black_box(&message), envelope: &envelope, session: &session, now: now(), outside: Outside::unasked() };
        black_box(explain_facts(&Facts::new(&case, &policy)));
    })
}

/// `edits`: how many there must be, where that is known.
fn judged(policy: Policy, message: RawMessage, edits: Option<usize>) -> Box<dyn FnMut()> {
    let (envelope, session, outside) = (envelope(), submission(), harmless(&policy));
    Box::new(move || {
        let case = Case { message: black_box(&message), envelope: &envelope, session: &session, now: now(), outside: &outside };
        let verdict = evaluate(&policy, &Facts::new(&case, &policy));
        assert!(edits.is_none_or(|n| verdict.edits.len() == n), "{:?}", verdict.matches);
        black_box(verdict);
    })
}

/// All that can be asked outside was asked, and nothing was found.
fn harmless(policy: &Policy) -> Outside {
    Outside {
        virus: Fact::Known(false),
        spf: Fact::Known(Authentication::Pass),
        dkim: Fact::Known(Authentication::Pass),
        dmarc: Fact::Known(Authentication::Pass),
        seen_together: Fact::Known(false),
        first_contact: Fact::Known(false),
        rates: policy.rates().iter().map(|_| Fact::Known(1)).collect(),
        ..Outside::default()
    }
}

fn compiled(files: &[(&str, &str)]) -> Policy {
    loaded(files).unwrap_or_else(|faults| panic!("{faults}"))
}

fn loaded(files: &[(&str, &str)]) -> Result<Policy, Diagnostics> {
    let council = Council {
        name: "Bench Parish Council".into(),
        domains: vec!["council.example".into()],
        clerk: Some("clerk@council.example".into()),
        chair: None,
        review: None,
    };
    let (people, markings) = (People::default(), Markings::default());
    let listeners = [("submission".into(), Role::Submission)];
    let site = Site {
        council: &council,
        people: &people,
        markings: &markings,
        encryption: &Default::default(),
        mode: Mode::Enforce,
        malformed: Malformed::Judge,
        bank_accounts: &[],
        listeners: &listeners,
        source: None,
        tune: &[],
        desk: Default::default(),
        sources: Sources::ALL,
    };
    let files: Vec<_> = files.iter().map(|(name, text)| Arc::new(Source { name: (*name).into(), text: (*text).into() })).collect();
    let mut faults = Diagnostics::new();
    rules::load(&files, &site, &mut faults).ok_or(faults)
}

fn envelope() -> Envelope {
    let address = |text: &str| Address::parse(text, Charset::Ascii).expect("it is an address");
    let recipient = |k: usize| Recipient { address: address(&format!("resident{k}@village.example")), reply_code: 250 };
    Envelope { reverse_path: ReversePath::Address(address("clerk@council.example")), recipients: (0..17).map(recipient).collect() }
}

fn submission() -> Session {
    Session { role: Role::Submission, listener: "submission".into(), login: Login::Known("clerk@council.example".into()), tls: true }
}

/// Always the same.
fn now() -> jiff::Zoned {
    jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC)
}

/// A session with one message to one recipient, a command at a time, both machines of a relay at work.
fn session_single() -> Box<dyn FnMut()> {
    let mut script: Vec<Vec<u8>> =
        ["EHLO laptop.example", "MAIL FROM:<clerk@council.example>", "RCPT TO:<resident@village.example>", "DATA"]
            .iter()
            .map(|line| format!("{line}\r\n").into_bytes())
            .collect();
    script.push([agenda().as_bytes(), b".\r\n"].concat());
    script.push(b"QUIT\r\n".to_vec());
    session(script)
}

/// A message to 100 recipients, the envelope in one packet (RFC 2920).
fn session_list() -> Box<dyn FnMut()> {
    let mut envelope = String::from("MAIL FROM:<clerk@council.example>\r\n");
    for k in 0..100 {
        envelope.push_str(&format!("RCPT TO:<resident{k}@village.example>\r\n"));
    }
    envelope.push_str("DATA\r\n");
    session(vec![
        b"EHLO laptop.example\r\n".to_vec(),
        envelope.into_bytes(),
        [agenda().as_bytes(), b".\r\n"].concat(),
        b"QUIT\r\n".to_vec(),
    ])
}

fn session(script: Vec<Vec<u8>>) -> Box<dyn FnMut()> {
    let limits = Limits { message: 35_000_000, recipients: 1000, commands: 1000, errors: 10 };
    let config = Arc::new(ServerConfig {
        hostname: "gateway.example".into(),
        starttls: Starttls::No,
        auth: false,
        line_ends: LineEnds::Refuse,
        limits,
    });
    Box::new(move || {
        let mut out = Outputs::default();
        let mut server = ServerSession::new(config.clone(), false, &mut out);
        let mut upstream = ClientSession::new();
        upstream.receive(b"220 upstream.example\r\n");
        assert!(upstream.next_reply().is_ok());
        for said in &script {
            server = server.handle(Input::Bytes(said), &mut out);
            while !out.asks.is_empty() {
                for (ticket, ask) in std::mem::take(&mut out.asks) {
                    server = answer(server, &mut upstream, ticket, ask, &mut out);
                }
            }
            black_box(&out.send);
            out.send.clear();
        }
        assert!(out.close, "the script ends with QUIT");
    })
}

/// What a relay does with each question: asks the upstream, and passes on its words.
fn answer(server: ServerSession, upstream: &mut ClientSession, ticket: Ticket, ask: Ask, out: &mut Outputs) -> ServerSession {
    let answer = match ask {
        Ask::Hello { .. } => Answer::Offer(Extensions::own(35_000_000)),
        Ask::Mail(mail) => {
            black_box(mail);
            Answer::Reply(relayed(upstream, Asked::Mail))
        }
        Ask::Rcpt(rcpt) => {
            black_box(rcpt);
            Answer::Reply(relayed(upstream, Asked::Rcpt))
        }
        Ask::Message(received) => {
            black_box(received);
            match ClientSession::conclude(relayed(upstream, Asked::Final)) {
                Final::Committed(committed) => Answer::Committed(committed),
                Final::Refused(reply) => Answer::Reply(reply),
            }
        }
        Ask::Reset | Ask::Login(_) | Ask::AuthBegin { .. } | Ask::AuthLine(_) => return server,
    };
    server.handle(Input::Decided(ticket, answer), out)
}

fn relayed(upstream: &mut ClientSession, asked: Asked) -> Reply {
    upstream.asked(asked);
    upstream.receive(b"250 2.1.5 Ok\r\n");
    let (_, reply) = upstream.next_reply().expect("the reply is well formed").expect("the reply is whole");
    reply
}

/// 10 KiB on its way upstream.
fn stuffing() -> Box<dyn FnMut()> {
    let message = agenda();
    let mut wire = Vec::with_capacity(16_384);
    Box::new(move || {
        wire.clear();
        data::Stuffed::new(&[black_box(message.as_bytes())]).for_each(|octets| wire.extend_from_slice(octets));
        black_box(&wire);
    })
}
