//! What people ask about themselves: the requests with their clock, and the answer to each. Addresses stand on these pages and in no URL.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::fields::{Field, Sent, Summary, Typed};
use super::frame::{Answer, Frame, Signed, Trouble, show};
use crate::office::rights::{self, requests};
use crate::office::roles::Right;
use crate::office::{Fault, counted};
use crate::records::custody;
use crate::records::rights::{Kind, Request};

/// Closed requests that are shown.
const CLOSED: usize = 50;
/// Open ones.
const OPEN: usize = 200;
/// A request that is due within so many days is pressing.
const PRESSING: i32 = 7;

const KINDS: [(&str, &str); 3] =
    [("access", "A copy of what is held about them"), ("rectification", "Something put right"), ("erasure", "To be erased")];

#[derive(Template)]
#[template(path = "rights.html", config = "src/console/askama.toml")]
struct List {
    frame: Frame,
    summary: Summary,
    open: Vec<Line>,
    closed: Vec<Line>,
    left_out: usize,
    fields: Vec<Field>,
}

#[derive(Template)]
#[template(path = "rights-one.html", config = "src/console/askama.toml")]
struct One {
    frame: Frame,
    summary: Summary,
    done: Option<&'static str>,
    request: Line,
    received: String,
    history: Vec<String>,
    is_open: bool,
    /// A breach has neither a person nor a pause.
    of_person: bool,
    paused: bool,
    may_extend: bool,
    pause: Vec<Field>,
    resume: Vec<Field>,
    extend: Vec<Field>,
    close: Vec<Field>,
    export: Vec<Field>,
    rectify: Vec<Field>,
    erasure: Vec<Field>,
}

/// A request, in a few words.
pub(super) struct Line {
    pub id: i64,
    pub what: &'static str,
    pub whose: String,
    tag: String,
    colour: &'static str,
    says: String,
    /// For the order: what is due first comes first.
    due: Timestamp,
}

#[derive(serde::Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    done: String,
}

pub(super) async fn list(signed: Signed) -> Answer {
    listed(&signed, Typed::default()).await
}

async fn listed(signed: &Signed, typed: Typed) -> Answer {
    let doer = signed.doer("to see what is due")?;
    let all = signed.ask(move |_, options| requests::list(options, &doer)).await?;
    let zone = &signed.settings.time_zone;
    let now = Timestamp::now();
    let (closed, open): (Vec<&Request>, Vec<&Request>) = all.iter().partition(|r| r.closed.is_some());
    let mut open: Vec<Line> = open.into_iter().map(|r| line(r, now, zone)).collect();
    open.sort_by_key(|l| l.due);
    let left_out = open.len().saturating_sub(OPEN) + closed.len().saturating_sub(CLOSED);
    open.truncate(OPEN);
    let field = |name, label: &str| typed.field("new", name, label);
    show(&List {
        frame: signed.frame("/rights"),
        summary: typed.summary(),
        open,
        closed: closed.into_iter().rev().take(CLOSED).map(|r| line(r, now, zone)).collect(),
        left_out,
        fields: vec![
            field("person", "Whose").hint("A whole address: the record knows no other name").address(),
            field("kind", "What they ask for").choice(&KINDS),
            field("received", "The day it was received").day("For example, 27 3 2026. Today, if left empty"),
            field("reason", "How it came").hint("Such as \u{201c}letter of 3 May\u{201d}. It is kept in the access log"),
        ],
    })
}

fn line(request: &Request, now: Timestamp, zone: &TimeZone) -> Line {
    let today = now.to_zoned(zone.clone()).date();
    let (tag, colour, says) = clock(request, now, zone);
    let end = |d: Date| d.to_zoned(zone.clone()).map_or(Timestamp::MAX, |z| z.timestamp());
    Line {
        id: request.id,
        what: match request.kind {
            Kind::Access => "A copy of what is held",
            Kind::Rectification => "Something put right",
            Kind::Erasure => "To be erased",
            Kind::Breach => "A breach",
        },
        whose: request.person.clone(),
        tag,
        colour,
        says,
        due: request.report_by().or_else(|| request.due(today).map(end)).unwrap_or(Timestamp::MAX),
    }
}

