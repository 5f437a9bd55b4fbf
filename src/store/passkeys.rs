//! Passkeys, and the challenges that wait for an answer by one.

use diesel::prelude::*;

use super::columns::{instant, parsed, text};
use super::schema::{passkey_challenges, passkeys};
use super::{Conn, StoreError};
use crate::crypto::digest::hexadecimal;
use crate::domain::ids::{PasskeyId, PersonId, SessionId};
use crate::domain::passkey::{Ceremony, Passkey, PasskeyName};
use crate::domain::time::Timestamp;

#[derive(Queryable, Selectable)]
#[diesel(table_name = passkeys)]
struct Row {
    id: String,
    person_id: String,
    name: String,
    credential: String,
    public_key: String,
    counter: i64,
    synced: bool,
    registered_at_ms: i64,
    used_at_ms: Option<i64>,
}

impl Row {
    fn into_domain(self) -> Result<Passkey, StoreError> {
        Ok(Passkey {
            id: parsed(&self.id)?,
            person: parsed(&self.person_id)?,
            name: text(self.name)?,
            credential: self.credential,
            public_key: self.public_key,
            counter: u32::try_from(self.counter).map_err(StoreError::corrupt)?,
            synced: self.synced,
            registered_at: Timestamp::from_millis(self.registered_at_ms),
            used_at: instant(self.used_at_ms),
        })
    }
}

/// Adds a passkey.
///
/// # Errors
/// [`StoreError::Conflict`] where there is one of this credential.
pub fn add(conn: &mut Conn, passkey: &Passkey) -> Result<(), StoreError> {
    diesel::insert_into(passkeys::table)
        .values((
            passkeys::id.eq(passkey.id.as_str()),
            passkeys::person_id.eq(passkey.person.as_str()),
            passkeys::name.eq(passkey.name.as_str()),
            passkeys::credential.eq(&passkey.credential),
            passkeys::public_key.eq(&passkey.public_key),
            passkeys::counter.eq(i64::from(passkey.counter)),
            passkeys::synced.eq(passkey.synced),
            passkeys::registered_at_ms.eq(passkey.registered_at.as_millis()),
            passkeys::used_at_ms.eq(passkey.used_at.map(Timestamp::as_millis)),
        ))
        .execute(conn)?;
    Ok(())
}

