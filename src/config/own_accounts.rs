//! The key by which people's own accounts are registered as hashes: `[people.own-accounts]`, `lychgate people hash`.

use std::io::{self, Read as _};
use std::path::Path;

use base64::Engine as _;
use zeroize::Zeroizing;

use crate::policy::account_key::AccountKey;

/// Derived from the site's key. Errors if the file is not there or holds no key.
pub fn key(site_key_file: &Path) -> io::Result<AccountKey> {
    let mut text = Zeroizing::new(Vec::with_capacity(80));
    std::fs::File::open(site_key_file)?.take(80).read_to_end(&mut text)?;
    let octets = base64::engine::general_purpose::STANDARD.decode(text.trim_ascii()).map(Zeroizing::new);
    let octets = octets.ok().and_then(|o| <[u8; 32]>::try_from(o.as_slice()).ok()).map(Zeroizing::new);
    octets.map(|o| AccountKey::of_site_key(&o)).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the file holds no key"))
}
