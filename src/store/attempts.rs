//! Attempts: what was asked of locks and how it came out.

use diesel::prelude::*;

use super::columns::{instant, parsed, parsed_option};
use super::kept::Kept;
use super::schema::{attempts, locks};
use super::{Conn, StoreError};
use crate::domain::account::Scope;
use crate::domain::attempt::{Attempt, AttemptState, AttemptStatus, Command};
use crate::domain::ids::{AttemptId, GrantId, LockId, PropertyId, TenancyId};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;

#[derive(Queryable, Selectable)]
#[diesel(table_name = attempts)]
struct Row {
    id: String,
    organization_id: String,
    lock_id: String,
    person_id: String,
    action: String,
    status: String,
    reason: Option<String>,
    grant_id: Option<String>,
    tenancy_id: Option<String>,
    jti: Option<String>,
    counter: Option<i64>,
    deadline_at_ms: Option<i64>,
    requested_at_ms: i64,
    relayed_at_ms: Option<i64>,
    accepted_at_ms: Option<i64>,
    confirmed_at_ms: Option<i64>,
    takes_use: bool,
}

impl Row {
    fn into_domain(self) -> Result<Attempt, StoreError> {
        let by = match (&self.grant_id, &self.tenancy_id) {
            (Some(grant), None) => Some(RightSource::Grant(parsed::<GrantId>(grant)?)),
            (None, Some(tenancy)) => Some(RightSource::Tenancy(parsed::<TenancyId>(tenancy)?)),
            _ => None,
        };
        let command = match (by, self.jti, self.counter, instant(self.deadline_at_ms)) {
            (Some(by), Some(jti), Some(counter), Some(deadline)) => Some(Command {
                by,
                jti,
                counter: u64::try_from(counter).map_err(StoreError::corrupt)?,
                deadline,
                takes_use: self.takes_use,
                relayed_at: instant(self.relayed_at_ms),
                accepted_at: instant(self.accepted_at_ms),
            }),
            _ => None,
        };
        let status: AttemptStatus = parsed(&self.status)?;
        let reason = parsed_option(self.reason.as_deref())?;
        Ok(Attempt {
            id: parsed(&self.id)?,
            organization: parsed(&self.organization_id)?,
            lock: parsed(&self.lock_id)?,
            person: parsed(&self.person_id)?,
            action: parsed(&self.action)?,
            requested_at: Timestamp::from_millis(self.requested_at_ms),
            command,
            state: AttemptState::of_parts(status, reason, instant(self.confirmed_at_ms))
                .map_err(StoreError::corrupt)?,
        })
    }
}

/// Adds an attempt.
pub fn add(conn: &mut Conn, attempt: &Attempt) -> Result<(), StoreError> {
    let command = attempt.command.as_ref();
    let (grant, tenancy) = match command.map(|command| &command.by) {
        Some(RightSource::Grant(id)) => (Some(id.as_str()), None),
        Some(RightSource::Tenancy(id)) => (None, Some(id.as_str())),
        None => (None, None),
    };
    let counter = command
        .map(|command| i64::try_from(command.counter))
        .transpose()
        .map_err(StoreError::corrupt)?;
    diesel::insert_into(attempts::table)
        .values((
            attempts::id.eq(attempt.id.as_str()),
            attempts::organization_id.eq(attempt.organization.as_str()),
            attempts::lock_id.eq(attempt.lock.as_str()),
            attempts::person_id.eq(attempt.person.as_str()),
            attempts::action.eq(attempt.action.as_str()),
            attempts::status.eq(attempt.state.status().as_str()),
            attempts::reason.eq(attempt.state.reason().map(|reason| reason.as_str().to_owned())),
            attempts::grant_id.eq(grant),
            attempts::tenancy_id.eq(tenancy),
            attempts::jti.eq(command.map(|command| command.jti.as_str())),
            attempts::counter.eq(counter),
            attempts::deadline_at_ms.eq(command.map(|command| command.deadline.as_millis())),
            attempts::requested_at_ms.eq(attempt.requested_at.as_millis()),
            attempts::takes_use.eq(command.is_some_and(|command| command.takes_use)),
        ))
        .execute(conn)?;
    Ok(())
}

/// The attempt, if it exists within `scope`.
pub fn find(conn: &mut Conn, id: &AttemptId, scope: &Scope) -> Result<Option<Attempt>, StoreError> {
    let row: Option<Row> = attempts::table
        .find(id.as_str())
        .filter(attempts::organization_id.eq_any(scope.ids()))
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    row.map(Row::into_domain).transpose()
}

/// The attempt, wherever it belongs: for the backend's own work.
pub fn find_any(conn: &mut Conn, id: &AttemptId) -> Result<Option<Attempt>, StoreError> {
    let row: Option<Row> = attempts::table
        .find(id.as_str())
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    row.map(Row::into_domain).transpose()
}

/// The attempt whose token has this `jti`, if it was the lock's. Taken for update: on Postgres it is held until the
/// transaction ends, so that what a lock has said is not lost to a node that closes the attempt at that moment.
pub fn hold_by_jti(conn: &mut Conn, lock: &LockId, jti: &str) -> Result<Option<Attempt>, StoreError> {
    if matches!(conn, Conn::Postgres(_)) {
        let of_lock = attempts::table
            .filter(attempts::jti.eq(jti))
            .filter(attempts::lock_id.eq(lock.as_str()));
        diesel::update(of_lock)
            .set(attempts::status.eq(attempts::status))
            .execute(conn)?;
    }
    let row: Option<Row> = attempts::table
        .filter(attempts::jti.eq(jti))
        .filter(attempts::lock_id.eq(lock.as_str()))
        .select(Row::as_select())
        .get_result(conn)
        .optional()?;
    row.map(Row::into_domain).transpose()
}

