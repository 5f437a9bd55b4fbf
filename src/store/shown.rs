//! What is read of locks to show them elsewhere: which they are, which are stuck, and their alarms.

use std::collections::HashMap;

use diesel::prelude::*;

use super::columns::{parsed, word};
use super::schema::{access_log, access_log_heads, lock_reports, locks};
use super::{Conn, StoreError};
use crate::domain::access_log::Kind;
use crate::domain::ids::{LockId, OrganizationId, PropertyId};
use crate::domain::lock::LockState;
use crate::domain::time::Timestamp;

/// How many logs are looked at with one statement.
const LOGS_AT_ONCE: usize = 500;

/// The locks of these organizations or of these properties that have been enrolled and are not retired, by id; where
/// `among` is given, only those that stand in it.
pub fn lock_ids(
    conn: &mut Conn,
    organizations: &[OrganizationId],
    properties: &[PropertyId],
    among: Option<&[LockId]>,
) -> Result<Vec<LockId>, StoreError> {
    let mut query = locks::table
        .filter(
            locks::organization_id
                .eq_any(organizations.iter().map(OrganizationId::as_str))
                .or(locks::property_id.eq_any(properties.iter().map(PropertyId::as_str))),
        )
        .filter(locks::state.ne(LockState::Retired.as_str()))
        .filter(locks::enrolments.gt(0))
        .into_boxed();
    if let Some(among) = among {
        query = query.filter(locks::id.eq_any(among.iter().map(LockId::as_str)));
    }
    let ids: Vec<String> = query.order(locks::id).select(locks::id).load(conn)?;
    ids.iter().map(|id| parsed(id)).collect()
}

/// Those of the locks whose bolt is stuck, and since when.
pub fn jams(conn: &mut Conn, ids: &[LockId]) -> Result<HashMap<LockId, Timestamp>, StoreError> {
    let rows: Vec<(String, Option<i64>)> = lock_reports::table
        .filter(lock_reports::lock_id.eq_any(ids.iter().map(LockId::as_str)))
        .filter(lock_reports::jammed_at_ms.is_not_null())
        .select((lock_reports::lock_id, lock_reports::jammed_at_ms))
        .load(conn)?;
    let known = rows
        .into_iter()
        .filter_map(|(id, at_ms)| at_ms.map(|at_ms| (id, at_ms)));
    known
        .map(|(id, at_ms)| Ok((parsed(&id)?, Timestamp::from_millis(at_ms))))
        .collect()
}

/// The numbers of the last entries of these logs.
pub fn log_ends(conn: &mut Conn, organizations: &[OrganizationId]) -> Result<Vec<(OrganizationId, i64)>, StoreError> {
    let mut ends = Vec::with_capacity(organizations.len());
    for some in organizations.chunks(LOGS_AT_ONCE) {
        let rows: Vec<(String, i64)> = access_log_heads::table
            .filter(access_log_heads::organization_id.eq_any(some.iter().map(OrganizationId::as_str)))
            .select((access_log_heads::organization_id, access_log_heads::last_seq))
            .load(conn)?;
        for (organization, end) in rows {
            ends.push((parsed(&organization)?, end));
        }
    }
    Ok(ends)
}

/// The number of the last entry of the organization's log; 0 of an empty one.
pub fn log_end(conn: &mut Conn, organization: &OrganizationId) -> Result<i64, StoreError> {
    let seq: Option<i64> = access_log_heads::table
        .find(organization.as_str())
        .select(access_log_heads::last_seq)
        .get_result(conn)
        .optional()?;
    Ok(seq.unwrap_or(0))
}

/// An alarm of a lock, or a jam, as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// The number of its entry.
    pub seq: i64,
    /// When it was written down.
    pub recorded_at: Timestamp,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Which lock.
    pub lock: LockId,
    /// `Alarm` or `Jammed`.
    pub kind: Kind,
    /// The word of what it was, of an alarm.
    pub reason: Option<String>,
}

/// The alarms and jams of locks in the organization's log after the number `after`, the oldest first, at most `limit`.
pub fn alarms(
    conn: &mut Conn,
    organization: &OrganizationId,
    after: i64,
    limit: i64,
) -> Result<Vec<Alarm>, StoreError> {
    type Row = (i64, i64, i64, Option<String>, String, Option<String>);
    let rows: Vec<Row> = access_log::table
        .filter(access_log::organization_id.eq(organization.as_str()))
        .filter(access_log::seq.gt(after))
        .filter(access_log::kind.eq_any([Kind::Alarm.as_str(), Kind::Jammed.as_str()]))
        .filter(access_log::lock_id.is_not_null())
        .order(access_log::seq)
        .limit(limit)
        .select((
            access_log::seq,
            access_log::recorded_at_ms,
            access_log::occurred_at_ms,
            access_log::lock_id,
            access_log::kind,
            access_log::reason,
        ))
        .load(conn)?;
    let mut alarms = Vec::new();
    for (seq, recorded_at_ms, occurred_at_ms, lock, kind, reason) in rows {
        alarms.push(Alarm {
            seq,
            recorded_at: Timestamp::from_millis(recorded_at_ms),
            occurred_at: Timestamp::from_millis(occurred_at_ms),
            lock: parsed(lock.as_deref().unwrap_or_default())?,
            kind: word(kind)?,
            reason,
        });
    }
    Ok(alarms)
}
