//! Claim codes: for a lock that nobody has claimed, and for a controller that takes the place of another.

use std::time::Duration;

use super::{RETIRED, UNCLAIMED, write_down};
use crate::app::{Actor, App, Error, What, managed_by, must_have_phone_key};
use crate::crypto::claim_link::ClaimLink;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::Scope;
use crate::domain::ids::LockId;
use crate::domain::lock::LockState;
use crate::domain::time::Timestamp;
use crate::store::{Conn, enrolments, locks};

/// How long a claim code can be used (`docs/PROTOCOL.md`, "Enrolment").
pub const CLAIM_LIFE: Duration = Duration::from_secs(600);

const CLAIMED: Error = Error::Conflict {
    word: "lock-claimed",
    why: "a controller has claimed this lock; replace it, or release it first",
};

/// The code that claims a lock, shown once.
#[derive(Debug)]
pub struct Claim {
    /// The code, and the server where it can be used.
    pub link: ClaimLink,
    /// Until when it can be used, exclusive.
    pub ends_at: Timestamp,
}

impl Claim {
    /// SHA-256 of the code.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.link.code.digest()
    }

    /// What the database keeps of it.
    pub(in crate::app) fn to_keep(&self) -> KeptClaim {
        KeptClaim {
            digest: self.digest(),
            ends_at: self.ends_at,
        }
    }
}

/// A claim without its code.
pub(in crate::app) struct KeptClaim {
    digest: [u8; 32],
    ends_at: Timestamp,
}

impl App {
    pub(in crate::app) fn new_claim(&self, now: Timestamp) -> Claim {
        Claim {
            link: ClaimLink {
                server: self.settings.public_url.clone(),
                code: self.random.claim_code(),
            },
            ends_at: now + CLAIM_LIFE,
        }
    }

    /// Makes a new claim code for a lock that nobody has claimed; the one before is void.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::ProofNeeded`] where it had a controller before;
    /// [`Error::Conflict`] where the lock is claimed or retired.
    pub async fn renew_claim(&self, who: &Actor, id: LockId) -> Result<Claim, Error> {
        self.make_claim(who, id, LockState::Unclaimed, None).await
    }

    /// Makes a claim code for a controller that takes the place of the present one, under the same lock id and with all its
    /// grants. The present one goes on until the new one enrols; then its key, its broker password and its session are void at
    /// once.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] where the lock is unclaimed or retired.
    pub async fn replace_lock(&self, who: &Actor, id: LockId) -> Result<Claim, Error> {
        who.must_have_proven(self.now())?;
        self.make_claim(who, id, LockState::Enrolled, Some("replacement")).await
    }

    async fn make_claim(
        &self,
        who: &Actor,
        id: LockId,
        wanted: LockState,
        reason: Option<&'static str>,
    ) -> Result<Claim, Error> {
        let (now, who) = (self.now(), who.clone());
        let claim = self.new_claim(now);
        let kept = claim.to_keep();
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                store_claim(conn, &who, (&scope, &id), wanted, reason, &kept, now)
            })
            .await?;
        Ok(claim)
    }
}

/// Puts the claim in the place of the one before, for a lock that is in the state `wanted`, and writes that down.
pub(in crate::app) fn store_claim(
    conn: &mut Conn,
    who: &Actor,
    (scope, id): (&Scope, &LockId),
    wanted: LockState,
    reason: Option<&'static str>,
    claim: &KeptClaim,
    now: Timestamp,
) -> Result<(), Error> {
    let lock = locks::find(conn, id, scope)?.ok_or(Error::NotFound(What::Lock))?;
    // Whoever enrols a controller of their own says from then on what the door did.
    must_have_phone_key(conn, &lock.organization, who)?;
    if enrolments::count(conn, id)? > 0 {
        // It has grants by now, and people who come by them.
        who.must_have_proven(now)?;
    }
    // The lock's state decides where it counts: somebody may be enrolling at this moment.
    if !enrolments::set_claim(conn, id, wanted, &claim.digest, claim.ends_at)? {
        return Err(match (locks::find(conn, id, scope)?.map(|lock| lock.state), wanted) {
            (Some(LockState::Retired), _) => RETIRED,
            (_, LockState::Enrolled) => UNCLAIMED,
            _ => CLAIMED,
        });
    }
    let entry = NewEntry {
        reason: reason.map(str::to_owned),
        ..NewEntry::new(Kind::LockClaimed, now)
    };
    write_down(conn, who, &lock, entry, now)
}
