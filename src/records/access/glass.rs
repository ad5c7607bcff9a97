//! The break-glass code: made once, printed once, kept in a sealed envelope; who uses it opens content alone.
//!
//! The code is 130 random bits, so what is kept of it, a digest in the keyring, gives nothing away and needs no stretching.

use super::super::keyring::Keyring;
use super::super::sealing::random_octets;
use super::{Options, StoreError, open};

/// Letters and digits that nobody mistakes for others (RFC 4648's base 32, without 0, 1, 8 and 9).
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LENGTH: usize = 26;

/// Makes a new code; the one of before is good no more.
pub fn make(options: &Options, now: i64) -> Result<String, StoreError> {
    let (_, ring) = open(options)?;
    let code = code()?;
    ring.set_glass(&digest(&code), now)?;
    Ok(code)
}

/// When the code was made that is good now, in milliseconds; none if there is none.
pub fn made(options: &Options) -> Result<Option<i64>, StoreError> {
    let (_, ring) = open(options)?;
    Ok(ring.glass()?.map(|(_, made)| made))
}

/// Whether this is the code.
pub fn fits(options: &Options, given: &str) -> Result<bool, StoreError> {
    let (_, ring) = open(options)?;
    is_it(&ring, given)
}

/// Uses the code up; false if it was not the code, or no more.
pub fn use_up(options: &Options, given: &str) -> Result<bool, StoreError> {
    let (_, ring) = open(options)?;
    Ok(is_it(&ring, given)? && ring.break_glass(&digest(given))?)
}

fn is_it(ring: &Keyring, given: &str) -> Result<bool, StoreError> {
    Ok(ring.glass()?.is_some_and(|(kept, _)| bool::from(subtle::ConstantTimeEq::ct_eq(&kept[..], &digest(given)[..]))))
}

/// "ABCDE-FGHIJ-…", in groups of five.
fn code() -> Result<String, StoreError> {
    let random = random_octets::<LENGTH>()?;
    let mut out = String::with_capacity(LENGTH + LENGTH / 5);
    for (i, octet) in random.iter().enumerate() {
        if i > 0 && i % 5 == 0 {
            out.push('-');
        }
        out.push(char::from(LETTERS[usize::from(octet % 32)]));
    }
    Ok(out)
}

/// However it is typed.
fn digest(code: &str) -> [u8; 32] {
    let letters: String = code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    blake3::derive_key("lychgate break-glass code v1", letters.as_bytes())
}
