//! What a phone does at the backend and at a door.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::jws::{self, Message};
use doorward_lock::keys;
use doorward_lock::signature::PrivateKey;
use doorward_lock::verify::pass_answer;
use doorward_lock::wire::{Action, Challenge, Event, Typ};

use super::backend::{Backend, DELIVERED_AT_ONCE, Issued, Session};
use super::door::{Answer, LockDoor};
use super::wallet::HeldLock;
use super::{PhoneError, Wallet};
use crate::domain::ids::LockId;

/// What became of a pass that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The lock.
    pub lock: LockId,
    /// `ok`, or the lock's word for why not.
    pub result: String,
}

/// A lock that has proved who it is.
struct Met {
    lock: LockId,
    boot: u32,
    nonce: String,
    epoch: u64,
    lockdown: Option<u64>,
}

impl Wallet {
    /// Registers the phone for whoever has signed in, and gets passes for all locks that they may open.
    ///
    /// # Errors
    /// [`PhoneError`]; what came before the failure is kept, for this and all below.
    pub async fn get(&mut self, backend: &Backend, session: Session, name: &str) -> Result<(), PhoneError> {
        self.held.server = backend.address().to_string();
        backend.name().clone_into(&mut self.held.known_as);
        self.keep(&session)?;
        self.held.phone_id = backend.register(&session, &self.public_key()?, name).await?;
        self.save()?;
        self.fetch(backend, &session).await
    }

    /// Delivers what the phone carries, and gets its passes anew.
    ///
    /// # Errors
    /// See [`Self::get`]; [`PhoneError::NotSignedIn`] before it.
    pub async fn renew(&mut self, backend: &Backend) -> Result<(), PhoneError> {
        let session = self.begin(backend).await?;
        self.deliver(backend, &session).await?;
        self.fetch(backend, &session).await
    }

    /// Delivers what the phone carries; what the backend answers waits for the next visit to the lock.
    ///
    /// # Errors
    /// See [`Self::get`]; [`PhoneError::NotSignedIn`] before it.
    pub async fn bring_out(&mut self, backend: &Backend) -> Result<(), PhoneError> {
        let session = self.begin(backend).await?;
        self.deliver(backend, &session).await
    }

    /// A session. A refresh token counts once, so the next one is kept before anything else is done.
    async fn begin(&mut self, backend: &Backend) -> Result<Session, PhoneError> {
        if self.held.refresh_token.is_empty() {
            return Err(PhoneError::NotSignedIn);
        }
        let session = backend.refresh(&self.held.refresh_token, self.held.is_bound).await?;
        self.keep(&session)?;
        Ok(session)
    }

    fn keep(&mut self, session: &Session) -> Result<(), PhoneError> {
        self.held.refresh_token.clone_from(&session.refresh_token);
        self.held.is_bound = session.is_bound;
        self.save()
    }

    async fn fetch(&mut self, backend: &Backend, session: &Session) -> Result<(), PhoneError> {
        let locks = backend.locks(session).await?;
        let Issued { passes, locks: papers } = backend.passes(session, &self.held.phone_id, &locks).await?;
        let before = std::mem::take(&mut self.held.locks);
        for papers in papers {
            let pass = passes.iter().find(|pass| pass.lock_ids.contains(&papers.lock_id));
            let known = before.get(&papers.lock_id);
            let mut documents = papers.documents;
            // An answer that has not been handed over yet is still to be.
            let waiting = known.map(|held| held.documents.as_slice()).unwrap_or_default();
            documents.extend(waiting.iter().filter(|message| !is_kept(message)).cloned());
            let held = HeldLock {
                public_key: papers.public_key,
                pass: pass.map(|pass| pass.pass.clone()),
                expires_at: pass.map(|pass| pass.expires_at.clone()),
                documents,
                address: known.and_then(|held| held.address.clone()),
            };
            self.held.locks.insert(papers.lock_id, held);
        }
        self.save()
    }

    async fn deliver(&mut self, backend: &Backend, session: &Session) -> Result<(), PhoneError> {
        while let Some(lock) = self.held.carried.first().map(|carried| carried.lock.clone()) {
            let of_lock = self.held.carried.iter().filter(|carried| carried.lock == lock);
            let messages: Vec<String> = of_lock
                .take(DELIVERED_AT_ONCE)
                .map(|carried| carried.message.clone())
                .collect();
            let texts: Vec<&str> = messages.iter().map(String::as_str).collect();
            let answers = match backend.deliver(session, &lock, &texts).await {
                Ok(answers) => answers,
                // The person may open the lock no more, or it is gone: what it said is not theirs to bring.
                Err(PhoneError::Refused { status: 403 | 404, .. }) => Vec::new(),
                Err(error) => return Err(error),
            };
            self.held
                .carried
                .retain(|carried| carried.lock != lock || !messages.contains(&carried.message));
            if let Some(held) = self.held.locks.get_mut(&lock) {
                held.documents.extend(answers);
            }
            self.save()?;
        }
        Ok(())
    }

