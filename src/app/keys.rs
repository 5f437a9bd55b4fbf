//! Signing keys: which of them a lock believes, rotation by age, and telling locks of new ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::{App, Error};
use crate::crypto::keys::{KeyError, KeyStore, Signer};
use crate::domain::ids::LockId;
use crate::domain::lock::SILENCE;
use crate::store::{installation, lock_events};

/// How many locks are told of a new keyset between two looks at the database.
const TOLD_AT_ONCE: i64 = 500;

/// How often an operator is reminded that keys should be rotated, in milliseconds: once a day.
const REMIND_EVERY_MS: i64 = 24 * 3600 * 1000;

/// How long before the keys end the reminder becomes an error.
const NEAR_END: Duration = Duration::from_secs(14 * 24 * 3600);

/// The fact that says which node rotates the keys next.
const ROTATION: &str = "rotation";

/// What this node has said and done about the keys.
pub(super) struct KeyWatch {
    /// The version of the keyset that connected locks were told of.
    told: AtomicU64,
    /// When the operator was last reminded.
    reminded_at_ms: AtomicI64,
    /// Whether it was written down that the file of the keys cannot be read.
    is_unreadable: AtomicBool,
}

impl KeyWatch {
    pub(super) fn new(keys: &KeyStore) -> Self {
        Self {
            told: AtomicU64::new(keys.ring().version()),
            reminded_at_ms: AtomicI64::new(i64::MIN / 2),
            is_unreadable: AtomicBool::new(false),
        }
    }
}

impl App {
    /// Signs for one lock, with the newest keys that it is known to hold.
    ///
    /// # Errors
    /// Only those of the database.
    pub(super) async fn signer_for(&self, lock: &LockId) -> Result<Signer, Error> {
        self.signer_for_all(vec![lock.clone()]).await
    }

    /// Signs for several locks, with the newest keys that all of them are known to hold.
    ///
    /// # Errors
    /// Only those of the database.
    pub(super) async fn signer_for_all(&self, locks: Vec<LockId>) -> Result<Signer, Error> {
        let held = self
            .db
            .read(move |conn| {
                let held = lock_events::keysets(conn, &locks)?;
                let of = |lock: &LockId| held.get(lock).copied().unwrap_or(0);
                Ok::<_, Error>(locks.iter().map(of).min().unwrap_or(0))
            })
            .await?;
        Ok(self.keys.signer(held, self.now()))
    }

    /// The keyset: one document for every lock.
    pub(super) fn keyset(&self) -> String {
        self.keys.ring().keyset().to_owned()
    }

