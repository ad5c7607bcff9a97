//! WCAG 2.2 AA on every page, at both sizes, as far as a program can see it (axe-core); and what it cannot: nothing is wider than the
//! screen, everything is reached by the keyboard in order and shows that it has the focus.

use super::*;
use crate::peers::cache;

const AXE: &str = "const done = arguments[arguments.length - 1]; axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then(r => done(r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 200)).join(' | '))))";

#[cfg(feature = "saml")]
fn council() -> Council {
    let made = rcgen::generate_simple_self_signed(["idp.example".to_owned()]).expect("a certificate");
    let bind = loopback(port());
    let files = [("idp.xml", &*saml::metadata(&made.cert.pem()))];
    Council::at("console-axe", &bind.to_string(), format!("http://{bind}"), saml::SAML, &files)
}

#[cfg(not(feature = "saml"))]
fn council() -> Council {
    Council::start("console-axe")
}

#[test]
fn no_page_has_a_fault_that_a_program_can_see() {
    let axe = cache().join("node_modules/axe-core/axe.min.js");
    let Ok(axe) = std::fs::read_to_string(&axe) else {
        return crate::support::skip("accessibility of the console", "axe-core missing (tests/peers/install.sh brings it)");
    };
    let pictures = std::env::var_os("LYCHGATE_PICTURES").map(std::path::PathBuf::from);
    let mut looked = BTreeSet::new();
    let mut faults = Vec::new();
    for size in [Size::Desktop, Size::Phone] {
        let council = council();
        let Some(browser) = Browser::start("accessibility of the console", size, true) else { return };
        assert_eq!(council.mail("basket", &["jo@outside.test"], "apples", "x"), 250);
        assert_eq!(council.mail("pears", &["tom@outside.test"], "pears", "No"), 550);
        assert_eq!(council.mail("many", &["a@gmail.com", "b@sky.com", "c@aol.com"], "Playground", "Dear all"), 250);
        let mut look = |name: &str| {
            looked.insert(name.to_string());
            browser.run(&axe);
            let found = browser.run_async(AXE);
            let found = found.as_array().unwrap_or_else(|| panic!("axe did not run: {found}"));
            faults.extend(found.iter().map(|fault| format!("{name} ({size:?}): {fault}")));
            // A telephone makes its window as wide as the page: the screen is what it is.
            let screen = if size == Size::Phone { "320" } else { "window.innerWidth" };
            let wider = browser.run(&format!("return document.documentElement.scrollWidth - {screen}"));
            if wider.as_i64().is_none_or(|w| w > 0) {
                faults.push(format!("{name} ({size:?}) is wider than the screen by {wider}"));
            }
            // Each thing that takes the focus shows it: its outline or shadow is another with it than without.
            let hidden = browser.run(
                "return [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary, [tabindex=\"0\"]')].filter(e => e.offsetParent !== null && !e.closest('.govuk-skip-link') && !(e.tagName !== 'SUMMARY' && e.closest('details:not([open])'))).filter(e => { \
                 const s = () => { const c = getComputedStyle(e), n = e.nextElementSibling ? getComputedStyle(e.nextElementSibling, '::before') : null; return c.outline + c.boxShadow + c.backgroundColor + (n ? n.outline + n.boxShadow : '') }; \
                 e.blur(); const before = s(); e.focus({focusVisible: true}); const after = s(); e.blur(); return before === after }).map(e => e.outerHTML.slice(0, 120))",
            );
            faults.extend(hidden.as_array().into_iter().flatten().map(|e| format!("{name} ({size:?}): no focus shows on {e}")));
            if let Some(folder) = &pictures {
                std::fs::create_dir_all(folder).expect("a folder can be made");
                browser.picture(&folder.join(format!("{name}-{size:?}.png")));
            }
        };
        browser.go(&format!("{}/sign-in", council.url));
        look("sign-in");
        #[cfg(feature = "saml")]
        {
            assert!(browser.text().contains("council’s account"), "{}", browser.text());
            browser.go(&format!("{}/saml/logout?SAMLRequest=x", council.url));
            look("saml-refused");
            browser.go(&format!("{}/sign-in", council.url));
        }
        browser.write("#address", "nothing");
        browser.press_what_says("Send me a link");
        look("sign-in-error");
        let confirm = council.link_for(ELM, "/confirm/");
        browser.go(&confirm);
        look("confirm");
        browser.press_what_says("Decide");
        look("confirm-error");
        browser.go(&format!("{}/sign-in", council.url));
        browser.write("#address", CLERK);
        browser.press_what_says("Send me a link");
        look("sign-in-sent");
        browser.go(&council.link_for(CLERK, "/sign-in/link?key="));
        look("sign-in-link");
        browser.press_what_says("Sign in");
        look("today");
        browser.press_what_says("Held");
        look("held");
        browser.press_what_says("LG-");
        browser.press_what_says("Read what it says");
        look("held-one");
        browser.press_what_says("Let it go");
        look("held-one-error");
        for (path, name) in [
            ("/find", "find"),
            ("/rules", "rules"),
            ("/rules/fruit", "rule"),
            ("/rule-files", "rule-files"),
            ("/rule-files/new", "rule-file-new"),
            ("/rule-trial", "rule-trial"),
            ("/rule-versions", "rule-versions"),
            ("/rule-versions/0", "rule-version-0"),
            ("/papers", "papers"),
            ("/papers/schedule", "schedule"),
            ("/papers/coverage", "coverage"),
            ("/papers/retention", "retention"),
            ("/rights", "rights"),
            ("/retention", "retention"),
            ("/retention/holds/new", "hold-new"),
            ("/access", "access"),
            ("/people", "people"),
            ("/people/suspended", "suspended"),
            ("/people/acting", "acting"),
            ("/people/accounts", "accounts"),
            ("/mine", "mine"),
            ("/mine/notice", "mine-notice"),
            ("/nowhere", "nowhere"),
        ] {
            browser.go(&format!("{}{path}", council.url));
            look(name);
        }
        for (path, fill, button, name) in [
            ("suspended", "", "Suspend the account", "suspended-error"),
            ("suspended", "info@wragby.test", "Suspend the account", "suspended-one"),
            ("acting", "", "Let them act", "acting-error"),
            ("accounts", "", "Register the account", "accounts-error"),
        ] {
            browser.go(&format!("{}/people/{path}", council.url));
            if !fill.is_empty() {
                browser.write("#suspend-who", fill);
                browser.write("#suspend-reason", "Broken into on Tuesday; she is being told");
            }
            browser.press_what_says(button);
            look(name);
        }
        for (path, button, account) in [("acting", "Let them act", false), ("accounts", "Register the account", true)] {
            browser.go(&format!("{}/people/{path}", council.url));
            let form = if account { "register" } else { "lend" };
            people::choose(&browser, &format!("#{form}-who"), "deputy@wragby.test");
            browser.write(&format!("#{form}-reason"), "The Clerk is away");
            if account {
                browser.write("#register-account", "jo.deputy@btinternet.com");
            } else {
                people::choose(&browser, "#lend-role", "clerk");
                people::write_day(&browser, "#lend-last", 5);
            }
            browser.press_what_says(button);
            look(&format!("{path}-one"));
        }
        browser.go(&format!("{}/people", council.url));
        look("people-all");
        assert_eq!(council.mail_of(CLERK, "own", &["jo@outside.test"], "apples of the Clerk", "x").code, 250);
        browser.go(&format!("{}/mine", council.url));
        look("mine-held");
        browser.go(&format!("{}/rights", council.url));
        browser.write("#new-person", "jo@outside.test");
        browser.press_what_says("Note it");
        look("rights-error");
        browser.press_what_says("To be erased");
        browser.write("#new-reason", "Letter of 3 May");
        browser.press_what_says("Note it");
        look("request");
        browser.press_what_says("Close the request");
        browser.press_what_says("Close it");
        look("request-error");
        browser.press_what_says("Erase what is held of them");
        browser.write("#erasure-reason", "They withdrew");
        browser.press_what_says("See what would go");
        look("erasure");
        browser.press_what_says("Erase for good");
        look("erasure-error");
        browser.press_what_says("This is the right person");
        browser.press_what_says("Erase for good");
        look("receipt");
        browser.go(&format!("{}/retention/holds/new", council.url));
        browser.press_what_says("Place the hold");
        look("hold-new-error");
        browser.write("#place-case", "2026/41");
        browser.write("#place-reason", "Complaint about the hedge");
        browser.write("#place-person", "tom@outside.test");
        browser.write("#place-expires", "27 3 2030");
        browser.press_what_says("Place the hold");
        look("hold");
        browser.press_what_says("Retention");
        look("retention-with-hold");
        browser.press_what_says("Purge now");
        browser.write("#purge-reason", "a test");
        browser.press_what_says("Continue");
        look("purge");
        browser.go(&format!("{}/papers/schedule", council.url));
        browser.press_what_says("This is the version");
        browser.press_what_says("Note it");
        look("paper-error");
        browser.write("#adopt-adopted", "14 5 2026");
        browser.write("#adopt-reason", "Minute 2026/41");
        browser.press_what_says("Note it");
        look("paper-adopted");
        papers::reload(&council, &RULES.replace("No pears", "No pears and no plums"));
        browser.go(&format!("{}/papers/schedule", council.url));
        look("paper-stale");
        browser.press_what_says("14 May 2026 (Minute");
        look("paper-as-adopted");
        browser.press_what_says("Papers");
        look("papers-stale");
        browser.press_what_says("Today");
        look("today-stale");
        browser.go(&format!("{}/find", council.url));
        browser.write("#who", "tom@outside.test");
        browser.write("#purpose", "a test");
        browser.press_what_says("Look");
        look("found");
        change_rules(&council, &browser, &mut look);
        browser.go(&format!("{}/access", council.url));
        browser.write("#purpose", "a test");
        browser.press_what_says("Read it");
        look("access-read");
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    say(&format!("console: {} pages at two sizes without a fault that axe-core sees", looked.len()));
}

/// The pages that changing rules leads through.
fn change_rules(council: &Council, browser: &Browser, look: &mut dyn FnMut(&str)) {
    browser.go(&format!("{}/rules/no-pears", council.url));
    browser.press_what_says("Change the mode");
    look("rule-error");
    browser.press_what_says("Warn");
    browser.write("#reason", "a test");
    browser.press_what_says("Change the mode");
    look("rule-version");
    browser.go(&format!("{}/rules/no-pears", council.url));
    browser.press_what_says("Try it first");
    browser.write("#message", &format!("From: {ELM}\nTo: tom@outside.test\nSubject: pears\n\nx\n"));
    browser.press_what_says("Try it on this message");
    look("rule-tried");
    browser.write("#purpose", "a test");
    browser.press_what_says("Try it on that mail");
    look("rule-month");
    browser.go(&format!("{}/rule-files", council.url));
    browser.press_what_says("rules.toml");
    look("rule-file");
    browser.write(
        "#text",
        "[[rule]]\nid = \"fruit\"\ntitle = \"Fruit\"\nwhen.subject.wurds = [\"apples\", \"pears\", \"plums\", \"quinces\", \"medlars\"]\n",
    );
    browser.press_what_says("Check");
    look("rule-file-error");
    browser.write("#text", RULES.replace("apples", "plums").as_str());
    browser.write("#reason", "a test");
    browser.press_what_says("Save and put in force");
    look("rule-version-text");
    browser.go(&format!("{}/rule-versions", council.url));
    look("rule-versions-some");
}
