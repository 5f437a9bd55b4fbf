//! What locks have to know of passes that are void, and how much of it each is known to hold.

use diesel::prelude::*;

use super::columns::parsed;
use super::kept::Kept;
use super::schema::{lock_reports, locks, revocations};
use super::{Conn, StoreError};
use crate::domain::ids::{LockId, OrganizationId};
use crate::domain::lock::LockState;
use crate::domain::time::Timestamp;

/// Where a lock's revocations stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The epoch; 0 where there never were any.
    pub epoch: u64,
    /// Passes and tokens with a smaller `rev` are void.
    pub min_rev: u64,
    /// The greatest `rev` of a pass that was issued for the lock.
    pub pass_rev: u64,
}

type StandingRow = (i64, i64, i64);

fn standing((epoch, min_rev, pass_rev): StandingRow) -> Result<Standing, StoreError> {
    Ok(Standing {
        epoch: whole(epoch)?,
        min_rev: whole(min_rev)?,
        pass_rev: whole(pass_rev)?,
    })
}

fn whole(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(StoreError::corrupt)
}

/// A number below 2^53 as a column holds it.
fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Where the lock's revocations stand. The lock's row is held until this transaction ends: what is issued for it and what
/// is revoked at it take turns.
pub fn hold(conn: &mut Conn, lock: &LockId) -> Result<Option<Standing>, StoreError> {
    let row: Option<StandingRow> = Kept(
        diesel::update(locks::table.find(lock.as_str()))
            .set(locks::pass_rev.eq(locks::pass_rev))
            .returning((locks::revocations_epoch, locks::min_rev, locks::pass_rev)),
    )
    .get_result(conn)
    .optional()?;
    row.map(standing).transpose()
}

/// Writes where the lock's revocations stand.
pub fn set(conn: &mut Conn, lock: &LockId, to: &Standing) -> Result<(), StoreError> {
    diesel::update(locks::table.find(lock.as_str()))
        .set((
            locks::revocations_epoch.eq(column(to.epoch)),
            locks::min_rev.eq(column(to.min_rev)),
            locks::pass_rev.eq(column(to.pass_rev)),
        ))
        .execute(conn)?;
    Ok(())
}

/// A name that is void at a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The grant, the tenancy, or the phone by its thumbprint.
    pub name: String,
    /// After this no bolt moves by a pass of it at a lock that has a clock.
    pub ends_at: Timestamp,
    /// When it need not be listed any more.
    pub leaves_at: Timestamp,
}

/// Forgets what need not be listed any more.
pub fn forget_ended(conn: &mut Conn, lock: &LockId, now: Timestamp) -> Result<(), StoreError> {
    let ended = revocations::table
        .filter(revocations::lock_id.eq(lock.as_str()))
        .filter(revocations::leaves_at_ms.le(now.as_millis()));
    diesel::delete(ended).execute(conn)?;
    Ok(())
}

/// Lists the name from this epoch on, in the place of an older entry of it.
pub fn put(conn: &mut Conn, lock: &LockId, entry: &Entry, epoch: u64) -> Result<(), StoreError> {
    diesel::delete(revocations::table.find((lock.as_str(), entry.name.as_str()))).execute(conn)?;
    diesel::insert_into(revocations::table)
        .values((
            revocations::lock_id.eq(lock.as_str()),
            revocations::name.eq(&entry.name),
            revocations::ends_at_ms.eq(entry.ends_at.as_millis()),
            revocations::leaves_at_ms.eq(entry.leaves_at.as_millis()),
            revocations::epoch.eq(column(epoch)),
            revocations::listed.eq(true),
        ))
        .execute(conn)?;
    Ok(())
}

/// The names that the lock has to be told, in one order.
pub fn listed(conn: &mut Conn, lock: &LockId) -> Result<Vec<String>, StoreError> {
    Ok(revocations::table
        .filter(revocations::lock_id.eq(lock.as_str()))
        .filter(revocations::listed.eq(true))
        .order(revocations::name)
        .select(revocations::name)
        .load(conn)?)
}

/// Empties the lock's list: a `min_rev` covers what stood in it.
pub fn unlist(conn: &mut Conn, lock: &LockId) -> Result<(), StoreError> {
    diesel::update(revocations::table.filter(revocations::lock_id.eq(lock.as_str())))
        .set(revocations::listed.eq(false))
        .execute(conn)?;
    Ok(())
}

