//! Looks at hidden parts of access logs.

use diesel::prelude::*;

use super::columns::{instant, parsed, parsed_option, text};
use super::schema::{look_concerns, looks};
use super::{Conn, StoreError};
use crate::domain::account::Scope;
use crate::domain::ids::{LockId, LookId, OrganizationId, PersonId};
use crate::domain::look::{Look, Part};
use crate::domain::time::Timestamp;

#[derive(Queryable, Selectable)]
#[diesel(table_name = looks)]
struct Row {
    id: String,
    organization_id: String,
    person_id: String,
    unit_id: String,
    lock_id: Option<String>,
    from_at_ms: i64,
    to_at_ms: i64,
    reason: String,
    opened_at_ms: i64,
    ends_at_ms: i64,
    used_at_ms: Option<i64>,
}

impl Row {
    fn into_domain(self) -> Result<Look, StoreError> {
        Ok(Look {
            id: parsed(&self.id)?,
            organization: parsed(&self.organization_id)?,
            person: parsed(&self.person_id)?,
            part: Part {
                unit: parsed(&self.unit_id)?,
                lock: parsed_option(self.lock_id.as_deref())?,
                from: Timestamp::from_millis(self.from_at_ms),
                to: Timestamp::from_millis(self.to_at_ms),
            },
            reason: text(self.reason)?,
            opened_at: Timestamp::from_millis(self.opened_at_ms),
            ends_at: Timestamp::from_millis(self.ends_at_ms),
            used_at: instant(self.used_at_ms),
        })
    }
}

fn looks_of(rows: Vec<Row>) -> Result<Vec<Look>, StoreError> {
    rows.into_iter().map(Row::into_domain).collect()
}

/// Adds a look, which concerns these persons, each once.
pub fn add(conn: &mut Conn, look: &Look, concerned: &[PersonId]) -> Result<(), StoreError> {
    diesel::insert_into(looks::table)
        .values((
            looks::id.eq(look.id.as_str()),
            looks::organization_id.eq(look.organization.as_str()),
            looks::person_id.eq(look.person.as_str()),
            looks::unit_id.eq(look.part.unit.as_str()),
            looks::lock_id.eq(look.part.lock.as_ref().map(LockId::as_str)),
            looks::from_at_ms.eq(look.part.from.as_millis()),
            looks::to_at_ms.eq(look.part.to.as_millis()),
            looks::reason.eq(look.reason.as_str()),
            looks::opened_at_ms.eq(look.opened_at.as_millis()),
            looks::ends_at_ms.eq(look.ends_at.as_millis()),
        ))
        .execute(conn)?;
    for person in concerned {
        diesel::insert_into(look_concerns::table)
            .values((
                look_concerns::look_id.eq(look.id.as_str()),
                look_concerns::person_id.eq(person.as_str()),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// The person's looks at the organization's log that are open at `now`.
pub fn open(
    conn: &mut Conn,
    organization: &OrganizationId,
    person: &PersonId,
    now: Timestamp,
) -> Result<Vec<Look>, StoreError> {
    let rows: Vec<Row> = looks::table
        .filter(looks::person_id.eq(person.as_str()))
        .filter(looks::organization_id.eq(organization.as_str()))
        .filter(looks::opened_at_ms.le(now.as_millis()))
        .filter(looks::ends_at_ms.gt(now.as_millis()))
        .order(looks::id)
        .select(Row::as_select())
        .load(conn)?;
    looks_of(rows)
}

/// Records that the look showed something, the first time.
pub fn mark_used(conn: &mut Conn, id: &LookId, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(looks::table.find(id.as_str()).filter(looks::used_at_ms.is_null()))
        .set(looks::used_at_ms.eq(now.as_millis()))
        .execute(conn)?;
    Ok(())
}

/// The looks at the logs within `scope`, the newest first, those older than `before`, at most `limit`.
pub fn list(conn: &mut Conn, scope: &Scope, before: Option<&LookId>, limit: i64) -> Result<Vec<Look>, StoreError> {
    let mut query = looks::table
        .filter(looks::organization_id.eq_any(scope.ids()))
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(looks::id.lt(before.as_str()));
    }
    let rows: Vec<Row> = query
        .order(looks::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    looks_of(rows)
}

/// The looks that concern the person, the newest first, those older than `before`, at most `limit`.
pub fn concerning(
    conn: &mut Conn,
    person: &PersonId,
    before: Option<&LookId>,
    limit: i64,
) -> Result<Vec<Look>, StoreError> {
    let theirs = look_concerns::table
        .filter(look_concerns::person_id.eq(person.as_str()))
        .select(look_concerns::look_id);
    let mut query = looks::table.filter(looks::id.eq_any(theirs)).into_boxed();
    if let Some(before) = before {
        query = query.filter(looks::id.lt(before.as_str()));
    }
    let rows: Vec<Row> = query
        .order(looks::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    looks_of(rows)
}

/// Forgets looks that ended before `before`; says how many.
pub fn forget(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    Ok(diesel::delete(looks::table.filter(looks::ends_at_ms.lt(before.as_millis()))).execute(conn)?)
}

/// The person is concerned by no look any more: they erased their account.
pub fn forget_concerns(conn: &mut Conn, person: &PersonId) -> Result<(), StoreError> {
    diesel::delete(look_concerns::table.filter(look_concerns::person_id.eq(person.as_str()))).execute(conn)?;
    Ok(())
}
