//! Ordering a lockdown, changing it, ending it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::deliver::{left_out, settle_all, settle_fitting};
use super::show::{Shown, door_of};
use super::{doors_of, tell_people, write_down};
use crate::app::in_turn::each_in_turn;
use crate::app::proposals::{self, Matter, Settled, Weighty};
use crate::app::revocations::hold_locks;
use crate::app::{Actor, App, Error, What, managed_by, must_have_phone_key};
use crate::crypto::random::Random;
use crate::domain::access_log::Kind;
use crate::domain::account::Scope;
use crate::domain::ids::{GrantId, LockId, LockdownId, OrganizationId, PersonId, PropertyId, ProposalId};
use crate::domain::lock::Lock;
use crate::domain::lockdown::{
    Exceptions, ListName, Lockdown, LockdownEnd, LockdownReason, MOST_AT_ONCE, MOST_EXCEPTED, Part, check_until,
};
use crate::domain::notice;
use crate::domain::place::Property;
use crate::domain::time::Timestamp;
use crate::store::{Conn, accounts, grants, lockdowns, locks, places};

/// How many lockdowns end by their time in one round.
const ENDED_A_ROUND: i64 = 100;

/// A lockdown to order, or how one is to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLockdown {
    /// The first instant at which it holds no more.
    pub until: Timestamp,
    /// Why, for everybody whom it keeps out.
    pub reason: LockdownReason,
    /// Whom not.
    pub except: Exceptions,
}

impl App {
    /// Orders a lockdown. Once this returns, nothing is issued for its doors any more but for those who are excepted; locks
    /// that are there were told, and the answer says which have confirmed. Where the organization's rules say so, it is
    /// proposed to a second person instead; to change or to end one never is.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the property, or of what the part or the exceptions name;
    /// [`Error::Invalid`] where the time or the exceptions are none; [`Error::Conflict`] where as many hold as locks can be
    /// told of.
    pub async fn begin_lockdown(
        &self,
        who: &Actor,
        property: PropertyId,
        part: Part,
        new: NewLockdown,
    ) -> Result<Settled<(Lockdown, Shown)>, Error> {
        let now = self.now();
        let (id, proposal) = (
            LockdownId::from_bits(self.id_bits(now)),
            ProposalId::from_bits(self.id_bits(now)),
        );
        let (caller, random) = (who.clone(), Arc::clone(&self.random));
        let settled = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &caller)?;
                let found = places::find_property(conn, &property, &scope)?.ok_or(Error::NotFound(What::Property))?;
                if !proposals::needed(conn, &found.organization, Weighty::Lockdown, now)? {
                    return begin_in(conn, &*random, &caller, id, (property, part, new), now).map(Settled::Done);
                }
                // What would be refused then is refused now.
                check(conn, &draft(&caller, (id, found.clone()), (&part, &new), now), now)?;
                let matter = Matter::Lockdown { property, part, new };
                let organization = found.organization;
                let proposal = proposals::propose(conn, &*random, &caller, (proposal, organization), &matter, now)?;
                Ok::<_, Error>(Settled::Proposed(Box::new(proposal)))
            })
            .await?;
        match settled {
            Settled::Proposed(proposal) => Ok(Settled::Proposed(proposal)),
            Settled::Done(begun) => {
                let Begun { lockdown, doors } = begun;
                self.deliver_lockdowns(&doors).await?;
                let shown = self.lockdowns(who, lockdown.property.clone()).await?;
                Ok(Settled::Done((lockdown, shown)))
            }
        }
    }

    /// Changes until when a lockdown holds, why, and whom it excepts, as a whole; its doors stay.
    ///
    /// # Errors
    /// As [`Self::begin_lockdown`]; [`Error::Conflict`] where it has ended.
    pub async fn change_lockdown(
        &self,
        who: &Actor,
        id: LockdownId,
        new: NewLockdown,
    ) -> Result<(Lockdown, Shown), Error> {
        let now = self.now();
        check_until(new.until, now).map_err(|bad| Error::invalid("until", bad))?;
        let (caller, random) = (who.clone(), Arc::clone(&self.random));
        let (lockdown, doors) = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &caller)?;
                let known = lockdowns::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Lockdown))?;
                must_have_phone_key(conn, &known.organization, &caller)?;
                let has_ended = known.ended.is_some() || known.until <= now;
                let lockdown = Lockdown {
                    until: new.until,
                    reason: new.reason,
                    except: new.except,
                    ..known
                };
                check_exceptions(conn, &lockdown)?;
                let doors = doors_of(conn, &lockdown)?;
                hold_all(conn, &doors)?;
                let before = left_out(conn, &doors, now)?;
                if has_ended || !lockdowns::change(conn, &lockdown)? {
                    return Err(Error::Conflict {
                        word: "lockdown-over",
                        why: "the lockdown has ended; order another",
                    });
                }
                settle_all(conn, &doors, &before, now)?;
                write_down(conn, &lockdown, Kind::LockdownChanged, (Some(&caller), None), now)?;
                let kind = notice::Kind::LockdownChanged;
                tell_people(conn, &*random, &lockdown, kind, Some(&caller), now)?;
                Ok::<_, Error>((lockdown, doors))
            })
            .await?;
        self.deliver_lockdowns(&doors).await?;
        let shown = self.lockdowns(who, lockdown.property.clone()).await?;
        Ok((lockdown, shown))
    }

    /// Ends one lockdown early. What has ended already answers the same and writes nothing.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn end_lockdown(&self, who: &Actor, id: LockdownId) -> Result<Shown, Error> {
        let (now, caller, random) = (self.now(), who.clone(), Arc::clone(&self.random));
        let (property, doors) = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &caller)?;
                let lockdown = lockdowns::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Lockdown))?;
                must_have_phone_key(conn, &lockdown.organization, &caller)?;
                let property = lockdown.property.clone();
                let doors = end_early(conn, lockdown, &caller, &*random, now)?;
                Ok::<_, Error>((property, doors))
            })
            .await?;
        self.deliver_lockdowns(&doors).await?;
        self.lockdowns(who, property).await
    }

    /// Ends every lockdown of the property early; where none holds, nothing is written.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn end_lockdowns(&self, who: &Actor, property: PropertyId) -> Result<Shown, Error> {
        let (now, caller, random, id) = (self.now(), who.clone(), Arc::clone(&self.random), property.clone());
        let doors = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &caller)?;
                let property = places::find_property(conn, &id, &scope)?.ok_or(Error::NotFound(What::Property))?;
                must_have_phone_key(conn, &property.organization, &caller)?;
                let mut doors = Vec::new();
                for lockdown in lockdowns::open_of(conn, &id)? {
                    doors.extend(end_early(conn, lockdown, &caller, &*random, now)?);
                }
                Ok::<_, Error>(doors)
            })
            .await?;
        self.deliver_lockdowns(&doors).await?;
        self.lockdowns(who, property).await
    }

    /// Notes which lockdowns have ended by their time, once each; says how many. Nothing waits for this: decisions and locks
    /// go by the time itself.
    ///
    /// # Errors
    /// Those of the database; one that fails keeps no other from being noted.
    pub async fn end_lockdowns_by_time(&self) -> Result<usize, Error> {
        let now = self.now();
        let over = self
            .db
            .read(move |conn| Ok::<_, Error>(lockdowns::over(conn, now, ENDED_A_ROUND)?))
            .await?;
        let (ended, outcome) = each_in_turn(over, |lockdown| {
            let random = Arc::clone(&self.random);
            self.db.write(move |conn| {
                let end = LockdownEnd { at: now, by: None };
                if !lockdowns::end(conn, &lockdown.id, &end)? {
                    return Ok::<_, Error>(false);
                }
                write_down(conn, &lockdown, Kind::LockdownEnded, (None, Some("time")), now)?;
                tell_people(conn, &*random, &lockdown, notice::Kind::LockdownEnded, None, now)?;
                Ok(true)
            })
        })
        .await;
        outcome.map(|()| ended.into_iter().filter(|is_news| *is_news).count())
    }
}

