//! Work that one node does for all: which one, and until when.

use diesel::prelude::*;

use super::schema::leases;
use super::{Conn, StoreError};
use crate::domain::time::Timestamp;

/// Takes or keeps the lease for `holder` until `ends_at`, unless another one's runs at `now`; says whether it is theirs.
pub fn hold(conn: &mut Conn, name: &str, holder: &str, now: Timestamp, ends_at: Timestamp) -> Result<bool, StoreError> {
    let free = leases::holder.eq(holder).or(leases::ends_at_ms.le(now.as_millis()));
    let held = diesel::update(leases::table.find(name))
        .filter(free)
        .set((leases::holder.eq(holder), leases::ends_at_ms.eq(ends_at.as_millis())))
        .execute(conn)?;
    Ok(held > 0)
}

/// Ends the lease, if it is `holder`'s: the next who asks has it.
pub fn release(conn: &mut Conn, name: &str, holder: &str) -> Result<(), StoreError> {
    diesel::update(leases::table.find(name))
        .filter(leases::holder.eq(holder))
        .set(leases::ends_at_ms.eq(0))
        .execute(conn)?;
    Ok(())
}
