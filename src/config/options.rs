//! What the site file may say: every value as it was written, with its place. Meaning is given to it in [`super::resolve`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;

use super::diagnostics::{Diagnostics, Source};
use super::saml;
use super::settings::{Clamd, Duty, ListenerTls, Log, Network, TwoPeople, UpstreamTls};
use super::syntax;
use super::table::Table;
use super::units::{self, Fault};
use crate::message::protection::Strength;
use crate::policy::account_key;
use crate::policy::{Malformed, Mode, Role};
use crate::smtp::address::{Address, Charset};

type Said<T> = Option<Spanned<T>>;
/// A place in the file, for what is missing there.
pub type Span = std::ops::Range<usize>;

/// The whole file.
pub struct Options<'a> {
    pub council: Council,
    pub rules: Rules<'a>,
    pub listeners: Vec<Listener>,
    pub upstreams: Vec<Upstream>,
    pub tls: Option<Tls>,
    pub monitoring: Option<Monitoring>,
    pub records: Records,
    pub outbox: Option<Outbox>,
    pub digest: Option<Digest>,
    pub limits: Limits,
    pub scan: Option<Scan>,
    pub dns: Option<Dns>,
    pub dkim: Vec<Dkim>,
    pub console: Option<Console>,
    pub metrics: Option<Metrics>,
    pub log: Said<Log>,
    pub people: People,
    /// What takes two people.
    pub two_people: Option<Vec<Spanned<TwoPeople>>>,
    pub markings: Markings,
    pub encryption: Encryption,
    /// The file has faults of syntax, which may hide what seems to be missing.
    pub broken: bool,
}

#[derive(Default)]
pub struct Council {
    pub name: Said<String>,
    pub domains: Vec<Spanned<String>>,
    pub clerk: Said<Address>,
    pub chair: Said<Address>,
    pub bank_accounts: Vec<Spanned<String>>,
    pub hostname: Said<String>,
    pub time_zone: Said<String>,
    pub review: Said<jiff::civil::Date>,
}

/// `[rules]`; what is under `tune` is for the reader of rules.
#[derive(Default)]
pub struct Rules<'a> {
    pub paths: Vec<Spanned<PathBuf>>,
    pub mode: Said<Mode>,
    pub malformed: Said<Malformed>,
    pub password_within: Said<Duration>,
    pub tune: Vec<(Spanned<String>, &'a DeTable<'a>)>,
}

pub struct Listener {
    pub span: Span,
    pub name: Said<String>,
    pub role: Said<Role>,
    pub bind: Said<SocketAddr>,
    pub tls: Said<ListenerTls>,
    pub upstream: Said<String>,
    pub trust: Option<Trust>,
    pub normalise_line_ends: Said<bool>,
    pub stamp: Option<Stamp>,
    pub received_client_address: Said<bool>,
}

pub struct Trust {
    pub span: Span,
    pub networks: Vec<Spanned<Network>>,
    pub client_certificates: Vec<Spanned<String>>,
    pub client_ca_file: Said<PathBuf>,
    pub header_file: Said<PathBuf>,
}

pub struct Stamp {
    pub span: Span,
    pub field: Said<String>,
    pub key_file: Said<PathBuf>,
}

pub struct Upstream {
    pub name: Spanned<String>,
    /// Host and port.
    pub address: Said<(String, u16)>,
    pub tls: Said<UpstreamTls>,
    pub ca_file: Said<PathBuf>,
    pub server_name: Said<String>,
    pub keep: Said<u64>,
    pub pacing: Option<Pacing>,
}

pub struct Pacing {
    pub connections: Said<u64>,
    pub messages: Said<u64>,
    pub per: Said<Duration>,
}

pub struct Tls {
    pub certificate_file: Said<PathBuf>,
    pub key_file: Said<PathBuf>,
}

pub struct Monitoring {
    pub purposes: Option<Vec<Spanned<String>>>,
    pub notice_version: Said<String>,
    pub notice_date: Said<jiff::civil::Date>,
    pub impact_assessment: Said<String>,
    pub mandatory: Said<bool>,
    pub subject: Said<bool>,
    pub past_mail: Said<bool>,
}

