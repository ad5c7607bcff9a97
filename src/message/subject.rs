//! Changes to the subject: a tag put in front, the sender's override taken out.

use std::ops::Range;

use super::header::Field;
use super::{EditPlan, View, words};

/// Puts `tag` in front of the subject, once; adds a Subject if there is none. Says whether anything changed.
pub fn tag_subject(view: &View<'_>, tag: &str, plan: &mut EditPlan) -> bool {
    let tag: String = tag.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let tag = tag.trim();
    if tag.is_empty() || view.subject().to_lowercase().contains(&tag.to_lowercase()) {
        return false;
    }
    let Some(field) = view.named("Subject").next() else {
        let end = view.fields().last().map_or(0, |f| f.whole.end);
        // A last field without its line end must get one first.
        let mut with = if end > 0 && view.raw()[end - 1] != b'\n' { b"\r\n".to_vec() } else { Vec::new() };
        with.extend_from_slice(b"Subject: ");
        with.extend_from_slice(&words::encode(tag, 9));
        with.extend_from_slice(b"\r\n");
        return plan.edit(end..end, with).is_ok();
    };
    let body = view.raw_body(field);
    let blanks = leading_blanks(body);
    // The blank between two encoded words vanishes, so that it must stand inside one.
    let mut with = if tag.is_ascii() { tag.as_bytes().to_vec() } else { words::encode(&format!("{tag} "), 9) };
    let first_line = body.len().min(memchr::memchr(b'\r', body).unwrap_or(body.len()));
    let rest_is_blank = body[blanks..].trim_ascii().is_empty();
    if blanks == 0 {
        with.insert(0, b' ');
    }
    if !rest_is_blank {
        let wide = field.body.start - field.whole.start + first_line + with.len() > 76;
        with.extend_from_slice(if wide && first_line > blanks { b"\r\n " } else { b" " });
    }
    let at = field.body.start + blanks;
    plan.edit(at..at, with).is_ok()
}

/// Finds `[name: reason]` in the decoded subject, cuts it from the subject, and returns the reason.
pub fn cut_override(view: &View<'_>, name: &str, plan: &mut EditPlan) -> Option<String> {
    cut_overrides(view, &[name], plan).pop().flatten()
}

/// As [`cut_override`] for several names at once, in their order: one subject can be rewritten only once.
pub fn cut_overrides(view: &View<'_>, names: &[&str], plan: &mut EditPlan) -> Vec<Option<String>> {
    let mut reasons = vec![None; names.len()];
    for field in view.named("Subject") {
        let text = view.text(field);
        let mut cuts = Vec::new();
        for (name, reason) in names.iter().zip(&mut reasons) {
            for found in find_all(&text, name) {
                reason.get_or_insert(found.reason);
                cuts.push(found.range);
            }
        }
        cuts.sort_by_key(|c| c.start);
        cuts.dedup();
        if !cuts.is_empty() {
            cut(view, field, &text, &cuts, plan);
        }
    }
    reasons
}

/// The reason in `[name: reason]`, without changing anything.
pub fn override_reason(view: &View<'_>, name: &str) -> Option<String> {
    view.named("Subject").find_map(|field| find_all(&view.text(field), name).into_iter().next()).map(|found| found.reason)
}

struct Found {
    range: Range<usize>,
    reason: String,
}

/// Every `[name: reason]` in any case, with its place in `subject`. Without a reason it is none.
fn find_all(subject: &str, name: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for (start, _) in subject.match_indices('[') {
        let inner = subject[start + 1..].trim_start();
        let Some(rest) = inner.get(..name.len()).filter(|n| n.eq_ignore_ascii_case(name)).map(|_| inner[name.len()..].trim_start()) else {
            continue;
        };
        let Some(rest) = rest.strip_prefix(':') else { continue };
        let Some(length) = rest.find(']') else { break };
        let reason = rest[..length].trim();
        if !reason.is_empty() {
            let end = subject.len() - rest.len() + length + 1;
            found.push(Found { range: start..end, reason: reason.to_string() });
        }
    }
    found
}

/// Takes `cuts` out of the field: of its octets where those are the text, else by writing it anew.
fn cut(view: &View<'_>, field: &Field, text: &str, cuts: &[Range<usize>], plan: &mut EditPlan) {
    let body = view.raw_body(field);
    let blanks = leading_blanks(body);
    let widened: Vec<Range<usize>> = cuts.iter().map(|c| with_one_blank(text, c)).collect();
    if let Some(places) = places(body, text) {
        let end = |i: usize| places.get(i).copied().unwrap_or(body.trim_ascii_end().len());
        for c in &widened {
            // Line ends between the octets go with them; if a blank line were left, folding would break.
            let _ = plan.edit(field.body.start + end(c.start)..field.body.start + end(c.end), Vec::new());
        }
        return;
    }
    let mut left = String::with_capacity(text.len());
    let mut from = 0;
    for c in &widened {
        left.push_str(text.get(from..c.start).unwrap_or_default());
        from = c.end.max(from);
    }
    left.push_str(&text[from..]);
    let used = field.body.start - field.whole.start + blanks;
    let _ = plan.edit(field.body.start + blanks..field.body.end, words::encode(left.trim(), used));
}

