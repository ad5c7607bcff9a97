//! Byte surgery on recipient fields: hiding addresses from one another (RFC 5322 §3.6.3).
//!
//! Only the fields that show somebody who is to be hidden are touched, and in those the mailboxes that stay keep their octets. What
//! cannot be read, but may be an address, is taken out with the others: nothing that a reader could make an address of may be left.

use std::collections::HashSet;
use std::ops::Range;

use super::addresses::{self, Entry};
use super::header::Field;
pub use super::subject::{cut_override, cut_overrides, override_reason, tag_subject};
use super::{EditPlan, Mailbox, View, words};
use crate::smtp::Address;

/// What stands in a `To` that would be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WhatIfToEmpty {
    #[default]
    UndisclosedRecipients,
    /// The sender's own address.
    Sender,
    /// This mailbox, as RFC 5322 §3.4 writes one.
    Mailbox(Vec<u8>),
}

/// What was hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// Distinct addresses taken out of sight.
    pub count: usize,
    /// The fields that changed, by name as the RFCs spell it, each once.
    pub fields: Vec<String>,
}

/// Fields that show recipients.
const RECIPIENT_FIELDS: [&str; 8] = ["To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc", "Apparently-To", "Mail-Followup-To"];
/// Fields in which a mail system noted a recipient: nobody who reads the message needs them.
const TRACE_FIELDS: [&str; 5] = ["Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Rcpt-To"];
/// Fields that stay although they name somebody who was hidden: who wrote, what threads hang on, what reads or proves the body.
const KEPT_FIELDS: [&str; 14] = [
    "From",
    "Sender",
    "Resent-From",
    "Resent-Sender",
    "Return-Path",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "DKIM-Signature",
    "Authentication-Results",
    "Received-SPF",
];

/// Takes the mailboxes that `keep` refuses out of every field that shows recipients. The author, whom From shows anyway, stays.
pub fn hide_recipients(view: &View<'_>, keep: &dyn Fn(&Mailbox) -> bool, if_empty: WhatIfToEmpty, plan: &mut EditPlan) -> Hidden {
    let author: Option<Mailbox> = view.named("From").flat_map(|f| view.addresses(f)).find_map(|e| e.mailboxes().first().cloned());
    let author_normal = author.as_ref().map(Mailbox::normal);
    let keep = |mailbox: &Mailbox| keep(mailbox) || author_normal.as_ref().is_some_and(|a| *a == mailbox.normal());
    operate(view, &keep, &|mailbox| !keep(mailbox), author.as_ref(), if_empty, plan)
}

/// Leaves of all recipients `own` alone: what each gets of a message that is split. It stands in `To` as it was written wherever it
/// stood, or bare, as the envelope has it, where it stood in no field.
///
/// `open` says whose address is no secret: it goes from the fields that show recipients, and may stay wherever else it is named (a
/// `Reply-To`, a request for a receipt). The author's never is one.
pub fn only_recipient(view: &View<'_>, own: &Address, open: &dyn Fn(&Mailbox) -> bool, plan: &mut EditPlan) -> Hidden {
    let author: Option<Mailbox> = view.named("From").flat_map(|f| view.addresses(f)).find_map(|e| e.mailboxes().first().cloned());
    let author_normal = author.as_ref().map(Mailbox::normal);
    let normal = own.normal();
    let is_own = |mailbox: &Mailbox| mailbox.normal() == normal;
    let secret = |mailbox: &Mailbox| !is_own(mailbox) && !open(mailbox) && author_normal.as_ref().is_none_or(|a| *a != mailbox.normal());
    let stands_in = |name: &str| view.named(name).flat_map(|f| view.addresses(f)).any(|e| e.mailboxes().iter().any(&is_own));
    if stands_in("To") {
        return operate(view, &is_own, &secret, author.as_ref(), WhatIfToEmpty::default(), plan);
    }
    let written = ["Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"]
        .iter()
        .flat_map(|name| view.named(name))
        .flat_map(|f| view.addresses(f))
        .find_map(|e| e.mailboxes().iter().find(|m| is_own(m)).cloned());
    let text = match written {
        // The name that the sender gave them, where it shows nobody else.
        Some(mailbox) => mailbox_text(view, &mailbox),
        None => own.as_str().as_bytes().to_vec(),
    };
    let has_to = view.named("To").next().is_some();
    let mut hidden = operate(view, &|_| false, &secret, author.as_ref(), WhatIfToEmpty::Mailbox(text.clone()), plan);
    if !has_to && let Some(first) = view.fields().first() {
        let line = [b"To: ", &text[..], b"\r\n"].concat();
        // Before From, which every message has; a rule's own fields stand at the very start.
        let at = view.named("From").next().unwrap_or(first).whole.start;
        if plan.edit(at..at, line).is_ok() {
            hidden.fields.push("To".into());
        }
    }
    hidden
}

