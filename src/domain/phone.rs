//! Phones: the keys to which offline passes are bound.

use serde::{Deserialize, Serialize};

use super::ids::{PersonId, PhoneId};
use super::text::{self, BadText};
use super::time::Timestamp;

/// What a person calls a phone: 1 to 64 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneName(String);

text::line_type!(PhoneName, 64);

impl PhoneName {
    /// What a phone is called that came by a guest's link: nobody has named it.
    #[must_use]
    pub fn by_link() -> Self {
        Self("By link".to_owned())
    }
}

/// The most phones that one person has at a time.
pub const MOST_PHONES: usize = 10;

/// A phone that a person has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    /// Which.
    pub id: PhoneId,
    /// Whose.
    pub person: PersonId,
    /// What it is called.
    pub name: PhoneName,
    /// Thumbprint of its public key (RFC 7638), base64url: the name by which locks know it.
    pub thumbprint: String,
    /// Since when it is known here.
    pub registered_at: Timestamp,
}
