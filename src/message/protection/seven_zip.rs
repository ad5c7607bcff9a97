//! 7z: the header is encrypted, or every file passes through AES (7zFormat.txt). Names may be clear.

use super::digest::aes_decrypt_chained;
use super::{How, Kind, WhyNot, lzma, u64_at};

/// A format of lists bounds them.
const MAX_ENTRIES: usize = 20_000;

/// 7z: the header is encrypted, or every folder passes through AES.
pub fn judge(file: &[u8]) -> Result<How, WhyNot> {
    let contents = Contents::read(file)?;
    if contents.end + MAX_TRAILER < file.len() {
        return Err(WhyNot::Hidden);
    }
    match contents.folders.as_slice() {
        [] => Err(WhyNot::Empty),
        folders if folders.iter().all(|f| f.aes.is_some()) => Ok(How::strong(Kind::SevenZip)),
        _ => Err(WhyNot::NotProtected),
    }
}

/// What may follow the archive.
const MAX_TRAILER: usize = 64;

/// What there is to see without a password.
struct Contents {
    /// The folders of the files, or the one of an encrypted header.
    folders: Vec<Folder>,
    /// The packed streams of the folders, in their order.
    pack_position: u64,
    pack_sizes: Vec<u64>,
    end: usize,
}

impl Contents {
    fn read(file: &[u8]) -> Result<Contents, WhyNot> {
        const HEADER: u8 = 0x01;
        const ENCODED_HEADER: u8 = 0x17;
        let offset = usize::try_from(u64_at(file, 12).ok_or(WhyNot::Damaged)?).map_err(|_| WhyNot::Damaged)?;
        let size = usize::try_from(u64_at(file, 20).ok_or(WhyNot::Damaged)?).map_err(|_| WhyNot::Damaged)?;
        let start = offset.checked_add(32).ok_or(WhyNot::Damaged)?;
        let end = start.checked_add(size).ok_or(WhyNot::Damaged)?;
        if size == 0 {
            return Err(WhyNot::Empty);
        }
        let mut header = file.get(start..end).ok_or(WhyNot::Damaged)?.to_vec();
        // A header may be packed more than once; nobody does it more than twice.
        for _ in 0..4 {
            let mut reader = SevenZip { bytes: &header, at: 1 };
            let streams = match header.first() {
                Some(&HEADER) => reader.header().ok_or(WhyNot::Damaged)?.ok_or(WhyNot::Empty)?,
                Some(&ENCODED_HEADER) => {
                    let streams = reader.streams().ok_or(WhyNot::Damaged)?;
                    if streams.folders.first().ok_or(WhyNot::Damaged)?.aes.is_none() {
                        header = unpack_header(file, &streams).ok_or(WhyNot::Damaged)?;
                        continue;
                    }
                    streams
                }
                _ => return Err(WhyNot::Damaged),
            };
            // A file that is cut short lacks its end, where the header is; ciphertext that is not there is a lie.
            let packed: u64 = streams.pack_sizes.iter().fold(streams.pack_position, |sum, n| sum.saturating_add(*n));
            if packed > offset as u64 {
                return Err(WhyNot::Damaged);
            }
            return Ok(Contents { folders: streams.folders, pack_position: streams.pack_position, pack_sizes: streams.pack_sizes, end });
        }
        Err(WhyNot::Damaged)
    }
}

/// What a password is checked against: the first folder whose content tells whether it was opened.
pub struct SevenZipLock {
    rounds_power: u8,
    salt: Vec<u8>,
    iv: Vec<u8>,
    sealed: Vec<u8>,
    /// Octets behind AES, without the padding.
    length: usize,
    inner: Inner,
    size: usize,
    crc: Option<u32>,
}

/// What stands behind the AES coder.
#[derive(Clone, Copy, Debug)]
enum Inner {
    Copy,
    Lzma([u8; 5]),
    Lzma2,
}

