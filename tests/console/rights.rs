//! What people ask about themselves, what is kept for how long, and what a case keeps beyond that: from the first page to the receipt.

use super::security::{Reply, get, post, session};
use super::*;

const JO: &str = "jo@outside.test";

/// The page of a council to which two messages for Jo are in the record.
fn with_mail(name: &str, more: impl FnOnce(Site) -> Site) -> Council {
    let council = Council::with(name, more);
    for n in ["one", "two"] {
        assert_eq!(council.mail(n, &[JO], "The hedge", "It is too high."), 250);
    }
    council
}

/// Notes a request and is on its page then.
fn ask(council: &Council, browser: &Browser, kind: &str) {
    browser.go(&format!("{}/rights", council.url));
    if !browser.run("return document.querySelector('details').open").as_bool().expect("it is open or not") {
        browser.press_what_says("Note a new request");
    }
    browser.write("#new-person", JO);
    browser.press_what_says(kind);
    browser.write("#new-reason", "Letter of 3 May");
    browser.press_what_says("Note it");
    assert!(browser.text().contains("its clock runs"), "{}", browser.text());
}

/// What a form of this browser's session gets from the server, seen as a program sees it.
fn sent(council: &Council, browser: &Browser, path: &str, body: &str) -> Reply {
    let cookie = format!("lychgate={}", browser.cookie("lychgate"));
    let token = browser.run("return document.querySelector('input[name=token]').value");
    post(council, path, &format!("Cookie: {cookie}\r\n"), &format!("token={}&{body}", token.as_str().expect("a token")))
}

fn export(council: &Council, browser: &Browser, id: u32) -> serde_json::Value {
    let reply = sent(council, browser, &format!("/rights/{id}/export"), "reason=Their+request&form=json");
    assert_eq!(reply.code, 200, "{}", reply.head);
    serde_json::from_str(&reply.body).unwrap_or_else(|e| panic!("{e}: {}", reply.body))
}

