//! What is said back to locks: acknowledgements, requests to send again, the keyset, the time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use doorward_lock::wire;

use crate::app::{App, Error};
use crate::crypto::keys::Signer;
use crate::domain::ids::{LockId, OrganizationId};
use crate::domain::time::Timestamp;
use crate::store::lock_events::{self, ChainEnd};

/// How long an answer to a lock may take to reach the broker.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Acknowledgements that wait to be sent: the newest of each lock says all that the older ones would.
#[derive(Debug, Default)]
pub(in crate::app) struct Acks(Mutex<HashMap<LockId, Ack>>);

/// What an acknowledgement says: everything of the chain up to this number is stored.
#[derive(Debug, Clone)]
pub(super) struct Ack {
    organization: OrganizationId,
    chain: String,
    seq: u64,
    head: String,
}

impl Ack {
    /// The acknowledgement of everything up to the chain's end; `None` of an empty chain.
    pub(super) fn of(organization: &OrganizationId, end: &ChainEnd) -> Option<Self> {
        let (chain, head) = end.chain.clone().zip(end.head.clone())?;
        let seq = u64::try_from(end.seq).ok()?;
        Some(Self {
            organization: organization.clone(),
            chain,
            seq,
            head,
        })
    }
}

impl Acks {
    /// Puts it in the place of an older one of the lock.
    pub(super) fn put(&self, lock: LockId, ack: Ack) {
        let mut acks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_older = acks
            .get(&lock)
            .is_some_and(|newer| newer.chain == ack.chain && newer.seq > ack.seq);
        if !is_older {
            acks.insert(lock, ack);
        }
    }

    fn take(&self) -> HashMap<LockId, Ack> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// When locks were last asked to fill a gap, and where it began: each event behind a gap shows the same one.
#[derive(Debug, Default)]
pub(in crate::app) struct Asked(Mutex<HashMap<LockId, (u64, Timestamp)>>);

/// How long a lock has to fill a gap before it is asked another time.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);

impl Asked {
    /// Whether the lock may be asked now to fill the gap that begins there; then it counts as asked.
    fn may_ask(&self, lock: &LockId, from: u64, now: Timestamp) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, (_, at)| now.since(*at) < ASK_AGAIN_AFTER);
        let may_ask = asked.get(lock).is_none_or(|(begin, _)| *begin != from);
        if may_ask {
            asked.insert(lock.clone(), (from, now));
        }
        may_ask
    }
}

/// A gap in a lock's chain, to be asked for again.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) chain: String,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl App {
    /// Sends the acknowledgements that wait; says how many there were. One that is lost is made good by the lock's
    /// next hello.
    ///
    /// # Errors
    /// [`Error::Internal`] where one could not be signed; those of the database, after which they still wait.
    pub async fn send_acks(&self) -> Result<usize, Error> {
        let acks = self.acks.take();
        let count = acks.len();
        if count == 0 {
            return Ok(0);
        }
        let locks: Vec<LockId> = acks.keys().cloned().collect();
        let held = self
            .db
            .read(move |conn| Ok::<_, Error>(lock_events::keysets(conn, &locks)?));
        let held = match held.await {
            Ok(held) => held,
            Err(error) => {
                acks.into_iter().for_each(|(lock, ack)| self.acks.put(lock, ack));
                return Err(error);
            }
        };
        for (lock, ack) in acks {
            let signer = self.keys.signer(held.get(&lock).copied().unwrap_or(0), self.now());
            let message = self.sign_ack(&signer, &lock, &ack)?;
            self.answer(&lock, message).await;
        }
        Ok(count)
    }

    /// The acknowledgement, signed.
    pub(super) fn sign_ack(&self, signer: &Signer, lock: &LockId, ack: &Ack) -> Result<String, Error> {
        Ok(signer.sign_ack(&wire::Ack {
            iss: &self.settings.issuer.name,
            org: ack.organization.as_str(),
            aud: lock.as_str(),
            chain: &ack.chain,
            seq: ack.seq,
            head: &ack.head,
        })?)
    }

    /// Asks the lock to send the events of a gap again, unless it has just been asked.
    pub(super) async fn ask_again(&self, lock: &LockId, organization: &OrganizationId, gap: &Gap) -> Result<(), Error> {
        if !self.asked.may_ask(lock, gap.from, self.now()) {
            return Ok(());
        }
        let message = self.signer_for(lock).await?.sign_resend(&wire::Resend {
            iss: &self.settings.issuer.name,
            org: organization.as_str(),
            aud: lock.as_str(),
            chain: &gap.chain,
            from: gap.from,
            to: gap.to,
        })?;
        self.answer(lock, message).await;
        Ok(())
    }

    /// Sends an answer that the lock will ask for again if it is lost.
    pub(in crate::app) async fn answer(&self, lock: &LockId, message: String) {
        if let Err(away) = self.relay.send(lock, message, ANSWER_WITHIN).await {
            tracing::debug!(lock.id = %lock, error = %away, "an answer to {lock} was not sent");
        }
    }
}
