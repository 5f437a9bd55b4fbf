//! Reading the access log: managers their organization's, everybody their own.

use super::{Actor, App, Error, What, joined_by, role_in};
use crate::domain::access_log::{Entry, Kind, NewEntry};
use crate::domain::account::PersonName;
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::place::PlaceName;
pub use crate::store::access_log::Filter;
use crate::store::access_log::{self, Order};
use crate::store::{Conn, accounts, locks};

/// Whose log is read, and what of it the caller may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Whose log.
    pub organization: OrganizationId,
    /// Only entries about this person, where the caller is no manager.
    only_of: Option<PersonId>,
}

/// An entry with the names that belong to its identifiers, as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedEntry {
    /// The entry.
    pub entry: Entry,
    /// What the person concerned is called.
    pub person_name: Option<PersonName>,
    /// What whoever did it is called.
    pub actor_name: Option<PersonName>,
    /// What the door is called.
    pub lock_name: Option<PlaceName>,
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
    ) -> Result<Page<NamedEntry, i64>, Error> {
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
                Ok(Page::cut(named(conn, found)?, page.limit, |named| named.entry.seq))
            })
            .await
    }

    /// Writes down that the log is about to be exported.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn begin_log_export(&self, who: &Actor, view: &View) -> Result<(), Error> {
        let (now, organization) = (self.now(), view.organization.clone());
        let entry = who.signed(NewEntry {
            person: Some(who.person.clone()),
            ..NewEntry::new(Kind::LogExported, now)
        });
        self.db
            .write(move |conn| Ok::<_, Error>(access_log::append(conn, &organization, &entry, now).map(|_| ())?))
            .await
    }

    /// The next part of an export, the oldest entries first, those after the number `after`.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn export_log(
        &self,
        view: View,
        filter: Filter,
        after: i64,
        most: u16,
    ) -> Result<Vec<NamedEntry>, Error> {
        self.db
            .read(move |conn| {
                let (of, limit) = (view.only_of.as_ref(), i64::from(most));
                let order = Order::OldestFirst;
                let found = access_log::entries(conn, &view.organization, &filter, of, order, Some(after), limit)?;
                named(conn, found)
            })
            .await
    }
}

fn view(conn: &mut Conn, who: &Actor, organization: Option<OrganizationId>) -> Result<View, Error> {
    let organization = match organization {
        Some(named) => named,
        None => {
            let scope = joined_by(conn, who)?;
            match scope.single() {
                Some(only) => only.clone(),
                None if scope.is_empty() => return Err(Error::NotFound(What::Organization)),
                None => {
                    return Err(Error::invalid(
                        "organization_id",
                        "you belong to several organizations; name one",
                    ));
                }
            }
        }
    };
    let role = role_in(conn, who, &organization)?.ok_or(Error::NotFound(What::Organization))?;
    let only_of = (!role.views()).then(|| who.person.clone());
    Ok(View { organization, only_of })
}

/// The entries with the names that belong to them: two look-ups for all of them.
fn named(conn: &mut Conn, entries: Vec<Entry>) -> Result<Vec<NamedEntry>, Error> {
    let whats = || entries.iter().map(|entry| &entry.what);
    let persons: Vec<_> = whats().flat_map(|what| what.person.iter().chain(&what.actor)).collect();
    let persons = accounts::names(conn, &persons)?;
    let doors: Vec<_> = whats().filter_map(|what| what.lock.as_ref()).collect();
    let doors = locks::names(conn, &doors)?;
    let person_name = |id: &Option<PersonId>| id.as_ref().and_then(|id| persons.get(id)).cloned();
    let named = entries.into_iter().map(|entry| NamedEntry {
        person_name: person_name(&entry.what.person),
        actor_name: person_name(&entry.what.actor),
        lock_name: entry.what.lock.as_ref().and_then(|id| doors.get(id)).cloned(),
        entry,
    });
    Ok(named.collect())
}
