//! RAR 4 and 5: encrypted headers, or every file with a password (their technotes).

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use sha1::Digest;

use super::digest::aes_decrypt_chained;
use super::files::reads_as_text;
use super::{How, Kind, WhyNot, u16_at, u32_at};

const MAX_BLOCKS: usize = 20_000;
/// What may follow the archive.
const MAX_TRAILER: usize = 64;

pub fn judge(file: &[u8]) -> Result<How, WhyNot> {
    let seen = Seen::read(file).ok_or(WhyNot::Damaged)?;
    if seen.headers_encrypted {
        return Ok(How::strong(Kind::Rar));
    }
    match seen {
        Seen { only_claims: true, .. } => Err(WhyNot::OnlyClaims),
        Seen { clear: 1.., .. } => Err(WhyNot::NotProtected),
        Seen { in_pieces: true, .. } => Err(WhyNot::Piece),
        Seen { end, .. } if end > file.len() => Err(WhyNot::Damaged),
        Seen { end, .. } if end + MAX_TRAILER < file.len() => Err(WhyNot::Hidden),
        Seen { files: 0, .. } => Err(WhyNot::Empty),
        _ => Ok(How::strong(Kind::Rar)),
    }
}

/// What a password can be tried on; none where nothing in the archive tells whether it was right.
pub fn lock(file: &[u8]) -> Option<RarLock> {
    Seen::read(file)?.lock
}

/// What there is to see without a password.
#[derive(Default)]
struct Seen {
    headers_encrypted: bool,
    files: usize,
    clear: usize,
    only_claims: bool,
    in_pieces: bool,
    /// Where the last block ends; beyond the file if that is cut short.
    end: usize,
    lock: Option<RarLock>,
}

/// What a password is checked against.
pub enum RarLock {
    /// RAR 5: PBKDF2 and a check value of eight octets.
    Five { power: u8, salt: Vec<u8>, check: [u8; 8] },
    /// RAR 4 with encrypted headers: the first of them has a checksum.
    Four { salt: [u8; 8], sealed: Vec<u8> },
}

impl RarLock {
    pub fn rounds(&self, password: &str) -> u64 {
        match self {
            RarLock::Five { power, .. } => 2 * (1 << power) + 64,
            RarLock::Four { .. } => (((2 * password.encode_utf16().count() as u64 + 11) << 18) / 64) + 20,
        }
    }

    pub fn opens(&self, password: &str) -> bool {
        match self {
            RarLock::Five { power, salt, check } => {
                // The check value is what 32 rounds more make of the key.
                let Some(rounds) = NonZeroU32::new((1 << power) + 32) else { return false };
                let mut value = zeroize::Zeroizing::new([0; 32]);
                pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password.as_bytes(), &mut value[..]);
                let mut folded = [0; 8];
                value.iter().enumerate().for_each(|(i, b)| folded[i % 8] ^= b);
                folded == *check
            }
            RarLock::Four { salt, sealed } => opens_four(salt, sealed, password).unwrap_or(false),
        }
    }
}

