//! Whom a connector believes, and that nobody makes a relay of any listener, whatever they show.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;
use crate::support::GATEWAY;
use crate::support::certificates::certificates;

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).expect("a root can be signed").pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    fn client(&self, name: &str) -> (CertificateDer<'static>, Vec<u8>) {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::new(vec![name.to_string()]).expect("the name is good");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("it can be signed");
        (certificate.der().clone(), key.serialize_der())
    }
}

/// A client that shows a certificate, or none: the code of the last reply, or 0 where the gateway hung up.
fn send_over_tls(gateway: &Gateway, shown: Option<&(CertificateDer<'static>, Vec<u8>)>, from: &str, to: &str, content: &str) -> u16 {
    over_tls(gateway, shown, from, to, content).unwrap_or(0)
}

fn over_tls(
    gateway: &Gateway,
    shown: Option<&(CertificateDer<'static>, Vec<u8>)>,
    from: &str,
    to: &str,
    content: &str,
) -> std::io::Result<u16> {
    use std::io::{BufRead, BufReader, Write};
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(certificates().ca_pem.as_bytes()).expect("a certificate");
    roots.add(ca).expect("the root is good");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("default versions")
        .with_root_certificates(roots);
    let config = match shown {
        Some((certificate, key)) => builder
            .with_client_auth_cert(vec![certificate.clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.clone())))
            .expect("the certificate goes with its key"),
        None => builder.with_no_client_auth(),
    };
    let socket = std::net::TcpStream::connect(gateway.address("tls"))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from(GATEWAY).expect("a name")).expect("a connection");
    let mut wire = BufReader::new(StreamOwned::new(connection, socket));
    let reply = |wire: &mut BufReader<StreamOwned<ClientConnection, std::net::TcpStream>>| -> std::io::Result<u16> {
        loop {
            let mut line = String::new();
            wire.read_line(&mut line)?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.get(..3).and_then(|c| c.parse().ok()).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    };
    reply(&mut wire)?;
    let end = stuffed(content.as_bytes());
    let lines = ["EHLO client.example".to_string(), format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{to}>"), "DATA".to_string()];
    for line in lines {
        write!(wire.get_mut(), "{line}\r\n")?;
        let code = reply(&mut wire)?;
        if code >= 400 {
            return Ok(code);
        }
    }
    wire.get_mut().write_all(&end)?;
    reply(&mut wire)
}

const STRANGER: &str = "x@stranger.test";
const OUTSIDER: &str = "jo@outside.test";

fn from(sender: &str, to: &str) -> String {
    format!("From: {sender}\r\nTo: {to}\r\nSubject: Hedge\r\n\r\nText\r\n")
}

/// A connector whose networks are nobody's here, so that only what a test shows can be believed.
fn tls_connector(name: &str, sink: &Sink, trust: &str) -> Site {
    Site::new(name).listener("tls", "connector", "implicit", "out", trust).upstream("out", sink.address, "none", "")
}

#[test]
fn by_client_certificate() {
    let sink = Sink::start(&["PIPELINING"]);
    let (provider, other) = (Authority::new("provider authority"), Authority::new("other authority"));
    let gateway =
        tls_connector("certificate", &sink, "trust = { client-certificates = [\"*.mail.example\"], client-ca-file = \"provider-ca.pem\" }")
            .file("provider-ca.pem", provider.pem.clone())
            .start();
    let right = provider.client("out1.mail.example");
    assert_eq!(send_over_tls(&gateway, Some(&right), CLERK, OUTSIDER, &from(CLERK, OUTSIDER)), 250);
    assert_eq!(send_over_tls(&gateway, Some(&right), STRANGER, CLERK, &from(STRANGER, CLERK)), 250, "inbound by the provider");
    assert_eq!(sink.take().len(), 2);
    let wrong = [
        ("a wrong name", Some(provider.client("mail.example.evil.test"))),
        ("two labels for one star", Some(provider.client("a.b.mail.example"))),
        ("no label for the star", Some(provider.client("mail.example"))),
        ("an authority that nobody trusts", Some(other.client("out1.mail.example"))),
        ("no certificate", None),
    ];
    for (what, shown) in &wrong {
        let code = send_over_tls(&gateway, shown.as_ref(), CLERK, OUTSIDER, &from(CLERK, OUTSIDER));
        assert!(code == 550 || code == 0, "{what}: {code}");
    }
    // The right certificate is another tenant's too: never an open relay.
    assert_eq!(send_over_tls(&gateway, Some(&right), STRANGER, OUTSIDER, &from(STRANGER, OUTSIDER)), 550);
    assert_eq!(
        send_over_tls(&gateway, Some(&right), STRANGER, OUTSIDER, &from(CLERK, OUTSIDER)),
        550,
        "From proves nothing beside a reverse path"
    );
    assert_eq!(send_over_tls(&gateway, Some(&right), "", OUTSIDER, &from(STRANGER, OUTSIDER)), 550);
    assert!(sink.take().is_empty());
}

const HEADER: &str = "X-Council-Tenant: 0123456789abcdef0123";

#[test]
fn by_the_secret_header_on_networks_that_tenants_share() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = Site::new("header")
        .listener("in", "connector", "none", "out", "trust = { networks = [\"127.0.0.0/8\"], header-file = \"tenant-header\" }")
        .upstream("out", sink.address, "none", "")
        .file("tenant-header", format!("{HEADER}\n"))
        .start();
    let plain = from(CLERK, OUTSIDER);
    let right = format!("X-Above: 1\r\n{HEADER}\r\n{plain}");
    assert_eq!(send(&gateway, "in", CLERK, &[OUTSIDER], &right).code, 250);
    let arrived = sink.take();
    untouched(&arrived[0], &format!("X-Above: 1\r\n{plain}"));
    let folded = format!("x-council-TENANT:\r\n  0123456789abcdef0123 \r\n{plain}");
    assert_eq!(send(&gateway, "in", CLERK, &[OUTSIDER], &folded).code, 250, "the field is the same, folded");
    untouched(&sink.take()[0], &plain);
    for (what, content) in [
        ("without it", plain.clone()),
        ("a wrong secret", right.replace("abcdef0123\r", "abcdef0124\r")),
        ("a part of it", right.replace("abcdef0123\r", "abcdef012\r")),
        ("an empty one", right.replace(" 0123456789abcdef0123", "")),
        ("twice", format!("{HEADER}\r\n{right}")),
        ("beside a guess", format!("X-Council-Tenant: guess\r\n{right}")),
        ("in the body", format!("{plain}\r\n{HEADER}\r\n")),
    ] {
        assert_eq!(send(&gateway, "in", CLERK, &[OUTSIDER], &content).code, 550, "{what}");
    }
    // The right secret opens no relay.
    for (path, author) in [(STRANGER, STRANGER), (STRANGER, CLERK), ("", STRANGER)] {
        let content = format!("{HEADER}\r\n{}", from(author, OUTSIDER));
        assert_eq!(send(&gateway, "in", path, &[OUTSIDER], &content).code, 550, "{path:?} {author}");
    }
    // One recipient is the council's, the other is not: the second is refused, and the first gets the message.
    let mut client = greeted(&gateway, "in");
    let content = format!("{HEADER}\r\n{}", from(STRANGER, CLERK));
    assert_eq!(client.command(&format!("MAIL FROM:<{STRANGER}>")).expect("an answer").code, 250);
    assert_eq!(client.command(&format!("RCPT TO:<{CLERK}>")).expect("an answer").code, 250);
    assert_eq!(client.command(&format!("RCPT TO:<{OUTSIDER}>")).expect("an answer").code, 550);
    assert_eq!(client.command("DATA").expect("an answer").code, 354);
    client.send(&stuffed(content.as_bytes())).expect("it is sent");
    assert_eq!(client.reply().expect("an answer").code, 250);
    let arrived = sink.take();
    assert_eq!((arrived.len(), &arrived[0].recipients[..]), (1, &[format!("RCPT TO:<{CLERK}>")][..]));
    assert!(!gateway.log().contains("0123456789abcdef"), "the secret is in the log");
}

#[test]
fn the_secret_header_alone_does_not_open_a_strange_network() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = Site::new("both")
        .listener("in", "connector", "none", "out", "trust = { networks = [\"192.0.2.0/24\"], header-file = \"tenant-header\" }")
        .upstream("out", sink.address, "none", "")
        .file("tenant-header", format!("{HEADER}\n"))
        .start();
    assert_eq!(send(&gateway, "in", CLERK, &[OUTSIDER], &format!("{HEADER}\r\n{}", from(CLERK, OUTSIDER))).code, 550);
    assert!(sink.take().is_empty());
}

