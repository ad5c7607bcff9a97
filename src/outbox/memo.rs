//! A plain letter to somebody at the council: a hold that ends, a request that is due, what became of their message.

use mail_builder::MessageBuilder;
use mail_builder::headers::date::Date;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::raw::Raw;

use super::desk::notice_to;
use super::letter::{bare_id, is_plain_id, line, plain};
use super::{Options, Page};
use crate::records::StoreError;
use crate::records::custody::Deposit;
use crate::records::sealing::random_octets;
use crate::smtp::address::{Address, Charset};

/// Longest paragraph, in characters.
const TEXT: usize = 2_000;

/// The letter, to be taken into custody: by the gateway, or by the command line beside it. `now` in milliseconds since 1970. Errors if
/// `to` is no address.
pub fn letter_to(to: &str, subject: &str, paragraphs: &[String], options: &Options, now: i64) -> Result<Deposit, StoreError> {
    let content = compose(to, None, subject, paragraphs, options, now)?;
    let gives_up = now.saturating_add(i64::try_from(options.pace.gives_up.as_millis()).unwrap_or(i64::MAX));
    Ok(notice_to(to, content, Vec::new(), now, gives_up, ""))
}

/// The letter's octets; `about` is the Message-ID of its reader's own message, if there is one. `now` in milliseconds since 1970.
pub(super) fn compose(
    to: &str,
    about: Option<&str>,
    subject: &str,
    paragraphs: &[String],
    options: &Options,
    now: i64,
) -> Result<Vec<u8>, StoreError> {
    let mut text = String::new();
    for paragraph in paragraphs {
        line(&mut text, &plain(paragraph, TEXT));
        text.push_str("\r\n");
    }
    letter(to, about, subject, text, options, now)
}

/// The same of a page, whose lines stay as they are.
pub(super) fn page(to: &str, page: &Page, options: &Options, now: i64) -> Result<Vec<u8>, StoreError> {
    let mut text = String::new();
    for said in page.text.lines() {
        let bare = said.trim_start_matches(' ');
        line(&mut text, &format!("{}{}", &said[..said.len() - bare.len()], plain(bare, TEXT)));
    }
    text.push_str("\r\n");
    letter(to, None, &page.subject, text, options, now)
}

fn letter(to: &str, about: Option<&str>, subject: &str, mut text: String, options: &Options, now: i64) -> Result<Vec<u8>, StoreError> {
    // What is no address could carry commands into the envelope.
    Address::parse(to, Charset::Utf8).map_err(|_| StoreError::Damaged)?;
    let id: String = random_octets::<16>()?.iter().map(|b| format!("{b:02x}")).collect();
    let domain = options.from.rsplit_once('@').map_or("localhost", |(_, d)| d);
    line(&mut text, &format!("This was written by the mail gateway of {}. Replies to it are not read.", plain(&options.council, 80)));
    let mut message = MessageBuilder::new()
        .date(Date::new(now / 1000))
        .from((format!("{} mail gateway", plain(&options.council, 80)), options.from.clone()))
        .to(to.to_string())
        .subject(plain(subject, 120))
        .message_id(format!("{id}@{domain}"))
        // RFC 3834 §5, and Exchange's word for the same: no out-of-office answers this.
        .header("Auto-Submitted", Raw::new("auto-generated"))
        .header("X-Auto-Response-Suppress", Raw::new("All"));
    if let Some(original) = about.map(bare_id).filter(|id| is_plain_id(id)) {
        message = message.in_reply_to(MessageId::new(original.to_string())).references(MessageId::new(original.to_string()));
    }
    message.text_body(text).write_to_vec().map_err(|_| StoreError::Damaged)
}
