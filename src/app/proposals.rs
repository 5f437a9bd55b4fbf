//! What needs two persons: one proposes, another confirms within a day, and then it is done as if the first had done it then.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::grants::{Given, GrantDraft, To, give_in};
use super::lockdowns::{Begun, NewLockdown, begin_in};
use super::notices::tell;
use super::{Actor, App, Error, What, managed_by, must_have_phone_key, owned_by};
use crate::crypto::random::Random;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Email, Role, Scope};
use crate::domain::grant::NewGrant;
use crate::domain::ids::{LockId, LockdownId, OrganizationId, PersonId, PropertyId, ProposalId};
use crate::domain::lock::LockState;
use crate::domain::lockdown::Part;
use crate::domain::notice::{self, News};
use crate::domain::page::{Page, PageRequest};
use crate::domain::proposal::{NotConfirmed, Proposal, ProposalKind, ProposalState};
use crate::domain::rules::{AskedRules, Rules, spans_property};
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, accounts, grants, locks, proposals, rules};

/// What a use case came to that may need a second person.
#[derive(Debug)]
pub enum Settled<T> {
    /// It is done.
    Done(T),
    /// It waits for a second person.
    Proposed(Box<Proposal>),
}

impl<T> Settled<T> {
    /// What was done, if it was.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(done) => Some(done),
            Self::Proposed(_) => None,
        }
    }
}

/// What is proposed, in full: a proposal keeps it as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Matter {
    /// To give access.
    Grant {
        /// What.
        new: NewGrant,
        /// To whom.
        to: To,
    },
    /// To order a lockdown.
    Lockdown {
        /// Of which property.
        property: PropertyId,
        /// Of which of its doors.
        part: Part,
        /// Until when, why, and whom not.
        new: NewLockdown,
    },
    /// To replace the organization's rules.
    Rules(AskedRules),
}

impl Matter {
    fn kind(&self) -> ProposalKind {
        match self {
            Self::Grant { .. } => ProposalKind::Grant,
            Self::Lockdown { .. } => ProposalKind::Lockdown,
            Self::Rules(_) => ProposalKind::Rules,
        }
    }

    fn of(proposal: &Proposal) -> Result<Self, Error> {
        let read = serde_json::from_value(proposal.body.clone());
        read.map_err(|error| Error::Internal("reading a proposal", error.into()))
    }

    /// The one property that the proposal is about; `None` where it is about several, or about none.
    pub(super) fn property_of(conn: &mut Conn, proposal: &Proposal) -> Result<Option<PropertyId>, Error> {
        match Self::of(proposal) {
            Ok(Self::Lockdown { property, .. }) => Ok(Some(property)),
            Ok(Self::Grant { new, .. }) => {
                let found = locks::with_ids(conn, &new.locks)?;
                let first = found.first().map(|lock| lock.property.clone());
                Ok(first.filter(|first| found.iter().all(|lock| lock.property == *first)))
            }
            // What nobody can read any more is about none that is known.
            Ok(Self::Rules(_)) | Err(_) => Ok(None),
        }
    }
}

/// What may need a second person.
#[derive(Debug, Clone, Copy)]
pub(super) enum Weighty<'a> {
    /// Access to these locks for a person, or for whoever is invited with an address.
    Grant {
        /// Who, where they are a member.
        person: Option<&'a PersonId>,
        /// Their address, where they are none.
        email: Option<&'a Email>,
        /// What they are given.
        locks: &'a [LockId],
    },
    /// A lockdown.
    Lockdown,
}

/// Whether the organization's rules want a second person for this.
///
/// # Errors
/// Only those of the database.
pub(super) fn needed(
    conn: &mut Conn,
    organization: &OrganizationId,
    what: Weighty<'_>,
    now: Timestamp,
) -> Result<bool, Error> {
    let two_person = rules::of(conn, organization)?.two_person;
    match what {
        Weighty::Lockdown => Ok(two_person.lockdown),
        Weighty::Grant { .. } if !two_person.whole_property_grants => Ok(false),
        Weighty::Grant { person, email, locks } => opens_a_property(conn, organization, (person, email), locks, now),
    }
}

