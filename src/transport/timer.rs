//! A deadline that moves forward all the time and hardly ever fires.
//!
//! Moving a deadline later costs nothing: the timer stays armed for the earlier moment, and is armed anew when that comes.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

pub struct Timer {
    sleep: Pin<Box<Sleep>>,
    deadline: Instant,
}

impl Timer {
    pub fn new(after: Duration) -> Timer {
        let deadline = Instant::now() + after;
        Timer { sleep: Box::pin(tokio::time::sleep_until(deadline)), deadline }
    }

    /// The deadline is `after` from now.
    pub fn set(&mut self, after: Duration) {
        self.set_at(Instant::now() + after);
    }

    pub fn set_at(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if deadline < self.sleep.deadline() {
            self.sleep.as_mut().reset(deadline);
        }
    }

    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Ready when the deadline has passed.
    pub fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.sleep.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            let deadline = self.deadline;
            self.sleep.as_mut().reset(deadline);
        }
    }
}
