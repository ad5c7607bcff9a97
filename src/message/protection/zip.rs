//! ZIP: every file in it must be encrypted, or be itself a file that needs a password (APPNOTE 6.3.10 §4.3).
//!
//! Programs disagree on how to read an archive: most go by the list at its end, some by the headers in front of each file, some by
//! whatever looks like a header. So the list and the headers must agree, and between them they must account for every octet: what
//! no list names might be read by somebody.

use std::io::Read;
use std::num::NonZeroU32;
use std::ops::Range;

use aws_lc_rs::{hmac, pbkdf2};

use super::files::{FileKind, Looking, MAX_FILE, SNIFF, reads_as_text};
use super::lock::Lock;
use super::{How, Kind, Strength, WhyNot, open_document, u16_at, u32_at, u64_at};

const MAX_ENTRIES: usize = 20_000;
/// Octets that no header accounts for: a data descriptor (24 at most), padding.
const MAX_GAP: usize = 64;
/// A longer remark on the archive is a text of its own.
const MAX_COMMENT: usize = 1_024;

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";

pub fn judge(file: &[u8], looking: &mut Looking) -> Result<How, WhyNot> {
    let directory = Directory::read(file)?;
    let files = || directory.entries.iter().filter(|e| !e.is_folder());
    if files().next().is_none() {
        return Err(WhyNot::Empty);
    }
    if files().any(|e| e.lock == EntryLock::None) {
        if directory.entries.first().is_some_and(|e| e.name == "mimetype") || directory.find("META-INF/manifest.xml").is_some() {
            return directory.accounted(file, open_document::judge(file, &directory, looking));
        }
        // An Office document is a ZIP archive; its inner names would tell the Clerk nothing.
        if directory.find("[Content_Types].xml").is_some() {
            return Err(WhyNot::NotProtected);
        }
    }
    let mut how = How::strong(Kind::Zip);
    let mut any_protected = files().any(|e| e.lock != EntryLock::None);
    for entry in files() {
        match entry.lock {
            EntryLock::Contradicts => return Err(WhyNot::Contradicts),
            EntryLock::None => {
                let inner = match entry.look_inside(file, looking) {
                    Ok(inner) => inner,
                    Err(WhyNot::NotProtected) if !any_protected => return Err(WhyNot::NotProtected),
                    Err(why) => return Err(WhyNot::inside(&entry.name, why)),
                };
                any_protected = true;
                how = How { kind: Kind::ZipOfProtected, strength: how.strength.min(inner.strength) };
            }
            EntryLock::ZipCrypto => how.strength = Strength::Weak,
            EntryLock::Aes(_) | EntryLock::Strong => {}
        }
        if entry.lock != EntryLock::None {
            match entry.only_claims(file, looking) {
                Some(false) => {}
                Some(true) => return Err(WhyNot::inside(&entry.name, WhyNot::OnlyClaims)),
                None => return Err(WhyNot::TooSlow),
            }
        }
    }
    directory.accounted(file, Ok(how))
}

/// What a password is checked against: the smallest encrypted file.
pub struct ZipLock {
    /// WinZip's AES, with octets of key; else ZipCrypto.
    aes: Option<usize>,
    data: Vec<u8>,
    method: u16,
    size: usize,
    crc: u32,
    /// ZipCrypto's last header octet.
    check: u8,
}

/// The locks of an archive and of the files that are clear in it.
pub(super) fn locks(file: &[u8], looking: &mut Looking, out: &mut Vec<Lock>) {
    const MAX_DATA: usize = 8 << 20;
    const MAX_LOCKS: usize = 16;
    let Ok(directory) = Directory::read(file) else { return };
    let of_kind = |is_aes: bool| {
        let kind = move |e: &&Entry| match e.lock {
            EntryLock::Aes(_) => is_aes,
            // Packed in another way, one octet would have to tell.
            EntryLock::ZipCrypto => !is_aes && matches!(e.method, 0 | 8),
            _ => false,
        };
        directory.entries.iter().filter(kind).filter(|e| e.size > 0).min_by_key(|e| e.data.len())
    };
    for entry in [of_kind(false), of_kind(true)].into_iter().flatten().filter(|e| e.data.len() <= MAX_DATA) {
        let aes = match entry.lock {
            EntryLock::Aes(strength) => Some(8 * (usize::from(strength) + 1)),
            _ => None,
        };
        // Where the checksum was not known yet, the time stands in for it (§6.1.6).
        let check = if entry.flags & 8 != 0 { entry.time >> 8 } else { (entry.crc >> 24) as u16 } as u8;
        let data = file.get(entry.data.clone()).unwrap_or_default().to_vec();
        out.push(Lock::Zip(ZipLock { aes, data, method: entry.method, size: entry.size as usize, crc: entry.crc, check }));
    }
    if directory.find("META-INF/manifest.xml").is_some() {
        out.extend(open_document::lock(file, &directory, looking).map(Lock::OpenDocument));
        return;
    }
    for entry in directory.entries.iter().filter(|e| e.lock == EntryLock::None && !e.is_folder()) {
        if out.len() >= MAX_LOCKS || looking.depth == 0 {
            return;
        }
        match entry.unpacked(file, looking) {
            Ok(inner) => {
                looking.depth -= 1;
                out.extend(super::lock::locks_of(&entry.name.to_ascii_lowercase(), &inner, looking));
                looking.depth += 1;
            }
            Err(WhyNot::TooLarge) => return,
            Err(_) => {}
        }
    }
}

