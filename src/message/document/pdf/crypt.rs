//! The key of a PDF that opens without a password (ISO 32000-2 §7.6): its permissions ask honest programs to refuse printing, and
//! everybody reads it.

use aws_lc_rs::cipher::{AES_128, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA256, SHA384, SHA512};

use super::object::{Dictionary, Object};
use crate::message::protection::digest;

pub struct Key {
    key: Vec<u8>,
    method: Method,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    None,
    Rc4,
    Aes128,
    Aes256,
}

impl Key {
    /// From the encryption dictionary, for the empty user password.
    pub fn of(encrypt: &Dictionary, id: &[u8]) -> Option<Key> {
        let number = |key: &str| encrypt.find(key).and_then(Object::number);
        let version = number("V")? as i64;
        let method = match version {
            0..=3 => Method::Rc4,
            _ => match encrypt.find("StmF") {
                Some(Object::Name(name)) if name != b"Identity" => {
                    let Some(Object::Dictionary(filters)) = encrypt.find("CF") else { return None };
                    let Some(Object::Dictionary(filter)) = filters.find(&String::from_utf8_lossy(name)) else { return None };
                    match filter.find("CFM") {
                        Some(Object::Name(m)) if m == b"V2" => Method::Rc4,
                        Some(Object::Name(m)) if m == b"AESV2" => Method::Aes128,
                        Some(Object::Name(m)) if m == b"AESV3" => Method::Aes256,
                        _ => Method::None,
                    }
                }
                _ => Method::None,
            },
        };
        let text = |key: &str| match encrypt.find(key) {
            Some(Object::Text(text)) => text.as_slice(),
            _ => &[],
        };
        let key = if number("R")? >= 5.0 {
            // The key itself is sealed under a hash of the password, here of nothing, and a salt (§7.6.4.3.3).
            let salt = text("U").get(40..48)?;
            let hash = if number("R")? == 5.0 { sha(&SHA256, salt) } else { hardened(salt)? };
            let mut sealed = vec![0; 16];
            sealed.extend_from_slice(text("UE").get(..32)?);
            aes(&hash, &sealed, Padding::None)
        } else {
            let mut seed = [&PAD[..], text("O").get(..32)?, &(number("P")? as i64 as u32).to_le_bytes(), id].concat();
            if number("R")? >= 4.0 && matches!(encrypt.find("EncryptMetadata"), Some(Object::Word(w)) if w == b"false") {
                seed.extend_from_slice(&[0xff; 4]);
            }
            let revision = number("R")?;
            // A length that is wrong or missing does not stop readers: the one that opens it is right.
            let said = number("Length").filter(|l| (40.0..=128.0).contains(l)).map_or(5, |bits| bits as usize / 8);
            let keys = [if revision < 3.0 { 5 } else { said }, 16, 5].map(|length| {
                let mut key = digest::md5(&seed);
                for _ in 0..if revision < 3.0 { 0 } else { 50 } {
                    key = digest::md5(&key[..length]);
                }
                key[..length].to_vec()
            });
            keys.into_iter().find(|key| opens(key, revision, id, text("U")))?
        };
        (!key.is_empty()).then_some(Key { key, method })
    }

    /// Opens what an object of that number holds.
    pub fn open(&self, sealed: &[u8], number: u32, generation: u16) -> Vec<u8> {
        match self.method {
            Method::None => sealed.to_vec(),
            Method::Aes256 => aes(&self.key, sealed, Padding::Counted),
            Method::Rc4 | Method::Aes128 => {
                let aes_128 = self.method == Method::Aes128;
                let mut seed = self.key.clone();
                seed.extend_from_slice(&number.to_le_bytes()[..3]);
                seed.extend_from_slice(&generation.to_le_bytes());
                if aes_128 {
                    seed.extend_from_slice(b"sAlT");
                }
                let hash = digest::md5(&seed);
                let key = &hash[..(self.key.len() + 5).min(16)];
                if aes_128 { aes(key, sealed, Padding::Counted) } else { digest::rc4(key, sealed) }
            }
        }
    }

    /// Opens every string within `object`.
    pub fn open_strings(&self, object: &mut Object, number: u32, generation: u16) {
        // The reader bounds how deep objects stand in one another.
        match object {
            Object::Text(text) => *text = self.open(text, number, generation),
            Object::Array(items) => items.iter_mut().for_each(|i| self.open_strings(i, number, generation)),
            Object::Dictionary(d) => d.0.iter_mut().for_each(|(_, v)| self.open_strings(v, number, generation)),
            _ => {}
        }
    }
}

/// Whether the key makes the user entry of it (§7.6.4.4).
fn opens(key: &[u8], revision: f64, id: &[u8], user: &[u8]) -> bool {
    if revision < 3.0 {
        return digest::rc4(key, &PAD) == user;
    }
    let mut value = digest::md5(&[&PAD[..], id].concat()).to_vec();
    for i in 0..20u8 {
        let round: Vec<u8> = key.iter().map(|k| k ^ i).collect();
        value = digest::rc4(&round, &value);
    }
    user.get(..16) == Some(&value[..])
}

/// What a password is filled up with; the empty one is nothing else (§7.6.4.3.2).
const PAD: [u8; 32] =
    *b"\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a";

fn sha(algorithm: &'static aws_lc_rs::digest::Algorithm, bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(algorithm, bytes).as_ref().to_vec()
}

/// Algorithm 2.B for the empty password (§7.6.4.3.4).
fn hardened(salt: &[u8]) -> Option<Vec<u8>> {
    let mut key = sha(&SHA256, salt);
    for round in 0..4_096usize {
        let cipher = EncryptingKey::ecb(UnboundCipherKey::new(&AES_128, &key[..16]).ok()?).ok()?;
        let mut last = key[16..32].to_vec();
        let mut sealed = Vec::with_capacity(key.len() * 64);
        for block in key.repeat(64).chunks_exact(16) {
            last.iter_mut().zip(block).for_each(|(l, b)| *l ^= b);
            cipher.encrypt(&mut last).ok()?;
            sealed.extend_from_slice(&last);
        }
        let remainder = sealed[..16].iter().map(|b| u32::from(*b)).sum::<u32>() % 3;
        key = sha([&SHA256, &SHA384, &SHA512][remainder as usize], &sealed);
        if round >= 63 && usize::from(*sealed.last()?) <= round - 31 {
            key.truncate(32);
            return Some(key);
        }
    }
    None
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Padding {
    None,
    /// The last octet counts it.
    Counted,
}

/// AES-CBC, the vector in front. What is no whole block is dropped.
fn aes(key: &[u8], sealed: &[u8], padding: Padding) -> Vec<u8> {
    let Some((iv, blocks)) = sealed.split_first_chunk::<16>() else { return Vec::new() };
    let whole = blocks.len() / 16 * 16;
    let mut opened = blocks[..whole].to_vec();
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    let done = UnboundCipherKey::new(algorithm, key)
        .and_then(DecryptingKey::ecb)
        .and_then(|k| k.decrypt(&mut opened, DecryptionContext::None).map(|_| ()));
    if whole == 0 || done.is_err() {
        return Vec::new();
    }
    for (i, octet) in opened.iter_mut().enumerate() {
        *octet ^= if i < 16 { iv[i] } else { blocks[i - 16] };
    }
    let count = opened.last().copied().unwrap_or(0);
    if padding == Padding::Counted && (1..=16).contains(&count) {
        opened.truncate(opened.len() - usize::from(count));
    }
    opened
}
