//! Changing rules at the desk: a mode with a reason, the text with its faults at their lines, trying first, versions and back.

use super::security::{get, post, session};
use super::*;

fn title(browser: &Browser) -> String {
    browser.title()
}

/// Writes a long text as it is, without pressing each key.
fn put(browser: &Browser, css: &str, text: &str) {
    let text = serde_json::Value::String(text.into());
    browser.run(&format!(
        "const e = document.querySelector({css:?}); e.value = {text}; e.dispatchEvent(new Event('input', {{ bubbles: true }}));"
    ));
}

/// The editor's text.
fn written(browser: &Browser) -> String {
    browser.run("return document.querySelector('#text').value").as_str().expect("a text").to_string()
}

/// Opens the editor of the one rule file.
fn edit(council: &Council, browser: &Browser) {
    browser.go(&format!("{}/rule-files", council.url));
    browser.press_what_says("rules.toml");
}

#[test]
fn a_mode_is_changed_and_mail_fares_otherwise_at_once() {
    for (size, script) in WAYS {
        let council = Council::start("console-mode");
        let Some(browser) = Browser::start("the console in a browser", size, script) else { return };
        council.sign_in(&browser, CLERK);
        assert_eq!(council.mail("one", &["tom@outside.test"], "pears", "x"), 550);
        browser.press_what_says("Rules");
        browser.press_what_says("No pears");
        assert!(browser.text().contains("said in the rule file"), "{}", browser.text());
        browser.press_what_says("Observe");
        browser.press_what_says("Change the mode");
        assert!(title(&browser).starts_with("Error: ") && browser.text().contains("Say why"), "{}", browser.text());
        assert_eq!(council.mail("two", &["tom@outside.test"], "pears", "x"), 550, "nothing was changed");
        assert!(browser.has("#mode-observe:checked"), "the choice stays");
        browser.write("#reason", "the harvest is in");
        browser.press_what_says("Change the mode");
        let text = browser.text();
        assert!(text.contains("in force as of now") && text.contains("no-pears: observe instead of enforce"), "{text}");
        assert!(text.contains("the harvest is in") && text.contains("Schedule to the policy"), "{text}");
        assert_eq!(council.mail("three", &["tom@outside.test"], "pears", "x"), 250);
        browser.press_what_says("Rules");
        assert!(browser.text().contains("its mode was set here"), "{}", browser.text());
        browser.press_what_says("No pears");
        assert!(browser.text().contains("said here; without that it would be enforce"), "{}", browser.text());
        // Back to the operator's files alone.
        browser.go(&format!("{}/rule-versions/0", council.url));
        browser.write("#reason", "the next harvest");
        browser.press_what_says("Put them back");
        assert!(browser.text().contains("Version 2"), "{}", browser.text());
        assert_eq!(council.mail("four", &["tom@outside.test"], "pears", "x"), 550);
        // It survives a restart, is in the access log, and the operator's file is as it was.
        browser.press_what_says("Access log");
        browser.write("#purpose", "a look at the log");
        browser.press_what_says("Read it");
        assert!(browser.text().contains("changed rules, version 1 (no-pears: observe instead of enforce): the harvest is in"));
    }
}

