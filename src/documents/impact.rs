//! The impact assessment (UK GDPR, Article 35) and the lawful basis with its balance.

use super::{Part, gap, heading, list, period, purpose, say};
use crate::config::Settings;
use crate::config::settings::TwoPeople;
use crate::policy::Mode;

pub(super) fn assessment(settings: &Settings) -> Vec<Part> {
    let policy = &settings.policy;
    let count = |mode: Mode| policy.rules().iter().filter(|r| r.mode == mode).count();
    let reads = policy.rules().iter().filter(|r| r.mode > Mode::Off && r.reads_content).count();
    let retention = &settings.records.retention;
    let yes_no = |is: bool, yes: &str, no: &str| if is { yes.to_string() } else { no.to_string() };
    let mut out = vec![
        heading("1. Why an assessment"),
        say(
            "The council's mail is looked at by a program, and what happened to each message is recorded. That is systematic, and councillors and staff depend on the council: it may be a high risk to them (Article 35(1) and (3); the Commissioner's list names monitoring of workers).",
        ),
        heading("2. What is done"),
        say(format!(
            "{} rules are in force, {} on trial, {} only observed. {reads} of them read what people wrote; a message that is marked personal is let alone by those.",
            count(Mode::Enforce),
            count(Mode::Warn),
            count(Mode::Observe)
        )),
    ];
    match &settings.monitoring {
        None => out.push(say("Single messages are not recorded: there are counts by the hour, which name nobody.")),
        Some(monitoring) => {
            out.push(say("Each message leaves one record, for these purposes of SI 2018/356:"));
            out.push(list(monitoring.purposes.iter().map(|word| purpose(word))));
            out.push(list([
                yes_no(monitoring.subject, "The subject is kept.", "The subject is not kept."),
                yes_no(
                    monitoring.past_mail,
                    "An index of who wrote to whom is kept as keyed codes, where a rule asks.",
                    "No index of past mail is kept.",
                ),
                yes_no(
                    monitoring.mandatory,
                    "Mail waits when its record cannot be written.",
                    "Mail goes on when its record cannot be written.",
                ),
            ]));
        }
    }
    out.extend([
        heading("3. Who was asked"),
        say(gap("councillors and staff who were consulted, when, and what they said; or why they were not")),
        heading("4. Necessity and proportion"),
        list([
            "A policy that nobody checks did not keep residents' addresses from one another: that is what the record is for.".to_string(),
            "Less would do less: without the record nobody could say whether a message arrived, or show why it was stopped.".into(),
            "The text is never kept in the record; recipients are codes that cannot be read out; private mail is counted only.".into(),
            format!(
                "It goes after {} ({} where a rule acted), and its keys with it.",
                period(retention.events),
                period(retention.incidents)
            ),
            "Rules begin as observed or on trial, and are enforced when their figures bear them out.".into(),
        ]),
        heading("5. Risks, and what is done about them"),
        Part::Table(
            ["Risk", "What is done", "What is left"].map(String::from).to_vec(),
            [
                [
                    "Somebody with access reads out who wrote to whom",
                    "Recipients are keyed codes; each look needs a reason and stands in a chained log",
                    "Low",
                ],
                [
                    "The record is stolen",
                    "Sealed with keys of each day, in a keyring apart from it; what has expired cannot be read by anybody",
                    "Low",
                ],
                ["A private message is looked at", "Marked personal, it is let alone; the record has no text", "Low"],
                ["A message is stopped wrongly", "A rule says what to do first; the sender gets a notice and may override or ask", "Low"],
                ["Held mail is read by one person for their own ends", content_risk(settings), "Low"],
                ["It is used to watch a councillor", report_risk(settings), "Low to medium: the council decides who has which role"],
                ["It stays on for longer than it is needed", "Reviewed each year; retention purges by itself, with signed receipts", "Low"],
            ]
            .map(|row| row.map(String::from).to_vec())
            .to_vec(),
        ),
        heading("6. Decision"),
        say(match &settings.monitoring {
            Some(monitoring) => format!("Decided by {}. Next review: {}.", monitoring.impact_assessment, review(settings)),
            None => format!("Decided by {}. Next review: {}.", gap("minute"), review(settings)),
        }),
    ]);
    out
}

fn content_risk(settings: &Settings) -> &'static str {
    if settings.access.two_people.contains(&TwoPeople::Content) {
        "It takes two people, each proven; the sender may ask who read it"
    } else {
        "One person may, with a reason that is logged: consider `two-people = [\"content\"]`"
    }
}

fn report_risk(settings: &Settings) -> &'static str {
    if settings.access.two_people.contains(&TwoPeople::Reports) {
        "A look at all of one person's mail takes two people, and stands in the log"
    } else {
        "A look at one person's mail needs a reason and stands in the log, which they may see: consider `two-people = [\"reports\"]`"
    }
}

fn review(settings: &Settings) -> String {
    settings.council.review.map_or_else(|| gap("month"), |date| date.strftime("%B %Y").to_string())
}

/// A public authority cannot rest what it does in its public task on legitimate interests (Article 6(1), last sentence): so this says what
/// it rests on, and weighs all the same.
pub(super) fn interests(settings: &Settings) -> Vec<Part> {
    vec![
        heading("What it rests on"),
        say(
            "A parish or town council is a public authority. For what it does in its public tasks it cannot rely on legitimate interests (UK GDPR, Article 6(1), last sentence). It relies on its public task (Article 6(1)(e) with section 8 of the Data Protection Act 2018), and on its duty to keep personal data secure (Article 5(1)(f) and Article 32), which is a legal obligation (Article 6(1)(c)).",
        ),
        heading("Is it necessary?"),
        say(
            "The duty is to keep residents' data from those who need not have it. Most breaches of councils are mail to the wrong people, or to all of them visibly. A check on the way is the only one that works for every program and every hurried sender.",
        ),
        heading("Whose interests were weighed"),
        Part::Table(
            ["Whose", "Interest", "How it is met"].map(String::from).to_vec(),
            [
                [
                    "Residents",
                    "That their addresses and cases stay with the council",
                    "Addresses hidden from one another; confidential mail refused unless encrypted",
                ],
                [
                    "Councillors and staff",
                    "Not to be watched at work; a private word now and then",
                    "No text is kept; marked-personal mail is let alone; looks are logged, and some take two people",
                ],
                [
                    "Correspondents",
                    "That their letters arrive, and are not read by others",
                    "What no rule touches leaves byte for byte; held mail is decided within days, unread",
                ],
                [
                    "The council",
                    "To show the auditor and the Commissioner that its policy is kept",
                    "Signed receipts, figures without names",
                ],
            ]
            .map(|row| row.map(String::from).to_vec())
            .to_vec(),
        ),
        heading("Outcome"),
        say(format!("The council finds it proportionate, on the terms of the impact assessment. Decided by {}.", gap("minute"))),
        say(format!("Who wants to object writes to {}.", settings.council.clerk.clone().unwrap_or_else(|| gap("the Clerk's address")))),
    ]
}
