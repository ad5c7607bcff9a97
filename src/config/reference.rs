//! Every key that the site file may hold: what it means, what it is when not said, an example. The reader of the file refuses
//! what is not here, and `lychgate options` prints it, so that the page can never be older than the program.

/// One documented key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The table it stands in; `upstream` stands for `[upstream.NAME]`, `listener` for each `[[listener]]`.
    pub table: &'static str,
    pub key: &'static str,
    /// In plain words.
    pub doc: &'static str,
    /// What holds when the key is not said; empty where it must be said.
    pub default: &'static str,
    /// As it is written after the `=`; empty for a table.
    pub example: &'static str,
}

/// The keys of a table.
pub fn keys(table: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(move |k| k.table == table).map(|k| k.key)
}

/// `Example: key = …` for a help text.
pub fn example(table: &str, key: &str) -> String {
    match KEYS.iter().find(|k| k.table == table && k.key == key) {
        Some(k) if !k.example.is_empty() => format!("Example: {key} = {}", k.example),
        _ => String::new(),
    }
}

/// Whether a table has tables of people's own names beside its keys.
pub fn has_names(table: &str) -> bool {
    KEYS.iter().any(|k| k.table.strip_suffix(".NAME") == Some(table))
}

/// The one table that knows a key that was written elsewhere.
pub fn home_of(key: &str) -> Option<&'static str> {
    let mut homes = KEYS.iter().filter(|k| k.key == key && !k.table.is_empty()).map(|k| k.table);
    let first = homes.next()?;
    homes.next().is_none().then_some(first)
}

/// The `…-file` key to use where a secret was written into the file itself.
pub fn secret_file(table: &str, key: &str) -> Option<&'static str> {
    match (table, key) {
        ("outbox", "password" | "secret") => Some("password-file"),
        ("listener.trust", "header" | "secret") => Some("header-file"),
        ("listener.stamp" | "tls" | "records", "key" | "secret") => Some("key-file"),
        _ => None,
    }
}

/// The whole reference as text, table by table.
pub fn print() -> String {
    let mut out = String::from(
        "Keys of lychgate.toml. Durations are \"30s\", \"10min\", \"2h\", \"90d\"; sizes \"35MB\". Relative paths are relative to the file.\n",
    );
    let mut table = "";
    for key in KEYS.iter().filter(|k| !k.table.is_empty()) {
        if key.table != table {
            table = key.table;
            let (heading, about) = heading(table);
            out.push_str(&format!("\n{heading}\n  {about}\n"));
        }
        if key.example.is_empty() {
            continue;
        }
        out.push_str(&format!("\n  {} = {}\n      {}\n", key.key, key.example, key.doc));
        match key.default {
            "" => out.push_str("      Must be said.\n"),
            default => out.push_str(&format!("      When not said: {default}.\n")),
        }
    }
    out
}

fn heading(table: &str) -> (String, &'static str) {
    let about = KEYS.iter().find(|k| k.table.is_empty() && k.key == table).map_or("", |k| k.doc);
    match table {
        "listener" => ("[[listener]]".into(), about),
        "listener.trust" => (
            "trust = { … } in a [[listener]] of role connector".into(),
            "Whom a connector believes; the sender or every recipient must be the council's too.",
        ),
        "listener.stamp" => (
            "stamp = { … } in a [[listener]] of role connector".into(),
            "The field that proves to the provider's own rule that a message has been here.",
        ),
        "dkim" => ("[[dkim]]".into(), about),
        "upstream" => ("[upstream.NAME]".into(), about),
        "upstream.pacing" => ("pacing = { … } in an [upstream.NAME]".into(), "What the provider takes at most."),
        "console.saml" => (
            "[console.saml]".into(),
            "Signing in with the council's account, at an identity provider such as Entra ID or Google. The mailed link stays. Needs a build with the feature saml.",
        ),
        "console.saml.roles" => (
            "[console.saml.roles]".into(),
            "\"Clerks\" = [\"clerk\"]: what members of a group may do while they are signed in so. With this table the groups alone decide about whoever signs in with the council's account; without it the site file does.",
        ),
        "people.own-accounts" => (
            "[people.own-accounts]".into(),
            "\"cllr.elm@wragbyparishcouncil.gov.uk\" = [\"ann.elm@gmail.com\"]: whose own account is whose.",
        ),
        "people.NAME" => (
            "[people.NAME]".into(),
            "Somebody who may do something with what is kept. One person, one table: two people are two tables. The Clerk and the Chair of [council] have their roles without one.",
        ),
        "records.retention" => ("[records.retention]".into(), "How long each class of record is kept, from \"1s\" (for trials) upwards."),
        _ => (format!("[{table}]"), about),
    }
}

