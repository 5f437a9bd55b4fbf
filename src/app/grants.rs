//! Giving access and taking it back.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::guests::add_guest;
use super::invitations::{Draft, SecretLink};
use super::notices::tell;
use super::pins::begin;
use super::proposals::{self, Matter, Settled, Weighty};
use super::revocations::{Revocation, hold_locks};
use super::{Actor, App, Error, What, house_access, managed_by, viewed_by};
use crate::crypto::random::Random;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Email, PersonName, Role, Scope};
use crate::domain::grant::{Grant, GrantState, Holder, NewGrant, Terms, Way};
use crate::domain::ids::{GrantId, LockId, OrganizationId, PersonId, ProposalId};
use crate::domain::lock::{Lock, LockState};
use crate::domain::notice::{self, News};
use crate::domain::page::{Page, PageRequest};
use crate::domain::pass;
use crate::domain::time::Timestamp;
use crate::domain::unlock::RightSource;
use crate::store::{Conn, access_log, accounts, grants, locks, passes, revocations};

mod ending;

pub(super) use ending::{Ended, end_with};

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

/// A grant as its landlord sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The grant.
    pub grant: Grant,
    /// Its locks, each with the time until which a bolt may still move by an offline pass of it; `None` where by none.
    pub locks: Vec<(Lock, Option<Timestamp>)>,
}

