//! Mail in the gateway's own care: held for the Clerk or for its sender, sent as copies, bounced.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::provider::{Behaviour, Provider};
use super::*;

const ELM: &str = "cllr.elm@wragby.test";

const FRUIT: &str = "[[rule]]\nid = \"fruit\"\ntitle = \"Fruit is for the Clerk to see\"\nwhen.subject.words = [\"apples\"]\nthen.hold = { by = \"clerk\", for = \"FOR\" }\n";

const MANY: &str = "[[rule]]\nid = \"mean-it\"\ntitle = \"Many outsiders: did you mean this?\"\nwhen.direction = \"outbound\"\nwhen.visible-external.at-least = 3\nthen.hold = { by = \"sender\", for = \"1h\" }\n";

const SPLIT: &str = "[[rule]]\nid = \"one-each\"\ntitle = \"One copy each\"\nwhen.direction = \"outbound\"\nwhen.visible-external.at-least = 2\nthen.hide-recipients = \"split\"\n";

fn gate(name: &str, upstream: SocketAddr, rules: &str) -> Gateway {
    Site::new(name).rules(rules).listener("in", "connector", "none", "out", "").upstream("out", upstream, "none", "").start()
}

fn elm(id: &str, to: &str, subject: &str, body: &str) -> String {
    letter(id, to, subject, body).replace(&format!("Parish Clerk <{CLERK}>"), &format!("Cllr Elm <{ELM}>"))
}

