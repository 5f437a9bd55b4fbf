//! Who may come into the broker: the embedded one asks here.

use async_trait::async_trait;
use subtle::ConstantTimeEq as _;

use super::{App, Error};
use crate::crypto::digest::digest;
use crate::domain::ids::LockId;
use crate::domain::relay::{Credentials, Principal, Unavailable};
use crate::store::{Db, enrolments, locks};

/// Somebody whom the configuration, or this process, has given a name and a password at the broker.
pub struct KnownUser {
    /// The user name: no lock's id and no node's name.
    pub user: String,
    /// SHA-256 of the password.
    pub digest: [u8; 32],
    /// Who that is.
    pub principal: Principal,
}

/// Locks by the credentials of their enrolment, this node by a password that only this process knows, devices and their
/// adapters as the configuration says.
pub struct BrokerGate {
    db: Db,
    node: String,
    node_digest: [u8; 32],
    known: Vec<KnownUser>,
}

impl BrokerGate {
    /// The gate over this database, for the node of this name and password.
    #[must_use]
    pub fn new(db: Db, node: String, node_password: &[u8]) -> Self {
        Self {
            db,
            node,
            node_digest: digest(node_password),
            known: Vec::new(),
        }
    }

    /// The same, with these users too.
    #[must_use]
    pub fn letting_in(mut self, known: Vec<KnownUser>) -> Self {
        self.known = known;
        self
    }
}

#[async_trait]
impl Credentials for BrokerGate {
    async fn authenticate(&self, user: &str, password: &[u8]) -> Result<Option<Principal>, Unavailable> {
        let given = digest(password);
        if user == self.node {
            let is_node = bool::from(given.ct_eq(&self.node_digest));
            return Ok(is_node.then(|| Principal::Backend {
                node: self.node.clone(),
            }));
        }
        if let Some(known) = self.known.iter().find(|known| known.user == user) {
            let is_it = bool::from(given.ct_eq(&known.digest));
            return Ok(is_it.then(|| known.principal.clone()));
        }
        let Ok(lock) = user.parse::<LockId>() else {
            return Ok(None);
        };
        let id = lock.clone();
        let known = self
            .db
            .read(move |conn| Ok::<_, Error>(enrolments::has_broker_digest(conn, &id, &given)?))
            .await;
        match known {
            Ok(known) => Ok(known.then_some(Principal::Lock(lock))),
            Err(error) => {
                tracing::warn!(%error, "cannot tell whether {lock} may come in");
                Err(Unavailable)
            }
        }
    }
}

impl App {
    /// Records that no lock is connected: the embedded broker has just started, and whatever they said last was to
    /// the one before.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn forget_connections(&self) -> Result<(), Error> {
        let now = self.now();
        self.db.write(move |conn| Ok(locks::report_all_away(conn, now)?)).await
    }
}
