//! Access of the house to tenants' own doors. Whoever works for the landlord, or runs a program, may be let in there like
//! anybody; but it begins late enough for the tenants to read who and why, and they are told at once.

use std::collections::BTreeMap;

use super::Error;
use super::notices::tell;
use super::tenancies::residents_behind;
use crate::crypto::random::Random;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Role, Scope};
use crate::domain::grant::{Grant, GrantReason, Terms};
use crate::domain::ids::{GrantId, LockId, OrganizationId, PersonId, PropertyId, UnitId};
use crate::domain::lock::Lock;
use crate::domain::notice::{self, News};
use crate::domain::pass;
use crate::domain::tenancy::Tenancy;
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, access_log, accounts, locks, places, rules, tenancies};

mod standing;

pub(super) use standing::{have_keys_wait, refuse_to_join};

/// Access of somebody of the house to homes of others.
#[derive(Debug)]
pub(super) struct HouseAccess {
    holder: PersonId,
    homes: Vec<Home>,
    starts_at: Timestamp,
    ends_at: Option<Timestamp>,
    reason: Option<GrantReason>,
}

/// A unit in which others live while the access lasts.
#[derive(Debug)]
struct Home {
    unit: UnitId,
    property: PropertyId,
    /// The doors of it that are to open; none where a tenancy opens them all.
    locks: Vec<LockId>,
    residents: Vec<PersonId>,
}

/// Postpones a grant that lets somebody of the house into homes of others; `None` where it does not. The whole grant waits,
/// shared doors included: give those in a grant of their own.
///
/// # Errors
/// [`Error::Invalid`] in `reason` where there is none to tell the tenants, in `ends_at` where nothing would be left of it.
pub(super) fn postpone(
    conn: &mut Conn,
    organization: &OrganizationId,
    holder: &PersonId,
    terms: &mut Terms,
    reason: Option<GrantReason>,
    now: Timestamp,
) -> Result<Option<HouseAccess>, Error> {
    if !is_of_the_house(conn, organization, holder)? {
        return Ok(None);
    }
    let mut doors: BTreeMap<UnitId, (PropertyId, Vec<LockId>)> = BTreeMap::new();
    for lock in locks::with_ids(conn, &terms.locks)? {
        if let Some(unit) = lock.unit {
            let (_, doors) = doors.entry(unit).or_insert((lock.property, Vec::new()));
            doors.push(lock.id);
        }
    }
    let mut homes = Vec::new();
    for (unit, (property, locks)) in doors {
        let from = terms.starts_at.max(now);
        homes.extend(home_of(conn, (property, unit), locks, holder, (from, terms.ends_at))?);
    }
    if homes.is_empty() {
        return Ok(None);
    }
    let Some(reason) = reason else {
        return Err(Error::invalid(
            "reason",
            "people live behind one of these doors; say why, and they are told",
        ));
    };
    let earliest = rules::of(conn, organization)?.house_access_from(now);
    terms.starts_at = terms.starts_at.max(earliest);
    if terms.ends_at.is_some_and(|ends_at| ends_at <= terms.starts_at) {
        let why = format!("people live behind one of these doors; access of the house begins at {earliest}");
        return Err(Error::invalid("ends_at", why));
    }
    Ok(Some(HouseAccess {
        holder: holder.clone(),
        homes,
        starts_at: terms.starts_at,
        ends_at: terms.ends_at,
        reason: Some(reason),
    }))
}

/// Postpones a tenancy by which somebody of the house would live with others; `None` where they would not.
///
/// # Errors
/// [`Error::Invalid`] in `ends_at` where nothing would be left of it.
pub(super) fn postpone_tenancy(
    conn: &mut Conn,
    organization: &OrganizationId,
    tenancy: &mut Tenancy,
    now: Timestamp,
) -> Result<Option<HouseAccess>, Error> {
    if !is_of_the_house(conn, organization, &tenancy.person)? {
        return Ok(None);
    }
    let scope = Scope::only(organization.clone());
    let Some(unit) = places::find_unit(conn, &tenancy.unit, &scope)? else {
        return Ok(None);
    };
    let span = (tenancy.term.starts_at.max(now), tenancy.term.ends_at);
    let Some(home) = home_of(conn, (unit.property, unit.id), Vec::new(), &tenancy.person, span)? else {
        return Ok(None);
    };
    let earliest = rules::of(conn, organization)?.house_access_from(now);
    tenancy.term.starts_at = tenancy.term.starts_at.max(earliest);
    if tenancy
        .term
        .ends_at
        .is_some_and(|ends_at| ends_at <= tenancy.term.starts_at)
    {
        let why = format!("others live there; for somebody of the house the tenancy begins at {earliest}");
        return Err(Error::invalid("ends_at", why));
    }
    Ok(Some(HouseAccess {
        holder: tenancy.person.clone(),
        homes: vec![home],
        starts_at: tenancy.term.starts_at,
        ends_at: tenancy.term.ends_at,
        reason: None,
    }))
}

