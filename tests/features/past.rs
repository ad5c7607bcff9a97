//! Past mail: threads whose readers know one another, first contacts, near names, rates; and how all of it is forgotten.

use std::process::Command;

use super::*;

const A: &str = "a@gmail.com";
const B: &str = "b@sky.com";
const C: &str = "c@aol.com";
const D: &str = "d@gmail.com";

/// A message from outside with these in its Cc.
fn from_outside(id: &str, from: &str, cc: &[&str]) -> String {
    format!(
        "From: {from}\r\nTo: {CLERK}\r\nCc: {}\r\nSubject: The hedge\r\nMessage-ID: <{id}@mail.example>\r\n\r\nPlease cut it.\r\n",
        cc.join(", ")
    )
}

fn answer(id: &str, to: &[&str], answered: &str) -> String {
    format!(
        "In-Reply-To: <{answered}>\r\nReferences: <elsewhere@x.example> <{answered}>\r\n{}",
        letter(id, &to.join(", "), "Re: The hedge", "It is noted.")
    )
}

/// The one message that came of sending this.
fn delivered(gateway: &Gateway, sink: &Sink, from: &str, to: &[&str], content: &str) -> Captured {
    drop(sink.take());
    let reply = send(gateway, "in", from, to, content);
    assert_eq!(reply.code, 250, "{reply:?}");
    let subject = content.lines().find(|l| l.starts_with("Message-ID")).expect("it has one");
    eventually("it arrives", || sink.take().into_iter().find(|c| text(c).contains(subject)))
}

#[test]
fn a_reply_among_those_who_saw_one_another_is_let_alone_and_a_new_person_is_not() {
    let (sink, mut gateway) = council("thread");
    assert_eq!(send(&gateway, "in", A, &[CLERK], &from_outside("hedge-1", A, &[B, C])).code, 250);
    // At once: nothing waits to be written.
    let everybody = answer("re-1", &[A, B, C], "hedge-1@mail.example");
    untouched(&delivered(&gateway, &sink, CLERK, &[A, B, C], &everybody), &everybody);
    let hidden = |captured: &Captured| {
        let head = head(captured);
        assert!(![A, B, C, D].iter().any(|a| head.contains(a)), "{head}");
    };
    let one_more = answer("re-2", &[A, B, C, D], "hedge-1@mail.example");
    hidden(&delivered(&gateway, &sink, CLERK, &[A, B, C, D], &one_more));
    // Whoever gets it unseen would see the others.
    let blind = answer("re-3", &[A, B, C], "hedge-1@mail.example");
    hidden(&delivered(&gateway, &sink, CLERK, &[A, B, C, D], &blind));
    // Not the same thread.
    hidden(&delivered(&gateway, &sink, CLERK, &[A, B, C], &answer("re-4", &[A, B, C], "other@mail.example")));
    // The answer to the answer: what the council showed was seen by all who got it.
    let again = answer("re-5", &[A, B, C], "re-1@wragby.test");
    untouched(&delivered(&gateway, &sink, CLERK, &[A, B, C], &again), &again);
    // What was hidden was not seen.
    hidden(&delivered(&gateway, &sink, CLERK, &[A, B, C, D], &answer("re-6", &[A, B, C, D], "re-2@wragby.test")));
    // A restart forgets nothing.
    gateway.signal("TERM");
    assert!(gateway.wait(PATIENCE).expect("it ends").success());
    gateway.restart();
    let later = answer("re-7", &[C, B, A], "hedge-1@mail.example");
    untouched(&delivered(&gateway, &sink, CLERK, &[A, B, C], &later), &later);
}