#[derive(Default)]
pub struct Records {
    pub span: Span,
    pub database: Said<Place>,
    pub database_password_file: Said<PathBuf>,
    pub database_ca_file: Said<PathBuf>,
    pub keyring: Said<Place>,
    pub keyring_password_file: Said<PathBuf>,
    pub key_file: Said<PathBuf>,
    pub queue: Said<u64>,
    pub events: Said<Duration>,
    pub incidents: Said<Duration>,
    pub held: Said<Duration>,
    pub access: Said<Duration>,
    pub contacts: Said<Duration>,
}

pub struct Console {
    pub bind: Said<SocketAddr>,
    pub url: Said<String>,
    pub folder: Said<PathBuf>,
    pub saml: Option<saml::Options>,
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    File(PathBuf),
    /// The URL of a database on a server.
    Server(String),
}

pub struct Outbox {
    pub span: Span,
    pub upstream: Said<String>,
    pub from: Said<Address>,
    pub answers: Said<Address>,
    pub username: Said<String>,
    pub password_file: Said<PathBuf>,
}

pub struct Digest {
    pub span: Span,
    /// None: never.
    pub day: Said<Option<jiff::civil::Weekday>>,
    pub at: Said<jiff::civil::Time>,
    pub to: Option<Vec<Spanned<Address>>>,
}

#[derive(Default)]
pub struct Limits {
    pub message_size: Said<u64>,
    pub recipients: Said<u64>,
    pub memory: Said<u64>,
    pub connections: Said<u64>,
    pub connections_per_client: Said<u64>,
    pub connection_rate: Said<u64>,
    pub commands: Said<u64>,
    pub errors: Said<u64>,
    pub auth_failures: Said<u64>,
    pub command_timeout: Said<Duration>,
    pub data_timeout: Said<Duration>,
    pub message_timeout: Said<Duration>,
    pub drain: Said<Duration>,
    pub hops: Said<u64>,
}

pub struct Scan {
    pub span: Span,
    pub clamd: Said<Clamd>,
    pub timeout: Said<Duration>,
    pub max_size: Said<u64>,
}

pub struct Dns {
    pub servers: Vec<Spanned<SocketAddr>>,
    pub timeout: Said<Duration>,
    pub cache: Said<u64>,
}

pub struct Dkim {
    pub span: Span,
    pub domain: Said<String>,
    pub selector: Said<String>,
    pub key_file: Said<PathBuf>,
}

pub struct Metrics {
    pub bind: Said<SocketAddr>,
    pub beyond_loopback: Said<bool>,
}

#[derive(Default)]
pub struct People {
    /// Name, where one is given, and address.
    pub councillors: Vec<Spanned<(Option<String>, Address)>>,
    pub staff: Vec<Spanned<(Option<String>, Address)>>,
    /// A council address, and accounts of the same person's own.
    pub own_accounts: Vec<(Spanned<String>, Vec<Spanned<String>>)>,
    pub insiders: Vec<Insider>,
}

/// `[people.NAME]`.
pub struct Insider {
    pub name: Spanned<String>,
    pub addresses: Vec<Spanned<Address>>,
    pub roles: Vec<Spanned<Duty>>,
}

#[derive(Default)]
pub struct Markings {
    pub labels: Vec<Spanned<String>>,
    pub site_id: Said<String>,
    pub header: Said<String>,
}

/// `[encryption]`.
#[derive(Default)]
pub struct Encryption {
    pub minimum_strength: Said<Strength>,
    pub wrappers: Vec<Wrapper>,
}

/// A service that encrypts on the way.
pub struct Wrapper {
    pub span: Span,
    pub header: Said<String>,
    pub value: Said<String>,
    pub upstream: Said<String>,
    pub listener: Said<String>,
}

