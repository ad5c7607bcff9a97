//! One parcel over one connection: the gateway as a client (RFC 5321 §3.3), and what became of each recipient.
//!
//! Parameters go as the client gave them, where the upstream takes them. What it cannot take is refused here, with the code that it
//! would have given.

use crate::message::{EditPlan, RawMessage, Splice};
use crate::observe::crash::{self, Point};
use crate::records::custody::{Fate, Sheet};
use crate::smtp::Reply;
use crate::smtp::client::{Asked, Final, ProtocolFault};
use crate::smtp::extension::Extensions;
use crate::smtp::{ClientSession, wording};
use crate::transport::UpstreamError;
use crate::transport::connection::{COMMAND, Connection, DATA_INITIATION, DATA_TERMINATION};

/// What became of one leg.
pub(super) enum Leg {
    /// The upstream has answered for each recipient that was still open, by its place on the sheet.
    Answered(Vec<(usize, Fate)>),
    /// The connection broke, or something came over it that is no SMTP: those that were still open stay so. Where the content had
    /// been sent whole, it may have been taken (RFC 1047).
    Broken(UpstreamError),
    /// It was not to be sent any more, when its turn came.
    CalledOff,
}

/// Longest reply that is kept.
const REPLY: usize = 512;

/// Sends a message to the recipients of a sheet that are still open. `go` is asked last, before a byte of content leaves.
pub(super) async fn send(
    connection: &mut Connection,
    sheet: &Sheet,
    message: &RawMessage,
    plan: &EditPlan,
    go: impl AsyncFnOnce() -> bool,
) -> Leg {
    let open: Vec<usize> = sheet.recipients.iter().enumerate().filter(|(_, r)| r.state.is_open()).map(|(i, _)| i).collect();
    if open.is_empty() {
        return Leg::Answered(Vec::new());
    }
    let splice = Splice::apply(message, plan);
    if let Some(refusal) = unable(&connection.extensions, sheet, splice.len()) {
        return Leg::Answered(all(&open, &refusal));
    }
    match transaction(connection, sheet, &open, splice, go).await {
        Ok(leg) => leg,
        Err(error) => Leg::Broken(error),
    }
}

async fn transaction(
    connection: &mut Connection,
    sheet: &Sheet,
    open: &[usize],
    splice: Splice<'_>,
    go: impl AsyncFnOnce() -> bool,
) -> Result<Leg, UpstreamError> {
    let pipelining = connection.extensions.pipelining;
    let mail = mail_parameters(&connection.extensions, sheet, splice.len());
    connection.queue(Asked::Mail, &["MAIL FROM:<", &sheet.reverse_path, ">", &mail]);
    let mut heard = None;
    if !pipelining {
        heard = Some(expect(connection, Asked::Mail).await?);
        if let Some(refusal) = heard.as_ref().filter(|r| !r.is_success()) {
            let fates = all(open, refusal);
            return finish(connection, refusal, fates).await;
        }
    }
    let mut fates = Vec::with_capacity(open.len());
    let mut accepted = Vec::new();
    for index in open {
        let recipient = &sheet.recipients[*index];
        let parameters = rcpt_parameters(&connection.extensions, &recipient.parameters);
        connection.queue(Asked::Rcpt, &["RCPT TO:<", &recipient.address, ">", &parameters]);
        if !pipelining {
            let reply = expect(connection, Asked::Rcpt).await?;
            sort(*index, &reply, &mut accepted, &mut fates);
        }
    }
    if pipelining {
        let refused = expect(connection, Asked::Mail).await?;
        let mail_failed = !refused.is_success();
        for index in open {
            let reply = expect(connection, Asked::Rcpt).await?;
            sort(*index, if mail_failed { &refused } else { &reply }, &mut accepted, &mut fates);
        }
        if mail_failed {
            return finish(connection, &refused, all(open, &refused)).await;
        }
        heard = Some(refused);
    }
    let Some(last) = heard else { return Err(UpstreamError::Lost) };
    if accepted.is_empty() {
        return finish(connection, &last, fates).await;
    }
    connection.queue(Asked::Data, &["DATA"]);
    let initiation = within(connection, Asked::Data, DATA_INITIATION).await?;
    if initiation.code() != 354 {
        fates.extend(all(&accepted, &initiation));
        return finish(connection, &initiation, fates).await;
    }
    // What it says now it did not say to this content.
    if connection.spoke_early().await {
        return Err(UpstreamError::Protocol(ProtocolFault::Unasked));
    }
    if !go().await {
        return Ok(Leg::CalledOff);
    }
    crash::here(Point::MailEnvelope);
    let sent = connection.content(splice.slices()).await;
    crash::here(Point::MailSent);
    let end = match sent {
        Ok(()) => connection.reply(DATA_TERMINATION).await?.1,
        // Whoever has had enough may say so and close before all is written.
        Err(error) => match connection.reply(COMMAND).await {
            Ok((_, reply)) if reply.code() >= 400 => reply,
            _ => return Err(error),
        },
    };
    crash::here(Point::MailAnswered);
    connection.uses += 1;
    match ClientSession::conclude(end) {
        Final::Committed(committed) => {
            fates.extend(accepted.iter().map(|i| (*i, Fate::Delivered { reply: text(committed.reply()) })));
        }
        Final::Refused(reply) => fates.extend(all(&accepted, &reply)),
    }
    Ok(Leg::Answered(fates))
}

