//! Lockdowns, their lists of exceptions, and what each lock is to hold of them and is known to hold.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::columns::{instant, parsed, parsed_option, text};
use super::kept::Kept;
use super::schema::{
    grant_locks, grants, lock_lockdowns, lock_reports, lockdown_lists, lockdowns, locks, tenancies, units,
};
use super::{Conn, StoreError};
use crate::domain::account::Scope;
use crate::domain::ids::{GrantId, LockId, LockdownId, PersonId, PropertyId, UnitId};
use crate::domain::lock::{Lock, LockState};
use crate::domain::lockdown::{Hold, List, Lockdown, LockdownEnd, kept_out_until};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;

#[derive(Queryable, Selectable)]
#[diesel(table_name = lockdowns)]
struct Row {
    id: String,
    organization_id: String,
    property_id: String,
    part: String,
    exceptions: String,
    reason: String,
    begun_by: String,
    begun_at_ms: i64,
    until_at_ms: i64,
    ended_at_ms: Option<i64>,
    ended_by: Option<String>,
}

impl Row {
    fn into_domain(self) -> Result<Lockdown, StoreError> {
        let by = parsed_option(self.ended_by.as_deref())?;
        Ok(Lockdown {
            id: parsed(&self.id)?,
            organization: parsed(&self.organization_id)?,
            property: parsed(&self.property_id)?,
            part: read(&self.part)?,
            reason: text(self.reason)?,
            except: read(&self.exceptions)?,
            begun_by: parsed(&self.begun_by)?,
            begun_at: Timestamp::from_millis(self.begun_at_ms),
            until: Timestamp::from_millis(self.until_at_ms),
            ended: instant(self.ended_at_ms).map(|at| LockdownEnd { at, by }),
        })
    }
}

fn read<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(StoreError::corrupt)
}

fn written<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::corrupt)
}

