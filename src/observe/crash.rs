//! Named points at which a test can make the program end as a power cut would end it: at once, with nothing closed, flushed or told.
//!
//! `LYCHGATE_CRASH=custody-accepted:3` aborts the process when it passes that point for the third time. Only where debug assertions
//! are compiled in: a release build has neither the look nor the name, so that nobody who can set a variable of the service can end it
//! in the middle of something, and nothing is paid for it. The points are values, so that a test can go through them all and fail
//! where one is never passed.

macro_rules! points {
    ($($(#[doc = $what:literal])+ $point:ident = $name:literal),+ $(,)?) => {
        /// Where a crash leaves something behind that a later start must make good.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $($(#[doc = $what])+ $point),+
        }

        impl Point {
            pub const ALL: &'static [Point] = &[$(Point::$point),+];

            /// Its name in `LYCHGATE_CRASH`.
            pub fn name(self) -> &'static str {
                match self { $(Point::$point => $name),+ }
            }
        }
    };
}

points! {
    /// The site key has its temporary name; there is no keyring and no database.
    SiteKeyMade = "site-key-made",
    /// The keyring is there; there is no database.
    RingMade = "ring-made",
    /// The record has its name; the site key has not.
    DatabaseNamed = "database-named",
    /// The site key has its name; there is no custody store.
    SiteKeyNamed = "site-key-named",
    /// A period's key is about to be written.
    KeyMaking = "key-making",
    /// A period's key is on the disk, and nothing is sealed with it.
    KeyMade = "key-made",
    /// A deposit is about to be written.
    DepositBegun = "deposit-begun",
    /// All of a deposit is written, and nothing is committed.
    DepositWritten = "deposit-written",
    /// A deposit is committed; nobody has been told.
    DepositCommitted = "deposit-committed",
    /// Parcels are leased.
    Claimed = "claimed",
    /// What became of a parcel is written, and not committed.
    SettleWritten = "settle-written",
    /// What became of a parcel is committed.
    Settled = "settled",
    /// What was decided about a parcel is written, and not committed.
    DecisionWritten = "decision-written",
    /// What was decided about a parcel is committed; who decided has not been told.
    Decided = "decided",
    /// A digest and its letters are written, and not committed.
    DigestWritten = "digest-written",
    /// A digest and its letters are committed; nobody has been told.
    DigestSent = "digest-sent",
    /// Rows of custody have gone; their keys have not.
    CustodyRowsPurged = "custody-rows-purged",
    /// Keys of custody have gone.
    CustodyKeysPurged = "custody-keys-purged",
    /// The upstream has taken a notice's envelope.
    NoticeEnvelope = "notice-envelope",
    /// The upstream has taken a notice, and it is not settled.
    NoticeTaken = "notice-taken",
    /// The upstream has taken the envelope of mail in custody.
    MailEnvelope = "mail-envelope",
    /// The content has gone to the upstream, which has not answered.
    MailSent = "mail-sent",
    /// The upstream has answered to the content, and nothing is settled.
    MailAnswered = "mail-answered",
    /// A group of records is written, and not committed.
    RecordWritten = "record-written",
    /// A group of records is committed; nobody has been told.
    RecordCommitted = "record-committed",
    /// An entry of the access log is committed, and the keyring does not know it.
    AccessLogged = "access-logged",
    /// The upstream has taken a message that is relayed; its client has not been told.
    Relayed = "relayed",
}

/// Passes a point.
#[inline(always)]
pub fn here(point: Point) {
    #[cfg(debug_assertions)]
    armed::pass(point);
    #[cfg(not(debug_assertions))]
    let _ = point;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Point;

    struct Armed {
        point: Point,
        /// Passings that are still survived, and the one that is not.
        left: AtomicU32,
    }

    pub(super) fn pass(point: Point) {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        let armed = ARMED.get_or_init(|| std::env::var("LYCHGATE_CRASH").ok().map(|text| read(&text)));
        if let Some(armed) = armed
            && armed.point == point
            && armed.left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::process::abort();
        }
    }

    /// What cannot be meant ends the program too: a test with a misspelt point must not pass.
    fn read(text: &str) -> Armed {
        let (name, nth) = text.split_once(':').unwrap_or((text, "1"));
        match (Point::ALL.iter().find(|p| p.name() == name), nth.parse()) {
            (Some(point), Ok(nth)) => Armed { point: *point, left: AtomicU32::new(nth) },
            _ => {
                tracing::error!(event = "crash_point_unknown", "LYCHGATE_CRASH was not understood");
                std::process::abort()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_different() {
        for (i, point) in Point::ALL.iter().enumerate() {
            assert!(Point::ALL[..i].iter().all(|p| p.name() != point.name()), "{}", point.name());
        }
    }
}
