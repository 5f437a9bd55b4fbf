//! What locks say of their PINs: what they hold, and by which of them they opened.

use super::review::rotate;
use super::{LockPins, hold, lock_of, present};
use crate::app::Error;
use crate::domain::grant::Holder;
use crate::domain::ids::{GrantId, LockId, PersonId};
use crate::domain::lock::{Lock, LockState};
use crate::domain::pin::{Heard, Slot, SlotState};
use crate::domain::time::Timestamp;
use crate::store::{Conn, computed_codes, grants, pins};

/// Takes from a hello which version the lock holds; its row is held. Says whether something should be sent.
pub(in crate::app) fn hear_hello(
    conn: &mut Conn,
    id: &LockId,
    held: u64,
    boot: u32,
    head: Option<(&str, i64)>,
    now: Timestamp,
) -> Result<bool, Error> {
    let known = pins::find(conn, id)?;
    if known.is_none() && held == 0 {
        return Ok(false);
    }
    let Some(lock) = lock_of(conn, id)?.filter(|lock| lock.state == LockState::Enrolled) else {
        return Ok(false);
    };
    let mut present = present(conn, &lock, known, now)?;
    let before = present.clone();
    let heard = present.delivery.hello(held, boot, head, now);
    if matches!(heard, Heard::Anew | Heard::Ahead) {
        send_all_anew(conn, &mut present, now)?;
    }
    if heard == Heard::Ahead {
        // A time lies above whatever was counted in the life that is lost.
        let above = u32::try_from(now.as_seconds()).unwrap_or(u32::MAX);
        present.codes.generation = present.codes.generation.max(above);
    }
    if present != before {
        pins::save(conn, &present)?;
        pins::free_cleared(conn, id, present.delivery.held)?;
    }
    if heard == Heard::Ahead {
        // Codes may have been made void meanwhile: the lock would refuse whatever is computed in the former way.
        present = rotate(conn, &lock, (None, Some("restored")), now)?;
    }
    Ok(present.delivery.is_due(now))
}

/// This database was restored from a copy: what the lock holds of PINs is not known until it says so.
pub(in crate::app) fn restore(conn: &mut Conn, id: &LockId, now: Timestamp) -> Result<(), Error> {
    let Some(lock) = lock_of(conn, id)? else { return Ok(()) };
    let mut known = hold(conn, &lock, now)?;
    known.delivery.restore();
    Ok(pins::save(conn, &known)?)
}

/// These books were restored from a copy, and the lock may have been told of others since. Every slot that they know is set
/// again, and every other one of the lock's is cleared.
fn send_all_anew(conn: &mut Conn, present: &mut LockPins, now: Timestamp) -> Result<(), Error> {
    let slots = pins::slots_of(conn, &present.lock)?;
    for slot in &slots {
        let again = Slot {
            version: present.delivery.change(),
            told: true,
            ..slot.clone()
        };
        pins::save_slot(conn, &again)?;
    }
    for number in (1..=present.limits.slots).filter(|number| slots.iter().all(|slot| slot.slot != *number)) {
        let version = present.delivery.change();
        pins::add_slot(
            conn,
            &Slot {
                lock: present.lock.clone(),
                slot: number,
                given_version: version,
                enrolment: present.enrolment,
                grant: None,
                state: SlotState::Clearing,
                version,
                since: now,
                told: true,
                mac: None,
                sealed: None,
                length: 0,
                ends_at: Timestamp::MAX,
                review_at: Timestamp::MAX,
                uses: None,
                openings: 0,
                after: (None, -1),
            },
        )?;
    }
    present.zone.version = present.delivery.change();
    present.codes.version = present.zone.version;
    Ok(())
}

/// An event that has something to do with PINs: the lock took a change, or refused one. Its row is held. Says whether
/// something should be sent.
pub(in crate::app) fn hear_event(
    conn: &mut Conn,
    id: &LockId,
    (kind, result): (&str, &str),
    (chain, seq): (&str, i64),
    now: Timestamp,
) -> Result<bool, Error> {
    let Some(mut known) = pins::find(conn, id)? else {
        return Ok(false);
    };
    let before = known.clone();
    match kind {
        "pins" => {
            known.delivery.confirm(chain, seq);
        }
        "denied" => known.delivery.refuse(result),
        _ => return Ok(false),
    }
    if known != before {
        pins::save(conn, &known)?;
        pins::free_cleared(conn, id, known.delivery.held)?;
    }
    Ok(kind == "pins" && known.delivery.is_due(now))
}

/// For whom a PIN or a code spoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct Spoken {
    /// The grant.
    pub(in crate::app) grant: GrantId,
    /// Who holds it; `None` while an invitation waits.
    pub(in crate::app) person: Option<PersonId>,
}

/// What an event says of the keypad: a slot, or what a code was computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) enum Keypad<'a> {
    /// A PIN in this slot.
    Pin(u16),
    /// A computed code: `first_day-days-serial`.
    Code(&'a str),
}

/// For whom the keypad spoke when the lock said the event of this number; where the bolt was drawn by it, as was heard at `opened`,
/// that takes one of the grant's counted uses. The lock's row is held.
pub(in crate::app) fn spoke(
    conn: &mut Conn,
    (lock, enrolment): (&Lock, u32),
    keypad: Keypad<'_>,
    place: (&str, i64),
    opened: Option<Timestamp>,
) -> Result<Option<Spoken>, Error> {
    let grant = match keypad {
        Keypad::Pin(number) => {
            let slot = pins::slot_at(conn, (&lock.id, enrolment), number, place)?;
            if let Some(slot) = slot.as_ref().filter(|_| opened.is_some()) {
                let opened = Slot {
                    openings: slot.openings.saturating_add(1),
                    ..slot.clone()
                };
                pins::save_slot(conn, &opened)?;
            }
            slot.and_then(|slot| slot.grant)
        }
        Keypad::Code(code) => match parts(code) {
            Some(parts) => computed_codes::code_at(conn, (&lock.id, enrolment), parts, place)?.map(|code| code.grant),
            None => None,
        },
    };
    let Some(grant) = grant else { return Ok(None) };
    if let Some(now) = opened {
        grants::take_use(conn, &grant, now)?;
    }
    let holder = super::grant_of(conn, lock, &grant)?.map(|grant| grant.holder);
    Ok(Some(Spoken {
        grant,
        person: match holder {
            Some(Holder::Person(person)) => Some(person),
            Some(Holder::Invited(_)) | None => None,
        },
    }))
}

/// `first_day-days-serial`.
fn parts(code: &str) -> Option<(u32, u8, u8)> {
    let mut parts = code.split('-');
    let parsed = (
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    );
    parts.next().is_none().then_some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_named_by_three_numbers() {
        for (text, named) in [
            ("20514-3-0", Some((20_514, 3, 0))),
            ("20514-3", None),
            ("20514-3-0-1", None),
            ("20514-300-0", None),
            ("", None),
            ("a-b-c", None),
        ] {
            assert_eq!(parts(text), named, "{text}");
        }
    }
}
