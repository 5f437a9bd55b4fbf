//! A piece of work that waits for a connection, and its way back to the caller.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::connection::Conn;
use super::error::StoreError;

/// Whether what a piece did shall stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It succeeded: commit.
    Keep,
    /// It failed or panicked: roll back.
    Undo,
}

/// A piece of work whose types the queue need not know.
pub(super) trait Piece: Send {
    /// Whether nobody waits for the answer any more. Work that has not begun by then never happens.
    fn is_abandoned(&self) -> bool;

    /// Does the work, once; a panic inside it goes no further.
    fn run(&mut self, conn: &mut Conn) -> Verdict;

    /// Answers the caller: what the work said, or why the database did not get to it or did not keep it.
    fn answer(self: Box<Self>, transaction: Result<(), StoreError>);
}

/// The piece for the work `W`, and what its caller waits on.
pub(super) fn piece<W, T, E>(work: W) -> (Box<dyn Piece>, oneshot::Receiver<Result<T, E>>)
where
    W: FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let (caller, answer) = oneshot::channel();
    (
        Box::new(Asked {
            work: Some(work),
            said: None,
            caller,
        }),
        answer,
    )
}

struct Asked<W, T, E> {
    work: Option<W>,
    said: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<W, T, E> Piece for Asked<W, T, E>
where
    W: FnOnce(&mut Conn) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn is_abandoned(&self) -> bool {
        self.caller.is_closed()
    }

    fn run(&mut self, conn: &mut Conn) -> Verdict {
        let Some(work) = self.work.take() else {
            return Verdict::Undo;
        };
        let said = catch_unwind(AssertUnwindSafe(|| work(conn))).unwrap_or_else(|_| Err(StoreError::Panicked.into()));
        let verdict = if said.is_ok() { Verdict::Keep } else { Verdict::Undo };
        self.said = Some(said);
        verdict
    }

    fn answer(self: Box<Self>, transaction: Result<(), StoreError>) {
        let said = match (transaction, self.said) {
            (Ok(()), Some(said)) => said,
            (Ok(()), None) => Err(StoreError::Panicked.into()),
            (Err(error), _) => Err(error.into()),
        };
        // A caller that has gone needs no answer.
        let _ = self.caller.send(said);
    }
}
