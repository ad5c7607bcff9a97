//! What a Clerk does, from the first page to the last.

use super::*;

#[test]
fn a_held_message_is_looked_at_and_let_go() {
    for (size, script) in WAYS {
        let council = Council::start("console-held");
        let Some(browser) = Browser::start("the console in a browser", size, script) else { return };
        assert_eq!(council.mail("basket", &["jo@outside.test"], "apples for the fete", "They are ripe."), 250);
        // From the mail it is three clicks at most: the link, and the button behind a reason.
        let link = council.link_for(CLERK, "/held/");
        council.sign_in(&browser, CLERK);
        assert!(browser.text().contains("1 message waits"), "{}", browser.text());
        // Whoever must sign in first comes to the page that they wanted.
        browser.press_what_says("Sign out");
        browser.go(&link);
        assert!(browser.url().ends_with("/sign-in"), "{}", browser.url());
        council.sign_in(&browser, CLERK);
        assert!(browser.url().contains("/held/LG-"), "{}", browser.url());
        let shown = browser.text();
        assert!(shown.contains(ELM) && shown.contains("1 at outside.test") && shown.contains("Fruit is for the Clerk"), "{shown}");
        assert!(!shown.contains("ripe") && !shown.contains("apples for") && !shown.contains("jo@"), "{shown}");
        // Without a reason nothing happens, and the page says so.
        browser.press_what_says("Let it go");
        assert!(browser.title().starts_with("Error: ") && browser.text().contains("Say why"), "{}", browser.text());
        browser.write("#release-reason", "It is harmless");
        browser.press_what_says("Let it go");
        assert!(browser.text().contains("leaves now"), "{}", browser.text());
        let gone = eventually("the message", || council.sink.take().into_iter().find(|c| text(c).contains("They are ripe.")));
        assert_eq!(gone.recipients, ["RCPT TO:<jo@outside.test>"]);
    }
}

#[test]
fn a_held_message_goes_back_with_the_reason() {
    let council = Council::start("console-refuse");
    let Some(browser) = Browser::start("the console in a browser", Size::Phone, true) else { return };
    assert_eq!(council.mail("basket", &["jo@outside.test"], "apples", "They are ripe."), 250);
    council.sign_in(&browser, CLERK);
    browser.press_what_says("Held");
    browser.press_what_says("LG-");
    browser.press_what_says("Send it back");
    assert!(browser.has("a[href='#refuse-reason']") && browser.has("#refuse-reason-error"), "{}", browser.text());
    browser.write("#refuse-reason", "Wait for the meeting <b>please</b>");
    browser.press_what_says("Send it back");
    assert!(browser.text().contains("goes back to its sender"), "{}", browser.text());
    let back =
        eventually("the letter to its sender", || council.sink.take().into_iter().find(|c| text(c).contains("Wait for the meeting")));
    assert_eq!(back.recipients, [format!("RCPT TO:<{ELM}>")]);
    // The Clerk cannot decide about what is not there any more.
    browser.press_what_says("Held");
    assert!(browser.text().contains("Nothing waits for a decision"), "{}", browser.text());
}

#[test]
fn its_sender_is_asked_about_it() {
    let council = Council::start("console-question");
    let Some(browser) = Browser::start("the console in a browser", Size::Phone, false) else { return };
    assert_eq!(council.mail("basket", &["jo@outside.test"], "apples", "They are ripe."), 250);
    council.sign_in(&browser, CLERK);
    browser.press_what_says("Held");
    browser.press_what_says("LG-");
    browser.press_what_says("Ask its sender");
    assert!(browser.has("a[href='#question']") && browser.has("#question-error"), "{}", browser.text());
    browser.write("#question", "Is <i>Tuesday</i> right?");
    browser.press_what_says("Ask its sender");
    assert!(browser.text().contains("was asked"), "{}", browser.text());
    let letter = eventually("the question", || council.sink.take().into_iter().find(|c| text(c).contains("Is <i>Tuesday</i> right?")));
    assert_eq!(letter.recipients, [format!("RCPT TO:<{ELM}>")]);
    assert!(text(&letter).contains(&format!("Please answer to {CLERK}")), "{}", text(&letter));
    // It waits, and the page says what was asked.
    browser.press_what_says("LG-");
    assert!(browser.text().contains("Is <i>Tuesday</i> right?"), "{}", browser.text());
}

#[test]
fn it_takes_two_people_to_read_what_it_says() {
    let council = Council::start("console-two");
    let Some(clerk) = Browser::start("the console in a browser", Size::Desktop, true) else { return };
    let Some(chair) = Browser::start("the console in a browser", Size::Phone, true) else { return };
    let hostile = "They are ripe.\r\n<script>document.title = 'run'</script><img src=x onerror=\"document.title='run'\">";
    assert_eq!(council.mail("basket", &["jo@outside.test"], "apples", hostile), 250);
    council.sign_in(&clerk, CLERK);
    clerk.press_what_says("Held");
    clerk.press_what_says("LG-");
    clerk.press_what_says("Read what it says");
    clerk.write("#ask-reason", "A complaint about it");
    clerk.press_what_says("Ask somebody to agree");
    assert!(clerk.text().contains("Somebody else must agree"), "{}", clerk.text());
    let page = clerk.url();
    // The one who asked cannot agree.
    clerk.press_what_says("Access log");
    assert!(clerk.text().contains("A complaint about it") && !clerk.has("form[action$='/approve']"), "{}", clerk.text());
    council.sign_in(&chair, CHAIR);
    chair.press_what_says("Access log");
    assert!(chair.text().contains("A complaint about it"), "{}", chair.text());
    chair.press_what_says("Agree");
    clerk.go(&page);
    clerk.press_what_says("Read what it says");
    clerk.write("#open-reason", "A complaint about it");
    clerk.press_what_says("Read it");
    let shown = clerk.text();
    assert!(shown.contains("They are ripe.") && shown.contains("<script>document.title"), "{shown}");
    assert_ne!(clerk.title(), "run", "what a message holds is text");
    // Once: the request is used up.
    clerk.go(&page);
    clerk.press_what_says("Read what it says");
    assert!(clerk.has("#ask-reason"), "{}", clerk.text());
    // And it stands in the log.
    clerk.press_what_says("Access log");
    clerk.write("#purpose", "a look at the log");
    clerk.press_what_says("Read it");
    let log = clerk.text();
    assert!(log.contains("opened held mail") && log.contains("Whole") && log.contains(&format!("{CHAIR} (proven)")), "{log}");
}

