//! What the gateway looks at by itself about mail in its own care: the figures of it, and the Clerk's digest in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::gateway::Shared;
use crate::observe::custody::Lane;
use crate::observe::{Part, PartState};
use crate::office::digest::{self, Live, Scanner};
use crate::outbox::{LaneStanding, Outbox, Standing};
use crate::records::custody::{Happened, Happenings};

/// How often it is looked, and the part of the store's time that looking takes at most where much is in it.
const EACH: Duration = Duration::from_secs(5);
const PART: u32 = 50;
/// After a fault.
const PAUSE: Duration = Duration::from_secs(60);

/// Runs until the outbox is gone.
pub(super) async fn watch(shared: Arc<Shared>) {
    let Some(outbox) = shared.outbox.clone() else { return };
    let began = Timestamp::now().as_millisecond();
    // What the store counted before the start is not this gateway's to show.
    let mut first: Option<Happenings> = None;
    let mut overdue = false;
    loop {
        let from = Instant::now();
        let looked = async {
            let (standing, happened) = outbox.standing(began).await?;
            let first = first.get_or_insert_with(|| happened.clone());
            show(&shared, &standing, &since(&happened, first));
            digest_in_time(&shared, &outbox, standing, &mut overdue).await
        };
        let pause = match looked.await {
            Ok(()) => EACH.max(from.elapsed() * PART),
            Err(error) => {
                tracing::error!(event = "digest_failed", %error, "mail in custody could not be looked after; this is tried again in a minute");
                PAUSE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Sends what is due, and misses what did not come.
async fn digest_in_time(shared: &Shared, outbox: &Outbox, standing: Standing, was_overdue: &mut bool) -> Result<(), crate::office::Fault> {
    let site = shared.site.load_full();
    let health = shared.metrics.health();
    if site.settings.digest.is_none() {
        health.set(Part::Digest, PartState::Unknown);
        return Ok(());
    }
    let mut known = outbox.digest_standing().await?;
    let now = Timestamp::now();
    if let Some(covered) = digest::due(&site.settings, &known, now) {
        // What is still on its way to the record is of that week.
        shared.recorder.flush().await?;
        let scanner = match (&site.evidence.scanner, health.part(Part::Scanner)) {
            (None, _) => Scanner::None,
            (Some(_), PartState::Ok) => Scanner::Answers,
            (Some(_), PartState::Unknown) => Scanner::Unasked,
            (Some(_), _) => Scanner::Silent,
        };
        let live = Live { standing, scanner, more: Vec::new() };
        if digest::send(&site.settings, outbox, covered, live).await? {
            tracing::info!(event = "digest_sent", "the weekly digest is on its way");
        }
        known = outbox.digest_standing().await?;
    }
    let overdue = digest::is_overdue(&site.settings, &known, now);
    if overdue && !*was_overdue {
        tracing::warn!(event = "digest_overdue", "the weekly digest has not been delivered for more than a day after it was due");
    }
    *was_overdue = overdue;
    let age = (now.as_millisecond() - known.delivered.unwrap_or(known.arrived)).max(0) / 1_000;
    shared.metrics.custody().digest(age.cast_unsigned(), overdue);
    health.set(Part::Digest, if overdue { PartState::Degraded } else { PartState::Ok });
    Ok(())
}

fn show(shared: &Shared, standing: &Standing, happened: &Happenings) {
    let now = Timestamp::now().as_millisecond();
    let figures = shared.metrics.custody();
    figures.show(&standing.lanes.iter().map(|lane| figures_of(lane, happened, now)).collect::<Vec<_>>());
    let total = |what: Happened| happened.iter().filter(|((h, _), _)| *h == what).map(|(_, n)| n).sum();
    for (outcome, what) in [
        ("released", Happened::Released),
        ("returned", Happened::Returned),
        ("released-at-end", Happened::ReleasedAtEnd),
        ("returned-at-end", Happened::ReturnedAtEnd),
    ] {
        figures.decided(outcome, total(what));
    }
    let degraded = standing.is_stuck(now, i64::try_from(digest::LATE.as_millis()).unwrap_or(i64::MAX));
    shared.metrics.health().set(Part::Queue, if degraded { PartState::Degraded } else { PartState::Ok });
}

fn figures_of(lane: &LaneStanding, happened: &Happenings, now: i64) -> Lane {
    let age = |since: i64| (now - since).max(0).cast_unsigned() / 1_000;
    let oldest = [("waiting", lane.waiting_since), ("held", lane.held_since)];
    let answers = &lane.answers;
    Lane {
        name: lane.name.clone(),
        states: vec![("waiting", lane.waiting), ("stopped", lane.stopped), ("held", lane.held), ("set-aside", lane.set_aside)],
        oldest: oldest.into_iter().map(|(state, since)| (state, since.map_or(0, age))).collect(),
        answers: vec![
            ("delivered", answers.delivered),
            ("deferred", answers.deferred),
            ("refused", answers.refused),
            ("expired", answers.expired),
        ],
        splits: happened.get(&(Happened::Split, lane.name.clone())).copied().unwrap_or(0),
        troubles: answers.troubles,
        is_answering: answers.silent.is_none(),
    }
}

/// What happened since the first look.
fn since(now: &Happenings, first: &Happenings) -> Happenings {
    now.iter().map(|(what, n)| (what.clone(), n.saturating_sub(first.get(what).copied().unwrap_or(0)))).collect()
}
