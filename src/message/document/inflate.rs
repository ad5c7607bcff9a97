//! Deflate in its three wrappers (RFC 1950, 1951, 1952), up to a limit; what was unpacked before a fault is kept.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapper {
    Raw,
    Zlib,
    Gzip,
}

/// How unpacking ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Whole,
    /// There is more than the limit.
    Limit,
    Damaged,
}

pub fn inflate(packed: &[u8], wrapper: Wrapper, limit: usize) -> (Vec<u8>, End) {
    match wrapper {
        Wrapper::Raw => read(DeflateDecoder::new(packed), limit),
        Wrapper::Zlib => read(ZlibDecoder::new(packed), limit),
        Wrapper::Gzip => read(MultiGzDecoder::new(packed), limit),
    }
}

fn read(unpacking: impl Read, limit: usize) -> (Vec<u8>, End) {
    let mut out = Vec::new();
    let result = unpacking.take(limit as u64 + 1).read_to_end(&mut out);
    let end = match result {
        _ if out.len() > limit => {
            out.truncate(limit);
            End::Limit
        }
        Ok(_) => End::Whole,
        Err(_) => End::Damaged,
    };
    (out, end)
}
