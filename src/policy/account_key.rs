//! Accounts of people's own, registered without saying which: as keyed hashes. The key is derived from the site's, so that a copy of
//! the site file tells nobody whose account is whose, and a guess cannot be tried without the key.

use zeroize::Zeroizing;

/// What a hashed account begins with in the site file.
const PREFIX: &str = "account:";
/// Octets of a hash: enough that no two accounts meet by chance.
const LENGTH: usize = 16;

#[derive(Clone)]
pub struct AccountKey(Zeroizing<[u8; 32]>);

impl AccountKey {
    /// From the site's key. No other hash or key of the site is made for this purpose.
    pub fn of_site_key(site_key: &[u8; 32]) -> AccountKey {
        AccountKey(Zeroizing::new(blake3::derive_key("lychgate own accounts v1", site_key)))
    }

    /// `account:` and 32 hexadecimal digits, of an address in normal form.
    pub fn hash(&self, address: &str) -> String {
        let hash = blake3::keyed_hash(&self.0, address.as_bytes());
        let mut out = String::with_capacity(PREFIX.len() + 2 * LENGTH);
        out.push_str(PREFIX);
        hash.as_bytes()[..LENGTH].iter().for_each(|b| out.push_str(&format!("{b:02x}")));
        out
    }
}

/// Shows no key.
impl std::fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccountKey(…)")
    }
}

/// Whether `text` is meant as a hashed account.
pub fn is_hashed(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Whether `text` is a hashed account as [`AccountKey::hash`] writes it.
pub fn is_well_formed(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|hex| hex.len() == 2 * LENGTH && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// Whether `address` (normal form) is among `registered`: as it is, or by its hash.
pub fn is_registered(registered: &[String], address: &str, key: Option<&AccountKey>) -> bool {
    if registered.iter().any(|r| r == address) {
        return true;
    }
    let Some(key) = key.filter(|_| registered.iter().any(|r| is_hashed(r))) else { return false };
    let hash = key.hash(address);
    registered.iter().any(|r| subtle::ConstantTimeEq::ct_eq(r.as_bytes(), hash.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_as_written_or_by_hash() {
        let key = AccountKey::of_site_key(&[7; 32]);
        let hash = key.hash("jo@gmail.com");
        assert!(is_well_formed(&hash) && is_hashed(&hash) && !hash.contains("jo"));
        let registered = ["al@sky.com".to_string(), hash];
        assert!(is_registered(&registered, "al@sky.com", None));
        assert!(is_registered(&registered, "jo@gmail.com", Some(&key)));
        assert!(!is_registered(&registered, "jo@gmail.com", None), "without the key nobody can tell");
        assert!(!is_registered(&registered, "jo@gmail.com", Some(&AccountKey::of_site_key(&[8; 32]))));
        assert!(!is_registered(&registered, "jo@sky.com", Some(&key)));
        for bad in ["account:", "account:12", "account:ZZ", "jo@gmail.com"] {
            assert!(!is_well_formed(bad), "{bad}");
        }
        assert_eq!(format!("{key:?}"), "AccountKey(…)");
    }
}