/// The lock's attempts that still wait for its word.
pub fn pending_of(conn: &mut Conn, lock: &LockId) -> Result<Vec<Attempt>, StoreError> {
    let rows: Vec<Row> = attempts::table
        .filter(attempts::lock_id.eq(lock.as_str()))
        .filter(attempts::status.eq(AttemptStatus::Pending.as_str()))
        .order(attempts::id)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// Up to `limit` attempts of all locks that still wait and whose deadline was before `now`, the oldest first.
pub fn overdue(conn: &mut Conn, now: Timestamp, limit: i64) -> Result<Vec<Attempt>, StoreError> {
    let rows: Vec<Row> = attempts::table
        .filter(attempts::status.eq(AttemptStatus::Pending.as_str()))
        .filter(attempts::deadline_at_ms.lt(now.as_millis()))
        .order(attempts::deadline_at_ms)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// The lock's attempts that ended without its word before `now`, hold a counted use, and whose token's counter is above
/// `counter`: the lock says that it never accepted them, and they are too late to be accepted now.
pub fn never_accepted(
    conn: &mut Conn,
    lock: &LockId,
    counter: u64,
    now: Timestamp,
) -> Result<Vec<Attempt>, StoreError> {
    let rows: Vec<Row> = attempts::table
        .filter(attempts::lock_id.eq(lock.as_str()))
        .filter(attempts::status.eq_any([AttemptStatus::Expired.as_str(), AttemptStatus::Failed.as_str()]))
        .filter(attempts::deadline_at_ms.lt(now.as_millis()))
        .filter(attempts::takes_use.eq(true))
        .filter(attempts::counter.gt(i64::try_from(counter).map_err(StoreError::corrupt)?))
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// Writes the attempt's state over the one in which it was read. Says whether it was still in that one, so that of
/// two changes at once one takes place.
pub fn set_state(conn: &mut Conn, id: &AttemptId, from: AttemptStatus, to: &AttemptState) -> Result<bool, StoreError> {
    let changed = Kept(
        diesel::update(
            attempts::table
                .find(id.as_str())
                .filter(attempts::status.eq(from.as_str())),
        )
        .set((
            attempts::status.eq(to.status().as_str()),
            attempts::reason.eq(to.reason().map(|reason| reason.as_str().to_owned())),
            attempts::confirmed_at_ms.eq(to.confirmed_at().map(Timestamp::as_millis)),
        )),
    )
    .execute(conn)?;
    Ok(changed > 0)
}

/// Records when the broker had taken the attempt's token.
pub fn set_relayed(conn: &mut Conn, id: &AttemptId, at: Timestamp) -> Result<(), StoreError> {
    diesel::update(
        attempts::table
            .find(id.as_str())
            .filter(attempts::relayed_at_ms.is_null()),
    )
    .set(attempts::relayed_at_ms.eq(at.as_millis()))
    .execute(conn)?;
    Ok(())
}

/// Records when the lock said that it had accepted the attempt's token.
pub fn set_accepted(conn: &mut Conn, id: &AttemptId, at: Timestamp) -> Result<(), StoreError> {
    diesel::update(
        attempts::table
            .find(id.as_str())
            .filter(attempts::accepted_at_ms.is_null()),
    )
    .set(attempts::accepted_at_ms.eq(at.as_millis()))
    .execute(conn)?;
    Ok(())
}

/// The counted uses that attempts at the lock hold stay taken for good: the controller that could have shown that it did
/// not move by them says so no more.
pub fn keep_uses(conn: &mut Conn, lock: &LockId) -> Result<(), StoreError> {
    diesel::update(
        attempts::table
            .filter(attempts::lock_id.eq(lock.as_str()))
            .filter(attempts::takes_use.eq(true)),
    )
    .set(attempts::takes_use.eq(false))
    .execute(conn)?;
    Ok(())
}

/// Records whether the attempt holds one of its grant's counted uses.
pub fn set_takes_use(conn: &mut Conn, id: &AttemptId, takes_use: bool) -> Result<(), StoreError> {
    diesel::update(attempts::table.find(id.as_str()))
        .set(attempts::takes_use.eq(takes_use))
        .execute(conn)?;
    Ok(())
}

/// Up to `limit` attempts at locks of the property that were made before `before` and have ended, the oldest first.
pub fn older(
    conn: &mut Conn,
    property: &PropertyId,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<AttemptId>, StoreError> {
    let doors = locks::table
        .filter(locks::property_id.eq(property.as_str()))
        .select(locks::id);
    let ids: Vec<String> = attempts::table
        .filter(attempts::lock_id.eq_any(doors))
        .filter(attempts::requested_at_ms.lt(before.as_millis()))
        .filter(attempts::status.ne(AttemptStatus::Pending.as_str()))
        .order(attempts::requested_at_ms)
        .limit(limit)
        .select(attempts::id)
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// Forgets these attempts.
pub fn forget(conn: &mut Conn, ids: &[AttemptId]) -> Result<(), StoreError> {
    let ids = ids.iter().map(AttemptId::as_str);
    diesel::delete(attempts::table.filter(attempts::id.eq_any(ids))).execute(conn)?;
    Ok(())
}