/// The clock in two words, its colour, and in a sentence.
fn clock(request: &Request, now: Timestamp, zone: &TimeZone) -> (String, &'static str, String) {
    let today = now.to_zoned(zone.clone()).date();
    if let Some(closed) = &request.closed {
        return ("Closed".into(), "grey", format!("On {}: {}", day(closed.on), closed.outcome));
    }
    if let Some(by) = request.report_by() {
        let left = by.duration_since(now);
        let until = by.to_zoned(zone.clone()).strftime("%A %-d %B %Y, %H:%M");
        return if left < SignedDuration::ZERO {
            ("Overdue".into(), "red", format!("The 72 hours for the report to the regulator ended on {until}"))
        } else {
            (counted(left.as_hours().unsigned_abs(), "hour"), "orange", format!("Left for the report to the regulator, until {until}"))
        };
    }
    let Some(due) = request.due(today) else { return ("Open".into(), "grey", String::new()) };
    let left = (due - today).get_days();
    match left {
        _ if request.is_paused() => {
            ("Paused".into(), "grey", format!("The clock stands still; if it ran again from today, it would be due on {}", day(due)))
        }
        ..0 => (
            "Overdue".into(),
            "red",
            format!(
                "It was due on {}, {} ago. Answer it now, and tell the person why it is late",
                day(due),
                counted(left.unsigned_abs().into(), "day")
            ),
        ),
        0 => ("Due today".into(), "red", format!("It is due on {}", day(due))),
        1..=PRESSING => (format!("{} left", counted(left.unsigned_abs().into(), "day")), "orange", format!("It is due on {}", day(due))),
        _ => (format!("{} left", counted(left.unsigned_abs().into(), "day")), "green", format!("It is due on {}", day(due))),
    }
}

fn day(date: Date) -> String {
    date.strftime("%A %-d %B %Y").to_string()
}

pub(super) async fn receive(signed: Signed, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::Rights])?;
    signed.sent(sent.text("token"))?;
    let mut typed = Typed::new("new", sent);
    typed.needs("person", "Enter the address of the person who asks");
    let kind = Kind::of(typed.text("kind")).filter(|kind| *kind != Kind::Breach);
    if kind.is_none() {
        typed = typed.wrong("kind", "Choose what they ask for");
    }
    let today = signed.today();
    let received = typed.day_or("received", today);
    if received > today {
        typed = typed.wrong("received", "The day it was received is not to come");
    }
    typed.needs("reason", "Say how it came, in a few words");
    let (Some(kind), true) = (kind, typed.is_whole()) else { return listed(&signed, typed).await };
    let doer = signed.doer(typed.text("reason"))?;
    let person = typed.text("person").to_string();
    match signed.ask(move |_, options| requests::receive(options, &person, kind, received, &doer)).await {
        Ok(request) => Ok(Redirect::to(&format!("/rights/{}?done=received", request.id)).into_response()),
        Err(trouble) => {
            let typed = typed.refused(trouble, |fault| matches!(fault, Fault::Address(_)).then_some("person"))?;
            listed(&signed, typed).await
        }
    }
}

pub(super) async fn one(signed: Signed, Path(id): Path<i64>, Query(done): Query<Done>) -> Answer {
    let done = match done.done.as_str() {
        "received" => Some("The request is noted, and its clock runs."),
        "paused" => Some("The clock stands still."),
        "resumed" => Some("The clock runs again."),
        "extended" => Some("It is extended by two months. Tell the person so, and why, before the first month is over."),
        "closed" => Some("The request is closed."),
        "rectified" => Some("It is noted beside the row, and shown wherever the row is shown."),
        _ => None,
    };
    page(&signed, id, Typed::default(), done).await
}