#[test]
fn a_request_for_a_copy_is_answered_from_start_to_close() {
    for (size, script) in WAYS {
        let council = with_mail("console-access-request", |site| site);
        let Some(browser) = Browser::start("the console in a browser", size, script) else { return };
        council.sign_in(&browser, CLERK);
        browser.press_what_says("Rights");
        assert!(browser.text().contains("No request is open"), "{}", browser.text());
        // What is missing is said, each at its field, and what was typed stays.
        browser.write("#new-person", JO);
        browser.press_what_says("Note it");
        assert!(browser.title().starts_with("Error: ") && browser.text().contains("Choose what they ask for"), "{}", browser.text());
        assert!(browser.has("a[href='#new-kind']") && browser.has("#new-kind") && browser.has("a[href='#new-reason']"));
        assert_eq!(browser.run("return document.querySelector('#new-person').value"), JO);
        browser.write("#new-received", "31 2 2026");
        browser.press_what_says("A copy of what is held about them");
        browser.write("#new-reason", "Letter of 3 May");
        browser.press_what_says("Note it");
        assert!(browser.text().contains("Enter a real date"), "{}", browser.text());
        browser.write("#new-received", "");
        browser.press_what_says("Note it");
        let shown = browser.text();
        assert!(shown.contains("its clock runs") && shown.contains("days left") && shown.contains(JO), "{shown}");
        assert!(browser.url().contains("/rights/1") && !browser.url().contains("jo"), "{}", browser.url());
        // The clock: it stands still, runs again, and is extended once.
        browser.press_what_says("Wait for the person");
        browser.write("#pause-reason", "Which of two people of this name?");
        browser.press_what_says("Let it stand still");
        assert!(browser.text().contains("Paused") && browser.text().contains("Which of two people"), "{}", browser.text());
        browser.press_what_says("The person has answered");
        browser.write("#resume-reason", "The younger");
        browser.write("#resume-on", "1 1 2020");
        browser.press_what_says("Let it run");
        assert!(browser.title().starts_with("Error: ") && browser.text().contains("before the pause began"), "{}", browser.text());
        browser.write("#resume-on", "");
        browser.press_what_says("Let it run");
        assert!(browser.text().contains("The clock runs again"), "{}", browser.text());
        browser.press_what_says("It takes longer");
        browser.write("#extend-reason", "Three years of mail");
        browser.press_what_says("Extend it by two months");
        assert!(browser.text().contains("Extended by two months on") && !browser.has("#extend-reason"), "{}", browser.text());
        // The copy: a file, and never a page of ours.
        browser.press_what_says("Give them a copy");
        browser.press_what_says("Download the page");
        assert!(browser.title().starts_with("Error: ") && browser.text().contains("Say why you look"), "{}", browser.text());
        let page = eventually("both messages in the export", || {
            let reply = sent(&council, &browser, "/rights/1/export", "reason=Their+request&form=html");
            reply.body.contains("Messages (2)").then_some(reply)
        });
        assert_eq!(page.code, 200);
        for wanted in [
            "content-disposition: attachment; filename=\"request-1-export.html\"",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
            "content-security-policy: default-src 'none'",
        ] {
            assert!(page.head.contains(wanted), "{wanted} in {}", page.head);
        }
        assert!(!page.head.to_lowercase().contains("jo@") && page.body.contains(JO) && !page.body.contains("The hedge"), "no text is kept");
        let data = export(&council, &browser, 1);
        assert_eq!((data["messages"].as_array().map(Vec::len), data["person"].as_str()), (Some(2), Some(JO)));
        let looked = data["looked_at"].to_string();
        assert!(looked.contains("Their request") && looked.contains("received a request"), "{looked}");
        assert_eq!(data["requests"][0]["extended"], true);
        // What they say is wrong stands beside the row.
        let reference = data["messages"][0]["reference"].as_str().expect("a reference").to_string();
        browser.go(&format!("{}/rights/1", council.url));
        browser.press_what_says("Note what they say is wrong");
        browser.write("#rectify-reference", "LG-NONE");
        browser.write("#rectify-note", "It was <b>not</b> me");
        browser.press_what_says("Note it");
        assert!(browser.title().starts_with("Error: ") && browser.text().contains("LG-NONE"), "{}", browser.text());
        browser.write("#rectify-reference", &reference);
        browser.press_what_says("Note it");
        assert!(browser.text().contains("noted beside the row"), "{}", browser.text());
        assert!(export(&council, &browser, 1)["messages"].to_string().contains("It was <b>not</b> me"));
        browser.go(&format!("{}/rights/1", council.url));
        browser.press_what_says("Close the request");
        browser.write("#close-reason", "Sent on paper");
        browser.press_what_says("Close it");
        assert!(browser.text().contains("The request is closed") && !browser.has("#close-reason"), "{}", browser.text());
        browser.press_what_says("All requests");
        assert!(browser.text().contains("No request is open") && browser.text().contains("Sent on paper"), "{}", browser.text());
    }
}

