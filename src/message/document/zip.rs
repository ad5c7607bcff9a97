//! ZIP archives as readers take them (APPNOTE 6.3 §4.3): by the central directory, or, where that is lost, by what the files
//! themselves say. One entry is unpacked at a time.

use std::ops::Range;

use super::Why;
use super::budget::{Budget, MAX_ENTRIES, MAX_MEMBER};
use super::inflate::{self, End};

pub struct Archive<'a> {
    file: &'a [u8],
    pub entries: Vec<Entry>,
    /// What is wrong with it as a whole; the entries that were found can be read all the same.
    pub fault: Option<Why>,
}

#[derive(Debug)]
pub struct Entry {
    /// With forward slashes.
    pub name: String,
    pub encrypted: bool,
    method: u16,
    crc: Option<u32>,
    data: Range<usize>,
}

impl Entry {
    pub fn is_folder(&self) -> bool {
        self.name.ends_with('/')
    }

    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    pub fn has_extension(&self, extension: &str) -> bool {
        self.name.rsplit_once('.').is_some_and(|(_, e)| e.eq_ignore_ascii_case(extension))
    }
}

impl<'a> Archive<'a> {
    pub fn open(file: &'a [u8]) -> Archive<'a> {
        if let Some((entries, fault)) = directory(file) {
            return Archive { file, entries, fault };
        }
        Archive { file, entries: salvage(file), fault: Some(Why::Damaged) }
    }

    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.is(name))
    }

    /// An entry's content, as far as it could be had, and what kept the rest away.
    pub fn unpack(&self, entry: &Entry, budget: &mut Budget) -> (Vec<u8>, Option<Why>) {
        let packed = self.file.get(entry.data.clone()).unwrap_or_default();
        let limit = MAX_MEMBER.min(budget.unpacked_left());
        if limit == 0 {
            return (Vec::new(), Some(Why::Bomb));
        }
        let (bytes, end, used) = match entry.method {
            0 => (packed[..packed.len().min(limit)].to_vec(), if packed.len() > limit { End::Limit } else { End::Whole }, 0),
            8 => inflate::inflate_raw(packed, limit),
            _ => return (Vec::new(), Some(Why::Format("it is packed in a way that is not known here"))),
        };
        // Entries may share their octets, and octets may unpack to nothing.
        budget.unpacked(bytes.len().max(used / 4));
        let fault = match end {
            End::Limit => Some(if limit < MAX_MEMBER { Why::Bomb } else { Why::TooLarge }),
            End::Damaged => Some(Why::Damaged),
            End::Whole => {
                let mut crc = flate2::Crc::new();
                crc.update(&bytes);
                entry.crc.is_some_and(|said| said != crc.sum()).then_some(Why::Damaged)
            }
        };
        (bytes, fault)
    }
}

/// The entries of the central directory; none if there is no directory.
fn directory(file: &[u8]) -> Option<(Vec<Entry>, Option<Why>)> {
    let tail = file.len().saturating_sub(66_000);
    let end = tail + memchr::memmem::rfind(&file[tail..], b"PK\x05\x06")?;
    let mut size = u64::from(u32_at(file, end + 12)?);
    let mut offset = u64::from(u32_at(file, end + 16)?);
    let mut directory_end = end;
    if (size == 0xffff_ffff || offset == 0xffff_ffff) && end >= 20 && file[end - 20..].starts_with(b"PK\x06\x07") {
        let at = usize::try_from(u64_at(file, end - 12)?).ok()?;
        if !file.get(at..)?.starts_with(b"PK\x06\x06") {
            return None;
        }
        (size, offset, directory_end) = (u64_at(file, at + 40)?, u64_at(file, at + 48)?, at);
    }
    // What stands in front of the archive (a self-extractor) shifts every offset.
    let mut at = directory_end.checked_sub(usize::try_from(size).ok()?)?;
    let shift = at.checked_sub(usize::try_from(offset).ok()?)?;
    let mut entries = Vec::new();
    let mut fault = None;
    while at < directory_end && file[at..].starts_with(b"PK\x01\x02") {
        if entries.len() >= MAX_ENTRIES {
            return Some((entries, Some(Why::TooManyFiles)));
        }
        let Some((entry, next)) = directory_entry(file, at, shift) else { return Some((entries, Some(Why::Damaged))) };
        match entry {
            Some(entry) => entries.push(entry),
            None => fault = Some(Why::Damaged),
        }
        at = next;
    }
    if entries.is_empty() && fault.is_none() && size > 0 {
        return None;
    }
    Some((entries, fault))
}

