//! Sessions: signed-in phones and browsers; below it failed sign-ins.

use diesel::prelude::*;

use super::columns::{parsed, parsed_option};
use super::schema::{sessions, spent_refresh_tokens, used_proofs};
use super::{Conn, StoreError};
use crate::crypto::digest::hexadecimal;
use crate::domain::ids::{LinkId, PersonId, PhoneId, SessionId};
use crate::domain::session::DeviceName;
use crate::domain::time::Timestamp;

mod failures;

pub use failures::{
    clear_failures, clear_failures_of, failures, forget_failures, hold_failures, set_failures, take_failure_back,
};

/// The pair of tokens that a session goes by now: digests, and until when each is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenPair {
    /// SHA-256 of the access token.
    pub access_digest: [u8; 32],
    /// Until when the access token is good, exclusive.
    pub access_ends_at: Timestamp,
    /// SHA-256 of the refresh token.
    pub refresh_digest: [u8; 32],
    /// Until when the refresh token is good, exclusive.
    pub refresh_ends_at: Timestamp,
}

impl TokenPair {
    /// The same tokens, good no longer than until `end`.
    #[must_use]
    pub fn until(self, end: Timestamp) -> Self {
        Self {
            access_ends_at: self.access_ends_at.min(end),
            refresh_ends_at: self.refresh_ends_at.min(end),
            ..self
        }
    }
}

/// A session that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Living {
    /// Which.
    pub id: SessionId,
    /// Whose it is.
    pub person: PersonId,
    /// The guest's link by which it began and the phone that redeemed it; `None` where somebody signed in.
    pub by_link: Option<(LinkId, PhoneId)>,
    /// The thumbprint of the key to which it is bound; `None` where it is bound to none.
    pub key: Option<String>,
    /// When whoever holds it last proved to be that person.
    pub proven_at: Timestamp,
    /// In which hour it was used last.
    pub used_at: Timestamp,
}

