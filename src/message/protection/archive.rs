//! Archives: every file inside must be encrypted (ZIP by APPNOTE 6.3 §4.3, 7z by 7zFormat.txt, RAR 4 and 5 by their technotes).

use std::io::{Cursor, Read};

use super::{How, Kind, WhyNot, office, u16_at, u32_at, u64_at};
use super::{Strength, lzma};

const MAX_ENTRIES: usize = 20_000;

/// ZIP: the central directory says what there is, and each local header must agree.
pub fn zip(file: &[u8]) -> Result<How, WhyNot> {
    let entries = zip_entries(file)?;
    let mut strength = Strength::Strong;
    let mut files = 0;
    let mut clear = None;
    for entry in &entries {
        if entry.name.ends_with('/') && entry.size == 0 {
            continue;
        }
        files += 1;
        if !entry.encrypted {
            clear.get_or_insert(&entry.name);
        } else if !entry.aes {
            strength = Strength::Weak;
        }
    }
    if files == 0 {
        return Err(WhyNot::Empty);
    }
    match clear {
        None => Ok(How { kind: Kind::Zip, strength }),
        Some(_) if entries.first().is_some_and(|e| e.name == "mimetype") || entries.iter().any(|e| e.name == "META-INF/manifest.xml") => {
            office::open_document(file, &entries)
        }
        // An Office document is a ZIP archive; its inner names would tell the Clerk nothing.
        Some(_) if entries.iter().any(|e| e.name == "[Content_Types].xml") => Err(WhyNot::NotProtected),
        Some(_) if entries.iter().all(|e| !e.encrypted) => Err(WhyNot::NotProtected),
        Some(name) => Err(WhyNot::ClearInside(name.chars().filter(|c| !c.is_control()).take(80).collect())),
    }
}

pub struct ZipEntry {
    pub name: String,
    pub size: u64,
    encrypted: bool,
    aes: bool,
}

fn zip_entries(file: &[u8]) -> Result<Vec<ZipEntry>, WhyNot> {
    let tail = file.len().saturating_sub(66_000);
    let end = tail + memchr::memmem::rfind(&file[tail..], b"PK\x05\x06").ok_or(WhyNot::Damaged)?;
    let damaged = || WhyNot::Damaged;
    let mut count = u64::from(u16_at(file, end + 10).ok_or_else(damaged)?);
    let mut size = u64::from(u32_at(file, end + 12).ok_or_else(damaged)?);
    let mut offset = u64::from(u32_at(file, end + 16).ok_or_else(damaged)?);
    let mut directory_end = end;
    if (count == 0xffff || size == 0xffff_ffff || offset == 0xffff_ffff) && end >= 20 && file[end - 20..].starts_with(b"PK\x06\x07") {
        // Zip64.
        let at = usize::try_from(u64_at(file, end - 12).ok_or_else(damaged)?).map_err(|_| WhyNot::Damaged)?;
        if !file.get(at..).is_some_and(|r| r.starts_with(b"PK\x06\x06")) {
            return Err(WhyNot::Damaged);
        }
        count = u64_at(file, at + 32).ok_or_else(damaged)?;
        size = u64_at(file, at + 40).ok_or_else(damaged)?;
        offset = u64_at(file, at + 48).ok_or_else(damaged)?;
        directory_end = at;
    }
    if count > MAX_ENTRIES as u64 {
        return Err(WhyNot::TooLarge);
    }
    // What stands in front of the archive (a self-extractor) shifts every offset.
    let start = directory_end.checked_sub(usize::try_from(size).map_err(|_| WhyNot::Damaged)?).ok_or(WhyNot::Damaged)?;
    let shift = start.checked_sub(usize::try_from(offset).map_err(|_| WhyNot::Damaged)?).ok_or(WhyNot::Damaged)?;
    let mut at = start;
    let mut entries = Vec::new();
    while at < directory_end && file[at..].starts_with(b"PK\x01\x02") {
        if entries.len() >= MAX_ENTRIES {
            return Err(WhyNot::TooLarge);
        }
        let (entry, next) = zip_entry(file, at, shift).ok_or(WhyNot::Damaged)?;
        entries.push(entry);
        at = next;
    }
    // A directory that holds more or less than it says is a lie to somebody.
    if entries.len() as u64 != count || at > directory_end { Err(WhyNot::Damaged) } else { Ok(entries) }
}

