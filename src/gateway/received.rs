//! The one field that the gateway always adds (RFC 5321 §4.4).

use std::fmt::Write as _;
use std::net::IpAddr;

/// What the field says.
pub struct Received<'a> {
    /// The client's EHLO or HELO name.
    pub name: &'a str,
    /// None where it would give away a councillor's home.
    pub client: Option<IpAddr>,
    pub hostname: &'a str,
    pub protocol: Protocol,
    pub reference: &'a str,
    /// Only where there is one recipient: with several, each would see the others (RFC 5321 §7.2).
    pub only_recipient: Option<&'a str>,
    /// RFC 5322 §3.3.
    pub date: &'a str,
}

/// RFC 3848 and RFC 6531 §3.7.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub esmtp: bool,
    pub tls: bool,
    pub auth: bool,
    pub utf8: bool,
}

impl Protocol {
    fn word(self) -> String {
        if !self.esmtp {
            return "SMTP".into();
        }
        format!("{}{}{}", if self.utf8 { "UTF8SMTP" } else { "ESMTP" }, if self.tls { "S" } else { "" }, if self.auth { "A" } else { "" })
    }
}

impl Received<'_> {
    /// The field with its CRLF.
    pub fn field(&self) -> String {
        let mut out = String::with_capacity(200);
        out.push_str("Received: from ");
        // A name is what the client says it is: nothing of it may end a line or a comment.
        out.extend(self.name.chars().take(255).map(|c| if c.is_ascii_alphanumeric() || "-._:[]".contains(c) { c } else { '?' }));
        if let Some(client) = self.client {
            let _ = match client.to_canonical() {
                IpAddr::V4(v4) => write!(out, " ([{v4}])"),
                IpAddr::V6(v6) => write!(out, " ([IPv6:{v6}])"),
            };
        }
        let _ = write!(out, "\r\n\tby {} (Lychgate) with {} id {}", self.hostname, self.protocol.word(), self.reference);
        if let Some(recipient) = self.only_recipient {
            let _ = write!(out, "\r\n\tfor <{recipient}>");
        }
        let _ = write!(out, ";\r\n\t{}\r\n", self.date);
        out
    }
}

/// The date in RFC 5322's form.
pub fn date(now: &jiff::Zoned) -> String {
    now.strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_rfc_wants_and_no_more() {
        let received = Received {
            name: "laptop\r\nX: (y)",
            client: Some("192.0.2.7".parse().unwrap()),
            hostname: "gw.x.uk",
            protocol: Protocol { esmtp: true, tls: true, auth: true, utf8: false },
            reference: "LG-7F3K",
            only_recipient: None,
            date: "Mon, 23 Nov 2026 10:00:00 +0000",
        };
        assert_eq!(
            received.field(),
            "Received: from laptop??X:??y? ([192.0.2.7])\r\n\tby gw.x.uk (Lychgate) with ESMTPSA id LG-7F3K;\r\n\tMon, 23 Nov 2026 10:00:00 +0000\r\n"
        );
    }
}
