//! Room that is kept for the day on which the disk is full: what is to free space needs some itself, for SQLite's log. A purge that
//! finds none gives this file up, goes on, and makes it anew when it is done.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// More than one piece of a purge writes.
const OCTETS: usize = 8 << 20;

/// None on a server, whose disk is not ours to keep room on.
pub(super) struct Spare(Option<PathBuf>);

impl Spare {
    /// Of a database: the file beside it.
    pub(super) fn of(database: Option<&Path>) -> Spare {
        Spare(database.map(|database| {
            let mut name = database.as_os_str().to_owned();
            name.push(".spare");
            name.into()
        }))
    }

    /// Makes it, if there is room. It is of use only while there is none, so that there is none for it now is no fault.
    pub(super) fn make(&self) {
        let Some(path) = &self.0 else { return };
        if fs::metadata(path).is_ok_and(|there| there.len() == OCTETS as u64) {
            return;
        }
        // Octets, not a hole: a hole keeps no room.
        let written = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).and_then(|mut file| {
            // No zeros either: some file systems keep none.
            let mut piece = vec![0; 1 << 20];
            blake3::Hasher::new().finalize_xof().fill(&mut piece);
            (0..OCTETS / piece.len()).try_for_each(|_| file.write_all(&piece))
        });
        if written.is_err() {
            let _ = fs::remove_file(path);
        }
    }

    /// Gives its room to whoever asks first; says whether there was any.
    pub(super) fn give_up(&self) -> bool {
        self.0.as_ref().is_some_and(|path| fs::remove_file(path).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::tests::Folder;

    #[test]
    fn it_is_given_up_once_and_made_again() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let folder = Folder::new();
        let spare = Spare::of(Some(&folder.path("lychgate.db")));
        assert!(!spare.give_up());
        spare.make();
        let made = fs::metadata(folder.path("lychgate.db.spare")).unwrap();
        assert_eq!((made.len(), made.permissions().mode() & 0o777), (OCTETS as u64, 0o600));
        assert!(made.blocks() * 512 >= OCTETS as u64, "it has holes");
        fs::write(folder.path("lychgate.db.spare"), b"cut short").unwrap();
        spare.make();
        assert!(spare.give_up() && !spare.give_up());
        Spare::of(Some(&folder.path("nowhere/lychgate.db"))).make();
    }
}
