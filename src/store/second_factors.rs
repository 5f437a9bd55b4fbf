//! Second factors and recovery codes.

use diesel::prelude::*;

use super::schema::{recovery_codes, second_factors};
use super::{Conn, StoreError};
use crate::domain::ids::PersonId;
use crate::domain::time::Timestamp;

/// A second factor as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The shared secret, sealed.
    pub sealed: String,
    /// When the secret was made.
    pub begun_at: Timestamp,
    /// When its device showed that it knows it; `None` while it does not count.
    pub confirmed_at: Option<Timestamp>,
    /// The step of time whose code counted last.
    pub last_step: i64,
}

/// The person's second factor, confirmed or not.
pub fn find(conn: &mut Conn, person: &PersonId) -> Result<Option<Kept>, StoreError> {
    let row: Option<(String, i64, Option<i64>, i64)> = second_factors::table
        .find(person.as_str())
        .select((
            second_factors::sealed,
            second_factors::begun_at_ms,
            second_factors::confirmed_at_ms,
            second_factors::last_step,
        ))
        .first(conn)
        .optional()?;
    Ok(row.map(|(sealed, begun_at, confirmed_at, last_step)| Kept {
        sealed,
        begun_at: Timestamp::from_millis(begun_at),
        confirmed_at: confirmed_at.map(Timestamp::from_millis),
        last_step,
    }))
}

/// Keeps a secret that nobody has confirmed yet, in the place of such a one from before. Says whether it did: not where the
/// person has a second factor already.
pub fn begin(conn: &mut Conn, person: &PersonId, sealed: &str, now: Timestamp) -> Result<bool, StoreError> {
    let unconfirmed = second_factors::table
        .find(person.as_str())
        .filter(second_factors::confirmed_at_ms.is_null());
    diesel::delete(unconfirmed).execute(conn)?;
    if find(conn, person)?.is_some() {
        return Ok(false);
    }
    let add = diesel::insert_into(second_factors::table).values((
        second_factors::person_id.eq(person.as_str()),
        second_factors::sealed.eq(sealed),
        second_factors::begun_at_ms.eq(now.as_millis()),
        second_factors::last_step.eq(-1),
    ));
    let added = match conn {
        Conn::Sqlite(conn) => add.execute(conn)?,
        // Another node may be as fast.
        Conn::Postgres(conn) => add.on_conflict_do_nothing().execute(conn)?,
    };
    Ok(added > 0)
}

/// Has the unconfirmed secret count from now on; says whether there was one.
pub fn confirm(conn: &mut Conn, person: &PersonId, step: i64, now: Timestamp) -> Result<bool, StoreError> {
    let unconfirmed = second_factors::table
        .find(person.as_str())
        .filter(second_factors::confirmed_at_ms.is_null());
    let confirmed = diesel::update(unconfirmed)
        .set((
            second_factors::confirmed_at_ms.eq(now.as_millis()),
            second_factors::last_step.eq(step),
        ))
        .execute(conn)?;
    Ok(confirmed > 0)
}

/// Uses up the step of time; says whether it was not used before. Of two requests at once, one is told so.
pub fn use_step(conn: &mut Conn, person: &PersonId, step: i64) -> Result<bool, StoreError> {
    let fresh = second_factors::table
        .find(person.as_str())
        .filter(second_factors::last_step.lt(step));
    let used = diesel::update(fresh)
        .set(second_factors::last_step.eq(step))
        .execute(conn)?;
    Ok(used > 0)
}

/// Uses up the recovery code of this digest; says whether there was such an unused one.
pub fn use_code(conn: &mut Conn, person: &PersonId, digest: &str, now: Timestamp) -> Result<bool, StoreError> {
    let unused = recovery_codes::table
        .find((person.as_str(), digest))
        .filter(recovery_codes::used_at_ms.is_null());
    let used = diesel::update(unused)
        .set(recovery_codes::used_at_ms.eq(now.as_millis()))
        .execute(conn)?;
    Ok(used > 0)
}

/// How many recovery codes the person has not used.
pub fn codes_left(conn: &mut Conn, person: &PersonId) -> Result<usize, StoreError> {
    let left: i64 = recovery_codes::table
        .filter(recovery_codes::person_id.eq(person.as_str()))
        .filter(recovery_codes::used_at_ms.is_null())
        .count()
        .get_result(conn)?;
    Ok(usize::try_from(left).unwrap_or(0))
}

/// Replaces the person's recovery codes by those of these digests.
pub fn replace_codes(conn: &mut Conn, person: &PersonId, digests: &[String], now: Timestamp) -> Result<(), StoreError> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::person_id.eq(person.as_str()))).execute(conn)?;
    for digest in digests {
        diesel::insert_into(recovery_codes::table)
            .values((
                recovery_codes::person_id.eq(person.as_str()),
                recovery_codes::digest.eq(digest),
                recovery_codes::made_at_ms.eq(now.as_millis()),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Forgets the person's second factor and recovery codes; says whether one counted.
pub fn remove(conn: &mut Conn, person: &PersonId) -> Result<bool, StoreError> {
    let counted = find(conn, person)?.is_some_and(|kept| kept.confirmed_at.is_some());
    diesel::delete(recovery_codes::table.filter(recovery_codes::person_id.eq(person.as_str()))).execute(conn)?;
    diesel::delete(second_factors::table.find(person.as_str())).execute(conn)?;
    Ok(counted)
}
