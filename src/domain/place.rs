//! Where doors are: properties and their units.

use serde::{Deserialize, Serialize};

use super::ids::{OrganizationId, PropertyId, UnitId};
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
