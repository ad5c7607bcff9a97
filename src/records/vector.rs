//! How a message's fact vector stands in its row: a compact encoding of its own version, within the row's seal.
//!
//! Addresses become keyed hashes of the row's period. A domain is readable where the row keeps it anyway (the council's own, those
//! of its outside recipients and of its reverse path), and else a keyed hash too. Reading is total: whatever the octets, it gives a
//! vector or says that they are damaged.

use std::collections::HashMap;
use std::sync::Arc;

use super::StoreError;
use super::entry::Entry;
use super::row::{self, Reader, Row, put_number, put_octets, put_text};
use super::sealing::{Kind, PeriodKey};
use crate::message::ProtectionLevel;
use crate::policy::condition::{Automatic, Direction, Rate, RateBy, RateOf};
use crate::policy::detect::attachments::FileFacts;
use crate::policy::outside::Authentication;
use crate::policy::people::domain_of;
use crate::policy::recorded::{Domain, Hashed};
use crate::policy::subject::LoggedIn;
use crate::policy::vector::{Answer, Asked, Claim, Claimant, Did, Identifiers, Named, Seen};
use crate::policy::{Class, FactVector};

const VERSION: u8 = 1;
/// The most of anything that is listed. Files, claims and questions beyond are not kept.
const MOST: usize = 1_000;
/// Readings of one message are at most sixteen.
const READINGS: usize = 32;
/// People of the envelope and beside it.
const PEOPLE: usize = 20_000;
/// Octets of the reason why a fact could not be had.
const WHY: usize = 120;

/// Appends the vector of an entry, as one run of octets; an empty one if it has none.
pub(super) fn put(entry: &Entry, external_domains: &[String], key: &PeriodKey, out: &mut Vec<u8>) {
    let Some(vector) = &entry.vector else { return put_number(out, 0) };
    let mut octets = Vec::with_capacity(96);
    Writer::new(entry, external_domains, key).vector(vector, &mut octets);
    put_octets(out, &octets);
}

struct Writer<'e> {
    key: &'e PeriodKey,
    external_domains: &'e [String],
    /// The envelope's recipients in normal form, refused ones too.
    envelope: Vec<String>,
    reverse_path_domain: Option<String>,
    /// Domains that this vector names, in the order of their first use.
    domains: Vec<String>,
    domain_places: HashMap<String, usize>,
}

