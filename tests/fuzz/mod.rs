//! The fuzz targets as tests: each over its seeds, the given files that suit it, and a bounded number of small changes to both, the
//! same in every run. With coverage to guide it, the same targets run under libFuzzer: `tests/fuzz/run.sh`.

mod mutate;
pub mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::LazyLock;

use self::targets::Target;
use crate::support::{Random, given};

/// Changed inputs for each target.
const CHANGES: usize = 250;
static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(|| given("fuzzing from given files"));

fn run(name: &str) {
    let target = targets::ALL.iter().find(|t| t.name == name).expect("it is a target");
    let mut seeds = (target.seeds)();
    seeds.push(Vec::new());
    if let Some(folder) = &*FOLDER {
        seeds.extend(targets::seeds::given(target, folder, 16));
    }
    for seed in &seeds {
        check(target, seed);
    }
    let small: Vec<&Vec<u8>> = seeds.iter().filter(|s| s.len() <= 4096).collect();
    let mut random = Random::new(target.name.len() as u64);
    for round in 0..CHANGES {
        let other = small[random.below(small.len() as u64) as usize];
        check(target, &mutate::mutate(small[round % small.len()], other, &mut random));
    }
}

/// Runs one input, and shows it where it breaks something.
fn check(target: &Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        panic!("{} is broken by b\"{}\"", target.name, input[..input.len().min(6000)].escape_ascii());
    }
}

macro_rules! tests {
    ($($name:ident)+) => {
        $(#[test] fn $name() { run(stringify!($name)); })+

        #[test]
        fn every_target_is_run() {
            assert_eq!(targets::ALL.iter().map(|t| t.name).collect::<Vec<_>>(), [$(stringify!($name)),+]);
        }
    };
}

tests! {
    addresses banner documents evaluate explain forwarding header hide html identifiers impersonation links marking own_account parts passwords patterns prefixes protection rules
    transfer words
}

/// Comparing verdicts means little if they are all alike.
#[test]
fn judging_comes_to_every_outcome() {
    let Some(folder) = &*FOLDER else { return };
    let target = targets::ALL.iter().find(|t| t.name == "evaluate").expect("it is a target");
    let seeds = (target.seeds)().into_iter().chain(targets::seeds::given(target, folder, 4));
    let mut outcomes = std::collections::BTreeMap::new();
    for seed in seeds {
        *outcomes.entry(targets::evaluate::outcome(&seed)).or_insert(0) += 1;
    }
    for outcome in [("deliver", true), ("hold", true), ("defer", false), ("reject", false)] {
        assert!(outcomes.contains_key(&outcome), "{outcome:?} of {outcomes:?}");
    }
}
