//! Accounts of programs: members of organizations that nobody signs in as. They get grants like anybody, and stand in the
//! access log by their name.

use super::{Actor, App, Error, What};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Person, PersonName, Role};
use crate::domain::ids::{OrganizationId, PersonId, SessionId};
use crate::store::{access_log, accounts};

impl App {
    /// Adds an account for a program to these organizations: for whoever runs the backend on the machine itself. Its
    /// password is random and known to nobody, and its address leads nowhere (RFC 2606).
    ///
    /// # Errors
    /// [`Error::NotFound`] of an organization; [`Error::Busy`].
    pub async fn add_service_account(
        &self,
        name: PersonName,
        organizations: Vec<OrganizationId>,
    ) -> Result<PersonId, Error> {
        let now = self.now();
        let id = PersonId::from_bits(self.id_bits(now));
        let unsaid = |error| Error::Internal("making an account", error);
        let password = self.random.secret().expose().parse();
        let password = password.map_err(|bad: crate::domain::password::BadPassword| unsaid(bad.into()))?;
        let hash = self.passwords.hash(password).await?;
        let email = format!("{id}@service.invalid").parse();
        let email = email.map_err(|bad: crate::domain::account::BadEmail| unsaid(bad.into()))?;
        self.db
            .write(move |conn| {
                let person = Person { id, email, name };
                accounts::add_person(conn, &person, hash.as_str(), now)?;
                for organization in &organizations {
                    accounts::organization_name(conn, organization)?.ok_or(Error::NotFound(What::Organization))?;
                    accounts::set_membership(conn, organization, &person.id, Role::Service, now)?;
                    let entry = NewEntry {
                        person: Some(person.id.clone()),
                        detail: Some(serde_json::json!({ "role": Role::Service })),
                        ..NewEntry::new(Kind::PersonJoined, now)
                    };
                    access_log::append(conn, organization, &entry, now)?;
                }
                Ok(person.id)
            })
            .await
    }

    /// The program whose account this is, as one who may ask.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it belongs to no organization as a program: nobody acts as a person here.
    pub async fn service(&self, account: PersonId) -> Result<Actor, Error> {
        // Nobody is signed in: this names no session.
        let session = SessionId::from_bits(self.id_bits(self.now()));
        self.db
            .read(move |conn| {
                let memberships = accounts::memberships(conn, &account)?;
                if memberships.is_empty() || memberships.iter().any(|member| member.role != Role::Service) {
                    return Err(Error::NotFound(What::Person));
                }
                Ok(Actor {
                    person: account,
                    session,
                    memberships,
                })
            })
            .await
    }
}