#[test]
fn did_it_arrive_is_answered_in_a_sentence() {
    for (size, script) in WAYS {
        let council = Council::start("console-find");
        let Some(browser) = Browser::start("the console in a browser", size, script) else { return };
        assert_eq!(council.mail("agenda", &["edith@outside.test"], "Agenda", "See you there"), 250);
        assert_eq!(council.mail("pears", &["tom@outside.test"], "pears", "No"), 550);
        council.sign_in(&browser, CLERK);
        browser.press_what_says("Find a message");
        browser.press_what_says("Look");
        assert!(browser.title().starts_with("Error: "), "{}", browser.title());
        browser.write("#who", "edith@outside.test");
        browser.write("#purpose", "Did Mrs Ashby get the agenda?");
        let answered = eventually("the record", || {
            browser.press_what_says("Look");
            let text = browser.text();
            text.contains("Yes: the mail provider took the latest").then_some(text)
        });
        assert!(answered.contains(ELM) && answered.contains("delivered to the provider"), "{answered}");
        browser.write("#who", "tom@outside.test");
        browser.press_what_says("Look");
        let answered = browser.text();
        assert!(answered.contains("refused by the council's policy") && answered.contains("no-pears"), "{answered}");
        assert_eq!(council.mail("basket", &["jo@outside.test"], "apples", "They are ripe."), 250);
        browser.write("#who", "jo@outside.test");
        eventually("what is held in the record", || {
            browser.press_what_says("Look");
            browser.text().contains("Not yet: the latest").then_some(())
        });
        browser.write("#who", "nobody@outside.test");
        browser.press_what_says("Look");
        assert!(browser.text().contains("Nothing in the record fits"), "{}", browser.text());
    }
}

#[test]
fn a_sender_chooses_on_the_page_behind_the_link() {
    for (size, script) in WAYS {
        let council = Council::start("console-confirm");
        let Some(browser) = Browser::start("the console in a browser", size, script) else { return };
        let to = ["a@gmail.com", "b@sky.com", "c@aol.com"];
        assert_eq!(council.mail("many", &to, "Playground", "Dear all"), 250);
        let link = council.link_for(ELM, "/confirm/");
        // Programs look at links first: that changes nothing.
        for _ in 0..3 {
            browser.go(&link);
        }
        assert!(browser.text().contains("Playground") && browser.text().contains("3 people"), "{}", browser.text());
        browser.press_what_says("Decide");
        assert!(browser.title().starts_with("Error: "), "{}", browser.text());
        browser.press_what_says("Send it as it is");
        browser.press_what_says("Decide");
        assert!(browser.text().contains("Say why"), "{}", browser.text());
        browser.press_what_says("hidden from one another");
        browser.press_what_says("Decide");
        assert!(browser.text().contains("It leaves now"), "{}", browser.text());
        let gone = eventually("the message", || council.sink.take().into_iter().find(|c| text(c).ends_with("Dear all\r\n")));
        assert_eq!(gone.recipients.len(), 3);
        assert!(head(&gone).contains("undisclosed-recipients"), "{}", head(&gone));
        browser.go(&link);
        assert!(browser.text().contains("waits no longer"), "{}", browser.text());
        // Where answers go by mail is no link.
        assert!(!council.gateway.log().contains(link.rsplit('/').next().expect("a key")));
    }
}

#[test]
fn rules_and_papers_are_read() {
    let council = Council::start("console-read");
    let Some(browser) = Browser::start("the console in a browser", Size::Phone, true) else { return };
    assert_eq!(council.mail("pears", &["tom@outside.test"], "pears", "No"), 550);
    council.sign_in(&browser, CLERK);
    browser.press_what_says("Rules");
    assert!(browser.text().contains("No pears"), "{}", browser.text());
    browser.press_what_says("No pears");
    assert!(browser.text().contains("Not sent: it has pears.") && browser.text().contains("enforce"), "{}", browser.text());
    browser.press_what_says("Papers");
    browser.press_what_says("Schedule to the policy");
    assert!(browser.text().contains("No pears"), "{}", browser.text());
    browser.press_what_says("All papers");
    browser.press_what_says("Retention schedule");
    assert!(browser.text().contains("90 days"), "{}", browser.text());
    browser.press_what_says("Sign out");
    assert!(browser.url().ends_with("/sign-in"));
    browser.go(&council.url);
    assert!(browser.url().ends_with("/sign-in"), "a session that ended is over");
}
