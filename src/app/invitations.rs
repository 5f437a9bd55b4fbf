//! Bringing people into an organization.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::grants::{By, Ended};
use super::letters::{self, Letters};
use super::own_sessions::Arrival;
use super::revocations::hold_locks;
use super::second_factors::Asked;
use super::sessions::Tokens;
use super::tries::know_there;
use super::{Actor, App, Error, What, managed_by, must_have_phone_key, tenancies};
use crate::crypto::random::Random;
use crate::crypto::recovery_code::FactorCode;
use crate::crypto::secret::Secret;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Email, Person, PersonName, Role, Scope};
use crate::domain::ids::{InvitationId, OrganizationId, PersonId, PropertyId, TenancyId, UnitId};
use crate::domain::letter::Letter;
use crate::domain::password::Password;
use crate::domain::tenancy::{Tenancy, Term};
use crate::domain::time::Timestamp;
pub use crate::store::invitations::{Invitation, InvitedTenancy};
use crate::store::{Conn, StoreError, access_log, accounts, grants, invitations, places};

mod waiting;

/// How long an invitation can be accepted.
pub const INVITATION_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// What somebody is invited to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// A role.
    Role(Role),
    /// To live in a unit, as a tenant.
    Tenancy {
        /// The unit.
        unit: UnitId,
        /// From when.
        starts_at: Timestamp,
        /// Until when.
        ends_at: Option<Timestamp>,
    },
}

/// An invitation and the link that accepts it, shown once.
pub struct SecretLink {
    /// The invitation.
    pub id: InvitationId,
    /// The link: its secret is in the fragment, which browsers do not send, so that a preview uses nothing.
    pub url: String,
    /// Until when it works.
    pub ends_at: Timestamp,
    /// Whether it goes to the address by letter too.
    pub by_letter: bool,
}

