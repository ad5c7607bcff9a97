//! Writing what is changed at the desk: whole, or not at all.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Puts a file in a folder that only its owner can read. A crash before the rename leaves the old file and a `.new` beside it, one after it
/// the new file. Whoever calls this sees to it that nobody else writes it at the same time.
pub fn write(folder: &Path, name: &str, octets: impl AsRef<[u8]>) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let (path, new) = (folder.join(name), folder.join(format!("{name}.new")));
    // What a crash left may be another's, or open to others.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(octets.as_ref())?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::records::tests::Folder;

    #[test]
    fn the_file_is_whole_and_its_owners_alone() {
        let base = Folder::new();
        let folder = base.path("desk");
        for text in ["one", "two and more"] {
            write(&folder, "people.toml", text).unwrap();
            assert_eq!(fs::read_to_string(folder.join("people.toml")).unwrap(), text);
            fs::write(folder.join("people.toml.new"), "left by a crash").unwrap();
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("people.toml"))), (0o700, 0o600));
    }
}
