//! What the program runs on: every value present, parsed and checked. Made from [`super::options`] only.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::overlay::people::AtDesk;
use crate::policy::Policy;
pub use crate::policy::Role;
use crate::policy::account_key::AccountKey;
use crate::policy::detect::encryption::EncryptionSettings;

/// One council's site, as it runs.
#[derive(Debug)]
pub struct Settings {
    pub council: Council,
    pub listeners: Vec<Listener>,
    pub upstreams: Vec<Arc<Upstream>>,
    pub tls: Option<TlsFiles>,
    pub monitoring: Option<Monitoring>,
    pub records: Records,
    pub outbox: Option<Outbox>,
    /// None where nobody is to get it.
    pub digest: Option<Digest>,
    pub limits: Limits,
    /// The virus scanner.
    pub scan: Option<Scan>,
    /// Look-ups for SPF, DKIM and DMARC.
    pub dns: Option<Dns>,
    /// Keys that the council's mail is signed with, one for each domain.
    pub dkim: Vec<Dkim>,
    pub metrics: Option<SocketAddr>,
    /// The Clerk's web page.
    pub console: Option<Console>,
    pub log: Log,
    pub people: People,
    pub access: Access,
    /// What was changed of people at the desk.
    pub at_desk: AtDesk,
    pub markings: Markings,
    /// What counts as encryption.
    pub encryption: EncryptionSettings,
    /// The zone that hours and dates of rules are meant in.
    pub time_zone: jiff::tz::TimeZone,
    /// The compiled rules.
    pub policy: Arc<Policy>,
    /// The files that they stand in, and what was changed in them at the desk.
    pub rules: super::overlay::rules::Files,
    /// How long after its protected document a password is `password-disclosed = "later"`.
    pub password_within: Duration,
    /// The name the gateway gives in greetings, EHLO and Received fields.
    pub hostname: String,
}

#[derive(Clone, Debug)]
pub struct Council {
    pub name: String,
    /// Internal domains, in [`crate::smtp::address::normal_domain`]'s form.
    pub domains: Vec<String>,
    pub clerk: Option<String>,
    pub chair: Option<String>,
    /// By the end of which month the adopted policy is to be reviewed: the last day of it.
    pub review: Option<jiff::civil::Date>,
}

/// Who is who, beside the Clerk and the Chair.
#[derive(Clone, Default)]
pub struct People {
    /// Where an own account is registered by its hash, and the site has its key.
    pub account_key: Option<AccountKey>,
    pub councillors: Vec<Person>,
    pub staff: Vec<Person>,
}

/// The Clerk's page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    pub bind: SocketAddr,
    /// How people reach it, without a slash at its end; none: as it is bound.
    pub url: Option<String>,
    /// Where it writes what the Clerk changes there. It need not be there yet.
    pub folder: PathBuf,
    /// Signing in with the council's account.
    pub saml: Option<Arc<Saml>>,
}

/// Whose word signs people in at the console beside the mailed link, and what it says of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saml {
    /// The console's own name to the identity provider.
    pub entity: String,
    /// Where answers come, and requests to sign out.
    pub acs: String,
    pub logout: String,
    pub provider: Provider,
    /// The attribute with somebody's address; none: the name itself where it is an address, else the attributes usual for it.
    pub address_attribute: Option<String>,
    /// The attribute with somebody's groups; none: those usual for it.
    pub groups_attribute: Option<String>,
    /// Roles by group. None: the site file alone says who has which role.
    pub roles: Option<Vec<(String, Vec<Duty>)>>,
}

/// An identity provider, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    pub entity: String,
    /// Its pages, by HTTP-Redirect.
    pub sign_in: String,
    pub logout: Option<String>,
    pub logout_answer: Option<String>,
    /// Certificates of the keys that it signs with, DER; at least one.
    pub certificates: Vec<Vec<u8>>,
}

/// Who may do what with what is kept, and what takes two of them.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub insiders: Vec<Insider>,
    /// Without an order.
    pub two_people: Vec<TwoPeople>,
}

/// Somebody with a role. One person is one entry, however many addresses and roles they have.
#[derive(Clone, PartialEq, Eq)]
pub struct Insider {
    /// The name of the entry; the address where there is none.
    pub name: String,
    /// In normal form; the first is where codes go.
    pub addresses: Vec<String>,
    pub duties: Vec<Duty>,
}

/// Shows nobody.
impl std::fmt::Debug for Insider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Insider({:?})", self.duties)
    }
}

/// A role at the council.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    Clerk,
    Chair,
    It,
    Investigator,
    Auditor,
    Member,
}

impl Duty {
    /// The site file's words.
    pub const WORDS: [(&str, Duty); 6] = [
        ("clerk", Duty::Clerk),
        ("chair", Duty::Chair),
        ("it", Duty::It),
        ("investigator", Duty::Investigator),
        ("auditor", Duty::Auditor),
        ("member", Duty::Member),
    ];

