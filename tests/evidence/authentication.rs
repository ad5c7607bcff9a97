//! SPF, DKIM and DMARC against a name server of our own: what the RFCs say, and what hostile zones and messages are answered with.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lychgate::config::settings;
use lychgate::evidence::authentication::{Authenticated, Authenticator, Claims};
use lychgate::message::RawMessage;
use lychgate::policy::outside::{Authentication, Fact};
use mail_auth::common::crypto::{DkimKey, Ed25519Key};
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::DkimSigner;

use crate::support::base64;
use crate::support::dns::Dns;

const NONE: Fact<Authentication> = Fact::Known(Authentication::None);
pub const PASS: Fact<Authentication> = Fact::Known(Authentication::Pass);
const FAIL: Fact<Authentication> = Fact::Known(Authentication::Fail);

/// A signing key, and the record that publishes it.
pub struct Key {
    pkcs8: Vec<u8>,
    pub record: String,
}

impl Key {
    pub fn new() -> Key {
        let pkcs8 = Ed25519Key::generate_pkcs8().expect("a key can be made");
        let public = Ed25519Key::from_pkcs8_der(&pkcs8).expect("it is a key").public_key();
        Key { pkcs8, record: format!("v=DKIM1; k=ed25519; p={}", base64(&public)) }
    }

    /// The message with a signature of `domain` in front.
    pub fn sign(&self, domain: &str, message: &str) -> Vec<u8> {
        self.sign_as(domain, "s", message)
    }

    pub fn sign_as(&self, domain: &str, selector: &str, message: &str) -> Vec<u8> {
        self.sign_with(domain, selector, message, &["From", "To", "Subject"])
    }

    /// The private key as a file holds it.
    pub fn pem(&self) -> String {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", base64(&self.pkcs8))
    }

    fn sign_with(&self, domain: &str, selector: &str, message: &str, fields: &[&str]) -> Vec<u8> {
        let key = DkimKey::from(Ed25519Key::from_pkcs8_der(&self.pkcs8).expect("it is a key"));
        let signer = DkimSigner::from_key(key).domain(domain).selector(selector).headers(fields.iter().copied());
        let signature = signer.sign(message.as_bytes()).expect("it can be signed").to_header();
        [signature.as_bytes(), message.as_bytes()].concat()
    }
}

pub struct Asking {
    runtime: tokio::runtime::Runtime,
    authenticator: Authenticator,
}

impl Asking {
    pub fn at(dns: &Dns, timeout: Duration) -> Asking {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let settings = settings::Dns { servers: vec![dns.address], timeout, cache: 64 };
        let authenticator = {
            let _guard = runtime.enter();
            Authenticator::new(&settings, "gate.wragby.test").expect("a resolver")
        };
        Asking { runtime, authenticator }
    }

    pub fn about(&self, message: &[u8], claims: Claims) -> Authenticated {
        let message = Arc::new(RawMessage::new(message.to_vec()));
        let found = self.runtime.block_on(self.authenticator.authenticate(message.clone(), claims));
        assert!(Arc::try_unwrap(message).is_ok(), "nobody holds on to the message");
        found
    }
}

pub fn claims(reverse_path: &str, author: &str) -> Claims {
    Claims {
        peer: Some(IpAddr::from([192, 0, 2, 1])),
        hello: "mail.good.test".into(),
        reverse_path: reverse_path.into(),
        author_domains: vec![author.into()],
    }
}

fn letter(author: &str) -> String {
    format!("From: Jo <jo@{author}>\r\nTo: clerk@wragby.test\r\nSubject: Hedge\r\n\r\nThe hedge is high.\r\n")
}

