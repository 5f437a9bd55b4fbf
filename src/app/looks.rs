//! Looks: opening a hidden part of the access log for a reason, for a while, before the eyes of those whom it concerns.

use std::sync::Arc;

use super::notices::tell;
use super::{Actor, App, Error, What, managed_by, viewed_by};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::Scope;
use crate::domain::ids::{LockId, LookId, PersonId, UnitId};
use crate::domain::look::{Look, Part};
use crate::domain::notice::{self, News};
use crate::domain::page::{Page, PageRequest};
use crate::domain::privacy::WrittenReason;
use crate::domain::time::Timestamp;
use crate::store::{Conn, access_log, accounts, locks, looks, places, tenancies};

/// Whose doors are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// All of a unit's own.
    Unit(UnitId),
    /// One of them.
    Lock(LockId),
}

/// A look that somebody wants to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLook {
    /// At which doors.
    pub at: At,
    /// At what happened at this time or later.
    pub from: Timestamp,
    /// At what happened before this time.
    pub to: Timestamp,
    /// Why.
    pub reason: WrittenReason,
    /// For how long, in minutes.
    pub minutes: u16,
}

/// A look with the name of who looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedLook {
    /// The look.
    pub look: Look,
    /// What who looks is called.
    pub person_name: Option<crate::domain::account::PersonName>,
}

impl App {
    /// Opens a part of the log to the caller. It is written down and told to everybody who lived there in that time, before
    /// anything is shown.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::Invalid`] where the look does not hold together, or the lock is at a shared door;
    /// [`Error::NotFound`] of unit or lock.
    pub async fn open_look(&self, who: &Actor, new: NewLook) -> Result<NamedLook, Error> {
        let (now, who) = (self.now(), who.clone());
        let lasts = Look::lasts(new.from, new.to, new.minutes, now);
        let ends_at = now + lasts.map_err(|bad| Error::invalid(bad.field(), bad))?;
        let id = LookId::from_bits(self.id_bits(now));
        let random = Arc::clone(&self.random);
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let (unit, lock) = place(conn, &new.at, &scope)?;
                let unit = places::find_unit(conn, &unit, &scope)?.ok_or(Error::NotFound(What::Unit))?;
                let look = Look {
                    id,
                    organization: unit.organization.clone(),
                    person: who.person.clone(),
                    part: Part {
                        unit: unit.id.clone(),
                        lock: lock.clone(),
                        from: new.from,
                        to: new.to,
                    },
                    reason: new.reason,
                    opened_at: now,
                    ends_at,
                    used_at: None,
                };
                let concerned = tenancies::residents_within(conn, &unit.id, new.from, Some(new.to))?;
                looks::add(conn, &look, &concerned)?;
                let detail = serde_json::json!({
                    "look_id": look.id,
                    "from": look.part.from,
                    "to": look.part.to,
                    "reason": look.reason,
                    "ends_at": look.ends_at,
                });
                let entry = who.signed(NewEntry {
                    property: Some(unit.property),
                    unit: Some(unit.id.clone()),
                    actor: Some(who.person.clone()),
                    detail: Some(with_lock(&detail, lock.as_ref())),
                    ..NewEntry::new(Kind::LookOpened, now)
                });
                access_log::append(conn, &unit.organization, &entry, now)?;
                let news = News {
                    unit: Some(unit.id),
                    lock,
                    actor: Some(who.person.clone()),
                    detail: Some(detail),
                    ..News::new(notice::Kind::LookOpened, unit.organization)
                };
                tell(conn, &*random, concerned, &news, now)?;
                let mut names = accounts::names(conn, &[&look.person])?;
                Ok(NamedLook {
                    person_name: names.remove(&look.person),
                    look,
                })
            })
            .await
    }

    /// The looks at the logs that the caller views, the newest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn looks(&self, who: &Actor, page: PageRequest<LookId>) -> Result<Page<NamedLook, LookId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = viewed_by(conn, &who)?;
                let found = looks::list(conn, &scope, page.after.as_ref(), i64::from(page.limit) + 1)?;
                named(conn, Page::cut(found, page.limit, |look| look.id.clone()))
            })
            .await
    }

    /// The looks that concern the caller, the newest first: who looked, why, when and until when.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn looks_at_me(&self, who: &Actor, page: PageRequest<LookId>) -> Result<Page<NamedLook, LookId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let limit = i64::from(page.limit) + 1;
                let found = looks::concerning(conn, &who.person, page.after.as_ref(), limit)?;
                named(conn, Page::cut(found, page.limit, |look| look.id.clone()))
            })
            .await
    }
}

/// The unit that is looked at, and the one of its doors that is meant.
fn place(conn: &mut Conn, at: &At, scope: &Scope) -> Result<(UnitId, Option<LockId>), Error> {
    match at {
        At::Unit(unit) => Ok((unit.clone(), None)),
        At::Lock(lock) => {
            let lock = locks::find(conn, lock, scope)?.ok_or(Error::NotFound(What::Lock))?;
            let unit = lock.unit;
            let unit = unit.ok_or_else(|| Error::invalid("lock_id", "nothing is hidden at a shared door"))?;
            Ok((unit, Some(lock.id)))
        }
    }
}

/// The entry about a look at one door is about the unit, whose log it opens: the lock stands in its detail.
fn with_lock(detail: &serde_json::Value, lock: Option<&LockId>) -> serde_json::Value {
    let mut detail = detail.clone();
    if let Some(lock) = lock {
        detail["lock_id"] = lock.as_str().into();
    }
    detail
}

fn named(conn: &mut Conn, page: Page<Look, LookId>) -> Result<Page<NamedLook, LookId>, Error> {
    let persons: Vec<&PersonId> = page.items.iter().map(|look| &look.person).collect();
    let names = accounts::names(conn, &persons)?;
    let items = page.items.into_iter().map(|look| NamedLook {
        person_name: names.get(&look.person).cloned(),
        look,
    });
    Ok(Page {
        items: items.collect(),
        next: page.next,
    })
}
