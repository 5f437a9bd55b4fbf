//! Lock-outs: asking, what follows by itself, and who may look.
//!
//! Rows are taken in this order: the person's membership or the lock-out, the lock, the grant, the end of the log.

use std::sync::Arc;

use super::notices::tell;
use super::{Actor, App, Error, What, joined_by, role_in, served_by};
use crate::crypto::random::Random;
use crate::crypto::secret::Secret;
use crate::domain::access_log::{Kind, NewEntry, Outcome};
use crate::domain::account::{PersonName, Role};
use crate::domain::ids::{LockId, LockoutId, OrganizationId, PersonId, TenancyId, UnitId};
use crate::domain::lock::{Lock, LockState};
use crate::domain::lockout::policy::{Approver, Helper, Policy, Step};
use crate::domain::lockout::{Identity, Lockout, Seen, State};
use crate::domain::notice::{self, News};
use crate::domain::page::{Page, PageRequest};
use crate::domain::place::PlaceName;
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, access_log, accounts, grants, lockout_asks, lockouts, locks, tenancies};

mod asking;
mod deciding;
mod policies;
mod turns;

pub(super) use turns::lapse_every;
mod way_in;

pub use asking::{Answers, Identified, Outsider};
pub use policies::PolicyView;
pub use way_in::WayIn;

/// Who follows a lock-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// Somebody who is signed in.
    Person(Actor),
    /// Whoever holds the secret that was given for a code: this one lock-out is all that they see.
    Follower(LockoutId),
}

/// A lock-out as it is shown, with the names that belong to its identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The lock-out.
    pub lockout: Lockout,
    /// What the person is called.
    pub person_name: Option<PersonName>,
    /// What the door is called.
    pub lock_name: Option<PlaceName>,
    /// Whether whoever asks works at the desk: what staff saw, and who decided, is for them.
    pub for_desk: bool,
}

/// How somebody asks who is there in person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedBy {
    /// The caller is locked out.
    Session,
    /// The caller sits at the desk, and this person stands before it.
    Desk {
        /// Who is locked out.
        person: PersonId,
        /// What the caller saw of them.
        saw: Seen,
    },
}

/// What came of an ask.
enum Opened {
    /// A new lock-out.
    New(Lockout),
    /// One of this person and door stands already.
    Joined(Lockout),
    /// The person does not live there.
    Refused,
}

/// A lock-out to open.
struct Opening {
    id: LockoutId,
    lock: Lock,
    person: PersonId,
    identity: Identity,
}

impl App {
    /// Asks for a way in. The lock-out is new, or the one of this person and door that stands: the second part says
    /// which.
    ///
    /// # Errors
    /// [`Error::NotFound`] of a lock that the caller may not know; [`Error::Forbidden`] where the person does not live
    /// behind that door now, which is written down, and where the caller does not sit at its desk.
    pub async fn ask_for_lockout(&self, who: &Actor, lock: LockId, by: AskedBy) -> Result<(Shown, bool), Error> {
        let (now, who) = (self.now(), who.clone());
        let id = LockoutId::from_bits(self.id_bits(now));
        let random = Arc::clone(&self.random);
        let opened = self
            .db
            .write(move |conn| {
                let scope = joined_by(conn, &who)?;
                let lock = locks::find(conn, &lock, &scope)?.ok_or(Error::NotFound(What::Lock))?;
                let (person, identity) = match by {
                    AskedBy::Session => (who.person.clone(), Identity::Session),
                    AskedBy::Desk { person, saw } => {
                        if !served_by(conn, &who)?.contains(&lock.organization) {
                            return Err(Error::Forbidden);
                        }
                        if person == who.person {
                            return Err(Error::Conflict {
                                word: "own-lockout",
                                why: "nobody vouches for themself: ask by the session",
                            });
                        }
                        accounts::role(conn, &lock.organization, &person)?.ok_or(Error::NotFound(What::Person))?;
                        let by = who.person.clone();
                        (person, Identity::Desk { by, saw: Some(saw) })
                    }
                };
                let for_desk = matches!(identity, Identity::Desk { .. });
                let opening = Opening {
                    id,
                    lock,
                    person,
                    identity,
                };
                match open(conn, &*random, opening, now)? {
                    Opened::New(lockout) => Ok(Some((shown(conn, lockout, for_desk)?, true))),
                    Opened::Joined(lockout) => Ok(Some((shown(conn, lockout, for_desk)?, false))),
                    Opened::Refused => Ok(None),
                }
            })
            .await?;
        opened.ok_or(Error::Forbidden)
    }