#[test]
fn a_stranger_who_lists_a_street_does_not_make_the_council_show_it() {
    let (sink, gateway) = council("street");
    let street: Vec<String> = (1..=17).map(|n| format!("r{n}@gmail.com")).collect();
    let street: Vec<&str> = street.iter().map(String::as_str).collect();
    assert_eq!(send(&gateway, "in", A, &[CLERK], &from_outside("petition", A, &street)).code, 250);
    let to = [&[A][..], &street].concat();
    let all = delivered(&gateway, &sink, CLERK, &to, &answer("re", &to, "petition@mail.example"));
    assert!(!head(&all).contains("gmail"), "{}", head(&all));
    // A few of them neither, under the same message.
    let few = delivered(&gateway, &sink, CLERK, &to[..3], &answer("re-few", &to[..3], "petition@mail.example"));
    assert!(!head(&few).contains("gmail"), "{}", head(&few));
    // Nor does it matter whom a message names that never came through here.
    let forged = format!("{}\r\n", answer("re-forged", &to[..3], "never-seen@mail.example").trim_end());
    assert!(!head(&delivered(&gateway, &sink, CLERK, &to[..3], &forged)).contains("gmail"));
}

const FIRST: &str = "[[rule]]\nid = \"first-from-outside\"\ntitle = \"New\"\nwhen.direction = \"inbound\"\nwhen.first-contact = true\nthen.add-header = { X-First = \"yes\" }\n\
    [[rule]]\nid = \"first-to\"\ntitle = \"New\"\nwhen.direction = \"outbound\"\nwhen.first-contact = true\nthen.add-header = { X-First = \"yes\" }\n";

fn is_first(captured: &Captured) -> bool {
    head(captured).contains("\r\nX-First: yes\r\n")
}

#[test]
fn the_first_contact_is_the_first_either_way() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = site("first", sink.address).rules(FIRST).start();
    let to_clerk = |id: &str, from: &str| from_outside(id, from, &[CLERK]);
    assert!(is_first(&delivered(&gateway, &sink, A, &[CLERK], &to_clerk("1", A))));
    assert!(!is_first(&delivered(&gateway, &sink, A, &[CLERK], &to_clerk("2", A))));
    assert!(!is_first(&delivered(&gateway, &sink, CLERK, &[A], &letter("3", A, "Re", "x"))), "the Clerk answers");
    assert!(is_first(&delivered(&gateway, &sink, CLERK, &[A, B], &letter("4", &format!("{A}, {B}"), "Hedge", "x"))), "one is new");
    assert!(!is_first(&delivered(&gateway, &sink, B, &[CLERK], &to_clerk("5", B))), "B answers");
    // Within the council nobody is new.
    let colleague = "cllr.elm@wragby.test";
    assert!(!is_first(&delivered(&gateway, &sink, CLERK, &[colleague], &letter("6", colleague, "Agenda", "x"))));
    // Mail marked personal leaves nothing behind.
    let personal = |id: &str| format!("Sensitivity: Personal\r\n{}", to_clerk(id, C));
    assert!(is_first(&delivered(&gateway, &sink, C, &[CLERK], &personal("7"))));
    assert!(is_first(&delivered(&gateway, &sink, C, &[CLERK], &personal("8"))));
    // What was refused was no contact.
    let secret = letter("9", D, "[CONFIDENTIAL] Tender", "x");
    assert_eq!(send(&gateway, "in", CLERK, &[D], &secret).code, 550);
    assert!(is_first(&delivered(&gateway, &sink, CLERK, &[D], &letter("10", D, "Hedge", "x"))));
}

#[test]
fn a_new_address_that_is_nearly_a_councillors_is_seen_the_first_time() {
    let sink = Sink::start(&["PIPELINING"]);
    let rule = "[[rule]]\nid = \"near\"\ntitle = \"Nearly\"\nwhen.direction = \"outbound\"\nwhen.first-contact = \"near-name\"\nthen.add-header = { X-First = \"yes\" }\n";
    let people = "[people]\ncouncillors = [\"Jane Ashby <jane.ashby@wragby.test>\"]\n";
    let gateway = site("near", sink.address).rules(rule).table(people).start();
    for (id, to, first) in [
        ("1", "jayne.ashby@gmail.com", true),
        ("2", "jayne.ashby@gmail.com", false),
        ("3", "tom.hill@gmail.com", false),
        ("4", "Jane Ashby <rosebud@sky.com>", true),
        ("5", "jane.ashby@wragby.test", false),
    ] {
        let address = to.rsplit(' ').next().expect("an address").trim_matches(['<', '>']);
        assert_eq!(is_first(&delivered(&gateway, &sink, CLERK, &[address], &letter(id, to, "Grievance", "x"))), first, "{id} {to}");
    }
}

