//! Failed sign-ins, by the digest of the account or of the address that was tried.

use diesel::prelude::*;

use crate::crypto::digest::hexadecimal;
use crate::domain::time::Timestamp;
use crate::store::schema::sign_in_failures;
use crate::store::{Conn, StoreError};

/// Failures to sign in that are on record for a subject (the digest of an account or of an address): how many, and
/// when the last one was. Taken for update: on Postgres they are held until the transaction ends, so that tries that
/// come at once see each other.
pub fn failures(conn: &mut Conn, subject: &[u8; 32]) -> Result<Option<(u32, Timestamp)>, StoreError> {
    let row: Option<(i64, i64)> = diesel::update(sign_in_failures::table.find(hexadecimal(subject)))
        .set(sign_in_failures::failures.eq(sign_in_failures::failures))
        .returning((sign_in_failures::failures, sign_in_failures::last_at_ms))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(count, ms)| (u32::try_from(count).unwrap_or(u32::MAX), Timestamp::from_millis(ms))))
}

/// As [`failures`], and none of a subject that has no record yet: it has one then, so that it can be held.
pub fn hold_failures(conn: &mut Conn, subject: &[u8; 32], none_at: Timestamp) -> Result<(u32, Timestamp), StoreError> {
    if let Some(found) = failures(conn, subject)? {
        return Ok(found);
    }
    add_failures(conn, subject, 0, none_at)?;
    Ok(failures(conn, subject)?.unwrap_or((0, none_at)))
}

/// Puts failures on record for the subject.
pub fn set_failures(conn: &mut Conn, subject: &[u8; 32], count: u32, last_at: Timestamp) -> Result<(), StoreError> {
    if !replace_failures(conn, subject, count, last_at)? {
        add_failures(conn, subject, count, last_at)?;
        replace_failures(conn, subject, count, last_at)?;
    }
    Ok(())
}

fn replace_failures(conn: &mut Conn, subject: &[u8; 32], count: u32, last_at: Timestamp) -> Result<bool, StoreError> {
    let replaced = diesel::update(sign_in_failures::table.find(hexadecimal(subject)))
        .set((
            sign_in_failures::failures.eq(i64::from(count)),
            sign_in_failures::last_at_ms.eq(last_at.as_millis()),
        ))
        .execute(conn)?;
    Ok(replaced > 0)
}

/// Adds a record where there is none; another node may be as fast.
fn add_failures(conn: &mut Conn, subject: &[u8; 32], count: u32, last_at: Timestamp) -> Result<(), StoreError> {
    let record = (
        sign_in_failures::subject.eq(hexadecimal(subject)),
        sign_in_failures::failures.eq(i64::from(count)),
        sign_in_failures::last_at_ms.eq(last_at.as_millis()),
    );
    let add = diesel::insert_into(sign_in_failures::table).values(record);
    match conn {
        Conn::Sqlite(conn) => add.execute(conn)?,
        Conn::Postgres(conn) => add.on_conflict_do_nothing().execute(conn)?,
    };
    Ok(())
}

/// Takes back one failure, which was put on record as `booked` over `before`. Those that were added meanwhile stay.
pub fn take_failure_back(
    conn: &mut Conn,
    subject: &[u8; 32],
    booked: (u32, Timestamp),
    before: (u32, Timestamp),
) -> Result<(), StoreError> {
    let record = sign_in_failures::table.find(hexadecimal(subject));
    let restored = diesel::update(
        record
            .clone()
            .filter(sign_in_failures::failures.eq(i64::from(booked.0)))
            .filter(sign_in_failures::last_at_ms.eq(booked.1.as_millis())),
    )
    .set((
        sign_in_failures::failures.eq(i64::from(before.0)),
        sign_in_failures::last_at_ms.eq(before.1.as_millis()),
    ))
    .execute(conn)?;
    if restored == 0 {
        diesel::update(record.filter(sign_in_failures::failures.gt(0)))
            .set(sign_in_failures::failures.eq(sign_in_failures::failures - 1))
            .execute(conn)?;
    }
    Ok(())
}

/// Forgets the failures of the subject.
pub fn clear_failures(conn: &mut Conn, subject: &[u8; 32]) -> Result<(), StoreError> {
    diesel::delete(sign_in_failures::table.find(hexadecimal(subject))).execute(conn)?;
    Ok(())
}

/// As [`clear_failures`], of a subject whose digest was kept as text.
pub fn clear_failures_of(conn: &mut Conn, subject: &str) -> Result<(), StoreError> {
    diesel::delete(sign_in_failures::table.find(subject)).execute(conn)?;
    Ok(())
}

/// Forgets failures that were last added to before `before`; says how many subjects that were.
pub fn forget_failures(conn: &mut Conn, before: Timestamp) -> Result<usize, StoreError> {
    Ok(
        diesel::delete(sign_in_failures::table.filter(sign_in_failures::last_at_ms.lt(before.as_millis())))
            .execute(conn)?,
    )
}
