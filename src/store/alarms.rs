//! How far people were told of the alarms in each log.

use diesel::prelude::*;

use super::columns::parsed;
use super::schema::{access_log_heads, alarms_told};
use super::{Conn, StoreError};
use crate::domain::ids::OrganizationId;

/// The logs that say more than was told of: each with the number up to which it was told, and its last one; at most `limit`.
pub fn untold(conn: &mut Conn, limit: i64) -> Result<Vec<(OrganizationId, i64, i64)>, StoreError> {
    let rows: Vec<(String, i64, Option<i64>)> = access_log_heads::table
        .left_join(alarms_told::table.on(alarms_told::organization_id.eq(access_log_heads::organization_id)))
        .filter(access_log_heads::last_seq.gt(0))
        .filter(
            alarms_told::told_seq
                .is_null()
                .or(alarms_told::told_seq.assume_not_null().lt(access_log_heads::last_seq)),
        )
        .limit(limit)
        .select((
            access_log_heads::organization_id,
            access_log_heads::last_seq,
            alarms_told::told_seq.nullable(),
        ))
        .load(conn)?;
    let untold = |(organization, end, told): (String, i64, Option<i64>)| {
        Ok((parsed(&organization)?, told.unwrap_or_default(), end))
    };
    rows.into_iter().map(untold).collect()
}

/// It was told up to `told` of the organization's log, if it had been up to `before`; says whether it had.
pub fn mark(conn: &mut Conn, organization: &OrganizationId, before: i64, told: i64) -> Result<bool, StoreError> {
    let mark = alarms_told::table.find(organization.as_str());
    let moved = diesel::update(mark.filter(alarms_told::told_seq.eq(before)))
        .set(alarms_told::told_seq.eq(told))
        .execute(conn)?;
    if moved > 0 {
        return Ok(true);
    }
    let known: Option<i64> = mark.select(alarms_told::told_seq).first(conn).optional()?;
    if known.is_some() || before != 0 {
        return Ok(false);
    }
    let added = diesel::insert_into(alarms_told::table)
        .values((
            alarms_told::organization_id.eq(organization.as_str()),
            alarms_told::told_seq.eq(told),
        ))
        .execute(conn)?;
    Ok(added > 0)
}