/// The entry at `at` (none if its content is not where it is said to be), and where the next is.
fn directory_entry(file: &[u8], at: usize, shift: usize) -> Option<(Option<Entry>, usize)> {
    let flags = u16_at(file, at + 8)?;
    let (name_len, extra_len) = (usize::from(u16_at(file, at + 28)?), usize::from(u16_at(file, at + 30)?));
    let comment_len = usize::from(u16_at(file, at + 32)?);
    let name = file.get(at + 46..at + 46 + name_len)?;
    let extra = file.get(at + 46 + name_len..at + 46 + name_len + extra_len)?;
    let next = at + 46 + name_len + extra_len + comment_len;
    let mut wide = zip64(extra);
    let mut number = |said: u32| if said == u32::MAX { wide.next() } else { Some(u64::from(said)) };
    // The extended fields stand in this order: size, packed size, offset.
    let sizes = (number(u32_at(file, at + 24)?), number(u32_at(file, at + 20)?), number(u32_at(file, at + 42)?));
    let (Some(_), Some(packed), Some(local)) = sizes else { return Some((None, next)) };
    let data = (|| {
        let local = usize::try_from(local).ok()?.checked_add(shift)?;
        if !file.get(local..)?.starts_with(b"PK\x03\x04") {
            return None;
        }
        let start = local + 30 + usize::from(u16_at(file, local + 26)?) + usize::from(u16_at(file, local + 28)?);
        let end = start.checked_add(usize::try_from(packed).ok()?)?;
        (end <= file.len()).then_some(start..end)
    })();
    let entry = data.map(|data| Entry {
        name: slashed(name),
        encrypted: flags & 1 != 0,
        method: u16_at(file, at + 10).unwrap_or(0),
        crc: u32_at(file, at + 16),
        data,
    });
    Some((entry, next))
}

/// The numbers of a Zip64 extra field, in their order.
fn zip64(extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut rest = extra;
    let mut found: &[u8] = &[];
    while let (Some(id), Some(size)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let end = rest.len().min(4 + usize::from(size));
        if id == 1 {
            found = &rest[4..end];
            break;
        }
        rest = &rest[end..];
    }
    found.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().expect("the chunks have eight octets")))
}

/// Every local header that can be found.
fn salvage(file: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut from = 0;
    // The next data descriptor at or behind `start`: looked for once, not by every file in front of it.
    let mut next_descriptor = 0;
    let mut descriptor = |start: usize| {
        if next_descriptor < start {
            next_descriptor = memchr::memmem::find(&file[start..], b"PK\x07\x08").map_or(file.len(), |i| start + i);
        }
        next_descriptor
    };
    while entries.len() < MAX_ENTRIES
        && let Some(at) = memchr::memmem::find(&file[from.min(file.len())..], b"PK\x03\x04").map(|i| from + i)
    {
        from = at + 4;
        let (Some(flags), Some(method), Some(packed), Some(name_len), Some(extra_len)) =
            (u16_at(file, at + 6), u16_at(file, at + 8), u32_at(file, at + 18), u16_at(file, at + 26), u16_at(file, at + 28))
        else {
            break;
        };
        let start = at + 30 + usize::from(name_len) + usize::from(extra_len);
        let Some(name) = file.get(at + 30..at + 30 + usize::from(name_len)) else { break };
        if start > file.len() {
            break;
        }
        // Where the size stands only behind the content, deflate ends by itself, and other content at the next header.
        let known = flags & 8 == 0 && packed != u32::MAX;
        let end = if known {
            file.len().min(start.saturating_add(packed as usize))
        } else if method == 8 {
            file.len()
        } else {
            descriptor(start)
        };
        entries.push(Entry { name: slashed(name), encrypted: flags & 1 != 0, method, crc: None, data: start..end });
        from = if known { end.max(from) } else { start.max(from) };
    }
    entries
}

fn slashed(name: &[u8]) -> String {
    String::from_utf8_lossy(name).replace('\\', "/").trim_start_matches('/').to_string()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
