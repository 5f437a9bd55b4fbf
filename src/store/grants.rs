//! Grants, and the rights that grants and tenancies give at one lock.

use diesel::prelude::*;

use super::columns::{instant, parsed, word};
use super::schema::{grant_locks, grants, tenancies};
use super::{Conn, StoreError, accounts};
use crate::domain::account::Scope;
use crate::domain::grant::{Grant, GrantState, Holder, Terms, Uses};
use crate::domain::ids::{GrantId, LockId, OrganizationId, PersonId};
use crate::domain::lock::Lock;
use crate::domain::schedule::Schedule;
use crate::domain::time::Timestamp;
use crate::domain::unlock::{Right, RightSource};

#[derive(Queryable, Selectable)]
#[diesel(table_name = grants)]
struct Row {
    id: String,
    organization_id: String,
    person_id: Option<String>,
    invitation_id: Option<String>,
    given_by: String,
    created_at_ms: i64,
    starts_at_ms: i64,
    ends_at_ms: Option<i64>,
    schedule: Option<String>,
    uses_limit: Option<i64>,
    uses_taken: i64,
    revoked_at_ms: Option<i64>,
    revoked_by: Option<String>,
    ways: String,
    role: String,
}

impl Row {
    fn into_domain(self, locks: Vec<LockId>) -> Result<Grant, StoreError> {
        let holder = match (&self.person_id, &self.invitation_id) {
            (Some(person), None) => Holder::Person(parsed(person)?),
            (None, Some(invitation)) => Holder::Invited(parsed(invitation)?),
            _ => {
                return Err(StoreError::corrupt(
                    "a grant has neither or both of a person and an invitation",
                ));
            }
        };
        let state = match (instant(self.revoked_at_ms), &self.revoked_by) {
            (Some(at), Some(by)) => GrantState::Revoked { at, by: parsed(by)? },
            _ => GrantState::Active,
        };
        let count = |n: i64| u32::try_from(n).map_err(StoreError::corrupt);
        let uses = match self.uses_limit {
            Some(limit) => Some(Uses::with_taken(count(limit)?, count(self.uses_taken)?).map_err(StoreError::corrupt)?),
            None => None,
        };
        let schedule: Option<Schedule> = self
            .schedule
            .as_deref()
            .map(serde_json::from_str)
            .transpose()
            .map_err(StoreError::corrupt)?;
        Ok(Grant {
            id: parsed(&self.id)?,
            organization: parsed(&self.organization_id)?,
            holder,
            given_by: parsed(&self.given_by)?,
            created_at: Timestamp::from_millis(self.created_at_ms),
            terms: Terms {
                locks,
                starts_at: Timestamp::from_millis(self.starts_at_ms),
                ends_at: instant(self.ends_at_ms),
                schedule,
                uses,
                ways: (self.ways.split(','))
                    .map(|way| word(way.to_owned()))
                    .collect::<Result<_, _>>()?,
                role: word(self.role)?,
            },
            state,
        })
    }
}

