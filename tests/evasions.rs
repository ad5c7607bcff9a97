//! Attempts to slip something past the rules by writing a message that programs read in different ways: each must meet the verdict
//! that its strictest reading deserves. Beside each stands the same trick with nothing to hide, which must pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use lychgate::config::Source;
use lychgate::message::reading;
use lychgate::message::{RawMessage, Splice, View};
use lychgate::policy::{
    Case, Disposition, Envelope, Facts, Login, Malformed, Mode, Outside, Policy, Recipient, Role, Session, Verdict, evaluate,
};
use lychgate::smtp::address::Charset;
use lychgate::smtp::{Address, ReversePath};
use proptest::prelude::*;

use crate::rule_cases;
use crate::support::{given, say};

const RULES: &str = r#"
[[rule]]
id = "C"
when.direction = "outbound"
when.marked = "confidential"
when.protected = false
then.reject = "confidential"

[[rule]]
id = "E"
when.attachment.kinds = ["executable"]
then.reject = "program"

[[rule]]
id = "V"
when.visible-external.at-least = 3
then.reject = "visible"

[[rule]]
id = "W"
when.body = { in = "all", words = ["hedgehog"] }
then.reject = "word"

[[rule]]
id = "S"
when.sender = "cllr.elm@wragbyparishcouncil.gov.uk"
then.reject = "sender"

[[rule]]
id = "F"
when.ambiguous = ["fragment"]
then.reject = "fragment"
"#;

const COUNCIL: &str = "wragbyparishcouncil.gov.uk";

fn policy(toml: &str, malformed: Malformed) -> Policy {
    let (policy, found) = rule_cases::load_as(&[Arc::new(Source { name: "x.toml".into(), text: toml.into() })], Mode::Enforce, malformed);
    policy.unwrap_or_else(|| panic!("{found}"))
}

fn judged(policy: &Policy, raw: &RawMessage) -> Verdict {
    let address = |a: &str| Address::parse(a, Charset::Ascii).expect("an address");
    let envelope = Envelope {
        reverse_path: ReversePath::Address(address(&format!("clerk@{COUNCIL}"))),
        recipients: vec![Recipient { address: address("a@law.example"), reply_code: 250 }],
    };
    let session = Session { role: Role::Submission, listener: "submission".into(), login: Login::None, tls: true };
    let case = Case {
        message: raw,
        envelope: &envelope,
        session: &session,
        now: "2026-05-14T10:00[UTC]".parse().expect("now"),
        outside: Outside::unasked(),
    };
    evaluate(policy, &Facts::new(&case, policy))
}

fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in octets.chunks(3) {
        let at = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            if i <= group.len() {
                out.push(char::from(DIGITS[(word >> (18 - 6 * i)) as usize & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// Fills a message: what it hides, or something harmless. `{64:…}` is encoded.
fn filled(text: &str, harmful: bool) -> Vec<u8> {
    let pick = |bad: &str, good: &str| if harmful { bad.to_string() } else { good.to_string() };
    let mut text = text
        .replace("{NAME}", &pick("a.exe", "a.txt"))
        .replace("{EXT}", &pick("exe", "txt"))
        .replace("{MARK}", &pick("[CONFIDENTIAL]", "[Agenda]"))
        .replace("{SENSITIVITY}", &pick("Company-Confidential", "Normal"))
        .replace("{WORD}", &pick("hedgehog", "squirrel"))
        .replace("{HALF}", &pick("hedge<b></b>hog", "squir<b></b>rel"))
        .replace("{HOST}", &pick("gmail.com", COUNCIL))
        .replace("{SENDER}", &pick("cllr.elm", "cllr.ashby"))
        .replace("{FRAGMENT}", &pick("message/partial; id=x; number=1; total=2", "text/plain"));
    while let Some(at) = text.find("{64:") {
        let end = at + text[at..].find(":64}").expect("an end");
        let encoded = base64(text[at + 4..end].replace('\n', "\r\n").as_bytes());
        text.replace_range(at..end + 4, &encoded);
    }
    let from = if text.contains("From:") || text.contains("From :") { String::new() } else { format!("From: clerk@{COUNCIL}\n") };
    let to = if text.to_lowercase().contains("\nto:") || text.starts_with("To:") { "" } else { "To: a@law.example\n" };
    format!("{from}{to}{text}").replace('\n', "\r\n").into_bytes()
}

/// A multipart body with one file.
const FILE: &str =
    "--b\n\nSee the file.\n--b\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename={NAME}\n\nMZ\n--b--\n";

/// (what is tried, the rule that must stop it, the message)
fn attempts() -> Vec<(&'static str, &'static str, String)> {
    let file = |header: &str| format!("Subject: x\n{header}\n\n{FILE}");
    let disposition =
        |fields: &str| format!("Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nSee.\n--b\n{fields}\n\ncontent\n--b--\n");
    let uu = "begin 644 {NAME}\n#0V%T\n`\nend\n";
    let deep = format!("Subject: x\n{}{{WORD}}\n", "Content-Type: message/rfc822\n\n".repeat(40));
    let mut list: Vec<(&str, &str, String)> = vec![
        ("two subjects, the last marked", "C", "Subject: x\nSubject: {MARK} pay\n\nx\n".into()),
        ("two subjects, the first marked", "C", "Subject: {MARK} pay\nSubject: x\n\nx\n".into()),
        ("three subjects, the last marked", "C", "Subject: x\nSubject: y\nSubject: {MARK} pay\n\nx\n".into()),
        ("two sensitivities, the last marked", "C", "Subject: x\nSensitivity: Normal\nSensitivity: {SENSITIVITY}\n\nx\n".into()),
        ("a subject behind a line that is no field", "C", "To: a@law.example\nno field at all\nSubject: {MARK} pay\n\nx\n".into()),
        ("a subject with a blank before its colon", "C", "Subject : {MARK} pay\n\nx\n".into()),
        ("a subject in encoded words", "C", "Subject: =?utf-8?q?{MARK}?= pay\n\nx\n".into()),
        ("two types, the last with a program", "E", file("Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=b")),
        ("two types, the first with a program", "E", file("Content-Type: multipart/mixed; boundary=b\nContent-Type: text/plain")),
        ("a comment in the type", "E", file("Content-Type: multipart/(x)mixed; boundary=b")),
        ("a comment with a semicolon in the type", "E", file("Content-Type: multipart/mixed(; boundary=c); boundary=b")),
        ("a comment that is no comment to some", "E", file("Content-Type: multipart/mixed (; boundary=b;)")),
        ("a type in an encoded word", "E", file("Content-Type: =?utf-8?q?multipart/mixed?=; boundary=b")),
        ("a type in quotation marks", "E", file("Content-Type: \"multipart/mixed\"; boundary=b")),
        ("half a type", "E", file("Content-Type: multipart; boundary=b")),
        ("a type with blanks in it", "E", file("Content-Type: multipart / mixed ; boundary=b")),
        ("a type in capitals", "E", file("CONTENT-TYPE: MULTIPART/MIXED; BOUNDARY=b")),
        ("a folded type", "E", file("Content-Type:\n multipart/mixed;\n\tboundary=\n b")),
        (
            "a type with a blank before its colon beside another",
            "E",
            file("Content-Type : text/plain\nContent-Type: multipart/mixed; boundary=b"),
        ),
        ("a type behind a line that is no field", "E", file("junk\nContent-Type: multipart/mixed; boundary=b")),
        ("HTML whose type has a comment", "W", "Subject: x\nContent-Type: text/(x)html\n\n<p>a {HALF} b</p>\n".into()),
        ("HTML whose type is half a type", "W", "Subject: x\nContent-Type: html\n\n<p>a {HALF} b</p>\n".into()),
        (
            "two encodings, the last base64",
            "W",
            "Subject: x\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\n{64:a {WORD} b:64}\n".into(),
        ),
        (
            "two encodings, the first base64",
            "W",
            "Subject: x\nContent-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n\n{64:a {WORD} b:64}\n".into(),
        ),
        ("an encoding that nobody knows", "W", "Subject: x\nContent-Transfer-Encoding: x-b64\n\n{64:a {WORD} b:64}\n".into()),
        ("an encoding with a comment before it", "W", "Subject: x\nContent-Transfer-Encoding: (x) base64\n\n{64:a {WORD} b:64}\n".into()),
        (
            "base64 behind its padding",
            "W",
            "Subject: x\nContent-Transfer-Encoding: base64\n\n{64:minutes :64}\n{64:of:64}\n{64: a {WORD}:64}\n".into(),
        ),
        (
            "base64 before its padding",
            "W",
            "Subject: x\nContent-Transfer-Encoding: base64\n\n{64:the {WORD}:64}=\n{64:s are here:64}\n".into(),
        ),
        (
            "an encoded multipart",
            "E",
            format!("Subject: x\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n{{64:{FILE}:64}}\n"),
        ),
        (
            "an encoded message",
            "E",
            format!(
                "Subject: x\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{{64:Subject: y\nContent-Type: multipart/mixed; boundary=b\n\n{FILE}:64}}\n"
            ),
        ),
        (
            "two dispositions",
            "E",
            disposition("Content-Disposition: inline; filename=a.txt\nContent-Disposition: attachment; filename={NAME}"),
        ),
        (
            "two dispositions, the other way round",
            "E",
            disposition("Content-Disposition: attachment; filename={NAME}\nContent-Disposition: inline; filename=a.txt"),
        ),
        (
            "an extended name beside a plain one",
            "E",
            disposition("Content-Disposition: attachment; filename*=utf-8''a.txt; filename={NAME}"),
        ),
        (
            "a plain name beside an extended one",
            "E",
            disposition("Content-Disposition: attachment; filename=a.txt; filename*=utf-8''a.{EXT}"),
        ),
        ("a name in the type", "E", disposition("Content-Type: text/plain; name={NAME}\nContent-Disposition: attachment; filename=a.txt")),
        (
            "a name in the disposition",
            "E",
            disposition("Content-Type: text/plain; name=a.txt\nContent-Disposition: attachment; filename={NAME}"),
        ),
        ("an extended name in the type", "E", disposition("Content-Type: text/plain; name*=utf-8''a.{EXT}; name=a.txt")),
        ("a name twice", "E", disposition("Content-Disposition: attachment; filename=a.txt; filename={NAME}")),
        ("a name in sections", "E", disposition("Content-Disposition: attachment; filename*0=\"a.\"; filename*1={EXT}")),
        ("a name in sections out of order", "E", disposition("Content-Disposition: attachment; filename*1={EXT}; filename*0*=utf-8''a%2E")),
        ("a name in an encoded word", "E", disposition("Content-Disposition: attachment; filename=\"=?utf-8?q?a=2E{EXT}?=\"")),
        ("a name under the wrong word", "E", disposition("Content-Disposition: attachment; name={NAME}")),
        ("a boundary twice", "E", file("Content-Type: multipart/mixed; boundary=c; boundary=b")),
        ("a boundary twice, the other way round", "E", file("Content-Type: multipart/mixed; boundary=b; boundary=c")),
        ("an extended boundary beside a plain one", "E", file("Content-Type: multipart/mixed; boundary=c; boundary*=us-ascii''b")),
        ("a boundary in sections", "E", file("Content-Type: multipart/mixed; boundary*0=\"\"; boundary*1=b")),
        ("a boundary with a blank at its end", "E", file("Content-Type: multipart/mixed; boundary=\"b \"")),
        ("a boundary in another case", "E", file("Content-Type: multipart/mixed; boundary=B")),
        ("no boundary", "E", file("Content-Type: multipart/mixed")),
        ("a boundary that is never used", "E", file("Content-Type: multipart/mixed; boundary=zz")),
        (
            "a boundary that begins the lines",
            "E",
            format!("Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n{}", FILE.replace("--b\nC", "--bc\nC")),
        ),
        ("a part without an end", "E", format!("Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n{}", FILE.replace("--b--\n", ""))),
        ("a part behind the end", "E", format!("Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nAll.\n--b--\n{FILE}")),
        ("a part with junk in its header", "E", disposition("junk here\nContent-Disposition: attachment; filename={NAME}")),
        ("text in a multipart without parts", "W", "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\nThe {WORD}.\n".into()),
        ("text behind a line of blanks", "W", "Subject: x\n \nX-Text: the {WORD} is\n here\n\nMinutes.\n".into()),
        ("text that is no field", "W", "Subject: x\nThe {WORD} is here\n\nMinutes.\n".into()),
        ("a uuencoded program", "E", format!("Subject: x\n\nSee:\n{uu}")),
        ("a uuencoded program without an end", "E", "Subject: x\n\nSee:\nbegin 644 {NAME}\n#0V%T\n".into()),
        ("a uuencoded program in base64", "E", format!("Subject: x\nContent-Transfer-Encoding: base64\n\n{{64:See:\n{uu}:64}}\n")),
        (
            "a uuencoded program in quoted-printable",
            "E",
            "Subject: x\nContent-Transfer-Encoding: quoted-printable\n\nSee:\n=62egin 644 {NAME}\n#0V%T\n`\nend\n".into(),
        ),
        ("a program in yEnc", "E", "Subject: x\n\nSee:\n=ybegin line=128 size=3 name={NAME}\nwww\n=yend size=3\n".into()),
        ("a fragment", "F", "Subject: x\nContent-Type: {FRAGMENT}\n\nx\n".into()),
        ("two authors, the last the one", "S", format!("From: chair@{COUNCIL}, {{SENDER}}@{COUNCIL}\nSubject: x\n\nx\n")),
        ("two authors, the first the one", "S", format!("From: {{SENDER}}@{COUNCIL}, chair@{COUNCIL}\nSubject: x\n\nx\n")),
        ("two From fields", "S", format!("From: chair@{COUNCIL}\nFrom: {{SENDER}}@{COUNCIL}\nSubject: x\n\nx\n")),
        ("an author in quotes before the at", "S", format!("From: \"{{SENDER}}@{COUNCIL}\"@{COUNCIL}\nSubject: x\n\nx\n")),
        ("text nested too deep", "malformed", deep),
    ];
    for (what, to) in [
        ("two To fields", "To: a@{HOST}, b@{HOST}\nTo: c@{HOST}"),
        ("a group", "To: Residents: a@{HOST}, b@{HOST}, c@{HOST};"),
        ("a group without an end", "To: Residents: a@{HOST}, b@{HOST}, c@{HOST}"),
        ("source routes", "To: <@x.uk:a@{HOST}>, <@x.uk,@y.uk:b@{HOST}>, <@x.uk:c@{HOST}>"),
        ("comments in addresses", "To: a(x)@{HOST}, b@(y){HOST}, c (z) @ (z) {HOST}"),
        ("blanks and folds in addresses", "To: a @ {HOST},\n b@ {HOST},\n\tc @\n {HOST}"),
        ("encoded addresses", "To: =?utf-8?q?a=40{HOST}?=, =?utf-8?q?b=40{HOST}?=, =?utf-8?q?=3Cc=40{HOST}=3E?="),
        ("no angle brackets", "To: Al a@{HOST}, Bo b@{HOST}, Cy c@{HOST}"),
        ("semicolons", "To: a@{HOST}; b@{HOST}; c@{HOST}"),
        ("blanks between", "To: <a@{HOST}> <b@{HOST}> <c@{HOST}>"),
        ("open angle brackets", "To: Al <a@{HOST}, Bo <b@{HOST}, Cy <c@{HOST}"),
        (
            "quoted local parts",
            "To: \"a@{HOST}\"@wragbyparishcouncil.gov.uk, \"b@{HOST}\"@wragbyparishcouncil.gov.uk, \"c@{HOST}\"@wragbyparishcouncil.gov.uk",
        ),
        ("names that are addresses", "To: \"a@{HOST}, b@{HOST}, c@{HOST}\" <clerk@wragbyparishcouncil.gov.uk>"),
        ("comments that are addresses", "To: clerk@wragbyparishcouncil.gov.uk (a@{HOST} b@{HOST} c@{HOST})"),
        ("recipients behind a line that is no field", "To: clerk@wragbyparishcouncil.gov.uk\nno field\nCc: a@{HOST}, b@{HOST}, c@{HOST}"),
        ("a Cc with a blank before its colon", "To: clerk@wragbyparishcouncil.gov.uk\nCc : a@{HOST}, b@{HOST}, c@{HOST}"),
        ("a Cc in capitals and tabs", "To: clerk@wragbyparishcouncil.gov.uk\nCC:\ta@{HOST},\n\tb@{HOST},\n\tc@{HOST}"),
        ("resent to many", "To: clerk@wragbyparishcouncil.gov.uk\nResent-To: a@{HOST}, b@{HOST}\nResent-Cc: c@{HOST}"),
        (
            "percent and at",
            "To: a@{HOST}@wragbyparishcouncil.gov.uk, b@{HOST}@wragbyparishcouncil.gov.uk, c@{HOST}@wragbyparishcouncil.gov.uk",
        ),
    ] {
        list.push((what, "V", format!("{to}\nSubject: x\n\nx\n")));
    }
    list
}

#[test]
fn nothing_slips_past_by_being_read_twice() {
    let policy = policy(RULES, Malformed::Judge);
    let attempts = attempts();
    assert!(attempts.len() >= 80, "only {}", attempts.len());
    let mut failures = Vec::new();
    for (what, rule, text) in &attempts {
        let raw = RawMessage::new(filled(text, true));
        let verdict = judged(&policy, &raw);
        if !verdict.matches.iter().any(|m| *m.rule == **rule) || verdict.disposition.word() != "reject" {
            failures.push(format!("{what}: {:?} by {:?}, not by {rule}", verdict.disposition, verdict.decided_by));
        }
        if *rule == "malformed" {
            continue;
        }
        let raw = RawMessage::new(filled(text, false));
        let verdict = judged(&policy, &raw);
        if verdict.disposition != Disposition::Deliver || !verdict.matches.is_empty() {
            failures.push(format!("{what}, harmless: {:?} by {:?}", verdict.disposition, verdict.decided_by));
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), attempts.len(), failures.join("\n"));
    say(&format!("evasions: {} attempts stopped, {} harmless twins passed", attempts.len(), attempts.len() - 1));
}

/// With `malformed = "reject"` whatever has two readings is refused with 5.6.0, and what has one is not.
#[test]
fn what_has_two_readings_can_be_refused() {
    let policy = policy(RULES, Malformed::Reject);
    let refused = |text: &str| matches!(judged(&policy, &RawMessage::new(filled(text, false))).disposition, Disposition::Malformed { .. });
    assert!(refused("Subject: x\nSubject: y\n\nx\n"));
    assert!(refused("Subject: x\nContent-Type: multipart/mixed\n\n--b\n\nx\n--b--\n"));
    assert!(!refused("Subject: x\nSubject: x\n\nx\n"));
    assert!(!refused("Subject: x\n\nx\n"));
}

/// More readings than anybody can judge are refused in either setting.
#[test]
fn too_many_readings_are_refused() {
    let policy = policy(RULES, Malformed::Judge);
    let fields: String =
        ["Subject", "Reply-To", "To", "Cc", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Sensitivity"]
            .iter()
            .flat_map(|name| [format!("{name}: a\n"), format!("{name}: b\n")])
            .collect();
    let raw = RawMessage::new(filled(&format!("{fields}\nx\n"), false));
    let others = reading::others(&View::new(raw.as_bytes()));
    assert!(others.too_many && others.readings.len() <= reading::MAX_READINGS);
    let verdict = judged(&policy, &raw);
    assert!(matches!(&verdict.disposition, Disposition::Malformed { text } if text.contains("too many ways")), "{:?}", verdict.disposition);
}

/// The Clerk reads which reader would see it so.
#[test]
fn a_match_says_who_reads_so() {
    let policy = policy(RULES, Malformed::Judge);
    let verdict = judged(&policy, &RawMessage::new(filled("Subject: x\nSubject: {MARK} pay\n\nx\n", true)));
    let found = verdict.matches.iter().find(|m| *m.rule == *"C").expect("it matches");
    assert!(found.because.iter().any(|b| b == "as a reader that takes the last Subject sees it"), "{:?}", found.because);
}

/// Hidden recipients are hidden from every reader.
#[test]
fn recipients_are_hidden_from_every_reader() {
    let rules = "[[rule]]\nid = \"hide\"\nwhen.visible-external.at-least = 2\nthen.hide-recipients = \"bcc\"\n";
    let policy = policy(rules, Malformed::Judge);
    for to in [
        "To: a@gmail.com, b@gmail.com",
        "To: a@gmail.com\nTo: b@gmail.com",
        "To: clerk@wragbyparishcouncil.gov.uk\nno field\nCc: a@gmail.com, b@gmail.com",
        "To: clerk@wragbyparishcouncil.gov.uk\nno field\nCc: a@gmail.com, b@gmail.com\nno field\nCc: c@gmail.com",
        "To: clerk@wragbyparishcouncil.gov.uk\nCc : a@gmail.com, b@gmail.com",
        "To: \"a@gmail.com\"@wragbyparishcouncil.gov.uk, \"b@gmail.com\"@wragbyparishcouncil.gov.uk",
        "To: \"a@gmail.com b@gmail.com\" <clerk@wragbyparishcouncil.gov.uk>",
        "To: Friends: a@gmail.com, b@gmail.com",
    ] {
        let raw = RawMessage::new(filled(&format!("{to}\nSubject: x\n\nx\n"), false));
        let verdict = judged(&policy, &raw);
        let sent = Splice::apply(&raw, &verdict.plan).to_vec();
        let shown = String::from_utf8_lossy(&sent).contains("gmail");
        assert_eq!(
            verdict.disposition == Disposition::Deliver,
            !shown,
            "{to:?}: {:?}\n{}",
            verdict.disposition,
            String::from_utf8_lossy(&sent)
        );
        assert!(verdict.disposition == Disposition::Deliver || matches!(verdict.disposition, Disposition::Malformed { .. }), "{to:?}");
    }
}

/// Real mail that is merely sloppy is judged, and hardly any of it has readings beyond counting.
#[test]
fn given_mail_is_not_unduly_ambiguous() {
    let Some(folder) = given("given messages by their readings") else { return };
    let truth = std::fs::read_to_string(folder.join("TRUTH.tsv")).expect("the list of given messages is text");
    let (mut all, mut odd, mut many, mut too_many, mut unreadable) = (0, 0, 0, Vec::new(), Vec::new());
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for path in truth.lines().skip(1).filter_map(|l| l.split_once("\tmessage\t")).map(|(path, _)| path) {
        let bytes = std::fs::read(folder.join(path)).expect("a given message can be read");
        // A mailbox's own line is no part of the message.
        let bytes = match bytes.strip_prefix(b"From ") {
            Some(rest) => rest.split_at(rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |i| i + 1)).1,
            None => &bytes[..],
        };
        let text = bytes.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l)).collect::<Vec<_>>().join(&b"\r\n"[..]);
        let view = View::new(&text);
        all += 1;
        odd += usize::from(!view.ambiguities().is_empty());
        for kind in view.ambiguities() {
            *kinds.entry(format!("{kind}")).or_default() += 1;
        }
        if view.odd().iter().any(|a| a.kind() == lychgate::message::ambiguity::Kind::Unreadable) {
            unreadable.push(path.to_string());
        }
        let others = reading::others(&view);
        many += usize::from(!others.readings.is_empty());
        if others.too_many {
            too_many.push(format!("{path}: {:?}", view.questions().collect::<Vec<_>>()));
        }
    }
    for (kind, n) in &kinds {
        say(&format!("given mail: {n} of {all}: {kind}"));
    }
    say(&format!(
        "given mail: {odd} of {all} ambiguous, {many} with several readings, {} with too many, {} beyond reading",
        too_many.len(),
        unreadable.len()
    ));
    assert!(all > 1000, "only {all}");
    assert!(too_many.len() * 200 <= all, "{}", too_many.join("\n"));
    // Many of the given are parser tests, broken on purpose.
    assert!(many * 6 <= all, "{many} of {all}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    /// A second field never makes the verdict milder than the stricter of the two messages that have one each: those, judged alone,
    /// are the second implementation.
    #[test]
    fn a_second_field_never_helps(
        field in proptest::sample::select(vec!["Subject", "Content-Type", "Content-Transfer-Encoding", "Sensitivity", "To", "From"]),
        pick in (0usize..6, 0usize..6),
        body in proptest::sample::select(vec![
            "The minutes.\n".to_string(),
            "--b\n\nSee.\n--b\nContent-Disposition: attachment; filename=a.exe\n\nMZ\n--b--\n".to_string(),
            format!("{}\n", base64(b"a hedgehog in base64")),
            "begin 644 a.exe\n#0V%T\n`\nend\n".to_string(),
            "<p>hedge<b></b>hog</p>\n".to_string(),
        ]),
    ) {
        let values: [&str; 6] = match field {
            "Subject" => ["x", "[CONFIDENTIAL] x", "Re: Confidential - x", "FW: y", "Official opening", "OFFICIAL-SENSITIVE"],
            "Content-Type" => ["text/plain", "multipart/mixed; boundary=b", "text/html", "multipart/(x)mixed; boundary=b", "application/octet-stream; name=a.exe", "html"],
            "Content-Transfer-Encoding" => ["7bit", "base64", "quoted-printable", "x-none", "8bit", "BASE64 (x)"],
            "Sensitivity" => ["Normal", "Company-Confidential", "x", "company confidential", "", "Confidential"],
            "To" => ["a@law.example", "a@gmail.com, b@gmail.com, c@gmail.com", "clerk@wragbyparishcouncil.gov.uk", "a@gmail.com", "x: a@gmail.com, b@gmail.com, d@gmail.com;", ""],
            _ => ["clerk@wragbyparishcouncil.gov.uk", "cllr.elm@wragbyparishcouncil.gov.uk", "chair@wragbyparishcouncil.gov.uk", "res@gmail.com", "Ann Elm <cllr.elm@wragbyparishcouncil.gov.uk>", "x@wragbyparishcouncil.gov.uk"],
        };
        let policy = policy(RULES, Malformed::Judge);
        let with = |lines: &[&str]| {
            let mut text = String::new();
            for (name, default) in [("From", "clerk@wragbyparishcouncil.gov.uk"), ("To", "a@law.example"), ("Subject", "x")] {
                if name != field {
                    text.push_str(&format!("{name}: {default}\n"));
                }
            }
            for value in lines {
                text.push_str(&format!("{field}: {value}\n"));
            }
            RawMessage::new(format!("{text}\n{body}").replace('\n', "\r\n").into_bytes())
        };
        let rules = |raw: &RawMessage| {
            let verdict = judged(&policy, raw);
            let ids: std::collections::BTreeSet<String> = verdict.matches.iter().map(|m| m.rule.to_string()).collect();
            (verdict.disposition.strictness(), ids)
        };
        let (first, second) = (values[pick.0], values[pick.1]);
        let both = rules(&with(&[first, second]));
        for alone in [rules(&with(&[first])), rules(&with(&[second]))] {
            prop_assert!(both.0 >= alone.0, "{first:?} {second:?}: {both:?} {alone:?}");
            prop_assert!(both.0 == 3 || alone.1.is_subset(&both.1), "{first:?} {second:?}: {both:?} {alone:?}");
        }
    }
}