/// Reads the file's text; every fault of form is told.
pub fn read<'a>(source: &'a Arc<Source>, parsed: &'a syntax::Parsed<'a>, d: &mut Diagnostics) -> Options<'a> {
    let root = Table::root(source, parsed.root.get_ref(), &parsed.faults, d);
    let council = root.table("council", "council", d);
    root.require("council", council.as_ref(), "[council], with the council's name and domains.", d);
    let listeners: Vec<_> = root.tables("listener", "listener", d).iter().map(|t| Listener::read(t, d)).collect();
    root.require("listener", listeners.first(), "[[listener]], with its name, role, bind and upstream.", d);
    let upstreams: Vec<_> = root.named("upstream", "upstream", d).into_iter().map(|(name, t)| Upstream::read(name, &t, d)).collect();
    root.require("upstream", upstreams.first(), "[upstream.provider], with the address of the mail provider.", d);
    Options {
        council: council.map(|t| Council::read(&t, d)).unwrap_or_default(),
        rules: root.table("rules", "rules", d).map(|t| Rules::read(&t, d)).unwrap_or_default(),
        listeners,
        upstreams,
        tls: root.table("tls", "tls", d).map(|t| Tls::read(&t, d)),
        monitoring: root.table("monitoring", "monitoring", d).map(|t| Monitoring::read(&t, d)),
        records: root.table("records", "records", d).map(|t| Records::read(&t, d)).unwrap_or_default(),
        outbox: root.table("outbox", "outbox", d).map(|t| Outbox::read(&t, d)),
        digest: root.table("digest", "digest", d).map(|t| Digest::read(&t, d)),
        limits: root.table("limits", "limits", d).map(|t| Limits::read(&t, d)).unwrap_or_default(),
        scan: root.table("scan", "scan", d).map(|t| Scan::read(&t, d)),
        dns: root.table("dns", "dns", d).map(|t| Dns::read(&t, d)),
        dkim: root.tables("dkim", "dkim", d).iter().map(|t| Dkim::read(t, d)).collect(),
        console: root.table("console", "console", d).map(|t| Console {
            bind: required_bind(&t, "\"127.0.0.1:8025\"", d),
            url: t.parsed("url", page_url, d),
            folder: t.path("folder", d),
            saml: t.table("saml", "console.saml", d).map(|t| saml::Options::read(&t, d)),
        }),
        metrics: root
            .table("metrics", "metrics", d)
            .map(|t| Metrics { bind: required_bind(&t, "\"127.0.0.1:9125\"", d), beyond_loopback: t.boolean("beyond-loopback", d) }),
        log: root.table("log", "log", d).and_then(|t| t.choice("format", &[("text", Log::Text), ("json", Log::Json)], d)),
        people: root.table("people", "people", d).map(|t| People::read(&t, d)).unwrap_or_default(),
        two_people: root
            .table("access", "access", d)
            .and_then(|t| t.list("two-people", |text| one_of(text, &TwoPeople::WORDS, "two-people"), d)),
        markings: root.table("markings", "markings", d).map(|t| Markings::read(&t, d)).unwrap_or_default(),
        encryption: root.table("encryption", "encryption", d).map(|t| Encryption::read(&t, d)).unwrap_or_default(),
        broken: !parsed.faults.is_empty(),
    }
}

fn required_bind(t: &Table<'_>, example: &str, d: &mut Diagnostics) -> Said<SocketAddr> {
    let bind = t.parsed("bind", units::socket, d);
    t.require("bind", bind, &format!("bind = {example}"), d)
}

impl Council {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> Council {
        let name = t.text("name", d);
        let domains = t.list("domains", domain, d);
        t.not_empty("domains", "Name the council's own mail domain.", d);
        Council {
            name: t.require("name", name, "name = \"Wragby Parish Council\"", d),
            domains: t.require("domains", domains, "domains = [\"wragbyparishcouncil.gov.uk\"]", d).unwrap_or_default(),
            clerk: t.parsed("clerk", address, d),
            chair: t.parsed("chair", address, d),
            bank_accounts: t.list("bank-accounts", bank_account, d).unwrap_or_default(),
            hostname: t.parsed("hostname", host_name, d),
            time_zone: t.text("time-zone", d),
            review: t.parsed("review", units::month, d),
        }
    }
}

