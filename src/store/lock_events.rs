//! What locks say of themselves: their event chains and their last reports.

use std::collections::HashMap;

use diesel::prelude::*;

use super::kept::Kept;
use super::schema::{lock_events, lock_reports, locks};
use super::{Conn, StoreError};
use crate::crypto::tokens::{is_hash_of, is_same_statement};
use crate::domain::chain::Progress;
use crate::domain::ids::LockId;
use crate::domain::lock::{Assurance, BATTERY_LOW, BATTERY_WELL, Bolt, Door, LockClock, LockState};
use crate::domain::time::Timestamp;

mod forgetting;

pub use forgetting::{Leaving, forget, older};

/// How many events behind a gap are looked at for further gaps.
const SHOWN_BEYOND: i64 = 1000;

/// The end of a lock's event chain as far as it is stored without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainEnd {
    /// Which chain: a factory reset begins a new one. `None` before the first event.
    pub chain: Option<String>,
    /// Number of the last event before the first gap; -1 before the first event.
    pub seq: i64,
    /// SHA-256 of that event's token, base64url.
    pub head: Option<String>,
}

/// The end of the lock's chain, as long as its enrolment is the one of this number: the chain of a controller that was
/// replaced meanwhile is closed. Taken for update: on Postgres the lock's row is held until the transaction ends, so
/// that two nodes that receive events of one lock take turns.
pub fn chain_end(conn: &mut Conn, id: &LockId, enrolment: u32) -> Result<Option<ChainEnd>, StoreError> {
    let row: Option<(Option<String>, i64, Option<String>)> = Kept(
        diesel::update(
            locks::table
                .find(id.as_str())
                .filter(locks::enrolments.eq(i64::from(enrolment))),
        )
        .set(locks::chain_seq.eq(locks::chain_seq))
        .returning((locks::chain, locks::chain_seq, locks::chain_head)),
    )
    .get_result(conn)
    .optional()?;
    Ok(row.map(|(chain, seq, head)| ChainEnd { chain, seq, head }))
}

/// How far the lock's present chain is stored, and what the lock has told of it.
pub fn progress(conn: &mut Conn, id: &LockId) -> Result<Progress, StoreError> {
    type Row = (Option<String>, i64, Option<String>, Option<i64>);
    let row: Option<Row> = locks::table
        .inner_join(lock_reports::table)
        .filter(locks::id.eq(id.as_str()))
        .select((
            locks::chain,
            locks::chain_seq,
            lock_reports::head_chain,
            lock_reports::head_seq,
        ))
        .get_result(conn)
        .optional()?;
    let Some((chain, seq, head_chain, head_seq)) = row else {
        return Ok(Progress::default());
    };
    let number = |seq: i64| u64::try_from(seq).map_err(StoreError::corrupt);
    let beyond: Vec<i64> = match &chain {
        Some(chain) => lock_events::table
            .filter(lock_events::lock_id.eq(id.as_str()))
            .filter(lock_events::chain.eq(chain))
            .filter(lock_events::seq.gt(seq))
            .order(lock_events::seq)
            .limit(SHOWN_BEYOND)
            .select(lock_events::seq)
            .load(conn)?,
        None => Vec::new(),
    };
    Ok(Progress {
        chain,
        events: number(seq + 1)?,
        beyond: beyond.into_iter().map(number).collect::<Result<_, _>>()?,
        told: head_chain.zip(head_seq.map(number).transpose()?),
    })
}

/// Moves the end of the lock's chain.
pub fn set_chain_end(conn: &mut Conn, id: &LockId, end: &ChainEnd) -> Result<(), StoreError> {
    Kept(diesel::update(locks::table.find(id.as_str())).set((
        locks::chain.eq(&end.chain),
        locks::chain_seq.eq(end.seq),
        locks::chain_head.eq(&end.head),
    )))
    .execute(conn)?;
    Ok(())
}