impl ZipLock {
    pub fn rounds(&self) -> u64 {
        let data = self.data.len() as u64 / 64;
        match self.aes {
            // PBKDF2 of so many octets; the data are only looked at when the check value fits.
            Some(key_len) => 2_000 * (2 * key_len as u64 + 2).div_ceil(20) + data / 4_096,
            None => 1 + data / 64,
        }
    }

    pub fn opens(&self, password: &str) -> bool {
        match self.aes {
            Some(key_len) => self.opens_aes(key_len, password).unwrap_or(false),
            None => self.opens_old(password),
        }
    }

    /// WinZip's AE-1 and AE-2: salt, check value, data, authentication code.
    fn opens_aes(&self, key_len: usize, password: &str) -> Option<bool> {
        const ROUNDS: NonZeroU32 = NonZeroU32::new(1_000).expect("a thousand is not nought");
        let salt_len = key_len / 2;
        let (salt, check) = (self.data.get(..salt_len)?, self.data.get(salt_len..salt_len + 2)?);
        let (sealed, code) = self.data.get(salt_len + 2..)?.split_last_chunk::<10>()?;
        let mut keys = zeroize::Zeroizing::new(vec![0; 2 * key_len + 2]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, ROUNDS, salt, password.as_bytes(), &mut keys);
        if keys[2 * key_len..] != *check {
            return Some(false);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys[key_len..2 * key_len]);
        Some(hmac::sign(&key, sealed).as_ref()[..10] == code[..])
    }

    /// ZipCrypto (§6.1): one octet of the header tells most wrong passwords, the checksum the rest.
    fn opens_old(&self, password: &str) -> bool {
        let mut keys = ZipCrypto::new(password.as_bytes());
        let Some((header, sealed)) = self.data.split_at_checked(12) else { return false };
        let last = header.iter().map(|b| keys.open(*b)).last();
        if last != Some(self.check) {
            return false;
        }
        let clear: Vec<u8> = sealed.iter().map(|b| keys.open(*b)).collect();
        match unpack(self.method, &clear, self.size.saturating_add(1)) {
            Some(clear) => clear.len() == self.size && crc(&clear) == self.crc,
            None => false,
        }
    }
}

struct ZipCrypto([u32; 3]);

impl ZipCrypto {
    fn new(password: &[u8]) -> ZipCrypto {
        let mut keys = ZipCrypto([0x1234_5678, 0x2345_6789, 0x3456_7890]);
        password.iter().for_each(|b| keys.update(*b));
        keys
    }

    fn update(&mut self, octet: u8) {
        let [a, b, c] = &mut self.0;
        *a = crc_step(*a, octet);
        *b = b.wrapping_add(*a & 0xff).wrapping_mul(134_775_813).wrapping_add(1);
        *c = crc_step(*c, (*b >> 24) as u8);
    }

    fn open(&mut self, octet: u8) -> u8 {
        let temp = (self.0[2] | 2) as u16;
        let clear = octet ^ (temp.wrapping_mul(temp ^ 1) >> 8) as u8;
        self.update(clear);
        clear
    }
}

fn crc_step(crc: u32, octet: u8) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let (mut value, mut bit) = (i as u32, 0);
            while bit < 8 {
                value = if value & 1 != 0 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
                bit += 1;
            }
            table[i] = value;
            i += 1;
        }
        table
    };
    TABLE[((crc ^ u32::from(octet)) & 0xff) as usize] ^ (crc >> 8)
}