impl App {
    /// Gives access. All doors must be of one organization that the caller manages. Access by which its holder could open a
    /// whole property is proposed to a second person where the organization's rules say so; access of the house to homes
    /// of others begins later (`super::house_access`).
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::Invalid`] where the terms do not hold together; [`Error::NotFound`] of a lock or
    /// the person; [`Error::Conflict`] for a retired lock.
    pub async fn give(&self, who: &Actor, new: NewGrant, to: To) -> Result<Settled<Given>, Error> {
        let (now, who) = (self.now(), who.clone());
        let draft = self.draft_grant(&to, now);
        let proposal = ProposalId::from_bits(self.id_bits(now));
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let mut terms = checked(&new, now)?;
                let organization = organization_of(conn, &terms.locks, &scope)?;
                let person = member(conn, &organization, &to)?;
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

    /// The grants of the organizations that the caller manages or views, of one lock or one person if asked for.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn grants(
        &self,
        who: &Actor,
        lock: Option<LockId>,
        person: Option<PersonId>,
        page: PageRequest<GrantId>,
    ) -> Result<Page<Grant, GrantId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = viewed_by(conn, &who)?;
                let limit = i64::from(page.limit) + 1;
                let found = grants::list(conn, &scope, lock.as_ref(), person.as_ref(), page.after.as_ref(), limit)?;
                Ok(Page::cut(found, page.limit, |grant| grant.id.clone()))
            })
            .await
    }

    /// One grant with its locks, and until when passes may open each. Of a grant that was taken back only what locks have
    /// not confirmed counts.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn grant(&self, who: &Actor, id: GrantId) -> Result<Shown, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .read(move |conn| {
                let scope = viewed_by(conn, &who)?;
                let grant = grants::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Grant))?;
                let open: HashMap<LockId, Timestamp> = match grant.state {
                    GrantState::Active => passes::open_until(conn, &grant.name(), now)?,
                    GrantState::Revoked { .. } => revocations::open_until(conn, &[grant.name().to_string()], now)?
                        .into_iter()
                        .collect(),
                };
                let locks = locks::with_ids(conn, &grant.terms.locks)?;
                let locks = locks.into_iter().map(|lock| {
                    let until = open.get(&lock.id).copied();
                    (lock, until)
                });
                Ok(Shown {
                    locks: locks.collect(),
                    grant,
                })
            })
            .await
    }

    /// Takes a grant back. Once this returns no token and no pass is issued by it; tokens on their way end with their life,
    /// passes where their locks are told. Taking back what was taken back already answers the same and writes nothing.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn revoke(&self, who: &Actor, id: GrantId) -> Result<Revocation, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        let ended = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let grant = grants::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Grant))?;
                // The locks before the right: so does whoever issues a pass.
                hold_locks(conn, &grant.terms.locks)?;
                let right = vec![RightSource::Grant(id.clone())];
                if !grants::revoke(conn, &id, &who.person, now)? {
                    return Ok(Ended::before(right));
                }
                let ended = end_with(conn, right, now)?;
                write_down(conn, &who, &grant, Kind::GrantRevoked, now)?;
                tell_holder(conn, &*random, &who, &grant, notice::Kind::AccessRevoked, now)?;
                Ok::<_, Error>(ended)
            })
            .await?;
        self.make_end_effective(ended).await
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
    let (holder, invitation) = match (member(conn, &organization, &to)?, draft.invitation) {
        (Some(person), _) => (Holder::Person(person), None),
        // An account elsewhere is invited like a stranger: its landlord here learns nothing of it.
        (None, Some((draft, link))) => {
            let into = organization.clone();
            let invited = draft.store(conn, into, Role::Guest, None, &who.person, now)?;
            (Holder::Invited(invited), Some(link))
        }
        (None, None) => match to {
            To::Guest(name) => {
                let role = match terms.role {
                    pass::Role::Vendor => Role::Vendor,
                    pass::Role::Guest | pass::Role::Tenant => Role::Guest,
                };
                let guest = add_guest(conn, &organization, (draft.newcomer, name), role, who, now)?;
                (Holder::Person(guest), None)
            }
            To::Person(_) | To::Email(_) => return Err(Error::NotFound(What::Person)),
        },
    };
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
    if grant.terms.ways.contains(&Way::Pin) {
        // Told in time, a lock that is off line when a code is wanted knows which day it is.
        for lock in locks::with_ids(conn, &grant.terms.locks)? {
            begin(conn, &lock, now)?;
        }
    }
    grants::add(conn, &grant)?;
    write_down(conn, who, &grant, Kind::GrantGiven, now)?;
    tell_holder(conn, random, who, &grant, notice::Kind::AccessGiven, now)?;
    if let Some(access) = &house_access {
        let right = RightSource::Grant(grant.id.clone());
        let by = (&who.person, |entry| who.signed(entry));
        house_access::tell_residents(conn, random, &grant.organization, by, (&right, access), now)?;
    }
    Ok(Given { grant, invitation })
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

/// Tells whoever holds the grant what became of it.
fn tell_holder(
    conn: &mut Conn,
    random: &dyn Random,
    who: &Actor,
    grant: &Grant,
    kind: notice::Kind,
    now: Timestamp,
) -> Result<(), Error> {
    let Holder::Person(holder) = &grant.holder else {
        return Ok(());
    };
    let news = News {
        actor: Some(who.person.clone()),
        detail: Some(serde_json::json!({
            "grant_id": grant.id,
            "lock_ids": grant.terms.locks,
            "starts_at": grant.terms.starts_at,
            "ends_at": grant.terms.ends_at,
        })),
        ..News::new(kind, grant.organization.clone())
    };
    tell(conn, random, [holder.clone()], &news, now)
}

fn write_down(conn: &mut Conn, who: &Actor, grant: &Grant, kind: Kind, now: Timestamp) -> Result<(), Error> {
    let person = match &grant.holder {
        Holder::Person(person) => Some(person.clone()),
        Holder::Invited(_) => None,
    };
    let lock = match grant.terms.locks.as_slice() {
        [only] => locks::with_ids(conn, std::slice::from_ref(only))?.pop(),
        _ => None,
    };
    let entry = NewEntry {
        person,
        actor: Some(who.person.clone()),
        grant: Some(grant.id.clone()),
        detail: Some(serde_json::json!({
            "lock_ids": grant.terms.locks,
            "starts_at": grant.terms.starts_at,
            "ends_at": grant.terms.ends_at,
        })),
        ..NewEntry::new(kind, now)
    };
    let entry = match &lock {
        Some(lock) => entry.about(lock),
        None => entry,
    };
    access_log::append(conn, &grant.organization, &who.signed(entry), now)?;
    Ok(())
}