/// Notes who vouches for what the lock says.
pub fn set_assurance(conn: &mut Conn, id: &LockId, assurance: Option<Assurance>) -> Result<(), StoreError> {
    Kept(diesel::update(locks::table.find(id.as_str())).set(locks::assurance.eq(assurance.map(Assurance::as_str))))
        .execute(conn)?;
    Ok(())
}

/// Sets the lock apart because two histories of it were seen; says whether it was not so before.
pub fn quarantine(conn: &mut Conn, id: &LockId, now: Timestamp) -> Result<bool, StoreError> {
    let changed = diesel::update(
        locks::table
            .find(id.as_str())
            .filter(locks::quarantined_at_ms.is_null()),
    )
    .set(locks::quarantined_at_ms.eq(now.as_millis()))
    .execute(conn)?;
    Ok(changed > 0)
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// SHA-256 of its token, base64url.
    pub hash: String,
    /// The event as the lock signed it.
    pub token: String,
}

/// An event that was stored, as far as it is still known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// As the lock signed it.
    Signed(StoredEvent),
    /// What it said is forgotten; the hashes of both its forms are left.
    Forgotten {
        /// SHA-256 of its token, base64url.
        hash: String,
        /// The same of its token's other form.
        twin_hash: Option<String>,
    },
}

impl Known {
    /// Whether a verified event of the same place says the same.
    #[must_use]
    pub fn says_the_same(&self, event: &StoredEvent) -> bool {
        match self {
            Self::Signed(known) => is_same_statement(&known.token, &event.token),
            Self::Forgotten { .. } => self.has_hash(&event.hash),
        }
    }

    /// Whether `hash` is that of it in either form.
    #[must_use]
    pub fn has_hash(&self, hash: &str) -> bool {
        match self {
            Self::Signed(known) => is_hash_of(hash, &known.token),
            Self::Forgotten { hash: known, twin_hash } => known == hash || twin_hash.as_deref() == Some(hash),
        }
    }

    /// The event as the lock signed it.
    #[must_use]
    pub fn signed(self) -> Option<StoredEvent> {
        match self {
            Self::Signed(event) => Some(event),
            Self::Forgotten { .. } => None,
        }
    }
}

/// The event of this number, if it was stored.
pub fn find(conn: &mut Conn, id: &LockId, chain: &str, seq: i64) -> Result<Option<Known>, StoreError> {
    type Row = (String, String, Option<String>, bool);
    let row: Option<Row> = lock_events::table
        .find((id.as_str(), chain, seq))
        .select((
            lock_events::hash,
            lock_events::token,
            lock_events::twin_hash,
            lock_events::forgotten,
        ))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(hash, token, twin_hash, forgotten)| match forgotten {
        true => Known::Forgotten { hash, twin_hash },
        false => Known::Signed(StoredEvent { hash, token }),
    }))
}

/// The lowest number above `beyond` of which an event is stored.
pub fn next_stored(conn: &mut Conn, id: &LockId, chain: &str, beyond: i64) -> Result<Option<i64>, StoreError> {
    Ok(lock_events::table
        .filter(lock_events::lock_id.eq(id.as_str()))
        .filter(lock_events::chain.eq(chain))
        .filter(lock_events::seq.gt(beyond))
        .order(lock_events::seq)
        .select(lock_events::seq)
        .first(conn)
        .optional()?)
}

/// Whether an event of this kind is stored whose number is above `beyond`.
pub fn has_beyond(conn: &mut Conn, id: &LockId, chain: &str, beyond: i64, kind: &str) -> Result<bool, StoreError> {
    let found: Option<i64> = lock_events::table
        .filter(lock_events::lock_id.eq(id.as_str()))
        .filter(lock_events::chain.eq(chain))
        .filter(lock_events::seq.gt(beyond))
        .filter(lock_events::kind.eq(kind))
        .select(lock_events::seq)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}

