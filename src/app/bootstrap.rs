//! The first landlord.

use super::{App, Error};
use crate::domain::account::{Email, OrganizationName, Person, PersonName, Role};
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::password::Password;
use crate::store::{StoreError, accounts};

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

    /// Whether anybody has begun to use this installation.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn has_landlord(&self) -> Result<bool, Error> {
        self.db.read(|conn| Ok(accounts::has_organizations(conn)?)).await
    }
}
