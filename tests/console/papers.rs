//! The council's papers: as they were adopted, stale when the configuration says something else, and on paper.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::security::{post, session};
use super::*;

/// Has the gateway read other rules.
pub(super) fn reload(council: &Council, rules: &str) {
    let before = council.gateway.log().matches("reloaded").count();
    council.gateway.scratch.file("rules/rules.toml", rules);
    council.gateway.signal("HUP");
    eventually("the reload", || (council.gateway.log().matches("reloaded").count() > before).then_some(()));
}

fn adopt(browser: &Browser, minute: &str) {
    browser.press_what_says("This is the version that the council adopted");
    browser.write("#adopt-adopted", "14 May 2026");
    browser.write("#adopt-reason", minute);
    browser.press_what_says("Note it");
    assert!(browser.text().contains("It is noted"), "{}", browser.text());
}

#[test]
fn a_paper_is_stale_once_the_rules_have_changed_and_fresh_when_it_is_adopted_again() {
    for (size, script) in WAYS {
        let council = Council::start("console-papers");
        let Some(browser) = Browser::start("the console in a browser", size, script) else { return };
        council.sign_in(&browser, CLERK);
        browser.press_what_says("Papers");
        assert!(!browser.text().contains("As adopted") && !browser.text().contains("Stale"), "{}", browser.text());
        browser.press_what_says("Schedule to the policy");
        let page = browser.url();
        browser.press_what_says("This is the version that the council adopted");
        browser.write("#adopt-adopted", "14 May 2999");
        browser.press_what_says("Note it");
        assert!(browser.title().starts_with("Error: ") && browser.text().contains("Enter the minute"), "{}", browser.text());
        browser.write("#adopt-reason", "Minute 2026/41");
        browser.press_what_says("Note it");
        assert!(browser.title().starts_with("Error: ") && browser.text().contains("is not to come"), "{}", browser.text());
        browser.go(&page);
        adopt(&browser, "Minute 2026/41");
        assert!(browser.text().contains("As adopted"), "{}", browser.text());
        browser.go(&format!("{}/papers/notice", council.url));
        adopt(&browser, "Minute 2026/41");
        // Mail and a day that goes by are no change.
        assert_eq!(council.mail("pears", &["tom@outside.test"], "pears", "No"), 550);
        browser.press_what_says("Papers");
        let shown = browser.text();
        assert!(
            shown.matches("The council adopted it on 14 May 2026 (Minute 2026/41)").count() == 2 && !shown.contains("Stale"),
            "{shown}"
        );
        let folder = council.gateway.data().join("desk");
        let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(
            [mode(&folder), mode(&folder.join("papers")), mode(&folder.join("papers.toml")), mode(&folder.join("papers/1.json"))],
            [0o700, 0o700, 0o600, 0o600]
        );
        reload(&council, &RULES.replace("No pears", "No pears and no plums"));
        browser.press_what_says("Today");
        assert!(browser.text().contains("1 paper is stale"), "{}", browser.text());
        browser.press_what_says("1 paper is stale");
        let shown = browser.text();
        assert!(shown.contains("Stale: the configuration has changed since it was adopted on 14 May 2026"), "{shown}");
        assert!(shown.matches("The council adopted it").count() == 1, "the notice does not speak of rules: {shown}");
        let status = council.gateway.command(&["document", "status"]);
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        assert!(status.contains("schedule      STALE") && status.contains("notice        as it was adopted on 14 May 2026"), "{status}");
        browser.go(&page);
        let changed = browser.run("return [...document.querySelectorAll('.lg-diff .was, .lg-diff .now')].map(e => e.innerText)");
        let changed: Vec<&str> = changed.as_array().expect("a list").iter().filter_map(|l| l.as_str()).collect();
        assert_eq!(changed.len(), 2, "{changed:?}");
        assert!(
            changed[0].contains("3. No pears") && !changed[0].contains("plums") && changed[1].contains("No pears and no plums"),
            "{changed:?}"
        );
        // What was adopted can still be read.
        browser.press_what_says("14 May 2026 (Minute 2026/41)");
        let shown = browser.text();
        assert!(shown.contains("No pears") && !shown.contains("plums") && shown.contains("As the council adopted it"), "{shown}");
        browser.go(&page);
        adopt(&browser, "Minute 2026/58");
        assert!(browser.text().contains("As adopted") && !browser.has(".lg-diff"), "{}", browser.text());
        browser.press_what_says("Today");
        assert!(!browser.text().contains("stale"), "{}", browser.text());
        // Back again: it is the older one that it is like, and the later one that counts.
        reload(&council, RULES);
        browser.go(&page);
        assert!(browser.text().contains("Minute 2026/58") && browser.text().contains("Stale"), "{}", browser.text());
    }
}