/// The request of a page; that somebody looked is logged.
pub(super) async fn of(signed: &Signed, id: i64) -> Result<Request, Trouble> {
    let doer = signed.doer("to answer it")?;
    signed.ask(move |_, options| requests::one(options, id, &doer)).await
}

pub(super) async fn page(signed: &Signed, id: i64, typed: Typed, done: Option<&'static str>) -> Answer {
    let request = of(signed, id).await?;
    let (now, zone) = (Timestamp::now(), &signed.settings.time_zone);
    let today = now.to_zoned(zone.clone()).date();
    let mut history = Vec::new();
    for pause in &request.pauses {
        let until = pause.until.map_or("still".into(), day);
        history.push(format!("Paused from {} to {until}: {}", day(pause.from), pause.reason));
    }
    if let Some(extended) = &request.extended {
        history.push(format!("Extended by two months on {}: {}", day(extended.on), extended.reason));
    }
    let dated = |form, label: &str, hint: &str| {
        let on = typed.field(form, "on", "On which day").day("For example, 27 3 2026. Today, if left empty");
        vec![typed.field(form, "reason", label).hint(hint), on]
    };
    show(&One {
        frame: signed.frame("/rights"),
        summary: typed.summary(),
        done,
        received: day(request.received),
        history,
        is_open: request.closed.is_none(),
        of_person: request.kind != Kind::Breach,
        paused: request.is_paused(),
        may_extend: request.extended.is_none() && request.due(today).is_some_and(|due| today <= due),
        pause: dated("pause", "What the person was asked", "Such as which of two people they are, or what they are looking for"),
        resume: dated("resume", "What they answered", ""),
        extend: dated(
            "extend",
            "Why it takes longer",
            "The person must be told within the first month. Only where it is complex, or there are many",
        ),
        close: dated("close", "How it was answered, or why it was refused", "It stands in the request"),
        export: vec![typed.field("export", "reason", "Why you look").hint("The person reads this, and it is kept in the access log")],
        rectify: vec![
            typed.field("rectify", "reference", "The reference of the message").hint("It stands in the export, such as LG-7F3K").short(),
            typed
                .field("rectify", "note", "What they say is wrong")
                .hint("It is noted beside the row. The row itself says what the gateway did, and stays"),
        ],
        erasure: vec![typed.field("erasure", "reason", "Why it is to be erased")],
        request: line(&request, now, zone),
    })
}

pub(super) async fn change(signed: Signed, Path((id, act)): Path<(i64, String)>, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::Rights])?;
    signed.sent(sent.text("token"))?;
    let (form, what, done) = match act.as_str() {
        "pause" => ("pause", requests::Change::Pause, "paused"),
        "resume" => ("resume", requests::Change::Resume, "resumed"),
        "extend" => ("extend", requests::Change::Extend, "extended"),
        "close" => ("close", requests::Change::Close, "closed"),
        _ => return Err(Trouble::Nowhere),
    };
    let mut typed = Typed::new(form, sent);
    typed.needs("reason", "Say why, in a few words");
    let today = signed.today();
    let on = typed.day_or("on", today);
    if on > today {
        typed = typed.wrong("on", "That day is not to come");
    }
    if !typed.is_whole() {
        return page(&signed, id, typed, None).await;
    }
    let doer = signed.doer(typed.text("reason"))?;
    match signed.ask(move |_, options| requests::change(options, id, what, on, &doer)).await {
        Ok(_) => Ok(Redirect::to(&format!("/rights/{id}?done={done}")).into_response()),
        Err(trouble) => {
            let typed = typed.refused(trouble, |fault| matches!(fault, Fault::Request(..)).then_some("on"))?;
            page(&signed, id, typed, None).await
        }
    }
}