impl<'a> Rules<'a> {
    fn read(t: &Table<'a>, d: &mut Diagnostics) -> Rules<'a> {
        Rules {
            paths: t.list("paths", |text| Ok(PathBuf::from(text)), d).unwrap_or_default(),
            mode: t.choice("mode", &[("off", Mode::Off), ("observe", Mode::Observe), ("warn", Mode::Warn), ("enforce", Mode::Enforce)], d),
            malformed: t.choice("malformed", &[("judge", Malformed::Judge), ("reject", Malformed::Reject)], d),
            password_within: t.parsed("password-within", period, d),
            tune: t.raw("tune", d),
        }
    }
}

impl Listener {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> Listener {
        let name = t.parsed("name", listener_name, d);
        let role = t.choice("role", &[("submission", Role::Submission), ("connector", Role::Connector), ("mx", Role::Mx)], d);
        let bind = t.parsed("bind", units::socket, d);
        let tls = [
            ("none", ListenerTls::None),
            ("starttls", ListenerTls::Starttls),
            ("starttls-required", ListenerTls::StarttlsRequired),
            ("implicit", ListenerTls::Implicit),
        ];
        Listener {
            span: t.span(),
            name: t.require("name", name, "name = \"submission\"", d),
            role: t.require("role", role, "role = \"submission\", \"connector\" or \"mx\"", d),
            bind: t.require("bind", bind, "bind = \"127.0.0.1:2525\"", d),
            tls: t.choice("tls", &tls, d),
            upstream: t.text("upstream", d),
            trust: t.table("trust", "listener.trust", d).map(|t| Trust {
                span: t.span(),
                networks: t.list("networks", units::network, d).unwrap_or_default(),
                client_certificates: t.list("client-certificates", certificate_name, d).unwrap_or_default(),
                client_ca_file: t.path("client-ca-file", d),
                header_file: t.path("header-file", d),
            }),
            normalise_line_ends: t.boolean("normalise-line-ends", d),
            stamp: t.table("stamp", "listener.stamp", d).map(|t| Stamp {
                span: t.span(),
                field: t.parsed("field", field_name, d),
                key_file: t.path("key-file", d),
            }),
            received_client_address: t.boolean("received-client-address", d),
        }
    }
}

impl Upstream {
    fn read(name: Spanned<String>, t: &Table<'_>, d: &mut Diagnostics) -> Upstream {
        let address = t.parsed("address", units::host_port, d);
        let tls = [
            ("none", UpstreamTls::None),
            ("opportunistic", UpstreamTls::Opportunistic),
            ("starttls", UpstreamTls::Starttls),
            ("implicit", UpstreamTls::Implicit),
        ];
        Upstream {
            name,
            address: t.require("address", address, "address = \"smtp.provider.example:587\"", d),
            tls: t.choice("tls", &tls, d),
            ca_file: t.path("ca-file", d),
            server_name: t.parsed("server-name", host_name, d),
            keep: t.number("keep", 0..=1_000, d),
            pacing: t.table("pacing", "upstream.pacing", d).map(|t| Pacing {
                connections: t.number("connections", 1..=100, d),
                messages: t.number("messages", 1..=1_000_000, d),
                per: t.duration("per", d),
            }),
        }
    }
}

impl Tls {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> Tls {
        let (certificate, key) = (t.path("certificate-file", d), t.path("key-file", d));
        Tls {
            certificate_file: t.require("certificate-file", certificate, "certificate-file = \"certs/gateway.pem\"", d),
            key_file: t.require("key-file", key, "key-file = \"certs/gateway.key\"", d),
        }
    }
}

impl Monitoring {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> Monitoring {
        let purposes = t.list("purposes", purpose, d);
        t.not_empty("purposes", "Without a purpose nothing may be recorded: name one, or delete [monitoring].", d);
        let (version, date, assessment) = (t.text("notice-version", d), t.date("notice-date", d), t.text("impact-assessment", d));
        Monitoring {
            purposes: t.require("purposes", purposes, "purposes = [\"effective-operation\"]", d),
            notice_version: t.require("notice-version", version, "notice-version = \"2026-05\"", d),
            notice_date: t.require("notice-date", date, "notice-date = 2026-05-14", d),
            impact_assessment: t.require("impact-assessment", assessment, "impact-assessment = \"Minute 2026/41\"", d),
            mandatory: t.boolean("mandatory", d),
            subject: t.boolean("subject", d),
            past_mail: t.boolean("past-mail", d),
        }
    }
}

impl Records {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> Records {
        let retention = t.table("retention", "records.retention", d);
        let mut kept = |key| retention.as_ref().and_then(|t| t.parsed(key, period, d));
        let (events, incidents, held, access) = (kept("events"), kept("incidents"), kept("held"), kept("access"));
        let contacts = kept("contacts");
        Records {
            span: t.span(),
            database: t.parsed("database", place, d),
            database_password_file: t.path("database-password-file", d),
            database_ca_file: t.path("database-ca-file", d),
            keyring: t.parsed("keyring", place, d),
            keyring_password_file: t.path("keyring-password-file", d),
            key_file: t.path("key-file", d),
            queue: t.number("queue", 1..=10_000_000, d),
            events,
            incidents,
            held,
            access,
            contacts,
        }
    }
}

impl Outbox {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> Outbox {
        Outbox {
            span: t.span(),
            upstream: t.text("upstream", d),
            from: t.parsed("from", address, d),
            answers: t.parsed("answers", address, d),
            username: t.text("username", d),
            password_file: t.path("password-file", d),
        }
    }
}

impl Digest {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> Digest {
        use jiff::civil::Weekday::*;
        let days = [
            ("monday", Some(Monday)),
            ("tuesday", Some(Tuesday)),
            ("wednesday", Some(Wednesday)),
            ("thursday", Some(Thursday)),
            ("friday", Some(Friday)),
            ("saturday", Some(Saturday)),
            ("sunday", Some(Sunday)),
            ("never", None),
        ];
        let to = t.list("to", address, d);
        t.not_empty("to", "Name who is to get the digest, or switch it off with day = \"never\".", d);
        Digest { span: t.span(), day: t.choice("day", &days, d), at: t.parsed("at", units::clock, d), to }
    }
}

impl Limits {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> Limits {
        Limits {
            message_size: t.size("message-size", d),
            recipients: t.number("recipients", 1..=1_000_000, d),
            memory: t.size("memory", d),
            connections: t.number("connections", 1..=1_000_000, d),
            connections_per_client: t.number("connections-per-client", 1..=1_000_000, d),
            connection_rate: t.number("connection-rate", 1..=1_000_000_000, d),
            commands: t.number("commands", 10..=u64::from(u32::MAX), d),
            errors: t.number("errors", 1..=u64::from(u32::MAX), d),
            auth_failures: t.number("auth-failures", 1..=u64::from(u32::MAX), d),
            command_timeout: t.parsed("command-timeout", period, d),
            data_timeout: t.parsed("data-timeout", period, d),
            message_timeout: t.parsed("message-timeout", period, d),
            drain: t.duration("drain", d),
            hops: t.number("hops", 5..=10_000, d),
        }
    }
}

impl Scan {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> Scan {
        let clamd = t.parsed("clamd", clamd, d);
        Scan {
            span: t.span(),
            clamd: t.require("clamd", clamd, "clamd = \"unix:/run/clamav/clamd.ctl\"", d),
            timeout: t.parsed("timeout", period, d),
            max_size: t.size("max-size", d),
        }
    }
}

impl Dns {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> Dns {
        Dns {
            servers: t.list("servers", dns_server, d).unwrap_or_default(),
            timeout: t.parsed("timeout", period, d),
            cache: t.number("cache", 0..=1_000_000, d),
        }
    }
}

impl Dkim {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> Dkim {
        let (selector, key_file) = (t.parsed("selector", selector, d), t.path("key-file", d));
        Dkim {
            span: t.span(),
            domain: t.parsed("domain", domain, d),
            selector: t.require("selector", selector, "selector = \"gate1\"", d),
            key_file: t.require("key-file", key_file, "key-file = \"secrets/dkim.key\"", d),
        }
    }
}

impl People {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> People {
        let own = t.table("own-accounts", "people.own-accounts", d);
        People {
            councillors: t.list("councillors", named_address, d).unwrap_or_default(),
            staff: t.list("staff", named_address, d).unwrap_or_default(),
            own_accounts: own
                .map(|t| t.names().map(|name| (name.clone(), t.list(name.get_ref(), own_account, d).unwrap_or_default())).collect())
                .unwrap_or_default(),
            insiders: t.others("people.NAME", d).into_iter().map(|(name, t)| Insider::read(name, &t, d)).collect(),
        }
    }
}

impl Insider {
    fn read(name: Spanned<String>, t: &Table<'_>, d: &mut Diagnostics) -> Insider {
        let addresses = t.list("address", address, d);
        t.not_empty("address", "address = \"clerk@wragbyparishcouncil.gov.uk\"", d);
        let roles = t.list("roles", |text| one_of(text, &Duty::WORDS, "roles"), d);
        Insider {
            name,
            addresses: t.require("address", addresses, "address = \"clerk@wragbyparishcouncil.gov.uk\"", d).unwrap_or_default(),
            roles: t.require("roles", roles, "roles = [\"investigator\"]", d).unwrap_or_default(),
        }
    }
}

/// One word of a few, in a list.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)], key: &str) -> Result<T, Fault> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let list = words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let help = match super::spelling::nearest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("Did you mean \"{near}\"? It may be {list}."),
            None => format!("It may be {list}."),
        };
        Fault::new(format!("`{key}` cannot hold \"{text}\""), help)
    })
}

