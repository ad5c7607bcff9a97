//! People in every combination of who does what to whom.

use std::path::Path;

use super::*;
use crate::config::Diagnostics;
use crate::office::{requests, roles};
use crate::records::access::{Identity, accesses};
use crate::records::tests::Folder;

const SITE: &str = r#"
[council]
name = "Wragby Parish Council"
domains = ["wragby.gov.uk"]
clerk = "clerk@wragby.gov.uk"
chair = "chair@wragby.gov.uk"

[people]
councillors = ["Ann Elm <cllr.elm@wragby.gov.uk>", "cllr.oak@wragby.gov.uk"]
staff = ["Jo Deputy <deputy@wragby.gov.uk>"]

[people.sam]
address = ["it@wragby.gov.uk", "sam@wragby.gov.uk"]
roles = ["it"]

[console]
bind = "127.0.0.1:8025"

[[listener]]
name = "in"
role = "connector"
bind = "127.0.0.1:2525"
tls = "none"
trust = { networks = ["127.0.0.1/32"] }

[upstream.provider]
address = "127.0.0.1:2526"
tls = "none"
"#;

const CLERK: &str = "clerk@wragby.gov.uk";
const CHAIR: &str = "chair@wragby.gov.uk";
const ELM: &str = "cllr.elm@wragby.gov.uk";
const DEPUTY: &str = "deputy@wragby.gov.uk";
const IT: &str = "it@wragby.gov.uk";

struct Site {
    folder: Folder,
    options: Options,
}

impl Site {
    fn new() -> Site {
        let folder = Folder::new();
        let options = folder.prepared();
        Site { folder, options }
    }

    /// As a reload would read them now.
    fn settings(&self) -> Settings {
        let mut diagnostics = Diagnostics::new();
        let settings = crate::config::load_with("lychgate.toml", SITE.into(), self.folder.path("").as_path(), &|_| None, &mut diagnostics);
        settings.unwrap_or_else(|| panic!("{diagnostics}"))
    }

    fn file(&self) -> String {
        fs::read_to_string(self.settings().console.unwrap().folder.join(FILE)).unwrap_or_default()
    }

    fn suspend(&self, by: &str, who: &str, day: Option<&str>) -> Result<(), Fault> {
        let settings = self.settings();
        let day = day.map(|d| d.parse().unwrap());
        suspend(&settings, &self.options, who, day, now(), &doer(&settings, by, "Broken into")?, &|| Ok(())).map(drop)
    }

    fn lend(&self, by: &str, role: Duty, to: &str, day: &str) -> Result<(), Fault> {
        let settings = self.settings();
        lend(&settings, &self.options, role, to, day.parse().unwrap(), now(), &doer(&settings, by, "Holiday")?, &|| Ok(()))
    }

    fn register(&self, by: &str, who: &str, account: &str) -> Result<(), Fault> {
        let settings = self.settings();
        register(&settings, &self.options, who, account, now(), &doer(&settings, by, "She told us")?, &|| Ok(()))
    }

    fn duties(&self, who: &str, at: Timestamp) -> Option<Vec<Duty>> {
        roles::insider(&self.settings(), who, at).map(|i| i.duties)
    }
}

/// The time of all acts here, which is that of the clock: who may act is asked of it.
fn now() -> Timestamp {
    Timestamp::now()
}

fn in_days(days: i64) -> String {
    now().to_zoned(TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC)).date().saturating_add(days.days()).to_string()
}

fn doer(settings: &Settings, address: &str, purpose: &str) -> Result<Doer, Fault> {
    Doer::new(settings, Identity::Signed(address.into()), purpose)
}

