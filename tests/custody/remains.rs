//! What a power cut leaves of a folder: a disk keeps what was synced, and of what was not it keeps what it likes.
//!
//! Of each file everything is there that was written before its last completed fsync. Later writes are there or not, each for itself,
//! in pieces of 512 octets. A name is there, or gone, for certain only after the folder was synced; later changes of names come to the disk in
//! order, as file systems with a journal do it, as far as they came.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::support::Random;

const SECTOR: usize = 512;

/// An entry of the shim's log: the same order and sizes as in shim.c.
struct Entry<'a> {
    kind: u32,
    file: u64,
    at: usize,
    octets: &'a [u8],
}

enum Change<'a> {
    Write(usize, &'a [u8]),
    Truncate(usize),
}

#[derive(Default)]
struct Content<'a> {
    changes: Vec<Change<'a>>,
    /// So many of them are on the disk.
    synced: usize,
}

enum Naming {
    Link(String, usize),
    Rename(String, String),
    Unlink(String),
}

/// Rebuilds the folder that was at `from` as a power cut at this position of the log may have left it, at `to`, which is made. Says how
/// many changes had not been synced.
pub fn rebuild(log: &[u8], position: u64, from: &Path, to: &Path, random: &mut Random) -> usize {
    let mut contents: Vec<Content<'_>> = Vec::new();
    let mut inodes: HashMap<u64, usize> = HashMap::new();
    let mut namings: Vec<Naming> = Vec::new();
    let mut named = 0;
    for entry in entries(&log[..position as usize]) {
        let text = || String::from_utf8_lossy(entry.octets).into_owned();
        let of = || *inodes.get(&entry.file).expect("a file was made before it was written");
        match entry.kind {
            1 => {
                inodes.insert(entry.file, contents.len());
                namings.push(Naming::Link(text(), contents.len()));
                contents.push(Content::default());
            }
            2 => contents[of()].changes.push(Change::Write(entry.at, entry.octets)),
            3 => contents[of()].changes.push(Change::Truncate(entry.at)),
            4 => {
                let content = &mut contents[of()];
                content.synced = content.changes.len();
            }
            5 => {
                let both = text();
                let (old, new) = both.split_once('\0').expect("two names");
                namings.push(Naming::Rename(old.into(), new.into()));
            }
            6 => namings.push(Naming::Unlink(text())),
            7 => named = namings.len(),
            other => panic!("no such entry: {other}"),
        }
    }
    let mut open = namings.len() - named;
    let came = named + random.below(open as u64 + 1) as usize;
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for naming in namings.into_iter().take(came) {
        match naming {
            Naming::Link(name, file) => drop(names.insert(name, file)),
            Naming::Rename(old, new) => {
                if let Some(file) = names.remove(&old) {
                    names.insert(new, file);
                }
            }
            Naming::Unlink(name) => drop(names.remove(&name)),
        }
    }
    std::fs::create_dir_all(to).expect("a folder can be made");
    // SQLite's shared memory is no more after a power cut, and it asks for nothing of it.
    for (name, file) in names.iter().filter(|(name, _)| !name.ends_with("-shm")) {
        let content = &contents[*file];
        open += content.changes.len() - content.synced;
        let path = to.join(Path::new(name).strip_prefix(from).expect("only this folder is logged"));
        let mut made = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path).expect("a file can be made");
        std::io::Write::write_all(&mut made, &content.after(random)).expect("a file can be written");
    }
    open
}

impl Content<'_> {
    /// The octets on the disk.
    fn after(&self, random: &mut Random) -> Vec<u8> {
        let mut out = Vec::new();
        let open = self.changes.len() - self.synced;
        // Nothing more, all, as far as it came, or anything.
        let (come, whole) = match random.below(4) {
            0 => (0, true),
            1 => (open, true),
            2 => (random.below(open as u64 + 1) as usize, true),
            _ => (open, false),
        };
        for (i, change) in self.changes.iter().take(self.synced + come).enumerate() {
            let certain = i < self.synced || (whole && i + 1 < self.synced + come);
            match change {
                Change::Truncate(size) if certain || random.below(2) == 0 => out.resize(*size, 0),
                Change::Truncate(_) => {}
                Change::Write(at, octets) => {
                    let mut at = *at;
                    let mut rest = *octets;
                    while !rest.is_empty() {
                        let (piece, next) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
                        if certain || random.below(2) == 0 {
                            out.resize(out.len().max(at + piece.len()), 0);
                            out[at..at + piece.len()].copy_from_slice(piece);
                        }
                        at += piece.len();
                        rest = next;
                    }
                }
            }
        }
        out
    }
}

/// How often a file of this name was synced.
pub fn syncs(log: &[u8], name: &str) -> usize {
    let mut inode = None;
    let of = |entry: Entry<'_>| match entry.kind {
        1 if entry.octets.ends_with(name.as_bytes()) => {
            inode = Some(entry.file);
            false
        }
        kind => kind == 4 && inode == Some(entry.file),
    };
    entries(log).map(of).filter(|synced| *synced).count()
}

/// The whole entries of a log, which may end within one.
fn entries(mut log: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    std::iter::from_fn(move || {
        let (header, rest) = log.split_at_checked(24)?;
        let number = |at: usize, to: usize| header[at..to].iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
        let (octets, rest) = rest.split_at_checked(number(4, 8) as usize)?;
        log = rest;
        Some(Entry { kind: number(0, 4) as u32, file: number(8, 16), at: number(16, 24) as usize, octets })
    })
}

mod tests {
    use super::*;
    use crate::support::Scratch;

    fn entry(kind: u32, file: u64, at: u64, octets: &[u8]) -> Vec<u8> {
        [&kind.to_le_bytes()[..], &(octets.len() as u32).to_le_bytes(), &file.to_le_bytes(), &at.to_le_bytes(), octets].concat()
    }

    #[test]
    fn what_was_synced_is_there_and_what_was_not_comes_in_sectors() {
        let scratch = Scratch::new("remains");
        let log = [
            entry(1, 7, 0, b"/data/a"),
            entry(2, 7, 0, &[1; 1024]),
            entry(4, 7, 0, b""),
            entry(7, 1, 0, b""),
            entry(2, 7, 0, &[2; 1024]),
            entry(5, 0, 0, b"/data/a\0/data/b"),
        ]
        .concat();
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let to = scratch.path().join(seed.to_string());
            assert_eq!(rebuild(&log, log.len() as u64, Path::new("/data"), &to, &mut Random::new(seed)), 2);
            let (name, other) = if to.join("a").exists() { ("a", "b") } else { ("b", "a") };
            assert!(!to.join(other).exists());
            let octets = std::fs::read(to.join(name)).expect("under one of its names it is there");
            assert_eq!(octets.len(), 1024);
            assert!(octets[..512].iter().all(|b| *b == octets[0]) && octets[512..].iter().all(|b| *b == octets[512]));
            seen.insert((name, octets[0], octets[512]));
        }
        assert_eq!(seen.len(), 8, "{seen:?}");
        // Before its sync nothing is certain, not even its name.
        let early = log.len() as u64 - 24 * 3 - 1024 - 15;
        let to = scratch.path().join("early");
        let lost = (0..50).filter(|seed| {
            let _ = std::fs::remove_dir_all(&to);
            rebuild(&log, early, Path::new("/data"), &to, &mut Random::new(*seed));
            std::fs::read(to.join("a")).map_or(true, |octets| octets != [1; 1024])
        });
        assert!(lost.count() > 10);
    }
}
