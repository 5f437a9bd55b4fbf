//! PINs: given once in clear, kept as what a lock can check and nobody can read, told to locks until they say that they
//! hold them (`docs/PROTOCOL.md`, "PINs").

use super::Error;
use crate::crypto::tokens::zone_for_lock;
use crate::domain::account::Scope;
use crate::domain::ids::{GrantId, LockId};
use crate::domain::lock::{Lock, LockState};
use crate::domain::pin::{Codes, Delivery, Digits, Limits, LockPins, PinKind, Slot, SlotState, Status, ToldZone};
use crate::domain::time::{TimeZone, Timestamp};
use crate::store::{Conn, computed_codes, enrolments, grants, locks, pins, places};

mod computed;
mod deliver;
mod give;
mod heard;
mod review;
mod reword;
mod show;
mod transfer;

pub(super) use give::uses_left;
pub(super) use heard::{Keypad, Spoken, hear_event, hear_hello, restore, spoke};
pub(super) use review::void_codes_after;
pub(super) use reword::{Reworded, Untold, reword};
pub(super) use show::views_of_grant;
pub use show::{CodeView, LockPinsView, SlotView};
pub(super) use transfer::{clear_at, void_codes_at};

/// How long before the changes of a zone that a lock was told run out it is told more of them.
const ZONE_AHEAD: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3_600);

/// A PIN that was given, with its digits, which are shown this once.
#[derive(Debug)]
pub struct GivenPin {
    /// The digits, where all locks take the same.
    pub code: Option<Digits>,
    /// How it comes to the locks.
    pub kind: PinKind,
    /// The first instant.
    pub starts_at: Timestamp,
    /// The end, exclusive; `None` for one that goes on until it is taken back.
    pub ends_at: Option<Timestamp>,
    /// Until when a computed code must have been used for the first time.
    pub first_use_before: Option<Timestamp>,
    /// The locks.
    pub locks: Vec<GivenAt>,
}

/// A PIN that was given, at one lock.
#[derive(Debug)]
pub struct GivenAt {
    /// The lock.
    pub lock: LockId,
    /// Its slot; `None` of a computed code.
    pub slot: Option<u16>,
    /// The lock's own digits; `None` where all locks take the same.
    pub code: Option<Digits>,
    /// What became of it.
    pub status: Status,
    /// Where the grant counts its uses: whether the lock does so by itself. One behind an adapter does not: there the PIN is
    /// taken back once the last opening was heard of.
    pub counts_uses: Option<bool>,
}

/// What is known of the lock's PINs, its row held until this transaction ends. What another controller of this lock held
/// is forgotten: it has another key.
pub(super) fn hold(conn: &mut Conn, lock: &Lock, now: Timestamp) -> Result<LockPins, Error> {
    let known = pins::hold(conn, &lock.id)?;
    present(conn, lock, known, now)
}

/// As [`hold`], of a lock whose row is held already.
fn present(conn: &mut Conn, lock: &Lock, known: Option<LockPins>, now: Timestamp) -> Result<LockPins, Error> {
    let enrolment = enrolments::number_of(conn, &lock.id)?;
    match known {
        Some(known) if known.enrolment == enrolment => Ok(known),
        Some(before) => {
            pins::free_all(conn, &lock.id)?;
            // A lock that was told nothing so far is told nothing now.
            let version = match before.delivery.version {
                0 => 0,
                version => version + 1,
            };
            let fresh = LockPins {
                enrolment,
                delivery: Delivery::begin(version),
                codes: Codes {
                    version,
                    ..before.codes
                },
                zone: ToldZone { version, ..before.zone },
                ..before
            };
            pins::save(conn, &fresh)?;
            Ok(fresh)
        }
        None => {
            let fresh = unknown(conn, lock, now)?;
            pins::add(conn, &fresh)?;
            Ok(fresh)
        }
    }
}

/// What is known of a lock of which nothing was kept yet: it was told nothing, and nothing is wanted of it.
fn unknown(conn: &mut Conn, lock: &Lock, now: Timestamp) -> Result<LockPins, Error> {
    let zone = zone_of(conn, lock)?;
    Ok(LockPins {
        lock: lock.id.clone(),
        enrolment: enrolments::number_of(conn, &lock.id)?,
        delivery: Delivery::begin(0),
        codes: Codes {
            generation: 0,
            since: now,
            version: 0,
        },
        zone: ToldZone {
            name: zone.name().to_owned(),
            version: 0,
            review_at: review_of(&zone, now),
        },
        limits: Limits::USUAL,
    })
}