/// The list at the end of the archive.
pub(super) struct Directory {
    pub entries: Vec<Entry>,
    /// The list itself, with zip64's records, the end record and the remark.
    tail: Range<usize>,
    comment: Range<usize>,
}

pub(super) struct Entry {
    pub name: String,
    /// Unpacked.
    pub size: u64,
    pub lock: EntryLock,
    pub flags: u16,
    /// How it is packed; behind AES, what its extra field says.
    pub method: u16,
    pub crc: u32,
    pub time: u16,
    /// Where its own header starts.
    start: usize,
    pub data: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryLock {
    None,
    ZipCrypto,
    /// WinZip's AES, with the strength 1 to 3 for 128 to 256 bits.
    Aes(u8),
    /// PKWARE's own.
    Strong,
    /// The list says one thing, the header another.
    Contradicts,
}

impl Directory {
    pub fn read(file: &[u8]) -> Result<Directory, WhyNot> {
        let end = end_record(file).ok_or_else(|| {
            let is_first_piece = file.starts_with(b"PK\x07\x08") || file.starts_with(b"PK00");
            if is_first_piece { WhyNot::Piece } else { WhyNot::Damaged }
        })?;
        let place = Place::read(file, end)?;
        if place.count > MAX_ENTRIES as u64 {
            return Err(WhyNot::TooLarge);
        }
        // What stands in front of the archive shifts every offset.
        let start = usize::try_from(place.size).ok().and_then(|size| place.end.checked_sub(size)).ok_or(WhyNot::Damaged)?;
        let shift = usize::try_from(place.offset).ok().and_then(|offset| start.checked_sub(offset)).ok_or(WhyNot::Damaged)?;
        let mut at = start;
        let mut entries = Vec::new();
        while at < place.end && file[at..].starts_with(CENTRAL) {
            if entries.len() >= MAX_ENTRIES {
                return Err(WhyNot::TooLarge);
            }
            let (entry, next) = entry(file, at, shift, start).ok_or(WhyNot::Damaged)?;
            entries.push(entry);
            at = next;
        }
        // A list that holds more or less than it says is a lie to somebody.
        if entries.len() as u64 != place.count || at > place.end || place.end - at > MAX_GAP {
            return Err(WhyNot::Damaged);
        }
        let comment = end + 22..end + 22 + u16_at(file, end + 20).map_or(0, usize::from);
        Ok(Directory { entries, tail: start..comment.end, comment })
    }

    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.name == name)
    }

    /// `answer`, unless it is that all is protected and there is something that no list names.
    fn accounted(&self, file: &[u8], answer: Result<How, WhyNot>) -> Result<How, WhyNot> {
        match answer {
            Ok(_) if self.hides_something(file) => Err(WhyNot::Hidden),
            answer => answer,
        }
    }

    fn hides_something(&self, file: &[u8]) -> bool {
        let is_hidden = |gap: &[u8]| {
            memchr::memmem::find(gap, LOCAL).is_some()
                || memchr::memmem::find(gap, CENTRAL).is_some()
                || gap.len() > MAX_GAP && gap.iter().any(|b| *b != 0)
        };
        let comment = &file[self.comment.clone()];
        if comment.len() > MAX_COMMENT || memchr::memmem::find(comment, b"PK").is_some() {
            return true;
        }
        let mut ranges: Vec<(usize, usize)> = self.entries.iter().map(|e| (e.start, e.data.end)).collect();
        ranges.push((self.tail.start, self.tail.end));
        ranges.sort_unstable();
        let mut at = 0;
        for (start, end) in ranges {
            if start > at && is_hidden(&file[at..start]) {
                return true;
            }
            at = at.max(end);
        }
        is_hidden(&file[at.min(file.len())..])
    }
}

/// The end record: the last whose remark reaches exactly to the end of the file, or else the last whose remark fits.
fn end_record(file: &[u8]) -> Option<usize> {
    let tail = file.len().saturating_sub(66_000);
    let reach = |at: usize| Some(at + 22 + usize::from(u16_at(file, at + 20)?)).filter(|end| *end <= file.len());
    let mut fits = None;
    for at in memchr::memmem::rfind_iter(&file[tail..], END).take(64).map(|at| tail + at) {
        match reach(at) {
            Some(end) if end == file.len() => return Some(at),
            Some(_) => fits = fits.or(Some(at)),
            None => {}
        }
    }
    fits
}

