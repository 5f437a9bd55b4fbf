//! Whose place at the broker is being changed by this node: letting a controller in and putting one out take turns.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::ids::LockId;

/// The locks that have their turn.
#[derive(Debug, Default)]
pub(super) struct BrokerTurns {
    locks: Mutex<HashSet<LockId>>,
    given_back: Notify,
}

/// A lock's turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a BrokerTurns,
    lock: LockId,
}

impl BrokerTurns {
    /// The lock's turn; `None` while somebody else has it.
    pub(super) fn take(&self, lock: &LockId) -> Option<Turn<'_>> {
        self.locks().insert(lock.clone()).then(|| Turn {
            turns: self,
            lock: lock.clone(),
        })
    }

    /// The lock's turn, once nobody else has it: which is soon, for whatever is said to a broker has its deadline.
    pub(super) async fn wait_for(&self, lock: &LockId) -> Turn<'_> {
        loop {
            let mut given_back = std::pin::pin!(self.given_back.notified());
            // Whoever gives it back from here on is heard.
            given_back.as_mut().enable();
            if let Some(turn) = self.take(lock) {
                return turn;
            }
            given_back.await;
        }
    }

    fn locks(&self) -> MutexGuard<'_, HashSet<LockId>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.locks().remove(&self.lock);
        self.turns.given_back.notify_waiters();
    }
}
