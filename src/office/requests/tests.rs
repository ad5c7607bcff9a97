//! The same acts as somebody who signed in does them: without codes. The codes are tried through the command line.

use std::path::Path;

use super::*;
use crate::config::{Diagnostics, Settings};
use crate::office::{audit, glass, holds, rounds};
use crate::records::custody::{NewParcel, Origin, Recipient, Sheet};
use crate::records::holds::Scope;
use crate::records::tests::{Folder, on_each_engine};

const SITE: &str = r#"
[council]
name = "Wragby Parish Council"
domains = ["wragby.gov.uk"]
clerk = "clerk@wragby.gov.uk"
chair = "chair@wragby.gov.uk"

[people.jane]
address = ["clerk@wragby.gov.uk", "jane@wragby.gov.uk"]
roles = ["investigator"]

[access]
two-people = ["holds"]

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

fn settings(text: &str) -> Settings {
    let mut diagnostics = Diagnostics::new();
    let settings = crate::config::load_with("lychgate.toml", text.into(), Path::new("/nonexistent"), &|_| None, &mut diagnostics);
    settings.unwrap_or_else(|| panic!("{diagnostics}"))
}

fn signed(settings: &Settings, address: &str) -> Doer {
    Doer::new(settings, Identity::Signed(address.into()), "A complaint of 3 May").unwrap()
}

fn notices(options: &Options) -> u64 {
    custody::open(options).unwrap().counts().unwrap().notices
}

#[test]
fn two_who_signed_in_need_no_codes_and_one_person_is_one() {
    on_each_engine(|| {
        let folder = Folder::new();
        let (options, settings, now) = (folder.prepared(), settings(SITE), Timestamp::now());
        let (clerk, chair) = (signed(&settings, "clerk@wragby.gov.uk"), signed(&settings, "chair@wragby.gov.uk"));
        let jane = signed(&settings, "Jane@Wragby.gov.uk");
        let wanted = || holds::Wanted {
            case: "2026/41".into(),
            scope: Scope { person: Some("cllr.elm@wragby.gov.uk".into()), ..Scope::default() },
            expires: now + SignedDuration::from_hours(24),
        };
        let place = |doer: &Doer| holds::place(&options, None, wanted(), now, doer);
        assert!(matches!(place(&clerk), Err(Fault::TakesTwo("holds"))));
        let id = ask(&settings, &options, TwoPeople::Holds, "2026/41", now, &clerk).unwrap().id;
        assert_eq!(notices(&options), 1, "the Chair heard of it, and nobody else may");
        assert!(matches!(approve(&settings, &options, id, None, now, &clerk), Err(Fault::TwoPeople(_, Refused::Same))));
        assert!(matches!(approve(&settings, &options, id, None, now, &jane), Err(Fault::TwoPeople(_, Refused::Same))));
        assert!(matches!(place(&clerk.clone().with_request(Some(id))), Err(Fault::TwoPeople(_, Refused::NotApproved))));
        // What was only stated at the machine is no approval.
        let stated = Identity::Terminal { user: "root".into(), stated: Some("chair@wragby.gov.uk".into()) };
        let stated = Doer::new(&settings, stated, "approved").unwrap();
        assert!(matches!(approve(&settings, &options, id, None, now, &stated), Err(Fault::TwoPeople(_, Refused::WrongCode(_)))));
        approve(&settings, &options, id, None, now, &chair).unwrap();
        assert!(matches!(place(&chair.clone().with_request(Some(id))), Err(Fault::TwoPeople(_, Refused::NotTheirs))));
        // The same person under the other address may use it: who asked is a person, too.
        place(&jane.with_request(Some(id))).unwrap();
        assert!(matches!(place(&clerk.with_request(Some(id))), Err(Fault::TwoPeople(_, Refused::Is("used")))));
        let log = audit::list(&options, now - SignedDuration::from_hours(1), now, &chair).unwrap();
        let placed = log.iter().find(|e| e.access.purpose.starts_with("placed a hold")).unwrap();
        assert_eq!(
            placed.access.purpose,
            format!("placed a hold for case 2026/41 (request {id}, approved by chair@wragby.gov.uk): A complaint of 3 May")
        );
        assert_eq!(placed.access.identity, Some(Identity::Signed("Jane@Wragby.gov.uk".into())));
        assert!(audit::verify(&options, &chair).unwrap().breaks.is_empty());
    });
}