/// Where the list stands, by the end record or by zip64's.
struct Place {
    count: u64,
    size: u64,
    offset: u64,
    /// Where the list ends.
    end: usize,
}

impl Place {
    fn read(file: &[u8], end: usize) -> Result<Place, WhyNot> {
        let short = |at| u16_at(file, end + at).ok_or(WhyNot::Damaged);
        let long = |at| u32_at(file, end + at).ok_or(WhyNot::Damaged);
        if [short(4)?, short(6)?].iter().any(|disk| !matches!(disk, 0 | 0xffff)) {
            return Err(WhyNot::Piece);
        }
        if short(8)? != short(10)? {
            return Err(WhyNot::Damaged);
        }
        let plain = Place { count: short(10)?.into(), size: long(12)?.into(), offset: long(16)?.into(), end };
        let locator = end.checked_sub(20).filter(|at| file[*at..].starts_with(b"PK\x06\x07"));
        let marked = plain.count == 0xffff || plain.size == 0xffff_ffff || plain.offset == 0xffff_ffff;
        let Some(locator) = locator else {
            return if marked { Err(WhyNot::Damaged) } else { Ok(plain) };
        };
        if u32_at(file, locator + 16).is_none_or(|disks| disks > 1) {
            return Err(WhyNot::Piece);
        }
        // The record ends where the locator starts, whatever stands in front of the archive.
        let at = memchr::memmem::rfind(&file[locator.saturating_sub(4_096)..locator], b"PK\x06\x06").ok_or(WhyNot::Damaged)?;
        let at = locator.saturating_sub(4_096) + at;
        let number = |offset: usize| u64_at(file, at + offset).ok_or(WhyNot::Damaged);
        if number(4)?.checked_add(12) != Some((locator - at) as u64) {
            return Err(WhyNot::Damaged);
        }
        let wide = Place { count: number(32)?, size: number(40)?, offset: number(48)?, end: at };
        // Some readers look at the one, some at the other.
        let agrees = |short: u64, marker: u64, long: u64| short == marker || short == long;
        if agrees(plain.count, 0xffff, wide.count)
            && agrees(plain.size, 0xffff_ffff, wide.size)
            && agrees(plain.offset, 0xffff_ffff, wide.offset)
        {
            Ok(wide)
        } else {
            Err(WhyNot::Contradicts)
        }
    }
}

/// One entry of the list with its own header, and where the next stands. `limit`: files end before the list starts.
fn entry(file: &[u8], at: usize, shift: usize, limit: usize) -> Option<(Entry, usize)> {
    let flags = u16_at(file, at + 8)?;
    let written_method = u16_at(file, at + 10)?;
    let crc = u32_at(file, at + 16)?;
    let lengths = [28, 30, 32].map(|offset| u16_at(file, at + offset).map(usize::from));
    let [Some(name_len), Some(extra_len), Some(comment_len)] = lengths else { return None };
    let name = String::from_utf8_lossy(file.get(at + 46..at + 46 + name_len)?).into_owned();
    let extra = file.get(at + 46 + name_len..at + 46 + name_len + extra_len)?;
    let next = at + 46 + name_len + extra_len + comment_len;
    let mut wide = extra_field(extra, 0x0001).unwrap_or_default();
    let mut number = |written: u32| {
        if written != u32::MAX {
            return Some(u64::from(written));
        }
        let value = u64_at(wide, 0)?;
        wide = &wide[8..];
        Some(value)
    };
    let size = number(u32_at(file, at + 24)?)?;
    let packed = number(u32_at(file, at + 20)?)?;
    let start = usize::try_from(number(u32_at(file, at + 42)?)?).ok()?.checked_add(shift)?;
    let packed_len = usize::try_from(packed).ok()?;

    // The header in front of the file.
    let local = file.get(start..limit).filter(|l| l.starts_with(LOCAL))?;
    let local_flags = u16_at(local, 6)?;
    let data_start = start.checked_add(30 + usize::from(u16_at(local, 26)?) + usize::from(u16_at(local, 28)?))?;
    let data = data_start..data_start.checked_add(packed_len).filter(|end| *end <= limit)?;
    let local_packed = u32_at(local, 18)?;
    let agrees = local_flags & 0x41 == flags & 0x41
        && u16_at(local, 8)? == written_method
        && (local_flags & 8 != 0 && local_packed == 0 || local_packed == u32::MAX || u64::from(local_packed) == packed);

    let aes = extra_field(extra, 0x9901).filter(|e| e.len() >= 7);
    let method = aes.filter(|_| written_method == 99).and_then(|e| u16_at(e, 5)).unwrap_or(written_method);
    let lock = if (flags | local_flags) & 1 == 0 {
        EntryLock::None
    } else if !agrees {
        EntryLock::Contradicts
    } else if flags & 0x40 != 0 {
        EntryLock::Strong
    } else if written_method == 99 {
        // Salt, check value and authentication code stand beside the data.
        match aes.map(|e| e[4]) {
            Some(strength @ 1..=3) if packed_len >= 12 + 4 * (usize::from(strength) + 1) => EntryLock::Aes(strength),
            _ => EntryLock::Contradicts,
        }
    } else if packed_len >= 12 {
        EntryLock::ZipCrypto
    } else {
        EntryLock::Contradicts
    };
    let time = u16_at(file, at + 12)?;
    Some((Entry { name, size, lock, flags, method, crc, time, start, data }, next))
}

