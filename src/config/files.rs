//! The files that the site file names: there, readable, what they should be, and not open to others. Reads, never writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mail_auth::common::crypto::{DkimKey, Ed25519Key, RsaKey, Sha256};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use toml::Spanned;

use super::diagnostics::{Diagnostics, Source};
use super::units;

/// Files beside one site file, and the environment that may stand in for secrets.
pub struct Files<'a> {
    pub source: &'a Arc<Source>,
    /// What relative paths are relative to.
    pub base: &'a Path,
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

/// Larger than any certificate chain or secret: what is larger is the wrong file.
const LARGEST: u64 = 4 << 20;

impl Files<'_> {
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    pub(super) fn read(&self, path: &Spanned<PathBuf>, what: &str, d: &mut Diagnostics) -> Option<Vec<u8>> {
        use std::io::Read as _;
        let shown = path.get_ref().display();
        let opened = std::fs::File::open(self.resolve(path.get_ref())).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(LARGEST + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        match opened {
            Ok(bytes) if bytes.len() as u64 > LARGEST => {
                d.error(self.source, path.span(), format!("{shown} is too large for {what}"), "Name the right file.");
                None
            }
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let (message, help) = match error.kind() {
                    std::io::ErrorKind::NotFound => {
                        (format!("there is no file {shown}"), "The path is relative to the site file.".to_owned())
                    }
                    std::io::ErrorKind::PermissionDenied => {
                        (format!("{shown} may not be read"), format!("Let the user that runs the gateway read {what}."))
                    }
                    _ => (format!("{shown} cannot be read: {error}"), String::new()),
                };
                d.error(self.source, path.span(), message, help);
                None
            }
        }
    }

    /// Warns where others on the machine may read a secret. What systemd hands over as a credential is guarded by its folder.
    fn warn_if_open(&self, path: &Spanned<PathBuf>, d: &mut Diagnostics) {
        let resolved = self.resolve(path.get_ref());
        if (self.environment)("CREDENTIALS_DIRECTORY").is_some_and(|folder| resolved.starts_with(folder)) {
            return;
        }
        if is_open_to_others(&resolved) {
            let shown = path.get_ref().display();
            d.warning(self.source, path.span(), format!("other users of this machine may read {shown}"), format!("chmod 600 {shown}"));
        }
    }

    /// Whether the site key is open to others, where it is there already.
    pub fn warn_if_key_open(&self, path: &Spanned<PathBuf>, d: &mut Diagnostics) {
        self.warn_if_open(path, d);
    }

    /// Certificates in PEM, at least one.
    pub fn certificates(&self, path: &Spanned<PathBuf>, d: &mut Diagnostics) -> Option<Vec<CertificateDer<'static>>> {
        let bytes = self.read(path, "certificates", d)?;
        let shown = path.get_ref().display();
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        match found {
            Ok(list) if list.is_empty() => {
                d.error(
                    self.source,
                    path.span(),
                    format!("{shown} has no certificate in it"),
                    "It should hold -----BEGIN CERTIFICATE----- blocks (PEM).",
                );
                None
            }
            Ok(list) if list.iter().any(|c| x509_parser::parse_x509_certificate(c).is_err()) => {
                d.error(self.source, path.span(), format!("{shown} holds a certificate that is damaged"), "Fetch it again.");
                None
            }
            Ok(list) => Some(list),
            Err(_) => {
                d.error(self.source, path.span(), format!("{shown} is damaged: its PEM cannot be read"), "Fetch it again.");
                None
            }
        }
    }

    /// A certificate and its key: both parse, and belong together.
    pub fn identity(&self, certificate: &Spanned<PathBuf>, key: &Spanned<PathBuf>, d: &mut Diagnostics) {
        let chain = self.certificates(certificate, d);
        if let Some(chain) = &chain {
            self.warn_of_expiry(certificate, chain, d);
        }
        let Some(bytes) = self.read(key, "the private key", d) else { return };
        self.warn_if_open(key, d);
        let shown = key.get_ref().display();
        let Ok(private) = PrivateKeyDer::from_pem_slice(&bytes) else {
            let help = if memchr::memmem::find(&bytes, b"ENCRYPTED PRIVATE KEY").is_some() {
                "The key has a password. Take it off: openssl pkey -in KEY -out NEW-KEY"
            } else {
                "It should hold a -----BEGIN PRIVATE KEY----- block (PEM)."
            };
            d.error(self.source, key.span(), format!("{shown} has no private key in it"), help);
            return;
        };
        let Some(chain) = chain else { return };
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        match rustls::sign::CertifiedKey::from_der(chain, private, &provider) {
            Ok(_) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                let message = format!("{shown} is not the key of {}", certificate.get_ref().display());
                d.error(self.source, key.span(), message, "The certificate and the key are made together: name the pair.");
            }
            Err(_) => d.error(
                self.source,
                key.span(),
                format!("{shown} is not a key that TLS can use"),
                "Use RSA of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519.",
            ),
        }
    }

    fn warn_of_expiry(&self, path: &Spanned<PathBuf>, chain: &[CertificateDer<'_>], d: &mut Diagnostics) {
        let Some((_, leaf)) = chain.first().and_then(|c| x509_parser::parse_x509_certificate(c).ok()) else { return };
        let end = leaf.validity().not_after.timestamp();
        let left = end.saturating_sub(jiff::Timestamp::now().as_second());
        let day = jiff::Timestamp::from_second(end).map(|t| t.strftime("%-d %B %Y").to_string()).unwrap_or_default();
        let shown = path.get_ref().display();
        if left < 0 {
            d.warning(
                self.source,
                path.span(),
                format!("the certificate in {shown} ended on {day}"),
                "Mail programs refuse it. Renew it, then send SIGHUP.",
            );
        } else if left < 14 * 86_400 {
            d.warning(self.source, path.span(), format!("the certificate in {shown} ends on {day}"), "Renew it, then send SIGHUP.");
        }
    }

    /// The first line of a secret's file, or the environment's word for it. None, with a diagnostic, where it cannot be had;
    /// none without one where nothing was said.
    pub fn secret(&self, path: Option<&Spanned<PathBuf>>, variable: &str, what: &str, d: &mut Diagnostics) -> Option<String> {
        let Some(path) = path else { return (self.environment)(variable).filter(|s| !s.is_empty()) };
        let bytes = self.read(path, what, d)?;
        self.warn_if_open(path, d);
        let shown = path.get_ref().display();
        let Ok(text) = String::from_utf8(bytes) else {
            d.error(self.source, path.span(), format!("{shown} is not text"), format!("It should hold {what} in one line."));
            return None;
        };
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() || line.contains(['\n', '\r', '\0']) {
            d.error(self.source, path.span(), format!("{shown} does not hold one line"), format!("It should hold {what} in one line."));
            return None;
        }
        Some(line.to_owned())
    }

    /// A private key to sign mail with: RSA of at least 2048 bits (RFC 8301 §3.2 advises it; 1024 is the least), or Ed25519 (RFC 8463).
    pub fn signing_key(&self, path: &Spanned<PathBuf>, d: &mut Diagnostics) -> Option<DkimKey> {
        let bytes = self.read(path, "the signing key", d)?;
        self.warn_if_open(path, d);
        let found = PrivateKeyDer::from_pem_slice(&bytes).ok().and_then(|der| {
            let edwards = match &der {
                PrivateKeyDer::Pkcs8(pkcs8) => Ed25519Key::from_pkcs8_maybe_unchecked_der(pkcs8.secret_pkcs8_der()).ok().map(DkimKey::from),
                _ => None,
            };
            edwards.or_else(|| RsaKey::<Sha256>::from_key_der(der).ok().map(DkimKey::from))
        });
        if found.is_none() {
            let shown = path.get_ref().display();
            d.error(
                self.source,
                path.span(),
                format!("{shown} holds no key that mail can be signed with"),
                "Make one: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out KEY",
            );
        }
        found
    }

    /// 32 octets in base64.
    pub fn key(&self, path: Option<&Spanned<PathBuf>>, variable: &str, d: &mut Diagnostics) -> Option<[u8; 32]> {
        let text = self.secret(path, variable, "the key", d)?;
        let key = units::base64_32(&text);
        if key.is_none() {
            let help = "Make one: openssl rand -base64 32";
            match path {
                Some(path) => {
                    d.error(self.source, path.span(), format!("{} does not hold 32 bytes in base64", path.get_ref().display()), help)
                }
                None => d.error_without_place(format!("{variable} does not hold 32 bytes in base64"), help),
            }
        }
        key
    }
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_path: &Path) -> bool {
    false
}
