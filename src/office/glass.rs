//! Breaking the glass: one person opens held mail alone, with the code from the sealed envelope. Clerk and Chair hear of it at once, and
//! the code is used up.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::roles::Right;
use super::{Doer, Fault, moment};
use crate::config::Settings;
use crate::outbox;
use crate::records::access::{self, Identity, glass};
use crate::records::custody::{self, Sheet};
use crate::records::trace::Question;
use crate::records::{Options, StoreError};

/// What the log says of it, and by what the digest finds it.
const ACT: &str = "broke the glass";
/// How far back the digest looks.
const DIGEST: i64 = 8 * 24;

/// Makes a new code, to be printed once; the one of before is good no more.
pub fn make(settings: &Settings, options: &Options, now: Timestamp, doer: &Doer) -> Result<String, Fault> {
    alerted(settings)?;
    doer.log(options, Right::Keys, "made a break-glass code", Question::default())?;
    Ok(glass::make(options, now.as_millisecond())?)
}

/// When the code was made that is good now.
pub fn made(options: &Options) -> Result<Option<Timestamp>, Fault> {
    Ok(glass::made(options)?.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
}

/// Both who must hear of it.
fn alerted(settings: &Settings) -> Result<[&str; 2], Fault> {
    match (&settings.council.clerk, &settings.council.chair) {
        (Some(clerk), Some(chair)) if clerk != chair => Ok([clerk, chair]),
        _ => Err(Fault::NobodyToAlert),
    }
}

/// Uses the code for this message. When this returns the log has it, and the letters to Clerk and Chair are on the disk.
pub(super) fn break_it(
    settings: &Settings,
    options: &Options,
    code: &str,
    sheet: &Sheet,
    now: Timestamp,
    doer: &Doer,
) -> Result<(), Fault> {
    let both = alerted(settings)?;
    let post = outbox::Options::of(settings).ok_or(Fault::NoOutbox)?;
    if doer.purpose.trim().is_empty() {
        return Err(Fault::Purpose);
    }
    let about = super::held::about(sheet);
    if !glass::fits(options, code)? {
        doer.note(options, "tried a wrong break-glass code", about)?;
        return Err(Fault::WrongGlass);
    }
    doer.note(options, &format!("{ACT} and opened held mail"), about)?;
    let paragraphs = [
        format!(
            "The break-glass code was used on {}: the held message {} was read by one person alone, {}.",
            moment(now, &settings.time_zone),
            sheet.reference,
            doer.who
        ),
        format!("The reason given: {}", doer.purpose.trim()),
        "First ask that person and the other of you two whether this was right. The code was kept in a sealed envelope: look at the envelope. `lychgate audit list` shows what else was looked at.".into(),
        "The code is used up. `lychgate break-glass make` makes a new one.".into(),
    ];
    let letter = |to: &str| outbox::letter_to(to, "The break-glass code was used", &paragraphs, &post, now.as_millisecond());
    let letters = both.into_iter().map(letter).collect::<Result<Vec<_>, StoreError>>()?;
    custody::open_beside(options)?.accept(&letters, now.as_millisecond())?;
    // Last: whoever is cut off before this has alarmed two people, and read nothing.
    if glass::use_up(options, code)? { Ok(()) } else { Err(Fault::WrongGlass) }
}

/// What the Clerk's digest says of it.
pub fn for_the_digest(options: &Options, now: Timestamp, zone: &TimeZone) -> Result<Vec<String>, Fault> {
    let since = now - jiff::SignedDuration::from_hours(DIGEST);
    let used = access::entries(options, since)?.into_iter().map(|e| e.access).filter(|a| a.purpose.starts_with(ACT));
    let tell = |a: access::Access| {
        format!(
            "The break-glass code was used on {} to read the held message {} ({}).",
            moment(a.time, zone),
            a.reference.unwrap_or_default(),
            match a.identity {
                Some(Identity::Signed(_)) => "by somebody who was proven; lychgate audit list says who".into(),
                Some(Identity::Terminal { user, .. }) => format!("the account {user}"),
                None => a.who,
            }
        )
    };
    Ok(used.map(tell).collect())
}
