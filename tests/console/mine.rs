//! What a councillor sees of themselves, and of nobody else.

use super::security::{get, post, session};
use super::*;

const OAK: &str = "cllr.oak@wragby.test";

#[test]
fn a_member_decides_about_their_own_held_mail() {
    for (size, script) in WAYS {
        let council = Council::start("console-mine");
        let Some(browser) = Browser::start("the console in a browser", size, script) else { return };
        assert_eq!(council.mail("mean", &["a@gmail.com", "b@sky.com", "c@aol.com"], "Playground", "Dear all"), 250);
        assert_eq!(council.mail("basket", &["jo@outside.test"], "apples for the fete", "They are ripe."), 250);
        council.sign_in(&browser, ELM);
        browser.press_what_says("About me");
        let shown = browser.text();
        assert!(shown.contains("Did you mean this") || shown.contains("did you mean this"), "{shown}");
        assert!(shown.contains("1 at gmail.com") && !shown.contains("a@gmail.com") && !shown.contains("apples for"), "{shown}");
        // What waits for the Clerk can be taken back, and nothing else: there is one button, and no choice.
        browser.press_what_says("Take it back");
        assert!(browser.text().contains("was cancelled. Nobody received it"), "{}", browser.text());
        browser.press_what_says("Decide");
        assert!(browser.title().starts_with("Error: ") && browser.text().contains("Choose what should happen"), "{}", browser.text());
        browser.press_what_says("Send it as it is");
        browser.press_what_says("Decide");
        assert!(browser.text().contains("Say why it is to be sent"), "{}", browser.text());
        browser.press_what_says("Send it as it is");
        browser.run("document.querySelector('[id^=\"reason-\"]').id = 'why'");
        browser.write("#why", "They all know one another");
        browser.press_what_says("Decide");
        assert!(browser.text().contains("leaves now"), "{}", browser.text());
        let gone = eventually("the message", || council.sink.take().into_iter().find(|c| text(c).contains("Dear all")));
        assert_eq!(gone.recipients.len(), 3);
        assert!(council.sink.take().iter().all(|c| !text(c).contains("They are ripe.")));
    }
}

/// The references of somebody's held messages.
fn references(page: &str) -> Vec<String> {
    let mut found: Vec<String> =
        page.split("/mine/held/").skip(1).map(|rest| rest.split('"').next().expect("its end").to_string()).collect();
    found.dedup();
    found
}

#[test]
fn nobody_sees_or_decides_about_another_s() {
    let council = Council::start("console-mine-two");
    assert_eq!(council.mail("elm-held", &["jo@outside.test"], "apples", "x"), 250);
    assert_eq!(council.mail_of(OAK, "oak-held", &["tom@outside.test"], "apples", "x").code, 250);
    assert_eq!(council.mail("to-oak", &[OAK, "edith@outside.test"], "Agenda", "x"), 250);
    assert_eq!(council.mail_of(OAK, "oak-sent", &["tom@outside.test"], "Minutes", "x").code, 250);
    let (elm, elm_token) = session(&council, ELM);
    let (oak, oak_token) = session(&council, OAK);
    let page = |cookie: &str| get(&council, "/mine", cookie).body;
    // Elm sent two that are recorded (one held) and is in nothing else; Oak has three, one of them from a councillor.
    let (elms, oaks) = eventually("both records", || {
        let (elms, oaks) = (page(&elm), page(&oak));
        (elms.matches("<strong>You ").count() == 2 && oaks.matches("<strong>You ").count() == 3).then_some((elms, oaks))
    });
    let (held_elm, held_oak) = (references(&elms), references(&oaks));
    assert_eq!((held_elm.len(), held_oak.len()), (1, 1));
    for (body, own, other, theirs) in [(&elms, ELM, OAK, &held_oak[0]), (&oaks, OAK, ELM, &held_elm[0])] {
        assert!(body.contains(own) && !body.contains(other) && !body.contains(theirs.as_str()), "{body}");
        assert!(!body.contains("@outside.test"), "{body}");
    }
    assert!(oaks.contains("from a councillor"), "{oaks}");
    // Another's reference is none; nor is another's address anybody's to export.
    let more = |cookie: &str| format!("Cookie: {cookie}\r\n");
    for choice in 1..=4 {
        let tried =
            post(&council, &format!("/mine/held/{}", held_elm[0]), &more(&oak), &format!("token={oak_token}&choice={choice}&reason=x"));
        assert!(tried.body.contains("waits no longer"), "{}", tried.body);
    }
    let own_held = |choice: u8| {
        post(&council, &format!("/mine/held/{}", held_elm[0]), &more(&elm), &format!("token={elm_token}&choice={choice}&reason=x"))
    };
    // Their own that waits for the Clerk they cannot let go.
    for choice in 1..=3 {
        assert!(own_held(choice).body.contains("cannot leave that way"), "{choice}");
    }
    assert_eq!(references(&page(&elm)), held_elm);
    let export = |cookie: &str, token: &str, address: &str| {
        post(&council, "/mine/export", &more(cookie), &format!("token={token}&form=json&address={address}"))
    };
    assert_eq!(export(&oak, &oak_token, ELM).code, 404);
    assert_eq!(export(&oak, "wrong", OAK).code, 403);
    let copy = export(&oak, &oak_token, OAK);
    assert!(copy.code == 200 && copy.head.contains("content-disposition: attachment"), "{}", copy.head);
    assert!(copy.body.contains(OAK) && !copy.body.contains(ELM) && copy.body.contains("a councillor"), "{}", copy.body);
    let page_copy = post(&council, "/mine/export", &more(&oak), &format!("token={oak_token}&form=page"));
    assert!(
        page_copy.head.contains("about-me.html") && page_copy.body.contains("What Wragby Parish Council holds of"),
        "{}",
        page_copy.head
    );
    // A request goes to the Clerk, once.
    assert_eq!(post(&council, "/mine/request", &more(&oak), &format!("token={oak_token}")).code, 303);
    assert!(post(&council, "/mine/request", &more(&oak), &format!("token={oak_token}")).body.contains("is open already"));
    eventually("the letter to the Clerk", || {
        council.sink.take().into_iter().find(|c| text(c).contains("asks for a copy of what the council keeps"))
    });
    assert!(!page(&elm).contains("access asked for") && page(&oak).contains("access asked for"));
    // Each look at themselves is in the log.
    let (clerk, token) = session(&council, CLERK);
    let log = post(&council, "/access", &more(&clerk), &format!("token={token}&purpose=x")).body;
    for wanted in [
        "looked at what is kept of themselves",
        "looked at their own held mail",
        "took a copy of what is kept of themselves",
        "asked for a copy",
    ] {
        assert!(log.contains(wanted), "{wanted} in {log}");
    }
    assert_eq!(own_held(4).code, 303);
    assert!(references(&page(&elm)).is_empty());
}
