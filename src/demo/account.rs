//! The account of what happened, as a person would want to read it, and whether it is what should have happened.

use std::io::{self, Write};

use super::client::Heard;
use super::gate::{Reason, Recorded, Weight};
use super::letter;
use super::mailbox::Mail;
use super::sample::{Expected, Sample};
use super::site::{DOMAIN, Ports};

/// One sample's way.
pub struct Happened<'a> {
    pub sample: &'a Sample,
    pub sent: &'a [u8],
    pub recipients: &'a [String],
    pub heard: &'a Heard,
    pub arrived: Option<&'a Mail>,
    pub notice: Option<&'a Mail>,
}

pub fn welcome(out: &mut dyn Write, ports: &Ports) -> io::Result<()> {
    writeln!(out, "Wragby Parish Council, on this machine only. No message leaves it.\n")?;
    writeln!(out, "  gateway   {}   where the council's people send their mail", ports.submission)?;
    writeln!(out, "            {}   where mail from outside comes in", ports.mx)?;
    writeln!(out, "  mailbox   {}   plays the mail provider, and the whole world behind it", ports.mailbox)?;
    if !ports.usual {
        writeln!(out, "\n(The usual ports are 2525, 2527, 2526 and 8025; some were taken.)")?;
    }
    writeln!(out, "\nEight messages go through the gateway.")?;
    out.flush()
}

/// Tells of one sample and gives back the number of faults.
///
/// `unmatched` is the rule that one would have thought of, and why it does not apply.
pub fn tell(
    out: &mut dyn Write,
    number: usize,
    happened: &Happened,
    reasons: &[Reason],
    unmatched: Option<(String, String)>,
) -> io::Result<usize> {
    let Happened { sample, sent, recipients, heard, arrived, notice } = happened;
    writeln!(out, "\n{number}. {}\n", sample.title)?;
    tell_header(out, sent)?;
    match arrived {
        None => line(out, "Outcome", &format!("refused: nobody received it. The mail program shows: {}", heard.text))?,
        Some(mail) => {
            line(out, "Outcome", &format!("delivered to {}, {}", people(mail.recipients.len()), change(sent, &mail.octets)))?;
            tell_changes(out, sent, recipients, mail)?;
        }
    }
    tell_reasons(out, reasons)?;
    if let (true, Some((title, why_not))) = (reasons.is_empty(), unmatched) {
        line(out, "Why", &format!("{title}: does not apply, since {why_not}"))?;
    }
    if let Some(mail) = notice {
        tell_notice(out, mail)?;
    }
    let faults = faults(happened);
    match faults.as_slice() {
        [] => line(out, "", "✓ as it should be")?,
        faults => faults.iter().try_for_each(|fault| line(out, "", &format!("✗ NOT as it should be: {fault}")))?,
    }
    out.flush()?;
    Ok(faults.len())
}

fn tell_header(out: &mut dyn Write, octets: &[u8]) -> io::Result<()> {
    for name in ["From", "To", "Cc", "Subject"] {
        if let Some(value) = letter::field(octets, name) {
            line(out, name, &shortened(&value))?;
        }
    }
    Ok(())
}

fn tell_reasons(out: &mut dyn Write, reasons: &[Reason]) -> io::Result<()> {
    // What acted comes first, and what was only noted last.
    let order = |r: &&Reason| match r.weight {
        Weight::Acted => 0,
        Weight::Overridden(_) => 1,
        Weight::Warned => 2,
        Weight::Observed => 3,
    };
    let mut reasons: Vec<&Reason> = reasons.iter().collect();
    reasons.sort_by_key(order);
    for reason in reasons {
        line(out, "Why", &reason.to_string())?;
        if let Some(words) = reason.clause.as_ref().filter(|_| reason.weight != Weight::Observed) {
            line(out, "Policy", &format!("“{words}”"))?;
        }
    }
    Ok(())
}

fn tell_notice(out: &mut dyn Write, mail: &Mail) -> io::Result<()> {
    let to = mail.recipients.join(", ");
    line(out, "Notice", &format!("to {to}: {}", letter::field(&mail.octets, "Subject").unwrap_or_default()))?;
    quote(out, &mail.octets)
}

