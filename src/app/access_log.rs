//! Reading the access log: everybody what the rule shows them ([`crate::domain::access_log::visibility`]).

use super::{Actor, App, Error, What, joined_by, role_in};
use crate::domain::access_log::visibility::Reader;
use crate::domain::access_log::{Entry, Kind, NewEntry};
use crate::domain::account::{PersonName, Role};
use crate::domain::ids::{LookId, OrganizationId, PersonId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::place::PlaceName;
use crate::domain::time::Timestamp;
pub use crate::store::access_log::Filter;
use crate::store::access_log::{self, Order, Seen};
use crate::store::{Conn, accounts, locks, looks};

/// Whose log is read, and what of it the caller may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Whose log.
    pub organization: OrganizationId,
    /// Who reads.
    pub(super) reader: Reader,
}

impl View {
    /// Whether no filter and no role keeps entries from the reader, though some may be shown without who, or not at all.
    pub fn has_all(&self, filter: &Filter) -> bool {
        self.reader.views && *filter == Filter::default()
    }

    /// The reader at `now`: a look that has ended shows nothing more, even in the midst of an export.
    pub(super) fn reader_at(&self, now: Timestamp) -> Reader {
        let mut reader = self.reader.clone();
        reader.looks.retain(|look| look.is_open(now));
        reader
    }
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
        let now = self.now();
        self.db.read(move |conn| view(conn, &who, organization, now)).await
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
        let reader = view.reader_at(self.now());
        let (page, used) = self
            .db
            .read(move |conn| {
                let limit = i64::from(page.limit) + 1;
                let order = Order::NewestFirst;
                let found = access_log::entries(conn, &view.organization, &filter, &reader, order, page.after, limit)?;
                let page = Page::cut(found, page.limit, |seen| seen.entry.seq);
                let used = used_by(&reader, &page.items);
                let items = named(conn, page.items)?;
                Ok::<_, Error>((Page { items, next: page.next }, used))
            })
            .await?;
        self.mark_used(used).await?;
        Ok(page)
    }

    /// Writes down that the log is about to be exported. Gives the number of the entry that says so, which is the export's last.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn begin_log_export(&self, who: &Actor, view: &View) -> Result<i64, Error> {
        let (now, organization) = (self.now(), view.organization.clone());
        let entry = who.signed(NewEntry {
            person: Some(who.person.clone()),
            ..NewEntry::new(Kind::LogExported, now)
        });
        self.db
            .write(move |conn| Ok::<_, Error>(access_log::append(conn, &organization, &entry, now)?))
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
        let reader = view.reader_at(self.now());
        let (part, used) = self
            .db
            .read(move |conn| {
                let (order, limit) = (Order::OldestFirst, i64::from(most));
                let found = access_log::entries(conn, &view.organization, &filter, &reader, order, Some(after), limit)?;
                let used = used_by(&reader, &found);
                Ok::<_, Error>((named(conn, found)?, used))
            })
            .await?;
        self.mark_used(used).await?;
        Ok(part)
    }

    /// Records that these looks showed something, before they do.
    pub(super) async fn mark_used(&self, used: Vec<LookId>) -> Result<(), Error> {
        if used.is_empty() {
            return Ok(());
        }
        let now = self.now();
        self.db
            .write(move |conn| {
                for look in &used {
                    looks::mark_used(conn, look, now)?;
                }
                Ok(())
            })
            .await
    }
}

/// The looks of the reader that show one of the entries for the first time.
pub(super) fn used_by(reader: &Reader, seen: &[Seen]) -> Vec<LookId> {
    let unused = reader.looks.iter().filter(|look| look.used_at.is_none());
    let used = unused.filter(|look| seen.iter().any(|seen| seen.by_look.as_ref() == Some(&look.id)));
    used.map(|look| look.id.clone()).collect()
}

fn view(conn: &mut Conn, who: &Actor, organization: Option<OrganizationId>, now: Timestamp) -> Result<View, Error> {
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
    let reader = reader(conn, who, &organization, now)?.ok_or(Error::NotFound(What::Organization))?;
    Ok(View { organization, reader })
}

/// What the caller is as a reader of the organization's log; `None` where they do not belong to it.
pub(super) fn reader(
    conn: &mut Conn,
    who: &Actor,
    organization: &OrganizationId,
    now: Timestamp,
) -> Result<Option<Reader>, Error> {
    let Some(role) = role_in(conn, who, organization)? else {
        return Ok(None);
    };
    // Who manages no more looks no more.
    let looks = match Role::manages(role) {
        true => looks::open(conn, organization, &who.person, now)?,
        false => Vec::new(),
    };
    Ok(Some(Reader {
        person: who.person.clone(),
        views: role.views(),
        looks,
    }))
}

/// The entries with the names that belong to them: two look-ups for all of them.
pub(super) fn named(conn: &mut Conn, seen: Vec<Seen>) -> Result<Vec<NamedEntry>, Error> {
    let entries: Vec<Entry> = seen.into_iter().map(|seen| seen.entry).collect();
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
