//! Of which locks something has changed on this node: a hint for who shows them elsewhere. What changes on another node,
//! or by the mere passing of time, is not told; who listens reads everything again now and then.

use tokio::sync::broadcast;

use super::App;
use crate::domain::ids::LockId;

/// How many changes a listener may leave unread before it is told that it has missed some.
const KEPT: usize = 1024;

/// Tells who listens, if anybody does.
#[derive(Debug)]
pub(super) struct Changes(broadcast::Sender<LockId>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl Changes {
    /// Says that something of the lock has changed; to be called after the commit.
    pub(super) fn tell(&self, lock: &LockId) {
        // Nobody listens where nothing is shown.
        let _ = self.0.send(lock.clone());
    }
}

impl App {
    /// The locks of which something changes on this node from now on: reports, names, retirements.
    #[must_use]
    pub fn lock_changes(&self) -> broadcast::Receiver<LockId> {
        self.changes.0.subscribe()
    }
}
