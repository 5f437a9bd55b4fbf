//! Where locks hung before they went to other doors.

use diesel::prelude::*;

use super::columns::{parsed, parsed_option};
use super::schema::lock_places;
use super::{Conn, StoreError};
use crate::domain::ids::{LockId, PropertyId, UnitId};
use crate::domain::lock::Lock;
use crate::domain::time::Timestamp;

/// Where a lock hung.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The property.
    pub property: PropertyId,
    /// The unit whose own door it was; `None` for a shared one.
    pub unit: Option<UnitId>,
    /// When it left, exclusive.
    pub until: Timestamp,
}

/// Writes down that the lock leaves the place where it is at `now`. A place where it hung for no time at all, by clocks that
/// differ, is none.
pub fn leave(conn: &mut Conn, lock: &Lock, now: Timestamp) -> Result<(), StoreError> {
    let last_ms: Option<i64> = lock_places::table
        .filter(lock_places::lock_id.eq(lock.id.as_str()))
        .select(diesel::dsl::max(lock_places::until_ms))
        .get_result(conn)?;
    if last_ms.is_some_and(|last_ms| last_ms >= now.as_millis()) {
        return Ok(());
    }
    diesel::insert_into(lock_places::table)
        .values((
            lock_places::lock_id.eq(lock.id.as_str()),
            lock_places::until_ms.eq(now.as_millis()),
            lock_places::property_id.eq(lock.property.as_str()),
            lock_places::unit_id.eq(lock.unit.as_ref().map(UnitId::as_str)),
        ))
        .execute(conn)?;
    Ok(())
}

/// The places that the lock has left since `at`, in their order: the first is where it hung then.
pub fn left_since(conn: &mut Conn, lock: &LockId, at: Timestamp) -> Result<Vec<Left>, StoreError> {
    let rows: Vec<(String, Option<String>, i64)> = lock_places::table
        .filter(lock_places::lock_id.eq(lock.as_str()))
        .filter(lock_places::until_ms.gt(at.as_millis()))
        .order(lock_places::until_ms)
        .select((lock_places::property_id, lock_places::unit_id, lock_places::until_ms))
        .load(conn)?;
    let left = |(property, unit, until_ms): (String, Option<String>, i64)| {
        Ok(Left {
            property: parsed(&property)?,
            unit: parsed_option(unit.as_deref())?,
            until: Timestamp::from_millis(until_ms),
        })
    };
    rows.into_iter().map(left).collect()
}