/// What was done to it on the way, in a word.
fn change(sent: &[u8], arrived: &[u8]) -> &'static str {
    let came = letter::without_received(arrived);
    match (came == sent, letter::split(came).1 == letter::split(sent).1) {
        (true, _) if came.len() < arrived.len() => "byte for byte as it was sent, one Received line in front",
        (true, _) => "byte for byte as it was sent",
        (false, true) => "its text untouched",
        (false, false) => "its text changed",
    }
}

fn tell_changes(out: &mut dyn Write, sent: &[u8], recipients: &[String], mail: &Mail) -> io::Result<()> {
    let came = letter::without_received(&mail.octets);
    if came == sent {
        return Ok(());
    }
    for name in ["To", "Cc", "Subject"] {
        let (before, after) = (letter::field(sent, name), letter::field(came, name));
        if before != after {
            line(out, "", &format!("{name} is now: {}", shortened(after.as_deref().unwrap_or("(left out)"))))?;
        }
    }
    let shown = shown_outsiders(came, recipients);
    if shown.is_empty() {
        line(out, "", "Nobody outside the council can see another's address.")?;
    }
    Ok(())
}

/// What is not as it should be.
fn faults(happened: &Happened) -> Vec<String> {
    let Happened { sample, sent, recipients, heard, arrived, notice } = happened;
    let mut faults = Vec::new();
    if sample.notice && notice.is_none() {
        faults.push("no notice came to the sender".into());
    }
    if !sample.notice && notice.is_some() {
        faults.push("a notice came to the sender".into());
    }
    if sample.expected == Expected::Refused {
        if !heard.text.starts_with("550 5.7.1 ") {
            faults.push("the client should have heard 550 5.7.1".into());
        }
        if arrived.is_some() {
            faults.push("it reached the mailbox".into());
        }
        return faults;
    }
    if heard.code != 250 {
        faults.push("the client should have heard 250".into());
    }
    let Some(mail) = arrived else {
        faults.push("it did not arrive".into());
        return faults;
    };
    if mail.recipients != **recipients {
        faults.push(format!("it arrived for {} instead of {}", people(mail.recipients.len()), people(recipients.len())));
    }
    let came = letter::without_received(&mail.octets);
    if came.len() == mail.octets.len() {
        faults.push("it bears no Received field of the gateway".into());
    }
    match sample.expected {
        Expected::Hidden => {
            let shown = shown_outsiders(came, recipients);
            if !shown.is_empty() {
                faults.push(format!("the addresses of {} can still be read in its header", people(shown.len())));
            }
            if letter::split(came).1 != letter::split(sent).1 {
                faults.push("its body was changed".into());
            }
            if letter::message_id(came) != letter::message_id(sent) {
                faults.push("its Message-ID was changed".into());
            }
        }
        Expected::Untouched if came != *sent => faults.push("it was changed on the way".into()),
        Expected::Untouched | Expected::Refused => {}
    }
    faults
}

/// Outsiders among the recipients whose address stands in the header.
fn shown_outsiders(octets: &[u8], recipients: &[String]) -> Vec<String> {
    let header = letter::split(octets).0.to_ascii_lowercase();
    let outside = |r: &&String| !r.ends_with(&format!("@{DOMAIN}"));
    recipients.iter().filter(outside).filter(|r| letter::mentions(&header, &r.to_ascii_lowercase())).cloned().collect()
}

pub fn sum_up(out: &mut dyn Write, samples: usize, faults: usize) -> io::Result<()> {
    match faults {
        0 => writeln!(out, "\nAll {samples} messages came out as they should.")?,
        1 => writeln!(out, "\nOne thing is not as it should be.")?,
        n => writeln!(out, "\n{n} things are not as they should be.")?,
    }
    out.flush()
}

pub fn your_turn(out: &mut dyn Write, ports: &Ports, console: Option<&str>) -> io::Result<()> {
    let (host, port, mx) = (ports.submission.ip(), ports.submission.port(), ports.mx);
    write!(
        out,
        r#"
Now send mail of your own, until Ctrl-C; what becomes of it is told here. Mail to anybody stays on this machine.

In a mail program: outgoing server {host}, port {port}, no encryption; any name at {DOMAIN}, any password.

With swaks:
  swaks --server {host}:{port} --auth-user clerk@{DOMAIN} --auth-password demo \
    --from clerk@{DOMAIN} --to tom@gmail.com --header "Subject: [CONFIDENTIAL] Pay" --body "In the clear."

With curl:
  printf 'From: clerk@{DOMAIN}\nTo: a@x.example, b@y.example, c@z.example\nSubject: Fete\n\nOn Sunday.\n' |
    curl --crlf -sS smtp://{host}:{port} --user clerk@{DOMAIN}:demo --mail-from clerk@{DOMAIN} \
      --mail-rcpt a@x.example --mail-rcpt b@y.example --mail-rcpt c@z.example -T -

Mail from outside, with swaks:
  swaks --server {mx} --from tom@gmail.com --to clerk@{DOMAIN} --header "Subject: My hedge" --body "It is too high."
"#
    )?;
    if let Some(link) = console {
        writeln!(out, "\nThe Clerk's desk, in a browser; this link signs you in as the Clerk, once:\n  {link}")?;
    }
    out.flush()
}

