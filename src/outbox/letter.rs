//! The letter itself: who gets one, what it says, in which order. Written for a councillor on a telephone: what happened, what to
//! do first, which rule of the policy, and the reference to quote.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use mail_builder::MessageBuilder;
use mail_builder::headers::date::Date;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::raw::Raw;

use super::{Care, HeldNews, Options, Told};
use crate::policy::answer::Choice;
use crate::policy::{Disposition, Match, Mode, Notice, Person};
use crate::records::StoreError;
use crate::records::sealing::random_octets;
use crate::smtp::address::{Address, Charset};

/// Longest text of one notice, in characters.
const TEXT: usize = 2_000;

/// The notices of each person, in the order in which people are first named. Left out: a sender whose mail was automatic, and
/// what is no address (it could otherwise carry commands into the envelope).
pub(super) fn by_person(told: &Told) -> Vec<(String, Vec<&Notice>)> {
    let mut people: Vec<(String, Vec<&Notice>)> = Vec::new();
    for notice in &told.notices {
        if told.automatic && notice.person == Person::Sender {
            continue;
        }
        let Ok(address) = Address::parse(notice.to.trim(), Charset::Utf8) else { continue };
        let normal = address.normal();
        match people.iter_mut().find(|(to, _)| *to == normal) {
            Some((_, notices)) => notices.push(notice),
            None => people.push((normal, vec![notice])),
        }
    }
    people
}

/// What names one thing told to one person about one message.
pub(super) fn told_key(told: &Told, notice: &Notice, to: &str) -> Vec<u8> {
    let message = match told.message_id.as_deref().map(bare_id).filter(|id| !id.is_empty()) {
        // Each time that it is held is news: its answers count for this time only.
        _ if matches!(told.care, Some(Care::Held(_))) => format!("held {}", told.reference),
        Some(id) => format!("id {id}"),
        None => format!("content {}", told.fallback),
    };
    // Fields are hashed apart first, so that no border between them can be moved. A warning and a refusal are different news.
    let stopped = told.disposition != Disposition::Deliver;
    let mut key = Vec::with_capacity(97);
    for part in [&*notice.rule, &message, to] {
        key.extend_from_slice(digest(&SHA256, part.as_bytes()).as_ref());
    }
    key.push(u8::from(stopped));
    key
}

/// Names a rule and a person, whatever the message: for `notify = { every = … }`. A refusal is told each time.
pub(super) fn every_key(told: &Told, notice: &Notice, to: &str) -> Option<(Vec<u8>, i64)> {
    let seconds = notice.every.filter(|_| told.disposition == Disposition::Deliver)?;
    let mut key = Vec::with_capacity(70);
    for part in [&*notice.rule, to] {
        key.extend_from_slice(digest(&SHA256, part.as_bytes()).as_ref());
    }
    key.extend_from_slice(b"every");
    Some((key, i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000)))
}

/// The letter's octets.
pub(super) fn compose(told: &Told, to: &str, notices: &[&Notice], options: &Options) -> Result<Vec<u8>, StoreError> {
    let own = notices.iter().any(|n| n.person == Person::Sender);
    let news = News::of(told);
    let id: String = random_octets::<16>()?.iter().map(|b| format!("{b:02x}")).collect();
    let domain = options.from.rsplit_once('@').map_or("localhost", |(_, d)| d);
    let mut message = MessageBuilder::new()
        .date(Date::new(told.time.timestamp().as_second()))
        .from((format!("{} mail gateway", plain(&options.council, 80)), options.from.clone()))
        .to(to.to_string())
        .subject(subject(told, news, own))
        .message_id(format!("{id}@{domain}"))
        // RFC 3834 §5, and Exchange's word for the same: no out-of-office answers this.
        .header("Auto-Submitted", Raw::new("auto-generated"))
        .header("X-Auto-Response-Suppress", Raw::new("All"));
    if let Some(answers) = answers(told, own) {
        message = message.reply_to(answers.to_string());
    }
    if let Some(original) = told.message_id.as_deref().map(bare_id).filter(|id| is_plain_id(id)) {
        message = message.in_reply_to(MessageId::new(original.to_string())).references(MessageId::new(original.to_string()));
    }
    let text = body(told, news, own, notices, options);
    message.text_body(text).write_to_vec().map_err(|_| StoreError::Damaged)
}