const fn key(table: &'static str, key: &'static str, default: &'static str, example: &'static str, doc: &'static str) -> Key {
    Key { table, key, doc, default, example }
}

/// The table itself, in the order in which a Clerk meets the keys.
pub const KEYS: &[Key] = &[
    key("", "council", "", "", "Who the council is."),
    key("", "rules", "", "", "Where the policy's rules are."),
    key("", "listener", "", "", "Where mail comes in. One table for each place."),
    key("", "upstream", "", "", "Where mail goes on to: the mail provider."),
    key("", "tls", "", "", "The gateway's own certificate. Needed as soon as a listener uses TLS."),
    key("", "monitoring", "", "", "On what ground each message is recorded. Without this table there are hourly counts only."),
    key("", "records", "", "", "Where records are kept, sealed, and for how long."),
    key("", "outbox", "", "", "How the gateway sends mail of its own: notices to senders and the Clerk."),
    key("", "digest", "", "", "The weekly digest that tells the Clerk how the council's mail fared and what is to be done."),
    key("", "limits", "", "", "What one message, one client and all together may take."),
    key(
        "",
        "scan",
        "",
        "",
        "The virus scanner, for rules that ask `virus`: ClamAV's daemon. Without this table those rules are not judged.",
    ),
    key(
        "",
        "dns",
        "",
        "",
        "Look-ups in the DNS, for rules that ask `spf`, `dkim`, `dmarc` or `proven-sender`. Without this table those rules are not judged. Empty, it uses this machine's name servers.",
    ),
    key(
        "",
        "dkim",
        "",
        "",
        "A key that the council's mail is signed with, for rules that say then.sign, and for mail whose signature a rule's change would break. One table for each domain.",
    ),
    key("", "console", "", "", "The Clerk's web page."),
    key("", "metrics", "", "", "Figures and health for the operator's monitoring."),
    key("", "log", "", "", "What is written to the log. Never an address, a subject or a word of a message."),
    key("", "people", "", "", "Who is who, for rules that name @councillors or @staff, and who may do what with what is kept."),
    key("", "access", "", "", "What takes two people."),
    key("", "markings", "", "", "The council's own ways of marking mail confidential, beside the usual ones."),
    key("", "encryption", "", "", "What counts as encrypted: how strong it must be, and services that encrypt on the way."),
    //
    key("council", "name", "", "\"Wragby Parish Council\"", "The council's name, as notices and documents give it."),
    key(
        "council",
        "domains",
        "",
        "[\"wragbyparishcouncil.gov.uk\"]",
        "The council's own mail domains. A list, for councils that move from one to another.",
    ),
    key(
        "council",
        "clerk",
        "nobody hears what the policy says the Clerk must hear",
        "\"clerk@wragbyparishcouncil.gov.uk\"",
        "The Clerk's council address.",
    ),
    key(
        "council",
        "chair",
        "nobody",
        "\"chair@wragbyparishcouncil.gov.uk\"",
        "The Chair's council address: the second key where the Clerk is the subject.",
    ),
    key(
        "council",
        "bank-accounts",
        "every account number counts as somebody's",
        "[\"20-45-67 41234567\"]",
        "The council's own accounts: they stand on every invoice, and `identifiers` does not count them.",
    ),
    key(
        "council",
        "hostname",
        "lychgate. and the first domain",
        "\"gateway.wragbyparishcouncil.gov.uk\"",
        "The name the gateway gives itself in greetings and Received lines.",
    ),
    key(
        "council",
        "review",
        "no date is watched",
        "\"2027-05\"",
        "By the end of which month the adopted policy is to be reviewed. The weekly digest reminds of it, and `check` when it is past.",
    ),
    key("council", "time-zone", "Europe/London", "\"Europe/London\"", "The zone in which hours and dates of rules are meant."),
    //
    key(
        "rules",
        "paths",
        "no rules: every message passes unchanged",
        "[\"rules/wragby\"]",
        "Rule files, or folders that are read in order of their names.",
    ),
    key("rules", "mode", "enforce", "\"observe\"", "The furthest any rule may go: off, observe, warn or enforce. Start with observe."),
    key(
        "rules",
        "malformed",
        "judge",
        "\"reject\"",
        "Mail that programs may read in several ways: judge every reading and take the strictest verdict, or reject it all.",
    ),
    key(
        "rules",
        "password-within",
        "24h",
        "\"3d\"",
        "A password that follows its protected document to the same recipient within this time is password-disclosed = \"later\".",
    ),
    key("rules", "tune", "", "", "[rules.tune.ID]: another mode, other clauses or other numbers for a shipped rule, without copying it."),
    //
    key("listener", "name", "", "\"submission\"", "A name for the log, for rules and for `explain --listener`."),
    key(
        "listener",
        "role",
        "",
        "\"submission\"",
        "submission (mail programs with a password), connector (the provider hands mail over), or mx (the world).",
    ),
    key("listener", "bind", "", "\"127.0.0.1:2525\"", "The address and port to listen on."),
    key(
        "listener",
        "tls",
        "starttls-required for submission, starttls otherwise",
        "\"starttls\"",
        "none (this machine only), starttls, starttls-required, or implicit (port 465).",
    ),
    key(
        "listener",
        "upstream",
        "the only upstream, where there is one",
        "\"provider\"",
        "The name of the upstream that mail from here goes to.",
    ),
    key("listener", "trust", "", "", ""),
    key(
        "listener",
        "normalise-line-ends",
        "false: such mail is refused",
        "true",
        "Connector only: mends bare CR and bare LF instead of refusing the message.",
    ),
    key("listener", "stamp", "", "", ""),
    key(
        "listener",
        "received-client-address",
        "false for submission (it is a councillor's home), true otherwise",
        "false",
        "Whether the Received line names the client's address.",
    ),
    //
    key("listener.trust", "networks", "none", "[\"192.0.2.0/24\"]", "Networks that the provider connects from."),
    key(
        "listener.trust",
        "client-certificates",
        "none",
        "[\"*.mail.example\"]",
        "Names that the provider's client certificate must bear; * stands for one label.",
    ),
    key(
        "listener.trust",
        "client-ca-file",
        "the system's roots",
        "\"certs/provider-ca.pem\"",
        "Roots that those certificates must come from, beside the system's.",
    ),
    key(
        "listener.trust",
        "header-file",
        "none",
        "\"secrets/tenant-header\"",
        "A file with one line, Field-Name: secret, that the provider's rule adds. It never leaves the gateway. Use it where the networks are shared with other tenants. Or in the environment: LYCHGATE_TRUST_HEADER_ and the listener's name in capitals.",
    ),
    //
    key("listener.stamp", "field", "X-Lychgate-Stamp", "\"X-Lychgate-Stamp\"", "The name of the field."),
    key(
        "listener.stamp",
        "key-file",
        "",
        "\"secrets/stamp.key\"",
        "A file with 32 random bytes in base64 (openssl rand -base64 32). Or in the environment: LYCHGATE_STAMP_KEY_ and the listener's name in capitals.",
    ),
    //
    key("upstream", "address", "", "\"smtp.provider.example:587\"", "The provider's server and port."),
    key(
        "upstream",
        "tls",
        "implicit on port 465, none on this machine, starttls otherwise",
        "\"starttls\"",
        "none (this machine only), opportunistic (never for submission), starttls, or implicit.",
    ),
    key("upstream", "ca-file", "the system's roots", "\"certs/upstream-ca.pem\"", "Further roots that its certificate may come from."),
    key(
        "upstream",
        "server-name",
        "the host in address",
        "\"smtp.provider.example\"",
        "The name that its certificate must bear, where the address is not it.",
    ),
    key(
        "upstream",
        "pacing",
        "off",
        "{ connections = 3, messages = 30, per = \"1min\" }",
        "What the provider takes at most, for mail that the gateway sends by itself: held mail that is released, copies of a split. Mail that is passed on at once is not paced: its sender hears the provider.",
    ),
    key("upstream.pacing", "connections", "4", "3", "Connections at one time."),
    key("upstream.pacing", "messages", "no limit", "30", "Messages within `per`, evenly spread."),
    key("upstream.pacing", "per", "\"1min\"", "\"1min\"", "The time within which so many messages may go."),
    key("upstream", "keep", "16", "16", "Idle connections kept for reuse by connector and mx listeners, for each processor. 0 keeps none."),
    //
    key("tls", "certificate-file", "", "\"certs/gateway.pem\"", "The certificate and its chain, PEM. Read again on SIGHUP."),
    key("tls", "key-file", "", "\"certs/gateway.key\"", "Its private key, PEM, readable by the gateway alone (chmod 600)."),
    //
    key(
        "monitoring",
        "purposes",
        "",
        "[\"effective-operation\", \"unauthorised-use\"]",
        "What records are kept for: facts, regulatory-practices, standards, crime, unauthorised-use, effective-operation (SI 2018/356).",
    ),
    key("monitoring", "notice-version", "", "\"2026-05\"", "The version of the notice that everybody who may use the system was given."),
    key("monitoring", "notice-date", "", "2026-05-14", "The day it was given."),
    key("monitoring", "impact-assessment", "", "\"Minute 2026/41\"", "Where the council decided on its impact assessment."),
    key("monitoring", "mandatory", "false", "true", "Whether mail waits (451) when its record cannot be written."),
    key("monitoring", "subject", "false", "true", "Whether the subject is kept with the record, sealed."),
    key(
        "monitoring",
        "past-mail",
        "true",
        "false",
        "Whether keyed hashes of who wrote to whom are kept where a rule asks (seen-together, first-contact, a password sent later). No address, subject or Message-ID can be read out of them.",
    ),
    //
    key(
        "records",
        "database",
        "sqlite:data/lychgate.db",
        "\"postgres://user@host/lychgate\"",
        "The store: a file, or \"postgres://user@host/database\" for several gateways that share it. Away from this machine the server proves itself by a certificate.",
    ),
    key(
        "records",
        "database-password-file",
        "",
        "\"secrets/database-password\"",
        "The password of the database's user; or LYCHGATE_DATABASE_PASSWORD.",
    ),
    key(
        "records",
        "database-ca-file",
        "",
        "\"certs/database-ca.pem\"",
        "Certificates by which the database server may prove itself, beside the system's.",
    ),
    key(
        "records",
        "keyring",
        "",
        "\"postgres://user@host/keyring\"",
        "On PostgreSQL: a second database, for the keys of periods. Back it up apart from the first, and for a few days only.",
    ),
    key("records", "keyring-password-file", "", "\"secrets/keyring-password\"", "Where the keyring's user has a password of its own."),
    key(
        "records",
        "key-file",
        "data/site.key",
        "\"data/site.key\"",
        "The site key: it wraps the keys that seal the record, which are in FILE.ring beside it. Keep a copy elsewhere: without it no record can be read. `lychgate keys rotate` changes it.",
    ),
    key(
        "records",
        "queue",
        "10000",
        "10000",
        "Records that may wait for a slow disk before they are dropped and counted (or mail waits, if mandatory).",
    ),
    key("records", "retention", "", "", ""),
    key("records.retention", "events", "90d", "\"90d\"", "Records of messages that no rule stopped."),
    key("records.retention", "incidents", "365d", "\"365d\"", "Records of messages that a rule stopped or changed."),
    key("records.retention", "held", "7d", "\"7d\"", "Held messages, after the decision."),
    key("records.retention", "access", "730d", "\"730d\"", "Who looked at what, and why."),
    key("records.retention", "contacts", "180d", "\"180d\"", "The index of past mail: keyed hashes of who wrote to whom."),
    //
    key("outbox", "upstream", "the first listener's", "\"provider\"", "The upstream that the gateway's own mail goes to."),
    key(
        "outbox",
        "answers",
        "`from`",
        "\"gateway@wragbyparishcouncil.gov.uk\"",
        "The address to which people answer the gateway's questions, with a token behind a plus sign. Mail to it must pass the gateway: on submission it does; where a provider hands mail over by a connector, have it hand over this address's too.",
    ),
    key(
        "outbox",
        "from",
        "username where it is an address, else gateway@ and the first domain",
        "\"gateway@wragbyparishcouncil.gov.uk\"",
        "The From of notices, and the reverse path where the provider refuses <>.",
    ),
    key("outbox", "username", "no credential", "\"gateway@wragbyparishcouncil.gov.uk\"", "The gateway's own account at the provider."),
    key(
        "outbox",
        "password-file",
        "no credential",
        "\"secrets/outbox-password\"",
        "A file with its password (chmod 600). Or in the environment: LYCHGATE_OUTBOX_PASSWORD.",
    ),
    //
    key(
        "digest",
        "day",
        "monday",
        "\"monday\"",
        "The day on which the digest comes, or never. It is sent where there is a Clerk, unless this says never.",
    ),
    key("digest", "at", "08:00", "\"08:00\"", "At what time, by the council's clock."),
    key("digest", "to", "the Clerk", "[\"clerk@wragbyparishcouncil.gov.uk\"]", "Who gets it. It names nobody and quotes no subject."),
    //
    key("limits", "message-size", "35MB", "\"35MB\"", "The largest message."),
    key("limits", "recipients", "1000", "1000", "Recipients of one message."),
    key("limits", "memory", "256MB", "\"256MB\"", "All messages in flight together; what does not fit is told to come again (452)."),
    key("limits", "connections", "2000", "2000", "Connections at once."),
    key(
        "limits",
        "connections-per-client",
        "50",
        "50",
        "Connections at once from one address on submission and mx. A connector's trusted networks are not counted.",
    ),
    key("limits", "connection-rate", "600", "600", "New connections a minute from one address on submission and mx."),
    key("limits", "commands", "100000", "100000", "Commands in one session."),
    key("limits", "errors", "20", "20", "Faults in one session before it is closed."),
    key("limits", "auth-failures", "10", "10", "Failed passwords in ten minutes, for each address and each account."),
    key("limits", "command-timeout", "5min", "\"5min\"", "How long a client may be silent between commands."),
    key("limits", "data-timeout", "3min", "\"3min\"", "How long a client may be silent within a message."),
    key("limits", "message-timeout", "30min", "\"30min\"", "How long one message may take to arrive."),
    key("limits", "drain", "30s", "\"30s\"", "How long messages on their way in may take to finish when the gateway is stopped."),
    key("limits", "hops", "100", "100", "Received lines above which a message is going round in circles."),
    //
    key(
        "scan",
        "clamd",
        "",
        "\"unix:/run/clamav/clamd.ctl\"",
        "Where clamd listens: unix: and a path, or tcp: and an address of this machine. What its heuristics say of encrypted files, macros and links is no virus here: rules have words for those. Keep StreamMaxLength in clamd.conf at least as large as message-size.",
    ),
    key(
        "scan",
        "timeout",
        "20s",
        "\"20s\"",
        "How long one message may take, the wait for its turn included; after that it is unknown whether it has a virus.",
    ),
    key("scan", "max-size", "whatever clamd takes", "\"35MB\"", "The largest message that is sent to it; for a larger one it is unknown."),
    //
    key("dns", "servers", "this machine's own", "[\"127.0.0.1:5353\"]", "Name servers, by number address, with a port where it is not 53."),
    key(
        "dns",
        "timeout",
        "8s",
        "\"8s\"",
        "How long all look-ups about one message may take together; what did not come by then is unknown.",
    ),
    key("dns", "cache", "4096", "4096", "Answers that are kept, for as long as their owners allow and at most a day."),
    //
    key("dkim", "domain", "the council's domain, where there is one", "\"wragbyparishcouncil.gov.uk\"", "The domain whose mail it signs."),
    key(
        "dkim",
        "selector",
        "",
        "\"gate1\"",
        "The name of the key in the DNS: its public half stands at gate1._domainkey.wragbyparishcouncil.gov.uk.",
    ),
    key(
        "dkim",
        "key-file",
        "",
        "\"secrets/dkim.key\"",
        "The private key, PEM (openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048), readable by the gateway alone (chmod 600).",
    ),
    //
    key(
        "console",
        "bind",
        "",
        "\"127.0.0.1:8025\"",
        "The address and port of the page. Beyond this machine it is served with the certificate of [tls].",
    ),
    key(
        "console",
        "url",
        "http:// or https:// and where it is bound",
        "\"https://gate.wragbyparishcouncil.gov.uk\"",
        "How people reach it: what stands in the links that are mailed to them.",
    ),
    key(
        "console",
        "folder",
        "desk, beside the site key",
        "\"/var/lib/lychgate/desk\"",
        "Where it writes what is changed there, with all earlier versions. The gateway must be able to write in it.",
    ),
    key("console", "saml", "", "", ""),
    key(
        "console.saml",
        "metadata-file",
        "",
        "\"identity-provider.xml\"",
        "What the identity provider says of itself: its metadata of SAML 2.0, with a certificate that it signs with. The console's own is at /saml/metadata.",
    ),
    key(
        "console.saml",
        "entity-id",
        "the console's url with /saml/metadata",
        "\"https://gate.wragbyparishcouncil.gov.uk/saml/metadata\"",
        "The console's name to the identity provider (its Identifier or Entity ID), and so the audience of its answers.",
    ),
    key(
        "console.saml",
        "address-attribute",
        "the name itself where it is a mail address, else mail, email or Microsoft's claim emailaddress",
        "\"mail\"",
        "The attribute that holds somebody's council address.",
    ),
    key(
        "console.saml",
        "groups-attribute",
        "groups, roles, memberOf or Microsoft's claims groups and role",
        "\"groups\"",
        "The attribute that holds somebody's groups, for [console.saml.roles].",
    ),
    key("console.saml", "roles", "", "", ""),
    key("console.saml.roles", "*", "the site file alone says who has which role", "", ""),
    //
    key("metrics", "bind", "", "\"127.0.0.1:9125\"", "The address and port of /metrics and /health."),
    key("metrics", "beyond-loopback", "false", "true", "Set to true to let other machines read them."),
    //
    key(
        "log",
        "format",
        "text",
        "\"json\"",
        "text or json. How much is logged: LYCHGATE_LOG in the environment (info, debug, lychgate::transport=debug).",
    ),
    //
    key(
        "people",
        "councillors",
        "nobody",
        "[\"Ann Elm <cllr.elm@wragbyparishcouncil.gov.uk>\"]",
        "The councillors, by address or name and address: @councillors.",
    ),
    key("people", "staff", "nobody", "[\"groundsman@wragbyparishcouncil.gov.uk\"]", "The employees: @staff."),
    key("people", "own-accounts", "", "", ""),
    key(
        "people.own-accounts",
        "*",
        "none",
        "",
        "A council address and the accounts of the same person's own, so that a forward to them is known for what it is. `lychgate people hash ADDRESS` prints what can stand here instead of an account, so that the file does not say whose it is.",
    ),
    key(
        "people.NAME",
        "address",
        "",
        "\"clerk@wragbyparishcouncil.gov.uk\"",
        "The person's council address, or a list of them; codes are mailed to the first.",
    ),
    key(
        "people.NAME",
        "roles",
        "",
        "[\"investigator\"]",
        "What they are: clerk, chair, it, investigator, auditor, member. `lychgate people roles` prints who may do what.",
    ),
    //
    key(
        "access",
        "two-people",
        "[\"content\"]",
        "[\"content\", \"holds\", \"reports\"]",
        "What one person asks and a second one approves: content (opening held mail), holds (of records, by case number), reports (looking up all that somebody at the council sent or received).",
    ),
    //
    key(
        "markings",
        "labels",
        "none",
        "[\"9203368f-916c-4d59-8292-9f1c6a1e8f39\"]",
        "The ids of the council's own Microsoft labels that mean confidential.",
    ),
    key(
        "markings",
        "site-id",
        "none: no Microsoft label counts",
        "\"6c15903a-880e-4e17-818a-6cb4f7935615\"",
        "The council's own Microsoft tenant; other tenants' labels are ignored.",
    ),
    key("markings", "header", "none", "\"X-Council-Marking\"", "A header field of the council's own that marks a message confidential."),
    key(
        "encryption",
        "minimum-strength",
        "\"weak\"",
        "\"strong\"",
        "With \"strong\", what a curious person breaks with a program from the web does not count: ZipCrypto, 40-bit keys, old Office files.",
    ),
    key(
        "encryption",
        "wrappers",
        "none",
        "[{ header = \"X-Zivver-Message\", upstream = \"provider\" }]",
        "Services that encrypt what is handed to them. Mail counts as encrypted that bears the header field and goes that way.",
    ),
    key("encryption.wrappers", "header", "", "\"X-Zivver-Message\"", "The header field that the service asks for."),
    key("encryption.wrappers", "value", "anything but nothing", "\"secure\"", "What the field must say, in capitals or not."),
    key("encryption.wrappers", "upstream", "", "\"provider\"", "The upstream by which mail reaches the service. This or `listener`."),
    key("encryption.wrappers", "listener", "", "\"in\"", "The listener through which mail goes to the service or comes from it."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_documented_once() {
        for (i, key) in KEYS.iter().enumerate() {
            assert!(!KEYS[..i].iter().any(|k| (k.table, k.key) == (key.table, key.key)), "{}.{} twice", key.table, key.key);
            if key.table.is_empty() || !key.example.is_empty() {
                assert!(!key.doc.is_empty(), "{}.{} has no words", key.table, key.key);
            }
        }
        assert_eq!(home_of("clerk"), Some("council"));
        assert_eq!(home_of("bind"), None);
    }

    #[test]
    fn the_page_names_every_key() {
        let page = print();
        for key in KEYS.iter().filter(|k| !k.example.is_empty()) {
            assert!(page.contains(&format!("\n  {} = {}\n", key.key, key.example)), "{}", key.key);
        }
    }
}
