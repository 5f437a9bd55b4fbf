//! Where doors are: properties and their units, and who lives there.

use serde::{Deserialize, Serialize};

use super::ids::{OrganizationId, PersonId, PropertyId, TenancyId, UnitId};
use super::text::{self, BadText};
use super::time::{TimeZone, Timestamp};

/// The name of a property, a unit or a door: 1 to 64 characters, no control characters, no white space at its ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlaceName(String);

text::line_type!(PlaceName, 64);

/// A postal address on one line, 1 to 200 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

text::line_type!(Address, 200);

/// A building or a group of buildings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Which.
    pub id: PropertyId,
    /// Whose.
    pub organization: OrganizationId,
    /// Its name.
    pub name: PlaceName,
    /// Where it stands.
    pub address: Address,
    /// The zone in which the schedules of its doors are read.
    pub time_zone: TimeZone,
    /// Since when it is known here.
    pub created_at: Timestamp,
}

/// A flat in a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Which.
    pub id: UnitId,
    /// Whose.
    pub organization: OrganizationId,
    /// In which property.
    pub property: PropertyId,
    /// Its name, the only one of the property.
    pub name: PlaceName,
    /// Since when it is known here.
    pub created_at: Timestamp,
}

/// A person's stay in a unit: it alone opens the unit's own doors and the property's shared ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenancy {
    /// Which.
    pub id: TenancyId,
    /// The unit lived in.
    pub unit: UnitId,
    /// Who lives there.
    pub person: PersonId,
    /// From when, inclusive.
    pub starts_at: Timestamp,
    /// Until when, exclusive; open-ended if `None`.
    pub ends_at: Option<Timestamp>,
}