impl Markings {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> Markings {
        Markings {
            labels: t.list("labels", guid, d).unwrap_or_default(),
            site_id: t.parsed("site-id", guid, d),
            header: t.parsed("header", field_name, d),
        }
    }
}

impl Encryption {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> Encryption {
        Encryption {
            minimum_strength: t.choice("minimum-strength", &[("weak", Strength::Weak), ("strong", Strength::Strong)], d),
            wrappers: t.tables("wrappers", "encryption.wrappers", d).iter().map(|w| Wrapper::read(w, d)).collect(),
        }
    }
}

impl Wrapper {
    fn read(t: &Table<'_>, d: &mut Diagnostics) -> Wrapper {
        let header = t.parsed("header", field_name, d);
        Wrapper {
            span: t.span(),
            header: t.require("header", header, "header = \"X-Zivver-Message\"", d),
            value: t.text("value", d),
            upstream: t.text("upstream", d),
            listener: t.text("listener", d),
        }
    }
}

/// An address in normal form, or the hash of one.
fn own_account(text: &str) -> Result<String, Fault> {
    match account_key::is_hashed(text) {
        true if account_key::is_well_formed(text) => Ok(text.to_string()),
        true => Err(Fault::new(
            format!("\"{text}\" is not what `lychgate people hash` prints"),
            "Copy the whole of it: \"account:\" and 32 digits and letters.",
        )),
        false => address(text).map(|a| a.normal()),
    }
}

