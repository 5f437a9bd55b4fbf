//! Weekly schedules: on which days, from when to when, a right is in force, by the clock on the wall of the property.
//!
//! **One rule decides everything: a schedule is open exactly while the wall clock reads inside one of its windows.**
//! A clock change moves the reading, never the window, so that no door is ever open at a time of day that the window
//! does not name. From this follows, for a window `from`..`to`:
//!
//! - *The hour that is missing* (clocks go forward): a wall time that does not exist means the first instant after the
//!   gap, for `from` and for `to`. A window that lies inside the gap does not happen that day.
//! - *The hour that comes twice* (clocks go back): `from` means its first occurrence and `to` its second; what the wall
//!   clock reads twice is open twice. Where the reading leaves the window and comes back (`01:00`..`02:30`, and three
//!   o'clock becomes two), the window pauses for that while: it is not bridged, which would open the door at 02:45.
//! - *Over midnight* (`to` not later than `from`): the window belongs to the day on which it begins. An excepted day is
//!   one on which no window begins; a window that began the evening before goes on into it until its end.
//!
//! The start is inclusive, the end exclusive, as everywhere.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

use super::time::{TimeZone, Timestamp};

const MINUTES_A_DAY: u16 = 24 * 60;

/// What is wrong with a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSchedule {
    /// A text is not a time of day.
    #[error("expected a time of day such as 09:30, from 00:00 to 23:59; an end may also be 24:00")]
    Time,
    /// `from` and `to` are the same.
    #[error("a window must not begin and end at the same time; the whole day is 00:00 to 24:00")]
    EmptyWindow,
    /// A window without a day, or with a day twice.
    #[error("a window needs at least one day, and each day once")]
    Days,
    /// No window, or more than [`Schedule::MAX_WINDOWS`].
    #[error("a schedule needs 1 to {} windows", Schedule::MAX_WINDOWS)]
    Windows,
    /// A text is not a date.
    #[error("expected a date such as 2026-12-24")]
    Date,
    /// More than [`Schedule::MAX_EXCEPTIONS`] exceptions, or one of them twice.
    #[error("a schedule has at most {} exceptions, and each date once", Schedule::MAX_EXCEPTIONS)]
    Exceptions,
}

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
    /// The week, from Monday.
    pub const ALL: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];

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
    minutes: u16,
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
    from: WallTime,
    to: WallTime,
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

    /// When it ends; on the next day where this is not later than [`Self::from`].
    #[must_use]
    pub fn to(&self) -> WallTime {
        self.to
    }

    /// The end in minutes after the midnight that the day of the beginning starts with.
    fn end_minute(&self) -> u16 {
        if self.to > self.from {
            self.to.minutes
        } else {
            self.to.minutes + MINUTES_A_DAY
        }
    }

    /// Whether it lasts at `minute` after the midnight that the day of the beginning starts with.
    fn covers(&self, minute: u16) -> bool {
        (self.from.minutes..self.end_minute()).contains(&minute)
    }

    /// The spans of instants in which the wall clock reads inside the window that begins on `date`: one on most days,
    /// none where it lies in a missing hour, two where a doubled hour interrupts it. A change of the zone's rules that
    /// keeps the offset may also cut a span into two that touch.
    fn spans(&self, date: Date, zone: &TimeZone) -> Vec<Span> {
        // The readings as if the wall clock showed UTC; an instant is its reading minus the offset.
        let Ok(midnight) = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)) else {
            return Vec::new();
        };
        let reading = |minute: u16| midnight.as_millisecond() + i64::from(minute) * 60_000;
        let (first, end) = (reading(self.from.minutes), reading(self.end_minute()));

        let mut spans = Vec::new();
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
                spans.push(Span {
                    opens: Timestamp::from_millis(opens),
                    closes: Timestamp::from_millis(closes),
                });
            }
            let Some(change) = change else { return spans };
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

/// From an instant to an instant, the end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    opens: Timestamp,
    closes: Timestamp,
}

/// Windows that come every week, and the dates on which none of them begins. What opens when is said at the top of
/// this file; where windows overlap, it is open while any of them is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenSchedule", into = "WrittenSchedule")]
pub struct Schedule {
    weekly: Vec<Window>,
    except: Vec<Date>,
}

impl Schedule {
    /// How many windows a schedule may have.
    pub const MAX_WINDOWS: usize = 50;
    /// How many exceptions a schedule may have: every day of a leap year.
    pub const MAX_EXCEPTIONS: usize = 366;
    /// How many days [`Self::next_opening`] looks ahead: a year of exceptions, and a month after it.
    pub const LOOK_AHEAD_DAYS: u16 = 400;
    /// How far [`Self::closes_at`] looks ahead. The week repeats: what stays open so long closes for an exception only.
    pub const CLOSING_LOOK_AHEAD: Duration = Duration::from_secs(8 * 24 * 3600);