/// Adds a lockdown.
pub fn add(conn: &mut Conn, lockdown: &Lockdown) -> Result<(), StoreError> {
    diesel::insert_into(lockdowns::table)
        .values((
            lockdowns::id.eq(lockdown.id.as_str()),
            lockdowns::organization_id.eq(lockdown.organization.as_str()),
            lockdowns::property_id.eq(lockdown.property.as_str()),
            lockdowns::part.eq(written(&lockdown.part)?),
            lockdowns::exceptions.eq(written(&lockdown.except)?),
            lockdowns::reason.eq(lockdown.reason.as_str()),
            lockdowns::begun_by.eq(lockdown.begun_by.as_str()),
            lockdowns::begun_at_ms.eq(lockdown.begun_at.as_millis()),
            lockdowns::until_at_ms.eq(lockdown.until.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The lockdown, if it exists within `scope`.
pub fn find(conn: &mut Conn, id: &LockdownId, scope: &Scope) -> Result<Option<Lockdown>, StoreError> {
    let row: Option<Row> = lockdowns::table
        .find(id.as_str())
        .filter(lockdowns::organization_id.eq_any(scope.ids()))
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    row.map(Row::into_domain).transpose()
}

/// The property's lockdowns that nobody has noted as ended, by id.
pub fn open_of(conn: &mut Conn, property: &PropertyId) -> Result<Vec<Lockdown>, StoreError> {
    let rows: Vec<Row> = Kept(
        lockdowns::table
            .filter(lockdowns::property_id.eq(property.as_str()))
            .filter(lockdowns::ended_at_ms.is_null())
            .order(lockdowns::id)
            .select(Row::as_select()),
    )
    .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// The lockdowns whose time was over by `now`, and of which nobody has noted that they ended: at most `limit`.
pub fn over(conn: &mut Conn, now: Timestamp, limit: i64) -> Result<Vec<Lockdown>, StoreError> {
    let rows: Vec<Row> = lockdowns::table
        .filter(lockdowns::ended_at_ms.is_null())
        .filter(lockdowns::until_at_ms.le(now.as_millis()))
        .order(lockdowns::id)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// Writes the lockdown's end, reason and exceptions; says whether it had not ended.
pub fn change(conn: &mut Conn, lockdown: &Lockdown) -> Result<bool, StoreError> {
    let changed = diesel::update(
        lockdowns::table
            .find(lockdown.id.as_str())
            .filter(lockdowns::ended_at_ms.is_null()),
    )
    .set((
        lockdowns::reason.eq(lockdown.reason.as_str()),
        lockdowns::exceptions.eq(written(&lockdown.except)?),
        lockdowns::until_at_ms.eq(lockdown.until.as_millis()),
    ))
    .execute(conn)?;
    Ok(changed > 0)
}

/// Notes that the lockdown has ended; says whether that was news. One that is to end by its time ends only where nobody has
/// prolonged it meanwhile.
pub fn end(conn: &mut Conn, id: &LockdownId, end: &LockdownEnd) -> Result<bool, StoreError> {
    let standing = lockdowns::table
        .find(id.as_str())
        .filter(lockdowns::ended_at_ms.is_null());
    let note = (
        lockdowns::ended_at_ms.eq(end.at.as_millis()),
        lockdowns::ended_by.eq(end.by.as_ref().map(PersonId::as_str)),
    );
    let ended = match end.by {
        Some(_) => diesel::update(standing).set(note).execute(conn)?,
        None => diesel::update(standing.filter(lockdowns::until_at_ms.le(end.at.as_millis())))
            .set(note)
            .execute(conn)?,
    };
    Ok(ended > 0)
}

/// The lists of the property, by name.
pub fn lists(conn: &mut Conn, property: &PropertyId) -> Result<Vec<List>, StoreError> {
    let rows: Vec<(String, String, String)> = lockdown_lists::table
        .filter(lockdown_lists::property_id.eq(property.as_str()))
        .order(lockdown_lists::name)
        .select((
            lockdown_lists::name,
            lockdown_lists::person_ids,
            lockdown_lists::grant_ids,
        ))
        .load(conn)?;
    rows.into_iter()
        .map(|(name, persons, grants)| {
            Ok(List {
                name: parsed(&name)?,
                persons: read(&persons)?,
                grants: read(&grants)?,
            })
        })
        .collect()
}

/// Writes a list of the property, in the place of the one of this name.
pub fn put_list(conn: &mut Conn, property: &PropertyId, list: &List) -> Result<(), StoreError> {
    diesel::delete(lockdown_lists::table.find((property.as_str(), list.name.as_str()))).execute(conn)?;
    diesel::insert_into(lockdown_lists::table)
        .values((
            lockdown_lists::property_id.eq(property.as_str()),
            lockdown_lists::name.eq(list.name.as_str()),
            lockdown_lists::person_ids.eq(written(&list.persons)?),
            lockdown_lists::grant_ids.eq(written(&list.grants)?),
        ))
        .execute(conn)?;
    Ok(())
}

/// The lockdowns that cover the lock, their lists read out; those whose time is over too, until somebody notes it.
pub fn holds_at(conn: &mut Conn, lock: &Lock) -> Result<Vec<Hold>, StoreError> {
    let covering: Vec<Lockdown> = open_of(conn, &lock.property)?
        .into_iter()
        .filter(|lockdown| lockdown.part.covers(lock))
        .collect();
    covering.iter().map(|lockdown| hold_of(conn, lockdown)).collect()
}

/// The lockdown with its lists read out.
pub fn hold_of(conn: &mut Conn, lockdown: &Lockdown) -> Result<Hold, StoreError> {
    let mut hold = Hold {
        until: lockdown.until,
        persons: lockdown.except.persons.clone(),
        grants: lockdown.except.grants.clone(),
    };
    if lockdown.except.lists.is_empty() {
        return Ok(hold);
    }
    for list in lists(conn, &lockdown.property)? {
        if lockdown.except.lists.contains(&list.name) {
            hold.persons.extend(list.persons);
            hold.grants.extend(list.grants);
        }
    }
    Ok(hold)
}

/// Until when a lockdown keeps out of the lock, beyond `now`, whoever comes by this right; `None` where none does.
pub fn kept_out(
    conn: &mut Conn,
    lock: &Lock,
    (person, by): (Option<&PersonId>, &RightSource),
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let holds = holds_at(conn, lock)?;
    Ok(kept_out_until(&holds, person, by).filter(|until| now < *until))
}

/// The same once the lock's row is held, for what another node has ordered since this transaction read it. SQLite has one
/// writer at a time, so nothing can have come between.
pub fn kept_out_since(
    conn: &mut Conn,
    lock: &Lock,
    who: (Option<&PersonId>, &RightSource),
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    if matches!(conn, Conn::Sqlite(_)) {
        return Ok(None);
    }
    kept_out(conn, lock, who, now)
}

/// The locks that a lockdown may concern at `now`: those of properties in which one holds, and those that still hold one. By
/// id, those after `after`, at most `limit`.
pub fn concerned(
    conn: &mut Conn,
    now: Timestamp,
    after: Option<&LockId>,
    limit: i64,
) -> Result<Vec<LockId>, StoreError> {
    let after = after.map_or("", LockId::as_str);
    let properties = lockdowns::table
        .filter(lockdowns::ended_at_ms.is_null())
        .select(lockdowns::property_id);
    let there: Vec<String> = locks::table
        .filter(locks::property_id.eq_any(properties))
        .filter(locks::state.ne(LockState::Retired.as_str()))
        .filter(locks::id.gt(after))
        .order(locks::id)
        .limit(limit)
        .select(locks::id)
        .load(conn)?;
    let mut ids: Vec<String> = lock_lockdowns::table
        .filter(lock_lockdowns::ends_at_ms.gt(now.as_millis()))
        .filter(lock_lockdowns::lock_id.gt(after))
        .order(lock_lockdowns::lock_id)
        .limit(limit)
        .select(lock_lockdowns::lock_id)
        .load(conn)?;
    ids.extend(there);
    ids.sort_unstable();
    ids.dedup();
    // Beyond the first of two full pages there may be gaps.
    ids.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    ids.iter().map(|id| parsed(id)).collect()
}

/// Everybody who lives in the property at `at`, with their unit.
pub fn residents(conn: &mut Conn, property: &PropertyId, at: Timestamp) -> Result<Vec<(PersonId, UnitId)>, StoreError> {
    let rows: Vec<(String, String)> = tenancies::table
        .inner_join(units::table)
        .filter(units::property_id.eq(property.as_str()))
        .filter(tenancies::starts_at_ms.le(at.as_millis()))
        .filter(
            tenancies::ends_at_ms
                .is_null()
                .or(tenancies::ends_at_ms.gt(at.as_millis())),
        )
        .order((tenancies::person_id, tenancies::unit_id))
        .select((tenancies::person_id, tenancies::unit_id))
        .load(conn)?;
    rows.iter()
        .map(|(person, unit)| Ok((parsed(person)?, parsed(unit)?)))
        .collect()
}

/// Everybody who holds a grant of a lock of the property that is not over at `at`, with the grant and the lock.
pub fn holders(
    conn: &mut Conn,
    property: &PropertyId,
    at: Timestamp,
) -> Result<Vec<(PersonId, GrantId, LockId)>, StoreError> {
    let rows: Vec<(Option<String>, String, String)> = grant_locks::table
        .inner_join(grants::table)
        .inner_join(locks::table)
        .filter(locks::property_id.eq(property.as_str()))
        .filter(grants::person_id.is_not_null())
        .filter(grants::revoked_at_ms.is_null())
        .filter(grants::ends_at_ms.is_null().or(grants::ends_at_ms.gt(at.as_millis())))
        .order((grants::id, locks::id))
        .select((grants::person_id, grants::id, locks::id))
        .load(conn)?;
    rows.iter()
        .filter_map(|(person, grant, lock)| Some((person.as_deref()?, grant, lock)))
        .map(|(person, grant, lock)| Ok((parsed(person)?, parsed(grant)?, parsed(lock)?)))
        .collect()
}

/// One lockdown as a lock is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldHold {
    /// The first second in which it holds no more.
    pub until: u64,
    /// The names that it excepts, in one order.
    pub except: Vec<String>,
}

/// What a lock is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its epoch.
    pub epoch: u64,
    /// What holds.
    pub holds: Vec<ToldHold>,
    /// When that was decided.
    pub said_at: Timestamp,
}

/// What the lock is to hold; `None` where no lockdown ever concerned it.
pub fn document(conn: &mut Conn, lock: &LockId) -> Result<Option<Document>, StoreError> {
    let row: Option<(i64, String, i64)> = lock_lockdowns::table
        .find(lock.as_str())
        .select((lock_lockdowns::epoch, lock_lockdowns::holds, lock_lockdowns::said_at_ms))
        .get_result(conn)
        .optional()?;
    let Some((epoch, holds, said_at_ms)) = row else {
        return Ok(None);
    };
    Ok(Some(Document {
        epoch: whole(epoch)?,
        holds: read(&holds)?,
        said_at: Timestamp::from_millis(said_at_ms),
    }))
}

/// Writes what the lock is to hold.
pub fn put_document(conn: &mut Conn, lock: &LockId, document: &Document) -> Result<(), StoreError> {
    let ends_at = document
        .holds
        .iter()
        .map(|hold| Timestamp::from_seconds(hold.until))
        .max();
    let values = (
        lock_lockdowns::epoch.eq(column(document.epoch)),
        lock_lockdowns::holds.eq(written(&document.holds)?),
        lock_lockdowns::ends_at_ms.eq(ends_at.map_or(0, Timestamp::as_millis)),
        lock_lockdowns::said_at_ms.eq(document.said_at.as_millis()),
    );
    let changed = diesel::update(lock_lockdowns::table.find(lock.as_str()))
        .set(values.clone())
        .execute(conn)?;
    if changed == 0 {
        diesel::insert_into(lock_lockdowns::table)
            .values((lock_lockdowns::lock_id.eq(lock.as_str()), values))
            .execute(conn)?;
    }
    Ok(())
}

/// What a lock is known to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Whether the lock has ever said what it holds of anything.
    pub has_spoken: bool,
    /// The epoch; `None` where it has not said, or knows nothing of lockdowns.
    pub held: Option<u64>,
    /// The number of its newest event when that was so; -1 before the first.
    pub seq: Option<i64>,
}

/// What the lock is known to hold.
pub fn report_of(conn: &mut Conn, lock: &LockId) -> Result<Report, StoreError> {
    let row: Option<(Option<i64>, Option<i64>, Option<i64>)> = lock_reports::table
        .find(lock.as_str())
        .select((lock_reports::boot, lock_reports::lockdown, lock_reports::lockdown_seq))
        .get_result(conn)
        .optional()?;
    let (boot, held, seq) = row.unwrap_or_default();
    Ok(Report {
        has_spoken: boot.is_some(),
        held: held.map(whole).transpose()?,
        seq,
    })
}

/// Records what the lock says that it holds, and the number of its newest event at that moment.
pub fn report(conn: &mut Conn, lock: &LockId, held: Option<u64>, seq: i64) -> Result<(), StoreError> {
    Kept(diesel::update(lock_reports::table.find(lock.as_str())).set((
        lock_reports::lockdown.eq(held.map(column)),
        lock_reports::lockdown_seq.eq(seq),
    )))
    .execute(conn)?;
    Ok(())
}

/// The connected locks, heard of since `since`, that know lockdowns and are not known to hold theirs: by id, those after
/// `after`, at most `limit`.
pub fn connected_behind(
    conn: &mut Conn,
    since: Timestamp,
    after: Option<&LockId>,
    limit: i64,
) -> Result<Vec<LockId>, StoreError> {
    let ids: Vec<String> = lock_lockdowns::table
        .inner_join(locks::table.inner_join(lock_reports::table))
        .filter(locks::state.eq(LockState::Enrolled.as_str()))
        .filter(lock_reports::online.eq(true))
        .filter(lock_reports::online_at_ms.ge(since.as_millis()))
        .filter(lock_reports::lockdown.lt(lock_lockdowns::epoch.nullable()))
        .filter(locks::id.gt(after.map_or("", LockId::as_str)))
        .order(locks::id)
        .limit(limit)
        .select(locks::id)
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}

fn whole(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(StoreError::corrupt)
}

/// A number below 2^53 as a column holds it.
fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
