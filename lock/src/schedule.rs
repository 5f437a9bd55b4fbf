//! Whether a door's wall clock reads inside a schedule, without a calendar and without a database of zones.

use crate::wire::{MINUTES_A_DAY, Schedule, Window, ZoneChange};

const SECONDS_A_DAY: i64 = 24 * 3_600;

/// What a wall clock reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    /// Days since 1970-01-01.
    pub day: u32,
    /// Minutes since midnight.
    pub minute: u16,
}

impl WallClock {
    /// What the wall clock of `zone` reads at `now`, in seconds since 1970-01-01T00:00:00Z; UTC where no change is known.
    /// Before 1970 by the wall it reads the first minute of 1970.
    #[must_use]
    pub fn read(zone: &[ZoneChange], now: u64) -> Self {
        let known = zone.iter().rev().find(|change| change.at <= now).or(zone.first());
        let offset = known.map_or(0, |change| i64::from(change.offset));
        let local = i64::try_from(now).unwrap_or(i64::MAX).saturating_add(offset).max(0);
        Self {
            day: u32::try_from(local / SECONDS_A_DAY).unwrap_or(u32::MAX),
            minute: u16::try_from(local % SECONDS_A_DAY / 60).unwrap_or(0),
        }
    }
}

/// Whether `schedule` is open while the wall clock reads `wall`: inside a window that began today, or yesterday over
/// midnight.
#[must_use]
pub fn is_open(schedule: &Schedule, wall: WallClock) -> bool {
    let covered = |day: u32, minute: u16| {
        !schedule.except.contains(&day)
            && schedule
                .weekly
                .iter()
                .any(|window| begins_on(window, day) && (window.from..end(window)).contains(&minute))
    };
    covered(wall.day, wall.minute)
        || (wall.day.checked_sub(1)).is_some_and(|yesterday| covered(yesterday, wall.minute + MINUTES_A_DAY))
}

/// Whether the window begins on this day. 1970-01-01 was a Thursday, and bit 0 stands for Monday.
fn begins_on(window: &Window, day: u32) -> bool {
    window.days & (1 << ((day + 3) % 7)) != 0
}

/// The window's end in minutes after the midnight that the day of its beginning starts with.
fn end(window: &Window) -> u16 {
    if window.to > window.from {
        window.to
    } else {
        window.to + MINUTES_A_DAY
    }
}

#[cfg(test)]
mod tests {
    use heapless::Vec;

    use super::*;

    /// 2026-03-02, a Monday, as days since 1970-01-01.
    const MONDAY: u32 = 20_514;

    fn weekly(days: u8, from: u16, to: u16) -> Schedule {
        Schedule {
            weekly: Vec::from_slice(&[Window { days, from, to }]).unwrap(),
            except: Vec::new(),
        }
    }

    #[test]
    fn a_window_is_open_from_its_first_minute_to_before_its_last() {
        let day = weekly(0b000_0001, 540, 1020);
        let night = weekly(0b000_0001, 1320, 360);
        let whole = weekly(0b000_0001, 0, 1440);
        for (schedule, day, minute, open) in [
            (&day, MONDAY, 539, false),
            (&day, MONDAY, 540, true),
            (&day, MONDAY, 1019, true),
            (&day, MONDAY, 1020, false),
            (&day, MONDAY + 1, 600, false),
            (&day, MONDAY + 7, 600, true),
            (&night, MONDAY, 100, false),
            (&night, MONDAY, 1320, true),
            (&night, MONDAY + 1, 359, true),
            (&night, MONDAY + 1, 360, false),
            (&night, MONDAY + 1, 1320, false),
            (&whole, MONDAY, 0, true),
            (&whole, MONDAY, 1439, true),
            (&whole, MONDAY + 1, 0, false),
        ] {
            assert_eq!(
                is_open(schedule, WallClock { day, minute }),
                open,
                "{schedule:?} {day} {minute}"
            );
        }
    }

    #[test]
    fn no_window_begins_on_an_excepted_day_and_one_goes_on_into_it() {
        let mut night = weekly(0b000_0011, 1320, 360);
        night.except.push(MONDAY + 1).unwrap();
        for (day, minute, open) in [
            (MONDAY + 1, 100, true),
            (MONDAY + 1, 1320, false),
            (MONDAY + 2, 100, false),
        ] {
            assert_eq!(is_open(&night, WallClock { day, minute }), open, "{day} {minute}");
        }
    }

    #[test]
    fn the_wall_clock_follows_its_zone() {
        let zone = [
            ZoneChange {
                at: 1_000_000,
                offset: 3_600,
            },
            ZoneChange {
                at: 2_000_000,
                offset: -7_200,
            },
        ];
        let at = |seconds: u64| (seconds / 86_400, seconds % 86_400 / 60);
        for (zone, now, wall) in [
            (&[][..], 90_000, 90_000),
            (&zone, 90_000, 93_600),
            (&zone, 1_999_999, 2_003_599),
            (&zone, 2_000_000, 1_992_800),
        ] {
            let (day, minute) = at(wall);
            let read = WallClock::read(zone, now);
            assert_eq!((u64::from(read.day), u64::from(read.minute)), (day, minute), "{now}");
        }
        let west = [ZoneChange { at: 0, offset: -3_600 }];
        assert_eq!(WallClock::read(&west, 0), WallClock { day: 0, minute: 0 });
    }
}
