//! rustls on both sides: what a listener shows, and what an upstream must prove.
//!
//! Certificates are verified against the system's roots and `ca-file`, names included, before any octet of SMTP follows, so no
//! credential can go to a server that is not the one configured. Only `opportunistic` (never for submission) takes any
//! certificate, as it would take none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::config::settings::{TlsFiles, Trust, Upstream, UpstreamTls};

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: String },
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    #[error("client certificates: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Certificates of a PEM file, at least one.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = |reason: String| TlsError::File { path: path.into(), reason };
    let list = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(|e| file(e.to_string()))?;
    if list.is_empty() { Err(file("no certificate in it".into())) } else { Ok(list) }
}

/// When the certificate of a PEM file ends, in seconds since 1970: the first of it, which is the gateway's own.
pub fn ends(path: &Path) -> Result<i64, TlsError> {
    let chain = certificates(path)?;
    let parsed = x509_parser::parse_x509_certificate(&chain[0]);
    let (_, leaf) = parsed.map_err(|e| TlsError::File { path: path.into(), reason: e.to_string() })?;
    Ok(leaf.validity().not_after.timestamp())
}

/// What a listener shows to clients, and whether it asks for theirs.
pub fn server_config(files: &TlsFiles, trust: &Trust) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| TlsError::File { path: files.key.clone(), reason: e.to_string() })?;
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = if trust.client_certificates.is_empty() {
        builder.with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        match &trust.client_ca_file {
            Some(path) => {
                for certificate in certificates(path)? {
                    roots.add(certificate)?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        // Asked for, not demanded: whether a client is trusted is decided with its network and header.
        builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).allow_unauthenticated().build()?,
        )
    };
    let mut config = builder.with_single_cert(chain, key)?;
    // One ticket a handshake: a phone resumes its last session, not its last two.
    config.send_tls13_tickets = 1;
    config.max_fragment_size = None;
    Ok(Arc::new(config))
}

/// For the console: HTTP/1.1 and nobody's certificate but our own.
pub fn page_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let config = server_config(files, &Trust::default())?;
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// How an upstream is to prove itself.
pub fn client_config(upstream: &Upstream) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let verifier: Arc<dyn ServerCertVerifier> = match upstream.tls {
        UpstreamTls::Opportunistic | UpstreamTls::None => Arc::new(AnyCertificate(provider())),
        UpstreamTls::Starttls | UpstreamTls::Implicit => {
            let extra = upstream.ca_file.as_deref().map(certificates).transpose()?.unwrap_or_default();
            let inner = Arc::new(rustls_platform_verifier::Verifier::new_with_extra_roots(extra.clone(), provider())?);
            Arc::new(Verified { pinned: extra, inner })
        }
    };
    Ok(Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

/// The DNS names of a client's certificate that was verified.
pub fn certificate_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return Vec::new() };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
    let dns = names.value.general_names.iter().filter_map(|name| match name {
        x509_parser::extensions::GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    dns.collect()
}

/// Whether `name` is `pattern`, or one label below `*.pattern`. A wildcard in the certificate itself matches the same pattern.
pub fn name_matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    match pattern.strip_prefix("*.") {
        Some(suffix) => name.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == suffix),
        None => name == pattern,
    }
}

/// Chains to the roots, and a certificate that stands in `ca-file` itself: a server with a certificate that it signed for itself is
/// trusted by naming just that one. Its name and dates are held to all the same.
#[derive(Debug)]
struct Verified {
    pinned: Vec<CertificateDer<'static>>,
    inner: Arc<rustls_platform_verifier::Verifier>,
}

impl ServerCertVerifier for Verified {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if !self.pinned.iter().any(|pinned| pinned == certificate) {
            return self.inner.verify_server_cert(certificate, chain, name, ocsp, now);
        }
        rustls::client::verify_server_name(&rustls::server::ParsedCertificate::try_from(certificate)?, name)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
            .map_err(|_| rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding))?;
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let validity = parsed.validity();
        if seconds < validity.not_before.timestamp() {
            return Err(rustls::Error::InvalidCertificate(rustls::CertificateError::NotValidYet));
        }
        if seconds > validity.not_after.timestamp() {
            return Err(rustls::Error::InvalidCertificate(rustls::CertificateError::Expired));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Encryption without proof, for `opportunistic`.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate signed by itself, good from 1975 to 4096.
    fn itself(names: &[&str]) -> CertificateDer<'static> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(names.iter().map(|n| n.to_string()).collect::<Vec<_>>()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn a_certificate_in_the_ca_file_is_trusted_for_its_own_name_only() {
        let (ours, theirs) = (itself(&["mail.x.example"]), itself(&["mail.x.example"]));
        let inner = Arc::new(rustls_platform_verifier::Verifier::new_with_extra_roots([ours.clone()], provider()).unwrap());
        let verified = Verified { pinned: vec![ours.clone()], inner };
        let check = |certificate: &CertificateDer<'_>, name: &str, seconds: u64| {
            let name = ServerName::try_from(name.to_string()).unwrap();
            let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
            verified.verify_server_cert(certificate, &[], &name, &[], now).is_ok()
        };
        assert!(check(&ours, "mail.x.example", 1_800_000_000));
        assert!(!check(&ours, "other.x.example", 1_800_000_000), "another name");
        assert!(!check(&ours, "mail.x.example", 1), "before its time");
        assert!(!check(&theirs, "mail.x.example", 1_800_000_000), "another certificate of that name");
    }

    #[test]
    fn a_wildcard_is_one_label() {
        assert!(name_matches("*.mail.example", "a.MAIL.example"));
        assert!(!name_matches("*.mail.example", "mail.example"));
        assert!(!name_matches("*.mail.example", "a.b.mail.example"));
        assert!(name_matches("mail.example", "mail.example"));
    }
}
