//! Changing the locks at a visit: the controllers of the unit's doors are replaced, and with them every key, PIN and pass.

use std::sync::Arc;

use super::{DOOR_MOVED, Step, doors_as_ordered, hold, refuse_over, write_down};
use crate::app::locks::{Claim, store_claim};
use crate::app::revocations::hold_locks;
use crate::app::{Actor, App, Error, What, managed_by};
use crate::domain::access_log::Kind;
use crate::domain::ids::{LockId, VisitId};
use crate::domain::lock::LockState;
use crate::domain::notice;
use crate::store::visits;

/// The claim for the controller that takes the place of the one in this lock.
#[derive(Debug)]
pub struct ClaimOfLock {
    /// The lock.
    pub lock: LockId,
    /// Its claim, shown once.
    pub claim: Claim,
}

const NOT_ORDERED: Error = Error::Conflict {
    word: "no-lock-change",
    why: "this visit was ordered without a change of locks",
};

const NOT_BEGUN: Error = Error::Conflict {
    word: "visit-not-begun",
    why: "the vendor has not got in yet",
};

impl App {
    /// Starts the change of the unit's locks that was ordered with a visit: gives a claim for each new controller, of all or of
    /// none. The present ones work until the new ones enrol. A second call makes new claims, and the first are void.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] where no change was ordered, the vendor is not there, a lock
    /// is unclaimed or retired, or hangs in another home now.
    pub async fn change_locks(&self, who: &Actor, id: VisitId) -> Result<Vec<ClaimOfLock>, Error> {
        let (now, actor, wanted) = (self.now(), who.clone(), id.clone());
        who.must_have_proven(now)?;
        let doors = self
            .db
            .read(move |conn| {
                let scope = managed_by(conn, &actor)?;
                let visit = visits::find(conn, &wanted, &scope)?.ok_or(Error::NotFound(What::Visit))?;
                let doors = doors_as_ordered(conn, &visit)?;
                let own = doors.into_iter().filter(|lock| lock.unit.is_some());
                Ok::<_, Error>(own.collect::<Vec<_>>())
            })
            .await?;
        let claims: Vec<ClaimOfLock> = doors
            .into_iter()
            .map(|lock| ClaimOfLock {
                lock: lock.id,
                claim: self.new_claim(now),
            })
            .collect();
        let kept: Vec<_> = claims.iter().map(|of| (of.lock.clone(), of.claim.to_keep())).collect();
        let (random, who) = (Arc::clone(&self.random), who.clone());
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                hold_locks(conn, &kept.iter().map(|(lock, _)| lock.clone()).collect::<Vec<_>>())?;
                let visit = hold(conn, &id, &scope)?;
                refuse_over(&visit, now)?;
                if !visit.lock_change {
                    return Err(NOT_ORDERED);
                }
                if visit.begun_at.is_none() {
                    return Err(NOT_BEGUN);
                }
                // Read again now that nobody moves them.
                let doors = doors_as_ordered(conn, &visit)?;
                for (lock, claim) in &kept {
                    if !doors.iter().any(|door| door.id == *lock && door.unit.is_some()) {
                        return Err(DOOR_MOVED);
                    }
                    let reason = Some("replacement");
                    store_claim(conn, &who, (&scope, lock), LockState::Enrolled, reason, claim, now)?;
                }
                let step = Step {
                    kind: Kind::LockChangeBegun,
                    news: notice::Kind::LockChangeBegun,
                    actor: Some(who.person.clone()),
                    at: now,
                    reason: None,
                };
                write_down(conn, &*random, &visit, step, now)
            })
            .await?;
        Ok(claims)
    }
}
