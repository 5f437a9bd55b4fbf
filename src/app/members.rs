//! Who belongs to an organization, and putting them out.

use std::sync::Arc;

use super::api_keys::end_keys_of;
use super::grants::{By, end_with, revoke_waiting, write_down_waiting};
use super::revocations::{Revocation, hold_locks};
use super::tenancies::{close_all_of, doors_to_hold, ended_rights, write_down_all};
use super::webhooks::{stop_those_of, write_down_stops};
use super::{Actor, App, Error, What, managed_by, staffed_by};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Membership, OrganizationName, Person, Role};
use crate::domain::ids::{LockId, OrganizationId, PersonId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::unlock::RightSource;
use crate::store::accounts;
pub use crate::store::accounts::Member;
use crate::store::{access_log, grants, invitations, locks, sessions, tenancies};

/// The caller, as they are told of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// Who they are.
    pub person: Person,
    /// Where they belong, and what the organization is called.
    pub memberships: Vec<(Membership, OrganizationName)>,
}

impl App {
    /// Who the caller is.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn me(&self, who: &Actor) -> Result<Me, Error> {
        let id = who.person.clone();
        self.db
            .read(move |conn| {
                let person = accounts::find_person(conn, &id)?.ok_or(Error::Unauthenticated)?;
                let mut memberships = Vec::new();
                for membership in accounts::memberships(conn, &id)? {
                    let name = accounts::organization_name(conn, &membership.organization)?
                        .ok_or(Error::NotFound(What::Organization))?;
                    memberships.push((membership, name));
                }
                Ok(Me { person, memberships })
            })
            .await
    }

    /// The members of an organization that the caller manages.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the organization.
    pub async fn members(
        &self,
        who: &Actor,
        organization: OrganizationId,
        page: PageRequest<PersonId>,
    ) -> Result<Page<Member, PersonId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                if !staffed_by(conn, &who)?.contains(&organization) {
                    return Err(Error::NotFound(What::Organization));
                }
                let found = accounts::members(conn, &organization, page.after.as_ref(), i64::from(page.limit) + 1)?;
                Ok(Page::cut(found, page.limit, |member| member.person.id.clone()))
            })
            .await
    }

    /// Puts a person out of an organization: their membership, grants and tenancies there end now, and no invitation that
    /// they hold or have given lets anybody in any more. Where they belong
    /// nowhere else, all their sessions end too; elsewhere they go on, and see nothing of this organization any more. Their
    /// phones stay theirs: a phone opens nothing without a right.
    ///
    /// # Errors
    /// [`Error::Forbidden`] where the caller may not appoint somebody of that role; [`Error::ProofNeeded`] of somebody who works
    /// for the house; [`Error::NotFound`]; [`Error::Conflict`] for the last owner.
    pub async fn remove_member(
        &self,
        who: &Actor,
        organization: OrganizationId,
        person: PersonId,
    ) -> Result<Revocation, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        let ended = self
            .db
            .write(move |conn| {
                if !managed_by(conn, &who)?.contains(&organization) {
                    return Err(Error::NotFound(What::Organization));
                }
                let own = accounts::role(conn, &organization, &who.person)?.ok_or(Error::Forbidden)?;
                let role = accounts::role(conn, &organization, &person)?.ok_or(Error::NotFound(What::Person))?;
                if !own.may_appoint(role) {
                    return Err(Error::Forbidden);
                }
                if role.is_staff() {
                    // Or a copied token would put out those who can take it back.
                    who.must_have_proven(now)?;
                }
                if role == Role::Owner && accounts::count_owners(conn, &organization)? <= 1 {
                    return Err(Error::Conflict {
                        word: "last-owner",
                        why: "an organization keeps one owner",
                    });
                }
                // Every way back in first; then the membership, so that nobody gives them a new grant behind our back;
                // locks, rights, the log's head: the order in which an unlock and a pass take them.
                let closed = match accounts::find_person(conn, &person)? {
                    Some(removed) => invitations::close_all_of(conn, &organization, &removed.email, now)?,
                    None => Vec::new(),
                };
                accounts::end_membership(conn, &organization, &person, now)?;
                let stopped = stop_those_of(conn, &organization, &person)?;
                let doors = grants::lock_ids_of(conn, &person)?;
                let doors = locks::with_ids(conn, &doors)?;
                let doors = doors.into_iter().filter(|lock| lock.organization == organization);
                let mut doors: Vec<LockId> = doors.map(|lock| lock.id).collect();
                for home in tenancies::open_of(conn, &organization, &person)? {
                    doors.extend(doors_to_hold(conn, &organization, &home.unit, now)?);
                }
                let waiting = grants::waiting_for(conn, &closed)?;
                doors.extend(waiting.iter().flat_map(|grant| grant.terms.locks.clone()));
                hold_locks(conn, &doors)?;
                let ended = grants::revoke_all_of(conn, &organization, &person, &who.person, now)?;
                let left = close_all_of(conn, &organization, &person, (&who.person, &*random), now)?;
                let by = By {
                    who: Some(&who),
                    random: &*random,
                };
                let stood = revoke_waiting(conn, by, waiting, now)?;
                let rights: Vec<RightSource> = (ended.iter().chain(stood.iter().map(|grant| &grant.id)))
                    .cloned()
                    .map(RightSource::Grant)
                    .chain(ended_rights(&left))
                    .collect();
                let all_ended = end_with(conn, rights, by, now)?;
                if accounts::memberships(conn, &person)?.is_empty() {
                    sessions::end_all(conn, &person, "membership-ended", now)?;
                }
                end_keys_of(conn, &who, &organization, &person, now)?;
                write_down_stops(conn, &*random, &stopped, now)?;
                write_down_waiting(conn, by, &stood, now)?;
                let entry = NewEntry {
                    person: Some(person.clone()),
                    actor: Some(who.person.clone()),
                    detail: Some(serde_json::json!({ "role": role, "revoked_grants": ended })),
                    ..NewEntry::new(Kind::PersonRemoved, now)
                };
                access_log::append(conn, &organization, &entry, now)?;
                write_down_all(conn, &*random, left, all_ended, &who.person, now)
            })
            .await?;
        self.make_end_effective(ended).await
    }
}
