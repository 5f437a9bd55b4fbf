//! Whether this node has what it needs.

use super::unlock::CLOCK_TOLERANCE;
use super::{App, Error};
use crate::domain::time::Timestamp;
use crate::store::access_log;

/// What a node needs, and whether it has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// The database answers.
    pub database: bool,
    /// The broker is connected.
    pub relay: bool,
    /// The clock is not behind what is already on record, by more than it may be where an unlock is decided.
    pub clock: bool,
}

impl Readiness {
    /// Whether it has everything.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        self.database && self.relay && self.clock
    }
}

impl App {
    /// Whether this node has what it needs.
    pub async fn readiness(&self) -> Readiness {
        let latest: Result<Option<Timestamp>, Error> =
            self.db.read(|conn| Ok(access_log::latest_recorded_at(conn)?)).await;
        let now = self.now();
        Readiness {
            database: latest.is_ok(),
            relay: self.relay.is_up(),
            clock: latest.is_ok_and(|latest| latest.is_none_or(|latest| latest.since(now) <= CLOCK_TOLERANCE)),
        }
    }
}
