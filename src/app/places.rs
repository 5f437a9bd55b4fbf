//! Properties and units.

use super::{Actor, App, Error, What, managed_by, must_have_phone_key, staffed_by};
use crate::domain::access_log::{Kind, NewEntry};
use crate::domain::ids::{OrganizationId, PropertyId, UnitId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::place::{Address, PlaceName, Property, Unit};
use crate::domain::time::TimeZone;
use crate::store::{StoreError, access_log, places};

/// What is to change of a property; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertyChange {
    /// Its name.
    pub name: Option<PlaceName>,
    /// Where it stands.
    pub address: Option<Address>,
    /// Its zone: schedules are read in the new one from now on.
    pub time_zone: Option<TimeZone>,
}

impl App {
    /// Adds a property.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the organization.
    pub async fn add_property(
        &self,
        who: &Actor,
        organization: OrganizationId,
        name: PlaceName,
        address: Address,
        time_zone: TimeZone,
    ) -> Result<Property, Error> {
        let (now, who) = (self.now(), who.clone());
        let id = PropertyId::from_bits(self.id_bits(now));
        let property = Property {
            id,
            organization,
            name,
            address,
            time_zone,
            created_at: now,
        };
        self.db
            .write(move |conn| {
                if !managed_by(conn, &who)?.contains(&property.organization) {
                    return Err(Error::NotFound(What::Organization));
                }
                places::add_property(conn, &property)?;
                Ok(property)
            })
            .await
    }

    /// The properties of the organizations that the caller works for.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn properties(
        &self,
        who: &Actor,
        page: PageRequest<PropertyId>,
    ) -> Result<Page<Property, PropertyId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = staffed_by(conn, &who)?;
                let found = places::properties(conn, &scope, page.after.as_ref(), i64::from(page.limit) + 1)?;
                Ok(Page::cut(found, page.limit, |property| property.id.clone()))
            })
            .await
    }

    /// One property.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn property(&self, who: &Actor, id: PropertyId) -> Result<Property, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = staffed_by(conn, &who)?;
                places::find_property(conn, &id, &scope)?.ok_or(Error::NotFound(What::Property))
            })
            .await
    }

    /// Changes a property.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`]; of another time zone, which moves every schedule, [`Error::PhoneKeyNeeded`] and
    /// [`Error::ProofNeeded`].
    pub async fn change_property(
        &self,
        who: &Actor,
        id: PropertyId,
        change: PropertyChange,
    ) -> Result<Property, Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let before = places::find_property(conn, &id, &scope)?.ok_or(Error::NotFound(What::Property))?;
                let property = Property {
                    name: change.name.unwrap_or_else(|| before.name.clone()),
                    address: change.address.unwrap_or_else(|| before.address.clone()),
                    time_zone: change.time_zone.unwrap_or_else(|| before.time_zone.clone()),
                    ..before.clone()
                };
                if property == before {
                    return Ok(property);
                }
                if property.time_zone != before.time_zone {
                    must_have_phone_key(conn, &property.organization, &who)?;
                    who.must_have_proven(now)?;
                }
                places::update_property(conn, &property)?;
                // Names and addresses can be looked up; the log has what moves doors.
                let entry = NewEntry {
                    property: Some(property.id.clone()),
                    actor: Some(who.person.clone()),
                    detail: Some(
                        serde_json::json!({ "time_zone": { "from": before.time_zone, "to": property.time_zone } }),
                    ),
                    ..NewEntry::new(Kind::PropertyChanged, now)
                };
                access_log::append(conn, &property.organization, &entry, now)?;
                Ok(property)
            })
            .await
    }

    /// Deletes a property that has neither units nor locks.
    ///
    /// # Errors
    /// [`Error::ProofNeeded`], [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] while something is in it.
    pub async fn delete_property(&self, who: &Actor, id: PropertyId) -> Result<(), Error> {
        let (now, who) = (self.now(), who.clone());
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                who.must_have_proven(now)?;
                places::find_property(conn, &id, &scope)?.ok_or(Error::NotFound(What::Property))?;
                let in_use = Error::Conflict {
                    word: "property-in-use",
                    why: "a property that has or had units or locks stays, for the log's sake",
                };
                if places::property_is_in_use(conn, &id)? {
                    return Err(in_use);
                }
                match places::delete_property(conn, &id) {
                    Err(StoreError::Missing) => Err(in_use),
                    other => Ok(other?),
                }
            })
            .await
    }

    /// Adds a unit to a property.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the property; [`Error::Conflict`] where it has one of this name.
    pub async fn add_unit(&self, who: &Actor, property: PropertyId, name: PlaceName) -> Result<Unit, Error> {
        let (now, who) = (self.now(), who.clone());
        let id = UnitId::from_bits(self.id_bits(now));
        self.db
            .write(move |conn| {
                let scope = managed_by(conn, &who)?;
                let property =
                    places::find_property(conn, &property, &scope)?.ok_or(Error::NotFound(What::Property))?;
                let organization = property.organization;
                let unit = Unit {
                    id,
                    organization,
                    property: property.id,
                    name,
                    created_at: now,
                };
                match places::add_unit(conn, &unit) {
                    Err(StoreError::Conflict { .. }) => Err(Error::Conflict {
                        word: "name-taken",
                        why: "the property has a unit of this name",
                    }),
                    other => Ok(other.map(|()| unit)?),
                }
            })
            .await
    }

    /// The units of a property.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the property.
    pub async fn units(
        &self,
        who: &Actor,
        property: PropertyId,
        page: PageRequest<UnitId>,
    ) -> Result<Page<Unit, UnitId>, Error> {
        let who = who.clone();
        self.db
            .read(move |conn| {
                let scope = staffed_by(conn, &who)?;
                let property =
                    places::find_property(conn, &property, &scope)?.ok_or(Error::NotFound(What::Property))?;
                let found = places::units(conn, &property.id, page.after.as_ref(), i64::from(page.limit) + 1)?;
                Ok(Page::cut(found, page.limit, |unit| unit.id.clone()))
            })
            .await
    }
}
