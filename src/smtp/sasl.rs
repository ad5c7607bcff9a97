//! PLAIN (RFC 4616) and LOGIN, which end at the gateway and are said again to the upstream in the mechanism that it offers.
//!
//! A credential lives from the client's line to the upstream's, is wiped when dropped, and is never shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::extension::{Mechanism, Mechanisms};

/// A log-in name with its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Whom to act as (RFC 4616 §2); empty for oneself.
    pub authzid: String,
    pub authcid: String,
    password: Zeroizing<String>,
}

/// Shows nothing of the credential.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// How far the client has come.
#[derive(PartialEq, Eq)]
pub enum LoginStep {
    Plain,
    User,
    Password { user: String },
}

/// Shows no account.
impl std::fmt::Debug for LoginStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginStep(…)")
    }
}

#[derive(Debug)]
pub enum Progress {
    Next(LoginStep),
    Done(Credentials),
}

/// The response is not base64, or not of the mechanism's form.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

impl LoginStep {
    pub fn plain() -> LoginStep {
        LoginStep::Plain
    }

    pub fn login() -> LoginStep {
        LoginStep::User
    }

    /// The 334 line that asks for this step.
    pub fn challenge(&self) -> &'static [u8] {
        match self {
            LoginStep::Plain => b"334 \r\n",
            LoginStep::User => b"334 VXNlcm5hbWU6\r\n",
            LoginStep::Password { .. } => b"334 UGFzc3dvcmQ6\r\n",
        }
    }

    /// Takes the client's base64 response; `=` alone is an empty one (RFC 4954 §4).
    pub fn respond(self, response: &str) -> Result<Progress, Malformed> {
        let decoded = if response == "=" { Vec::new() } else { STANDARD.decode(response).map_err(|_| Malformed)? };
        let decoded = Zeroizing::new(String::from_utf8(decoded).map_err(|_| Malformed)?);
        match self {
            LoginStep::Plain => {
                let mut fields = decoded.split('\0');
                match (fields.next(), fields.next(), fields.next(), fields.next()) {
                    (Some(authzid), Some(authcid), Some(password), None) if !authcid.is_empty() => Ok(Progress::Done(Credentials {
                        authzid: authzid.into(),
                        authcid: authcid.into(),
                        password: Zeroizing::new(password.into()),
                    })),
                    _ => Err(Malformed),
                }
            }
            // NUL has no place in a name or password; it would move PLAIN's fields when said again.
            _ if decoded.contains('\0') => Err(Malformed),
            LoginStep::User if decoded.is_empty() => Err(Malformed),
            LoginStep::User => Ok(Progress::Next(LoginStep::Password { user: decoded.to_string() })),
            LoginStep::Password { user } => Ok(Progress::Done(Credentials { authzid: String::new(), authcid: user, password: decoded })),
        }
    }
}

/// What to say to the upstream, line by line; each after the first answers a 334.
pub struct LoginLines {
    lines: std::vec::IntoIter<Zeroizing<String>>,
}

/// The upstream offers nothing that can carry this credential.
#[derive(Debug, PartialEq, Eq)]
pub enum Untranslatable {
    /// Neither PLAIN nor LOGIN.
    NoMechanism,
    /// LOGIN cannot say whom to act as, and dropping it would log in as somebody else.
    ActsAsAnother,
}

impl Credentials {
    pub fn new(user: String, password: String) -> Credentials {
        Credentials { authzid: String::new(), authcid: user, password: Zeroizing::new(password) }
    }