const ZONE: &str = "
    good.test               TXT  v=spf1 ip4:192.0.2.1 -all
    _dmarc.good.test        TXT  v=DMARC1; p=reject
    bounces.good.test       TXT  v=spf1 ip4:192.0.2.1 -all
    mail.good.test          TXT  v=spf1 a -all
    mail.good.test          A    192.0.2.1
    bad.test                TXT  v=spf1 ip4:198.51.100.1 -all
    _dmarc.bad.test         TXT  v=DMARC1; p=none
    soft.test               TXT  v=spf1 ~all
    neutral.test            TXT  v=spf1 ?all
    typo.test               TXT  v=spf1 ip4:not.an.address -all
    plain.test              A    192.0.2.7
    mx.test                 TXT  v=spf1 mx -all
    mx.test                 MX   10 mail.good.test
    include.test            TXT  v=spf1 include:good.test -all
    strict.test             TXT  v=spf1 ip4:192.0.2.1 -all
    _dmarc.strict.test      TXT  v=DMARC1; p=reject; aspf=s; adkim=s
    m.strict.test           TXT  v=spf1 ip4:192.0.2.1 -all
    away.test               SILENT
    _dmarc.away.test        SILENT
    broken.test             FAIL
    _dmarc.broken.test      FAIL
    garbled.test            GARBLE
    endless.test            TXT  v=spf1 include:endless.test -all
    circle.test             TXT  v=spf1 redirect=circle2.test
    circle2.test            TXT  v=spf1 redirect=circle.test
    chain.test              CNAME chain2.test
    chain2.test             CNAME chain.test
    unset.test              TXT  v=spf1 include:plain.test -all
";

#[test]
fn spf_says_what_the_record_says() {
    let dns = Dns::start(ZONE);
    let asking = Asking::at(&dns, Duration::from_secs(8));
    for (domain, result) in [
        ("good.test", PASS),
        ("bad.test", FAIL),
        ("soft.test", NONE),
        ("neutral.test", NONE),
        ("typo.test", NONE),
        ("plain.test", NONE),
        ("nowhere.test", NONE),
        ("mx.test", PASS),
        ("include.test", PASS),
        ("unset.test", NONE),
        // Ten look-ups at the most (RFC 7208 §4.6.4): a record in a circle is a broken one.
        ("endless.test", NONE),
        ("circle.test", NONE),
    ] {
        let found = asking.about(letter(domain).as_bytes(), claims(&format!("jo@{domain}"), domain));
        assert_eq!(found.spf, result, "{domain}");
    }
    // An empty reverse path is held against the name in HELO (RFC 7208 §2.4).
    assert_eq!(asking.about(letter("good.test").as_bytes(), claims("", "good.test")).spf, PASS);
    let elsewhere = Claims { peer: Some(IpAddr::from([198, 51, 100, 9])), ..claims("", "good.test") };
    assert_eq!(asking.about(letter("good.test").as_bytes(), elsewhere).spf, FAIL);
    // A connector's peer is the provider: no SPF, and DMARC stands on DKIM alone.
    let provider = Claims { peer: None, ..claims("jo@good.test", "good.test") };
    assert_eq!(asking.about(letter("good.test").as_bytes(), provider), Authenticated { spf: NONE, dkim: NONE, dmarc: NONE });
    assert!(dns.questions() < 120, "{}", dns.questions());
}