fn zip_entry(file: &[u8], at: usize, shift: usize) -> Option<(ZipEntry, usize)> {
    let flags = u16_at(file, at + 8)?;
    let method = u16_at(file, at + 10)?;
    let packed = u32_at(file, at + 20)?;
    let size = u32_at(file, at + 24)?;
    let (name_len, extra_len, comment_len) =
        (u16_at(file, at + 28)? as usize, u16_at(file, at + 30)? as usize, u16_at(file, at + 32)? as usize);
    let local = u32_at(file, at + 42)?;
    let name = String::from_utf8_lossy(file.get(at + 46..at + 46 + name_len)?).into_owned();
    let next = at + 46 + name_len + extra_len + comment_len;
    let mut encrypted = flags & 1 != 0;
    let aes = method == 99 || flags & 0x40 != 0;
    if encrypted && local != u32::MAX {
        // The local header must say so too; encryption puts 12 octets or more in front of the data.
        let local = (local as usize).checked_add(shift)?;
        let agrees =
            file.get(local..)?.starts_with(b"PK\x03\x04") && u16_at(file, local + 6)? & 1 != 0 && u16_at(file, local + 8)? == method;
        encrypted = agrees && packed >= 12;
    }
    Some((ZipEntry { name, size: u64::from(size), encrypted, aes }, next))
}

/// One member, unpacked up to `limit` octets.
pub fn zip_member(file: &[u8], name: &str, limit: u64) -> Option<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(file)).ok()?;
    let member = archive.by_name(name).ok()?;
    let mut out = Vec::new();
    member.take(limit).read_to_end(&mut out).ok()?;
    Some(out)
}

/// 7z: the header is encrypted, or every folder passes through AES.
pub fn seven_zip(file: &[u8]) -> Result<How, WhyNot> {
    const HEADER: u8 = 0x01;
    const ENCODED_HEADER: u8 = 0x17;
    let mut header = {
        let offset = usize::try_from(u64_at(file, 12).ok_or(WhyNot::Damaged)?).map_err(|_| WhyNot::Damaged)?;
        let size = usize::try_from(u64_at(file, 20).ok_or(WhyNot::Damaged)?).map_err(|_| WhyNot::Damaged)?;
        let start = offset.checked_add(32).ok_or(WhyNot::Damaged)?;
        let end = start.checked_add(size).ok_or(WhyNot::Damaged)?;
        if size == 0 {
            return Err(WhyNot::Empty);
        }
        file.get(start..end).ok_or(WhyNot::Damaged)?.to_vec()
    };
    // A header may be packed more than once; nobody does it more than twice.
    for _ in 0..4 {
        let mut reader = SevenZip { bytes: &header, at: 1 };
        match header.first() {
            Some(&HEADER) => {
                let streams = reader.header().ok_or(WhyNot::Damaged)?;
                return match streams {
                    None => Err(WhyNot::Empty),
                    Some(streams) if streams.folders.is_empty() => Err(WhyNot::Empty),
                    Some(streams) if streams.folders.iter().all(|f| f.aes) => Ok(How::strong(Kind::SevenZip)),
                    Some(_) => Err(WhyNot::NotProtected),
                };
            }
            Some(&ENCODED_HEADER) => {
                let streams = reader.streams().ok_or(WhyNot::Damaged)?;
                let folder = streams.folders.first().ok_or(WhyNot::Damaged)?;
                if folder.aes {
                    return Ok(How::strong(Kind::SevenZip));
                }
                header = unpack_header(file, &streams).ok_or(WhyNot::Damaged)?;
            }
            _ => return Err(WhyNot::Damaged),
        }
    }
    Err(WhyNot::Damaged)
}

/// Headers beyond this are not unpacked.
const MAX_HEADER: u64 = 4 << 20;

fn unpack_header(file: &[u8], streams: &Streams) -> Option<Vec<u8>> {
    let folder = streams.folders.first()?;
    let size = *folder.sizes.last()?;
    if size > MAX_HEADER || folder.lzma.is_none() && !folder.copy {
        return None;
    }
    let start = usize::try_from(streams.pack_position).ok()?.checked_add(32)?;
    let packed = file.get(start..start.checked_add(usize::try_from(*streams.pack_sizes.first()?).ok()?)?)?;
    match &folder.lzma {
        Some(properties) => lzma::decode(properties, packed, size as usize),
        None => Some(packed.to_vec()),
    }
}

struct Streams {
    pack_position: u64,
    pack_sizes: Vec<u64>,
    folders: Vec<Folder>,
}

