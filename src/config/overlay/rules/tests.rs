use super::*;
use crate::config::{Settings, load, load_proposed};

/// A site with one rule file and a desk, in a folder of the test's own.
struct Site(PathBuf);

const RULES: &str = "[[rule]]\nid = \"pears\"\ntitle = \"No pears\"\nwhen.subject.words = [\"pears\"]\nthen.reject = \"No pears.\"\n";

impl Site {
    fn new(name: &str) -> Site {
        let path = std::env::temp_dir().join(format!("lychgate-desk-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("desk/rules")).unwrap();
        let site = Site(path);
        site.write("rules.d/a.toml", RULES);
        site.write(
            "lychgate.toml",
            "[council]\nname = \"Wragby\"\ndomains = [\"wragby.gov.uk\"]\n[rules]\npaths = [\"rules.d\"]\n\
             [[listener]]\nname = \"in\"\nrole = \"submission\"\nbind = \"127.0.0.1:2525\"\ntls = \"none\"\n\
             [upstream.provider]\naddress = \"127.0.0.1:2527\"\n[records]\nkey-file = \"site.key\"\n[console]\nbind = \"127.0.0.1:8025\"\n",
        );
        site
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn text(&self, text: &str) -> String {
        let name = hash(text);
        self.write(&format!("desk/rules/{name}.toml"), text);
        name
    }

    fn manifest(&self, rest: &str) {
        let change = "[change]\nnumber = 1\ntime = \"2026-05-14T09:00:00Z\"\nwho = \"clerk@x\"\nwhy = \"test\"\nwhat = [\"x\"]\n";
        self.write("desk/rules.toml", &format!("{change}{rest}"));
    }

    fn load(&self) -> (Settings, String) {
        let mut d = Diagnostics::new();
        let settings = load(&self.0.join("lychgate.toml"), &mut d);
        // Where a line is broken hangs on how long the folder's name is.
        (settings.unwrap_or_else(|| panic!("{d}")), d.to_string().replace("\n  │ ", " "))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mode_of(settings: &Settings, id: &str) -> Option<Mode> {
    settings.policy.rules().iter().find(|r| *r.id == *id).map(|r| r.mode)
}

#[test]
fn the_desk_s_mode_wins_over_the_file_s_and_the_site_s_and_the_ceiling_over_all() {
    let site = Site::new("modes");
    let plain = site.load().0;
    assert_eq!((mode_of(&plain, "pears"), plain.rules.change.is_none()), (Some(Mode::Enforce), true));
    site.manifest("[mode]\npears = \"warn\"\n");
    let (changed, _) = site.load();
    assert_eq!(mode_of(&changed, "pears"), Some(Mode::Warn));
    assert_ne!(plain.policy.hash(), changed.policy.hash(), "the record tells the rules apart");
    let text = std::fs::read_to_string(site.0.join("lychgate.toml")).unwrap();
    site.write("lychgate.toml", &text.replace("[[listener]]", "[rules.tune.pears]\nmode = \"off\"\n[[listener]]"));
    let (tuned, _) = site.load();
    let rule = tuned.policy.rules().iter().find(|r| &*r.id == "pears").unwrap();
    assert_eq!((rule.mode, rule.said.without_desk), (Mode::Warn, Mode::Off));
    site.write("lychgate.toml", &text.replace("[rules]", "[rules]\nmode = \"observe\""));
    let (under, _) = site.load();
    let rule = under.policy.rules().iter().find(|r| &*r.id == "pears").unwrap();
    assert_eq!((rule.mode, rule.said.mode), (Mode::Observe, Mode::Warn));
}

#[test]
fn a_mode_for_a_rule_that_is_gone_is_only_told() {
    let site = Site::new("gone");
    site.manifest("[mode]\nplums = \"warn\"\n");
    let (settings, told) = site.load();
    assert!(settings.rules.left_out.is_none() && told.contains("\"plums\""), "{told}");
}

#[test]
fn a_copy_takes_the_place_of_the_file_and_a_change_of_that_is_told() {
    let site = Site::new("copy");
    let copy = site.text(&RULES.replace("pears", "plums"));
    let entry = |from: &str| format!("[[file]]\ninstead-of = \"rules.d/a.toml\"\ntext = \"{copy}\"\nmade-from = \"{}\"\n", site.text(from));
    site.manifest(&entry(RULES));
    let (settings, told) = site.load();
    assert!(mode_of(&settings, "plums").is_some() && mode_of(&settings, "pears").is_none());
    assert!(!told.contains("the desk"), "{told}");
    let (file, line) = settings.rules.at(&settings.policy.rules()[0].place).unwrap();
    assert_eq!((file.shown.as_str(), line, file.made.is_overtaken()), ("rules.d/a.toml", 1, false));
    site.write("rules.d/a.toml", &format!("{RULES}# as of version 2\n"));
    let (settings, told) = site.load();
    assert!(mode_of(&settings, "plums").is_some() && settings.rules.files[0].made.is_overtaken());
    assert!(told.contains("was changed after the desk's copy of it was made"), "{told}");
    std::fs::rename(site.0.join("rules.d/a.toml"), site.0.join("rules.d/b.toml")).unwrap();
    let (settings, told) = site.load();
    assert!(mode_of(&settings, "plums").is_none() && told.contains("is not used"), "{told}");
}

#[test]
fn nobody_reads_other_people_s_mail_by_a_rule_that_they_wrote_themselves() {
    let site = Site::new("elsewhere");
    let routed = format!(
        "{RULES}[[list]]\nname = \"watched\"\nentries = [\"jo@x.uk\"]\n[[rule]]\nid = \"leaver\"\ntitle = \"A leaver\"\nwhen.recipient = \"@watched\"\nthen.copy-to = [\"ann@x.uk\"]\n"
    );
    let told = |text: &str, from: Option<&str>| {
        let named = match from {
            Some(from) => format!("instead-of = \"rules.d/a.toml\"\nmade-from = \"{}\"", site.text(from)),
            None => "name = \"ours\"".into(),
        };
        site.manifest(&format!("[[file]]\n{named}\ntext = \"{}\"\n", site.text(text)));
        let (settings, told) = site.load();
        settings.rules.left_out.is_some().then_some(told)
    };
    let refused = "neither sends mail to somebody else nor lets it vanish";
    for action in [
        "then.copy-to = [\"ann@x.uk\"]",
        "then.redirect-to = [\"ann@x.uk\"]",
        "then.redirect = { \"jo@x.uk\" = \"ann@x.uk\" }",
        "then.drop = true",
    ] {
        let text = format!("[[rule]]\nid = \"ours\"\ntitle = \"Ours\"\nwhen.subject.words = [\"x\"]\n{action}\n");
        assert!(told(&text, None).is_some_and(|t| t.contains(refused)), "{action}");
    }
    // The operator's own may stand in a copy, whatever else is changed there, but not otherwise than it was. Its lists are the Clerk's.
    site.write("rules.d/a.toml", &routed);
    let copy = routed.replace("pears", "plums").replace("id = \"leaver\"", "# of 2026\nid    = \"leaver\"");
    assert_eq!(told(&copy, Some(&routed)), None);
    assert_eq!(told(&copy.replace("[\"jo@x.uk\"]", "[\"jo@x.uk\", \"tom@x.uk\"]"), Some(&routed)), None);
    for (was, is) in [("ann@x.uk", "eve@x.uk"), ("\"@watched\"", "\"x.uk\"")] {
        assert!(told(&copy.replace(was, is), Some(&routed)).is_some_and(|t| t.contains(refused)), "{is}");
    }
}

#[test]
fn whatever_is_wrong_in_the_folder_the_operator_s_rules_hold() {
    let site = Site::new("broken");
    let good = site.text(RULES);
    let faulty = site.text("[[rule]\nid = ");
    let twice = site.text(RULES);
    let own = |name: &str, text: &str| format!("[[file]]\nname = \"{name}\"\ntext = \"{text}\"\n");
    let missing = "0".repeat(64);
    let many: String = (0..=MOST_FILES).map(|n| own(&format!("f{n}"), &good)).collect();
    for (what, rest) in [
        ("no toml", "[".to_string()),
        ("a key of a later version", "later = 1\n".into()),
        ("a mode that is none", "[mode]\npears = \"shout\"\n".into()),
        ("a text that is not there", own("ours", &missing)),
        ("a way out of the folder", own("ours", "../../../etc/passwd")),
        ("a name that leads elsewhere", own("../ours", &good)),
        ("nothing that says what for", format!("[[file]]\ntext = \"{good}\"\n")),
        ("a fault in the text", own("ours", &faulty)),
        ("an id that is there already", own("ours", &twice)),
        ("the same file twice", format!("{0}{0}", own("ours", &good))),
        ("too many files", many),
    ] {
        site.manifest(&rest);
        let (settings, told) = site.load();
        assert_eq!(mode_of(&settings, "pears"), Some(Mode::Enforce), "{what}");
        assert!(settings.rules.left_out.is_some() && told.contains("is left out"), "{what}: {told}");
    }
    // Written by hand, half written, a pipe.
    site.manifest(&own("ours", &good));
    site.write(&format!("desk/rules/{good}.toml"), &RULES[..RULES.len() / 2]);
    assert!(site.load().0.rules.left_out.unwrap().contains("is not the text that was written there"));
    std::fs::write(site.0.join("desk/rules.toml"), [0xff, 0xfe]).unwrap();
    assert!(site.load().0.rules.left_out.is_some());
    std::fs::remove_file(site.0.join("desk/rules.toml")).unwrap();
    std::fs::create_dir(site.0.join("desk/rules.toml")).unwrap();
    assert!(site.load().0.rules.left_out.is_some());
}

#[test]
fn a_fault_of_the_operator_s_is_no_fault_of_the_desk_s() {
    let site = Site::new("both");
    site.manifest("[mode]\npears = \"shout\"\n");
    site.write("rules.d/a.toml", "[[rule]\n");
    let mut d = Diagnostics::new();
    assert!(load(&site.0.join("lychgate.toml"), &mut d).is_none());
    assert!(d.to_string().contains("a.toml"), "{d}");
}

#[test]
fn what_is_written_at_the_desk_reads_no_other_file() {
    let site = Site::new("reads");
    site.write("secret.toml", "password = correct horse\n");
    site.write("rules.d/secret.key", "correct horse\n");
    std::os::unix::fs::symlink("/dev/zero", site.0.join("rules.d/zero.eml")).unwrap();
    for (table, key) in [("[policy]", "clauses"), ("[policy]", "text"), ("[[expect]]\ndisposition = \"reject\"", "message")] {
        for name in ["../secret.toml", "/etc/passwd", "secret.key", "/dev/zero", "zero.eml"] {
            let text = format!("{RULES}{table}\n{key} = \"{name}\"\n");
            let of = Of::File { path: "rules.d/a.toml".into(), original: RULES.into() };
            let overlay = Overlay { files: vec![Changed { of, text }], ..Overlay::default() };
            let mut d = Diagnostics::new();
            assert!(load_proposed(&site.0.join("lychgate.toml"), &overlay, &mut d).is_none(), "{key} {name}");
            assert!(!d.to_string().contains("horse"), "{d}");
        }
    }
    // What the operator may, a sample beside the file, may the desk.
    site.write("rules.d/pears.eml", "From: a@wragby.gov.uk\r\nTo: b@x.example\r\nSubject: pears\r\n\r\nx\r\n");
    for (wanted, good) in [("reject", true), ("deliver", false)] {
        let text = format!("{RULES}[[expect]]\nmessage = \"pears.eml\"\ndisposition = \"{wanted}\"\n");
        let of = Of::File { path: "rules.d/a.toml".into(), original: RULES.into() };
        let overlay = Overlay { files: vec![Changed { of, text }], ..Overlay::default() };
        let loaded = load_proposed(&site.0.join("lychgate.toml"), &overlay, &mut Diagnostics::new());
        assert_eq!(loaded.is_some(), good, "{wanted}");
    }
}

#[test]
fn hostile_text_is_refused_in_time() {
    let site = Site::new("hostile");
    let deep = format!("a = {}\n", "[".repeat(100_000));
    let tables = format!("a = {}1{}\n", "{ b = ".repeat(50_000), " }".repeat(50_000));
    let dotted = format!("{}x = 1\n", "a.".repeat(100_000));
    let headers: String = (0..20_000).map(|n| format!("[a{n}]\n")).collect();
    for text in ["\0", "a = \"\u{1}\"", &deep, &tables, &dotted, &headers, "\u{feff}\r\r\r[[rule]]"] {
        let overlay = Overlay { files: vec![Changed { of: Of::Own("ours".into()), text: text.to_string() }], ..Overlay::default() };
        let mut d = Diagnostics::new();
        assert!(load_proposed(&site.0.join("lychgate.toml"), &overlay, &mut d).is_none());
        assert!(d.has_errors());
    }
}
