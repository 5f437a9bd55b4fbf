//! A thread with a connection of its own that serves a queue.

use super::connection::{Conn, Opener, Purpose};
use super::error::StoreError;
use super::piece::{Piece, Verdict};
use super::queue::Queue;
use super::statistics::Counters;

/// A connection that is opened when it is needed and replaced when it breaks.
pub(super) struct Lane {
    opener: Opener,
    purpose: Purpose,
    conn: Option<Conn>,
}

impl Lane {
    /// A lane that has no connection yet.
    pub(super) fn new(opener: Opener, purpose: Purpose) -> Self {
        Self {
            opener,
            purpose,
            conn: None,
        }
    }

    /// Opens the connection now, to learn at the start whether it can be opened.
    pub(super) fn connect(&mut self) -> Result<(), StoreError> {
        self.conn = Some(self.opener.open(self.purpose)?);
        Ok(())
    }

    /// Begins a transaction. A connection that broke while it was idle is replaced without a word: nothing was lost.
    pub(super) fn begin(&mut self) -> Result<&mut Conn, StoreError> {
        if let Some(conn) = &mut self.conn {
            match conn.begin(self.purpose) {
                Err(_) if conn.is_stuck() => self.conn = None,
                Err(error) => return Err(error.into()),
                Ok(()) => {}
            }
        }
        match &mut self.conn {
            Some(conn) => Ok(conn),
            empty => {
                let mut conn = self.opener.open(self.purpose)?;
                conn.begin(self.purpose)?;
                Ok(empty.insert(conn))
            }
        }
    }

    /// Lets go of the connection if the last transaction broke it.
    pub(super) fn settle(&mut self) {
        if self.conn.as_mut().is_some_and(Conn::is_stuck) {
            self.conn = None;
        }
    }

    /// The connection, if one is open.
    pub(super) fn conn(&mut self) -> Option<&mut Conn> {
        self.conn.as_mut()
    }

    /// Serves `queue`, one transaction a piece, until it is closed and empty.
    pub(super) fn serve(mut self, queue: &Queue, counters: &Counters) {
        while let Some(mut piece) = queue.wait() {
            let transaction = self.transaction(piece.as_mut());
            if self.purpose == Purpose::Write {
                match &transaction {
                    Ok(Verdict::Keep) => counters.count_commit(1),
                    Ok(Verdict::Undo) => counters.count_undone(),
                    Err(_) => counters.count_failed_commit(),
                }
            }
            piece.answer(transaction.map(|_| ()));
        }
    }

    fn transaction(&mut self, piece: &mut dyn Piece) -> Result<Verdict, StoreError> {
        let conn = self.begin()?;
        let verdict = piece.run(conn);
        let ended = match verdict {
            Verdict::Keep => conn.commit().map_err(StoreError::from),
            // Where even that fails the connection is broken, and the server undoes what it does not hear of again;
            // the piece's own error says more.
            Verdict::Undo => conn.rollback().or(Ok(())),
        };
        self.settle();
        ended.map(|()| verdict)
    }
}
