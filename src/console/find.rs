//! "Did Mrs Ashby get the agenda?": the answer in a sentence, then the trail.

use askama::Template;
use axum::Form;
use jiff::{SignedDuration, Timestamp};

use super::frame::{Answer, Frame, Signed, Trouble, plain, show};
use crate::office::roles::Right;
use crate::office::{Fault, reports, trail};
use crate::records::trace::{Hit, Question, look_up};

#[derive(Template)]
#[template(path = "find.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    asked: Asked,
    fault: Option<(&'static str, String)>,
    answer: Option<Found>,
}

struct Found {
    sentence: String,
    messages: Vec<Message>,
    more: bool,
}

struct Message {
    time: String,
    sender: String,
    subject: Option<String>,
    outcome: String,
    for_them: Option<String>,
    to: String,
    rules: Vec<String>,
    reply: Option<String>,
    reference: String,
    notes: Vec<String>,
}

#[derive(Clone, Default, serde::Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    token: String,
    #[serde(default)]
    who: String,
    /// `to`, `from` or `either`.
    #[serde(default)]
    way: String,
    #[serde(default)]
    reference: String,
    #[serde(default)]
    days: String,
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    request: String,
}

impl Asked {
    fn is_way(&self, way: &str) -> bool {
        self.way == way || (self.way.is_empty() && way == "to")
    }

    fn is_days(&self, days: &str) -> bool {
        self.days == days || (self.days.is_empty() && days == "30")
    }
}

pub(super) async fn page(signed: Signed) -> Answer {
    signed.doer("")?.may(Right::LookUp)?;
    show(&Page { frame: signed.frame("/find"), asked: Asked::default(), fault: None, answer: None })
}

pub(super) async fn look(signed: Signed, Form(asked): Form<Asked>) -> Answer {
    signed.sent(&asked.token)?;
    let fault =
        |at, text: &str| show(&Page { frame: signed.frame("/find"), asked: asked.clone(), fault: Some((at, text.into())), answer: None });
    let (who, reference) = (asked.who.trim(), asked.reference.trim());
    if who.is_empty() && reference.is_empty() {
        return fault("who", "Enter an address, or the reference from a notice");
    }
    if !who.is_empty() && !who.contains('@') {
        return fault("who", "Enter a whole address, such as edith.ashby@btinternet.com. Names alone cannot be found");
    }
    if asked.purpose.trim().is_empty() {
        return fault("purpose", "Say why you look, in a few words");
    }
    let days = asked.days.parse::<i64>().unwrap_or(30).clamp(1, 400);
    let now = Timestamp::now();
    let since = now - SignedDuration::from_hours(days * 24);
    let person = (!who.is_empty()).then(|| who.to_string());
    let question = |sender: bool| Question {
        sender: person.clone().filter(|_| sender),
        recipient: person.clone().filter(|_| !sender),
        reference: (!reference.is_empty()).then(|| reference.to_string()),
        since,
        until: now,
        ..Question::default()
    };
    let mut questions = Vec::new();
    if person.is_none() || !asked.is_way("from") {
        questions.push(question(false));
    }
    if person.is_some() && !asked.is_way("to") {
        questions.push(question(true));
    }
    let doer = signed.doer(&asked.purpose)?.with_request(asked.request.parse().ok());
    let one_message = !reference.is_empty();
    let purpose = asked.purpose.trim().to_string();
    let done = signed
        .ask(move |settings, options| {
            let mut hits: Vec<Hit> = Vec::new();
            let mut cut = false;
            for question in &questions {
                let (sender, recipient) = (question.sender.as_deref(), question.recipient.as_deref());
                let together = reports::allowed(settings, options, sender, recipient, one_message, now, &doer)?;
                let found = look_up(options, question, &format!("{purpose}{together}"), doer.who.clone())?;
                cut |= found.cut;
                hits.extend(found.hits);
            }
            hits.sort_by_key(|hit| std::cmp::Reverse(hit.row.time));
            hits.dedup_by(|a, b| a.row.reference == b.row.reference && a.row.time == b.row.time);
            Ok((hits, cut))
        })
        .await;
    let (hits, cut) = match done {
        Ok(found) => found,
        Err(Trouble::Office(error @ (Fault::TakesTwo(_) | Fault::TwoPeople(..) | Fault::Address(_)))) => {
            return fault("who", &plain(&error));
        }
        Err(other) => return Err(other),
    };
    let zone = &signed.settings.time_zone;
    let answer = Found {
        sentence: sentence(&hits, &asked, zone),
        messages: hits.iter().take(200).map(|hit| message(hit, zone, person.is_some())).collect(),
        more: cut || hits.len() > 200,
    };
    show(&Page { frame: signed.frame("/find"), asked: asked.clone(), fault: None, answer: Some(answer) })
}

/// "Yes: the provider took the latest for edith.ashby@btinternet.com on Thursday 14 May, 10:02."
fn sentence(hits: &[Hit], asked: &Asked, zone: &jiff::tz::TimeZone) -> String {
    let who = asked.who.trim();
    let Some(latest) = hits.first() else {
        return "Nothing in the record fits. It may have gone with its retention, or never have come through the gateway.".into();
    };
    let when = latest.row.time.to_zoned(zone.clone()).strftime("%A %-d %B, %H:%M");
    let count = if hits.len() == 1 { "One message fits".to_string() } else { format!("{} messages fit", hits.len()) };
    let row = &latest.row;
    let taken = row.outcome_code.is_some_and(|code| code / 100 == 2);
    match latest.recipient_code {
        Some(code) if taken && row.upstream_reply.is_some() && code / 100 == 2 => {
            format!("Yes: the mail provider took the latest for {who} on {when}. {count}.")
        }
        Some(_) if taken && row.disposition == "hold" => {
            format!("Not yet: the latest, of {when}, is held until somebody decides. {count}.")
        }
        Some(_) if taken && row.upstream_reply.is_none() => {
            format!(
                "Not yet: the gateway has taken the latest, of {when}, and the mail provider has not taken it from there so far. {count}."
            )
        }
        Some(_) if taken => format!("No: of the latest, of {when}, the copy for {who} was {}. {count}.", trail::for_recipient(latest)),
        Some(_) => format!("No: the latest, of {when}, did not reach {who}: it was {}. {count}.", trail::outcome(latest)),
        None => format!("{count}. The latest is of {when}: it was {}.", trail::outcome(latest)),
    }
}

fn message(hit: &Hit, zone: &jiff::tz::TimeZone, person: bool) -> Message {
    let row = &hit.row;
    let mode = |rule: &crate::records::row::RowRule| match (&rule.overridden, rule.mode.as_str()) {
        (Some(reason), _) => format!("overridden: {reason}"),
        (None, "enforce") => "enforced".into(),
        (None, "warn") => "warned only".into(),
        (None, "observe") => "observed only".into(),
        (None, other) => other.to_string(),
    };
    Message {
        time: row.time.to_zoned(zone.clone()).strftime("%A %-d %B %Y, %H:%M:%S").to_string(),
        sender: if row.sender.is_empty() { "nobody (an automatic message)".into() } else { row.sender.clone() },
        subject: row.subject.clone(),
        outcome: trail::outcome(hit),
        for_them: (person && hit.recipient_code.is_some()).then(|| trail::for_recipient(hit)),
        to: trail::recipients(hit),
        rules: row.rules.iter().map(|rule| format!("{} ({})", rule.id, mode(rule))).collect(),
        reply: row.upstream_reply.clone(),
        reference: row.reference.clone(),
        notes: hit.notes.iter().map(|note| note.text.clone()).collect(),
    }
}
