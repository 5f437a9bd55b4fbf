//! Ports between the backend and the broker. The link (`mqtt::link`) carries messages out through [`Relay`] and hands
//! what comes in to an [`Inbox`]; a [`Registrar`] sees to it that the broker lets in the locks of this backend and no
//! others, for which the embedded broker asks [`Credentials`]. `server` ties them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::ids::LockId;

/// The broker could not be reached, or did not take the message in time; nothing was queued for later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker is away")]
pub struct RelayAway;

/// The way out to the locks.
#[async_trait]
pub trait Relay: Send + Sync + 'static {
    /// Publishes `message` (a compact JWS) to the lock's `down` topic, at once or not at all: it is never queued
    /// beyond `within`, never retained. `Ok` says that the broker has acknowledged it, nothing about the lock.
    ///
    /// # Errors
    /// [`RelayAway`] where the broker is not connected or did not acknowledge the message within `within`; in the
    /// second case the lock may have it all the same.
    async fn send(&self, lock: &LockId, message: String, within: Duration) -> Result<(), RelayAway>;

    /// Whether the broker is connected and the backend's subscriptions stand.
    fn is_up(&self) -> bool;
}

/// A message from a lock's topics. The topic says which lock; the payload proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromLock {
    /// On `up/{node}`: a compact JWS by the lock, not verified yet.
    Up {
        /// The lock that the topic names.
        lock: LockId,
        /// The payload as it came.
        payload: Vec<u8>,
    },
    /// On `status`: the lock, or its last will, says that it is there or gone.
    Status {
        /// The lock that the topic names.
        lock: LockId,
        /// `online` or `offline`.
        online: bool,
    },
}

/// The message could not be stored now (database away): it must not be acknowledged, the broker sends it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message could not be stored now")]
pub struct NotStored;

/// The way in from the locks.
#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// Takes one message. `Ok` once everything that follows from it is committed, or it is known to be worthless;
    /// only then is it acknowledged to the broker.
    ///
    /// # Errors
    /// [`NotStored`] where it should come again.
    async fn receive(&self, message: FromLock) -> Result<(), NotStored>;
}

/// A device that believes whoever may publish its commands, and what it may use of the broker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DevicePlace {
    /// Its user name.
    pub user: String,
    /// What its topics begin with.
    pub base: String,
    /// Filters of further topics that it may publish to, such as where it describes itself.
    pub also: Vec<String>,
    /// Filters of the topics that are commands to it.
    pub commands: Vec<String>,
}

/// Who is connected to the broker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A lock, by the credentials of its enrolment.
    Lock(LockId),
    /// A node of this backend.
    Backend {
        /// The node's name: its reply topic is `+/up/{node}`.
        node: String,
    },
    /// A device that does not verify by itself.
    Device(Arc<DevicePlace>),
    /// The adapter of such a device, within this backend.
    Adapter(Arc<DevicePlace>),
}

/// The credentials cannot be checked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("credentials cannot be checked now")]
pub struct Unavailable;

/// Who may come into the broker.
#[async_trait]
pub trait Credentials: Send + Sync + 'static {
    /// The principal of this user name and password, or `None` for everybody else: wrong, unknown, retired.
    ///
    /// # Errors
    /// [`Unavailable`] where the answer is not known; the caller refuses.
    async fn authenticate(&self, user: &str, password: &[u8]) -> Result<Option<Principal>, Unavailable>;
}

/// Which locks the broker lets in: they come with their enrolment and go with their retirement.
#[async_trait]
pub trait Registrar: Send + Sync + 'static {
    /// From now on the lock is let in with this password, as itself, with the rights of a lock and no others; a password
    /// that it had before is void.
    ///
    /// # Errors
    /// [`RelayAway`] where the broker did not say that it has done so; it may have all the same.
    async fn admit(&self, lock: &LockId, password: &str) -> Result<(), RelayAway>;

    /// Closes what connection stands by a password that [`Self::admit`] made void. It is called once the new password
    /// counts in the database too.
    ///
    /// # Errors
    /// [`RelayAway`] where the broker did not say that it has done so.
    async fn end_session(&self, lock: &LockId) -> Result<(), RelayAway>;

    /// From now on the lock is not let in, and its connection is closed at once, even one that was not quite established
    /// yet. Doing it again does no harm.
    ///
    /// # Errors
    /// [`RelayAway`] where the broker did not say that it has done so; to be tried again.
    async fn expel(&self, lock: &LockId) -> Result<(), RelayAway>;
}