#[derive(Default)]
struct Folder {
    aes: bool,
    copy: bool,
    /// The five property octets, where LZMA is the only coder.
    lzma: Option<[u8; 5]>,
    sizes: Vec<u64>,
    outputs: usize,
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
                            0x0a => self.digests(count)?,
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
                            0x0a => self.digests(count)?,
                            _ => return None,
                        }
                    }
                }
                // SubStreamsInfo comes last and says nothing about coders.
                0x08 => return Some(streams),
                _ => return None,
            }
        }
    }

    fn digests(&mut self, count: usize) -> Option<()> {
        let mut defined = count;
        if self.byte()? == 0 {
            defined = self.take(count.div_ceil(8))?.iter().map(|b| b.count_ones() as usize).sum();
        }
        self.take(defined * 4).map(|_| ())
    }

    fn folder(&mut self) -> Option<Folder> {
        let mut folder = Folder::default();
        let coders = self.number().filter(|n| (1..=32).contains(n))?;
        let mut inputs = 0u64;
        for _ in 0..coders {
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
                [0x06, 0xf1, 0x07, 0x01] => folder.aes = true,
                [0x03, 0x01, 0x01] if coders == 1 => folder.lzma = properties.try_into().ok(),
                [0x00] if coders == 1 => folder.copy = true,
                _ => {}
            }
        }
        let binds = (folder.outputs as u64).checked_sub(1)?;
        for _ in 0..binds {
            self.number()?;
            self.number()?;
        }
        let packed = inputs.checked_sub(binds)?;
        if packed > 1 {
            for _ in 0..packed {
                self.number()?;
            }
        }
        Some(folder)
    }
}

/// RAR: encrypted headers, or every file with a password.
pub fn rar(file: &[u8]) -> Result<How, WhyNot> {
    let files = if file.starts_with(b"Rar!\x1a\x07\x01\x00") { rar5(file) } else { rar4(file) };
    match files.ok_or(WhyNot::Damaged)? {
        RarFiles::HeadersEncrypted => Ok(How::strong(Kind::Rar)),
        RarFiles::Seen { files: 0, .. } => Err(WhyNot::Empty),
        RarFiles::Seen { clear: 0, .. } => Ok(How::strong(Kind::Rar)),
        RarFiles::Seen { .. } => Err(WhyNot::NotProtected),
    }
}

enum RarFiles {
    HeadersEncrypted,
    Seen { files: usize, clear: usize },
}

fn rar4(file: &[u8]) -> Option<RarFiles> {
    let (mut at, mut files, mut clear) = (7usize, 0, 0);
    for _ in 0..MAX_ENTRIES {
        let (Some(kind), Some(flags), Some(size)) = (file.get(at + 2), u16_at(file, at + 3), u16_at(file, at + 5)) else { break };
        if size < 7 {
            return None;
        }
        let mut data = 0;
        match kind {
            0x73 if flags & 0x80 != 0 => return Some(RarFiles::HeadersEncrypted),
            0x74 => {
                data = u64::from(u32_at(file, at + 7)?);
                if flags & 0x100 != 0 {
                    data |= u64::from(u32_at(file, at + 32)?) << 32;
                }
                if flags & 0xe0 != 0xe0 {
                    files += 1;
                    clear += usize::from(flags & 0x04 == 0);
                }
            }
            0x7b => break,
            _ if flags & 0x8000 != 0 => data = u64::from(u32_at(file, at + 7)?),
            _ => {}
        }
        at = at.checked_add(size as usize)?.checked_add(usize::try_from(data).ok()?)?;
    }
    Some(RarFiles::Seen { files, clear })
}

fn rar5(file: &[u8]) -> Option<RarFiles> {
    let (mut at, mut files, mut clear) = (8usize, 0, 0);
    for _ in 0..MAX_ENTRIES {
        if at + 4 >= file.len() {
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
            4 => return Some(RarFiles::HeadersEncrypted),
            5 => break,
            2 => {
                let file_flags = vint(file, &mut cursor)?;
                if file_flags & 1 == 0 {
                    files += 1;
                    let records = file.get(end.checked_sub(extra)?..end)?;
                    clear += usize::from(!rar5_has_encryption(records));
                }
            }
            _ => {}
        }
        at = end.checked_add(data)?;
    }
    Some(RarFiles::Seen { files, clear })
}