    /// The schedule of these windows, except on these dates.
    ///
    /// # Errors
    /// [`BadSchedule::Windows`], [`BadSchedule::Exceptions`].
    pub fn new(weekly: Vec<Window>, except: Vec<Date>) -> Result<Self, BadSchedule> {
        if weekly.is_empty() || weekly.len() > Self::MAX_WINDOWS {
            return Err(BadSchedule::Windows);
        }
        if except.len() > Self::MAX_EXCEPTIONS || has_doubles(&except) {
            return Err(BadSchedule::Exceptions);
        }
        Ok(Self { weekly, except })
    }

    /// The windows of a week, as they were given.
    #[must_use]
    pub fn weekly(&self) -> &[Window] {
        &self.weekly
    }

    /// The dates on which no window begins, as they were given.
    #[must_use]
    pub fn except(&self) -> &[Date] {
        &self.except
    }

    /// Whether the wall clock of `zone` reads inside a window at `now`.
    #[must_use]
    pub fn is_open(&self, zone: &TimeZone, now: Timestamp) -> bool {
        let wall = zone.rules().to_datetime(now.to_jiff());
        let minute = u16::from(wall.hour().unsigned_abs()) * 60 + u16::from(wall.minute().unsigned_abs());
        self.beginning_on(wall.date()).any(|window| window.covers(minute))
            || (wall.date().yesterday()).is_ok_and(|date| {
                self.beginning_on(date)
                    .any(|window| window.covers(minute + MINUTES_A_DAY))
            })
    }

    /// The first instant from `after` on, `after` included, at which it is open; `None` where none comes within
    /// [`Self::LOOK_AHEAD_DAYS`].
    #[must_use]
    pub fn next_opening(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        if self.is_open(zone, after) {
            return Some(after);
        }
        let mut soonest: Option<Timestamp> = None;
        for date in self.days_around(zone, after, Self::LOOK_AHEAD_DAYS) {
            let of_the_day = self
                .spans(date, zone)
                .map(|span| span.opens)
                .filter(|opens| *opens > after)
                .min();
            // Clocks that go back over midnight make a date come again: the next day's first opening may be sooner.
            if soonest.is_some() {
                return soonest.into_iter().chain(of_the_day).min();
            }
            soonest = of_the_day;
        }
        soonest
    }

    /// When the opening that `now` is in ends; `None` where it is closed at `now`, and where it stays open for longer
    /// than [`Self::CLOSING_LOOK_AHEAD`].
    #[must_use]
    pub fn closes_at(&self, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        if !self.is_open(zone, now) {
            return None;
        }
        let mut end = now;
        while end.since(now) <= Self::CLOSING_LOOK_AHEAD {
            let goes_on = (self.days_around(zone, end, 1).flat_map(|date| self.spans(date, zone)))
                .filter(|span| span.opens <= end && end < span.closes)
                .map(|span| span.closes)
                .max();
            match goes_on {
                Some(later) => end = later,
                None => return Some(end),
            }
        }
        None
    }

    /// The windows that begin on `date`.
    fn beginning_on(&self, date: Date) -> impl Iterator<Item = &Window> {
        let windows = if self.except.contains(&date) {
            &[]
        } else {
            self.weekly.as_slice()
        };
        let day = Weekday::of(date);
        windows.iter().filter(move |window| window.days.contains(&day))
    }

    /// The spans of the windows that begin on `date`.
    fn spans(&self, date: Date, zone: &TimeZone) -> impl Iterator<Item = Span> {
        self.beginning_on(date).flat_map(move |window| window.spans(date, zone))
    }

    /// The dates from two days before `at` (a window over midnight, and a clock that goes back over midnight while it
    /// lasts) to `ahead` days after it.
    fn days_around(&self, zone: &TimeZone, at: Timestamp, ahead: u16) -> impl Iterator<Item = Date> + use<> {
        let today = zone.rules().to_datetime(at.to_jiff()).date();
        (-2..=i32::from(ahead)).filter_map(move |days| today.checked_add(jiff::Span::new().days(days)).ok())
    }
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

/// A schedule as it stands in JSON, in a request and in the store.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSchedule {
    weekly: Vec<Window>,
    #[serde(default)]
    except: Vec<String>,
}

impl TryFrom<WrittenSchedule> for Schedule {
    type Error = BadSchedule;

    fn try_from(written: WrittenSchedule) -> Result<Self, BadSchedule> {
        let except = written
            .except
            .iter()
            .map(|text| read_date(text))
            .collect::<Result<_, _>>()?;
        Self::new(written.weekly, except)
    }
}

impl From<Schedule> for WrittenSchedule {
    fn from(schedule: Schedule) -> Self {
        Self {
            except: schedule.except.iter().map(Date::to_string).collect(),
            weekly: schedule.weekly,
        }
    }
}

/// The date `YYYY-MM-DD`, and nothing else of what the calendar's parser would take.
fn read_date(text: &str) -> Result<Date, BadSchedule> {
    let date: Date = text.parse().map_err(|_| BadSchedule::Date)?;
    if date.to_string() == text {
        Ok(date)
    } else {
        Err(BadSchedule::Date)
    }
}

fn has_doubles<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().any(|(i, item)| items[..i].contains(item))
}

#[cfg(test)]
mod tests;
