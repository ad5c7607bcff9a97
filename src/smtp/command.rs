//! Command lines (RFC 5321 §4.1.1) as values. A line is parsed once; after that the type is the proof.

use super::address::{Address, AddressError, Charset, ReversePath};
use super::extension::{Extensions, Mechanism};

/// One command of a client. Text is borrowed from the line where nothing has to outlive it.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<'a> {
    Ehlo(&'a str),
    Helo(&'a str),
    Mail(Mail),
    Rcpt(Rcpt),
    Data,
    /// RFC 3030 §2.
    Bdat {
        size: usize,
        last: bool,
    },
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
    StartTls,
    Auth {
        mechanism: Option<Mechanism>,
        initial: Option<&'a str>,
    },
}

/// MAIL, with its parameters as they came.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    pub reverse_path: ReversePath,
    /// Verbatim, with a space before each; without AUTH=, which is kept apart.
    pub parameters: Box<str>,
    /// SIZE=, in octets.
    pub size: Option<u64>,
    pub charset: Charset,
    /// ` AUTH=…` (RFC 4954 §5), only for an upstream that was logged in to.
    pub auth: Option<Box<str>>,
}

/// RCPT, with its parameters as they came.
#[derive(Clone, PartialEq, Eq)]
pub struct Rcpt {
    pub forward_path: Address,
    /// Verbatim, with a space before each.
    pub parameters: Box<str>,
}

/// Shows no address.
impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mail({:?}{})", self.reverse_path, self.parameters)
    }
}

/// Shows no address.
impl std::fmt::Debug for Rcpt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rcpt(…)")
    }
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 500 5.5.2
    Unknown,
    /// 501 5.5.4: the command is known, its arguments are not well formed; what would be.
    Syntax(&'static str),
    /// 501 5.1.7 or 5.1.3
    Address(AddressError, Side),
    /// 555 5.5.4: a parameter that was not offered (RFC 5321 §4.1.1.11).
    Parameter,
    /// 553 5.6.7: the address needs SMTPUTF8 (RFC 6531 §3.5).
    NeedsUtf8,
    /// 504 5.5.4: BODY=BINARYMIME and the like.
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Sender,
    Recipient,
}

/// Parses one line without its CRLF. `offer` says which parameters are known; `charset` what the transaction allows.
pub fn parse<'a>(line: &'a [u8], offer: &Extensions, charset: Charset) -> Result<Command<'a>, Fault> {
    // A list is a thousand lines of this form.
    if line.len() > 10
        && line[..9].eq_ignore_ascii_case(b"RCPT TO:<")
        && line.ends_with(b">")
        && let Some(forward_path) = Address::parse_plain(&line[9..line.len() - 1])
    {
        return Ok(Command::Rcpt(Rcpt { forward_path, parameters: "".into() }));
    }
    let text = std::str::from_utf8(line).map_err(|_| Fault::Unknown)?;
    // Control characters in a command are never meant (RFC 5321 §4.1.2); HT is white space here and there.
    if text.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
        return Err(Fault::Unknown);
    }
    let (verb, argument) = match text.find(' ') {
        Some(at) => (&text[..at], text[at + 1..].trim_ascii()),
        None => (text.trim_ascii_end(), ""),
    };
    let mut word = [0u8; 8];
    let word = match word.get_mut(..verb.len()) {
        Some(word) => {
            word.copy_from_slice(verb.as_bytes());
            word.make_ascii_uppercase();
            &*word
        }
        None => return Err(Fault::Unknown),
    };
    match word {
        b"RCPT" => rcpt(argument, offer, charset).map(Command::Rcpt),
        b"MAIL" => mail(argument, offer).map(Command::Mail),
        b"EHLO" => hello(argument).map(Command::Ehlo),
        b"HELO" => hello(argument).map(Command::Helo),
        b"DATA" => bare(argument, Command::Data, "DATA takes no arguments"),
        b"RSET" => bare(argument, Command::Rset, "RSET takes no arguments"),
        b"QUIT" => bare(argument, Command::Quit, "QUIT takes no arguments"),
        b"STARTTLS" => bare(argument, Command::StartTls, "STARTTLS takes no arguments"),
        b"NOOP" => Ok(Command::Noop),
        b"VRFY" => Ok(Command::Vrfy),
        b"EXPN" => Ok(Command::Expn),
        b"HELP" => Ok(Command::Help),
        b"BDAT" => bdat(argument),
        b"AUTH" => auth(argument),
        _ => Err(Fault::Unknown),
    }
}