/// The export as a file to keep: never shown here, and its name says nobody's.
pub(super) async fn export(signed: Signed, Path(id): Path<i64>, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::Rights])?;
    signed.sent(sent.text("token"))?;
    let mut typed = Typed::new("export", sent);
    typed.needs("reason", "Say why you look, in a few words");
    if !typed.is_whole() {
        return page(&signed, id, typed, None).await;
    }
    let request = of_person(&signed, id).await?;
    let doer = signed.doer(typed.text("reason"))?;
    let export = signed
        .ask(move |settings, options| {
            let mut custody = custody::open_beside(options)?;
            let zone = settings.time_zone.clone();
            rights::gather(settings, options, Some(custody.as_mut()), &request.person, Timestamp::now(), &zone, &doer)
        })
        .await?;
    let (ending, kind, octets) = match typed.text("form") {
        "json" => ("json", "application/json", export.json),
        _ => ("html", "text/html; charset=utf-8", export.page.into_bytes()),
    };
    let name = HeaderValue::from_str(&format!("attachment; filename=\"request-{id}-export.{ending}\"")).map_err(|_| Trouble::Broken)?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CONTENT_DISPOSITION, name)], octets).into_response())
}

/// A request that is a person's, and no breach.
pub(super) async fn of_person(signed: &Signed, id: i64) -> Result<Request, Trouble> {
    let request = of(signed, id).await?;
    if request.kind == Kind::Breach { Err(Trouble::Nowhere) } else { Ok(request) }
}

pub(super) async fn rectify(signed: Signed, Path(id): Path<i64>, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::Rights])?;
    signed.sent(sent.text("token"))?;
    let mut typed = Typed::new("rectify", sent);
    typed.needs("reference", "Enter the reference of the message");
    typed.needs("note", "Say what is wrong");
    if !typed.is_whole() {
        return page(&signed, id, typed, None).await;
    }
    let request = of_person(&signed, id).await?;
    let (reference, note) = (typed.text("reference").to_string(), typed.text("note").to_string());
    let doer = signed.doer(&note)?;
    match signed.ask(move |_, options| rights::rectify(options, &request.person, &reference, &note, Timestamp::now(), &doer)).await {
        Ok(_) => Ok(Redirect::to(&format!("/rights/{id}?done=rectified")).into_response()),
        Err(trouble) => {
            let typed = typed.refused(trouble, |fault| matches!(fault, Fault::NoRow(_)).then_some("reference"))?;
            page(&signed, id, typed, None).await
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::records::rights::Pause;

    #[test]
    fn the_clock_says_how_long_there_is() {
        let request = |received| Request {
            id: 1,
            kind: Kind::Access,
            person: "a@x.uk".into(),
            received,
            known: None,
            pauses: vec![],
            extended: None,
            closed: None,
        };
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let says = |request: &Request| {
            let (tag, colour, _) = clock(request, now, &TimeZone::UTC);
            (tag, colour)
        };
        for (received, tag, colour) in [
            (date(2026, 11, 26), "33 days left", "green"), // 26 December is a Saturday, and what follows are holidays
            (date(2026, 11, 3), "7 days left", "orange"),
            (date(2026, 10, 27), "1 day left", "orange"),
            (date(2026, 10, 26), "Due today", "red"),
            (date(2026, 10, 1), "Overdue", "red"),
        ] {
            assert_eq!(says(&request(received)), (tag.to_string(), colour), "{received}");
        }
        let mut waits = request(date(2026, 10, 1));
        waits.pauses.push(Pause { from: date(2026, 10, 2), until: None, reason: "who?".into() });
        assert_eq!(says(&waits), ("Paused".into(), "grey"));
        let known = Some("2026-11-26T00:00:00Z".parse().unwrap());
        assert_eq!(says(&Request { kind: Kind::Breach, known, ..request(date(2026, 11, 26)) }), ("60 hours".into(), "orange"));
    }
}
