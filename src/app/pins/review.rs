//! What is looked at again by itself: slots whose grant has ended or goes on, and wall clocks; and codes that are made void.

use super::give::{slot_life, uses_left};
use super::{begin, clear, grant_of, hold, lock_of, review_of, zone_of};
use crate::app::{App, Error};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::grant::GrantState;
use crate::domain::ids::{LockId, PersonId};
use crate::domain::lock::{Lock, LockState};
use crate::domain::pin::{Codes, LockPins, Slot, SlotState, ToldZone};
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, pins};

/// How many locks are looked at in one round.
const A_ROUND: i64 = 200;

impl App {
    /// Looks again at slots and wall clocks whose time has come, and tells the locks; says at how many it did.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn review_pins(&self) -> Result<usize, Error> {
        let now = self.now();
        let due = self
            .db
            .read(move |conn| Ok::<_, Error>(pins::to_review(conn, now, A_ROUND)?))
            .await?;
        self.review_all(due).await
    }

    /// Clears slots of grants that were taken back elsewhere, and brings counted uses and wall clocks up to date; says at how
    /// many locks.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mend_pins(&self) -> Result<usize, Error> {
        let wrong = self
            .db
            .read(|conn| Ok::<_, Error>(pins::to_mend(conn, A_ROUND)?))
            .await?;
        self.review_all(wrong).await
    }

    async fn review_all(&self, ids: Vec<LockId>) -> Result<usize, Error> {
        let now = self.now();
        for id in &ids {
            let lock = id.clone();
            self.db
                .write(move |conn| match lock_of(conn, &lock)? {
                    Some(lock) => review(conn, &lock, now),
                    None => Ok(()),
                })
                .await?;
            self.push_pins(id).await?;
        }
        Ok(ids.len())
    }
}

/// Looks at everything of the lock again.
fn review(conn: &mut Conn, lock: &Lock, now: Timestamp) -> Result<(), Error> {
    let mut held = hold(conn, lock, now)?;
    for slot in pins::slots_of(conn, &lock.id)? {
        if slot.state == SlotState::Set {
            review_slot(conn, lock, &mut held, slot, now)?;
        }
    }
    let zone = zone_of(conn, lock)?;
    if held.zone.review_at <= now || zone.name() != held.zone.name {
        let is_told = held.zone.version > 0;
        let version = if is_told { held.delivery.change() } else { 0 };
        // A lock that reads the same clock as before goes on giving codes while it learns of later changes.
        let is_another = zone.name() != held.zone.name;
        held.zone = ToldZone {
            name: zone.name().to_owned(),
            version: if is_another { version } else { held.zone.version },
            review_at: review_of(&zone, now),
        };
        pins::save(conn, &held)?;
    }
    Ok(())
}

fn review_slot(conn: &mut Conn, lock: &Lock, held: &mut LockPins, slot: Slot, now: Timestamp) -> Result<(), Error> {
    let grant = match &slot.grant {
        Some(grant) => grant_of(conn, lock, grant)?,
        None => None,
    };
    let stands =
        grant.filter(|grant| grant.state == GrantState::Active && grant.terms.ends_at.is_none_or(|end| end > now));
    let Some(grant) = stands else {
        return clear(conn, held, slot, now);
    };
    // Of none at all the lock is told to forget it, until a use is given back.
    let uses = uses_left(&grant).map(|left| left.saturating_add(slot.openings));
    let (ends_at, review_at) = if slot.review_at <= now {
        slot_life(&grant, now)?
    } else {
        (slot.ends_at, slot.review_at)
    };
    if (uses, ends_at) == (slot.uses, slot.ends_at) {
        if review_at != slot.review_at {
            pins::save_slot(conn, &Slot { review_at, ..slot })?;
        }
        return Ok(());
    }
    let slot = Slot {
        uses,
        ends_at,
        review_at,
        version: held.delivery.change(),
        ..slot
    };
    pins::save_slot(conn, &slot)?;
    pins::save(conn, held)?;
    Ok(())
}

/// Who makes codes void, and why, as a stable word.
pub(in crate::app) type Why<'a> = (Option<&'a PersonId>, Option<&'static str>);

/// Makes the computed codes of a unit's own lock void, whose row is held, because a tenancy of the unit ended at `ends_at`,
/// unless they are newer than that. Says whether it did. It is written down, so it comes after whatever else is taken.
pub(in crate::app) fn void_codes_after(
    conn: &mut Conn,
    lock: &Lock,
    ends_at: Timestamp,
    by: Option<&PersonId>,
    now: Timestamp,
) -> Result<bool, Error> {
    // A lock that was told nothing of PINs knows no codes that anybody was given.
    let known = match lock.state {
        LockState::Enrolled => pins::hold(conn, &lock.id)?,
        LockState::Unclaimed | LockState::Retired => None,
    };
    let is_due = known.is_some_and(|held| held.codes.since < ends_at);
    if is_due {
        rotate(conn, lock, (by, Some("tenancy-ended")), now)?;
    }
    Ok(is_due)
}

/// Makes the lock's computed codes void: those that were given so far, once the lock has taken it.
pub(super) fn rotate(conn: &mut Conn, lock: &Lock, why: Why<'_>, now: Timestamp) -> Result<LockPins, Error> {
    let mut held = begin(conn, lock, now)?;
    held.codes = Codes {
        generation: held.codes.generation.saturating_add(1),
        since: now,
        version: held.delivery.change(),
    };
    pins::save(conn, &held)?;
    let (actor, reason) = why;
    let entry = NewEntry {
        actor: actor.cloned(),
        reason: reason.map(str::to_owned),
        detail: Some(serde_json::json!({ "generation": held.codes.generation })),
        ..NewEntry::new(Kind::CodesRotated, now)
    };
    access_log::append(conn, &lock.organization, &entry.about(lock), now)?;
    Ok(held)
}
