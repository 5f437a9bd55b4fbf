//! Releases of spare keys.

use diesel::prelude::*;

use super::find_any;
use crate::domain::grant::Grant;
use crate::domain::ids::{GrantId, LockId, PersonId};
use crate::domain::time::Timestamp;
use crate::store::columns::parsed;
use crate::store::schema::{grant_locks, grants};
use crate::store::{Conn, StoreError};

/// Releases the spare key until then, or calls it back where `until` is `None`; says whether the grant stands.
pub fn release(conn: &mut Conn, id: &GrantId, until: Option<Timestamp>) -> Result<bool, StoreError> {
    let released = diesel::update(grants::table.find(id.as_str()).filter(grants::revoked_at_ms.is_null()))
        .set(grants::released_until_ms.eq(until.map(Timestamp::as_millis)))
        .execute(conn)?;
    Ok(released > 0)
}

/// The spare keys whose release has ended at `now` and of which nobody was told yet: at most `limit`.
pub fn released_before(conn: &mut Conn, now: Timestamp, limit: i64) -> Result<Vec<GrantId>, StoreError> {
    let ids: Vec<String> = grants::table
        .filter(grants::released_until_ms.le(now.as_millis()))
        .order(grants::released_until_ms)
        .limit(limit)
        .select(grants::id)
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// Notes that the release of the spare key has ended at `now`; gives the grant, where this was the first to note it.
pub fn end_release(conn: &mut Conn, id: &GrantId, now: Timestamp) -> Result<Option<Grant>, StoreError> {
    let row = grants::table.find(id.as_str());
    let ended = diesel::update(row.filter(grants::released_until_ms.le(now.as_millis())))
        .set(grants::released_until_ms.eq(None::<i64>))
        .execute(conn)?;
    if ended == 0 {
        return Ok(None);
    }
    find_any(conn, id)
}

/// Calls every spare key back that is released.
pub fn end_every_release(conn: &mut Conn) -> Result<(), StoreError> {
    diesel::update(grants::table.filter(grants::released_until_ms.is_not_null()))
        .set(grants::released_until_ms.eq(None::<i64>))
        .execute(conn)?;
    Ok(())
}

/// Who holds spare keys to the lock that these persons have given and that stand at `now`, by person.
pub fn spare_key_holders(
    conn: &mut Conn,
    lock: &LockId,
    givers: &[PersonId],
    now: Timestamp,
) -> Result<Vec<PersonId>, StoreError> {
    let mut holders: Vec<String> = grants::table
        .inner_join(grant_locks::table)
        .filter(grant_locks::lock_id.eq(lock.as_str()))
        .filter(grants::spare_on_silence.is_not_null())
        .filter(grants::revoked_at_ms.is_null())
        .filter(grants::ends_at_ms.is_null().or(grants::ends_at_ms.gt(now.as_millis())))
        .filter(grants::given_by.eq_any(givers.iter().map(PersonId::as_str)))
        .filter(grants::person_id.is_not_null())
        .order(grants::person_id)
        .select(grants::person_id.assume_not_null())
        .load(conn)?;
    holders.dedup();
    holders.iter().map(|id| parsed(id)).collect()
}
