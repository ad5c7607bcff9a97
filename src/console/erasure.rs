//! Erasure: first what would go and what would stay, then a box to tick, then the signed receipt.

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;

use super::fields::{Field, Sent, Summary, Typed};
use super::frame::{Answer, Frame, Signed, show};
use super::rights::{of_person, page};
use crate::office::rights::{self, Erasure};
use crate::office::roles::Right;
use crate::records::custody;

#[derive(Template)]
#[template(path = "erasure.html", config = "src/console/askama.toml")]
struct Preview {
    frame: Frame,
    summary: Summary,
    id: i64,
    person: String,
    reason: String,
    would: Erasure,
    sure: Field,
    may_hold: bool,
}

pub(super) async fn preview(signed: Signed, Path(id): Path<i64>, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::Rights])?;
    signed.sent(sent.text("token"))?;
    let mut typed = Typed::new("erasure", sent);
    typed.needs("reason", "Say why it is to be erased");
    if !typed.is_whole() {
        return page(&signed, id, typed, None).await;
    }
    let reason = typed.text("reason").to_string();
    previewed(&signed, id, &reason, Typed::default()).await
}

async fn previewed(signed: &Signed, id: i64, reason: &str, typed: Typed) -> Answer {
    let request = of_person(signed, id).await?;
    let doer = signed.doer(reason)?;
    let person = request.person.clone();
    let would = signed
        .ask(move |settings, options| {
            let mut custody = custody::open_beside(options)?;
            rights::would_erase(settings, options, Some(custody.as_mut()), &person, Timestamp::now(), &doer)
        })
        .await?;
    let words = format!("This is the right person, and it is to go: {}", request.person);
    show(&Preview {
        frame: signed.frame("/rights"),
        summary: typed.summary(),
        id,
        person: request.person,
        reason: reason.into(),
        would,
        sure: typed.field("erase", "sure", "").tick(&words),
        may_hold: signed.may(Right::Holds),
    })
}

pub(super) async fn erase(signed: Signed, Path(id): Path<i64>, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::Rights])?;
    signed.sent(sent.text("token"))?;
    let reason = sent.text("reason").to_string();
    if sent.text("sure") != "yes" {
        let typed = Typed::new("erase", sent).wrong("sure", "Tick the box to say that this is the right person");
        return previewed(&signed, id, &reason, typed).await;
    }
    let request = of_person(&signed, id).await?;
    let doer = signed.doer(&reason)?;
    let done = signed
        .ask(move |settings, options| {
            let mut custody = custody::open_beside(options)?;
            rights::erase(settings, options, Some(custody.as_mut()), &request.person, Timestamp::now(), &doer)
        })
        .await?;
    let receipt = done.receipt.unwrap_or_default();
    Ok(Redirect::to(&format!("/receipts/{receipt}?request={id}")).into_response())
}
