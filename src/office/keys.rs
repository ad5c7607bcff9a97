//! The keys as an operator asks about them: what there is and when it dies, a new site key, going on without keys that were lost.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::roles::Right;
use super::{Doer, Fault, counted, day, moment};
use crate::records::rotation::{self, Key, Overview, Rotated};
use crate::records::site::{self, GivenUp};
use crate::records::trace::Question;
use crate::records::{Options, RecordClass};

/// Puts a new site key in place of the old one.
pub fn rotate(options: &Options, doer: &Doer) -> Result<Rotated, Fault> {
    doer.log(options, Right::Keys, "changed the site key", Question::default())?;
    Ok(rotation::rotate(options)?)
}

/// What was done, and what is to be done now.
pub fn rotated_words(rotated: &Rotated, options: &Options) -> String {
    let mut out = format!(
        "The site key is a new one: print {}; before it was {}. {} under it.\n",
        rotated.print,
        rotated.before,
        if rotated.keys == 1 { "1 key is".into() } else { format!("{} are", counted(rotated.keys, "key")) }
    );
    if rotated.damaged > 0 {
        out.push_str(&format!("{} could not be opened before either, and stay as they are.\n", counted(rotated.damaged, "key")));
    }
    let key = options.key_file.display();
    out.push_str(&format!(
        "Now:\n  1. Put a copy of {key} where its backup is kept, and destroy the copies of the old one when the last\n     keyring backup of before today has gone: the old key opens those, and nothing that was made since.\n"
    ));
    if options.keyring.file().is_none() {
        out.push_str(&format!(
            "  2. Copy {key} to every other gateway on this database. One that runs goes on with the keys it has in\n     use and takes the new file up by itself; until it is there it says so in its log.\n"
        ));
    }
    out
}

/// What the keyring holds; no key material.
pub fn overview(options: &Options) -> Result<Overview, Fault> {
    Ok(rotation::overview(options)?)
}

/// `keys show` in plain words: one line a class, or one a key.
pub fn overview_words(overview: &Overview, all: bool, options: &Options, zone: &TimeZone) -> String {
    let mut out = format!(
        "Site key {}\n  print {}, in force since {}\nKeyring {}\n",
        options.key_file.display(),
        overview.print,
        moment(overview.since, zone),
        options.keyring
    );
    let mut classes: BTreeMap<&str, Vec<&Key>> = BTreeMap::new();
    for key in &overview.keys {
        classes.entry(&key.class).or_default().push(key);
    }
    for (class, keys) in classes {
        let number = counted(keys.len() as u64, "key");
        let (Some(starts), Some(first), Some(last)) =
            (keys.first().and_then(|k| k.starts), keys.iter().filter_map(|k| k.expires).min(), keys.iter().filter_map(|k| k.expires).max())
        else {
            out.push_str(&format!("  {class:<10} {number}, until {}\n", ends_with(class)));
            continue;
        };
        out.push_str(&format!(
            "  {class:<10} {number}; the oldest seals from {} on; the first dies on {}, the last on {}\n",
            moment(starts, zone),
            moment(first, zone),
            moment(last, zone)
        ));
        for key in keys.iter().filter(|_| all) {
            if let (Some(starts), Some(until), Some(expires)) = (key.starts, key.until, key.expires) {
                out.push_str(&format!("    {} to {}, dies on {}\n", moment(starts, zone), moment(until, zone), moment(expires, zone)));
            }
        }
    }
    if overview.erasures > 0 {
        out.push_str(&format!(
            "{} asked to be erased: a database that is restored is made to forget them again.\n",
            if overview.erasures == 1 { "1 person has".into() } else { format!("{} people have", overview.erasures) }
        ));
    }
    out
}

/// What ends a key that has no period.
fn ends_with(class: &str) -> &'static str {
    match class {
        c if c == RecordClass::Holds.word() => "its hold is lifted or lapses",
        c if c == RecordClass::Receipts.word() => "the record itself goes: it signs receipts",
        _ => "the record itself goes: requests and erasures are sealed with it",
    }
}

