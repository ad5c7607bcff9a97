//! `lychgate check`: every fault of the site file and the rules at once, and one line that sums up. Creates nothing.

use std::path::Path;
use std::process::ExitCode;

use super::counted;
use crate::config::overlay::rules::Made;
use crate::config::{self, Diagnostics, Settings};
use crate::office::{self, digest};
use crate::policy::outside::Source;
use crate::policy::rule::SaidBy;
use crate::policy::{Mode, Role, logic};

/// Exit 0 if the gateway would start, 1 if not.
pub fn run(given: Option<&Path>) -> ExitCode {
    let (report, good) = report(&config::find(given));
    super::print(&report);
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What `check` prints of a site file, and whether it is good.
pub fn report(path: &Path) -> (String, bool) {
    let mut diagnostics = Diagnostics::new();
    let settings = config::load(path, &mut diagnostics);
    // The gateway starts with it, and whoever checks must hear: suspensions may not count.
    if let Some(fault) = settings.as_ref().and_then(|s| s.at_desk.fault.clone()) {
        diagnostics.error_without_place(fault, "Mend or remove it, then reload. Until then nobody has a role that was lent.");
    }
    let settings = settings.filter(|_| !diagnostics.has_errors());
    let mut out = diagnostics.render();
    match &settings {
        None => out.push_str(&format!("{}\n", tally(&diagnostics))),
        Some(settings) => {
            let warned = match diagnostics.count_warnings() {
                0 => String::new(),
                n => format!(", with {}", counted(n, "warning")),
            };
            out.push_str(&format!(
                "The site file and {} are good{warned}: {}.\n",
                counted(settings.policy.rules().len(), "rule"),
                summary(settings)
            ));
            out.push_str(&desk(settings));
            out.push_str(&unjudged(settings));
            out.push_str(&out_of_place(settings));
            out.push_str(&missed(settings));
        }
    }
    (out, settings.is_some())
}

/// `3 errors, 1 warning`.
pub fn tally(diagnostics: &Diagnostics) -> String {
    let errors = counted(diagnostics.count_errors(), "error");
    match diagnostics.count_warnings() {
        0 => errors,
        n => format!("{errors}, {}", counted(n, "warning")),
    }
}

/// What was changed at the desk, and whether anything can be.
fn desk(settings: &Settings) -> String {
    let mut out = String::new();
    if let Some(change) = settings.rules.change.as_ref().filter(|_| settings.rules.left_out.is_none()) {
        let modes = settings.policy.rules().iter().filter(|r| r.said.by == SaidBy::Desk).map(|r| format!("{} {}", r.id, r.mode.word()));
        let files = settings.rules.files.iter().filter(|f| !matches!(f.made, Made::Operator)).map(|f| f.shown.clone());
        let all: Vec<String> = modes.chain(files).collect();
        let all = if all.is_empty() { "nothing is different from the files".to_string() } else { all.join(", ") };
        out.push_str(&format!("Changed at the desk: version {} of {}: {all}.\n", change.number, change.time.strftime("%Y-%m-%d")));
    }
    if let Some(what) = office::rules::in_the_way(settings) {
        out.push_str(&format!("Nothing can be changed at the desk by this user: {what}. [console] folder says where it writes.\n"));
    }
    out
}

/// A digest that should have come. What is not there yet is not looked into.
fn missed(settings: &Settings) -> String {
    match digest::missed(settings, jiff::Timestamp::now()) {
        Ok(None) => String::new(),
        Ok(Some(text)) => format!("{text}\n"),
        Err(error) => format!("Whether the weekly digest came could not be looked up: {error}\n"),
    }
}

/// Rules that this site has no means to judge, by what it lacks.
fn unjudged(settings: &Settings) -> String {
    let mut out = String::new();
    for source in [Source::Scanner, Source::Dns, Source::Past] {
        let ids: Vec<&str> = settings.policy.unjudged(source).collect();
        if !ids.is_empty() {
            out.push_str(&format!("Not judged here, since {}: {}.\n", source.absence(), ids.join(", ")));
        }
    }
    out
}

/// Rules for mail that no listener of this site carries: they do no harm, but whoever wrote one for here should hear of it.
fn out_of_place(settings: &Settings) -> String {
    let listeners: Vec<_> = settings.listeners.iter().map(|l| (l.name.clone(), l.role)).collect();
    let rules = settings.policy.rules().iter().filter(|r| r.mode > Mode::Off);
    let never: Vec<String> = rules
        .filter(|r| {
            let roles = logic::roles(&r.when, &listeners);
            !listeners.iter().any(|(_, role)| roles.contains(role))
        })
        .map(|r| format!("{} ({})", r.id, r.place))
        .collect();
    if never.is_empty() {
        return String::new();
    }
    let mut words: Vec<&str> = Vec::new();
    for (_, role) in &listeners {
        let word = match role {
            Role::Submission => "submission",
            Role::Connector => "connector",
            Role::Mx => "mx, where mail is always inbound",
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    format!("Never apply here, since there is only {}: {}.\n", words.join(" and "), never.join(", "))
}

fn summary(settings: &Settings) -> String {
    let mut parts =
        vec![settings.council.name.clone(), counted(settings.listeners.len(), "listener"), counted(settings.upstreams.len(), "upstream")];
    for (mode, words) in [(Mode::Enforce, "enforcing"), (Mode::Warn, "warning"), (Mode::Observe, "observing"), (Mode::Off, "off")] {
        let n = settings.policy.rules().iter().filter(|r| r.mode == mode).count();
        if n > 0 {
            parts.push(format!("{n} {words}"));
        }
    }
    parts.push(if settings.monitoring.is_some() { "each message recorded".into() } else { "hourly counts only".into() });
    parts.join(", ")
}
