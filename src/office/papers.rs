//! What the council's papers need of the store: figures that name nobody.

use jiff::{Timestamp, ToSpan};

use super::Fault;
use crate::config::Settings;
use crate::documents::Live;
use crate::records::{Figures, Keeping, Options};

/// What is there; nothing where there is no store yet.
pub fn live(settings: &Settings, now: Timestamp) -> Result<Live, Fault> {
    let options = Options::of(settings);
    let today = now.to_zoned(settings.time_zone.clone());
    let mut live = Live { today: today.date(), ..Live::default() };
    if !options.database.is_there() || !options.key_file.exists() {
        return Ok(live);
    }
    let back = |years: i64| today.saturating_sub(years.years()).timestamp();
    let mut keeping = Keeping::open(&options)?;
    let figures = |keeping: &mut Keeping, from, to| -> Result<Figures, Fault> { Ok(keeping.figures(from, to)?) };
    live.year = figures(&mut keeping, back(1), now + 1.hour())?;
    live.before = figures(&mut keeping, back(2), back(1))?;
    live.retention = Some(keeping.retention(now.as_millisecond())?);
    live.receipts = keeping.receipts(usize::MAX)?.len() as u64;
    Ok(live)
}
