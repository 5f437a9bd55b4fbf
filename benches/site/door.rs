//! The reference lock at a door.

use std::sync::Arc;

use doorward::agent::bolt::{Bolt, Movement};
use doorward::agent::controller::{LockOptions, ReferenceLock};
use doorward::agent::counter::MachineCounter;
use doorward::agent::enrolment::Enrolled;
use doorward::agent::storage::MemoryStorage;
use doorward::crypto::random::OsRandom;
use doorward_lock::controller::Outcome;
use doorward_lock::wire::{Action, Bolt as Position};
use rustls::ClientConfig;

use super::Failure;

/// How many events the lock keeps until the backend has them.
const SLOTS: u32 = 64;

/// A bolt that takes no time: what is measured is the way to it and back.
struct InstantBolt;

impl Bolt for InstantBolt {
    fn position(&self) -> Position {
        Position::Locked
    }

    fn begin(&mut self, _: Action) -> Movement {
        Box::pin(std::future::ready(Outcome::Arrived))
    }
}

/// Starts the reference lock that was enrolled like this. It verifies, signs and counts as on a real door; only its
/// storage is memory and its bolt takes no time. `tls` is shared among the locks of one broker.
///
/// # Errors
/// Where its enrolment cannot be used.
pub async fn start_lock(enrolled: Enrolled, tls: Arc<ClientConfig>) -> Result<ReferenceLock, Failure> {
    let options = LockOptions {
        enrolled,
        tls,
        storage: MemoryStorage::new(SLOTS),
        bolt: Box::new(InstantBolt),
        counter: Arc::new(MachineCounter::start()),
        random: Arc::new(OsRandom),
        battery: None,
        losses: None,
    };
    Ok(ReferenceLock::start(options).await?)
}
