//! Locks as they are shown to a system of the operator's, such as a Home Assistant. Nobody asks here: what is shown
//! stands in the configuration of whoever runs this program. Who opened a door is never part of it.

use std::time::Duration;

use super::{App, Error};
use crate::domain::ids::{LockId, OrganizationId, PropertyId};
use crate::domain::lock::Lock;
use crate::domain::time::Timestamp;
use crate::store::{leases, locks, shown};

pub use crate::store::shown::Alarm;

/// How many locks are read with one statement.
const READ_AT_ONCE: usize = 500;

/// The lease of the node that shows locks to a Home Assistant.
const LEASE: &str = "home-assistant";

/// How long a node may go without renewing its lease before another takes its place.
pub const LEASE_LIFE: Duration = Duration::from_secs(30);

/// What is shown: all locks of these organizations, and all of these properties.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Whole organizations.
    pub organizations: Vec<OrganizationId>,
    /// Properties of any organization.
    pub properties: Vec<PropertyId>,
}

/// A lock that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownLock {
    /// The lock with what it last said of itself.
    pub lock: Lock,
    /// Since when its bolt is stuck.
    pub jammed_at: Option<Timestamp>,
}

impl App {
    /// The locks that are shown; where `among` is given, those of them. A lock is shown from its first enrolment until
    /// its retirement.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn shown_locks(&self, shown: &Shown, among: Option<Vec<LockId>>) -> Result<Vec<ShownLock>, Error> {
        let shown = shown.clone();
        self.db
            .read(move |conn| {
                let ids = shown::lock_ids(conn, &shown.organizations, &shown.properties, among.as_deref())?;
                let mut found = Vec::new();
                for ids in ids.chunks(READ_AT_ONCE) {
                    let jams = shown::jams(conn, ids)?;
                    let locks = locks::with_ids(conn, ids)?.into_iter();
                    found.extend(locks.map(|lock| ShownLock {
                        jammed_at: jams.get(&lock.id).copied(),
                        lock,
                    }));
                }
                Ok(found)
            })
            .await
    }

    /// The number of the last entry of the organization's log.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn log_end(&self, organization: OrganizationId) -> Result<i64, Error> {
        self.db.read(move |conn| Ok(shown::log_end(conn, &organization)?)).await
    }

    /// The alarms of locks in the organization's log after the number `after`, the oldest first, at most `most`.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn alarms_after(&self, organization: OrganizationId, after: i64, most: u16) -> Result<Vec<Alarm>, Error> {
        self.db
            .read(move |conn| Ok(shown::alarms(conn, &organization, after, i64::from(most))?))
            .await
    }

    /// Takes or keeps this node's turn to show locks to a Home Assistant, for [`LEASE_LIFE`]; says whether it is this
    /// node's. Of many nodes one shows, or a command would be carried out by each.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn hold_turn(&self) -> Result<bool, Error> {
        let (now, node) = (self.now(), self.settings.node.clone());
        self.db
            .write(move |conn| Ok(leases::hold(conn, LEASE, &node, now, now + LEASE_LIFE)?))
            .await
    }

    /// Gives the turn up, so that another node need not wait.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn give_turn_up(&self) -> Result<(), Error> {
        let node = self.settings.node.clone();
        self.db
            .write(move |conn| Ok(leases::release(conn, LEASE, &node)?))
            .await
    }
}