#[test]
fn an_erasure_stops_at_a_hold_and_goes_on_without_it() {
    for (size, script) in WAYS {
        let council = with_mail("console-erasure", |site| site);
        let Some(browser) = Browser::start("the console in a browser", size, script) else { return };
        council.sign_in(&browser, CLERK);
        ask(&council, &browser, "To be erased");
        eventually("both messages in the record", || {
            (export(&council, &browser, 1)["messages"].as_array().map(Vec::len) == Some(2)).then_some(())
        });
        // A case needs what there is of them.
        browser.press_what_says("Retention");
        browser.press_what_says("Place a hold");
        browser.write("#place-case", "clerk@wragby.test");
        browser.press_what_says("Place the hold");
        assert!(browser.text().contains("Enter the last day of the hold"), "{}", browser.text());
        browser.write("#place-reason", "Complaint about the hedge");
        browser.write("#place-expires", "27 3 2030");
        browser.press_what_says("Place the hold");
        assert!(browser.text().contains("is no case number") || browser.text().contains("say what it covers"), "{}", browser.text());
        browser.write("#place-case", "2026/41");
        browser.press_what_says("Place the hold");
        assert!(browser.text().contains("needs to say what it covers"), "{}", browser.text());
        browser.write("#place-person", JO);
        browser.press_what_says("Place the hold");
        let shown = browser.text();
        assert!(shown.contains("The hold is placed") && shown.contains("2 rows") && shown.contains("Wednesday 27 March 2030"), "{shown}");
        assert!(!browser.url().contains("jo"), "{}", browser.url());
        let hold = browser.url();
        let preview = || {
            browser.go(&format!("{}/rights/1", council.url));
            browser.press_what_says("Erase what is held of them");
            browser.write("#erasure-reason", "They withdrew");
            browser.press_what_says("See what would go");
            browser.text()
        };
        let shown = preview();
        assert!(shown.contains("A hold is in the way: case 2026/41 keeps 2 rows") && shown.contains("0 rows are cleared"), "{shown}");
        browser.press_what_says("This is the right person");
        browser.press_what_says("Erase for good");
        let shown = browser.text();
        assert!(shown.contains("Case 2026/41: 2 rows kept under a hold") && shown.contains("Signed and whole"), "{shown}");
        assert_eq!(export_of(&council, &browser), 2, "what a case needs is there");
        // Without the hold, and not without a tick in the box.
        browser.go(&hold);
        browser.write("#lift-reason", "It was withdrawn");
        browser.press_what_says("Lift it");
        assert!(browser.text().contains("Tick the box"), "{}", browser.text());
        browser.press_what_says("to go for good");
        browser.press_what_says("Lift it");
        assert!(browser.text().contains("There is no hold"), "{}", browser.text());
        let shown = preview();
        assert!(!shown.contains("in the way") && shown.contains("2 rows are cleared"), "{shown}");
        assert_eq!(export_of(&council, &browser), 2, "to see what would go takes nothing");
        let shown = preview();
        assert!(shown.contains("2 rows are cleared"), "{shown}");
        browser.press_what_says("Erase for good");
        assert!(browser.title().starts_with("Error: ") && browser.text().contains("right person"), "{}", browser.text());
        browser.press_what_says("This is the right person");
        browser.press_what_says("Erase for good");
        let shown = browser.text();
        assert!(shown.contains("2 rows cleared") && shown.contains("Signed and whole") && !shown.contains(JO), "{shown}");
        assert!(shown.contains("The access log still says who looked"), "what stays is said: {shown}");
        assert_eq!(export_of(&council, &browser), 0);
        let verified = council.gateway.command(&["retention", "receipts", "--verify"]);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
        browser.go(&format!("{}/access", council.url));
        browser.write("#purpose", "a look at the log");
        browser.press_what_says("Read it");
        let log = browser.text();
        assert!(log.contains("erased what is held: They withdrew") && log.contains("placed a hold for case 2026/41"), "{log}");
    }
}

fn export_of(council: &Council, browser: &Browser) -> usize {
    browser.go(&format!("{}/rights/1", council.url));
    export(council, browser, 1)["messages"].as_array().expect("a list").len()
}