/// A lockdown that begins with this transaction, and the doors that are to be told after it.
#[derive(Debug)]
pub struct Begun {
    /// The lockdown.
    pub lockdown: Lockdown,
    /// Its doors.
    pub(in crate::app) doors: Vec<Lock>,
}

/// The lockdown that is asked for.
fn draft(
    who: &Actor,
    (id, property): (LockdownId, Property),
    (part, new): (&Part, &NewLockdown),
    now: Timestamp,
) -> Lockdown {
    Lockdown {
        id,
        organization: property.organization,
        property: property.id,
        part: part.clone(),
        reason: new.reason.clone(),
        except: new.except.clone(),
        begun_by: who.person.clone(),
        begun_at: now,
        until: new.until,
        ended: None,
    }
}

/// Whether it may be ordered.
fn check(conn: &mut Conn, lockdown: &Lockdown, now: Timestamp) -> Result<(), Error> {
    check_until(lockdown.until, now).map_err(|bad| Error::invalid("until", bad))?;
    check_part(conn, lockdown)?;
    check_exceptions(conn, lockdown)
}

/// Begins a lockdown in this transaction.
pub(in crate::app) fn begin_in(
    conn: &mut Conn,
    random: &dyn Random,
    who: &Actor,
    id: LockdownId,
    (property, part, new): (PropertyId, Part, NewLockdown),
    now: Timestamp,
) -> Result<Begun, Error> {
    let scope = managed_by(conn, who)?;
    let property = places::find_property(conn, &property, &scope)?.ok_or(Error::NotFound(What::Property))?;
    let lockdown = draft(who, (id, property), (&part, &new), now);
    check(conn, &lockdown, now)?;
    let doors = doors_of(conn, &lockdown)?;
    hold_all(conn, &doors)?;
    let open = lockdowns::open_of(conn, &lockdown.property)?;
    if open.iter().filter(|other| now < other.until).count() >= MOST_AT_ONCE {
        return Err(Error::Conflict {
            word: "too-many-lockdowns",
            why: "as many lockdowns hold in this property as locks can be told of: change or end one",
        });
    }
    let before = left_out(conn, &doors, now)?;
    lockdowns::add(conn, &lockdown)?;
    settle_all(conn, &doors, &before, now)?;
    write_down(conn, &lockdown, Kind::LockdownBegun, (Some(who), None), now)?;
    tell_people(conn, random, &lockdown, notice::Kind::LockdownBegun, Some(who), now)?;
    tracing::warn!(property.id = %lockdown.property, doors = doors.len(), "a lockdown begins in {}", lockdown.property);
    Ok(Begun { lockdown, doors })
}

