//! Adding, seeing and changing locks; below, how they are claimed, how they end, and how they move house.

use super::grants::{By, follow_each, hold_hanging_at};
use super::revocations::void_all;
use super::{Actor, App, Error, What, house_access, managed_by, must_have_phone_key, staffed_by, visits};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::Scope;
use crate::domain::chain::Progress;
use crate::domain::ids::{LockId, PropertyId, UnitId};
use crate::domain::lock::{Lock, LockKind};
use crate::domain::page::{Page, PageRequest};
use crate::domain::place::PlaceName;
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, lock_events, lock_places, locks, places};

mod claims;
mod departure;
mod transfer;

pub(super) use claims::store_claim;
pub use claims::{CLAIM_LIFE, Claim};
pub(super) use departure::Departures;
pub use transfer::{Destination, Transfer};

/// What is to change of a lock; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockChange {
    /// Its door's name.
    pub name: Option<PlaceName>,
    /// The unit whose own door it is; `Some(None)` makes it a shared one.
    pub unit: Option<Option<UnitId>>,
    /// Whether those who may open it may give others access to it.
    pub shareable: Option<bool>,
}

impl App {
    /// Adds a lock, and makes the code by which its controller claims it.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] of the property, or of the unit in it.
    pub async fn add_lock(
        &self,
        who: &Actor,
        property: PropertyId,
        unit: Option<UnitId>,
        name: PlaceName,
        kind: LockKind,
    ) -> Result<(Lock, Claim), Error> {
        let (now, who) = (self.now(), who.clone());
        let id = LockId::from_bits(self.id_bits(now));
        let claim = self.new_claim(now);
        let (digest, ends_at) = (claim.digest(), claim.ends_at);
        let lock = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let property =
                    places::find_property(conn, &property, &scope)?.ok_or(Error::NotFound(What::Property))?;
                let unit = unit.map(|unit| unit_of(conn, unit, &property.id, &scope)).transpose()?;
                let lock = Lock::unclaimed(id, &property, unit, name, kind, now);
                add(conn, &who, &lock, Some((&digest, ends_at)), now)?;
                Ok::<_, Error>(lock)
            })
            .await?;
        Ok((lock, claim))
    }

    /// The locks of the organizations that the caller works for, of one property if asked for.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn locks(
        &self,
        who: &Actor,
        property: Option<PropertyId>,
        page: PageRequest<LockId>,
    ) -> Result<Page<Lock, LockId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = staffed_by(conn, &who)?;
                let limit = i64::from(page.limit) + 1;
                let found = locks::list(conn, &scope, property.as_ref(), page.after.as_ref(), limit)?;
                Ok(Page::cut(found, page.limit, |lock| lock.id.clone()))
            })
            .await
    }

    /// One lock, and how whole its events are.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn lock(&self, who: &Actor, id: LockId) -> Result<(Lock, Progress), Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = staffed_by(conn, &who)?;
                let lock = locks::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Lock))?;
                let progress = lock_events::progress(conn, &id)?;
                Ok((lock, progress))
            })
            .await
    }

    /// Changes a lock's name or unit, or whether it may be shared. What tenants gave at it follows: at a door that is another
    /// unit's now, or that was closed to sharing, it ends. A lock that moves takes no visit of a vendor along.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::ProofNeeded`] of more than a name; [`Error::NotFound`] of the lock, or of the unit in its property;
    /// [`Error::Invalid`] where a unit's own door is to be closed to sharing.
    pub async fn change_lock(&self, who: &Actor, id: LockId, change: LockChange) -> Result<Lock, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = std::sync::Arc::clone(&self.random);
        let (lock, has_moved, ended) = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let lock = locks::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Lock))?;
                if change.unit.is_some() || change.shareable.is_some() {
                    who.must_have_proven(now)?;
                    must_have_phone_key(conn, &lock.organization, &who)?;
                }
                let (before, was_closed) = (lock.clone(), lock.is_closed_to_sharing());
                let unit = match change.unit {
                    None => lock.unit,
                    Some(unit) => unit
                        .map(|unit| unit_of(conn, unit, &lock.property, &scope))
                        .transpose()?,
                };
                let lock = Lock {
                    name: change.name.unwrap_or(lock.name),
                    unit,
                    shareable: change.shareable.unwrap_or(lock.shareable),
                    ..lock
                };
                if change.shareable == Some(false) && lock.unit.is_some() {
                    return Err(Error::invalid(
                        "shareable",
                        "a unit's own door is for who lives there to share",
                    ));
                }
                let has_moved = lock.unit != before.unit;
                let hanging = if has_moved || (lock.is_closed_to_sharing() && !was_closed) {
                    let doors = match has_moved {
                        true => visits::doors_of_visits_at(conn, &lock.id)?,
                        false => Vec::new(),
                    };
                    hold_hanging_at(conn, &lock, doors, now)?
                } else {
                    Vec::new()
                };
                if has_moved {
                    house_access::refuse_to_take_away(conn, &before, &who.person, now)?;
                    let standing = transfer::standing_grants(conn, &lock, now)?;
                    house_access::refuse_to_bring_keys(conn, &lock, &standing, now)?;
                }
                locks::update(conn, &lock)?;
                let mut kept_out = None;
                if has_moved {
                    lock_places::leave(conn, &before, now)?;
                    // Other tenants than before may open it.
                    void_all(conn, &lock.id, now)?;
                    kept_out = Some(visits::door_moved(conn, &lock, (&who.person, &*random), now)?);
                }
                let by = By {
                    who: Some(&who),
                    random: &*random,
                };
                let mut ended = follow_each(conn, hanging, by, now)?;
                if let Some(kept_out) = kept_out {
                    ended = ended.and(kept_out.write_down(conn, &*random, by.actor(), now)?);
                }
                let detail = match (has_moved, change.shareable) {
                    (true, _) => Some(serde_json::json!({
                        "from": { "property_id": before.property, "unit_id": before.unit },
                        "to": { "property_id": lock.property, "unit_id": lock.unit },
                    })),
                    (false, shareable) => shareable.map(|shareable| serde_json::json!({ "shareable": shareable })),
                };
                // At both places, for whoever lives there.
                for place in Some(&before).filter(|_| has_moved).into_iter().chain([&lock]) {
                    let entry = NewEntry {
                        detail: detail.clone(),
                        ..NewEntry::new(Kind::LockChanged, now)
                    };
                    write_down(conn, &who, place, entry, now)?;
                }
                Ok::<_, Error>((lock, has_moved, ended))
            })
            .await?;
        self.changes.tell(&lock.id);
        if has_moved {
            // Where it is not connected now, its next hello asks for them.
            self.send_revocations(&lock.id).await?;
        }
        if !ended.is_nothing() {
            self.make_end_effective(ended).await?;
        }
        Ok(lock)
    }
}

