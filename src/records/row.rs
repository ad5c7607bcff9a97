//! The sealed content of one row: a compact encoding of our own, with the fields that the monitoring notice names and no more.
//!
//! Integers are LEB128, texts have their length in front. The first octet is the version; a version keeps its meaning for ever, so
//! that a row of any age can be read. Every text has a bound, so that no message can make a large row out of a long field.

use super::StoreError;
use super::entry::{Class, Entry};
use super::sealing::{Kind, PeriodKey};
use super::vector;
use crate::policy::recorded::Hashed;
use crate::policy::verdict::FactSummary;
use crate::policy::{Disposition, FactVector, Mode, RecordLevel, Role};
use crate::smtp::Address;

/// Since version 2 a row ends with the message's fact vector.
const VERSION: u8 = 2;
const TEXT: usize = 512;
const DOMAINS: usize = 1000;
const RULES: usize = 200;

/// A row as it is read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub time: jiff::Timestamp,
    pub reference: String,
    pub listener: String,
    pub role: Role,
    /// The reverse path; empty for `<>`.
    pub sender: String,
    /// The contract's word.
    pub disposition: String,
    /// None: the row was reserved and never completed, so that the outcome is not known.
    pub outcome_code: Option<u16>,
    pub upstream_reply: Option<String>,
    pub configuration: Vec<u8>,
    pub rules: Vec<RowRule>,
    pub message_id_hash: Option<u64>,
    pub recipients: Vec<RowRecipient>,
    pub classes: ClassCounts,
    pub external_domains: Vec<String>,
    pub detectors: Vec<(String, u32)>,
    pub size: u64,
    pub automatic: bool,
    pub facts: FactSummary,
    pub subject: Option<String>,
    /// What the message showed, as it was encoded; empty where it was not kept.
    pub vector: Vec<u8>,
}

impl Row {
    /// What the message showed; none if it was not kept.
    pub fn fact_vector(&self) -> Result<Option<FactVector<Hashed>>, StoreError> {
        vector::read(&self.vector, self)
    }
}

/// The domain of the reverse path, in normal form.
pub(super) fn sender_domain(row: &Row) -> String {
    row.sender.rsplit_once('@').map(|(_, domain)| crate::smtp::address::normal_domain(domain)).unwrap_or_default()
}

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRule {
    pub id: String,
    pub mode: String,
    pub clauses: Vec<String>,
    /// The reason that the sender gave for an override.
    pub overridden: Option<String>,
    /// Why it matched, masked; only where a rule says `record = "evidence"`.
    pub because: Vec<String>,
}

/// A recipient: who it was can be asked, not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowRecipient {
    pub hash: u64,
    pub code: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ClassCounts {
    pub internal: u32,
    pub partner: u32,
    pub personal: u32,
    pub external: u32,
}

/// Appends the encoding of an entry, and the look-up hashes that find it.
pub(super) fn encode(entry: &Entry, key: &PeriodKey, keep_subject: bool, out: &mut Vec<u8>, found_by: &mut Vec<u64>) {
    out.push(VERSION);
    out.extend_from_slice(&entry.time.as_millisecond().to_le_bytes());
    put_text(out, &entry.reference);
    put_text(out, &entry.listener);
    out.push(match entry.role {
        Role::Submission => 0,
        Role::Connector => 1,
        Role::Mx => 2,
    });
    put_text(out, entry.envelope.reverse_path.as_str());
    out.push(match entry.disposition {
        Disposition::Deliver => 0,
        Disposition::Hold { .. } => 1,
        Disposition::Defer { .. } => 2,
        Disposition::Reject { .. } | Disposition::Malformed { .. } => 3,
    });
    put_number(out, entry.outcome.as_ref().map_or(0, |o| u64::from(o.code)));
    put_optional(out, entry.outcome.as_ref().and_then(|o| o.upstream_reply.as_deref()).map(without_addresses).as_deref());
    let configuration = entry.rules.configuration();
    put_octets(out, &configuration[..configuration.len().min(32)]);
    put_rules(entry, out);
    put_message_id(entry, key, out, found_by);
    let external_domains = put_recipients(entry, key, out, found_by);
    put_number(out, entry.detectors.len().min(RULES) as u64);
    for (name, count) in entry.detectors.iter().take(RULES) {
        put_text(out, name);
        put_number(out, u64::from(*count));
    }
    put_number(out, entry.size);
    out.push(u8::from(entry.automatic));
    // Facts are JSON, so that a fact added later needs no new version: what the row lacks reads as its default.
    let facts = serde_json::to_vec(&entry.facts).unwrap_or_default();
    put_octets(out, &facts);
    put_optional(out, entry.subject.as_deref().filter(|_| keep_subject));
    vector::put(entry, &external_domains, key, out);

    if let Some(address) = entry.envelope.reverse_path.address() {
        found_by.push(key.hash(Kind::Sender, &address.normal()));
    }
    found_by.push(key.hash(Kind::Reference, &reference_key(&entry.reference)));
}

