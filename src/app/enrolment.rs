//! A controller claims a lock (`docs/PROTOCOL.md`, "Enrolment").

use std::sync::Arc;

use zeroize::Zeroizing;

use super::lock_messages::write_off;
use super::notices::tell;
use super::revocations::void_all;
use super::{App, BrokerAddress, Error};
use crate::crypto::claim_code::ClaimCode;
use crate::crypto::public_key::PublicKey;
use crate::crypto::random::Random;
use crate::crypto::secret::Secret;
use crate::crypto::tokens::{LockKey, Product};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::Role;
use crate::domain::ids::{LockId, OrganizationId};
use crate::domain::lock::{Lock, ProductName};
use crate::domain::notice::{self, News};
use crate::domain::relay::RelayAway;
use crate::domain::time::Timestamp;
use crate::store::enrolments::{Claimed, Enrolment, Written};
use crate::store::{Conn, access_log, accounts, attempts, enrolments, lock_events, locks, tenancies};

/// What a controller brings.
#[derive(Debug)]
pub struct Newcomer {
    /// The code that the landlord was shown.
    pub claim_code: ClaimCode,
    /// The public half of the key pair that it made.
    pub public_key: PublicKey,
    /// Maker's name of the product.
    pub model: ProductName,
    /// Version of its firmware.
    pub firmware: ProductName,
    /// A JWS by its key over the code's hash.
    pub proof: String,
}

/// What a controller is given; shown once, and by no `Debug`: it holds the lock's secrets.
pub struct Welcome {
    /// Which lock it is now; also its MQTT client id and user name.
    pub lock: LockId,
    /// The name of this backend.
    pub issuer: String,
    /// Whose lock it is.
    pub organization: OrganizationId,
    /// The root key to pin.
    pub root_key: PublicKey,
    /// The keys to believe, signed by the root key.
    pub keyset: String,
    /// Its PIN key.
    pub pin_key: Zeroizing<[u8; 32]>,
    /// Where the broker is.
    pub broker: BrokerAddress,
    /// Its broker password.
    pub password: Secret,
    /// The last counter that was issued to the lock, whoever its controller was: nothing up to it is new.
    pub counter: u64,
    /// The time.
    pub time: Timestamp,
}

const REFUSED: Error = Error::Conflict {
    word: "claim-refused",
    why: "the claim code is unknown, used or too old, or the proof is not by this key over this code",
};

impl App {
    /// Makes the controller the lock that its claim code names: the first one, or in the place of another, whose key, broker
    /// password and session are void with the second commit. One answer for every refusal: who guesses learns nothing.
    ///
    /// The broker is told between two commits: of two controllers with one code only the one that has taken the code
    /// sets the password, and no lock is enrolled that the broker does not let in. Where the second commit fails, or never
    /// comes, the broker knows a password that nobody was given, until the lock enrols the next time; after a crash in
    /// between, or where the caller hangs up, the landlord makes a new code.
    ///
    /// # Errors
    /// [`Error::Conflict`] `claim-refused`; [`Error::RelayAway`], after which the code is good again.
    pub async fn enrol(&self, newcomer: Newcomer) -> Result<Welcome, Error> {
        let now = self.now();
        let key = LockKey::of_newcomer(&newcomer.public_key).map_err(|_| REFUSED)?;
        let product = Product {
            model: newcomer.model.as_str(),
            firmware: newcomer.firmware.as_str(),
        };
        key.verify_enrolment(&newcomer.proof, &newcomer.claim_code, product)
            .map_err(|_| REFUSED)?;
        let password = self.random.secret();
        let digest = newcomer.claim_code.digest();
        let enrolment = Enrolment {
            public_key: newcomer.public_key.to_json(),
            broker_digest: password.digest(),
            model: newcomer.model.into(),
            firmware: newcomer.firmware.into(),
        };
        let claimed = self
            .db
            .write(move |conn| enrolments::take_claim(conn, &digest, now)?.ok_or(REFUSED))
            .await?;
        // Whoever is put out of the broker at this moment may be the controller before.
        let _turn = self.broker_turns.wait_for(&claimed.lock).await;
        let admitted = self.registrar.admit(&claimed.lock, password.expose()).await;
        let enrolled = match admitted {
            Ok(()) => self.write_enrolment(claimed.clone(), enrolment, now).await,
            Err(RelayAway) => Err(Error::RelayAway),
        };
        let (lock, written) = match enrolled {
            Ok(enrolled) => enrolled,
            Err(error) => {
                self.db
                    .write(move |conn| Ok::<_, Error>(enrolments::return_claim(conn, &claimed, &digest)?))
                    .await?;
                return Err(error);
            }
        };
        if let Err(RelayAway) = self.registrar.end_session(&lock.id).await {
            tracing::warn!(lock.id = %lock.id, "the broker did not say that it ended the session of the controller that was {}", lock.id);
        }
        let pin_key = self
            .pin_keys
            .of(&lock.id, written.number)
            .map_err(|error| Error::Internal("deriving", error.into()))?;
        Ok(Welcome {
            keyset: self.keyset(),
            pin_key,
            lock: lock.id,
            issuer: self.settings.issuer.name.clone(),
            organization: lock.organization,
            root_key: self.keys.root(),
            broker: self.settings.broker.clone(),
            password,
            counter: u64::from(self.settings.issuer.generation) << 48 | written.counter,
            time: now,
        })
    }

