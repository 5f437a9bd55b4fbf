//! Counted uses of grants: taken one by one, never more than there are.

use diesel::prelude::*;

use crate::domain::grant::Uses;
use crate::domain::ids::GrantId;
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::columns::parsed_option;
use crate::store::schema::grants;
use crate::store::{Conn, StoreError};

/// The grant's counted uses as they are now; `None` where they are not counted.
pub fn uses(conn: &mut Conn, id: &GrantId) -> Result<Option<Uses>, StoreError> {
    let row: Option<(Option<i64>, i64)> = grants::table
        .find(id.as_str())
        .select((grants::uses_limit, grants::uses_taken))
        .get_result(conn)
        .optional()?;
    let Some((Some(limit), taken)) = row else {
        return Ok(None);
    };
    let count = |n: i64| u32::try_from(n).map_err(StoreError::corrupt);
    Uses::with_taken(count(limit)?, count(taken)?)
        .map(Some)
        .map_err(StoreError::corrupt)
}

/// Takes one of the grant's counted uses, and one of the grant's under which it hangs, where that counts them. Says whether
/// each had one left, so that of two last uses at once one succeeds; where one had none, none is taken.
pub fn take_use(conn: &mut Conn, id: &GrantId, now: Timestamp) -> Result<bool, StoreError> {
    let above = counted_above(conn, id)?;
    let is_counted = uses(conn, id)?.is_some();
    let mut taken_of = Vec::new();
    // The giver's row before the grant's: in the order in which whoever ends them takes them.
    for counted in above.iter().chain(Some(id).filter(|_| is_counted || above.is_none())) {
        let taken = diesel::update(
            grants::table
                .find(counted.as_str())
                .filter(grants::uses_taken.nullable().lt(grants::uses_limit)),
        )
        .set((
            grants::uses_taken.eq(grants::uses_taken + 1),
            grants::used_at_ms.eq(now.as_millis()),
        ))
        .execute(conn)?;
        if taken == 0 {
            for counted in taken_of {
                give_one_back(conn, counted)?;
            }
            return Ok(false);
        }
        taken_of.push(counted);
    }
    Ok(true)
}

/// The grant under which this one hangs, where it counts its uses.
fn counted_above(conn: &mut Conn, id: &GrantId) -> Result<Option<GrantId>, StoreError> {
    let above: Option<Option<String>> = grants::table
        .find(id.as_str())
        .select(grants::under)
        .get_result(conn)
        .optional()?;
    let source: Option<RightSource> = parsed_option(above.flatten().as_deref())?;
    match source {
        Some(RightSource::Grant(giver)) if uses(conn, &giver)?.is_some() => Ok(Some(giver)),
        _ => Ok(None),
    }
}

/// Gives a taken use back: the movement it was taken for did not happen and cannot happen any more.
pub fn give_use_back(conn: &mut Conn, id: &GrantId) -> Result<(), StoreError> {
    for counted in counted_above(conn, id)?.iter().chain(Some(id)) {
        give_one_back(conn, counted)?;
    }
    Ok(())
}

fn give_one_back(conn: &mut Conn, id: &GrantId) -> Result<(), StoreError> {
    diesel::update(grants::table.find(id.as_str()).filter(grants::uses_taken.gt(0)))
        .set(grants::uses_taken.eq(grants::uses_taken - 1))
        .execute(conn)?;
    Ok(())
}