fn put_rules(entry: &Entry, out: &mut Vec<u8>) {
    put_number(out, entry.matches.len().min(RULES) as u64);
    for rule in entry.matches.iter().take(RULES) {
        put_text(out, &rule.rule);
        out.push(rule.mode as u8);
        put_number(out, rule.clauses.len().min(RULES) as u64);
        for clause in rule.clauses.iter().take(RULES) {
            put_text(out, clause);
        }
        put_optional(out, rule.overridden.as_deref());
        let because: &[String] = if entry.level == RecordLevel::Evidence { &rule.because } else { &[] };
        put_number(out, because.len().min(RULES) as u64);
        for reason in because.iter().take(RULES) {
            put_text(out, reason);
        }
    }
}

fn put_message_id(entry: &Entry, key: &PeriodKey, out: &mut Vec<u8>, found_by: &mut Vec<u64>) {
    match &entry.message_id {
        Some(id) => {
            let hash = key.hash(Kind::MessageId, message_id_key(id));
            out.push(1);
            out.extend_from_slice(&hash.to_be_bytes());
            found_by.push(hash);
        }
        None => out.push(0),
    }
}

/// Hashes in the envelope's order; one code for all, then those that had another; counts by class; external domains.
fn put_recipients(entry: &Entry, key: &PeriodKey, out: &mut Vec<u8>, found_by: &mut Vec<u64>) -> Vec<String> {
    let recipients = &entry.envelope.recipients;
    let end = entry.outcome.as_ref().map(|o| o.code);
    let outcome = |code: u16| if code / 100 == 2 { end.unwrap_or(0) } else { code };
    let common = recipients.iter().find(|r| r.is_accepted()).or(recipients.first()).map_or(0, |r| outcome(r.reply_code));
    put_number(out, recipients.len() as u64);
    put_number(out, u64::from(common));
    let mut counts = ClassCounts::default();
    let mut domains = Domains::default();
    let mut normal = String::with_capacity(64);
    let mut last: Option<(String, Class)> = None;
    for recipient in recipients {
        normal_into(&recipient.address, &mut normal);
        let hash = key.hash(Kind::Recipient, &normal);
        out.extend_from_slice(&hash.to_be_bytes());
        found_by.push(hash);
        let domain = normal.rsplit_once('@').map_or("", |(_, domain)| domain);
        // Lists have few domains, each many times over.
        let class = match &last {
            Some((known, class)) if known == domain => *class,
            _ => match entry.rules.class_of_domain(domain) {
                Some(class) => {
                    last = Some((domain.to_owned(), class));
                    class
                }
                None => entry.rules.class(&normal),
            },
        };
        let count = match class {
            Class::Internal => {
                counts.internal += 1;
                continue;
            }
            Class::Partner => &mut counts.partner,
            Class::Personal => &mut counts.personal,
            Class::External => &mut counts.external,
        };
        *count += 1;
        domains.add(domain);
    }
    let others = recipients.iter().enumerate().map(|(i, r)| (i, outcome(r.reply_code))).filter(|(_, code)| *code != common);
    put_number(out, others.clone().count() as u64);
    for (i, code) in others {
        put_number(out, i as u64);
        put_number(out, u64::from(code));
    }
    for count in [counts.internal, counts.partner, counts.personal, counts.external] {
        put_number(out, u64::from(count));
    }
    let domains = domains.sorted();
    put_number(out, domains.len() as u64);
    for domain in &domains {
        put_text(out, domain);
    }
    domains
}