fn rar5_has_encryption(records: &[u8]) -> bool {
    let mut at = 0;
    while at < records.len() {
        let Some(size) = vint(records, &mut at).and_then(|n| usize::try_from(n).ok()) else { return false };
        let mut cursor = at;
        if vint(records, &mut cursor) == Some(1) {
            return true;
        }
        at = match at.checked_add(size) {
            Some(next) if size > 0 => next,
            _ => return false,
        };
    }
    false
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
            common.extend_from_slice(&[0, 0]);
            file.extend_from_slice(b"PK\x03\x04");
            file.extend_from_slice(&common);
            file.extend_from_slice(name.as_bytes());
            file.extend_from_slice(&content[..size as usize]);
            directory.extend_from_slice(b"PK\x01\x02\x14\0");
            directory.extend_from_slice(&common);
            directory.extend_from_slice(&[0; 10]);
            directory.extend_from_slice(&offset.to_le_bytes());
            directory.extend_from_slice(name.as_bytes());
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

    #[test]
    fn every_member_of_a_zip_counts() {
        assert_eq!(zip(&zip_of(&[("a.txt", 1, 99), ("b.txt", 1, 99)])), Ok(How::strong(Kind::Zip)));
        assert_eq!(zip(&zip_of(&[("a.txt", 1, 0), ("b.txt", 1, 99)])), Ok(How::weak(Kind::Zip)));
        assert_eq!(zip(&zip_of(&[("d/", 0, 0), ("d/a.txt", 1, 99)])), Ok(How::strong(Kind::Zip)));
        assert_eq!(zip(&zip_of(&[("a.txt", 1, 99), ("b.txt", 0, 0)])), Err(WhyNot::ClearInside("b.txt".into())));
        assert_eq!(zip(&zip_of(&[("a.txt", 0, 0)])), Err(WhyNot::NotProtected));
        assert_eq!(zip(&zip_of(&[("[Content_Types].xml", 0, 0)])), Err(WhyNot::NotProtected));
        assert_eq!(zip(&zip_of(&[])), Err(WhyNot::Empty));
    }

    #[test]
    fn a_zip_that_lies_is_not_protected() {
        let mut lie = zip_of(&[("a.txt", 1, 99)]);
        lie[6] = 0;
        assert_eq!(zip(&lie), Err(WhyNot::NotProtected));
        let mut cut = zip_of(&[("a.txt", 1, 99), ("b.txt", 0, 0)]);
        let end = cut.len() - 22;
        cut[end + 10] = 1;
        assert_eq!(zip(&cut), Err(WhyNot::Damaged));
        // A self-extractor in front shifts the offsets.
        let shifted = [b"MZ stub".to_vec(), zip_of(&[("a.txt", 1, 99)])].concat();
        assert_eq!(zip(&shifted), Ok(How::strong(Kind::Zip)));
    }

    #[test]
    fn seven_zip_by_its_coders() {
        assert_eq!(seven_zip(include_bytes!("fixtures/aes.7z")), Ok(How::strong(Kind::SevenZip)));
        assert_eq!(seven_zip(include_bytes!("fixtures/aes-packed.7z")), Ok(How::strong(Kind::SevenZip)));
        assert_eq!(seven_zip(include_bytes!("fixtures/mixed-packed.7z")), Err(WhyNot::NotProtected));
        assert_eq!(seven_zip(include_bytes!("fixtures/clear.7z")), Err(WhyNot::NotProtected));
        let whole = include_bytes!("fixtures/aes-packed.7z");
        for length in 0..whole.len() {
            assert!(seven_zip(&whole[..length]).is_err());
        }
    }

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
        assert_eq!(rar(&rar4(&[&file(4)])), Ok(How::strong(Kind::Rar)));
        assert_eq!(rar(&rar4(&[&file(4), &file(0)])), Err(WhyNot::NotProtected));
        assert_eq!(rar(&[&b"Rar!\x1a\x07\x00"[..], &[0, 0, 0x73, 0x80, 0, 13, 0]].concat()), Ok(How::strong(Kind::Rar)));
        // RAR 5: size, type, flags, extra size, data size, file flags, extra record.
        let rar5 = |blocks: &[&[u8]]| [b"Rar!\x1a\x07\x01\x00", &blocks.concat()[..]].concat();
        let sealed = [0, 0, 0, 0, 8, 2, 3, 3, 1, 0, 2, 1, 0, b'x'];
        let clear = [0, 0, 0, 0, 4, 2, 2, 1, 0, b'x'];
        assert_eq!(rar(&rar5(&[&sealed])), Ok(How::strong(Kind::Rar)));
        assert_eq!(rar(&rar5(&[&sealed, &clear])), Err(WhyNot::NotProtected));
        assert_eq!(rar(&rar5(&[&[0, 0, 0, 0, 2, 4, 0]])), Ok(How::strong(Kind::Rar)));
        assert_eq!(rar(&rar5(&[])), Err(WhyNot::Empty));
    }
}