/// The content of one extra field (§4.5).
fn extra_field(mut extra: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (id, length) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        let content = extra.get(4..4 + length)?;
        if id == wanted {
            return Some(content);
        }
        extra = &extra[4 + length..];
    }
}

impl Entry {
    pub fn is_folder(&self) -> bool {
        self.name.ends_with('/') && self.size == 0 && self.data.is_empty()
    }

    /// A file that is not encrypted here may need a password of its own.
    fn look_inside(&self, file: &[u8], looking: &mut Looking) -> Result<How, WhyNot> {
        let content = self.unpacked(file, looking)?;
        looking.depth = looking.depth.checked_sub(1).ok_or(WhyNot::TooDeep)?;
        let kind = FileKind::of(&content, &self.name.to_ascii_lowercase());
        let answer = kind.judge(&content, looking);
        looking.depth += 1;
        answer
    }

    /// The whole content of a file that may have a password of its own; its first octets tell whether that is worth the unpacking.
    pub fn unpacked(&self, file: &[u8], looking: &mut Looking) -> Result<Vec<u8>, WhyNot> {
        looking.members = looking.members.checked_sub(1).filter(|_| looking.bytes > 0).ok_or(WhyNot::TooLarge)?;
        let head = self.read(file, SNIFF, looking).ok_or(WhyNot::Damaged)?;
        if FileKind::of(&head, &self.name.to_ascii_lowercase()) == FileKind::Other {
            return Err(WhyNot::NotProtected);
        }
        let limit = looking.bytes.min(MAX_FILE);
        let content = self.read(file, limit + 1, looking).ok_or(WhyNot::Damaged)?;
        if content.len() > limit { Err(WhyNot::TooLarge) } else { Ok(content) }
    }

    /// At most `limit` octets of a file that is not encrypted; none if it is packed in a way that is not known here.
    pub fn read(&self, file: &[u8], limit: usize, looking: &mut Looking) -> Option<Vec<u8>> {
        let data = file.get(self.data.clone())?;
        // Entries may share their octets: each costs by itself.
        let (out, used) = unpack_counted(self.method, data, limit);
        looking.unpacked(out.as_ref().map_or(0, Vec::len), used);
        out
    }

    /// It says that it is encrypted, and whoever ignores that reads it. None where there is no more time to see.
    fn only_claims(&self, file: &[u8], looking: &mut Looking) -> Option<bool> {
        const MAX_TRIED: u64 = 1 << 20;
        let Some(data) = file.get(self.data.clone()) else { return Some(false) };
        if reads_as_text(data) {
            return Some(true);
        }
        let could_be = self.lock == EntryLock::ZipCrypto && self.size <= MAX_TRIED && (self.method != 0 || data.len() as u64 == self.size);
        if !could_be {
            return Some(false);
        }
        if looking.bytes == 0 {
            return None;
        }
        let clear = self.read(file, self.size as usize + 1, looking);
        Some(clear.is_some_and(|clear| clear.len() as u64 == self.size && crc(&clear) == self.crc))
    }
}

/// At most `limit` octets.
pub(super) fn unpack(method: u16, data: &[u8], limit: usize) -> Option<Vec<u8>> {
    unpack_counted(method, data, limit).0
}

