//! Holds of records by case number. Where the council wants two people, one asks, another agrees on the page of the access log, and the one
//! who asked does it, once.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::fields::{Field, Sent, Summary, Typed};
use super::frame::{Answer, Frame, Signed, Trouble, show};
use crate::config::settings::TwoPeople;
use crate::office::roles::Right;
use crate::office::{Fault, counted, holds, requests};
use crate::records::access::requests::{State, all};
use crate::records::custody;
use crate::records::holds::{Hold, Keeps, Scope};

/// A hold in a few words.
pub(super) struct Line {
    pub id: i64,
    pub case: String,
    pub scope: String,
    pub keeps: String,
    pub until: String,
    pub soon: bool,
}

pub(super) fn line(hold: &Hold, keeps: &Keeps, zone: &TimeZone) -> Line {
    let scope = hold.scope.words();
    let mut letters = scope.chars();
    let scope = letters.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default() + letters.as_str();
    let messages =
        if keeps.messages > 0 { format!(", and {} with content", counted(keeps.messages, "held message")) } else { String::new() };
    Line {
        id: hold.id,
        case: hold.case.clone(),
        scope,
        keeps: format!("{}, {} of them beyond their time{messages}", counted(keeps.rows, "row"), keeps.held_back),
        until: day(hold.expires, zone),
        soon: hold.expires.duration_since(Timestamp::now()) < SignedDuration::from_hours(14 * 24),
    }
}

/// The last day of something that ends with a day.
fn day(end: Timestamp, zone: &TimeZone) -> String {
    (end - SignedDuration::from_secs(1)).to_zoned(zone.clone()).strftime("%A %-d %B %Y").to_string()
}

/// Requests of this person's for holds that a second person may agree to, or has.
struct Asked {
    id: i64,
    case: String,
    why: String,
    /// It can be used.
    agreed: bool,
}

async fn asked(signed: &Signed) -> Result<Vec<Asked>, Trouble> {
    let person = signed.insider.name.clone();
    signed
        .ask(move |_, options| {
            let now = Timestamp::now();
            let ours = all(options)?.into_iter().rev().filter(|r| {
                r.act == TwoPeople::Holds.word()
                    && r.asker.person == person
                    && !r.is_over(now)
                    && matches!(r.state, State::Asked | State::Unconfirmed | State::Approved(_))
            });
            Ok(ours.map(|r| Asked { id: r.id, agreed: matches!(r.state, State::Approved(_)), case: r.subject, why: r.why }).collect())
        })
        .await
}

fn takes_two(signed: &Signed) -> bool {
    signed.settings.access.two_people.contains(&TwoPeople::Holds)
}

#[derive(Template)]
#[template(path = "holds-new.html", config = "src/console/askama.toml")]
struct New {
    frame: Frame,
    summary: Summary,
    /// It takes a second person, who has not agreed yet.
    asks: bool,
    asked: Vec<Asked>,
    /// The request that was agreed to, and its case.
    agreed: Option<(i64, String)>,
    ask: Vec<Field>,
    place: Vec<Field>,
}

#[derive(serde::Deserialize)]
pub(super) struct With {
    #[serde(default)]
    request: Option<i64>,
}

pub(super) async fn new(signed: Signed, Query(with): Query<With>) -> Answer {
    signed.must(&[Right::Holds])?;
    form(&signed, with.request, Typed::default()).await
}

async fn form(signed: &Signed, request: Option<i64>, typed: Typed) -> Answer {
    let two = takes_two(signed);
    let asked = if two { asked(signed).await? } else { Vec::new() };
    let agreed = asked.iter().find(|a| a.agreed && Some(a.id) == request);
    let why = agreed.map(|a| a.why.clone()).unwrap_or_default();
    let agreed = agreed.map(|a| (a.id, a.case.clone()));
    let field = |name, label: &str| typed.field("place", name, label);
    let mut place = Vec::new();
    if agreed.is_none() {
        place.push(field("case", "Case number").hint("It stands in receipts, so no name belongs in it").short());
    }
    place.extend([
        field("reason", "Why").hint("It is kept with the hold").value(&why),
        field("person", "Mail from or to").hint("A whole address. Of what follows fill in what you know: all of it must fit").address(),
        field("reference", "One message, by its reference").hint("From a notice or a refusal, such as LG-7F3K").short(),
        field("message-id", "One message, by its Message-ID"),
        field("since", "From this day on").day("For example, 27 3 2026"),
        field("until", "Up to this day").day("Without it also what is still to come"),
        field("expires", "The last day of the hold").day("It ends by itself. You hear of it two weeks before"),
    ]);
    show(&New {
        frame: signed.frame("/retention"),
        summary: typed.summary(),
        asks: two && agreed.is_none(),
        asked,
        agreed,
        ask: vec![
            typed.field("ask", "case", "Case number").hint("It stands in receipts, so no name belongs in it").short(),
            typed.field("ask", "reason", "Why"),
        ],
        place,
    })
}

