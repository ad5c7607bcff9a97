//! The test's side of `shim.c`: builds it, puts it around a gateway, and says what disk and clock are to do.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::support::gateway::{Gateway, Site};
use crate::support::skip;

/// The library, built once in a run. None where there is no C compiler, which is said aloud.
fn library(what: &str) -> Option<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shim-{}.so", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/custody/shim.c");
        let output = Command::new("cc").args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&to).arg(source).output();
        match output.map_err(|e| format!("no C compiler: {e}"))? {
            built if built.status.success() => Ok(to),
            failed => panic!("the shim cannot be built: {}", String::from_utf8_lossy(&failed.stderr)),
        }
    });
    built.as_deref().map_err(|why| skip(what, why)).ok()
}

/// What the program's fsync is to be worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swallow {
    Nothing = 0,
    Files = 1,
    Folders = 2,
    Keyring = 3,
}

/// A site with the shim around it, which logs what is done to its data folder.
pub fn around(site: Site, what: &str) -> Option<Site> {
    let library = library(what)?;
    let control: Vec<u8> = [-1i64, 0, 0, 0, 0].iter().flat_map(|n| n.to_ne_bytes()).collect();
    let path = |name: &str| format!("{{site}}/{name}");
    Some(
        site.file("shim.control", control)
            .environment("LD_PRELOAD", &library.display().to_string())
            .environment("LYCHGATE_SHIM_FOLDER", &path("data"))
            .environment("LYCHGATE_SHIM_CONTROL", &path("shim.control")),
    )
}

/// With a log of all that is done to the data folder.
pub fn logged(site: Site) -> Site {
    site.environment("LYCHGATE_SHIM_LOG", "{site}/shim.log")
}

/// The control file and the log of a gateway that runs with the shim.
pub struct Shim {
    control: File,
    log: PathBuf,
}

impl Shim {
    pub fn of(gateway: &Gateway) -> Shim {
        let folder = gateway.scratch.path();
        let control = File::options().read(true).write(true).open(folder.join("shim.control")).expect("the control file is there");
        Shim { control, log: folder.join("shim.log") }
    }

    /// So many octets can still be written beyond what is there. None: as many as one likes.
    pub fn room(&self, octets: Option<u64>) {
        self.set(0, octets.map_or(-1, |n| i64::try_from(n).expect("a small number")));
    }

    pub fn swallow(&self, what: Swallow) {
        self.set(1, what as i64);
    }

    /// The clock is wrong by so many milliseconds.
    pub fn clock(&self, ahead: i64) {
        self.set(2, ahead);
    }

    /// Each sync takes so much longer.
    pub fn slow(&self, by: Duration) {
        self.set(4, i64::try_from(by.as_micros()).expect("a short time"));
    }

    /// Writes that found the disk full.
    pub fn refused(&self) -> i64 {
        let mut octets = [0; 8];
        self.control.read_exact_at(&mut octets, 24).expect("the control file can be read");
        i64::from_ne_bytes(octets)
    }

    fn set(&self, index: u64, value: i64) {
        self.control.write_all_at(&value.to_ne_bytes(), index * 8).expect("the control file can be written");
    }

    /// How long the log is now: what was done before this is above it.
    pub fn position(&self) -> u64 {
        std::fs::metadata(&self.log).map_or(0, |m| m.len())
    }

    pub fn log(&self) -> Vec<u8> {
        std::fs::read(&self.log).expect("the log can be read")
    }
}
