//! What locks say of the lockdown that they hold.

use crate::app::Error;
use crate::domain::ids::LockId;
use crate::domain::time::Timestamp;
use crate::store::lockdowns::{self, Document};
use crate::store::{Conn, StoreError};

/// Notes which epoch the lock holds, `None` where it knows nothing of lockdowns; says whether it is to be sent a newer one.
pub(in crate::app) fn note_lockdown(
    conn: &mut Conn,
    lock: &LockId,
    held: Option<u64>,
    head: Option<&(String, u64)>,
    now: Timestamp,
) -> Result<bool, Error> {
    let seq = head.map_or(Ok(-1), |(_, seq)| i64::try_from(*seq));
    let seq = seq.map_err(StoreError::corrupt)?;
    let report = lockdowns::report_of(conn, lock)?;
    if (report.held, report.seq) != (held, Some(seq)) {
        lockdowns::report(conn, lock, held, seq)?;
    }
    let Some(held) = held else { return Ok(false) };
    let document = lockdowns::document(conn, lock)?;
    let epoch = document.as_ref().map_or(0, |document| document.epoch);
    if held > epoch {
        // This backend was restored from a copy that is older than what the lock holds: what is true now has to be news to
        // the lock, or it would keep people out for a lockdown that nobody here knows of.
        let news = Document {
            epoch: held + 1,
            holds: document.map_or_else(Vec::new, |document| document.holds),
            said_at: now,
        };
        lockdowns::put_document(conn, lock, &news)?;
        return Ok(true);
    }
    Ok(held < epoch)
}

/// This database was restored from a copy: whatever the lock was told meanwhile, what is true now becomes news to it. The epoch
/// becomes a time, which lies above all that was counted since.
pub(in crate::app) fn restore_lockdown(conn: &mut Conn, lock: &LockId, now: Timestamp) -> Result<(), Error> {
    let known = lockdowns::document(conn, lock)?;
    let epoch = known.as_ref().map_or(0, |known| known.epoch);
    let milliseconds = u64::try_from(now.as_millis()).unwrap_or_default();
    let news = Document {
        epoch: milliseconds.max(epoch + 1),
        holds: known.map_or_else(Vec::new, |known| known.holds),
        said_at: now,
    };
    Ok(lockdowns::put_document(conn, lock, &news)?)
}

/// Counts up the epoch that the lock holds, after an event that says that it took a newer one. The event does not say which;
/// so it counts as the next one, until a hello tells. An event from before the last hello is in what that said.
pub(in crate::app) fn count_lockdown(conn: &mut Conn, lock: &LockId, seq: i64) -> Result<(), Error> {
    let report = lockdowns::report_of(conn, lock)?;
    let epoch = lockdowns::document(conn, lock)?.map_or(0, |document| document.epoch);
    if let Some(held) = report.held
        && held < epoch
        && report.seq.is_some_and(|last| seq > last)
    {
        lockdowns::report(conn, lock, Some(held + 1), seq)?;
    }
    Ok(())
}

/// Whether the lock knows lockdowns and is not known to hold the newest of its own.
pub(in crate::app) fn lacks_lockdown(conn: &mut Conn, lock: &LockId) -> Result<bool, Error> {
    let report = lockdowns::report_of(conn, lock)?;
    let document = lockdowns::document(conn, lock)?;
    Ok(document.is_some_and(|document| report.held.is_some_and(|held| held < document.epoch)))
}