fn operate<'s, 'a>(
    view: &'s View<'a>,
    keep: &'s dyn Fn(&Mailbox) -> bool,
    secret: &'s dyn Fn(&Mailbox) -> bool,
    author: Option<&'s Mailbox>,
    if_empty: WhatIfToEmpty,
    plan: &'s mut EditPlan,
) -> Hidden {
    let mut surgery = Surgery { view, keep, secret, author, if_empty, hidden: HashSet::new(), changed: Vec::new(), plan, to_stands: false };
    for name in RECIPIENT_FIELDS {
        for field in view.named(name) {
            surgery.recipients(name, field);
        }
    }
    for field in view.named("Reply-To") {
        surgery.reply_to(field);
    }
    for name in TRACE_FIELDS {
        for field in view.named(name) {
            surgery.replace(name, field.whole.clone(), Vec::new());
        }
    }
    surgery.everywhere_else();
    Hidden { count: surgery.hidden.len(), fields: surgery.changed }
}

struct Surgery<'s, 'a> {
    view: &'s View<'a>,
    /// Who stays in the fields that show recipients.
    keep: &'s dyn Fn(&Mailbox) -> bool,
    /// Whose address may be named nowhere else.
    secret: &'s dyn Fn(&Mailbox) -> bool,
    author: Option<&'s Mailbox>,
    if_empty: WhatIfToEmpty,
    /// Normal forms.
    hidden: HashSet<String>,
    changed: Vec<String>,
    plan: &'s mut EditPlan,
    /// A `To` without recipients was written already.
    to_stands: bool,
}

impl Surgery<'_, '_> {
    fn replace(&mut self, name: &str, range: Range<usize>, with: Vec<u8>) {
        // An identical edit of another rule is taken once; any other edit of these octets removes at least as much.
        let _ = self.plan.edit(range, with);
        if !self.changed.iter().any(|c| c == name) {
            self.changed.push(name.to_string());
        }
    }

    fn recipients(&mut self, name: &str, field: &Field) {
        let entries = self.view.addresses(field);
        let mut kept: Vec<Kept> = Vec::with_capacity(entries.len());
        let mut touched = false;
        let mut end = field.body.start;
        for entry in &entries {
            let gap = end..entry.range().start.max(end);
            end = entry.range().end.max(end);
            let before = kept.len();
            let whole = self.entry(entry, &gap, &mut kept);
            touched |= !whole || kept.len() == before;
        }
        if name == "To" && matches!(self.if_empty, WhatIfToEmpty::Mailbox(_)) {
            // Nobody of it stays: an empty group or a word that is no address gives way, too.
            kept.clear();
            touched = true;
        }
        // An address between the entries (in a comment, say) would be left by touching nothing.
        touched |= self.leaks_between(field, &entries);
        if !touched {
            return;
        }
        if !kept.is_empty() {
            let body = self.join(field, &kept);
            self.replace(name, field.body.clone(), body);
            return;
        }
        if name == "To" && !std::mem::replace(&mut self.to_stands, true) {
            let body = self.empty_to();
            self.replace(name, field.body.clone(), body);
        } else {
            self.replace(name, field.whole.clone(), Vec::new());
        }
    }