/// As [`unpack`], and how many octets of `data` were gone through.
fn unpack_counted(method: u16, data: &[u8], limit: usize) -> (Option<Vec<u8>>, usize) {
    match method {
        0 => (Some(data[..data.len().min(limit)].to_vec()), data.len().min(limit)),
        8 => {
            let mut out = Vec::new();
            let mut decoder = flate2::bufread::DeflateDecoder::new(data);
            let result = (&mut decoder).take(limit as u64).read_to_end(&mut out);
            let used = usize::try_from(decoder.total_in()).unwrap_or(usize::MAX).max(out.len());
            (result.ok().map(|_| out), used)
        }
        _ => (None, 0),
    }
}

pub(super) fn crc(content: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ZIP archive of stored members: (name, flags, method).
    fn zip_of(members: &[(&str, u16, u16)]) -> Vec<u8> {
        let (mut file, mut directory) = (Vec::new(), Vec::new());
        for (name, flags, method) in members {
            let content = [b'x'; 20];
            let size = if name.ends_with('/') { 0 } else { 20u32 };
            let offset = file.len() as u32;
            let mut common = Vec::new();
            for v in [20, *flags, *method, 0, 0] {
                common.extend_from_slice(&u16::to_le_bytes(v));
            }
            for v in [0, size, size] {
                common.extend_from_slice(&u32::to_le_bytes(v));
            }
            common.extend_from_slice(&(name.len() as u16).to_le_bytes());
            let extra: &[u8] = if *method == 99 { b"\x01\x99\x07\0\x02\0AE\x01\0\0" } else { b"" };
            common.extend_from_slice(&(extra.len() as u16).to_le_bytes());
            file.extend_from_slice(b"PK\x03\x04");
            file.extend_from_slice(&common);
            file.extend_from_slice(name.as_bytes());
            file.extend_from_slice(extra);
            file.extend_from_slice(&content[..size as usize]);
            directory.extend_from_slice(b"PK\x01\x02\x14\0");
            directory.extend_from_slice(&common);
            directory.extend_from_slice(&[0; 10]);
            directory.extend_from_slice(&offset.to_le_bytes());
            directory.extend_from_slice(name.as_bytes());
            directory.extend_from_slice(extra);
        }
        let start = file.len() as u32;
        file.extend_from_slice(&directory);
        file.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        for _ in 0..2 {
            file.extend_from_slice(&(members.len() as u16).to_le_bytes());
        }
        file.extend_from_slice(&(directory.len() as u32).to_le_bytes());
        file.extend_from_slice(&start.to_le_bytes());
        file.extend_from_slice(&[0, 0]);
        file
    }

    fn judged(file: &[u8]) -> Result<How, WhyNot> {
        judge(file, &mut Looking::default())
    }

    #[test]
    fn every_member_of_a_zip_counts() {
        assert_eq!(judged(&zip_of(&[("a.txt", 1, 99), ("b.txt", 1, 99)])), Ok(How::strong(Kind::Zip)));
        assert_eq!(judged(&zip_of(&[("a.txt", 1, 0), ("b.txt", 1, 99)])), Ok(How::weak(Kind::Zip)));
        assert_eq!(judged(&zip_of(&[("d/", 0, 0), ("d/a.txt", 1, 99)])), Ok(How::strong(Kind::Zip)));
        assert_eq!(judged(&zip_of(&[("a.txt", 1, 99), ("b.txt", 0, 0)])), Err(WhyNot::ClearInside("b.txt".into())));
        assert_eq!(judged(&zip_of(&[("a.txt", 0, 0)])), Err(WhyNot::NotProtected));
        assert_eq!(judged(&zip_of(&[("[Content_Types].xml", 0, 0)])), Err(WhyNot::NotProtected));
        assert_eq!(judged(&zip_of(&[])), Err(WhyNot::Empty));
    }

    #[test]
    fn a_zip_that_lies_is_not_protected() {
        let mut lie = zip_of(&[("a.txt", 1, 99)]);
        lie[6] = 0;
        assert_eq!(judged(&lie), Err(WhyNot::Contradicts));
        let mut cut = zip_of(&[("a.txt", 1, 99), ("b.txt", 0, 0)]);
        let end = cut.len() - 22;
        cut[end + 10] = 1;
        assert_eq!(judged(&cut), Err(WhyNot::Damaged));
        // A self-extractor in front shifts the offsets.
        let shifted = [b"MZ stub".to_vec(), zip_of(&[("a.txt", 1, 99)])].concat();
        assert_eq!(judged(&shifted), Ok(How::strong(Kind::Zip)));
    }
}
