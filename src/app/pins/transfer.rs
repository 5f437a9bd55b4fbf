//! What becomes of PINs where a lock goes to another door and grants to it end.

use super::clear;
use super::review::{Why, rotate};
use crate::app::Error;
use crate::domain::ids::GrantId;
use crate::domain::lock::Lock;
use crate::domain::pin::SlotState;
use crate::domain::time::Timestamp;
use crate::store::{Conn, computed_codes, pins};

/// Has the PINs of these grants cleared at the lock, whose row is held: to be done before the grants' own are taken. Says
/// until when the lock may still open by one of them at the latest.
pub(in crate::app) fn clear_at(
    conn: &mut Conn,
    lock: &Lock,
    ended: &[GrantId],
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let Some(mut held) = pins::hold(conn, &lock.id)? else {
        return Ok(None);
    };
    for slot in pins::slots_of(conn, &lock.id)? {
        let has_ended = slot.grant.as_ref().is_some_and(|grant| ended.contains(grant));
        if has_ended && slot.state == SlotState::Set {
            clear(conn, &mut held, slot, now)?;
        }
    }
    let mut last = None;
    for slot in pins::slots_of(conn, &lock.id)? {
        let has_ended = slot.grant.as_ref().is_some_and(|grant| ended.contains(grant));
        if has_ended && held.may_open_by(&slot, now) {
            last = last.max(Some(slot.ends_at));
        }
    }
    Ok(last)
}

/// Makes the lock's computed codes void, all of them, where one of these grants still counts: one alone cannot be. It is
/// written down, so it comes after whatever else is taken. Says as [`clear_at`].
pub(in crate::app) fn void_codes_at(
    conn: &mut Conn,
    lock: &Lock,
    ended: &[GrantId],
    why: Why<'_>,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let Some(held) = pins::hold(conn, &lock.id)? else {
        return Ok(None);
    };
    let codes = computed_codes::of_lock(conn, &lock.id, now)?;
    let counting = codes
        .iter()
        .filter(|code| ended.contains(&code.grant) && held.may_open_by_code(code, now));
    let last = counting.map(|code| code.days.ends_at).max();
    if last.is_some() {
        rotate(conn, lock, why, now)?;
    }
    Ok(last)
}
