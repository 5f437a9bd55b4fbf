//! A person's sessions as they see them, and what is noted of a session's use.

use diesel::prelude::*;

use super::columns::parsed;
use super::schema::sessions;
use super::{Conn, StoreError};
use crate::domain::ids::{PersonId, PhoneId, SessionId};
use crate::domain::session::{DeviceName, OwnSession};
use crate::domain::time::Timestamp;

/// The person's sessions that live at `now`, the newest first.
pub fn of_person(conn: &mut Conn, person: &PersonId, now: Timestamp) -> Result<Vec<OwnSession>, StoreError> {
    let rows: Vec<(String, String, i64, i64)> = sessions::table
        .filter(sessions::person_id.eq(person.as_str()))
        .filter(sessions::ended_at_ms.is_null())
        .filter(sessions::refresh_ends_at_ms.gt(now.as_millis()))
        .order(sessions::id.desc())
        .select((
            sessions::id,
            sessions::device,
            sessions::created_at_ms,
            sessions::used_at_ms,
        ))
        .load(conn)?;
    let own = |(id, device, began, used): (String, String, i64, i64)| {
        Ok(OwnSession {
            id: parsed(&id)?,
            device: DeviceName::try_from(device).map_err(StoreError::corrupt)?,
            began_at: Timestamp::from_millis(began),
            used_at: Timestamp::from_millis(used),
        })
    };
    rows.into_iter().map(own).collect()
}

/// Whether the person had a session before, ended or not, as far as it is remembered.
pub fn had_any(conn: &mut Conn, person: &PersonId) -> Result<bool, StoreError> {
    let found: Option<String> = sessions::table
        .filter(sessions::person_id.eq(person.as_str()))
        .select(sessions::id)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}

/// Whether the session has not ended.
pub fn is_living(conn: &mut Conn, id: &SessionId) -> Result<bool, StoreError> {
    let living: Vec<String> = sessions::table
        .find(id.as_str())
        .filter(sessions::ended_at_ms.is_null())
        .select(sessions::id)
        .load(conn)?;
    Ok(!living.is_empty())
}

/// Ends one of the person's sessions for this reason; says whether there was such a living one.
pub fn end_own(
    conn: &mut Conn,
    id: &SessionId,
    person: &PersonId,
    reason: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let theirs = sessions::table
        .find(id.as_str())
        .filter(sessions::person_id.eq(person.as_str()))
        .filter(sessions::ended_at_ms.is_null());
    let ended = diesel::update(theirs)
        .set((
            sessions::ended_at_ms.eq(now.as_millis()),
            sessions::end_reason.eq(reason),
        ))
        .execute(conn)?;
    Ok(ended > 0)
}

/// Ends all of the person's sessions but this one, for this reason; says how many.
pub fn end_others(
    conn: &mut Conn,
    keep: &SessionId,
    person: &PersonId,
    reason: &str,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let others = sessions::table
        .filter(sessions::person_id.eq(person.as_str()))
        .filter(sessions::id.ne(keep.as_str()))
        .filter(sessions::ended_at_ms.is_null());
    let ended = diesel::update(others)
        .set((
            sessions::ended_at_ms.eq(now.as_millis()),
            sessions::end_reason.eq(reason),
        ))
        .execute(conn)?;
    Ok(ended)
}

/// Ends the sessions that belong to this phone, for this reason.
pub fn end_of_phone(conn: &mut Conn, phone: &PhoneId, reason: &str, now: Timestamp) -> Result<(), StoreError> {
    let of_phone = sessions::table
        .filter(sessions::phone_id.eq(phone.as_str()))
        .filter(sessions::ended_at_ms.is_null());
    diesel::update(of_phone)
        .set((
            sessions::ended_at_ms.eq(now.as_millis()),
            sessions::end_reason.eq(reason),
        ))
        .execute(conn)?;
    Ok(())
}

/// Notes in which hour the session was used.
pub fn note_use(conn: &mut Conn, id: &SessionId, hour: Timestamp) -> Result<(), StoreError> {
    diesel::update(sessions::table.find(id.as_str()))
        .set(sessions::used_at_ms.eq(hour.as_millis()))
        .execute(conn)?;
    Ok(())
}

/// Notes that whoever holds the session proved to be its person; says whether it still lives.
pub fn note_proof(conn: &mut Conn, id: &SessionId, now: Timestamp) -> Result<bool, StoreError> {
    let living = sessions::table
        .find(id.as_str())
        .filter(sessions::ended_at_ms.is_null());
    let noted = diesel::update(living)
        .set(sessions::proven_at_ms.eq(now.as_millis()))
        .execute(conn)?;
    Ok(noted > 0)
}