/// A message that came to the mailbox, of whomever, with what the record has of it.
pub fn tell_mail(out: &mut dyn Write, mail: &Mail, passed: Passed, recorded: Option<&Recorded>) -> io::Result<()> {
    if letter::is_notice(&mail.octets) && mail.reverse_path.is_empty() | mail.reverse_path.starts_with("gateway@") {
        writeln!(out, "\nThe gateway wrote to {}\n", mail.recipients.join(", "))?;
        line(out, "Subject", &letter::field(&mail.octets, "Subject").unwrap_or_default())?;
        quote(out, &mail.octets)?;
        return out.flush();
    }
    writeln!(out, "\nA message from {} arrived\n", sender(&mail.reverse_path))?;
    tell_header(out, &mail.octets)?;
    let named = mail.recipients.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
    let more = mail.recipients.len().saturating_sub(4);
    line(out, "Delivered", &if more > 0 { format!("to {named} and {more} more") } else { format!("to {named}") })?;
    if let Some(account) = &mail.login {
        line(out, "Account", account)?;
    }
    match (passed, recorded) {
        (Passed::By, _) => line(out, "Why", "it was given to the mailbox directly, past the gateway")?,
        (Passed::Through, Some(recorded)) => {
            tell_reasons(out, &recorded.reasons)?;
            if recorded.reasons.is_empty() {
                line(out, "Why", "no rule has anything to say to it")?;
            }
            line(out, "Reference", &recorded.reference)?;
        }
        (Passed::Through, None) => line(out, "Record", "nothing but a count: mail marked personal is only counted")?,
    }
    out.flush()
}

/// Which way a message came to the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    Through,
    By,
}

/// A message that was announced to the mailbox and then never sent, with what the record has of it.
pub fn tell_withdrawn(out: &mut dyn Write, reverse_path: &str, recipients: &[String], recorded: Option<&Recorded>) -> io::Result<()> {
    match recorded {
        Some(recorded) => {
            writeln!(out, "\nA message from {} to {} was not sent\n", sender(reverse_path), people(recipients.len()))?;
            line(out, "Outcome", "refused: nobody received it, and no byte of it left the gateway")?;
            tell_reasons(out, &recorded.reasons)?;
            line(out, "Reference", &recorded.reference)?;
        }
        None => writeln!(out, "\n{} began a message to {} and gave it up.", sender(reverse_path), people(recipients.len()))?,
    }
    out.flush()
}

fn sender(reverse_path: &str) -> String {
    if reverse_path.is_empty() { "nobody (<>, as bounces have it)".into() } else { printable(reverse_path) }
}

fn people(n: usize) -> String {
    if n == 1 { "one recipient".into() } else { format!("{n} recipients") }
}

/// A list of many, shown by its first two.
fn shortened(value: &str) -> String {
    let parts: Vec<&str> = value.split(">, ").collect();
    if parts.len() > 3 { format!("{}>, {}> and {} more", parts[0], parts[1], parts.len() - 2) } else { value.to_owned() }
}

/// Columns of the label, and of what stands beside it.
const LABEL: usize = 10;
const WIDTH: usize = 92;

fn line(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    let mut label = label;
    for part in text.lines().flat_map(|l| wrapped(&printable(l), WIDTH)) {
        writeln!(out, "   {label:<LABEL$} {part}")?;
        label = "";
    }
    Ok(())
}

/// What came from outside is shown without control characters, which could move the cursor or rewrite the screen.
fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().take(1000).filter(|c| !c.is_control() && !turns(*c)).collect()
}

