//! Keys of the house that stand when somebody comes to live behind their doors, or comes sooner than was known, or stays longer.

use std::collections::BTreeMap;

use super::{is_of_the_house, only};
use crate::app::Error;
use crate::app::grants::{By, Ended, cut};
use crate::app::notices::tell;
use crate::app::pins::void_codes_at;
use crate::domain::grant::{Grant, Terms};
use crate::domain::ids::{LockId, PersonId};
use crate::domain::lock::Lock;
use crate::domain::notice::{self, News};
use crate::domain::rules::left_to_the_house;
use crate::domain::tenancy::{Tenancy, Term};
use crate::domain::time::Timestamp;
use crate::store::{Conn, accounts, grants, locks, rules, tenancies};

/// Why such a grant gives less: a word for the log.
const MOVED_IN: &str = "tenancy-given";

/// Has grants of the house to the unit's own doors wait that reach into the tenancy now, as they would if they were given
/// now; and tells its person of them. One that opens doors of others too does not wait with all of them: it goes on without
/// these. `before` is the term of a tenancy that was changed: whoever is to come sooner waits
/// again, and where the tenant only stays longer, those wait of whom they were not told. What a tenant gave of their own
/// right does not wait. The locks are held.
pub(in crate::app) fn have_keys_wait(
    conn: &mut Conn,
    tenancy: &Tenancy,
    before: Option<Term>,
    by: By<'_>,
    now: Timestamp,
) -> Result<Ended, Error> {
    let mut ended = Ended::default();
    let earliest = rules::of(conn, &tenancy.organization)?.house_access_from(now);
    let new_times = tenancy.term.beyond(before);
    for (grant, doors) in keys_of_the_house(conn, tenancy, now)? {
        let reach = Term {
            starts_at: grant.terms.starts_at.max(now),
            ends_at: grant.terms.ends_at,
        };
        let was_told = before.is_some_and(|before| before.overlaps(reach));
        let mut reached = new_times.iter().filter(|time| time.overlaps(reach));
        let Some(first) = reached.find(|time| !was_told || before.is_none_or(|it| time.starts_at < it.starts_at))
        else {
            continue;
        };
        let own: Vec<LockId> = doors.iter().map(|door| door.id.clone()).collect();
        let mut left = match &grant.under {
            None => left_to_the_house(&grant.terms, first.starts_at.max(now), earliest, now),
            Some(_) => Some(grant.terms.clone()),
        };
        if left.as_ref() != Some(&grant.terms) {
            let others = grant.terms.locks.iter().filter(|lock| !own.contains(lock));
            let others: Vec<LockId> = others.cloned().collect();
            if !others.is_empty() {
                left = Some(Terms {
                    locks: others,
                    ..grant.terms.clone()
                });
            }
            ended = ended.and(cut(conn, &grant, left.clone(), (MOVED_IN, by), now)?);
            for door in &doors {
                // A code that was told counts its days whatever becomes of its grant.
                let why = (by.actor(), Some(MOVED_IN));
                if void_codes_at(conn, door, std::slice::from_ref(&grant.id), why, now)?.is_some() {
                    ended = ended.with_changed(door.id.clone());
                }
            }
        }
        // What opens the other doors alone is nothing to this tenant.
        if let Some(left) = left.filter(|left| own.iter().all(|door| left.locks.contains(door))) {
            tell_of_key(conn, by, &tenancy.person, (&grant, &left, &doors), now)?;
        }
    }
    Ok(ended)
}

/// Refuses to have a tenancy begin sooner, or last longer, where somebody of the house who has got a tenancy in the unit just
/// now would live with its person then: as one who comes to live with others they would have waited.
///
/// # Errors
/// [`Error::Conflict`].
pub(in crate::app) fn refuse_to_join(
    conn: &mut Conn,
    tenancy: &Tenancy,
    before: Term,
    now: Timestamp,
) -> Result<(), Error> {
    let rules = rules::of(conn, &tenancy.organization)?;
    let new_times = tenancy.term.beyond(Some(before));
    for other in tenancies::of_unit(conn, &tenancy.unit, now)? {
        let joins = other.person != tenancy.person && new_times.iter().any(|time| time.overlaps(other.term));
        // One that was postponed when it was given has waited.
        let has_waited_by = rules.house_access_from(other.created_at);
        if joins
            && now.max(other.term.starts_at) < has_waited_by
            && is_of_the_house(conn, &tenancy.organization, &other.person)?
        {
            return Err(Error::Conflict {
                word: "house-access-stands",
                why: "somebody of the house was given a tenancy in this home just now, and would live there with its tenant at once; end that tenancy first",
            });
        }
    }
    Ok(())
}

/// The standing grants that others of the house than the tenant hold to the unit's own doors, with those doors.
fn keys_of_the_house(conn: &mut Conn, tenancy: &Tenancy, now: Timestamp) -> Result<Vec<(Grant, Vec<Lock>)>, Error> {
    let organization = &tenancy.organization;
    let mut keys: BTreeMap<String, (Grant, Vec<Lock>)> = BTreeMap::new();
    let doors = locks::of_home(conn, &tenancy.unit)?;
    for door in doors.into_iter().filter(|door| door.unit.is_some()) {
        for grant in grants::at_lock(conn, organization, &door.id)? {
            let Some(holder) = grant.person().filter(|holder| **holder != tenancy.person) else {
                continue;
            };
            if grant.stands(now) && is_of_the_house(conn, organization, holder)? {
                let key = keys.entry(grant.id.to_string()).or_insert((grant, Vec::new()));
                key.1.push(door.clone());
            }
        }
    }
    Ok(keys.into_values().collect())
}

/// Tells the tenant of a grant and what it still gives.
fn tell_of_key(
    conn: &mut Conn,
    by: By<'_>,
    tenant: &PersonId,
    (grant, left, doors): (&Grant, &Terms, &[Lock]),
    now: Timestamp,
) -> Result<(), Error> {
    let Some(holder) = grant.person() else { return Ok(()) };
    let names = accounts::names(conn, &[holder, &grant.given_by])?;
    let ids: Vec<_> = doors.iter().map(|door| door.id.clone()).collect();
    let news = News {
        unit: doors.first().and_then(|door| door.unit.clone()),
        lock: only(&ids),
        actor: Some(grant.given_by.clone()),
        detail: Some(serde_json::json!({
            "right": grant.id,
            "person_id": holder,
            "person_name": names.get(holder),
            "given_by_name": names.get(&grant.given_by),
            "lock_ids": ids,
            "starts_at": left.starts_at,
            "ends_at": left.ends_at,
            "reason": null,
        })),
        ..News::new(notice::Kind::StaffAccess, grant.organization.clone())
    };
    tell(conn, by.random, [tenant.clone()], &news, now)
}
