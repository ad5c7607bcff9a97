//! What somebody sees of themselves: their own held messages, what is kept of them, and the monitoring notice. It takes no right, and
//! shows nobody else's: whose it is comes from the session alone.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;

use super::confirm::words;
use super::frame::{Answer, Frame, Message, Signed, Trouble, plain, show};
use crate::documents::{Paper, Part};
use crate::office::acknowledgements::{self, Standing};
use crate::office::held::Preview;
use crate::office::{Fault, mine};
use crate::outbox::Came;
use crate::policy::answer::Choice;

/// Days that the page goes back.
const DAYS: i64 = 30;

#[derive(Template)]
#[template(path = "mine.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    addresses: Vec<String>,
    read: Option<String>,
    held: Vec<Own>,
    kept: mine::Mine,
    lines: Vec<Line>,
    days: i64,
    /// When each request was received and by when the answer is owed, or what became of it.
    requests: Vec<String>,
    may_ask: bool,
    fault: Option<(String, String)>,
    done: Option<&'static str>,
}

struct Own {
    preview: Preview,
    why: Vec<String>,
    waits_for: String,
    until: String,
    then: &'static str,
    choices: Vec<(u8, &'static str)>,
}

struct Line {
    time: String,
    row: mine::Line,
    decision: &'static str,
}

#[derive(Template)]
#[template(path = "mine-notice.html", config = "src/console/askama.toml")]
struct Notice {
    frame: Frame,
    paper: Paper,
    mark: String,
    read: Option<String>,
}

#[derive(serde::Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    done: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Chosen {
    #[serde(default)]
    token: String,
    #[serde(default)]
    choice: String,
    #[serde(default)]
    reason: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    token: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    form: String,
    #[serde(default)]
    mark: String,
}

pub(super) async fn page(signed: Signed, Query(done): Query<Done>) -> Answer {
    let done = match done.done.as_str() {
        "leaves" => Some("Your message leaves now."),
        "noted" => Some("Your answer is taken. The message leaves as soon as the others who hold it agree."),
        "cancelled" => Some("Your message was cancelled. Nobody received it."),
        "asked" => Some("The Clerk has your request, and a month to answer it."),
        "read" => Some("Thank you. That you have read the notice is noted."),
        _ => None,
    };
    whole(&signed, done, None).await
}

async fn whole(signed: &Signed, done: Option<&'static str>, fault: Option<(String, String)>) -> Answer {
    let doer = signed.doer("their own page")?;
    let insider = signed.insider.clone();
    let now = Timestamp::now();
    let (held, kept) = signed
        .ask(move |settings, options| {
            Ok((mine::held(settings, options, &insider, &doer)?, mine::kept(settings, options, &insider, DAYS, now, &doer)?))
        })
        .await?;
    let zone = signed.settings.time_zone.clone();
    let moment = |at: Timestamp, form: &str| at.to_zoned(zone.clone()).strftime(form).to_string();
    let held = held
        .into_iter()
        .map(|own| Own {
            why: own.preview.because.iter().map(|(title, _)| title.clone()).collect(),
            waits_for: own
                .preview
                .held
                .waits_for
                .iter()
                .map(|w| if w == "sender" { "you".into() } else { format!("the {w}") })
                .collect::<Vec<_>>()
                .join(" and "),
            until: moment(own.preview.held.expires, "%A %-d %B, %H:%M"),
            then: if own.preview.held.then == "released" { "it is sent" } else { "it comes back to you" },
            choices: own.choices.iter().map(|c| (*c as u8, words(*c))).collect(),
            preview: own.preview,
        })
        .collect();
    let mut kept = kept;
    let lines = std::mem::take(&mut kept.lines).into_iter().map(|row| Line {
        time: moment(row.time, "%-d %B %Y, %H:%M"),
        decision: match row.decision.as_str() {
            "deliver" => "let through",
            "hold" => "held",
            "defer" => "put off",
            _ => "refused",
        },
        row,
    });
    let today = now.to_zoned(zone.clone()).date();
    let day = |d: jiff::civil::Date| d.strftime("%-d %B %Y").to_string();
    let requests = kept
        .requests
        .iter()
        .map(|r| {
            let state = match (&r.closed, r.due(today)) {
                (Some(closed), _) => format!("answered on {}", day(closed.on)),
                (None, Some(due)) => format!("an answer is due by {}", day(due)),
                (None, None) => "open".into(),
            };
            format!("{} asked for on {}: {state}", r.kind.word(), day(r.received))
        })
        .collect();
    let may_ask = !kept.requests.iter().any(|r| r.kind.word() == "access" && r.closed.is_none());
    show(&Page {
        frame: signed.frame("/mine"),
        addresses: signed.insider.addresses.clone(),
        read: has_read(signed),
        lines: lines.collect(),
        days: DAYS,
        held,
        requests,
        may_ask,
        kept,
        fault,
        done,
    })
}

/// When this person read the notice as it is now.
pub(super) fn has_read(signed: &Signed) -> Option<String> {
    let read = acknowledgements::read(&signed.settings).unwrap_or_default();
    match acknowledgements::standing(&signed.settings, &read, &signed.insider) {
        Standing::Read(at) => Some(super::people::day(signed, at)),
        Standing::Never | Standing::Earlier(_) => None,
    }
}

