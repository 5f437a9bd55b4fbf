//! Giving access and taking it back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::guests::{add_guest, write_down_newcomer};
use super::invitations::{Draft, SecretLink};
use super::notices::tell;
use super::pins::begin;
use super::proposals::{self, Matter, Settled, Weighty};
use super::revocations::hold_locks;
use super::{Actor, App, Error, What, house_access, joined_by, managed_by, must_have_phone_key, role_in};
use crate::crypto::random::Random;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Email, PersonName, Role, Scope};
use crate::domain::grant::{Grant, GrantState, Holder, NewGrant, Terms, Way};
use crate::domain::ids::{GrantId, LockId, OrganizationId, PersonId, ProposalId};
use crate::domain::lock::LockState;
use crate::domain::notice::{self, News};
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, access_log, accounts, grants, locks};

mod access;
mod change;
mod ending;
mod following;
mod show;
mod spare;
mod under;

pub(super) use access::{to_change, to_take_back};
pub(super) use ending::{By, Ended, end_with, revoke_waiting, write_down_waiting};
pub(super) use following::{cut, follow, follow_each, hold_hanging_at, put};
pub use show::{Door, Shown, Which};
pub use spare::SpareShown;

pub use crate::store::spare_asks::Asked;

/// To whom access is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum To {
    /// A member of the organization.
    Person(PersonId),
    /// Whoever has this address: a member, or somebody who is invited as a guest with it.
    Email(Email),
    /// Somebody new without an account, by this name: a link or a code lets them in.
    Guest(PersonName),
}

impl To {
    /// The address, where that is what is known.
    fn email(&self) -> Option<&Email> {
        match self {
            Self::Email(email) => Some(email),
            Self::Person(_) | Self::Guest(_) => None,
        }
    }
}

/// A grant that was given, with the invitation that it waits for where its holder is no member yet.
#[derive(Debug)]
pub struct Given {
    /// The grant.
    pub grant: Grant,
    /// The link to hand to its holder.
    pub invitation: Option<SecretLink>,
}

impl App {
    /// Gives access. All doors must be of one organization: one that the caller manages, or where they may open all of them
    /// by one right that they can pass on, which this is never wider than. A manager's access by which its holder could open
    /// a whole property is proposed to a second person where the organization's rules say so; access of the house to homes
    /// of others begins later (`super::house_access`).
    ///
    /// # Errors
    /// [`Error::Forbidden`] where the caller neither manages the doors nor may open them; [`Error::Invalid`] where the terms
    /// do not hold together, or are wider than the caller's own; [`Error::NotFound`] of a lock or the person;
    /// [`Error::Conflict`] for a retired lock, a door that is closed to sharing, a right that is not passed on.
    pub async fn give(&self, who: &Actor, new: NewGrant, to: To) -> Result<Settled<Given>, Error> {
        let (now, who) = (self.now(), who.clone());
        let draft = self.draft_grant(&to, now);
        let proposal = ProposalId::from_bits(self.id_bits(now));
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                let scope = joined_by(conn, &who)?;
                let mut terms = checked(&new, now)?;
                let organization = organization_of(conn, &terms.locks, &scope)?;
                must_have_phone_key(conn, &organization, &who)?;
                let person = member(conn, &organization, &to)?;
                if !role_in(conn, &who, &organization)?.is_some_and(Role::manages) {
                    let given = under::give_under(conn, &*random, &who, (organization, to, person), new, draft, now)?;
                    return Ok(Settled::Done(given));
                }
                let weighty = Weighty::Grant {
                    person: person.as_ref(),
                    email: to.email(),
                    locks: &terms.locks,
                };
                if !proposals::needed(conn, &organization, weighty, now)? {
                    return give_in(conn, &*random, &who, (new, to), draft, now).map(Settled::Done);
                }
                if let Some(person) = &person {
                    // What would be refused then is refused now.
                    house_access::postpone(conn, &organization, person, &mut terms, new.reason.clone(), now)?;
                }
                let matter = Matter::Grant { new, to };
                let proposal = proposals::propose(conn, &*random, &who, (proposal, organization), &matter, now)?;
                Ok(Settled::Proposed(Box::new(proposal)))
            })
            .await
    }

    /// What a grant to `to` takes from outside the database.
    pub(super) fn draft_grant(&self, to: &To, now: Timestamp) -> GrantDraft {
        let invitation = to.email().map(|email| {
            let draft = self.draft_invitation(email.clone(), now);
            let link = self.link_of(&draft);
            (draft, link)
        });
        GrantDraft {
            id: GrantId::from_bits(self.id_bits(now)),
            newcomer: PersonId::from_bits(self.id_bits(now)),
            invitation,
        }
    }
}