#[test]
fn a_hold_takes_two_people_where_the_council_says_so() {
    let council = with_mail("console-hold-two", |site| site.table("[access]\ntwo-people = [\"content\", \"holds\"]"));
    let Some(clerk) = Browser::start("the console in a browser", Size::Desktop, true) else { return };
    let Some(chair) = Browser::start("the console in a browser", Size::Phone, false) else { return };
    council.sign_in(&clerk, CLERK);
    council.sign_in(&chair, CHAIR);
    let agree = |what: &str| {
        chair.press_what_says("Access log");
        assert!(chair.text().contains(what), "{}", chair.text());
        chair.press_what_says("Agree");
    };
    clerk.press_what_says("Retention");
    clerk.press_what_says("Place a hold");
    assert!(clerk.text().contains("two people") && !clerk.has("#place-case"), "{}", clerk.text());
    // Not past it, either.
    let whole = format!("case=2026%2F41&reason=x&person={JO}&expires=27+3+2030");
    let alone = sent(&council, &clerk, "/retention/holds", &whole);
    assert!(
        alone.code == 200 && alone.body.contains("There is a problem") && alone.body.contains("That takes two people"),
        "{}",
        alone.body
    );
    clerk.write("#ask-case", "2026/41");
    clerk.write("#ask-reason", "Complaint about the hedge");
    clerk.press_what_says("Ask somebody to agree");
    assert!(clerk.text().contains("Somebody else must agree"), "{}", clerk.text());
    let early = sent(&council, &clerk, "/retention/holds", &format!("request=1&{whole}"));
    assert!(early.code == 200 && early.body.contains("There is a problem"), "{}", early.body);
    agree("Complaint about the hedge");
    clerk.press_what_says("Retention");
    assert!(clerk.text().contains("There is no hold"), "{}", clerk.text());
    clerk.press_what_says("Place a hold");
    clerk.press_what_says("Place the hold of case 2026/41");
    assert_eq!(clerk.run("return document.querySelector('#place-reason').value"), "Complaint about the hedge");
    clerk.write("#place-person", JO);
    clerk.write("#place-expires", "27 3 2030");
    clerk.press_what_says("Place the hold");
    assert!(clerk.text().contains("The hold is placed"), "{}", clerk.text());
    // The request is used up: to prolong and to lift takes one each.
    for (act, field) in [("Prolong it", "prolong"), ("Lift it", "lift")] {
        assert!(clerk.has("#ask-reason") && !clerk.has("#lift-reason"), "{}", clerk.text());
        clerk.write("#ask-reason", act);
        clerk.press_what_says("Ask somebody to agree");
        assert!(clerk.text().contains("waits: somebody else must agree"), "{}", clerk.text());
        let page = clerk.url();
        agree(act);
        clerk.go(&page);
        clerk.write(&format!("#{field}-reason"), "The tribunal");
        if field == "prolong" {
            clerk.write("#prolong-expires", "30 June 2031");
            clerk.press_what_says(act);
            assert!(clerk.text().contains("Monday 30 June 2031"), "{}", clerk.text());
        } else {
            clerk.press_what_says("to go for good");
            clerk.press_what_says("Lift it");
            assert!(clerk.text().contains("There is no hold"), "{}", clerk.text());
        }
    }
    clerk.press_what_says("Access log");
    clerk.write("#purpose", "a look");
    clerk.press_what_says("Read it");
    let log = clerk.text();
    for said in ["placed a hold for case 2026/41 (request 1, approved by", "lifted the hold of case 2026/41 (request 3, approved by"] {
        assert!(log.contains(said), "{said} in {log}");
    }
}

#[test]
fn what_is_past_its_time_goes_at_once_and_its_receipt_shows_what_is_done_to_it() {
    for (size, script) in WAYS {
        let council = with_mail("console-purge", |site| site.retention("events = \"40d\""));
        let Some(browser) = Browser::start("the console in a browser", size, script) else { return };
        council.sign_in(&browser, CLERK);
        browser.press_what_says("Retention");
        let shown = eventually("a first purge", || {
            browser.go(&format!("{}/retention", council.url));
            let text = browser.text();
            (text.contains("The next begins by itself") && text.contains("goes on")).then_some(text)
        });
        assert!(shown.contains("40 days") && shown.contains("Receipts hold") && shown.contains("There is no hold"), "{shown}");
        browser.press_what_says("Purge now");
        browser.press_what_says("Continue");
        assert!(browser.title().starts_with("Error: ") && browser.text().contains("Say why now"), "{}", browser.text());
        browser.write("#purge-reason", "The auditor asks");
        browser.press_what_says("Continue");
        assert!(browser.text().contains("Purge now?") && browser.text().contains("cannot be undone"), "{}", browser.text());
        browser.press_what_says("Purge now");
        let shown = browser.text();
        assert!(shown.contains("a purge") && shown.contains("Signed and whole") && browser.url().contains("/receipts/"), "{shown}");
        let log = council.gateway.command(&["audit", "list"]);
        assert!(String::from_utf8_lossy(&log.stdout).contains("purged now: The auditor asks"), "{}", String::from_utf8_lossy(&log.stdout));
        // A receipt that somebody alters is found out, on the list and on its page.
        let page = browser.url();
        let store = rusqlite::Connection::open(council.gateway.data().join("lychgate.db")).expect("the store is there");
        store.busy_timeout(std::time::Duration::from_secs(10)).expect("a time-out can be set");
        let altered = store.execute("UPDATE receipt SET body = replace(body, '\"asked\":true', '\"asked\":false')", []);
        assert!(altered.is_ok_and(|n| n > 0));
        browser.go(&page);
        assert!(browser.text().contains("Not as signed") && browser.text().contains("was altered"), "{}", browser.text());
        browser.press_what_says("Retention");
        assert!(browser.text().contains("Receipts do not hold"), "{}", browser.text());
    }
}