fn bare<'a>(argument: &str, command: Command<'a>, says: &'static str) -> Result<Command<'a>, Fault> {
    if argument.is_empty() { Ok(command) } else { Err(Fault::Syntax(says)) }
}

/// RFC 5321 §4.1.4: a server must not refuse a name that is not true, but it may refuse what is no name at all.
fn hello(argument: &str) -> Result<&str, Fault> {
    let name = argument.split_ascii_whitespace().next().unwrap_or("");
    if name.is_empty() || name.len() > 255 || name.bytes().any(|b| matches!(b, b'<' | b'>' | b'(' | b')' | b'\\' | b'"' | b';' | b',')) {
        return Err(Fault::Syntax("a host name or address literal is wanted"));
    }
    Ok(name)
}

fn mail(argument: &str, offer: &Extensions) -> Result<Mail, Fault> {
    let (path, parameters) = path(argument, "FROM:", "MAIL FROM:<address> is wanted")?;
    let mut mail = Mail { reverse_path: ReversePath::Null, parameters: "".into(), size: None, charset: Charset::Ascii, auth: None };
    let mut kept = String::new();
    for parameter in parameters.split_ascii_whitespace() {
        let (keyword, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let known = match keyword.to_ascii_uppercase().as_str() {
            "SIZE" => {
                mail.size = Some(value.parse().map_err(|_| Fault::Syntax("SIZE= takes a number of octets"))?);
                offer.size.is_some()
            }
            "BODY" if value.eq_ignore_ascii_case("7BIT") || value.eq_ignore_ascii_case("8BITMIME") => offer.eight_bit_mime,
            "BODY" => return Err(Fault::Value),
            "SMTPUTF8" if value.is_empty() => {
                mail.charset = Charset::Utf8;
                offer.smtp_utf8
            }
            "RET" => offer.dsn && (value.eq_ignore_ascii_case("FULL") || value.eq_ignore_ascii_case("HDRS")),
            "ENVID" => offer.dsn && !value.is_empty() && value.len() <= 300,
            "AUTH" if !value.is_empty() => {
                mail.auth = Some(format!(" {parameter}").into());
                continue;
            }
            _ => false,
        };
        if !known {
            return Err(Fault::Parameter);
        }
        kept.push(' ');
        kept.push_str(parameter);
    }
    mail.parameters = kept.into();
    if !path.is_empty() {
        mail.reverse_path = ReversePath::Address(address(path, mail.charset, Side::Sender)?);
    }
    Ok(mail)
}

fn rcpt(argument: &str, offer: &Extensions, charset: Charset) -> Result<Rcpt, Fault> {
    let (path, parameters) = path(argument, "TO:", "RCPT TO:<address> is wanted")?;
    let mut kept = String::new();
    for parameter in parameters.split_ascii_whitespace() {
        let (keyword, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let known = offer.dsn
            && !value.is_empty()
            && value.len() <= 500
            && (keyword.eq_ignore_ascii_case("NOTIFY") || keyword.eq_ignore_ascii_case("ORCPT"));
        if !known {
            return Err(Fault::Parameter);
        }
        kept.push(' ');
        kept.push_str(parameter);
    }
    // RFC 5321 §4.5.1: `<Postmaster>` needs no domain. No upstream of a council is asked for it without one.
    Ok(Rcpt { forward_path: address(path, charset, Side::Recipient)?, parameters: kept.into() })
}

fn address(path: &str, charset: Charset, side: Side) -> Result<Address, Fault> {
    Address::parse(path, charset).map_err(|error| match error {
        AddressError::NotAscii => Fault::NeedsUtf8,
        error => Fault::Address(error, side),
    })
}

/// Cuts `FROM:<path> parameters`. White space after the colon and a missing pair of brackets are let through, as live clients
/// send both.
fn path<'a>(argument: &'a str, word: &str, says: &'static str) -> Result<(&'a str, &'a str), Fault> {
    let head = argument.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word)).ok_or(Fault::Syntax(says))?;
    let rest = argument[head.len()..].trim_ascii_start();
    if let Some(inner) = rest.strip_prefix('<') {
        let end = closing_bracket(inner.as_bytes()).ok_or(Fault::Syntax(says))?;
        let after = &inner[end + 1..];
        if !after.is_empty() && !after.starts_with([' ', '\t']) {
            return Err(Fault::Syntax(says));
        }
        return Ok((&inner[..end], after));
    }
    match rest.split_once([' ', '\t']) {
        _ if rest.is_empty() => Err(Fault::Syntax(says)),
        Some((path, after)) => Ok((path, after)),
        None => Ok((rest, "")),
    }
}

