//! Backup while the gateway runs, and restore into a gateway that is stopped.
//!
//! A backup is a folder: the rows of record and custody as of one moment, sealed as they stand in the database, in a form that either
//! engine reads ([`frame`]), and a manifest with each file's digest, signed with the key that signs receipts. The manifest is written
//! last: without one there is no backup. The keyring is not in it. Where it is asked for it goes into a folder of its own, since it is
//! to be kept apart and for a shorter time: whoever has both can read what was erased since. The site key is in neither.
//!
//! **Never here:** anything unsealed that the database does not hold in the clear already; a key that is not wrapped.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::database::Location;
use super::place::sync_folder;
use super::receipts::hex;

mod frame;
mod make;
mod restore;

pub use make::{Made, make};
pub use restore::{How, Restored, restore};

const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.sig";
/// What this program writes and reads.
const FORMAT: u32 = 1;

/// Why there is no backup, or no restore.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0} is not empty: a backup goes into a folder of its own")]
    NotEmpty(PathBuf),
    #[error("{0} holds no backup, or one that was cut short: it has no manifest. Nothing was changed")]
    NoManifest(PathBuf),
    #[error("{0} holds a backup of {1}; this needs one of {2}. Nothing was changed")]
    Another(PathBuf, Holds, Holds),
    #[error("the backup in {0} was made by a newer version of this program ({1}). Nothing was changed")]
    Newer(PathBuf, String),
    #[error("{path} is not as it was when the backup was made: {what}. Nothing was changed; use another backup")]
    Altered { path: PathBuf, what: String },
    #[error("the backup in {0} is of another site than the keyring. Nothing was changed")]
    AnotherSite(PathBuf),
    #[error("{0} is there already. To put the backup in its place: --replace")]
    Occupied(Location),
    #[error("{0} is in use: stop the gateway first. Nothing was changed")]
    InUse(Location),
    #[error("there is no key file {0}. Put the copy of it there first, mode 600: it is in no backup")]
    NoKeyFile(PathBuf),
    #[error("there is no keyring {0}: name its backup with --keyring-from")]
    NoKeyring(Location),
    #[error("the clock says {now}, and the backup was made at {made}: the clock is behind. Set it right first; nothing was changed")]
    ClockBehind { now: Timestamp, made: Timestamp },
    #[error(
        "by the clock ({now}) the backup is {days} days old, and what has expired since is deleted at once, with its keys. If the clock is right: --confirm. Nothing was changed"
    )]
    Old { now: Timestamp, days: i64 },
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// What a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// Record and custody.
    Database,
    Keyring,
}

impl std::fmt::Display for Holds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Holds::Database => "the database",
            Holds::Keyring => "the keyring",
        })
    }
}

/// What a backup says of itself. No personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub holds: Holds,
    /// The version of the program that made it.
    pub program: String,
    pub made: Timestamp,
    /// Names the site, in hexadecimal.
    pub site: String,
    /// The print of the site key that the keyring was wrapped with.
    pub print: String,
    /// The version of each store's tables.
    pub schemas: BTreeMap<String, i64>,
    pub files: Vec<FileNote>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileNote {
    pub name: String,
    pub octets: u64,
    /// In hexadecimal.
    pub sha256: String,
    /// Rows by table.
    pub tables: BTreeMap<String, u64>,
}

impl Manifest {
    pub fn rows(&self) -> u64 {
        self.files.iter().flat_map(|f| f.tables.values()).sum()
    }

    /// Signs it and writes it into the folder: from then on there is a backup.
    fn write(&self, folder: &Path, signer: &Ed25519KeyPair) -> Result<(), StoreError> {
        let body = serde_json::to_vec_pretty(self).map_err(|_| StoreError::Damaged)?;
        let signature = hex(signer.sign(&body).as_ref());
        for (name, octets) in [(SIGNATURE, signature.as_bytes()), (MANIFEST, &body)] {
            let path = folder.join(name);
            let mut file = create(&path)?;
            file.write_all(octets).and_then(|()| file.sync_all()).map_err(|e| StoreError::io(&path, e))?;
        }
        sync_folder(&folder.join(MANIFEST))
    }

    /// Reads a folder's manifest, and holds every file against it. Says what it was signed as, too.
    fn read(folder: &Path, wanted: Holds) -> Result<(Manifest, Signed), Fault> {
        let path = folder.join(MANIFEST);
        let body = match fs::read(&path) {
            Ok(body) => body,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Fault::NoManifest(folder.into())),
            Err(e) => return Err(StoreError::io(&path, e).into()),
        };
        let altered = |path: &Path, what: &str| Fault::Altered { path: path.into(), what: what.into() };
        let loose: serde_json::Value = serde_json::from_slice(&body).map_err(|_| altered(&path, "it is no manifest"))?;
        if loose["format"].as_u64().is_some_and(|f| f > u64::from(FORMAT)) {
            return Err(Fault::Newer(folder.into(), loose["program"].as_str().unwrap_or("unknown").into()));
        }
        let manifest: Manifest = serde_json::from_slice(&body).map_err(|_| altered(&path, "it is no manifest"))?;
        if manifest.holds != wanted {
            return Err(Fault::Another(folder.into(), manifest.holds, wanted));
        }
        for note in &manifest.files {
            if !matches!(note.name.as_str(), "record.rows" | "custody.rows" | "keyring.rows") {
                return Err(altered(&path, "it names a file that is none of a backup's"));
            }
            let path = folder.join(&note.name);
            let (octets, sha256) = match digest_of(&path) {
                Ok(found) => found,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(altered(&path, "it is not there")),
                Err(e) => return Err(StoreError::io(&path, e).into()),
            };
            if octets != note.octets {
                return Err(altered(&path, &format!("it has {octets} octets, and had {}", note.octets)));
            }
            if sha256 != note.sha256 {
                return Err(altered(&path, "its digest is another"));
            }
        }
        let signature = fs::read_to_string(folder.join(SIGNATURE)).unwrap_or_default();
        Ok((manifest, Signed { path, body, signature }))
    }
}

/// A manifest as it was signed.
struct Signed {
    path: PathBuf,
    body: Vec<u8>,
    signature: String,
}

impl Signed {
    fn verify(&self, signer: &Ed25519KeyPair) -> Result<(), Fault> {
        let octets: Option<Vec<u8>> = (0..self.signature.trim().len())
            .step_by(2)
            .map(|i| self.signature.get(i..i + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect();
        let key = UnparsedPublicKey::new(&ED25519, signer.public_key().as_ref());
        match octets {
            Some(signature) if key.verify(&self.body, &signature).is_ok() => Ok(()),
            _ => Err(Fault::Altered { path: self.path.clone(), what: "its signature does not hold".into() }),
        }
    }
}

/// A new file that only its owner may read.
fn create(path: &Path) -> Result<fs::File, StoreError> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|e| StoreError::io(path, e))
}

/// Makes the folder; one that is there must be empty.
fn empty_folder(path: &Path) -> Result<(), Fault> {
    let io = |e| StoreError::io(path, e);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
    match fs::read_dir(path).map_err(io)?.next() {
        None => Ok(()),
        Some(_) => Err(Fault::NotEmpty(path.into())),
    }
}

/// Octets and SHA-256, in pieces.
fn digest_of(path: &Path) -> std::io::Result<(u64, String)> {
    let mut file = fs::File::open(path)?;
    let (mut context, mut octets, mut piece) = (Context::new(&SHA256), 0, vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok((octets, hex(context.finish().as_ref()))),
            n => {
                context.update(&piece[..n]);
                octets += n as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests;