/// The lock of an archive; none where its coders do not tell whether a password was right.
pub fn lock(file: &[u8]) -> Option<SevenZipLock> {
    /// A larger folder is decided by its first octets.
    const MAX_SEALED: usize = 1 << 20;
    let contents = Contents::read(file).ok()?;
    let mut at = usize::try_from(contents.pack_position).ok()?.checked_add(32)?;
    let mut sizes = contents.pack_sizes.iter();
    for folder in &contents.folders {
        let packed = usize::try_from(*sizes.next()?).ok()?;
        let sealed = file.get(at..at.checked_add(packed)?)?;
        at += packed;
        // More streams than one: coders that are bound in other ways than those below.
        if folder.packed != 1 {
            for _ in 1..folder.packed {
                at = at.checked_add(usize::try_from(*sizes.next()?).ok()?)?;
            }
            continue;
        }
        let Some(aes) = &folder.aes else { continue };
        let (inner, length, size) = match (folder.coders, folder.inner, folder.sizes.as_slice()) {
            (1, None, [length]) => (Inner::Copy, *length, *length),
            (2, Some(inner), [a, b]) => {
                // The AES coder's output is the other's input; it is the one that fits the packed size.
                let (length, size) = if folder.aes_first { (*a, *b) } else { (*b, *a) };
                (inner, length, size)
            }
            _ => continue,
        };
        let (Ok(length), Ok(size)) = (usize::try_from(length), usize::try_from(size)) else { continue };
        if length > packed || length + 16 <= packed {
            continue;
        }
        let whole = sealed.len() <= MAX_SEALED && size <= 4 << 20;
        return Some(SevenZipLock {
            rounds_power: aes.rounds_power,
            salt: aes.salt.clone(),
            iv: aes.iv.clone(),
            sealed: sealed[..sealed.len().min(MAX_SEALED) / 16 * 16].to_vec(),
            length,
            inner,
            size,
            crc: folder.crc.filter(|_| whole),
        });
    }
    None
}

impl SevenZipLock {
    pub fn rounds(&self, password: &str) -> u64 {
        let octets = self.salt.len() as u64 + 2 * password.encode_utf16().count() as u64 + 8;
        // Hashed without end, or not at all.
        if self.rounds_power == 0x3f { 10 } else { (octets << self.rounds_power.min(40)) / 64 + 10 + self.sealed.len() as u64 / 64 }
    }

    pub fn opens(&self, password: &str) -> bool {
        let key = self.key(password);
        let Some(opened) = aes_decrypt_chained(&key[..], &self.iv, &self.sealed) else { return false };
        let (content, padding) = opened.split_at(self.length.min(opened.len()));
        if padding.iter().any(|b| *b != 0) {
            return false;
        }
        let unpacked = match self.inner {
            Inner::Copy => Some(content.to_vec()),
            Inner::Lzma(properties) => lzma::decode(&properties, content, self.size.min(4 << 20)),
            Inner::Lzma2 => lzma::decode_first_chunk(content),
        };
        let Some(unpacked) = unpacked else { return false };
        match self.crc {
            Some(crc) if unpacked.len() == self.size => super::zip::crc(&unpacked) == crc,
            // Nothing to compare: random octets do not unpack, and random padding is not zero.
            _ => !matches!(self.inner, Inner::Copy) && unpacked.len() >= 32 || padding.len() >= 4,
        }
    }

    /// SHA-256 over salt, password and a counter, over and over in one stream.
    fn key(&self, password: &str) -> zeroize::Zeroizing<[u8; 32]> {
        use sha2::Digest;
        let mut block = zeroize::Zeroizing::new(self.salt.clone());
        block.extend(password.encode_utf16().flat_map(u16::to_le_bytes));
        if self.rounds_power == 0x3f {
            let mut key = [0; 32];
            key.iter_mut().zip(block.iter()).for_each(|(k, b)| *k = *b);
            return zeroize::Zeroizing::new(key);
        }
        let counter_at = block.len();
        block.extend([0; 8]);
        let mut hash = sha2::Sha256::new();
        for i in 0..1u64 << self.rounds_power {
            block[counter_at..].copy_from_slice(&i.to_le_bytes());
            hash.update(&block[..]);
        }
        zeroize::Zeroizing::new(hash.finalize().into())
    }
}

/// Headers beyond this are not unpacked.
const MAX_HEADER: u64 = 4 << 20;