/// The person's passkeys, the oldest first.
pub fn of_person(conn: &mut Conn, person: &PersonId) -> Result<Vec<Passkey>, StoreError> {
    let rows: Vec<Row> = passkeys::table
        .filter(passkeys::person_id.eq(person.as_str()))
        .filter(passkeys::removed_at_ms.is_null())
        .order(passkeys::id)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// The passkey of this credential, whoever's it is. Held until this transaction ends: of two that show the same count at once,
/// the second finds it noted by the first.
pub fn hold(conn: &mut Conn, credential: &str) -> Result<Option<Passkey>, StoreError> {
    let known = || {
        passkeys::table
            .filter(passkeys::credential.eq(credential))
            .filter(passkeys::removed_at_ms.is_null())
    };
    let held = diesel::update(known())
        .set(passkeys::counter.eq(passkeys::counter))
        .execute(conn)?;
    if held == 0 {
        return Ok(None);
    }
    let row: Row = known().select(Row::as_select()).get_result(conn)?;
    row.into_domain().map(Some)
}

/// Notes that the passkey signed: its counter, and in which hour.
pub fn note_use(conn: &mut Conn, id: &PasskeyId, counter: u32, hour: Timestamp) -> Result<(), StoreError> {
    diesel::update(passkeys::table.find(id.as_str()))
        .set((
            passkeys::counter.eq(i64::from(counter)),
            passkeys::used_at_ms.eq(hour.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Calls the person's passkey otherwise, and gives it as it is then; `None` where they have no such one.
pub fn rename(
    conn: &mut Conn,
    id: &PasskeyId,
    person: &PersonId,
    name: &PasskeyName,
) -> Result<Option<Passkey>, StoreError> {
    let theirs = passkeys::table
        .find(id.as_str())
        .filter(passkeys::person_id.eq(person.as_str()))
        .filter(passkeys::removed_at_ms.is_null());
    let renamed = diesel::update(theirs)
        .set(passkeys::name.eq(name.as_str()))
        .execute(conn)?;
    if renamed == 0 {
        return Ok(None);
    }
    let row: Row = passkeys::table
        .find(id.as_str())
        .select(Row::as_select())
        .get_result(conn)?;
    row.into_domain().map(Some)
}

/// Removes the passkey, whoever's it is; says whether there was such a one. What is left says that it was there and until when.
pub fn remove(conn: &mut Conn, id: &PasskeyId, at: Timestamp) -> Result<bool, StoreError> {
    let there = passkeys::table
        .find(id.as_str())
        .filter(passkeys::removed_at_ms.is_null());
    let removed = diesel::update(there)
        .set((
            passkeys::removed_at_ms.eq(at.as_millis()),
            passkeys::name.eq("Removed passkey"),
            // No authenticator names one so: it is no base64url.
            passkeys::credential.eq(format!("removed {id}")),
            passkeys::public_key.eq(""),
        ))
        .execute(conn)?;
    Ok(removed > 0)
}

/// Removes the person's passkey; says whether they had such a one.
pub fn remove_own(conn: &mut Conn, id: &PasskeyId, person: &PersonId, at: Timestamp) -> Result<bool, StoreError> {
    let is_theirs = of_person(conn, person)?.iter().any(|passkey| passkey.id == *id);
    Ok(is_theirs && remove(conn, id, at)?)
}

/// Removes all of the person's passkeys; says how many.
pub fn remove_all_of(conn: &mut Conn, person: &PersonId, at: Timestamp) -> Result<usize, StoreError> {
    let mut removed = 0;
    for passkey in of_person(conn, person)? {
        removed += usize::from(remove(conn, &passkey.id, at)?);
    }
    Ok(removed)
}

/// Forgets that passkeys were there which were removed before `before`; says how many.
pub fn forget_removed(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    let removed = passkeys::table.filter(passkeys::removed_at_ms.lt(before.as_millis()));
    Ok(diesel::delete(removed).execute(conn)?)
}

/// Keeps a challenge until its answer comes: by its digest, for this, of this session where somebody is signed in.
pub fn ask(
    conn: &mut Conn,
    challenge: &[u8; 32],
    ceremony: Ceremony,
    session: Option<&SessionId>,
    ends_at: Timestamp,
) -> Result<(), StoreError> {
    diesel::insert_into(passkey_challenges::table)
        .values((
            passkey_challenges::digest.eq(hexadecimal(challenge)),
            passkey_challenges::ceremony.eq(ceremony.as_str()),
            passkey_challenges::session_id.eq(session.map(SessionId::as_str)),
            passkey_challenges::ends_at_ms.eq(ends_at.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Uses the challenge up; says whether it waited at `now` for an answer of this kind in this session. Of two answers at once, at
/// whichever nodes, one is told so.
pub fn answer(
    conn: &mut Conn,
    challenge: &[u8; 32],
    ceremony: Ceremony,
    session: Option<&SessionId>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let waiting = passkey_challenges::table
        .find(hexadecimal(challenge))
        .filter(passkey_challenges::ceremony.eq(ceremony.as_str()))
        .filter(passkey_challenges::ends_at_ms.gt(now.as_millis()));
    let used = match session {
        Some(session) => {
            diesel::delete(waiting.filter(passkey_challenges::session_id.eq(session.as_str()))).execute(conn)?
        }
        None => diesel::delete(waiting.filter(passkey_challenges::session_id.is_null())).execute(conn)?,
    };
    Ok(used > 0)
}

/// Forgets challenges that nobody answered by `now`; says how many.
pub fn forget_challenges(conn: &mut Conn, now: Timestamp) -> Result<usize, StoreError> {
    let over = passkey_challenges::table.filter(passkey_challenges::ends_at_ms.le(now.as_millis()));
    Ok(diesel::delete(over).execute(conn)?)
}

/// Forgets every challenge: those that a backup holds may have been answered since.
pub fn forget_every_challenge(conn: &mut Conn) -> Result<usize, StoreError> {
    Ok(diesel::delete(passkey_challenges::table).execute(conn)?)
}
