//! Upstream connections that are kept for the next message on connector and mx listeners: one pool for each thread and site, so
//! that no lock is taken and no connection is shared between councils or identities.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::Instant;

use super::Connection;

/// Providers close idle connections after a minute or more; a shorter time keeps stale ones rare.
const IDLE: Duration = Duration::from_secs(30);
/// Some providers limit messages per connection.
const USES: u32 = 1000;

#[derive(Default)]
pub struct Pool {
    /// By upstream.
    kept: RefCell<Vec<Vec<Connection>>>,
}

impl Pool {
    /// The connection that was used last, if it is still good.
    pub fn take(&self, upstream: usize) -> Option<Connection> {
        let mut kept = self.kept.borrow_mut();
        let list = kept.get_mut(upstream)?;
        while let Some(mut connection) = list.pop() {
            if connection.is_alive() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a clean connection; gives it back where it cannot be kept.
    pub fn give(&self, upstream: usize, mut connection: Connection, keep: usize) -> Option<Connection> {
        if !connection.is_clean() || connection.uses >= USES {
            return Some(connection);
        }
        let mut kept = self.kept.borrow_mut();
        if kept.len() <= upstream {
            kept.resize_with(upstream + 1, Vec::new);
        }
        if kept[upstream].len() >= keep {
            return Some(connection);
        }
        connection.idle_since = Instant::now();
        kept[upstream].push(connection);
        None
    }

    /// Takes out what has been idle for too long.
    pub fn expire(&self) -> Vec<Connection> {
        let Some(before) = Instant::now().checked_sub(IDLE) else { return Vec::new() };
        let mut kept = self.kept.borrow_mut();
        kept.iter_mut().flat_map(|list| list.extract_if(.., |c| c.idle_since < before)).collect()
    }

    /// Takes out all, for the end or after a reload.
    pub fn clear(&self) -> Vec<Connection> {
        self.kept.borrow_mut().drain(..).flatten().collect()
    }
}
