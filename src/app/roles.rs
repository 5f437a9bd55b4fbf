//! Giving members another role.

use std::sync::Arc;

use super::api_keys::end_keys_of;
use super::notices::tell;
use super::webhooks::{stop_those_of, write_down_stops};
use super::{Actor, App, Error, What, managed_by, must_have_phone_key};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::Role;
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::notice::{self, News};
use crate::store::access_log;
use crate::store::accounts::{self, Member};

impl App {
    /// Gives a member another role. It counts from the next request on; what they hold as a tenant or a guest stays theirs.
    /// The role that they have already changes nothing.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`] where the caller may not appoint both roles; [`Error::NotFound`]; [`Error::Conflict`] for one's
    /// own role and for the last owner's.
    pub async fn change_role(
        &self,
        who: &Actor,
        organization: OrganizationId,
        person: PersonId,
        role: Role,
    ) -> Result<Member, Error> {
        let (now, who) = (self.now(), who.clone());
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                if !managed_by(conn, &who)?.contains(&organization) {
                    return Err(Error::NotFound(What::Organization));
                }
                who.must_have_proven(now)?;
                must_have_phone_key(conn, &organization, &who)?;
                let own = accounts::role(conn, &organization, &who.person)?.ok_or(Error::Forbidden)?;
                let present = accounts::role(conn, &organization, &person)?.ok_or(Error::NotFound(What::Person))?;
                let member = accounts::find_person(conn, &person)?.ok_or(Error::NotFound(What::Person))?;
                if person == who.person {
                    return Err(Error::Conflict {
                        word: "own-role",
                        why: "nobody changes their own role; another owner can",
                    });
                }
                if !own.may_change(present, role) {
                    return Err(Error::Forbidden);
                }
                let member = Member { person: member, role };
                if present == role {
                    return Ok(member);
                }
                // Owners take turns from here on.
                if present == Role::Owner && accounts::count_owners(conn, &organization)? <= 1 {
                    return Err(Error::Conflict {
                        word: "last-owner",
                        why: "an organization keeps one owner",
                    });
                }
                if !accounts::change_role(conn, &organization, &person, present, role)? {
                    return Err(Error::Conflict {
                        word: "role-changed-meanwhile",
                        why: "somebody else has just changed this member; look again",
                    });
                }
                if present.manages() && !role.manages() {
                    let stopped = stop_those_of(conn, &organization, &person)?;
                    end_keys_of(conn, &who, &organization, &person, now)?;
                    write_down_stops(conn, &*random, &stopped, now)?;
                }
                let change = serde_json::json!({ "from": present, "to": role });
                let entry = NewEntry {
                    person: Some(person.clone()),
                    actor: Some(who.person.clone()),
                    detail: Some(change.clone()),
                    ..NewEntry::new(Kind::RoleChanged, now)
                };
                access_log::append(conn, &organization, &entry, now)?;
                let news = News {
                    actor: Some(who.person.clone()),
                    detail: Some(change),
                    ..News::new(notice::Kind::RoleChanged, organization)
                };
                tell(conn, &*random, [person], &news, now)?;
                Ok(member)
            })
            .await
    }
}
