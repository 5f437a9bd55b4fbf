//! How a lock ends: retired, released, reset at the door; and how the broker hears of it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::wire;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{RETIRED, UNCLAIMED, write_down};
use crate::app::lock_messages::write_off;
use crate::app::{Actor, App, Error, What, managed_by};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::Scope;
use crate::domain::ids::LockId;
use crate::domain::lock::{Lock, LockState};
use crate::domain::relay::RelayAway;
use crate::store::{Conn, attempts, enrolments, lock_events, locks};

/// How many locks the broker is told of in one round.
const EXPELLED_A_ROUND: i64 = 100;

/// How long a release is good, in whole seconds (`docs/PROTOCOL.md`, "`release+jwt`").
const RELEASE_SECONDS: u64 = 60;

/// How long a release may take to reach the broker.
const RELEASE_WITHIN: Duration = Duration::from_secs(5);

/// How long a controller that leaves may go on telling what it holds: it forgets everything a minute after it said so.
const FAREWELL: Duration = Duration::from_secs(90);

/// How many departures of locks a request that waits for one may be behind.
const DEPARTURES: usize = 64;

/// Which locks have just left, for the requests of this node that wait for one.
#[derive(Debug)]
pub(in crate::app) struct Departures(broadcast::Sender<LockId>);

impl Default for Departures {
    fn default() -> Self {
        Self(broadcast::channel(DEPARTURES).0)
    }
}

impl Departures {
    /// Tells who waits that the lock has left.
    pub(in crate::app) fn tell(&self, lock: &LockId) {
        // Nobody may be waiting.
        let _ = self.0.send(lock.clone());
    }
}

/// Returns when `lock` has left, or when that may have been missed.
async fn until_left(mut departures: broadcast::Receiver<LockId>, lock: &LockId) {
    loop {
        match departures.recv().await {
            Ok(left) if left != *lock => {}
            Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => return,
        }
    }
}