/// Begins a session of this name.
pub fn add(
    conn: &mut Conn,
    session: &Living,
    device: &DeviceName,
    tokens: &TokenPair,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (link, phone) = session
        .by_link
        .as_ref()
        .map(|(link, phone)| (link.as_str(), phone.as_str()))
        .unzip();
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(session.id.as_str()),
            sessions::person_id.eq(session.person.as_str()),
            sessions::link_id.eq(link),
            sessions::phone_id.eq(phone),
            sessions::key_thumbprint.eq(session.key.as_deref()),
            sessions::access_digest.eq(hexadecimal(&tokens.access_digest)),
            sessions::access_ends_at_ms.eq(tokens.access_ends_at.as_millis()),
            sessions::refresh_digest.eq(hexadecimal(&tokens.refresh_digest)),
            sessions::refresh_ends_at_ms.eq(tokens.refresh_ends_at.as_millis()),
            sessions::created_at_ms.eq(now.as_millis()),
            sessions::device.eq(device.as_str()),
            sessions::used_at_ms.eq(session.used_at.as_millis()),
            sessions::proven_at_ms.eq(session.proven_at.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

type Row = (String, String, Option<String>, Option<String>, Option<String>, i64, i64);
const ROW: (
    sessions::id,
    sessions::person_id,
    sessions::link_id,
    sessions::phone_id,
    sessions::key_thumbprint,
    sessions::proven_at_ms,
    sessions::used_at_ms,
) = (
    sessions::id,
    sessions::person_id,
    sessions::link_id,
    sessions::phone_id,
    sessions::key_thumbprint,
    sessions::proven_at_ms,
    sessions::used_at_ms,
);

fn living((id, person, link, phone, key, proven, used): Row) -> Result<Living, StoreError> {
    let (link, phone) = (parsed_option(link.as_deref())?, parsed_option(phone.as_deref())?);
    if link.is_some() != phone.is_some() {
        return Err(StoreError::corrupt(
            "a session has a link without a phone, or a phone without a link",
        ));
    }
    Ok(Living {
        id: parsed(&id)?,
        person: parsed(&person)?,
        by_link: link.zip(phone),
        key,
        proven_at: Timestamp::from_millis(proven),
        used_at: Timestamp::from_millis(used),
    })
}

/// The living session whose access token has this digest and is good at `now`.
pub fn find_by_access(conn: &mut Conn, access_digest: &[u8; 32], now: Timestamp) -> Result<Option<Living>, StoreError> {
    let row: Option<Row> = sessions::table
        .filter(sessions::access_digest.eq(hexadecimal(access_digest)))
        .filter(sessions::access_ends_at_ms.gt(now.as_millis()))
        .filter(sessions::ended_at_ms.is_null())
        .select(ROW)
        .get_result(conn)
        .optional()?;
    row.map(living).transpose()
}

/// The living session whose present refresh token has this digest and is good at `now`.
pub fn find_by_refresh(
    conn: &mut Conn,
    refresh_digest: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Living>, StoreError> {
    let row: Option<Row> = sessions::table
        .filter(sessions::refresh_digest.eq(hexadecimal(refresh_digest)))
        .filter(sessions::refresh_ends_at_ms.gt(now.as_millis()))
        .filter(sessions::ended_at_ms.is_null())
        .select(ROW)
        .first(conn)
        .optional()?;
    row.map(living).transpose()
}

/// The living session that exchanged the refresh token of this digest before.
pub fn find_by_spent_refresh(conn: &mut Conn, refresh_digest: &[u8; 32]) -> Result<Option<Living>, StoreError> {
    let row: Option<Row> = sessions::table
        .filter(
            sessions::id.eq_any(
                spent_refresh_tokens::table
                    .filter(spent_refresh_tokens::digest.eq(hexadecimal(refresh_digest)))
                    .select(spent_refresh_tokens::session_id),
            ),
        )
        .filter(sessions::ended_at_ms.is_null())
        .select(ROW)
        .first(conn)
        .optional()?;
    row.map(living).transpose()
}

/// Exchanges the session's tokens: the refresh token of digest `spent` becomes a spent one. Says whether it was still
/// the present one, so that of two exchanges at once one succeeds.
pub fn rotate(conn: &mut Conn, id: &SessionId, spent: &[u8; 32], tokens: &TokenPair) -> Result<bool, StoreError> {
    let rotated = diesel::update(
        sessions::table
            .find(id.as_str())
            .filter(sessions::refresh_digest.eq(hexadecimal(spent)))
            .filter(sessions::ended_at_ms.is_null()),
    )
    .set((
        sessions::access_digest.eq(hexadecimal(&tokens.access_digest)),
        sessions::access_ends_at_ms.eq(tokens.access_ends_at.as_millis()),
        sessions::refresh_digest.eq(hexadecimal(&tokens.refresh_digest)),
        sessions::refresh_ends_at_ms.eq(tokens.refresh_ends_at.as_millis()),
    ))
    .execute(conn)?;
    if rotated == 0 {
        return Ok(false);
    }
    diesel::insert_into(spent_refresh_tokens::table)
        .values((
            spent_refresh_tokens::digest.eq(hexadecimal(spent)),
            spent_refresh_tokens::session_id.eq(id.as_str()),
        ))
        .execute(conn)?;
    Ok(true)
}

/// Whether the session still lives.
pub fn stands(conn: &mut Conn, id: &SessionId) -> Result<bool, StoreError> {
    let living = sessions::table
        .find(id.as_str())
        .filter(sessions::ended_at_ms.is_null())
        .select(sessions::id);
    Ok(living.first::<String>(conn).optional()?.is_some())
}

/// Ends the session for this reason, if it still lives.
pub fn end(conn: &mut Conn, id: &SessionId, reason: &str, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(
        sessions::table
            .find(id.as_str())
            .filter(sessions::ended_at_ms.is_null()),
    )
    .set((
        sessions::ended_at_ms.eq(now.as_millis()),
        sessions::end_reason.eq(reason),
    ))
    .execute(conn)?;
    Ok(())
}

/// Ends the sessions that began by the link, from this phone or from any, for this reason.
pub fn end_of_link(
    conn: &mut Conn,
    link: &LinkId,
    phone: Option<&PhoneId>,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let of_link = sessions::table
        .filter(sessions::link_id.eq(link.as_str()))
        .filter(sessions::ended_at_ms.is_null());
    let ended = (
        sessions::ended_at_ms.eq(now.as_millis()),
        sessions::end_reason.eq(reason),
    );
    match phone {
        Some(phone) => diesel::update(of_link.filter(sessions::phone_id.eq(phone.as_str())))
            .set(ended)
            .execute(conn)?,
        None => diesel::update(of_link).set(ended).execute(conn)?,
    };
    Ok(())
}

/// Ends all of the person's sessions for this reason.
pub fn end_all(conn: &mut Conn, person: &PersonId, reason: &str, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(
        sessions::table
            .filter(sessions::person_id.eq(person.as_str()))
            .filter(sessions::ended_at_ms.is_null()),
    )
    .set((
        sessions::ended_at_ms.eq(now.as_millis()),
        sessions::end_reason.eq(reason),
    ))
    .execute(conn)?;
    Ok(())
}

/// Ends all sessions for this reason; says how many.
pub fn end_every(conn: &mut Conn, reason: &str, now: Timestamp) -> Result<usize, StoreError> {
    Ok(diesel::update(sessions::table.filter(sessions::ended_at_ms.is_null()))
        .set((
            sessions::ended_at_ms.eq(now.as_millis()),
            sessions::end_reason.eq(reason),
        ))
        .execute(conn)?)
}

/// Forgets up to `most` sessions whose refresh token ended before `before`, with their spent tokens; says how many.
pub fn forget_ended(conn: &mut Conn, before: Timestamp, most: i64) -> Result<usize, StoreError> {
    let old: Vec<String> = sessions::table
        .filter(sessions::refresh_ends_at_ms.lt(before.as_millis()))
        .order(sessions::refresh_ends_at_ms)
        .limit(most)
        .select(sessions::id)
        .load(conn)?;
    Ok(diesel::delete(sessions::table.filter(sessions::id.eq_any(&old))).execute(conn)?)
}

/// Forgets all of the person's sessions, with their spent tokens.
pub fn forget_all_of(conn: &mut Conn, person: &PersonId) -> Result<(), StoreError> {
    diesel::delete(sessions::table.filter(sessions::person_id.eq(person.as_str()))).execute(conn)?;
    Ok(())
}

/// Ends the sessions that are bound to the key of this thumbprint, for this reason.
pub fn end_of_key(conn: &mut Conn, thumbprint: &str, reason: &str, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(
        sessions::table
            .filter(sessions::key_thumbprint.eq(thumbprint))
            .filter(sessions::ended_at_ms.is_null()),
    )
    .set((
        sessions::ended_at_ms.eq(now.as_millis()),
        sessions::end_reason.eq(reason),
    ))
    .execute(conn)?;
    Ok(())
}

/// Uses a proof up; says whether it was not used before.
pub fn use_proof(conn: &mut Conn, digest: &[u8; 32], now: Timestamp) -> Result<bool, StoreError> {
    let added = diesel::insert_into(used_proofs::table)
        .values((
            used_proofs::digest.eq(hexadecimal(digest)),
            used_proofs::used_at_ms.eq(now.as_millis()),
        ))
        .execute(conn);
    match added.map_err(StoreError::from) {
        Ok(_) => Ok(true),
        Err(StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Forgets proofs that were used before `before`; says how many.
pub fn forget_proofs(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    Ok(diesel::delete(used_proofs::table.filter(used_proofs::used_at_ms.lt(before.as_millis()))).execute(conn)?)
}