/// External domains, as they come.
#[derive(Default)]
struct Domains(Vec<String>);

impl Domains {
    /// Lists have few domains, each many times over: the last few are looked through before one is added.
    fn add(&mut self, domain: &str) {
        let known = self.0.iter().rev().take(16).any(|d| d == domain);
        if !known && self.0.len() < 4 * DOMAINS {
            self.0.push(domain.to_owned());
        }
    }

    fn sorted(mut self) -> Vec<String> {
        self.0.sort_unstable();
        self.0.dedup();
        self.0.truncate(DOMAINS);
        self.0
    }
}

/// [`Address::normal`] without an allocation for each of a thousand recipients, in the plain case that nearly all are.
fn normal_into(address: &Address, out: &mut String) {
    out.clear();
    let text = address.as_str();
    // Two hyphens may be IDNA's "xn--", whose normal form takes more than lower case.
    let mut plain = !text.ends_with('.');
    let mut last = 0;
    for &b in text.as_bytes() {
        plain &= b < 128 && b != b'"' && !(b == b'-' && last == b'-');
        last = b;
    }
    if plain {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        out.push_str(&address.normal());
    }
}

/// The form in which a Message-ID is looked up: no brackets, no white space around.
pub(super) fn message_id_key(id: &str) -> &str {
    let id = id.trim();
    id.strip_prefix('<').and_then(|i| i.strip_suffix('>')).unwrap_or(id).trim()
}

/// The form in which a reference is looked up: any case, "Ref" in front or not.
pub(super) fn reference_key(reference: &str) -> String {
    let upper = reference.trim().to_ascii_uppercase();
    upper.strip_prefix("REF").map(|r| r.trim_start().to_owned()).unwrap_or(upper)
}

/// Upstreams name recipients in their replies ("<ashby@…>: unknown"), which would make readable what is kept as a hash.
fn without_addresses(reply: &str) -> String {
    if memchr::memchr(b'@', reply.as_bytes()).is_none() {
        return reply.to_owned();
    }
    let mut out = String::with_capacity(reply.len());
    for word in reply.split_inclusive(char::is_whitespace) {
        match word.contains('@') {
            false => out.push_str(word),
            true => {
                out.push_str("(address)");
                out.extend(word.chars().last().filter(|c| c.is_whitespace()));
            }
        }
    }
    out
}

pub(super) fn put_number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub(super) fn put_octets(out: &mut Vec<u8>, octets: &[u8]) {
    put_number(out, octets.len() as u64);
    out.extend_from_slice(octets);
}

/// Cut at [`TEXT`] octets, on a character's border.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_octets(out, &text.as_bytes()[..text.floor_char_boundary(TEXT)]);
}

fn put_optional(out: &mut Vec<u8>, text: Option<&str>) {
    out.push(u8::from(text.is_some()));
    if let Some(text) = text {
        put_text(out, text);
    }
}

