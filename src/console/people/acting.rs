//! Who acts for whom, until a day.

use axum::Form;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;

use super::{Card, Done, Page, WHY, Words, acts, at, at_entry, change, day, ending, entry, last_day, look, offered};
use crate::config::overlay::people::{LONGEST, Lent};
use crate::config::settings::Duty;
use crate::console::fields::{Sent, Typed};
use crate::console::frame::{Answer, Signed, Trouble, show};
use crate::office::people;
use crate::office::roles::{self, Right};

pub(in crate::console) async fn page(signed: Signed, Query(done): Query<Done>) -> Answer {
    let done = match done.done.as_str() {
        "lent" => Some("From now on they have that role as well, until the end of that day."),
        "ended" => Some("They have that role no more."),
        _ => None,
    };
    whole(&signed, Typed::default(), done).await
}

fn role_of(word: &str) -> Option<Duty> {
    Duty::WORDS.iter().find(|(known, _)| *known == word).map(|(_, duty)| *duty)
}

async fn whole(signed: &Signed, typed: Typed, done: Option<&'static str>) -> Answer {
    look(signed, "who acts for whom").await?;
    let (settings, now) = (&signed.settings, Timestamp::now());
    let card = |(n, lent): (usize, &Lent)| Card {
        heading: format!("{} {} until {}", people::name_of(settings, &lent.to), acts(lent.role), last_day(signed, lent.until)),
        tag: None,
        facts: vec![
            ("Why", lent.reason.clone()),
            ("Since", format!("{}, by {}", day(signed, lent.since), people::name_of(settings, &lent.by))),
        ],
        hidden: vec![("who", lent.to.clone()), ("role", lent.role.word().into())],
        why: typed.field(&entry(n), "reason", "Why it ends"),
        form: entry(n),
    };
    let cards: Vec<Card> = (1..).zip(roles::lent(settings, now)).map(card).collect();
    let own = roles::bearer(settings, &signed.session.person).map(|b| b.duties).unwrap_or_default();
    let lendable: Vec<_> = own.into_iter().filter(|d| *d != Duty::Member).map(|d| (d.word().into(), acts(d).into())).collect();
    let is_deputy = roles::lent(settings, now).any(|lent| signed.insider.addresses.contains(&lent.to));
    let why_not = if is_deputy {
        "You act for somebody yourself: what is lent to you is not yours to lend."
    } else {
        "Your role comes from a group at the identity provider. Whoever is to act for you joins that group for the time."
    };
    let field = |name, label: &str| typed.field("lend", name, label);
    show(&Page {
        frame: signed.frame("/people"),
        summary: typed.summary(),
        done,
        title: "Acting for somebody",
        intro: "Somebody may have a role for a time, as a deputy during a holiday. It ends by itself. They stay one person: what takes two \
                still takes somebody else, who has the right from neither of them.",
        notes: if cards.is_empty() { vec!["Nobody acts for anybody.".into()] } else { Vec::new() },
        cards,
        words: Words {
            open: "Take it back",
            end: "End it",
            act: "/people/acting/end",
            new: "Let somebody act",
            button: "Let them act",
            to: "/people/acting",
            is_grave: false,
        },
        why_not: lendable.is_empty().then_some(why_not),
        fields: vec![
            field("who", "Who is to act").select(offered(signed, &signed.insider.name)),
            field("role", "In which role").hint("One that you have yourself").select(lendable),
            field("reason", "Why").hint(WHY),
            field("last", "Last day").day(&format!("At most {LONGEST} days from today, such as 10 12 2026")),
        ],
    })
}

pub(in crate::console) async fn lend(signed: Signed, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::People])?;
    signed.sent(sent.text("token"))?;
    let mut typed = Typed::new("lend", sent);
    typed.needs("who", "Choose who is to act");
    let role = role_of(typed.text("role"));
    if role.is_none() {
        typed.note("role", "Choose a role");
    }
    typed.needs("reason", "Say why, in a few words");
    let last = typed.day("last", "Enter the last day");
    let (Some(role), Some(last), true) = (role, last, typed.is_whole()) else { return whole(&signed, typed, None).await };
    let (doer, who) = (signed.doer(typed.text("reason"))?, typed.text("who").to_string());
    let done = change(&signed, move |settings, options, reload| {
        people::lend(settings, options, role, &who, last, Timestamp::now(), &doer, reload)
    });
    match done.await {
        Ok(()) => Ok(Redirect::to("/people/acting?done=lent").into_response()),
        Err(trouble) => whole(&signed, typed.refused(trouble, at)?, None).await,
    }
}

pub(in crate::console) async fn end(signed: Signed, Form(sent): Form<Sent>) -> Answer {
    let (typed, doer) = ending(&signed, sent)?;
    let role = role_of(typed.text("role")).ok_or(Trouble::Nowhere)?;
    let who = typed.text("who").to_string();
    let done =
        change(&signed, move |settings, options, reload| people::take_back(settings, options, role, &who, Timestamp::now(), &doer, reload));
    match done.await {
        // Whoever gave up the role by which they are here sees this page no more.
        Ok(()) if !super::still_may(&signed) => Ok(Redirect::to("/").into_response()),
        Ok(()) => Ok(Redirect::to("/people/acting?done=ended").into_response()),
        Err(trouble) => whole(&signed, typed.refused(trouble, at_entry)?, None).await,
    }
}
