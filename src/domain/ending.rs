//! Endings: what lets nobody in any more. They are noted outside the database too, so that a database that is restored from
//! a backup opens for nobody whose right has ended since.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// What has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Thing {
    /// A grant was taken back.
    Grant,
    /// A tenancy ended.
    Tenancy,
    /// Somebody was put out of an organization, or left.
    Membership,
    /// A phone was removed.
    Phone,
    /// A passkey was removed.
    Passkey,
    /// A guest's link was taken back or replaced.
    Link,
    /// An API key was made void.
    ApiKey,
    /// A lock was retired.
    Lock,
    /// A lock's controller was replaced or released.
    Controller,
    /// Somebody's account was erased.
    Person,
    /// A counted use of a grant was taken.
    Use,
    /// An invitation was accepted or withdrawn, or has run out.
    Invitation,
}

/// Something that has ended. It names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// What.
    pub what: Thing,
    /// Which: the id; of a membership the person's.
    pub id: String,
    /// In which organization, of a membership.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// How many uses are taken, of a counted grant; which controller it was, of a lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// When.
    pub at: Timestamp,
}

/// A line of the notes of what has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// Something has ended.
    Ending(Ending),
    /// The notes begin: whatever ended at this time or later is in what follows.
    Beginning {
        /// When.
        covers_since: Timestamp,
    },
}