fn address(text: &str) -> Result<Address, Fault> {
    Address::parse(text, Charset::Utf8).map_err(|why| {
        Fault::new(
            format!("\"{text}\" is not a mail address: {why}"),
            "Write the address alone, without a name or <>: \"clerk@wragbyparishcouncil.gov.uk\".",
        )
    })
}

/// `jo@x.uk` or `Jo Elm <jo@x.uk>`.
fn named_address(text: &str) -> Result<(Option<String>, Address), Fault> {
    match text.strip_suffix('>').and_then(|t| t.rsplit_once('<')) {
        Some((name, inner)) => {
            let name = name.trim().trim_matches('"').trim();
            Ok(((!name.is_empty()).then(|| name.to_owned()), address(inner)?))
        }
        None => Ok((None, address(text)?)),
    }
}

/// A domain of the council's own, normalised.
fn domain(text: &str) -> Result<String, Fault> {
    let example = "Write the part after the @: \"wragbyparishcouncil.gov.uk\".";
    if text.contains('@') {
        return Err(Fault::new(format!("\"{text}\" is an address, not a domain"), example));
    }
    let normal = crate::smtp::address::normal_domain(text);
    if !units::is_host_name(&normal) || !normal.contains('.') {
        return Err(Fault::new(format!("\"{text}\" is not a domain"), example));
    }
    // Whoever may use the suffix would count as the council: a connector would relay for them.
    if psl::suffix_str(&normal) == Some(normal.as_str()) {
        return Err(Fault::new(format!("\"{text}\" is shared by many, not the council's own"), example));
    }
    Ok(normal)
}