    /// The lock-outs of the organizations at whose desk the caller sits, the newest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn lockouts(
        &self,
        who: &Actor,
        only_open: bool,
        page: PageRequest<LockoutId>,
    ) -> Result<Page<Shown, LockoutId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = served_by(conn, &who)?;
                let limit = i64::from(page.limit) + 1;
                let found = lockouts::list(conn, &scope, only_open, page.after.as_ref(), limit)?;
                let page = Page::cut(found, page.limit, |lockout| lockout.id.clone());
                let items = (page.items.into_iter())
                    .map(|lockout| shown(conn, lockout, true))
                    .collect::<Result<_, _>>()?;
                Ok::<_, Error>(Page { items, next: page.next })
            })
            .await
    }

    /// One lock-out: for whoever is locked out, whoever follows it, and the desk.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn lockout(&self, asker: &Asker, id: LockoutId) -> Result<Shown, Error> {
        let asker = asker.clone();
        self.db
            .read(move |conn| {
                let (lockout, for_desk) = visible(conn, &asker, &id)?;
                shown(conn, lockout, for_desk)
            })
            .await
    }

    /// Which lock-out this secret follows.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] where none.
    pub async fn followed_lockout(&self, secret: &Secret) -> Result<LockoutId, Error> {
        let (now, digest) = (self.now(), secret.digest());
        self.db
            .read(move |conn| lockout_asks::followed(conn, &digest, now)?.ok_or(Error::Unauthenticated))
            .await
    }
}

/// The lock-out, if the asker may see it, and whether they do so from its desk.
fn visible(conn: &mut Conn, asker: &Asker, id: &LockoutId) -> Result<(Lockout, bool), Error> {
    let missing = Error::NotFound(What::Lockout);
    match asker {
        Asker::Follower(followed) if followed == id => {
            let lockout = lockouts::find_any(conn, id)?.ok_or(missing)?;
            Ok((lockout, false))
        }
        Asker::Follower(_) => Err(missing),
        Asker::Person(who) => {
            let scope = joined_by(conn, who)?;
            let lockout = lockouts::find(conn, id, &scope)?.ok_or(Error::NotFound(What::Lockout))?;
            let role = role_in(conn, who, &lockout.organization)?;
            let for_desk = role.is_some_and(Role::serves_desk);
            if for_desk || lockout.person == who.person {
                Ok((lockout, for_desk))
            } else {
                Err(missing)
            }
        }
    }
}

fn shown(conn: &mut Conn, lockout: Lockout, for_desk: bool) -> Result<Shown, Error> {
    let person_name = accounts::names(conn, &[&lockout.person])?.remove(&lockout.person);
    let lock_name = locks::names(conn, &[&lockout.lock])?.remove(&lockout.lock);
    Ok(Shown {
        person_name,
        lock_name,
        for_desk,
        lockout,
    })
}

/// A person's tenancy behind a door.
struct Stay {
    tenancy: TenancyId,
    starts_at: Timestamp,
    ends_at: Option<Timestamp>,
}

/// The tenancy by which the person belongs behind the door at `now`: what a lock-out is checked against. A grant is none:
/// whoever lost that asks its giver.
fn stay(conn: &mut Conn, lock: &Lock, person: &PersonId, now: Timestamp) -> Result<Option<Stay>, Error> {
    let rights = grants::rights(conn, lock, person, now)?;
    let lasting = rights.into_iter().find_map(|right| match &right.source {
        RightSource::Tenancy(tenancy) if right.starts_at <= now && !right.is_over(now) => Some(Stay {
            tenancy: tenancy.clone(),
            starts_at: right.starts_at,
            ends_at: right.ends_at,
        }),
        _ => None,
    });
    Ok(lasting)
}

/// Opens a lock-out, or finds the one that stands; who does not live there is refused, and that is written down.
fn open(conn: &mut Conn, random: &dyn Random, opening: Opening, now: Timestamp) -> Result<Opened, Error> {
    let Opening {
        id,
        lock,
        person,
        identity,
    } = opening;
    // Held, so that two asks of one person take turns.
    let belongs = accounts::hold_membership(conn, &lock.organization, &person)?;
    let stay = match belongs && lock.state != LockState::Retired {
        true => stay(conn, &lock, &person, now)?,
        false => None,
    };
    let Some(stay) = stay else {
        let seen_by = match &identity {
            Identity::Desk { by, .. } => Some(by.clone()),
            Identity::Session | Identity::Code => None,
        };
        let entry = NewEntry {
            outcome: Outcome::Refused,
            reason: Some("no-tenancy".to_owned()),
            person: Some(person),
            actor: seen_by,
            ..NewEntry::new(Kind::LockoutRefused, now)
        };
        access_log::append(conn, &lock.organization, &entry.about(&lock), now)?;
        return Ok(Opened::Refused);
    };
    if let Some(standing) = lockouts::current_of(conn, &person, &lock.id, now)? {
        return Ok(Opened::Joined(standing));
    }
    let unit = lockouts::unit_of(conn, &stay.tenancy)?.ok_or(Error::NotFound(What::Unit))?;
    let (policy, policy_by) = match lockouts::policy(conn, &lock.property)? {
        Some((policy, by, _)) => (policy, Some(by)),
        None => (Policy::undecided(), None),
    };
    let lockout = Lockout {
        id,
        organization: lock.organization.clone(),
        property: lock.property.clone(),
        unit,
        lock: lock.id.clone(),
        person,
        tenancy: stay.tenancy,
        lease_starts_at: stay.starts_at,
        asked_at: now,
        identity,
        policy,
        policy_by,
        begun: 0,
        next_at: now,
        state: State::Open,
    };
    lockouts::add(conn, &lockout)?;
    let saw = match &lockout.identity {
        Identity::Desk { saw, .. } => saw.as_ref(),
        Identity::Session | Identity::Code => None,
    };
    let entry = entry(&lockout, &lock, Kind::LockoutAsked, now);
    let entry = NewEntry {
        actor: seen_by(&lockout),
        detail: Some(serde_json::json!({
            "lockout_id": lockout.id,
            "identity": lockout.identity.word(),
            "saw": saw,
        })),
        ..entry
    };
    access_log::append(conn, &lockout.organization, &entry, now)?;
    let by = seen_by(&lockout);
    tell_residents(conn, random, &lockout, &lock, notice::Kind::LockoutAsked, by, now)?;
    let office_has_a_step = (lockout.policy.first().iter()).any(|step| step.helper == Helper::Office);
    if !office_has_a_step {
        tell_approvers(conn, random, &lockout, &lock, now)?;
    }
    turns::turn(conn, random, lockout, &lock, now).map(Opened::New)
}

