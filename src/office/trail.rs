//! What became of a message, in words.

use crate::records::trace::Hit;

/// What happened to the message as a whole.
pub fn outcome(hit: &Hit) -> String {
    let row = &hit.row;
    match (row.disposition.as_str(), row.outcome_code) {
        ("reject", _) if row.rules.is_empty() => "refused by the gateway before any rule was asked; nobody received it".into(),
        ("reject", _) => "refused by the council's policy; nobody received it".into(),
        ("defer", _) => "put off by the council's policy; the sender's program was asked to try again".into(),
        ("hold", _) => "held by the council's policy".into(),
        (_, Some(code)) if code / 100 == 2 && row.upstream_reply.is_none() => {
            "taken by the gateway itself; what became of it then stands under the same reference".into()
        }
        (_, Some(code)) if code / 100 == 2 => "delivered to the provider".into(),
        (_, Some(code)) if row.upstream_reply.is_none() => {
            format!("not confirmed by the provider, so perhaps delivered ({code}); the sender's program was asked to try again")
        }
        (_, Some(code)) if code / 100 == 5 => format!("refused by the provider ({code})"),
        (_, Some(code)) => format!("not taken by the provider for now ({code}); the sender's program was asked to try again"),
        (_, None) => "not known: the message was let through, and the answer was never recorded".into(),
    }
}

/// What became of the copy for the one that was asked for.
pub fn for_recipient(hit: &Hit) -> String {
    match (hit.row.disposition.as_str(), hit.recipient_code) {
        ("reject" | "defer" | "hold", Some(code)) if code / 100 != 2 => format!("not sent to them ({code})"),
        (_, Some(0)) => "not known".into(),
        ("hold", Some(_)) => "held; it was not sent to them by then".into(),
        (_, Some(code)) if code / 100 == 2 && hit.row.upstream_reply.is_none() => "not sent to them by then".into(),
        (_, Some(code)) if code / 100 == 2 => format!("accepted by the provider for them ({code})"),
        (_, Some(code)) => format!("refused by the provider for them ({code})"),
        (_, None) => "was not a recipient".into(),
    }
}

/// How many there were of each kind, and at which domains outside.
pub fn recipients(hit: &Hit) -> String {
    let c = &hit.row.classes;
    let total = c.internal + c.partner + c.personal + c.external;
    let parts: Vec<String> =
        [(c.internal, "council"), (c.partner, "partner"), (c.personal, "personal account"), (c.external, "other outside")]
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{n} {what}"))
            .collect();
    let domains = &hit.row.external_domains;
    let shown = domains.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
    let more = if domains.len() > 10 { format!(" and {} more", domains.len() - 10) } else { String::new() };
    let at = if domains.is_empty() { String::new() } else { format!("; at {shown}{more}") };
    format!("{total} {} ({}{at})", if total == 1 { "recipient" } else { "recipients" }, parts.join(", "))
}