impl<'e> Writer<'e> {
    fn new(entry: &'e Entry, external_domains: &'e [String], key: &'e PeriodKey) -> Writer<'e> {
        let reverse_path = entry.envelope.reverse_path.address().map(|a| a.normal());
        Writer {
            key,
            external_domains,
            envelope: entry.envelope.recipients.iter().map(|r| r.address.normal()).collect(),
            reverse_path_domain: reverse_path.map(|a| domain_of(&a).to_string()),
            domains: Vec::new(),
            domain_places: HashMap::new(),
        }
    }

    fn vector(mut self, vector: &FactVector<String>, out: &mut Vec<u8>) {
        out.push(VERSION);
        put_number(out, u64::from(vector.detectors));
        out.extend_from_slice(&vector.lists.to_le_bytes());
        let did = &vector.did;
        put_bits(out, &[did.edited, did.rerouted, did.split, did.told_sender, did.told_clerk, did.told_chair, vector.too_many]);
        // Domains stand in front of those who are at them, and are known only after.
        let mut seen = Vec::with_capacity(96);
        put_number(&mut seen, vector.others.len().min(READINGS) as u64 + 1);
        for one in std::iter::once(&vector.ours).chain(vector.others.iter().take(READINGS)) {
            self.seen(one, &mut seen);
        }
        put_number(out, self.domains.len() as u64);
        for domain in &self.domains {
            self.put_domain(domain, vector, out);
        }
        out.extend_from_slice(&seen);
    }

    fn put_domain(&self, domain: &str, vector: &FactVector<String>, out: &mut Vec<u8>) {
        let is_own = || vector.ours.people.iter().flatten().any(|p| p.class == Class::Internal && domain_of(&p.who) == domain);
        if let Ok(place) = self.external_domains.binary_search_by(|d| d.as_str().cmp(domain)) {
            out.push(0);
            put_number(out, place as u64);
        } else if self.reverse_path_domain.as_deref() == Some(domain) {
            out.push(1);
        } else if is_own() {
            out.push(2);
            put_text(out, domain);
        } else {
            out.push(3);
            out.extend_from_slice(&self.key.hash(Kind::Domain, domain).to_le_bytes());
        }
    }

    fn domain(&mut self, address: &str) -> u64 {
        let domain = domain_of(address);
        if let Some(place) = self.domain_places.get(domain) {
            return *place as u64;
        }
        self.domains.push(domain.to_string());
        self.domain_places.insert(domain.to_string(), self.domains.len() - 1);
        (self.domains.len() - 1) as u64
    }

    fn seen(&mut self, seen: &Seen<String>, out: &mut Vec<u8>) {
        let protection = seen.protection.map_or(0, |level| match level {
            ProtectionLevel::None => 1,
            ProtectionLevel::Message => 2,
            ProtectionLevel::Attachments => 3,
        });
        let logged_in = match seen.logged_in {
            LoggedIn::No => 0,
            LoggedIn::AsNamed => 1,
            LoggedIn::Hidden => 2,
        };
        out.push(place_of(Direction::WORDS, seen.direction) | logged_in << 2 | protection << 4);
        put_answers(out, &seen.answers);
        out.push(seen.automatic.map_or(0, |kind| place_of(Automatic::WORDS, kind) + 1));
        for known in [seen.ambiguities.map(u64::from), Some(seen.inner_recipients), seen.clear_text, seen.addresses_in_text] {
            put_known(out, known);
        }
        put_number(out, seen.size);
        put_identifiers(out, seen.identifiers.as_ref());
        put_files(out, seen.files.as_deref());
        self.claims(seen.claims.as_deref(), out);
        self.people(seen.people.as_deref(), out);
        for fact in [&seen.virus, &seen.seen_together, &seen.first_contact, &seen.near_name, &seen.protected_before] {
            put_asked(out, fact, |yes| u64::from(*yes));
        }
        for fact in [&seen.spf, &seen.dkim, &seen.dmarc] {
            put_asked(out, fact, |result| u64::from(place_of(Authentication::WORDS, *result)));
        }
        let rates: Vec<_> = seen.rates.iter().filter(|(_, fact)| *fact != Asked::Not).take(MOST).collect();
        put_number(out, rates.len() as u64);
        for (rate, fact) in rates {
            out.push(place_of(RateOf::WORDS, rate.of) | place_of(RateBy::WORDS, rate.by) << 4);
            put_number(out, rate.per);
            put_asked(out, fact, |n| *n);
        }
        // The lowest bit of a question's digest is its answer.
        put_number(out, seen.remembered.len().min(MOST) as u64);
        for (id, yes) in seen.remembered.iter().take(MOST) {
            out.extend_from_slice(&(id & !1 | u32::from(*yes)).to_le_bytes());
        }
        put_number(out, seen.overrides.len().min(MOST) as u64);
        for id in seen.overrides.iter().take(MOST) {
            out.extend_from_slice(&id.to_le_bytes());
        }
    }

    fn claims(&mut self, claims: Option<&[Claim<String>]>, out: &mut Vec<u8>) {
        put_known(out, claims.map(|all| all.len().min(MOST) as u64));
        for claim in claims.unwrap_or_default().iter().take(MOST) {
            let own = u8::from(claim.own) << 4;
            match &claim.to_be {
                Claimant::Council => out.push(own),
                Claimant::Clerk => out.push(1 | own),
                Claimant::Chair => out.push(2 | own),
                Claimant::Member(address) => {
                    out.push(3 | own);
                    out.extend_from_slice(&self.key.hash(Kind::Recipient, address).to_be_bytes());
                    let domain = self.domain(address);
                    put_number(out, domain);
                }
            }
        }
    }

    /// First what each recipient of the row is, in the row's order and in runs of the same; then everybody else.
    fn people(&mut self, people: Option<&[Named<String>]>, out: &mut Vec<u8>) {
        let Some(people) = people else { return out.push(0) };
        out.push(1);
        let mut places: HashMap<&str, &Named<String>> = people.iter().map(|p| (p.who.as_str(), p)).collect();
        let envelope = std::mem::take(&mut self.envelope);
        let mut run: Option<(u64, (u8, u64))> = None;
        for address in &envelope {
            // Who stands there twice, or was refused and is not named, is nothing to the message.
            let what = places.remove(address.as_str()).map_or((0, 0), |p| (p.parts, self.at(p)));
            run = match run {
                Some((n, same)) if same == what => Some((n + 1, same)),
                other => {
                    put_run(out, other);
                    Some((1, what))
                }
            };
        }
        put_run(out, run);
        let others: Vec<_> = people.iter().filter(|p| places.contains_key(p.who.as_str())).collect();
        put_number(out, others.len() as u64);
        for person in others {
            out.extend_from_slice(&self.key.hash(Kind::Recipient, &person.who).to_be_bytes());
            out.push(person.parts);
            let at = self.at(person);
            put_number(out, at);
        }
        self.envelope = envelope;
    }

    /// Domain and class in one number.
    fn at(&mut self, person: &Named<String>) -> u64 {
        self.domain(&person.who) << 2 | class_number(person.class)
    }
}

fn put_run(out: &mut Vec<u8>, run: Option<(u64, (u8, u64))>) {
    if let Some((n, (parts, at))) = run {
        put_number(out, n);
        out.push(parts);
        put_number(out, at);
    }
}

fn put_bits(out: &mut Vec<u8>, bits: &[bool]) {
    out.push(bits.iter().enumerate().fold(0, |octet, (i, bit)| octet | u8::from(*bit) << i));
}

/// Two bits each: not known, no, yes.
fn put_answers(out: &mut Vec<u8>, answers: &[Option<bool>]) {
    for four in answers.chunks(4) {
        out.push(four.iter().enumerate().fold(0, |octet, (i, answer)| octet | answer.map_or(0, |yes| 1 + u8::from(yes)) << (2 * i)));
    }
}

fn put_known(out: &mut Vec<u8>, known: Option<u64>) {
    put_number(out, known.map_or(0, |n| n.saturating_add(1)));
}

fn put_asked<T>(out: &mut Vec<u8>, fact: &Asked<T>, number: impl Fn(&T) -> u64) {
    match fact {
        Asked::Not => out.push(0),
        Asked::Absent => out.push(1),
        Asked::Unknown(why) => {
            out.push(2);
            put_text(out, &why[..why.floor_char_boundary(WHY)]);
        }
        Asked::Known(value) => put_number(out, number(value).saturating_add(3)),
    }
}

fn put_identifiers(out: &mut Vec<u8>, found: Option<&Identifiers>) {
    let Some(found) = found else { return out.push(0) };
    let kinds = found.counts.iter().enumerate().filter(|(_, n)| **n > 0);
    out.push(1 | u8::from(found.overlap) << 1 | (kinds.clone().count() as u8) << 2);
    for (kind, n) in kinds {
        out.push(kind as u8);
        put_number(out, *n);
    }
}

fn put_files(out: &mut Vec<u8>, files: Option<&[FileFacts]>) {
    let files = files.filter(|all| all.len() <= MOST);
    put_known(out, files.map(|all| all.len() as u64));
    for file in files.unwrap_or_default() {
        put_number(out, file.size);
        put_number(out, u64::from(file.kinds) << 1 | u64::from(file.knows_locks));
    }
}

fn place_of<T: PartialEq>(words: &[(&str, T)], value: T) -> u8 {
    words.iter().position(|(_, v)| *v == value).unwrap_or_default() as u8
}

fn class_number(class: Class) -> u64 {
    match class {
        Class::Internal => 0,
        Class::Partner => 1,
        Class::Personal => 2,
        Class::External => 3,
    }
}

/// Reads the vector of a row. None if it was written without one, or by a later version.
pub(super) fn read(octets: &[u8], row: &Row) -> Result<Option<FactVector<Hashed>>, StoreError> {
    let mut r = Reader(octets);
    if octets.is_empty() || r.octet()? != VERSION {
        return Ok(None);
    }
    let detectors = u32::try_from(r.number()?).map_err(|_| StoreError::Damaged)?;
    let lists = r.id()?;
    let bits = r.octet()?;
    let did = |i: u8| bits & 1 << i != 0;
    let domains = r.list(PEOPLE, |r| read_domain(r, row))?;
    let count = r.length()?;
    if count == 0 || count > READINGS + 1 {
        return Err(StoreError::Damaged);
    }
    let ours = seen(&mut r, row, &domains)?;
    let others = (1..count).map(|_| seen(&mut r, row, &domains)).collect::<Result<_, _>>()?;
    let did = Did { edited: did(0), rerouted: did(1), split: did(2), told_sender: did(3), told_clerk: did(4), told_chair: did(5) };
    Ok(Some(FactVector { detectors, lists, did, ours, others, too_many: bits & 64 != 0 }))
}

fn read_domain(r: &mut Reader<'_>, row: &Row) -> Result<Domain, StoreError> {
    Ok(match r.octet()? {
        0 => Domain::Readable(row.external_domains.get(r.length()?).ok_or(StoreError::Damaged)?.as_str().into()),
        1 => Domain::Readable(row::sender_domain(row).into()),
        2 => Domain::Readable(Arc::from(r.text()?)),
        3 => Domain::Hashed(u64::from_le_bytes(r.take(8)?.try_into().map_err(|_| StoreError::Damaged)?)),
        _ => return Err(StoreError::Damaged),
    })
}

fn seen(r: &mut Reader<'_>, row: &Row, domains: &[Domain]) -> Result<Seen<Hashed>, StoreError> {
    let first = r.octet()?;
    Ok(Seen {
        direction: at(Direction::WORDS, first & 3)?,
        logged_in: match first >> 2 & 3 {
            0 => LoggedIn::No,
            1 => LoggedIn::AsNamed,
            2 => LoggedIn::Hidden,
            _ => return Err(StoreError::Damaged),
        },
        protection: match first >> 4 & 3 {
            0 => None,
            1 => Some(ProtectionLevel::None),
            2 => Some(ProtectionLevel::Message),
            _ => Some(ProtectionLevel::Attachments),
        },
        answers: read_answers(r)?,
        automatic: match r.octet()? {
            0 => None,
            kind => Some(at(Automatic::WORDS, kind - 1)?),
        },
        ambiguities: known(r)?.map(|bits| bits as u16),
        inner_recipients: known(r)?.unwrap_or_default(),
        clear_text: known(r)?,
        addresses_in_text: known(r)?,
        size: r.number()?,
        identifiers: read_identifiers(r)?,
        files: read_files(r)?,
        claims: read_claims(r, domains)?,
        people: read_people(r, row, domains)?,
        virus: asked(r, yes)?,
        seen_together: asked(r, yes)?,
        first_contact: asked(r, yes)?,
        near_name: asked(r, yes)?,
        protected_before: asked(r, yes)?,
        spf: asked(r, result)?,
        dkim: asked(r, result)?,
        dmarc: asked(r, result)?,
        rates: r.list(MOST, |r| {
            let what = r.octet()?;
            let rate = Rate { of: at(RateOf::WORDS, what & 15)?, by: at(RateBy::WORDS, what >> 4)?, per: r.number()? };
            Ok((rate, asked(r, Ok)?))
        })?,
        remembered: r.list(MOST, |r| r.id().map(|id| (id & !1, id & 1 != 0)))?,
        overrides: r.list(MOST, Reader::id)?,
    })
}

fn at<T: Copy>(words: &[(&str, T)], place: u8) -> Result<T, StoreError> {
    words.get(usize::from(place)).map(|(_, v)| *v).ok_or(StoreError::Damaged)
}

fn read_answers(r: &mut Reader<'_>) -> Result<[Option<bool>; Answer::ALL.len()], StoreError> {
    let mut out = [None; Answer::ALL.len()];
    for four in out.chunks_mut(4) {
        let octet = r.octet()?;
        for (i, answer) in four.iter_mut().enumerate() {
            *answer = match octet >> (2 * i) & 3 {
                0 => None,
                1 => Some(false),
                2 => Some(true),
                _ => return Err(StoreError::Damaged),
            };
        }
    }
    Ok(out)
}

fn known(r: &mut Reader<'_>) -> Result<Option<u64>, StoreError> {
    Ok(r.number()?.checked_sub(1))
}

fn yes(n: u64) -> Result<bool, StoreError> {
    if n > 1 { Err(StoreError::Damaged) } else { Ok(n == 1) }
}

fn result(n: u64) -> Result<Authentication, StoreError> {
    at(Authentication::WORDS, u8::try_from(n).map_err(|_| StoreError::Damaged)?)
}

fn asked<T>(r: &mut Reader<'_>, value: impl Fn(u64) -> Result<T, StoreError>) -> Result<Asked<T>, StoreError> {
    Ok(match r.number()? {
        0 => Asked::Not,
        1 => Asked::Absent,
        2 => Asked::Unknown(Arc::from(r.text()?)),
        n => Asked::Known(value(n - 3)?),
    })
}

fn read_identifiers(r: &mut Reader<'_>) -> Result<Option<Identifiers>, StoreError> {
    let first = r.octet()?;
    if first == 0 {
        return Ok(None);
    }
    let mut found = Identifiers { overlap: first & 2 != 0, ..Identifiers::default() };
    for _ in 0..first >> 2 {
        let kind = usize::from(r.octet()?);
        *found.counts.get_mut(kind).ok_or(StoreError::Damaged)? = r.number()?;
    }
    Ok(Some(found))
}

fn read_files(r: &mut Reader<'_>) -> Result<Option<Vec<FileFacts>>, StoreError> {
    let Some(n) = known(r)? else { return Ok(None) };
    let file = |r: &mut Reader<'_>| {
        let (size, kinds) = (r.number()?, r.number()?);
        Ok(FileFacts { size, kinds: (kinds >> 1) as u16, knows_locks: kinds & 1 != 0 })
    };
    r.several(n, MOST, file).map(Some)
}

