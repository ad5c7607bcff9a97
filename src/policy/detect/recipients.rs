//! Who can be seen in a message.

use std::collections::HashSet;

use crate::message::{Field, Mailbox, Part, View};
use crate::policy::people::{Class, domain_of};
use crate::policy::rule::Policy;

/// Header fields in which readers see addresses.
pub const VISIBLE: &[&str] = &["To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc", "Reply-To", "Mail-Followup-To", "Apparently-To"];

/// The distinct addresses that a reader sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visible {
    /// Normal form and class, in the order that they stand.
    pub all: Vec<(String, Class)>,
}

impl Visible {
    /// External and not trusted.
    pub fn external(&self) -> usize {
        self.all.iter().filter(|(_, class)| class.is_stranger()).count()
    }

    pub fn personal(&self) -> usize {
        self.all.iter().filter(|(_, class)| *class == Class::Personal).count()
    }

    /// Domains of those who are hidden from one another, each once.
    pub fn external_domains(&self) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for (address, _) in self.all.iter().filter(|(_, class)| class.is_stranger()) {
            let domain = domain_of(address);
            if !out.iter().any(|d| d == domain) {
                out.push(domain.to_string());
            }
        }
        out
    }
}

/// All addresses in the fields that show them, groups expanded, each once.
pub fn visible(view: &View<'_>, policy: &Policy) -> Visible {
    let mut seen = HashSet::new();
    let mut out = Visible::default();
    for field in view.fields() {
        let name = view.name(field);
        if VISIBLE.iter().any(|v| v.eq_ignore_ascii_case(name)) {
            // What one program shows is shown, whatever another makes of it.
            add(&view.every_mailbox(field).iter().collect::<Vec<_>>(), policy, &mut seen, &mut out);
        }
    }
    out
}

fn add(mailboxes: &[&Mailbox], policy: &Policy, seen: &mut HashSet<String>, out: &mut Visible) {
    for mailbox in mailboxes {
        let address = mailbox.normal();
        if !seen.contains(&address) {
            seen.insert(address.clone());
            let class = policy.classify(&address);
            out.all.push((address, class));
        }
    }
}

/// The addresses in the named fields, in normal form, each once, with the name beside them.
pub fn named(view: &View<'_>, names: &[&str]) -> Vec<(String, Option<String>)> {
    let mut out: Vec<(String, Option<String>)> = Vec::new();
    let mut seen = HashSet::new();
    for field in view.fields() {
        let name = view.name(field);
        if names.iter().any(|n| n.eq_ignore_ascii_case(name)) {
            for mailbox in view.addresses(field).iter().flat_map(|e| e.mailboxes()) {
                let address = mailbox.normal();
                if seen.insert(address.clone()) {
                    out.push((address, mailbox.display.clone()));
                }
            }
        }
    }
    out
}

/// Addresses visible in the To and Cc of a header that stands inside a signed or encrypted part: protected header fields
/// (RFC 9788 §4: `hp=` on the part's Content-Type; earlier drafts: `protected-headers="v1"`), or a message wrapped whole in
/// `message/rfc822` below a signature. Taking addresses out of the outer header does not hide these.
pub fn inner(view: &View<'_>, policy: &Policy) -> Visible {
    let mut seen = HashSet::new();
    let mut out = Visible::default();
    let parts = view.parts();
    for (i, part) in parts.iter().enumerate() {
        let protected = part.param("hp").is_some() || part.param("protected-headers").is_some();
        let wrapped = i > 0 && is_wrapped_message(parts, part);
        if (i > 0 && protected) || wrapped {
            let mailboxes: Vec<Mailbox> = inner_fields(view, parts, part, wrapped)
                .iter()
                .filter(|f| ["To", "Cc"].iter().any(|n| view.name(f).eq_ignore_ascii_case(n)))
                .flat_map(|f| view.addresses(f))
                .flat_map(|e| e.mailboxes().to_vec())
                .collect();
            add(&mailboxes.iter().collect::<Vec<_>>(), policy, &mut seen, &mut out);
        }
    }
    out.all.retain(|(_, class)| class.is_stranger());
    out
}

fn inner_fields(view: &View<'_>, parts: &[Part], part: &Part, wrapped: bool) -> Vec<Field> {
    if !wrapped {
        return view.part_fields(part);
    }
    // A walked message/rfc822 is followed by the message in it.
    let next = parts.iter().position(|p| std::ptr::eq(p, part)).and_then(|i| parts.get(i + 1));
    next.filter(|_| part.nested_message).map(|p| view.part_fields(p)).unwrap_or_default()
}

fn is_wrapped_message(parts: &[Part], part: &Part) -> bool {
    let mut parent = part.parent.and_then(|p| parts.get(p));
    if part.content_type != "message/rfc822" {
        return false;
    }
    while let Some(p) = parent {
        if matches!(p.content_type.as_str(), "multipart/signed" | "application/pkcs7-mime" | "application/x-pkcs7-mime") {
            return true;
        }
        // A forwarded message beside the text of a signed one is no wrap.
        if p.is_multipart {
            return false;
        }
        parent = p.parent.and_then(|i| parts.get(i));
    }
    false
}