/// Writes the access that `by` gave down for each home, signed by `sign`, and tells everybody who lives there.
pub(super) fn tell_residents(
    conn: &mut Conn,
    random: &dyn Random,
    organization: &OrganizationId,
    (by, sign): (&PersonId, impl Fn(NewEntry) -> NewEntry),
    (right, access): (&RightSource, &HouseAccess),
    now: Timestamp,
) -> Result<(), Error> {
    let names = accounts::names(conn, &[&access.holder, by])?;
    for home in &access.homes {
        let detail = serde_json::json!({
            "right": right.to_string(),
            "person_id": access.holder,
            "person_name": names.get(&access.holder),
            "given_by_name": names.get(by),
            "lock_ids": home.locks,
            "starts_at": access.starts_at,
            "ends_at": access.ends_at,
            "reason": access.reason,
        });
        let entry = NewEntry {
            property: Some(home.property.clone()),
            unit: Some(home.unit.clone()),
            lock: only(&home.locks),
            person: Some(access.holder.clone()),
            actor: Some(by.clone()),
            grant: grant_of(right),
            detail: Some(serde_json::json!({
                "right": right.to_string(),
                "lock_ids": home.locks,
                "starts_at": access.starts_at,
                "ends_at": access.ends_at,
                "reason": access.reason,
            })),
            ..NewEntry::new(Kind::StaffAccess, now)
        };
        access_log::append(conn, organization, &sign(entry), now)?;
        let news = News {
            unit: Some(home.unit.clone()),
            lock: only(&home.locks),
            actor: Some(by.clone()),
            detail: Some(detail),
            ..News::new(notice::Kind::StaffAccess, organization.clone())
        };
        tell(conn, random, home.residents.iter().cloned(), &news, now)?;
    }
    Ok(())
}

/// Refuses to take a lock off the door of a home in which others than `by` live, whatever its state: as a shared door of the
/// house it would open to others, and nobody of them would be asked. One that was released is claimed again where it went to.
///
/// # Errors
/// [`Error::Conflict`].
pub(super) fn refuse_to_take_away(conn: &mut Conn, lock: &Lock, by: &PersonId, now: Timestamp) -> Result<(), Error> {
    let residents = residents_behind(conn, std::slice::from_ref(lock), now)?;
    if residents.iter().any(|resident| resident != by) {
        return Err(Error::Conflict {
            word: "home-lived-in",
            why: "people live behind this door: its lock stays with it while they do; replace the controller under the same id, or retire a lock that was added in the wrong place",
        });
    }
    Ok(())
}

/// Refuses to hang a lock on the door of a home while somebody of the house, or a vendor, holds a grant to it that would go
/// on there.
///
/// # Errors
/// [`Error::Conflict`].
pub(super) fn refuse_to_bring_keys(conn: &mut Conn, moved: &Lock, kept: &[Grant], now: Timestamp) -> Result<(), Error> {
    let Some(unit) = &moved.unit else { return Ok(()) };
    for grant in kept {
        let Some(holder) = grant.person() else { continue };
        let is_vendors = grant.terms.role == pass::Role::Vendor;
        if !is_vendors && !is_of_the_house(conn, &moved.organization, holder)? {
            continue;
        }
        let place = (moved.property.clone(), unit.clone());
        let span = (grant.terms.starts_at.max(now), grant.terms.ends_at);
        if home_of(conn, place, Vec::new(), holder, span)?.is_some() {
            return Err(Error::Conflict {
                word: "house-access-stands",
                why: "somebody of the house or a vendor holds a grant to this lock, and people live where it goes; take it back first",
            });
        }
    }
    Ok(())
}

/// Whether the person works for the house.
pub(super) fn is_of_the_house(
    conn: &mut Conn,
    organization: &OrganizationId,
    person: &PersonId,
) -> Result<bool, Error> {
    Ok(accounts::role(conn, organization, person)?.is_some_and(Role::is_of_the_house))
}

/// The unit as a home, if others than `holder` live there at any time of the span.
fn home_of(
    conn: &mut Conn,
    (property, unit): (PropertyId, UnitId),
    locks: Vec<LockId>,
    holder: &PersonId,
    (from, until): (Timestamp, Option<Timestamp>),
) -> Result<Option<Home>, Error> {
    let mut residents = tenancies::residents_within(conn, &unit, from, until)?;
    residents.retain(|resident| resident != holder);
    Ok((!residents.is_empty()).then_some(Home {
        unit,
        property,
        locks,
        residents,
    }))
}

fn only(locks: &[LockId]) -> Option<LockId> {
    match locks {
        [only] => Some(only.clone()),
        _ => None,
    }
}

fn grant_of(right: &RightSource) -> Option<GrantId> {
    match right {
        RightSource::Grant(grant) => Some(grant.clone()),
        RightSource::Tenancy(_) => None,
    }
}
