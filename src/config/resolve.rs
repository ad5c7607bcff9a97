//! From what the file says to what the program runs on: defaults, names to places, and every fault of meaning.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use zeroize::Zeroizing;

use super::diagnostics::{Diagnostics, Source};
use super::files::Files;
use super::options::{self, Options, Place};
use super::overlay::people::AtDesk;
use super::settings::{
    Access, Clamd, Console, Council, Database, DatabaseServer, Digest, Dkim, Dns, Duty, Insider, Limits, Listener, ListenerTls, Log,
    Markings, Monitoring, Network, Outbox, Pacing, People, Person, Records, Retention, Role, Scan, Settings, Stamp, TlsFiles, Trust,
    TwoPeople, Upstream, UpstreamTls,
};
use super::{spelling, units};
use crate::message::protection::Strength;
use crate::policy::Policy;
use crate::policy::account_key::{self, AccountKey};
use crate::policy::detect::encryption::{EncryptionSettings, Wrapper};
use crate::smtp::address::Address;

/// Everything; the rules by `compile`, which is told who the council is. None where a fault left nothing to run on; the
/// diagnostics say which.
pub fn settings(
    options: &Options<'_>,
    files: &Files<'_>,
    compile: impl FnOnce(&Council, &People, &Markings, &EncryptionSettings, &mut Diagnostics) -> Option<Policy>,
    d: &mut Diagnostics,
) -> Option<Settings> {
    let resolver = Resolver { options, files, source: files.source };
    resolver.bindings_are_distinct(d);
    let council = resolver.council(d);
    let upstreams = resolver.upstreams(d);
    let listeners = resolver.listeners(d);
    resolver.upstreams_are_used(d);
    let tls = resolver.tls(d);
    let monitoring = resolver.monitoring(d);
    let records = resolver.records(d);
    let outbox = resolver.outbox(&council, d);
    let digest = resolver.digest(&council, d);
    let metrics = resolver.metrics(d);
    let scan = resolver.scan(d);
    let dkim = resolver.dkim(&council, d);
    let console = resolver.console(d);
    let mut at_desk = console.as_ref().map(|c| AtDesk::read(&c.folder)).unwrap_or_default();
    let people = resolver.people(&council, &at_desk, d);
    let access = resolver.access(&council, &people, d);
    at_desk.settle(&access);
    let markings = resolver.markings(d);
    let encryption = resolver.encryption(d);
    let policy = compile(&council, &people, &markings, &encryption, d);
    let hostname = options.council.hostname.as_ref().map(|h| h.get_ref().clone());
    let hostname = hostname.or_else(|| Some(format!("lychgate.{}", council.domains.first()?)));
    Some(Settings {
        limits: resolver.limits(d),
        people,
        access,
        at_desk,
        markings,
        encryption,
        time_zone: resolver.time_zone(d),
        council,
        listeners: listeners?,
        upstreams: upstreams?,
        tls,
        monitoring,
        records,
        outbox,
        digest,
        scan,
        dns: options.dns.as_ref().map(dns),
        dkim,
        metrics,
        console,
        log: said(&options.log).unwrap_or(Log::Text),
        policy: Arc::new(policy?),
        rules: super::overlay::rules::Files::default(),
        password_within: said(&options.rules.password_within).unwrap_or(Duration::from_secs(86_400)),
        hostname: hostname?,
    })
}

/// Long enough for a large archive; a client waits at least ten minutes (RFC 5321 §4.5.3.2.6).
const SCAN_TIMEOUT: Duration = Duration::from_secs(20);
/// SPF alone may ask ten times.
const DNS_TIMEOUT: Duration = Duration::from_secs(8);
const DNS_CACHE: u64 = 4_096;

fn dns(dns: &options::Dns) -> Dns {
    Dns {
        servers: dns.servers.iter().map(|s| *s.get_ref()).collect(),
        timeout: said(&dns.timeout).unwrap_or(DNS_TIMEOUT),
        cache: said(&dns.cache).unwrap_or(DNS_CACHE),
    }
}

/// Relative to the site file.
fn key_file(options: &Options<'_>) -> PathBuf {
    options.records.key_file.as_ref().map_or_else(|| PathBuf::from("data/site.key"), |k| k.get_ref().clone())
}

/// Where the console writes what is changed there; none without a console.
pub fn desk_folder(options: &Options<'_>, files: &Files<'_>) -> Option<PathBuf> {
    match &options.console.as_ref()?.folder {
        Some(folder) => Some(files.resolve(folder.get_ref())),
        None => Some(files.resolve(&key_file(options)).with_file_name("desk")),
    }
}

struct Resolver<'a> {
    options: &'a Options<'a>,
    files: &'a Files<'a>,
    source: &'a Arc<Source>,
}

fn said<T: Copy>(value: &Option<Spanned<T>>) -> Option<T> {
    value.as_ref().map(|v| *v.get_ref())
}

fn text(value: &Option<Spanned<String>>) -> Option<String> {
    value.as_ref().map(|v| v.get_ref().clone())
}

