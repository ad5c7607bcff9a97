//! Every reply that the gateway says on its own account: one readable list from cause to reply.
//!
//! Text is ASCII, the fix first, and never names a path, a backend or the inner working of a rule.

use super::address::AddressError;
use super::command::{Fault, Side};
use super::reply::Reply;

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident = $code:literal $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Reply = Reply::fixed($code, concat!($code, " ", $text, "\r\n").as_bytes());)*
    };
}

fixed! {
    OK = 250 "2.0.0 Ok";
    /// RFC 5321 §6.2 lets a site drop what nobody waits for; here only automatic mail, by a rule that says so.
    DROPPED = 250 "2.0.0 Taken, and dropped as the council's policy asks";
    REROUTE_REFUSED = 451 "4.3.0 Not sent yet: the provider did not take it just now. It will be tried again";
    NO_PROMISE_OF_TLS = 451 "4.7.1 The provider cannot promise encryption all the way just now: try again later";
    HELP = 214 "2.0.0 See RFC 5321";
    /// RFC 5321 §3.5.3: addresses are not confirmed.
    VRFY = 252 "2.1.5 Send the message and see";
    BYE = 221 "2.0.0 Bye";
    READY_FOR_TLS = 220 "2.0.0 Ready to start TLS";
    START_DATA = 354 "End data with <CR><LF>.<CR><LF>";
    UNKNOWN_COMMAND = 500 "5.5.2 Command not recognised";
    NOT_IMPLEMENTED = 502 "5.5.1 Command not implemented";
    LINE_TOO_LONG = 500 "5.5.2 Line too long";
    BARE_LINE_END = 500 "5.5.2 End lines with CRLF: a bare CR or LF is not allowed (RFC 5321 section 2.3.8)";
    HELLO_FIRST = 503 "5.5.1 Say EHLO or HELO first";
    MAIL_FIRST = 503 "5.5.1 Say MAIL first";
    RCPT_FIRST = 503 "5.5.1 Say RCPT first";
    NESTED_MAIL = 503 "5.5.1 A message is already begun: finish it or say RSET";
    MIXED_DATA = 503 "5.5.1 BDAT and DATA cannot be mixed in one message";
    BDAT_AFTER_FAULT = 503 "5.5.1 An earlier chunk failed: say RSET";
    /// RFC 5321 §3.3.
    NO_VALID_RECIPIENTS = 554 "5.5.1 No valid recipients";
    TOO_MANY_RECIPIENTS = 452 "4.5.3 Too many recipients: send the rest in another message";
    TOO_LARGE = 552 "5.3.4 The message is larger than this council's limit";
    NO_MEMORY = 452 "4.3.1 Too much mail at once: try again in a few minutes";
    CONTENT_BARE_LINE_END = 554 "5.6.0 The message has a bare CR or LF (RFC 5321 section 2.3.8)";
    CONTENT_NUL = 554 "5.6.0 The message has a NUL character";
    TLS_ALREADY = 503 "5.5.1 TLS is already active";
    TLS_NOT_OFFERED = 502 "5.5.1 STARTTLS is not offered here";
    /// RFC 3207 §4.
    TLS_FIRST = 530 "5.7.0 Say STARTTLS first";
    /// RFC 4954 §4.
    AUTH_NEEDS_TLS = 538 "5.7.11 Say STARTTLS first: a password is not taken in clear";
    AUTH_NOT_OFFERED = 502 "5.5.1 AUTH is not offered here";
    AUTH_ALREADY = 503 "5.5.1 You are logged in already";
    AUTH_IN_TRANSACTION = 503 "5.5.1 AUTH is not allowed within a message";
    AUTH_MECHANISM = 504 "5.5.4 This mechanism is not offered here";
    AUTH_CANCELLED = 501 "5.0.0 Authentication cancelled";
    AUTH_MALFORMED = 501 "5.5.2 The response is not well formed";
    AUTH_LINE_TOO_LONG = 500 "5.5.6 The response is too long";
    /// RFC 6409 §4.3.
    AUTH_REQUIRED = 530 "5.7.0 Log in first";
    AUTH_TOO_OFTEN = 421 "4.7.0 Too many failed log-ins: wait ten minutes, then check the password";
    TOO_MANY_ERRORS = 421 "4.7.0 Too many errors";
    TOO_MANY_COMMANDS = 421 "4.7.0 Too many commands without a message";
    TIMEOUT = 421 "4.4.2 Nothing was heard for too long";
    SHUTTING_DOWN = 421 "4.3.2 The gateway is being restarted: try again in a minute";
    TOO_MANY_CONNECTIONS = 421 "4.7.0 Too many connections: try again in a minute";
    UPSTREAM_DOWN = 451 "4.4.1 The mail provider does not answer: try again in a few minutes";
    UPSTREAM_LOST = 451 "4.4.2 The connection to the mail provider was lost: try again";
    UPSTREAM_PROTOCOL = 451 "4.5.0 The mail provider gave an answer that makes no sense: try again";
    UPSTREAM_TLS = 451 "4.7.0 The mail provider's certificate or TLS could not be verified";
    UPSTREAM_TIMEOUT = 451 "4.4.2 The mail provider took too long: try again";
    /// RFC 1047: it may have been delivered.
    UNKNOWN_OUTCOME = 451 "4.4.2 The mail provider did not confirm the message: it is safe to send it again";
    UPSTREAM_CLOSING = 421 "4.4.2 The connection to the mail provider was lost: connect again";
    LOCAL_FAULT = 451 "4.3.0 The gateway could not process the message: try again";
    RECORD_FAULT = 451 "4.3.0 The gateway cannot keep the record that the council requires: try again later";
    /// Of mail in custody: what the upstream can never take (RFC 6531 §3.5, RFC 6152 §3, RFC 1870 §6).
    NO_UTF8_BEYOND = 550 "5.6.7 The mail provider takes no addresses or subjects beyond ASCII";
    NO_8BIT_BEYOND = 550 "5.6.3 The mail provider takes no text beyond ASCII in this form";
    TOO_LARGE_BEYOND = 552 "5.3.4 The message is larger than the mail provider's limit";
    NOT_YOUR_RELAY = 550 "5.7.1 Relaying denied: neither the sender nor this recipient is the council's";
    /// RFC 5248 §2.1 (X.7.13): after a log-in that was right, so that nobody learns of a suspension by guessing, and no program asks for
    /// the password again.
    ACCOUNT_SUSPENDED = 525 "5.7.13 Ask the Clerk: the council has suspended this account";
    SENDER_SUSPENDED = 550 "5.7.1 Ask the Clerk: the council has suspended this account, and its mail is not sent";
    NOT_TRUSTED = 550 "5.7.1 This connection is not one of the council's";
    LOOP = 554 "5.4.6 The message has passed too many servers: it is going round in a loop";
    /// Of mail that the gateway takes into its own care.
    CUSTODY_FULL = 452 "4.3.1 Too much mail waits here already: try again later";
    CUSTODY_FAULT = 451 "4.3.0 The gateway cannot keep the message just now: try again later";
    /// The sender's answer to a question of the gateway's.
    ANSWER_TAKEN = 250 "2.0.0 Your answer was taken";
    ANSWER_HERE_ONLY = 550 "5.7.1 Answers are taken from the council's own mail programs only";
}

impl Fault {
    /// The reply to a line that is no command.
    pub(crate) fn reply(self) -> Reply {
        match self {
            Fault::Unknown => UNKNOWN_COMMAND,
            Fault::Syntax(says) => Reply::line(501, "5.5.4", &capital(says)),
            Fault::Address(error, Side::Sender) => Reply::line(501, "5.1.7", &capital(&error.to_string())),
            Fault::Address(error, Side::Recipient) => Reply::line(501, "5.1.3", &capital(&error.to_string())),
            Fault::Parameter => Reply::line(555, "5.5.4", "This parameter is not offered here"),
            Fault::NeedsUtf8 => Reply::line(553, "5.6.7", &capital(&AddressError::NotAscii.to_string())),
            Fault::Value => Reply::line(504, "5.5.4", "This value is not offered here"),
        }
    }
}

/// The first words of a session (RFC 5321 §4.2).
pub fn greeting(hostname: &str) -> Reply {
    Reply::received(220, format!("220 {hostname} ESMTP\r\n").as_bytes())
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}