/// `20-45-67 41234567`: sort code and account number, with whatever stands between the digits.
fn bank_account(text: &str) -> Result<String, Fault> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let plain = text.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '/'));
    if digits.len() == 14 && plain {
        return Ok(digits);
    }
    Err(Fault::new(
        format!("\"{text}\" is not a sort code and an account number"),
        "Write six digits, a blank and eight digits: \"20-45-67 41234567\".",
    ))
}

fn host_name(text: &str) -> Result<String, Fault> {
    if units::is_host_name(text) || text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(text.trim_end_matches('.').to_ascii_lowercase());
    }
    Err(Fault::new(
        format!("\"{text}\" is not the name of a machine"),
        "Write a name such as \"gateway.wragbyparishcouncil.gov.uk\", without a port.",
    ))
}

/// A name as a client certificate bears it; `*.x.example` stands for one label below.
fn certificate_name(text: &str) -> Result<String, Fault> {
    let bare = text.strip_prefix("*.").unwrap_or(text);
    if !units::is_host_name(bare) || !bare.contains('.') {
        return Err(Fault::new(
            format!("\"{text}\" is not a name that a certificate bears"),
            "Write a name such as \"mail.provider.example\" or \"*.provider.example\".",
        ));
    }
    if psl::suffix_str(bare) == Some(bare) && bare != text {
        return Err(Fault::new(
            format!("\"{text}\" fits anybody's certificate"),
            "Name the provider's own domain: \"*.mail.provider.example\".",
        ));
    }
    Ok(text.to_ascii_lowercase())
}

/// A header field's name (RFC 5322 §3.6.8).
pub fn field_name(text: &str) -> Result<String, Fault> {
    if text.len() <= 76 && text.bytes().all(|b| matches!(b, 33..=57 | 59..=126)) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("\"{text}\" is not the name of a header field"), "Write the name without the colon: \"X-Council-Marking\"."))
}

/// A listener's name stands in logs, in metrics and, in capitals, in the environment.
fn listener_name(text: &str) -> Result<String, Fault> {
    if text.len() <= 40 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("\"{text}\" cannot be a listener's name"), "Use letters, digits and hyphens, at most 40."))
}

fn guid(text: &str) -> Result<String, Fault> {
    let plain = text.trim_start_matches('{').trim_end_matches('}');
    let groups: Vec<_> = plain.split('-').collect();
    if groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(|g| g.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Ok(plain.to_ascii_lowercase());
    }
    Err(Fault::new(format!("\"{text}\" is not a Microsoft id"), "It looks like \"9203368f-916c-4d59-8292-9f1c6a1e8f39\"."))
}

/// The purposes that SI 2018/356 regulation 3 lists, in the words of the site file.
pub const PURPOSES: [&str; 6] = ["effective-operation", "unauthorised-use", "facts", "regulatory-practices", "standards", "crime"];

fn purpose(text: &str) -> Result<String, Fault> {
    if PURPOSES.contains(&text) {
        return Ok(text.to_owned());
    }
    let near = super::spelling::nearest(text, PURPOSES).map(|near| format!("Did you mean \"{near}\"? ")).unwrap_or_default();
    Err(Fault::new(format!("\"{text}\" is not a purpose that the law lists"), format!("{near}The purposes are {}.", PURPOSES.join(", "))))
}

