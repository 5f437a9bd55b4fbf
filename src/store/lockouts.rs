//! Lock-outs, and what properties have decided about them.

use diesel::prelude::*;

use super::columns::{instant, parsed, parsed_option, remembered};
use super::schema::{grants, lockout_policies, lockouts, tenancies};
use super::{Conn, StoreError};
use crate::domain::account::Scope;
use crate::domain::ids::{GrantId, LockId, LockoutId, PersonId, PropertyId, TenancyId, UnitId};
use crate::domain::lockout::{Identity, Lockout, Policy, Seen, State, Why};
use crate::domain::time::Timestamp;

/// What the property has decided, and who decided it; `None` where nobody has.
pub fn policy(conn: &mut Conn, property: &PropertyId) -> Result<Option<(Policy, PersonId, Timestamp)>, StoreError> {
    let row: Option<(String, String, i64)> = lockout_policies::table
        .find(property.as_str())
        .select((
            lockout_policies::policy,
            lockout_policies::changed_by,
            lockout_policies::changed_at_ms,
        ))
        .get_result(conn)
        .optional()?;
    let Some((policy, by, at_ms)) = row else {
        return Ok(None);
    };
    let policy = serde_json::from_str(&policy).map_err(StoreError::corrupt)?;
    Ok(Some((policy, parsed(&by)?, Timestamp::from_millis(at_ms))))
}

/// Writes down what the property has decided.
pub fn set_policy(
    conn: &mut Conn,
    property: &PropertyId,
    policy: &Policy,
    by: &PersonId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let written = serde_json::to_string(policy).map_err(StoreError::corrupt)?;
    let columns = (
        lockout_policies::policy.eq(&written),
        lockout_policies::changed_at_ms.eq(now.as_millis()),
        lockout_policies::changed_by.eq(by.as_str()),
    );
    let replaced = diesel::update(lockout_policies::table.find(property.as_str()))
        .set(columns)
        .execute(conn)?;
    if replaced == 0 {
        diesel::insert_into(lockout_policies::table)
            .values((lockout_policies::property_id.eq(property.as_str()), columns))
            .execute(conn)?;
    }
    Ok(())
}

/// The unit of the tenancy.
pub fn unit_of(conn: &mut Conn, tenancy: &TenancyId) -> Result<Option<UnitId>, StoreError> {
    let unit: Option<String> = tenancies::table
        .find(tenancy.as_str())
        .select(tenancies::unit_id)
        .get_result(conn)
        .optional()?;
    parsed_option(unit.as_deref())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = lockouts)]
struct Row {
    id: String,
    organization_id: String,
    property_id: String,
    unit_id: String,
    lock_id: String,
    person_id: String,
    tenancy_id: String,
    lease_starts_at_ms: i64,
    asked_at_ms: i64,
    identity: String,
    seen_by: Option<String>,
    saw: Option<String>,
    policy: String,
    policy_by: Option<String>,
    begun: i64,
    next_at_ms: i64,
    state: String,
    decided_at_ms: Option<i64>,
    decided_by: Option<String>,
    reason: Option<String>,
    grant_id: Option<String>,
    way_ends_at_ms: Option<i64>,
    used_at_ms: Option<i64>,
}

impl Row {
    fn state(&self) -> Result<State, StoreError> {
        let broken = || StoreError::corrupt("a lock-out's state does not go with its columns");
        let by = parsed_option(self.decided_by.as_deref())?;
        let Some(at) = instant(self.decided_at_ms) else {
            return Ok(State::Open);
        };
        Ok(match self.state.as_str() {
            "approved" => State::Approved {
                at,
                by,
                grant: parsed_option(self.grant_id.as_deref())?.ok_or_else(broken)?,
                ends_at: instant(self.way_ends_at_ms).ok_or_else(broken)?,
                used_at: instant(self.used_at_ms),
            },
            "denied" => State::Denied {
                at,
                by: by.ok_or_else(broken)?,
                why: remembered(self.reason.clone().ok_or_else(broken)?)?,
            },
            "cancelled" => State::Cancelled { at, by },
            "lapsed" => State::Lapsed { at },
            _ => return Err(broken()),
        })
    }

