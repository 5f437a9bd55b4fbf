//! The rights that grants and tenancies give at one lock, and holding them while something is decided by one.

use diesel::prelude::*;

use super::{Row, locks_of};
use crate::domain::ids::{LockId, OrganizationId, PersonId};
use crate::domain::lock::Lock;
use crate::domain::lockdown::kept_out_until;
use crate::domain::time::Timestamp;
use crate::domain::unlock::{Right, RightName, RightSource};
use crate::store::columns::{instant, parsed, parsed_option};
use crate::store::schema::{grant_locks, grants, tenancies, units};
use crate::store::{Conn, StoreError, accounts, lockdowns};

/// The names of the rights at locks.
pub fn names(conn: &mut Conn, rights: &[RightSource]) -> Result<Vec<RightName>, StoreError> {
    let ids = rights.iter().filter_map(|right| match right {
        RightSource::Grant(id) => Some(id.as_str()),
        RightSource::Tenancy(_) => None,
    });
    let rounds: Vec<(String, i64)> = grants::table
        .filter(grants::id.eq_any(ids))
        .filter(grants::round.gt(0))
        .select((grants::id, grants::round))
        .load(conn)?;
    let round_of = |right: &RightSource| {
        let name = right.to_string();
        let found = rounds.iter().find(|(id, _)| *id == name);
        let round = found.map_or(Ok(0), |(_, round)| u32::try_from(*round).map_err(StoreError::corrupt))?;
        Ok(RightName {
            source: right.clone(),
            round,
        })
    };
    rights.iter().map(round_of).collect()
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
    parsed_option(person.flatten().as_deref())
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

/// How many of a person's grants at a lock that were taken back, and how many that have ended, are looked at for a reason.
const OVER_AND_LOOKED_AT: i64 = 3;

/// What the person's grants and tenancies say about the lock at `now`: those that may open it now or later, and where there is
/// none, the last given of those that are over, for they give better reasons. A tenancy opens its unit's own locks and the
/// property's shared ones. What hangs under another right comes with what its giver has there now. What a lockdown keeps out
/// stands in them too.
pub fn rights(conn: &mut Conn, lock: &Lock, person: &PersonId, now: Timestamp) -> Result<Vec<Right>, StoreError> {
    let is_held = || grants::person_id.eq(person.as_str());
    let has_ended = grants::ends_at_ms.le(now.as_millis());
    let lasts = grants::ends_at_ms.is_null().or(grants::ends_at_ms.gt(now.as_millis()));
    let rows: Vec<Row> = at(lock)
        .filter(is_held())
        .filter(grants::revoked_at_ms.is_null())
        .filter(lasts)
        .order(grants::id)
        .select(Row::as_select())
        .load(conn)?;
    let mut rights = of_rows(conn, rows, lock)?;
    let stays: Vec<Stay> = opening(lock)
        .filter(tenancies::person_id.eq(person.as_str()))
        .order(tenancies::id)
        .select(STAY)
        .load(conn)?;
    for stay in stays {
        rights.push(of_stay(stay, lock)?);
    }
    if rights.iter().all(|right| right.is_over(now)) {
        let mut over: Vec<Row> = at(lock)
            .filter(is_held())
            .filter(grants::revoked_at_ms.is_null())
            .filter(has_ended)
            .order(grants::id.desc())
            .limit(OVER_AND_LOOKED_AT)
            .select(Row::as_select())
            .load(conn)?;
        let taken_back: Vec<Row> = at(lock)
            .filter(is_held())
            .filter(grants::revoked_at_ms.is_not_null())
            .order(grants::id.desc())
            .limit(OVER_AND_LOOKED_AT)
            .select(Row::as_select())
            .load(conn)?;
        over.extend(taken_back);
        rights.extend(of_rows(conn, over, lock)?);
    }
    let holds = lockdowns::holds_at(conn, lock)?;
    for right in &mut rights {
        right.kept_out_until = kept_out_until(&holds, Some(person), &right.source);
    }
    Ok(rights)
}

/// What one right says about the lock, whoever holds it; `None` where it says nothing.
pub fn right(conn: &mut Conn, source: &RightSource, lock: &Lock) -> Result<Option<Right>, StoreError> {
    Ok(of_sources(conn, std::slice::from_ref(source), lock)?.pop())
}

/// What these rights say about the lock, whoever holds them.
fn of_sources(conn: &mut Conn, sources: &[RightSource], lock: &Lock) -> Result<Vec<Right>, StoreError> {
    let (mut given, mut lived) = (Vec::new(), Vec::new());
    for source in sources {
        match source {
            RightSource::Grant(id) => given.push(id.as_str()),
            RightSource::Tenancy(id) => lived.push(id.as_str()),
        }
    }
    let mut rights = Vec::with_capacity(sources.len());
    if !given.is_empty() {
        let rows: Vec<Row> = at(lock)
            .filter(grants::id.eq_any(given))
            .select(Row::as_select())
            .load(conn)?;
        rights.extend(of_rows(conn, rows, lock)?);
    }
    if !lived.is_empty() {
        let stays: Vec<Stay> = opening(lock)
            .filter(tenancies::id.eq_any(lived))
            .select(STAY)
            .load(conn)?;
        for stay in stays {
            rights.push(of_stay(stay, lock)?);
        }
    }
    Ok(rights)
}

/// What the grants of these rows say about the lock: a query for the doors of all, and one for all of their givers.
fn of_rows(conn: &mut Conn, rows: Vec<Row>, lock: &Lock) -> Result<Vec<Right>, StoreError> {
    // Only where uses are counted does it matter how many locks there are.
    let counted = rows.iter().filter(|row| row.uses_limit.is_some());
    let mut locks = locks_of(conn, counted.map(|row| row.id.as_str()))?;
    let mut given = Vec::with_capacity(rows.len());
    for row in rows {
        let locks = locks.remove(&row.id).unwrap_or_else(|| vec![lock.id.clone()]);
        let grant = row.into_domain(locks)?;
        given.extend(Right::of_grant(&grant, &lock.id).map(|right| (right, grant.under)));
    }
    let mut sources: Vec<RightSource> = Vec::new();
    // Of a lock that is closed to sharing nobody has anything to give.
    if !lock.is_closed_to_sharing() {
        for source in given.iter().filter_map(|(_, under)| under.as_ref()) {
            if !sources.contains(source) {
                sources.push(source.clone());
            }
        }
    }
    let givers = of_sources(conn, &sources, lock)?;
    let under = |(right, under): (Right, Option<RightSource>)| match under {
        None => right,
        Some(source) => right.given_by(givers.iter().find(|giver| giver.source == source).cloned()),
    };
    Ok(given.into_iter().map(under).collect())
}

/// The grants of the lock's organization that name it.
#[diesel::dsl::auto_type(no_type_alias)]
fn at(lock: &Lock) -> _ {
    let of_lock: &str = lock.id.as_str();
    let organization: &str = lock.organization.as_str();
    grants::table
        .inner_join(grant_locks::table)
        .filter(grant_locks::lock_id.eq(of_lock))
        .filter(grants::organization_id.eq(organization))
}

/// A tenancy, from when, until when.
type Stay = (String, i64, Option<i64>);

const STAY: (tenancies::id, tenancies::starts_at_ms, tenancies::ends_at_ms) =
    (tenancies::id, tenancies::starts_at_ms, tenancies::ends_at_ms);

/// The tenancies to which the lock belongs.
fn opening(lock: &Lock) -> tenancies::BoxedQuery<'_, <Conn as diesel::Connection>::Backend> {
    let all = tenancies::table
        .filter(tenancies::organization_id.eq(lock.organization.as_str()))
        .into_boxed();
    match &lock.unit {
        Some(unit) => all.filter(tenancies::unit_id.eq(unit.as_str())),
        None => all.filter(
            tenancies::unit_id.eq_any(
                units::table
                    .filter(units::property_id.eq(lock.property.as_str()))
                    .select(units::id),
            ),
        ),
    }
}

fn of_stay((id, starts_at_ms, ends_at_ms): Stay, lock: &Lock) -> Result<Right, StoreError> {
    let starts_at = Timestamp::from_millis(starts_at_ms);
    Ok(Right::of_tenancy(
        parsed(&id)?,
        lock.id.clone(),
        starts_at,
        instant(ends_at_ms),
    ))
}

/// The locks about which a grant or a tenancy of the person says anything, by id.
pub fn lock_ids_of(conn: &mut Conn, person: &PersonId) -> Result<Vec<LockId>, StoreError> {
    use crate::store::schema::locks;
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
