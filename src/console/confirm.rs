//! The page behind the link in a notice: its sender chooses what becomes of a held message. Programs follow links before people do, so
//! that following it changes nothing. Whoever has the link has the mailbox that it was sent to.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::Form;
use axum::extract::{Extension, Path, State};

use super::Desk;
use super::frame::{Answer, Frame, Message, Trouble, bare, show};
use super::server::From;
use super::sign_in::too_often;
use crate::outbox::held::answer_token;
use crate::outbox::{Answered, Came, Question};
use crate::policy::answer::Choice;

#[derive(Template)]
#[template(path = "confirm.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    key: String,
    subject: String,
    reference: String,
    recipients: usize,
    why: Vec<String>,
    until: String,
    then: &'static str,
    choices: Vec<(u8, &'static str)>,
    fault: Option<(&'static str, &'static str)>,
}

#[derive(serde::Deserialize)]
pub(super) struct Chosen {
    #[serde(default)]
    choice: String,
    #[serde(default)]
    reason: String,
}

pub(super) async fn page(State(desk): State<Arc<Desk>>, Extension(From(from)): Extension<From>, Path(key): Path<String>) -> Answer {
    match found(&desk, from, &key).await? {
        Found::Asked(asked) => form(&desk, key, &asked, None),
        Found::Over => over(&desk),
        Found::TooOften => too_often(&desk.settings()),
    }
}

/// What stands behind a link.
enum Found {
    Asked(Box<Question>),
    Over,
    TooOften,
}

async fn found(desk: &Desk, from: std::net::SocketAddr, key: &str) -> Result<Found, Trouble> {
    // A key cannot be guessed; who tries is slowed down all the same.
    if !desk.links.may_try(from.ip(), Instant::now()) {
        return Ok(Found::TooOften);
    }
    let Some(outbox) = desk.around.outbox.clone().filter(|_| key.len() <= 64) else { return Ok(Found::Over) };
    let Some(mut asked) = outbox.question(answer_token(key)).await? else { return Ok(Found::Over) };
    // Whoever is suspended sends nothing by this way either; what they wrote they may still take back.
    if desk.settings().at_desk.is_suspended(&asked.sender, jiff::Timestamp::now) {
        asked.offered.retain(|choice| *choice == Choice::Cancel);
    }
    Ok(Found::Asked(Box::new(asked)))
}

fn over(desk: &Desk) -> Answer {
    let text =
        "It was decided, or its time is over, or the link is not whole. The notice that you got last says what became of your message.";
    Message::show(bare(&desk.settings()), "That message waits no longer", text, ("/", "Go to the first page"))
}

/// A choice, as a sender reads it.
pub(super) fn words(choice: Choice) -> &'static str {
    match choice {
        Choice::Hidden => "Send it, with the outside addresses hidden from one another",
        Choice::Separately => "Send it, one copy to each outside address",
        Choice::AsItIs => "Send it as it is",
        Choice::Cancel => "Do not send it",
    }
}

fn form(desk: &Desk, key: String, asked: &Question, fault: Option<(&'static str, &'static str)>) -> Answer {
    let settings = desk.settings();
    let choices = asked.offered.iter().copied().map(|choice| (choice as u8, words(choice))).collect();
    show(&Page {
        frame: bare(&settings),
        key,
        subject: asked.subject.clone(),
        reference: asked.reference.clone(),
        recipients: asked.recipients,
        why: asked.why.clone(),
        until: asked.until.to_zoned(settings.time_zone.clone()).strftime("%A %-d %B, %H:%M").to_string(),
        then: if asked.release_at_end { "it is sent" } else { "it comes back to you" },
        choices,
        fault,
    })
}

pub(super) async fn choose(
    State(desk): State<Arc<Desk>>,
    Extension(From(from)): Extension<From>,
    Path(key): Path<String>,
    Form(chosen): Form<Chosen>,
) -> Answer {
    let asked = match found(&desk, from, &key).await? {
        Found::Asked(asked) => asked,
        Found::Over => return over(&desk),
        Found::TooOften => return too_often(&desk.settings()),
    };
    let Some(choice) = asked.offered.iter().find(|c| (**c as u8).to_string() == chosen.choice) else {
        return form(&desk, key, &asked, Some(("choice-1", "Choose what should happen to your message")));
    };
    let reason: String = chosen.reason.split_whitespace().collect::<Vec<_>>().join(" ");
    if *choice == Choice::AsItIs && reason.is_empty() {
        return form(&desk, key, &asked, Some(("reason", "Say why it is to be sent as it is")));
    }
    let Some(outbox) = desk.around.outbox.clone() else { return over(&desk) };
    let answered = Answered { token: answer_token(&key), by: asked.sender.clone(), chosen: Some((*choice, reason)), text: String::new() };
    let (came, _) = outbox.answer(answered).await?;
    let (title, text) = match came {
        Came::Leaves => ("It leaves now", "A message to you says the same."),
        Came::WaitsForOthers => ("Your answer is taken", "It leaves as soon as the others who hold it agree."),
        Came::Cancelled => ("It was cancelled", "Nobody received it."),
        _ => return over(&desk),
    };
    Message::show(bare(&desk.settings()), title, text, ("/", "Go to the first page"))
}
