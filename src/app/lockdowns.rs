//! Lockdowns: ordered for a property or a part of it, obeyed by every decision of the backend from the same transaction
//! on, and told to locks until their own word says that they hold it.
//!
//! What a lock is to hold follows from the lockdowns of its property alone (`deliver`); it is reckoned when one is ordered,
//! changed or ended, and again and again by a job, so that a lock which comes to the property, or a PIN that is given to
//! somebody excepted, is taken up too. Nothing tells a lock that the time is over: it knows.

mod deliver;
mod heard;
mod lists;
mod order;
mod show;

pub use lists::NewList;
pub use order::{Begun, NewLockdown};
pub use show::{AtDoor, Shown};

pub(super) use order::begin_in;

pub(super) use heard::{count_lockdown, lacks_lockdown, note_lockdown, restore_lockdown};

use std::collections::BTreeSet;

use super::notices::tell;
use super::{Actor, Error};
use crate::crypto::random::Random;
use crate::domain::access_log::{self as log, NewEntry};
use crate::domain::account::Scope;
use crate::domain::ids::{LockId, PersonId, UnitId};
use crate::domain::lock::{Lock, LockState};
use crate::domain::lockdown::{Lockdown, Part};
use crate::domain::notice::{self, News};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, access_log, lockdowns, locks};

/// The doors that the lockdown covers now, without those that are out of service for good.
fn doors_of(conn: &mut Conn, lockdown: &Lockdown) -> Result<Vec<Lock>, Error> {
    let scope = Scope::only(lockdown.organization.clone());
    let all = locks::list(conn, &scope, Some(&lockdown.property), None, i64::MAX)?;
    let is_covered = |lock: &Lock| lock.state != LockState::Retired && lockdown.part.covers(lock);
    Ok(all.into_iter().filter(is_covered).collect())
}

/// Writes into the log what became of a lockdown.
fn write_down(
    conn: &mut Conn,
    lockdown: &Lockdown,
    kind: log::Kind,
    (who, reason): (Option<&Actor>, Option<&str>),
    now: Timestamp,
) -> Result<(), Error> {
    let entry = NewEntry {
        reason: reason.map(str::to_owned),
        property: Some(lockdown.property.clone()),
        actor: who.map(|who| who.person.clone()),
        detail: Some(serde_json::json!({
            "lockdown_id": lockdown.id,
            "part": lockdown.part,
            "reason": lockdown.reason,
            "until": lockdown.until,
            "except": lockdown.except,
        })),
        ..NewEntry::new(kind, now)
    };
    access_log::append(conn, &lockdown.organization, &entry, now)?;
    Ok(())
}

/// Tells everybody who lives behind its doors, and everybody whose grants it keeps out.
fn tell_people(
    conn: &mut Conn,
    random: &dyn Random,
    lockdown: &Lockdown,
    kind: notice::Kind,
    who: Option<&Actor>,
    now: Timestamp,
) -> Result<(), Error> {
    let doors = doors_of(conn, lockdown)?;
    let mut persons: Vec<PersonId> = Vec::new();
    let has_shared = doors.iter().any(|door| door.unit.is_none());
    let lives_behind = |unit: &UnitId| match &lockdown.part {
        Part::Whole | Part::Shared => true,
        Part::Units(units) => units.contains(unit),
        Part::Locks(_) => has_shared || doors.iter().any(|door| door.unit.as_ref() == Some(unit)),
    };
    for (person, unit) in lockdowns::residents(conn, &lockdown.property, now)? {
        if lives_behind(&unit) {
            persons.push(person);
        }
    }
    let covered: BTreeSet<&LockId> = doors.iter().map(|door| &door.id).collect();
    let hold = lockdowns::hold_of(conn, lockdown)?;
    for (person, grant, lock) in lockdowns::holders(conn, &lockdown.property, now)? {
        if covered.contains(&lock) && !hold.excepts(Some(&person), &RightSource::Grant(grant)) {
            persons.push(person);
        }
    }
    let news = News {
        actor: who.map(|who| who.person.clone()),
        detail: Some(serde_json::json!({
            "lockdown_id": lockdown.id,
            "property_id": lockdown.property,
            "reason": lockdown.reason,
            "until": lockdown.until,
        })),
        ..News::new(kind, lockdown.organization.clone())
    };
    tell(conn, random, persons, &news, now)
}
