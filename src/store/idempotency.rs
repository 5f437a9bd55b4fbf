//! Answers kept for requests that may come twice.

use diesel::prelude::*;

use super::schema::idempotent_requests;
use super::{Conn, StoreError};
use crate::crypto::digest::hexadecimal;
use crate::domain::time::Timestamp;

/// What is known of a request that came before under the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// SHA-256 of the request, hexadecimal.
    pub request_digest: String,
    /// Its answer, sealed; `None` while it is being worked on.
    pub answer: Option<String>,
    /// When it came.
    pub created_at: Timestamp,
}

/// The request that came before under the key of this digest, or `None` after noting this one down as the first.
pub fn begin(
    conn: &mut Conn,
    subject: &[u8; 32],
    request_digest: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Known>, StoreError> {
    let known: Option<(String, Option<String>, i64)> = idempotent_requests::table
        .find(hexadecimal(subject))
        .select((
            idempotent_requests::request_digest,
            idempotent_requests::answer,
            idempotent_requests::created_at_ms,
        ))
        .first(conn)
        .optional()?;
    if let Some((request_digest, answer, ms)) = known {
        return Ok(Some(Known {
            request_digest,
            answer,
            created_at: Timestamp::from_millis(ms),
        }));
    }
    diesel::insert_into(idempotent_requests::table)
        .values((
            idempotent_requests::subject.eq(hexadecimal(subject)),
            idempotent_requests::request_digest.eq(hexadecimal(request_digest)),
            idempotent_requests::created_at_ms.eq(now.as_millis()),
        ))
        .execute(conn)?;
    Ok(None)
}

/// Keeps the sealed answer of the request.
pub fn finish(conn: &mut Conn, subject: &[u8; 32], answer: &str) -> Result<(), StoreError> {
    diesel::update(idempotent_requests::table.find(hexadecimal(subject)))
        .set(idempotent_requests::answer.eq(answer))
        .execute(conn)?;
    Ok(())
}

/// Forgets the request: it failed in a way that a repetition may mend.
pub fn forget(conn: &mut Conn, subject: &[u8; 32]) -> Result<(), StoreError> {
    diesel::delete(idempotent_requests::table.find(hexadecimal(subject))).execute(conn)?;
    Ok(())
}

/// Forgets requests that came before `before`; says how many.
pub fn forget_older(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    let old = idempotent_requests::table.filter(idempotent_requests::created_at_ms.lt(before.as_millis()));
    Ok(diesel::delete(old).execute(conn)?)
}
