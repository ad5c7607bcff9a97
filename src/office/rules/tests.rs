use std::fs;
use std::sync::Mutex;

use super::*;
use crate::config;
use crate::config::overlay::rules::MANIFEST;
use crate::records::access::Identity;

/// A council's site with a store, and settings that a reload reads anew.
struct Site {
    path: PathBuf,
    now: Mutex<Arc<Settings>>,
}

const RULES: &str = "[[rule]]\nid = \"pears\"\ntitle = \"No pears\"\nwhen.subject.words = [\"pears\"]\nthen.reject = \"No pears.\"\n";

impl Site {
    fn new(name: &str) -> Site {
        let path = std::env::temp_dir().join(format!("lychgate-office-rules-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("rules")).unwrap();
        fs::write(path.join("rules/a.toml"), RULES).unwrap();
        let text = "[council]\nname = \"Wragby\"\ndomains = [\"wragby.gov.uk\"]\nclerk = \"clerk@wragby.gov.uk\"\nchair = \"chair@wragby.gov.uk\"\n[rules]\npaths = [\"rules\"]\n\
             [[listener]]\nname = \"in\"\nrole = \"submission\"\nbind = \"127.0.0.1:2525\"\ntls = \"none\"\n\
             [upstream.provider]\naddress = \"127.0.0.1:2527\"\n[records]\ndatabase = \"sqlite:lychgate.db\"\nkey-file = \"site.key\"\n[console]\nbind = \"127.0.0.1:8025\"\n";
        fs::write(path.join("lychgate.toml"), text).unwrap();
        let settings = config::load(&path.join("lychgate.toml"), &mut Diagnostics::new()).unwrap();
        crate::records::prepare(&Options::of(&settings)).unwrap();
        Site { path, now: Mutex::new(Arc::new(settings)) }
    }

    fn settings(&self) -> Arc<Settings> {
        self.now.lock().unwrap().clone()
    }

    fn reload(&self) -> Result<(), String> {
        let mut d = Diagnostics::new();
        let settings = config::load(&self.path.join("lychgate.toml"), &mut d).ok_or_else(|| d.to_string())?;
        *self.now.lock().unwrap() = Arc::new(settings);
        Ok(())
    }

    fn change(&self, who: &str, why: &str, act: &Act) -> Result<Done, Refused> {
        self.change_with(who, why, act, &|| self.reload())
    }

    fn change_with(&self, who: &str, why: &str, act: &Act, reload: &dyn Fn() -> Result<(), String>) -> Result<Done, Refused> {
        let settings = self.settings();
        let doer = Doer::new(&settings, Identity::Signed(who.into()), why)?;
        let gateway = Gateway { file: &self.path.join("lychgate.toml"), settings: &|| self.settings(), reload };
        change(&gateway, &Options::of(&settings), act, Timestamp::now(), &doer)
    }

    fn mode(&self, mode: Mode, was: Mode) -> Result<Done, Refused> {
        self.change(CLERK, "a trial", &Act::Mode { rule: "pears".into(), mode, was })
    }

    fn has(&self) -> Mode {
        self.settings().policy.rules().iter().find(|r| &*r.id == "pears").unwrap().mode
    }

    fn desk(&self) -> PathBuf {
        self.path.join("desk")
    }

    fn write(&self, text: &str) -> Result<Done, Refused> {
        let file = file(&self.settings(), &overlay::key("rules/a.toml")).unwrap();
        self.change(CLERK, "better so", &Act::Write { key: file.key.clone(), text: text.into(), began: file.hash() })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

const CLERK: &str = "clerk@wragby.gov.uk";

#[test]
fn a_mode_is_changed_kept_and_put_back() {
    let site = Site::new("mode");
    let done = site.mode(Mode::Warn, Mode::Enforce).unwrap();
    assert_eq!((done.version, site.has()), (1, Mode::Warn));
    assert!(done.stale.contains(&documents::Kind::Schedule), "{:?}", done.stale);
    assert!(matches!(site.mode(Mode::Warn, Mode::Warn), Err(Refused::Same)));
    assert!(matches!(site.mode(Mode::Off, Mode::Enforce), Err(Refused::Stale)), "they saw another mode");
    assert_eq!(site.mode(Mode::Observe, Mode::Warn).unwrap().version, 2);
    assert_eq!(fs::read_to_string(site.path.join("rules/a.toml")).unwrap(), RULES, "the operator's file is the operator's");
    let all = versions(&site.desk(), None, 10);
    assert_eq!(all.iter().map(|m| m.change.number).collect::<Vec<_>>(), [2, 1]);
    assert_eq!((all[1].change.who.as_str(), all[1].change.why.as_str()), (CLERK, "a trial"));
    assert_eq!(all[1].change.what, ["pears: warn instead of enforce"]);
    let back = |number, began| site.change(CLERK, "as it was", &Act::Back { number, began });
    assert!(matches!(back(1, 1), Err(Refused::Stale)));
    assert_eq!((back(1, 2).unwrap().version, site.has()), (3, Mode::Warn));
    assert!(matches!(back(1, 3), Err(Refused::Same)));
    assert!(matches!(back(7, 3), Err(Refused::NotThere)));
    assert_eq!((back(0, 3).unwrap().version, site.has()), (4, Mode::Enforce));
    // The mode of the file needs no word of the desk's.
    site.mode(Mode::Off, Mode::Enforce).unwrap();
    site.mode(Mode::Enforce, Mode::Off).unwrap();
    assert!(overlay::read(&site.desk()).unwrap().modes.is_empty());
    let log = crate::records::access::accesses(&Options::of(&site.settings())).unwrap();
    assert!(log.iter().any(|a| a.purpose.contains("changed rules, version 1 (pears: warn instead of enforce): a trial")));
}

#[test]
fn who_may_not_and_who_says_no_reason_changes_nothing() {
    let site = Site::new("who");
    let act = Act::Mode { rule: "pears".into(), mode: Mode::Off, was: Mode::Enforce };
    assert!(matches!(site.change("chair@wragby.gov.uk", "why not", &act), Err(Refused::Office(Fault::NotAllowed { .. }))));
    assert!(matches!(site.change(CLERK, " \r\n\t", &act), Err(Refused::Office(Fault::Purpose))));
    assert!(site.change("stranger@x.example", "why not", &act).is_err());
    assert_eq!((site.has(), site.desk().join(MANIFEST).exists()), (Mode::Enforce, false));
    let done = site.change(CLERK, "line\r\nbreaks\0 and so on", &act).unwrap();
    assert_eq!(version(&site.desk(), done.version).unwrap().change.why, "line breaks and so on");
}

#[test]
fn a_text_with_a_fault_is_told_at_its_line_and_not_written() {
    let site = Site::new("fault");
    let Err(Refused::Faults(found)) = site.write(&RULES.replace("words", "wurds")) else { panic!("it has a fault") };
    assert_eq!((found[0].line, found[0].file.as_deref(), found[0].error), (Some(4), None, true), "{found:?}");
    assert!(!site.desk().join(MANIFEST).exists());
    assert_eq!(site.write(&RULES.replace("pears\"]", "plums\"]").replace('\n', "\r\n")).unwrap().version, 1);
    let file = file(&site.settings(), &overlay::key("rules/a.toml")).unwrap();
    assert!(file.text.contains("plums") && !file.text.contains('\r') && matches!(file.made, Made::Changed { .. }));
    // What somebody began with the text before is refused.
    let old = Act::Write { key: file.key.clone(), text: RULES.into(), began: overlay::hash(RULES) };
    assert!(matches!(site.change(CLERK, "mine", &old), Err(Refused::Stale)));
    let large = "#".repeat(overlay::LARGEST_TEXT + 1);
    assert!(matches!(site.write(&large), Err(Refused::TooLarge)));
    let given = Act::GiveUp { key: file.key.clone(), began: file.hash() };
    site.change(CLERK, "the old one", &given).unwrap();
    assert!(matches!(super::file(&site.settings(), &file.key).unwrap().made, Made::Operator));
    for (before, after, gone, new) in [(0, 1, "pears", "plums"), (1, 2, "plums", "pears")] {
        let difference = difference::between(&site.desk(), version(&site.desk(), before).as_ref(), &version(&site.desk(), after).unwrap());
        let lines = &difference.unwrap().files[0].lines;
        let of = |kind| lines.iter().find(|l| l.kind == kind).unwrap();
        assert!(of(difference::Kind::Gone).text.contains(gone) && of(difference::Kind::New).text.contains(new), "{lines:?}");
        assert_eq!(of(difference::Kind::New).number, 4);
    }
}

#[test]
fn a_file_of_the_council_s_own() {
    let site = Site::new("own");
    let new = |name: &str, text: &str| site.change(CLERK, "ours", &Act::New { name: name.into(), text: text.into() });
    for name in ["", "../a", "a/b", "a b", "a\0", ".a", &"x".repeat(61)] {
        assert!(matches!(new(name, ""), Err(Refused::Name)), "{name:?}");
    }
    let plums = RULES.replace("pears", "plums");
    assert!(matches!(new("ours", RULES), Err(Refused::Faults(_))), "the id is taken");
    new("ours.toml", &plums).unwrap();
    assert!(matches!(new("ours", &plums), Err(Refused::NameTaken)));
    assert_eq!(site.settings().policy.rules().len(), 2);
    site.change(CLERK, "later", &Act::Mode { rule: "plums".into(), mode: Mode::Off, was: Mode::Enforce }).unwrap();
    let file = file(&site.settings(), &overlay::own_key("ours")).unwrap();
    site.change(CLERK, "enough", &Act::GiveUp { key: file.key.clone(), began: file.hash() }).unwrap();
    let left = overlay::read(&site.desk()).unwrap();
    assert!(left.modes.is_empty() && left.files.is_empty(), "its mode goes with it");
}

#[test]
fn what_the_gateway_does_not_take_is_taken_back() {
    let site = Site::new("back");
    let act = Act::Mode { rule: "pears".into(), mode: Mode::Off, was: Mode::Enforce };
    let refuse = || Err("no room".to_string());
    assert!(matches!(site.change_with(CLERK, "why not", &act, &refuse), Err(Refused::Reload(_))));
    assert!(!site.desk().join(MANIFEST).exists() && versions(&site.desk(), None, 9).is_empty());
    site.mode(Mode::Warn, Mode::Enforce).unwrap();
    let act = Act::Mode { rule: "pears".into(), mode: Mode::Off, was: Mode::Warn };
    assert!(site.change_with(CLERK, "why not", &act, &refuse).is_err());
    assert_eq!(overlay::read(&site.desk()).unwrap().change.unwrap().number, 1);
    assert_eq!(site.mode(Mode::Off, Mode::Warn).unwrap().version, 2);
}

#[test]
fn a_crash_leaves_what_held_before() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new("crash");
    site.mode(Mode::Warn, Mode::Enforce).unwrap();
    for (path, mode) in [("", 0o700), ("rules", 0o700), ("versions", 0o700), (MANIFEST, 0o600), ("versions/1.toml", 0o600)] {
        let is = fs::metadata(site.desk().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(is, mode, "{path}");
    }
    // Before the rename, of each kind of file; and a version that was written and never in force.
    fs::write(site.desk().join("rules.toml.new"), "[chan").unwrap();
    fs::write(site.desk().join("rules/x.toml.new"), "half").unwrap();
    fs::write(site.desk().join("versions/2.toml.new"), "[chan").unwrap();
    let unborn = fs::read_to_string(site.desk().join(MANIFEST)).unwrap().replace("number = 1", "number = 2");
    fs::write(site.desk().join("versions/2.toml"), unborn.replace("warn\"", "off\"")).unwrap();
    site.reload().unwrap();
    assert!(site.has() == Mode::Warn && site.settings().rules.left_out.is_none());
    assert_eq!(versions(&site.desk(), None, 9).len(), 1);
    assert!(version(&site.desk(), 2).is_none(), "it was never in force");
    assert_eq!(site.mode(Mode::Observe, Mode::Warn).unwrap().version, 2);
    assert_eq!(version(&site.desk(), 2).unwrap().mode["pears"], "observe");
    assert!(!site.desk().join("rules.toml.new").exists() && !site.desk().join("rules/x.toml.new").exists());
}

#[test]
fn a_damaged_folder_is_mended_by_going_back() {
    let site = Site::new("damaged");
    site.mode(Mode::Warn, Mode::Enforce).unwrap();
    fs::write(site.desk().join(MANIFEST), "[chan").unwrap();
    site.reload().unwrap();
    assert!(site.has() == Mode::Enforce && site.settings().rules.left_out.is_some(), "the operator's rules hold");
    assert!(matches!(site.mode(Mode::Off, Mode::Enforce), Err(Refused::Damaged(_))));
    assert_eq!(site.change(CLERK, "mended", &Act::Back { number: 1, began: 1 }).unwrap().version, 2);
    assert!(site.has() == Mode::Warn && site.settings().rules.left_out.is_none());
}

#[test]
fn a_copy_that_fell_out_of_step_is_mended_in_the_editor() {
    let site = Site::new("step");
    site.change(CLERK, "ours", &Act::New { name: "ours".into(), text: RULES.replace("pears", "plums") }).unwrap();
    // The operator's files come to have a rule of that id.
    fs::write(site.path.join("rules/b.toml"), RULES.replace("pears", "plums")).unwrap();
    site.reload().unwrap();
    assert!(site.settings().rules.left_out.is_some());
    let left_out = file(&site.settings(), &overlay::own_key("ours")).unwrap();
    assert!(left_out.left_out);
    let text = RULES.replace("pears", "damsons");
    site.change(CLERK, "another id", &Act::Write { key: left_out.key.clone(), text, began: left_out.hash() }).unwrap();
    assert!(site.settings().rules.left_out.is_none() && site.settings().policy.rules().len() == 3);
}

#[test]
fn only_so_many_versions_are_kept_and_only_their_texts() {
    let site = Site::new("kept");
    site.write(&RULES.replace("pears\"]", "plums\"]")).unwrap();
    let first = versions(&site.desk(), None, 1).remove(0);
    let folder = Folder::open(&site.desk()).unwrap();
    let mut manifest = first.clone();
    manifest.files.clear();
    for number in [2, KEPT, KEPT + 1] {
        manifest.change.number = number;
        folder.write(&manifest, &[]).unwrap();
    }
    assert!(version(&site.desk(), 1).is_none() && version(&site.desk(), 2).is_some());
    assert_eq!(fs::read_dir(site.desk().join("rules")).unwrap().count(), 0, "nobody names its texts");
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let site = Site::new("unwritable");
    fs::write(site.desk(), "a file stands in the way").unwrap();
    let refused = site.mode(Mode::Off, Mode::Enforce).unwrap_err();
    assert!(refused.to_string().contains("[console] folder"), "{refused}");
    assert!(in_the_way(&site.settings()).unwrap().contains("is no folder"));
}