    pub fn lines_for(&self, offered: Mechanisms) -> Result<LoginLines, Untranslatable> {
        let lines = if offered.has(Mechanism::Plain) {
            let response = Zeroizing::new(format!("{}\0{}\0{}", self.authzid, self.authcid, *self.password));
            let encoded = Zeroizing::new(STANDARD.encode(response.as_bytes()));
            // RFC 4954 §4: an initial response that makes the line too long goes after a 334.
            if encoded.len() > 490 {
                vec![Zeroizing::new("AUTH PLAIN".into()), encoded]
            } else {
                vec![Zeroizing::new(format!("AUTH PLAIN {}", *encoded))]
            }
        } else if offered.has(Mechanism::Login) {
            if !self.authzid.is_empty() && self.authzid != self.authcid {
                return Err(Untranslatable::ActsAsAnother);
            }
            vec![
                Zeroizing::new("AUTH LOGIN".into()),
                Zeroizing::new(STANDARD.encode(self.authcid.as_bytes())),
                Zeroizing::new(STANDARD.encode(self.password.as_bytes())),
            ]
        } else {
            return Err(Untranslatable::NoMechanism);
        };
        Ok(LoginLines { lines: lines.into_iter() })
    }
}

impl Iterator for LoginLines {
    type Item = Zeroizing<String>;

    fn next(&mut self) -> Option<Zeroizing<String>> {
        self.lines.next()
    }
}

/// The account in the first response of XOAUTH2 (`user=…^A`) or OAUTHBEARER (`n,a=…,^A`, RFC 7628 §3.1), where it says one.
pub fn oauth_account(initial: &str) -> Option<String> {
    let decoded = Zeroizing::new(STANDARD.decode(initial).ok()?);
    let text = std::str::from_utf8(&decoded).ok()?;
    let user = match text.strip_prefix("user=") {
        Some(rest) => rest.split('\u{1}').next()?,
        None => text.split([',', '\u{1}']).find_map(|field| field.strip_prefix("a="))?,
    };
    (!user.is_empty()).then(|| user.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(mechanism: Mechanism) -> Mechanisms {
        let mut offered = Mechanisms::default();
        offered.insert(mechanism);
        offered
    }

    #[test]
    fn plain_is_said_again_as_login_and_the_other_way() {
        let Ok(Progress::Done(credentials)) = LoginStep::plain().respond(&STANDARD.encode("\0jo\0s3cret")) else { panic!() };
        let lines: Vec<_> = credentials.lines_for(offered(Mechanism::Login)).ok().unwrap().map(|l| l.to_string()).collect();
        assert_eq!(lines, ["AUTH LOGIN", "am8=", "czNjcmV0"]);
        let Ok(Progress::Next(step)) = LoginStep::login().respond("am8=") else { panic!() };
        let Ok(Progress::Done(credentials)) = step.respond("czNjcmV0") else { panic!() };
        let lines: Vec<_> = credentials.lines_for(offered(Mechanism::Plain)).ok().unwrap().map(|l| l.to_string()).collect();
        assert_eq!(lines, [format!("AUTH PLAIN {}", STANDARD.encode("\0jo\0s3cret"))]);
        assert!(!format!("{credentials:?}").contains("jo"));
    }

    #[test]
    fn an_authorization_identity_is_never_dropped() {
        let Ok(Progress::Done(credentials)) = LoginStep::plain().respond(&STANDARD.encode("clerk\0jo\0x")) else { panic!() };
        assert_eq!(credentials.lines_for(offered(Mechanism::Login)).err(), Some(Untranslatable::ActsAsAnother));
        assert!(credentials.lines_for(offered(Mechanism::Plain)).is_ok());
    }

    #[test]
    fn malformed() {
        for response in ["!", "", "=", &STANDARD.encode("jo"), &STANDARD.encode("\0jo\0a\0b"), &STANDARD.encode("\0\0x")] {
            assert!(LoginStep::plain().respond(response).is_err(), "{response}");
        }
    }

    #[test]
    fn oauth_names_the_account() {
        assert_eq!(oauth_account(&STANDARD.encode("user=jo@x.uk\u{1}auth=Bearer t\u{1}\u{1}")).as_deref(), Some("jo@x.uk"));
        assert_eq!(oauth_account(&STANDARD.encode("n,a=jo@x.uk,\u{1}host=h\u{1}auth=Bearer t\u{1}\u{1}")).as_deref(), Some("jo@x.uk"));
    }
}
