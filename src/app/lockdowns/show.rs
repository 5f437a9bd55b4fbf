//! What is shown of lockdowns: to staff which locks hold them, to residents that there is one.

use std::collections::BTreeSet;

use crate::app::{Actor, App, Error, What, joined_by};
use crate::domain::account::{Role, Scope};
use crate::domain::ids::{LockId, PropertyId, UnitId};
use crate::domain::lock::{Lock, LockState};
use crate::domain::lockdown::{Hold, Holding, Lockdown, Part};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, accounts, computed_codes, grants, lockdowns, locks, passes, pins, places, revocations};

/// The lockdowns of a property, as far as the caller may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Those that hold now.
    pub lockdowns: Vec<Lockdown>,
    /// What each door knows of it, to staff alone: those that are covered, and those that have not confirmed that it is over.
    pub doors: Option<Vec<AtDoor>>,
}

/// What one lock knows of the lockdowns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtDoor {
    /// The lock.
    pub lock: Lock,
    /// Whether it is known to hold what it is to.
    pub holding: Holding,
    /// Until when somebody who is kept out may still come in by a pass, a PIN or a code that they have; `None` where nobody
    /// may.
    pub may_open_until: Option<Timestamp>,
}

/// Whether a lock is a door still.
pub(super) fn door_of(lock: &Lock) -> bool {
    lock.state != LockState::Retired
}

impl App {
    /// The lockdowns of the property that hold now. Staff sees which locks hold them; whoever lives there, or has a right to one
    /// of its doors, sees those that concern them.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the property is of no organization of the caller's; [`Error::Forbidden`] for somebody with
    /// nothing to do there.
    pub async fn lockdowns(&self, who: &Actor, property: PropertyId) -> Result<Shown, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .read(move |conn| {
                let scope = joined_by(conn, &who)?;
                let property = places::find_property(conn, &property, &scope)?;
                let property = property.ok_or(Error::NotFound(What::Property))?;
                let role = accounts::role(conn, &property.organization, &who.person)?;
                let mut open = lockdowns::open_of(conn, &property.id)?;
                open.retain(|lockdown| now < lockdown.until);
                let only = Scope::only(property.organization.clone());
                let mut all = locks::list(conn, &only, Some(&property.id), None, i64::MAX)?;
                all.retain(door_of);
                if role.is_some_and(Role::is_staff) {
                    let mut doors = Vec::new();
                    for lock in all {
                        doors.extend(at_door(conn, lock, now)?);
                    }
                    return Ok(Shown {
                        lockdowns: open,
                        doors: Some(doors),
                    });
                }
                let units: BTreeSet<UnitId> = lockdowns::residents(conn, &property.id, now)?
                    .into_iter()
                    .filter(|(person, _)| *person == who.person)
                    .map(|(_, unit)| unit)
                    .collect();
                let granted: BTreeSet<LockId> = lockdowns::holders(conn, &property.id, now)?
                    .into_iter()
                    .filter(|(person, ..)| *person == who.person)
                    .map(|(.., lock)| lock)
                    .collect();
                if units.is_empty() && granted.is_empty() {
                    return Err(Error::Forbidden);
                }
                open.retain(|lockdown| concerns(lockdown, &all, &units, &granted));
                Ok(Shown {
                    lockdowns: open,
                    doors: None,
                })
            })
            .await
    }
}

/// Whether a lockdown covers a door of somebody who lives in these units and has grants to these locks.
fn concerns(lockdown: &Lockdown, doors: &[Lock], units: &BTreeSet<UnitId>, granted: &BTreeSet<LockId>) -> bool {
    if lockdown.part == Part::Whole {
        return true;
    }
    let covered = doors.iter().filter(|door| lockdown.part.covers(door));
    covered.into_iter().any(|door| {
        let lives_behind = match &door.unit {
            Some(unit) => units.contains(unit),
            None => !units.is_empty(),
        };
        lives_behind || granted.contains(&door.id)
    })
}

/// What the lock knows; `None` where nothing concerns it.
fn at_door(conn: &mut Conn, lock: Lock, now: Timestamp) -> Result<Option<AtDoor>, Error> {
    let mut holds = lockdowns::holds_at(conn, &lock)?;
    holds.retain(|hold| now < hold.until);
    let report = lockdowns::report_of(conn, &lock.id)?;
    let epoch = lockdowns::document(conn, &lock.id)?.map_or(0, |document| document.epoch);
    let holding = match report.held {
        None if report.has_spoken => Holding::NotSupported,
        None => Holding::Pending,
        Some(held) if held < epoch => Holding::Pending,
        Some(_) => Holding::Holds,
    };
    // It is over here, and the lock knows that, or does not know what it would be.
    if holds.is_empty() && (holding != Holding::Pending || report.held.is_none()) {
        return Ok(None);
    }
    let may_open_until = match holding {
        Holding::Holds => None,
        Holding::Pending | Holding::NotSupported => may_open_until(conn, &lock, &holds, holding, now)?,
    };
    Ok(Some(AtDoor {
        lock,
        holding,
        may_open_until,
    }))
}

/// Until when the lock, which does not know better, may still open to somebody who is kept out: by a pass, a PIN or a code.
fn may_open_until(
    conn: &mut Conn,
    lock: &Lock,
    holds: &[Hold],
    holding: Holding,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let mut ways: Vec<(RightSource, Timestamp)> = Vec::new();
    let told = revocations::told(conn, &lock.id)?;
    // A lock that knows nothing of lockdowns was told that every pass is void.
    if holding == Holding::Pending || told.held < told.epoch {
        let held = passes::of_lock(conn, &lock.id, now)?;
        ways.extend(held.into_iter().map(|pass| (pass.name.source, pass.ends_at)));
    }
    if let Some(known) = pins::find(conn, &lock.id)? {
        for slot in pins::slots_of(conn, &lock.id)? {
            if let Some(grant) = slot.grant.clone().filter(|_| known.may_open_by(&slot, now)) {
                ways.push((RightSource::Grant(grant), slot.ends_at));
            }
        }
        for code in computed_codes::of_lock(conn, &lock.id, now)? {
            if known.may_open_by_code(&code, now) {
                ways.push((RightSource::Grant(code.grant.clone()), code.days.ends_at));
            }
        }
    }
    let mut last = None;
    for (by, ends_at) in ways {
        let holder = grants::holder(conn, &by, &lock.organization)?;
        let kept_out = crate::domain::lockdown::kept_out_until(holds, holder.as_ref(), &by);
        if let Some(until) = kept_out {
            // From then on they may come in anyway.
            last = last.max(Some(ends_at.min(until)).filter(|until| now < *until));
        }
    }
    Ok(last)
}
