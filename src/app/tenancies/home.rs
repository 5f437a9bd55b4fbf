//! A tenancy with its doors, and the grants there that end with it or go on.

use std::collections::{BTreeMap, BTreeSet};

use crate::app::Error;
use crate::app::revocations::hold_locks;
use crate::app::visits;
use crate::domain::account::{Role, Scope};
use crate::domain::grant::{Grant, GrantState};
use crate::domain::ids::{GrantId, LockId, OrganizationId, PersonId, TenancyId, UnitId};
use crate::domain::lock::Lock;
use crate::domain::tenancy::Tenancy;
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, accounts, grants, lockouts, locks, passes, tenancies};

/// A tenancy and the doors that it opens.
pub(super) struct Home {
    pub(super) tenancy: Tenancy,
    pub(super) doors: Vec<Lock>,
}

/// The tenancy and its doors, held: whose membership it is, then the locks, then the right.
pub(super) fn hold_home(conn: &mut Conn, id: &TenancyId, scope: &Scope, now: Timestamp) -> Result<Option<Home>, Error> {
    let Some(seen) = tenancies::find(conn, id, scope)? else {
        return Ok(None);
    };
    // Of a tenancy that is changed and another that is given at once, one sees the other.
    accounts::hold_membership(conn, &seen.organization, &seen.person)?;
    let doors = locks::of_home(conn, &seen.unit)?;
    let mut held = doors_to_hold(conn, &seen.organization, &seen.unit, now)?;
    let names = grants::names(conn, &[RightSource::Tenancy(id.clone())])?;
    held.extend(passes::of_names(conn, &names, now)?.into_iter().map(|pass| pass.lock));
    for grant in grants_at(conn, &seen.organization, own(&seen, &doors), Some(&seen.person))? {
        held.extend(grant.terms.locks);
    }
    hold_locks(conn, &held)?;
    Ok(tenancies::hold(conn, id, scope)?.map(|tenancy| Home { tenancy, doors }))
}

/// The doors to hold before it changes who lives in the unit, or for how long: its own and the shared ones, those of visits to
/// it, and those of grants to its own doors.
pub(in crate::app) fn doors_to_hold(
    conn: &mut Conn,
    organization: &OrganizationId,
    unit: &UnitId,
    now: Timestamp,
) -> Result<Vec<LockId>, Error> {
    let doors = locks::of_home(conn, unit)?;
    let own = doors.iter().filter(|lock| lock.unit.as_ref() == Some(unit));
    let standing = grants_at(conn, organization, own, None)?
        .into_iter()
        .filter(|grant| grant.stands(now));
    let mut held: Vec<LockId> = standing.flat_map(|grant| grant.terms.locks).collect();
    held.extend(doors.into_iter().map(|lock| lock.id));
    held.extend(visits::doors_of_visits_in(conn, unit)?);
    Ok(held)
}

/// The tenancy and its doors as they are, for looking.
pub(super) fn home(conn: &mut Conn, id: &TenancyId, scope: &Scope) -> Result<Option<Home>, Error> {
    let Some(tenancy) = tenancies::find(conn, id, scope)? else {
        return Ok(None);
    };
    let doors = locks::of_home(conn, &tenancy.unit)?;
    Ok(Some(Home { tenancy, doors }))
}

/// Who lives behind these doors at `at`: behind a shared one nobody does.
pub(in crate::app) fn residents_behind(
    conn: &mut Conn,
    doors: &[Lock],
    at: Timestamp,
) -> Result<BTreeSet<PersonId>, Error> {
    let mut residents = BTreeSet::new();
    for unit in doors.iter().filter_map(|door| door.unit.as_ref()) {
        residents.extend(tenancies::residents(conn, unit, at)?);
    }
    Ok(residents)
}

/// The unit's own ones of these doors.
fn own<'a>(tenancy: &'a Tenancy, doors: &'a [Lock]) -> impl Iterator<Item = &'a Lock> {
    doors.iter().filter(|lock| lock.unit.as_ref() == Some(&tenancy.unit))
}

