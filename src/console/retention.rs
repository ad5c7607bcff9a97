//! What is kept and for how long, the receipts of purges, and the holds that keep something beyond its time.

use askama::Template;
use axum::Form;
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;

use super::fields::{Field, Sent, Summary, Typed};
use super::frame::{Answer, Frame, Signed, show};
use super::holds::{self, Line};
use crate::office::roles::Right;
use crate::office::{counted, holds as office_holds, retention};
use crate::records::Receipt;

/// Receipts that are shown.
const RECEIPTS: usize = 10;

#[derive(Template)]
#[template(path = "retention.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    summary: Summary,
    classes: Vec<Class>,
    purged: Option<String>,
    next: Option<String>,
    /// By how many days the clock is ahead of what can be true.
    clock_ahead: i64,
    receipts: Vec<(u64, String, String)>,
    faults: Vec<String>,
    may_purge: bool,
    purge: Vec<Field>,
    /// None where they are none of this person's business.
    holds: Option<Vec<Line>>,
}

struct Class {
    name: &'static str,
    words: &'static str,
    kept: String,
    rows: String,
    oldest: String,
    held_back: u64,
}

#[derive(Template)]
#[template(path = "purge.html", config = "src/console/askama.toml")]
struct Sure {
    frame: Frame,
    reason: String,
    clock: String,
    clock_ahead: bool,
}

pub(super) async fn page(signed: Signed) -> Answer {
    whole(&signed, Typed::default()).await
}

async fn whole(signed: &Signed, typed: Typed) -> Answer {
    signed.must(&[Right::Retention, Right::Holds])?;
    let now = Timestamp::now();
    let doer = signed.may(Right::Holds).then(|| signed.doer("to see what is held")).transpose()?;
    let (overview, receipts, verified, held, next, kept_mail) = signed
        .ask(move |_, options| {
            let (overview, ..) = retention::overview(options, now)?;
            let held = doer.map(|doer| office_holds::list(options, now, &doer)).transpose()?;
            let next = retention::next(options, &overview);
            let kept_mail = retention::kept(options.retention.held);
            Ok((overview, retention::receipts(options, RECEIPTS)?, retention::verify(options)?, held, next, kept_mail))
        })
        .await?;
    let zone = &signed.settings.time_zone;
    let day = |at: Timestamp, form: &str| at.to_zoned(zone.clone()).strftime(form).to_string();
    let mut classes: Vec<Class> = overview
        .classes
        .iter()
        .map(|class| Class {
            name: name(&class.class),
            words: retention::class_words(&class.class),
            kept: retention::kept(std::time::Duration::from_millis(class.retention.max(0).cast_unsigned())),
            rows: class.rows.to_string(),
            oldest: match class.oldest_expires {
                _ if class.rows == 0 => "there is none".into(),
                Some(at) if at <= now => format!("was due on {}, and goes with the next purge", day(at, "%-d %B %Y")),
                Some(at) => format!("goes on {}", day(at, "%-d %B %Y")),
                None => "not known".into(),
            },
            held_back: class.held_back,
        })
        .collect();
    classes.push(Class {
        name: name("held"),
        words: retention::class_words("held"),
        kept: format!("{kept_mail} at most"),
        rows: "see Held".into(),
        oldest: "goes when it is decided".into(),
        held_back: 0,
    });
    let clock_ahead = (overview.clock_ahead + 86_399_999) / 86_400_000;
    let mut purge = vec![typed.field("purge", "reason", "Why now").hint("It is kept in the access log")];
    if clock_ahead > 0 {
        purge.push(typed.field("purge", "clock", "").tick("I have looked at the machine\u{2019}s clock, and it is right"));
    }
    show(&Page {
        frame: signed.frame("/retention"),
        summary: typed.summary(),
        classes,
        purged: overview.purged.map(|at| day(at, "%A %-d %B %Y, %H:%M")),
        next: next.map(|at| day(at.max(now), "%A %-d %B, %H:%M")),
        clock_ahead,
        receipts: receipts.iter().map(|r| (r.number, day(r.time, "%-d %B %Y, %H:%M"), in_short(r))).collect(),
        faults: verified.faults,
        may_purge: signed.may(Right::Retention),
        purge,
        holds: held.map(|held| held.iter().map(|(hold, keeps)| holds::line(hold, keeps, zone)).collect()),
    })
}

fn name(class: &str) -> &'static str {
    match class {
        "events" => "Ordinary mail",
        "incidents" => "Mail that a rule acted on",
        "access" => "Access log",
        "contacts" => "Index of past mail",
        _ => "Held mail",
    }
}

/// What a receipt is of, in a few words.
fn in_short(receipt: &Receipt) -> String {
    if let Some(erasure) = receipt.erasure {
        return format!("an erasure: {}", counted(erasure.rows_deleted + erasure.rows_cleared, "row"));
    }
    let rows: u64 = receipt.classes.iter().map(|class| class.rows).sum();
    let keys: u64 = receipt.classes.iter().map(|class| class.keys).sum();
    let asked = if receipt.asked { ", asked for" } else { "" };
    format!("a purge{asked}: {}, {}", counted(rows, "row"), counted(keys, "key"))
}

/// First asks whether they are sure, then does it.
pub(super) async fn purge(signed: Signed, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::Retention])?;
    signed.sent(sent.text("token"))?;
    let mut typed = Typed::new("purge", sent);
    typed.needs("reason", "Say why now, in a few words");
    if !typed.is_whole() {
        return whole(&signed, typed).await;
    }
    let (reason, clock) = (typed.text("reason").to_string(), typed.text("clock").to_string());
    if typed.text("sure") != "yes" {
        let clock_ahead = clock == "yes";
        return show(&Sure { frame: signed.frame("/retention"), reason, clock, clock_ahead });
    }
    let clock = if clock == "yes" { retention::Clock::Confirmed } else { retention::Clock::AsItSeems };
    let doer = signed.doer(&reason)?;
    let receipt = signed.ask(move |_, options| Ok(retention::purge(options, clock, &doer)?.receipt()?)).await?;
    Ok(Redirect::to(&format!("/receipts/{}", receipt.number)).into_response())
}
