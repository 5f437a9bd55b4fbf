//! Taking offline passes back: what is written with a revocation, how locks learn of it, and what is promised meanwhile.
//!
//! Whatever voids passes does so in its own transaction: the names go into the revocations of every lock for which a pass
//! still counts, and the lock's epoch goes up. Locks are told after the commit, at once where they are connected, else
//! with their next hello or by any phone. A lock has been told when its own word says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use doorward_lock::wire;

use super::in_turn::each_in_turn;
use super::{App, Error};
use crate::domain::grant::Grant;
use crate::domain::ids::LockId;
use crate::domain::lock::SILENCE;
use crate::domain::phone::Phone;
use crate::domain::revocation::{ended_before, fit, void_all_before};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::passes::Held;
use crate::store::revocations::{self, Entry, Standing};
use crate::store::{Conn, grants, locks, passes};

/// How long the answer to a revocation waits for connected locks to say that they know.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(1);

/// How often it looks meanwhile: another node may hear the lock.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How many locks that are behind are read at once; a round goes on until it has told all.
const A_PAGE: i64 = 500;

/// Access that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// No bolt moves by it after this time: the last token has ended then, and the last pass at every lock that has not
    /// confirmed that it knows.
    pub effective_no_later_than: Timestamp,
    /// The locks that have not confirmed, where a pass has not ended.
    pub waiting_for: Vec<LockId>,
}

impl Revocation {
    /// Both: the later time, and the locks of the two.
    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        let waiting: BTreeSet<LockId> = self.waiting_for.into_iter().chain(other.waiting_for).collect();
        Self {
            effective_no_later_than: self.effective_no_later_than.max(other.effective_no_later_than),
            waiting_for: waiting.into_iter().collect(),
        }
    }

    /// With a PIN that a lock may still take until then.
    #[must_use]
    pub(super) fn or_by_pin(self, until: Option<Timestamp>) -> Self {
        let last = self.effective_no_later_than;
        Self {
            effective_no_later_than: until.map_or(last, |until| until.max(last)),
            ..self
        }
    }
}

/// Voids the passes by these rights at every lock where one still counts. The caller holds the rights' locks
/// ([`hold_locks`]) and has ended the rights.
pub(super) fn revoke_rights(conn: &mut Conn, rights: &[RightSource], now: Timestamp) -> Result<(), Error> {
    let names = grants::names(conn, rights)?;
    let held = passes::of_names(conn, &names, now)?;
    put(conn, &held, |held| held.name.to_string(), now)
}

/// Voids the passes by a grant that goes on: what is issued by it from now on has another name. The caller holds its locks,
/// and tells them its PINs anew, which have that name too. Says whether the grant has another name now.
pub(super) fn begin_round(conn: &mut Conn, grant: &Grant, now: Timestamp) -> Result<bool, Error> {
    let held = passes::of_names(conn, &[grant.name()], now)?;
    if held.is_empty() {
        return Ok(false);
    }
    put(conn, &held, |held| held.name.to_string(), now)?;
    grants::begin_round(conn, &grant.id)?;
    Ok(true)
}

/// Voids the passes of a phone at every lock where one still counts. The caller holds the phone.
pub(super) fn revoke_phone(conn: &mut Conn, phone: &Phone, now: Timestamp) -> Result<(), Error> {
    let held = passes::of_phone(conn, &phone.id, now)?;
    put(conn, &held, |_| phone.thumbprint.clone(), now)
}

/// Holds these locks until the transaction ends, in the one order in which everybody does.
pub(super) fn hold_locks(conn: &mut Conn, locks: &[LockId]) -> Result<(), Error> {
    let ordered: BTreeSet<&LockId> = locks.iter().collect();
    for lock in ordered {
        revocations::hold(conn, lock)?;
    }
    Ok(())
}

