//! A certificate authority of this run's own, and what it issues to the gateway and to upstreams.

use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::GATEWAY;

/// The name in the certificate of every upstream here.
pub const UPSTREAM: &str = "mail.provider.test";

pub struct Identity {
    pub certificate_pem: String,
    pub key_pem: String,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

pub struct Certificates {
    pub ca_pem: String,
    pub gateway: Identity,
    pub upstream: Identity,
    roots: Arc<RootCertStore>,
}

/// The certificates of this run.
pub fn certificates() -> &'static Certificates {
    static ALL: OnceLock<Certificates> = OnceLock::new();
    ALL.get_or_init(|| {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "Lychgate test authority");
        let ca = params.self_signed(&key).expect("a root can be signed");
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).expect("the root is good");
        let issuer = Issuer::new(params, key);
        Certificates {
            ca_pem: ca.pem(),
            gateway: issue(&issuer, &[GATEWAY, "localhost", "127.0.0.1"]),
            upstream: issue(&issuer, &[UPSTREAM]),
            roots: Arc::new(roots),
        }
    })
}

/// A certificate of the gateway's that it signed itself and that ends on this day (UTC, midnight), with its key: PEM.
pub fn ending(year: i32, month: u8, day: u8) -> (String, String) {
    let key = KeyPair::generate().expect("a key can be made");
    let mut params = CertificateParams::new(vec![GATEWAY.to_string()]).expect("the name is good");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(year, month, day);
    let certificate = params.self_signed(&key).expect("a certificate can be signed");
    (certificate.pem(), key.serialize_pem())
}

fn issue(issuer: &Issuer<'_, KeyPair>, names: &[&str]) -> Identity {
    let key = KeyPair::generate().expect("a key can be made");
    let mut params = CertificateParams::new(names.iter().map(|n| n.to_string()).collect::<Vec<_>>()).expect("the names are good");
    params.distinguished_name.push(DnType::CommonName, names[0]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, issuer).expect("a certificate can be signed");
    Identity {
        certificate_pem: certificate.pem(),
        key_pem: key.serialize_pem(),
        certificate: certificate.der().clone(),
        key: key.serialize_der(),
    }
}

impl Certificates {
    /// The client's end of a session with the gateway, which must bear its name.
    pub fn client(&self) -> ClientConnection {
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("default versions")
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        ClientConnection::new(Arc::new(config), ServerName::try_from(GATEWAY).expect("a name")).expect("a client connection")
    }

    /// The upstream's end of a session with the gateway.
    pub fn server(&self) -> ServerConnection {
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("default versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![self.upstream.certificate.clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.upstream.key.clone())),
            )
            .expect("the certificate goes with its key");
        ServerConnection::new(Arc::new(config)).expect("a server connection")
    }
}
