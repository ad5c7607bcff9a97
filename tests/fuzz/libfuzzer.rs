//! The targets under libFuzzer; `tests/fuzz/run.sh` builds and starts it.
//!
//! `LYCHGATE_FUZZ` says what to do: a target's name to fuzz it, `list` to name them all, `seeds FOLDER` to write each target's seeds
//! into a folder of its own.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

mod targets;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let asked = std::env::var("LYCHGATE_FUZZ").unwrap_or_default();
    if asked == "list" {
        targets::ALL.iter().for_each(|t| println!("{}", t.name));
        std::process::exit(0);
    }
    if let Some(folder) = asked.strip_prefix("seeds ") {
        write_seeds(Path::new(folder));
        std::process::exit(0);
    }
    match targets::ALL.iter().find(|t| t.name == asked) {
        Some(target) => target.run,
        None => panic!("LYCHGATE_FUZZ=\"{asked}\" is no target"),
    }
});

fn write_seeds(folder: &Path) {
    let given =
        std::env::var_os("LYCHGATE_GIVEN").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/given"), PathBuf::from);
    for target in targets::ALL {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let files = if given.join("TRUTH.tsv").is_file() { targets::seeds::given(target, &given, 1) } else { Vec::new() };
        for (i, seed) in (target.seeds)().into_iter().chain(files).enumerate() {
            std::fs::write(folder.join(i.to_string()), seed).expect("a seed can be written");
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
