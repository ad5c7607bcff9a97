//! Accounts that may not send and cannot sign in.

use axum::Form;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;

use super::{Card, Done, Page, WHY, Words, at, at_entry, change, day, ending, entry, last_day, look, needs_address};
use crate::config::overlay::people::Suspension;
use crate::console::fields::{Sent, Typed};
use crate::console::frame::{Answer, Signed, show};
use crate::office::people;
use crate::office::roles::Right;

pub(in crate::console) async fn page(signed: Signed, Query(done): Query<Done>) -> Answer {
    let done = match done.done.as_str() {
        "suspended" => Some("The account is suspended. Its mail is refused from now on."),
        "lifted" => Some("The suspension is lifted. The account may send and sign in again."),
        _ => None,
    };
    whole(&signed, Typed::default(), done).await
}

async fn whole(signed: &Signed, typed: Typed, done: Option<&'static str>) -> Answer {
    look(signed, "whose account is suspended").await?;
    let (settings, now) = (&signed.settings, Timestamp::now());
    let card = |(n, of): (usize, &Suspension)| {
        let name = people::name_of(settings, &of.address);
        let mut facts = vec![
            ("Why", of.reason.clone()),
            ("Since", format!("{}, by {}", day(signed, of.since), people::name_of(settings, &of.by))),
            ("Last day", of.until.map_or("None: until somebody lifts it".into(), |until| last_day(signed, until))),
        ];
        if name != of.address {
            facts.insert(0, ("Address", of.address.clone()));
        }
        let why = typed.field(&entry(n), "reason", "Why it is lifted");
        Card { heading: name, tag: None, facts, hidden: vec![("who", of.address.clone())], why, form: entry(n) }
    };
    let cards: Vec<Card> = (1..).zip(settings.at_desk.suspended.iter().filter(|s| !s.is_over(now))).map(card).collect();
    let field = |name, label: &str| typed.field("suspend", name, label);
    show(&Page {
        frame: signed.frame("/people"),
        summary: typed.summary(),
        done,
        title: "Suspended accounts",
        intro: "Mail of a suspended account is refused, and it cannot sign in here. Mail to it is not touched, and what is held of it stays held.",
        notes: if cards.is_empty() { vec!["No account is suspended.".into()] } else { Vec::new() },
        cards,
        words: Words {
            open: "Lift it",
            end: "Lift the suspension",
            act: "/people/suspended/lift",
            new: "Suspend an account",
            button: "Suspend the account",
            to: "/people/suspended",
            is_grave: true,
        },
        why_not: None,
        fields: vec![
            field("who", "Whose account").hint("A council address. Whoever has more of them is suspended with all.").address(),
            field("reason", "Why").hint(WHY),
            field("last", "Last day, if there is one")
                .day("Such as 10 12 2026: the account may send again on the day after. Left empty, until somebody lifts it."),
        ],
    })
}

pub(in crate::console) async fn suspend(signed: Signed, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::People])?;
    signed.sent(sent.text("token"))?;
    let mut typed = Typed::new("suspend", sent);
    needs_address(&mut typed, "who", "Enter a whole address, such as jo.elm@council.gov.uk");
    typed.needs("reason", "Say why, in a few words");
    let last = typed.day_if("last");
    if !typed.is_whole() {
        return whole(&signed, typed, None).await;
    }
    let (doer, who) = (signed.doer(typed.text("reason"))?, typed.text("who").to_string());
    let done =
        change(&signed, move |settings, options, reload| people::suspend(settings, options, &who, last, Timestamp::now(), &doer, reload));
    match done.await {
        Ok(theirs) => {
            signed.desk.sessions.end_all(&theirs);
            Ok(Redirect::to("/people/suspended?done=suspended").into_response())
        }
        Err(trouble) => whole(&signed, typed.refused(trouble, at)?, None).await,
    }
}

pub(in crate::console) async fn lift(signed: Signed, Form(sent): Form<Sent>) -> Answer {
    let (typed, doer) = ending(&signed, sent)?;
    let who = typed.text("who").to_string();
    let done = change(&signed, move |settings, options, reload| people::lift(settings, options, &who, Timestamp::now(), &doer, reload));
    match done.await {
        Ok(()) => Ok(Redirect::to("/people/suspended?done=lifted").into_response()),
        Err(trouble) => whole(&signed, typed.refused(trouble, at_entry)?, None).await,
    }
}