#[test]
fn a_rate_defers_what_is_too_much_and_a_restart_does_not_help() {
    let sink = Sink::start(&["PIPELINING"]);
    let rule = "[[rule]]\nid = \"flood\"\ntitle = \"Too much\"\nwhen.rate = { of = \"messages\", by = \"sender\", at-least = 4, per = \"1h\" }\nthen.defer = \"Too many messages within an hour. Try again later.\"\n\
        [[rule]]\nid = \"flood-of-recipients\"\ntitle = \"Too much\"\nwhen.rate = { of = \"recipients\", by = \"sender\", at-least = 40, per = \"1h\" }\nthen.defer = \"Too many recipients within an hour. Try again later.\"\n";
    for monitored in [true, false] {
        let site = site("rate", sink.address).rules(rule);
        let mut gateway = if monitored { site } else { site.unmonitored() }.start();
        let one = |gateway: &Gateway, id: u32, from: &str| {
            let content = letter(&format!("m{id}"), A, "Hedge", "x").replace(CLERK, from);
            send(gateway, "in", from, &[A], &content)
        };
        for n in 1..=3 {
            assert_eq!(one(&gateway, n, CLERK).code, 250, "{n}");
        }
        for n in 4..=6 {
            let reply = one(&gateway, n, CLERK);
            assert_eq!(reply.code, 451, "{n} {reply:?}");
            assert!(reply.lines[0].contains("Too many messages"), "{reply:?}");
        }
        assert_eq!(one(&gateway, 7, "chair@wragby.test").code, 250, "somebody else");
        let many: Vec<String> = (0..45).map(|n| format!("cllr{n}@wragby.test")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let reply = send(&gateway, "in", "elm@wragby.test", &many, &letter("many", CLERK, "x", "x").replace(CLERK, "elm@wragby.test"));
        assert!(reply.code == 451 && reply.lines[0].contains("Too many recipients"), "{reply:?}");
        gateway.signal("TERM");
        assert!(gateway.wait(PATIENCE).expect("it ends").success());
        gateway.restart();
        // Without the record nothing is kept on the disk, counts neither.
        assert_eq!(one(&gateway, 8, CLERK).code, if monitored { 451 } else { 250 });
    }
}

#[test]
fn a_hundred_at_once_do_not_each_find_room() {
    let sink = Sink::start(&["PIPELINING"]);
    let rule = "[[rule]]\nid = \"flood\"\ntitle = \"Too much\"\nwhen.rate = { of = \"messages\", by = \"sender\", at-least = 11, per = \"1h\" }\nthen.defer = \"Too many messages within an hour. Try again later.\"\n";
    let gateway = site("rush", sink.address).rules(rule).start();
    let codes: Vec<u16> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..40)
            .map(|n| {
                let gateway = &gateway;
                scope.spawn(move || send(gateway, "in", CLERK, &[A], &letter(&format!("rush-{n}"), A, "Hedge", "x")).code)
            })
            .collect();
        all.into_iter().map(|t| t.join().expect("it ends")).collect()
    });
    let passed = codes.iter().filter(|c| **c == 250).count();
    assert!((1..=10).contains(&passed) && codes.iter().all(|c| [250, 451].contains(c)), "{codes:?}");
}

fn index(gateway: &Gateway) -> rusqlite::Connection {
    let file = gateway.scratch.path().join("data/lychgate.db");
    rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store opens")
}

fn count(db: &rusqlite::Connection, table: &str) -> i64 {
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("the table is there")
}

