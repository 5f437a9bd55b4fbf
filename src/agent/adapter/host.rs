//! An adapter out of its folder, until it is released or told to stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use doorward_lock::base64url;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::agent::controller::End;
use crate::agent::counter::MachineCounter;
use crate::agent::enrolment::Enrolled;
use crate::agent::state_folder::{StateFolder, StateFolderError};
use crate::crypto::pin_codes::open_digits;
use crate::crypto::random::{OsRandom, Random};
use crate::domain::ids::LockId;
use crate::mqtt::address::BadAuthority;

use super::{Adapter, AdapterError, AdapterOptions, BadProfile, Opener, Patience, PinBook, Place, Profile};

/// The file with the PINs of the device, sealed.
const PINS: &str = "pins.json";

/// The adapter of a folder could not be started.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] StateFolderError),
    /// The folder is no adapter's.
    #[error("{0} holds no adapter: `doorward adapter enrol` makes one")]
    NoAdapter(PathBuf),
    /// Its device.
    #[error(transparent)]
    Profile(#[from] BadProfile),
    /// The broker inside the backend knows no device at this topic.
    #[error("{0} is no device of the broker inside the backend: name its base in mqtt.embedded.devices")]
    NoDevice(String),
    /// The certificate of the backend's broker.
    #[error("the lock cannot trust its broker")]
    Authority(#[from] BadAuthority),
    /// The PINs of its device.
    #[error("{path} cannot be read: remove it, and change the PINs of this lock")]
    Pins {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// Its start.
    #[error(transparent)]
    Start(#[from] AdapterError),
}

/// Who knows the place of a device at the broker inside the backend.
pub type Inside<'a> = &'a (dyn Fn(&Profile, &LockId) -> Option<Place> + Send + Sync);

/// Starts the adapter of this folder. `inside` is asked where the device speaks by the broker inside the backend.
///
/// # Errors
/// [`HostError`], whose text is for the operator.
pub async fn start(path: &Path, inside: Option<Inside<'_>>) -> Result<Adapter, HostError> {
    let random: Arc<dyn Random> = Arc::new(OsRandom);
    let folder = StateFolder::open(path)?;
    let (Some(enrolled), Some(profile)) = (folder.enrolled()?, folder.profile()?) else {
        return Err(HostError::NoAdapter(path.to_owned()));
    };
    let place = match inside {
        Some(inside) if profile.is_inside() => {
            let place = inside(&profile, enrolled.lock_id());
            place.ok_or_else(|| HostError::NoDevice(profile.device.clone()))?
        }
        _ => profile.place(enrolled.lock_id())?,
    };
    let pins = PinBook::open(Some(path.join(PINS)), opener(&enrolled)).map_err(|source| HostError::Pins {
        path: path.join(PINS),
        source,
    })?;
    let options = AdapterOptions {
        tls: enrolled.tls()?,
        enrolled,
        storage: folder.storage(),
        counter: Arc::new(MachineCounter::start()),
        random,
        place,
        profile,
        pins,
        patience: Patience::default(),
    };
    Ok(Adapter::start(options).await?)
}

/// What opens the digits that the backend has sealed for this lock: AES-256-GCM under the HMAC of the PIN key
/// (`docs/PROTOCOL.md`, "PINs").
fn opener(enrolled: &Enrolled) -> Opener {
    let pin_key = enrolled.welcome.pin_key.as_deref();
    let pin_key = pin_key.and_then(base64url::decode::<32>).map(Zeroizing::new);
    Box::new(move |slot, sealed| {
        let digits = open_digits(pin_key.as_deref()?, slot, sealed).ok()?;
        Some(Zeroizing::new(digits.expose().to_owned()))
    })
}

/// Runs an adapter until it is released or `stop` is cancelled.
pub async fn watch_over(mut adapter: Adapter, stop: CancellationToken) {
    let id = adapter.lock().id().clone();
    tracing::info!(lock.id = %id, "the adapter of lock {id} runs");
    let end = tokio::select! {
        () = stop.cancelled() => adapter.stop().await,
        end = adapter.ended() => end,
    };
    match end {
        End::Released => tracing::info!(lock.id = %id, "lock {id} has left its organization and forgotten everything"),
        End::Stopped | End::PowerLost => tracing::info!(lock.id = %id, "the adapter of lock {id} has stopped"),
    }
}
