//! The ten tasks of the README's tour, each done in as many clicks as it says there. `LYCHGATE_PICTURES` gets a picture of each.

use super::*;

/// The README's table: task and clicks.
fn promised() -> Vec<(String, u32)> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("it is there");
    let table = readme.split("| Task | Clicks |").nth(1).expect("the tour has its table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let clicks = cells[1].split(':').next().expect("a number").parse().expect("a number");
        (cells[0].to_string(), clicks)
    })
    .collect()
}

#[test]
fn ten_tasks_in_the_clicks_that_the_tour_promises() {
    let promised = promised();
    assert_eq!(promised.len(), 10);
    let council = Council::start("console-tour");
    let Some(browser) = Browser::start("the tour of the console", Size::Desktop, true) else { return };
    let pictures = std::env::var_os("LYCHGATE_PICTURES").map(std::path::PathBuf::from);
    let mut left = promised.iter();
    let mut done = |what: &str, followed: u32, says: &str| {
        let (task, clicks) = left.next().expect("the tour has no more tasks");
        assert!(task.starts_with(what), "the tour has \"{task}\" where \"{what}\" was done");
        assert!(browser.text().contains(says), "{what}: {}", browser.text());
        assert_eq!(browser.clicks() + followed, *clicks, "{task}");
        if let Some(folder) = &pictures {
            std::fs::create_dir_all(folder).expect("a folder can be made");
            browser.picture(&folder.join(format!("tour-{}.png", what.to_lowercase().replace(' ', "-"))));
        }
        browser.go(&council.url);
    };
    council.sign_in(&browser, CLERK);
    browser.clicks();

    assert_eq!(council.mail("agenda", &["tom@outside.test"], "apples", "x"), 250);
    browser.go(&council.link_for(CLERK, "/held/"));
    browser.write("#release-reason", "He asked for it");
    browser.press_what_says("Let it go");
    done("Let a held message go", 1, "leaves now");

    for (id, field, button, what, says) in [
        ("second", "#refuse-reason", "Send it back", "Send one back", "goes back to its sender"),
        ("third", "#question", "Ask its sender", "Ask its sender", "was asked"),
    ] {
        assert_eq!(council.mail(id, &["tom@outside.test"], "apples", "x"), 250);
        browser.go(&council.link_for(CLERK, "/held/"));
        browser.write(field, "Is Tuesday right?");
        browser.press_what_says(button);
        done(what, 1, says);
    }

    browser.press_what_says("Find a message");
    browser.write("#who", "tom@outside.test");
    browser.write("#purpose", "He says that it did not come");
    browser.press_what_says("Look");
    done("Find a message", 0, "LG-");

    browser.press_what_says("Rules");
    browser.press_what_says("No pears");
    browser.press_what_says("Warn");
    browser.write("#reason", "A month on trial");
    browser.press_what_says("Change the mode");
    done("Change the mode of a rule", 0, "in force as of now");

    browser.press_what_says("People");
    browser.press_what_says("Suspended accounts");
    browser.write("#suspend-who", ELM);
    browser.write("#suspend-reason", "Her password was on a list");
    browser.press_what_says("Suspend the account");
    done("Suspend an account", 0, "is suspended");

    browser.press_what_says("People");
    browser.press_what_says("Acting for somebody");
    people::choose(&browser, "#lend-who", "deputy@wragby.test");
    people::choose(&browser, "#lend-role", "clerk");
    people::write_day(&browser, "#lend-last", 14);
    browser.write("#lend-reason", "Two weeks in Wales");
    browser.press_what_says("Let them act");
    done("Let the deputy act", 0, "acts for the Clerk until");

    browser.press_what_says("Rights");
    browser.write("#new-person", "tom@outside.test");
    browser.press_what_says("A copy of what is held about them");
    browser.write("#new-reason", "Letter of 3 May");
    browser.press_what_says("Note it");
    done("Note a request", 0, "its clock runs");

    browser.press_what_says("Papers");
    browser.press_what_says("Monitoring notice");
    done("Open the monitoring notice", 0, "monitor");

    browser.press_what_says("Access log");
    browser.write("#purpose", "The quarter's look");
    browser.press_what_says("Read it");
    done("See who looked at whom", 0, "He says that it did not come");
    assert!(left.next().is_none());
}