    /// Stands before a door: brings the backend's messages in, shows the pass, and takes events along.
    ///
    /// # Errors
    /// [`PhoneError::Impostor`] where the lock cannot prove who it is: nothing is shown to it then.
    pub async fn enter(&mut self, door: &LockDoor, act: Action) -> Result<Opened, PhoneError> {
        let met = self.meet(door).await?;
        self.bring_in(door, &met).await?;
        let pass = self.held.locks.get(&met.lock).and_then(|held| held.pass.clone());
        let pass = pass.ok_or_else(|| PhoneError::NoPass(door.address()))?;
        let answer = pass_answer(met.lock.as_str(), met.boot, &met.nonce, act, &pass);
        let signature = answer.and_then(|answer| PrivateKey::sign(&self.key, &answer));
        let signature = URL_SAFE_NO_PAD.encode(signature.ok_or(PhoneError::Signature)?);
        let said = door
            .show(&Answer {
                pass: &pass,
                public_key: &self.public_key()?,
                act: act.as_str(),
                nonce: &met.nonce,
                signature: &signature,
            })
            .await?;
        self.take_up(&met.lock, said.events);
        self.save()?;
        // The door is open, or is not; that the rest of the events did not come changes nothing.
        if let Err(error) = self.take_along(door, &met.lock).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "no events were taken along");
        }
        Ok(Opened {
            lock: met.lock,
            result: said.result,
        })
    }

    /// Stands before a door to carry alone: the backend's messages in, the lock's events out.
    ///
    /// # Errors
    /// As [`Self::enter`].
    pub async fn carry(&mut self, door: &LockDoor) -> Result<LockId, PhoneError> {
        let met = self.meet(door).await?;
        self.bring_in(door, &met).await?;
        self.take_along(door, &met.lock).await?;
        Ok(met.lock)
    }

    /// Finds out which lock is behind the door, and has it prove that.
    async fn meet(&mut self, door: &LockDoor) -> Result<Met, PhoneError> {
        let (compact, address) = (door.challenge().await?, door.address());
        let strange = || PhoneError::Strange(address.clone());
        let message = Message::parse(&compact).map_err(|_| strange())?;
        let claims: Challenge<'_> = message.claims().map_err(|_| strange())?;
        let lock: LockId = claims.lock.parse().map_err(|_| strange())?;
        let held = self.held.locks.get_mut(&lock);
        let held = held.ok_or_else(|| PhoneError::NoPass(address.clone()))?;
        let key = keys::PublicKey::from_jwk(&held.public_key.jwk()).ok_or_else(strange)?;
        jws::open(&compact, Typ::Challenge, lock.as_str(), &key.key)
            .map_err(|_| PhoneError::Impostor(address.clone()))?;
        held.address = Some(address);
        Ok(Met {
            boot: claims.boot,
            nonce: claims.nonce.to_owned(),
            epoch: claims.epoch,
            lockdown: claims.lockdown,
            lock,
        })
    }

    async fn bring_in(&mut self, door: &LockDoor, met: &Met) -> Result<(), PhoneError> {
        let Some(held) = self.held.locks.get_mut(&met.lock) else {
            return Ok(());
        };
        let news = held.news(met.epoch, met.lockdown);
        if !news.is_empty() {
            let events = door.hand_over(&news).await?;
            held.forget_handed_over();
            self.take_up(&met.lock, events);
            self.save()?;
        }
        Ok(())
    }

    async fn take_along(&mut self, door: &LockDoor, lock: &LockId) -> Result<(), PhoneError> {
        let mut from = 0;
        loop {
            let events = door.events(from).await?;
            let Some(last) = events.iter().filter_map(|event| seq_of(event)).max() else {
                break;
            };
            if last < from {
                break;
            }
            from = last + 1;
            self.take_up(lock, events);
        }
        self.save()
    }
}

fn seq_of(event: &str) -> Option<u64> {
    let message = Message::parse(event).ok()?;
    message.claims::<Event<'_>>().ok().map(|event| event.seq)
}

/// Whether a document is one that the backend gives anew with every pass.
fn is_kept(document: &str) -> bool {
    let kept = [Ok(Typ::Revocations), Ok(Typ::Lockdown)];
    Message::parse(document).is_ok_and(|message| kept.contains(&message.typ()))
}
