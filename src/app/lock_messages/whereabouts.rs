//! Where a lock hung when something happened of which it tells later, and who sees what nobody knows the time of.

use crate::app::Error;
use crate::domain::ids::PersonId;
use crate::domain::lock::Lock;
use crate::domain::time::Timestamp;
use crate::store::lock_places::{self, Left};
use crate::store::{Conn, enrolments, tenancies};

/// The lock as it hung at `at`.
pub(super) fn hung_at(conn: &mut Conn, lock: &Lock, at: Timestamp) -> Result<Lock, Error> {
    let left = lock_places::left_since(conn, &lock.id, at)?.into_iter().next();
    Ok(left.map_or_else(|| lock.clone(), |left| there(lock, left)))
}

/// Where the lock may have hung when something happened at a time that nobody knows, and a time when it hung there; of all
/// possible ones since its controller enrolled those that show the least: the last at which one of these persons lived behind
/// that door, else the last at which anybody did. A former tenant's comings are not shown because their lock was without a clock.
pub(super) fn may_have_hung(
    conn: &mut Conn,
    lock: &Lock,
    enrolment: u32,
    persons: &[PersonId],
    now: Timestamp,
) -> Result<(Lock, Timestamp), Error> {
    let since = enrolments::since(conn, &lock.id, enrolment)?.unwrap_or(lock.created_at);
    let mut from = since;
    let mut spans = Vec::new();
    for left in lock_places::left_since(conn, &lock.id, since)? {
        let until = left.until;
        spans.push((there(lock, left), from, until));
        from = until;
    }
    spans.push((lock.clone(), from, now + A_MOMENT));
    for persons in [Some(persons), None] {
        for (place, from, until) in spans.iter().rev() {
            let Some(unit) = &place.unit else { continue };
            if let Some(last) = tenancies::last_lived_in(conn, unit, persons, (*from, *until))? {
                return Ok((place.clone(), last));
            }
        }
    }
    Ok((lock.clone(), now))
}

/// The least by which two instants differ.
const A_MOMENT: std::time::Duration = std::time::Duration::from_millis(1);

fn there(lock: &Lock, left: Left) -> Lock {
    Lock {
        property: left.property,
        unit: left.unit,
        ..lock.clone()
    }
}
