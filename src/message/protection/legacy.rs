//! Does the password that Excel tries by itself open it? Then it protects nothing ([MS-OFFCRYPTO] §2.3, [MS-XLS] §2.2.10).

use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};

use super::digest::{md5, rc4};
use super::{u16_at, u32_at};
use crate::message::transfer;

const PASSWORD: &str = "VelvetSweatshop";
/// More rounds of hashing than this are not spent on one file.
const MAX_SPIN: u32 = 1_000_000;

fn password() -> Vec<u8> {
    PASSWORD.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// An `EncryptionInfo` stream, of the agile or the standard kind.
pub fn opens_package(info: &[u8]) -> bool {
    match (u16_at(info, 0), u16_at(info, 2)) {
        (Some(4), Some(4)) => agile(&String::from_utf8_lossy(&info[8.min(info.len())..])).unwrap_or(false),
        (Some(2..=4), Some(2)) => u32_at(info, 8).and_then(|size| standard(info, 12, size as usize)).unwrap_or(false),
        _ => false,
    }
}

/// The content of a FILEPASS record.
pub fn opens_workbook(filepass: &[u8]) -> bool {
    let answer = match (u16_at(filepass, 0), u16_at(filepass, 2), u16_at(filepass, 4)) {
        (Some(0), _, _) => u16_at(filepass, 4).map(|verifier| verifier == xor_verifier()),
        (Some(1), Some(1), Some(1)) => filepass.get(6..54).map(|rest| rc4_basic(&rest[..16], &rest[16..32], &rest[32..48])),
        (Some(1), Some(2..=4), Some(2)) => u32_at(filepass, 10).and_then(|size| standard(filepass, 14, size as usize)),
        // BIFF5: key and verifier alone.
        _ if filepass.len() == 4 => u16_at(filepass, 2).map(|verifier| verifier == xor_verifier()),
        _ => None,
    };
    answer.unwrap_or(false)
}

fn sha1(pieces: &[&[u8]]) -> Vec<u8> {
    hash(&SHA1_FOR_LEGACY_USE_ONLY, pieces)
}

fn hash(algorithm: &'static digest::Algorithm, pieces: &[&[u8]]) -> Vec<u8> {
    let mut context = digest::Context::new(algorithm);
    for piece in pieces {
        context.update(piece);
    }
    context.finish().as_ref().to_vec()
}

fn spun(algorithm: &'static digest::Algorithm, salt: &[u8], spin: u32) -> Vec<u8> {
    let mut value = hash(algorithm, &[salt, &password()]);
    for i in 0..spin {
        value = hash(algorithm, &[&i.to_le_bytes(), &value]);
    }
    value
}

/// EncryptionHeader at `at`, `size` octets, then EncryptionVerifier: AES of the standard kind, or RC4 CryptoAPI.
fn standard(info: &[u8], at: usize, size: usize) -> Option<bool> {
    const RC4: u32 = 0x6801;
    let algorithm = u32_at(info, at + 8)?;
    let key_bits = u32_at(info, at + 16)?;
    let verifier = at.checked_add(size)?;
    let salt = info.get(verifier + 4..verifier + 20)?;
    let sealed = info.get(verifier + 20..verifier + 36)?;
    if algorithm == RC4 {
        let key_len = if key_bits == 0 { 5 } else { (key_bits as usize / 8).clamp(5, 16) };
        let mut key = sha1(&[&sha1(&[salt, &password()]), &0u32.to_le_bytes()]);
        key.truncate(key_len);
        // A 40-bit key is filled up with zeros.
        if key_len == 5 {
            key.resize(16, 0);
        }
        let opened = rc4(&key, &[sealed, info.get(verifier + 40..verifier + 60)?].concat());
        return Some(sha1(&[&opened[..16]]) == opened[16..]);
    }
    let key_len = match algorithm {
        0x660e => 16,
        0x660f => 24,
        0x6610 => 32,
        _ => return None,
    };
    let last = sha1(&[&spun(&SHA1_FOR_LEGACY_USE_ONLY, salt, 50_000), &0u32.to_le_bytes()]);
    let pad = |fill: u8| {
        let mut block = [fill; 64];
        block.iter_mut().zip(&last).for_each(|(b, h)| *b ^= h);
        sha1(&[&block])
    };
    let key = &[pad(0x36), pad(0x5c)].concat()[..key_len];
    let opened = aes_blocks(key, sealed)?;
    let hashed = aes_blocks(key, info.get(verifier + 40..verifier + 72)?)?;
    Some(sha1(&[&opened]) == hashed[..20])
}

/// The password key encryptor in the XML of the agile kind.
fn agile(xml: &str) -> Option<bool> {
    let key = &xml[xml.find("encryptedKey ")?..];
    let attribute = |name: &str| {
        let start = key.find(&format!(" {name}=\""))? + name.len() + 3;
        Some(&key[start..start + key[start..].find('"')?])
    };
    let algorithm = match attribute("hashAlgorithm")? {
        "SHA1" | "SHA-1" => &SHA1_FOR_LEGACY_USE_ONLY,
        "SHA256" | "SHA-256" => &SHA256,
        "SHA384" | "SHA-384" => &SHA384,
        "SHA512" | "SHA-512" => &SHA512,
        _ => return None,
    };
    if attribute("cipherAlgorithm")? != "AES" || attribute("cipherChaining")? != "ChainingModeCBC" {
        return None;
    }
    let spin: u32 = attribute("spinCount")?.parse().ok().filter(|n| *n <= MAX_SPIN)?;
    let key_len = attribute("keyBits")?.parse::<usize>().ok()? / 8;
    let salt = transfer::base64(attribute("saltValue")?.as_bytes());
    let spun = spun(algorithm, &salt, spin);
    let open = |block: [u8; 8], sealed: &str| {
        let mut key = hash(algorithm, &[&spun, &block]);
        key.resize(key_len, 0x36);
        let mut iv = salt.clone();
        iv.resize(16, 0x36);
        cbc(&key, &iv, &transfer::base64(sealed.as_bytes()))
    };
    let input = open([0xfe, 0xa7, 0xd2, 0x76, 0x3b, 0x4b, 0x9e, 0x79], attribute("encryptedVerifierHashInput")?)?;
    let value = open([0xd7, 0xaa, 0x0f, 0x6d, 0x30, 0x61, 0x34, 0x4e], attribute("encryptedVerifierHashValue")?)?;
    let expected = hash(algorithm, &[input.get(..salt.len())?]);
    Some(value.get(..expected.len())? == expected)
}

fn cbc(key: &[u8], iv: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut opened = aes_blocks(key, sealed)?;
    for (i, byte) in opened.iter_mut().enumerate() {
        *byte ^= if i < 16 { iv[i] } else { sealed[i - 16] };
    }
    Some(opened)
}

/// Each block for itself.
fn aes_blocks(key: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let algorithm = match key.len() {
        16 => &AES_128,
        24 => &AES_192,
        32 => &AES_256,
        _ => return None,
    };
    if sealed.is_empty() || !sealed.len().is_multiple_of(16) {
        return None;
    }
    let key = DecryptingKey::ecb(UnboundCipherKey::new(algorithm, key).ok()?).ok()?;
    let mut opened = sealed.to_vec();
    key.decrypt(&mut opened, DecryptionContext::None).ok()?;
    Some(opened)
}

/// RC4 with a 40-bit key ([MS-OFFCRYPTO] §2.3.6).
fn rc4_basic(salt: &[u8], verifier: &[u8], verifier_hash: &[u8]) -> bool {
    let first = md5(&password());
    let second = md5(&[&first[..5], salt].concat().repeat(16));
    let key = md5(&[&second[..5], &0u32.to_le_bytes()[..]].concat());
    let opened = rc4(&key, &[verifier, verifier_hash].concat());
    md5(&opened[..16])[..] == opened[16..]
}

/// XOR obfuscation, method 1 ([MS-OFFCRYPTO] §2.3.7.1).
fn xor_verifier() -> u16 {
    let mut verifier = 0u16;
    for &byte in PASSWORD.as_bytes().iter().rev().chain(&[PASSWORD.len() as u8]) {
        verifier = (verifier >> 14 & 1 | verifier << 1 & 0x7fff) ^ u16::from(byte);
    }
    verifier ^ 0xce4b
}
