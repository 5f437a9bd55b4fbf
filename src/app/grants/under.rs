//! Giving access under one's own right.

use super::following::givers_at;
use super::{Given, GrantDraft, To, add, holder_of};
use crate::app::revocations::hold_locks;
use crate::app::{Actor, Error, rights_of};
use crate::crypto::random::Random;
use crate::domain::delegation::{Wider, filled, is_within};
use crate::domain::grant::{Grant, GrantState, NewGrant, Terms, Way};
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, grants, locks};

/// How many grants somebody may have given under their own rights that stand at once.
const MOST_GIVEN: i64 = 50;

/// Gives access under a right of the caller's own. The membership of `person` is held.
pub(super) fn give_under(
    conn: &mut Conn,
    random: &dyn Random,
    who: &Actor,
    (organization, to, person): (OrganizationId, To, Option<PersonId>),
    new: NewGrant,
    draft: GrantDraft,
    now: Timestamp,
) -> Result<Given, Error> {
    // Memberships, locks, rights, the log: in the order in which whoever puts somebody out takes them.
    if new.ways.as_ref().is_some_and(|ways| ways.contains(&Way::Pin)) {
        hold_locks(conn, &new.locks)?;
    }
    let (right, terms) = right_for(conn, who, &organization, &new, now)?;
    if person.as_ref() == Some(&who.person) {
        return Err(Error::invalid("to", "you have this access already"));
    }
    let newcomer = (draft.newcomer.clone(), draft.invitation);
    let (holder, invitation) = holder_of(conn, who, &organization, (to, person), newcomer, &terms, now)?;
    let grant = Grant {
        id: draft.id,
        organization,
        holder,
        given_by: who.person.clone(),
        created_at: now,
        under: Some(right),
        terms,
        round: 0,
        released_until: None,
        state: GrantState::Active,
    };
    add(conn, random, who, (&grant, &draft.newcomer), now)?;
    Ok(Given { grant, invitation })
}

/// The right under which the caller can give what is asked for at all of its locks, kept until this transaction ends, and
/// the terms under it.
fn right_for(
    conn: &mut Conn,
    who: &Actor,
    organization: &OrganizationId,
    new: &NewGrant,
    now: Timestamp,
) -> Result<(RightSource, Terms), Error> {
    let mut own: Vec<RightSource> = Vec::new();
    if let Some(first) = locks::with_ids(conn, &new.locks)?.first() {
        let rights = rights_of(conn, first, who, now)?;
        // A tenancy lends more than a grant, and comes first.
        let (stays, given): (Vec<_>, Vec<_>) = (rights.into_iter())
            .map(|right| right.source)
            .partition(|source| matches!(source, RightSource::Tenancy(_)));
        own.extend(stays.into_iter().chain(given));
    }
    let mut nearest: Option<Wider> = None;
    for source in own {
        match within(conn, &source, new, now)? {
            Ok(_) => {
                // What it says is read again now that nobody can change it.
                if !grants::hold(conn, &source, (organization, &who.person), now)? {
                    return Err(Error::Forbidden);
                }
                if grants::count_given(conn, organization, &who.person, now)? >= MOST_GIVEN {
                    return Err(Error::Conflict {
                        word: "too-many-grants",
                        why: "fifty grants that you gave stand; take one back before you give another",
                    });
                }
                let terms = terms_under(conn, &source, new.clone(), now)?;
                return Ok((source, terms));
            }
            Err(wider) => {
                if nearest.is_none_or(|known| wider.nearness() > known.nearness()) {
                    nearest = Some(wider);
                }
            }
        }
    }
    Err(refused(nearest.unwrap_or(Wider::NoRight)))
}

/// The terms of `new` under this right, where it lies within it.
pub(super) fn terms_under(
    conn: &mut Conn,
    source: &RightSource,
    new: NewGrant,
    now: Timestamp,
) -> Result<Terms, Error> {
    within(conn, source, &new, now)?.map_err(refused)
}

fn within(
    conn: &mut Conn,
    source: &RightSource,
    new: &NewGrant,
    now: Timestamp,
) -> Result<Result<Terms, Wider>, Error> {
    let givers = givers_at(conn, source, &new.locks)?;
    if givers.len() < new.locks.len() {
        return Ok(Err(Wider::NoRight));
    }
    let terms = filled(new.clone(), &givers)
        .check(now)
        .map_err(|bad| Error::invalid(bad.field(), bad))?;
    for (door, giver) in &givers {
        if let Err(wider) = is_within(giver, door, &terms, now) {
            return Ok(Err(wider));
        }
    }
    Ok(Ok(terms))
}

fn refused(wider: Wider) -> Error {
    match wider {
        Wider::NoRight => Error::Forbidden,
        Wider::NotDelegable => Error::Conflict {
            word: "not-delegable",
            why: "your own access to a door that is named cannot be passed on",
        },
        Wider::DoorNotShareable => Error::Conflict {
            word: "door-not-shareable",
            why: "the landlord has closed a door that is named to sharing",
        },
        wider => Error::invalid(wider.field(), wider),
    }
}