#[test]
fn whoever_has_no_right_to_it_gets_nowhere() {
    let audrey = "audrey@wragby.test";
    let council =
        with_mail("console-no-right", |site| site.table(&format!("[people.audrey]\naddress = \"{audrey}\"\nroles = [\"auditor\"]")));
    let (cookie, token) = session(&council, audrey);
    let (clerks, clerks_token) = session(&council, CLERK);
    let pages = ["/rights", "/rights/1", "/retention", "/retention/holds/new", "/retention/holds/1", "/receipts/1"];
    for path in pages {
        assert_eq!(get(&council, path, &cookie).code, 403, "{path}");
    }
    let today = get(&council, "/", &cookie).body;
    assert!(!today.contains("href=\"/rights\"") && !today.contains("href=\"/retention\"") && today.contains("href=\"/access\""), "{today}");
    assert!(get(&council, "/", &clerks).body.contains("href=\"/rights\""));
    for path in [
        "/rights",
        "/rights/1/export",
        "/rights/1/rectify",
        "/rights/1/erasure",
        "/rights/1/erase",
        "/rights/1/pause",
        "/rights/1/resume",
        "/rights/1/extend",
        "/rights/1/close",
        "/retention/purge",
        "/retention/holds",
        "/retention/holds/ask",
        "/retention/holds/1/prolong",
        "/retention/holds/1/lift",
        "/papers/notice/adopt",
    ] {
        for body in ["", "reason=x&sure=yes&person=jo%40outside.test&kind=access&case=1&expires=1+1+2030"] {
            let reply =
                |cookie: &str, token: &str| post(&council, path, &format!("Cookie: {cookie}\r\n"), &format!("token={token}&{body}"));
            assert_eq!(reply(&cookie, &token).code, 403, "{path} of somebody without the right");
            assert_eq!(reply(&clerks, "old").code, 403, "{path} with an old form");
            assert_ne!(reply(&clerks, &clerks_token).code, 403, "{path} of somebody with it");
        }
    }
    // The Chair may hold records, and neither answer requests nor purge.
    let (chairs, chairs_token) = session(&council, CHAIR);
    assert_eq!(get(&council, "/retention", &chairs).code, 200);
    for (path, wanted) in [("/rights", 403), ("/retention/purge", 403), ("/retention/holds", 200), ("/papers/notice/adopt", 403)] {
        let reply = post(&council, path, &format!("Cookie: {chairs}\r\n"), &format!("token={chairs_token}"));
        assert_eq!(reply.code, wanted, "{path}");
    }
    // Numbers of nothing are no fault of the program's.
    for path in [
        "/rights/99",
        "/rights/-1",
        "/rights/x",
        "/receipts/99",
        "/receipts/18446744073709551615",
        "/retention/holds/7",
        "/papers/notice/adopted/1",
        "/papers/none",
    ] {
        let code = get(&council, path, &clerks).code;
        assert!(matches!(code, 400 | 404), "{path}: {code}");
    }
}
