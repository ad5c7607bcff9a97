//! Accounts of people's own, registered as hashes: how many and since when is all that can be shown, not even where they are.

use axum::Form;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;

use super::{Card, Done, Page, WHY, Words, at, at_entry, change, day, ending, entry, look, needs_address, offered};
use crate::config::overlay::people::Account;
use crate::console::fields::{Sent, Typed};
use crate::console::frame::{Answer, Signed, show};
use crate::office::people;
use crate::office::roles::Right;

pub(in crate::console) async fn page(signed: Signed, Query(done): Query<Done>) -> Answer {
    let done = match done.done.as_str() {
        "registered" => Some("The account is registered. The rules know it from now on; nobody can read here which it is."),
        "removed" => Some("The account is registered no more."),
        _ => None,
    };
    whole(&signed, Typed::default(), done).await
}

async fn whole(signed: &Signed, typed: Typed, done: Option<&'static str>) -> Answer {
    look(signed, "who has accounts of their own").await?;
    let settings = &signed.settings;
    let mark = people::key_mark(settings);
    let at_desk = &settings.at_desk.accounts;
    let card = |(n, account): (usize, &Account)| {
        let by = people::name_of(settings, &account.by);
        // Made under another key of the site it fits nobody any more.
        let is_stale = mark.as_deref() != Some(account.key.as_str());
        let mut facts = vec![("Registered", format!("{}, by {by}", day(signed, account.since)))];
        if is_stale {
            facts.push(("Not known", "The site\u{2019}s key was changed since. Remove it, and register it again.".into()));
        }
        Card {
            heading: format!("{}: one account", people::name_of(settings, &account.of)),
            tag: is_stale.then_some("Register it again"),
            facts,
            hidden: vec![("who", account.of.clone()), ("account", account.account.clone())],
            why: typed.field(&entry(n), "reason", "Why it goes"),
            form: entry(n),
        }
    };
    let cards: Vec<Card> = (1..).zip(at_desk).map(card).collect();
    let elsewhere = settings.people.councillors.iter().chain(&settings.people.staff).filter_map(|p| {
        let n = p.own_accounts.len().saturating_sub(at_desk.iter().filter(|a| a.of == p.address).count());
        let name = people::name_of(settings, &p.address);
        (n > 0).then(|| format!("{name}: {n} in the site file, which whoever runs the gateway changes."))
    });
    let mut notes: Vec<String> = elsewhere.collect();
    if notes.is_empty() && cards.is_empty() {
        notes.push("None is registered.".into());
    }
    let field = |name, label: &str| typed.field("register", name, label);
    show(&Page {
        frame: signed.frame("/people"),
        summary: typed.summary(),
        done,
        title: "Accounts of their own",
        intro: "Council mail that somebody forwards to their own account, and strangers who write in a councillor\u{2019}s name, are told \
                apart by these. Only a code of each is kept: nobody can read here which account it is, nor where.",
        notes,
        cards,
        words: Words {
            open: "Remove it",
            end: "Remove the account",
            act: "/people/accounts/remove",
            new: "Register an account",
            button: "Register the account",
            to: "/people/accounts",
            is_grave: false,
        },
        why_not: None,
        fields: vec![
            field("who", "Whose account it is").select(offered(signed, "")),
            field("account", "The account").hint("A whole address outside the council. It is forgotten when its code is made.").address(),
            field("reason", "Why").hint(WHY),
        ],
    })
}

pub(in crate::console) async fn register(signed: Signed, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::People])?;
    signed.sent(sent.text("token"))?;
    let mut typed = Typed::new("register", sent);
    typed.needs("who", "Choose whose account it is");
    needs_address(&mut typed, "account", "Enter a whole address, such as ann.elm@btinternet.com");
    typed.needs("reason", "Say why, in a few words");
    if !typed.is_whole() {
        return whole(&signed, typed, None).await;
    }
    let doer = signed.doer(typed.text("reason"))?;
    let (who, account) = (typed.text("who").to_string(), typed.text("account").to_string());
    let done = change(&signed, move |settings, options, reload| {
        people::register(settings, options, &who, &account, Timestamp::now(), &doer, reload)
    });
    match done.await {
        Ok(()) => Ok(Redirect::to("/people/accounts?done=registered").into_response()),
        Err(trouble) => whole(&signed, typed.refused(trouble, at)?, None).await,
    }
}

pub(in crate::console) async fn remove(signed: Signed, Form(sent): Form<Sent>) -> Answer {
    let (typed, doer) = ending(&signed, sent)?;
    let (who, hash) = (typed.text("who").to_string(), typed.text("account").to_string());
    let done = change(&signed, move |settings, options, reload| {
        people::unregister(settings, options, &who, &hash, Timestamp::now(), &doer, reload)
    });
    match done.await {
        Ok(()) => Ok(Redirect::to("/people/accounts?done=removed").into_response()),
        Err(trouble) => whole(&signed, typed.refused(trouble, at_entry)?, None).await,
    }
}