impl fmt::Debug for SecretLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretLink")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Invites somebody into an organization.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`] where the caller may not give that role; [`Error::NotFound`] of organization or unit.
    pub async fn invite(
        &self,
        who: &Actor,
        organization: OrganizationId,
        email: Email,
        offer: Offer,
        by_letter: bool,
    ) -> Result<SecretLink, Error> {
        let (now, who) = (self.now(), who.clone());
        let mut draft = self.draft_invitation(email, now);
        draft.by_letter &= by_letter;
        let link = self.link_of(&draft);
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                if !scope.contains(&organization) {
                    return Err(Error::NotFound(What::Organization));
                }
                must_have_phone_key(conn, &organization, &who)?;
                let own = accounts::role(conn, &organization, &who.person)?.ok_or(Error::Forbidden)?;
                if matches!(offer, Offer::Role(role) if role.is_staff()) {
                    who.must_have_proven(now)?;
                }
                let (role, tenancy) = match offer {
                    Offer::Role(role) if role.is_for_people() && own.may_appoint(role) => (role, None),
                    Offer::Role(_) => return Err(Error::Forbidden),
                    Offer::Tenancy {
                        unit,
                        starts_at,
                        ends_at,
                    } => {
                        if ends_at.is_some_and(|ends_at| ends_at <= starts_at) {
                            return Err(Error::invalid("tenancy.ends_at", "a tenancy ends after it starts"));
                        }
                        let unit = places::find_unit(conn, &unit, &scope)?
                            .filter(|unit| unit.organization == organization)
                            .ok_or(Error::NotFound(What::Unit))?;
                        let tenancy = InvitedTenancy {
                            unit: unit.id,
                            starts_at,
                            ends_at,
                        };
                        (Role::Tenant, Some(tenancy))
                    }
                };
                draft.store(conn, organization, role, tenancy, &who.person, now)?;
                Ok(())
            })
            .await?;
        Ok(link)
    }

    /// An invitation of `email` to be stored.
    pub(super) fn draft_invitation(&self, email: Email, now: Timestamp) -> Draft {
        Draft {
            id: InvitationId::from_bits(self.id_bits(now)),
            by_letter: self.letters.are_on() && email.leads_somewhere(),
            email,
            ends_at: now + INVITATION_LIFE,
            secret: self.random.secret(),
            accepted_at: format!("{}/invitation", self.settings.public_url),
            letters: Arc::clone(&self.letters),
            random: Arc::clone(&self.random),
        }
    }

    /// The link that accepts the invitation.
    pub(super) fn link_of(&self, draft: &Draft) -> SecretLink {
        SecretLink {
            id: draft.id.clone(),
            url: draft.url(),
            ends_at: draft.ends_at,
            by_letter: draft.by_letter,
        }
    }

    /// Accepts an invitation: makes the account, or adds to the one that has this address if the password is its own,
    /// and signs the person in.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the secret is unknown, used or too old, or where whoever invited may not do so any more;
    /// [`Error::WrongCredentials`] where the address has an account with another password; [`Error::Conflict`] where they live
    /// in the unit at that time already; [`Error::Throttled`] and
    /// [`Error::Busy`] as in [`Self::sign_in`].
    pub async fn accept_invitation(
        &self,
        secret: Secret,
        name: PersonName,
        password: Password,
        code: Option<FactorCode>,
        from: Arrival,
    ) -> Result<Tokens, Error> {
        let now = self.now();
        let digest = secret.digest();
        let (invitation, existing) = self
            .db
            .read(move |conn| {
                let invitation =
                    invitations::find_open(conn, &digest, now)?.ok_or(Error::NotFound(What::Invitation))?;
                let existing = accounts::find_by_email(conn, &invitation.email)?;
                Ok::<_, Error>((invitation, existing))
            })
            .await?;
        let (person, proven, hash) = if existing.is_some() {
            let proven = self
                .check_password(
                    invitation.email.clone(),
                    password,
                    Asked::Everything(code),
                    from.address,
                )
                .await?;
            (proven.person.clone(), Some(proven), None)
        } else {
            let id = PersonId::from_bits(self.id_bits(now));
            (id, None, Some(self.passwords.hash(password).await?))
        };
        let tenancy_id = TenancyId::from_bits(self.id_bits(now));
        let joining = person.clone();
        let random = Arc::clone(&self.random);
        let address = from.address;
        let accepted = self.begin_session(person, from, move |conn| {
            // Two acceptances at once: the first makes the account, the second finds the invitation used.
            if invitations::find_open(conn, &digest, now)?.is_none() {
                return Err(Error::NotFound(What::Invitation));
            }
            if let Some(proven) = proven {
                proven.hold(conn)?;
            }
            if let Some(hash) = hash {
                let person = Person {
                    id: joining.clone(),
                    email: invitation.email.clone(),
                    name,
                };
                match accounts::add_person(conn, &person, hash.as_str(), now) {
                    // Another invitation of this address was accepted meanwhile: there is an account now.
                    Err(StoreError::Conflict { .. }) => Err(Error::WrongCredentials),
                    added => Ok(added?),
                }?;
                know_there(conn, &invitation.email, address, now)?;
            }
            join(conn, &*random, &invitation, &joining, tenancy_id, now)
        });
        let (tokens, ended) = accepted.await?;
        if !ended.is_nothing() {
            self.make_end_effective(ended).await?;
        }
        Ok(tokens)
    }
}

/// An invitation before it is known into which organization and as what.
pub(super) struct Draft {
    id: InvitationId,
    email: Email,
    ends_at: Timestamp,
    secret: Secret,
    /// Where it is accepted: the link without its secret.
    accepted_at: String,
    by_letter: bool,
    letters: Arc<Letters>,
    random: Arc<dyn Random>,
}

impl Draft {
    /// The link that accepts it.
    fn url(&self) -> String {
        format!("{}#{}", self.accepted_at, self.secret.expose())
    }

    /// Stores the invitation and writes it down.
    ///
    /// The letter with the link, where it is to go by one, is queued in the same transaction.
    pub(super) fn store(
        self,
        conn: &mut Conn,
        organization: OrganizationId,
        role: Role,
        tenancy: Option<InvitedTenancy>,
        invited_by: &PersonId,
        now: Timestamp,
    ) -> Result<InvitationId, Error> {
        if self.by_letter {
            let name = accounts::organization_name(conn, &organization)?.ok_or(Error::NotFound(What::Organization))?;
            let letter = Letter::Invitation {
                organization: name,
                link: self.url(),
                days: u32::try_from(INVITATION_LIFE.as_secs() / (24 * 3600)).unwrap_or(u32::MAX),
            };
            letters::queue(conn, &self.letters, &*self.random, &self.email, &letter, now)?;
        }
        let invitation = Invitation {
            id: self.id,
            organization,
            email: self.email,
            role,
            tenancy,
            invited_by: invited_by.clone(),
            created_at: now,
            ends_at: self.ends_at,
        };
        invitations::add(conn, &invitation, &self.secret.digest())?;
        let entry = NewEntry {
            property: property_of(conn, &invitation)?,
            unit: invitation.tenancy.as_ref().map(|tenancy| tenancy.unit.clone()),
            actor: Some(invited_by.clone()),
            detail: Some(serde_json::json!({ "invitation_id": invitation.id, "role": invitation.role })),
            ..NewEntry::new(Kind::PersonInvited, now)
        };
        access_log::append(conn, &invitation.organization, &entry, now)?;
        Ok(invitation.id)
    }
}