/// Voids every pass that was issued for the lock so far: who may still open it renews. For what changes at the lock itself
/// (another unit, another controller), where a right goes on elsewhere and its name cannot be listed. Gives the rights by
/// which passes counted.
pub(super) fn void_all(conn: &mut Conn, lock: &LockId, now: Timestamp) -> Result<Vec<String>, Error> {
    let standing = revocations::hold(conn, lock)?;
    let held = passes::of_lock(conn, lock, now)?;
    let Some(standing) = standing.filter(|_| !held.is_empty()) else {
        return Ok(Vec::new());
    };
    revocations::forget_ended(conn, lock, now)?;
    let next = next(standing, now);
    let entries = entries(&held, |held| held.name.to_string());
    for entry in entries.values().flat_map(BTreeMap::values) {
        revocations::put(conn, lock, entry, next.epoch)?;
    }
    begin_anew(conn, lock, next, now)?;
    Ok(held.iter().map(|held| held.name.to_string()).collect())
}

/// Voids every pass of before at the lock, also those that this database does not know of: it was restored from a backup. The
/// epoch becomes a time, which lies above all that was counted since.
pub(super) fn void_all_after_restore(conn: &mut Conn, lock: &LockId, now: Timestamp) -> Result<(), Error> {
    let Some(standing) = revocations::hold(conn, lock)? else {
        return Ok(());
    };
    let seconds = now.as_seconds();
    let above = Standing {
        epoch: standing.epoch.max(seconds),
        pass_rev: standing.pass_rev.max(seconds),
        ..standing
    };
    begin_anew(conn, lock, next(above, now), now)
}

/// Writes the names into the revocations of their locks.
fn put(conn: &mut Conn, held: &[Held], name: impl Fn(&Held) -> String, now: Timestamp) -> Result<(), Error> {
    for (lock, entries) in entries(held, name) {
        let Some(standing) = revocations::hold(conn, lock)? else {
            continue;
        };
        revocations::forget_ended(conn, lock, now)?;
        let next = next(standing, now);
        for entry in entries.values() {
            revocations::put(conn, lock, entry, next.epoch)?;
        }
        let listed = revocations::listed(conn, lock)?;
        if fit(listed.iter().map(String::as_str)) {
            revocations::set(conn, lock, &next)?;
        } else {
            begin_anew(conn, lock, next, now)?;
        }
    }
    Ok(())
}

/// What is to be said of these passes, by lock and name.
fn entries(held: &[Held], name: impl Fn(&Held) -> String) -> BTreeMap<&LockId, BTreeMap<String, Entry>> {
    let mut by_lock: BTreeMap<&LockId, BTreeMap<String, Entry>> = BTreeMap::new();
    for held in held {
        let name = name(held);
        let entries = by_lock.entry(&held.lock).or_default();
        let entry = entries.entry(name.clone()).or_insert_with(|| Entry {
            name,
            ends_at: held.ends_at,
            leaves_at: held.counts_until,
        });
        entry.ends_at = entry.ends_at.max(held.ends_at);
        entry.leaves_at = entry.leaves_at.max(held.counts_until);
    }
    by_lock
}

/// The next epoch: what has left the list by then is covered by `min_rev`, for locks that cannot tell the time.
fn next(standing: Standing, now: Timestamp) -> Standing {
    Standing {
        epoch: standing.epoch + 1,
        min_rev: standing.min_rev.max(ended_before(now)),
        ..standing
    }
}

/// An empty list, and every pass so far void.
fn begin_anew(conn: &mut Conn, lock: &LockId, next: Standing, now: Timestamp) -> Result<(), Error> {
    revocations::unlist(conn, lock)?;
    let min_rev = next.min_rev.max(void_all_before(next.pass_rev, now));
    Ok(revocations::set(conn, lock, &Standing { min_rev, ..next })?)
}

