//! PDF: only a password that is needed to open it counts (ISO 32000-2 §7.6). Permissions ask honest programs to refuse printing.
//!
//! The trailer and the encryption dictionary are read, and the empty user password is tried, as every reader does. The document
//! itself is not loaded: a general reader unpacks what a hostile file tells it to.

use super::digest::{Hash, aes_encrypt_chained, md5, rc4};
use super::files::Looking;
use super::{How, Kind, WhyNot};

pub fn judge(file: &[u8], looking: &mut Looking) -> Result<How, WhyNot> {
    let (encrypt, lock) = match encryption(file)? {
        Encryption::OtherHandler => return Ok(How::strong(Kind::Pdf)),
        Encryption::Standard(encrypt, id) => {
            let lock = PdfLock::of(&encrypt, &id).ok_or(WhyNot::Damaged)?;
            (encrypt, lock)
        }
    };
    if !looking.spend(lock.rounds()) {
        return Err(WhyNot::TooSlow);
    }
    if lock.opens("") {
        return Err(WhyNot::OpensWithoutPassword);
    }
    if encrypt.number("V").is_some_and(|v| v >= 4) && !is_sealed(&encrypt, "StmF") {
        // The pages are clear. An envelope, whose attached files alone are sealed, is what some programs make on purpose.
        return if is_sealed(&encrypt, "EFF") { Ok(How::weak(Kind::Pdf)) } else { Err(WhyNot::OpensWithoutPassword) };
    }
    // 40-bit keys are weak.
    let weak =
        matches!(encrypt.number("V"), Some(0 | 1)) || encrypt.number("V") == Some(2) && encrypt.number("Length").is_none_or(|l| l <= 40);
    Ok(if weak { How::weak(Kind::Pdf) } else { How::strong(Kind::Pdf) })
}

/// What a password can be tried on.
pub fn lock(file: &[u8]) -> Option<PdfLock> {
    match encryption(file).ok()? {
        Encryption::Standard(encrypt, id) => PdfLock::of(&encrypt, &id),
        Encryption::OtherHandler => None,
    }
}

enum Encryption {
    /// By certificates, or by a service that hands out keys.
    OtherHandler,
    /// By passwords: the encryption dictionary and the file's identifier.
    Standard(Dictionary, Vec<u8>),
}