/// Asks a second person to agree to what is done about a case.
pub(super) async fn ask(signed: Signed, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::Holds])?;
    signed.sent(sent.text("token"))?;
    let mut typed = Typed::new("ask", sent);
    typed.needs("case", "Enter the case number");
    typed.needs("reason", "Say why, in a few words");
    let hold = typed.text("hold").parse::<i64>().ok();
    if typed.is_whole() {
        let doer = signed.doer(typed.text("reason"))?;
        let case = typed.text("case").to_string();
        let done =
            signed.ask(move |settings, options| requests::ask(settings, options, TwoPeople::Holds, &case, Timestamp::now(), &doer)).await;
        match done {
            Ok(_) => return Ok(Redirect::to(&hold.map_or("/retention/holds/new".into(), place_of)).into_response()),
            Err(trouble) => {
                typed = typed.refused(trouble, |fault| match fault {
                    Fault::Case(_) => Some("case"),
                    Fault::NobodyElse(_) | Fault::TooManyOpen(_) | Fault::NoPost | Fault::NoOutbox => Some("reason"),
                    _ => None,
                })?;
            }
        }
    }
    match hold {
        Some(id) => shown(&signed, id, typed, None).await,
        None => form(&signed, None, typed).await,
    }
}

fn place_of(id: i64) -> String {
    format!("/retention/holds/{id}")
}

/// The moment at which a day begins, in the council's time.
fn begins(day: Date, signed: &Signed) -> Timestamp {
    day.to_zoned(signed.settings.time_zone.clone()).map_or(Timestamp::MAX, |z| z.timestamp())
}

/// The moment at which it is over.
fn ends(day: Date, signed: &Signed) -> Timestamp {
    day.tomorrow().map_or(Timestamp::MAX, |next| begins(next, signed))
}

/// A field of a form for what the office has against a hold.
fn at(fault: &Fault) -> Option<&'static str> {
    match fault {
        Fault::Case(_) => Some("case"),
        Fault::Everything | Fault::Address(_) => Some("person"),
        Fault::Over => Some("expires"),
        Fault::TakesTwo(_) | Fault::TwoPeople(..) | Fault::NoTwoPeople(_) => Some("reason"),
        _ => None,
    }
}

pub(super) async fn place(signed: Signed, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::Holds])?;
    signed.sent(sent.text("token"))?;
    let mut typed = Typed::new("place", sent);
    let request = typed.text("request").parse::<i64>().ok();
    let case = match request {
        Some(id) => asked(&signed).await?.into_iter().find(|a| a.id == id).map(|a| a.case).unwrap_or_default(),
        None => {
            typed.needs("case", "Enter the case number");
            typed.text("case").to_string()
        }
    };
    typed.needs("reason", "Say why, in a few words");
    let expires = typed.day("expires", "Enter the last day of the hold");
    let (since, until) = (maybe(&mut typed, "since"), maybe(&mut typed, "until"));
    let (Some(expires), true) = (expires, typed.is_whole()) else { return form(&signed, request, typed).await };
    let text = |name| Some(typed.text(name).to_string()).filter(|text| !text.is_empty());
    let scope = Scope {
        person: text("person"),
        message_id: text("message-id"),
        reference: text("reference"),
        since: since.map(|day| begins(day, &signed)),
        until: until.map(|day| ends(day, &signed)),
    };
    let wanted = holds::Wanted { case, scope, expires: ends(expires, &signed) };
    let doer = signed.doer(typed.text("reason"))?.with_request(request);
    let done = signed
        .ask(move |_, options| {
            let mut custody = custody::open_beside(options)?;
            holds::place(options, Some(custody.as_mut()), wanted, Timestamp::now(), &doer)
        })
        .await;
    match done {
        Ok((hold, _)) => Ok(Redirect::to(&format!("{}?done=placed", place_of(hold.id))).into_response()),
        Err(trouble) => {
            let typed = typed.refused(trouble, at)?;
            form(&signed, request, typed).await
        }
    }
}

fn maybe(typed: &mut Typed, name: &'static str) -> Option<Date> {
    if typed.text(name).is_empty() { None } else { typed.day(name, "") }
}

