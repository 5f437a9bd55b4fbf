//! Reading the access log: managers their organization's, everybody their own.

use super::{Actor, App, Error, What, joined_by};
use crate::domain::access_log::{Entry, Kind, NewEntry};
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::page::{Page, PageRequest};
pub use crate::store::access_log::Filter;
use crate::store::access_log::{self, Order};
use crate::store::{Conn, accounts};

/// Whose log is read, and what of it the caller may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Whose log.
    pub organization: OrganizationId,
    /// Only entries about this person, where the caller is no manager.
    only_of: Option<PersonId>,
}

impl App {
    /// The view that the caller has of the log of `organization`, or of their only organization if they name none.
    ///
    /// # Errors
    /// [`Error::NotFound`] where they do not belong to it; [`Error::Invalid`] where they must name one.
    pub async fn log_view(&self, who: &Actor, organization: Option<OrganizationId>) -> Result<View, Error> {
        let who = who.clone();
        self.db.read(move |conn| view(conn, &who, organization)).await
    }

    /// A page of the log, the newest entries first.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn log_entries(
        &self,
        view: View,
        filter: Filter,
        page: PageRequest<i64>,
    ) -> Result<Page<Entry, i64>, Error> {
        self.db
            .read(move |conn| {
                let limit = i64::from(page.limit) + 1;
                let of = view.only_of.as_ref();
                let found = access_log::entries(
                    conn,
                    &view.organization,
                    &filter,
                    of,
                    Order::NewestFirst,
                    page.after,
                    limit,
                )?;
                Ok(Page::cut(found, page.limit, |entry| entry.seq))
            })
            .await
    }

    /// Writes down that the log is about to be exported.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn begin_log_export(&self, who: &Actor, view: &View) -> Result<(), Error> {
        let (now, organization) = (self.now(), view.organization.clone());
        let entry = NewEntry {
            person: Some(who.person.clone()),
            ..NewEntry::new(Kind::LogExported, now)
        };
        self.db
            .write(move |conn| Ok::<_, Error>(access_log::append(conn, &organization, &entry, now).map(|_| ())?))
            .await
    }

    /// The next part of an export, the oldest entries first, those after the number `after`.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn export_log(&self, view: View, filter: Filter, after: i64, most: u16) -> Result<Vec<Entry>, Error> {
        self.db
            .read(move |conn| {
                let (of, limit) = (view.only_of.as_ref(), i64::from(most));
                let order = Order::OldestFirst;
                Ok(access_log::entries(
                    conn,
                    &view.organization,
                    &filter,
                    of,
                    order,
                    Some(after),
                    limit,
                )?)
            })
            .await
    }
}

fn view(conn: &mut Conn, who: &Actor, organization: Option<OrganizationId>) -> Result<View, Error> {
    let organization = match organization {
        Some(named) => named,
        None => {
            let scope = joined_by(conn, who)?;
            let mut joined = access_log::organizations(conn, &scope)?;
            match (joined.pop(), joined.is_empty()) {
                (Some(only), true) => only,
                (Some(_), false) => {
                    return Err(Error::invalid(
                        "organization_id",
                        "you belong to several organizations; name one",
                    ));
                }
                (None, _) => return Err(Error::NotFound(What::Organization)),
            }
        }
    };
    let role = accounts::role(conn, &organization, &who.person)?.ok_or(Error::NotFound(What::Organization))?;
    let only_of = (!role.manages()).then(|| who.person.clone());
    Ok(View { organization, only_of })
}
