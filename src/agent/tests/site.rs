//! A door with its lock, and what a test does to it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorward_lock::controller::Outcome;
use doorward_lock::wire::{Action, Bolt as Position};
use tokio::sync::oneshot;

use super::backend::Backend;
use crate::agent::bolt::{Bolt, Movement, SimulatedBolt};
use crate::agent::controller::{LockOptions, ReferenceLock, StartError, View};
use crate::agent::counter::{Counter, MachineCounter};
use crate::agent::enrolment::Enrolled;
use crate::agent::storage::{Medium, MemoryStorage};
use crate::crypto::random::OsRandom;

/// A door that the bench has all parts of.
pub struct Site<S> {
    pub enrolled: Enrolled,
    pub storage: S,
    pub bolt: HandBolt,
}

impl Site<MemoryStorage> {
    pub fn new(backend: &Backend) -> Self {
        Self::with(backend.enrol(), MemoryStorage::new(64))
    }
}

impl<S: Medium> Site<S> {
    pub fn with(enrolled: Enrolled, storage: S) -> Self {
        Self {
            enrolled,
            storage,
            bolt: HandBolt::default(),
        }
    }

    /// Starts the lock with a bolt that arrives at once, unless the test holds it.
    pub async fn try_start(&self) -> Result<ReferenceLock, StartError> {
        self.start_with(Box::new(self.bolt.clone()), Arc::new(MachineCounter::start()))
            .await
    }

    pub async fn start(&self) -> ReferenceLock {
        self.try_start().await.unwrap()
    }

    pub async fn start_with(
        &self,
        bolt: Box<dyn Bolt>,
        counter: Arc<dyn Counter>,
    ) -> Result<ReferenceLock, StartError> {
        ReferenceLock::start(LockOptions {
            enrolled: self.enrolled.clone(),
            tls: self.enrolled.tls().unwrap(),
            storage: self.storage.clone(),
            bolt,
            counter,
            random: Arc::new(OsRandom),
            battery: Some(80),
            losses: None,
        })
        .await
    }
}

/// A bolt that arrives at once, jams always, or waits for the test to end its movement.
#[derive(Clone, Default)]
pub struct HandBolt {
    inside: Arc<Inside>,
}

#[derive(Default)]
struct Inside {
    begun: AtomicU32,
    is_held: std::sync::atomic::AtomicBool,
    held: Mutex<Option<oneshot::Sender<Outcome>>>,
}

impl HandBolt {
    /// From now on movements end only by [`Self::let_go`].
    pub fn hold(&self) {
        self.inside.is_held.store(true, Ordering::Relaxed);
    }

    pub fn let_go(&self, outcome: Outcome) {
        self.inside.is_held.store(false, Ordering::Relaxed);
        let held = self.inside.held.lock().unwrap().take();
        held.expect("a movement is held").send(outcome).unwrap();
    }

    /// How many movements were begun.
    pub fn begun(&self) -> u32 {
        self.inside.begun.load(Ordering::Relaxed)
    }
}

impl Bolt for HandBolt {
    fn position(&self) -> Position {
        Position::Locked
    }

    fn begin(&mut self, action: Action) -> Movement {
        self.inside.begun.fetch_add(1, Ordering::Relaxed);
        if !self.inside.is_held.load(Ordering::Relaxed) {
            return SimulatedBolt::new(Duration::ZERO).begin(action);
        }
        let (end, ended) = oneshot::channel();
        *self.inside.held.lock().unwrap() = Some(end);
        Box::pin(async move { ended.await.unwrap_or(Outcome::Jammed) })
    }
}

/// Waits until the lock shows what `is_so` asks for.
pub async fn shows(lock: &ReferenceLock, what: &str, is_so: impl FnMut(&View) -> bool) {
    let mut view = lock.view();
    let seen = tokio::time::timeout(Duration::from_secs(20), view.wait_for(is_so)).await;
    assert!(
        matches!(seen, Ok(Ok(_))),
        "in vain: waited for {what}, it shows {:?}",
        lock.view().borrow()
    );
}
