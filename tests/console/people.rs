//! Suspended accounts, lent roles, own accounts and the notice: from the page to the mail that is refused.

use super::security::{get, post, session};
use super::*;
use crate::features::provider::{Behaviour, Provider};
use crate::support::{PASSWORD, base64};

const OAK: &str = "cllr.oak@wragby.test";
const DEPUTY: &str = "deputy@wragby.test";

/// Chooses in a list by the value.
pub(super) fn choose(browser: &Browser, css: &str, value: &str) {
    let done = browser.run(&format!("const s = document.querySelector({css:?}); s.value = {value:?}; return s.value"));
    assert_eq!(done, value, "{css}");
}

/// The day so many days from today, as people write it.
pub(super) fn write_day(browser: &Browser, css: &str, days: i64) {
    use jiff::ToSpan as _;
    let day = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().saturating_add(days.days());
    browser.write(css, &day.strftime("%-d %-m %Y").to_string());
}

/// What the desk has written.
fn written(council: &Council) -> String {
    let path = council.gateway.scratch.path().join("data/desk/people.toml");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn a_suspended_account_sends_nothing_until_it_is_lifted() {
    for (size, script) in WAYS {
        let council = Council::start("console-suspend");
        let Some(browser) = Browser::start("the console in a browser", size, script) else { return };
        assert_eq!(council.mail("before", &["jo@outside.test"], "Agenda", "x"), 250);
        assert_eq!(council.mail("basket", &["jo@outside.test"], "apples", "They are ripe."), 250);
        // A session of hers, and one with the gateway that outlives the reload.
        let (cookie, _) = session(&council, ELM);
        assert_eq!(get(&council, "/mine", &cookie).code, 200);
        let mut open = greeted(&council.gateway, "in");
        council.sign_in(&browser, CLERK);
        browser.press_what_says("People");
        browser.press_what_says("Suspended accounts");
        browser.write("#suspend-who", ELM);
        browser.press_what_says("Suspend the account");
        assert!(browser.title().starts_with("Error: ") && browser.text().contains("Say why"), "{}", browser.text());
        let kept = browser.run("return document.querySelector('#suspend-who').value");
        assert_eq!(kept, ELM, "what was typed is there still");
        browser.write("#suspend-reason", "Her password was on a list");
        browser.press_what_says("Suspend the account");
        assert!(browser.text().contains("is suspended. Its mail is refused"), "{}", browser.text());
        // At once, on every connection, with a clear answer; others and mail to her are not touched.
        let refused = council.mail_of(ELM, "during", &["jo@outside.test"], "Agenda", "x");
        assert_eq!(
            (refused.code, refused.lines[0].as_str()),
            (550, "5.7.1 Ask the Clerk: the council has suspended this account, and its mail is not sent")
        );
        assert_eq!(transact(&mut open, ELM, &["jo@outside.test"], &letter("open", "jo@outside.test", "Agenda", "x")).code, 550);
        let author =
            letter("author", "jo@outside.test", "Agenda", "x").replace(&format!("Parish Clerk <{CLERK}>"), &format!("Ann <{ELM}>"));
        assert_eq!(send(&council.gateway, "in", "", &["jo@outside.test"], &author).code, 550, "nor without a reverse path");
        assert_eq!(council.mail_of(OAK, "oak", &[ELM], "Agenda", "x").code, 250);
        // What was held stays held; her session is over, and no link lets her in.
        browser.press_what_says("Held");
        assert!(browser.text().contains(ELM), "{}", browser.text());
        assert_eq!(get(&council, "/mine", &cookie).code, 303);
        let before = council.sink.take().len();
        post(&council, "/sign-in", "", &format!("address={ELM}"));
        assert!(before > 0 && council.sink.take().iter().all(|c| !text(c).contains("/sign-in/link")));
        // In the record it is what it is.
        browser.press_what_says("Find a message");
        browser.write("#who", ELM);
        browser.press_what_says("From them");
        browser.write("#purpose", "Why does her mail not leave?");
        eventually("the row of the refusal", || {
            browser.press_what_says("Look");
            browser.text().contains("suspended account").then_some(())
        });
        browser.press_what_says("People");
        browser.press_what_says("Suspended accounts");
        browser.press_what_says("Lift it");
        browser.press_what_says("Lift the suspension");
        assert!(browser.title().starts_with("Error: ") && browser.has("details[open] #entry-1-reason"), "{}", browser.text());
        browser.write("#entry-1-reason", "A new password");
        browser.press_what_says("Lift the suspension");
        assert!(browser.text().contains("No account is suspended"), "{}", browser.text());
        assert_eq!(council.mail("after", &["jo@outside.test"], "Agenda", "x"), 250);
        assert_eq!(get(&council, "/mine", &cookie).code, 303, "an old session does not come back");
    }
}

#[test]
fn a_suspended_account_cannot_log_in_to_send() {
    let provider = Provider::start(Behaviour { auth: Some("PLAIN LOGIN"), login_required: true, ..Behaviour::default() });
    let desk = "[[suspended]]\naddress = \"cllr.elm@wragby.test\"\nreason = \"Broken into\"\nsince = \"2026-01-01T00:00:00Z\"\nby = \"clerk@wragby.test\"\n";
    let bind = loopback(port());
    let gateway = Site::new("suspended-login")
        .listener("in", "submission", "none", "out", "")
        .upstream("out", provider.address, "none", "")
        .table(&format!("{PEOPLE}\n[console]\nbind = \"{bind}\""))
        .file("data/desk/people.toml", desk)
        .start();
    let log_in = |who: &str| {
        let mut client = greeted(&gateway, "in");
        let reply = client.command(&format!("AUTH PLAIN {}", base64(format!("\0{who}\0{PASSWORD}").as_bytes()))).expect("an answer");
        (client, reply)
    };
    for who in [ELM, "Cllr.Elm@Wragby.test", "cllr.elm"] {
        let (mut client, reply) = log_in(who);
        assert_eq!((reply.code, reply.lines[0].as_str()), (525, "5.7.13 Ask the Clerk: the council has suspended this account"), "{who}");
        let after = client.command(&format!("MAIL FROM:<{ELM}>")).expect("an answer").code;
        assert!(matches!(after, 421 | 530), "{after}");
    }
    // Who acts as her is she; who is not suspended, sends, but not under her name.
    let mut client = greeted(&gateway, "in");
    let as_her = base64(format!("{ELM}\0{OAK}\0{PASSWORD}").as_bytes());
    assert_eq!(client.command(&format!("AUTH PLAIN {as_her}")).expect("an answer").code, 525);
    let (mut client, reply) = log_in(OAK);
    assert_eq!(reply.code, 235);
    assert_eq!(transact(&mut client, ELM, &["jo@outside.test"], "Subject: x\r\n\r\nx\r\n").code, 550);
    assert_eq!(transact(&mut client, OAK, &["jo@outside.test"], &format!("From: {OAK}\r\nSubject: x\r\n\r\nx\r\n")).code, 250);
    assert!(gateway.log().contains("suspended_login") && !gateway.log().contains(ELM));
}

#[test]
fn a_deputy_has_the_role_until_it_is_taken_back() {
    for (size, script) in WAYS {
        let council = Council::start("console-acting");
        let Some(clerk) = Browser::start("the console in a browser", size, script) else { return };
        let Some(deputy) = Browser::start("the console in a browser", size, script) else { return };
        assert_eq!(council.mail("basket", &["jo@outside.test"], "apples", "They are ripe."), 250);
        council.sign_in(&deputy, DEPUTY);
        assert!(!deputy.text().contains("Held mail") && !deputy.has("a[href='/held']") && !deputy.has("a[href='/people']"));
        council.sign_in(&clerk, CLERK);
        clerk.press_what_says("People");
        clerk.press_what_says("Acting for somebody");
        choose(&clerk, "#lend-who", DEPUTY);
        choose(&clerk, "#lend-role", "clerk");
        clerk.write("#lend-reason", "Two weeks in Wales");
        clerk.press_what_says("Let them act");
        assert!(clerk.title().starts_with("Error: ") && clerk.text().contains("Enter the last day"), "{}", clerk.text());
        write_day(&clerk, "#lend-last", 200);
        clerk.press_what_says("Let them act");
        assert!(clerk.text().contains("92 days at most"), "{}", clerk.text());
        write_day(&clerk, "#lend-last", 14);
        clerk.press_what_says("Let them act");
        assert!(clerk.text().contains("Jo Deputy acts for the Clerk until"), "{}", clerk.text());
        // At once, in a session that was there before; everybody sees it on the first page.
        deputy.go(&council.url);
        assert!(deputy.text().contains("Jo Deputy acts for the Clerk until"), "{}", deputy.text());
        deputy.press_what_says("Held");
        deputy.press_what_says("LG-");
        deputy.write("#release-reason", "It is harmless");
        deputy.press_what_says("Let it go");
        assert!(deputy.text().contains("leaves now"), "{}", deputy.text());
        // What is lent is not lent on, and its lender is not theirs to suspend.
        deputy.press_what_says("People");
        deputy.press_what_says("Acting for somebody");
        assert!(deputy.text().contains("not yours to lend") && !deputy.has("#lend-role"), "{}", deputy.text());
        deputy.go(&format!("{}/people/suspended", council.url));
        deputy.write("#suspend-who", CLERK);
        deputy.write("#suspend-reason", "Mine now");
        deputy.press_what_says("Suspend the account");
        assert!(deputy.text().contains("You have that right only for a time"), "{}", deputy.text());
        clerk.go(&format!("{}/people/acting", council.url));
        clerk.press_what_says("Take it back");
        clerk.write("#entry-1-reason", "Back early");
        clerk.press_what_says("End it");
        assert!(clerk.text().contains("Nobody acts for anybody"), "{}", clerk.text());
        deputy.go(&format!("{}/held", council.url));
        assert!(deputy.text().contains("You may not do that"), "{}", deputy.text());
    }
}

#[test]
fn an_own_account_is_known_to_the_rules_at_once_and_to_nobody_who_reads() {
    let rule = "\n[[rule]]\nid = \"own\"\ntitle = \"No forwards to one's own account\"\nwhen.personal-account = \"own-recipient\"\nthen.reject = \"Not sent: your own account\"\n";
    for (size, script) in WAYS {
        let council = Council::start_with("console-accounts", rule, PEOPLE);
        let Some(browser) = Browser::start("the console in a browser", size, script) else { return };
        assert_eq!(council.mail("first", &["zeta19@btinternet.com"], "Minutes", "x"), 250);
        council.sign_in(&browser, CLERK);
        browser.go(&format!("{}/people/accounts", council.url));
        choose(&browser, "#register-who", ELM);
        browser.write("#register-account", "zeta19");
        browser.write("#register-reason", "She told us in May");
        browser.press_what_says("Register the account");
        assert!(browser.title().starts_with("Error: ") && browser.text().contains("Enter a whole address"), "{}", browser.text());
        browser.write("#register-account", "Zeta19@BTinternet.com");
        browser.press_what_says("Register the account");
        let shown = browser.text();
        assert!(
            shown.contains("Ann Elm: one account")
                && !shown.to_lowercase().contains("zeta19")
                && !shown.to_lowercase().contains("btinternet"),
            "{shown}"
        );
        assert_eq!(council.mail("second", &["zeta19@btinternet.com"], "Minutes", "x"), 550);
        assert_eq!(council.mail("third", &["zeta20@btinternet.com"], "Minutes", "x"), 250);
        let file = written(&council).to_lowercase();
        assert!(file.contains("account:") && !file.contains("zeta19") && !file.contains("btinternet"), "{file}");
        browser.press_what_says("Remove it");
        browser.write("#entry-1-reason", "Closed");
        browser.press_what_says("Remove the account");
        assert_eq!(council.mail("fourth", &["zeta19@btinternet.com"], "Minutes", "x"), 250);
        browser.press_what_says("Access log");
        browser.write("#purpose", "a look at the log");
        browser.press_what_says("Read it");
        let log = browser.text();
        assert!(log.contains("registered an own account: She told us in May") && log.contains("removed an own account: Closed"), "{log}");
        assert!(!log.to_lowercase().contains("zeta19"), "{log}");
    }
}

#[test]
fn each_says_for_themselves_that_they_read_the_notice() {
    for (size, script) in WAYS {
        let council = Council::start("console-notice");
        let Some(elm) = Browser::start("the console in a browser", size, script) else { return };
        council.sign_in(&elm, ELM);
        assert!(elm.text().contains("For you to read"), "{}", elm.text());
        elm.press_what_says("The monitoring notice");
        assert!(elm.text().contains("holds each message against the council's adopted policy"), "{}", elm.text());
        elm.press_what_says("I have read this");
        assert!(elm.text().contains("You read the monitoring notice on"), "{}", elm.text());
        elm.go(&council.url);
        assert!(!elm.text().contains("For you to read"), "{}", elm.text());
        council.sign_in(&elm, CLERK);
        elm.press_what_says("People");
        let shown = elm.text();
        assert!(shown.contains("1 of 5") && shown.contains("Ann Elm") && shown.contains("Not read"), "{shown}");
    }
}

#[test]
fn whoever_may_not_change_people_is_refused_each_way() {
    let council = Council::start("console-people-rights");
    let (cookie, token) = session(&council, ELM);
    for path in ["/people", "/people/suspended", "/people/acting", "/people/accounts"] {
        assert_eq!(get(&council, path, &cookie).code, 403, "{path}");
    }
    let more = format!("Cookie: {cookie}\r\n");
    let body = format!("token={token}&who={OAK}&role=clerk&account=a%40gmail.com&reason=x&last=1+1+2027&form=entry-1");
    for path in [
        "/people/suspended",
        "/people/suspended/lift",
        "/people/acting",
        "/people/acting/end",
        "/people/accounts",
        "/people/accounts/remove",
    ] {
        assert_eq!(post(&council, path, &more, &body).code, 403, "{path}");
        assert_eq!(post(&council, path, &more, &body.replace(&token, "wrong")).code, 403, "{path}");
    }
    assert!(!council.gateway.scratch.path().join("data/desk/people.toml").exists());
    // Whoever may, may not do it to themselves, or with another's form.
    let (cookie, token) = session(&council, CLERK);
    let more = format!("Cookie: {cookie}\r\n");
    let own = post(&council, "/people/suspended", &more, &format!("token={token}&who={CLERK}&reason=x"));
    assert!(own.body.contains("You cannot suspend yourself"), "{}", own.body);
    let king = post(&council, "/people/acting", &more, &format!("token={token}&who={OAK}&role=it&reason=x&last=1+1+2027"));
    assert!(king.body.contains("You do not have that role"), "{}", king.body);
    let hostile = "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E%40wragby.test";
    let shown = post(&council, "/people/suspended", &more, &format!("token={token}&who={hostile}&reason={hostile}&last={hostile}"));
    assert!(shown.code == 200 && !shown.body.contains("<script>alert"), "{}", shown.body);
    assert!(!council.gateway.scratch.path().join("data/desk/people.toml").exists());
}

#[test]
fn a_damaged_file_stops_no_mail_and_is_told_aloud() {
    let sink = Sink::start(&["PIPELINING", "8BITMIME", "DSN"]);
    let metrics = loopback(port());
    let gateway = Site::new("people-damaged")
        .listener("in", "connector", "none", "out", "")
        .upstream("out", sink.address, "none", "")
        .table(&format!("{PEOPLE}\n[console]\nbind = \"{}\"\n[metrics]\nbind = \"{metrics}\"", loopback(port())))
        .file("data/desk/people.toml", "[[lent")
        .start();
    assert_eq!(send(&gateway, "in", CLERK, &["jo@outside.test"], &letter("a", "jo@outside.test", "Agenda", "x")).code, 250);
    assert!(gateway.log().contains("people_unreadable"), "{}", gateway.log());
    let health = http(metrics, "/health").expect("an answer").1;
    assert!(health.contains("\"people\":\"degraded\""), "{health}");
    let checked = std::process::Command::new(crate::support::gateway::binary())
        .args(["check", "--config"])
        .arg(gateway.scratch.path().join("lychgate.toml"))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(!checked.status.success() && said.contains("people.toml in the desk's folder cannot be used: line 1 is not TOML"), "{said}");
}
