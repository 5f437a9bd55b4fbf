//! Who waits for which attempt to end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::domain::attempt::Attempt;
use crate::domain::ids::AttemptId;

/// The requests of this node that wait for an attempt's end.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<HashMap<AttemptId, watch::Sender<Option<Attempt>>>>);

/// A request that waits; it is forgotten when dropped.
#[derive(Debug)]
pub(super) struct Waiter<'a> {
    waiters: &'a Waiters,
    id: AttemptId,
    ended: watch::Receiver<Option<Attempt>>,
}

impl Waiters {
    /// Begins to wait for the attempt's end; to be called before anything is sent that may end it.
    pub(super) fn wait_for(&self, id: &AttemptId) -> Waiter<'_> {
        let (sender, ended) = watch::channel(None);
        self.lock().insert(id.clone(), sender);
        Waiter {
            waiters: self,
            id: id.clone(),
            ended,
        }
    }

    /// Tells who waits, if anybody does, that the attempt has ended like this.
    pub(super) fn wake(&self, attempt: &Attempt) {
        if let Some(sender) = self.lock().get(&attempt.id) {
            sender.send_replace(Some(attempt.clone()));
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AttemptId, watch::Sender<Option<Attempt>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter<'_> {
    /// Waits until the attempt has ended.
    pub(super) async fn ended(&mut self) -> Option<Attempt> {
        // The sender lives as long as this waiter; an error cannot happen and would mean that nobody will tell.
        self.ended.wait_for(Option::is_some).await.ok()?.clone()
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.waiters.lock().remove(&self.id);
    }
}