#[test]
fn nothing_is_asked_that_nobody_could_approve_or_would_hear_of() {
    let folder = Folder::new();
    let (options, now) = (folder.prepared(), Timestamp::now());
    let all = settings(SITE);
    let clerk = signed(&all, "clerk@wragby.gov.uk");
    let ask = |settings: &Settings, doer: &Doer| super::ask(settings, &options, TwoPeople::Holds, "2026/41", now, doer);
    // The Clerk and the Chair are one person.
    let one = settings(&SITE.replace("chair@", "jane@"));
    assert!(matches!(ask(&one, &signed(&one, "jane@wragby.gov.uk")), Err(Fault::NobodyElse(_))));
    assert!(matches!(
        glass::make(&settings(&SITE.replace("chair@", "clerk@")), &options, now, &at_machine(&all)),
        Err(Fault::NobodyToAlert)
    ));
    // No credential for a provider that asks for one.
    let quiet =
        settings(&SITE.replace("role = \"connector\"", "role = \"submission\"").replace("trust = { networks = [\"127.0.0.1/32\"] }", ""));
    assert!(matches!(ask(&quiet, &signed(&quiet, "clerk@wragby.gov.uk")), Err(Fault::NoPost)));
    assert!(matches!(super::ask(&all, &options, TwoPeople::Holds, "Mrs@Ashby", now, &clerk), Err(Fault::Case(_))));
    assert!(matches!(ask(&all, &at_machine(&all)), Err(Fault::WhoAreYou)));
    assert!(matches!(Doer::new(&all, Identity::Signed("stranger@x.uk".into()), "x"), Err(Fault::Nobody(_))));
    assert!(matches!(refuse(&all, &options, 7, now, &clerk), Err(Fault::NoTwoPeople(7))));
    // Nobody's mailbox is filled, and what is taken back makes room.
    let ids: Vec<i64> = (0..OPEN).map(|_| ask(&all, &clerk).unwrap().id).collect();
    assert!(matches!(ask(&all, &clerk), Err(Fault::TooManyOpen(OPEN))));
    refuse(&all, &options, ids[3], now, &clerk).unwrap();
    ask(&all, &clerk).unwrap();
    assert_eq!(list(&options, &clerk).unwrap().len(), OPEN + 1);
}

fn at_machine(settings: &Settings) -> Doer {
    Doer::new(settings, "root".into(), "A complaint of 3 May").unwrap()
}

#[test]
fn the_digest_says_that_the_glass_was_broken_and_that_the_log_does_not_hold() {
    on_each_engine(|| {
        let folder = Folder::new();
        let (options, settings, now) = (folder.prepared(), settings(SITE), Timestamp::now());
        let recipients = vec![Recipient { address: "jo@x.example".into(), parameters: String::new(), state: Default::default() }];
        let origin = Origin { sender: "cllr.elm@wragby.gov.uk".into(), ..Origin::default() };
        let sheet = Sheet { reference: "LG-1".into(), taken: 0, recipients, origin, ..Sheet::default() };
        let ends = now.as_millisecond() + 86_400_000;
        let parcel = NewParcel { id: None, state: custody::State::Held, due: 0, ends, sheet };
        let content = b"Subject: x\r\n\r\nheld words\r\n".to_vec();
        let deposit = Deposit { kind: custody::Kind::Mail, content: content.clone(), parcels: vec![parcel], told: vec![] };
        custody::open(&options).unwrap().accept(&[deposit], now.as_millisecond()).unwrap();
        let digest = || rounds::for_the_digest(&options, Timestamp::now(), &TimeZone::UTC).unwrap();
        let has = |words: &str| digest().iter().any(|l| l.contains(words));
        assert!(!has("break-glass") && !has("does not hold"));
        let code = glass::make(&settings, &options, now, &at_machine(&settings)).unwrap();
        let means = crate::office::held::Means::BreakGlass(&code);
        assert_eq!(
            crate::office::held::open(&settings, &options, "lg-1", means, &at_machine(&settings)).unwrap(),
            ("LG-1".into(), content)
        );
        assert_eq!(notices(&options), 2, "Clerk and Chair");
        assert!(has("The break-glass code was used on") && has("to read the held message LG-1 (the account root)"), "{:?}", digest());
        assert!(!digest().iter().any(|l| l.contains('@')));
        crate::records::access::tests::execute(&options, "DELETE FROM access_log WHERE number = 1", &[]);
        assert!(has("does not hold. Entry 1 is missing."), "{:?}", digest());
    });
}