/// The grants to these doors, each once, of one person if asked for.
fn grants_at<'a>(
    conn: &mut Conn,
    organization: &OrganizationId,
    doors: impl Iterator<Item = &'a Lock>,
    person: Option<&PersonId>,
) -> Result<Vec<Grant>, Error> {
    let mut found = BTreeMap::new();
    for door in doors {
        for grant in grants::at_lock(conn, organization, &door.id)? {
            if person.is_none() || grant.person() == person {
                found.insert(grant.id.to_string(), grant);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// The standing grants that hang under one of these rights, or under one that does.
pub(super) fn hanging(conn: &mut Conn, rights: &[RightSource]) -> Result<Vec<Grant>, Error> {
    let mut found = Vec::new();
    let mut above = rights.to_vec();
    while !above.is_empty() {
        let under = grants::under(conn, &above)?;
        above = under.iter().map(|grant| RightSource::Grant(grant.id.clone())).collect();
        found.extend(under);
    }
    Ok(found)
}

impl Home {
    fn held_at_own_doors(&self, conn: &mut Conn) -> Result<Vec<Grant>, Error> {
        let Self { tenancy, doors } = self;
        grants_at(conn, &tenancy.organization, own(tenancy, doors), Some(&tenancy.person))
    }

    /// What ends with the tenancy at `ends_at` beside what hangs under it: grants that its tenant holds at the unit's own
    /// doors from the landlord, for instance for the sake of a PIN, and ways in of lock-outs. Not where they live on in the
    /// unit, nor those that begin with the end or later; of who works for the landlord only the ways in.
    pub(super) fn grants_to_end(&self, conn: &mut Conn, ends_at: Timestamp) -> Result<Vec<Grant>, Error> {
        let tenancy = &self.tenancy;
        let role = accounts::role(conn, &tenancy.organization, &tenancy.person)?;
        let others = tenancies::of_person_in(conn, &tenancy.person, &tenancy.unit)?;
        let lives_on = (others.iter())
            .any(|other| other.id != tenancy.id && other.closed_at.is_none() && other.term.holds(ends_at));
        if lives_on {
            return Ok(Vec::new());
        }
        let mut held = match role.is_none_or(Role::is_staff) {
            true => Vec::new(),
            false => self.held_at_own_doors(conn)?,
        };
        held.retain(|grant| grant.terms.starts_at < ends_at);
        // Most hang under the tenancy; not those at a door that is closed to sharing.
        let scope = Scope::only(tenancy.organization.clone());
        for way_in in lockouts::ways_in_of(conn, &tenancy.id)? {
            held.extend(grants::find(conn, &way_in, &scope)?);
        }
        let mut seen = BTreeSet::new();
        held.retain(|grant| {
            grant.state == GrantState::Active && grant.under.is_none() && seen.insert(grant.id.to_string())
        });
        Ok(held)
    }

    /// The grants that ended with the tenancy when its end was carried out: its tenant's, and those that hung under it.
    pub(super) fn grants_ended(&self, conn: &mut Conn) -> Result<Vec<Grant>, Error> {
        let Self { tenancy, doors } = self;
        let hung = Some(RightSource::Tenancy(tenancy.id.clone()));
        let mut ended = grants_at(conn, &tenancy.organization, doors.iter(), None)?;
        ended.retain(|grant| {
            let with_it = matches!(grant.state, GrantState::Revoked { at, .. } if Some(at) == tenancy.closed_at);
            with_it && (grant.under == hung || grant.person() == Some(&tenancy.person))
        });
        Ok(ended)
    }

    /// The grants that go on after `at`, but for those in `ending`: at the unit's own doors, whoever holds them, and of its
    /// tenant at the shared ones.
    pub(super) fn grants_left(&self, conn: &mut Conn, ending: &[Grant], at: Timestamp) -> Result<Vec<GrantId>, Error> {
        let Self { tenancy, doors } = self;
        let mut found = grants_at(conn, &tenancy.organization, own(tenancy, doors), None)?;
        let shared = doors.iter().filter(|lock| lock.unit.is_none());
        found.extend(grants_at(conn, &tenancy.organization, shared, Some(&tenancy.person))?);
        found.retain(|grant| {
            let is_over = grant.terms.ends_at.is_some_and(|end| end <= at);
            grant.state == GrantState::Active && !is_over && ending.iter().all(|other| other.id != grant.id)
        });
        let mut seen = BTreeSet::new();
        found.retain(|grant| seen.insert(grant.id.to_string()));
        Ok(found.into_iter().map(|grant| grant.id).collect())
    }
}