/// What happened, of most weight first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    NotSent,
    NotSentYet,
    Held,
    Split,
    Changed,
    Note,
}

impl News {
    fn of(told: &Told) -> News {
        match &told.care {
            Some(Care::Held(_)) => return News::Held,
            Some(Care::Split { .. }) => return News::Split,
            None => {}
        }
        match told.disposition {
            Disposition::Reject { .. } | Disposition::Malformed { .. } => News::NotSent,
            Disposition::Defer { .. } | Disposition::Hold { .. } => News::NotSentYet,
            Disposition::Deliver => {
                let changes = ["hide-recipients", "tag-subject", "banner", "add-header", "remove-header", "redirect", "redirect-to"];
                let changed = told
                    .matches
                    .iter()
                    .any(|m| m.mode == Mode::Enforce && m.overridden.is_none() && m.actions.iter().any(|a| changes.contains(a)));
                if changed { News::Changed } else { News::Note }
            }
        }
    }
}

fn subject(told: &Told, news: News, own: bool) -> String {
    let start = match (news, own) {
        (News::NotSent, _) => "Not sent",
        (News::NotSentYet, _) => "Not sent yet",
        (News::Held, true) if asks_sender(told) => "Did you mean this?",
        (News::Held, _) => "Waiting for a decision",
        (News::Split, _) => "Going out one by one",
        (News::Changed, true) => "Your message was changed",
        (News::Changed, false) => "A message was changed",
        (News::Note, _) => "Please note",
    };
    format!("{start}: {}", which(told, own, 120))
}

/// The message, so that its reader knows which: its subject to its sender only, as the Clerk has no need of it.
fn which(told: &Told, own: bool, longest: usize) -> String {
    let subject = told.subject.as_deref().map(|s| plain(s, longest)).filter(|s| !s.is_empty());
    match subject {
        Some(subject) if own => subject,
        _ if own => format!("your message of {}", when(told)),
        _ if told.sender.is_empty() => format!("a message of {}", when(told)),
        _ => format!("a message from {}", plain(&told.sender, longest)),
    }
}

fn when(told: &Told) -> String {
    told.time.strftime("%-d %B %Y, %H:%M").to_string()
}

fn body(told: &Told, news: News, own: bool, notices: &[&Notice], options: &Options) -> String {
    let mut out = String::new();
    let what = match (own, told.subject.as_deref().map(|s| plain(s, 200)).filter(|s| !s.is_empty())) {
        (true, Some(subject)) => format!("Your message \"{subject}\" of {}", when(told)),
        (true, None) => format!("Your message of {}", when(told)),
        (false, _) if told.sender.is_empty() => format!("A message of {}", when(told)),
        (false, _) => format!("A message from {} of {}", plain(&told.sender, 254), when(told)),
    };
    let happened = match news {
        News::NotSent => "was not sent. Nobody received it.",
        News::NotSentYet => "has not been sent yet. The mail program that sent it will try again by itself.",
        News::Held if own && asks_sender(told) => "has not been sent yet. It waits for your answer.",
        News::Held => "has not been sent yet. It waits for a decision.",
        News::Split => "goes out one copy at a time, so that nobody sees who else got it.",
        News::Changed => "was sent, with a change.",
        News::Note => "was sent.",
    };
    line(&mut out, &format!("{what} {happened}"));
    for notice in notices {
        out.push_str("\r\n");
        line(&mut out, &plain(&notice.text, TEXT));
        match told.matches.iter().find(|m| m.rule == notice.rule) {
            Some(rule) => rule_lines(&mut out, rule, news),
            None => line(&mut out, &format!("Rule: {}", plain(&notice.rule, 100))),
        }
    }
    out.push_str("\r\n");
    match &told.care {
        Some(Care::Held(held)) => held_lines(&mut out, told, held, own, notices, options),
        Some(Care::Split { copies, takes }) if own => split_lines(&mut out, *copies, *takes),
        _ => {}
    }
    line(&mut out, &format!("Reference: {}. Please quote it if you ask about this.", plain(&told.reference, 40)));
    out.push_str("\r\n");
    line(
        &mut out,
        &format!(
            "This was written by the mail gateway of {}.{}",
            plain(&options.council, 80),
            if answers(told, own).is_some() { "" } else { " Replies to it are not read." }
        ),
    );
    out
}

