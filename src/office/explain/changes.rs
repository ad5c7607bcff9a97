//! What changes in a message, field by field: how many addresses before and after, never which.

use crate::message::View;
use crate::policy::verdict::FieldEdit;

/// One field that leaves otherwise than it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub field: String,
    /// The rules that asked for it.
    pub rules: Vec<String>,
    pub before: String,
    pub after: String,
}

/// Fields whose text is shown: it is the sender's own, and no address stands in it.
const SHOWN: &[&str] = &["subject"];

/// `before` as it came, `after` as it would leave.
pub fn changes(before: &[u8], after: &[u8], edits: &[FieldEdit]) -> Vec<Change> {
    let (before, after) = (View::new(before), View::new(after));
    let mut out: Vec<Change> = Vec::new();
    for edit in edits {
        match out.iter_mut().find(|c| c.field.eq_ignore_ascii_case(&edit.field)) {
            Some(known) if known.rules.iter().any(|r| *r == *edit.rule) => {}
            Some(known) => known.rules.push(edit.rule.to_string()),
            None => out.push(Change {
                field: edit.field.clone(),
                rules: vec![edit.rule.to_string()],
                before: state(&before, &edit.field),
                after: state(&after, &edit.field),
            }),
        }
    }
    out
}

fn state(view: &View<'_>, name: &str) -> String {
    let fields: Vec<_> = view.named(name).collect();
    if fields.is_empty() {
        return "not there".into();
    }
    if SHOWN.iter().any(|s| s.eq_ignore_ascii_case(name)) {
        return format!("\"{}\"", fields.iter().map(|f| view.text(f)).collect::<Vec<_>>().join("\", \"").trim());
    }
    let lists_addresses = crate::policy::detect::recipients::VISIBLE.iter().any(|v| v.eq_ignore_ascii_case(name));
    if lists_addresses {
        let n: usize = fields.iter().flat_map(|f| view.addresses(f)).map(|e| e.mailboxes().len()).sum();
        return match n {
            0 => "no address".into(),
            1 => "1 address".into(),
            n => format!("{n} addresses"),
        };
    }
    match fields.len() {
        1 => "there".into(),
        n => format!("there, {n} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_and_not_shown() {
        let before = b"From: a@x.uk\r\nTo: b@y.uk, C <c@y.uk>, g: d@y.uk;\r\nSubject: [x: y] Fete\r\nReply-To: e@y.uk\r\n\r\nx\r\n";
        let after = b"From: a@x.uk\r\nTo: undisclosed-recipients:;\r\nSubject: Fete\r\nX-Council: yes\r\n\r\nx\r\n";
        let edit = |field: &str, rule: &str| FieldEdit { field: field.into(), rule: rule.into() };
        let edits = [edit("To", "hide"), edit("to", "tidy"), edit("Subject", "hide"), edit("Reply-To", "hide"), edit("X-Council", "stamp")];
        let said: Vec<_> = changes(before, after, &edits).into_iter().map(|c| (c.field, c.rules.join("+"), c.before, c.after)).collect();
        let line = |a: &str, b: &str, c: &str, d: &str| (a.to_string(), b.to_string(), c.to_string(), d.to_string());
        assert_eq!(
            said,
            [
                line("To", "hide+tidy", "3 addresses", "no address"),
                line("Subject", "hide", "\"[x: y] Fete\"", "\"Fete\""),
                line("Reply-To", "hide", "1 address", "not there"),
                line("X-Council", "stamp", "not there", "there"),
            ]
        );
    }
}