const RETIRED: Error = Error::Conflict {
    word: "lock-retired",
    why: "this lock is out of service",
};

const UNCLAIMED: Error = Error::Conflict {
    word: "lock-unclaimed",
    why: "no controller has claimed this lock; make a claim code for one",
};

/// The unit, if it is one of the property.
fn unit_of(conn: &mut Conn, unit: UnitId, property: &PropertyId, scope: &Scope) -> Result<UnitId, Error> {
    let found = places::find_unit(conn, &unit, scope)?.filter(|unit| unit.property == *property);
    found.map(|unit| unit.id).ok_or(Error::NotFound(What::Unit))
}

/// Adds a lock that no controller has claimed and writes it down; a claim, where there is one, is by the digest of its code and
/// its end.
pub(super) fn add(
    conn: &mut Conn,
    who: &Actor,
    lock: &Lock,
    claim: Option<(&[u8; 32], Timestamp)>,
    now: Timestamp,
) -> Result<(), Error> {
    locks::add(conn, lock, claim)?;
    write_down(conn, who, lock, NewEntry::new(Kind::LockAdded, now), now)
}

/// Writes down what `who` did with the lock.
fn write_down(conn: &mut Conn, who: &Actor, lock: &Lock, entry: NewEntry, now: Timestamp) -> Result<(), Error> {
    let entry = NewEntry {
        actor: Some(who.person.clone()),
        ..entry
    }
    .about(lock);
    access_log::append(conn, &lock.organization, &entry, now)?;
    Ok(())
}