#[test]
fn by_network_alone_the_sender_or_every_recipient_must_be_the_councils() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = Site::new("network")
        .listener("in", "connector", "none", "out", "")
        .listener("closed", "connector", "none", "out", "trust = { networks = [\"192.0.2.0/24\", \"2001:db8::/32\"] }")
        .listener("world", "mx", "none", "out", "")
        .upstream("out", sink.address, "none", "")
        .start();
    let lookalikes = [
        "clerk@wragby.test.evil.test",
        "clerk@evil-wragby.test",
        "clerk@sub.wragby.test",
        "\"clerk@wragby.test\"@evil.test",
        "wragby.test%x@evil.test",
    ];
    for sender in lookalikes.iter().chain([&STRANGER]) {
        assert_eq!(send(&gateway, "in", sender, &[OUTSIDER], &from(CLERK, OUTSIDER)).code, 550, "{sender} to an outsider");
    }
    for to in lookalikes.iter().chain([&OUTSIDER]) {
        assert_eq!(send(&gateway, "in", STRANGER, &[to], &from(CLERK, to)).code, 550, "to {to}");
        // Mail from the world goes to the council only, forged council senders and bounces too.
        for sender in [STRANGER, CLERK, ""] {
            assert_eq!(send(&gateway, "world", sender, &[to], &from(CLERK, to)).code, 550, "{sender:?} to {to} at mx");
        }
    }
    for sender in [CLERK, STRANGER, ""] {
        assert_eq!(send(&gateway, "closed", sender, &[CLERK], &from(CLERK, CLERK)).code, 550, "{sender:?} from a strange network");
    }
    assert!(sink.take().is_empty());
    for (listener, sender, to) in
        [("in", "Clerk@WRAGBY.test", OUTSIDER), ("in", STRANGER, "chair@Wragby.Test"), ("world", STRANGER, CLERK), ("world", "", CLERK)]
    {
        assert_eq!(send(&gateway, listener, sender, &[to], &from(sender, to)).code, 250, "{sender:?} to {to} at {listener}");
    }
    // An empty reverse path: the author decides.
    assert_eq!(send(&gateway, "in", "", &[OUTSIDER], &from(CLERK, OUTSIDER)).code, 250);
    assert_eq!(send(&gateway, "in", "", &[OUTSIDER], &from(STRANGER, OUTSIDER)).code, 550);
    assert_eq!(send(&gateway, "in", "", &[OUTSIDER], &from(&format!("{CLERK}, {STRANGER}"), OUTSIDER)).code, 550, "two authors");
    assert_eq!(
        send(&gateway, "in", "", &[OUTSIDER], &format!("From: {STRANGER}\r\n{}", from(CLERK, OUTSIDER))).code,
        550,
        "two From fields"
    );
    assert_eq!(sink.take().len(), 5);
}