/// The transaction is over without content: the upstream forgets it, unless it has said that it closes.
async fn finish(connection: &mut Connection, last: &Reply, fates: Vec<(usize, Fate)>) -> Result<Leg, UpstreamError> {
    if last.code() != 421 {
        connection.queue(Asked::Rset, &["RSET"]);
        // What it answers to that changes nothing for what it has answered before.
        let _ = expect(connection, Asked::Rset).await;
    }
    Ok(Leg::Answered(fates))
}

async fn expect(connection: &mut Connection, asked: Asked) -> Result<Reply, UpstreamError> {
    within(connection, asked, COMMAND).await
}

async fn within(connection: &mut Connection, asked: Asked, wait: std::time::Duration) -> Result<Reply, UpstreamError> {
    let (answered, reply) = connection.round_trip(wait).await?;
    if answered == asked { Ok(reply) } else { Err(UpstreamError::Protocol(ProtocolFault::Code(answered))) }
}

fn sort(index: usize, reply: &Reply, accepted: &mut Vec<usize>, fates: &mut Vec<(usize, Fate)>) {
    if reply.is_success() {
        accepted.push(index);
    } else {
        fates.push((index, fate(reply)));
    }
}

fn all(of: &[usize], reply: &Reply) -> Vec<(usize, Fate)> {
    of.iter().map(|i| (*i, fate(reply))).collect()
}

/// RFC 5321 §4.2.1: what no client knows is taken by its first digit, and anything strange is to be tried again.
fn fate(reply: &Reply) -> Fate {
    if reply.code() / 100 == 5 { Fate::Refused { reply: text(reply) } } else { Fate::Later { reply: text(reply) } }
}

fn text(reply: &Reply) -> String {
    let mut text = reply.to_string();
    while text.len() > REPLY {
        text.pop();
    }
    text
}

/// Why this upstream can never take the message.
fn unable(offered: &Extensions, sheet: &Sheet, octets: usize) -> Option<Reply> {
    let is_utf8 = |address: &str| !address.is_ascii();
    let addresses = sheet.recipients.iter().filter(|r| r.state.is_open()).map(|r| r.address.as_str());
    let wants_utf8 = has(&sheet.mail_parameters, "SMTPUTF8") || addresses.chain([sheet.reverse_path.as_str()]).any(is_utf8);
    if wants_utf8 && !offered.smtp_utf8 {
        // RFC 6531 §3.5.
        return Some(wording::NO_UTF8_BEYOND);
    }
    if has(&sheet.mail_parameters, "BODY") && !offered.eight_bit_mime {
        // RFC 6152 §3: it would have to be recoded, which is not ours to do.
        return Some(wording::NO_8BIT_BEYOND);
    }
    // RFC 1870 §6.
    (offered.size.is_some_and(|most| most > 0 && octets as u64 > most)).then_some(wording::TOO_LARGE_BEYOND)
}