    /// Takes over what another node or a command has changed of the keys, and sends a new keyset to the locks that are
    /// connected and lack it; says to how many. The others get it when they say hello.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn follow_keys(&self) -> Result<usize, Error> {
        let keys = Arc::clone(&self.keys);
        let refreshed = blocking(move || keys.refresh()).await?;
        match refreshed {
            Ok(_) => self.key_watch.is_unreadable.store(false, Ordering::Relaxed),
            Err(error) => {
                if !self.key_watch.is_unreadable.swap(true, Ordering::Relaxed) {
                    let cause = &error as &dyn std::error::Error;
                    tracing::error!(error = cause, "the signing keys cannot be read anew; those in use stay");
                }
                return Ok(0);
            }
        }
        let ring = self.keys.ring();
        if ring.version() == self.key_watch.told.load(Ordering::Relaxed) || !self.relay.is_up() {
            return Ok(0);
        }
        tracing::info!(version = ring.version(), "the keyset is new: locks are told");
        let mut told = 0;
        let mut after = None;
        loop {
            let (since, from, version) = (self.now() - SILENCE, after.take(), ring.version());
            let behind = self
                .db
                .read(move |conn| {
                    let behind = lock_events::connected_behind(conn, version, since, from.as_ref(), TOLD_AT_ONCE);
                    Ok::<_, Error>(behind?)
                })
                .await?;
            for lock in &behind {
                if let Err(away) = self
                    .relay
                    .send(lock, ring.keyset().to_owned(), Duration::from_secs(5))
                    .await
                {
                    // The next round goes on with those that still lack it.
                    tracing::debug!(error = %away, "the keyset could not be sent");
                    return Ok(told);
                }
                told += 1;
            }
            after = behind.last().cloned();
            if after.is_none() {
                break;
            }
        }
        self.key_watch.told.store(ring.version(), Ordering::Relaxed);
        Ok(told)
    }

    /// Makes new keys where the present ones are old enough; says whether. Where the root key is kept elsewhere, or
    /// another node has taken this rotation upon itself and its keys do not come, the operator is reminded instead, once a
    /// day.
    ///
    /// # Errors
    /// [`Error::Internal`] where the new keys could not be written; those of the database.
    pub async fn rotate_due_keys(&self) -> Result<usize, Error> {
        let (keys, now) = (Arc::clone(&self.keys), self.now());
        let ring = keys.ring();
        if ring.due(keys.lives(), now).next().is_none() {
            return Ok(0);
        }
        if ring.has_root() && !self.claim_rotation(ring.version() + 1).await? {
            self.remind();
            return Ok(0);
        }
        match blocking(move || keys.rotate_due(now)).await? {
            Ok(None) => Ok(0),
            Ok(Some(version)) => {
                tracing::info!(version, "the signing keys were old enough: there are new ones");
                Ok(1)
            }
            Err(KeyError::NoRoot) => {
                self.remind();
                Ok(0)
            }
            // The former keys of another purpose, rotated by command, still count: the next round asks again.
            Err(KeyError::Overlapping { .. }) => Ok(0),
            Err(error) => Err(Error::Internal("rotating the signing keys", error.into())),
        }
    }

    /// Takes the rotation to this version upon this node; says whether it is this node's. Nodes that share the database
    /// and by mistake not the folder would else make two keysets of one version, and each lock would believe one node.
    async fn claim_rotation(&self, version: u64) -> Result<bool, Error> {
        let claim = format!("{version} {}", self.settings.node);
        self.db
            .write(move |conn| {
                let known = installation::find(conn, ROTATION)?;
                if known.as_ref() == Some(&claim) {
                    return Ok::<_, Error>(true);
                }
                let claimed = known.as_deref().and_then(|known| known.split(' ').next()?.parse().ok());
                if claimed.is_some_and(|claimed: u64| claimed >= version) {
                    return Ok(false);
                }
                Ok(installation::exchange(conn, ROTATION, known.as_deref(), &claim)?)
            })
            .await
    }

    /// Tells the operator that keys should be rotated by hand.
    fn remind(&self) {
        let now = self.now();
        let last = self.key_watch.reminded_at_ms.load(Ordering::Relaxed);
        if now.as_millis() - last < REMIND_EVERY_MS {
            return;
        }
        self.key_watch.reminded_at_ms.store(now.as_millis(), Ordering::Relaxed);
        let ends_at = self.keys.ring().ends_at();
        let days_left = ends_at.since(now).as_secs() / (24 * 3600);
        let text = if self.keys.ring().has_root() {
            "the signing keys are to be rotated, and another node was to do it: look at it, or copy its keys folder, \
             or run `doorward keys rotate` on one node"
        } else {
            "the signing keys are to be rotated, and the root key is not on this server: run \
             `doorward keys rotate --root KIT`; when they end, locks obey no more"
        };
        if ends_at.since(now) <= NEAR_END {
            tracing::error!(%ends_at, days_left, "{text}");
        } else {
            tracing::warn!(%ends_at, days_left, "{text}");
        }
    }

    /// Brings the gauges of the keys up to date.
    pub(super) async fn read_key_gauges(&self) -> Result<(), Error> {
        let ring = self.keys.ring();
        let version = ring.version();
        let behind = self
            .db
            .read(move |conn| Ok::<_, Error>(lock_events::count_behind(conn, version)?))
            .await?;
        let metrics = &self.metrics;
        metrics.keyset_version.set(i64::try_from(version).unwrap_or(i64::MAX));
        metrics.locks_behind_keyset.set(behind);
        metrics.root_key_here.set(i64::from(ring.has_root()));
        metrics.signing_keys_end.set(ring.ends_at().as_millis() / 1000);
        let due = ring.due(self.keys.lives(), self.now()).count();
        metrics.signing_keys_due.set(i64::try_from(due).unwrap_or(i64::MAX));
        Ok(())
    }
}

/// Work on files, away from the threads that serve.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|broken| Error::Internal("working on the signing keys", broken.into()))
}