/// Goes on without the keys that are missing.
pub fn accept_loss(options: &Options, now: Timestamp, doer: &Doer) -> Result<GivenUp, Fault> {
    doer.log(options, Right::Keys, "accepted the loss of keys", Question::default())?;
    Ok(site::accept_loss(options, now.as_millisecond())?)
}

/// What was given up, in words.
pub fn given_up_words(given_up: &GivenUp, now: Timestamp, zone: &TimeZone) -> String {
    if given_up.periods == 0 {
        return "No key is missing: nothing was deleted.\n".into();
    }
    let mut out = format!(
        "The keys of {} are lost. {} that nobody can read any more were deleted on {}.\n",
        counted(given_up.periods as u64, "period"),
        counted(given_up.rows, "row"),
        day(now, zone)
    );
    if given_up.parcels > 0 {
        out.push_str(&format!(
            "{} in custody can be neither read nor delivered, and stay listed: their senders have to be asked to send again.\n",
            counted(given_up.parcels, "message")
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::office::tests::doer;
    use crate::records::access::accesses;
    use crate::records::tests::Folder;

    #[test]
    fn a_change_is_logged_and_told_with_what_to_do_next() {
        let folder = Folder::new();
        let options = folder.prepared();
        assert!(matches!(rotate(&options, &doer(" ")), Err(Fault::Purpose)));
        let before = overview(&options).unwrap();
        let rotated = rotate(&options, &doer("the old key was in an e-mail")).unwrap();
        assert_eq!(rotated.before.to_string(), before.print);
        assert_eq!(accesses(&options).unwrap()[0].purpose, "changed the site key: the old key was in an e-mail");
        let key = options.key_file.display();
        assert_eq!(
            rotated_words(&rotated, &options),
            format!(
                "The site key is a new one: print {}; before it was {}. 1 key is under it.\nNow:\n  1. Put a copy of {key} where its backup is kept, and destroy the copies of the old one when the last\n     keyring backup of before today has gone: the old key opens those, and nothing that was made since.\n",
                rotated.print, before.print
            )
        );
    }

    #[test]
    fn keys_are_shown_by_class_with_when_each_dies() {
        let folder = Folder::new();
        let options = folder.options();
        let time = |text: &str| Some(text.parse().unwrap());
        let key = |class: &str, starts, until, expires| Key { class: class.into(), starts, until, expires };
        let overview = Overview {
            print: "3f2a-91c0-77de-0b15".into(),
            since: "2026-05-14T09:00:00Z".parse().unwrap(),
            keys: vec![
                key("events", time("2026-05-14T00:00:00Z"), time("2026-05-15T00:00:00Z"), time("2026-08-13T00:00:00Z")),
                key("events", time("2026-05-15T00:00:00Z"), time("2026-05-16T00:00:00Z"), time("2026-08-14T00:00:00Z")),
                key("holds", None, None, None),
                key("receipts", None, None, None),
            ],
            erasures: 1,
        };
        let (file, ring) = (options.key_file.display(), &options.keyring);
        assert_eq!(
            overview_words(&overview, true, &options, &TimeZone::UTC),
            format!(
                "Site key {file}\n  print 3f2a-91c0-77de-0b15, in force since Thursday 14 May 2026, 09:00\nKeyring {ring}\n  events     2 keys; the oldest seals from Thursday 14 May 2026, 00:00 on; the first dies on Thursday 13 August 2026, 00:00, the last on Friday 14 August 2026, 00:00\n    Thursday 14 May 2026, 00:00 to Friday 15 May 2026, 00:00, dies on Thursday 13 August 2026, 00:00\n    Friday 15 May 2026, 00:00 to Saturday 16 May 2026, 00:00, dies on Friday 14 August 2026, 00:00\n  holds      1 key, until its hold is lifted or lapses\n  receipts   1 key, until the record itself goes: it signs receipts\n1 person has asked to be erased: a database that is restored is made to forget them again.\n"
            )
        );
    }
}