/// Whether the holder could open a whole property, by these locks and what grants give them anyway: many small grants are
/// one large one.
fn opens_a_property(
    conn: &mut Conn,
    organization: &OrganizationId,
    holder: (Option<&PersonId>, Option<&Email>),
    given: &[LockId],
    now: Timestamp,
) -> Result<bool, Error> {
    let scope = Scope::only(organization.clone());
    let mut properties: Vec<PropertyId> = locks::with_ids(conn, given)?
        .into_iter()
        .map(|lock| lock.property)
        .collect();
    properties.sort_unstable();
    properties.dedup();
    let mut opened = grants::locks_given_to(conn, organization, holder, now)?;
    opened.extend_from_slice(given);
    for property in properties {
        let all = locks::list(conn, &scope, Some(&property), None, i64::MAX)?;
        let in_use: Vec<LockId> = all
            .into_iter()
            .filter(|lock| lock.state != LockState::Retired)
            .map(|lock| lock.id)
            .collect();
        let covered = in_use.iter().filter(|lock| opened.contains(lock)).count();
        if spans_property(covered, in_use.len()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Proposes the matter to everybody who may confirm it.
///
/// # Errors
/// [`Error::Forbidden`] for a program: persons propose; [`Error::Conflict`] where nobody could confirm it.
pub(super) fn propose(
    conn: &mut Conn,
    random: &dyn Random,
    who: &Actor,
    (id, organization): (ProposalId, OrganizationId),
    matter: &Matter,
    now: Timestamp,
) -> Result<Proposal, Error> {
    if who.key.is_some() {
        return Err(Error::Forbidden);
    }
    refuse_without_second(conn, &organization, &who.person)?;
    let body = serde_json::to_value(matter).map_err(|error| Error::Internal("proposing", error.into()))?;
    let proposal = Proposal {
        id,
        organization,
        kind: matter.kind(),
        body,
        proposed_by: who.person.clone(),
        proposed_at: now,
        ends_at: now + Proposal::LIFE,
        state: ProposalState::Open,
    };
    proposals::add(conn, &proposal)?;
    write_down(conn, who, &proposal, Kind::ProposalMade, now)?;
    let others = accounts::with_role(conn, &proposal.organization, Role::manages)?;
    tell_of(conn, random, who, &proposal, (notice::Kind::ProposalMade, others), now)?;
    Ok(proposal)
}

/// Refuses where nobody beside `person` manages the organization.
///
/// # Errors
/// [`Error::Conflict`].
pub(super) fn refuse_without_second(
    conn: &mut Conn,
    organization: &OrganizationId,
    person: &PersonId,
) -> Result<(), Error> {
    let managing = accounts::with_role(conn, organization, Role::manages)?;
    if managing.iter().any(|other| other != person) {
        Ok(())
    } else {
        Err(Error::Conflict {
            word: "nobody-to-confirm",
            why: "nobody else manages this organization who could be the second person",
        })
    }
}

/// What came of a proposal when it was confirmed.
#[derive(Debug)]
pub enum CarriedOut {
    /// Access was given.
    Grant(Box<Given>),
    /// A lockdown holds.
    Lockdown(Box<Begun>),
    /// The rules are these now.
    Rules(Rules),
}

impl App {
    /// What was proposed in the organizations that the caller manages, the newest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn proposals(
        &self,
        who: &Actor,
        page: PageRequest<ProposalId>,
    ) -> Result<Page<Proposal, ProposalId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = managed_by(conn, &who)?;
                let limit = i64::from(page.limit) + 1;
                let found = proposals::list(conn, &scope, page.after.as_ref(), limit)?;
                Ok(Page::cut(found, page.limit, |proposal| proposal.id.clone()))
            })
            .await
    }

    /// Confirms what another person proposed: it is done now, in their name, if they still may and it still makes sense.
    /// If not, the proposal stays open.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] for one's own proposal, one that was decided or is over,
    /// and where its proposer may not do it any more; those of what was proposed.
    pub async fn confirm_proposal(&self, who: &Actor, id: ProposalId) -> Result<(Proposal, CarriedOut), Error> {
        let (now, who) = (self.now(), who.clone());
        let (of, reader) = (id.clone(), who.clone());
        let proposal = self
            .db
            .read(move |conn| {
                let scope = managed_by(conn, &reader)?;
                proposals::find(conn, &of, &scope)?.ok_or(Error::NotFound(What::Proposal))
            })
            .await?;
        let task = match Matter::of(&proposal)? {
            Matter::Grant { new, to } => {
                let draft = self.draft_grant(&to, now);
                Task::Grant(Box::new((new, to, draft)))
            }
            Matter::Lockdown { property, part, new } => {
                let id = LockdownId::from_bits(self.id_bits(now));
                Task::Lockdown(Box::new((id, property, part, new)))
            }
            Matter::Rules(asked) => Task::Rules(asked),
        };
        let random = Arc::clone(&self.random);
        let done = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                if matches!(task, Task::Rules(_)) {
                    who.must_have_proven(now)?;
                }
                let proposal = proposals::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Proposal))?;
                must_have_phone_key(conn, &proposal.organization, &who)?;
                proposal.may_confirm(&who.person, now).map_err(refused)?;
                if !proposals::decide(conn, &id, true, &who.person, now)? {
                    return Err(refused(NotConfirmed::Decided));
                }
                let proposer = Actor {
                    person: proposal.proposed_by.clone(),
                    session: who.session.clone(),
                    memberships: accounts::memberships(conn, &proposal.proposed_by)?,
                    key: None,
                    proven_at: who.proven_at,
                    reach: None,
                    bound_to: None,
                };
                let carried_out = match carry_out(conn, &*random, &proposer, &proposal, task, now) {
                    Err(Error::Forbidden) => Err(Error::Conflict {
                        word: "proposer-may-not",
                        why: "whoever proposed it may not do it any more",
                    }),
                    done => done,
                }?;
                write_down(conn, &who, &proposal, Kind::ProposalConfirmed, now)?;
                let told = (notice::Kind::ProposalConfirmed, vec![proposal.proposed_by.clone()]);
                tell_of(conn, &*random, &who, &proposal, told, now)?;
                let state = ProposalState::Confirmed {
                    by: who.person.clone(),
                    at: now,
                };
                Ok::<_, Error>((Proposal { state, ..proposal }, carried_out))
            })
            .await?;
        if let (_, CarriedOut::Lockdown(begun)) = &done {
            self.deliver_lockdowns(&begun.doors).await?;
        }
        Ok(done)
    }

    /// Refuses a proposal, or takes one's own back.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] for one that was decided or is over.
    pub async fn refuse_proposal(&self, who: &Actor, id: ProposalId) -> Result<Proposal, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let proposal = proposals::find(conn, &id, &scope)?.ok_or(Error::NotFound(What::Proposal))?;
                proposal.may_refuse(now).map_err(refused)?;
                if !proposals::decide(conn, &id, false, &who.person, now)? {
                    return Err(refused(NotConfirmed::Decided));
                }
                write_down(conn, &who, &proposal, Kind::ProposalRefused, now)?;
                let told = (notice::Kind::ProposalRefused, vec![proposal.proposed_by.clone()]);
                tell_of(conn, &*random, &who, &proposal, told, now)?;
                let state = ProposalState::Refused {
                    by: who.person.clone(),
                    at: now,
                };
                Ok(Proposal { state, ..proposal })
            })
            .await
    }
}