/// A grant before it is known whether it is given.
pub(super) struct GrantDraft {
    id: GrantId,
    /// Who a new guest without an account is.
    newcomer: PersonId,
    /// For somebody who turns out to be no member.
    invitation: Option<(Draft, SecretLink)>,
}

fn checked(new: &NewGrant, now: Timestamp) -> Result<Terms, Error> {
    new.clone().check(now).map_err(|bad| Error::invalid(bad.field(), bad))
}

/// Gives access, as [`App::give`], whatever a second person has to say.
pub(super) fn give_in(
    conn: &mut Conn,
    random: &dyn Random,
    who: &Actor,
    (new, to): (NewGrant, To),
    draft: GrantDraft,
    now: Timestamp,
) -> Result<Given, Error> {
    let scope = managed_by(conn, who)?;
    let mut terms = checked(&new, now)?;
    let organization = organization_of(conn, &terms.locks, &scope)?;
    let person = member(conn, &organization, &to)?;
    // Of a grant and a tenancy behind its door that are given at once, one sees the other.
    hold_locks(conn, &terms.locks)?;
    let (holder, invitation) = holder_of(
        conn,
        who,
        &organization,
        (to, person),
        (draft.newcomer.clone(), draft.invitation),
        &terms,
        now,
    )?;
    refuse_programs_among_themselves(conn, who, &organization, &holder)?;
    let house_access = match &holder {
        Holder::Person(person) => house_access::postpone(conn, &organization, person, &mut terms, new.reason, now)?,
        Holder::Invited(_) => None,
    };
    let grant = Grant {
        id: draft.id,
        organization,
        holder,
        given_by: who.person.clone(),
        created_at: now,
        under: None,
        terms,
        round: 0,
        released_until: None,
        state: GrantState::Active,
    };
    add(conn, random, who, (&grant, &draft.newcomer), now)?;
    if let Some(access) = &house_access {
        let right = RightSource::Grant(grant.id.clone());
        let by = (&who.person, |entry| who.signed(entry));
        house_access::tell_residents(conn, random, &grant.organization, by, (&right, access), now)?;
    }
    Ok(Given { grant, invitation })
}

/// Who holds the grant: the member who is meant, whoever accepts the invitation that is stored here, or a guest without an
/// account, who is added.
fn holder_of(
    conn: &mut Conn,
    who: &Actor,
    organization: &OrganizationId,
    (to, person): (To, Option<PersonId>),
    (newcomer, invitation): (PersonId, Option<(Draft, SecretLink)>),
    terms: &Terms,
    now: Timestamp,
) -> Result<(Holder, Option<SecretLink>), Error> {
    match (person, invitation) {
        (Some(person), _) => Ok((Holder::Person(person), None)),
        // An account elsewhere is invited like a stranger: its landlord here learns nothing of it.
        (None, Some((draft, link))) => {
            let into = organization.clone();
            let invited = draft.store(conn, into, Role::Guest, None, &who.person, now)?;
            Ok((Holder::Invited(invited), Some(link)))
        }
        (None, None) => match to {
            To::Guest(name) => {
                let guest = add_guest(conn, organization, (newcomer, name), terms.role, now)?;
                Ok((Holder::Person(guest), None))
            }
            To::Person(_) | To::Email(_) => Err(Error::NotFound(What::Person)),
        },
    }
}

/// Adds a grant, writes it down and tells its holder, who came with it if they are the `newcomer`.
fn add(
    conn: &mut Conn,
    random: &dyn Random,
    who: &Actor,
    (grant, newcomer): (&Grant, &PersonId),
    now: Timestamp,
) -> Result<(), Error> {
    if grant.terms.ways.contains(&Way::Pin) {
        // Told in time, a lock that is off line when a code is wanted knows which day it is.
        for lock in locks::with_ids(conn, &grant.terms.locks)? {
            begin(conn, &lock, now)?;
        }
    }
    grants::add(conn, grant)?;
    if grant.person() == Some(newcomer) {
        write_down_newcomer(conn, who, grant, now)?;
    }
    let by = By { who: Some(who), random };
    write_down(conn, by, grant, Kind::GrantGiven, None, now)?;
    let holder = grant.person().cloned();
    tell_of(conn, by, holder, grant, notice::Kind::AccessGiven, now)
}

