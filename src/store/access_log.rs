//! The access log: entries numbered per organization without gaps, never changed.

use diesel::prelude::*;

use super::columns::{parsed_option, word};
use super::kept::Kept;
use super::schema::{access_log, access_log_heads};
use super::{Conn, StoreError};
use crate::domain::access_log::{Entry, Kind, NewEntry};
use crate::domain::ids::{LockId, OrganizationId, PersonId, PropertyId};
use crate::domain::time::Timestamp;

/// Writes the entry down at the end of the organization's log and returns its number. Its head row is updated first:
/// that orders writers on both databases without a retry. Time in the log never runs backwards: an entry is recorded
/// at `now` or at the last one's time, whichever is later.
///
/// # Errors
/// [`StoreError::Missing`] where there is no such organization.
pub fn append(
    conn: &mut Conn,
    organization: &OrganizationId,
    entry: &NewEntry,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let (seq, last_at_ms) = Kept(
        diesel::update(access_log_heads::table.find(organization.as_str()))
            .set(access_log_heads::last_seq.eq(access_log_heads::last_seq + 1))
            .returning((access_log_heads::last_seq, access_log_heads::last_at_ms)),
    )
    .get_result::<(i64, i64)>(conn)
    .optional()?
    .ok_or(StoreError::Missing)?;
    let recorded_at_ms = last_at_ms.max(now.as_millis());
    if recorded_at_ms > last_at_ms {
        Kept(
            diesel::update(access_log_heads::table.find(organization.as_str()))
                .set(access_log_heads::last_at_ms.eq(recorded_at_ms)),
        )
        .execute(conn)?;
    }
    diesel::insert_into(access_log::table)
        .values((
            access_log::organization_id.eq(organization.as_str()),
            access_log::seq.eq(seq),
            access_log::recorded_at_ms.eq(recorded_at_ms),
            access_log::occurred_at_ms.eq(entry.occurred_at.as_millis()),
            access_log::kind.eq(entry.kind.as_str()),
            access_log::outcome.eq(entry.outcome.as_str()),
            access_log::reason.eq(entry.reason.as_deref()),
            access_log::property_id.eq(entry.property.as_ref().map(PropertyId::as_str)),
            access_log::unit_id.eq(entry.unit.as_ref().map(crate::domain::ids::UnitId::as_str)),
            access_log::lock_id.eq(entry.lock.as_ref().map(LockId::as_str)),
            access_log::person_id.eq(entry.person.as_ref().map(PersonId::as_str)),
            access_log::actor_id.eq(entry.actor.as_ref().map(PersonId::as_str)),
            access_log::grant_id.eq(entry.grant.as_ref().map(crate::domain::ids::GrantId::as_str)),
            access_log::attempt_id.eq(entry.attempt.as_ref().map(crate::domain::ids::AttemptId::as_str)),
            access_log::detail.eq(entry.detail.as_ref().map(serde_json::Value::to_string)),
        ))
        .execute(conn)?;
    Ok(seq)
}

/// The time of the organization's last entry.
pub fn last_recorded_at(conn: &mut Conn, organization: &OrganizationId) -> Result<Option<Timestamp>, StoreError> {
    let ms: Option<i64> = access_log_heads::table
        .find(organization.as_str())
        .select(access_log_heads::last_at_ms)
        .get_result(conn)
        .optional()?;
    Ok(ms.map(Timestamp::from_millis))
}

/// The time of the last entry of any organization.
pub fn latest_recorded_at(conn: &mut Conn) -> Result<Option<Timestamp>, StoreError> {
    let ms: Option<i64> = access_log_heads::table
        .select(diesel::dsl::max(access_log_heads::last_at_ms))
        .first(conn)?;
    Ok(ms.filter(|ms| *ms > 0).map(Timestamp::from_millis))
}

/// Which entries are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those about this property.
    pub property: Option<PropertyId>,
    /// Only those about this lock.
    pub lock: Option<LockId>,
    /// Only those about this person.
    pub person: Option<PersonId>,
    /// Only those of this kind.
    pub kind: Option<Kind>,
    /// Only those of what happened at this time or later.
    pub from: Option<Timestamp>,
    /// Only those of what happened before this time.
    pub to: Option<Timestamp>,
}

/// Which way the log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the newest entry back.
    NewestFirst,
    /// From the oldest entry on.
    OldestFirst,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = access_log)]
struct Row {
    seq: i64,
    recorded_at_ms: i64,
    occurred_at_ms: i64,
    kind: String,
    outcome: String,
    reason: Option<String>,
    property_id: Option<String>,
    unit_id: Option<String>,
    lock_id: Option<String>,
    person_id: Option<String>,
    actor_id: Option<String>,
    grant_id: Option<String>,
    attempt_id: Option<String>,
    detail: Option<String>,
}

impl Row {
    fn into_domain(self) -> Result<Entry, StoreError> {
        let detail = self.detail.as_deref().map(serde_json::from_str).transpose();
        Ok(Entry {
            seq: self.seq,
            recorded_at: Timestamp::from_millis(self.recorded_at_ms),
            what: NewEntry {
                kind: word(self.kind)?,
                outcome: word(self.outcome)?,
                reason: self.reason,
                occurred_at: Timestamp::from_millis(self.occurred_at_ms),
                property: parsed_option(self.property_id.as_deref())?,
                unit: parsed_option(self.unit_id.as_deref())?,
                lock: parsed_option(self.lock_id.as_deref())?,
                person: parsed_option(self.person_id.as_deref())?,
                actor: parsed_option(self.actor_id.as_deref())?,
                grant: parsed_option(self.grant_id.as_deref())?,
                attempt: parsed_option(self.attempt_id.as_deref())?,
                detail: detail.map_err(StoreError::corrupt)?,
            },
        })
    }
}

/// The entries of the organization that pass `filter`, in `order`, those beyond the number `beyond`, at most `limit`.
/// `only_of` bounds the answer to what a person may see of themselves: entries in which they are the person concerned.
pub fn entries(
    conn: &mut Conn,
    organization: &OrganizationId,
    filter: &Filter,
    only_of: Option<&PersonId>,
    order: Order,
    beyond: Option<i64>,
    limit: i64,
) -> Result<Vec<Entry>, StoreError> {
    let mut query = access_log::table
        .filter(access_log::organization_id.eq(organization.as_str()))
        .into_boxed();
    if let Some(property) = &filter.property {
        query = query.filter(access_log::property_id.eq(property.as_str()));
    }
    if let Some(lock) = &filter.lock {
        query = query.filter(access_log::lock_id.eq(lock.as_str()));
    }
    if let Some(person) = &filter.person {
        query = query.filter(access_log::person_id.eq(person.as_str()));
    }
    if let Some(person) = only_of {
        query = query.filter(access_log::person_id.eq(person.as_str()));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(access_log::kind.eq(kind.as_str()));
    }
    if let Some(from) = filter.from {
        query = query.filter(access_log::occurred_at_ms.ge(from.as_millis()));
    }
    if let Some(to) = filter.to {
        query = query.filter(access_log::occurred_at_ms.lt(to.as_millis()));
    }
    query = match order {
        Order::NewestFirst => query.order(access_log::seq.desc()),
        Order::OldestFirst => query.order(access_log::seq.asc()),
    };
    if let Some(beyond) = beyond {
        query = match order {
            Order::NewestFirst => query.filter(access_log::seq.lt(beyond)),
            Order::OldestFirst => query.filter(access_log::seq.gt(beyond)),
        };
    }
    let rows: Vec<Row> = query.limit(limit).select(Row::as_select()).load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}
