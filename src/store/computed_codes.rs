//! Computed codes that were given: what they were computed from, never the digits.

use diesel::prelude::*;

use super::columns::parsed;
use super::pins::speaking;
use super::schema::computed_codes;
use super::{Conn, StoreError};
use crate::domain::ids::{GrantId, LockId};
use crate::domain::pin::{CodeDays, ComputedCode};
use crate::domain::time::Timestamp;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = computed_codes)]
struct Row {
    lock_id: String,
    enrolment: i64,
    generation: i64,
    first_day: i64,
    days: i64,
    serial: i64,
    grant_id: String,
    given_at_ms: i64,
    starts_at_ms: i64,
    first_use_before_ms: i64,
    ends_at_ms: i64,
    after_chain: Option<String>,
    after_seq: i64,
}

impl Row {
    fn into_domain(self) -> Result<ComputedCode, StoreError> {
        let count = |number: i64| u32::try_from(number).map_err(StoreError::corrupt);
        let small = |number: i64| u8::try_from(number).map_err(StoreError::corrupt);
        Ok(ComputedCode {
            lock: parsed(&self.lock_id)?,
            enrolment: count(self.enrolment)?,
            generation: count(self.generation)?,
            days: CodeDays {
                first_day: count(self.first_day)?,
                days: small(self.days)?,
                starts_at: Timestamp::from_millis(self.starts_at_ms),
                first_use_before: Timestamp::from_millis(self.first_use_before_ms),
                ends_at: Timestamp::from_millis(self.ends_at_ms),
            },
            serial: small(self.serial)?,
            grant: parsed(&self.grant_id)?,
            given_at: Timestamp::from_millis(self.given_at_ms),
            after: (self.after_chain, self.after_seq),
        })
    }
}

/// Notes that a code was given.
///
/// # Errors
/// [`StoreError::Conflict`] where it was given already.
pub fn add(conn: &mut Conn, code: &ComputedCode) -> Result<(), StoreError> {
    diesel::insert_into(computed_codes::table)
        .values(Row {
            lock_id: code.lock.to_string(),
            enrolment: i64::from(code.enrolment),
            generation: i64::from(code.generation),
            first_day: i64::from(code.days.first_day),
            days: i64::from(code.days.days),
            serial: i64::from(code.serial),
            grant_id: code.grant.to_string(),
            given_at_ms: code.given_at.as_millis(),
            starts_at_ms: code.days.starts_at.as_millis(),
            first_use_before_ms: code.days.first_use_before.as_millis(),
            ends_at_ms: code.days.ends_at.as_millis(),
            after_chain: code.after.0.clone(),
            after_seq: code.after.1,
        })
        .execute(conn)?;
    Ok(())
}

/// The serials of the lock's codes for these days that were given in this generation.
pub fn serials(
    conn: &mut Conn,
    lock: &LockId,
    (enrolment, generation): (u32, u32),
    (first_day, days): (u32, u8),
) -> Result<Vec<u8>, StoreError> {
    let serials: Vec<i64> = computed_codes::table
        .filter(computed_codes::lock_id.eq(lock.as_str()))
        .filter(computed_codes::enrolment.eq(i64::from(enrolment)))
        .filter(computed_codes::generation.eq(i64::from(generation)))
        .filter(computed_codes::first_day.eq(i64::from(first_day)))
        .filter(computed_codes::days.eq(i64::from(days)))
        .select(computed_codes::serial)
        .load(conn)?;
    serials
        .into_iter()
        .map(|serial| u8::try_from(serial).map_err(StoreError::corrupt))
        .collect()
}

/// The codes that were given by the grant, the oldest first.
pub fn of_grant(conn: &mut Conn, grant: &GrantId) -> Result<Vec<ComputedCode>, StoreError> {
    let rows: Vec<Row> = computed_codes::table
        .filter(computed_codes::grant_id.eq(grant.as_str()))
        .order((computed_codes::given_at_ms, computed_codes::lock_id))
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// The lock's codes that count after `now`, the oldest first.
pub fn of_lock(conn: &mut Conn, lock: &LockId, now: Timestamp) -> Result<Vec<ComputedCode>, StoreError> {
    let rows: Vec<Row> = computed_codes::table
        .filter(computed_codes::lock_id.eq(lock.as_str()))
        .filter(computed_codes::ends_at_ms.gt(now.as_millis()))
        .order((computed_codes::given_at_ms, computed_codes::serial))
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// For whom the code of these days and this serial spoke when the lock, in this enrolment, said the event of this number.
pub fn code_at(
    conn: &mut Conn,
    (lock, enrolment): (&LockId, u32),
    (first_day, days, serial): (u32, u8, u8),
    (chain, seq): (&str, i64),
) -> Result<Option<ComputedCode>, StoreError> {
    let rows: Vec<Row> = computed_codes::table
        .filter(computed_codes::lock_id.eq(lock.as_str()))
        .filter(computed_codes::enrolment.eq(i64::from(enrolment)))
        .filter(computed_codes::first_day.eq(i64::from(first_day)))
        .filter(computed_codes::days.eq(i64::from(days)))
        .filter(computed_codes::serial.eq(i64::from(serial)))
        .order(computed_codes::generation.desc())
        .select(Row::as_select())
        .load(conn)?;
    let codes = rows.into_iter().map(Row::into_domain).collect::<Result<_, _>>()?;
    Ok(speaking(codes, |code: &ComputedCode| &code.after, (chain, seq)))
}
