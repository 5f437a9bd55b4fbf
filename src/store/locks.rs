//! Locks: what landlords say of them, and what is counted for each. Their enrolments: `super::enrolments`.

use std::collections::HashMap;

use diesel::prelude::*;

use super::columns::{instant, parsed, parsed_option, text, word};
use super::kept::Kept;
use super::schema::{lock_reports, locks, units};
use super::{Conn, StoreError};
use crate::crypto::digest::hexadecimal;
use crate::domain::account::Scope;
use crate::domain::ids::{LockId, PropertyId, UnitId};
use crate::domain::lock::{Lock, LockState, Observed};
use crate::domain::place::PlaceName;
use crate::domain::time::Timestamp;

#[derive(Queryable, Selectable)]
#[diesel(table_name = locks)]
struct Row {
    id: String,
    organization_id: String,
    property_id: String,
    unit_id: Option<String>,
    name: String,
    kind: String,
    state: String,
    created_at_ms: i64,
    model: Option<String>,
    firmware: Option<String>,
    quarantined_at_ms: Option<i64>,
    assurance: Option<String>,
    shareable: bool,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = lock_reports)]
struct ReportRow {
    online: Option<bool>,
    online_at_ms: Option<i64>,
    bolt: Option<String>,
    bolt_at_ms: Option<i64>,
    door: Option<String>,
    door_at_ms: Option<i64>,
    battery: Option<i64>,
    battery_at_ms: Option<i64>,
}

/// The value with its time, where the lock has reported it.
fn observed<T>(value: Option<T>, at_ms: Option<i64>) -> Option<Observed<T>> {
    value.zip(instant(at_ms)).map(|(value, at)| Observed { value, at })
}

fn lock((row, report): (Row, ReportRow)) -> Result<Lock, StoreError> {
    Ok(Lock {
        id: parsed(&row.id)?,
        organization: parsed(&row.organization_id)?,
        property: parsed(&row.property_id)?,
        unit: parsed_option(row.unit_id.as_deref())?,
        name: text(row.name)?,
        kind: word(row.kind)?,
        state: word(row.state)?,
        created_at: Timestamp::from_millis(row.created_at_ms),
        model: row.model,
        firmware: row.firmware,
        quarantined: row.quarantined_at_ms.is_some(),
        assurance: row.assurance.map(word).transpose()?,
        online: observed(report.online, report.online_at_ms),
        bolt: observed(report.bolt.map(word).transpose()?, report.bolt_at_ms),
        door: observed(report.door.map(word).transpose()?, report.door_at_ms),
        battery: observed(
            report.battery.and_then(|percent| u8::try_from(percent).ok()),
            report.battery_at_ms,
        ),
        shareable: row.shareable,
    })
}

/// Adds an unclaimed lock, with the digest of the code that claims it and until when it does, where there is one.
pub fn add(conn: &mut Conn, lock: &Lock, claim: Option<(&[u8; 32], Timestamp)>) -> Result<(), StoreError> {
    diesel::insert_into(locks::table)
        .values((
            locks::id.eq(lock.id.as_str()),
            locks::organization_id.eq(lock.organization.as_str()),
            locks::property_id.eq(lock.property.as_str()),
            locks::unit_id.eq(lock.unit.as_ref().map(UnitId::as_str)),
            locks::name.eq(lock.name.as_str()),
            locks::kind.eq(lock.kind.as_str()),
            locks::state.eq(lock.state.as_str()),
            locks::created_at_ms.eq(lock.created_at.as_millis()),
            locks::claim_digest.eq(claim.map(|(digest, _)| hexadecimal(digest))),
            locks::claim_ends_at_ms.eq(claim.map(|(_, ends_at)| ends_at.as_millis())),
            locks::counter.eq(0),
            locks::last_issued_at_ms.eq(0),
            locks::chain_seq.eq(-1),
        ))
        .execute(conn)?;
    diesel::insert_into(lock_reports::table)
        .values(lock_reports::lock_id.eq(lock.id.as_str()))
        .execute(conn)?;
    Ok(())
}

/// The lock, if it exists within `scope`.
pub fn find(conn: &mut Conn, id: &LockId, scope: &Scope) -> Result<Option<Lock>, StoreError> {
    let row: Option<(Row, ReportRow)> = Kept(
        locks::table
            .inner_join(lock_reports::table)
            .filter(locks::id.eq(id.as_str()))
            .filter(locks::organization_id.eq_any(scope.ids()))
            .select((Row::as_select(), ReportRow::as_select())),
    )
    .get_result(conn)
    .optional()?;
    row.map(lock).transpose()
}

/// The locks within `scope`, of one property if asked for, by id, those after `after`, at most `limit`.
pub fn list(
    conn: &mut Conn,
    scope: &Scope,
    property: Option<&PropertyId>,
    after: Option<&LockId>,
    limit: i64,
) -> Result<Vec<Lock>, StoreError> {
    let mut query = locks::table
        .inner_join(lock_reports::table)
        .filter(locks::organization_id.eq_any(scope.ids()))
        .filter(locks::id.gt(after.map_or("", LockId::as_str)))
        .into_boxed();
    if let Some(property) = property {
        query = query.filter(locks::property_id.eq(property.as_str()));
    }
    let rows: Vec<(Row, ReportRow)> = query
        .order(locks::id)
        .limit(limit)
        .select((Row::as_select(), ReportRow::as_select()))
        .load(conn)?;
    rows.into_iter().map(lock).collect()
}