    fn into_domain(self) -> Result<Lockout, StoreError> {
        let state = self.state()?;
        let identity = match (self.identity.as_str(), &self.seen_by, self.saw) {
            ("session", None, None) => Identity::Session,
            ("code", None, None) => Identity::Code,
            ("desk", Some(by), Some(saw)) => Identity::Desk {
                by: parsed(by)?,
                saw: remembered(saw)?,
            },
            _ => {
                return Err(StoreError::corrupt(
                    "a lock-out's identity does not go with its columns",
                ));
            }
        };
        Ok(Lockout {
            id: parsed(&self.id)?,
            organization: parsed(&self.organization_id)?,
            property: parsed(&self.property_id)?,
            unit: parsed(&self.unit_id)?,
            lock: parsed(&self.lock_id)?,
            person: parsed(&self.person_id)?,
            tenancy: parsed(&self.tenancy_id)?,
            lease_starts_at: Timestamp::from_millis(self.lease_starts_at_ms),
            asked_at: Timestamp::from_millis(self.asked_at_ms),
            identity,
            policy: serde_json::from_str(&self.policy).map_err(StoreError::corrupt)?,
            policy_by: parsed_option(self.policy_by.as_deref())?,
            begun: usize::try_from(self.begun).map_err(StoreError::corrupt)?,
            next_at: Timestamp::from_millis(self.next_at_ms),
            state,
        })
    }
}