/// The parameters of MAIL: what the client said, less what is not offered, with the size that it has now (RFC 1870).
fn mail_parameters(offered: &Extensions, sheet: &Sheet, octets: usize) -> String {
    let mut out = String::new();
    for parameter in sheet.mail_parameters.split_ascii_whitespace() {
        let keyword = keyword(parameter);
        let kept = match keyword.as_str() {
            "BODY" | "SMTPUTF8" => true,
            "RET" | "ENVID" => offered.dsn,
            // The log-in is the gateway's own (RFC 4954 §5), and the size another.
            _ => false,
        };
        if kept {
            out.push(' ');
            out.push_str(parameter);
        }
    }
    let addresses = sheet.recipients.iter().map(|r| r.address.as_str()).chain([sheet.reverse_path.as_str()]);
    if !has(&sheet.mail_parameters, "SMTPUTF8") && addresses.into_iter().any(|a| !a.is_ascii()) {
        out.push_str(" SMTPUTF8");
    }
    if offered.size.is_some() {
        out.push_str(&format!(" SIZE={octets}"));
    }
    if sheet.require_tls && offered.require_tls {
        out.push_str(" REQUIRETLS");
    }
    out
}

/// RFC 3461 §5: NOTIFY and ORCPT go only to those who know them.
fn rcpt_parameters(offered: &Extensions, parameters: &str) -> String {
    if offered.dsn { parameters.to_string() } else { String::new() }
}

fn has(parameters: &str, wanted: &str) -> bool {
    parameters.split_ascii_whitespace().any(|p| keyword(p) == wanted)
}

fn keyword(parameter: &str) -> String {
    parameter.split('=').next().unwrap_or_default().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::custody::Recipient;

    fn sheet(mail: &str, to: &str) -> Sheet {
        let recipients =
            vec![Recipient { address: to.into(), parameters: " NOTIFY=NEVER ORCPT=rfc822;a@x.uk".into(), state: Fate::Waiting }];
        Sheet { reverse_path: "clerk@wragby.uk".into(), mail_parameters: mail.into(), recipients, ..Sheet::default() }
    }

    #[test]
    fn parameters_go_where_they_are_known() {
        let mut offered = Extensions { size: Some(0), ..Extensions::default() };
        let sheet = sheet(" BODY=8BITMIME RET=HDRS ENVID=abc SIZE=12 AUTH=<>", "a@x.uk");
        assert_eq!(mail_parameters(&offered, &sheet, 300), " BODY=8BITMIME SIZE=300");
        assert_eq!(rcpt_parameters(&offered, &sheet.recipients[0].parameters), "");
        offered.dsn = true;
        assert_eq!(mail_parameters(&offered, &sheet, 300), " BODY=8BITMIME RET=HDRS ENVID=abc SIZE=300");
        assert_eq!(rcpt_parameters(&offered, &sheet.recipients[0].parameters), " NOTIFY=NEVER ORCPT=rfc822;a@x.uk");
    }

    #[test]
    fn what_an_upstream_can_never_take() {
        let plain = Extensions::default();
        assert_eq!(unable(&plain, &sheet("", "a@x.uk"), 10), None);
        for (mail, to, enhanced) in [(" BODY=8BITMIME", "a@x.uk", "5.6.3"), (" SMTPUTF8", "a@x.uk", "5.6.7"), ("", "ø@x.uk", "5.6.7")] {
            let refusal = unable(&plain, &sheet(mail, to), 10).unwrap();
            assert!(refusal.to_string().contains(enhanced), "{refusal}");
        }
        let small = Extensions { size: Some(9), ..plain };
        assert!(unable(&small, &sheet("", "a@x.uk"), 10).unwrap().to_string().contains("5.3.4"));
        assert_eq!(unable(&Extensions { size: Some(0), ..plain }, &sheet("", "a@x.uk"), 10), None);
    }
}
