//! The council's signature on mail that leaves (RFC 6376), made last, over what really leaves.
//!
//! From stands twice in the list of what is signed, so that no second one can be put in front (RFC 6376 §8.15); other fields are
//! signed where they are there, since providers add those that are missing. Header and body are relaxed: a relay may fold a line.

use std::sync::Arc;

use mail_auth::common::crypto::{Algorithm, DkimKey, Sha256, SigningKey};
use mail_auth::common::headers::{HeaderWriter as _, Writable};
use mail_auth::dkim::DkimSigner;

use crate::config::settings::Dkim;
use crate::message::view::View;

/// What readers and their programs go by.
const COVERED: [&str; 12] = [
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// The field, with its CRLF, for a message as it leaves, whose author is at `author` (in normal form). None where no key is for that
/// domain, or the message has no From to sign.
pub fn field(keys: &[Dkim], author: &str, message: &[u8]) -> Option<String> {
    let below = |domain: &str| author.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    let key = keys.iter().find(|k| k.domain == author).or_else(|| keys.iter().find(|k| below(&k.domain)))?;
    let view = View::new(message);
    view.named("From").next()?;
    let there = COVERED.into_iter().filter(|name| view.named(name).next().is_some());
    let fields = std::iter::once("From").chain(there).chain(std::iter::once("From"));
    let signer = DkimSigner::from_key(Shared(key.key.clone())).domain(&key.domain).selector(&key.selector).headers(fields);
    match signer.sign(message) {
        Ok(signature) => Some(signature.to_header()),
        Err(error) => {
            tracing::error!(event = "signing_failed", domain = key.domain, %error);
            None
        }
    }
}

/// A key that all threads sign with.
struct Shared(Arc<DkimKey>);

impl SigningKey for Shared {
    type Hasher = Sha256;

    fn sign(&self, input: impl Writable) -> mail_auth::Result<Vec<u8>> {
        self.0.sign(input)
    }

    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }
}

#[cfg(test)]
mod tests {
    use mail_auth::common::crypto::Ed25519Key;

    use super::*;

    fn key(domain: &str) -> Dkim {
        let pkcs8 = Ed25519Key::generate_pkcs8().unwrap();
        Dkim { domain: domain.into(), selector: "gate1".into(), key: Arc::new(Ed25519Key::from_pkcs8_der(&pkcs8).unwrap().into()) }
    }

    #[test]
    fn what_is_signed() {
        let keys = [key("old.uk"), key("wragby.uk")];
        let message = b"Received: x\r\nfrom: Jo <jo@wragby.uk>\r\nTo: a@x.uk\r\nSUBJECT: Hedge\r\nX-Other: y\r\n\r\nText\r\n";
        let signed = |author: &str| field(&keys, author, message);
        let found = signed("wragby.uk").unwrap();
        let plain: String = found.chars().filter(|c| !c.is_whitespace()).collect();
        assert!(found.starts_with("DKIM-Signature: v=1; ") && found.ends_with("\r\n"), "{found}");
        assert!(found.trim_end().split("\r\n").skip(1).all(|line| line.starts_with('\t')), "{found}");
        assert!(plain.contains(";s=gate1;d=wragby.uk;c=relaxed/relaxed;"), "{plain}");
        assert!(plain.contains("h=SUBJECT:To:from:From;"), "{plain}");
        assert!(signed("mail.wragby.uk").unwrap().contains("d=wragby.uk"));
        assert!(signed("old.uk").unwrap().contains("d=old.uk"));
        assert_eq!((signed("notwragby.uk"), signed("x.uk"), signed("")), (None, None, None));
        assert_eq!(field(&keys, "wragby.uk", b"Subject: x\r\n\r\nx\r\n"), None);
    }
}
