//! Lists of people and grants that lockdowns of a property except by name: written on a quiet day.

use super::deliver::{left_out, settle_all};
use crate::app::lockdowns::order::check_named;
use crate::app::revocations::hold_locks;
use crate::app::{Actor, App, Error, What, managed_by, must_have_phone_key, viewed_by};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::account::Scope;
use crate::domain::ids::{GrantId, LockId, PersonId, PropertyId};
use crate::domain::lock::Lock;
use crate::domain::lockdown::{List, ListName, MOST_LISTS};
use crate::store::{access_log, lockdowns, locks, places};

/// Who is to be on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewList {
    /// People, by whatever right they come.
    pub persons: Vec<PersonId>,
    /// Whoever comes by these grants.
    pub grants: Vec<GrantId>,
}

impl App {
    /// The lists of the property, by name.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn lockdown_lists(&self, who: &Actor, property: PropertyId) -> Result<Vec<List>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = viewed_by(conn, &who)?;
                places::find_property(conn, &property, &scope)?.ok_or(Error::NotFound(What::Property))?;
                Ok(lockdowns::lists(conn, &property)?)
            })
            .await
    }

    /// Writes a list of the property as a whole. Lockdowns that hold go by it from now on.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the property or of what is named; [`Error::Invalid`] where that is too
    /// much, by itself or for a door that could be told of all before; [`Error::Conflict`] where the property has as many lists as it can.
    pub async fn put_lockdown_list(
        &self,
        who: &Actor,
        property: PropertyId,
        name: ListName,
        new: NewList,
    ) -> Result<List, Error> {
        let (now, who) = (self.now(), who.clone());
        let (list, doors) = self
            .db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let property =
                    places::find_property(conn, &property, &scope)?.ok_or(Error::NotFound(What::Property))?;
                must_have_phone_key(conn, &property.organization, &who)?;
                let NewList { persons, grants } = new;
                check_named(conn, &property.organization, "person_ids", &persons, &grants)?;
                let known = lockdowns::lists(conn, &property.id)?;
                if known.len() >= MOST_LISTS && known.iter().all(|list| list.name != name) {
                    return Err(Error::Conflict {
                        word: "too-many-lists",
                        why: "the property has as many lists as it can",
                    });
                }
                let list = List { name, persons, grants };
                let only = Scope::only(property.organization.clone());
                let doors = match lockdowns::open_of(conn, &property.id)?.is_empty() {
                    true => Vec::new(),
                    false => locks::list(conn, &only, Some(&property.id), None, i64::MAX)?,
                };
                let ids: Vec<LockId> = doors.iter().map(|door: &Lock| door.id.clone()).collect();
                hold_locks(conn, &ids)?;
                let before = left_out(conn, &doors, now)?;
                lockdowns::put_list(conn, &property.id, &list)?;
                settle_all(conn, &doors, &before, now)?;
                let entry = NewEntry {
                    reason: Some("list".to_owned()),
                    property: Some(property.id),
                    actor: Some(who.person.clone()),
                    detail: Some(serde_json::json!({
                        "list": list.name,
                        "person_ids": list.persons,
                        "grant_ids": list.grants,
                    })),
                    ..NewEntry::new(Kind::LockdownChanged, now)
                };
                access_log::append(conn, &property.organization, &entry, now)?;
                Ok::<_, Error>((list, doors))
            })
            .await?;
        self.deliver_lockdowns(&doors).await?;
        Ok(list)
    }
}