/// The locks with these ids, by id.
pub fn with_ids(conn: &mut Conn, ids: &[LockId]) -> Result<Vec<Lock>, StoreError> {
    let rows: Vec<(Row, ReportRow)> = locks::table
        .inner_join(lock_reports::table)
        .filter(locks::id.eq_any(ids.iter().map(LockId::as_str)))
        .order(locks::id)
        .select((Row::as_select(), ReportRow::as_select()))
        .load(conn)?;
    rows.into_iter().map(lock).collect()
}

/// The locks that a tenancy of the unit opens and that are not out of service for good, by id: the unit's own, and the shared
/// ones of its property.
pub fn of_home(conn: &mut Conn, unit: &UnitId) -> Result<Vec<Lock>, StoreError> {
    let property = units::table.find(unit.as_str()).select(units::property_id);
    let shared = locks::unit_id.is_null().and(locks::property_id.eq_any(property));
    let rows: Vec<(Row, ReportRow)> = locks::table
        .inner_join(lock_reports::table)
        .filter(shared.or(locks::unit_id.eq(unit.as_str()).assume_not_null()))
        .filter(locks::state.ne(LockState::Retired.as_str()))
        .order(locks::id)
        .select((Row::as_select(), ReportRow::as_select()))
        .load(conn)?;
    rows.into_iter().map(lock).collect()
}

/// The names of those of the locks that there are.
pub fn names(conn: &mut Conn, ids: &[&LockId]) -> Result<HashMap<LockId, PlaceName>, StoreError> {
    let rows: Vec<(String, String)> = locks::table
        .filter(locks::id.eq_any(ids.iter().map(|id| id.as_str())))
        .select((locks::id, locks::name))
        .load(conn)?;
    rows.into_iter()
        .map(|(id, name)| Ok((parsed(&id)?, text(name)?)))
        .collect()
}

/// Writes the lock's name, property and unit, and whether it may be shared.
pub fn update(conn: &mut Conn, lock: &Lock) -> Result<(), StoreError> {
    diesel::update(locks::table.find(lock.id.as_str()))
        .set((
            locks::name.eq(lock.name.as_str()),
            locks::property_id.eq(lock.property.as_str()),
            locks::unit_id.eq(lock.unit.as_ref().map(UnitId::as_str)),
            locks::shareable.eq(lock.shareable),
        ))
        .execute(conn)?;
    Ok(())
}

/// Keeps the lock in service and in its place until this transaction ends: nothing is issued for it after its retirement
/// commits. Says whether it still is there, and not set apart. SQLite has one writer at a time, so nothing can have come
/// between.
pub fn hold(conn: &mut Conn, lock: &Lock) -> Result<bool, StoreError> {
    if matches!(conn, Conn::Sqlite(_)) {
        return Ok(true);
    }
    let in_service = locks::table
        .find(lock.id.as_str())
        .filter(locks::state.eq(LockState::Enrolled.as_str()))
        .filter(locks::quarantined_at_ms.is_null());
    let place: Option<(String, Option<String>)> = Kept(
        diesel::update(in_service)
            .set(locks::counter.eq(locks::counter))
            .returning((locks::property_id, locks::unit_id)),
    )
    .get_result(conn)
    .optional()?;
    Ok(place.is_some_and(|(property, unit)| {
        property == lock.property.as_str() && unit.as_deref() == lock.unit.as_ref().map(UnitId::as_str)
    }))
}

/// The number of the next command for the lock, issued at `now`, and the least `rev` that the lock believes.
pub fn next_counter(conn: &mut Conn, id: &LockId, now: Timestamp) -> Result<(u64, u64), StoreError> {
    let (counter, min_rev): (i64, i64) = Kept(
        diesel::update(locks::table.find(id.as_str()))
            .set((
                locks::counter.eq(locks::counter + 1),
                locks::last_issued_at_ms.eq(now.as_millis()),
            ))
            .returning((locks::counter, locks::min_rev)),
    )
    .get_result(conn)?;
    let whole = |number: i64| u64::try_from(number).map_err(StoreError::corrupt);
    Ok((whole(counter)?, whole(min_rev)?))
}

/// How many enrolled locks are connected by what they said last, heard of after `since`, over all organizations.
pub fn count_online(conn: &mut Conn, since: Timestamp) -> Result<i64, StoreError> {
    Ok(lock_reports::table
        .filter(lock_reports::online.eq(true))
        .filter(lock_reports::online_at_ms.gt(since.as_millis()))
        .count()
        .get_result(conn)?)
}

/// Records that no lock is connected.
pub fn report_all_away(conn: &mut Conn, at: Timestamp) -> Result<(), StoreError> {
    diesel::update(lock_reports::table.filter(lock_reports::online.eq(true)))
        .set((
            lock_reports::online.eq(false),
            lock_reports::online_at_ms.eq(at.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The locks that are enrolled, whosever they are.
pub fn enrolled(conn: &mut Conn) -> Result<Vec<LockId>, StoreError> {
    let ids: Vec<String> = locks::table
        .filter(locks::state.eq(LockState::Enrolled.as_str()))
        .order(locks::id)
        .select(locks::id)
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}
