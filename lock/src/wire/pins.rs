//! Claims of `pins+jwt`: which PINs a lock knows, never the digits.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::pass::Role;
use super::present;
use super::schedule::{Schedule, Zone};

/// The greatest slot.
pub const MAX_SLOT: u16 = 999;

/// The most slots that one message sets; its length usually ends it earlier.
pub const MAX_SLOTS_SET: usize = 16;

/// The most slots that one message clears.
pub const MAX_SLOTS_CLEARED: usize = 64;

/// Claims of `pins+jwt`: changes from one version of the lock's PINs to a later one. Slots that it does not name stay as
/// they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins<'a> {
    /// The backend that issued it.
    pub iss: &'a str,
    /// The organization that the lock belongs to.
    pub org: &'a str,
    /// The lock that it is for.
    pub aud: &'a str,
    /// The version that it changes, or any later one that is below `version`; 0 for none.
    pub base: u64,
    /// The version that the lock holds afterwards.
    pub version: u64,
    /// The generation of computed codes that counts from now on; never goes down.
    pub codes: u32,
    /// The wall clock of the door.
    pub zone: Zone,
    /// Slots to set, each as a whole.
    #[serde(borrow)]
    pub set: Vec<Slot<'a>, MAX_SLOTS_SET>,
    /// Slots to clear.
    pub clear: Vec<u16, MAX_SLOTS_CLEARED>,
}

/// One PIN of a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot<'a> {
    /// Its place: 1 to [`MAX_SLOT`].
    pub slot: u16,
    /// HMAC-SHA-256 of slot and digits under the lock's slot key, as base64url (`docs/PROTOCOL.md`, "PINs").
    pub mac: &'a str,
    /// The grant or tenancy that allows it.
    pub gid: &'a str,
    /// As what the person comes.
    pub role: Role,
    /// The first second in which it counts.
    pub nbf: u64,
    /// The last second in which it counts; absent for no end.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
    /// How many openings; absent for any number.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// When within its life; absent for always.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// The digits, encrypted for an adapter whose device must be told them; absent for every other lock.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub sealed: Option<&'a str>,
}