fn encryption(file: &[u8]) -> Result<Encryption, WhyNot> {
    if memchr::memmem::find(file, b"/Encrypt").is_none() {
        return Err(WhyNot::NotProtected);
    }
    let start = memchr::memmem::find(file, b"%PDF-").ok_or(WhyNot::Damaged)?;
    let file = &file[start..];
    let trailer = trailer(file).ok_or(WhyNot::Damaged)?;
    let encrypt = match trailer.get("Encrypt") {
        None => return Err(WhyNot::NotProtected),
        Some(Object::Dictionary(dictionary)) => dictionary.clone(),
        Some(Object::Reference(number, generation)) => object(file, *number, *generation).ok_or(WhyNot::Damaged)?,
        Some(_) => return Err(WhyNot::Damaged),
    };
    match encrypt.get("Filter") {
        Some(Object::Name(name)) if name == "Standard" => {}
        Some(Object::Name(_)) => return Ok(Encryption::OtherHandler),
        _ => return Err(WhyNot::Damaged),
    }
    let id = match trailer.get("ID") {
        Some(Object::Array(items)) => match items.first() {
            Some(Object::Text(id)) => id.clone(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    Ok(Encryption::Standard(encrypt, id))
}

/// Whether the crypt filter of that use encrypts: it is named, described, and not the one that does nothing (§7.6.6).
fn is_sealed(encrypt: &Dictionary, using: &str) -> bool {
    let Some(Object::Name(name)) = encrypt.get(using) else { return false };
    let described = match encrypt.get("CF") {
        Some(Object::Dictionary(filters)) => filters.get(name),
        _ => None,
    };
    match described {
        Some(Object::Dictionary(filter)) => matches!(filter.get("CFM"), Some(Object::Name(method)) if method != "None"),
        _ => false,
    }
}

/// The newest trailer: where `startxref` points, or else the last that can be found.
fn trailer(file: &[u8]) -> Option<Dictionary> {
    let pointed = memchr::memmem::rfind(file, b"startxref").and_then(|at| {
        let mut parser = Parser { bytes: file, at: at + 9 };
        parser.blanks();
        let offset = usize::try_from(parser.integer()?).ok()?;
        let target = file.get(offset..)?;
        if target.starts_with(b"xref") {
            let keyword = offset + memchr::memmem::find(target, b"trailer")?;
            return Parser { bytes: file, at: keyword + 7 }.dictionary();
        }
        Parser { bytes: file, at: offset }.indirect().map(|(_, dictionary)| dictionary)
    });
    pointed.filter(|d| d.get("Root").is_some()).or_else(|| {
        // A damaged file: readers look for anything that will do. The last few of each are enough.
        let trailers = memchr::memmem::rfind_iter(file, b"trailer")
            .take(16)
            .find_map(|at| Parser { bytes: file, at: at + 7 }.dictionary().filter(|d| d.get("Root").is_some()));
        trailers.or_else(|| {
            memchr::memmem::rfind_iter(file, b" obj").take(20_000).find_map(|at| {
                let dictionary = Parser { bytes: file, at: at + 4 }.short_dictionary()?;
                matches!(dictionary.get("Type"), Some(Object::Name(n)) if n == "XRef").then_some(dictionary)
            })
        })
    })
}

/// The last object of that number that is a dictionary with a handler.
fn object(file: &[u8], number: i64, generation: i64) -> Option<Dictionary> {
    let needle = format!("{number} {generation} obj");
    memchr::memmem::rfind_iter(file, needle.as_bytes())
        .take(64)
        .filter(|&at| at == 0 || !file[at - 1].is_ascii_digit())
        .find_map(|at| Parser { bytes: file, at }.indirect().map(|(_, d)| d).filter(|d| d.get("Filter").is_some()))
}

/// What a password is checked against (§7.6.4).
pub struct PdfLock {
    revision: i64,
    owner: Vec<u8>,
    user: Vec<u8>,
    permissions: u32,
    id: Vec<u8>,
    clear_metadata: bool,
    /// Octets; a key length that is wrong or missing does not stop readers; nor us.
    key_lens: [usize; 3],
}

const PAD: [u8; 32] =
    *b"\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a";

impl PdfLock {
    fn of(encrypt: &Dictionary, id: &[u8]) -> Option<PdfLock> {
        let revision = encrypt.number("R")?;
        let (owner, user) = (encrypt.text("O")?.to_vec(), encrypt.text("U")?.to_vec());
        let (least_owner, least_user) = match revision {
            ..=2 => (32, 32),
            3 | 4 => (32, 16),
            _ => (40, 40),
        };
        if owner.len() < least_owner || user.len() < least_user {
            return None;
        }
        let said = encrypt.number("Length").filter(|l| (40..=128).contains(l)).map_or(5, |l| l as usize / 8);
        Some(PdfLock {
            revision,
            owner,
            user,
            permissions: if revision >= 5 { 0 } else { encrypt.number("P")? as u32 },
            id: id.to_vec(),
            clear_metadata: matches!(encrypt.get("EncryptMetadata"), Some(Object::Other(word)) if word == b"false"),
            key_lens: [said, 16, 5],
        })
    }

    /// The blocks that one try hashes, roughly.
    pub fn rounds(&self) -> u64 {
        match self.revision {
            ..=2 => 10,
            3 | 4 => 1_000,
            5 => 4,
            _ => 15_000,
        }
    }

    /// As the password of a reader or of the owner: either opens it.
    pub fn opens(&self, password: &str) -> bool {
        if self.revision >= 5 {
            let password = &password.as_bytes()[..password.len().min(127)];
            let (user, owner) = (&self.user[..], &self.owner[..]);
            let matches = |hash: Option<Vec<u8>>, of: &[u8]| hash.is_some_and(|hash| hash == of[..32]);
            return matches(self.hardened(password, &user[32..40], b""), user)
                || (user.len() >= 48 && matches(self.hardened(password, &owner[32..40], &user[..48]), owner));
        }
        // PDFDocEncoding is Latin-1 for what people type; some programs write UTF-8.
        let latin: Option<Vec<u8>> = password.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        let utf8 = password.as_bytes().to_vec();
        let is_ascii = password.is_ascii();
        latin.into_iter().chain((!is_ascii).then_some(utf8)).any(|octets| self.opens_old(&octets))
    }

    fn opens_old(&self, password: &[u8]) -> bool {
        let padded = pad(password);
        self.is_user(&padded) || !password.is_empty() && self.users_by_owner(&padded).iter().any(|user| self.is_user(user))
    }

    /// Algorithms 4 to 6.
    fn is_user(&self, padded: &[u8; 32]) -> bool {
        let mut seed = [&padded[..], &self.owner[..32], &self.permissions.to_le_bytes(), &self.id].concat();
        if self.revision >= 4 && self.clear_metadata {
            seed.extend_from_slice(&[0xff; 4]);
        }
        let first = md5(&seed);
        if self.revision <= 2 {
            return rc4(&first[..5], &PAD) == self.user[..32];
        }
        self.key_lens.iter().any(|&length| {
            let mut key = first;
            for _ in 0..50 {
                key = md5(&key[..length]);
            }
            let mut value = md5(&[&PAD[..], &self.id].concat()).to_vec();
            for i in 0..20u8 {
                value = rc4(&key[..length].iter().map(|k| k ^ i).collect::<Vec<_>>(), &value);
            }
            self.user[..16] == value[..]
        })
    }

    /// Algorithm 7: what the owner's password makes of the owner's entry.
    fn users_by_owner(&self, padded: &[u8; 32]) -> Vec<[u8; 32]> {
        let first = md5(padded);
        let opened = |key: &[u8], rounds: std::ops::Range<u8>| {
            let mut value = self.owner[..32].to_vec();
            for i in rounds.rev() {
                value = rc4(&key.iter().map(|k| k ^ i).collect::<Vec<_>>(), &value);
            }
            value.try_into().unwrap_or([0; 32])
        };
        if self.revision <= 2 {
            return vec![opened(&first[..5], 0..1)];
        }
        let mut key = first;
        for _ in 0..50 {
            key = md5(&key);
        }
        self.key_lens.iter().map(|&length| opened(&key[..length], 0..20)).collect()
    }

    /// Algorithm 2.B, or the one hash of revision 5.
    fn hardened(&self, password: &[u8], salt: &[u8], user: &[u8]) -> Option<Vec<u8>> {
        let mut key = Hash::Sha256.of(&[password, salt, user]);
        if self.revision == 5 {
            return Some(key);
        }
        for round in 0..4_096usize {
            let sealed = aes_encrypt_chained(&key[..16], &key[16..32], &[password, &key, user].concat().repeat(64))?;
            let remainder = sealed[..16].iter().map(|b| u32::from(*b)).sum::<u32>() % 3;
            key = [Hash::Sha256, Hash::Sha384, Hash::Sha512][remainder as usize].of(&[&sealed]);
            if round >= 63 && usize::from(*sealed.last()?) <= round - 31 {
                key.truncate(32);
                return Some(key);
            }
        }
        None
    }
}

fn pad(password: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.iter_mut().zip(password.iter().chain(&PAD)).for_each(|(o, p)| *o = *p);
    out
}

#[derive(Clone, Debug)]
enum Object {
    Name(String),
    Integer(i64),
    Text(Vec<u8>),
    Reference(i64, i64),
    Array(Vec<Object>),
    Dictionary(Dictionary),
    /// A keyword or a number that is no integer.
    Other(Vec<u8>),
}

#[derive(Clone, Debug, Default)]
struct Dictionary(Vec<(String, Object)>);

impl Dictionary {
    fn get(&self, key: &str) -> Option<&Object> {
        self.0.iter().rfind(|(k, _)| k == key).map(|(_, v)| v)
    }

    fn number(&self, key: &str) -> Option<i64> {
        match self.get(key) {
            Some(Object::Integer(n)) => Some(*n),
            _ => None,
        }
    }

    fn text(&self, key: &str) -> Option<&[u8]> {
        match self.get(key) {
            Some(Object::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// Objects as they stand in a file (ISO 32000-2 §7.3), bounded in depth and number.
struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

const MAX_NESTING: usize = 8;
const MAX_MEMBERS: usize = 4_096;

impl Parser<'_> {
    /// `N G obj` and its dictionary.
    fn indirect(&mut self) -> Option<((i64, i64), Dictionary)> {
        self.blanks();
        let number = self.integer()?;
        self.blanks();
        let generation = self.integer()?;
        self.blanks();
        self.keyword(b"obj")?;
        Some(((number, generation), self.dictionary()?))
    }

    /// A dictionary that starts here; whatever lies beyond 4 KiB is not read.
    fn short_dictionary(&mut self) -> Option<Dictionary> {
        let end = self.bytes.len().min(self.at + 4_096);
        Parser { bytes: &self.bytes[..end], at: self.at }.dictionary()
    }

    fn dictionary(&mut self) -> Option<Dictionary> {
        self.blanks();
        if !self.bytes.get(self.at..)?.starts_with(b"<<") {
            return None;
        }
        match self.object(0)? {
            Object::Dictionary(dictionary) => Some(dictionary),
            _ => None,
        }
    }

    fn object(&mut self, depth: usize) -> Option<Object> {
        self.blanks();
        if depth > MAX_NESTING {
            return None;
        }
        let rest = self.bytes.get(self.at..)?;
        match rest {
            [b'<', b'<', ..] => {
                self.at += 2;
                let mut members = Vec::new();
                loop {
                    self.blanks();
                    if self.bytes.get(self.at..)?.starts_with(b">>") {
                        self.at += 2;
                        return Some(Object::Dictionary(Dictionary(members)));
                    }
                    if members.len() >= MAX_MEMBERS {
                        return None;
                    }
                    let Object::Name(key) = self.object(depth + 1)? else { return None };
                    members.push((key, self.object(depth + 1)?));
                }
            }
            [b'<', ..] => self.hex_text(),
            [b'(', ..] => self.literal_text(),
            [b'[', ..] => {
                self.at += 1;
                let mut items = Vec::new();
                loop {
                    self.blanks();
                    if *self.bytes.get(self.at)? == b']' {
                        self.at += 1;
                        return Some(Object::Array(items));
                    }
                    if items.len() >= MAX_MEMBERS {
                        return None;
                    }
                    items.push(self.object(depth + 1)?);
                }
            }
            [b'/', ..] => {
                self.at += 1;
                let word = self.word().to_vec();
                Some(Object::Name(name(&word)))
            }
            _ => self.number_or_word(),
        }
    }

    fn number_or_word(&mut self) -> Option<Object> {
        let Some(number) = self.integer() else {
            let word = self.word().to_vec();
            return (!word.is_empty()).then_some(Object::Other(word));
        };
        // `7 0 R`?
        let back = self.at;
        self.blanks();
        if let Some(generation) = self.integer() {
            self.blanks();
            if self.keyword(b"R").is_some() {
                return Some(Object::Reference(number, generation));
            }
        }
        self.at = back;
        Some(Object::Integer(number))
    }

    fn integer(&mut self) -> Option<i64> {
        let back = self.at;
        let number = std::str::from_utf8(self.word()).ok().and_then(|w| w.parse().ok());
        if number.is_none() {
            self.at = back;
        }
        number
    }

    fn keyword(&mut self, word: &[u8]) -> Option<()> {
        let back = self.at;
        if self.word() == word {
            return Some(());
        }
        self.at = back;
        None
    }

    fn word(&mut self) -> &[u8] {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let length = rest.iter().take(512).position(|b| is_blank(*b) || b"()<>[]{}/%".contains(b)).unwrap_or(rest.len().min(512));
        self.at += length;
        &rest[..length]
    }

    fn blanks(&mut self) {
        while let Some(&b) = self.bytes.get(self.at) {
            if b == b'%' {
                self.at += memchr::memchr2(b'\r', b'\n', &self.bytes[self.at..]).unwrap_or(self.bytes.len() - self.at);
            } else if is_blank(b) {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    fn hex_text(&mut self) -> Option<Object> {
        let rest = &self.bytes[self.at + 1..];
        let end = rest.iter().take(4_096).position(|b| *b == b'>')?;
        let digits: Vec<u8> = rest[..end].iter().filter_map(|b| char::from(*b).to_digit(16)).map(|d| d as u8).collect();
        self.at += end + 2;
        Some(Object::Text(digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect()))
    }

    fn literal_text(&mut self) -> Option<Object> {
        let mut out = Vec::new();
        let mut depth = 1;
        self.at += 1;
        while out.len() < 4_096 {
            let b = *self.bytes.get(self.at)?;
            self.at += 1;
            match b {
                b'(' => depth += 1,
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(Object::Text(out));
                    }
                }
                b'\\' => {
                    let escaped = *self.bytes.get(self.at)?;
                    self.at += 1;
                    match escaped {
                        b'n' => out.push(b'\n'),
                        b'r' => out.push(b'\r'),
                        b't' => out.push(b'\t'),
                        b'b' => out.push(8),
                        b'f' => out.push(12),
                        b'\r' => self.at += usize::from(self.bytes.get(self.at) == Some(&b'\n')),
                        b'\n' => {}
                        b'0'..=b'7' => {
                            let mut value = u32::from(escaped - b'0');
                            for _ in 0..2 {
                                let Some(digit @ b'0'..=b'7') = self.bytes.get(self.at) else { break };
                                value = value * 8 + u32::from(digit - b'0');
                                self.at += 1;
                            }
                            out.push(value as u8);
                        }
                        other => out.push(other),
                    }
                    continue;
                }
                // A line end in any form is one line feed.
                b'\r' => {
                    self.at += usize::from(self.bytes.get(self.at) == Some(&b'\n'));
                    out.push(b'\n');
                    continue;
                }
                _ => {}
            }
            out.push(b);
        }
        None
    }
}

/// A name with its `#xx` read.
fn name(word: &[u8]) -> String {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    loop {
        match rest {
            [b'#', a, b, tail @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                out.push(crate::message::transfer::hex(*a) << 4 | crate::message::transfer::hex(*b));
                rest = tail;
            }
            [octet, tail @ ..] => {
                out.push(*octet);
                rest = tail;
            }
            [] => return String::from_utf8_lossy(&out).into_owned(),
        }
    }
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b'\0' | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(file: &[u8]) -> Result<How, WhyNot> {
        judge(file, &mut Looking::default())
    }

    #[test]
    fn hostile_files_are_harmless() {
        for piece in ["<<", "[", "(", "trailer<<", "1 0 obj<<", "startxref 0 ", "%PDF-/Encrypt", " obj<</Type/XRef", "<</A "] {
            let file = format!("%PDF-1.7 /Encrypt {}", piece.repeat(300_000 / piece.len()));
            assert!(judged(file.as_bytes()).is_err());
        }
        assert_eq!(judged(b"%PDF-1.7\ntrailer <</Root 1 0 R /X (/Encrypt)>>"), Err(WhyNot::NotProtected));
        assert_eq!(judged(b"%PDF-1.7\ntrailer <</Root 1 0 R /Encrypt 7 0 R>>"), Err(WhyNot::Damaged));
    }
}
