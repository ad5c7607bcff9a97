//! Backup and restore as an operator asks for them.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::roles::Right;
use super::{Doer, Fault, counted, moment};
use crate::records::backup::{How, Made, Restored, make, restore};
use crate::records::trace::Question;
use crate::records::{Keeping, Options};

/// Makes a backup beside a gateway that runs or does not.
pub fn back_up(options: &Options, out: &Path, keyring_out: Option<&Path>, now: Timestamp, doer: &Doer) -> Result<Made, Fault> {
    doer.log(options, Right::Backup, "made a backup", Question::default())?;
    Ok(make(options, out, keyring_out, now)?)
}

/// What there is now.
pub fn made_words(made: &Made, out: &Path, keyring_out: Option<&Path>, zone: &TimeZone) -> String {
    let mut text = format!(
        "The backup in {} is of {}: {}, sealed.\n",
        out.display(),
        moment(made.database.made, zone),
        counted(made.database.rows(), "row")
    );
    match keyring_out {
        Some(folder) => text.push_str(&format!(
            "The keyring is in {}. Keep it elsewhere, and for a few days only: with both, what was erased since\ncan be read.\n",
            folder.display()
        )),
        None => text.push_str("The keyring is not in it: without one of its day or later it cannot be read (--keyring-out).\n"),
    }
    text.push_str(&format!("The site key (print {}) is in neither.\n", made.database.print));
    text
}

/// Puts a backup in place, and says so in the access log.
pub fn put_back(
    options: &Options,
    from: &Path,
    keyring_from: Option<&Path>,
    how: How,
    now: Timestamp,
    doer: &Doer,
) -> Result<Restored, Fault> {
    // It is known before anything is changed that the log will hear of it.
    if doer.purpose.trim().is_empty() {
        return Err(Fault::Purpose);
    }
    doer.may(Right::Backup)?;
    let restored = restore(options, from, keyring_from, how, now)?;
    let keyring = if restored.with_keyring { ", with its keyring" } else { "" };
    doer.log(options, Right::Backup, &format!("restored the backup of {}{keyring}", restored.manifest.made), Question::default())?;
    Ok(restored)
}

/// What was done, and what is to be looked at now.
pub fn restored_words(restored: &Restored, options: &Options, how: How, zone: &TimeZone) -> Result<String, Fault> {
    let made = moment(restored.manifest.made, zone);
    let mut text = format!("Restored: {} of {made}.\n", counted(restored.manifest.rows(), "row"));
    text.push_str("What came after that is not in it: mail that was recorded, held or taken into custody since, and who looked since.\n");
    if restored.stopped > 0 {
        text.push_str(&format!(
            "{} waited to be delivered then and may have been delivered since: stopped, so that nothing is sent twice.\nLook at each (lychgate queue list).\n",
            counted(restored.stopped, "message")
        ));
    } else if how.resume {
        text.push_str("What waited to be delivered then is delivered when the gateway starts, a second time if it had been already.\n");
    }
    if restored.held > 0 {
        text.push_str(&format!(
            "{} held then and may have been released or refused since: look before you decide (lychgate held list).\n",
            if restored.held == 1 { "1 message was".into() } else { format!("{} messages were", restored.held) }
        ));
    }
    match restored.forgotten {
        0 => {}
        1 => text.push_str("1 person who had asked to be erased was erased again.\n"),
        n => text.push_str(&format!("{n} people who had asked to be erased were erased again.\n")),
    }
    let gone: u64 = restored.receipt.classes.iter().map(|c| c.rows).sum();
    if gone > 0 {
        text.push_str(&format!("{} had expired since and went: receipt {}.\n", counted(gone, "row"), restored.receipt.number));
    }
    let verified = Keeping::open(options)?.verify_receipts()?;
    match verified.faults.as_slice() {
        [] => text.push_str(&format!(
            "The receipts {} to {} hold, each as it was signed. Receipts that were issued after the backup are in the log only.\n",
            verified.first, verified.last
        )),
        faults => faults.iter().for_each(|fault| text.push_str(&format!("{fault}\n"))),
    }
    text.push_str("Now start the gateway.\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::office::tests::doer;
    use crate::records::access::accesses;
    use crate::records::tests::Folder;

    #[test]
    fn both_are_logged_and_told_with_what_to_look_at() {
        let folder = Folder::new();
        let options = folder.prepared();
        let (now, out) = (Timestamp::now(), folder.path("out"));
        assert!(matches!(back_up(&options, &out, None, now, &doer("")), Err(Fault::Purpose)));
        assert!(!out.exists(), "nothing is done without a reason");
        let made = back_up(&options, &out, None, now, &doer("nightly")).unwrap();
        let told = made_words(&made, &out, None, &TimeZone::UTC);
        assert_eq!(
            told,
            format!(
                "The backup in {} is of {}: {}, sealed.\nThe keyring is not in it: without one of its day or later it cannot be read (--keyring-out).\nThe site key (print {}) is in neither.\n",
                out.display(),
                moment(now, &TimeZone::UTC),
                counted(made.database.rows(), "row"),
                made.database.print
            )
        );
        let how = How { replace: true, ..How::default() };
        assert!(matches!(put_back(&options, &out, None, how, now, &doer("")), Err(Fault::Purpose)));
        let restored = put_back(&options, &out, None, how, now, &doer("the disk failed")).unwrap();
        let log: Vec<String> = accesses(&options).unwrap().into_iter().map(|a| a.purpose).collect();
        assert_eq!(log, ["made a backup: nightly".to_string(), format!("restored the backup of {now}: the disk failed")]);
        let told = restored_words(&restored, &options, how, &TimeZone::UTC).unwrap();
        assert!(told.starts_with("Restored: ") && told.ends_with("Now start the gateway.\n"), "{told}");
        let told = restored_words(&Restored { stopped: 2, held: 1, forgotten: 1, ..restored }, &options, how, &TimeZone::UTC).unwrap();
        for line in [
            "2 messages waited to be delivered then and may have been delivered since: stopped, so that nothing is sent twice.",
            "1 message was held then and may have been released or refused since: look before you decide (lychgate held list).",
            "1 person who had asked to be erased was erased again.",
        ] {
            assert!(told.lines().any(|l| l == line), "{line} is not in:\n{told}");
        }
    }
}