#[derive(Template)]
#[template(path = "hold.html", config = "src/console/askama.toml")]
struct One {
    frame: Frame,
    summary: Summary,
    done: Option<&'static str>,
    hold: Line,
    reason: String,
    placed: String,
    by: String,
    asks: bool,
    /// Asked for and not agreed to yet.
    waits: Option<i64>,
    request: Option<i64>,
    ask: Field,
    prolong: Vec<Field>,
    lift: Vec<Field>,
}

#[derive(serde::Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    done: String,
}

pub(super) async fn one(signed: Signed, Path(id): Path<i64>, Query(done): Query<Done>) -> Answer {
    signed.must(&[Right::Holds])?;
    let done = match done.done.as_str() {
        "placed" => Some("The hold is placed. What it covers is kept from this moment."),
        "prolonged" => Some("The hold ends later."),
        _ => None,
    };
    shown(&signed, id, Typed::default(), done).await
}

async fn shown(signed: &Signed, id: i64, typed: Typed, done: Option<&'static str>) -> Answer {
    let doer = signed.doer("to see what it keeps")?;
    let found = signed.ask(move |_, options| holds::list(options, Timestamp::now(), &doer)).await?;
    let (hold, keeps) = found.into_iter().find(|(hold, _)| hold.id == id).ok_or(Trouble::Nowhere)?;
    let two = takes_two(signed);
    let asked = if two { asked(signed).await? } else { Vec::new() };
    let of_case = |agreed: bool| asked.iter().find(|a| a.case == hold.case && a.agreed == agreed).map(|a| a.id);
    let request = of_case(true);
    let zone = &signed.settings.time_zone;
    show(&One {
        frame: signed.frame("/retention"),
        summary: typed.summary(),
        done,
        reason: hold.reason.clone(),
        placed: hold.placed.to_zoned(zone.clone()).strftime("%A %-d %B %Y").to_string(),
        by: hold.by.join(" and "),
        asks: two && request.is_none(),
        waits: of_case(false).filter(|_| two),
        request,
        ask: typed.field("ask", "reason", "Why it is to be prolonged or lifted"),
        prolong: vec![
            typed.field("prolong", "expires", "The last day of the hold").day("For example, 27 3 2027"),
            typed.field("prolong", "reason", "Why it is needed for longer"),
        ],
        lift: vec![
            typed.field("lift", "reason", "Why it is needed no longer"),
            typed.field("lift", "sure", "").tick("What only this case keeps is to go for good"),
        ],
        hold: line(&hold, &keeps, zone),
    })
}

pub(super) async fn prolong(signed: Signed, Path(id): Path<i64>, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::Holds])?;
    signed.sent(sent.text("token"))?;
    let mut typed = Typed::new("prolong", sent);
    let expires = typed.day("expires", "Enter the last day of the hold");
    typed.needs("reason", "Say why, in a few words");
    let (Some(expires), true) = (expires, typed.is_whole()) else { return shown(&signed, id, typed, None).await };
    let expires = ends(expires, &signed);
    let doer = signed.doer(typed.text("reason"))?.with_request(typed.text("request").parse().ok());
    let done = signed
        .ask(move |_, options| {
            let case = holds::case_of(options, id)?;
            holds::prolong(options, &case, expires, Timestamp::now(), &doer)
        })
        .await;
    match done {
        Ok(_) => Ok(Redirect::to(&format!("{}?done=prolonged", place_of(id))).into_response()),
        Err(trouble) => {
            let typed = typed.refused(trouble, at)?;
            shown(&signed, id, typed, None).await
        }
    }
}

pub(super) async fn lift(signed: Signed, Path(id): Path<i64>, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::Holds])?;
    signed.sent(sent.text("token"))?;
    let mut typed = Typed::new("lift", sent);
    typed.needs("reason", "Say why, in a few words");
    typed.needs("sure", "Tick the box to say that it may go for good");
    if !typed.is_whole() {
        return shown(&signed, id, typed, None).await;
    }
    let doer = signed.doer(typed.text("reason"))?.with_request(typed.text("request").parse().ok());
    let done = signed
        .ask(move |_, options| {
            let case = holds::case_of(options, id)?;
            holds::lift(options, &case, &doer)
        })
        .await;
    match done {
        Ok(_) => Ok(Redirect::to("/retention#holds").into_response()),
        Err(trouble) => {
            let typed = typed.refused(trouble, at)?;
            shown(&signed, id, typed, None).await
        }
    }
}
