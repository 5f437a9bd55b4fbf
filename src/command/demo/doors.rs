//! The demo's two locks: reference controllers in this process, connected over TLS like any other.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use doorward::agent::bolt::SimulatedBolt;
use doorward::agent::controller::{LockOptions, ReferenceLock};
use doorward::agent::counter::MachineCounter;
use doorward::agent::state_folder::StateFolder;
use doorward::app::BrokerAddress;
use doorward::crypto::random::Random;
use doorward::domain::ids::LockId;

use super::memory::Memory;

/// How long a bolt takes.
const BOLT: Duration = Duration::from_millis(300);

/// What the batteries are at, in per cent.
const BATTERY: u8 = 87;

/// The running locks.
pub struct Doors(Vec<ReferenceLock>);

/// The folder of a lock.
pub fn folder(dir: &Path, lock: &LockId) -> PathBuf {
    dir.join("locks").join(lock.as_str())
}

/// Starts the locks from what they keep in their folders.
pub async fn start(
    memory: &Memory,
    dir: &Path,
    broker: &BrokerAddress,
    random: &Arc<dyn Random>,
) -> Result<Doors, Box<dyn Error>> {
    let mut locks = Vec::new();
    for door in &memory.locks {
        let folder = StateFolder::open(&folder(dir, &door.id))?;
        let mut enrolled = folder.enrolled()?.ok_or("a lock of the demo has lost its enrolment")?;
        // This start may have been given another address than the one at which the lock enrolled.
        enrolled.welcome.mqtt.host.clone_from(&broker.host);
        enrolled.welcome.mqtt.port = broker.port;
        let options = LockOptions {
            tls: enrolled.tls()?,
            enrolled,
            storage: folder.storage(),
            bolt: Box::new(SimulatedBolt::new(BOLT)),
            counter: Arc::new(MachineCounter::start()),
            random: Arc::clone(random),
            battery: Some(BATTERY),
            losses: None,
        };
        locks.push(ReferenceLock::start(options).await?);
    }
    Ok(Doors(locks))
}

impl Doors {
    /// Waits until all of them are connected.
    pub async fn online(&self, within: Duration) -> Result<(), Box<dyn Error>> {
        for lock in &self.0 {
            let mut view = lock.view();
            let connected = tokio::time::timeout(within, view.wait_for(|view| view.is_connected)).await;
            connected.map_err(|_| format!("{} did not connect to the broker", lock.id()))??;
        }
        Ok(())
    }

    /// Stops them.
    pub async fn stop(self) {
        for lock in self.0 {
            lock.stop().await;
        }
    }
}
