//! What EHLO offers (RFC 5321 §4.1.1.1): read from an upstream's reply, met with our allow-list, written to a client.

use std::fmt::Write as _;

use super::Reply;

/// The extensions of one side that the gateway knows. What it does not know it does not pass on: an unknown keyword is a promise
/// that nobody here could keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// RFC 1870; `Some(0)` is "no fixed limit".
    pub size: Option<u64>,
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 3030.
    pub chunking: bool,
    /// RFC 2034.
    pub enhanced_status_codes: bool,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 6531.
    pub smtp_utf8: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 8689. Asked of an upstream by a rule; never offered to a client, since not every part of its way would keep it.
    pub require_tls: bool,
    /// RFC 4954.
    pub auth: Mechanisms,
}

/// The SASL mechanisms that can pass a gateway, as a set.
///
/// NTLM and GSSAPI bind to the connection or the host, EXTERNAL to a certificate, `-PLUS` to the TLS channel (RFC 5802 §6): none
/// of them survives a proxy. A client that sees SCRAM from a server that has SCRAM-PLUS takes the missing PLUS for an attack, so
/// all SCRAM is hidden then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mechanisms(u8);

/// One SASL mechanism that the gateway lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    Login,
    XOAuth2,
    OAuthBearer,
    ScramSha1,
    ScramSha256,
    CramMd5,
}

impl Mechanism {
    const ALL: [Mechanism; 7] = [
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::XOAuth2,
        Mechanism::OAuthBearer,
        Mechanism::ScramSha256,
        Mechanism::ScramSha1,
        Mechanism::CramMd5,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
            Mechanism::XOAuth2 => "XOAUTH2",
            Mechanism::OAuthBearer => "OAUTHBEARER",
            Mechanism::ScramSha1 => "SCRAM-SHA-1",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::CramMd5 => "CRAM-MD5",
        }
    }

    pub fn from_name(name: &str) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|m| m.name().eq_ignore_ascii_case(name))
    }
}

impl Mechanisms {
    pub fn insert(&mut self, mechanism: Mechanism) {
        self.0 |= 1 << mechanism as u8;
    }

    pub fn has(self, mechanism: Mechanism) -> bool {
        self.0 & (1 << mechanism as u8) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What a client is offered where the upstream offers this: PLAIN and LOGIN end at the gateway and are translated, so either
    /// stands for both; the rest passes as it is.
    pub fn for_client(self) -> Mechanisms {
        let mut offered = self;
        if self.has(Mechanism::Plain) || self.has(Mechanism::Login) {
            offered.insert(Mechanism::Plain);
            offered.insert(Mechanism::Login);
        }
        offered
    }

    fn read(names: &str, into: &mut Mechanisms, plus: &mut bool) {
        for name in names.split_ascii_whitespace() {
            *plus |= name.len() > 5 && name.as_bytes()[name.len() - 5..].eq_ignore_ascii_case(b"-PLUS");
            if let Some(mechanism) = Mechanism::from_name(name) {
                into.insert(mechanism);
            }
        }
    }

    fn without_scram(mut self) -> Mechanisms {
        self.0 &= !(1 << Mechanism::ScramSha1 as u8 | 1 << Mechanism::ScramSha256 as u8);
        self
    }
}

impl Extensions {
    /// What the gateway offers without asking anyone.
    pub fn own(size: u64) -> Extensions {
        Extensions { size: Some(size), pipelining: true, chunking: true, enhanced_status_codes: true, ..Extensions::default() }
    }

    /// Reads the reply to EHLO. Keywords are case-insensitive; the old `AUTH=` line counts as AUTH.
    pub fn from_ehlo(reply: &Reply) -> Extensions {
        let mut found = Extensions::default();
        let mut plus = false;
        for line in reply.lines().skip(1) {
            let line = String::from_utf8_lossy(line);
            let (keyword, rest) = line.split_once([' ', '=']).unwrap_or((&line, ""));
            match keyword.to_ascii_uppercase().as_str() {
                "SIZE" => found.size = Some(rest.trim().parse().unwrap_or(0)),
                "PIPELINING" => found.pipelining = true,
                "CHUNKING" => found.chunking = true,
                "ENHANCEDSTATUSCODES" => found.enhanced_status_codes = true,
                "8BITMIME" => found.eight_bit_mime = true,
                "SMTPUTF8" => found.smtp_utf8 = true,
                "DSN" => found.dsn = true,
                "STARTTLS" => found.starttls = true,
                "REQUIRETLS" => found.require_tls = true,
                "AUTH" => Mechanisms::read(rest, &mut found.auth, &mut plus),
                _ => {}
            }
        }
        if plus {
            found.auth = found.auth.without_scram();
        }
        found
    }

