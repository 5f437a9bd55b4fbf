//! Offline passes that were issued: until when they count, never the passes themselves.

use std::collections::HashMap;

use diesel::prelude::*;

use super::columns::parsed;
use super::schema::{pass_uses, passes, phones};
use super::{Conn, StoreError};
use crate::domain::ids::{GrantId, LockId, OrganizationId, PersonId, PhoneId};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightName;

/// The passes that a phone holds by one right, as one lock has to know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The lock.
    pub lock: LockId,
    /// The right, by its name at the lock.
    pub name: RightName,
    /// The phone.
    pub phone: PhoneId,
    /// After this no bolt moves by them at a lock that has a clock.
    pub ends_at: Timestamp,
    /// Until when they have to stand in revocations, should they be revoked.
    pub counts_until: Timestamp,
}

/// Records passes; those that the phone had by the same right at the lock may count longer.
pub fn record(conn: &mut Conn, organization: &OrganizationId, held: &Held) -> Result<(), StoreError> {
    let key = (held.lock.as_str(), held.name.to_string(), held.phone.as_str());
    let known: Option<(i64, i64)> = passes::table
        .find(key.clone())
        .select((passes::ends_at_ms, passes::counts_until_ms))
        .get_result(conn)
        .optional()?;
    let (ends_at_ms, counts_until_ms) = known.unwrap_or_default();
    let until = (
        passes::ends_at_ms.eq(held.ends_at.as_millis().max(ends_at_ms)),
        passes::counts_until_ms.eq(held.counts_until.as_millis().max(counts_until_ms)),
    );
    if known.is_some() {
        diesel::update(passes::table.find(key)).set(until).execute(conn)?;
        return Ok(());
    }
    diesel::insert_into(passes::table)
        .values((
            passes::lock_id.eq(key.0),
            passes::source.eq(key.1),
            passes::phone_id.eq(key.2),
            passes::organization_id.eq(organization.as_str()),
            until,
        ))
        .execute(conn)?;
    Ok(())
}

type Row = (String, String, String, i64, i64);

const COLUMNS: (
    passes::lock_id,
    passes::source,
    passes::phone_id,
    passes::ends_at_ms,
    passes::counts_until_ms,
) = (
    passes::lock_id,
    passes::source,
    passes::phone_id,
    passes::ends_at_ms,
    passes::counts_until_ms,
);

fn held((lock, source, phone, ends_at_ms, counts_until_ms): Row) -> Result<Held, StoreError> {
    Ok(Held {
        lock: parsed(&lock)?,
        name: parsed(&source)?,
        phone: parsed(&phone)?,
        ends_at: Timestamp::from_millis(ends_at_ms),
        counts_until: Timestamp::from_millis(counts_until_ms),
    })
}

/// The passes under these names that still count at `now`, by lock.
pub fn of_names(conn: &mut Conn, names: &[RightName], now: Timestamp) -> Result<Vec<Held>, StoreError> {
    let rows: Vec<Row> = passes::table
        .filter(passes::source.eq_any(names.iter().map(ToString::to_string)))
        .filter(passes::counts_until_ms.gt(now.as_millis()))
        .order((passes::lock_id, passes::source, passes::phone_id))
        .select(COLUMNS)
        .load(conn)?;
    rows.into_iter().map(held).collect()
}

/// The passes of the phone that still count at `now`, by lock.
pub fn of_phone(conn: &mut Conn, phone: &PhoneId, now: Timestamp) -> Result<Vec<Held>, StoreError> {
    let rows: Vec<Row> = passes::table
        .filter(passes::phone_id.eq(phone.as_str()))
        .filter(passes::counts_until_ms.gt(now.as_millis()))
        .order((passes::lock_id, passes::source))
        .select(COLUMNS)
        .load(conn)?;
    rows.into_iter().map(held).collect()
}

/// Until when, beyond `now`, a bolt may move by passes under this name, by lock.
pub fn open_until(conn: &mut Conn, name: &RightName, now: Timestamp) -> Result<HashMap<LockId, Timestamp>, StoreError> {
    let rows: Vec<(String, Option<i64>)> = passes::table
        .filter(passes::source.eq(name.to_string()))
        .filter(passes::ends_at_ms.gt(now.as_millis()))
        .group_by(passes::lock_id)
        .select((passes::lock_id, diesel::dsl::max(passes::ends_at_ms)))
        .load(conn)?;
    rows.into_iter()
        .map(|(lock, ends_at_ms)| Ok((parsed(&lock)?, Timestamp::from_millis(ends_at_ms.unwrap_or_default()))))
        .collect()
}

/// Whether a phone of the person holds a pass that may open the lock at `now`.
pub fn has_any(conn: &mut Conn, lock: &LockId, person: &PersonId, now: Timestamp) -> Result<bool, StoreError> {
    let of_person = phones::table
        .filter(phones::person_id.eq(person.as_str()))
        .filter(phones::removed_at_ms.is_null())
        .select(phones::id);
    let found: Option<String> = passes::table
        .filter(passes::lock_id.eq(lock.as_str()))
        .filter(passes::phone_id.eq_any(of_person))
        .filter(passes::ends_at_ms.gt(now.as_millis()))
        .select(passes::source)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}

/// The passes of the lock that still count at `now`.
pub fn of_lock(conn: &mut Conn, lock: &LockId, now: Timestamp) -> Result<Vec<Held>, StoreError> {
    let rows: Vec<Row> = passes::table
        .filter(passes::lock_id.eq(lock.as_str()))
        .filter(passes::counts_until_ms.gt(now.as_millis()))
        .order((passes::source, passes::phone_id))
        .select(COLUMNS)
        .load(conn)?;
    rows.into_iter().map(held).collect()
}

/// How many openings by pass of the grant the lock has reported.
pub fn uses(conn: &mut Conn, grant: &GrantId, lock: &LockId) -> Result<u32, StoreError> {
    let taken: Option<i64> = pass_uses::table
        .find((grant.as_str(), lock.as_str()))
        .select(pass_uses::taken)
        .get_result(conn)
        .optional()?;
    u32::try_from(taken.unwrap_or_default()).map_err(StoreError::corrupt)
}

/// Counts an opening by pass that the lock has reported.
pub fn count_use(conn: &mut Conn, grant: &GrantId, lock: &LockId) -> Result<(), StoreError> {
    let key = (grant.as_str(), lock.as_str());
    let counted = diesel::update(pass_uses::table.find(key))
        .set(pass_uses::taken.eq(pass_uses::taken + 1))
        .execute(conn)?;
    if counted == 0 {
        diesel::insert_into(pass_uses::table)
            .values((
                pass_uses::grant_id.eq(key.0),
                pass_uses::lock_id.eq(key.1),
                pass_uses::taken.eq(1),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Forgets passes that count no more; says how many.
pub fn forget(conn: &mut Conn, now: Timestamp) -> Result<usize, StoreError> {
    Ok(diesel::delete(passes::table.filter(passes::counts_until_ms.le(now.as_millis()))).execute(conn)?)
}