impl App {
    /// Tells connected locks of what was just revoked under these names, waits a moment for their word, and says what can
    /// be promised.
    pub(super) async fn make_effective(&self, names: Vec<String>) -> Result<Revocation, Error> {
        // Counted from after the commit: until then a token could still be issued.
        let last_token = self.now() + Duration::from_secs(self.settings.token_seconds);
        let mut open = self.still_open(&names).await?;
        let connected = self.connected(&open).await?;
        if !connected.is_empty() {
            let told = async {
                let sent = connected.iter().map(|lock| self.send_revocations(lock));
                futures_util::future::try_join_all(sent).await?;
                while open.iter().any(|(lock, _)| connected.contains(lock)) {
                    let confirmed = self.confirmations.notified();
                    // It is time to look again either way.
                    let _ = tokio::time::timeout(LOOK_EVERY, confirmed).await;
                    open = self.still_open(&names).await?;
                }
                Ok::<_, Error>(())
            };
            if let Ok(told) = tokio::time::timeout(CONFIRMED_WITHIN, told).await {
                told?;
            }
            open = self.still_open(&names).await?;
        }
        let last_pass = open.iter().map(|(_, until)| *until).max();
        let waiting_for: BTreeSet<LockId> = open.into_iter().map(|(lock, _)| lock).collect();
        Ok(Revocation {
            effective_no_later_than: last_pass.map_or(last_token, |last| last.max(last_token)),
            waiting_for: waiting_for.into_iter().collect(),
        })
    }

    /// Where passes of these names may still move a bolt, and until when.
    async fn still_open(&self, names: &[String]) -> Result<Vec<(LockId, Timestamp)>, Error> {
        let (names, now) = (names.to_vec(), self.now());
        self.db
            .read(move |conn| Ok(revocations::open_until(conn, &names, now)?))
            .await
    }

    /// Those of the locks that can be told now.
    async fn connected(&self, open: &[(LockId, Timestamp)]) -> Result<Vec<LockId>, Error> {
        if open.is_empty() || !self.relay.is_up() {
            return Ok(Vec::new());
        }
        let now = self.now();
        let ids: Vec<LockId> = open.iter().map(|(lock, _)| lock.clone()).collect();
        let found = self
            .db
            .read(move |conn| Ok::<_, Error>(locks::with_ids(conn, &ids)?))
            .await?;
        let connected = found.into_iter().filter(|lock| lock.is_online(now));
        Ok(connected.map(|lock| lock.id).collect())
    }

    /// Sends a lock its revocations, where there ever were any.
    pub(super) async fn send_revocations(&self, lock: &LockId) -> Result<(), Error> {
        if let Some(message) = self.signed_revocations(lock).await? {
            self.answer(lock, message).await;
        }
        Ok(())
    }

    /// The lock's revocations as they are now, signed; `None` where there never were any.
    pub(super) async fn signed_revocations(&self, lock: &LockId) -> Result<Option<String>, Error> {
        let id = lock.clone();
        let document = self
            .db
            .read(move |conn| Ok::<_, Error>(revocations::document(conn, &id)?))
            .await?;
        let Some(document) = document else {
            return Ok(None);
        };
        // More than a message holds is never listed.
        let revoked = document.revoked.iter().take(wire::MAX_REVOKED);
        let message = self.signer_for(lock).await?.sign_revocations(&wire::Revocations {
            iss: &self.settings.issuer.name,
            org: document.organization.as_str(),
            aud: lock.as_str(),
            epoch: document.epoch,
            revoked: revoked.map(String::as_str).collect(),
            min_rev: document.min_rev,
        })?;
        Ok(Some(message))
    }

    /// Sends the connected locks what they have not confirmed, where the first sending was lost with its process or on its
    /// way; says to how many.
    ///
    /// # Errors
    /// Those of the database; a lock that fails keeps no other from being told.
    pub async fn repeat_revocations(&self) -> Result<usize, Error> {
        if !self.relay.is_up() {
            return Ok(0);
        }
        let since = self.now() - SILENCE;
        let (mut after, mut count, mut outcome) = (None, 0, Ok(()));
        loop {
            let behind = move |conn: &mut _| {
                let behind = revocations::connected_behind(conn, since, after.as_ref(), A_PAGE)?;
                Ok::<_, Error>(behind)
            };
            let behind = self.db.read(behind).await?;
            let (_, told) = each_in_turn(&behind, |lock| self.send_revocations(lock)).await;
            outcome = outcome.and(told);
            count += behind.len();
            if i64::try_from(behind.len()).is_ok_and(|page| page < A_PAGE) {
                return outcome.map(|()| count);
            }
            after = behind.last().cloned();
        }
    }
}