    /// Puts what stays of an entry into `kept`; says whether it stays as it is. Mailboxes that are one stretch of text stay or go
    /// together.
    fn entry(&mut self, entry: &Entry, gap: &Range<usize>, kept: &mut Vec<Kept>) -> bool {
        match entry {
            Entry::Mailbox(mailbox) => self.mailbox(mailbox, gap, kept),
            Entry::Unparsed { range } => {
                let stays = !self.may_hide_address(range.clone());
                if stays {
                    kept.push(Kept { gap: gap.clone(), range: range.clone(), text: self.view.raw()[range.clone()].to_vec() });
                }
                stays
            }
            Entry::Group { name, range, members } => {
                let mut inner = Vec::new();
                let mut whole = true;
                for member in members {
                    whole &= self.mailbox(member, &(range.start..range.start), &mut inner);
                }
                whole &= !self.leaks_outside(range, members) && !name.contains('@');
                if whole {
                    kept.push(Kept { gap: gap.clone(), range: range.clone(), text: self.view.raw()[range.clone()].to_vec() });
                } else {
                    // What is left of a group stands for itself.
                    inner.iter_mut().for_each(|k| k.gap = 0..0);
                    kept.extend(inner);
                }
                whole
            }
        }
    }

    fn mailbox(&mut self, mailbox: &Mailbox, gap: &Range<usize>, kept: &mut Vec<Kept>) -> bool {
        let twin = kept.last().is_some_and(|k| k.range == mailbox.range);
        if !(self.keep)(mailbox) {
            if (self.secret)(mailbox) {
                self.hidden.insert(mailbox.normal());
            }
            if twin {
                kept.pop();
            }
            return false;
        }
        if twin {
            return true;
        }
        let raw = &self.view.raw()[mailbox.range.clone()];
        // A name or comment may show somebody else's address.
        if self.shows_others(raw, mailbox) {
            let address = format!("<{}@{}>", mailbox.local, mailbox.domain).into_bytes();
            // `<a@x.uk@wragby.uk>`: the local part may be an address to somebody.
            if self.shows_others(&address, mailbox) {
                return false;
            }
            kept.push(Kept { gap: gap.clone(), range: mailbox.range.clone(), text: address });
            return false;
        }
        kept.push(Kept { gap: gap.clone(), range: mailbox.range.clone(), text: raw.to_vec() });
        true
    }

    /// Whether the text of a mailbox shows an address besides its own that is to be hidden.
    fn shows_others(&mut self, raw: &[u8], mailbox: &Mailbox) -> bool {
        if memchr::memchr_iter(b'@', raw).nth(1).is_none() && !words::has_encoded_word(raw) {
            return false;
        }
        let mut others = false;
        for (local, domain) in addresses::in_text(&words::decode(raw)) {
            let other = Mailbox { range: 0..0, display: None, local, domain };
            if other.normal() != mailbox.normal() && (self.secret)(&other) {
                self.hidden.insert(other.normal());
                others = true;
            }
        }
        others
    }

    fn may_hide_address(&self, range: Range<usize>) -> bool {
        let raw = &self.view.raw()[range];
        memchr::memchr(b'@', raw).is_some() || words::has_encoded_word(raw) && words::decode(raw).contains('@')
    }

    fn leaks_between(&self, field: &Field, entries: &[Entry]) -> bool {
        let mut from = field.body.start;
        for entry in entries {
            let range = entry.range();
            if range.start > from && self.may_hide_address(from..range.start) {
                return true;
            }
            from = from.max(range.end);
        }
        self.may_hide_address(from..field.body.end.max(from))
    }

