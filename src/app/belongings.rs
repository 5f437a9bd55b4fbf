//! Everything that is a person's own, for them to take along.

use std::collections::BTreeSet;

use super::access_log::{Filter, View};
use super::looks::NamedLook;
use super::members::Me;
use super::{Actor, App, Error};
use crate::domain::access_log::visibility::Reader;
use crate::domain::account::Scope;
use crate::domain::grant::Grant;
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::notice::Notice;
use crate::domain::passkey::Passkey;
use crate::domain::phone::Phone;
use crate::domain::tenancy::Tenancy;
use crate::store::{accounts, grants, looks, notices, passkeys, phones, tenancies};

/// What is a person's own, beside their entries in access logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belongings {
    /// Who they are and where they belong.
    pub me: Me,
    /// Where they live, lived and will live.
    pub tenancies: Vec<Tenancy>,
    /// Grants that they hold or held.
    pub held: Vec<Grant>,
    /// Grants that they gave.
    pub given: Vec<Grant>,
    /// Their phones.
    pub phones: Vec<Phone>,
    /// Their passkeys.
    pub passkeys: Vec<Passkey>,
    /// What they were told.
    pub notices: Vec<Notice>,
    /// Who looked at what is theirs.
    pub looks: Vec<NamedLook>,
    /// In whose logs something may stand of them.
    pub organizations: Vec<OrganizationId>,
}

impl App {
    /// What is the caller's own, beside their entries in access logs.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn belongings(&self, who: &Actor) -> Result<Belongings, Error> {
        let me = self.me(who).await?;
        let person = who.person.clone();
        self.db
            .read(move |conn| {
                let organizations = accounts::ever_joined(conn, &person)?;
                let mut held = Vec::new();
                let mut given = Vec::new();
                for organization in &organizations {
                    let scope = Scope::only(organization.clone());
                    held.extend(grants::held_by(conn, &scope, &person, None, None, i64::MAX)?);
                    given.extend(grants::given_by(conn, organization, &person)?);
                }
                let looks = looks::concerning(conn, &person, None, i64::MAX)?;
                let lookers: BTreeSet<&PersonId> = looks.iter().map(|look| &look.person).collect();
                let names = accounts::names(conn, &lookers.into_iter().collect::<Vec<_>>())?;
                let looks = looks.into_iter().map(|look| NamedLook {
                    person_name: names.get(&look.person).cloned(),
                    look,
                });
                Ok(Belongings {
                    me,
                    tenancies: tenancies::ever_of(conn, &person)?,
                    held,
                    given,
                    phones: phones::of_person(conn, &person)?,
                    passkeys: passkeys::of_person(conn, &person)?,
                    notices: notices::of_person(conn, &person, None, i64::MAX)?,
                    looks: looks.collect(),
                    organizations,
                })
            })
            .await
    }

    /// The caller's own view of the organization's log, where they belong or belonged, and the filter that leaves what is
    /// about them.
    #[must_use]
    pub fn own_log(who: &Actor, organization: OrganizationId) -> (View, Filter) {
        let reader = Reader {
            person: who.person.clone(),
            views: false,
            looks: Vec::new(),
        };
        let filter = Filter {
            person: Some(who.person.clone()),
            ..Filter::default()
        };
        (View { organization, reader }, filter)
    }
}
