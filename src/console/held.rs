//! Held mail: what waits, what each is without reading it, letting it go, sending it back, and reading it where two people say so.

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;

use super::frame::{Answer, Frame, Signed, Trouble, show};
use crate::config::settings::{Duty, TwoPeople};
use crate::office::held::{Held, Means, Preview, escaped};
use crate::office::roles::Right;
use crate::office::{self, Fault, requests};
use crate::outbox::held::Released;
use crate::policy::Person;
use crate::records::access::requests::State;

#[derive(Template)]
#[template(path = "held.html", config = "src/console/askama.toml")]
struct List {
    frame: Frame,
    waiting: Vec<Line>,
    done: Option<String>,
}

struct Line {
    id: String,
    sender: String,
    why: String,
    waits_for: String,
    until: String,
    then: &'static str,
    asked: bool,
}

#[derive(Template)]
#[template(path = "held-one.html", config = "src/console/askama.toml")]
struct One {
    frame: Frame,
    held: Line,
    preview: Preview,
    questions: Vec<(String, String, String)>,
    came: String,
    may_release: bool,
    may_read: bool,
    /// A request of this person's to read it, and where it stands.
    request: Option<(i64, String)>,
    /// It may be read now, with this request where one is needed.
    ready: Option<String>,
    content: Option<String>,
    fault: Option<Wrong>,
}

/// What was wrong, with which of the page's reasons.
struct Wrong {
    field: &'static str,
    text: String,
    typed: String,
}

impl One {
    fn wrong(&self, field: &str) -> Option<&Wrong> {
        self.fault.as_ref().filter(|wrong| wrong.field == field)
    }

    fn is_wrong(&self, field: &str) -> bool {
        self.wrong(field).is_some()
    }

    fn typed(&self, field: &str) -> &str {
        self.wrong(field).map_or("", |wrong| &wrong.typed)
    }
}

#[derive(serde::Deserialize)]
pub(super) struct Decision {
    #[serde(default)]
    token: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    request: String,
    #[serde(default)]
    question: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    done: String,
    #[serde(default)]
    what: String,
}

pub(super) async fn list(signed: Signed, axum::extract::Query(done): axum::extract::Query<Done>) -> Answer {
    let doer = signed.doer("what waits for a decision")?;
    let all = signed.ask(move |_, options| office::held::list(options, &doer)).await?;
    let waiting = all.iter().map(|held| line(&signed, held)).collect();
    let done = match done.what.as_str() {
        "released" => Some(format!("{} leaves now.", word(&done.done))),
        "noted" => Some(format!("Noted. Somebody else must let {} go as well.", word(&done.done))),
        "asked" => Some(format!("The sender of {} was asked. Their answer comes to you by mail; the message waits.", word(&done.done))),
        "refused" => Some(format!("{} goes back to its sender, with your reason.", word(&done.done))),
        _ => None,
    };
    show(&List { frame: signed.frame("/held"), waiting, done })
}

/// A reference out of a URL: nothing else is shown from there.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(20).collect()
}

fn line(signed: &Signed, held: &Held) -> Line {
    let until = held.expires.to_zoned(signed.settings.time_zone.clone());
    let titles: Vec<String> = held
        .rules
        .iter()
        .map(|id| signed.settings.policy.rules().iter().find(|r| *r.id == **id).map_or_else(|| id.clone(), |r| r.title.to_string()))
        .collect();
    Line {
        id: held.id.clone(),
        sender: held.sender.clone(),
        why: titles.join("; "),
        waits_for: held.waits_for.join(" and "),
        until: until.strftime("%A %-d %B, %H:%M").to_string(),
        then: if held.then == "released" { "sent" } else { "returned to its sender" },
        asked: held.asked,
    }
}

pub(super) async fn one(signed: Signed, Path(id): Path<String>) -> Answer {
    page(&signed, id, None, None).await
}

async fn page(signed: &Signed, id: String, content: Option<String>, fault: Option<Wrong>) -> Answer {
    let doer = signed.doer("to decide about it")?;
    let reading = signed.may(Right::OpenContent);
    let person = signed.insider.name.clone();
    let (preview, own) = signed
        .ask(move |settings, options| {
            let preview = office::held::show(settings, options, &id, &doer)?;
            let all = if reading { crate::records::access::requests::all(options)? } else { Vec::new() };
            let now = Timestamp::now();
            let own = all.into_iter().rev().find(|r| {
                r.act == TwoPeople::Content.word() && r.subject == preview.held.id && r.asker.person == person && !r.is_over(now)
            });
            Ok((preview, own))
        })
        .await?;
    let takes_two = signed.settings.access.two_people.contains(&TwoPeople::Content);
    let approved = own.as_ref().filter(|r| matches!(r.state, State::Approved(_))).map(|r| r.id.to_string());
    let request = own.filter(|r| matches!(r.state, State::Asked | State::Unconfirmed)).map(|r| (r.id, r.state.word().to_string()));
    let ready = if takes_two { approved } else { Some(String::new()) };
    let when = |time: Timestamp| time.to_zoned(signed.settings.time_zone.clone()).strftime("%A %-d %B %Y, %H:%M").to_string();
    let came = when(preview.held.time);
    show(&One {
        frame: signed.frame("/held"),
        held: line(signed, &preview.held),
        questions: preview.held.questions.iter().map(|(at, by, text)| (when(*at), by.clone(), text.clone())).collect(),
        came,
        may_release: signed.may(Right::Release) && !roles(signed).is_empty(),
        may_read: reading,
        request,
        ready: ready.filter(|_| reading),
        preview,
        content,
        fault,
    })
}