/// What was proposed, with what it takes from outside the database.
enum Task {
    Grant(Box<(NewGrant, To, GrantDraft)>),
    Lockdown(Box<(LockdownId, PropertyId, Part, NewLockdown)>),
    Rules(AskedRules),
}

/// Does what was proposed, as its proposer.
fn carry_out(
    conn: &mut Conn,
    random: &dyn Random,
    proposer: &Actor,
    proposal: &Proposal,
    task: Task,
    now: Timestamp,
) -> Result<CarriedOut, Error> {
    match task {
        Task::Grant(wish) => {
            let (new, to, draft) = *wish;
            let given = give_in(conn, random, proposer, (new, to), draft, now)?;
            Ok(CarriedOut::Grant(Box::new(given)))
        }
        Task::Lockdown(wish) => {
            let (id, property, part, new) = *wish;
            let begun = begin_in(conn, random, proposer, id, (property, part, new), now)?;
            Ok(CarriedOut::Lockdown(Box::new(begun)))
        }
        Task::Rules(asked) => {
            if !owned_by(conn, proposer)?.contains(&proposal.organization) {
                return Err(Error::Forbidden);
            }
            super::rules::set(conn, &proposer.person, &proposal.organization, &asked, now).map(CarriedOut::Rules)
        }
    }
}

fn refused(why: NotConfirmed) -> Error {
    match why {
        NotConfirmed::Own => Error::Conflict {
            word: "own-proposal",
            why: "another person than the one who proposed it must confirm it",
        },
        NotConfirmed::Decided => Error::Conflict {
            word: "proposal-decided",
            why: "it was confirmed or refused already",
        },
        NotConfirmed::Over => Error::Conflict {
            word: "proposal-over",
            why: "nobody confirmed it in time; propose it again",
        },
    }
}

fn write_down(conn: &mut Conn, who: &Actor, proposal: &Proposal, kind: Kind, now: Timestamp) -> Result<(), Error> {
    let entry = NewEntry {
        person: Some(proposal.proposed_by.clone()),
        actor: Some(who.person.clone()),
        detail: Some(serde_json::json!({ "proposal_id": proposal.id, "kind": proposal.kind })),
        ..NewEntry::new(kind, now)
    };
    access_log::append(conn, &proposal.organization, &entry, now)?;
    Ok(())
}

fn tell_of(
    conn: &mut Conn,
    random: &dyn Random,
    who: &Actor,
    proposal: &Proposal,
    (kind, whom): (notice::Kind, Vec<PersonId>),
    now: Timestamp,
) -> Result<(), Error> {
    let news = News {
        actor: Some(who.person.clone()),
        detail: Some(serde_json::json!({
            "proposal_id": proposal.id,
            "kind": proposal.kind,
            "expires_at": proposal.ends_at,
        })),
        ..News::new(kind, proposal.organization.clone())
    };
    tell(conn, random, whom, &news, now)
}
