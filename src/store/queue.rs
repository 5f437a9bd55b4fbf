//! The bounded queue between the callers and the threads that hold connections.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::error::StoreError;
use super::piece::Piece;

pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    capacity: usize,
}

struct State {
    waiting: VecDeque<Box<dyn Piece>>,
    is_closed: bool,
}

impl Queue {
    /// An empty queue for at most `capacity` pieces.
    pub(super) fn new(capacity: usize) -> Self {
        let state = Mutex::new(State {
            waiting: VecDeque::new(),
            is_closed: false,
        });
        Self {
            state,
            arrived: Condvar::new(),
            capacity,
        }
    }

    /// Adds a piece at the end.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where it is full, [`StoreError::Unavailable`] where it is closed.
    pub(super) fn push(&self, piece: Box<dyn Piece>) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.is_closed {
            return Err(StoreError::unavailable("the database is closed"));
        }
        if state.waiting.len() >= self.capacity {
            return Err(StoreError::Busy);
        }
        state.waiting.push_back(piece);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next piece that somebody still waits for, as soon as there is one; `None` once the queue is closed and empty.
    pub(super) fn wait(&self) -> Option<Box<dyn Piece>> {
        let mut state = self.state();
        loop {
            if let Some(piece) = state.take() {
                return Some(piece);
            }
            if state.is_closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next piece that somebody still waits for, if there is one now.
    pub(super) fn next(&self) -> Option<Box<dyn Piece>> {
        self.state().take()
    }

    /// Takes nothing more in; what waits is still served.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.arrived.notify_all();
    }

    /// How many pieces wait.
    pub(super) fn len(&self) -> usize {
        self.state().waiting.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and a queue is whole between any two lines.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self) -> Option<Box<dyn Piece>> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|piece| !piece.is_abandoned())
    }
}
