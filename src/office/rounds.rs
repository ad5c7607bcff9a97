//! What the office does by itself, hour by hour: held mail that a case needs is kept, and the Clerk is told of holds that end soon.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::rights::requests;
use super::{Fault, audit, glass, holds};
use crate::config::Settings;
use crate::outbox::Outbox;
use crate::records::{Keeping, Options, StoreError};

/// A purge that is later than this is told of.
const LATE: SignedDuration = SignedDuration::from_hours(48);

/// What the Clerk's digest says of all this: requests that are due within a week, holds that end soon, a purge that is not what it
/// should be. Nothing in it names a person.
pub fn for_the_digest(options: &Options, now: Timestamp, zone: &TimeZone) -> Result<Vec<String>, Fault> {
    let mut keeping = Keeping::open(options)?;
    let mut out = requests::due(&mut keeping, now, 7, zone)?;
    out.extend(holds::soon(&mut keeping, now, zone)?.into_iter().map(|(_, text)| text));
    out.extend(audit::for_the_digest(options)?);
    out.extend(glass::for_the_digest(options, now, zone)?);
    let overview = keeping.retention(now.as_millisecond())?;
    if overview.clock_ahead > 0 {
        out.push("The gateway's clock is ahead of what can be true, so records are not deleted on its word. First look at the clock; `lychgate retention show` says more.".into());
    } else if overview.purged.is_none_or(|at| now.duration_since(at) > LATE) {
        out.push(
            "No records have been deleted for two days, though it is due daily. Ask whoever runs the gateway to look at its log.".into(),
        );
    }
    Ok(out)
}

/// One round. What the Clerk could not be told is told the next time.
pub async fn round(settings: &Settings, outbox: Option<&Outbox>) -> Result<(), Fault> {
    let options = Options::of(settings);
    let (zone, now) = (settings.time_zone.clone(), Timestamp::now());
    let of = options.clone();
    let look = move || {
        let mut keeping = Keeping::open(&of)?;
        let any = !keeping.holds(now.as_millisecond())?.is_empty();
        Ok::<_, Fault>((any, holds::ending(&mut keeping, now, &zone)?))
    };
    let (any, ending) = on_a_thread(look).await?;
    if let (true, Some(outbox)) = (any, outbox) {
        let of = options.clone();
        let kept = outbox.custody(move |custody, _| holds::keep_messages(&mut Keeping::open(&of)?, custody)).await?;
        if kept > 0 {
            tracing::info!(event = "held_kept", messages = kept, "held messages are kept for a case");
        }
    }
    if ending.is_empty() {
        return Ok(());
    }
    match (outbox, &settings.council.clerk) {
        (Some(outbox), Some(clerk)) => {
            let texts: Vec<String> = ending.iter().map(|(_, text)| text.clone()).collect();
            outbox.memo(clerk, "A hold of records ends soon", &texts).await?;
        }
        _ => tracing::warn!(event = "hold_ending", holds = ending.len(), "holds of records end soon: lychgate hold-records list"),
    }
    on_a_thread(move || {
        let mut keeping = Keeping::open(&options)?;
        ending.into_iter().try_for_each(|(hold, _)| holds::told(&mut keeping, hold))
    })
    .await
}

/// The disk must not keep other tasks waiting.
async fn on_a_thread<T: Send + 'static>(act: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(act).await.unwrap_or(Err(Fault::Store(StoreError::Stopped)))
}