#[test]
fn the_index_holds_no_address_and_all_of_it_is_forgotten_in_time() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = site("forgotten", sink.address).rules(FIRST).retention("contacts = \"2s\"").start();
    assert!(is_first(&delivered(&gateway, &sink, A, &[CLERK], &from_outside("hedge-1", A, &[B, C]))));
    assert!(!is_first(&delivered(&gateway, &sink, A, &[CLERK], &from_outside("hedge-2", A, &[B, C]))));
    for file in std::fs::read_dir(gateway.scratch.path().join("data")).expect("the folder is there") {
        let file = file.expect("it can be read").path();
        let octets = std::fs::read(&file).unwrap_or_default();
        for secret in [A, B, C, CLERK, "gmail", "wragby.test", "hedge-1", "hedge-2", "mail.example"] {
            assert!(!octets.windows(secret.len()).any(|w| w.eq_ignore_ascii_case(secret.as_bytes())), "{secret:?} in {}", file.display());
        }
    }
    std::thread::sleep(Duration::from_millis(2_500));
    assert!(is_first(&delivered(&gateway, &sink, A, &[CLERK], &from_outside("hedge-3", A, &[B, C]))));
    let db = index(&gateway);
    eventually("rows are gone, not only hidden", || (count(&db, "past") == 0 && count(&db, "circle") == 0).then_some(()));
    let ring = rusqlite::Connection::open(gateway.scratch.path().join("data/site.key.ring")).expect("the keyring opens");
    let keys = || ring.query_row("SELECT count(*) FROM key WHERE class = 6", [], |row| row.get::<_, i64>(0)).ok();
    eventually("and their keys", || keys().filter(|n| *n == 0));
}

#[test]
fn nothing_is_remembered_that_no_rule_asks_for_or_that_the_council_did_not_declare() {
    for (name, monitored, past_mail, rules) in
        [("unasked", true, true, ""), ("undeclared", false, true, FIRST), ("declined", true, false, FIRST)]
    {
        let sink = Sink::start(&["PIPELINING"]);
        let mut site = Site::new(name)
            .listener("in", "connector", "none", "out", "")
            .upstream("out", sink.address, "none", "")
            .rules("[[rule]]\nid = \"other\"\ntitle = \"Other\"\nwhen.subject.words = [\"zebra\"]\nthen.reject = \"No.\"\n")
            .rules(rules);
        site = if monitored { site.monitored(&format!("past-mail = {past_mail}")) } else { site.unmonitored() };
        let mut gateway = site.start();
        for n in 0..3 {
            assert!(!is_first(&delivered(&gateway, &sink, A, &[CLERK], &from_outside(&format!("m{n}"), A, &[B, C]))), "{name}");
        }
        let check = String::from_utf8(gateway.command(&["check"]).stdout).expect("UTF-8");
        assert_eq!(check.contains("Not judged here, since no index of past mail is kept"), !rules.is_empty(), "{name}: {check}");
        gateway.signal("TERM");
        assert!(gateway.wait(PATIENCE).expect("it ends").success());
        let db = index(&gateway);
        assert_eq!((count(&db, "past"), count(&db, "circle"), count(&db, "rate")), (0, 0, 0), "{name}");
    }
}