/// Decrypts the first header and looks at its checksum.
fn opens_four(salt: &[u8; 8], sealed: &[u8], password: &str) -> Option<bool> {
    let mut block = zeroize::Zeroizing::new(password.encode_utf16().take(127).flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    block.extend_from_slice(salt);
    let mut hash = sha1::Sha1::new();
    let mut iv = Vec::with_capacity(16);
    for i in 0..1u32 << 18 {
        hash.update(&block[..]);
        hash.update(&i.to_le_bytes()[..3]);
        if i & 0x3fff == 0 {
            iv.push(hash.clone().finalize()[19]);
        }
    }
    let digest = hash.finalize();
    // The key is the digest's words, each turned round.
    let key: Vec<u8> = digest[..16].chunks(4).flat_map(|word| word.iter().rev().copied().collect::<Vec<_>>()).collect();
    let opened = aes_decrypt_chained(&key, &iv, sealed)?;
    let size = usize::from(u16_at(&opened, 5)?);
    let header = opened.get(2..size).filter(|h| h.len() >= 5)?;
    Some(super::zip::crc(header) as u16 == u16_at(&opened, 0)?)
}

impl Seen {
    fn read(file: &[u8]) -> Option<Seen> {
        if file.starts_with(b"Rar!\x1a\x07\x01\x00") { rar5(file) } else { rar4(file) }
    }

    /// `stored`: not packed, so that what only claims to be encrypted would read as text.
    fn file(&mut self, is_encrypted: bool, stored: &[u8]) {
        self.files += 1;
        self.clear += usize::from(!is_encrypted);
        self.only_claims |= is_encrypted && reads_as_text(stored);
    }
}

fn rar4(file: &[u8]) -> Option<Seen> {
    let mut seen = Seen { end: 7, ..Seen::default() };
    for _ in 0..MAX_BLOCKS {
        let at = seen.end;
        if at >= file.len() {
            break;
        }
        let (Some(kind), Some(flags), Some(size)) = (file.get(at + 2), u16_at(file, at + 3), u16_at(file, at + 5)) else { break };
        if size < 7 {
            return None;
        }
        let header_end = at + usize::from(size);
        let mut data = 0;
        match kind {
            0x73 => {
                seen.in_pieces |= flags & 0x01 != 0;
                if flags & 0x80 != 0 {
                    // Salt and ciphertext must be there.
                    let salt = file.get(header_end..header_end + 8)?.try_into().ok()?;
                    let sealed = file.get(header_end + 8..)?;
                    let sealed = sealed.get(..sealed.len().min(4_096) / 16 * 16).filter(|s| !s.is_empty() && !reads_as_text(s))?;
                    return Some(Seen { headers_encrypted: true, lock: Some(RarLock::Four { salt, sealed: sealed.to_vec() }), ..seen });
                }
            }
            0x74 => {
                data = u64::from(u32_at(file, at + 7)?);
                if flags & 0x100 != 0 {
                    data |= u64::from(u32_at(file, at + 32)?) << 32;
                }
                if flags & 0xe0 != 0xe0 {
                    let content = file.get(header_end..).unwrap_or_default();
                    seen.file(flags & 0x04 != 0, &content[..content.len().min(data as usize)]);
                }
            }
            0x7b => {
                seen.end = header_end;
                break;
            }
            _ if flags & 0x8000 != 0 => data = u64::from(u32_at(file, at + 7)?),
            _ => {}
        }
        seen.end = header_end.checked_add(usize::try_from(data).ok()?)?;
    }
    Some(seen)
}

fn rar5(file: &[u8]) -> Option<Seen> {
    let mut seen = Seen { end: 8, ..Seen::default() };
    for _ in 0..MAX_BLOCKS {
        let at = seen.end;
        if at >= file.len().saturating_sub(4) {
            break;
        }
        let mut cursor = at + 4;
        let size = usize::try_from(vint(file, &mut cursor)?).ok()?;
        let end = cursor.checked_add(size)?;
        let kind = vint(file, &mut cursor)?;
        let flags = vint(file, &mut cursor)?;
        let extra = if flags & 1 != 0 { usize::try_from(vint(file, &mut cursor)?).ok()? } else { 0 };
        let data = if flags & 2 != 0 { usize::try_from(vint(file, &mut cursor)?).ok()? } else { 0 };
        match kind {
            // Everything that follows is encrypted, and must be there.
            4 => {
                file.get(end..end + 32).filter(|sealed| !reads_as_text(sealed))?;
                return Some(Seen { headers_encrypted: true, lock: rar5_lock(file.get(cursor..end)?), ..seen });
            }
            5 => {
                seen.end = end;
                break;
            }
            1 => seen.in_pieces |= vint(file, &mut cursor)? & 1 != 0,
            2 => {
                let file_flags = vint(file, &mut cursor)?;
                if file_flags & 1 == 0 {
                    // The records stand at the end of this very header: blocks that share theirs would be read over and over.
                    let records = end.checked_sub(extra).filter(|start| *start >= cursor)?;
                    let encryption = rar5_encryption(file.get(records..end)?);
                    let content = file.get(end..).unwrap_or_default();
                    seen.file(encryption.is_some(), &content[..content.len().min(data)]);
                    seen.lock = seen.lock.or(encryption.and_then(rar5_lock));
                }
            }
            _ => {}
        }
        seen.end = end.checked_add(data)?;
    }
    Some(seen)
}

/// The encryption record among a file's extra records.
fn rar5_encryption(records: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    while at < records.len() {
        let size = vint(records, &mut at).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0)?;
        let end = at.checked_add(size)?;
        let mut cursor = at;
        if vint(records, &mut cursor) == Some(1) {
            return Some(records.get(cursor..end).unwrap_or_default());
        }
        at = end;
    }
    None
}

