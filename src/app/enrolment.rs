//! A controller claims a lock (`docs/PROTOCOL.md`, "Enrolment").

use doorward_lock::wire::Address;
use zeroize::Zeroizing;

use super::{App, BrokerAddress, Error};
use crate::crypto::claim_code::ClaimCode;
use crate::crypto::public_key::PublicKey;
use crate::crypto::secret::Secret;
use crate::crypto::tokens::LockKey;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::ids::{LockId, OrganizationId};
use crate::domain::lock::ProductName;
use crate::domain::time::Timestamp;
use crate::store::locks::Enrolment;
use crate::store::{access_log, locks};

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

/// What a controller is given; shown once.
#[derive(Debug)]
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
    /// The time.
    pub time: Timestamp,
}

const REFUSED: Error = Error::Conflict {
    word: "claim-refused",
    why: "the claim code is unknown, used or too old, or the proof is not by this key over this code",
};

impl App {
    /// Makes the controller the lock that its claim code names. One answer for every refusal: who guesses learns
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] `claim-refused`.
    pub async fn enrol(&self, newcomer: Newcomer) -> Result<Welcome, Error> {
        let now = self.now();
        let key = LockKey::of_newcomer(&newcomer.public_key).map_err(|_| REFUSED)?;
        key.verify_enrolment(&newcomer.proof, &newcomer.claim_code)
            .map_err(|_| REFUSED)?;
        let password = self.random.secret();
        let digest = newcomer.claim_code.digest();
        let enrolment = Enrolment {
            public_key: newcomer.public_key.to_json(),
            broker_digest: password.digest(),
            model: newcomer.model.into(),
            firmware: newcomer.firmware.into(),
        };
        let lock = self
            .db
            .write(move |conn| {
                let lock = locks::find_by_claim(conn, &digest, now)?.ok_or(REFUSED)?;
                if !locks::enrol(conn, &lock.id, &enrolment, now)? {
                    return Err(REFUSED);
                }
                let entry = NewEntry {
                    detail: Some(serde_json::json!({ "model": enrolment.model, "firmware": enrolment.firmware })),
                    ..NewEntry::new(Kind::LockEnrolled, now)
                };
                access_log::append(conn, &lock.organization, &entry.about(&lock), now)?;
                Ok::<_, Error>(lock)
            })
            .await?;
        let pin_key = self
            .pin_keys
            .of(&lock.id)
            .map_err(|error| Error::Internal("deriving", error.into()))?;
        Ok(Welcome {
            keyset: self.keyset_for(&lock.id, &lock.organization)?,
            pin_key,
            lock: lock.id,
            issuer: self.settings.issuer.name.clone(),
            organization: lock.organization,
            root_key: self.keys.root().public().clone(),
            broker: self.settings.broker.clone(),
            password,
            time: now,
        })
    }

    /// The keyset for one lock.
    pub(super) fn keyset_for(&self, lock: &LockId, organization: &OrganizationId) -> Result<String, Error> {
        let issuer = &self.settings.issuer;
        let address = Address {
            iss: &issuer.name,
            org: organization.as_str(),
            aud: lock.as_str(),
        };
        Ok(self.keys.sign_keyset(address, issuer.keyset_version, issuer.revision)?)
    }
}
