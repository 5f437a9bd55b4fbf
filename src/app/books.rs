//! Everything that an organization has, for its owners to take along.

use super::{Actor, App, Error, What, owned_by};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::OrganizationName;
use crate::domain::ids::OrganizationId;
use crate::domain::time::Timestamp;
use crate::store::{access_log, accounts};

/// An export that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// What the organization is called.
    pub name: OrganizationName,
    /// When it begins.
    pub at: Timestamp,
}

impl App {
    /// Writes down that everything of the organization is about to be exported, before any of it goes out.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the organization; [`Error::ProofNeeded`]: a stolen session does not carry
    /// a whole house off.
    pub async fn begin_books_export(&self, who: &Actor, organization: OrganizationId) -> Result<Begun, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .write(move |conn| {
                if !owned_by(conn, &who)?.contains(&organization) {
                    return Err(Error::NotFound(What::Organization));
                }
                who.must_have_proven(now)?;
                let name = accounts::organization_name(conn, &organization)?;
                let name = name.ok_or(Error::NotFound(What::Organization))?;
                let entry = NewEntry {
                    person: Some(who.person.clone()),
                    ..NewEntry::new(Kind::BooksExported, now)
                };
                access_log::append(conn, &organization, &entry, now)?;
                Ok(Begun { name, at: now })
            })
            .await
    }
}