/// Broken between words; a word that is too long stays whole.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("one line is always there");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// The text of a notice, indented.
fn quote(out: &mut dyn Write, octets: &[u8]) -> io::Result<()> {
    let body = letter::split(octets).1;
    let text = match letter::field(octets, "Content-Transfer-Encoding").map(|e| e.to_ascii_lowercase()).as_deref() {
        Some("quoted-printable") => unquoted(body),
        Some("base64") => unbased(body),
        _ => body.to_vec(),
    };
    for part in String::from_utf8_lossy(&text).trim_end().lines().take(40) {
        for part in wrapped(&printable(part.trim_end()), WIDTH - 2) {
            line(out, "", format!("│ {part}").trim_end())?;
        }
    }
    Ok(())
}

/// RFC 2045 §6.7, as far as showing needs it.
fn unquoted(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match (octet, after) {
            (b'=', [b'\r', b'\n', tail @ ..]) => rest = tail,
            (b'=', [a, b, tail @ ..]) => match std::str::from_utf8(&[*a, *b]).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                Some(decoded) => {
                    out.push(decoded);
                    rest = tail;
                }
                None => out.push(octet),
            },
            _ => out.push(octet),
        }
    }
    out
}

fn unbased(body: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let packed: Vec<u8> = body.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    base64::engine::general_purpose::STANDARD.decode(packed).unwrap_or_else(|_| body.to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn judged(sample: &Sample, heard: &str, arrived: Option<Vec<u8>>, notice: bool) -> Vec<String> {
        let sent = sample.octets();
        let recipients = sample.recipients(&sent);
        let mail = |octets| Mail { number: 1, reverse_path: String::new(), recipients: recipients.clone(), login: None, octets };
        let arrived = arrived.map(mail);
        let notice = notice.then(|| mail(b"Auto-Submitted: auto-replied\r\nSubject: A notice\r\n\r\nSay it.\r\n".to_vec()));
        let heard = Heard { code: heard[..3].parse().unwrap(), text: heard.into() };
        let happened =
            Happened { sample, sent: &sent, recipients: &recipients, heard: &heard, arrived: arrived.as_ref(), notice: notice.as_ref() };
        let mut shown = Vec::new();
        assert_eq!(tell(&mut shown, 1, &happened, &[], None).unwrap(), faults(&happened).len());
        assert!(!shown.contains(&0x1b));
        faults(&happened)
    }

    fn received(octets: Vec<u8>) -> Option<Vec<u8>> {
        Some([b"Received: from x\r\n by y; z\r\n".to_vec(), octets].concat())
    }

    #[test]
    fn right_outcomes_have_no_fault() {
        let hidden: Vec<u8> = {
            let sent = sample::ALL[0].octets();
            let (to, subject) = (memchr::memmem::find(&sent, b"To:").unwrap(), memchr::memmem::find(&sent, b"Subject:").unwrap());
            [&sent[..to], b"To: undisclosed-recipients:;\r\n", &sent[subject..]].concat()
        };
        assert_eq!(judged(&sample::ALL[0], "250 2.0.0 Kept", received(hidden), true), Vec::<String>::new());
        assert_eq!(judged(&sample::ALL[1], "550 5.7.1 Not sent\x1b[2J", None, true), Vec::<String>::new());
        assert_eq!(judged(&sample::ALL[6], "250 2.0.0 Kept", received(sample::ALL[6].octets()), false), Vec::<String>::new());
    }

    #[test]
    fn wrong_outcomes_are_told() {
        let open = judged(&sample::ALL[0], "250 2.0.0 Kept", received(sample::ALL[0].octets()), true);
        assert!(open.len() == 1 && open[0].contains("can still be read"), "{open:?}");
        assert_eq!(judged(&sample::ALL[1], "250 2.0.0 Kept", received(sample::ALL[1].octets()), false).len(), 3);
        assert_eq!(judged(&sample::ALL[6], "250 2.0.0 Kept", Some(sample::ALL[6].octets()), true).len(), 2);
        assert_eq!(judged(&sample::ALL[6], "451 4.3.0 Later", None, false).len(), 2);
        let mut changed = sample::ALL[6].octets();
        changed.push(b' ');
        assert_eq!(judged(&sample::ALL[6], "250 2.0.0 Kept", received(changed), false), ["it was changed on the way"]);
    }

    #[test]
    fn notices_are_decoded() {
        assert_eq!(unquoted(b"Caf=C3=A9 =\r\nau lait=3D =Z"), "Café au lait= =Z".as_bytes());
        assert_eq!(unbased(b"SGVs\r\nbG8=\r\n"), b"Hello");
    }
}