    fn leaks_outside(&self, group: &Range<usize>, members: &[Mailbox]) -> bool {
        let mut from = group.start;
        for member in members {
            if member.range.start > from && self.may_hide_address(from..member.range.start) {
                return true;
            }
            from = from.max(member.range.end);
        }
        self.may_hide_address(from..group.end.max(from))
    }

    /// The entries that stay, with the folding that stood before each where it was nothing but blanks.
    fn join(&self, field: &Field, kept: &[Kept]) -> Vec<u8> {
        let raw = self.view.raw();
        let mut body = Vec::new();
        let mut column = field.body.start - field.whole.start;
        for (i, entry) in kept.iter().enumerate() {
            let gap = &raw[entry.gap.clone()];
            let gap = gap.strip_prefix(b",").or(gap.strip_prefix(b";")).unwrap_or(gap);
            let blank = !gap.is_empty() && gap.iter().all(u8::is_ascii_whitespace);
            let folds = gap.contains(&b'\n');
            if i > 0 {
                body.push(b',');
                column += 1;
            }
            let first_line = entry.text.iter().position(|&b| b == b'\r').unwrap_or(entry.text.len());
            if blank && (i == 0 && !folds || i > 0 && (folds || column + gap.len() + first_line <= 76)) {
                body.extend_from_slice(gap);
                column = if folds { gap.len() - memchr::memrchr(b'\n', gap).map_or(0, |n| n + 1) } else { column + gap.len() };
            } else if i == 0 || column + 1 + first_line <= 76 {
                body.push(b' ');
                column += 1;
            } else {
                body.extend_from_slice(b"\r\n ");
                column = 1;
            }
            body.extend_from_slice(&entry.text);
            column = match memchr::memrchr(b'\n', &entry.text) {
                Some(n) => entry.text.len() - n - 1,
                None => column + entry.text.len(),
            };
        }
        body
    }

    fn empty_to(&self) -> Vec<u8> {
        match (&self.if_empty, self.author) {
            (WhatIfToEmpty::Mailbox(text), _) => [b" ", &text[..]].concat(),
            (WhatIfToEmpty::Sender, Some(author)) => [b" ", &mailbox_text(self.view, author)[..]].concat(),
            _ => b" undisclosed-recipients:;".to_vec(),
        }
    }

    /// Programs and mail systems note recipients in fields of their own (`Return-Receipt-To`, `X-Forwarded-To`, a log in an `X-` field).
    /// Any that names somebody who was hidden goes; of `Received` only the clause with the recipient, since the hops are counted.
    fn everywhere_else(&mut self) {
        if self.hidden.is_empty() {
            return;
        }
        let view = self.view;
        for field in view.fields() {
            let name = view.name(field);
            let is_any = |names: &[&str]| names.iter().any(|n| n.eq_ignore_ascii_case(name));
            let lower = name.to_ascii_lowercase();
            if is_any(&RECIPIENT_FIELDS)
                || is_any(&TRACE_FIELDS)
                || is_any(&KEPT_FIELDS)
                || ["reply-to", "content-", "arc-", "list-"].iter().any(|p| lower.starts_with(p))
                // Exchange ends loops by these, and wants them back as they were.
                || lower.contains("loop")
                || !self.may_hide_address(field.body.clone())
            {
                continue;
            }
            let names_hidden = addresses::in_text(&view.text(field)).into_iter().any(|(local, domain)| {
                let named = Mailbox { range: 0..0, display: None, local, domain };
                self.hidden.contains(&named.normal())
            });
            if !names_hidden {
                continue;
            }
            if lower == "received" {
                if let Some(clause) = for_clause(view.raw_body(field)) {
                    let at = field.body.start;
                    self.replace(name, at + clause.start..at + clause.end, Vec::new());
                }
            } else {
                self.replace(name, field.whole.clone(), Vec::new());
            }
        }
    }