    pub fn word(self) -> &'static str {
        Duty::WORDS.iter().find(|(_, d)| *d == self).map_or("", |(word, _)| word)
    }
}

/// What may take two people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwoPeople {
    /// Opening the content of held mail.
    Content,
    /// Placing, prolonging and lifting holds of records.
    Holds,
    /// Looking up all that somebody at the council sent or received.
    Reports,
}

impl TwoPeople {
    /// The site file's words.
    pub const WORDS: [(&str, TwoPeople); 3] =
        [("content", TwoPeople::Content), ("holds", TwoPeople::Holds), ("reports", TwoPeople::Reports)];

    pub fn word(self) -> &'static str {
        TwoPeople::WORDS.iter().find(|(_, t)| *t == self).map_or("", |(word, _)| word)
    }
}

/// Shows nobody.
impl std::fmt::Debug for People {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "People({} councillors, {} staff)", self.councillors.len(), self.staff.len())
    }
}

/// Somebody with a council address.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// In normal form.
    pub address: String,
    pub name: Option<String>,
    /// Accounts of their own, in normal form.
    pub own_accounts: Vec<String>,
}

/// The council's own ways of marking mail confidential.
#[derive(Clone, Debug, Default)]
pub struct Markings {
    /// Ids of Microsoft labels, lower case.
    pub labels: Vec<String>,
    /// The council's own Microsoft tenant, lower case.
    pub site_id: Option<String>,
    pub header: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerTls {
    /// Loopback only.
    None,
    Starttls,
    /// MAIL is refused before STARTTLS (530 5.7.0, RFC 3207 §4).
    StarttlsRequired,
    Implicit,
}

#[derive(Clone, Debug)]
pub struct Listener {
    pub name: Arc<str>,
    pub role: Role,
    pub bind: SocketAddr,
    pub tls: ListenerTls,
    /// Index into [`Settings::upstreams`].
    pub upstream: usize,
    /// Connector only.
    pub trust: Trust,
    /// Connector only: bare CR and LF are made CRLF instead of refused.
    pub normalise_line_ends: bool,
    /// Connector only: a field of this name, an HMAC over reverse path, content and time, is put on what was judged, so that
    /// the provider's rule can exempt it. A field of this name that comes in is verified and stripped.
    pub stamp: Option<Stamp>,
    /// Whether Received says the client's address (for submission it is a councillor's home).
    pub received_client_address: bool,
}

#[derive(Clone)]
pub struct Stamp {
    pub field: String,
    pub key: [u8; 32],
}

/// Shows no key.
impl std::fmt::Debug for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stamp({})", self.field)
    }
}

/// Whom a connector believes. Never enough alone: the sender or every recipient must be the council's too.
#[derive(Clone, Default)]
pub struct Trust {
    pub networks: Vec<Network>,
    /// Names a client certificate must bear; `*.x.example` is one label below.
    pub client_certificates: Vec<String>,
    /// PEM roots that client certificates must chain to, beside the system's.
    pub client_ca_file: Option<PathBuf>,
    /// `Field-Name: secret`, which the provider adds; it never leaves the gateway.
    pub header: Option<(String, String)>,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust")
            .field("networks", &self.networks)
            .field("client_certificates", &self.client_certificates)
            .field("header", &self.header.as_ref().map(|(name, _)| name))
            .finish()
    }
}

/// An address range, `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Network {
    /// IPv4 addresses mapped into IPv6 count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(a)) => {
                self.prefix == 0 || (u32::from(net) ^ u32::from(a)) >> (32 - u32::from(self.prefix.min(32))) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(a)) => {
                self.prefix == 0 || (u128::from(net) ^ u128::from(a)) >> (128 - u32::from(self.prefix.min(128))) == 0
            }
            _ => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamTls {
    /// Loopback only.
    None,
    /// STARTTLS where it is offered; never for submission.
    Opportunistic,
    Starttls,
    Implicit,
}

#[derive(Debug)]
pub struct Upstream {
    pub name: Arc<str>,
    /// `host:port`; a name is looked up at each dial.
    pub address: String,
    pub tls: UpstreamTls,
    pub ca_file: Option<PathBuf>,
    /// The name that the certificate must bear.
    pub server_name: String,
    /// Kept connections for each core on connector and mx listeners.
    pub keep: usize,
    /// For mail that the gateway sends by itself.
    pub pacing: Pacing,
}

/// What a provider takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    pub connections: usize,
    /// The time from one message to the next; zero without a limit.
    pub interval: Duration,
}

impl Default for Pacing {
    fn default() -> Pacing {
        Pacing { connections: 4, interval: Duration::ZERO }
    }
}