    async fn write_enrolment(
        &self,
        claimed: Claimed,
        enrolment: Enrolment,
        now: Timestamp,
    ) -> Result<(Lock, Written), Error> {
        let random = Arc::clone(&self.random);
        let (lock, written) = self
            .db
            .write(move |conn| {
                let progress = lock_events::progress(conn, &claimed.lock)?;
                let written = enrolments::enrol(conn, &claimed, &enrolment, now)?.ok_or(REFUSED)?;
                // The controller before cannot show any more that it did not move.
                attempts::keep_uses(conn, &claimed.lock)?;
                let lock = locks::with_ids(conn, std::slice::from_ref(&claimed.lock))?.pop();
                let lock = lock.ok_or(REFUSED)?;
                if written.number > 1 {
                    // The new controller knows of no revocation, and what the one before has counted and not told is lost.
                    void_all(conn, &lock.id, now)?;
                }
                let mut detail = serde_json::json!({
                    "model": enrolment.model,
                    "firmware": enrolment.firmware,
                    "enrolment": written.number,
                });
                if let Some(replaced) = &written.replaced {
                    detail["replaced"] = serde_json::json!({ "chain": replaced.chain, "events": replaced.seq + 1 });
                }
                let entry = NewEntry {
                    reason: written.replaced.as_ref().map(|_| "replaced".to_owned()),
                    detail: Some(detail),
                    ..NewEntry::new(Kind::LockEnrolled, now)
                };
                access_log::append(conn, &lock.organization, &entry.about(&lock), now)?;
                // What it had not told by now is not believed any more.
                write_off(conn, &lock, &progress, now)?;
                if written.number > 1 {
                    tell_of_replacement(conn, &*random, &lock, now)?;
                }
                Ok::<_, Error>((lock, written))
            })
            .await?;
        self.changes.tell(&lock.id);
        Ok((lock, written))
    }
}

/// Tells whoever manages the house, and who lives behind the door: whoever holds the new controller says from now on what the
/// door does.
fn tell_of_replacement(conn: &mut Conn, random: &dyn Random, lock: &Lock, now: Timestamp) -> Result<(), Error> {
    let mut persons = accounts::with_role(conn, &lock.organization, Role::manages)?;
    if let Some(unit) = &lock.unit {
        persons.extend(tenancies::residents(conn, unit, now)?);
    }
    let news = News::new(notice::Kind::LockReplaced, lock.organization.clone()).about(lock);
    tell(conn, random, persons, &news, now)
}
