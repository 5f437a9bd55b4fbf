//! A door's lock: what its landlord says of it, and what it last said of itself.

use serde::{Deserialize, Serialize};

use super::ids::{LockId, OrganizationId, PropertyId, UnitId};
use super::place::{PlaceName, Property};
use super::text::{self, BadText};
use super::time::Timestamp;

/// What a landlord or a lock calls a product: 1 to 64 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProductName(String);

text::line_type!(ProductName, 64);

/// How a lock came to verify tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockKind {
    /// A controller that speaks Doorward's protocol itself.
    Controller,
}

/// Who vouches for what a lock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assurance {
    /// An adapter, which verifies and asks a device that believes its broker.
    Adapter,
}

/// Where a lock is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockState {
    /// Added by the landlord; no controller has claimed it yet.
    Unclaimed,
    /// A controller holds its keys.
    Enrolled,
    /// Taken out of service; its log stays.
    Retired,
}

macro_rules! words {
    ($($name:ident: $($variant:ident = $word:literal),+;)+) => {$(
        impl $name {
            /// The word for it in tables, messages and answers.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    )+};
}

words! {
    LockKind: Controller = "controller";
    Assurance: Adapter = "adapter";
    LockState: Unclaimed = "unclaimed", Enrolled = "enrolled", Retired = "retired";
    Bolt: Locked = "locked", Unlocked = "unlocked", Unknown = "unknown";
    Door: Open = "open", Closed = "closed", Unknown = "unknown";
    EnrolmentEnd: Released = "released", Reset = "reset", Replaced = "replaced", Retired = "retired";
    LockClock: Fresh = "fresh", Stale = "stale", None = "none";
}

/// How a controller's time as a lock ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentEnd {
    /// The backend let it go, and it said so.
    Released,
    /// Somebody reset it at the lock.
    Reset,
    /// Another controller took its place.
    Replaced,
    /// The lock was taken out of service.
    Retired,
}

/// A value with the time at which it was observed: an old one means unknown, and only the reader knows how old is old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed<T> {
    /// What was observed.
    pub value: T,
    /// When it was.
    pub at: Timestamp,
}

impl<T> Observed<T> {
    /// The value, unless it was observed longer than `age` before `now`: then it is not known any more.
    #[must_use]
    pub fn within(self, age: std::time::Duration, now: Timestamp) -> Option<T> {
        (now.since(self.at) <= age).then_some(self.value)
    }
}

/// Where the bolt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bolt {
    /// Thrown.
    Locked,
    /// Drawn.
    Unlocked,
    /// Neither end, or the lock does not know.
    Unknown,
}

/// Whether the door leaf is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Door {
    /// Not closed.
    Open,
    /// Closed.
    Closed,
    /// The lock has no sensor, or it does not tell.
    Unknown,
}

/// The lock's trust in its own clock (`docs/PROTOCOL.md`, "The time").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockClock {
    /// Set from signed time within the last 24 hours.
    Fresh,
    /// Set once, too long ago.
    Stale,
    /// Never set since the lock started.
    None,
}

/// A lock as its landlord knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Which.
    pub id: LockId,
    /// Whose.
    pub organization: OrganizationId,
    /// In which property.
    pub property: PropertyId,
    /// The unit whose own door it is; a shared door of the property if `None`.
    pub unit: Option<UnitId>,
    /// The door's name.
    pub name: PlaceName,
    /// How it verifies tokens.
    pub kind: LockKind,
    /// Where it is in its life.
    pub state: LockState,
    /// Since when it is known here.
    pub created_at: Timestamp,
    /// Maker's name of the product, from the enrolment.
    pub model: Option<String>,
    /// Version of its firmware, as last reported.
    pub firmware: Option<String>,
    /// Whether two histories of it were seen (`docs/PROTOCOL.md`, "Events"); nothing is issued for it until another controller takes its place.
    pub quarantined: bool,
    /// Who vouches for what it says, where that is not the lock itself.
    pub assurance: Option<Assurance>,
    /// Whether it is connected.
    pub online: Option<Observed<bool>>,
    /// Where its bolt is.
    pub bolt: Option<Observed<Bolt>>,
    /// Whether its door is closed.
    pub door: Option<Observed<Door>>,
    /// What is left in its battery, in per cent.
    pub battery: Option<Observed<u8>>,
    /// Whether those who may open it may give others access to it, as far as it is a shared door: a unit's own door is
    /// for who lives there to share.
    pub shareable: bool,
}

/// At how many per cent a battery is low: then an alarm says so, once.
pub const BATTERY_LOW: u8 = 20;

/// At how many per cent it is well again: it was charged or replaced. Between the two it may go up and down.
pub const BATTERY_WELL: u8 = 40;

/// The word of the alarm of a low battery.
pub const BATTERY_LOW_ALARM: &str = "battery-low";

/// After how long without a word from a lock it counts as away: two and a half heartbeats of 60 s.
pub const SILENCE: std::time::Duration = std::time::Duration::from_secs(150);

/// After how long what a lock said of its battery counts no more: batteries fall slowly, and a lock tells with every
/// heartbeat.
pub const BATTERY_SILENCE: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

impl Lock {
    /// A lock of the property that no controller has claimed, at the unit's own door or at a shared one.
    #[must_use]
    pub fn unclaimed(
        id: LockId,
        property: &Property,
        unit: Option<UnitId>,
        name: PlaceName,
        kind: LockKind,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            organization: property.organization.clone(),
            property: property.id.clone(),
            unit,
            name,
            kind,
            state: LockState::Unclaimed,
            created_at: now,
            model: None,
            firmware: None,
            quarantined: false,
            assurance: None,
            online: None,
            bolt: None,
            door: None,
            battery: None,
            shareable: true,
        }
    }

    /// Whether the landlord has closed it to access under other people's rights.
    #[must_use]
    pub fn is_closed_to_sharing(&self) -> bool {
        self.unit.is_none() && !self.shareable
    }

    /// Whether the lock can be asked now: connected when last heard of, and heard of within [`SILENCE`].
    #[must_use]
    pub fn is_online(&self, now: Timestamp) -> bool {
        self.online.and_then(|seen| seen.within(SILENCE, now)) == Some(true)
    }

    /// Where the bolt is now: unknown where nothing was seen of it for [`SILENCE`], in which anybody may have turned it.
    #[must_use]
    pub fn bolt_now(&self, now: Timestamp) -> Bolt {
        let seen = self.bolt.and_then(|seen| seen.within(SILENCE, now));
        seen.unwrap_or(Bolt::Unknown)
    }

    /// Whether the door is closed now, on the same terms.
    #[must_use]
    pub fn door_now(&self, now: Timestamp) -> Door {
        let seen = self.door.and_then(|seen| seen.within(SILENCE, now));
        seen.unwrap_or(Door::Unknown)
    }

    /// What is left in the battery; `None` where nothing was heard of it for [`BATTERY_SILENCE`].
    #[must_use]
    pub fn battery_now(&self, now: Timestamp) -> Option<u8> {
        self.battery.and_then(|seen| seen.within(BATTERY_SILENCE, now))
    }
}