/// The same encoding without one recipient's hash (zeros stand in its place, so that the numbers stay) and without their domain.
pub(super) fn without_recipient(plain: &[u8], hash: u64, domain: &str) -> Result<Vec<u8>, StoreError> {
    let mut r = Reader(plain);
    r.header()?;
    r.list(RULES, Reader::rule)?;
    if r.octet()? != 0 {
        r.hash()?;
    }
    let recipients = r.length()?;
    r.code()?;
    let mut out = plain[..plain.len() - r.0.len()].to_vec();
    let hashes = r.take(recipients.checked_mul(8).ok_or(StoreError::Damaged)?)?;
    for one in hashes.chunks_exact(8) {
        out.extend_from_slice(if *one == hash.to_be_bytes() { &[0; 8] } else { one });
    }
    let rest = r.0;
    for _ in 0..r.length()? {
        r.length()?;
        r.code()?;
    }
    for _ in 0..4 {
        r.number()?;
    }
    out.extend_from_slice(&rest[..rest.len() - r.0.len()]);
    let domains: Vec<String> = r.list(DOMAINS, Reader::text)?.into_iter().filter(|d| d != domain).collect();
    put_number(&mut out, domains.len() as u64);
    domains.iter().for_each(|d| put_text(&mut out, d));
    let rest = r.0;
    r.list(RULES, |r| r.text().and_then(|_| r.number()))?;
    r.number()?;
    r.octet()?;
    r.octets()?;
    r.optional()?;
    out.extend_from_slice(&rest[..rest.len() - r.0.len()]);
    // What the message showed says who was named in it: it goes as a whole.
    if plain[0] >= 2 {
        put_number(&mut out, 0);
    }
    Ok(out)
}

/// Reads a row that was opened.
pub(super) fn decode(plain: &[u8]) -> Result<Row, StoreError> {
    let mut r = Reader(plain);
    let version = r.octet()?;
    if version == 0 || version > VERSION {
        return Err(StoreError::Damaged);
    }
    let time = i64::from_le_bytes(r.take(8)?.try_into().map_err(|_| StoreError::Damaged)?);
    let time = jiff::Timestamp::from_millisecond(time).map_err(|_| StoreError::Damaged)?;
    let reference = r.text()?;
    let listener = r.text()?;
    let role = match r.octet()? {
        0 => Role::Submission,
        1 => Role::Connector,
        2 => Role::Mx,
        _ => return Err(StoreError::Damaged),
    };
    let sender = r.text()?;
    let disposition = match r.octet()? {
        0 => "deliver",
        1 => "hold",
        2 => "defer",
        3 => "reject",
        _ => return Err(StoreError::Damaged),
    };
    let outcome_code = Some(r.code()?).filter(|c| *c != 0);
    let upstream_reply = r.optional()?;
    let configuration = r.octets()?.to_vec();
    let rules = r.list(RULES, Reader::rule)?;
    let message_id_hash = match r.octet()? {
        0 => None,
        _ => Some(r.hash()?),
    };
    let (recipients, classes) = r.recipients()?;
    let external_domains = r.list(DOMAINS, Reader::text)?;
    let detectors = r.list(RULES, |r| Ok((r.text()?, r.number()?.min(u64::from(u32::MAX)) as u32)))?;
    let size = r.number()?;
    let automatic = r.octet()? != 0;
    let facts = serde_json::from_slice(r.octets()?).unwrap_or_default();
    let subject = r.optional()?;
    let vector = if version < 2 { Vec::new() } else { r.octets()?.to_vec() };
    Ok(Row {
        time,
        reference,
        listener,
        role,
        sender,
        disposition: disposition.into(),
        outcome_code,
        upstream_reply,
        configuration,
        rules,
        message_id_hash,
        recipients,
        classes,
        external_domains,
        detectors,
        size,
        automatic,
        facts,
        subject,
        vector,
    })
}

pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// What stands before the rules, gone past.
    fn header(&mut self) -> Result<(), StoreError> {
        self.take(1 + 8)?;
        self.octets()?;
        self.octets()?;
        self.octet()?;
        self.octets()?;
        self.octet()?;
        self.code()?;
        self.optional()?;
        self.octets()?;
        Ok(())
    }

    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], StoreError> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(StoreError::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn octet(&mut self) -> Result<u8, StoreError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn number(&mut self) -> Result<u64, StoreError> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let b = self.octet()?;
            n |= u64::from(b & 0x7f) << shift;
            if b < 0x80 {
                return Ok(n);
            }
        }
        Err(StoreError::Damaged)
    }

    pub(super) fn length(&mut self) -> Result<usize, StoreError> {
        usize::try_from(self.number()?).map_err(|_| StoreError::Damaged)
    }

    fn code(&mut self) -> Result<u16, StoreError> {
        u16::try_from(self.number()?).map_err(|_| StoreError::Damaged)
    }

    pub(super) fn hash(&mut self) -> Result<u64, StoreError> {
        Ok(u64::from_be_bytes(self.take(8)?.try_into().map_err(|_| StoreError::Damaged)?))
    }

    pub(super) fn octets(&mut self) -> Result<&'a [u8], StoreError> {
        let n = self.length()?;
        self.take(n)
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        String::from_utf8(self.octets()?.to_vec()).map_err(|_| StoreError::Damaged)
    }

    fn optional(&mut self) -> Result<Option<String>, StoreError> {
        if self.octet()? == 0 { Ok(None) } else { self.text().map(Some) }
    }

    pub(super) fn list<T>(&mut self, most: usize, one: impl FnMut(&mut Self) -> Result<T, StoreError>) -> Result<Vec<T>, StoreError> {
        let n = self.number()?;
        self.several(n, most, one)
    }

    pub(super) fn several<T>(
        &mut self,
        n: u64,
        most: usize,
        mut one: impl FnMut(&mut Self) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        if n > most as u64 {
            return Err(StoreError::Damaged);
        }
        (0..n).map(|_| one(self)).collect()
    }

    /// Four octets that stand for something.
    pub(super) fn id(&mut self) -> Result<u32, StoreError> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| StoreError::Damaged)?))
    }

    fn rule(&mut self) -> Result<RowRule, StoreError> {
        let id = self.text()?;
        let mode = match self.octet()? {
            m if m == Mode::Off as u8 => Mode::Off,
            m if m == Mode::Observe as u8 => Mode::Observe,
            m if m == Mode::Warn as u8 => Mode::Warn,
            m if m == Mode::Enforce as u8 => Mode::Enforce,
            _ => return Err(StoreError::Damaged),
        };
        let clauses = self.list(RULES, Reader::text)?;
        let overridden = self.optional()?;
        let because = self.list(RULES, Reader::text)?;
        Ok(RowRule { id, mode: mode.word().into(), clauses, overridden, because })
    }

    fn recipients(&mut self) -> Result<(Vec<RowRecipient>, ClassCounts), StoreError> {
        let n = self.length()?;
        let code = self.code()?;
        let hashes = self.take(n.checked_mul(8).ok_or(StoreError::Damaged)?)?;
        let mut list: Vec<_> = hashes
            .chunks_exact(8)
            .map(|h| RowRecipient { hash: u64::from_be_bytes(h.try_into().expect("chunks of eight")), code })
            .collect();
        for _ in 0..self.length()? {
            let i = self.length()?;
            list.get_mut(i).ok_or(StoreError::Damaged)?.code = self.code()?;
        }
        let mut count = || Ok::<u32, StoreError>(self.number()?.min(u64::from(u32::MAX)) as u32);
        let counts = ClassCounts { internal: count()?, partner: count()?, personal: count()?, external: count()? };
        Ok((list, counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::tests::entry;

    #[test]
    fn goes_round_and_never_panics_on_less() {
        let key = PeriodKey::new(&[3; 32]);
        let mut e = entry("clerk@wragby.gov.uk", &["a@gmail.com", "b@wragby.gov.uk", "c@lincs.gov.uk", "D@Gmail.com"]);
        e.envelope.recipients[2].reply_code = 550;
        e.matches = vec![crate::records::tests::matched("hide-recipients")];
        e.detectors = vec![("nhs".into(), 3)];
        e.subject = Some("Agenda".into());
        e.outcome = Some(super::super::Outcome { code: 250, upstream_reply: Some("250 2.0.0 <a@gmail.com> Ok: queued as 4FK".into()) });
        let (mut out, mut found_by) = (Vec::new(), Vec::new());
        encode(&e, &key, true, &mut out, &mut found_by);
        let row = decode(&out).unwrap();
        assert_eq!(row.sender, "clerk@wragby.gov.uk");
        assert_eq!(row.classes, ClassCounts { internal: 1, partner: 1, personal: 2, external: 0 });
        assert_eq!(row.external_domains, ["gmail.com", "lincs.gov.uk"]);
        assert_eq!(row.recipients.iter().map(|r| r.code).collect::<Vec<_>>(), [250, 250, 550, 250]);
        assert_eq!(row.upstream_reply.as_deref(), Some("250 2.0.0 (address) Ok: queued as 4FK"));
        assert_eq!(row.rules[0].id, "hide-recipients");
        assert!(row.rules[0].because.is_empty(), "evidence only where a rule says so");
        assert_eq!(row.detectors, [("nhs".to_string(), 3)]);
        assert_eq!(row.subject.as_deref(), Some("Agenda"));
        assert_eq!(row.facts, e.facts);
        assert_eq!(found_by.len(), 4 + 3);
        // No address of a recipient is in it, in any form.
        for address in ["a@gmail.com", "b@wragby", "c@lincs"] {
            assert!(memchr::memmem::find(&out, address.as_bytes()).is_none(), "{address}");
        }
        for n in 0..out.len() {
            assert!(decode(&out[..n]).is_err(), "cut at {n}");
        }
        for i in 0..out.len() {
            let mut altered = out.clone();
            altered[i] ^= 0xff;
            let _ = decode(&altered);
        }
        e.level = RecordLevel::Evidence;
        out.clear();
        encode(&e, &key, false, &mut out, &mut found_by);
        let row = decode(&out).unwrap();
        assert_eq!((row.subject, row.rules[0].because.len()), (None, 1));
    }

    #[test]
    fn one_recipient_is_taken_out_and_everything_else_stays() {
        let key = PeriodKey::new(&[3; 32]);
        let mut e = entry("clerk@wragby.gov.uk", &["a@gmail.com", "jo@ashby.example", "c@lincs.gov.uk"]);
        e.envelope.recipients[2].reply_code = 550;
        e.matches = vec![crate::records::tests::matched("hide-recipients")];
        e.detectors = vec![("nhs".into(), 3)];
        let mut plain = Vec::new();
        encode(&e, &key, true, &mut plain, &mut Vec::new());
        let hash = key.hash(Kind::Recipient, "jo@ashby.example");
        let without = decode(&without_recipient(&plain, hash, "ashby.example").unwrap()).unwrap();
        let mut wanted = decode(&plain).unwrap();
        assert_eq!(wanted.recipients[1].hash, hash);
        wanted.recipients[1].hash = 0;
        wanted.external_domains.retain(|d| d != "ashby.example");
        assert_eq!(without, wanted);
        for n in 0..plain.len() {
            let _ = without_recipient(&plain[..n], hash, "ashby.example");
        }
    }

    #[test]
    fn long_fields_are_cut() {
        let key = PeriodKey::new(&[3; 32]);
        let mut e = entry("clerk@wragby.gov.uk", &["a@gmail.com"]);
        e.subject = Some("é".repeat(100_000));
        e.outcome = Some(super::super::Outcome { code: 250, upstream_reply: Some("x".repeat(100_000)) });
        let mut out = Vec::new();
        encode(&e, &key, true, &mut out, &mut Vec::new());
        assert!(out.len() < 2_000, "{}", out.len());
        assert_eq!(decode(&out).unwrap().subject.unwrap().chars().count(), 256);
    }

    #[test]
    fn the_short_way_to_the_normal_form_is_the_same() {
        use crate::smtp::address::Charset;
        for text in [
            "Jo@X.uk",
            "\"Jo\"@x.uk",
            "jo@x.uk.",
            "jo@XN--bcher-kva.example",
            "J.o+T@BÜCHER.example",
            "a--b@x.uk",
            "É@x.uk",
            "jo@[192.0.2.1]",
        ] {
            let address = Address::parse(text, Charset::Utf8).unwrap();
            let mut out = String::from("before");
            normal_into(&address, &mut out);
            assert_eq!(out, address.normal());
        }
    }

    #[test]
    fn look_up_forms() {
        assert_eq!(message_id_key(" <a@b> "), "a@b");
        assert_eq!(message_id_key("a@b"), "a@b");
        assert_eq!(reference_key("ref lg-7f3k"), "LG-7F3K");
    }
}
