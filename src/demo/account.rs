//! The account of what happened, as a person would want to read it, and whether it is what should have happened.

use std::io::{self, Write};

use super::client::Heard;
use super::gate::Reason;
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
    writeln!(out, "Wragby Parish Council, on this machine only.\n")?;
    writeln!(out, "  the gateway        {}   where the council's people send their mail", ports.submission)?;
    writeln!(out, "                     {}   where mail from outside comes in", ports.mx)?;
    writeln!(out, "  the mailbox        {}   the provider behind it, and the whole world", ports.mailbox)?;
    if !ports.usual {
        writeln!(out, "\n(The usual ports are 2525, 2527 and 2526; some were taken.)")?;
    }
    writeln!(out, "\nEight messages go through the gate.")?;
    out.flush()
}

/// Tells of one sample and gives back the number of faults.
pub fn tell(out: &mut dyn Write, number: usize, happened: &Happened, reasons: &[Reason]) -> io::Result<usize> {
    let Happened { sample, sent, recipients, heard, arrived, notice } = happened;
    writeln!(out, "\n{number}. {}\n", sample.title)?;
    line(out, "From", &letter::field(sent, "From").unwrap_or_default())?;
    line(out, "To", &shortened(&letter::field(sent, "To").unwrap_or_default()))?;
    if let Some(cc) = letter::field(sent, "Cc") {
        line(out, "Cc", &shortened(&cc))?;
    }
    line(out, "Subject", &letter::field(sent, "Subject").unwrap_or_default())?;
    line(out, "The client heard", &heard.text)?;
    match arrived {
        None => line(out, "Arrived", "nothing: no byte of it reached the mailbox")?,
        Some(mail) => {
            line(out, "Arrived", &format!("for {}", people(mail.recipients.len())))?;
            tell_changes(out, sent, recipients, mail)?;
        }
    }
    for reason in reasons {
        line(out, "Why", &reason.to_string())?;
    }
    if reasons.is_empty() && arrived.is_some() {
        line(out, "Why", "no rule had anything to say")?;
    }
    if let Some(mail) = notice {
        line(out, "Notice", &format!("to {}: {}", mail.recipients.join(", "), letter::field(&mail.octets, "Subject").unwrap_or_default()))?;
        quote(out, &mail.octets)?;
    }
    let faults = faults(happened);
    match faults.as_slice() {
        [] => line(out, "", "✓ as it should be")?,
        faults => faults.iter().try_for_each(|fault| line(out, "", &format!("✗ NOT as it should be: {fault}")))?,
    }
    out.flush()?;
    Ok(faults.len())
}

fn tell_changes(out: &mut dyn Write, sent: &[u8], recipients: &[String], mail: &Mail) -> io::Result<()> {
    let came = letter::without_received(&mail.octets);
    if came == sent {
        let received = if came.len() < mail.octets.len() { ", with one Received field in front" } else { "" };
        return line(out, "", &format!("byte for byte as it was sent{received}"));
    }
    for name in ["To", "Cc", "Subject"] {
        let (before, after) = (letter::field(sent, name), letter::field(came, name));
        if before != after {
            line(out, &format!("{name} before"), &shortened(before.as_deref().unwrap_or("(none)")))?;
            line(out, &format!("{name} after"), &shortened(after.as_deref().unwrap_or("(none)")))?;
        }
    }
    if letter::split(came).1 == letter::split(sent).1 {
        line(out, "", "the body is the same, byte for byte")?;
    }
    let shown = shown_outsiders(came, recipients);
    if shown.is_empty() {
        line(out, "", "nobody outside the council can see another's address")?;
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

pub fn your_turn(out: &mut dyn Write, ports: &Ports) -> io::Result<()> {
    let (host, port) = (ports.submission.ip(), ports.submission.port());
    write!(
        out,
        r#"
Now send mail of your own, until Ctrl-C. Any name at {DOMAIN} may log in, with any password
(or without: here nobody insists), and mail to anybody stays on this machine.

  with any mail program   outgoing server {host}, port {port}, no encryption
  with swaks              swaks --server {host}:{port} --from clerk@{DOMAIN} --to tom@gmail.com \
                                --header "Subject: [CONFIDENTIAL] Pay" --body "In the clear."
  with curl               printf 'From: clerk@{DOMAIN}\nTo: a@x.example, b@y.example, c@z.example\nSubject: Fete\n\nOn Sunday.\n' | \
                          curl --crlf -sS smtp://{host}:{port} --mail-from clerk@{DOMAIN} \
                               --mail-rcpt a@x.example --mail-rcpt b@y.example --mail-rcpt c@z.example -T -
  with Python             python3 -c 'import smtplib; s = smtplib.SMTP("{host}", {port}); s.sendmail("clerk@{DOMAIN}", ["tom@gmail.com"], "From: clerk@{DOMAIN}\nTo: tom@gmail.com\nSubject: Your hedge\n\nThank you.\n")'

"#
    )?;
    out.flush()
}

/// A message that came to the mailbox, of whomever.
pub fn tell_mail(out: &mut dyn Write, mail: &Mail) -> io::Result<()> {
    let show = |name| shortened(&letter::field(&mail.octets, name).unwrap_or("(none)".into()));
    if letter::is_notice(&mail.octets) {
        writeln!(out, "\nA notice from the gateway to {}\n", mail.recipients.join(", "))?;
        line(out, "Subject", &show("Subject"))?;
        return quote(out, &mail.octets);
    }
    let sender = if mail.reverse_path.is_empty() { "nobody (<>)" } else { &mail.reverse_path };
    writeln!(out, "\nMessage {} from {sender} arrived for {}\n", mail.number, people(mail.recipients.len()))?;
    for name in ["From", "To", "Cc", "Subject"] {
        if letter::field(&mail.octets, name).is_some() {
            line(out, name, &show(name))?;
        }
    }
    let recipients = mail.recipients.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    let more = mail.recipients.len().saturating_sub(5);
    line(out, "Delivered to", &if more > 0 { format!("{recipients} and {more} more") } else { recipients })?;
    if let Some(login) = &mail.login {
        line(out, "Logged in as", login)?;
    }
    line(out, "Size", &format!("{} octets", mail.octets.len()))
}

/// A message that was announced to the mailbox and then never sent.
pub fn tell_withdrawn(out: &mut dyn Write, reverse_path: &str, recipients: &[String]) -> io::Result<()> {
    writeln!(
        out,
        "\nA message from {reverse_path} for {} was stopped at the gate: no byte of it reached the mailbox.",
        people(recipients.len())
    )?;
    writeln!(out, "Its client heard why; a sender of the council gets a notice too.")
}

fn people(n: usize) -> String {
    if n == 1 { "one recipient".into() } else { format!("{n} recipients") }
}

/// A list of many, shown by its first two.
fn shortened(value: &str) -> String {
    let parts: Vec<&str> = value.split(">, ").collect();
    if parts.len() > 4 { format!("{}>, {}> and {} more", parts[0], parts[1], parts.len() - 2) } else { value.to_owned() }
}

/// What came from outside is shown without control characters, which could move the cursor or rewrite the screen.
fn line(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    for (n, part) in text.lines().enumerate() {
        let label = if n == 0 { label } else { "" };
        let printable: String = part.chars().take(1000).filter(|c| !c.is_control()).collect();
        writeln!(out, "   {label:<17} {printable}")?;
    }
    Ok(())
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
        line(out, "", &format!("│ {}", part.trim_end()))?;
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
        assert_eq!(tell(&mut shown, 1, &happened, &[]).unwrap(), faults(&happened).len());
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