/// Ends a lockdown in this transaction; gives the doors that are to be told. What the others except may have outgrown what a
/// lock can be told of meanwhile: that keeps no door shut.
fn end_early(
    conn: &mut Conn,
    lockdown: Lockdown,
    who: &Actor,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Vec<Lock>, Error> {
    let doors = doors_of(conn, &lockdown)?;
    hold_all(conn, &doors)?;
    // One whose time is over ends by that, whoever asks.
    let by = (now < lockdown.until).then(|| who.person.clone());
    let reason = if by.is_some() { "early" } else { "time" };
    let end = LockdownEnd { at: now, by };
    if !lockdowns::end(conn, &lockdown.id, &end)? {
        return Ok(Vec::new());
    }
    settle_fitting(conn, &doors, now)?;
    let actor = end.by.is_some().then_some(who);
    write_down(conn, &lockdown, Kind::LockdownEnded, (actor, Some(reason)), now)?;
    tell_people(conn, random, &lockdown, notice::Kind::LockdownEnded, actor, now)?;
    Ok(doors)
}

/// Holds the doors' rows until this transaction ends: what is issued for them and what is ordered takes turns.
fn hold_all(conn: &mut Conn, doors: &[Lock]) -> Result<(), Error> {
    let ids: Vec<LockId> = doors.iter().map(|door| door.id.clone()).collect();
    hold_locks(conn, &ids)
}

/// Whether what the part names is of the property.
fn check_part(conn: &mut Conn, lockdown: &Lockdown) -> Result<(), Error> {
    let scope = Scope::only(lockdown.organization.clone());
    match &lockdown.part {
        Part::Whole | Part::Shared => Ok(()),
        Part::Units(units) => {
            for unit in units {
                let found = places::find_unit(conn, unit, &scope)?;
                found
                    .filter(|unit| unit.property == lockdown.property)
                    .ok_or(Error::NotFound(What::Unit))?;
            }
            Ok(())
        }
        Part::Locks(ids) => {
            let found = locks::with_ids(conn, ids)?;
            let is_there = |id: &LockId| {
                let lock = found.iter().find(|lock| lock.id == *id);
                lock.is_some_and(|lock| {
                    scope.contains(&lock.organization) && lock.property == lockdown.property && door_of(lock)
                })
            };
            if ids.iter().all(is_there) {
                Ok(())
            } else {
                Err(Error::NotFound(What::Lock))
            }
        }
    }
}

/// Whether the exceptions are people, grants and lists of the landlord's, and not too many.
fn check_exceptions(conn: &mut Conn, lockdown: &Lockdown) -> Result<(), Error> {
    let Exceptions { persons, grants, lists } = &lockdown.except;
    check_named(conn, &lockdown.organization, "except", persons, grants)?;
    let known = lockdowns::lists(conn, &lockdown.property)?;
    let is_known =
        |name: &ListName| name.as_str() == ListName::EMERGENCY_SERVICES || known.iter().any(|list| list.name == *name);
    if lists.iter().all(is_known) {
        Ok(())
    } else {
        Err(Error::invalid("except.lists", "the property has no list of this name"))
    }
}

/// Whether these are members of the organization and grants of it, and not too many.
pub(super) fn check_named(
    conn: &mut Conn,
    organization: &OrganizationId,
    field: &'static str,
    persons: &[PersonId],
    given: &[GrantId],
) -> Result<(), Error> {
    let named = persons.iter().collect::<BTreeSet<_>>().len() + given.iter().collect::<BTreeSet<_>>().len();
    if named > MOST_EXCEPTED || named < persons.len() + given.len() {
        let expected = format!("expected each once, and {MOST_EXCEPTED} people and grants at the most");
        return Err(Error::invalid(field, expected));
    }
    for person in persons {
        accounts::role(conn, organization, person)?.ok_or(Error::NotFound(What::Person))?;
    }
    let scope = Scope::only(organization.clone());
    for grant in given {
        grants::find(conn, grant, &scope)?.ok_or(Error::NotFound(What::Grant))?;
    }
    Ok(())
}