fn json(gateway: &Gateway, words: &[&str]) -> Vec<Value> {
    let output = gateway.command(words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is text").lines().map(|l| serde_json::from_str(l).expect("it is JSON")).collect()
}

fn fails(gateway: &Gateway, words: &[&str]) -> String {
    let output = gateway.command(words);
    assert!(!output.status.success(), "{words:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The first message that is not the gateway's own, taken out of all that has arrived.
fn arrived(sink: &Sink, all: &mut Vec<Captured>) -> Captured {
    eventually("a message", || {
        all.extend(sink.take());
        all.iter().position(|c| !is_notice(c)).map(|at| all.remove(at))
    })
}

#[test]
fn held_for_the_clerk_and_released_as_it_came() {
    let sink = Sink::start(&["PIPELINING", "8BITMIME", "DSN"]);
    let gateway = gate("held", sink.address, &FRUIT.replace("FOR", "7d"));
    let content = elm("basket", "jo@outside.test", "About the apples", "They are ripe. Come on Tuesday.");
    let mut client = greeted(&gateway, "in");
    assert!(client.command(&format!("MAIL FROM:<{ELM}> RET=HDRS ENVID=abc BODY=8BITMIME")).expect("an answer").ok());
    assert!(client.command("RCPT TO:<jo@outside.test> NOTIFY=FAILURE ORCPT=rfc822;jo@outside.test").expect("an answer").ok());
    assert_eq!(client.command("DATA").expect("an answer").code, 354);
    client.send(&stuffed(content.as_bytes())).expect("it is sent");
    let reply = client.reply().expect("an answer");
    assert_eq!(reply.code, 250, "{reply:?}");
    let (before, to_clerk) = until_notice(&sink, CLERK);
    let told = text(&to_clerk);
    assert!(before.iter().all(is_notice), "nothing of it has gone on");
    assert!(told.contains("lychgate held release LG-") && !told.contains("apples") && !told.contains("ripe"), "{told}");

    let list = json(&gateway, &["held", "list", "--json"]);
    assert_eq!(list.len(), 1);
    for key in ["id", "time", "sender", "rules", "state", "expires"] {
        assert!(list[0].get(key).is_some(), "{key} is missing: {}", list[0]);
    }
    assert_eq!((&list[0]["sender"], &list[0]["state"], &list[0]["rules"][0]), (&ELM.into(), &"held".into(), &"fruit".into()));
    let id = list[0]["id"].as_str().expect("a reference").to_string();
    assert!(format!("{reply:?}").contains(&id), "the client heard the reference: {reply:?}");
    let shown = gateway.command(&["held", "show", &id]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("1 at outside.test") && shown.contains("A. t. a."), "{shown}");
    for secret in ["apples", "ripe", "jo@"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    // Not by whoever wrote it, nor without a reason, nor under another name.
    assert!(fails(&gateway, &["held", "release", &id, "--reason", "mine", "--by", ELM]).contains("your own message"));
    assert!(fails(&gateway, &["held", "release", &id, "--reason", "x", "--as", "chair"]).contains("does not wait for you"));
    assert!(fails(&gateway, &["held", "release", &id, "--reason", " "]).contains("say why"));
    assert_eq!(json(&gateway, &["held", "release", &id, "--reason", "It is harmless", "--json"])[0]["state"], "released");
    let mut notices = Vec::new();
    let gone = arrived(&sink, &mut notices);
    untouched(&gone, &content);
    assert!(gone.mail.contains("RET=HDRS ENVID=abc") && gone.mail.contains("BODY=8BITMIME"), "{}", gone.mail);
    assert_eq!(gone.recipients, ["RCPT TO:<jo@outside.test> NOTIFY=FAILURE ORCPT=rfc822;jo@outside.test"]);
    assert!(fails(&gateway, &["held", "release", &id, "--reason", "again"]).contains("nothing is held under"));
    assert!(json(&gateway, &["held", "list", "--json"]).is_empty());
    // What became of it stands under the same reference.
    let trail = eventually("the delivery in the record", || {
        let found = json(&gateway, &["trace", "--sender", ELM, "--purpose", "a test", "--json"]);
        (found.len() == 2).then_some(found)
    });
    assert_eq!((&trail[0]["disposition"], &trail[1]["disposition"]), (&"hold".into(), &"deliver".into()));
    assert!(trail.iter().all(|t| t["reference"] == *id), "{trail:?}");
    assert!(trail[1]["upstream_reply"].as_str().is_some_and(|r| r.contains("kept")), "{}", trail[1]);
}

#[test]
fn what_the_clerk_refuses_goes_back_with_the_reason() {
    let sink = Sink::start(&["PIPELINING"]);
    let mut gateway = gate("refused", sink.address, &FRUIT.replace("FOR", "7d"));
    let content = elm("basket", "jo@outside.test", "apples", "x");
    assert_eq!(send(&gateway, "in", ELM, &["jo@outside.test"], &content).code, 250);
    until_notice(&sink, CLERK);
    // It is as safe as it was said to be.
    gateway.kill();
    gateway.restart();
    let id = json(&gateway, &["held", "list", "--json"])[0]["id"].as_str().expect("a reference").to_string();
    // The same message again, by a client that did not hear: not held twice.
    assert_eq!(send(&gateway, "in", ELM, &["jo@outside.test"], &content).code, 250);
    assert_eq!(json(&gateway, &["held", "list", "--json"]).len(), 1);
    assert_eq!(
        json(&gateway, &["held", "refuse", &id.to_lowercase(), "--reason", "Wait for the meeting", "--json"])[0]["state"],
        "refused"
    );
    let back = eventually("the letter to its sender", || sink.take().into_iter().find(|c| text(c).contains("Wait for the meeting")));
    assert_eq!(back.recipients, [format!("RCPT TO:<{ELM}>")]);
    assert!(json(&gateway, &["held", "list", "--json"]).is_empty());
    assert!(sink.take().iter().all(is_notice));
    // The meeting was: the same message, octet for octet, is a new one now, and the Clerk hears of it.
    assert_eq!(send(&gateway, "in", ELM, &["jo@outside.test"], &content).code, 250);
    until_notice(&sink, CLERK);
    let list = json(&gateway, &["held", "list", "--json"]);
    assert!(list.len() == 1 && list[0]["id"] != *id, "{list:?}");
}

#[test]
fn what_is_only_counted_leaves_no_row_when_it_goes() {
    let sink = Sink::start(&["PIPELINING"]);
    let quiet =
        FRUIT.replace("FOR", "7d").replace("when.subject.words = [\"apples\"]", "when.direction = \"outbound\"\nthen.record = \"count\"");
    let mut gateway = gate("counted", sink.address, &quiet);
    let content = elm("quiet", "jo@outside.test", "Quinces", "x");
    assert_eq!(send(&gateway, "in", ELM, &["jo@outside.test"], &content).code, 250);
    let id = json(&gateway, &["held", "list", "--json"])[0]["id"].as_str().expect("a reference").to_string();
    gateway.command(&["held", "release", &id, "--reason", "It is harmless"]);
    untouched(&arrived(&sink, &mut Vec::new()), &content);
    // All that was to be written is, when it has stopped.
    gateway.signal("TERM");
    gateway.wait(Duration::from_secs(20)).expect("it ends");
    assert!(json(&gateway, &["trace", "--sender", ELM, "--purpose", "a test", "--json"]).is_empty());
}

#[test]
fn nobody_decides_and_it_goes_back_or_out() {
    let sink = Sink::start(&["PIPELINING"]);
    let rules = format!(
        "{}{}",
        FRUIT.replace("FOR", "1s"),
        FRUIT.replace("FOR\"", "1s\", then = \"release\"").replace("apples", "pears").replace("fruit", "more-fruit")
    );
    let gateway = gate("ends", sink.address, &rules);
    assert_eq!(send(&gateway, "in", ELM, &["jo@outside.test"], &elm("a", "jo@outside.test", "apples", "x")).code, 250);
    let pears = elm("b", "jo@outside.test", "pears", "x");
    assert_eq!(send(&gateway, "in", ELM, &["jo@outside.test"], &pears).code, 250);
    let mut notices = Vec::new();
    untouched(&arrived(&sink, &mut notices), &pears);
    eventually("the letter to the sender of the other", || {
        notices.extend(sink.take());
        notices.iter().find(|c| text(c).contains("Nobody decided") && c.recipients == [format!("RCPT TO:<{ELM}>")]).map(|_| ())
    });
    assert!(json(&gateway, &["held", "list", "--json"]).is_empty());
}

/// Sends a message that its sender must confirm; gives where answers go, and the content.
fn asked(gateway: &Gateway, sink: &Sink, id: &str) -> (String, String) {
    let to = ["a@gmail.com", "b@sky.com", "c@aol.com"];
    let content = elm(id, &to.join(", "), "Playground", "Dear all");
    assert_eq!(send(gateway, "in", ELM, &to, &content).code, 250);
    let mut all = Vec::new();
    let notice = eventually("the question", || {
        all.extend(sink.take());
        all.iter().find(|c| text(c).contains(&format!("In-Reply-To: <{id}@"))).cloned()
    });
    assert!(all.iter().all(is_notice));
    let head = head(&notice);
    let at = head.find("\r\nReply-To: ").expect("where answers go") + 12;
    let answers = head[at..].split("\r\n").next().expect("a line").trim_matches(['<', '>']).to_string();
    let told = text(&notice);
    assert!(told.contains("Did you mean this?") && ["1  ", "2  ", "3  ", "4  "].iter().all(|c| told.contains(c)), "{told}");
    (answers, content)
}

fn reply_to(gateway: &Gateway, from: &str, answers: &str, text: &str, more: &str) -> u16 {
    let content = format!(
        "From: <{from}>\r\nTo: <{answers}>\r\nSubject: Re: Did you mean this?\r\n{more}\r\n{text}\r\n\r\nOn Thu, 14 May 2026, the gateway wrote:\r\n> 1  send it\r\n> 4  do not\r\n"
    );
    send(gateway, "in", from, &[answers], &content).code
}

#[test]
fn its_sender_answers_by_replying() {
    let sink = Sink::start(&["PIPELINING", "8BITMIME"]);
    let gateway = gate("asked", sink.address, MANY);
    let mut notices = Vec::new();

    // 1: hidden.
    let (answers, content) = asked(&gateway, &sink, "one");
    assert_eq!(reply_to(&gateway, CLERK, &answers, "1", ""), 250, "somebody else's answer is taken and does nothing");
    assert_eq!(reply_to(&gateway, ELM, &answers, "I am on leave", "Auto-Submitted: auto-replied\r\n"), 250);
    assert_eq!(reply_to(&gateway, ELM, &answers, "What is this?", ""), 250);
    eventually("the question again", || {
        notices.extend(sink.take());
        notices.iter().find(|c| text(c).contains("was not understood")).map(|_| ())
    });
    assert!(notices.iter().all(is_notice), "nothing has left yet");
    assert_eq!(json(&gateway, &["held", "list", "--json"]).len(), 1);
    assert_eq!(reply_to(&gateway, ELM, &answers.to_ascii_uppercase(), "1 please", ""), 250);
    let gone = arrived(&sink, &mut notices);
    let shown = head(&gone);
    assert!(shown.contains("\r\nTo: undisclosed-recipients:;") && !shown.contains("@gmail.com"), "{shown}");
    assert_eq!(gone.recipients.len(), 3);
    assert!(text(&gone).ends_with("Dear all\r\n"));
    // A second answer changes nothing, and its giver hears so.
    assert_eq!(reply_to(&gateway, ELM, &answers, "3 twice", ""), 250);
    eventually("the answer to the second", || {
        notices.extend(sink.take());
        notices.iter().find(|c| text(c).contains("too late, or twice")).map(|_| ())
    });

    // 2: one copy each, and the end is told.
    let (answers, _) = asked(&gateway, &sink, "two");
    assert_eq!(reply_to(&gateway, ELM, &answers, "2", ""), 250);
    let copies: Vec<Captured> = (0..3).map(|_| arrived(&sink, &mut notices)).collect();
    for copy in &copies {
        let own = copy.recipients[0].trim_start_matches("RCPT TO:<").trim_end_matches('>').to_string();
        assert!(head(copy).contains(&format!("\r\nTo: {own}\r\n")), "{}", head(copy));
        assert_eq!(
            head(copy).matches('@').count(),
            head(copy).replace(&own, "").matches('@').count() + 1 + head(copy).matches(&format!("for <{own}")).count()
        );
    }
    eventually("the end of the split", || {
        notices.extend(sink.take());
        notices.iter().find(|c| text(c).contains("All sent")).map(|_| ())
    });

    // 3: as it is, with a reason.
    let (answers, content3) = asked(&gateway, &sink, "three");
    assert_eq!(reply_to(&gateway, ELM, &answers, "3", ""), 250);
    assert_eq!(json(&gateway, &["held", "list", "--json"]).len(), 1, "without a reason it stays");
    assert_eq!(reply_to(&gateway, ELM, &answers, "3 they all know one another", ""), 250);
    untouched(&arrived(&sink, &mut notices), &content3);
    assert_ne!(content, content3);

    // 4: cancelled.
    let (answers, _) = asked(&gateway, &sink, "four");
    assert_eq!(reply_to(&gateway, ELM, &answers, "4", ""), 250);
    eventually("the cancelling", || {
        notices.extend(sink.take());
        notices.iter().find(|c| text(c).contains("was cancelled")).map(|_| ())
    });
    assert!(json(&gateway, &["held", "list", "--json"]).is_empty());
    assert!(notices.iter().all(is_notice));
}

#[test]
fn each_outsider_has_a_copy_and_sees_nobody_else() {
    let sink = Sink::start(&["PIPELINING", "8BITMIME", "DSN"]);
    let gateway = gate("split", sink.address, SPLIT);
    let to = ["a@gmail.com", "b@sky.com", "c@aol.com", CLERK, "treasurer@wragby.test"];
    let header = "\"Ann A\" <a@gmail.com>, b@sky.com,\r\n Clerk <clerk@wragby.test>\r\nCc: c@aol.com, treasurer@wragby.test";
    let content = elm("copies", header, "Playground", "Dear all");
    let reply = send(&gateway, "in", ELM, &to, &content);
    assert!(reply.code == 250 && format!("{reply:?}").contains("4 copies"), "{reply:?}");
    let mut notices = Vec::new();
    let copies: Vec<Captured> = (0..4).map(|_| arrived(&sink, &mut notices)).collect();
    let by_recipient: HashMap<String, &Captured> = copies.iter().flat_map(|c| c.recipients.iter().map(move |r| (r.clone(), c))).collect();
    assert_eq!(by_recipient.len(), 5, "everybody, each once");
    for (own, others) in [
        ("a@gmail.com", ["b@sky.com", "c@aol.com"]),
        ("b@sky.com", ["a@gmail.com", "c@aol.com"]),
        ("c@aol.com", ["a@gmail.com", "b@sky.com"]),
    ] {
        let copy = by_recipient[&format!("RCPT TO:<{own}>")];
        let shown = head(copy);
        assert!(shown.contains(own) && others.iter().all(|o| !shown.contains(o)) && !shown.contains("treasurer"), "{shown}");
        assert!(shown.contains("Message-ID: <copies@wragby.test>") && text(copy).ends_with("Dear all\r\n"));
    }
    assert!(head(by_recipient["RCPT TO:<a@gmail.com>"]).contains("To: \"Ann A\" <a@gmail.com>\r\n"));
    let inside = by_recipient[&format!("RCPT TO:<{CLERK}>")];
    assert!(head(inside).contains("clerk@wragby.test") && !head(inside).contains("@gmail.com"), "{}", head(inside));
    let end = eventually("the end", || {
        notices.extend(sink.take());
        notices.iter().find(|c| text(c).contains("All 5 people have it")).cloned()
    });
    assert_eq!(end.recipients, [format!("RCPT TO:<{ELM}>")]);
    assert!(notices.iter().any(|c| text(c).contains("There are 4 copies")), "its sender hears what happens");
}

/// A held message leaves by a provider that says this to all content; notices leave by another way.
fn refusing(name: &str, says: &str) -> (Provider, Sink, Gateway) {
    let provider = Provider::start(Behaviour { says: vec![(".", says.to_string())], ..Behaviour::default() });
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = Site::new(name)
        .rules(&FRUIT.replace("FOR\"", "1s\", then = \"release\""))
        .listener("in", "connector", "none", "out", "")
        .upstream("out", provider.address, "none", "")
        .upstream("notices", sink.address, "none", "")
        .table("[outbox]\nupstream = \"notices\"\nfrom = \"gate@wragby.test\"")
        .start();
    (provider, sink, gateway)
}

#[test]
fn what_cannot_be_delivered_comes_back() {
    let (_provider, sink, gateway) = refusing("bounced", "550 5.7.1 not here\r\n");
    assert_eq!(send(&gateway, "in", ELM, &["jo@outside.test"], &elm("a", "jo@outside.test", "apples", "Ripe")).code, 250);
    let report = eventually("the report", || sink.take().into_iter().find(|c| text(c).contains("multipart/report")));
    assert_eq!((report.mail.as_str(), report.recipients.as_slice()), ("MAIL FROM:<>", &[format!("RCPT TO:<{ELM}>")][..]));
    let told = text(&report);
    for part in [
        "Action: failed\r\nStatus: 5.7.1\r\n",
        "Final-Recipient: rfc822; jo@outside.test\r\n",
        "Diagnostic-Code: smtp; 550 5.7.1 not here\r\n",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    assert!(!told.contains("Ripe"), "the text is not returned unasked");
    assert!(json(&gateway, &["queue", "list", "--json"]).is_empty());
    // To the null reverse path nothing is said (RFC 5321 §4.5.5).
    let content = elm("b", "jo@outside.test", "apples", "x").replace(&format!("Cllr Elm <{ELM}>"), &format!("<{ELM}>"));
    assert_eq!(send(&gateway, "in", "", &["jo@outside.test"], &content).code, 250);
    eventually("nothing held and nothing queued", || {
        let idle = json(&gateway, &["held", "list", "--json"]).is_empty() && json(&gateway, &["queue", "list", "--json"]).is_empty();
        idle.then_some(())
    });
    assert!(sink.take().iter().all(|c| !text(c).contains("multipart/report")));
}

/// An upstream that takes so many connections at a time and no message sooner than the pace says; whoever comes too fast hears 421.
struct Strict {
    open: AtomicU32,
    most: u32,
    refused: AtomicU32,
    got: Mutex<HashMap<String, u32>>,
}

#[test]
fn two_hundred_copies_at_the_pace_of_a_strict_provider_across_kills() {
    let strict = Arc::new(Strict { open: AtomicU32::new(0), most: 3, refused: AtomicU32::new(0), got: Mutex::default() });
    let seen = strict.clone();
    let times: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let noted = times.clone();
    let sink = Sink::counting(&["PIPELINING"], move |captured| {
        if is_notice(&captured) {
            return;
        }
        let now = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
        if now > seen.most {
            seen.refused.fetch_add(1, Ordering::SeqCst);
        }
        noted.lock().expect("no other panics").push(Instant::now());
        *seen.got.lock().expect("no other panics").entry(captured.recipients.join(",")).or_default() += 1;
        std::thread::sleep(Duration::from_millis(3));
        seen.open.fetch_sub(1, Ordering::SeqCst);
    });
    // A minute of 30 scaled to a second and a half: one message each 20 ms or more.
    let mut gateway = Site::new("paced")
        .rules(SPLIT)
        .listener("in", "connector", "none", "out", "")
        .upstream("out", sink.address, "none", "pacing = { connections = 3, messages = 50, per = \"1s\" }")
        .start();
    let to: Vec<String> = (0..200).map(|n| format!("resident{n}@gmail.com")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let content = elm("large", &to.join(",\r\n "), "Playground", "Dear all");
    assert_eq!(send(&gateway, "in", ELM, &to, &content).code, 250);
    let count = || strict.got.lock().expect("no other panics").len();
    let mut kills = 0u32;
    for part in [40, 90, 140] {
        eventually("more copies", || (count() >= part).then_some(()));
        gateway.kill();
        gateway.restart();
        kills += 1;
    }
    eventually("all copies", || (count() == 200).then_some(()));
    eventually("an empty queue", || json(&gateway, &["queue", "list", "--json"]).is_empty().then_some(()));
    let got = strict.got.lock().expect("no other panics");
    let doubled: u32 = got.values().map(|n| n - 1).sum();
    // RFC 1047: what was under way when the gateway died, on each of its connections.
    assert!(doubled <= kills * 3, "{doubled} copies came twice over {kills} kills");
    assert_eq!(strict.refused.load(Ordering::SeqCst), 0, "more than three at one time");
    let times = times.lock().expect("no other panics");
    // However a provider cuts its time: never more than 50 in a second, give or take what the kills made come again at once.
    for window in times.windows(51 + kills as usize) {
        assert!(window[window.len() - 1] - window[0] >= Duration::from_millis(900), "too fast");
    }
}

#[test]
fn the_queue_is_listed_hastened_stopped_and_started() {
    let (provider, _sink, gateway) = refusing("queue", "451 4.3.0 later\r\n");
    assert_eq!(send(&gateway, "in", ELM, &["jo@outside.test"], &elm("a", "jo@outside.test", "apples", "x")).code, 250);
    let waiting = |what: &str, test: &dyn Fn(&Value) -> bool| {
        eventually(what, || json(&gateway, &["queue", "list", "--json"]).into_iter().find(|w| test(w)))
    };
    let first = waiting("one that was tried", &|w| w["attempts"] == 1);
    assert_eq!((&first["state"], &first["to"][0], &first["upstream"]), (&"waiting".into(), &"outside.test".into(), &"out".into()));
    assert!(first["last"].as_str().is_some_and(|l| l.contains("451 4.3.0 later")), "{first}");
    let id = first["id"].as_str().expect("a reference").to_string();
    let did = |words: &[&str]| String::from_utf8_lossy(&gateway.command(words).stdout).into_owned();
    assert_eq!(did(&["queue", "hasten", &id]), "1 message.\n");
    waiting("another try", &|w| w["attempts"] == 2);
    assert_eq!(did(&["queue", "stop"]), "1 message.\n");
    waiting("it is stopped", &|w| w["state"] == "stopped");
    assert_eq!(did(&["queue", "start", &id]), "1 message.\n");
    waiting("a third try", &|w| w["attempts"] == 3 && w["state"] == "waiting");
    assert!(fails(&gateway, &["queue", "hasten", "LG-NOBODY"]).contains("nothing waits under"));
    assert_eq!(provider.heard().messages.len(), 3, "as often as it was tried");
}
