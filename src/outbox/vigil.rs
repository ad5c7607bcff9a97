//! The time of held mail: whoever holds it is warned before its end, and at its end it leaves or goes back, as its rule says.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::desk::Desk;
use super::held::{how_to_decide, leaves, refuse, to, which};
use super::{Options, Setup, Shared};
use crate::records::StoreError;
use crate::records::custody::{Becomes, Custody, Decision, Kind, NewParcel, Parcel, State, Which};

/// How often it is looked.
const EACH: Duration = Duration::from_secs(1);
/// Parcels at one time.
const MOST: usize = 500;

/// Runs until the outbox is gone.
pub(super) async fn run(setup: watch::Receiver<Arc<Setup>>, desk: Desk, shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(EACH).await;
        if setup.has_changed().is_err() {
            return;
        }
        if shared.is_stopping() {
            continue;
        }
        let options = setup.borrow().options.clone();
        match desk.with(move |custody, now| look(custody, &options, now)).await {
            Ok(0) => {}
            Ok(_) => shared.arrive(),
            Err(StoreError::Stopped) => return,
            Err(error) => {
                tracing::error!(event = "custody_unreadable", %error, "held mail cannot be looked after");
                tokio::time::sleep(EACH * 20).await;
            }
        }
    }
}

/// Does what is due; says for how many.
fn look(custody: &mut dyn Custody, options: &Options, now: i64) -> Result<usize, StoreError> {
    let due = custody.list(Which { kind: Kind::Mail, state: State::Held, most: MOST, due: Some(now) })?;
    for found in &due {
        custody.decide(found.id, now, &mut |parcel| Ok(step(parcel, options, now)))?;
    }
    Ok(due.len())
}

/// Pure: what a held parcel whose time has come becomes.
fn step(parcel: &Parcel, options: &Options, now: i64) -> Decision {
    let Some(hold) = parcel.sheet.hold.as_ref().filter(|_| parcel.state == State::Held) else { return Decision::of(Becomes::Same) };
    let reference = parcel.sheet.reference.as_str();
    if now >= parcel.ends {
        let released = hold.release_at_end;
        tracing::info!(event = "hold_ended", reference, released, "nobody decided about a held message in its time");
        if !released {
            return refuse(parcel, "Nobody decided about it in the time that it may wait.", options, now);
        }
        return Decision::of(leaves(parcel.sheet.clone(), now, options.pace.gives_up));
    }
    let mut sheet = parcel.sheet.clone();
    let mut also = Vec::new();
    if let Some(hold) = sheet.hold.as_mut().filter(|h| !h.warned) {
        hold.warned = true;
        let until = super::bounce::date(parcel.ends, options);
        let end = if hold.release_at_end { "it is sent" } else { "it goes back to its sender" };
        let waiting: Vec<String> = hold.by.iter().filter(|b| !hold.released.contains(b)).cloned().collect();
        for role in waiting {
            let own = role == "sender";
            let address = if own { sheet.origin.tell_sender.then(|| sheet.origin.sender.clone()) } else { options.address_of(&role) };
            let Some(address) = address else { continue };
            let what = if own { which(&sheet) } else { reference.to_string() };
            let mut paragraphs = vec![format!("The message {what} still waits for you. Without a decision {end} on {until}.")];
            if own {
                paragraphs.push("Please answer the earlier notice.".into());
            } else {
                paragraphs.extend(how_to_decide(reference, options));
            }
            also.extend(to(&address, reference, &format!("Still waiting: {what}"), &paragraphs, options, now));
        }
    }
    let stays = NewParcel { id: None, state: State::Held, due: parcel.ends, ends: parcel.ends, sheet };
    Decision { becomes: Becomes::This(Box::new(stays)), also, tally: None }
}