/// On whose behalf somebody decides.
fn roles(signed: &Signed) -> Vec<Person> {
    let all = [(Duty::Clerk, Person::Clerk), (Duty::Chair, Person::Chair)];
    all.into_iter().filter(|(duty, _)| signed.insider.duties.contains(duty)).map(|(_, person)| person).collect()
}

pub(super) async fn release(signed: Signed, Path(id): Path<String>, Form(form): Form<Decision>) -> Answer {
    signed.sent(&form.token)?;
    let roles = roles(&signed);
    if roles.is_empty() {
        return Err(Trouble::Office(not_theirs(&signed)));
    }
    let doer = signed.doer(&form.reason)?;
    let by = Some(signed.session.person.clone());
    let wanted = id.clone();
    let done = signed.ask(move |settings, options| office::held::let_go(settings, options, &[wanted], &roles, by, &doer)).await;
    match done {
        Ok(done) => {
            let what = if done.iter().all(|(_, r)| *r == Released::Leaves) { "released" } else { "noted" };
            Ok(Redirect::to(&format!("/held?what={what}&done={}", word(&id))).into_response())
        }
        Err(trouble) => again(&signed, id, "release-reason", form.reason, trouble).await,
    }
}

pub(super) async fn refuse(signed: Signed, Path(id): Path<String>, Form(form): Form<Decision>) -> Answer {
    signed.sent(&form.token)?;
    let doer = signed.doer(&form.reason)?;
    let wanted = id.clone();
    match signed.ask(move |settings, options| office::held::send_back(settings, options, &[wanted], &doer)).await {
        Ok(_) => Ok(Redirect::to(&format!("/held?what=refused&done={}", word(&id))).into_response()),
        Err(trouble) => again(&signed, id, "refuse-reason", form.reason, trouble).await,
    }
}

/// Asks its sender about it. What is asked is the reason, too.
pub(super) async fn question(signed: Signed, Path(id): Path<String>, Form(form): Form<Decision>) -> Answer {
    signed.sent(&form.token)?;
    let doer = signed.doer(&form.question)?;
    let (wanted, text) = (id.clone(), form.question.clone());
    match signed.ask(move |settings, options| office::held::ask_sender(settings, options, &wanted, &text, &doer)).await {
        Ok(_) => Ok(Redirect::to(&format!("/held?what=asked&done={}", word(&id))).into_response()),
        Err(trouble) => again(&signed, id, "question", form.question, trouble).await,
    }
}

/// Asks a second person to agree that the message is read.
pub(super) async fn ask(signed: Signed, Path(id): Path<String>, Form(form): Form<Decision>) -> Answer {
    signed.sent(&form.token)?;
    let doer = signed.doer(&form.reason)?;
    let wanted = id.clone();
    let asked =
        signed.ask(move |settings, options| requests::ask(settings, options, TwoPeople::Content, &wanted, Timestamp::now(), &doer)).await;
    match asked {
        Ok(_) => Ok(Redirect::to(&format!("/held/{}", word(&id))).into_response()),
        Err(trouble) => again(&signed, id, "ask-reason", form.reason, trouble).await,
    }
}

/// Reads it: as text, whatever it is.
pub(super) async fn open(signed: Signed, Path(id): Path<String>, Form(form): Form<Decision>) -> Answer {
    signed.sent(&form.token)?;
    let doer = signed.doer(&form.reason)?.with_request(form.request.parse().ok());
    let wanted = id.clone();
    match signed.ask(move |settings, options| office::held::open(settings, options, &wanted, Means::Together, &doer)).await {
        Ok((_, content)) => page(&signed, id, Some(escaped(&content)), None).await,
        Err(trouble) => again(&signed, id, "open-reason", form.reason, trouble).await,
    }
}

/// The page once more, with what was wrong; what is no fault of a form is a page of its own.
async fn again(signed: &Signed, id: String, field: &'static str, typed: String, trouble: Trouble) -> Answer {
    match trouble {
        Trouble::Office(
            fault @ (Fault::Purpose | Fault::Question | Fault::NotYours(..) | Fault::TwoPeople(..) | Fault::NobodyElse(_) | Fault::NoPost),
        ) => page(signed, id, None, Some(Wrong { field, text: super::frame::plain(&fault), typed })).await,
        other => Err(other),
    }
}

fn not_theirs(signed: &Signed) -> Fault {
    Fault::NotAllowed { who: signed.session.person.clone(), right: Right::Release.words(), roles: "clerk, chair".into(), stated: true }
}
