//! Notices to persons.

use diesel::prelude::*;

use super::columns::{instant, parsed, parsed_option};
use super::schema::notices;
use super::{Conn, StoreError};
use crate::domain::ids::{NoticeId, PersonId};
use crate::domain::notice::{News, Notice};
use crate::domain::time::Timestamp;

#[derive(Queryable, Selectable)]
#[diesel(table_name = notices)]
struct Row {
    id: String,
    organization_id: String,
    person_id: String,
    kind: String,
    lock_id: Option<String>,
    unit_id: Option<String>,
    actor_id: Option<String>,
    detail: Option<String>,
    told_at_ms: i64,
    read_at_ms: Option<i64>,
}

impl Row {
    fn into_domain(self) -> Result<Notice, StoreError> {
        let detail = self.detail.as_deref().map(serde_json::from_str).transpose();
        Ok(Notice {
            id: parsed(&self.id)?,
            person: parsed(&self.person_id)?,
            news: News {
                kind: parsed(&self.kind)?,
                organization: parsed(&self.organization_id)?,
                lock: parsed_option(self.lock_id.as_deref())?,
                unit: parsed_option(self.unit_id.as_deref())?,
                actor: parsed_option(self.actor_id.as_deref())?,
                detail: detail.map_err(StoreError::corrupt)?,
            },
            told_at: Timestamp::from_millis(self.told_at_ms),
            read_at: instant(self.read_at_ms),
        })
    }
}

/// Whether the person was told the same since `since`: of this kind, of this lock, with this detail.
pub fn is_known(conn: &mut Conn, person: &PersonId, news: &News, since: Timestamp) -> Result<bool, StoreError> {
    let mut query = notices::table
        .filter(notices::person_id.eq(person.as_str()))
        .filter(notices::organization_id.eq(news.organization.as_str()))
        .filter(notices::kind.eq(news.kind.as_str()))
        .filter(notices::told_at_ms.gt(since.as_millis()))
        .into_boxed();
    query = match &news.detail {
        Some(detail) => query.filter(notices::detail.eq(detail.to_string())),
        None => query.filter(notices::detail.is_null()),
    };
    query = match &news.lock {
        Some(lock) => query.filter(notices::lock_id.eq(lock.as_str())),
        None => query.filter(notices::lock_id.is_null()),
    };
    let found: Option<String> = query.select(notices::id).first(conn).optional()?;
    Ok(found.is_some())
}

/// Adds a notice.
pub fn add(conn: &mut Conn, notice: &Notice) -> Result<(), StoreError> {
    let Notice {
        id,
        person,
        news,
        told_at,
        read_at,
    } = notice;
    diesel::insert_into(notices::table)
        .values((
            notices::id.eq(id.as_str()),
            notices::organization_id.eq(news.organization.as_str()),
            notices::person_id.eq(person.as_str()),
            notices::kind.eq(news.kind.as_str()),
            notices::lock_id.eq(news.lock.as_ref().map(|lock| lock.as_str())),
            notices::unit_id.eq(news.unit.as_ref().map(|unit| unit.as_str())),
            notices::actor_id.eq(news.actor.as_ref().map(PersonId::as_str)),
            notices::detail.eq(news.detail.as_ref().map(serde_json::Value::to_string)),
            notices::told_at_ms.eq(told_at.as_millis()),
            notices::read_at_ms.eq(read_at.map(Timestamp::as_millis)),
        ))
        .execute(conn)?;
    Ok(())
}

/// The person's notices, the newest first, those older than `before`, at most `limit`.
pub fn of_person(
    conn: &mut Conn,
    person: &PersonId,
    before: Option<&NoticeId>,
    limit: i64,
) -> Result<Vec<Notice>, StoreError> {
    let mut query = notices::table
        .filter(notices::person_id.eq(person.as_str()))
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(notices::id.lt(before.as_str()));
    }
    let rows: Vec<Row> = query
        .order(notices::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// Marks the person's notice as read, the first time; says whether there is such a one.
pub fn mark_read(conn: &mut Conn, id: &NoticeId, person: &PersonId, now: Timestamp) -> Result<bool, StoreError> {
    let theirs = notices::table
        .find(id.as_str())
        .filter(notices::person_id.eq(person.as_str()));
    diesel::update(theirs.filter(notices::read_at_ms.is_null()))
        .set(notices::read_at_ms.eq(now.as_millis()))
        .execute(conn)?;
    let found: Option<String> = theirs.select(notices::id).get_result(conn).optional()?;
    Ok(found.is_some())
}

/// Notices told after `since` of which nobody has decided yet whether they go out as letters, the oldest first.
pub fn to_weigh(conn: &mut Conn, since: Timestamp, limit: i64) -> Result<Vec<Notice>, StoreError> {
    let rows: Vec<Row> = notices::table
        .filter(notices::weighed_at_ms.is_null())
        .filter(notices::told_at_ms.gt(since.as_millis()))
        .order((notices::told_at_ms, notices::id))
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// It is decided whether the notice goes out as a letter; says whether it was not before.
pub fn mark_weighed(conn: &mut Conn, id: &NoticeId, now: Timestamp) -> Result<bool, StoreError> {
    let open = notices::table
        .find(id.as_str())
        .filter(notices::weighed_at_ms.is_null());
    let marked = diesel::update(open)
        .set(notices::weighed_at_ms.eq(now.as_millis()))
        .execute(conn)?;
    Ok(marked > 0)
}

/// Forgets what people were told before `before`; says how many notices that were.
pub fn forget_older(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    Ok(diesel::delete(notices::table.filter(notices::told_at_ms.lt(before.as_millis()))).execute(conn)?)
}

/// Forgets everything that the person was told.
pub fn forget_all_of(conn: &mut Conn, person: &PersonId) -> Result<(), StoreError> {
    diesel::delete(notices::table.filter(notices::person_id.eq(person.as_str()))).execute(conn)?;
    Ok(())
}