    /// The allow-list met with the upstream's extensions. `limit` is the site's own message size, `growth` what the gateway may
    /// add to a message; STARTTLS and AUTH are the listener's to decide.
    pub fn offer(upstream: &Extensions, limit: u64, growth: u64) -> Extensions {
        let size = match upstream.size {
            Some(0) | None => limit,
            // SIZE 0 would promise that there is no limit.
            Some(theirs) => limit.min(theirs.saturating_sub(growth)).max(1),
        };
        Extensions {
            eight_bit_mime: upstream.eight_bit_mime,
            smtp_utf8: upstream.smtp_utf8 && upstream.eight_bit_mime,
            dsn: upstream.dsn,
            ..Extensions::own(size)
        }
    }

    /// The reply to EHLO.
    pub(crate) fn reply(&self, hostname: &str) -> Vec<u8> {
        let mut lines = vec![hostname.to_string()];
        let mut keyword = |on: bool, word: &str| {
            if on {
                lines.push(word.to_string());
            }
        };
        keyword(self.pipelining, "PIPELINING");
        if let Some(size) = self.size {
            keyword(true, &format!("SIZE {size}"));
        }
        keyword(self.starttls, "STARTTLS");
        if !self.auth.is_empty() {
            let mut line = String::from("AUTH");
            for mechanism in Mechanism::ALL.into_iter().filter(|m| self.auth.has(*m)) {
                let _ = write!(line, " {}", mechanism.name());
            }
            keyword(true, &line);
        }
        keyword(self.enhanced_status_codes, "ENHANCEDSTATUSCODES");
        keyword(self.eight_bit_mime, "8BITMIME");
        keyword(self.dsn, "DSN");
        keyword(self.smtp_utf8, "SMTPUTF8");
        keyword(self.chunking, "CHUNKING");
        let mut wire = Vec::with_capacity(160);
        let last = lines.len() - 1;
        for (i, line) in lines.iter().enumerate() {
            wire.extend_from_slice(if i == last { b"250 " } else { b"250-" });
            wire.extend_from_slice(line.as_bytes());
            wire.extend_from_slice(b"\r\n");
        }
        wire
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ehlo(text: &str) -> Extensions {
        Extensions::from_ehlo(&Reply::received(250, text.replace('\n', "\r\n").as_bytes()))
    }

    #[test]
    fn offers_what_both_sides_can_keep() {
        let upstream = ehlo(
            "250-mail.example\n250-pipelining\n250-SIZE 10000\n250-XCLIENT NAME\n250-BINARYMIME\n250-8BITMIME\n250-SMTPUTF8\n250-auth=PLAIN NTLM\n250 DSN\n",
        );
        let mut offer = Extensions::offer(&upstream, 35_000_000, 1000);
        offer.auth = upstream.auth.for_client();
        let reply = String::from_utf8(offer.reply("gw.example")).unwrap();
        assert_eq!(
            reply.replace("\r\n", "\n"),
            "250-gw.example\n250-PIPELINING\n250-SIZE 9000\n250-AUTH PLAIN LOGIN\n250-ENHANCEDSTATUSCODES\n250-8BITMIME\n250-DSN\n250-SMTPUTF8\n250 CHUNKING\n"
        );
    }

    #[test]
    fn a_tiny_limit_is_not_said_as_none() {
        assert_eq!(Extensions::offer(&ehlo("250-x\n250 SIZE 100\n"), 1000, 4096).size, Some(1));
    }

    #[test]
    fn plus_hides_scram() {
        let with = ehlo("250-x\n250 AUTH SCRAM-SHA-256 SCRAM-SHA-256-PLUS XOAUTH2 GSSAPI EXTERNAL\n");
        assert!(!with.auth.has(Mechanism::ScramSha256) && with.auth.has(Mechanism::XOAuth2));
        assert!(ehlo("250-x\n250 AUTH SCRAM-SHA-256\n").auth.has(Mechanism::ScramSha256));
    }
}
