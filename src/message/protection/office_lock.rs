//! Does this password open it? For Office documents of all ages ([MS-OFFCRYPTO] §2.3, [MS-XLS] §2.2.10, [MS-DOC] §2.2.6).

use super::digest::{Hash, aes_decrypt_blocks, aes_decrypt_chained, md5, rc4, sha1};
use super::{u16_at, u32_at};
use crate::message::transfer;

/// What Excel tries by itself: it protects nothing.
pub const BUILT_IN: &str = "VelvetSweatshop";
/// More rounds of hashing than this are not spent on one try. Word's own are 100,000.
const MAX_SPIN: u32 = 1_000_000;

/// What a password is checked against.
pub enum OfficeLock {
    /// One of these is the verifier (§2.3.7.1).
    Xor([u16; 2]),
    /// 40-bit RC4 (§2.3.6).
    Rc4 {
        salt: [u8; 16],
        verifier: Vec<u8>,
    },
    /// RC4 by CryptoAPI (§2.3.5).
    CryptoApi {
        salt: Vec<u8>,
        key_len: usize,
        verifier: Vec<u8>,
    },
    /// AES with a fixed number of rounds (§2.3.4.5).
    Standard {
        salt: Vec<u8>,
        key_len: usize,
        verifier: Vec<u8>,
        verifier_hash: Vec<u8>,
    },
    Agile(Box<Agile>),
}

/// The password key encryptor in the XML of the agile kind (§2.3.4.10).
pub struct Agile {
    hash: Hash,
    spin: u32,
    key_len: usize,
    salt: Vec<u8>,
    input: Vec<u8>,
    value: Vec<u8>,
    key: Vec<u8>,
    data_salt: Vec<u8>,
    data_hash: Hash,
}

impl OfficeLock {
    /// An `EncryptionInfo`, wherever it stands.
    pub fn of_info(info: &[u8]) -> Option<OfficeLock> {
        match (u16_at(info, 0)?, u16_at(info, 2)?) {
            (4, 4) => Agile::of(&String::from_utf8_lossy(info.get(8..)?)).map(|a| OfficeLock::Agile(Box::new(a))),
            (2..=4, 2) => OfficeLock::of_header(info, 12, u32_at(info, 8)? as usize),
            (1, 1) => Some(OfficeLock::Rc4 { salt: info.get(4..20)?.try_into().ok()?, verifier: info.get(20..52)?.to_vec() }),
            _ => None,
        }
    }

    /// The content of a workbook's FILEPASS record.
    pub fn of_file_pass(content: &[u8]) -> Option<OfficeLock> {
        match u16_at(content, 0)? {
            // BIFF5: key and verifier alone.
            _ if content.len() == 4 => Some(OfficeLock::Xor([u16_at(content, 2)?; 2])),
            0 => Some(OfficeLock::Xor([u16_at(content, 4)?; 2])),
            1 => OfficeLock::of_info(&content[2..]),
            _ => None,
        }
    }

    /// EncryptionHeader at `at`, `size` octets, then EncryptionVerifier.
    fn of_header(info: &[u8], at: usize, size: usize) -> Option<OfficeLock> {
        const RC4: u32 = 0x6801;
        let key_bits = u32_at(info, at + 16)? as usize;
        let verifier = at.checked_add(size)?;
        let piece = |from: usize, to: usize| info.get(verifier.checked_add(from)?..verifier.checked_add(to)?).map(<[u8]>::to_vec);
        let salt = piece(4, 20)?;
        let key_len = match u32_at(info, at + 8)? {
            // Without a number the key has 40 bits.
            RC4 if key_bits == 0 => 5,
            RC4 => (key_bits / 8).clamp(5, 16),
            0x660e => 16,
            0x660f => 24,
            0x6610 => 32,
            _ => return None,
        };
        Some(match u32_at(info, at + 8)? {
            RC4 => OfficeLock::CryptoApi { salt, key_len, verifier: [piece(20, 36)?, piece(40, 60)?].concat() },
            _ => OfficeLock::Standard { salt, key_len, verifier: piece(20, 36)?, verifier_hash: piece(40, 72)? },
        })
    }

    /// The blocks that one try hashes.
    pub fn rounds(&self) -> u64 {
        match self {
            OfficeLock::Xor(_) => 1,
            OfficeLock::Rc4 { .. } | OfficeLock::CryptoApi { .. } => 20,
            OfficeLock::Standard { .. } => 50_010,
            OfficeLock::Agile(agile) => u64::from(agile.spin) + 10,
        }
    }

    pub fn opens(&self, password: &str) -> bool {
        let wide: zeroize::Zeroizing<Vec<u8>> = zeroize::Zeroizing::new(password.encode_utf16().flat_map(u16::to_le_bytes).collect());
        match self {
            OfficeLock::Xor(verifiers) => verifiers.contains(&xor_verifier(password)),
            OfficeLock::Rc4 { salt, verifier } => {
                let first = md5(&wide);
                let second = md5(&[&first[..5], salt].concat().repeat(16));
                let key = md5(&[&second[..5], &0u32.to_le_bytes()[..]].concat());
                let opened = rc4(&key, verifier);
                md5(&opened[..16])[..] == opened[16..]
            }
            OfficeLock::CryptoApi { salt, key_len, verifier } => {
                let mut key = sha1(&[&sha1(&[salt, &wide]), &0u32.to_le_bytes()])[..*key_len].to_vec();
                // A 40-bit key is filled up with zeros.
                if *key_len == 5 {
                    key.resize(16, 0);
                }
                let opened = rc4(&key, verifier);
                sha1(&[&opened[..16]])[..] == opened[16..]
            }
            OfficeLock::Standard { salt, key_len, verifier, verifier_hash } => {
                let key = standard_key(salt, *key_len, &wide);
                let opened = aes_decrypt_blocks(&key, verifier).zip(aes_decrypt_blocks(&key, verifier_hash));
                opened.is_some_and(|(verifier, hash)| sha1(&[&verifier])[..] == hash[..20])
            }
            OfficeLock::Agile(agile) => agile.key_value(&wide).is_some(),
        }
    }

