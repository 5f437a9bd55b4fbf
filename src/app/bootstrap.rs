//! The first landlord.

use super::invitations::{SecretLink, add_invitation};
use super::{App, Error};
use crate::domain::account::{Email, OrganizationName, Person, PersonName, Role};
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::password::Password;
use crate::store::invitations::Invitation;
use crate::store::{Conn, StoreError, accounts};

impl App {
    /// Adds an organization and its owner: for whoever runs the program on the machine itself.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the address has an account already; [`Error::Busy`].
    pub async fn add_landlord(
        &self,
        organization: OrganizationName,
        email: Email,
        name: PersonName,
        password: Password,
    ) -> Result<(OrganizationId, PersonId), Error> {
        let now = self.now();
        let hash = self.passwords.hash(password).await?;
        let organization_id = OrganizationId::from_bits(self.id_bits(now));
        let person = Person {
            id: PersonId::from_bits(self.id_bits(now)),
            email,
            name,
        };
        self.db
            .write(move |conn| {
                accounts::add_organization(conn, &organization_id, &organization, now)?;
                match accounts::add_person(conn, &person, hash.as_str(), now) {
                    Err(StoreError::Conflict { .. }) => Err(Error::Conflict {
                        word: "email-taken",
                        why: "somebody has an account with this e-mail address",
                    }),
                    other => Ok(other?),
                }?;
                accounts::set_membership(conn, &organization_id, &person.id, Role::Owner, now)?;
                Ok((organization_id, person.id))
            })
            .await
    }

    /// Where there is no organization yet: makes one with an invitation for its owner, whose link is printed once at
    /// the first start. `None` where somebody has begun already.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn invite_first_landlord(
        &self,
        organization: OrganizationName,
        email: Email,
    ) -> Result<Option<SecretLink>, Error> {
        let now = self.now();
        let organization_id = OrganizationId::from_bits(self.id_bits(now));
        let (draft, secret) = self.draft_invitation(organization_id.clone(), email, now);
        let invitation = Invitation {
            role: Role::Owner,
            ..draft
        };
        let link = self.link_of(&invitation, &secret);
        let made = self
            .db
            .write(move |conn: &mut Conn| {
                if accounts::has_organizations(conn)? {
                    return Ok::<_, Error>(false);
                }
                accounts::add_organization(conn, &organization_id, &organization, now)?;
                add_invitation(conn, &invitation, &secret, None, now)?;
                Ok(true)
            })
            .await?;
        Ok(made.then_some(link))
    }
}