/// The `>` that ends a path: the first outside a quoted local part.
fn closing_bracket(text: &[u8]) -> Option<usize> {
    if !text.contains(&b'"') {
        return memchr::memchr(b'>', text);
    }
    let (mut quoted, mut i) = (false, 0);
    while i < text.len() {
        match text[i] {
            b'\\' if quoted => i += 1,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(i),
            _ => {}
        }
        i += 1;
    }
    None
}

fn bdat(argument: &str) -> Result<Command<'static>, Fault> {
    const SAYS: &str = "BDAT takes a number of octets and, for the last chunk, LAST";
    let mut words = argument.split_ascii_whitespace();
    let size = words.next().filter(|w| w.len() <= 12).and_then(|w| w.parse().ok()).ok_or(Fault::Syntax(SAYS))?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(Fault::Syntax(SAYS)),
    };
    if words.next().is_some() { Err(Fault::Syntax(SAYS)) } else { Ok(Command::Bdat { size, last }) }
}

fn auth(argument: &str) -> Result<Command<'_>, Fault> {
    let mut words = argument.split_ascii_whitespace();
    let name = words.next().ok_or(Fault::Syntax("AUTH takes a mechanism"))?;
    let initial = words.next();
    if words.next().is_some() {
        return Err(Fault::Syntax("AUTH takes a mechanism and at most one initial response"));
    }
    Ok(Command::Auth { mechanism: Mechanism::from_name(name), initial })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> Extensions {
        Extensions { dsn: true, eight_bit_mime: true, smtp_utf8: true, ..Extensions::own(1000) }
    }

    fn try_parse(line: &str) -> Result<Command<'_>, Fault> {
        parse(line.as_bytes(), &offer(), Charset::Ascii)
    }

    #[test]
    fn envelope_commands() {
        let Ok(Command::Mail(mail)) = try_parse("mail FROM:<jo@x.uk> size=12 BODY=8BITMIME RET=HDRS AUTH=<>") else { panic!() };
        assert_eq!((mail.reverse_path.as_str(), &*mail.parameters, mail.size), ("jo@x.uk", " size=12 BODY=8BITMIME RET=HDRS", Some(12)));
        assert_eq!(mail.auth.as_deref(), Some(" AUTH=<>"));
        let Ok(Command::Mail(mail)) = try_parse("MAIL FROM: <>") else { panic!() };
        assert_eq!(mail.reverse_path, ReversePath::Null);
        let Ok(Command::Rcpt(rcpt)) = try_parse("RCPT TO:<\"a>b\"@x.uk> NOTIFY=NEVER") else { panic!() };
        assert_eq!((rcpt.forward_path.as_str(), &*rcpt.parameters), ("\"a>b\"@x.uk", " NOTIFY=NEVER"));
    }

    #[test]
    fn faults() {
        assert_eq!(try_parse("MAIL FROM:<jo@x.uk> X=1"), Err(Fault::Parameter));
        assert_eq!(try_parse("MAIL FROM:<jo@x.uk> BODY=BINARYMIME"), Err(Fault::Value));
        assert_eq!(try_parse("RCPT TO:<jö@x.uk>"), Err(Fault::NeedsUtf8));
        assert!(matches!(try_parse("RCPT TO:<jo@x.uk>x"), Err(Fault::Syntax(_))));
        assert!(matches!(try_parse("RCPT TO:<jo>"), Err(Fault::Address(AddressError::NoDomain, Side::Recipient))));
        assert!(matches!(try_parse("MAIL FROM:"), Err(Fault::Syntax(_))));
        assert!(matches!(try_parse("DATA x"), Err(Fault::Syntax(_))));
        assert_eq!(try_parse("WHATEVER12345"), Err(Fault::Unknown));
        assert_eq!(try_parse("NO\u{0}OP"), Err(Fault::Unknown));
        assert_eq!(try_parse("BDAT 12 LAST"), Ok(Command::Bdat { size: 12, last: true }));
        assert!(matches!(try_parse("BDAT -1"), Err(Fault::Syntax(_))));
    }
}
