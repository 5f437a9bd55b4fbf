//! A lock goes to another door of the same organization.

use std::sync::Arc;

use super::{RETIRED, unit_of, write_down};
use crate::app::pins::{clear_at, void_codes_at};
use crate::app::revocations::{hold_locks, void_all};
use crate::app::{Actor, App, Error, What, house_access, managed_by, must_have_phone_key, visits};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::grant::{Grant, Holder};
use crate::domain::ids::{GrantId, LockId, PropertyId, UnitId};
use crate::domain::lock::{Lock, LockState};
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, grants, lock_places, locks, places};

/// Where a lock goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The property.
    pub property: PropertyId,
    /// The unit whose own door it is there; a shared door if `None`.
    pub unit: Option<UnitId>,
    /// Whether who could open it before by a grant may open it there.
    pub keep_grants: bool,
}

/// A lock that was transferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The lock, where it is now.
    pub lock: Lock,
    /// The grants that end for it: they were taken back where they name no other lock.
    pub grants_ended: Vec<GrantId>,
    /// The grants that go on for it.
    pub grants_kept: Vec<GrantId>,
    /// No bolt moves by what ended after this time.
    pub effective_no_later_than: Timestamp,
}

impl App {
    /// Puts a lock on another door of its organization. It hangs on another door then: grants to it end in the same
    /// transaction unless they are to be kept, ways in of vendors in any case, and tenancies open it or not by where it is now. Every offline pass of
    /// it is void: who may still open it renews. What stands in the log
    /// keeps the place where it happened.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`]; [`Error::NotFound`] of the lock, the property or the unit in it; [`Error::Invalid`] where the
    /// property is another organization's, or the lock is there already; [`Error::Conflict`] for a retired lock.
    pub async fn transfer_lock(&self, who: &Actor, id: LockId, to: Destination) -> Result<Transfer, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        let (transfer, names, by_visit) = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                who.must_have_proven(now)?;
                let lock = locks::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Lock))?;
                must_have_phone_key(conn, &lock.organization, &who)?;
                if lock.state == LockState::Retired {
                    return Err(RETIRED);
                }
                let property =
                    places::find_property(conn, &to.property, &scope)?.ok_or(Error::NotFound(What::Property))?;
                if property.organization != lock.organization {
                    return Err(Error::invalid(
                        "property_id",
                        "the property is of another organization; release the lock and add it there",
                    ));
                }
                let unit = to
                    .unit
                    .map(|unit| unit_of(conn, unit, &property.id, &scope))
                    .transpose()?;
                if (&property.id, &unit) == (&lock.property, &lock.unit) {
                    return Err(Error::invalid("property_id", "the lock is there already"));
                }
                house_access::refuse_to_take_away(conn, &lock, &who.person, now)?;
                let moved = Lock {
                    property: property.id,
                    unit,
                    ..lock.clone()
                };
                // The lock's row before its grants: in the order in which an unlock takes them.
                let mut doors = visits::doors_of_visits_at(conn, &lock.id)?;
                doors.push(lock.id.clone());
                hold_locks(conn, &doors)?;
                locks::update(conn, &moved)?;
                lock_places::leave(conn, &lock, now)?;
                let names = void_all(conn, &lock.id, now)?;
                let kept_out = visits::door_moved(conn, &moved, (&who.person, &*random), now)?;
                let standing = standing_grants(conn, &lock, now)?;
                if to.keep_grants {
                    house_access::refuse_to_bring_keys(conn, &moved, &standing, now)?;
                }
                // What tenants gave goes with the unit in which they live.
                let (kept, ended): (Vec<Grant>, Vec<Grant>) =
                    (standing.into_iter()).partition(|grant| to.keep_grants && grant.under.is_none());
                let ended_ids: Vec<GrantId> = ended.iter().map(|grant| grant.id.clone()).collect();
                let of_visits: Vec<GrantId> = kept_out.grants().cloned().collect();
                let by_slot = clear_at(conn, &moved, &ended_ids, now)?;
                // All grants before the end of the log: an unlock at another lock of one of them takes them so too.
                for grant in &ended {
                    end_for(conn, &who, grant, &lock, now)?;
                }
                for grant in &ended {
                    write_down_end(conn, &who, grant, &lock, now)?;
                }
                let by_visit = kept_out.write_down(conn, &*random, Some(&who.person), now)?;
                let by_code = void_codes_at(conn, &moved, &ended_ids, (Some(&who.person), None), now)?;
                for (place, reason) in [(&lock, "taken-away"), (&moved, "brought")] {
                    let entry = NewEntry {
                        reason: Some(reason.to_owned()),
                        detail: Some(serde_json::json!({
                            "from": { "property_id": lock.property, "unit_id": lock.unit },
                            "to": { "property_id": moved.property, "unit_id": moved.unit },
                            "grants_ended": ended.len(),
                            "grants_kept": kept.len(),
                        })),
                        ..NewEntry::new(Kind::LockTransferred, now)
                    };
                    write_down(conn, &who, place, entry, now)?;
                }
                let transfer = Transfer {
                    lock: moved,
                    grants_ended: ended_ids.into_iter().chain(of_visits).collect(),
                    grants_kept: kept.into_iter().map(|grant| grant.id).collect(),
                    effective_no_later_than: by_slot.max(by_code).unwrap_or(now),
                };
                Ok((transfer, names, by_visit))
            })
            .await?;
        self.changes.tell(&transfer.lock.id);
        self.push_pins(&transfer.lock.id).await?;
        let mut revocation = self.make_effective(names).await?;
        if !by_visit.is_nothing() {
            revocation = revocation.and(self.make_end_effective(by_visit).await?);
        }
        Ok(Transfer {
            effective_no_later_than: transfer.effective_no_later_than.max(revocation.effective_no_later_than),
            ..transfer
        })
    }
}

/// The grants that name the lock, were not taken back and have not ended.
pub(super) fn standing_grants(conn: &mut Conn, lock: &Lock, now: Timestamp) -> Result<Vec<Grant>, Error> {
    let all = grants::at_lock(conn, &lock.organization, &lock.id)?;
    Ok(all.into_iter().filter(|grant| grant.stands(now)).collect())
}

/// Ends the grant for this one lock: takes it back where it names no other, else takes the lock out of it.
fn end_for(conn: &mut Conn, who: &Actor, grant: &Grant, lock: &Lock, now: Timestamp) -> Result<(), Error> {
    if goes_on(grant) {
        grants::take_out(conn, &grant.id, &lock.id)?;
    } else {
        grants::revoke(conn, &grant.id, &who.person, now)?;
    }
    Ok(())
}

/// Whether the grant names another lock too.
fn goes_on(grant: &Grant) -> bool {
    grant.terms.locks.len() > 1
}

fn write_down_end(conn: &mut Conn, who: &Actor, grant: &Grant, lock: &Lock, now: Timestamp) -> Result<(), Error> {
    let person = match &grant.holder {
        Holder::Person(person) => Some(person.clone()),
        Holder::Invited(_) => None,
    };
    let entry = NewEntry {
        reason: Some("lock-transferred".to_owned()),
        person,
        actor: Some(who.person.clone()),
        grant: Some(grant.id.clone()),
        detail: Some(serde_json::json!({ "lock_ids": [lock.id], "goes_on_for_others": goes_on(grant) })),
        ..NewEntry::new(Kind::GrantRevoked, now)
    };
    access_log::append(conn, &lock.organization, &entry.about(lock), now)?;
    Ok(())
}