/// Who of the staff vouches for the person.
fn seen_by(lockout: &Lockout) -> Option<PersonId> {
    match &lockout.identity {
        Identity::Desk { by, .. } => Some(by.clone()),
        Identity::Session | Identity::Code => None,
    }
}

/// An entry about the lock-out, at its door.
fn entry(lockout: &Lockout, lock: &Lock, kind: Kind, now: Timestamp) -> NewEntry {
    NewEntry {
        person: Some(lockout.person.clone()),
        detail: Some(serde_json::json!({ "lockout_id": lockout.id })),
        ..NewEntry::new(kind, now)
    }
    .about(lock)
}

fn news(lockout: &Lockout, lock: &Lock, kind: notice::Kind, actor: Option<PersonId>) -> News {
    News {
        unit: Some(lockout.unit.clone()),
        actor,
        detail: Some(serde_json::json!({ "lockout_id": lockout.id, "person_id": lockout.person })),
        ..News::new(kind, lockout.organization.clone()).about(lock)
    }
}

/// Tells everybody who lives in the unit.
fn tell_residents(
    conn: &mut Conn,
    random: &dyn Random,
    lockout: &Lockout,
    lock: &Lock,
    kind: notice::Kind,
    actor: Option<PersonId>,
    now: Timestamp,
) -> Result<(), Error> {
    let mut persons = tenancies::residents(conn, &lockout.unit, now)?;
    persons.push(lockout.person.clone());
    let mut news = news(lockout, lock, kind, actor);
    news.unit = Some(lockout.unit.clone());
    tell(conn, random, persons, &news, now)
}

/// Tells those of the staff who may approve.
fn tell_approvers(
    conn: &mut Conn,
    random: &dyn Random,
    lockout: &Lockout,
    lock: &Lock,
    now: Timestamp,
) -> Result<(), Error> {
    let may: fn(Role) -> bool = match lockout.policy.approval().approver() {
        Approver::Nobody => return Ok(()),
        Approver::Desk => Role::serves_desk,
        Approver::Manager => Role::manages,
    };
    let staff = accounts::with_role(conn, &lockout.organization, may)?;
    let staff = staff.into_iter().filter(|person| *person != lockout.person);
    let news = news(lockout, lock, notice::Kind::LockoutHelpWanted, seen_by(lockout));
    tell(conn, random, staff, &news, now)
}

/// Tells the desk, whoever may approve.
fn desk_of(conn: &mut Conn, organization: &OrganizationId) -> Result<Vec<PersonId>, Error> {
    Ok(accounts::with_role(conn, organization, Role::serves_desk)?)
}

/// Whom a step goes to, where that is somebody who is told here.
fn helpers(
    conn: &mut Conn,
    lockout: &Lockout,
    lock: &Lock,
    step: &Step,
    now: Timestamp,
) -> Result<Vec<PersonId>, Error> {
    let mut persons = match &step.helper {
        Helper::SpareKey => spare_key_holders(conn, lock, &lockout.unit, now)?,
        Helper::Office => desk_of(conn, &lockout.organization)?,
        Helper::OnCall(person) => {
            let role = accounts::role(conn, &lockout.organization, person)?;
            role.filter(|role| role.is_staff())
                .map(|_| person.clone())
                .into_iter()
                .collect()
        }
        // The number is shown to whoever is locked out.
        Helper::Locksmith(_) => Vec::new(),
    };
    persons.retain(|person| *person != lockout.person);
    Ok(persons)
}

/// Who holds a spare key to the door that somebody of the unit has given.
fn spare_key_holders(conn: &mut Conn, lock: &Lock, unit: &UnitId, now: Timestamp) -> Result<Vec<PersonId>, Error> {
    let residents = tenancies::residents(conn, unit, now)?;
    Ok(grants::spare_key_holders(conn, &lock.id, &residents, now)?)
}