#[test]
fn an_index_that_does_not_answer_is_unknown_and_the_rule_says_what_then() {
    let sink = Sink::start(&["PIPELINING"]);
    let rule = "[[rule]]\nid = \"new-and-careless\"\ntitle = \"New\"\nif-unknown = \"skip\"\nwhen.direction = \"inbound\"\nwhen.first-contact = true\nthen.add-header = { X-First = \"yes\" }\n\
        [[rule]]\nid = \"new-and-careful\"\ntitle = \"New\"\nwhen.subject.words = [\"tender\"]\nwhen.direction = \"outbound\"\nwhen.first-contact = true\nthen.add-header = { X-First = \"yes\" }\n";
    let gateway = site("unanswering", sink.address).rules(rule).shell("trap '' XFSZ", "2>/dev/null").start();
    assert_eq!(send(&gateway, "in", A, &[CLERK], &from_outside("hedge-1", A, &[B, C])).code, 250);
    let disk = |limit: &str| {
        let status = Command::new("prlimit").args(["--pid", &gateway.pid().to_string(), limit]).status();
        assert!(status.expect("prlimit runs").success());
    };
    let reply = answer("re-1", &[A, B, C], "hedge-1@mail.example");
    untouched(&delivered(&gateway, &sink, CLERK, &[A, B, C], &reply), &reply);
    disk("--fsize=0:");
    // What is to be remembered of this cannot be written, so whatever is asked next is not known.
    assert_eq!(send(&gateway, "in", D, &[CLERK], &from_outside("hedge-2", D, &[B, C])).code, 250);
    let again = answer("re-2", &[D, B, C], "hedge-2@mail.example");
    // The shipped rule does not wait: whoever is not known to have seen the others is hidden from them.
    let hidden = delivered(&gateway, &sink, CLERK, &[D, B, C], &again);
    assert!(!head(&hidden).contains("gmail"), "{}", head(&hidden));
    let careful = letter("careful", "solicitor@law.test", "Tender", "x");
    let deferred = send(&gateway, "in", CLERK, &["solicitor@law.test"], &careful);
    assert_eq!((deferred.code, &deferred.lines[0][..5]), (451, "4.7.1"), "{deferred:?}");
    assert!(!deferred.lines[0].contains("index"), "{deferred:?}");
    assert!(!is_first(&delivered(&gateway, &sink, "new@gmail.com", &[CLERK], &from_outside("hedge-3", "new@gmail.com", &[B]))));
    disk("--fsize=unlimited:");
    let to = ["solicitor@law.test"];
    eventually("it is known again", || (send(&gateway, "in", CLERK, &to, &careful).code == 250).then_some(()));
    let later = again.replace("<re-2@", "<re-3@");
    untouched(&delivered(&gateway, &sink, CLERK, &[D, B, C], &later), &later);
}

/// A letter of the Clerk's with a ZIP that needs a password, and nothing said of it.
fn with_locked_file(id: &str, to: &str) -> String {
    use base64::Engine as _;
    let zip = include_bytes!("../../src/message/protection/fixtures/password.zip");
    let encoded = base64::engine::general_purpose::STANDARD.encode(zip);
    let lines: Vec<&str> = encoded.as_bytes().chunks(76).map(|l| std::str::from_utf8(l).expect("base64 is ASCII")).collect();
    format!(
        "From: {CLERK}\r\nTo: {to}\r\nSubject: Tender\r\nMessage-ID: <{id}@wragby.test>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nThe tender is attached.\r\n--b\r\n\
         Content-Type: application/zip; name=tender.zip\r\nContent-Disposition: attachment; filename=tender.zip\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\r\n")
    )
}

#[test]
fn a_password_that_follows_its_document_is_known_for_what_it_is() {
    let sink = Sink::start(&["PIPELINING"]);
    let rule = "[[rule]]\nid = \"password-later\"\ntitle = \"Later\"\nwhen.direction = \"outbound\"\n\
                when.password-disclosed = \"later\"\nthen.add-header = { X-Later = \"yes\" }\n";
    let gateway = site("later", sink.address).rules(rule).start();
    let is_later = |captured: &Captured| head(captured).contains("\r\nX-Later: yes\r\n");
    let password = |id: &str, to: &str| letter(id, to, "Tender", "The password is Blue-Heron-42.");
    assert!(!is_later(&delivered(&gateway, &sink, CLERK, &[A], &password("early", A))), "nothing locked went there yet");
    let document = with_locked_file("document", A);
    untouched(&delivered(&gateway, &sink, CLERK, &[A], &document), &document);
    assert!(is_later(&delivered(&gateway, &sink, CLERK, &[A], &password("after", A))));
    assert!(!is_later(&delivered(&gateway, &sink, CLERK, &[B], &password("other", B))), "it went to somebody else");
    let plain = letter("plain", A, "Tender", "The password will follow by telephone.");
    assert!(!is_later(&delivered(&gateway, &sink, CLERK, &[A], &plain)));
}
