//! Who may see what, through the command line beside a gateway that runs: roles, the access log, two people, and the envelope.

use std::io::Write as _;
use std::process::{Output, Stdio};

use serde_json::Value;

use super::*;

const CHAIR: &str = "chair@wragby.test";
const ELM: &str = "cllr.elm@wragby.test";
const AUDITOR: &str = "auditor@wragby.test";

const PEOPLE: &str = "\n[people.jane]\naddress = [\"clerk@wragby.test\", \"jane@wragby.test\"]\nroles = [\"investigator\"]\n[people.audrey]\naddress = \"auditor@wragby.test\"\nroles = [\"auditor\"]\n";

const FRUIT: &str = "[[rule]]\nid = \"fruit\"\ntitle = \"Fruit is for the Clerk to see\"\nwhen.subject.words = [\"apples\"]\nthen.hold = { by = \"clerk\", for = \"7d\" }\n";

fn gate(name: &str, upstream: SocketAddr, more: &str) -> Gateway {
    Site::new(name)
        .rules(FRUIT)
        .listener("in", "connector", "none", "out", "")
        .upstream("out", upstream, "none", "")
        .table(&format!("{PEOPLE}{more}"))
        .start()
}

/// With a line on standard input.
fn answer(gateway: &Gateway, line: &str, words: &[&str]) -> Output {
    let mut child = gateway.prepared(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // It may have ended without reading.
    let _ = stdin.write_all(format!("{line}\n").as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("it is text")
}

fn complained(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn does(gateway: &Gateway, words: &[&str]) -> String {
    said(&gateway.command(words))
}

fn fails(gateway: &Gateway, words: &[&str]) -> String {
    complained(&gateway.command(words))
}

/// Holds a message; gives its reference and its content.
fn held(gateway: &Gateway, id: &str) -> (String, String) {
    let content = letter(id, "jo@outside.test", "About the apples", "They are \u{1b}[31mripe.")
        .replace(&format!("Parish Clerk <{CLERK}>"), &format!("Cllr Elm <{ELM}>"));
    assert_eq!(send(gateway, "in", ELM, &["jo@outside.test"], &content).code, 250);
    let list = does(gateway, &["held", "list", "--json"]);
    let last: Value = serde_json::from_str(list.lines().last().expect("a line")).expect("it is JSON");
    (last["id"].as_str().expect("a reference").to_string(), content)
}

/// The letter to somebody whose subject has these words, with its text unfolded.
fn mailed(sink: &Sink, seen: &mut Vec<Captured>, to: &str, subject: &str) -> String {
    eventually(&format!("\"{subject}\" to {to}"), || {
        seen.extend(sink.take());
        let is = |c: &&Captured| c.recipients == [format!("RCPT TO:<{to}>")] && head(c).contains(&format!("Subject: {subject}"));
        let found = seen.iter().position(|c| is(&c))?;
        Some(text(&seen.remove(found)).replace("=\r\n", ""))
    })
}

/// The eight digits that stand in a line of their own.
fn code(letter: &str) -> String {
    let is = |l: &&str| l.len() == 9 && l.as_bytes()[4] == b' ' && l.bytes().filter(u8::is_ascii_digit).count() == 8;
    letter.lines().map(str::trim).find(is).unwrap_or_else(|| panic!("no code in {letter}")).to_string()
}

fn log(gateway: &Gateway) -> Vec<Value> {
    does(gateway, &["audit", "list", "--json"]).lines().map(|l| serde_json::from_str(l).expect("it is JSON")).collect()
}

fn holds(gateway: &Gateway) -> bool {
    let verified: Value = serde_json::from_str(&does(gateway, &["audit", "verify", "--json"])).expect("it is JSON");
    verified["holds"] == true
}

#[test]
fn two_people_open_held_mail_and_one_does_not() {
    let sink = Sink::start(&["PIPELINING", "8BITMIME"]);
    let gateway = gate("two-people", sink.address, "");
    let mut seen = Vec::new();
    let (id, content) = held(&gateway, "basket");
    // Not whoever has the machine, not somebody without the right, not without a request.
    let reason = ["--reason", "A complaint of 3 May"];
    let open = |more: &[&str]| fails(&gateway, &[&["held", "open", &id], &reason[..], more].concat());
    assert!(open(&[]).contains("may not read held mail: that is for clerk, chair, investigator"), "{}", open(&[]));
    assert!(open(&["--as", AUDITOR]).contains("may not read held mail"));
    assert!(open(&["--as", ELM]).contains("is nobody of the site file"));
    assert!(open(&["--as", CLERK]).contains("takes two people"));
    assert!(fails(&gateway, &["requests", "ask", "content", &id, "--reason", "x"]).contains("may not"));
    assert!(fails(&gateway, &["requests", "ask", "content", "LG-NONE", "--reason", "x", "--as", CLERK]).contains("nothing is held under"));

    // The Clerk asks, and proves that it was them.
    let asked = does(&gateway, &["requests", "ask", "content", &id, "--reason", "A complaint of 3 May", "--as", "clerk", "--json"]);
    let asked: Value = serde_json::from_str(&asked).expect("it is JSON");
    assert_eq!((&asked["state"], &asked["subject"]), (&"unconfirmed".into(), &id.as_str().into()));
    let number = asked["id"].to_string();
    let request = |what: &'static str| ["requests".to_string(), what.to_string(), number.clone()];
    let with = |line: &str, what: &'static str, who: &str| {
        let words = request(what);
        answer(&gateway, line, &[&words.each_ref().map(String::as_str)[..], &["--as", who]].concat())
    };
    let own = code(&mailed(&sink, &mut seen, CLERK, &format!("Your code for request {number}")));
    assert!(complained(&with("", "approve", CHAIR)).contains("has not confirmed it yet"));
    let wrong = if own.starts_with('9') { "1111 1111" } else { "9999 9999" };
    assert!(complained(&with(wrong, "confirm", CLERK)).contains("not the code; 4 more can be tried"));
    assert!(complained(&with(&own, "confirm", CHAIR)).contains("somebody else asked it"));
    said(&with(&own, "confirm", CLERK));

    // Not the same person under another address, nor with the first one's code.
    let to_chair = mailed(&sink, &mut seen, CHAIR, &format!("Request {number} needs a second person"));
    assert!(to_chair.contains("A complaint of 3 May") && to_chair.contains(&id), "{to_chair}");
    assert!(!to_chair.contains("apples") && !to_chair.contains("ripe"), "{to_chair}");
    assert!(complained(&with(&code(&to_chair), "approve", "jane@wragby.test")).contains("it takes a second person"));
    assert!(complained(&with(&own, "approve", CHAIR)).contains("not the code"));
    let open_with = |who: &str, more: &[&str]| {
        gateway.command(&[&["held", "open", &id, "--request", &number, "--as", who], &reason[..], more].concat())
    };
    assert!(complained(&open_with(CLERK, &[])).contains("nobody has approved it yet"));
    said(&with(&code(&to_chair), "approve", "chair"));
    mailed(&sink, &mut seen, CLERK, &format!("Request {number} is approved"));

    // A file that is there is not written over, and costs nothing.
    let site = gateway.scratch.path().join("lychgate.toml");
    assert!(complained(&open_with(CLERK, &["--out", site.to_str().expect("UTF-8")])).contains("exists"));
    // By whoever asked, once, as it came, into a file that nobody else reads.
    assert!(complained(&open_with(CHAIR, &[])).contains("somebody else asked it"));
    let file = gateway.scratch.path().join("opened.eml");
    let path = file.to_str().expect("UTF-8");
    assert!(said(&open_with(CLERK, &["--out", path])).contains(&id));
    let opened = std::fs::read_to_string(&file).expect("it is there");
    assert!(opened.ends_with(&content), "{opened}");
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(std::fs::metadata(&file).expect("it is there").mode() & 0o777, 0o600);
    assert!(complained(&open_with(CLERK, &[])).contains("it is used"));

    // The log says who it was, and how that is known.
    let all = log(&gateway);
    let of = |words: &str| {
        let found = all.iter().rev().find(|e| e["purpose"].as_str().is_some_and(|p| p.starts_with(words)));
        found.unwrap_or_else(|| panic!("{words}: {all:?}")).clone()
    };
    assert_eq!(of("asked to read held mail")["identity"]["terminal"]["stated"], CLERK);
    assert_eq!(of(&format!("confirmed request {number}"))["identity"]["signed"], CLERK);
    assert_eq!(of(&format!("approved request {number}"))["identity"]["signed"], CHAIR);
    let opened = of("opened held mail");
    assert_eq!(opened["purpose"], format!("opened held mail (request {number}, approved by {CHAIR}): A complaint of 3 May"));
    assert_eq!((&opened["reference"], &opened["sender"]), (&id.as_str().into(), &ELM.into()));
    assert_eq!(of(&format!("tried a wrong code for request {number}"))["identity"]["terminal"]["stated"], CHAIR);
    assert_eq!(of("listed held mail")["identity"]["terminal"]["stated"], Value::Null);
    assert!(holds(&gateway));

    // Whom it was about reads of it.
    let out = gateway.scratch.path().join("export");
    does(&gateway, &["rights", "export", "--person", ELM, "--purpose", "Her request", "--out", out.to_str().expect("UTF-8")]);
    let export = std::fs::read_to_string(out.join("export.json")).expect("it is there");
    assert!(export.contains("opened held mail") && export.contains("the Clerk, by their own word"), "{export}");
    assert!(!gateway.log().contains(ELM) && !gateway.log().contains(&own));
}

#[test]
fn a_role_says_what_one_may_do_and_nobody_lets_their_own_go() {
    let sink = Sink::start(&["PIPELINING", "8BITMIME"]);
    let ivy = "[people.ivy]\naddress = \"ivy@wragby.test\"\nroles = [\"investigator\"]\n";
    let gateway = gate("roles", sink.address, ivy);
    let roles = does(&gateway, &["people", "roles"]);
    for line in [
        "jane: clerk@wragby.test, jane@wragby.test is investigator, clerk",
        "chair@wragby.test is chair",
        "ivy: ivy@wragby.test is investigator",
    ] {
        assert!(roles.lines().any(|l| l == line), "{line}: {roles}");
    }
    assert!(
        roles.lines().any(|l| l.starts_with("read held mail") && l.ends_with("clerk, chair, investigator; takes two people")),
        "{roles}"
    );
    // The Clerk's own message, under neither of her addresses.
    let own = letter("own", "jo@outside.test", "About the apples", "Mine.");
    assert_eq!(send(&gateway, "in", CLERK, &["jo@outside.test"], &own).code, 250);
    let list: Value = serde_json::from_str(&does(&gateway, &["held", "list", "--json", "--as", "ivy@wragby.test"])).expect("it is JSON");
    let id = list["id"].as_str().expect("a reference");
    for who in [&[][..], &["--as", CLERK], &["--as", "Jane@wragby.test"], &["--as", "clerk", "--by", "jane@wragby.test"]] {
        let refused = fails(&gateway, &[&["held", "release", id, "--reason", "mine"], who].concat());
        assert!(refused.contains("your own message"), "{who:?}: {refused}");
    }
    assert!(
        fails(&gateway, &["held", "release", id, "--reason", "x", "--as", "ivy@wragby.test"])
            .contains("may not let held mail go: that is for clerk, chair, it")
    );
    assert!(fails(&gateway, &["held", "refuse", id, "--reason", "x", "--as", AUDITOR]).contains("may not send held mail back"));
    assert!(fails(&gateway, &["held", "list", "--as", AUDITOR]).contains("may not see what is held"));
    assert!(fails(&gateway, &["backup", "--out", "x", "--as", CLERK]).contains("may not back up and restore"));
    assert!(fails(&gateway, &["audit", "list", "--as", "ivy@wragby.test"]).contains("may not read and verify the access log"));
}

#[test]
fn the_code_in_the_envelope_opens_once_and_alarms_both() {
    let sink = Sink::start(&["PIPELINING", "8BITMIME"]);
    let gateway = gate("envelope", sink.address, "");
    let mut seen = Vec::new();
    let (id, _) = held(&gateway, "basket");
    assert!(does(&gateway, &["break-glass", "show"]).contains("no code"));
    assert!(fails(&gateway, &["break-glass", "make", "--as", CLERK]).contains("may not change keys and make the break-glass code"));
    let envelope = does(&gateway, &["break-glass", "make"]).trim().to_string();
    let open = |line: &str, reason: &str| answer(&gateway, line, &["held", "open", &id, "--break-glass", "--reason", reason]);
    assert!(complained(&open("ABCDE", "Nobody else is there")).contains("not the break-glass code"));
    assert!(complained(&open(&envelope, " ")).contains("say why"));
    let shown = said(&open(&envelope, "Nobody else is there"));
    // What is printed moves nothing on a terminal.
    assert!(shown.contains("They are \\u{1b}[31mripe.") && !shown.contains('\u{1b}'), "{shown}");
    for person in [CLERK, CHAIR] {
        let told = mailed(&sink, &mut seen, person, "The break-glass code was used");
        assert!(told.contains(&id) && told.contains("Nobody else is there") && !told.contains("ripe"), "{told}");
    }
    assert!(complained(&open(&envelope, "Again")).contains("not the break-glass code, or it was used"));
    assert!(does(&gateway, &["break-glass", "show"]).contains("no code"));
    let all = log(&gateway);
    let times = |words: &str| all.iter().filter(|e| e["purpose"].as_str().is_some_and(|p| p.starts_with(words))).count();
    assert_eq!((times("broke the glass and opened held mail"), times("tried a wrong break-glass code")), (1, 2));
    assert!(holds(&gateway) && !gateway.log().contains(&envelope));
    // It is nowhere on the disk.
    for file in std::fs::read_dir(gateway.scratch.path().join("data")).expect("a folder").flatten() {
        let octets = std::fs::read(file.path()).unwrap_or_default();
        assert!(memchr::memmem::find(&octets, envelope.as_bytes()).is_none(), "{:?}", file.path());
    }
}

#[test]
fn a_report_on_somebody_at_the_council_and_a_hold_may_take_two() {
    let sink = Sink::start(&["PIPELINING", "8BITMIME"]);
    let gateway = gate("reports", sink.address, "[access]\ntwo-people = [\"holds\", \"reports\"]\n");
    let mut seen = Vec::new();
    let (id, _) = held(&gateway, "basket");
    // A resident's question is everyday work, and so is one message.
    does(&gateway, &["trace", "--recipient", "jo@outside.test", "--purpose", "Jo asks"]);
    does(&gateway, &["trace", "--sender", ELM, "--reference", &id, "--purpose", "Jo asks"]);
    let report = |more: &[&str]| gateway.command(&[&["trace", "--sender", ELM, "--purpose", "A complaint", "--json"], more].concat());
    assert!(complained(&report(&[])).contains("may not look up all that somebody at the council"));
    assert!(complained(&report(&["--as", CLERK])).contains("takes two people"));
    let hold = ["hold-records", "--case", "2026/41", "--reason", "A complaint", "--person", ELM, "--expires", "2099-01-01"];
    assert!(complained(&gateway.command(&[&hold[..], &["--as", CLERK]].concat())).contains("takes two people"));
    let mut both = |act: &str, subject: &str| {
        let asked = does(&gateway, &["requests", "ask", act, subject, "--reason", "A complaint", "--as", CHAIR, "--json"]);
        let number = serde_json::from_str::<Value>(&asked).expect("it is JSON")["id"].to_string();
        let own = code(&mailed(&sink, &mut seen, CHAIR, &format!("Your code for request {number}")));
        said(&answer(&gateway, &own, &["requests", "confirm", &number, "--as", CHAIR]));
        let theirs = code(&mailed(&sink, &mut seen, CLERK, &format!("Request {number} needs a second person")));
        said(&answer(&gateway, &theirs, &["requests", "approve", &number, "--as", "jane@wragby.test"]));
        number
    };
    let number = both("reports", ELM);
    assert!(complained(&report(&["--as", CHAIR, "--request", "99"])).contains("there is no request 99"));
    let other = ["trace", "--sender", CLERK, "--purpose", "x", "--as", CHAIR, "--request", &number];
    assert!(complained(&gateway.command(&other)).contains("it is for something else"));
    assert_eq!(said(&report(&["--as", CHAIR, "--request", &number])).lines().count(), 1);
    let number = both("holds", "2026/41");
    does(&gateway, &[&hold[..], &["--as", CHAIR, "--request", &number]].concat());
    assert!(holds(&gateway));
}

#[test]
fn a_log_that_does_not_hold_says_where() {
    let sink = Sink::start(&["PIPELINING", "8BITMIME"]);
    let gateway = gate("broken-log", sink.address, "");
    for n in 0..5 {
        does(&gateway, &["trace", "--recipient", &format!("r{n}@outside.test"), "--purpose", "a test"]);
    }
    let good = does(&gateway, &["audit", "verify"]);
    assert!(good.starts_with("The access log holds: 5 entries, numbers 1 to 5."), "{good}");
    assert!(does(&gateway, &["audit", "verify", "--as", AUDITOR]).contains("holds"));
    assert!(
        fails(&gateway, &["trace", "--recipient", "a@outside.test", "--purpose", "x", "--as", AUDITOR])
            .contains("may not look messages up")
    );
    let shown = does(&gateway, &["audit", "list", "--as", AUDITOR]);
    assert!(shown.contains("[to r3@outside.test]") && shown.contains("auditor@wragby.test (as stated by the account"), "{shown}");
    let database = gateway.scratch.path().join("data/lychgate.db");
    let db = rusqlite::Connection::open(&database).expect("it opens");
    db.busy_timeout(Duration::from_secs(10)).expect("it is set");
    db.execute("DELETE FROM access_log WHERE number = 3", []).expect("it is deleted");
    let broken = gateway.command(&["audit", "verify"]);
    assert_eq!(broken.status.code(), Some(1));
    let text = String::from_utf8_lossy(&broken.stdout).into_owned();
    assert!(text.starts_with("The access log does not hold. First break: Entry 3 is missing.\n"), "{text}");
    let json = gateway.command(&["audit", "verify", "--json"]);
    let value: Value = serde_json::from_slice(&json.stdout).expect("it is JSON");
    assert_eq!((&value["holds"], &value["breaks"][0]["kind"], &value["breaks"][0]["first"]), (&false.into(), &"missing".into(), &3.into()));
}

#[test]
fn a_kill_between_the_two_commits_leaves_a_log_that_holds() {
    if !cfg!(debug_assertions) || std::env::var_os("LYCHGATE_BINARY").is_some() {
        return crate::support::skip("crash points", "a release build has none");
    }
    let sink = Sink::start(&["PIPELINING", "8BITMIME"]);
    let gateway = gate("killed-log", sink.address, "");
    let words = ["trace", "--recipient", "r@outside.test", "--purpose", "a test"];
    does(&gateway, &words);
    let crashed = gateway.prepared(&words).env("LYCHGATE_CRASH", "access-logged").output().expect("it runs");
    assert!(!crashed.status.success() && crashed.stdout.is_empty(), "nothing is shown before the log has it");
    let verified = does(&gateway, &["audit", "verify"]);
    assert!(verified.contains("holds: 2 entries") && verified.contains("Note: Entry 2 is not known to the keyring yet"), "{verified}");
    does(&gateway, &words);
    let verified = does(&gateway, &["audit", "verify"]);
    assert!(verified.contains("holds: 3 entries") && !verified.contains("Note:"), "{verified}");
}