/// As [`hold`], of a lock that is to know of PINs: it is told its wall clock, without which it would take the days of a
/// computed code for days of UTC.
pub(super) fn begin(conn: &mut Conn, lock: &Lock, now: Timestamp) -> Result<LockPins, Error> {
    let mut held = hold(conn, lock, now)?;
    if held.zone.version == 0 {
        let zone = zone_of(conn, lock)?;
        held.zone = ToldZone {
            name: zone.name().to_owned(),
            version: held.delivery.change(),
            review_at: review_of(&zone, now),
        };
        pins::save(conn, &held)?;
    }
    Ok(held)
}

fn zone_of(conn: &mut Conn, lock: &Lock) -> Result<TimeZone, Error> {
    let scope = Scope::only(lock.organization.clone());
    let property = places::find_property(conn, &lock.property, &scope)?;
    Ok(property.ok_or(Error::NotFound(super::What::Property))?.time_zone)
}

/// When a lock that is told of the zone now must be told again.
fn review_of(zone: &TimeZone, now: Timestamp) -> Timestamp {
    let told = zone_for_lock(zone, now);
    match told.last() {
        Some(last) if told.is_full() => (Timestamp::from_seconds(last.at) - ZONE_AHEAD).max(now + ZONE_AHEAD / 12),
        _ => Timestamp::MAX,
    }
}

/// Whether the lock is told anything.
fn is_in_service(lock: &Lock) -> bool {
    lock.state == LockState::Enrolled && !lock.quarantined
}

/// Has the slot cleared at its lock, whose row is held.
fn clear(conn: &mut Conn, pins: &mut LockPins, slot: Slot, now: Timestamp) -> Result<(), Error> {
    let slot = Slot {
        state: if slot.told {
            SlotState::Clearing
        } else {
            SlotState::Cleared
        },
        mac: slot.mac.filter(|_| slot.told),
        version: pins.delivery.change(),
        since: now,
        sealed: None,
        ..slot
    };
    pins::save_slot(conn, &slot)?;
    pins::save(conn, pins)?;
    Ok(())
}

/// Has the grant's PINs cleared at all its locks, whose rows are held from now on: to be done before the grant's own is
/// taken. Says at which.
pub(super) fn clear_of_grant(
    conn: &mut Conn,
    grant: &GrantId,
    doors: &[LockId],
    now: Timestamp,
) -> Result<Vec<LockId>, Error> {
    let mut cleared = Vec::new();
    let mut doors = doors.to_vec();
    doors.sort_unstable();
    for door in doors {
        let Some(mut held) = pins::hold(conn, &door)? else {
            continue;
        };
        for slot in pins::slots_of_grant(conn, grant)? {
            if slot.lock == door && slot.state == SlotState::Set {
                clear(conn, &mut held, slot, now)?;
                cleared.push(door.clone());
            }
        }
    }
    Ok(cleared)
}

/// Until when a lock may still open by a PIN of the grant at the latest, whatever is taken back; `None` where none does.
pub(super) fn outlives(conn: &mut Conn, grant: &GrantId, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let mut last = None;
    for slot in pins::slots_of_grant(conn, grant)? {
        if let Some(held) = pins::find(conn, &slot.lock)?
            && held.may_open_by(&slot, now)
        {
            last = last.max(Some(slot.ends_at));
        }
    }
    for code in computed_codes::of_grant(conn, grant)? {
        if let Some(held) = pins::find(conn, &code.lock)?
            && held.may_open_by_code(&code, now)
        {
            last = last.max(Some(code.days.ends_at));
        }
    }
    Ok(last)
}

/// The grant of a slot with its locks, whoever asks.
fn grant_of(conn: &mut Conn, lock: &Lock, grant: &GrantId) -> Result<Option<crate::domain::grant::Grant>, Error> {
    Ok(grants::find(conn, grant, &Scope::only(lock.organization.clone()))?)
}

/// One lock, whoever asks.
fn lock_of(conn: &mut Conn, id: &LockId) -> Result<Option<Lock>, Error> {
    Ok(locks::with_ids(conn, std::slice::from_ref(id))?.pop())
}
