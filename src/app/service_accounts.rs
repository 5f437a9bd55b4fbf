//! Accounts of programs: members of organizations that nobody signs in as. They get grants like anybody, and stand in the
//! access log by their name.

use super::{Actor, App, Error, What, managed_by};
use crate::crypto::password::PasswordHash;
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::{Email, Person, PersonName, Role};
use crate::domain::ids::{OrganizationId, PersonId, SessionId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, accounts, api_keys};

pub use crate::store::api_keys::Account;

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
        let (person, hash) = self.draft_program(name, now).await?;
        self.db
            .write(move |conn| {
                accounts::add_person(conn, &person, hash.as_str(), now)?;
                for organization in &organizations {
                    accounts::organization_name(conn, organization)?.ok_or(Error::NotFound(What::Organization))?;
                    join(conn, organization, &person.id, None, now)?;
                }
                Ok(person.id)
            })
            .await
    }

    /// Adds an account for a program to an organization that the caller manages. It may do nothing until it is given access,
    /// or a key.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`]; [`Error::NotFound`] of the organization; [`Error::Busy`].
    pub async fn open_service_account(
        &self,
        who: &Actor,
        organization: OrganizationId,
        name: PersonName,
    ) -> Result<Account, Error> {
        let (now, who) = (self.now(), who.clone());
        let (person, hash) = self.draft_program(name, now).await?;
        self.db
            .write(move |conn| {
                if !managed_by(conn, &who)?.contains(&organization) {
                    return Err(Error::NotFound(What::Organization));
                }
                who.must_have_proven(now)?;
                accounts::add_person(conn, &person, hash.as_str(), now)?;
                join(conn, &organization, &person.id, Some(&who), now)?;
                Ok(Account {
                    id: person.id,
                    name: person.name,
                    created_at: now,
                })
            })
            .await
    }

    /// The accounts of programs of an organization that the caller manages.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the organization.
    pub async fn service_accounts(
        &self,
        who: &Actor,
        organization: OrganizationId,
        page: PageRequest<PersonId>,
    ) -> Result<Page<Account, PersonId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                if !managed_by(conn, &who)?.contains(&organization) {
                    return Err(Error::NotFound(What::Organization));
                }
                let limit = i64::from(page.limit) + 1;
                let found = api_keys::accounts(conn, &organization, page.after.as_ref(), limit)?;
                Ok(Page::cut(found, page.limit, |account| account.id.clone()))
            })
            .await
    }

    /// A person for a program, and the hash of a password that nobody knows.
    async fn draft_program(&self, name: PersonName, now: Timestamp) -> Result<(Person, PasswordHash), Error> {
        let id = PersonId::from_bits(self.id_bits(now));
        let unsaid = |error| Error::Internal("making an account", error);
        let password = self.random.secret().expose().parse();
        let password = password.map_err(|bad: crate::domain::password::BadPassword| unsaid(bad.into()))?;
        let hash = self.passwords.hash(password).await?;
        let email = Email::of_nobody(&id, "service");
        Ok((Person { id, email, name }, hash))
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
                    key: None,
                    // A program that nobody signs in to proves nothing.
                    proven_at: Timestamp::MIN,
                    reach: None,
                    bound_to: None,
                })
            })
            .await
    }
}

/// Makes the account a program of the organization.
fn join(
    conn: &mut Conn,
    organization: &OrganizationId,
    program: &PersonId,
    by: Option<&Actor>,
    now: Timestamp,
) -> Result<(), Error> {
    accounts::set_membership(conn, organization, program, Role::Service, now)?;
    let entry = NewEntry {
        person: Some(program.clone()),
        actor: by.map(|who| who.person.clone()),
        detail: Some(serde_json::json!({ "role": Role::Service })),
        ..NewEntry::new(Kind::PersonJoined, now)
    };
    access_log::append(conn, organization, &entry, now)?;
    Ok(())
}
