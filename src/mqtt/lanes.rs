//! What comes in from the locks, on its way to the inbox: in order for one lock, side by side for many, and never in
//! the way of the task that polls.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::sync::Semaphore;

use crate::domain::ids::LockId;
use crate::domain::relay::{FromLock, Inbox};

use super::outlet::Receipt;

/// How many messages of one lock may wait. A lock that says more at once is noisy; it says it again later.
const LANE: usize = 32;
/// How many messages the inbox works on at once; further locks take turns.
const SIDE_BY_SIDE: usize = 512;

/// One lane a lock that has something to say; the lane goes when it is empty.
pub(super) struct Lanes {
    inbox: Arc<dyn Inbox>,
    waiting: Mutex<HashMap<LockId, VecDeque<Delivery>>>,
    turns: Semaphore,
    overflowed: AtomicU64,
    not_stored: AtomicU64,
}

struct Delivery {
    message: FromLock,
    receipt: Receipt,
}

impl Lanes {
    pub(super) fn new(inbox: Arc<dyn Inbox>) -> Arc<Self> {
        Arc::new(Self {
            inbox,
            waiting: Mutex::default(),
            turns: Semaphore::new(SIDE_BY_SIDE),
            overflowed: AtomicU64::new(0),
            not_stored: AtomicU64::new(0),
        })
    }

    /// Puts a message into its lock's lane. Where the lane is full the message is dropped, and counted, but still
    /// acknowledged to the broker: an unacknowledged one would hold a place in the broker's window for good, and so one
    /// noisy lock would silence all others. Nothing is lost: the lock keeps every event until the backend's *signed*
    /// acknowledgement, which it does not get.
    pub(super) fn admit(self: &Arc<Self>, lock: LockId, message: FromLock, receipt: Receipt) {
        let delivery = Delivery { message, receipt };
        let mut waiting = self.lock();
        match waiting.get_mut(&lock) {
            Some(lane) if lane.len() < LANE => lane.push_back(delivery),
            Some(_) => {
                drop(waiting);
                delivery.receipt.acknowledge();
                self.overflowed.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(lock.id = %lock, "lock {lock} says more than its lane holds: message dropped");
            }
            None => {
                waiting.insert(lock.clone(), VecDeque::new());
                drop(waiting);
                tokio::spawn(Arc::clone(self).drain(lock, delivery));
            }
        }
    }

    /// Messages dropped because their lock's lane was full.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Messages that the inbox could not store.
    pub(super) fn not_stored(&self) -> u64 {
        self.not_stored.load(Ordering::Relaxed)
    }

    async fn drain(self: Arc<Self>, lock: LockId, first: Delivery) {
        let mut next = Some(first);
        while let Some(Delivery { message, receipt }) = next {
            // The semaphore is never closed.
            let turn = self.turns.acquire().await;
            let stored = AssertUnwindSafe(self.inbox.receive(message)).catch_unwind().await;
            drop(turn);
            match stored {
                Ok(Ok(())) => receipt.acknowledge(),
                Ok(Err(_)) | Err(_) => {
                    self.not_stored.fetch_add(1, Ordering::Relaxed);
                    if stored.is_err() {
                        tracing::error!(lock.id = %lock, "a message of lock {lock} made the inbox panic");
                    }
                    receipt.refuse();
                }
            }
            let mut waiting = self.lock();
            next = waiting.get_mut(&lock).and_then(VecDeque::pop_front);
            if next.is_none() {
                waiting.remove(&lock);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LockId, VecDeque<Delivery>>> {
        // No code that holds it can panic half-way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use tokio::sync::mpsc;

    use super::*;
    use crate::domain::relay::NotStored;
    use crate::mqtt::outlet::Verdict;

    struct Panicky;

    #[async_trait]
    impl Inbox for Panicky {
        async fn receive(&self, message: FromLock) -> Result<(), NotStored> {
            assert!(
                !matches!(message, FromLock::Status { online: false, .. }),
                "this test wants a panic"
            );
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_panic_over_one_message_does_not_close_the_lane() {
        let (verdicts, mut said) = mpsc::unbounded_channel();
        let (lanes, lock) = (Lanes::new(Arc::new(Panicky)), LockId::from_bits(1));
        for (packet, online) in [(1, false), (2, true)] {
            let message = FromLock::Status {
                lock: lock.clone(),
                online,
            };
            lanes.admit(lock.clone(), message, Receipt::new(packet, verdicts.clone()));
        }
        assert!(matches!(said.recv().await, Some(Verdict::NotStored)));
        assert!(matches!(said.recv().await, Some(Verdict::Done(2))));
        assert_eq!(lanes.not_stored(), 1);
    }
}