/// Who of the organization's members is meant, if it is one.
fn member(conn: &mut Conn, organization: &OrganizationId, to: &To) -> Result<Option<PersonId>, Error> {
    let person = match to {
        To::Person(person) => Some(person.clone()),
        To::Email(email) => accounts::find_by_email(conn, email)?.map(|(person, _)| person.id),
        To::Guest(_) => None,
    };
    let Some(person) = person else { return Ok(None) };
    Ok(accounts::hold_membership(conn, organization, &person)?.then_some(person))
}

/// A program with a key gives access to people only: never to itself, nor to another program that would give to it.
fn refuse_programs_among_themselves(
    conn: &mut Conn,
    who: &Actor,
    organization: &OrganizationId,
    holder: &Holder,
) -> Result<(), Error> {
    match (&who.key, holder) {
        (Some(_), Holder::Person(person)) if accounts::role(conn, organization, person)? == Some(Role::Service) => {
            Err(Error::Forbidden)
        }
        _ => Ok(()),
    }
}

/// The one organization of `scope` to which all the locks belong, all of them in service or to be.
fn organization_of(conn: &mut Conn, ids: &[LockId], scope: &Scope) -> Result<OrganizationId, Error> {
    let found = locks::with_ids(conn, ids)?;
    let mut organization: Option<OrganizationId> = None;
    for id in ids {
        let lock = found
            .iter()
            .find(|lock| lock.id == *id && scope.contains(&lock.organization));
        let lock = lock.ok_or(Error::NotFound(What::Lock))?;
        if lock.state == LockState::Retired {
            return Err(Error::Conflict {
                word: "lock-retired",
                why: "one of the locks is out of service",
            });
        }
        if organization.as_ref().is_some_and(|first| *first != lock.organization) {
            return Err(Error::invalid("lock_ids", "the locks are not of one organization"));
        }
        organization = Some(lock.organization.clone());
    }
    organization.ok_or(Error::invalid("lock_ids", "expected one lock or more"))
}

/// Who is to know of what becomes of a grant: its holder, and who gave it under a right of their own.
fn concerned_by(grant: &Grant) -> Vec<PersonId> {
    let giver = grant.under.as_ref().map(|_| &grant.given_by);
    grant.person().into_iter().chain(giver).cloned().collect()
}

/// Tells these persons what became of the grant.
fn tell_of(
    conn: &mut Conn,
    by: By<'_>,
    persons: impl IntoIterator<Item = PersonId>,
    grant: &Grant,
    kind: notice::Kind,
    now: Timestamp,
) -> Result<(), Error> {
    let news = News {
        actor: by.actor().cloned(),
        detail: Some(serde_json::json!({
            "grant_id": grant.id,
            "lock_ids": grant.terms.locks,
            "starts_at": grant.terms.starts_at,
            "ends_at": grant.terms.ends_at,
        })),
        ..News::new(kind, grant.organization.clone())
    };
    tell(conn, by.random, persons, &news, now)
}

/// Writes down what somebody, or time, did with a grant.
fn write_down(
    conn: &mut Conn,
    by: By<'_>,
    grant: &Grant,
    kind: Kind,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<(), Error> {
    let detail = serde_json::json!({
        "lock_ids": grant.terms.locks,
        "starts_at": grant.terms.starts_at,
        "ends_at": grant.terms.ends_at,
    });
    write_detail(conn, by, grant, kind, reason, detail, now)
}

/// As [`write_down`], with other details.
fn write_detail(
    conn: &mut Conn,
    by: By<'_>,
    grant: &Grant,
    kind: Kind,
    reason: Option<&str>,
    detail: serde_json::Value,
    now: Timestamp,
) -> Result<(), Error> {
    let locks = locks::with_ids(conn, &grant.terms.locks)?;
    let entry = NewEntry {
        reason: reason.map(str::to_owned),
        person: grant.person().cloned(),
        actor: by.actor().cloned(),
        grant: Some(grant.id.clone()),
        detail: Some(detail),
        ..NewEntry::new(kind, now)
    };
    let entry = entry.about_all(&locks);
    let entry = match by.who {
        Some(who) => who.signed(entry),
        None => entry,
    };
    access_log::append(conn, &grant.organization, &entry, now)?;
    Ok(())
}