/// Version, flags, rounds, salt, in a file's record the initial vector, check value.
fn rar5_lock(record: &[u8]) -> Option<RarLock> {
    let mut at = 0;
    vint(record, &mut at)?;
    if vint(record, &mut at)? & 1 == 0 {
        return None;
    }
    let power = *record.get(at)?;
    let salt = record.get(at + 1..at + 17)?.to_vec();
    let check_at = record.len().checked_sub(12).filter(|check| *check >= at + 17)?;
    let check = record.get(check_at..check_at + 8)?.try_into().ok()?;
    (power <= 24).then_some(RarLock::Five { power, salt, check })
}

fn vint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rar_by_its_headers() {
        // RAR 4: main header, one file with a password, one without.
        let main = [0, 0, 0x73, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0];
        let file = |flags: u8| {
            let mut block = vec![0, 0, 0x74, flags, 0x80, 33, 0, 4, 0, 0, 0];
            block.resize(33 + 4, 0);
            block
        };
        let rar4 = |blocks: &[&[u8]]| [b"Rar!\x1a\x07\x00", &main[..], &blocks.concat()].concat();
        assert_eq!(judge(&rar4(&[&file(4)])), Ok(How::strong(Kind::Rar)));
        assert_eq!(judge(&rar4(&[&file(4), &file(0)])), Err(WhyNot::NotProtected));
        let sealed_headers = [&b"Rar!\x1a\x07\x00"[..], &[0, 0, 0x73, 0x80, 0, 13, 0, 0, 0, 0, 0, 0, 0], &[0x9a; 24]].concat();
        assert_eq!(judge(&sealed_headers), Ok(How::strong(Kind::Rar)));
        assert_eq!(judge(&sealed_headers[..30]), Err(WhyNot::Damaged));
        // RAR 5: size, type, flags, extra size, data size, file flags, extra record.
        let rar5 = |blocks: &[&[u8]]| [b"Rar!\x1a\x07\x01\x00", &blocks.concat()[..]].concat();
        let sealed = [0, 0, 0, 0, 8, 2, 3, 3, 1, 0, 2, 1, 0, b'x'];
        let clear = [0, 0, 0, 0, 4, 2, 2, 1, 0, b'x'];
        assert_eq!(judge(&rar5(&[&sealed])), Ok(How::strong(Kind::Rar)));
        assert_eq!(judge(&rar5(&[&sealed, &clear])), Err(WhyNot::NotProtected));
        assert_eq!(judge(&rar5(&[&[0, 0, 0, 0, 2, 4, 0], &[0x9a; 32]])), Ok(How::strong(Kind::Rar)));
        assert_eq!(judge(&rar5(&[&[0, 0, 0, 0, 2, 4, 0]])), Err(WhyNot::Damaged));
        assert_eq!(judge(&rar5(&[])), Err(WhyNot::Empty));
    }

    #[test]
    fn hostile_lengths_are_harmless() {
        // Sizes that reach the end of all numbers.
        let mut block = vec![0, 0, 0x74, 4, 0x81, 40, 0];
        block.extend(u32::MAX.to_le_bytes());
        block.resize(32, 0);
        block.extend(u32::MAX.to_le_bytes());
        block.resize(40, 0);
        for less in 40..60u32 {
            block[7..11].copy_from_slice(&(u32::MAX - less).to_le_bytes());
            assert!(judge(&[b"Rar!\x1a\x07\x00", &block[..], &[9; 40]].concat()).is_err());
        }
        // Blocks that all call the whole file before them their own records.
        let filler = [1, 9].repeat(1 << 20);
        let head = [b"Rar!\x1a\x07\x01\x00\0\0\0\0".to_vec(), vec![0x83, 0x80, 0x80, 1, 9, 0], filler].concat();
        let block = [0, 0, 0, 0, 0x85, 0, 2, 1, 0x80, 0x80, 0x40, 0];
        assert!(judge(&[head, block.repeat(19_000)].concat()).is_err());
    }
}
