//! Asks for spare keys.

use diesel::prelude::*;

use super::columns::parsed;
use super::schema::spare_asks;
use super::{Conn, StoreError};
use crate::domain::ids::{GrantId, PersonId};
use crate::domain::spare::AskAnswer;
use crate::domain::time::Timestamp;

/// An ask that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// For which spare key.
    pub grant: GrantId,
    /// When.
    pub asked_at: Timestamp,
    /// Why, in the words of whoever asks.
    pub reason: String,
    /// When silence becomes the answer.
    pub answer_by: Timestamp,
}

type Row = (String, i64, String, i64);

fn asked((grant, asked_at_ms, reason, answer_by_ms): Row) -> Result<Asked, StoreError> {
    Ok(Asked {
        grant: parsed(&grant)?,
        asked_at: Timestamp::from_millis(asked_at_ms),
        reason,
        answer_by: Timestamp::from_millis(answer_by_ms),
    })
}

const COLUMNS: (
    spare_asks::grant_id,
    spare_asks::asked_at_ms,
    spare_asks::reason,
    spare_asks::answer_by_ms,
) = (
    spare_asks::grant_id,
    spare_asks::asked_at_ms,
    spare_asks::reason,
    spare_asks::answer_by_ms,
);

/// Adds an ask. The schema keeps one open ask a grant.
pub fn add(conn: &mut Conn, asked: &Asked) -> Result<(), StoreError> {
    diesel::insert_into(spare_asks::table)
        .values((
            spare_asks::grant_id.eq(asked.grant.as_str()),
            spare_asks::asked_at_ms.eq(asked.asked_at.as_millis()),
            spare_asks::reason.eq(&asked.reason),
            spare_asks::answer_by_ms.eq(asked.answer_by.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The ask of the grant that waits for its answer.
pub fn open(conn: &mut Conn, grant: &GrantId) -> Result<Option<Asked>, StoreError> {
    let row: Option<Row> = spare_asks::table
        .filter(spare_asks::grant_id.eq(grant.as_str()))
        .filter(spare_asks::answered_at_ms.is_null())
        .select(COLUMNS)
        .first(conn)
        .optional()?;
    row.map(asked).transpose()
}

/// When the grant's asks after `since` were made, the newest first.
pub fn times(conn: &mut Conn, grant: &GrantId, since: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
    let times: Vec<i64> = spare_asks::table
        .filter(spare_asks::grant_id.eq(grant.as_str()))
        .filter(spare_asks::asked_at_ms.gt(since.as_millis()))
        .order(spare_asks::asked_at_ms.desc())
        .select(spare_asks::asked_at_ms)
        .load(conn)?;
    Ok(times.into_iter().map(Timestamp::from_millis).collect())
}

/// Answers the open ask of the grant; says whether there was one, so that of two answers at once one counts.
pub fn answer(
    conn: &mut Conn,
    grant: &GrantId,
    answer: AskAnswer,
    by: Option<&PersonId>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let answered = diesel::update(
        spare_asks::table
            .filter(spare_asks::grant_id.eq(grant.as_str()))
            .filter(spare_asks::answered_at_ms.is_null()),
    )
    .set((
        spare_asks::answered_at_ms.eq(now.as_millis()),
        spare_asks::answered_by.eq(by.map(PersonId::as_str)),
        spare_asks::answer.eq(answer.as_str()),
    ))
    .execute(conn)?;
    Ok(answered > 0)
}

/// Closes every ask that waits for its answer, as one whose time is over.
pub fn close_every(conn: &mut Conn, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(spare_asks::table.filter(spare_asks::answered_at_ms.is_null()))
        .set((
            spare_asks::answered_at_ms.eq(now.as_millis()),
            spare_asks::answer.eq(AskAnswer::Over.as_str()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The asks to which nobody has answered until `now`, the oldest first, at most `limit`.
pub fn unanswered(conn: &mut Conn, now: Timestamp, limit: i64) -> Result<Vec<Asked>, StoreError> {
    let rows: Vec<Row> = spare_asks::table
        .filter(spare_asks::answered_at_ms.is_null())
        .filter(spare_asks::answer_by_ms.le(now.as_millis()))
        .order(spare_asks::answer_by_ms)
        .limit(limit)
        .select(COLUMNS)
        .load(conn)?;
    rows.into_iter().map(asked).collect()
}

/// Forgets asks that were answered before `before`; says how many.
pub fn forget(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    Ok(diesel::delete(spare_asks::table.filter(spare_asks::answered_at_ms.lt(before.as_millis()))).execute(conn)?)
}