#[test]
fn what_was_not_read_is_not_adopted_and_what_was_altered_is_said_to_be() {
    let council = Council::start("console-papers-forged");
    let (cookie, token) = session(&council, CLERK);
    let page = |path: &str| super::security::get(&council, path, &cookie).body;
    let seen = |page: &str| page.split("name=\"seen\" value=\"").nth(1).expect("a mark").split('"').next().expect("its end").to_string();
    let old = seen(&page("/papers/schedule"));
    reload(&council, &RULES.replace("No pears", "No plums"));
    let adopt = |seen: &str| {
        post(
            &council,
            "/papers/schedule/adopt",
            &format!("Cookie: {cookie}\r\n"),
            &format!("token={token}&seen={seen}&adopted=2026-05-14&reason=Minute+1"),
        )
    };
    let refused = adopt(&old);
    assert!(refused.code == 200 && refused.body.contains("What the paper says has changed since you read it"), "{}", refused.body);
    assert!(!council.gateway.data().join("desk/papers.toml").exists());
    assert_eq!(adopt(&seen(&page("/papers/schedule"))).code, 303);
    let log = council.gateway.command(&["audit", "list"]);
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    assert!(log.contains("noted that the council adopted its schedule to the policy on 2026-05-14: Minute 1"), "{log}");
    // A file of the desk's that somebody alters is not shown as what was adopted, and nothing else breaks by it.
    let file = council.gateway.data().join("desk/papers/1.json");
    let text = std::fs::read_to_string(&file).expect("it is there");
    std::fs::write(&file, text.replace("No plums", "No rules")).expect("it can be written");
    assert!(page("/papers/schedule/adopted/1").contains("was altered since it was written"));
    assert!(page("/papers/schedule").contains("No plums"));
    std::fs::write(council.gateway.data().join("desk/papers.toml"), "paper = 3").expect("it can be written");
    assert!(page("/papers").contains("It cannot be said which are as the council adopted them"));
    assert!(page("/papers/schedule").contains("No plums"));
    let today = page("/");
    assert!(today.contains("What it keeps cannot be read") && !today.contains("stale"), "{today}");
}

#[test]
fn on_paper_there_is_the_paper_and_nothing_else() {
    let many: String = (0..70)
        .map(|n| format!("[[rule]]\nid = \"r{n}\"\ntitle = \"Rule {n} is about marmalade\"\nwhen.subject.words = [\"w{n}\"]\nthen.reject = \"No.\"\n\n"))
        .collect();
    let council = Council::with("console-print", |site| site.rules(&many));
    let pictures = std::env::var_os("LYCHGATE_PICTURES").map(std::path::PathBuf::from);
    let text_of = |pdf: &std::path::Path| {
        let out = Command::new("pdftotext").args(["-layout"]).arg(pdf).arg("-").output().ok()?;
        Some(String::from_utf8_lossy(&out.stdout).into_owned())
    };
    for size in [Size::Desktop, Size::Phone] {
        let Some(browser) = Browser::start("papers as PDF", size, true) else { return };
        council.sign_in(&browser, CLERK);
        for name in ["notice", "outsiders", "impact", "interests", "retention", "schedule", "coverage", "assertion-10", "review"] {
            browser.go(&format!("{}/papers/{name}", council.url));
            let title = browser.run("return document.querySelector('h1').innerText");
            let pdf = browser.print();
            assert!(pdf.starts_with(b"%PDF-") && pdf.len() > 5_000, "{name}: {} octets", pdf.len());
            let path = council.gateway.scratch.file(&format!("{name}.pdf"), &pdf);
            if let Some(folder) = &pictures {
                std::fs::create_dir_all(folder).expect("a folder can be made");
                std::fs::write(folder.join(format!("{name}-{size:?}.pdf")), &pdf).expect("it can be written");
            }
            let Some(text) = text_of(&path) else {
                crate::support::skip("the text of papers as PDF", "pdftotext missing (tests/peers/install.sh brings poppler-utils)");
                continue;
            };
            let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat.contains(title.as_str().expect("a title")), "{name}: {flat}");
            for other in [
                "Sign out",
                "Access log Access",
                "All papers",
                "Skip to",
                "This is the version",
                "kept in the access log, with its reason",
                "http",
            ] {
                assert!(!flat.contains(other), "{name} has {other:?} on paper: {flat}");
            }
            let pages: Vec<&str> = text.split('\u{c}').filter(|page| !page.trim().is_empty()).collect();
            let numbered = |(n, page): (usize, &&str)| page.contains(&format!("{} of {}", n + 1, pages.len()));
            assert!(pages.iter().enumerate().all(numbered), "{name}: each page bears its number: {text}");
            match name {
                "review" => {
                    let with_rules: Vec<&&str> = pages.iter().filter(|p| p.contains("marmalade")).collect();
                    let of_the_table = with_rules.iter().filter(|p| {
                        p.lines().any(|l| l.trim_start().starts_with("Rule ") && l.contains("marmalade") && l.contains("enforce"))
                    });
                    let table: Vec<_> = of_the_table.collect();
                    assert!(table.len() >= 2, "the table goes over a page: {text}");
                    assert!(table.iter().all(|p| p.contains("Applied") && p.contains("Overridden")), "its head comes again: {text}");
                }
                "schedule" => {
                    assert!(pages.len() > 3, "{} pages", pages.len());
                    for page in &pages {
                        let last = page.lines().rev().find(|l| !l.trim().is_empty()).expect("a line").trim();
                        assert!(
                            !last.split(' ').next().is_some_and(|w| w.ends_with('.') && w[..w.len() - 1].parse::<u32>().is_ok()),
                            "a heading alone: {last}"
                        );
                    }
                }
                _ => {}
            }
        }
    }
}
