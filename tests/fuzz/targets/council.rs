//! Wragby's gateway as far as a judge needs it: the council, its policies, and a case made of nothing but a message.

use std::sync::{Arc, LazyLock};

use lychgate::config::rules::words::{self, Section};
use lychgate::config::rules::{self, Site};
use lychgate::config::settings::{Council, Markings, People, Person};
use lychgate::config::{Diagnostics, Source};
use lychgate::message::{RawMessage, View};
use lychgate::policy::detect::recipients;
use lychgate::policy::outside::{Authentication, Fact};
use lychgate::policy::{Case, Envelope, Facts, Login, Malformed, Mode, Outside, Policy, Recipient, Role, Session, Sources};
use lychgate::smtp::address::Charset;
use lychgate::smtp::{Address, ReversePath};

/// Rules that ask everything that can be asked: the documented example of every condition and action, and the shipped rules; and
/// rules that want different edits of the same places. What stops everything is left out, since it would hide all else.
pub static EVERYTHING: LazyLock<Vec<Arc<Source>>> = LazyLock::new(|| {
    let mut files: Vec<Arc<Source>> =
        lychgate::demo::shipped::RULES.iter().map(|(name, text)| Arc::new(Source { name: (*name).into(), text: (*text).into() })).collect();
    let mut number = 0;
    for word in words::all().filter(|w| {
        (w.section.is_condition() || w.section == Section::Action)
            && !w.example.contains("[[")
            && !matches!(w.word, "reject" | "defer" | "hold")
    }) {
        for unless in [false, true] {
            number += 1;
            let text = words::file_of(word, word.example).replace("\"example\"", &format!("\"w{number}\""));
            // The same condition lifts another rule.
            let lifts =
                text.lines().filter(|l| l.starts_with("when.")).map(|l| l.trim_start_matches("when.").to_string()).collect::<Vec<_>>();
            let text = match (unless, lifts.as_slice()) {
                (true, [one]) if !text.contains("unless") => {
                    format!("[[rule]]\nid = \"w{number}\"\nwhen = \"always\"\nunless = [{{ {one} }}]\nthen.notify = [\"clerk\"]\n")
                }
                (true, _) => continue,
                (false, _) => text,
            };
            let source = Arc::new(Source { name: format!("{}-{number}.toml", word.word), text });
            // An example that stands on something else (a list, a sample) is left out, not guessed at.
            if compile(std::slice::from_ref(&source), Mode::Enforce).is_some() {
                files.push(source);
            }
        }
    }
    files.push(Arc::new(Source { name: "rivals.toml".into(), text: RIVALS.into() }));
    files
});

const RIVALS: &str = r#"
[[rule]]
id = "b-tags"
when.direction = "outbound"
then.tag-subject = "[B]"
then.add-header = { X-Mark = "b" }
then.banner = "The bench is wet."

[[rule]]
id = "a-tags"
when.direction = "outbound"
then.tag-subject = "[A]"
then.add-header = { X-Mark = "a" }
then.banner = "The hedge is high."

[[rule]]
id = "c-drops-fields"
when.direction = "outbound"
then.remove-header = ["Reply-To", "X-Mark"]

[[rule]]
id = "d-holds"
when.subject.words = ["camera", "confidential"]
then.hold = { by = "clerk" }
"#;

pub static POLICY: LazyLock<Policy> =
    LazyLock::new(|| compile(&EVERYTHING, Mode::Enforce).expect("the shipped rules and the examples compile together"));

/// Compiles rules; none where anything is wrong with them.
pub fn compile(files: &[Arc<Source>], mode: Mode) -> Option<Policy> {
    load(files, mode, &mut Diagnostics::new())
}

pub fn load(files: &[Arc<Source>], mode: Mode, diagnostics: &mut Diagnostics) -> Option<Policy> {
    let council = Council {
        name: "Wragby Parish Council".into(),
        domains: vec!["wragbyparishcouncil.gov.uk".into()],
        clerk: Some("clerk@wragbyparishcouncil.gov.uk".into()),
        chair: Some("chair@wragbyparishcouncil.gov.uk".into()),
        review: None,
    };
    let person = Person {
        address: "cllr.elm@wragbyparishcouncil.gov.uk".into(),
        name: Some("Ann Elm".into()),
        own_accounts: vec!["rosebud12@gmail.com".into()],
    };
    let people = People { councillors: vec![person], staff: vec![], ..People::default() };
    let markings = Markings {
        labels: vec!["0f1e2d3c-aaaa-bbbb-cccc-0123456789ab".into()],
        site_id: Some("11111111-2222-3333-4444-555555555555".into()),
        header: Some("X-Council-Confidential".into()),
    };
    let listeners = [("submission".into(), Role::Submission), ("connector".into(), Role::Connector), ("mx".into(), Role::Mx)];
    let site = Site {
        council: &council,
        people: &people,
        markings: &markings,
        encryption: &Default::default(),
        mode,
        malformed: Malformed::Judge,
        bank_accounts: &[],
        listeners: &listeners,
        source: None,
        tune: &[],
        desk: Default::default(),
        sources: Sources::ALL,
    };
    rules::load(files, &site, diagnostics)
}

/// Everything that can be asked outside was asked, and nothing is amiss.
pub fn harmless(policy: &Policy) -> Outside {
    Outside {
        virus: Fact::Known(false),
        spf: Fact::Known(Authentication::Pass),
        dkim: Fact::Known(Authentication::Pass),
        dmarc: Fact::Known(Authentication::Pass),
        seen_together: Fact::Known(false),
        first_contact: Fact::Known(false),
        near_name: Fact::Known(false),
        protected_before: Fact::Known(false),
        rates: policy.rates().iter().map(|_| Fact::Known(1)).collect(),
    }
}

/// Hands over the facts of `message`, sent from the author it names to the recipients it names.
pub fn with_facts<T>(policy: &Policy, message: &RawMessage, role: Role, outside: &Outside, then: impl FnOnce(&Facts<'_>) -> T) -> T {
    let view = View::new(message.as_bytes());
    let named = |fields: &[&str]| -> Vec<Address> {
        recipients::named(&view, fields).iter().take(200).filter_map(|(a, _)| Address::parse(a, Charset::Utf8).ok()).collect()
    };
    let reverse_path = named(&["From"]).into_iter().next().map_or(ReversePath::Null, ReversePath::Address);
    let recipients = named(&["To", "Cc", "Bcc"]).into_iter().map(|address| Recipient { address, reply_code: 250 }).collect();
    let envelope = Envelope { reverse_path, recipients };
    let login = match role {
        Role::Submission => Login::Known("clerk@wragbyparishcouncil.gov.uk".into()),
        Role::Connector | Role::Mx => Login::None,
    };
    let listener = match role {
        Role::Submission => "submission",
        Role::Connector => "connector",
        Role::Mx => "mx",
    };
    let session = Session { role, listener: listener.into(), login, tls: true };
    let now = "2026-05-14T10:00[Europe/London]".parse().expect("it is a time");
    let case = Case { message, envelope: &envelope, session: &session, now, outside };
    then(&Facts::new(&case, policy))
}
