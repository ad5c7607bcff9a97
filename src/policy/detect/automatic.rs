//! Mail that no person wrote just now: answers of absent people, bounces, receipts, machines; lists; invitations.

use crate::message::View;
use crate::policy::condition::Automatic;

/// What kind of automatic mail this is; none for a person's. `null_path`: the reverse path is `<>` (RFC 5321 §4.5.5).
pub fn kind(view: &View<'_>, null_path: bool) -> Option<Automatic> {
    // RFC 3834 §5; anything but "no" was made without a person.
    for field in view.named("Auto-Submitted") {
        let value = view.unfolded(field);
        let word = value.split(|b| matches!(b, b';' | b' ' | b'(')).next().unwrap_or_default().to_ascii_lowercase();
        match word.as_slice() {
            b"no" | b"" => {}
            b"auto-replied" if report_type(view).is_none() => return Some(Automatic::Reply),
            b"auto-replied" => {}
            _ => return Some(Automatic::Generated),
        }
    }
    match report_type(view).as_deref() {
        // RFC 8098 §3, RFC 3464 §2.
        Some("disposition-notification") => return Some(Automatic::Receipt),
        Some("delivery-status") => return Some(Automatic::Bounce),
        _ => {}
    }
    if view
        .fields()
        .iter()
        .any(|f| ["X-Autoreply", "X-Autorespond", "X-AutoReply-From"].iter().any(|n| view.name(f).eq_ignore_ascii_case(n)))
    {
        return Some(Automatic::Reply);
    }
    if view.named("Precedence").any(|f| view.unfolded(f).eq_ignore_ascii_case(b"auto_reply")) {
        return Some(Automatic::Reply);
    }
    null_path.then_some(Automatic::Bounce)
}

/// `report-type` of a `multipart/report` (RFC 6522), read from the message's own header only.
fn report_type(view: &View<'_>) -> Option<String> {
    let field = view.named("Content-Type").next()?;
    let value = String::from_utf8_lossy(&view.unfolded(field)).to_ascii_lowercase();
    if !value.trim_start().starts_with("multipart/report") {
        return None;
    }
    let rest = &value[value.find("report-type")? + "report-type".len()..];
    let rest = rest.trim_start().strip_prefix('=')?.trim_start().trim_start_matches('"');
    Some(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect())
}

/// Traffic of a mailing list (RFC 2919, RFC 2369).
pub fn is_list_mail(view: &View<'_>) -> bool {
    view.named("List-Id").next().is_some()
        || view.named("List-Post").next().is_some()
        || view.named("Precedence").any(|f| view.unfolded(f).eq_ignore_ascii_case(b"list"))
}

/// An invitation or another calendar object (RFC 5546, RFC 6047).
pub fn is_calendar(view: &View<'_>) -> bool {
    if view.named("Content-Class").any(|f| view.unfolded(f).to_ascii_lowercase().starts_with(b"urn:content-classes:calendarmessage")) {
        return true;
    }
    view.parts().iter().any(|p| {
        matches!(p.content_type.as_str(), "text/calendar" | "application/ics")
            || p.file_name
                .as_deref()
                .is_some_and(|n| n.len() >= 4 && n.is_char_boundary(n.len() - 4) && n[n.len() - 4..].eq_ignore_ascii_case(".ics"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let kind = |header: &str, null| kind(&View::new(format!("{header}\r\n\r\n").as_bytes()), null);
        assert_eq!(kind("Subject: x", false), None);
        assert_eq!(kind("Auto-Submitted: no", false), None);
        assert_eq!(kind("Auto-Submitted: auto-replied (vacation)", false), Some(Automatic::Reply));
        assert_eq!(kind("Auto-Submitted: auto-generated; x=y", false), Some(Automatic::Generated));
        assert_eq!(kind("Content-Type: multipart/report; boundary=x;\r\n report-type=delivery-status", false), Some(Automatic::Bounce));
        assert_eq!(
            kind("Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; report-type=\"disposition-notification\"", false),
            Some(Automatic::Receipt)
        );
        assert_eq!(kind("Subject: x", true), Some(Automatic::Bounce));
        assert_eq!(kind("Precedence: bulk", false), None);
    }
}
