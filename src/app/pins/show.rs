//! What landlords see of the PINs of a lock and of a grant, and what they may change of them. Nowhere the digits.

use super::{hold, is_in_service, review, unknown};
use crate::app::{Actor, App, Error, What, managed_by, viewed_by};
use crate::domain::account::Scope;
use crate::domain::grant::Grant;
use crate::domain::ids::LockId;
use crate::domain::lock::{Lock, LockState};
use crate::domain::pin::{ComputedCode, Limits, LockPins, Slot, SlotState, Status};
use crate::domain::time::Timestamp;
use crate::store::{Conn, computed_codes, locks, pins};

/// A slot, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotView {
    /// The slot.
    pub slot: Slot,
    /// What became of what is wanted of it.
    pub status: Status,
}

/// A computed code that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeView {
    /// The code, without its digits.
    pub code: ComputedCode,
    /// Whether its lock may still open by it.
    pub counts: bool,
}

/// What a lock should know of PINs, and what it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockPinsView {
    /// The version that it should hold, and the one that it holds.
    pub versions: (u64, u64),
    /// What became of the newest change.
    pub status: Status,
    /// What its model takes.
    pub limits: Limits,
    /// Generation of its computed codes, since when, and what became of it.
    pub codes: (u32, Timestamp, Status),
    /// Until when a computed code of any generation may open at the latest; `None` where none was given that still does.
    pub codes_until: Option<Timestamp>,
    /// Its slots in use.
    pub slots: Vec<SlotView>,
}

impl App {
    /// What the lock should know of PINs, and what it knows.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn lock_pins(&self, who: &Actor, lock: LockId) -> Result<LockPinsView, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .read(move |conn| {
                let scope = viewed_by(conn, &who)?;
                let lock = find(conn, &scope, &lock)?;
                let held = match pins::find(conn, &lock.id)? {
                    Some(held) => held,
                    None => unknown(conn, &lock, now)?,
                };
                view(conn, &lock, &held, now)
            })
            .await
    }

    /// Says what the lock's model takes, for PINs that are given from now on.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Invalid`] of limits that no lock has.
    pub async fn limit_pins(
        &self,
        who: &Actor,
        lock: LockId,
        slots: Option<u16>,
        digits: Option<(u8, u8)>,
    ) -> Result<LockPinsView, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let lock = find(conn, &scope, &lock)?;
                let mut held = hold(conn, &lock, now)?;
                held.limits.slots = slots.unwrap_or(held.limits.slots);
                (held.limits.digits_least, held.limits.digits_most) =
                    digits.unwrap_or((held.limits.digits_least, held.limits.digits_most));
                if held.limits.slots > Limits::MAX_SLOTS {
                    return Err(Error::invalid("slots", "expected 0 to 999"));
                }
                if !held.limits.are_possible() {
                    return Err(Error::invalid(
                        "digits",
                        "expected 4 to 10, the fewest not more than the most",
                    ));
                }
                pins::save(conn, &held)?;
                view(conn, &lock, &held, now)
            })
            .await
    }

    /// Makes the computed codes of the lock void that were given so far, once the lock has taken it.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] for a retired lock.
    pub async fn rotate_codes(&self, who: &Actor, lock: LockId) -> Result<LockPinsView, Error> {
        let (now, who) = (self.now(), who.clone());
        let id = lock.clone();
        let view = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let lock = find(conn, &scope, &lock)?;
                if lock.state == LockState::Retired {
                    return Err(Error::Conflict {
                        word: "lock-retired",
                        why: "this lock is out of service",
                    });
                }
                let held = review::rotate(conn, &lock, (Some(&who.person), None), now)?;
                view(conn, &lock, &held, now)
            })
            .await?;
        self.push_pins(&id).await?;
        Ok(view)
    }
}

/// The newest slot of the grant at each of these locks, and the computed codes that were given by it and are not over.
pub(in crate::app) fn views_of_grant(
    conn: &mut Conn,
    grant: &Grant,
    doors: &[Lock],
    now: Timestamp,
) -> Result<(Vec<SlotView>, Vec<CodeView>), Error> {
    let slots = pins::slots_of_grant(conn, &grant.id)?;
    let codes = computed_codes::of_grant(conn, &grant.id)?;
    let (mut shown, mut given) = (Vec::new(), Vec::new());
    for lock in doors {
        let Some(held) = pins::find(conn, &lock.id)? else {
            continue;
        };
        let newest = slots.iter().rev().find(|slot| slot.lock == lock.id);
        shown.extend(newest.and_then(|slot| slot_view(slot, lock, &held, now)));
        let here = codes
            .iter()
            .filter(|code| code.lock == lock.id && code.days.ends_at > now);
        given.extend(here.map(|code| CodeView {
            counts: held.may_open_by_code(code, now),
            code: code.clone(),
        }));
    }
    Ok((shown, given))
}

fn find(conn: &mut Conn, scope: &Scope, lock: &LockId) -> Result<Lock, Error> {
    locks::find(conn, lock, scope)?.ok_or(Error::NotFound(What::Lock))
}

/// The slot as it is shown; `None` of one that was taken back and is free.
fn slot_view(slot: &Slot, lock: &Lock, held: &LockPins, now: Timestamp) -> Option<SlotView> {
    let status = if slot.is_lost() || slot.enrolment != held.enrolment {
        Status::Failed("lock-replaced".to_owned())
    } else {
        held.status(slot.version, is_in_service(lock), now)
    };
    (slot.state != SlotState::Cleared || slot.is_lost()).then(|| SlotView {
        slot: slot.clone(),
        status,
    })
}

fn view(conn: &mut Conn, lock: &Lock, held: &LockPins, now: Timestamp) -> Result<LockPinsView, Error> {
    let slots = pins::slots_of(conn, &lock.id)?;
    let codes = computed_codes::of_lock(conn, &lock.id, now)?;
    let counting = codes.iter().filter(|code| held.may_open_by_code(code, now));
    let in_service = is_in_service(lock);
    Ok(LockPinsView {
        versions: (held.delivery.version, held.delivery.held),
        status: held.status(held.delivery.version, in_service, now),
        limits: held.limits,
        codes: (
            held.codes.generation,
            held.codes.since,
            held.status(held.codes.version, in_service, now),
        ),
        codes_until: counting.map(|code| code.days.ends_at).max(),
        slots: slots
            .iter()
            .filter_map(|slot| slot_view(slot, lock, held, now))
            .collect(),
    })
}