/// Adds a grant with its doors.
pub fn add(conn: &mut Conn, grant: &Grant) -> Result<(), StoreError> {
    let (person, invitation) = match &grant.holder {
        Holder::Person(person) => (Some(person.as_str()), None),
        Holder::Invited(invitation) => (None, Some(invitation.as_str())),
    };
    let schedule = grant
        .terms
        .schedule
        .as_ref()
        .map(serde_json::to_string)
        .transpose()
        .map_err(StoreError::corrupt)?;
    let ways: Vec<&str> = grant.terms.ways.iter().map(|way| way.as_str()).collect();
    diesel::insert_into(grants::table)
        .values((
            grants::id.eq(grant.id.as_str()),
            grants::organization_id.eq(grant.organization.as_str()),
            grants::person_id.eq(person),
            grants::invitation_id.eq(invitation),
            grants::given_by.eq(grant.given_by.as_str()),
            grants::created_at_ms.eq(grant.created_at.as_millis()),
            grants::starts_at_ms.eq(grant.terms.starts_at.as_millis()),
            grants::ends_at_ms.eq(grant.terms.ends_at.map(Timestamp::as_millis)),
            grants::schedule.eq(schedule),
            grants::uses_limit.eq(grant.terms.uses.map(|uses| i64::from(uses.limit()))),
            grants::uses_taken.eq(0),
            grants::ways.eq(ways.join(",")),
            grants::role.eq(grant.terms.role.as_str()),
        ))
        .execute(conn)?;
    for lock in &grant.terms.locks {
        diesel::insert_into(grant_locks::table)
            .values((
                grant_locks::grant_id.eq(grant.id.as_str()),
                grant_locks::lock_id.eq(lock.as_str()),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// The doors of the grant.
fn locks_of(conn: &mut Conn, id: &str) -> Result<Vec<LockId>, StoreError> {
    let ids: Vec<String> = grant_locks::table
        .filter(grant_locks::grant_id.eq(id))
        .order(grant_locks::lock_id)
        .select(grant_locks::lock_id)
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// The grant, if it exists within `scope`.
pub fn find(conn: &mut Conn, id: &GrantId, scope: &Scope) -> Result<Option<Grant>, StoreError> {
    let row: Option<Row> = grants::table
        .find(id.as_str())
        .filter(grants::organization_id.eq_any(scope.ids()))
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let locks = locks_of(conn, id.as_str())?;
    row.into_domain(locks).map(Some)
}

/// The grants within `scope`, of one lock or one person if asked for, by id, those after `after`, at most `limit`.
pub fn list(
    conn: &mut Conn,
    scope: &Scope,
    lock: Option<&LockId>,
    person: Option<&PersonId>,
    after: Option<&GrantId>,
    limit: i64,
) -> Result<Vec<Grant>, StoreError> {
    let mut query = grants::table
        .filter(grants::organization_id.eq_any(scope.ids()))
        .filter(grants::id.gt(after.map_or("", GrantId::as_str)))
        .into_boxed();
    if let Some(person) = person {
        query = query.filter(grants::person_id.eq(person.as_str()));
    }
    if let Some(lock) = lock {
        query = query.filter(
            grants::id.eq_any(
                grant_locks::table
                    .filter(grant_locks::lock_id.eq(lock.as_str()))
                    .select(grant_locks::grant_id),
            ),
        );
    }
    let rows: Vec<Row> = query
        .order(grants::id)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter()
        .map(|row| {
            let locks = locks_of(conn, &row.id)?;
            row.into_domain(locks)
        })
        .collect()
}

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

/// The grant's counted uses as they are now; `None` where they are not counted.
pub fn uses(conn: &mut Conn, id: &GrantId) -> Result<Option<Uses>, StoreError> {
    let row: Option<(Option<i64>, i64)> = grants::table
        .find(id.as_str())
        .select((grants::uses_limit, grants::uses_taken))
        .get_result(conn)
        .optional()?;
    let Some((Some(limit), taken)) = row else {
        return Ok(None);
    };
    let count = |n: i64| u32::try_from(n).map_err(StoreError::corrupt);
    Uses::with_taken(count(limit)?, count(taken)?)
        .map(Some)
        .map_err(StoreError::corrupt)
}

/// Who holds the right, if it is one of the organization's; ended and revoked ones too.
pub fn holder(
    conn: &mut Conn,
    right: &RightSource,
    organization: &OrganizationId,
) -> Result<Option<PersonId>, StoreError> {
    let person: Option<Option<String>> = match right {
        RightSource::Grant(id) => grants::table
            .find(id.as_str())
            .filter(grants::organization_id.eq(organization.as_str()))
            .select(grants::person_id)
            .get_result(conn)
            .optional()?,
        RightSource::Tenancy(id) => tenancies::table
            .find(id.as_str())
            .filter(tenancies::organization_id.eq(organization.as_str()))
            .select(tenancies::person_id.nullable())
            .get_result(conn)
            .optional()?,
    };
    super::columns::parsed_option(person.flatten().as_deref())
}

/// Takes one of the grant's counted uses. Says whether one was left, so that of two last uses at once one succeeds.
pub fn take_use(conn: &mut Conn, id: &GrantId) -> Result<bool, StoreError> {
    let taken = diesel::update(
        grants::table
            .find(id.as_str())
            .filter(grants::uses_taken.nullable().lt(grants::uses_limit)),
    )
    .set(grants::uses_taken.eq(grants::uses_taken + 1))
    .execute(conn)?;
    Ok(taken > 0)
}

/// Keeps the grant from being taken back until this transaction ends; says whether it stands. SQLite has one writer at a
/// time, so nothing can have come between.
pub fn keep(conn: &mut Conn, id: &GrantId) -> Result<bool, StoreError> {
    let kept = diesel::update(grants::table.find(id.as_str()).filter(grants::revoked_at_ms.is_null()))
        .set(grants::uses_taken.eq(grants::uses_taken))
        .execute(conn)?;
    Ok(kept > 0)
}

/// Gives a taken use back: the movement it was taken for did not happen and cannot happen any more.
pub fn give_use_back(conn: &mut Conn, id: &GrantId) -> Result<(), StoreError> {
    diesel::update(grants::table.find(id.as_str()).filter(grants::uses_taken.gt(0)))
        .set(grants::uses_taken.eq(grants::uses_taken - 1))
        .execute(conn)?;
    Ok(())
}

/// Keeps the end of the right away until this transaction ends: what is decided by it is issued before a revocation
/// commits, or not at all (`docs/THREAT-MODEL.md`, I5). Says whether the right still stands at `now`, and its holder
/// still belongs to the organization: who is put out loses the right too, which therefore waits for this transaction, or
/// this one for it. SQLite has one writer at a time, so nothing can have come between.
pub fn hold(
    conn: &mut Conn,
    right: &RightSource,
    (organization, holder): (&OrganizationId, &PersonId),
    now: Timestamp,
) -> Result<bool, StoreError> {
    if matches!(conn, Conn::Sqlite(_)) {
        return Ok(true);
    }
    let held = match right {
        RightSource::Grant(id) => {
            diesel::update(grants::table.find(id.as_str()).filter(grants::revoked_at_ms.is_null()))
                .set(grants::uses_taken.eq(grants::uses_taken))
                .execute(conn)?
        }
        RightSource::Tenancy(id) => diesel::update(
            tenancies::table.find(id.as_str()).filter(
                tenancies::ends_at_ms
                    .is_null()
                    .or(tenancies::ends_at_ms.gt(now.as_millis())),
            ),
        )
        .set(tenancies::starts_at_ms.eq(tenancies::starts_at_ms))
        .execute(conn)?,
    };
    Ok(held > 0 && accounts::role(conn, organization, holder)?.is_some())
}

/// What the person's grants and tenancies say about the lock, ended ones included: they give better reasons.
/// A tenancy opens its unit's own locks and the property's shared ones.
pub fn rights(conn: &mut Conn, lock: &Lock, person: &PersonId) -> Result<Vec<Right>, StoreError> {
    let rows: Vec<Row> = grants::table
        .inner_join(grant_locks::table)
        .filter(grant_locks::lock_id.eq(lock.id.as_str()))
        .filter(grants::person_id.eq(person.as_str()))
        .filter(grants::organization_id.eq(lock.organization.as_str()))
        .order(grants::id)
        .select(Row::as_select())
        .load(conn)?;
    let mut rights = Vec::with_capacity(rows.len() + 1);
    for row in rows {
        // Only where uses are counted does it matter how many locks there are.
        let locks = match row.uses_limit {
            Some(_) => locks_of(conn, &row.id)?,
            None => vec![lock.id.clone()],
        };
        rights.extend(Right::of_grant(&row.into_domain(locks)?, &lock.id));
    }
    let of_person = tenancies::table
        .filter(tenancies::person_id.eq(person.as_str()))
        .filter(tenancies::organization_id.eq(lock.organization.as_str()))
        .into_boxed();
    let opening = match &lock.unit {
        Some(unit) => of_person.filter(tenancies::unit_id.eq(unit.as_str())),
        None => of_person.filter(
            tenancies::unit_id.eq_any(
                super::schema::units::table
                    .filter(super::schema::units::property_id.eq(lock.property.as_str()))
                    .select(super::schema::units::id),
            ),
        ),
    };
    let stays: Vec<(String, i64, Option<i64>)> = opening
        .order(tenancies::id)
        .select((tenancies::id, tenancies::starts_at_ms, tenancies::ends_at_ms))
        .load(conn)?;
    for (id, starts_at_ms, ends_at_ms) in stays {
        let starts_at = Timestamp::from_millis(starts_at_ms);
        rights.push(Right::of_tenancy(
            parsed(&id)?,
            lock.id.clone(),
            starts_at,
            instant(ends_at_ms),
        ));
    }
    Ok(rights)
}

/// The locks about which a grant or a tenancy of the person says anything, by id.
pub fn lock_ids_of(conn: &mut Conn, person: &PersonId) -> Result<Vec<LockId>, StoreError> {
    use super::schema::{locks, units};
    let mut ids: Vec<String> = grant_locks::table
        .inner_join(grants::table)
        .filter(grants::person_id.eq(person.as_str()))
        .select(grant_locks::lock_id)
        .load(conn)?;
    let lived_in = tenancies::table
        .filter(tenancies::person_id.eq(person.as_str()))
        .select(tenancies::unit_id);
    let own: Vec<String> = locks::table
        .filter(locks::unit_id.eq_any(lived_in.nullable()))
        .select(locks::id)
        .load(conn)?;
    let around = units::table
        .filter(units::id.eq_any(lived_in))
        .select(units::property_id);
    let shared: Vec<String> = locks::table
        .filter(locks::unit_id.is_null())
        .filter(locks::property_id.eq_any(around))
        .select(locks::id)
        .load(conn)?;
    ids.extend(own);
    ids.extend(shared);
    ids.sort_unstable();
    ids.dedup();
    ids.iter().map(|id| parsed(id)).collect()
}
