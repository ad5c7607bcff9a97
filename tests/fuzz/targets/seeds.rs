//! Where fuzzing starts: each target's own seeds, and the given files that suit it.

use std::path::Path;

use super::{Given, Target};

/// Given files of more octets are for other tests.
const LARGEST: u64 = 24 << 10;

/// The given files in `folder` that suit `target`; of every so many one, another share for each target.
pub fn given(target: &Target, folder: &Path, every: usize) -> Vec<Vec<u8>> {
    let kind = match target.given {
        Given::Nothing => return Vec::new(),
        Given::Messages => "message",
        Given::Documents => "document",
    };
    let truth = std::fs::read_to_string(folder.join("TRUTH.tsv")).expect("the list of given files is text");
    let paths = truth.lines().skip(1).filter_map(|line| {
        let mut fields = line.split('\t');
        Some((fields.next()?, fields.next()?)).filter(|(_, k)| *k == kind).map(|(path, _)| folder.join(path))
    });
    let first = target.name.bytes().map(usize::from).sum::<usize>() % every;
    paths
        .filter(|p| p.metadata().is_ok_and(|m| m.len() <= LARGEST))
        .skip(first)
        .step_by(every)
        .map(|p| std::fs::read(p).expect("a given file can be read"))
        .collect()
}