/// The property in which somebody is invited to live.
fn property_of(conn: &mut Conn, invitation: &Invitation) -> Result<Option<PropertyId>, Error> {
    let Some(offered) = &invitation.tenancy else {
        return Ok(None);
    };
    let scope = Scope::only(invitation.organization.clone());
    Ok(places::find_unit(conn, &offered.unit, &scope)?.map(|unit| unit.property))
}

/// Whether whoever invited may still give what they offered: nobody leaves a way back in behind when they are put out.
fn still_stands(conn: &mut Conn, invitation: &Invitation) -> Result<bool, Error> {
    let role = accounts::role(conn, &invitation.organization, &invitation.invited_by)?;
    // Programs invite guests alone, by the grants that they give.
    let may = |role: Role| role.may_appoint(invitation.role) || (role, invitation.role) == (Role::Service, Role::Guest);
    // Whoever may open a door brings in whom they gave access to it, as long as they do.
    Ok(role.is_some_and(may)
        || (invitation.role == Role::Guest && grants::waits_for(conn, &invitation.id, &invitation.invited_by)?))
}

/// Makes the person what the invitation says. Says what has ended of what others could open where they live from now on.
fn join(
    conn: &mut Conn,
    random: &dyn Random,
    invitation: &Invitation,
    person: &PersonId,
    tenancy_id: TenancyId,
    now: Timestamp,
) -> Result<Ended, Error> {
    if !still_stands(conn, invitation)? || !invitations::accept(conn, &invitation.id, person, now)? {
        return Err(Error::NotFound(What::Invitation));
    }
    let present = accounts::role(conn, &invitation.organization, person)?;
    // A manager who accepts to be a guest somewhere in the house stays a manager.
    let role = match present {
        Some(present) if present.rank() >= invitation.role.rank() => present,
        _ => invitation.role,
    };
    accounts::set_membership(conn, &invitation.organization, person, role, now)?;
    if let Some(offered) = &invitation.tenancy {
        // Before the end of the log, as whoever opens takes them.
        let doors = tenancies::doors_to_hold(conn, &invitation.organization, &offered.unit, now)?;
        hold_locks(conn, &doors)?;
    }
    let entry = NewEntry {
        property: property_of(conn, invitation)?,
        unit: invitation.tenancy.as_ref().map(|offered| offered.unit.clone()),
        person: Some(person.clone()),
        detail: Some(serde_json::json!({ "invitation_id": invitation.id, "role": role })),
        ..NewEntry::new(Kind::PersonJoined, now)
    };
    access_log::append(conn, &invitation.organization, &entry, now)?;
    if let Some(offered) = &invitation.tenancy {
        let scope = Scope::only(invitation.organization.clone());
        let unit = places::find_unit(conn, &offered.unit, &scope)?.ok_or(Error::NotFound(What::Unit))?;
        let tenancy = Tenancy {
            id: tenancy_id,
            organization: unit.organization,
            property: unit.property,
            unit: unit.id,
            person: person.clone(),
            term: Term {
                starts_at: offered.starts_at,
                ends_at: offered.ends_at,
            },
            set_by: Some(invitation.invited_by.clone()),
            created_at: now,
            closed_at: None,
        };
        return tenancies::begin(conn, By { who: None, random }, tenancy, &invitation.invited_by, now);
    }
    Ok(Ended::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_does_not_show_itself() {
        let link = SecretLink {
            id: InvitationId::from_bits(1),
            url: "https://doors.example/invitation#hidden".to_owned(),
            ends_at: Timestamp::MIN,
            by_letter: false,
        };
        assert!(!format!("{link:?}").contains("hidden"));
    }
}
