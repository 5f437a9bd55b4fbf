//! A lock's event chain: its end moves over what is stored without a gap; gaps and forks are seen here.

use doorward_lock::wire;

use super::answers::Gap;
use super::events::Verified;
use crate::app::Error;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::Scope;
use crate::domain::chain::Progress;
use crate::domain::ids::{LockId, OrganizationId};
use crate::domain::lock::Lock;
use crate::domain::time::Timestamp;
use crate::store::lock_events::{self, ChainEnd, Known, StoredEvent};
use crate::store::{Conn, StoreError, access_log, attempts, locks};

/// Moves the end of the chain over everything that is stored without a gap.
pub(super) fn advance(
    conn: &mut Conn,
    lock: &Lock,
    mut end: ChainEnd,
    event: &Verified,
    now: Timestamp,
) -> Result<ChainEnd, Error> {
    if end.chain.as_deref() != Some(event.chain.as_str()) {
        if event.seq != 0 {
            // The beginning of a new chain is still to come; until then the end of the old one stands.
            return Ok(end);
        }
        if end.chain.is_some() {
            // A factory reset: the lock begins anew, and somebody should know.
            alarm(conn, lock, "factory-reset", now, now)?;
            lock_events::forget_clocks(conn, &lock.id)?;
            attempts::keep_uses(conn, &lock.id)?;
        }
        end = ChainEnd {
            chain: Some(event.chain.clone()),
            seq: -1,
            head: None,
        };
    }
    if event.seq == end.seq + 1 {
        if follows(conn, &lock.id, &event.chain, &end, &event.prev)? {
            end = over(end, event.seq, &event.stored);
            end = run_on(conn, lock, end, now)?;
        } else {
            fork(conn, lock, "chain-broken", now)?;
        }
    }
    lock_events::set_chain_end(conn, &lock.id, &end)?;
    Ok(end)
}

/// Moves the end over the events that are stored right behind it.
fn run_on(conn: &mut Conn, lock: &Lock, mut end: ChainEnd, now: Timestamp) -> Result<ChainEnd, Error> {
    let chain = end.chain.clone().unwrap_or_default();
    // What lies beyond the end is not forgotten.
    while let Some(stored) = lock_events::find(conn, &lock.id, &chain, end.seq + 1)?.and_then(Known::signed) {
        if !follows(conn, &lock.id, &chain, &end, &previous_of(&stored)?)? {
            fork(conn, lock, "chain-broken", now)?;
            break;
        }
        let seq = end.seq + 1;
        end = over(end, seq, &stored);
    }
    Ok(end)
}

fn over(end: ChainEnd, seq: i64, stored: &StoredEvent) -> ChainEnd {
    let head = Some(stored.hash.clone());
    ChainEnd { seq, head, ..end }
}

/// Goes on behind a gap that the lock itself says it cannot fill: it has signed that its storage overflowed
/// (`docs/PROTOCOL.md`, "Events"), and has had a heartbeat's time to send what it still holds. The gap stands in the log
/// as an alarm; an event of it that comes all the same is stored all the same.
pub(super) fn skip_lost(
    conn: &mut Conn,
    id: &LockId,
    organization: &OrganizationId,
    end: ChainEnd,
    now: Timestamp,
) -> Result<ChainEnd, Error> {
    let Some(chain) = end.chain.clone() else {
        return Ok(end);
    };
    let overflowed = lock_events::has_beyond(conn, id, &chain, end.seq, wire::Kind::Overflow.as_str())?;
    let next = lock_events::next_stored(conn, id, &chain, end.seq)?.filter(|next| *next > end.seq + 1);
    let (true, Some(next)) = (overflowed, next) else {
        return Ok(end);
    };
    let scope = Scope::only(organization.clone());
    let lock = locks::find(conn, id, &scope)?;
    let stored = lock_events::find(conn, id, &chain, next)?.and_then(Known::signed);
    let (Some(lock), Some(stored)) = (lock, stored) else {
        return Ok(end);
    };
    let entry = NewEntry {
        reason: Some("events-lost".to_owned()),
        detail: Some(serde_json::json!({ "chain": chain, "from": end.seq + 1, "to": next - 1 })),
        ..NewEntry::new(Kind::Alarm, now)
    };
    access_log::append(conn, organization, &entry.about(&lock), now)?;
    let end = over(end, next, &stored);
    let end = run_on(conn, &lock, end, now)?;
    lock_events::set_chain_end(conn, id, &end)?;
    Ok(end)
}

/// What is missing of the lock's chain is lost for good, for its controller tells nothing any more: an alarm says how
/// much.
pub(in crate::app) fn write_off(
    conn: &mut Conn,
    lock: &Lock,
    progress: &Progress,
    now: Timestamp,
) -> Result<(), Error> {
    let missing = progress.missing();
    let (Some(first), Some(last)) = (missing.first(), missing.last()) else {
        return Ok(());
    };
    let entry = NewEntry {
        reason: Some("events-lost".to_owned()),
        detail: Some(serde_json::json!({ "chain": progress.chain, "from": first.from, "to": last.to })),
        ..NewEntry::new(Kind::Alarm, now)
    };
    access_log::append(conn, &lock.organization, &entry.about(lock), now)?;
    Ok(())
}

/// Whether `prev` names the event at the end of the chain, in either form of its signature.
fn follows(conn: &mut Conn, lock: &LockId, chain: &str, end: &ChainEnd, prev: &str) -> Result<bool, Error> {
    if prev == end.head.as_deref().unwrap_or(wire::NO_PREVIOUS) {
        return Ok(true);
    }
    let last = lock_events::find(conn, lock, chain, end.seq)?;
    Ok(last.is_some_and(|last| last.has_hash(prev)))
}

/// What a stored event says of the one before it. Its signature was verified when it was stored.
fn previous_of(stored: &StoredEvent) -> Result<String, Error> {
    let message = doorward_lock::jws::Message::parse(&stored.token);
    let event = message.and_then(|message| message.claims::<wire::Event<'_>>().map(|event| event.prev.to_owned()));
    event.map_err(|refusal| Error::Store(StoreError::corrupt(refusal)))
}

/// Two histories of one lock: it is set apart and somebody should know.
pub(super) fn fork(conn: &mut Conn, lock: &Lock, reason: &str, now: Timestamp) -> Result<(), Error> {
    if lock_events::quarantine(conn, &lock.id, now)? {
        tracing::warn!(lock.id = %lock.id, reason, "two histories of {} were seen; it is set apart", lock.id);
        alarm(conn, lock, reason, now, now)?;
    }
    Ok(())
}

/// Writes an alarm into the log.
pub(super) fn alarm(
    conn: &mut Conn,
    lock: &Lock,
    reason: &str,
    occurred_at: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    let entry = NewEntry {
        reason: Some(reason.to_owned()),
        ..NewEntry::new(Kind::Alarm, occurred_at)
    }
    .about(lock);
    access_log::append(conn, &lock.organization, &entry, now)?;
    Ok(())
}

/// What is missing between the stored end of the chain and an event or a head that the lock has named.
pub(super) fn missing(end: &ChainEnd, named: Option<(String, u64)>) -> Option<Gap> {
    let (chain, seq) = named?;
    let stored = if end.chain.as_deref() == Some(chain.as_str()) {
        end.seq
    } else {
        -1
    };
    let from = u64::try_from(stored + 1).ok()?;
    // The named event itself is stored, or will be sent anyway; only what lies before it is asked for.
    (seq > from).then(|| Gap {
        chain,
        from,
        to: seq - 1,
    })
}