/// Adds a lock-out that is open.
///
/// # Errors
/// [`StoreError::Conflict`] where one of this person and door is open.
pub fn add(conn: &mut Conn, lockout: &Lockout) -> Result<(), StoreError> {
    let (seen_by, saw) = match &lockout.identity {
        Identity::Session | Identity::Code => (None, None),
        Identity::Desk { by, saw } => (Some(by.as_str()), Some(saw.as_ref().map_or("", Seen::as_str))),
    };
    let policy = serde_json::to_string(&lockout.policy).map_err(StoreError::corrupt)?;
    diesel::insert_into(lockouts::table)
        .values((
            lockouts::id.eq(lockout.id.as_str()),
            lockouts::organization_id.eq(lockout.organization.as_str()),
            lockouts::property_id.eq(lockout.property.as_str()),
            lockouts::unit_id.eq(lockout.unit.as_str()),
            lockouts::lock_id.eq(lockout.lock.as_str()),
            lockouts::person_id.eq(lockout.person.as_str()),
            lockouts::tenancy_id.eq(lockout.tenancy.as_str()),
            lockouts::lease_starts_at_ms.eq(lockout.lease_starts_at.as_millis()),
            lockouts::asked_at_ms.eq(lockout.asked_at.as_millis()),
            lockouts::identity.eq(lockout.identity.word()),
            lockouts::seen_by.eq(seen_by),
            lockouts::saw.eq(saw),
            lockouts::policy.eq(policy),
            lockouts::policy_by.eq(lockout.policy_by.as_ref().map(PersonId::as_str)),
            lockouts::begun.eq(i64::try_from(lockout.begun).unwrap_or(i64::MAX)),
            lockouts::next_at_ms.eq(lockout.next_at.as_millis()),
            lockouts::state.eq(lockout.state.word()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The lock-out, if it exists within `scope`.
pub fn find(conn: &mut Conn, id: &LockoutId, scope: &Scope) -> Result<Option<Lockout>, StoreError> {
    let row: Option<Row> = lockouts::table
        .find(id.as_str())
        .filter(lockouts::organization_id.eq_any(scope.ids()))
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    row.map(Row::into_domain).transpose()
}

/// The lock-out, for the backend's own work on it.
pub fn find_any(conn: &mut Conn, id: &LockoutId) -> Result<Option<Lockout>, StoreError> {
    let row: Option<Row> = lockouts::table
        .find(id.as_str())
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    row.map(Row::into_domain).transpose()
}

/// The person's lock-out at the door that is open, or whose way in was not used nor taken back and works at `now`.
pub fn current_of(
    conn: &mut Conn,
    person: &PersonId,
    lock: &LockId,
    now: Timestamp,
) -> Result<Option<Lockout>, StoreError> {
    let stands = grants::table
        .filter(grants::id.nullable().eq(lockouts::grant_id))
        .filter(grants::revoked_at_ms.is_null());
    let works = lockouts::used_at_ms
        .is_null()
        .and(lockouts::way_ends_at_ms.gt(now.as_millis()))
        .and(diesel::dsl::exists(stands));
    let row: Option<Row> = lockouts::table
        .filter(lockouts::person_id.eq(person.as_str()))
        .filter(lockouts::lock_id.eq(lock.as_str()))
        .filter((lockouts::state.eq("open")).or(lockouts::state.eq("approved").and(works)))
        .order(lockouts::id.desc())
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    row.map(Row::into_domain).transpose()
}

/// The lock-outs within `scope`, the newest first, those older than `before`, at most `limit`; only open ones if asked
/// for.
pub fn list(
    conn: &mut Conn,
    scope: &Scope,
    only_open: bool,
    before: Option<&LockoutId>,
    limit: i64,
) -> Result<Vec<Lockout>, StoreError> {
    let mut query = lockouts::table
        .filter(lockouts::organization_id.eq_any(scope.ids()))
        .into_boxed();
    if only_open {
        query = query.filter(lockouts::state.eq("open"));
    }
    if let Some(before) = before {
        query = query.filter(lockouts::id.lt(before.as_str()));
    }
    let rows: Vec<Row> = query
        .order(lockouts::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// Holds the lock-out as it is until this transaction ends, and reads it: of two who decide at once, the second sees what
/// the first has decided.
pub fn hold(conn: &mut Conn, id: &LockoutId) -> Result<Option<Lockout>, StoreError> {
    diesel::update(lockouts::table.find(id.as_str()))
        .set(lockouts::begun.eq(lockouts::begun))
        .execute(conn)?;
    find_any(conn, id)
}

/// Writes down how far the policy's steps have come.
pub fn set_turn(conn: &mut Conn, id: &LockoutId, begun: usize, next_at: Timestamp) -> Result<(), StoreError> {
    diesel::update(lockouts::table.find(id.as_str()))
        .set((
            lockouts::begun.eq(i64::try_from(begun).unwrap_or(i64::MAX)),
            lockouts::next_at_ms.eq(next_at.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Writes down what became of the lock-out. The caller holds it.
pub fn decide(conn: &mut Conn, id: &LockoutId, state: &State) -> Result<(), StoreError> {
    let (at, by, why, grant, ends_at) = match state {
        State::Open => (None, None, None, None, None),
        State::Approved {
            at, by, grant, ends_at, ..
        } => (Some(at), by.as_ref(), None, Some(grant), Some(ends_at)),
        State::Denied { at, by, why } => {
            let why = why.as_ref().map_or("", Why::as_str);
            (Some(at), Some(by), Some(why), None, None)
        }
        State::Cancelled { at, by } => (Some(at), by.as_ref(), None, None, None),
        State::Lapsed { at } => (Some(at), None, None, None, None),
    };
    diesel::update(lockouts::table.find(id.as_str()))
        .set((
            lockouts::state.eq(state.word()),
            lockouts::decided_at_ms.eq(at.map(|at| at.as_millis())),
            lockouts::decided_by.eq(by.map(PersonId::as_str)),
            lockouts::reason.eq(why),
            lockouts::grant_id.eq(grant.map(GrantId::as_str)),
            lockouts::way_ends_at_ms.eq(ends_at.map(|at| at.as_millis())),
        ))
        .execute(conn)?;
    Ok(())
}

/// The open lock-outs whose time has come, the longest overdue first, at most `limit`.
pub fn due(conn: &mut Conn, now: Timestamp, limit: i64) -> Result<Vec<LockoutId>, StoreError> {
    let ids: Vec<String> = lockouts::table
        .filter(lockouts::state.eq("open"))
        .filter(lockouts::next_at_ms.le(now.as_millis()))
        .order((lockouts::next_at_ms, lockouts::id))
        .limit(limit)
        .select(lockouts::id)
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// The grants of ways in that were given to the person of the tenancy and that nobody has used.
pub fn ways_in_of(conn: &mut Conn, tenancy: &TenancyId) -> Result<Vec<GrantId>, StoreError> {
    let ids: Vec<String> = lockouts::table
        .filter(lockouts::tenancy_id.eq(tenancy.as_str()))
        .filter(lockouts::used_at_ms.is_null())
        .filter(lockouts::grant_id.is_not_null())
        .order(lockouts::grant_id)
        .select(lockouts::grant_id.assume_not_null())
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// Whether the grant is the way in of a lock-out.
pub fn is_way_in(conn: &mut Conn, grant: &GrantId) -> Result<bool, StoreError> {
    let found: Option<String> = lockouts::table
        .filter(lockouts::grant_id.eq(grant.as_str()))
        .select(lockouts::id)
        .get_result(conn)
        .optional()?;
    Ok(found.is_some())
}

/// Notes that a door was opened by the grant, where that is a lock-out's way in; the first time counts.
pub fn note_use(conn: &mut Conn, grant: &GrantId, at: Timestamp) -> Result<(), StoreError> {
    diesel::update(
        lockouts::table
            .filter(lockouts::grant_id.eq(grant.as_str()))
            .filter(lockouts::used_at_ms.is_null()),
    )
    .set(lockouts::used_at_ms.eq(at.as_millis()))
    .execute(conn)?;
    Ok(())
}

/// Lock-outs that were used and that the ledger does not know yet, at most `limit`.
pub fn to_book(conn: &mut Conn, limit: i64) -> Result<Vec<LockoutId>, StoreError> {
    let ids: Vec<String> = lockouts::table
        .filter(lockouts::state.eq("approved"))
        .filter(lockouts::booked.eq(false))
        .filter(lockouts::used_at_ms.is_not_null())
        .order(lockouts::id)
        .limit(limit)
        .select(lockouts::id)
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// The person's lock-outs at the property that were used.
pub fn used_by(conn: &mut Conn, person: &PersonId, property: &PropertyId) -> Result<Vec<Lockout>, StoreError> {
    let rows: Vec<Row> = lockouts::table
        .filter(lockouts::person_id.eq(person.as_str()))
        .filter(lockouts::property_id.eq(property.as_str()))
        .filter(lockouts::used_at_ms.is_not_null())
        .order(lockouts::id)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// Notes that the ledger knows of the lock-out; says whether it did not before.
pub fn mark_booked(conn: &mut Conn, id: &LockoutId) -> Result<bool, StoreError> {
    let marked = diesel::update(lockouts::table.find(id.as_str()).filter(lockouts::booked.eq(false)))
        .set(lockouts::booked.eq(true))
        .execute(conn)?;
    Ok(marked > 0)
}

/// Forgets what the desk saw and said, of up to `limit` lock-outs of the property that were decided before `before`; says of how
/// many. What became of them stays, and what they cost.
pub fn forget(conn: &mut Conn, property: &PropertyId, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let ids: Vec<String> = lockouts::table
        .filter(lockouts::property_id.eq(property.as_str()))
        .filter(lockouts::decided_at_ms.lt(before.as_millis()))
        .filter(lockouts::saw.ne("").or(lockouts::reason.ne("")))
        .order(lockouts::id)
        .limit(limit)
        .select(lockouts::id)
        .load(conn)?;
    let saw = lockouts::table
        .filter(lockouts::id.eq_any(&ids))
        .filter(lockouts::saw.is_not_null());
    diesel::update(saw).set(lockouts::saw.eq("")).execute(conn)?;
    let said = lockouts::table
        .filter(lockouts::id.eq_any(&ids))
        .filter(lockouts::reason.is_not_null());
    diesel::update(said).set(lockouts::reason.eq("")).execute(conn)?;
    Ok(ids.len())
}