fn refused(done: Result<(), Fault>) -> Refused {
    match done {
        Err(Fault::People(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_suspended_person_is_nobody_until_it_is_lifted() {
    let site = Site::new();
    site.suspend(CLERK, "Sam@Wragby.gov.uk", None).unwrap();
    // With any address of theirs.
    assert_eq!((site.duties(IT, now()), site.duties("sam@wragby.gov.uk", now())), (None, None));
    assert!(matches!(site.suspend(IT, ELM, None), Err(Fault::Nobody(_))), "and can do nothing");
    assert_eq!(refused(site.suspend(CLERK, IT, None)), Refused::Suspended);
    let settings = site.settings();
    let lift = |why| lift(&settings, &site.options, "sam@wragby.gov.uk", now(), &doer(&settings, CHAIR, why).unwrap(), &|| Ok(()));
    assert!(matches!(lift(" "), Err(Fault::Purpose)));
    lift("A new password").unwrap();
    assert_eq!(site.duties(IT, now()), Some(vec![Duty::It]));
    assert_eq!(refused(lift("again")), Refused::Gone);
    let log: Vec<String> = accesses(&site.options).unwrap().into_iter().map(|a| a.purpose).collect();
    assert_eq!(log, ["suspended an account: Broken into", "lifted a suspension: A new password"]);
}

#[test]
fn a_suspension_ends_with_its_last_day() {
    let site = Site::new();
    site.suspend(CLERK, ELM, Some(&in_days(2))).unwrap();
    let days = |n: i64| now() + SignedDuration::from_hours(24 * n);
    assert_eq!((site.duties(ELM, days(2)), site.duties(ELM, days(3))), (None, Some(vec![Duty::Member])));
    assert_eq!(refused(site.suspend(CLERK, "info@wragby.gov.uk", Some(&in_days(-1)))), Refused::Past);
    site.suspend(CLERK, "info@wragby.gov.uk", Some(&in_days(0))).unwrap();
    assert_eq!(refused(site.suspend(CLERK, "jo@gmail.com", None)), Refused::NotCouncil("jo@gmail.com".into()));
}

#[test]
fn nobody_locks_themselves_or_everybody_out() {
    let site = Site::new();
    assert_eq!(refused(site.suspend(CLERK, CLERK, None)), Refused::Yourself);
    assert_eq!(refused(site.suspend(IT, "sam@wragby.gov.uk", None)), Refused::Yourself);
    // A deputy suspends no one who has the right from the site file; a councillor does.
    site.lend(CLERK, Duty::Clerk, DEPUTY, &in_days(3)).unwrap();
    assert_eq!(refused(site.suspend(DEPUTY, CLERK, None)), Refused::Above);
    assert_eq!(refused(site.suspend(DEPUTY, IT, None)), Refused::Above);
    site.suspend(DEPUTY, ELM, None).unwrap();
    site.suspend(CLERK, CHAIR, None).unwrap();
    site.suspend(CLERK, IT, None).unwrap();
    // As it is under the lock, whatever was read before: the two cannot suspend each other.
    let settings = site.settings();
    let chair = Doer::new(&Site::new().settings(), Identity::Signed(CHAIR.into()), "late").unwrap();
    let late = suspend(&settings, &site.options, CLERK, None, now(), &chair, &|| Ok(())).map(drop);
    assert_eq!(refused(late), Refused::You);
    // A lent right does not count as somebody who is left.
    let deputy = doer(&settings, DEPUTY, "x").unwrap();
    assert!(deputy.may(Right::People).is_ok());
    assert_eq!(site.duties(CLERK, now()), Some(vec![Duty::Clerk]));
}

#[test]
fn a_lent_role_is_that_role_and_ends_by_itself() {
    let site = Site::new();
    assert_eq!(site.duties(DEPUTY, now()), Some(vec![]), "an officer may look at what is their own, and nothing else");
    site.lend(CLERK, Duty::Clerk, DEPUTY, &in_days(14)).unwrap();
    let days = |n: i64| now() + SignedDuration::from_hours(24 * n);
    assert_eq!(site.duties(DEPUTY, now()), Some(vec![Duty::Clerk]));
    assert_eq!(site.duties(DEPUTY, days(14)), Some(vec![Duty::Clerk]), "to the end of the day");
    // Without a reload: the same settings, later.
    let settings = site.settings();
    assert_eq!(roles::insider(&settings, DEPUTY, days(15)).unwrap().duties, []);
    assert_eq!(roles::insider(&settings, DEPUTY, now() - SignedDuration::from_hours(1)).unwrap().duties, [], "nor before it began");
    assert_eq!(roles::lent(&settings, days(15)).count(), 0);
    let deputy = doer(&settings, DEPUTY, "x").unwrap();
    assert!(deputy.may(Right::Release).is_ok() && deputy.may(Right::Keys).is_err());
    let back = |role| take_back(&settings, &site.options, role, DEPUTY, now(), &doer(&settings, CLERK, "Back early").unwrap(), &|| Ok(()));
    assert_eq!(refused(back(Duty::Chair)), Refused::Gone);
    back(Duty::Clerk).unwrap();
    assert_eq!(site.duties(DEPUTY, now()), Some(vec![]));
}

#[test]
fn nobody_gives_what_they_do_not_have() {
    let site = Site::new();
    let day = in_days(5);
    assert_eq!(refused(site.lend(IT, Duty::Clerk, ELM, &day)), Refused::NotYours, "whoever runs the machine is not the Clerk by that");
    assert_eq!(refused(site.lend(IT, Duty::Clerk, "sam@wragby.gov.uk", &day)), Refused::NotYours);
    assert_eq!(refused(site.lend(IT, Duty::It, "sam@wragby.gov.uk", &day)), Refused::ToYourself);
    assert_eq!(refused(site.lend(CLERK, Duty::It, ELM, &day)), Refused::NotYours);
    assert_eq!(refused(site.lend(CLERK, Duty::Member, DEPUTY, &day)), Refused::NotYours);
    assert!(matches!(site.lend(ELM, Duty::Member, DEPUTY, &day), Err(Fault::NotAllowed { .. })));
    assert!(matches!(site.suspend(ELM, "info@wragby.gov.uk", None), Err(Fault::NotAllowed { .. })));
    assert!(matches!(site.register(ELM, ELM, "ann@gmail.com"), Err(Fault::NotAllowed { .. })));
    assert_eq!(refused(site.lend(CLERK, Duty::Clerk, "who@wragby.gov.uk", &day)), Refused::Unknown("who@wragby.gov.uk".into()));
    assert_eq!(refused(site.lend(CLERK, Duty::Clerk, ELM, &in_days(-1))), Refused::Past);
    assert_eq!(refused(site.lend(CLERK, Duty::Clerk, ELM, &in_days(93))), Refused::TooLong);
    site.lend(CLERK, Duty::Clerk, ELM, &in_days(92)).unwrap();
    assert_eq!(site.settings().at_desk.fault, None, "what may be written can be read");
    assert_eq!(refused(site.lend(CLERK, Duty::Clerk, ELM, &day)), Refused::HasIt);
    // What is lent is not lent on, and a suspended person gets nothing.
    assert_eq!(refused(site.lend(ELM, Duty::Clerk, DEPUTY, &day)), Refused::NotYours);
    site.suspend(CLERK, DEPUTY, None).unwrap();
    assert_eq!(refused(site.lend(CLERK, Duty::Clerk, DEPUTY, &day)), Refused::IsSuspended);
    // It ends when the one who lent it has it no more.
    let text = SITE.replace("clerk = \"clerk@", "clerk = \"newclerk@");
    let mut diagnostics = Diagnostics::new();
    let base = site.folder.path("");
    let settings = crate::config::load_with("lychgate.toml", text, base.as_path(), &|_| None, &mut diagnostics).unwrap();
    assert_eq!(roles::insider(&settings, ELM, now()).unwrap().duties, [Duty::Member]);
}

#[test]
fn of_two_people_none_has_made_the_other() {
    let site = Site::new();
    let names = |right, but| roles::others(&site.settings(), right, but, now()).into_iter().map(|i| i.name).collect::<Vec<_>>();
    assert_eq!(names(Right::OpenContent, CLERK), [CHAIR]);
    site.lend(CLERK, Duty::Clerk, ELM, &in_days(5)).unwrap();
    assert_eq!(names(Right::OpenContent, CLERK), [CHAIR], "nobody whom the Clerk chose");
    assert_eq!(names(Right::OpenContent, ELM), [CHAIR], "nor the Clerk for whom they chose");
    assert_eq!(names(Right::OpenContent, CHAIR), [CLERK, ELM]);
    // The act itself says the same, not only the letters.
    let settings = site.settings();
    let (clerk, elm, chair) =
        (doer(&settings, CLERK, "why").unwrap(), doer(&settings, ELM, "why").unwrap(), doer(&settings, CHAIR, "why").unwrap());
    let held = crate::records::custody::Sheet { reference: "LG-7F3K".into(), ..Default::default() };
    let parcel = crate::records::custody::NewParcel {
        id: None,
        state: crate::records::custody::State::Held,
        due: i64::MAX,
        ends: i64::MAX,
        sheet: held,
    };
    let deposit = crate::records::custody::Deposit {
        kind: crate::records::custody::Kind::Mail,
        content: b"x".to_vec(),
        parcels: vec![parcel],
        told: vec![],
    };
    crate::records::custody::open(&site.options).unwrap().accept(&[deposit], now().as_millisecond()).unwrap();
    let ask = |by: &Doer| requests::ask(&settings, &site.options, crate::config::settings::TwoPeople::Content, "LG-7F3K", now(), by);
    let first = ask(&clerk).unwrap();
    let approve = |id, by: &Doer| requests::approve(&settings, &site.options, id, None, now(), by);
    assert!(matches!(approve(first.id, &elm), Err(Fault::LentByAsker)));
    assert!(matches!(approve(first.id, &clerk), Err(Fault::TwoPeople(..))), "and one person is one");
    let second = ask(&elm).unwrap();
    assert!(matches!(approve(second.id, &clerk), Err(Fault::LentByAsker)));
    approve(first.id, &chair).unwrap();
    approve(second.id, &chair).unwrap();
}

#[test]
fn an_own_account_is_a_hash_and_the_rules_know_it() {
    let site = Site::new();
    site.register(CLERK, ELM, "Ann.Elm@BTinternet.com").unwrap();
    let (settings, file) = (site.settings(), site.file());
    assert!(file.contains("account = \"account:") && !file.to_lowercase().contains("btinternet"), "{file}");
    let elm = settings.people.councillors.iter().find(|p| p.address == ELM).unwrap();
    let key = settings.people.account_key.as_ref();
    assert!(key.is_some() && is_registered(&elm.own_accounts, "ann.elm@btinternet.com", key));
    assert_eq!(refused(site.register(CHAIR, ELM, "ann.elm@btinternet.com")), Refused::Registered);
    assert_eq!(refused(site.register(CLERK, ELM, "cllr.oak@wragby.gov.uk")), Refused::NotOwn);
    assert_eq!(refused(site.register(CLERK, "who@wragby.gov.uk", "a@gmail.com")), Refused::Unknown("who@wragby.gov.uk".into()));
    assert!(matches!(site.register(CLERK, ELM, "no address"), Err(Fault::Address(_))));
    // For the Clerk too, who is in no list of the site file; and nobody becomes anybody by it.
    site.register(CLERK, CLERK, "the.clerk@sky.com").unwrap();
    let clerk = site.settings();
    let own = &clerk.people.staff.iter().find(|p| p.address == CLERK).unwrap().own_accounts;
    assert!(is_registered(own, "the.clerk@sky.com", clerk.people.account_key.as_ref()));
    let forged = site.file().replace("of = \"clerk@", "of = \"stranger@");
    fs::write(clerk.console.as_ref().unwrap().folder.join(FILE), forged).unwrap();
    assert_eq!(site.duties("stranger@wragby.gov.uk", now()), None);
    for n in 1..EACH {
        site.register(CLERK, ELM, &format!("ann{n}@gmail.com")).unwrap();
    }
    assert_eq!(refused(site.register(CLERK, ELM, "one.more@gmail.com")), Refused::TooMany);
    let settings = site.settings();
    let hash = settings.at_desk.accounts.iter().find(|a| a.of == ELM).unwrap().account.clone();
    let gone = || unregister(&settings, &site.options, ELM, &hash, now(), &doer(&settings, CLERK, "Closed").unwrap(), &|| Ok(()));
    gone().unwrap();
    assert_eq!(refused(gone()), Refused::Gone);
    assert!(accesses(&site.options).unwrap().iter().all(|a| !a.purpose.contains("gmail") && !a.purpose.contains("btinternet")));
}

#[test]
fn what_the_gateway_refuses_is_put_back() {
    let site = Site::new();
    let settings = site.settings();
    let try_it = || suspend(&settings, &site.options, ELM, None, now(), &doer(&settings, CLERK, "x").unwrap(), &|| Err("no".into()));
    assert!(matches!(try_it(), Err(Fault::Reload(why)) if why == "no"));
    assert!(!settings.console.as_ref().unwrap().folder.join(FILE).exists());
    site.suspend(CLERK, "info@wragby.gov.uk", None).unwrap();
    let before = site.file();
    assert!(try_it().is_err());
    assert_eq!(site.file(), before);
}

#[test]
fn a_damaged_file_gives_nobody_a_role_and_is_not_written_over() {
    let site = Site::new();
    site.lend(CLERK, Duty::Clerk, ELM, &in_days(5)).unwrap();
    site.suspend(CLERK, DEPUTY, None).unwrap();
    let path = site.settings().console.unwrap().folder.join(FILE);
    let damaged = site.file() + "\nmore = 1\n";
    fs::write(&path, &damaged).unwrap();
    let settings = site.settings();
    assert!(settings.at_desk.fault.is_some());
    assert_eq!((site.duties(ELM, now()), site.duties(DEPUTY, now())), (Some(vec![Duty::Member]), None));
    assert_eq!(site.duties(CLERK, now()), Some(vec![Duty::Clerk]), "the site file's people are who they are");
    assert!(matches!(refused(site.suspend(CLERK, ELM, None)), Refused::Broken(_)));
    assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    fs::write(&path, "[[").unwrap();
    assert_eq!(site.duties(ELM, now()), Some(vec![Duty::Member]));
}

#[test]
fn the_notice_is_read_as_it_is_now() {
    let site = Site::new();
    let settings = site.settings();
    let elm = roles::insider(&settings, ELM, now()).unwrap();
    let standing = |settings: &Settings| acknowledgements::standing(settings, &acknowledgements::read(settings).unwrap(), &elm);
    assert_eq!(standing(&settings), acknowledgements::Standing::Never);
    let by = doer(&settings, ELM, "read").unwrap();
    let mark = acknowledgements::notice(&settings).mark();
    let read = |mark: &str| acknowledgements::acknowledge(&settings, &site.options, &elm, mark, now(), &by);
    assert!(read("another").is_err(), "what was shown is what counts");
    for _ in 0..3 {
        read(&mark).unwrap();
    }
    assert_eq!(acknowledgements::read(&settings).unwrap().len(), 1, "it does not grow");
    assert!(matches!(standing(&settings), acknowledgements::Standing::Read(_)));
    // Another notice is another thing to read.
    let text = SITE.replace("Wragby Parish Council", "Wragby and Goltho Parish Council");
    let base = site.folder.path("");
    let changed = crate::config::load_with("x", text, Path::new(&base), &|_| None, &mut Diagnostics::new()).unwrap();
    assert!(matches!(standing(&changed), acknowledgements::Standing::Earlier(_)));
    fs::write(settings.console.as_ref().unwrap().folder.join("acknowledgements.toml"), "[[").unwrap();
    assert!(acknowledgements::read(&settings).is_err());
    assert_eq!(list(&settings, &site.options, now(), &doer(&settings, CLERK, "x").unwrap()).unwrap().len(), 6);
}