#[test]
fn dkim_is_the_authors() {
    let dns = Dns::start(ZONE);
    let key = Key::new();
    for domain in ["good.test", "news.good.test", "strict.test", "m.strict.test", "other.test"] {
        dns.add(&format!("s._domainkey.{domain} TXT {}", key.record));
    }
    dns.add("s._domainkey.away.test SILENT\ns._domainkey.revoked.test TXT v=DKIM1; k=ed25519; p=");
    let asking = Asking::at(&dns, Duration::from_secs(4));
    let stranger = Claims { peer: Some(IpAddr::from([203, 0, 113, 9])), ..claims("x@plain.test", "good.test") };
    let good = letter("good.test");
    let dkim = |message: &[u8], claims: &Claims| {
        let found = asking.about(message, claims.clone());
        (found.dkim, found.dmarc)
    };
    assert_eq!(dkim(&key.sign("good.test", &good), &stranger), (PASS, PASS));
    assert_eq!(dkim(&key.sign("news.good.test", &good), &stranger), (PASS, PASS), "a part of the same domain");
    assert_eq!(dkim(good.as_bytes(), &stranger), (NONE, FAIL));
    assert_eq!(dkim(&key.sign("other.test", &good), &stranger), (NONE, FAIL), "a good signature of a stranger");
    let both = key.sign("good.test", &String::from_utf8(key.sign("other.test", &good)).unwrap());
    assert_eq!(dkim(&both, &stranger), (PASS, PASS));
    // Changed on the way.
    let signed = String::from_utf8(key.sign("good.test", &good)).unwrap();
    assert_eq!(dkim(signed.replace("high", "low").as_bytes(), &stranger), (FAIL, FAIL));
    assert_eq!(dkim(signed.replace("Subject: Hedge", "Subject: Money").as_bytes(), &stranger), (FAIL, FAIL));
    // Another domain's key, no key, a key taken back.
    assert_eq!(dkim(&Key::new().sign("good.test", &good), &stranger), (FAIL, FAIL));
    assert_eq!(dkim(&key.sign("nokey.good.test", &good), &stranger), (FAIL, FAIL));
    let revoked = Claims { author_domains: vec!["revoked.test".into()], ..stranger.clone() };
    assert_eq!(dkim(&key.sign("revoked.test", &letter("revoked.test")), &revoked), (FAIL, NONE));
    // What does not cover From proves nothing about it (RFC 6376 §5.4).
    assert_eq!(dkim(&key.sign_with("good.test", "s", &good, &["To", "Subject"]), &stranger), (FAIL, FAIL));
    // A signature over the beginning of the body leaves the rest to anybody.
    let key_of = DkimKey::from(Ed25519Key::from_pkcs8_der(&key.pkcs8).unwrap());
    let part = DkimSigner::from_key(key_of).domain("good.test").selector("s").headers(["From"]).body_length(true);
    let part = part.sign(good.as_bytes()).unwrap().to_header();
    assert_eq!(dkim(format!("{part}{good}and more\r\n").as_bytes(), &stranger), (FAIL, FAIL));
    // Strict alignment.
    let strict = Claims { author_domains: vec!["strict.test".into()], ..stranger.clone() };
    assert_eq!(dkim(&key.sign("strict.test", &letter("strict.test")), &strict), (PASS, PASS));
    assert_eq!(dkim(&key.sign("m.strict.test", &letter("strict.test")), &strict), (PASS, FAIL));
    // The key cannot be had just now.
    let away = Claims { author_domains: vec!["away.test".into()], ..stranger };
    let found = asking.about(&key.sign("away.test", &letter("away.test")), away);
    assert!(matches!(found.dkim, Fact::Unknown(_)) && matches!(found.dmarc, Fact::Unknown(_)), "{found:?}");
}

#[test]
fn dmarc_needs_one_that_is_aligned() {
    let dns = Dns::start(ZONE);
    let asking = Asking::at(&dns, Duration::from_secs(8));
    for (reverse_path, author, dmarc) in [
        ("jo@good.test", "good.test", PASS),
        ("b@bounces.good.test", "good.test", PASS),
        ("jo@good.test", "sub.good.test", PASS),
        // SPF passes for a stranger's own domain.
        ("jo@good.test", "bad.test", FAIL),
        ("jo@bad.test", "good.test", FAIL),
        ("jo@good.test", "plain.test", NONE),
        ("b@m.strict.test", "strict.test", FAIL),
        ("b@strict.test", "strict.test", PASS),
    ] {
        assert_eq!(asking.about(letter(author).as_bytes(), claims(reverse_path, author)).dmarc, dmarc, "{reverse_path} {author}");
    }
    // Authors of several domains: nobody's word counts for all of them.
    let two = "From: a@good.test, b@bad.test\r\n\r\nx\r\n";
    let several = Claims { author_domains: vec!["good.test".into(), "bad.test".into()], ..claims("a@good.test", "good.test") };
    assert_eq!(asking.about(two.as_bytes(), several).dmarc, FAIL);
    let nobody = Claims { author_domains: vec![], ..claims("a@good.test", "good.test") };
    assert_eq!(asking.about(b"Subject: x\r\n\r\nx\r\n", nobody).dmarc, NONE);
}