/// A cut with one of the blanks beside it, so that none is doubled.
fn with_one_blank(text: &str, cut: &Range<usize>) -> Range<usize> {
    if text[cut.end..].starts_with(' ') {
        cut.start..cut.end + 1
    } else if text[..cut.start].ends_with(' ') {
        cut.start - 1..cut.end
    } else {
        cut.clone()
    }
}

/// For each octet of `text` its place in `body`; none where the text is not the octets themselves, on one line.
fn places(body: &[u8], text: &str) -> Option<Vec<usize>> {
    if memchr::memchr2(b'\r', b'\n', body.trim_ascii()).is_some() {
        return None;
    }
    let start = body.len() - body.trim_ascii_start().len();
    (body.trim_ascii() == text.as_bytes()).then(|| (start..start + text.len()).collect())
}

fn leading_blanks(body: &[u8]) -> usize {
    body.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(body.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{RawMessage, Splice};

    fn changed(raw: &str, change: impl Fn(&View<'_>, &mut EditPlan)) -> String {
        let message = RawMessage::new(raw.as_bytes().to_vec());
        let mut plan = EditPlan::new();
        change(&View::new(message.as_bytes()), &mut plan);
        String::from_utf8(Splice::apply(&message, &plan).to_vec()).unwrap()
    }

    #[test]
    fn tags_once() {
        for (before, after) in [
            ("Subject: Agenda\r\n\r\nx", "Subject: [Warn] Agenda\r\n\r\nx"),
            ("Subject:Agenda\r\n\r\nx", "Subject: [Warn] Agenda\r\n\r\nx"),
            ("Subject: Re: [warn] Agenda\r\n\r\nx", "Subject: Re: [warn] Agenda\r\n\r\nx"),
            ("From: x\r\n\r\nx", "From: x\r\nSubject: [Warn]\r\n\r\nx"),
            ("Subject: \r\n\r\nx", "Subject: [Warn]\r\n\r\nx"),
            ("Subject: =?utf-8?Q?caf=C3=A9?=\r\n\r\nx", "Subject: [Warn] =?utf-8?Q?caf=C3=A9?=\r\n\r\nx"),
        ] {
            assert_eq!(
                changed(before, |v, p| {
                    tag_subject(v, "[Warn]", p);
                }),
                after
            );
        }
        let long = format!("Subject: {}\r\n\r\n", "word ".repeat(14).trim());
        assert!(
            changed(&long, |v, p| {
                tag_subject(v, "[Warn]", p);
            })
            .starts_with("Subject: [Warn]\r\n word")
        );
    }

    #[test]
    fn cuts_the_override() {
        for (before, after, reason) in [
            ("Subject: [Show-Recipients: they asked] Agenda\r\n\r\nx", "Subject: Agenda\r\n\r\nx", Some("they asked")),
            ("Subject: Agenda [show-recipients: they asked]\r\n\r\nx", "Subject: Agenda\r\n\r\nx", Some("they asked")),
            ("Subject: The [show-recipients:ok] agenda  of May\r\n\r\nx", "Subject: The agenda  of May\r\n\r\nx", Some("ok")),
            ("Subject: Agenda [show-recipients: ]\r\n\r\nx", "Subject: Agenda [show-recipients: ]\r\n\r\nx", None),
            ("Subject: Agenda [show-recipients]\r\n\r\nx", "Subject: Agenda [show-recipients]\r\n\r\nx", None),
            ("Subject: Agenda [show-recipients:\r\n they asked] now\r\n\r\nx", "Subject: Agenda now\r\n\r\nx", Some("they asked")),
            ("Subject: =?utf-8?Q?Caf=C3=A9_[show-recipients:_ok]?=\r\n\r\nx", "Subject: =?utf-8?B?Q2Fmw6k=?=\r\n\r\nx", Some("ok")),
            ("Subject: Café [show-recipients: ok]\r\n\r\nx", "Subject: Café\r\n\r\nx", Some("ok")),
        ] {
            assert_eq!(changed(before, |v, p| assert_eq!(cut_override(v, "show-recipients", p).as_deref(), reason)), after);
        }
    }
}