/// What a lock is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Whose lock it is.
    pub organization: OrganizationId,
    /// The epoch.
    pub epoch: u64,
    /// The names.
    pub revoked: Vec<String>,
    /// Passes and tokens with a smaller `rev` are void.
    pub min_rev: u64,
}

/// What the lock is to be told; `None` where there never was anything.
pub fn document(conn: &mut Conn, lock: &LockId) -> Result<Option<Document>, StoreError> {
    let row: Option<(String, i64, i64)> = locks::table
        .find(lock.as_str())
        .filter(locks::revocations_epoch.gt(0))
        .select((locks::organization_id, locks::revocations_epoch, locks::min_rev))
        .get_result(conn)
        .optional()?;
    let Some((organization, epoch, min_rev)) = row else {
        return Ok(None);
    };
    Ok(Some(Document {
        organization: parsed(&organization)?,
        epoch: whole(epoch)?,
        revoked: listed(conn, lock)?,
        min_rev: whole(min_rev)?,
    }))
}

/// How far a lock has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The epoch of its revocations.
    pub epoch: u64,
    /// The one that it is known to hold; 0 for none.
    pub held: u64,
    /// The number of its newest event when that was so; `None` where it has not said, -1 before the first.
    pub seq: Option<i64>,
}

/// How far the lock has been told.
pub fn told(conn: &mut Conn, lock: &LockId) -> Result<Told, StoreError> {
    let row: Option<(i64, Option<i64>, Option<i64>)> = locks::table
        .inner_join(lock_reports::table)
        .filter(locks::id.eq(lock.as_str()))
        .select((
            locks::revocations_epoch,
            lock_reports::revocations,
            lock_reports::revocations_seq,
        ))
        .get_result(conn)
        .optional()?;
    let (epoch, held, seq) = row.unwrap_or_default();
    Ok(Told {
        epoch: whole(epoch)?,
        held: whole(held.unwrap_or_default())?,
        seq,
    })
}

/// Records the epoch that the lock holds, and the number of its newest event at that moment.
pub fn report(conn: &mut Conn, lock: &LockId, held: u64, seq: i64) -> Result<(), StoreError> {
    Kept(diesel::update(lock_reports::table.find(lock.as_str())).set((
        lock_reports::revocations.eq(column(held)),
        lock_reports::revocations_seq.eq(seq),
    )))
    .execute(conn)?;
    Ok(())
}

/// Where a pass of one of these names may still move a bolt after `now`: the locks that are not known to have been told,
/// and until when, by lock.
pub fn open_until(conn: &mut Conn, names: &[String], now: Timestamp) -> Result<Vec<(LockId, Timestamp)>, StoreError> {
    let untold = lock_reports::revocations
        .is_null()
        .or(lock_reports::revocations.lt(revocations::epoch.nullable()));
    let rows: Vec<(String, i64)> = revocations::table
        .inner_join(lock_reports::table.on(lock_reports::lock_id.eq(revocations::lock_id)))
        .filter(revocations::name.eq_any(names))
        .filter(revocations::ends_at_ms.gt(now.as_millis()))
        .filter(untold)
        .order(revocations::lock_id)
        .select((revocations::lock_id, revocations::ends_at_ms))
        .load(conn)?;
    rows.into_iter()
        .map(|(lock, ends_at_ms)| Ok((parsed(&lock)?, Timestamp::from_millis(ends_at_ms))))
        .collect()
}

/// The connected locks, heard of since `since`, that are not known to hold their revocations: by id, those after `after`, at
/// most `limit`.
pub fn connected_behind(
    conn: &mut Conn,
    since: Timestamp,
    after: Option<&LockId>,
    limit: i64,
) -> Result<Vec<LockId>, StoreError> {
    let behind = lock_reports::revocations
        .is_null()
        .or(lock_reports::revocations.lt(locks::revocations_epoch.nullable()));
    let ids: Vec<String> = locks::table
        .inner_join(lock_reports::table)
        .filter(locks::revocations_epoch.gt(0))
        .filter(locks::state.eq(LockState::Enrolled.as_str()))
        .filter(lock_reports::online.eq(true))
        .filter(lock_reports::online_at_ms.ge(since.as_millis()))
        .filter(behind)
        .filter(locks::id.gt(after.map_or("", LockId::as_str)))
        .order(locks::id)
        .limit(limit)
        .select(locks::id)
        .load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}