impl Resolver<'_> {
    fn path(&self, path: &Option<Spanned<PathBuf>>) -> Option<PathBuf> {
        path.as_ref().map(|p| self.files.resolve(p.get_ref()))
    }

    fn council(&self, d: &mut Diagnostics) -> Council {
        let council = &self.options.council;
        let domains: Vec<String> = council.domains.iter().map(|c| c.get_ref().clone()).collect();
        for (i, domain) in council.domains.iter().enumerate() {
            if domains[..i].contains(domain.get_ref()) {
                d.warning(self.source, domain.span(), format!("{} is named twice", domain.get_ref()), "Delete one.");
            }
        }
        for (key, person) in [("clerk", &council.clerk), ("chair", &council.chair)] {
            if let Some(person) = person
                && !domains.is_empty()
                && !is_internal(person.get_ref(), &domains)
            {
                d.warning(
                    self.source,
                    person.span(),
                    format!("`{key}` is not at a domain of the council"),
                    "What the policy says they must hear would leave the council.",
                );
            }
        }
        let normal = |person: &Option<Spanned<Address>>| person.as_ref().map(|p| p.get_ref().normal());
        if let Some(review) = &council.review
            && *review.get_ref() < jiff::Zoned::now().date()
        {
            let month = review.get_ref().strftime("%B %Y");
            d.warning(
                self.source,
                review.span(),
                format!("the policy was to be reviewed by the end of {month}"),
                "When the council has reviewed it, write the month of the next review.",
            );
        }
        Council {
            name: text(&council.name).unwrap_or_default(),
            domains,
            clerk: normal(&council.clerk),
            chair: normal(&council.chair),
            review: said(&council.review),
        }
    }

    fn upstreams(&self, d: &mut Diagnostics) -> Option<Vec<Arc<Upstream>>> {
        self.options.upstreams.iter().map(|upstream| self.upstream(upstream, d).map(Arc::new)).collect()
    }

    fn upstream(&self, upstream: &options::Upstream, d: &mut Diagnostics) -> Option<Upstream> {
        if let Some(ca) = &upstream.ca_file {
            self.files.certificates(ca, d);
        }
        let address = upstream.address.as_ref()?;
        let (host, port) = address.get_ref();
        let loopback = units::is_loopback(host);
        let tls = self.upstream_tls(upstream);
        if let Some(tls) = &upstream.tls
            && *tls.get_ref() == UpstreamTls::None
            && !loopback
        {
            let message = format!("mail would go to {host} in the clear");
            d.error(
                self.source,
                tls.span(),
                message,
                "`none` is for this machine only. Write tls = \"starttls\" (ports 587, 25) or \"implicit\" (port 465).",
            );
        }
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let server_name = text(&upstream.server_name).unwrap_or_else(|| host.trim_end_matches('.').to_ascii_lowercase());
        Some(Upstream {
            name: upstream.name.get_ref().as_str().into(),
            address,
            tls,
            ca_file: self.path(&upstream.ca_file),
            server_name,
            keep: said(&upstream.keep).unwrap_or(16) as usize,
            pacing: upstream.pacing.as_ref().map(pacing).unwrap_or_default(),
        })
    }

    fn upstream_tls(&self, upstream: &options::Upstream) -> UpstreamTls {
        said(&upstream.tls).unwrap_or_else(|| match upstream.address.as_ref().map(|a| a.get_ref()) {
            Some((_, 465)) => UpstreamTls::Implicit,
            Some((host, _)) if units::is_loopback(host) => UpstreamTls::None,
            _ => UpstreamTls::Starttls,
        })
    }

    fn upstreams_are_used(&self, d: &mut Diagnostics) {
        if self.options.broken {
            return;
        }
        for (index, upstream) in self.options.upstreams.iter().enumerate() {
            let by_listener = self.options.listeners.iter().any(|l| self.upstream_of(l) == Some(index));
            let by_outbox =
                self.options.outbox.as_ref().is_some_and(|o| o.upstream.as_ref().is_some_and(|u| u.get_ref() == upstream.name.get_ref()));
            let unknown = self.options.listeners.iter().any(|l| self.upstream_of(l).is_none());
            if !by_listener && !by_outbox && !unknown {
                d.warning(
                    self.source,
                    upstream.name.span(),
                    format!("nothing uses the upstream `{}`", upstream.name.get_ref()),
                    "Name it in a [[listener]], or delete it.",
                );
            }
        }
    }

    /// The index of a listener's upstream: by name, or the only one.
    fn upstream_of(&self, listener: &options::Listener) -> Option<usize> {
        match &listener.upstream {
            Some(name) => self.upstream_named(name.get_ref()),
            None => (self.options.upstreams.len() == 1).then_some(0),
        }
    }

    fn upstream_named(&self, name: &str) -> Option<usize> {
        self.options.upstreams.iter().position(|u| u.name.get_ref() == name)
    }

    fn no_such_upstream(&self, name: &Spanned<String>, d: &mut Diagnostics) {
        if self.options.broken {
            return;
        }
        let names = || self.options.upstreams.iter().map(|u| u.name.get_ref().as_str());
        let help = match spelling::nearest(name.get_ref(), names()) {
            Some(near) => format!("Did you mean \"{near}\"?"),
            None => format!("Add [upstream.{}], or name one of: {}.", name.get_ref(), names().collect::<Vec<_>>().join(", ")),
        };
        d.error(self.source, name.span(), format!("there is no upstream `{}`", name.get_ref()), help);
    }

    fn listeners(&self, d: &mut Diagnostics) -> Option<Vec<Listener>> {
        for (i, listener) in self.options.listeners.iter().enumerate() {
            if let Some(name) = &listener.name
                && self.options.listeners[..i].iter().any(|l| l.name.as_ref().is_some_and(|n| n.get_ref() == name.get_ref()))
            {
                d.error(self.source, name.span(), format!("two listeners are called `{}`", name.get_ref()), "Give each its own name.");
            }
        }
        // Every listener is looked at, also after one that cannot be made.
        let made: Vec<Option<Listener>> = self.options.listeners.iter().map(|l| self.listener(l, d)).collect();
        made.into_iter().collect()
    }

    fn listener(&self, listener: &options::Listener, d: &mut Diagnostics) -> Option<Listener> {
        let role = said(&listener.role);
        let tls = said(&listener.tls).unwrap_or(if role == Some(Role::Submission) {
            ListenerTls::StarttlsRequired
        } else {
            ListenerTls::Starttls
        });
        self.check_listener_tls(listener, tls, d);
        let upstream = self.listener_upstream(listener, role, d);
        let (trust, stamp) = (self.trust(listener, tls, d), self.stamp(listener, d));
        if let Some(normalise) = &listener.normalise_line_ends
            && role.is_some_and(|r| r != Role::Connector)
            && *normalise.get_ref()
        {
            let help = "Elsewhere a bare CR or LF is refused: it can smuggle a second message in. Delete the line.";
            d.error(self.source, normalise.span(), "only a connector may mend line ends", help);
        }
        let role = role?;
        Some(Listener {
            name: listener.name.as_ref()?.get_ref().as_str().into(),
            role,
            bind: said(&listener.bind)?,
            tls,
            upstream: upstream?,
            trust,
            normalise_line_ends: said(&listener.normalise_line_ends).unwrap_or(false),
            stamp,
            received_client_address: said(&listener.received_client_address).unwrap_or(role != Role::Submission),
        })
    }

    fn check_listener_tls(&self, listener: &options::Listener, tls: ListenerTls, d: &mut Diagnostics) {
        let place = listener.tls.as_ref().map_or(listener.span.clone(), |t| t.span());
        if tls == ListenerTls::None
            && let Some(bind) = &listener.bind
            && !bind.get_ref().ip().to_canonical().is_loopback()
        {
            let message = format!("mail and passwords would reach {} in the clear", bind.get_ref());
            d.error(
                self.source,
                place,
                message,
                "`none` is for this machine only (127.0.0.1). Write tls = \"starttls\", \"starttls-required\" or \"implicit\".",
            );
        } else if tls != ListenerTls::None && self.options.tls.is_none() && !self.options.broken {
            let help = "Add [tls] with certificate-file and key-file. On this machine only, tls = \"none\" does without.";
            d.error(self.source, place, "this listener offers TLS, and there is no [tls]", help);
        }
    }

    fn listener_upstream(&self, listener: &options::Listener, role: Option<Role>, d: &mut Diagnostics) -> Option<usize> {
        let index = self.upstream_of(listener);
        match (&listener.upstream, index) {
            (Some(name), None) => self.no_such_upstream(name, d),
            (None, None) if !self.options.upstreams.is_empty() && !self.options.broken => {
                d.error(self.source, listener.span.clone(), "which upstream does this listener's mail go to?", "Add: upstream = \"NAME\"");
            }
            _ => {}
        }
        let upstream = &self.options.upstreams[index?];
        if role == Some(Role::Submission)
            && let Some(tls) = &upstream.tls
            && *tls.get_ref() == UpstreamTls::Opportunistic
        {
            let message = format!("passwords pass through `{}`, and opportunistic TLS may send them in the clear", upstream.name.get_ref());
            d.error(self.source, tls.span(), message, "Write tls = \"starttls\" (port 587) or \"implicit\" (port 465).");
        }
        index
    }

    fn trust(&self, listener: &options::Listener, tls: ListenerTls, d: &mut Diagnostics) -> Trust {
        let connector = said(&listener.role) == Some(Role::Connector);
        let Some(trust) = &listener.trust else {
            if connector && !self.options.broken {
                let help = "Add: trust = { networks = [\"192.0.2.0/24\"] }, or client-certificates = [\"*.mail.example\"].";
                d.error(self.source, listener.span.clone(), "this connector trusts nobody, so no mail can come in", help);
            }
            return Trust::default();
        };
        if !connector && listener.role.is_some() {
            d.error(self.source, trust.span.clone(), "`trust` is for connectors only", "Delete it, or write role = \"connector\".");
        }
        if trust.networks.is_empty() && trust.client_certificates.is_empty() && connector {
            let help = "Add networks = [\"192.0.2.0/24\"] or client-certificates = [\"*.mail.example\"]. A header comes with the message, too late to know who is calling.";
            d.error(self.source, trust.span.clone(), "this connector would let anybody connect", help);
        }
        if let (Some(name), ListenerTls::None) = (trust.client_certificates.first(), tls) {
            d.error(
                self.source,
                name.span(),
                "a client can show a certificate only over TLS",
                "Write tls = \"starttls-required\" for this listener.",
            );
        }
        if let Some(ca) = &trust.client_ca_file {
            self.files.certificates(ca, d);
        }
        Trust {
            networks: trust.networks.iter().map(|n| *n.get_ref()).collect::<Vec<Network>>(),
            client_certificates: trust.client_certificates.iter().map(|n| n.get_ref().clone()).collect(),
            client_ca_file: self.path(&trust.client_ca_file),
            header: self.trust_header(listener, trust, d),
        }
    }

    fn trust_header(&self, listener: &options::Listener, trust: &options::Trust, d: &mut Diagnostics) -> Option<(String, String)> {
        let variable = variable("LYCHGATE_TRUST_HEADER_", listener);
        let line = self.files.secret(trust.header_file.as_ref(), &variable, "Field-Name: secret", d)?;
        let parsed = line.split_once(':').map(|(name, secret)| (name.trim(), secret.trim()));
        match parsed {
            // Short enough to guess is as good as none, and a field name must be one.
            Some((name, secret)) if secret.len() >= 16 && options::field_name(name).is_ok() => Some((name.to_owned(), secret.to_owned())),
            found => {
                let message = if found.is_some() {
                    "the secret header is too short to be secret"
                } else {
                    "the secret header is not written as Field-Name: secret"
                };
                let help = "Write one line such as X-Council-Tenant: and 16 or more random characters (openssl rand -hex 16).";
                match &trust.header_file {
                    Some(path) => d.error(self.source, path.span(), message, help),
                    None => d.error_without_place(format!("{variable}: {message}"), help),
                }
                None
            }
        }
    }

    fn stamp(&self, listener: &options::Listener, d: &mut Diagnostics) -> Option<Stamp> {
        let stamp = listener.stamp.as_ref()?;
        if said(&listener.role).is_some_and(|r| r != Role::Connector) {
            d.error(self.source, stamp.span.clone(), "`stamp` is for connectors only", "Delete it, or write role = \"connector\".");
        }
        let variable = variable("LYCHGATE_STAMP_KEY_", listener);
        let errors = d.count_errors();
        let key = self.files.key(stamp.key_file.as_ref(), &variable, d);
        if key.is_none() && d.count_errors() == errors && !self.options.broken {
            d.error(
                self.source,
                stamp.span.clone(),
                "`stamp` has no key",
                format!("Add key-file = \"secrets/stamp.key\" (openssl rand -base64 32), or set {variable}."),
            );
        }
        Some(Stamp { field: text(&stamp.field).unwrap_or_else(|| "X-Lychgate-Stamp".to_owned()), key: key? })
    }

    fn bindings_are_distinct(&self, d: &mut Diagnostics) {
        let options = self.options;
        let mut seen: Vec<std::net::SocketAddr> = Vec::new();
        let metrics = options.metrics.as_ref().and_then(|m| m.bind.as_ref());
        let all = options
            .listeners
            .iter()
            .filter_map(|l| l.bind.as_ref())
            .chain(options.console.as_ref().and_then(|c| c.bind.as_ref()))
            .chain(metrics);
        for bind in all {
            let address = *bind.get_ref();
            let clash = |other: &std::net::SocketAddr| {
                let same_family = other.is_ipv4() == address.is_ipv4()
                    || other.ip().is_ipv6() && other.ip().is_unspecified()
                    || address.ip().is_ipv6() && address.ip().is_unspecified();
                other.port() == address.port()
                    && (other.ip() == address.ip() || same_family && (other.ip().is_unspecified() || address.ip().is_unspecified()))
            };
            // Port 0 is "any free one", for trials.
            if address.port() != 0 && seen.iter().any(clash) {
                d.error(self.source, bind.span(), format!("{address} is taken by another part of this file"), "Give each its own port.");
            }
            seen.push(address);
        }
    }

    fn tls(&self, d: &mut Diagnostics) -> Option<TlsFiles> {
        let tls = self.options.tls.as_ref()?;
        let (certificate, key) = (tls.certificate_file.as_ref()?, tls.key_file.as_ref()?);
        self.files.identity(certificate, key, d);
        Some(TlsFiles { certificate: self.files.resolve(certificate.get_ref()), key: self.files.resolve(key.get_ref()) })
    }

    fn monitoring(&self, d: &mut Diagnostics) -> Option<Monitoring> {
        let monitoring = self.options.monitoring.as_ref()?;
        if let Some(date) = &monitoring.notice_date
            && *date.get_ref() > jiff::Zoned::now().date()
        {
            d.warning(
                self.source,
                date.span(),
                "the notice has not been given yet",
                "Recording is lawful once everybody who may use the system has been told.",
            );
        }
        Some(Monitoring {
            purposes: monitoring.purposes.as_ref()?.iter().map(|p| p.get_ref().clone()).collect(),
            notice_version: text(&monitoring.notice_version)?,
            notice_date: said(&monitoring.notice_date)?,
            impact_assessment: text(&monitoring.impact_assessment)?,
            mandatory: said(&monitoring.mandatory).unwrap_or(false),
            subject: said(&monitoring.subject).unwrap_or(false),
            past_mail: said(&monitoring.past_mail).unwrap_or(true),
        })
    }

    fn records(&self, d: &mut Diagnostics) -> Records {
        let records = &self.options.records;
        let key_file = key_file(self.options);
        let key_span = records.key_file.as_ref().map_or(records.span.clone(), |k| k.span());
        let place = records.database.as_ref().map(|place| (place.get_ref(), place.span()));
        let (database, keyring) = match place {
            Some((Place::Server(url), span)) => self.on_server(url, span, d),
            other => {
                let file = match other {
                    Some((Place::File(file), _)) => file.clone(),
                    _ => "data/lychgate.db".into(),
                };
                if let Some(keyring) = &records.keyring {
                    let help = "Leave it out: beside a database file the keyring is a file beside the site key.";
                    d.error(self.source, keyring.span(), "`keyring` is for a database on a server", help);
                }
                let database = self.files.resolve(&file);
                self.key_and_database(&database, &file, &key_file, key_span, d);
                (Database::Sqlite(database), None)
            }
        };
        let usual = Retention::default();
        let retention = Retention {
            events: said(&records.events).unwrap_or(usual.events),
            incidents: said(&records.incidents).unwrap_or(usual.incidents),
            held: said(&records.held).unwrap_or(usual.held),
            access: said(&records.access).unwrap_or(usual.access),
            contacts: said(&records.contacts).unwrap_or(usual.contacts),
        };
        Records {
            database,
            keyring,
            key_file: self.files.resolve(&key_file),
            retention,
            queue: said(&records.queue).unwrap_or(10_000) as usize,
        }
    }

    /// Record and custody in one database, the keyring in another.
    fn on_server(&self, url: &str, span: Range<usize>, d: &mut Diagnostics) -> (Database, Option<Arc<DatabaseServer>>) {
        let records = &self.options.records;
        let ca_file = records.database_ca_file.as_ref().map(|file| {
            self.files.certificates(file, d);
            self.files.resolve(file.get_ref())
        });
        let password = self.files.secret(records.database_password_file.as_ref(), "LYCHGATE_DATABASE_PASSWORD", "the password", d);
        let own = records.keyring_password_file.as_ref().map(|file| self.files.secret(Some(file), "", "the password", d));
        let server = |url: &str, password: Option<String>| {
            Arc::new(DatabaseServer { url: url.to_string(), password: password.map(Zeroizing::new), ca_file: ca_file.clone() })
        };
        const HELP: &str = "Make a second database and write: keyring = \"postgres://lychgate@db.example/keyring\". It is backed up apart.";
        let keyring = match &records.keyring {
            None => {
                d.error(self.source, span, "a database on a server needs a `keyring` of its own", HELP);
                None
            }
            Some(place) => match place.get_ref() {
                Place::Server(other) if other == url => {
                    d.error(self.source, place.span(), "record and keyring are one database: an old copy of it could always be read", HELP);
                    None
                }
                Place::Server(other) => Some(server(other, own.unwrap_or_else(|| password.clone()))),
                Place::File(_) => {
                    d.error(self.source, place.span(), "a keyring in a file is this gateway's alone, and the database is shared", HELP);
                    None
                }
            },
        };
        (Database::Postgres(server(url, password)), keyring)
    }

    /// The store and its key are made together and live together; one without the other is a restore gone half way.
    fn key_and_database(&self, database: &Path, shown: &Path, key_file: &Path, span: Range<usize>, d: &mut Diagnostics) {
        let key = self.files.resolve(key_file);
        // A first start that was cut short leaves the key under its temporary name, and the next one finishes it.
        let mut unfinished = key.clone().into_os_string();
        unfinished.push(".new");
        match (database.exists(), key.exists()) {
            (true, false) if Path::new(&unfinished).exists() => {}
            (true, false) => {
                let message = format!("{} is there, and its key {} is missing", shown.display(), key_file.display());
                d.error(
                    self.source,
                    span,
                    message,
                    "Put the key back from its copy. Without it no record can be read; to start anew, move the database away.",
                );
            }
            (false, true) => {
                let message = format!("the key {} is there, and its database {} is missing", key_file.display(), shown.display());
                d.error(self.source, span, message, "Put the database back, or move the key away to start anew.");
            }
            (true, true) => self.files.warn_if_key_open(&Spanned::new(span, key_file.to_owned()), d),
            (false, false) => {}
        }
    }

    fn outbox(&self, council: &Council, d: &mut Diagnostics) -> Option<Outbox> {
        let outbox = self.options.outbox.as_ref();
        let named = outbox.and_then(|o| o.upstream.as_ref());
        let first = self.options.listeners.first().and_then(|l| self.upstream_of(l));
        let upstream = match named {
            Some(name) => {
                let index = self.upstream_named(name.get_ref());
                if index.is_none() {
                    self.no_such_upstream(name, d);
                }
                index?
            }
            None => first?,
        };
        let username = outbox.and_then(|o| o.username.as_ref());
        let password_file = outbox.and_then(|o| o.password_file.as_ref());
        let password = self.files.secret(password_file, "LYCHGATE_OUTBOX_PASSWORD", "the password", d);
        match (username, password_file) {
            (Some(username), None) if password.is_none() => {
                let help = "Add password-file = \"secrets/outbox-password\", or set LYCHGATE_OUTBOX_PASSWORD.";
                d.error(self.source, username.span(), "`username` has no password", help);
            }
            (None, Some(file)) => d.error(self.source, file.span(), "`password-file` has no username", "Add: username = \"gateway@…\""),
            _ => {}
        }
        let takes_passwords =
            self.options.listeners.iter().any(|l| said(&l.role) == Some(Role::Submission) && self.upstream_of(l) == Some(upstream));
        if takes_passwords && username.is_none() && password_file.is_none() && !self.options.broken {
            let place = outbox.map_or_else(|| self.options.upstreams[upstream].name.span(), |o| o.span.clone());
            let message = "notices, and mail that is held or leaves in copies, may have to wait: this provider asks for a password, and [outbox] has none";
            d.warning(self.source, place, message, "Give the gateway an account of its own: [outbox] with username and password-file.");
        }
        let written = outbox.and_then(|o| o.from.as_ref()).map(|f| f.get_ref().as_str().to_owned());
        let from = written
            .or_else(|| username.map(|u| u.get_ref().clone()).filter(|u| u.contains('@')))
            .or_else(|| Some(format!("gateway@{}", council.domains.first()?)))?;
        let answers = outbox.and_then(|o| o.answers.as_ref()).map_or_else(|| from.clone(), |a| a.get_ref().as_str().to_owned());
        Some(Outbox { upstream, from, answers, credential: username.map(|u| u.get_ref().clone()).zip(password) })
    }

    /// Due on Monday at eight to the Clerk, unless the file says otherwise.
    fn digest(&self, council: &Council, d: &mut Diagnostics) -> Option<Digest> {
        let digest = self.options.digest.as_ref();
        let day = digest.and_then(|g| said(&g.day)).unwrap_or(Some(jiff::civil::Weekday::Monday));
        let to: Vec<String> = match digest.and_then(|g| g.to.as_ref()) {
            Some(to) => {
                for who in to.iter().filter(|who| !council.domains.is_empty() && !is_internal(who.get_ref(), &council.domains)) {
                    d.warning(
                        self.source,
                        who.span(),
                        "the digest would leave the council",
                        "Name an address at a domain of the council: it says how the council's mail fared.",
                    );
                }
                to.iter().map(|who| who.get_ref().normal()).collect()
            }
            None => council.clerk.iter().cloned().collect(),
        };
        let day = day?;
        if let Some(digest) = digest
            && to.is_empty()
            && digest.to.is_none()
            && !self.options.broken
        {
            let help = "Add clerk under [council], or to = [\"clerk@…\"] here; day = \"never\" switches the digest off.";
            d.error(self.source, digest.span.clone(), "the digest has nobody to go to", help);
        }
        let at = digest.and_then(|g| said(&g.at)).unwrap_or(jiff::civil::time(8, 0, 0, 0));
        (!to.is_empty()).then_some(Digest { day, at, to })
    }

    fn scan(&self, d: &mut Diagnostics) -> Option<Scan> {
        let scan = self.options.scan.as_ref()?;
        let largest = said(&self.options.limits.message_size).unwrap_or(Limits::default().message_size);
        if let Some(most) = &scan.max_size
            && *most.get_ref() < largest
        {
            d.warning(
                self.source,
                most.span(),
                "larger messages than this are never scanned",
                "Where a rule waits for the scanner they are deferred until their sender gives up. Make it as large as `message-size`, and StreamMaxLength in clamd.conf too.",
            );
        }
        let clamd = match scan.clamd.as_ref()?.get_ref() {
            Clamd::Unix(path) => Clamd::Unix(self.files.resolve(path)),
            tcp => tcp.clone(),
        };
        Some(Scan { clamd, timeout: said(&scan.timeout).unwrap_or(SCAN_TIMEOUT), max_size: said(&scan.max_size) })
    }

    fn dkim(&self, council: &Council, d: &mut Diagnostics) -> Vec<Dkim> {
        let mut out: Vec<Dkim> = Vec::new();
        for dkim in &self.options.dkim {
            let (place, domain) = match (&dkim.domain, council.domains.as_slice()) {
                (Some(domain), _) => (domain.span(), domain.get_ref().clone()),
                (None, [only]) => (dkim.span.clone(), only.clone()),
                (None, _) => {
                    if !self.options.broken {
                        d.error(
                            self.source,
                            dkim.span.clone(),
                            "which of the council's domains does this key sign for?",
                            "Add: domain = \"…\"",
                        );
                    }
                    continue;
                }
            };
            if !council.domains.is_empty() && !council.domains.contains(&domain) {
                d.error(
                    self.source,
                    place,
                    format!("{domain} is not a domain of the council"),
                    "Only the council's own mail is signed: see [council] domains.",
                );
                continue;
            }
            if out.iter().any(|other| other.domain == domain) {
                d.error(
                    self.source,
                    place,
                    format!("there are two keys for {domain}"),
                    "Keep one. The old key stays in the DNS until all mail that it signed has arrived.",
                );
                continue;
            }
            let key = dkim.key_file.as_ref().and_then(|file| self.files.signing_key(file, d));
            if let (Some(key), Some(selector)) = (key, text(&dkim.selector)) {
                out.push(Dkim { domain, selector, key: Arc::new(key) });
            }
        }
        out
    }

    fn limits(&self, d: &mut Diagnostics) -> Limits {
        let (limits, usual) = (&self.options.limits, Limits::default());
        let number = |value: &Option<Spanned<u64>>, usual: u32| said(value).map_or(usual, |n| n as u32);
        let made = Limits {
            message_size: said(&limits.message_size).unwrap_or(usual.message_size),
            recipients: said(&limits.recipients).map_or(usual.recipients, |n| n as usize),
            memory: said(&limits.memory).unwrap_or(usual.memory),
            connections: said(&limits.connections).map_or(usual.connections, |n| n as usize),
            connections_per_client: said(&limits.connections_per_client).map_or(usual.connections_per_client, |n| n as usize),
            connection_rate: number(&limits.connection_rate, usual.connection_rate),
            commands: number(&limits.commands, usual.commands),
            errors: number(&limits.errors, usual.errors),
            auth_failures: number(&limits.auth_failures, usual.auth_failures),
            command_timeout: said(&limits.command_timeout).unwrap_or(usual.command_timeout),
            data_timeout: said(&limits.data_timeout).unwrap_or(usual.data_timeout),
            message_timeout: said(&limits.message_timeout).unwrap_or(usual.message_timeout),
            drain: said(&limits.drain).unwrap_or(usual.drain),
            hops: said(&limits.hops).map_or(usual.hops, |n| n as usize),
        };
        if let Some(recipients) = &limits.recipients
            && *recipients.get_ref() < 1_000
        {
            d.warning(
                self.source,
                recipients.span(),
                "a large list would be cut short",
                "Providers take 1,000 recipients and more (RFC 5321 §4.5.3.1.8 asks for 100 at least).",
            );
        }
        if made.memory < made.message_size {
            let place = limits.memory.as_ref().or(limits.message_size.as_ref()).map_or(0..0, |v| v.span());
            d.error(
                self.source,
                place,
                "one message of the allowed size would not fit in `memory`",
                "Make memory several times message-size.",
            );
        }
        made
    }

    fn metrics(&self, d: &mut Diagnostics) -> Option<std::net::SocketAddr> {
        let metrics = self.options.metrics.as_ref()?;
        let bind = metrics.bind.as_ref()?;
        let open = said(&metrics.beyond_loopback).unwrap_or(false);
        if !open && !bind.get_ref().ip().to_canonical().is_loopback() {
            let help = "Write 127.0.0.1, or add beyond-loopback = true if others may read the figures.";
            d.error(self.source, bind.span(), "the figures would be readable from other machines", help);
        }
        Some(*bind.get_ref())
    }

    fn people(&self, council: &Council, at_desk: &AtDesk, d: &mut Diagnostics) -> People {
        let people = &self.options.people;
        let mut own: Vec<(String, Vec<String>)> = people
            .own_accounts
            .iter()
            .map(|(who, accounts)| (self.account_holder(who, council, d), accounts.iter().map(|a| a.get_ref().clone()).collect()))
            .collect();
        let hashed = people.own_accounts.iter().flat_map(|(_, accounts)| accounts).find(|a| account_key::is_hashed(a.get_ref()));
        let mut account_key = hashed.and_then(|first| self.account_key(first, d));
        for account in at_desk.accounts.iter().filter(|a| self.is_somebody(&a.of, council)) {
            account_key = account_key.or_else(|| super::own_accounts::key(&self.files.resolve(&key_file(self.options))).ok());
            match own.iter_mut().find(|(who, _)| *who == account.of) {
                Some((_, accounts)) => accounts.push(account.account.clone()),
                None => own.push((account.of.clone(), vec![account.account.clone()])),
            }
        }
        let mut make = |list: &[Spanned<(Option<String>, Address)>]| {
            list.iter()
                .map(|person| {
                    let (name, address) = person.get_ref();
                    if !council.domains.is_empty() && !is_internal(address, &council.domains) {
                        d.warning(
                            self.source,
                            person.span(),
                            "this address is not at a domain of the council",
                            "Name their council address; accounts of their own go under [people.own-accounts].",
                        );
                    }
                    let address = address.normal();
                    let own_accounts = own.iter().filter(|(who, _)| *who == address).flat_map(|(_, accounts)| accounts.clone()).collect();
                    Person { address, name: name.clone(), own_accounts }
                })
                .collect::<Vec<_>>()
        };
        let mut made = People { account_key, councillors: make(&people.councillors), staff: make(&people.staff) };
        // The Clerk and the Chair, and whoever else has accounts, need not be named twice.
        for (who, accounts) in own {
            if !who.is_empty() && !made.councillors.iter().chain(&made.staff).any(|p| p.address == who) {
                made.staff.push(Person { address: who, name: None, own_accounts: accounts });
            }
        }
        made
    }

    /// Whether the site file names this address (normal form) as somebody's: the desk makes nobody one of the council's people.
    fn is_somebody(&self, address: &str, council: &Council) -> bool {
        let people = &self.options.people;
        let mut named = people.councillors.iter().chain(&people.staff).map(|p| p.get_ref().1.normal());
        let mut insiders = people.insiders.iter().flat_map(|i| &i.addresses).map(|a| a.get_ref().normal());
        [&council.clerk, &council.chair].into_iter().flatten().any(|a| a == address)
            || named.any(|a| a == address)
            || insiders.any(|a| a == address)
    }

    /// Beyond this machine it is reached over TLS, with the gateway's own certificate.
    fn console(&self, d: &mut Diagnostics) -> Option<Console> {
        let console = self.options.console.as_ref()?;
        let bind = console.bind.as_ref()?;
        if !bind.get_ref().ip().is_loopback() && self.options.tls.is_none() {
            let message = format!("the console would be reached at {} in the clear", bind.get_ref());
            d.error(self.source, bind.span(), message, "Add [tls] with the gateway's certificate, or bind it to 127.0.0.1.");
        }
        let folder = desk_folder(self.options, self.files)?;
        let url = console.url.as_ref().map(|u| u.get_ref().clone());
        let saml = console.saml.as_ref().and_then(|saml| saml.resolve(url.as_deref(), self.files, self.source, d));
        Some(Console { bind: *bind.get_ref(), url, folder, saml: saml.map(Arc::new) })
    }

    /// Who has which role. The Clerk and the Chair of `[council]` have theirs, councillors are members.
    fn access(&self, council: &Council, people: &People, d: &mut Diagnostics) -> Access {
        let mut insiders: Vec<Insider> = Vec::new();
        for said in &self.options.people.insiders {
            let addresses: Vec<String> = said.addresses.iter().map(|a| a.get_ref().normal()).collect();
            for (address, at) in addresses.iter().zip(&said.addresses) {
                if let Some(other) = insiders.iter().find(|i| i.addresses.contains(address)) {
                    let message = format!("this address is also that of [people.{}]", other.name);
                    d.error(
                        self.source,
                        at.span(),
                        message,
                        "One person is one table, with all their addresses and roles: two people would be taken for one, or one for two.",
                    );
                }
                if !council.domains.is_empty() && !is_internal(at.get_ref(), &council.domains) {
                    let help = "Codes that open held mail would leave the council. Name a council address.";
                    d.warning(self.source, at.span(), "this address is not at a domain of the council", help);
                }
            }
            let duties = said.roles.iter().map(|r| *r.get_ref()).collect();
            if addresses.is_empty() {
                continue;
            }
            insiders.push(Insider { name: said.name.get_ref().clone(), addresses, duties });
        }
        let mut give = |address: &str, duty: Duty| match insiders.iter_mut().find(|i| i.addresses.iter().any(|a| a == address)) {
            Some(insider) if insider.duties.contains(&duty) => {}
            Some(insider) => insider.duties.push(duty),
            // Named by what nobody calls a table of theirs.
            None => insiders.push(Insider { name: address.into(), addresses: vec![address.into()], duties: vec![duty] }),
        };
        for (address, duty) in [(&council.clerk, Duty::Clerk), (&council.chair, Duty::Chair)] {
            if let Some(address) = address {
                give(address, duty);
            }
        }
        for member in &people.councillors {
            give(&member.address, Duty::Member);
        }
        let two_people = match &self.options.two_people {
            Some(said) => said.iter().map(|t| *t.get_ref()).collect(),
            None => vec![TwoPeople::Content],
        };
        Access { insiders, two_people }
    }

    /// The key for accounts that are registered by their hash.
    fn account_key(&self, first: &Spanned<String>, d: &mut Diagnostics) -> Option<AccountKey> {
        let key = super::own_accounts::key(&self.files.resolve(&key_file(self.options)));
        if let Err(error) = &key {
            d.warning(
                self.source,
                first.span(),
                format!("whose account this is cannot be told: the site's key cannot be read ({error})"),
                "The key is made when the gateway starts for the first time. Hashes of another site's key fit nobody here.",
            );
        }
        key.ok()
    }

    fn account_holder(&self, who: &Spanned<String>, council: &Council, d: &mut Diagnostics) -> String {
        match Address::parse(who.get_ref(), crate::smtp::address::Charset::Utf8) {
            Ok(address) if is_internal(&address, &council.domains) || council.domains.is_empty() => address.normal(),
            _ => {
                let help = "\"cllr.elm@wragbyparishcouncil.gov.uk\" = [\"ann.elm@gmail.com\"]";
                d.error(self.source, who.span(), "on the left stands a council address, in quotes", help);
                String::new()
            }
        }
    }

    /// Wrappers by the listeners whose mail takes their way.
    fn encryption(&self, d: &mut Diagnostics) -> EncryptionSettings {
        let encryption = &self.options.encryption;
        EncryptionSettings {
            least: said(&encryption.minimum_strength).unwrap_or(Strength::Weak),
            wrappers: encryption.wrappers.iter().filter_map(|wrapper| self.wrapper(wrapper, d)).collect(),
        }
    }

    fn wrapper(&self, wrapper: &options::Wrapper, d: &mut Diagnostics) -> Option<Wrapper> {
        let mut error = |span: &options::Span, message: String, help: String| d.error(self.source, span.clone(), message, help);
        let names = || self.options.listeners.iter().filter_map(|l| l.name.as_ref());
        let listeners: Vec<Arc<str>> = match (&wrapper.listener, &wrapper.upstream) {
            (Some(listener), None) => {
                let known = names().any(|n| n.get_ref() == listener.get_ref());
                if !known && !self.options.broken {
                    let near = spelling::nearest(listener.get_ref(), names().map(|n| n.get_ref().as_str()));
                    error(
                        &listener.span(),
                        format!("there is no listener \"{}\"", listener.get_ref()),
                        near.map_or("It must be the name of a [[listener]].".into(), |n| format!("Did you mean \"{n}\"?")),
                    );
                }
                vec![listener.get_ref().as_str().into()]
            }
            (None, Some(upstream)) => {
                let by = self
                    .options
                    .listeners
                    .iter()
                    .filter(|l| self.upstream_of(l).is_some_and(|i| self.options.upstreams[i].name.get_ref() == upstream.get_ref()));
                let listeners: Vec<Arc<str>> = by.filter_map(|l| Some(l.name.as_ref()?.get_ref().as_str().into())).collect();
                if listeners.is_empty() && !self.options.broken {
                    error(
                        &upstream.span(),
                        format!("no listener hands mail to an upstream \"{}\"", upstream.get_ref()),
                        "Name the upstream of a [[listener]], by which mail goes to that service.".into(),
                    );
                }
                listeners
            }
            (Some(_), Some(upstream)) => {
                error(
                    &upstream.span(),
                    "a wrapper has one route, and this names two".into(),
                    "Keep upstream or listener, and delete the other.".into(),
                );
                return None;
            }
            (None, None) if self.options.broken => return None,
            (None, None) => {
                error(
                    &wrapper.span,
                    "a header field alone is no encryption: anybody can write it".into(),
                    "Say by which way such mail goes or comes: upstream = \"…\" or listener = \"…\", one of the two.".into(),
                );
                return None;
            }
        };
        Some(Wrapper { header: text(&wrapper.header)?, value: text(&wrapper.value), listeners })
    }

    fn markings(&self, d: &mut Diagnostics) -> Markings {
        let markings = &self.options.markings;
        if let Some(label) = markings.labels.first()
            && markings.site_id.is_none()
            && !self.options.broken
        {
            d.error(
                self.source,
                label.span(),
                "labels count only with the council's own tenant",
                "Add: site-id = \"…\" (the Microsoft tenant id). Other tenants use the same labels.",
            );
        }
        Markings {
            labels: markings.labels.iter().map(|l| l.get_ref().clone()).collect(),
            site_id: text(&markings.site_id),
            header: text(&markings.header),
        }
    }

    fn time_zone(&self, d: &mut Diagnostics) -> jiff::tz::TimeZone {
        let zone = &self.options.council.time_zone;
        let name = zone.as_ref().map_or("Europe/London", |z| z.get_ref().as_str());
        match jiff::tz::TimeZone::get(name) {
            Ok(found) => found,
            // A machine without the zone files still knows British time.
            Err(_) if name == "Europe/London" => jiff::tz::TimeZone::posix("GMT0BST,M3.5.0/1,M10.5.0").unwrap_or(jiff::tz::TimeZone::UTC),
            Err(_) => {
                let help = "Write a name such as \"Europe/London\". If it is right, install the package tzdata.";
                d.error(self.source, zone.as_ref().map_or(0..0, |z| z.span()), format!("\"{name}\" is not a time zone known here"), help);
                jiff::tz::TimeZone::UTC
            }
        }
    }
}

fn is_internal(address: &Address, domains: &[String]) -> bool {
    domains.contains(&crate::smtp::address::normal_domain(address.domain()))
}

/// The environment's name for a listener's secret.
fn variable(prefix: &str, listener: &options::Listener) -> String {
    let name = listener.name.as_ref().map_or("", |n| n.get_ref().as_str());
    format!("{prefix}{}", name.to_ascii_uppercase().replace('-', "_"))
}

fn pacing(pacing: &options::Pacing) -> Pacing {
    let per = said(&pacing.per).unwrap_or(Duration::from_secs(60));
    // Evenly spread, and rounded up: however a provider cuts its minutes, no minute holds more.
    let interval = said(&pacing.messages).map_or(Duration::ZERO, |messages| {
        Duration::from_nanos(u64::try_from(per.as_nanos().div_ceil(u128::from(messages.max(1)))).unwrap_or(u64::MAX))
    });
    Pacing { connections: said(&pacing.connections).map_or(Pacing::default().connections, |n| n as usize), interval }
}
