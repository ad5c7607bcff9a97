//! PDF: only a password that is needed to open it counts (ISO 32000-2 §7.6). Permissions ask honest programs to refuse printing.
//!
//! The trailer and the encryption dictionary are read, and the empty user password is tried, as every reader does. The document
//! itself is not loaded: a general reader unpacks what a hostile file tells it to.

use aws_lc_rs::cipher::{AES_128, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};

use super::digest::{md5, rc4};
use super::{How, Kind, WhyNot};

pub fn judge(file: &[u8]) -> Result<How, WhyNot> {
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
        // Another handler: certificates, or a service that hands out keys.
        Some(Object::Name(_)) => return Ok(How::strong(Kind::Pdf)),
        _ => return Err(WhyNot::Damaged),
    }
    let id = match trailer.get("ID") {
        Some(Object::Array(items)) => match items.first() {
            Some(Object::Text(id)) => id.clone(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    if opens_empty(&encrypt, &id).ok_or(WhyNot::Damaged)? {
        return Err(WhyNot::OpensWithoutPassword);
    }
    // 40-bit keys are weak; and where streams are left alone by default, only some of the document is encrypted.
    let weak = matches!(encrypt.number("V"), Some(0 | 1))
        || encrypt.number("V") == Some(2) && encrypt.number("Length").is_none_or(|l| l <= 40)
        || matches!(encrypt.get("StmF"), Some(Object::Name(n)) if n == "Identity");
    Ok(if weak { How::weak(Kind::Pdf) } else { How::strong(Kind::Pdf) })
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

/// Whether the empty user password opens it; none if the dictionary makes no sense.
fn opens_empty(encrypt: &Dictionary, id: &[u8]) -> Option<bool> {
    const PAD: [u8; 32] = *b"\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a";
    let revision = encrypt.number("R")?;
    let user = encrypt.text("U")?;
    if revision >= 5 {
        let (expected, salt) = (user.get(..32)?, user.get(32..40)?);
        let hash = if revision == 5 { sha(&SHA256, salt) } else { hardened(salt)? };
        return Some(hash == expected);
    }
    let owner = encrypt.text("O")?;
    let permissions = encrypt.number("P")? as u32;
    let mut seed = [&PAD[..], owner.get(..32)?, &permissions.to_le_bytes(), id].concat();
    if revision >= 4 && matches!(encrypt.get("EncryptMetadata"), Some(Object::Other(word)) if word == b"false") {
        seed.extend_from_slice(&[0xff; 4]);
    }
    let first = md5(&seed);
    if revision == 2 {
        return Some(rc4(&first[..5], &PAD) == user);
    }
    // A key length that is wrong or missing does not stop readers; nor us.
    let said = encrypt.number("Length").filter(|l| (40..=128).contains(l)).map_or(5, |l| l as usize / 8);
    Some([said, 16, 5].into_iter().any(|length| {
        let mut key = first;
        for _ in 0..50 {
            key = md5(&key[..length]);
        }
        let mut value = md5(&[&PAD[..], id].concat()).to_vec();
        for i in 0..20u8 {
            let round: Vec<u8> = key[..length].iter().map(|k| k ^ i).collect();
            value = rc4(&round, &value);
        }
        user.get(..16) == Some(&value[..])
    }))
}

fn sha(algorithm: &'static digest::Algorithm, bytes: &[u8]) -> Vec<u8> {
    digest::digest(algorithm, bytes).as_ref().to_vec()
}

/// Algorithm 2.B for the empty password (ISO 32000-2 §7.6.4.3.4).
fn hardened(salt: &[u8]) -> Option<Vec<u8>> {
    let mut key = sha(&SHA256, salt);
    for round in 0..4_096usize {
        let sealed = aes_cbc(&key[..16], &key[16..32], &key.repeat(64))?;
        let remainder = sealed[..16].iter().map(|b| u32::from(*b)).sum::<u32>() % 3;
        key = sha([&SHA256, &SHA384, &SHA512][remainder as usize], &sealed);
        if round >= 63 && usize::from(*sealed.last()?) <= round - 31 {
            key.truncate(32);
            return Some(key);
        }
    }
    None
}

fn aes_cbc(key: &[u8], iv: &[u8], clear: &[u8]) -> Option<Vec<u8>> {
    let key = EncryptingKey::ecb(UnboundCipherKey::new(&AES_128, key).ok()?).ok()?;
    let mut out = Vec::with_capacity(clear.len());
    let mut last = iv.to_vec();
    for block in clear.chunks_exact(16) {
        last.iter_mut().zip(block).for_each(|(l, b)| *l ^= b);
        key.encrypt(&mut last).ok()?;
        out.extend_from_slice(&last);
    }
    Some(out)
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

    #[test]
    fn hostile_files_are_harmless() {
        for piece in ["<<", "[", "(", "trailer<<", "1 0 obj<<", "startxref 0 ", "%PDF-/Encrypt", " obj<</Type/XRef", "<</A "] {
            let file = format!("%PDF-1.7 /Encrypt {}", piece.repeat(300_000 / piece.len()));
            assert!(judge(file.as_bytes()).is_err());
        }
        assert_eq!(judge(b"%PDF-1.7\ntrailer <</Root 1 0 R /X (/Encrypt)>>"), Err(WhyNot::NotProtected));
        assert_eq!(judge(b"%PDF-1.7\ntrailer <</Root 1 0 R /Encrypt 7 0 R>>"), Err(WhyNot::Damaged));
    }
}