pub(super) async fn choose(signed: Signed, Path(id): Path<String>, Form(chosen): Form<Chosen>) -> Answer {
    signed.sent(&chosen.token)?;
    let all = [Choice::Hidden, Choice::Separately, Choice::AsItIs, Choice::Cancel];
    // The field of this message's form: ids hold nothing but what a reference does.
    let field =
        |what: &str| format!("{what}-{}", id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(20).collect::<String>());
    let Some(choice) = all.into_iter().find(|c| (*c as u8).to_string() == chosen.choice) else {
        return whole(&signed, None, Some((field("choice"), "Choose what should happen to your message".into()))).await;
    };
    let reason: String = chosen.reason.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
    if choice == Choice::AsItIs && reason.is_empty() {
        return whole(&signed, None, Some((field("reason"), "Say why it is to be sent as it is".into()))).await;
    }
    let doer = signed.doer(if reason.is_empty() { "their own message" } else { &reason })?;
    let insider = signed.insider.clone();
    let wanted = id.clone();
    let done = signed.ask(move |settings, options| mine::choose(settings, options, &insider, &wanted, choice, &reason, &doer)).await;
    let word = match done {
        Ok(Came::Leaves) => "leaves",
        Ok(Came::WaitsForOthers) => "noted",
        Ok(_) => "cancelled",
        Err(Trouble::Office(Fault::NotHeld(_))) => {
            let text = "It was decided, or its time is over, or it is not yours.";
            return Message::show(signed.frame("/mine"), "That message waits no longer", text, ("/mine", "Go back"));
        }
        Err(Trouble::Office(fault @ Fault::NotYours(..))) => return whole(&signed, None, Some((field("choice"), plain(&fault)))).await,
        Err(other) => return Err(other),
    };
    Ok(Redirect::to(&format!("/mine?done={word}")).into_response())
}

/// A copy of all that is kept of one of their addresses, to keep.
pub(super) async fn export(signed: Signed, Form(asked): Form<Asked>) -> Answer {
    signed.sent(&asked.token)?;
    let doer = signed.doer("their own copy")?;
    let insider = signed.insider.clone();
    let address = if asked.address.is_empty() { insider.addresses[0].clone() } else { asked.address };
    let now = Timestamp::now();
    let found = signed.ask(move |settings, options| mine::export(settings, options, &insider, &address, now, &doer)).await?;
    let found = found.ok_or(Trouble::Nowhere)?;
    let (octets, kind, name) = match asked.form.as_str() {
        "json" => (found.json, "application/json", "attachment; filename=\"about-me.json\""),
        _ => (found.page.into_bytes(), "text/html; charset=utf-8", "attachment; filename=\"about-me.html\""),
    };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CONTENT_DISPOSITION, HeaderValue::from_static(name))];
    Ok((headers, octets).into_response())
}

/// Asks the Clerk for what is kept elsewhere (UK GDPR Article 15). The Clerk hears of it by mail, and in the digest.
pub(super) async fn ask(signed: Signed, Form(asked): Form<Asked>) -> Answer {
    signed.sent(&asked.token)?;
    let doer = signed.doer("on their own page")?;
    let insider = signed.insider.clone();
    let today = Timestamp::now().to_zoned(signed.settings.time_zone.clone()).date();
    let request = match signed.ask(move |_, options| mine::ask(options, &insider, today, &doer)).await {
        Ok(request) => request,
        Err(Trouble::Office(fault @ Fault::Asked(_))) => return whole(&signed, None, Some(("requests".into(), plain(&fault)))).await,
        Err(other) => return Err(other),
    };
    if let (Some(outbox), Some(clerk)) = (signed.desk.around.outbox.clone(), signed.settings.council.clerk.clone()) {
        let due = request.due(today).map_or_else(String::new, |d| format!(" by {}", d.strftime("%A %-d %B %Y")));
        let text = [
            format!("{} asks for a copy of what the council keeps about them (UK GDPR Article 15).", request.person),
            format!(
                "It is request {} and is to be answered{due}. What the gateway holds they can see on its pages; this is about everything else.",
                request.id
            ),
        ];
        // The request stands; that the letter about it is lost shows in the log and the digest has it all the same.
        if let Err(error) = outbox.memo(&clerk, &format!("Request {}: a copy of personal data", request.id), &text).await {
            tracing::error!(event = "notice_lost", %error);
        }
    }
    Ok(Redirect::to("/mine?done=asked").into_response())
}

pub(super) async fn notice(signed: Signed) -> Answer {
    let paper = acknowledgements::notice(&signed.settings);
    show(&Notice { frame: signed.frame("/mine"), mark: paper.mark(), read: has_read(&signed), paper })
}

pub(super) async fn acknowledge(signed: Signed, Form(asked): Form<Asked>) -> Answer {
    signed.sent(&asked.token)?;
    let doer = signed.doer("they have read it")?;
    let insider = signed.insider.clone();
    let done = signed
        .ask(move |settings, options| acknowledgements::acknowledge(settings, options, &insider, &asked.mark, Timestamp::now(), &doer))
        .await;
    match done {
        Ok(()) => Ok(Redirect::to("/mine?done=read").into_response()),
        Err(Trouble::Office(Fault::People(_))) => {
            let text = "It says something else now. Read it as it is.";
            Message::show(signed.frame("/mine"), "The notice was changed meanwhile", text, ("/mine/notice", "Read the notice"))
        }
        Err(other) => Err(other),
    }
}