#[test]
fn what_the_dns_does_not_say_is_unknown() {
    let dns = Dns::start(ZONE);
    let asking = Asking::at(&dns, Duration::from_secs(2));
    for domain in ["away.test", "broken.test", "garbled.test", "chain.test"] {
        let began = Instant::now();
        let found = asking.about(letter(domain).as_bytes(), claims(&format!("jo@{domain}"), domain));
        let took = began.elapsed();
        assert!(took < Duration::from_secs(4), "{domain} took {took:?}");
        if domain == "chain.test" {
            // A circle of aliases has no answer in it; nothing hangs, and nothing passes.
            assert!(matches!(found.spf, Fact::Unknown(_)) || found.spf == NONE, "{domain}: {found:?}");
        } else {
            assert!(matches!(found.spf, Fact::Unknown(_)), "{domain}: {found:?}");
        }
    }
    // No name server at all.
    drop(asking);
    let settings =
        settings::Dns { servers: vec![crate::support::loopback(crate::support::port())], timeout: Duration::from_secs(1), cache: 1 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let guard = runtime.enter();
    let authenticator = Authenticator::new(&settings, "gate.wragby.test").expect("a resolver");
    drop(guard);
    let message = Arc::new(RawMessage::new(letter("good.test").into_bytes()));
    let found = runtime.block_on(authenticator.authenticate(message, claims("jo@good.test", "good.test")));
    assert!(matches!(found.spf, Fact::Unknown(_)), "{found:?}");
}

#[test]
fn hostile_mail_pays_for_itself_only() {
    let dns = Dns::start(ZONE);
    let key = Key::new();
    dns.add(&format!("s._domainkey.good.test TXT {}", key.record));
    // An endless record, and a key that fills what an answer may hold.
    dns.add(&format!("large.test TXT v=spf1 {}-all", "ip4:198.51.100.1 ".repeat(3_000)));
    dns.add(&format!("s._domainkey.large.test TXT v=DKIM1; p={}", "A".repeat(50_000)));
    let asking = Asking::at(&dns, Duration::from_secs(8));

    // Ten thousand signatures of the author's domain, each with another selector: a few are looked up.
    let many: String = (0..10_000)
        .map(|n| format!("DKIM-Signature: v=1; a=rsa-sha256; s=s{n}; d=good.test; h=from; bh={}; b=AAAA\r\n", base64(&[0; 32])))
        .collect();
    let before = dns.questions();
    let began = Instant::now();
    let found = asking.about(format!("{many}{}", letter("good.test")).as_bytes(), claims("jo@plain.test", "good.test"));
    assert_eq!(found.dkim, FAIL);
    assert!(dns.questions() - before < 30, "{}", dns.questions() - before);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());

    // A signature that covers ten thousand fields of ten thousand.
    let fields: String = (0..10_000).map(|n| format!("X-{n}: x\r\n")).collect();
    let covered: String = (0..10_000).rev().map(|n| format!("X-{n}:")).collect();
    let wide = format!(
        "DKIM-Signature: v=1; a=rsa-sha256; s=s; d=good.test; h={covered}from; bh={}; b=AAAA\r\n{fields}{}",
        base64(&[0; 32]),
        letter("good.test")
    );
    let began = Instant::now();
    assert_eq!(asking.about(wide.as_bytes(), claims("jo@plain.test", "good.test")).dkim, FAIL);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());

    // Twenty megabytes, signed: still right.
    let large = format!("{}{}", letter("good.test"), "0123456789 abcdefghij\r\n".repeat(900_000));
    let began = Instant::now();
    assert_eq!(asking.about(&key.sign("good.test", &large), claims("jo@plain.test", "good.test")).dkim, PASS);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    let found = asking.about(&key.sign("large.test", &letter("large.test")), claims("jo@large.test", "large.test"));
    assert_eq!((found.spf, found.dkim), (FAIL, FAIL));

    // Whatever octets stand where a signature should: no panic, and no pass.
    for tags in [
        "",
        ";;;;",
        "v=1",
        "v=1; d=good.test",
        "d=good.test; b=!!!; bh=; h=",
        "v=1; a=rsa-sha256; d=good.test; s=..; h=from; bh=AA; b=AA",
        "\u{0}\u{ff}d=good.test",
    ] {
        let message = format!("DKIM-Signature: {tags}\r\n{}", letter("good.test"));
        assert_ne!(asking.about(message.as_bytes(), claims("jo@plain.test", "good.test")).dkim, PASS, "{tags:?}");
    }
    for reverse_path in ["@", "jo@", "\"a@b\"@good.test", "jo@xn--\u{fc}.test", &format!("jo@{}", "a.".repeat(200)), "jo@[192.0.2.1]"] {
        let found = asking.about(letter("good.test").as_bytes(), claims(reverse_path, "good.test"));
        assert!(found.spf != FAIL, "{reverse_path}");
    }
}