fn unpack_header(file: &[u8], streams: &Streams) -> Option<Vec<u8>> {
    let folder = streams.folders.first()?;
    let size = *folder.sizes.last()?;
    if size > MAX_HEADER || folder.coders != 1 {
        return None;
    }
    let start = usize::try_from(streams.pack_position).ok()?.checked_add(32)?;
    let packed = file.get(start..start.checked_add(usize::try_from(*streams.pack_sizes.first()?).ok()?)?)?;
    match folder.inner? {
        Inner::Lzma(properties) => lzma::decode(&properties, packed, size as usize),
        Inner::Lzma2 => lzma::decode_first_chunk(packed).filter(|header| header.len() as u64 == size),
        Inner::Copy => Some(packed.to_vec()),
    }
}

struct Streams {
    pack_position: u64,
    pack_sizes: Vec<u64>,
    folders: Vec<Folder>,
}

#[derive(Default)]
struct Folder {
    aes: Option<Aes>,
    /// The AES coder is the first of the list.
    aes_first: bool,
    /// The coder beside it, or the only one.
    inner: Option<Inner>,
    coders: usize,
    /// Streams as they stand in the file.
    packed: usize,
    sizes: Vec<u64>,
    outputs: usize,
    /// Of its only file.
    crc: Option<u32>,
}

/// The properties of the AES coder.
struct Aes {
    rounds_power: u8,
    salt: Vec<u8>,
    iv: Vec<u8>,
}

impl Aes {
    fn of(properties: &[u8]) -> Option<Aes> {
        let (&first, rest) = properties.split_first()?;
        let (mut salt_len, mut iv_len) = (usize::from(first >> 7), usize::from(first >> 6 & 1));
        let mut rest = rest;
        if first & 0xc0 != 0 {
            let (&second, tail) = rest.split_first()?;
            salt_len += usize::from(second >> 4);
            iv_len += usize::from(second & 0x0f);
            rest = tail;
        }
        let salt = rest.get(..salt_len)?.to_vec();
        let mut iv = rest.get(salt_len..salt_len + iv_len)?.to_vec();
        iv.resize(16, 0);
        Some(Aes { rounds_power: first & 0x3f, salt, iv })
    }
}

