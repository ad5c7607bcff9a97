//! Hashes and ciphers of old formats in one place, each in the form that the formats here need.
//!
//! Only ever used to see whether a password opens somebody's file; they protect nothing of ours. Spinning a hash a hundred thousand
//! times is what today's formats do to slow guessing down, so those loops work on arrays, without allocation.

use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

pub fn md5(input: &[u8]) -> [u8; 16] {
    md5::Md5::digest(input).into()
}

pub fn sha1(pieces: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    for piece in pieces {
        hash.update(piece);
    }
    hash.finalize().into()
}

/// The hashes that a format may choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub fn of(self, pieces: &[&[u8]]) -> Vec<u8> {
        fn hash<D: Digest>(pieces: &[&[u8]]) -> Vec<u8> {
            let mut hash = D::new();
            for piece in pieces {
                hash.update(piece);
            }
            hash.finalize().to_vec()
        }
        match self {
            Hash::Sha1 => hash::<Sha1>(pieces),
            Hash::Sha256 => hash::<Sha256>(pieces),
            Hash::Sha384 => hash::<Sha384>(pieces),
            Hash::Sha512 => hash::<Sha512>(pieces),
        }
    }

    /// `count` times: the hash of a counter and the last hash ([MS-OFFCRYPTO] §2.3.4.11).
    pub fn spin(self, first: &[u8], count: u32) -> Vec<u8> {
        fn spin<D: Digest>(first: &[u8], count: u32) -> Vec<u8> {
            let mut hash = D::new();
            hash.update(first);
            let mut value = hash.finalize();
            for i in 0..count {
                let mut hash = D::new();
                hash.update(i.to_le_bytes());
                hash.update(&value);
                value = hash.finalize();
            }
            value.to_vec()
        }
        match self {
            Hash::Sha1 => spin::<Sha1>(first, count),
            Hash::Sha256 => spin::<Sha256>(first, count),
            Hash::Sha384 => spin::<Sha384>(first, count),
            Hash::Sha512 => spin::<Sha512>(first, count),
        }
    }
}

/// `data` with the key stream over it.
pub fn rc4(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut state: [u8; 256] = std::array::from_fn(|i| i as u8);
    let mut j = 0u8;
    for i in 0..256 {
        j = j.wrapping_add(state[i]).wrapping_add(key[i % key.len()]);
        state.swap(i, j as usize);
    }
    let (mut i, mut j) = (0u8, 0u8);
    data.iter()
        .map(|byte| {
            i = i.wrapping_add(1);
            j = j.wrapping_add(state[i as usize]);
            state.swap(i as usize, j as usize);
            byte ^ state[state[i as usize].wrapping_add(state[j as usize]) as usize]
        })
        .collect()
}

/// Each block for itself. None where the key or the data has no such length.
pub fn aes_decrypt_blocks(key: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
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

/// Blocks chained, padding left where it is.
pub fn aes_decrypt_chained(key: &[u8], iv: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut opened = aes_decrypt_blocks(key, sealed)?;
    let iv = iv.get(..16)?;
    for (i, byte) in opened.iter_mut().enumerate() {
        *byte ^= if i < 16 { iv[i] } else { sealed[i - 16] };
    }
    Some(opened)
}

/// AES-128, blocks chained, for data of whole blocks.
pub fn aes_encrypt_chained(key: &[u8], iv: &[u8], clear: &[u8]) -> Option<Vec<u8>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(&md5(b"message digest")), "f96b697d7cb7938d525a2f31aaf161d0");
        assert_eq!(hex(&rc4(b"Key", b"Plaintext")), "bbf316e8d940af0ad3");
        assert_eq!(hex(&sha1(&[b"a", b"bc"])), "a9993e364706816aba3e25717850c26c9cd0d89d");
        // FIPS 197, appendix C.1.
        let key: Vec<u8> = (0..16).collect();
        let clear: Vec<u8> = (0..16).map(|i| i * 0x11).collect();
        let sealed = aes_encrypt_chained(&key, &[0; 16], &clear).unwrap();
        assert_eq!(hex(&sealed), "69c4e0d86a7b0430d8cdb78070b4c55a");
        assert_eq!(aes_decrypt_chained(&key, &[0; 16], &sealed).unwrap(), clear);
        assert_eq!(Hash::Sha256.spin(b"x", 1), Hash::Sha256.of(&[&0u32.to_le_bytes(), &Hash::Sha256.of(&[b"x"])]));
    }
}