#[derive(Clone, Debug)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Debug)]
pub struct Monitoring {
    pub purposes: Vec<String>,
    pub notice_version: String,
    pub notice_date: jiff::civil::Date,
    pub impact_assessment: String,
    /// A full disk or a broken store defers mail.
    pub mandatory: bool,
    /// Whether the subject is kept (sealed).
    pub subject: bool,
    /// Whether an index of past mail is kept, where a rule asks for one.
    pub past_mail: bool,
}

#[derive(Clone, Debug)]
pub struct Records {
    pub database: Database,
    /// The keys of periods; none: a file beside the site key.
    pub keyring: Option<Arc<DatabaseServer>>,
    /// The site key: 32 random octets, base64, mode 0600.
    pub key_file: PathBuf,
    pub retention: Retention,
    /// Records that may wait to be written, in number; above it they are dropped and counted, or mail is deferred if mandatory.
    pub queue: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite(PathBuf),
    Postgres(Arc<DatabaseServer>),
}

/// A database on a PostgreSQL server.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseServer {
    /// `postgres://user@host:port/database?sslmode=…`, without a password.
    pub url: String,
    pub password: Option<zeroize::Zeroizing<String>>,
    /// Certificates that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

impl std::fmt::Debug for DatabaseServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.url)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub events: Duration,
    pub incidents: Duration,
    pub held: Duration,
    pub access: Duration,
    /// The index of past mail.
    pub contacts: Duration,
}

#[derive(Clone)]
pub struct Outbox {
    /// Index into [`Settings::upstreams`].
    pub upstream: usize,
    pub from: String,
    /// Answers to notices go to this address with a token: `gateway+TOKEN@…`.
    pub answers: String,
    pub credential: Option<(String, String)>,
}

/// Shows no password.
impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox")
            .field("upstream", &self.upstream)
            .field("from", &self.from)
            .field("answers", &self.answers)
            .field("credential", &self.credential.is_some())
            .finish()
    }
}

/// The Clerk's weekly digest: when it is due, by the council's clock, and who gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    pub day: jiff::civil::Weekday,
    pub at: jiff::civil::Time,
    /// In normal form; never empty.
    pub to: Vec<String>,
}

impl Default for Retention {
    fn default() -> Retention {
        let days = |n: u64| Duration::from_secs(n * 86_400);
        Retention { events: days(90), incidents: days(365), held: days(7), access: days(730), contacts: days(180) }
    }
}

/// A virus scanner: ClamAV's daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    pub clamd: Clamd,
    /// For one message, the wait for its turn included.
    pub timeout: Duration,
    /// Octets above which a message is not sent to it; none for whatever it takes.
    pub max_size: Option<u64>,
}

/// Where clamd listens. It speaks in the clear, so that it must be on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clamd {
    Unix(PathBuf),
    /// Loopback only.
    Tcp(SocketAddr),
}

/// A key that mail of one domain is signed with (RFC 6376).
#[derive(Clone)]
pub struct Dkim {
    /// In normal form.
    pub domain: String,
    pub selector: String,
    pub key: Arc<mail_auth::common::crypto::DkimKey>,
}

/// Shows no key.
impl std::fmt::Debug for Dkim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dkim({}._domainkey.{})", self.selector, self.domain)
    }
}

/// Look-ups in the DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// None for those of this machine.
    pub servers: Vec<SocketAddr>,
    /// For all look-ups about one message together.
    pub timeout: Duration,
    /// Answers that are kept for as long as their owners allow.
    pub cache: u64,
}

#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of one message.
    pub message_size: u64,
    pub recipients: usize,
    /// Octets of all messages in flight together.
    pub memory: u64,
    pub connections: usize,
    pub connections_per_client: usize,
    /// New connections a minute from one address (mx and submission).
    pub connection_rate: u32,
    /// Commands in one session, and faults before 421.
    pub commands: u32,
    pub errors: u32,
    /// Failed AUTH attempts in ten minutes, for each address and each account.
    pub auth_failures: u32,
    /// RFC 5321 §4.5.3.2, server side.
    pub command_timeout: Duration,
    pub data_timeout: Duration,
    /// The whole of one message's content.
    pub message_timeout: Duration,
    /// How long sessions in DATA may take to finish after SIGTERM.
    pub drain: Duration,
    /// Received fields above which a message is looping (RFC 5321 §6.3).
    pub hops: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    Text,
    Json,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message_size: 35_000_000,
            recipients: 1_000,
            memory: 256_000_000,
            connections: 2_000,
            connections_per_client: 50,
            connection_rate: 600,
            commands: 100_000,
            errors: 20,
            auth_failures: 10,
            // RFC 5321 §4.5.3.2.7: a server waits at least five minutes.
            command_timeout: Duration::from_secs(300),
            data_timeout: Duration::from_secs(180),
            message_timeout: Duration::from_secs(1_800),
            drain: Duration::from_secs(30),
            // RFC 5321 §6.3: normally at least 100.
            hops: 100,
        }
    }
}
