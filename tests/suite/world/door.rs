//! Doors, and the real locks in them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use doorward::agent::backend_address::Server;
use doorward::agent::bolt::{Bolt, SimulatedBolt};
use doorward::agent::controller::{End, LockOptions, ReferenceLock, View};
use doorward::agent::enrolment::{self, EnrolError, Enrolled};
use doorward::agent::storage::MemoryStorage;
use doorward::crypto::random::OsRandom;

use super::{HandClock, Http, Person};
use crate::fixtures::wait;

/// What the locks of these tests call themselves.
pub const MODEL: &str = "Test lock";

/// A door whose lock was added.
pub struct Door {
    /// The lock's id.
    pub id: String,
    /// The code that claims it, as it was shown.
    pub claim_code: String,
    pub(super) http: Http,
    pub(super) clock: HandClock,
}

impl Door {
    pub(super) fn new(id: String, claim_code: String, http: Http, clock: HandClock) -> Self {
        Self {
            id,
            claim_code,
            http,
            clock,
        }
    }

    /// The same door, claimed by another code.
    pub fn with_code(&self, code: &str) -> Self {
        Self::new(self.id.clone(), code.to_owned(), self.http.clone(), self.clock.clone())
    }

    /// The lock's address.
    pub fn path(&self) -> String {
        format!("/v1/locks/{}", self.id)
    }

    /// A controller claims the lock, over HTTP as any does.
    pub async fn try_enrol(&self) -> Result<Enrolled, EnrolError> {
        let server = Server::new(self.http.base_url().parse().unwrap(), None).unwrap();
        enrolment::enrol(&server, &self.claim_code, MODEL, &OsRandom).await
    }

    /// Installs a lock with a bolt that arrives at once, and waits until it is there and knows the time.
    pub async fn install(&self) -> InstalledLock {
        self.install_with(SimulatedBolt::new(Duration::ZERO)).await
    }

    /// Installs a lock with this bolt.
    pub async fn install_with(&self, bolt: impl Bolt + Clone) -> InstalledLock {
        let mut lock = InstalledLock {
            enrolled: self.try_enrol().await.unwrap(),
            storage: MemoryStorage::new(256),
            clock: self.clock.clone(),
            running: None,
        };
        lock.start(bolt).await;
        lock
    }
}

/// A lock in its door: the reference lock, at the server's broker over TLS.
pub struct InstalledLock {
    enrolled: Enrolled,
    storage: MemoryStorage,
    clock: HandClock,
    running: Option<ReferenceLock>,
}

impl Deref for InstalledLock {
    type Target = ReferenceLock;

    fn deref(&self) -> &ReferenceLock {
        self.running.as_ref().unwrap()
    }
}

impl InstalledLock {
    /// Starts the lock, for the first time or after [`Self::power_off`].
    pub async fn start(&mut self, bolt: impl Bolt) {
        let options = LockOptions {
            enrolled: self.enrolled.clone(),
            tls: self.enrolled.tls().unwrap(),
            storage: self.storage.clone(),
            bolt: Box::new(bolt),
            counter: Arc::new(self.clock.counter()),
            random: Arc::new(OsRandom),
            battery: Some(80),
            losses: None,
        };
        self.running = Some(ReferenceLock::start(options).await.unwrap());
        self.until_settled().await;
    }

    /// What it was given when it enrolled.
    pub fn enrolled(&self) -> &Enrolled {
        &self.enrolled
    }

    /// How the lock ended by itself.
    pub async fn ended(&mut self) -> End {
        wait::soon("the lock to end", self.running.as_mut().unwrap().ended()).await
    }

    /// Takes the batteries out.
    pub async fn power_off(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// Waits until the lock is connected, and the backend has all its events.
    pub async fn until_settled(&self) {
        self.until_shown("everything told", |view| {
            view.is_connected && view.acknowledged == view.events
        })
        .await;
    }

    /// Waits until the lock shows what `is_so` asks for.
    pub async fn until_shown(&self, what: &str, is_so: impl FnMut(&View) -> bool) {
        let mut view = self.view();
        let seen = tokio::time::timeout(wait::SOON, view.wait_for(is_so)).await;
        assert!(
            matches!(seen, Ok(Ok(_))),
            "in vain: waited for {what}, the lock shows {:?}",
            self.view().borrow()
        );
    }

    /// Waits until the backend counts the lock as reachable, or as away: after a connection, or after a jump of the
    /// clock, at which the lock's next heartbeat is due.
    pub async fn until_online(&self, manager: &Person, online: bool) {
        let path = format!("/v1/locks/{}", self.id());
        let what = format!("the lock to be {}", if online { "there" } else { "away" });
        wait::until(&what, async || {
            manager.get(&path).await.expect(200)["online"]["value"] == online
        })
        .await;
    }
}
