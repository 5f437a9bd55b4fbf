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

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::time::{TimeZone, Timestamp};

mod window;
mod within;

use window::MINUTES_A_DAY;
pub use window::{WallTime, Weekday, Window};

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

    /// The windows.
    #[must_use]
    pub fn weekly(&self) -> &[Window] {
        &self.weekly
    }

    /// The dates on which no window begins.
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
            let of_the_day = self.openings(date, zone).filter(|opens| *opens > after).min();
            // Clocks that go back over midnight make a date come again: the next day's first opening may be sooner.
            if soonest.is_some() {
                return soonest.into_iter().chain(of_the_day).min();
            }
            soonest = of_the_day;
        }
        soonest
    }

    /// The windows that begin on `date`.
    fn beginning_on(&self, date: Date) -> impl Iterator<Item = &Window> {
        let windows = if self.except.contains(&date) {
            &[]
        } else {
            self.weekly.as_slice()
        };
        let day = Weekday::of(date);
        windows.iter().filter(move |window| window.days().contains(&day))
    }

    /// When the windows that begin on `date` open.
    fn openings(&self, date: Date, zone: &TimeZone) -> impl Iterator<Item = Timestamp> {
        self.beginning_on(date)
            .flat_map(move |window| window.openings(date, zone))
    }

    /// The dates from two days before `at` (a window over midnight, and a clock that goes back over midnight while it
    /// lasts) to `ahead` days after it.
    fn days_around(&self, zone: &TimeZone, at: Timestamp, ahead: u16) -> impl Iterator<Item = Date> + use<> {
        let today = zone.rules().to_datetime(at.to_jiff()).date();
        (-2..=i32::from(ahead)).filter_map(move |days| today.checked_add(jiff::Span::new().days(days)).ok())
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