#[test]
fn what_was_changed_outlives_a_restart_and_check_tells_of_it() {
    let mut council = Council::start("console-restart");
    let Some(browser) = Browser::start("the console in a browser", Size::Desktop, true) else { return };
    council.sign_in(&browser, CLERK);
    browser.go(&format!("{}/rules/no-pears", council.url));
    browser.press_what_says("Off");
    browser.write("#reason", "a trial");
    browser.press_what_says("Change the mode");
    let check = |council: &Council| {
        let out = council.gateway.command(&["check"]);
        (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
    };
    let (good, told) = check(&council);
    assert!(good && told.contains("Changed at the desk: version 1") && told.contains("no-pears"), "{told}");
    council.gateway.kill();
    council.gateway.restart();
    assert_eq!(council.mail("one", &["tom@outside.test"], "pears", "x"), 250);
    // What does not fit any more, after an upgrade say, keeps nobody from starting: the operator's rules hold.
    let manifest = council.gateway.data().join("desk/rules.toml");
    let text = std::fs::read_to_string(&manifest).expect("it was written");
    std::fs::write(&manifest, text.replace("\"off\"", "\"shout\"")).expect("it can be written");
    let (good, told) = check(&council);
    assert!(good && told.contains("is left out") && told.contains("shout"), "{told}");
    council.gateway.kill();
    council.gateway.restart();
    assert_eq!(council.mail("two", &["tom@outside.test"], "pears", "x"), 550);
    assert!(council.gateway.log().contains("desk_left_out"), "{}", council.gateway.tail(20));
    let again = Browser::start("the console in a browser", Size::Phone, true).expect("it was there");
    council.sign_in(&again, CLERK);
    assert!(again.text().contains("was changed here has a fault"), "{}", again.text());
    again.press_what_says("Rules");
    assert!(again.text().contains("operator’s own rules are in force"), "{}", again.text());
    again.press_what_says("put an earlier version back");
    again.press_what_says("Version 1");
    again.write("#reason", "as it was");
    again.press_what_says("Put it back");
    assert!(again.text().contains("Version 2"), "{}", again.text());
    assert_eq!(council.mail("three", &["tom@outside.test"], "pears", "x"), 250);
    again.press_what_says("Today");
    assert!(!again.text().contains("was changed here has a fault"), "{}", again.text());
}

#[test]
fn a_fault_is_told_at_its_line_and_mended() {
    for (size, script) in WAYS {
        let council = Council::start("console-edit");
        let Some(browser) = Browser::start("the console in a browser", size, script) else { return };
        council.sign_in(&browser, CLERK);
        edit(&council, &browser);
        let text = written(&browser);
        assert!(text.contains("\"pears\""), "{text}");
        let line = text.lines().position(|l| l.contains("\"pears\"")).expect("it is there") + 1;
        let faulty = text.replace("words = [\"pears\"]", "wurds = [\"pears\", \"plums\"]");
        put(&browser, "#text", &faulty);
        if script {
            // While one writes, the fault stands beside the text.
            eventually("the fault at its line", || browser.text().contains(&format!("Error, line {line}:")).then_some(()));
            assert!(browser.run("return document.querySelector('.lg-editor__lines').textContent.startsWith('1\\n2\\n')") == true);
        }
        browser.press_what_says("Check");
        assert!(title(&browser).starts_with("Error: ") && browser.text().contains(&format!("Line {line}: ")), "{}", browser.text());
        browser.write("#reason", "plums are no better");
        browser.press_what_says("Save and put in force");
        assert!(title(&browser).starts_with("Error: "), "{}", browser.text());
        assert_eq!(written(&browser).replace('\r', ""), faulty, "what was typed stays");
        assert_eq!(council.mail("one", &["tom@outside.test"], "plums", "x"), 250, "and nothing was changed");
        if script {
            browser.run("document.querySelector('.govuk-error-summary a').click()");
            let chosen = browser.run("const e = document.querySelector('#text'); return e.value.slice(e.selectionStart, e.selectionEnd)");
            assert!(chosen.as_str().is_some_and(|t| t.contains("wurds")), "{chosen}");
        }
        put(&browser, "#text", &faulty.replace("wurds", "words"));
        browser.press_what_says("Check");
        assert!(browser.text().contains("No fault was found"), "{}", browser.text());
        assert_eq!(browser.run("return document.querySelector('#reason').value"), "plums are no better");
        browser.press_what_says("Save and put in force");
        let shown = browser.text();
        assert!(shown.contains("in force as of now") && shown.contains("rules/rules.toml edited") && shown.contains("plums"), "{shown}");
        assert_eq!(council.mail("two", &["tom@outside.test"], "plums", "x"), 550);
        // Given up, the operator's text is in force again.
        edit(&council, &browser);
        assert!(browser.text().contains("It is changed here."), "{}", browser.text());
        browser.write("#give-up-reason", "plums are well");
        browser.press_what_says("Give it up");
        assert!(browser.text().contains("Version 2"), "{}", browser.text());
        assert_eq!(council.mail("three", &["tom@outside.test"], "plums", "x"), 250);
    }
}

#[test]
fn a_change_is_tried_before_it_is_made() {
    for (size, script) in WAYS {
        let council = Council::start("console-try");
        let Some(browser) = Browser::start("the console in a browser", size, script) else { return };
        council.sign_in(&browser, CLERK);
        assert_eq!(council.mail("one", &["tom@outside.test"], "plums", "x"), 250);
        assert_eq!(council.mail("two", &["tom@outside.test"], "pears", "x"), 550);
        edit(&council, &browser);
        let text = written(&browser).replace("words = [\"pears\"]", "words = [\"pears\", \"plums\"]");
        put(&browser, "#text", &text);
        browser.press_what_says("Try it before it is saved");
        let message = format!("From: {ELM}\nTo: tom@outside.test\nSubject: plums <b>x</b>\n\nx\n");
        put(&browser, "#message", &message);
        browser.press_what_says("Try it on this message");
        let shown = browser.text();
        assert!(shown.contains("REFUSED") && shown.contains("no-pears: decides") && shown.contains("Not sent: it has pears."), "{shown}");
        assert!(shown.contains("As the rules are now: DELIVERED, unchanged"), "{shown}");
        assert_eq!(written(&browser).replace('\r', ""), text, "what was typed stays");
        browser.write("#from", "nobody");
        browser.press_what_says("Try it on this message");
        assert!(browser.text().contains("\"nobody\" is not a mail address"), "{}", browser.text());
        // The record is looked at with a reason only. It keeps no words that no rule asked for: plums it cannot tell of.
        put(&browser, "#text", &text.replace(", \"plums\"]", "]\nmode = \"observe\""));
        browser.press_what_says("Try it on that mail");
        assert!(browser.text().contains("Say why"), "{}", browser.text());
        browser.write("#purpose", "before pears are let go");
        let shown = eventually("the record", || {
            browser.press_what_says("Try it on that mail");
            let text = browser.text();
            text.contains("1 of 2 messages would have fared otherwise").then_some(text)
        });
        assert!(shown.contains("refused") && shown.contains("LG-") && !shown.contains("tom@outside.test\t"), "{shown}");
        // The same of a mode.
        browser.go(&format!("{}/rules/no-pears", council.url));
        browser.press_what_says("Try it first");
        browser.run("document.querySelector('#try-mode').value = 'off'");
        put(&browser, "#message", &message.replace("plums", "pears"));
        browser.press_what_says("Try it on this message");
        let shown = browser.text();
        assert!(shown.contains("DELIVERED, unchanged") && shown.contains("As the rules are now: REFUSED"), "{shown}");
        // Nothing of it was put in force.
        assert_eq!(council.mail("three", &["tom@outside.test"], "plums", "x"), 250);
        assert_eq!(council.mail("four", &["tom@outside.test"], "pears", "x"), 550);
        browser.go(&format!("{}/rule-trial", council.url));
        put(&browser, "#message", &message.replace("plums", "apples"));
        browser.press_what_says("Try it on this message");
        assert!(browser.text().contains("HELD: somebody decides first"), "{}", browser.text());
        browser.press_what_says("Access log");
        browser.write("#purpose", "a look at the log");
        browser.press_what_says("Read it");
        assert!(browser.text().contains("replay: before pears are let go"), "{}", browser.text());
    }
}

#[test]
fn the_council_s_own_file_and_two_people_at_once() {
    let council = Council::start("console-own");
    let Some(one) = Browser::start("the console in a browser", Size::Desktop, true) else { return };
    let Some(other) = Browser::start("the console in a browser", Size::Phone, false) else { return };
    council.sign_in(&one, CLERK);
    council.sign_in(&other, CLERK);
    one.go(&format!("{}/rule-files/new", council.url));
    one.write("#name", "../ours");
    one.write("#reason", "plums");
    one.press_what_says("Save and put in force");
    assert!(one.text().contains("A name has letters"), "{}", one.text());
    one.write("#name", "ours");
    put(
        &one,
        "#text",
        &RULES.replace("pears", "plums").replace("fruit\"", "fruit-2\"").replace("mean-it", "mean-it-2").replace("apples", "quinces"),
    );
    one.press_what_says("Save and put in force");
    assert!(one.text().contains("ours.toml made"), "{}", one.text());
    assert_eq!(council.mail("one", &["tom@outside.test"], "plums", "x"), 550);
    // Both begin with the same text.
    for browser in [&one, &other] {
        browser.go(&format!("{}/rule-files", council.url));
        browser.press_what_says("ours.toml");
        put(browser, "#text", &written(browser).replace("it has plums", if std::ptr::eq(browser, &one) { "one" } else { "other" }));
        browser.write("#reason", "better words");
    }
    one.press_what_says("Save and put in force");
    assert!(one.text().contains("Version 2"), "{}", one.text());
    other.press_what_says("Save and put in force");
    assert!(other.text().contains("Somebody else changed this meanwhile"), "{}", other.text());
    assert!(written(&other).contains("Not sent: other"), "what was typed stays");
    // An earlier version is looked at and put back.
    other.go(&format!("{}/rule-versions", council.url));
    other.press_what_says("Version 1");
    assert!(other.text().contains("plums"), "{}", other.text());
    other.write("#reason", "the first words");
    other.press_what_says("Put it back");
    assert!(other.text().contains("Version 1 put back") && other.text().contains("it has plums"), "{}", other.text());
    one.go(&format!("{}/rule-versions/3", council.url));
    assert!(one.has(".lg-difference .gone") && one.has(".lg-difference .new"), "{}", one.text());
}

#[test]
fn somebody_without_the_right_reads_and_changes_nothing() {
    let council = Council::start("console-no-right");
    let Some(browser) = Browser::start("the console in a browser", Size::Phone, true) else { return };
    council.sign_in(&browser, CHAIR);
    browser.go(&format!("{}/rules/no-pears", council.url));
    assert!(browser.text().contains("No pears") && !browser.has("#mode-off") && !browser.has("#message"), "{}", browser.text());
    edit(&council, &browser);
    assert!(browser.text().contains("no-pears") && !browser.has("#text"), "{}", browser.text());
    for path in ["/rule-files/new", "/rule-trial"] {
        browser.go(&format!("{}{path}", council.url));
        assert!(browser.text().contains("You may not do that"), "{}", browser.text());
    }
    let (cookie, token) = session(&council, CHAIR);
    let key = "1234567890abcdef";
    for (path, body) in [
        ("/rules/no-pears/mode".to_string(), "mode=off&was=enforce&reason=x".to_string()),
        ("/rules/no-pears/try".into(), "mode=off&message=x".into()),
        ("/rule-files/new".into(), "name=ours&text=&reason=x".into()),
        ("/rule-files/new/check".into(), "name=ours&text=".into()),
        ("/rule-trial/try".into(), "message=x".into()),
        (format!("/rule-files/{key}"), "text=&began=&reason=x".into()),
        ("/rule-versions/0/back".into(), "began=0&reason=x".into()),
    ] {
        let reply = post(&council, &path, &format!("Cookie: {cookie}\r\n"), &format!("token={token}&{body}"));
        assert!(matches!(reply.code, 403 | 404), "{path}: {}", reply.code);
    }
    assert_eq!(council.mail("one", &["tom@outside.test"], "pears", "x"), 550);
}

#[test]
fn hostile_forms_change_nothing_and_end() {
    let council = Council::start("console-rules-hostile");
    let (cookie, token) = session(&council, CLERK);
    let cookie = format!("Cookie: {cookie}\r\n");
    let send = |path: &str, body: &str| post(&council, path, &cookie, &format!("token={token}&{body}"));
    // Files go by a hash out of the list, never by a path.
    for path in [
        "/rule-files/..%2f..%2fsite.key",
        "/rule-files/%2e%2e",
        "/rule-files/rules.toml",
        "/rule-files/%00",
        "/rule-versions/99",
        "/rules/%2e%2e%2fx",
    ] {
        assert_eq!(get(&council, path, cookie.trim_start_matches("Cookie: ").trim()).code, 404, "{path}");
    }
    let page = get(&council, "/rule-files", cookie.trim_start_matches("Cookie: ").trim()).body;
    let key = page.split("/rule-files/").find_map(|p| p.get(..16).filter(|k| k.bytes().all(|b| b.is_ascii_hexdigit()))).expect("a key");
    let path = format!("/rule-files/{key}");
    let page = get(&council, &path, cookie.trim_start_matches("Cookie: ").trim()).body;
    let began = page.split("name=\"began\" value=\"").nth(1).expect("a hash").split('"').next().expect("its end").to_string();
    let deep = "%5B".repeat(60_000);
    for (what, text) in [
        ("NUL", "a%00b".to_string()),
        ("bare CR", "a = 1%0Db = 2".into()),
        ("deep", format!("a = {deep}")),
        ("no UTF-8", "%ff%fe".into()),
        ("sample elsewhere", "%5B%5Bexpect%5D%5D%0Amessage = \"/etc/passwd\"%0Adisposition = \"reject\"".into()),
        ("too large", "%23".repeat(300_000)),
    ] {
        for to in ["", "/check", "/try"] {
            let reply = send(&format!("{path}{to}"), &format!("began={began}&reason=x&message=x&text={text}"));
            assert!(matches!(reply.code, 200 | 413), "{what} {to}: {}", reply.head);
            assert!(!reply.body.contains("root:"), "{what}");
            if reply.code == 200 {
                assert!(reply.body.contains("There is a problem"), "{what} {to}: {}", reply.body);
            }
        }
    }
    let large = send(&path, &format!("began={began}&reason=x&text={}", "a".repeat(2 * 1024 * 1024)));
    assert!(large.code == 413 || large.code == 0, "{}", large.head);
    // The whole megabyte as a message.
    let reply = send("/rule-trial/try", &format!("message=Subject:%20pears%0A%0A{}", "x%0A".repeat(240_000)));
    assert!(reply.code == 200 && reply.body.contains("REFUSED"), "{}", reply.head);
    assert_eq!(send("/rules/no-pears/mode", "mode=shout&was=enforce&reason=x").code, 200);
    // An old form, or another session's.
    assert_eq!(post(&council, "/rules/no-pears/mode", &cookie, "token=x&mode=off&was=enforce&reason=x").code, 403);
    assert_eq!(council.mail("one", &["tom@outside.test"], "pears", "x"), 550);
    assert!(!council.gateway.data().join("desk/rules.toml").exists());
}