struct SevenZip<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl SevenZip<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// The leading ones of the first octet count the octets that follow.
    fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let mut value = 0u64;
        let mut mask = 0x80u8;
        for i in 0..8 {
            if first & mask == 0 {
                return Some(value | u64::from(first & (mask - 1)) << (8 * i));
            }
            value |= u64::from(self.byte()?) << (8 * i);
            mask >>= 1;
        }
        Some(value)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|n| *n <= MAX_ENTRIES)
    }

    /// Header: archive properties, additional streams, main streams; files are not needed.
    fn header(&mut self) -> Option<Option<Streams>> {
        loop {
            match self.byte()? {
                0x02 => loop {
                    if self.byte()? == 0 {
                        break;
                    }
                    let size = self.count()?;
                    self.take(size)?;
                },
                0x03 => {
                    self.streams()?;
                }
                0x04 => return self.streams().map(Some),
                0x00 | 0x05 => return Some(None),
                _ => return None,
            }
        }
    }

    /// StreamsInfo: PackInfo, UnpackInfo (CodersInfo), SubStreamsInfo.
    fn streams(&mut self) -> Option<Streams> {
        let mut streams = Streams { pack_position: 0, pack_sizes: Vec::new(), folders: Vec::new() };
        loop {
            match self.byte()? {
                0x00 => return Some(streams),
                0x06 => {
                    streams.pack_position = self.number()?;
                    let count = self.count()?;
                    loop {
                        match self.byte()? {
                            0x00 => break,
                            0x09 => {
                                for _ in 0..count {
                                    streams.pack_sizes.push(self.number()?);
                                }
                            }
                            0x0a => {
                                self.digests(count)?;
                            }
                            _ => return None,
                        }
                    }
                }
                0x07 => {
                    if self.byte()? != 0x0b {
                        return None;
                    }
                    let count = self.count()?;
                    if self.byte()? != 0 {
                        return None;
                    }
                    for _ in 0..count {
                        let folder = self.folder()?;
                        streams.folders.push(folder);
                    }
                    loop {
                        match self.byte()? {
                            0x00 => break,
                            0x0c => {
                                for i in 0..count {
                                    for _ in 0..streams.folders[i].outputs {
                                        let size = self.number()?;
                                        streams.folders[i].sizes.push(size);
                                    }
                                }
                            }
                            0x0a => {
                                let digests = self.digests(count)?;
                                streams.folders.iter_mut().zip(digests).for_each(|(folder, crc)| folder.crc = crc);
                            }
                            _ => return None,
                        }
                    }
                }
                // SubStreamsInfo comes last and says nothing about coders; of folders with one file it has the checksum.
                0x08 => {
                    let before = self.at;
                    if self.sub_streams(&mut streams).is_none() {
                        self.at = before;
                    }
                    return Some(streams);
                }
                _ => return None,
            }
        }
    }

    fn digests(&mut self, count: usize) -> Option<Vec<Option<u32>>> {
        let mut defined = vec![true; count];
        if self.byte()? == 0 {
            let bits = self.take(count.div_ceil(8))?;
            defined = (0..count).map(|i| bits[i / 8] & (0x80 >> (i % 8)) != 0).collect();
        }
        let mut out = Vec::with_capacity(count);
        for is_there in defined {
            out.push(if is_there { Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?)) } else { None });
        }
        Some(out)
    }

    /// The checksums of folders that hold one file each.
    fn sub_streams(&mut self, streams: &mut Streams) -> Option<()> {
        let mut next = self.byte()?;
        if next == 0x0d {
            for _ in 0..streams.folders.len() {
                if self.number()? != 1 {
                    return None;
                }
            }
            next = self.byte()?;
        }
        // With one file in each there are no sizes; those with a checksum already have none here.
        if next == 0x0a {
            let without: Vec<usize> = (0..streams.folders.len()).filter(|i| streams.folders[*i].crc.is_none()).collect();
            let digests = self.digests(without.len())?;
            without.into_iter().zip(digests).for_each(|(i, crc)| streams.folders[i].crc = crc);
        }
        Some(())
    }

    fn folder(&mut self) -> Option<Folder> {
        let mut folder = Folder::default();
        let coders = self.number().filter(|n| (1..=32).contains(n))?;
        let mut inputs = 0u64;
        for index in 0..coders {
            let flags = self.byte()?;
            let id = self.take((flags & 0x0f) as usize)?.to_vec();
            let (mut ins, mut outs) = (1, 1);
            if flags & 0x10 != 0 {
                ins = self.number().filter(|n| *n <= 32)?;
                outs = self.number().filter(|n| *n <= 32)?;
            }
            let properties = if flags & 0x20 != 0 {
                let size = self.count()?;
                self.take(size)?.to_vec()
            } else {
                Vec::new()
            };
            inputs += ins;
            folder.outputs += outs as usize;
            match id[..] {
                [0x06, 0xf1, 0x07, 0x01] => {
                    folder.aes = Some(Aes::of(&properties)?);
                    folder.aes_first = index == 0;
                }
                [0x03, 0x01, 0x01] => folder.inner = properties.try_into().ok().map(Inner::Lzma),
                [0x21] => folder.inner = Some(Inner::Lzma2),
                [0x00] => folder.inner = Some(Inner::Copy),
                _ => folder.inner = None,
            }
        }
        folder.coders = coders as usize;
        let binds = (folder.outputs as u64).checked_sub(1)?;
        for _ in 0..binds {
            self.number()?;
            self.number()?;
        }
        let packed = inputs.checked_sub(binds)?;
        folder.packed = usize::try_from(packed).ok()?;
        if packed > 1 {
            for _ in 0..packed {
                self.number()?;
            }
        }
        Some(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_zip_by_its_coders() {
        assert_eq!(judge(include_bytes!("fixtures/aes.7z")), Ok(How::strong(Kind::SevenZip)));
        assert_eq!(judge(include_bytes!("fixtures/aes-packed.7z")), Ok(How::strong(Kind::SevenZip)));
        assert_eq!(judge(include_bytes!("fixtures/mixed-packed.7z")), Err(WhyNot::NotProtected));
        assert_eq!(judge(include_bytes!("fixtures/clear.7z")), Err(WhyNot::NotProtected));
        let whole = include_bytes!("fixtures/aes-packed.7z");
        for length in 0..whole.len() {
            assert!(judge(&whole[..length]).is_err());
        }
    }
}
