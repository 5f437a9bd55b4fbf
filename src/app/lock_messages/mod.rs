//! What locks say: verified, stored once, acted upon.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::refusal::Refusal;
use doorward_lock::wire;

use super::metrics::RefusalLabels;
use super::{App, Error};
use crate::crypto::public_key::PublicKey;
use crate::crypto::tokens::{LockKey, Said};
use crate::domain::ids::{LockId, OrganizationId};
use crate::domain::lock::{Bolt, Door};
use crate::store::lock_events::StoredEvent;
use crate::store::{StoreError, enrolments};

mod answers;
mod by_pass;
mod carried;
mod chain;
mod events;
mod hello;
mod whereabouts;

pub(super) use answers::{Acks, Asked};
pub use carried::MOST_CARRIED;
pub(super) use chain::write_off;

/// Whose word a message is: the organization, and the enrolment by whose key it was verified.
#[derive(Debug, Clone)]
struct Owner {
    organization: OrganizationId,
    enrolment: u32,
}

/// Who brings a message of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    /// The broker: the lock is connected.
    Broker,
    /// A phone that was at the lock some time ago.
    Phone,
}

impl App {
    /// Takes a message from a lock's `up` topic. `Ok` once all that follows from it is committed, or it is known to be
    /// worthless: not signed by that lock, or not a message.
    ///
    /// # Errors
    /// Those of the database: the message should come again.
    pub async fn hear(&self, lock: LockId, payload: &[u8]) -> Result<(), Error> {
        self.hear_from(lock, payload, Carrier::Broker).await
    }

    /// As [`Self::hear`], from whoever brings it.
    async fn hear_from(&self, lock: LockId, payload: &[u8], carrier: Carrier) -> Result<(), Error> {
        let id = lock.clone();
        let controller = self
            .db
            .read(move |conn| Ok::<_, Error>(enrolments::find_controller(conn, &id)?))
            .await?;
        let Some(controller) = controller else {
            self.disbelieve(&lock, Refusal::UnknownKey);
            return Ok(());
        };
        let owner = Owner {
            organization: controller.organization,
            enrolment: controller.enrolment,
        };
        let key: PublicKey = serde_json::from_str(&controller.public_key).map_err(StoreError::corrupt)?;
        let key = LockKey::of_lock(&lock, &key).map_err(StoreError::corrupt)?;
        let signed = match key.open(payload) {
            Ok(signed) => signed,
            Err(refusal) => {
                self.disbelieve(&lock, refusal);
                return Ok(());
            }
        };
        match signed.claims() {
            Ok(Said::Event(event)) => {
                let stored = StoredEvent {
                    hash: URL_SAFE_NO_PAD.encode(signed.hash()),
                    token: signed.compact().to_owned(),
                };
                let event = events::verified(lock, owner, &event, stored);
                self.take_event(event).await
            }
            Ok(Said::Hello(hello)) => match carrier {
                Carrier::Broker => self.take_hello(lock, owner, &hello).await,
                Carrier::Phone => self.take_carried_hello(lock, owner, &hello).await,
            },
            Err(refusal) => {
                self.disbelieve(&lock, refusal);
                Ok(())
            }
        }
    }

    fn disbelieve(&self, lock: &LockId, refusal: Refusal) {
        let reason = refusal.as_str();
        self.metrics
            .refused_messages
            .get_or_create(&RefusalLabels { reason })
            .inc();
        tracing::debug!(lock.id = %lock, reason, "a message on the topics of {lock} was not believed");
    }
}

fn bolt_of(bolt: wire::Bolt) -> Bolt {
    match bolt {
        wire::Bolt::Locked => Bolt::Locked,
        wire::Bolt::Unlocked => Bolt::Unlocked,
        wire::Bolt::Unknown => Bolt::Unknown,
    }
}

fn door_of(door: wire::Door) -> Door {
    match door {
        wire::Door::Open => Door::Open,
        wire::Door::Closed => Door::Closed,
        wire::Door::Unknown => Door::Unknown,
    }
}