/// `unix:/run/clamav/clamd.ctl` or `tcp:127.0.0.1:3310`.
fn clamd(text: &str) -> Result<Clamd, Fault> {
    let wanted = "Write \"unix:/run/clamav/clamd.ctl\" (LocalSocket in clamd.conf) or \"tcp:127.0.0.1:3310\" (TCPAddr and TCPSocket).";
    if let Some(path) = text.strip_prefix("unix:").filter(|p| !p.is_empty()) {
        return Ok(Clamd::Unix(path.into()));
    }
    let Some(address) = text.strip_prefix("tcp:") else {
        return Err(Fault::new(format!("\"{text}\" is not a place where clamd listens"), wanted));
    };
    let address = units::socket(address).map_err(|_| Fault::new(format!("\"{text}\" is not a place where clamd listens"), wanted))?;
    if !address.ip().to_canonical().is_loopback() {
        let message = format!("mail would go to {address} in the clear, and anybody there could say that it has no virus");
        return Err(Fault::new(message, "clamd knows no TLS and no password: let it run on this machine."));
    }
    Ok(Clamd::Tcp(address))
}

/// RFC 6376 §3.1: labels of a name in the DNS.
fn selector(text: &str) -> Result<String, Fault> {
    let label = |l: &str| !l.is_empty() && l.len() <= 63 && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if text.len() <= 120 && text.split('.').all(label) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Fault::new(
        format!("\"{text}\" cannot be a selector"),
        "Use letters, digits and hyphens: the key stands in the DNS at SELECTOR._domainkey.DOMAIN.",
    ))
}

/// A name server's address, with a port where it is not 53.
fn dns_server(text: &str) -> Result<SocketAddr, Fault> {
    let address = text.parse::<std::net::IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    address.or_else(|_| text.parse()).map_err(|_| {
        Fault::new(
            format!("\"{text}\" is not the address of a name server"),
            "Write a number address: \"192.0.2.53\", or \"127.0.0.1:5353\" where the port is not 53.",
        )
    })
}

/// A duration that is not nothing.
fn period(text: &str) -> Result<Duration, Fault> {
    match units::duration(text)? {
        Duration::ZERO => Err(Fault::new("this is no time at all", "The shortest is \"1s\".")),
        duration => Ok(duration),
    }
}

fn place(text: &str) -> Result<Place, Fault> {
    const SERVER: &str = "Write \"postgres://lychgate@db.example/lychgate\".";
    let scheme = text.split(':').next().unwrap_or_default();
    match text.strip_prefix("sqlite:") {
        Some("" | ":memory:") => Err(Fault::new("the database has no file", "Write \"sqlite:data/lychgate.db\".")),
        Some(path) => Ok(Place::File(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))),
        None if !matches!(scheme, "postgres" | "postgresql") => Err(Fault::new(
            format!("\"{text}\" is not a database"),
            "Write \"sqlite:\" and a path, \"sqlite:data/lychgate.db\", or \"postgres://user@host/database\".",
        )),
        None if !cfg!(feature = "postgres") => Err(Fault::new(
            "this program was built without PostgreSQL",
            "Build it with --features postgres, or write \"sqlite:data/lychgate.db\".",
        )),
        None => {
            let rest = &text[scheme.len()..];
            let Some((authority, path)) = rest.strip_prefix("://").and_then(|rest| rest.split_once('/')) else {
                return Err(Fault::new("the server's database has no name", SERVER));
            };
            if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) || path.contains("password=") {
                let help =
                    "Put it in a file of its own, readable by the gateway alone: database-password-file = \"secrets/database-password\".";
                return Err(Fault::new("a password does not belong in the site file", help));
            }
            if path.split('?').next().unwrap_or_default().is_empty() {
                return Err(Fault::new("the server's database has no name", SERVER));
            }
            Ok(Place::Server(text.to_string()))
        }
    }
}

/// How people reach the console.
fn page_url(text: &str) -> Result<String, Fault> {
    let example = "Write \"https://gate.wragbyparishcouncil.gov.uk\".";
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://127.0.0.1"));
    match rest {
        None => Err(Fault::new(format!("\"{text}\" is not the address of a page that is reached over TLS"), example)),
        Some(rest) if rest.trim_end_matches('/').contains(['/', '?', '#', ' ', '@']) => {
            Err(Fault::new(format!("\"{text}\" has more than a name and a port"), example))
        }
        Some(_) => Ok(text.trim_end_matches('/').to_string()),
    }
}
