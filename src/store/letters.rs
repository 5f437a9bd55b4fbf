//! Letters that wait, and those that people do not want.

use diesel::prelude::*;

use super::columns::parsed;
use super::schema::{letters, unwanted_letters};
use super::{Conn, StoreError};
use crate::domain::ids::{LetterId, PersonId};
use crate::domain::letter::State;
use crate::domain::notice::Kind;
use crate::domain::time::Timestamp;

/// A letter to be queued.
#[derive(Debug)]
pub struct NewLetter<'a> {
    /// Which.
    pub id: &'a LetterId,
    /// The word for its kind.
    pub kind: &'static str,
    /// To whom and what, sealed.
    pub sealed: &'a str,
    /// Since when it waits.
    pub queued_at: Timestamp,
    /// When it is given up.
    pub expires_at: Timestamp,
}

/// A letter that a node has set out with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub id: LetterId,
    /// To whom and what, sealed.
    pub sealed: String,
    /// The number of this try, from 1.
    pub tries: u32,
}

/// Adds a letter that may go at once.
pub fn add(conn: &mut Conn, letter: &NewLetter<'_>) -> Result<(), StoreError> {
    diesel::insert_into(letters::table)
        .values((
            letters::id.eq(letter.id.as_str()),
            letters::kind.eq(letter.kind),
            letters::sealed.eq(letter.sealed),
            letters::state.eq(State::Waiting.as_str()),
            letters::tries.eq(0),
            letters::queued_at_ms.eq(letter.queued_at.as_millis()),
            letters::next_try_at_ms.eq(letter.queued_at.as_millis()),
            letters::expires_at_ms.eq(letter.expires_at.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Takes up to `limit` letters whose time has come at `now`, those that end first before others. Nobody else takes them
/// before `lost_at`.
pub fn take(conn: &mut Conn, now: Timestamp, lost_at: Timestamp, limit: i64) -> Result<Vec<Taken>, StoreError> {
    let due: Vec<(String, Option<String>, i64)> = letters::table
        .filter(letters::state.eq(State::Waiting.as_str()))
        .filter(letters::next_try_at_ms.le(now.as_millis()))
        .filter(letters::expires_at_ms.gt(now.as_millis()))
        .order(letters::expires_at_ms)
        .limit(limit)
        .select((letters::id, letters::sealed, letters::tries))
        .load(conn)?;
    let mut taken = Vec::new();
    for (id, sealed, tries) in due {
        let Some(sealed) = sealed else { continue };
        // Of two nodes that found it the first one changes the number, and the other finds it changed.
        let mine = letters::table.find(&id).filter(letters::tries.eq(tries));
        let is_mine = diesel::update(mine.filter(letters::state.eq(State::Waiting.as_str())))
            .set((
                letters::tries.eq(tries + 1),
                letters::next_try_at_ms.eq(lost_at.as_millis()),
            ))
            .execute(conn)?;
        if is_mine > 0 {
            taken.push(Taken {
                id: parsed(&id)?,
                sealed,
                tries: u32::try_from(tries + 1).map_err(StoreError::corrupt)?,
            });
        }
    }
    Ok(taken)
}

/// Whether there is a letter to take or to give up.
pub fn is_any_due(conn: &mut Conn, now: Timestamp) -> Result<bool, StoreError> {
    let due: Option<String> = letters::table
        .filter(letters::state.eq(State::Waiting.as_str()))
        .filter(letters::next_try_at_ms.le(now.as_millis()))
        .select(letters::id)
        .first(conn)
        .optional()?;
    Ok(due.is_some())
}

/// Ends the letter and forgets its content; says whether it was still in the hands of whoever made this try.
pub fn end(conn: &mut Conn, id: &LetterId, tries: u32, state: State, now: Timestamp) -> Result<bool, StoreError> {
    let mine = letters::table
        .find(id.as_str())
        .filter(letters::tries.eq(i64::from(tries)));
    let ended = diesel::update(mine.filter(letters::state.eq(State::Waiting.as_str())))
        .set((
            letters::state.eq(state.as_str()),
            letters::sealed.eq(None::<String>),
            letters::ended_at_ms.eq(now.as_millis()),
        ))
        .execute(conn)?;
    Ok(ended > 0)
}

/// The letter is tried again at `next`, unless somebody else has it in hand.
pub fn put_off(conn: &mut Conn, id: &LetterId, tries: u32, next: Timestamp) -> Result<bool, StoreError> {
    let mine = letters::table
        .find(id.as_str())
        .filter(letters::tries.eq(i64::from(tries)));
    let put_off = diesel::update(mine.filter(letters::state.eq(State::Waiting.as_str())))
        .set(letters::next_try_at_ms.eq(next.as_millis()))
        .execute(conn)?;
    Ok(put_off > 0)
}

/// Gives up what nobody took until its time ended, and forgets the content; says how many.
pub fn give_up(conn: &mut Conn, now: Timestamp) -> Result<usize, StoreError> {
    let late = letters::table
        .filter(letters::state.eq(State::Waiting.as_str()))
        .filter(letters::next_try_at_ms.le(now.as_millis()))
        .filter(letters::expires_at_ms.le(now.as_millis()));
    Ok(diesel::update(late)
        .set((
            letters::state.eq(State::GivenUp.as_str()),
            letters::sealed.eq(None::<String>),
            letters::ended_at_ms.eq(now.as_millis()),
        ))
        .execute(conn)?)
}

/// The letters that wait, each with its content: those after `after`, by id, at most `limit`.
pub fn waiting(conn: &mut Conn, after: Option<&LetterId>, limit: i64) -> Result<Vec<(LetterId, String)>, StoreError> {
    let rows: Vec<(String, Option<String>)> = letters::table
        .filter(letters::state.eq(State::Waiting.as_str()))
        .filter(letters::id.gt(after.map_or("", LetterId::as_str)))
        .order(letters::id)
        .limit(limit)
        .select((letters::id, letters::sealed))
        .load(conn)?;
    let rows = rows.into_iter().filter_map(|(id, sealed)| Some((id, sealed?)));
    rows.map(|(id, sealed)| Ok((parsed(&id)?, sealed))).collect()
}

/// Takes a letter out of the queue that waits.
pub fn withdraw(conn: &mut Conn, id: &LetterId) -> Result<(), StoreError> {
    let waiting = letters::table
        .find(id.as_str())
        .filter(letters::state.eq(State::Waiting.as_str()));
    diesel::delete(waiting).execute(conn)?;
    Ok(())
}

/// Takes all letters out of the queue that wait.
pub fn withdraw_every(conn: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(letters::table.filter(letters::state.eq(State::Waiting.as_str()))).execute(conn)?;
    Ok(())
}

/// How many letters wait.
pub fn count_waiting(conn: &mut Conn) -> Result<i64, StoreError> {
    Ok(letters::table
        .filter(letters::state.eq(State::Waiting.as_str()))
        .count()
        .get_result(conn)?)
}

/// Forgets letters that ended before `before`; says how many.
pub fn forget(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    let old = letters::table.filter(letters::ended_at_ms.lt(before.as_millis()));
    Ok(diesel::delete(old).execute(conn)?)
}

/// The kinds of which the person wants no letters.
pub fn unwanted(conn: &mut Conn, person: &PersonId) -> Result<Vec<Kind>, StoreError> {
    let kinds: Vec<String> = unwanted_letters::table
        .filter(unwanted_letters::person_id.eq(person.as_str()))
        .order(unwanted_letters::kind)
        .select(unwanted_letters::kind)
        .load(conn)?;
    kinds.iter().map(|kind| parsed(kind)).collect()
}

/// The person wants no letters of these kinds, and of all others.
pub fn set_unwanted(conn: &mut Conn, person: &PersonId, kinds: &[Kind]) -> Result<(), StoreError> {
    let before = unwanted_letters::table.filter(unwanted_letters::person_id.eq(person.as_str()));
    diesel::delete(before).execute(conn)?;
    for kind in kinds {
        diesel::insert_into(unwanted_letters::table)
            .values((
                unwanted_letters::person_id.eq(person.as_str()),
                unwanted_letters::kind.eq(kind.as_str()),
            ))
            .execute(conn)?;
    }
    Ok(())
}
