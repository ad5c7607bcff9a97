//! Looks from time to time at what the machine under the gateway needs, so that `/health` knows it before it is too late.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Settings;
use crate::gateway::Shared;
use crate::observe::{Health, Part, PartState};
use crate::office::upkeep::{self, Level};
use crate::records::Options;
use crate::transport::tls;

const EACH: Duration = Duration::from_secs(10);

pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        let (settings, metrics) = (shared.site.load().settings.clone(), shared.metrics.clone());
        // A disk that hangs must not keep others waiting.
        let _ = tokio::task::spawn_blocking(move || look(&settings, metrics.health())).await;
        tokio::time::sleep(EACH).await;
    }
}

/// Notes when the certificate ends that was just loaded.
pub(super) fn loaded(settings: &Settings, health: &Health) {
    let ends = settings.tls.as_ref().and_then(|files| tls::ends(&files.certificate).ok());
    health.set_certificate_ends(ends);
}

fn look(settings: &Settings, health: &Health) {
    // Until it is over mail passes, and a gateway that is taken out of service for it would pass none.
    let state = |level| if level == Level::Well { PartState::Ok } else { PartState::Degraded };
    let ends = health.certificate_ends().and_then(|at| Timestamp::from_second(at).ok());
    health.set(Part::Certificate, ends.map_or(PartState::Unknown, |ends| state(upkeep::certificate(ends, Timestamp::now()).1)));
    let free = upkeep::free(&Options::of(settings));
    health.set(Part::Disk, free.map_or(PartState::Unknown, |free| state(upkeep::disk(free))));
    health.set(
        Part::Desk,
        match upkeep::desk(settings) {
            None => PartState::Unknown,
            Some(true) => PartState::Ok,
            Some(false) => PartState::Degraded,
        },
    );
}
