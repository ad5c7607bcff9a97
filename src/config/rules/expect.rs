//! `[[expect]]`: a sample message and the disposition that the rules must give it. A change of rules that breaks one is refused.

use std::path::Path;

use super::reader::Reader;
use super::{Doc, Site};
use crate::config::Diagnostics;
use crate::message::{RawMessage, View};
use crate::policy::detect::recipients;
use crate::policy::{Case, Envelope, Facts, Login, Outside, Policy, Recipient, Role, Session, evaluate};
use crate::smtp::address::Charset;
use crate::smtp::{Address, ReversePath};

const LARGEST: u64 = 64 << 20;

pub fn run(docs: &[Doc<'_>], site: &Site<'_>, policy: &Policy, d: &mut Diagnostics) {
    for doc in docs {
        let reader = Reader::new(doc.source, doc.faults);
        for (span, table) in reader.tables(doc.root, "expect", d) {
            reader.only(table, &["message", "disposition", "mail-from", "rcpt-to", "role", "listener"], "an expectation", d);
            let (Some(message), Some(wanted)) =
                (reader.text(table, "message", d), reader.word(table, "disposition", &["deliver", "hold", "defer", "reject"], d))
            else {
                if table.get("message").is_none() || table.get("disposition").is_none() {
                    reader.error(
                        span,
                        "an expectation needs a message and a disposition",
                        "Add: message = \"samples/a.eml\" and disposition = \"reject\".",
                        d,
                    );
                }
                continue;
            };
            let raw = match doc.beside(message.get_ref(), ".eml").and_then(|path| read(&path)) {
                Ok(raw) => raw,
                Err(error) => {
                    reader.error(
                        message.span(),
                        format!("the sample \"{}\" cannot be read: {error}", message.get_ref()),
                        "The path is relative to this rule file.",
                        d,
                    );
                    continue;
                }
            };
            let parse = |text: &str| Address::parse(text, Charset::Utf8).ok();
            let view = View::new(raw.as_bytes());
            let first = |names: &[&str]| recipients::named(&view, names).into_iter().map(|(a, _)| a).collect::<Vec<_>>();
            let reverse_path = match reader.text(table, "mail-from", d) {
                Some(text) if text.get_ref().is_empty() => ReversePath::Null,
                Some(text) => match parse(text.get_ref()) {
                    Some(address) => ReversePath::Address(address),
                    None => {
                        reader.error(
                            text.span(),
                            format!("\"{}\" is not an address", text.get_ref()),
                            "Write mail-from = \"clerk@x.gov.uk\".",
                            d,
                        );
                        continue;
                    }
                },
                None => first(&["From"]).first().and_then(|a| parse(a)).map_or(ReversePath::Null, ReversePath::Address),
            };
            let texts = match reader.texts(table, "rcpt-to", d) {
                Some(texts) => texts.into_iter().map(|t| t.into_inner()).collect(),
                None => first(&["To", "Cc", "Bcc"]),
            };
            let recipients = texts.iter().filter_map(|t| parse(t)).map(|address| Recipient { address, reply_code: 250 }).collect();
            let listener = reader.text(table, "listener", d).map(|l| l.into_inner());
            let known = listener.as_ref().and_then(|l| site.listeners.iter().find(|(name, _)| **name == **l)).or(site.listeners.first());
            let role = match reader.word(table, "role", &["submission", "connector", "mx"], d).as_deref() {
                Some("submission") => Role::Submission,
                Some("connector") => Role::Connector,
                Some(_) => Role::Mx,
                None => known.map_or(Role::Submission, |(_, role)| *role),
            };
            let session =
                Session { role, listener: known.map_or("sample".into(), |(name, _)| name.clone()), login: Login::None, tls: true };
            let envelope = Envelope { reverse_path, recipients };
            let outside = Outside::unknown("samples are judged without asking anybody");
            let case = Case { message: &raw, envelope: &envelope, session: &session, now: jiff::Zoned::now(), outside: &outside };
            let facts = Facts::new(&case, policy);
            let verdict = evaluate(policy, &facts);
            if verdict.disposition.word() != wanted {
                let why = match &verdict.decided_by {
                    Some(rule) => format!("the rule \"{rule}\" decides so"),
                    None => "no rule stops it".to_string(),
                };
                reader.error(
                    message.span(),
                    format!("the sample \"{}\" gets {}, and {wanted} is expected: {why}", message.get_ref(), verdict.disposition.word()),
                    "`lychgate explain --all` on the sample tells why each rule matched or did not.",
                    d,
                );
            }
        }
    }
}

/// A sample as it would have come over the wire: LF counts as CRLF, an mbox From line is skipped.
fn read(path: &Path) -> std::io::Result<RawMessage> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
    let start = if bytes.starts_with(b"From ") { memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |i| i + 1) } else { 0 };
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    for line in bytes[start..].split_inclusive(|b| *b == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                out.extend_from_slice(b"\r\n");
            }
            None => out.extend_from_slice(line),
        }
    }
    Ok(RawMessage::new(out))
}
