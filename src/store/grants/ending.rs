//! The end of grants: taken back, ended, or without a lock.

use diesel::prelude::*;

use crate::domain::ids::{GrantId, LockId, OrganizationId, PersonId};
use crate::domain::time::Timestamp;
use crate::store::columns::parsed;
use crate::store::schema::{grant_locks, grants};
use crate::store::{Conn, StoreError};

/// Takes the grant back; says whether it still stood.
pub fn revoke(conn: &mut Conn, id: &GrantId, by: &PersonId, at: Timestamp) -> Result<bool, StoreError> {
    let revoked = diesel::update(grants::table.find(id.as_str()).filter(grants::revoked_at_ms.is_null()))
        .set((
            grants::revoked_at_ms.eq(at.as_millis()),
            grants::revoked_by.eq(by.as_str()),
        ))
        .execute(conn)?;
    Ok(revoked > 0)
}

/// Has the grant end at `at`, if it would not end sooner.
pub fn end_at(conn: &mut Conn, id: &GrantId, at: Timestamp) -> Result<(), StoreError> {
    let later = grants::ends_at_ms.is_null().or(grants::ends_at_ms.gt(at.as_millis()));
    diesel::update(grants::table.find(id.as_str()).filter(later))
        .set(grants::ends_at_ms.eq(at.as_millis()))
        .execute(conn)?;
    Ok(())
}

/// Takes the lock out of a grant that names others too.
pub fn take_out(conn: &mut Conn, id: &GrantId, lock: &LockId) -> Result<(), StoreError> {
    diesel::delete(grant_locks::table.find((id.as_str(), lock.as_str()))).execute(conn)?;
    Ok(())
}

/// Takes back those of the person's grants in the organization that still stand.
pub fn revoke_all_of(
    conn: &mut Conn,
    organization: &OrganizationId,
    person: &PersonId,
    by: &PersonId,
    at: Timestamp,
) -> Result<Vec<GrantId>, StoreError> {
    let standing: Vec<String> = grants::table
        .filter(grants::organization_id.eq(organization.as_str()))
        .filter(grants::person_id.eq(person.as_str()))
        .filter(grants::revoked_at_ms.is_null())
        .order(grants::id)
        .select(grants::id)
        .load(conn)?;
    diesel::update(grants::table.filter(grants::id.eq_any(&standing)))
        .set((
            grants::revoked_at_ms.eq(at.as_millis()),
            grants::revoked_by.eq(by.as_str()),
        ))
        .execute(conn)?;
    standing.iter().map(|id| parsed(id)).collect()
}