impl App {
    /// Takes a lock out of service: its broker session ends at once and its keys are void; its log stays. Where the
    /// broker cannot be told now, [`Self::expel_gone`] makes it good: what a retired lock says counts for nothing
    /// meanwhile.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] where it is retired already.
    pub async fn retire_lock(&self, who: &Actor, id: LockId) -> Result<Lock, Error> {
        let (now, who) = (self.now(), who.clone());
        let lock = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                who.must_have_proven(now)?;
                let lock = locks::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Lock))?;
                if !enrolments::retire(conn, &id, now)? {
                    return Err(RETIRED);
                }
                lock_events::report_online(conn, &id, false, now)?;
                write_down(conn, &who, &lock, NewEntry::new(Kind::LockRetired, now), now)?;
                Ok(Lock {
                    state: LockState::Retired,
                    ..lock
                })
            })
            .await?;
        self.changes.tell(&lock.id);
        if let Err(error) = self.expel(&lock.id).await {
            tracing::warn!(lock.id = %lock.id, %error, "the broker still lets retired lock {} in; it is told again", lock.id);
        }
        Ok(lock)
    }

    /// Asks a connected lock to leave its organization, and waits up to `wait` for it to say that it does: the lock is
    /// unclaimed then, and keeps its grants. Where the wait ends first it is still enrolled, and may leave a little later.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] where it is unclaimed, retired or away;
    /// [`Error::RelayAway`].
    pub async fn release_lock(&self, who: &Actor, id: LockId, wait: Duration) -> Result<Lock, Error> {
        let now = self.now();
        let jti = URL_SAFE_NO_PAD.encode(self.random.bits().to_be_bytes());
        let relay_is_up = self.relay.is_up();
        let (actor, asked, name) = (who.clone(), id.clone(), jti.clone());
        let lock = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &actor)?;
                actor.must_have_proven(now)?;
                let lock = locks::find(conn, &asked, &scope)?.ok_or(Error::NotFound(What::Lock))?;
                match lock.state {
                    LockState::Unclaimed => return Err(UNCLAIMED),
                    LockState::Retired => return Err(RETIRED),
                    LockState::Enrolled => {}
                }
                if !relay_is_up {
                    return Err(Error::RelayAway);
                }
                if !lock.is_online(now) {
                    return Err(Error::Conflict {
                        word: "lock-offline",
                        why: "the lock is not connected, and only a connected lock can be let go: reset it at the door, \
                              then replace it",
                    });
                }
                let entry = NewEntry {
                    detail: Some(serde_json::json!({ "jti": name })),
                    ..NewEntry::new(Kind::LockReleaseAsked, now)
                };
                write_down(conn, &actor, &lock, entry, now)?;
                Ok(lock)
            })
            .await?;
        let signer = self.signer_for(&lock.id).await?;
        // What comes first on one topic is heard first.
        if let Some(keyset) = signer.keyset_first(wire::Use::Doc) {
            self.answer(&lock.id, keyset.to_owned()).await;
        }
        let release = signer.sign_release(&wire::Release {
            iss: &self.settings.issuer.name,
            org: lock.organization.as_str(),
            aud: lock.id.as_str(),
            iat: now.as_seconds(),
            exp: now.as_seconds() + RELEASE_SECONDS,
            jti: &jti,
        })?;
        let departures = self.departures.0.subscribe();
        let sent = self.relay.send(&lock.id, release, RELEASE_WITHIN).await;
        sent.map_err(|RelayAway| Error::RelayAway)?;
        // Where another node hears the lock, the wait ends by itself.
        let _ = tokio::time::timeout(wait, until_left(departures, &lock.id)).await;
        let scope = Scope::only(lock.organization.clone());
        self.db
            .read(move |conn| locks::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Lock)))
            .await
    }

    /// Records that a lock, or its last will, says on its `status` topic that it is there or gone. Nothing proves it;
    /// no door depends on it, only whether asking is worth while. A controller that has left and told everything is let in
    /// no more once it has gone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn note_status(&self, lock: LockId, online: bool) -> Result<(), Error> {
        let (now, id) = (self.now(), lock.clone());
        let has_left = self
            .db
            .write(move |conn| {
                lock_events::report_online(conn, &id, online, now)?;
                Ok::<_, Error>(!online && has_told_everything(conn, &id)?)
            })
            .await?;
        self.changes.tell(&lock);
        if has_left && let Err(error) = self.expel(&lock).await {
            tracing::warn!(lock.id = %lock, %error, "the broker still lets released lock {lock} in; it is told again");
        }
        Ok(())
    }

    /// Tells the broker of retired locks, and of controllers that left, which it may still let in; says of how many.
    ///
    /// # Errors
    /// [`Error::RelayAway`], and those of the database.
    pub async fn expel_gone(&self) -> Result<usize, Error> {
        let left_before = self.now() - FAREWELL;
        let gone = self
            .db
            .read(move |conn| Ok::<_, Error>(enrolments::list_to_expel(conn, left_before, EXPELLED_A_ROUND)?))
            .await?;
        for lock in &gone {
            self.expel(lock).await?;
        }
        Ok(gone.len())
    }

    /// Ends the place of a lock at the broker that is not enrolled any more: what it says counts for nothing from the first
    /// commit on, and then the broker is told. While a new controller enrols nothing is done: that ends it by itself.
    async fn expel(&self, lock: &LockId) -> Result<(), Error> {
        let Some(_turn) = self.broker_turns.take(lock) else {
            return Ok(());
        };
        let (id, now) = (lock.clone(), self.now());
        let is_out = self
            .db
            .write(move |conn| {
                let progress = lock_events::progress(conn, &id)?;
                if enrolments::end_leave(conn, &id)?
                    && let Some(lock) = locks::with_ids(conn, std::slice::from_ref(&id))?.pop()
                {
                    write_off(conn, &lock, &progress, now)?;
                }
                Ok::<_, Error>(!enrolments::is_enrolled(conn, &id)?)
            })
            .await?;
        if !is_out {
            return Ok(());
        }
        self.changes.tell(lock);
        self.registrar.expel(lock).await.map_err(|RelayAway| Error::RelayAway)?;
        let id = lock.clone();
        let forgotten = self
            .db
            .write(move |conn| Ok::<_, Error>(enrolments::forget_broker_password(conn, &id)?))
            .await?;
        if !forgotten {
            tracing::error!(
                lock.id = %lock,
                "lock {lock} was enrolled by another node while the broker was told to forget it: replace it once more"
            );
        }
        Ok(())
    }
}

/// Whether the lock's controller is leaving and has nothing more to tell: no event is missing and no attempt waits.
fn has_told_everything(conn: &mut Conn, lock: &LockId) -> Result<bool, Error> {
    Ok(enrolments::is_leaving(conn, lock)?
        && lock_events::progress(conn, lock)?.missing().is_empty()
        && attempts::pending_of(conn, lock)?.is_empty())
}