fn read_claims(r: &mut Reader<'_>, domains: &[Domain]) -> Result<Option<Vec<Claim<Hashed>>>, StoreError> {
    let Some(n) = known(r)? else { return Ok(None) };
    let claim = |r: &mut Reader<'_>| {
        let what = r.octet()?;
        let to_be = match what & 15 {
            0 => Claimant::Council,
            1 => Claimant::Clerk,
            2 => Claimant::Chair,
            3 => {
                let hash = r.hash()?;
                Claimant::Member(Hashed { hash, domain: domains.get(r.length()?).ok_or(StoreError::Damaged)?.clone() })
            }
            _ => return Err(StoreError::Damaged),
        };
        Ok(Claim { to_be, own: what & 16 != 0 })
    };
    r.several(n, MOST, claim).map(Some)
}

fn read_people(r: &mut Reader<'_>, row: &Row, domains: &[Domain]) -> Result<Option<Vec<Named<Hashed>>>, StoreError> {
    if r.octet()? == 0 {
        return Ok(None);
    }
    let named = |hash: u64, parts: u8, at: u64| {
        let domain = usize::try_from(at >> 2).ok().and_then(|place| domains.get(place)).ok_or(StoreError::Damaged)?;
        let class = match at & 3 {
            0 => Class::Internal,
            1 => Class::Partner,
            2 => Class::Personal,
            _ => Class::External,
        };
        Ok(Named { who: Hashed { hash, domain: domain.clone() }, class, parts })
    };
    let mut out = Vec::with_capacity(row.recipients.len());
    let mut left = row.recipients.as_slice();
    while !left.is_empty() {
        let (n, parts, at) = (r.length()?, r.octet()?, r.number()?);
        let (run, rest) = left.split_at_checked(n).filter(|(run, _)| !run.is_empty()).ok_or(StoreError::Damaged)?;
        if parts != 0 {
            for recipient in run {
                out.push(named(recipient.hash, parts, at)?);
            }
        }
        left = rest;
    }
    let others = r.list(PEOPLE, |r| {
        let (hash, parts, at) = (r.hash()?, r.octet()?, r.number()?);
        named(hash, parts, at)
    })?;
    out.extend(others);
    Ok(Some(out))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::detect::attachments::FileFacts;
    use crate::policy::{Policy, vector::part};
    use crate::records::tests::{entry, looked_at};

    fn encoded(entry: &Entry) -> Row {
        let mut out = Vec::new();
        row::encode(entry, &PeriodKey::new(&[3; 32]), false, &mut out, &mut Vec::new());
        row::decode(&out).unwrap()
    }

    fn full() -> Entry {
        let mut e = entry("clerk@wragby.gov.uk", &["a@gmail.com", "b@wragby.gov.uk", "a@gmail.com", "d@lincs.gov.uk"]);
        let header = "From: clerk@wragby.gov.uk\nTo: a@gmail.com, b@wragby.gov.uk\nCc: other@elsewhere.example\nReply-To: me@sky.com";
        let mut vector = looked_at(&e, header, &Policy::default());
        let mut second = vector.ours.clone();
        second.identifiers = Some(Identifiers { counts: [0, 3, 0, 0, 1, 0, 0], overlap: true });
        second.files = Some(vec![FileFacts { size: 70_000, kinds: 9, knows_locks: true }]);
        let member = Claimant::Member("cllr.elm@wragby.gov.uk".into());
        second.claims = Some(vec![Claim { to_be: member, own: true }, Claim { to_be: Claimant::Clerk, own: false }]);
        second.virus = Asked::Unknown("the scanner is away".into());
        second.dmarc = Asked::Known(Authentication::Fail);
        second.rates = vec![(Rate { of: RateOf::Recipients, by: RateBy::Pair, per: 3_600 }, Asked::Known(300))];
        second.remembered = vec![(8, true), (12, false)];
        second.overrides = vec![77];
        vector.others.push(second);
        (vector.did.edited, vector.too_many) = (true, true);
        e.vector = Some(Box::new(vector));
        e
    }

    #[test]
    fn goes_round_without_a_readable_outsider() {
        let e = full();
        let row = encoded(&e);
        let (wrote, read) = (e.vector.unwrap(), row.fact_vector().unwrap().unwrap());
        assert_eq!((read.detectors, read.did, read.too_many, read.others.len()), (wrote.detectors, wrote.did, true, 1));
        let key = PeriodKey::new(&[3; 32]);
        let named = |all: &Option<Vec<Named<String>>>| {
            let of = |p: &Named<String>| (key.hash(Kind::Recipient, &p.who), p.parts, p.class);
            let mut all: Vec<_> = all.as_ref().unwrap().iter().map(of).collect();
            all.sort_by_key(|p| p.0);
            all
        };
        let mut people: Vec<_> = read.ours.people.as_ref().unwrap().iter().map(|p| (p.who.hash, p.parts, p.class)).collect();
        people.sort_by_key(|p| p.0);
        assert_eq!(people, named(&wrote.ours.people));
        let (a, b) = (&read.others[0], &wrote.others[0]);
        assert_eq!((&a.answers, &a.identifiers, &a.files, &a.rates), (&b.answers, &b.identifiers, &b.files, &b.rates));
        assert_eq!((&a.virus, &a.dmarc, &a.remembered, &a.overrides), (&b.virus, &b.dmarc, &b.remembered, &b.overrides));
        assert_eq!(a.claims.as_ref().unwrap().len(), 2);
        // Who is not the envelope's has no domain that could be read.
        for text in ["other@", "elsewhere", "sky.com", "a@gmail", "cllr.elm"] {
            assert!(memchr::memmem::find(&row.vector, text.as_bytes()).is_none(), "{text}");
        }
        let reply_to = read.ours.people.as_ref().unwrap().iter().find(|p| p.parts & part::REPLY_TO != 0).unwrap();
        assert_eq!(reply_to.who.domain, Domain::Hashed(key.hash(Kind::Domain, "sky.com")));
    }

    #[test]
    fn an_ordinary_message_weighs_little() {
        let mut e = entry("clerk@wragby.gov.uk", &["a@gmail.com"]);
        let without = {
            let mut out = Vec::new();
            row::encode(&e, &PeriodKey::new(&[3; 32]), false, &mut out, &mut Vec::new());
            out.len()
        };
        e.vector = Some(Box::new(looked_at(&e, "From: clerk@wragby.gov.uk\nTo: a@gmail.com", &Policy::default())));
        let vector = encoded(&e).vector.len();
        assert!(vector <= 64, "{vector} octets beside {without}");
    }

    /// Any octets are read or refused, and no two of them make it reserve more than they are worth.
    #[test]
    fn less_and_other_octets_are_damaged_or_read() {
        let row = encoded(&full());
        for n in 1..row.vector.len() {
            assert!(read(&row.vector[..n], &row).is_err(), "cut at {n}");
            let mut altered = row.vector.clone();
            altered[n] ^= 0xff;
            let _ = read(&altered, &row);
        }
        assert_eq!(read(&[], &row).unwrap(), None);
        assert_eq!(read(&[VERSION + 1, 9, 9], &row).unwrap(), None);
    }

    proptest! {
        #[test]
        fn hostile_octets_are_read_or_refused(mut octets in proptest::collection::vec(any::<u8>(), 1..200)) {
            octets[0] = VERSION;
            let _ = read(&octets, &encoded(&entry("clerk@wragby.gov.uk", &["a@gmail.com"])));
        }
    }
}
