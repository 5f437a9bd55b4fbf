//! When within its life something counts, in words that a lock without a calendar of zones understands.

use heapless::Vec;
use serde::{Deserialize, Serialize};

/// The most windows of a schedule on the wire.
pub const MAX_WINDOWS: usize = 28;

/// The most exceptions of a schedule on the wire: those that fall into the life of what it belongs to.
pub const MAX_EXCEPTIONS: usize = 16;

/// The most changes of a zone's offset that are sent ahead: four years of summer times.
pub const MAX_ZONE_CHANGES: usize = 8;

/// Minutes by the wall clock from one midnight to the next; also a window's latest end.
pub const MINUTES_A_DAY: u16 = 24 * 60;

/// The furthest that a wall clock is from UTC, in seconds: 26 hours.
pub const MAX_OFFSET: i32 = 26 * 3_600;

/// Windows that come every week, and days on which none of them begins. Open exactly while the wall clock reads inside a
/// window (`docs/PROTOCOL.md`, "Schedules").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The windows, one at least.
    pub weekly: Vec<Window, MAX_WINDOWS>,
    /// Days since 1970-01-01 on which no window begins.
    pub except: Vec<u32, MAX_EXCEPTIONS>,
}

/// One window of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days on which it begins: bit 0 for Monday to bit 6 for Sunday; one at least.
    pub days: u8,
    /// Its beginning, in minutes after midnight: 0 to 1439.
    pub from: u16,
    /// Its end, exclusive: 0 to 1440, and on the next day where it is not after `from`. Never equal to `from`.
    pub to: u16,
}

/// From `at` on, the wall clock of the door is `offset` seconds ahead of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneChange {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub at: u64,
    /// Seconds east of UTC; west of it, negative: the only number on the wire that may be.
    pub offset: i32,
}

/// The wall clock of a door: changes in the order of time. Before the first of them its offset counts, too.
pub type Zone = Vec<ZoneChange, MAX_ZONE_CHANGES>;

impl Schedule {
    /// Whether every number is in its range.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let whole = |window: &Window| {
            (1..128).contains(&window.days)
                && window.from < MINUTES_A_DAY
                && window.to <= MINUTES_A_DAY
                && window.from != window.to
        };
        !self.weekly.is_empty() && self.weekly.iter().all(whole)
    }
}

/// Whether these are the changes of one zone: one at least, each after the one before, none further than [`MAX_OFFSET`].
#[must_use]
pub fn is_zone(zone: &[ZoneChange]) -> bool {
    !zone.is_empty()
        && zone
            .iter()
            .all(|change| change.offset.unsigned_abs() <= MAX_OFFSET.unsigned_abs())
        && zone.is_sorted_by(|one, next| one.at < next.at)
}
