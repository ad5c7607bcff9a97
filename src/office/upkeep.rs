//! What the machine under the gateway needs before it is too late: the certificate, room on the disk, a folder for the desk. The desk's
//! first page and `/health` say the same of it.

use std::path::Path;

use jiff::Timestamp;

use crate::config::Settings;
use crate::records::Options;

/// Days that a certificate is good for, below which something is to be done, and is urgent.
const SOON: i64 = 21;
const URGENT: i64 = 7;
/// Octets free where the store is, below which the same.
const TIGHT: u64 = 1_000_000_000;
const FULL: u64 = 100_000_000;

/// How pressing something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Well,
    /// It can wait for the Clerk's next hours.
    Soon,
    /// Today.
    Urgent,
}

/// Of a certificate that ends then, the gateway's own or the identity provider's: whole days left (none are left where it is below 0),
/// and how pressing that is.
pub fn certificate(ends: Timestamp, now: Timestamp) -> (i64, Level) {
    let days = ends.duration_since(now).as_secs().div_euclid(86_400);
    let level = match days {
        days if days < URGENT => Level::Urgent,
        days if days < SOON => Level::Soon,
        _ => Level::Well,
    };
    (days, level)
}

/// Octets that are free where the store is (on a server: where the site key is); none where that cannot be told.
pub fn free(options: &Options) -> Option<u64> {
    let folder = options.database.file().unwrap_or(&options.key_file).parent()?;
    let told = rustix::fs::statvfs(folder).ok()?;
    Some(told.f_bavail.saturating_mul(told.f_frsize))
}

/// How pressing that is.
pub fn disk(free: u64) -> Level {
    match free {
        free if free < FULL => Level::Urgent,
        free if free < TIGHT => Level::Soon,
        _ => Level::Well,
    }
}

/// Whether the desk can write in its folder, or make it; none where there is no desk.
pub fn desk(settings: &Settings) -> Option<bool> {
    let folder = &settings.console.as_ref()?.folder;
    // What is not there yet is made when it is first needed, below what is there.
    let there = folder.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(Path::new("."));
    Some(there.is_dir() && rustix::fs::access(there, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_told_of_in_time() {
        let now: Timestamp = "2026-11-26T10:00:00Z".parse().unwrap();
        for (ends, days, level) in [
            ("2027-02-24T10:00:00Z", 90, Level::Well),
            ("2026-12-17T10:00:00Z", 21, Level::Well),
            ("2026-12-17T09:59:59Z", 20, Level::Soon),
            ("2026-12-03T10:00:00Z", 7, Level::Soon),
            ("2026-12-03T09:00:00Z", 6, Level::Urgent),
            ("2026-11-26T10:00:00Z", 0, Level::Urgent),
            ("2026-11-26T09:59:00Z", -1, Level::Urgent),
            ("2020-01-01T00:00:00Z", -2522, Level::Urgent),
        ] {
            assert_eq!(certificate(ends.parse().unwrap(), now), (days, level), "{ends}");
        }
    }

    #[test]
    fn a_full_disk_is_told_of_before_it_is_full() {
        assert_eq!([disk(50_000_000), disk(500_000_000), disk(2_000_000_000)], [Level::Urgent, Level::Soon, Level::Well]);
        let folder = crate::records::tests::Folder::new();
        std::fs::create_dir_all(folder.path("data")).unwrap();
        assert!(free(&folder.options()).is_some_and(|octets| octets > 0));
    }
}