    /// A Reply-To that lists several who are to be hidden, or one who was hidden elsewhere, becomes the sender. One outsider there
    /// is where the sender wants answers.
    fn reply_to(&mut self, field: &Field) {
        let entries = self.view.addresses(field);
        let refused: HashSet<String> =
            entries.iter().flat_map(Entry::mailboxes).filter(|m| (self.secret)(m)).map(Mailbox::normal).collect();
        if refused.len() < 2 && refused.is_disjoint(&self.hidden) {
            return;
        }
        self.hidden.extend(refused);
        match self.author {
            Some(author) => {
                let body = [b" ", &mailbox_text(self.view, author)[..]].concat();
                self.replace("Reply-To", field.body.clone(), body);
            }
            None => self.replace("Reply-To", field.whole.clone(), Vec::new()),
        }
    }
}

/// A mailbox as its field has it; only the address where the name beside it shows somebody else's.
fn mailbox_text(view: &View<'_>, mailbox: &Mailbox) -> Vec<u8> {
    let raw = &view.raw()[mailbox.range.clone()];
    let shown = addresses::in_text(&words::decode(raw));
    let own = |(local, domain): (String, String)| Mailbox { range: 0..0, display: None, local, domain }.normal() == mailbox.normal();
    if shown.into_iter().all(own) { raw.to_vec() } else { format!("<{}@{}>", mailbox.local, mailbox.domain).into_bytes() }
}

/// Where `for <recipient>` stands in a `Received` field (RFC 5321 §4.4), with the blanks before it.
fn for_clause(body: &[u8]) -> Option<Range<usize>> {
    let blank = |b: &u8| b.is_ascii_whitespace();
    (1..body.len()).find_map(|at| {
        let is_word = body[at..].get(..3).is_some_and(|w| w.eq_ignore_ascii_case(b"for")) && blank(&body[at - 1]);
        let after = body.get(at + 3..).filter(|rest| is_word && rest.first().is_some_and(blank))?;
        let start = at + 3 + after.iter().position(|b| !blank(b))?;
        let end = start + body[start..].iter().position(|b| blank(b) || *b == b';').unwrap_or(body.len() - start);
        let before = body[..at].iter().rposition(|b| !blank(b)).map_or(0, |i| i + 1);
        body[start..end].contains(&b'@').then_some(before..end)
    })
}

/// An entry that stays.
struct Kept {
    /// What stood between it and the entry before.
    gap: Range<usize>,
    range: Range<usize>,
    text: Vec<u8>,
}

