//! What is fuzzed: each file is one parser or detector, one function of any octets, and what must be so whatever they are. The
//! invariant compares with a second implementation, with what was built, or with the input; that nothing panics goes without saying.
//!
//! A target that needs a well-formed thing takes the octets as choices ([`input::Input`]) and builds it, so that it knows the truth.

pub mod council;
pub mod input;
pub mod mail;
pub mod seeds;
pub mod zips;

/// One target.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// What to start from, and every input that once broke it.
    pub seeds: fn() -> Vec<Vec<u8>>,
    pub given: Given,
}

/// Which of the given files are seeds too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Given {
    Nothing,
    Messages,
    Documents,
}

macro_rules! targets {
    ($($name:ident)+) => {
        $(pub mod $name;)+
        pub const ALL: &[Target] = &[$($name::TARGET),+];
    };
}

targets! {
    addresses
    banner
    documents
    evaluate
    explain
    forwarding
    header
    hide
    html
    identifiers
    impersonation
    links
    marking
    own_account
    parts
    passwords
    patterns
    prefixes
    protection
    rules
    transfer
    words
}

/// Seeds that are texts.
pub fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|t| t.as_bytes().to_vec()).collect()
}

/// Messages, written with LF.
pub fn messages(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|t| t.replace('\n', "\r\n").into_bytes()).collect()
}
