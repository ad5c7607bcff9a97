//! What everybody is told: those who use the council's mail, and those who write to it.

use super::{Part, gap, heading, list, period, purpose, say};
use crate::config::Settings;

/// All reasonable efforts to inform every person who may use the system (SI 2018/356, regulation 4(1)(c)).
pub(super) fn notice(settings: &Settings) -> Vec<Part> {
    let council = &settings.council.name;
    let retention = &settings.records.retention;
    let mut out = vec![say(format!(
        "{council} sends and receives its electronic mail through a gateway that holds each message against the council's adopted policy. This notice is for everybody who may use the council's mail: councillors, staff, volunteers and contractors."
    ))];
    match &settings.monitoring {
        None => out.push(say(
            "At present the gateway records nothing about single messages. It counts, by the hour, how many messages there were and which rules applied; no count names anybody.",
        )),
        Some(monitoring) => {
            out.push(say(format!(
                "This is version {} of {}. The council decided on it after an impact assessment ({}).",
                monitoring.notice_version,
                monitoring.notice_date.strftime("%-d %B %Y"),
                monitoring.impact_assessment
            )));
            out.push(heading("Why"));
            out.push(say("The law lets the council record communications on its own system for stated purposes, if everybody who may use it has been told (Investigatory Powers (Interception by Businesses etc. for Monitoring and Record-keeping Purposes) Regulations 2018, SI 2018/356). Of the purposes that regulation 3 lists, the council's are:"));
            out.push(list(monitoring.purposes.iter().map(|word| purpose(word))));
            out.push(heading("What is recorded of each message"));
            let subject = if monitoring.subject { "the subject;" } else { "not the subject;" };
            out.push(list([
                "the time, a reference, the rules that applied and what was decided;".to_string(),
                "the sender's address, and how many recipients there were of each kind, with the domains outside;".into(),
                "the recipients and the message's own number as keyed codes: an address that is known can be looked up, none can be read out;".into(),
                format!("{subject} never the text, never the names of files;"),
                "of a message that its sender marks personal: a count, and nothing else.".into(),
            ]));
        }
    }
    out.push(heading("How long"));
    out.push(list([
        format!("Ordinary mail: {}. Mail on which a rule acted: {}.", period(retention.events), period(retention.incidents)),
        format!(
            "Mail that is held until somebody decides: {} at most, with its content, which nobody reads without a reason.",
            period(retention.held)
        ),
        format!("Who looked at what, and why: {}.", period(retention.access)),
    ]));
    out.push(say("What has gone cannot be read again, not even in a backup: it is sealed under keys that are destroyed with it. What a complaint or a court needs is kept for longer, by case number, and only for that."));
    out.push(heading("Who may look"));
    let clerk = settings.council.clerk.as_deref().unwrap_or("the Clerk");
    out.push(say(format!(
        "Only people with a role that the council gave them, each time with a reason. Each look stands in a log that cannot be changed unseen. {} Ask {clerk} who has looked at what is kept about you, and why: you have a right to know.",
        two_people(settings)
    )));
    out.push(heading("What you can do"));
    out.push(list([
        "Mark a private message personal (in the subject or by your program's sensitivity): it is then let alone, but for a check for viruses.",
        "If a rule is wrong about a message, the notice that you get says how to override it, and whom to ask.",
        "Use the council's mail for the council's business, and your own account for your own.",
    ]));
    out
}

fn two_people(settings: &Settings) -> &'static str {
    use crate::config::settings::TwoPeople;
    if settings.access.two_people.contains(&TwoPeople::Content) {
        "Nobody reads a held message alone: it takes two people."
    } else {
        "A held message may be read by one person with the right to."
    }
}

/// Article 13 of the UK GDPR, in a paragraph.
pub(super) fn outsiders(settings: &Settings) -> Vec<Part> {
    let council = &settings.council.name;
    let retention = &settings.records.retention;
    let clerk = settings.council.clerk.clone().unwrap_or_else(|| gap("the Clerk's address"));
    let keeps = match &settings.monitoring {
        None => "The gateway counts messages and keeps nothing about single ones.".to_string(),
        Some(_) => format!(
            "Of each message it keeps, for {} (or {} where a rule of the policy applied), the time, the addresses in a form that cannot be read out, and what was decided; never the text.",
            period(retention.events),
            period(retention.incidents)
        ),
    };
    vec![
        say("For the council's privacy notice:"),
        say(format!(
            "When you write to {council} or it writes to you, the message passes a gateway that applies the council's policy: it keeps residents' addresses hidden from one another and stops confidential mail that is not encrypted. {keeps} The council does this in the exercise of its public task (UK GDPR Article 6(1)(e); Data Protection Act 2018, section 8). You may ask what is kept about you, have it corrected, or object: write to {clerk}. You may also complain to the Information Commissioner, ico.org.uk."
        )),
        say("For the foot of messages:"),
        say(format!(
            "{council} checks its mail against its adopted policy. What is recorded, and your rights: {}.",
            gap("the address of the privacy notice")
        )),
    ]
}