/// Removes the DKIM signatures of `own_domains` (and what is below them) that cover a changed field: they would no longer verify
/// (RFC 6376 §3.5, §5.4). Says how many.
pub fn remove_dkim(view: &View<'_>, changed_fields: &[String], own_domains: &[String], plan: &mut EditPlan) -> usize {
    let mut removed = 0;
    for field in view.named("DKIM-Signature") {
        // RFC 6376 §3.2: white space within a tag list means nothing. Octets above 127 are in no tag that matters here.
        let tags: Vec<u8> = view.raw_body(field).iter().copied().filter(|b| b.is_ascii_graphic()).collect();
        let tags = String::from_utf8(tags).unwrap_or_default();
        let tag = |name: &str| tags.split(';').find_map(|t| t.split_once('=').filter(|(n, _)| *n == name)).map(|(_, v)| v);
        let own = tag("d").is_some_and(|d| {
            own_domains.iter().any(|o| {
                d.eq_ignore_ascii_case(o)
                    || d.len() > o.len()
                        && d.is_char_boundary(d.len() - o.len())
                        && d[d.len() - o.len()..].eq_ignore_ascii_case(o)
                        && d[..d.len() - o.len()].ends_with('.')
            })
        });
        // Every signature covers the body.
        let body = changed_fields.iter().any(|c| c == "body");
        let covers = body || tag("h").is_some_and(|h| h.split(':').any(|n| changed_fields.iter().any(|c| n.eq_ignore_ascii_case(c))));
        if own && covers && plan.edit(field.whole.clone(), Vec::new()).is_ok() {
            removed += 1;
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{RawMessage, Splice};
    use crate::smtp::address::Charset;

    fn hidden(raw: &str, if_empty: WhatIfToEmpty) -> (String, Hidden) {
        let message = RawMessage::new(raw.as_bytes().to_vec());
        let view = View::new(message.as_bytes());
        let mut plan = EditPlan::new();
        let hidden = hide_recipients(&view, &|m| m.domain == "wragby.uk", if_empty, &mut plan);
        (String::from_utf8(Splice::apply(&message, &plan).to_vec()).unwrap(), hidden)
    }

    #[test]
    fn fields_lose_outsiders_and_nothing_else() {
        let cases = [
            ("To: a@x.uk, b@y.uk", "To: undisclosed-recipients:;"),
            ("To: Clerk <clerk@wragby.uk>, a@x.uk", "To: Clerk <clerk@wragby.uk>"),
            (
                "To: a@x.uk,\r\n Clerk  <clerk@wragby.uk>,\r\n\tb@y.uk,\r\n\tchair@wragby.uk",
                "To: Clerk  <clerk@wragby.uk>,\r\n\tchair@wragby.uk",
            ),
            ("To: Al <a@x.uk>;Clerk <clerk@wragby.uk>;b@y.uk", "To: Clerk <clerk@wragby.uk>"),
            ("To: clerk@wragby.uk (for a@x.uk)", "To: <clerk@wragby.uk>"),
            ("To: \"a@x.uk\" <clerk@wragby.uk>", "To: <clerk@wragby.uk>"),
            ("To: =?utf-8?Q?a=40x.uk?= <clerk@wragby.uk>", "To: <clerk@wragby.uk>"),
            ("To: (a@x.uk)", "To: undisclosed-recipients:;"),
            ("To: <a@x.uk@wragby.uk>, chair@wragby.uk", "To: chair@wragby.uk"),
            ("To: =?utf-8?Q?Al_<a=40x.uk>?=", "To: undisclosed-recipients:;"),
            ("To: Friends: a@x.uk, clerk@wragby.uk;, chair@wragby.uk", "To: clerk@wragby.uk, chair@wragby.uk"),
            ("To: Council: chair@wragby.uk, clerk@wragby.uk;", "To: Council: chair@wragby.uk, clerk@wragby.uk;"),
            ("To: undisclosed-recipients:;", "To: undisclosed-recipients:;"),
            ("To: Clerk <clerk@wragby.uk>,, chair@wragby.uk", "To: Clerk <clerk@wragby.uk>,, chair@wragby.uk"),
            ("To: a@ x .uk b@y.uk, the clerk", "To: the clerk"),
            ("To: a@@b@ junk, clerk@wragby.uk", "To: clerk@wragby.uk"),
        ];
        for (before, after) in cases {
            let rest = "\r\nX-Odd:  z@x.uk \r\n\r\nbody a@x.uk\r\n";
            assert_eq!(hidden(&format!("{before}{rest}"), WhatIfToEmpty::default()).0, format!("{after}{rest}"), "{before}");
        }
    }

    #[test]
    fn all_fields_together() {
        let (out, what) = hidden(
            "Delivered-To: a@x.uk\r\nFrom: \"The Clerk\" <clerk@wragby.uk>\r\nReply-To: a@x.uk, b@y.uk\r\nTo: a@x.uk\r\nTo: A@X.uk\r\nCC: b@y.uk,\r\n c@z.uk\r\n\
             Bcc: d@z.uk\r\nMail-Followup-To: a@x.uk, chair@wragby.uk\r\nSubject: x\r\n\r\nbody",
            WhatIfToEmpty::Sender,
        );
        assert_eq!(
            out,
            "From: \"The Clerk\" <clerk@wragby.uk>\r\nReply-To: \"The Clerk\" <clerk@wragby.uk>\r\nTo: \"The Clerk\" <clerk@wragby.uk>\r\n\
             Mail-Followup-To: chair@wragby.uk\r\nSubject: x\r\n\r\nbody"
        );
        assert_eq!(what.count, 4);
        assert_eq!(what.fields, ["To", "Cc", "Bcc", "Mail-Followup-To", "Reply-To", "Delivered-To"]);
    }

    #[test]
    fn no_other_field_names_them() {
        let kept = "From: clerk@wragby.uk\r\nSubject: write to a@x.uk\r\nReferences: <a@x.uk>\r\nX-Author: clerk@wragby.uk\r\n\
                    X-MS-Exchange-Inbox-Rules-Loop: a@x.uk\r\nX-Other: z@x.uk\r\n";
        for gone in [
            "Return-Receipt-To: a@x.uk",
            "Mail-Reply-To: Al <a@x.uk>",
            "Errors-To: A@X.UK",
            "X-Forwarded-To: a@x.uk",
            "Comments: sent to b@y.uk\r\n as well",
            "X-Log: to=<a@x.uk>, b@y.uk ok",
            "X-To: =?utf-8?Q?a=40x.uk?=",
        ] {
            let raw = format!("{kept}{gone}\r\nTo: a@x.uk, b@y.uk\r\n\r\nbody a@x.uk");
            let expected = format!("{kept}To: undisclosed-recipients:;\r\n\r\nbody a@x.uk");
            assert_eq!(hidden(&raw, WhatIfToEmpty::default()).0, expected, "{gone}");
        }
        let received =
            "Received: from a by b\r\n\tfor <a@x.uk>; Thu, 14 May 2026 10:00:00 +0100\r\nReceived: from for by b for z@x.uk; x\r\n";
        assert_eq!(
            hidden(&format!("{received}To: a@x.uk\r\n\r\n"), WhatIfToEmpty::default()).0,
            format!("{}To: undisclosed-recipients:;\r\n\r\n", received.replace("\r\n\tfor <a@x.uk>", ""))
        );
        // Where nobody is hidden, nothing is touched.
        let raw = "From: clerk@wragby.uk\r\nX-Log: a@x.uk\r\nTo: chair@wragby.uk\r\n\r\n";
        assert_eq!(hidden(raw, WhatIfToEmpty::default()).0, raw);
    }

    #[test]
    fn one_reply_address_stays() {
        let raw = "From: clerk@wragby.uk\r\nReply-To: own@x.uk\r\nTo: a@x.uk\r\n\r\n";
        assert_eq!(
            hidden(raw, WhatIfToEmpty::default()).0,
            "From: clerk@wragby.uk\r\nReply-To: own@x.uk\r\nTo: undisclosed-recipients:;\r\n\r\n"
        );
    }

    #[test]
    fn long_lists_stay_folded() {
        let list: Vec<String> = (0..400).map(|i| format!("c{i}@wragby.uk, p{i}@x.uk")).collect();
        let (out, what) = hidden(&format!("To: {}\r\n\r\n", list.join(",\r\n ")), WhatIfToEmpty::default());
        assert_eq!(what.count, 400);
        assert!(out.lines().all(|l| l.len() <= 78) && !out.contains("@x.uk"));
        assert_eq!(View::new(out.as_bytes()).addresses(&View::new(out.as_bytes()).fields()[0]).len(), 400);
    }

    fn copy_for(own: &str, raw: &str) -> String {
        let message = RawMessage::new(raw.as_bytes().to_vec());
        let view = View::new(message.as_bytes());
        let mut plan = EditPlan::new();
        only_recipient(&view, &Address::parse(own, Charset::Ascii).unwrap(), &|m| m.domain == "wragby.uk", &mut plan);
        String::from_utf8(Splice::apply(&message, &plan).to_vec()).unwrap()
    }

    #[test]
    fn a_copy_shows_its_own_recipient() {
        let start = "From: clerk@wragby.uk\r\n";
        let rest = "Message-ID: <1@wragby.uk>\r\nReply-To: office@wragby.uk\r\nReturn-Receipt-To: clerk@wragby.uk\r\n\r\nDear b@y.uk\r\n";
        let cases = [
            ("To: Al <a@x.uk>,\r\n b@y.uk\r\nCc: c@z.uk\r\n", "To: Al <a@x.uk>\r\n"),
            // Neither the author nor the council's other addresses stand beside them.
            ("To: clerk@wragby.uk, office@wragby.uk, A@X.UK\r\nX-Log: b@y.uk\r\nBcc: b@y.uk\r\n", "To: A@X.UK\r\n"),
            ("To: b@y.uk\r\nX-Log: to b@y.uk\r\nCc: \"Al, of X\" <a@x.uk>, c@z.uk\r\n", "To: \"Al, of X\" <a@x.uk>\r\n"),
            ("To: office@wragby.uk\r\n", "To: a@x.uk\r\n"),
            ("To: undisclosed-recipients:;\r\n", "To: a@x.uk\r\n"),
            // A name that shows somebody else.
            ("To: b@y.uk\r\nCc: \"for b@y.uk\" <a@x.uk>\r\n", "To: <a@x.uk>\r\n"),
        ];
        for (before, after) in cases {
            assert_eq!(copy_for("a@x.uk", &format!("{start}{before}{rest}")), format!("{start}{after}{rest}"), "{before}");
        }
        for before in ["", "Cc: a@x.uk, b@y.uk\r\n", "Bcc: b@y.uk, a@x.uk\r\n"] {
            assert_eq!(copy_for("a@x.uk", &format!("{start}{before}{rest}")), format!("To: a@x.uk\r\n{start}{rest}"), "{before}");
        }
        // Several who would get the answers are told apart from one another as before.
        let raw = "From: clerk@wragby.uk\r\nReply-To: b@y.uk, c@z.uk\r\nTo: a@x.uk, b@y.uk\r\n\r\n";
        assert_eq!(copy_for("a@x.uk", raw), "From: clerk@wragby.uk\r\nReply-To: clerk@wragby.uk\r\nTo: a@x.uk\r\n\r\n");
    }

    #[test]
    fn of_two_hundred_each_sees_one() {
        let all: Vec<String> = (0..200).map(|i| format!("p{i}@x.uk")).collect();
        let raw = format!(
            "From: clerk@wragby.uk\r\nTo: {}\r\nCc: {}\r\nSubject: x\r\n\r\nbody",
            all[..100].join(",\r\n "),
            all[100..].join(", ")
        );
        for own in &all {
            assert_eq!(copy_for(own, &raw), format!("From: clerk@wragby.uk\r\nTo: {own}\r\nSubject: x\r\n\r\nbody"));
        }
    }

    #[test]
    fn own_signatures_over_changed_fields_go() {
        let raw = "DKIM-Signature: v=1; d=wragby.uk; h=from:to:\r\n subject; b=x\r\nDKIM-Signature: d=other.uk; h=to\r\nDKIM-Signature: d=mail.wragby.uk; h=from : TO; b=y\r\nDKIM-Signature: d=wragby.uk; h=from\r\nTo: x\r\n\r\n";
        let message = RawMessage::new(raw.as_bytes().to_vec());
        let mut plan = EditPlan::new();
        assert_eq!(remove_dkim(&View::new(message.as_bytes()), &["To".into()], &["wragby.uk".into()], &mut plan), 2);
        assert_eq!(
            Splice::apply(&message, &plan).to_vec(),
            b"DKIM-Signature: d=other.uk; h=to\r\nDKIM-Signature: d=wragby.uk; h=from\r\nTo: x\r\n\r\n"
        );
    }
}
