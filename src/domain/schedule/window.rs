//! One window of a week, and the instants in which the wall clock reads inside it.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

use super::{BadSchedule, has_doubles};
use crate::domain::time::{TimeZone, Timestamp};

/// Minutes by the wall clock from one midnight to the next.
pub(super) const MINUTES_A_DAY: u16 = 24 * 60;

/// A day of the week; as text `mon` to `sun`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Weekday {
    /// Its name for people, short: `Mon`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mon => "Mon",
            Self::Tue => "Tue",
            Self::Wed => "Wed",
            Self::Thu => "Thu",
            Self::Fri => "Fri",
            Self::Sat => "Sat",
            Self::Sun => "Sun",
        }
    }

    /// The day of the week of `date`.
    #[must_use]
    pub fn of(date: Date) -> Self {
        match date.weekday() {
            jiff::civil::Weekday::Monday => Self::Mon,
            jiff::civil::Weekday::Tuesday => Self::Tue,
            jiff::civil::Weekday::Wednesday => Self::Wed,
            jiff::civil::Weekday::Thursday => Self::Thu,
            jiff::civil::Weekday::Friday => Self::Fri,
            jiff::civil::Weekday::Saturday => Self::Sat,
            jiff::civil::Weekday::Sunday => Self::Sun,
        }
    }
}

/// A time of day by the wall clock, to the minute: `00:00` to `23:59`, and `24:00` for the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime {
    pub(super) minutes: u16,
}

impl FromStr for WallTime {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        let [h1, h2, b':', m1, m2] = *text.as_bytes() else {
            return Err(BadSchedule::Time);
        };
        if ![h1, h2, m1, m2].iter().all(u8::is_ascii_digit) {
            return Err(BadSchedule::Time);
        }
        let number = |tens: u8, ones: u8| u16::from(tens - b'0') * 10 + u16::from(ones - b'0');
        let (hour, minute) = (number(h1, h2), number(m1, m2));
        let minutes = hour * 60 + minute;
        if minute < 60 && minutes <= MINUTES_A_DAY {
            Ok(Self { minutes })
        } else {
            Err(BadSchedule::Time)
        }
    }
}

impl WallTime {
    /// Minutes after midnight: 0 to 1440.
    #[must_use]
    pub fn minutes(self) -> u16 {
        self.minutes
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

/// One window of a week: the days on which it begins, and from when to when it lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenWindow", into = "WrittenWindow")]
pub struct Window {
    days: Vec<Weekday>,
    pub(super) from: WallTime,
    pub(super) to: WallTime,
}

impl Window {
    /// The window that begins at `from` on each of `days` and ends at the next `to`: on the next day where `to` is not
    /// later than `from`.
    ///
    /// # Errors
    /// [`BadSchedule::Days`], [`BadSchedule::EmptyWindow`], or [`BadSchedule::Time`] where `from` is `24:00`.
    pub fn new(days: Vec<Weekday>, from: WallTime, to: WallTime) -> Result<Self, BadSchedule> {
        if days.is_empty() || has_doubles(&days) {
            return Err(BadSchedule::Days);
        }
        if from.minutes == MINUTES_A_DAY {
            return Err(BadSchedule::Time);
        }
        if from == to {
            return Err(BadSchedule::EmptyWindow);
        }
        Ok(Self { days, from, to })
    }

    /// The days on which it begins.
    #[must_use]
    pub fn days(&self) -> &[Weekday] {
        &self.days
    }

    /// When it begins.
    #[must_use]
    pub fn from(&self) -> WallTime {
        self.from
    }

    /// When it ends, exclusive.
    #[must_use]
    pub fn to(&self) -> WallTime {
        self.to
    }

    /// The end in minutes after the midnight that the day of the beginning starts with.
    pub(super) fn end_minute(&self) -> u16 {
        if self.to > self.from {
            self.to.minutes
        } else {
            self.to.minutes + MINUTES_A_DAY
        }
    }

    /// Whether it lasts at `minute` after the midnight that the day of the beginning starts with.
    pub(super) fn covers(&self, minute: u16) -> bool {
        (self.from.minutes..self.end_minute()).contains(&minute)
    }

    /// The instants from which the wall clock reads inside the window that begins on `date`: one on most days, none where
    /// it lies in a missing hour, two where a doubled hour interrupts it. A change of the zone's rules that keeps the
    /// offset may add one in the middle.
    pub(super) fn openings(&self, date: Date, zone: &TimeZone) -> Vec<Timestamp> {
        // The readings as if the wall clock showed UTC; an instant is its reading minus the offset.
        let Ok(midnight) = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)) else {
            return Vec::new();
        };
        let reading = |minute: u16| midnight.as_millisecond() + i64::from(minute) * 60_000;
        let (first, end) = (reading(self.from.minutes), reading(self.end_minute()));

        let mut openings = Vec::new();
        let mut since = first - WIDEST_OFFSET_MS;
        let mut offset = zone.rules().to_offset(as_jiff(since));
        let mut changes = zone.rules().following(as_jiff(since));
        loop {
            let change = changes
                .next()
                .filter(|change| change.timestamp().as_millisecond() < end + WIDEST_OFFSET_MS);
            let until = change
                .as_ref()
                .map_or(i64::MAX, |change| change.timestamp().as_millisecond());
            let ahead_ms = i64::from(offset.seconds()) * 1000;
            let (opens, closes) = (since.max(first - ahead_ms), until.min(end - ahead_ms));
            if opens < closes {
                openings.push(Timestamp::from_millis(opens));
            }
            let Some(change) = change else { return openings };
            (since, offset) = (until, change.offset());
        }
    }
}

/// No zone is further from UTC than this: 26 hours, in milliseconds.
const WIDEST_OFFSET_MS: i64 = 26 * 3_600_000;

/// The instant this many milliseconds after the epoch, in the calendar's own type; unlike [`Timestamp`] it may lie
/// before 1970, which a search that starts a day early needs.
fn as_jiff(ms: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// A window as it stands in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWindow {
    days: Vec<Weekday>,
    from: String,
    to: String,
}

impl TryFrom<WrittenWindow> for Window {
    type Error = BadSchedule;

    fn try_from(written: WrittenWindow) -> Result<Self, BadSchedule> {
        Self::new(written.days, written.from.parse()?, written.to.parse()?)
    }
}

impl From<Window> for WrittenWindow {
    fn from(window: Window) -> Self {
        Self {
            from: window.from.to_string(),
            to: window.to.to_string(),
            days: window.days,
        }
    }
}
