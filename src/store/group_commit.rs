//! The one writer of a SQLite database: everything that waits goes into one commit.
//!
//! A commit costs a flush of the disk whatever is in it. The writer never waits for company: alone, a piece is
//! committed alone; whatever arrives while the writer is busy shares the next commit.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;

use super::connection::Conn;
use super::error::StoreError;
use super::lane::Lane;
use super::piece::{Piece, Verdict};
use super::queue::Queue;
use super::statistics::Counters;

/// The most pieces in one commit.
const MOST_PIECES: usize = 512;

/// No piece joins a commit that has been open for so long: the first one waits for the last.
const LONGEST_OPEN: Duration = Duration::from_millis(20);

/// Serves `queue` on `lane` until it is closed and empty; then writes the log of the database into its file.
pub(super) fn serve(mut lane: Lane, queue: &Queue, counters: &Counters) {
    while let Some(first) = queue.wait() {
        commit_waiting(first, &mut lane, queue, counters);
        lane.settle();
    }
    if let Some(conn) = lane.conn() {
        // What cannot be written now stays in the log, and is read from there at the next start.
        let _ = conn.batch_execute("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE);");
    }
}

fn commit_waiting(first: Box<dyn Piece>, lane: &mut Lane, queue: &Queue, counters: &Counters) {
    let began = Instant::now();
    let conn = match lane.begin() {
        Ok(conn) => conn,
        Err(error) => {
            counters.count_failed_commit();
            // Whoever waited meanwhile would only wait as long again, one after the other. They are taken before the
            // first is answered: what comes after an answer deserves another try.
            let waiting: Vec<_> = std::iter::from_fn(|| queue.next()).take(MOST_PIECES).collect();
            for piece in std::iter::once(first).chain(waiting) {
                piece.answer(Err(error.clone()));
            }
            return;
        }
    };
    let mut batch = Vec::new();
    let mut kept = 0;
    let mut whole = Ok(());
    let mut next = Some(first);
    while let Some(mut piece) = next {
        let (verdict, ended) = run_in_savepoint(conn, piece.as_mut());
        match verdict {
            Verdict::Keep => kept += 1,
            Verdict::Undo => counters.count_undone(),
        }
        if ended.is_err() && verdict == Verdict::Undo {
            // It knows its own reason: it is the one that the disk had no room for.
            piece.answer(Ok(()));
        } else {
            batch.push(piece);
        }
        whole = ended;
        let is_open = whole.is_ok() && batch.len() < MOST_PIECES && began.elapsed() < LONGEST_OPEN;
        next = if is_open { queue.next() } else { None };
    }
    let committed = match whole {
        Ok(()) => conn.commit().map_err(StoreError::from),
        Err(error) => {
            // Most often there is nothing left to roll back; a connection that is stuck will be replaced.
            let _ = conn.rollback();
            Err(error)
        }
    };
    match &committed {
        Ok(()) if kept > 0 => counters.count_commit(kept),
        Ok(()) => {}
        Err(_) => counters.count_failed_commit(),
    }
    for piece in batch {
        piece.answer(committed.clone());
    }
}

/// Runs a piece so that its failure undoes it alone. An error says that the whole transaction is gone: SQLite undoes
/// everything by itself where the disk is full or fails.
fn run_in_savepoint(conn: &mut Conn, piece: &mut dyn Piece) -> (Verdict, Result<(), StoreError>) {
    if let Err(error) = conn.savepoint() {
        return (Verdict::Keep, Err(error.into()));
    }
    let verdict = piece.run(conn);
    let ended = match verdict {
        Verdict::Keep => conn.release_savepoint(),
        Verdict::Undo => conn.undo_savepoint(),
    };
    (
        verdict,
        ended.map_err(|_| StoreError::unavailable("the database undid the transaction by itself")),
    )
}