    /// The first octets of the document, for a password that opens it.
    pub fn start(&self, password: &str, package: &[u8]) -> Option<Vec<u8>> {
        const SEGMENT: usize = 4_096;
        let wide: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let sealed = package.get(8..)?;
        let whole_blocks = |bytes: usize| &sealed[..sealed.len().min(bytes) / 16 * 16];
        match self {
            OfficeLock::Standard { salt, key_len, .. } => {
                aes_decrypt_blocks(&standard_key(salt, *key_len, &wide), whole_blocks(16 * SEGMENT))
            }
            OfficeLock::Agile(agile) => {
                let key = agile.key_value(&wide)?;
                let mut out = Vec::new();
                for (i, segment) in whole_blocks(16 * SEGMENT).chunks(SEGMENT).enumerate() {
                    let mut iv = agile.data_hash.of(&[&agile.data_salt, &(i as u32).to_le_bytes()]);
                    iv.resize(16, 0x36);
                    out.extend(aes_decrypt_chained(&key, &iv, segment)?);
                }
                Some(out)
            }
            _ => None,
        }
    }
}

fn standard_key(salt: &[u8], key_len: usize, password: &[u8]) -> Vec<u8> {
    let last = sha1(&[&Hash::Sha1.spin(&[salt, password].concat(), 50_000), &0u32.to_le_bytes()]);
    let pad = |fill: u8| {
        let mut block = [fill; 64];
        block.iter_mut().zip(&last).for_each(|(b, h)| *b ^= h);
        sha1(&[&block])
    };
    let mut key = [pad(0x36), pad(0x5c)].concat();
    key.truncate(key_len);
    key
}

impl Agile {
    fn of(xml: &str) -> Option<Agile> {
        let key = &xml[xml.find("encryptedKey ")?..];
        let data = &xml[xml.find("keyData ")?..];
        fn attribute<'x>(element: &'x str, name: &str) -> Option<&'x str> {
            let element = &element[..element.find('>').unwrap_or(element.len())];
            let start = element.find(&format!(" {name}=\""))? + name.len() + 3;
            Some(&element[start..start + element[start..].find('"')?])
        }
        let hash = |element: &str| {
            Some(match attribute(element, "hashAlgorithm")? {
                "SHA1" | "SHA-1" => Hash::Sha1,
                "SHA256" | "SHA-256" => Hash::Sha256,
                "SHA384" | "SHA-384" => Hash::Sha384,
                "SHA512" | "SHA-512" => Hash::Sha512,
                _ => return None,
            })
        };
        if attribute(key, "cipherAlgorithm")? != "AES" || attribute(key, "cipherChaining")? != "ChainingModeCBC" {
            return None;
        }
        let octets = |element: &str, name: &str| attribute(element, name).map(|value| transfer::base64(value.as_bytes()));
        Some(Agile {
            hash: hash(key)?,
            spin: attribute(key, "spinCount")?.parse().ok().filter(|n| *n <= MAX_SPIN)?,
            key_len: attribute(key, "keyBits")?.parse::<usize>().ok().filter(|n| *n <= 256)? / 8,
            salt: octets(key, "saltValue")?,
            input: octets(key, "encryptedVerifierHashInput")?,
            value: octets(key, "encryptedVerifierHashValue")?,
            key: octets(key, "encryptedKeyValue")?,
            data_salt: octets(data, "saltValue")?,
            data_hash: hash(data)?,
        })
    }

    /// The key of the data; none where the password is another.
    fn key_value(&self, password: &[u8]) -> Option<Vec<u8>> {
        let spun = self.hash.spin(&[&self.salt, password].concat(), self.spin);
        let open = |block: [u8; 8], sealed: &[u8]| {
            let mut key = self.hash.of(&[&spun, &block]);
            key.resize(self.key_len, 0x36);
            let mut iv = self.salt.clone();
            iv.resize(16, 0x36);
            aes_decrypt_chained(&key, &iv, sealed)
        };
        let input = open([0xfe, 0xa7, 0xd2, 0x76, 0x3b, 0x4b, 0x9e, 0x79], &self.input)?;
        let value = open([0xd7, 0xaa, 0x0f, 0x6d, 0x30, 0x61, 0x34, 0x4e], &self.value)?;
        let expected = self.hash.of(&[input.get(..self.salt.len())?]);
        if value.get(..expected.len())? != expected {
            return None;
        }
        let mut key = open([0x14, 0x6e, 0x0b, 0xe7, 0xab, 0xac, 0xd0, 0xd6], &self.key)?;
        key.truncate(self.key_len);
        Some(key)
    }
}

/// XOR obfuscation, method 1: of each character its low octet, or the high one where that is zero.
fn xor_verifier(password: &str) -> u16 {
    let octets: Vec<u8> = password
        .encode_utf16()
        .take(15)
        .map(|unit| match unit.to_le_bytes() {
            [0, high] => high,
            [low, _] => low,
        })
        .collect();
    let mut verifier = 0u16;
    for &octet in octets.iter().rev().chain(&[octets.len() as u8]) {
        verifier = (verifier >> 14 & 1 | verifier << 1 & 0x7fff) ^ u16::from(octet);
    }
    verifier ^ 0xce4b
}
