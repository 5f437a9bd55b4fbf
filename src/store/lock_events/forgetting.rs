//! Forgetting what locks signed: the hashes stay, by which the chain goes on being verified.

use diesel::prelude::*;

use crate::crypto::tokens::hash_of_twin;
use crate::domain::ids::{LockId, PropertyId};
use crate::domain::lock::LockState;
use crate::domain::time::Timestamp;
use crate::store::columns::parsed;
use crate::store::schema::{lock_events, locks};
use crate::store::{Conn, StoreError};

/// A day in milliseconds: as near as the time of a forgotten event stays known.
const DAY: i64 = 24 * 3600 * 1000;

/// An event to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    lock: LockId,
    chain: String,
    seq: i64,
    token: String,
    received_at: Timestamp,
}

/// Up to `limit` events of locks of the property that were received before `before`. One that waits behind a gap stays: the
/// chain cannot be followed without it. A retired lock's gaps are closed by nobody.
pub fn older(
    conn: &mut Conn,
    property: &PropertyId,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<Leaving>, StoreError> {
    let is_behind_no_gap = locks::chain
        .is_null()
        .or(locks::chain.ne(lock_events::chain.nullable()))
        .or(lock_events::seq.le(locks::chain_seq))
        .or(locks::state.eq(LockState::Retired.as_str()));
    let rows: Vec<(String, String, i64, String, i64)> = lock_events::table
        .inner_join(locks::table.on(locks::id.eq(lock_events::lock_id)))
        .filter(locks::property_id.eq(property.as_str()))
        .filter(lock_events::forgotten.eq(false))
        .filter(lock_events::received_at_ms.lt(before.as_millis()))
        .filter(is_behind_no_gap)
        .limit(limit)
        .select((
            lock_events::lock_id,
            lock_events::chain,
            lock_events::seq,
            lock_events::token,
            lock_events::received_at_ms,
        ))
        .load(conn)?;
    rows.into_iter()
        .map(|(lock, chain, seq, token, received_at)| {
            Ok(Leaving {
                lock: parsed(&lock)?,
                chain,
                seq,
                token,
                received_at: Timestamp::from_millis(received_at),
            })
        })
        .collect()
}

/// Forgets what these events said.
pub fn forget(conn: &mut Conn, events: &[Leaving]) -> Result<(), StoreError> {
    for event in events {
        diesel::update(lock_events::table.find((event.lock.as_str(), event.chain.as_str(), event.seq)))
            .filter(lock_events::forgotten.eq(false))
            .set((
                lock_events::kind.eq("forgotten"),
                lock_events::token.eq(""),
                lock_events::twin_hash.eq(hash_of_twin(&event.token)),
                lock_events::received_at_ms.eq(event.received_at.as_millis() / DAY * DAY),
                lock_events::forgotten.eq(true),
            ))
            .execute(conn)?;
    }
    Ok(())
}
