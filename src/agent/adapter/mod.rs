//! Adapters: locks that one can buy and that do not verify by themselves. The adapter *is* the lock: it has the key, the
//! counter and the chain of events, and verifies; the device is its bolt, its door, its battery and its hands. Its
//! events say `assurance: adapter` (`docs/PROTOCOL.md`, "Adapters").

mod device;
mod dialect;
mod dialogue;
mod discovery;
mod esphome;
pub mod host;
mod keypad;
mod nuki;
pub mod profile;
mod sensors;
mod zigbee2mqtt;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustls::ClientConfig;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::agent::controller::{End, LockOptions, ReferenceLock, StartError};
use crate::agent::counter::Counter;
use crate::agent::enrolment::Enrolled;
use crate::agent::storage::Medium;
use crate::crypto::random::Random;

pub use device::Place;
use device::{Device, RemoteBolt};
use dialogue::Dialogue;
pub use dialogue::Patience;
pub use keypad::{Opener, PinBook};
pub use profile::{BadProfile, Language, Profile};

/// What makes up an adapter.
pub struct AdapterOptions<S> {
    /// The enrolment of the lock that it is.
    pub enrolled: Enrolled,
    /// What to trust for the backend's broker.
    pub tls: Arc<ClientConfig>,
    /// What it must not forget.
    pub storage: S,
    /// Its own counter of time, which begins with this start.
    pub counter: Arc<dyn Counter>,
    /// Where it draws salts and nonces.
    pub random: Arc<dyn Random>,
    /// The device's broker.
    pub place: Place,
    /// The device, and what it speaks.
    pub profile: Profile,
    /// The PINs that are to be on the device's keypad.
    pub pins: Arc<PinBook>,
    /// How long the device may take.
    pub patience: Patience,
}

/// A running adapter. Dropped, it ends.
pub struct Adapter {
    lock: ReferenceLock,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl Adapter {
    /// Starts the lock, and connects to the device's broker in the background.
    ///
    /// # Errors
    /// [`AdapterError`] where the lock cannot start, or the profile names no device.
    pub async fn start<S: Medium>(options: AdapterOptions<S>) -> Result<Self, AdapterError> {
        let dialect = options.profile.dialect()?;
        let (bolt, orders) = RemoteBolt::new(Arc::clone(&options.pins));
        let random = Arc::clone(&options.random);
        let lock = ReferenceLock::start(LockOptions {
            enrolled: options.enrolled,
            tls: options.tls,
            storage: options.storage,
            bolt: Box::new(bolt),
            counter: options.counter,
            random: options.random,
            battery: None,
            losses: None,
        })
        .await?;
        let stop = CancellationToken::new();
        let device = Device {
            place: options.place,
            dialogue: Dialogue::new(dialect, options.patience),
            orders,
            teller: lock.teller(),
            wall: lock.wall(),
            pins: options.pins,
            random,
            waiting: None,
        };
        tokio::spawn(device.run(stop.clone()));
        Ok(Self {
            lock,
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
        })
    }

    /// The lock that it is.
    #[must_use]
    pub fn lock(&self) -> &ReferenceLock {
        &self.lock
    }

    /// Waits until the lock ends by itself.
    pub async fn ended(&mut self) -> End {
        self.lock.ended().await
    }

    /// Ends it. A command that the device has not answered is reported as interrupted at the next start.
    pub async fn stop(self) -> End {
        let end = self.lock.stop().await;
        self.stop.cancel();
        end
    }
}

/// An adapter could not start.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// The lock that it is.
    #[error(transparent)]
    Lock(#[from] StartError),
    /// The device.
    #[error(transparent)]
    Profile(#[from] BadProfile),
}
