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

/// Raw deflate, and how many octets of `packed` were gone through for it: of a hostile file many more than come out.
pub fn inflate_raw(packed: &[u8], limit: usize) -> (Vec<u8>, End, usize) {
    let mut unpacking = flate2::bufread::DeflateDecoder::new(packed);
    let (out, end) = read(&mut unpacking, limit);
    (out, end, usize::try_from(unpacking.total_in()).unwrap_or(usize::MAX))
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