/// Stores an event that is not stored yet.
///
/// # Errors
/// [`StoreError::Conflict`] where one of this number is stored already.
pub fn add(
    conn: &mut Conn,
    id: &LockId,
    (chain, seq): (&str, i64),
    kind: &str,
    event: &StoredEvent,
    now: Timestamp,
) -> Result<(), StoreError> {
    diesel::insert_into(lock_events::table)
        .values((
            lock_events::lock_id.eq(id.as_str()),
            lock_events::chain.eq(chain),
            lock_events::seq.eq(seq),
            lock_events::hash.eq(&event.hash),
            lock_events::kind.eq(kind),
            lock_events::token.eq(&event.token),
            lock_events::received_at_ms.eq(now.as_millis()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Records that the lock was seen connected, or away, at `at`.
pub fn report_online(conn: &mut Conn, id: &LockId, online: bool, at: Timestamp) -> Result<(), StoreError> {
    Kept(diesel::update(lock_reports::table.find(id.as_str())).set((
        lock_reports::online.eq(online),
        lock_reports::online_at_ms.eq(at.as_millis()),
    )))
    .execute(conn)?;
    Ok(())
}

/// What was observed of the lock's mechanics at `at`; what is `None` was not observed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Observation {
    /// Where the bolt is.
    pub bolt: Option<Bolt>,
    /// Whether the door is closed.
    pub door: Option<Door>,
    /// What is left in the battery, in per cent.
    pub battery: Option<u8>,
}

/// Records what was observed, unless something newer is known: a late report never turns the clock back. Says whether the
/// battery is low by it and was not before ([`BATTERY_LOW`]).
pub fn report(conn: &mut Conn, id: &LockId, seen: Observation, at: Timestamp) -> Result<bool, StoreError> {
    let at_ms = at.as_millis();
    if let Some(bolt) = seen.bolt {
        let update = diesel::update(lock_reports::table.find(id.as_str())).filter(
            lock_reports::bolt_at_ms
                .is_null()
                .or(lock_reports::bolt_at_ms.le(at_ms)),
        );
        let known = (lock_reports::bolt.eq(bolt.as_str()), lock_reports::bolt_at_ms.eq(at_ms));
        if bolt == Bolt::Unknown {
            Kept(update.set(known)).execute(conn)?;
        } else {
            // At one of its ends it is not stuck any more.
            Kept(update.set((known, lock_reports::jammed_at_ms.eq(None::<i64>)))).execute(conn)?;
        }
    }
    if let Some(door) = seen.door {
        Kept(
            diesel::update(lock_reports::table.find(id.as_str()))
                .filter(
                    lock_reports::door_at_ms
                        .is_null()
                        .or(lock_reports::door_at_ms.le(at_ms)),
                )
                .set((lock_reports::door.eq(door.as_str()), lock_reports::door_at_ms.eq(at_ms))),
        )
        .execute(conn)?;
    }
    match seen.battery {
        Some(battery) => report_battery(conn, id, battery, at_ms),
        None => Ok(false),
    }
}

/// Records what is left in the battery; says whether it is low and was not before.
fn report_battery(conn: &mut Conn, id: &LockId, battery: u8, at_ms: i64) -> Result<bool, StoreError> {
    let row = lock_reports::table.find(id.as_str());
    let is_news = Kept(
        diesel::update(row)
            .filter(
                lock_reports::battery_at_ms
                    .is_null()
                    .or(lock_reports::battery_at_ms.le(at_ms)),
            )
            .set((
                lock_reports::battery.eq(i64::from(battery)),
                lock_reports::battery_at_ms.eq(at_ms),
            )),
    )
    .execute(conn)?;
    if is_news == 0 || (BATTERY_LOW < battery && battery < BATTERY_WELL) {
        return Ok(false);
    }
    let is_low = battery <= BATTERY_LOW;
    let changed = Kept(
        diesel::update(row)
            .filter(lock_reports::battery_low.ne(is_low))
            .set(lock_reports::battery_low.eq(is_low)),
    )
    .execute(conn)?;
    Ok(changed > 0 && is_low)
}

/// Records that the bolt was found stuck at `at`, unless it is known to be at one of its ends since.
pub fn report_jam(conn: &mut Conn, id: &LockId, at: Timestamp) -> Result<(), StoreError> {
    let at_ms = at.as_millis();
    diesel::update(lock_reports::table.find(id.as_str()))
        .filter(
            lock_reports::bolt_at_ms
                .is_null()
                .or(lock_reports::bolt_at_ms.le(at_ms))
                .or(lock_reports::bolt.eq(Bolt::Unknown.as_str())),
        )
        .set(lock_reports::jammed_at_ms.eq(at_ms))
        .execute(conn)?;
    Ok(())
}

/// Where the lock's clocks stood when it said hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// When the hello was received.
    pub at: Timestamp,
    /// Number of the lock's present start.
    pub boot: u32,
    /// Seconds since that start.
    pub mono: u64,
    /// The lock's trust in its own clock.
    pub clock: LockClock,
    /// Version of the keyset that the lock holds, as far as is known; 0 for none.
    pub keyset: u64,
}

/// Records the lock's clocks and firmware. Says whether the hello was news: one whose boot and seconds are not beyond
/// the last one's is a repetition, and an observer of the broker could replay it to make an absent lock look present.
pub fn report_hello(conn: &mut Conn, id: &LockId, clocks: &Clocks, firmware: &str) -> Result<bool, StoreError> {
    let boot = i64::from(clocks.boot);
    let mono = i64::try_from(clocks.mono).unwrap_or(i64::MAX);
    let is_news = lock_reports::boot
        .is_null()
        .or(lock_reports::boot.lt(boot))
        .or(lock_reports::boot.eq(boot).and(lock_reports::mono.lt(mono)));
    let changed = Kept(
        diesel::update(lock_reports::table.find(id.as_str()))
            .filter(is_news)
            .set((
                lock_reports::hello_at_ms.eq(clocks.at.as_millis()),
                lock_reports::boot.eq(boot),
                lock_reports::mono.eq(mono),
                lock_reports::clock.eq(clocks.clock.as_str()),
                lock_reports::keyset.eq(number(clocks.keyset)),
                lock_reports::online.eq(true),
                lock_reports::online_at_ms.eq(clocks.at.as_millis()),
            )),
    )
    .execute(conn)?;
    if changed > 0 {
        Kept(diesel::update(locks::table.find(id.as_str())).set(locks::firmware.eq(firmware))).execute(conn)?;
    }
    Ok(changed > 0)
}

/// Records the newest event that the lock has named in a hello.
pub fn report_head(conn: &mut Conn, id: &LockId, chain: &str, seq: u64) -> Result<(), StoreError> {
    let seq = i64::try_from(seq).map_err(StoreError::corrupt)?;
    Kept(
        diesel::update(lock_reports::table.find(id.as_str()))
            .set((lock_reports::head_chain.eq(chain), lock_reports::head_seq.eq(seq))),
    )
    .execute(conn)?;
    Ok(())
}

/// Forgets where the lock's clocks stood: after a factory reset its boots count from the beginning again.
pub fn forget_clocks(conn: &mut Conn, id: &LockId) -> Result<(), StoreError> {
    diesel::update(lock_reports::table.find(id.as_str()))
        .set((lock_reports::boot.eq(None::<i64>), lock_reports::mono.eq(None::<i64>)))
        .execute(conn)?;
    Ok(())
}

/// Forgets everything that the lock has said of itself: another controller has taken its place.
pub fn forget_reports(conn: &mut Conn, id: &LockId) -> Result<(), StoreError> {
    diesel::delete(lock_reports::table.find(id.as_str())).execute(conn)?;
    diesel::insert_into(lock_reports::table)
        .values(lock_reports::lock_id.eq(id.as_str()))
        .execute(conn)?;
    Ok(())
}

/// Where the lock's clocks stood when it last said hello.
pub fn clocks(conn: &mut Conn, id: &LockId) -> Result<Option<Clocks>, StoreError> {
    type Row = (Option<i64>, Option<i64>, Option<i64>, Option<String>, Option<i64>);
    let row: Option<Row> = lock_reports::table
        .find(id.as_str())
        .select((
            lock_reports::hello_at_ms,
            lock_reports::boot,
            lock_reports::mono,
            lock_reports::clock,
            lock_reports::keyset,
        ))
        .get_result(conn)
        .optional()?;
    let Some((Some(at_ms), Some(boot), Some(mono), Some(clock), keyset)) = row else {
        return Ok(None);
    };
    Ok(Some(Clocks {
        at: Timestamp::from_millis(at_ms),
        boot: u32::try_from(boot).map_err(StoreError::corrupt)?,
        mono: u64::try_from(mono).map_err(StoreError::corrupt)?,
        clock: super::columns::word(clock)?,
        keyset: u64::try_from(keyset.unwrap_or(0)).map_err(StoreError::corrupt)?,
    }))
}

/// Records that the lock holds this version of the keyset, unless it is known to hold a newer one.
pub fn raise_keyset(conn: &mut Conn, id: &LockId, version: u64) -> Result<(), StoreError> {
    let version = number(version);
    Kept(
        diesel::update(lock_reports::table.find(id.as_str()))
            .filter(lock_reports::keyset.is_null().or(lock_reports::keyset.lt(version)))
            .set(lock_reports::keyset.eq(version)),
    )
    .execute(conn)?;
    Ok(())
}

/// The versions of the keyset that these locks are known to hold.
pub fn keysets(conn: &mut Conn, ids: &[LockId]) -> Result<HashMap<LockId, u64>, StoreError> {
    let rows: Vec<(String, Option<i64>)> = lock_reports::table
        .filter(lock_reports::lock_id.eq_any(ids.iter().map(LockId::as_str)))
        .select((lock_reports::lock_id, lock_reports::keyset))
        .load(conn)?;
    rows.into_iter()
        .map(|(id, version)| {
            let version = u64::try_from(version.unwrap_or(0)).map_err(StoreError::corrupt)?;
            Ok((super::columns::parsed(&id)?, version))
        })
        .collect()
}

/// The connected locks, heard of since `since`, that are not known to hold this version of the keyset: at most `limit`,
/// those after `after`.
pub fn connected_behind(
    conn: &mut Conn,
    version: u64,
    since: Timestamp,
    after: Option<&LockId>,
    limit: i64,
) -> Result<Vec<LockId>, StoreError> {
    let ids: Vec<String> = locks::table
        .inner_join(lock_reports::table)
        .filter(locks::state.eq(LockState::Enrolled.as_str()))
        .filter(lock_reports::online.eq(true))
        .filter(lock_reports::online_at_ms.ge(since.as_millis()))
        .filter(
            lock_reports::keyset
                .is_null()
                .or(lock_reports::keyset.lt(number(version))),
        )
        .filter(locks::id.gt(after.map_or("", LockId::as_str)))
        .order(locks::id)
        .limit(limit)
        .select(locks::id)
        .load(conn)?;
    ids.iter().map(|id| super::columns::parsed(id)).collect()
}

/// How many enrolled locks are not known to hold this version of the keyset.
pub fn count_behind(conn: &mut Conn, version: u64) -> Result<i64, StoreError> {
    Ok(locks::table
        .inner_join(lock_reports::table)
        .filter(locks::state.eq(LockState::Enrolled.as_str()))
        .filter(
            lock_reports::keyset
                .is_null()
                .or(lock_reports::keyset.lt(number(version))),
        )
        .count()
        .get_result(conn)?)
}

/// A version as a column holds it; the wire keeps it below 2^53.
fn number(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}
