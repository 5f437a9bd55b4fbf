//! Devices at the broker inside this process, and the adapters that run beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::agent::adapter::{Language, Place, Profile, host};
use crate::app::credentials::KnownUser;
use crate::config::{Config, Device, DeviceDialect};
use crate::crypto::digest::digest;
use crate::crypto::random::Random;
use crate::domain::ids::LockId;
use crate::domain::relay::{DevicePlace, Principal};
use crate::mqtt::address::BrokerAddress;
use crate::mqtt::rights;

/// How long until an adapter that could not start is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// The adapters' own user names and passwords at the broker inside this process, new with every start.
pub(super) struct Desk {
    seats: Vec<Seat>,
}

struct Seat {
    place: Arc<DevicePlace>,
    user: String,
    password: String,
}

impl Desk {
    /// A seat for every device of the configuration.
    pub(super) fn new(config: &Config, random: &dyn Random) -> Self {
        let seat = |device: &Device| Seat {
            place: Arc::new(place_of(device)),
            user: format!("adapter:{}", device.user),
            password: random.secret().expose().to_owned(),
        };
        Self {
            seats: config.mqtt.embedded.devices.iter().map(seat).collect(),
        }
    }

    /// Whom the broker is to let in: each device, and beside it its adapter, which alone publishes its commands.
    pub(super) fn known(&self, config: &Config) -> Vec<KnownUser> {
        let devices = config.mqtt.embedded.devices.iter().zip(&self.seats);
        devices
            .flat_map(|(device, seat)| {
                let user = |user: &str, password: &str, principal| KnownUser {
                    user: user.to_owned(),
                    digest: digest(password.as_bytes()),
                    principal,
                };
                let place = || Arc::clone(&seat.place);
                [
                    user(&device.user, device.password.expose(), Principal::Device(place())),
                    user(&seat.user, &seat.password, Principal::Adapter(place())),
                ]
            })
            .collect()
    }

    /// Where the adapter of this device sits, with the broker there.
    fn seat(&self, profile: &Profile, lock: &LockId, address: &BrokerAddress) -> Option<Place> {
        let is_its = |seat: &&Seat| {
            let rest = profile.device.strip_prefix(seat.place.base.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                || seat
                    .place
                    .also
                    .iter()
                    .any(|also| rights::matches(also, &profile.device))
        };
        let seat = self.seats.iter().find(is_its)?;
        Some(Place {
            address: address.clone(),
            client_id: format!("doorward-{lock}"),
            user: seat.user.clone(),
            password: seat.password.clone(),
        })
    }
}

/// What a device may use of the broker.
fn place_of(device: &Device) -> DevicePlace {
    let language = match device.dialect {
        DeviceDialect::Nuki => Language::Nuki,
        DeviceDialect::Zigbee2mqtt => Language::Zigbee2mqtt,
        DeviceDialect::Esphome => Language::Esphome,
        DeviceDialect::Discovery => Language::Discovery,
    };
    let own = language.command_filters().into_iter();
    let own = own.map(|filter| format!("{}/{filter}", device.base));
    DevicePlace {
        user: device.user.clone(),
        base: device.base.clone(),
        also: device.also.clone(),
        commands: own.chain(device.commands.iter().cloned()).collect(),
    }
}

/// Starts the adapter of every folder there is, where the configuration says so.
pub(super) async fn start(
    config: &Config,
    desk: Desk,
    address: BrokerAddress,
    stop: &CancellationToken,
) -> JoinSet<()> {
    let mut running = JoinSet::new();
    if !config.adapters.run {
        return running;
    }
    let parent = config.adapters_dir();
    let shown = parent.clone();
    let folders = tokio::task::spawn_blocking(move || folders(&parent)).await;
    let folders = folders.unwrap_or_default();
    tracing::info!(
        adapters = folders.len(),
        path = %shown.display(),
        "{} adapters are in {}",
        folders.len(),
        shown.display()
    );
    let desk = Arc::new((desk, address));
    for folder in folders {
        running.spawn(run(folder, Arc::clone(&desk), stop.clone()));
    }
    running
}

/// The folders in this one, in order; none where it does not exist.
fn folders(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Runs one adapter. A device that is away, or a folder that somebody else holds, keeps nobody else from starting.
async fn run(folder: PathBuf, desk: Arc<(Desk, BrokerAddress)>, stop: CancellationToken) {
    loop {
        let (desk, address) = &*desk;
        let inside = |profile: &Profile, lock: &LockId| desk.seat(profile, lock, address);
        match host::start(&folder, Some(&inside)).await {
            Ok(adapter) => return host::watch_over(adapter, stop).await,
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::error!(error = cause, "the adapter of {} cannot start", folder.display());
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await.is_none() {
            return;
        }
    }
}