/// Where the reader's answer goes, if it is asked for.
fn answers(told: &Told, own: bool) -> Option<&str> {
    match &told.care {
        Some(Care::Held(held)) if own && !held.answers.is_empty() => Some(&held.answers),
        _ => None,
    }
}

fn asks_sender(told: &Told) -> bool {
    matches!(&told.care, Some(Care::Held(held)) if held.by.contains(&Person::Sender))
}

fn held_lines(out: &mut String, told: &Told, held: &HeldNews, own: bool, notices: &[&Notice], options: &Options) {
    let until = held.until.strftime("%-d %B %Y, %H:%M").to_string();
    let end = if held.release_at_end { "it is sent" } else { "it goes back to its sender" };
    let who: Vec<&str> = held.by.iter().filter(|p| **p != Person::Sender).map(|p| p.word()).collect();
    let who = who.join(" and the ");
    if own && held.by.contains(&Person::Sender) {
        line(out, "Answer this message with one number in the first line:");
        for choice in &held.offered {
            let what = match choice {
                Choice::Hidden => "1  send it, with the outside addresses hidden from one another",
                Choice::Separately => "2  send it, one copy to each outside address",
                Choice::AsItIs => "3  send it as it is, and why (\"3 they all know one another\")",
                Choice::Cancel => "4  do not send it",
            };
            line(out, what);
        }
        if !who.is_empty() {
            line(out, &format!("The {who} must agree as well."));
        }
        if let Some(page) = &held.page {
            line(out, &format!("Or choose on this page: {page}"));
        }
        line(out, &format!("Without an answer {end} at {until}."));
    } else if own {
        line(out, &format!("It waits for the {who}, until {until}. Without a decision {end} then."));
        line(out, "To ask for it to be sent, answer this message with the word: release");
    } else if notices.iter().any(|n| held.by.contains(&n.person)) {
        let reference = plain(&told.reference, 40);
        line(out, &format!("It waits for you until {until}. Without a decision {end} then."));
        super::held::how_to_decide(&reference, options).iter().for_each(|way| line(out, way));
    } else {
        line(out, &format!("It waits until {until}. Without a decision {end} then."));
    }
    out.push_str("\r\n");
}

fn split_lines(out: &mut String, copies: usize, takes: Option<Duration>) {
    let mut text = format!("There are {copies} copies. You will hear when the last has gone, and of any that cannot be delivered.");
    if let Some(takes) = takes.filter(|t| t.as_secs() >= 60) {
        let minutes = takes.as_secs().div_ceil(60);
        text.push_str(&format!(" The mail provider takes them slowly: it will be about {minutes} minutes."));
    }
    line(out, &text);
    out.push_str("\r\n");
}

fn rule_lines(out: &mut String, rule: &Match, news: News) {
    if rule.mode == Mode::Warn && news == News::Note {
        line(out, "This rule only warns for now: nothing was changed.");
    }
    line(out, &format!("Rule: {}", plain(&rule.title, 200)));
    if !rule.clauses.is_empty() {
        let clauses: Vec<String> = rule.clauses.iter().map(|c| plain(c, 100)).collect();
        line(out, &format!("Clause of the policy: {}", clauses.join(", ")));
    }
}

pub(super) fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push_str("\r\n");
}

/// One line of ordinary characters: nothing from a message or a rule starts a header field or turns the reading direction.
pub(super) fn plain(text: &str, longest: usize) -> String {
    let hostile =
        |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let mut out = String::with_capacity(text.len().min(longest * 2));
    let mut kept = 0;
    for c in text.trim().chars() {
        let c = if hostile(c) { ' ' } else { c };
        if c == ' ' && out.ends_with(' ') {
            continue;
        }
        if kept == longest {
            out.push('…');
            break;
        }
        out.push(c);
        kept += 1;
    }
    out.trim_end().to_string()
}

pub(super) fn bare_id(id: &str) -> &str {
    let id = id.trim();
    id.strip_prefix('<').and_then(|i| i.strip_suffix('>')).unwrap_or(id)
}

/// A Message-ID that may be repeated in our header (RFC 5322 §3.6.4); a strange one is left out.
pub(super) fn is_plain_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 250 && id.bytes().all(|b| matches!(b, 33..=126) && !matches!(b, b'<' | b'>'))
}
