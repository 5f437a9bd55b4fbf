//! The days for which a computed code counts: whole days by the wall clock of the property, none of them outside the right
//! that the code is given by.

use jiff::civil::Date;

use crate::domain::time::{TimeZone, Timestamp};

/// How many days a computed code may count, the longest first (`docs/PROTOCOL.md`, "PINs").
pub const CODE_DAYS: [u8; 4] = [7, 3, 2, 1];

/// When a computed code counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeDays {
    /// The first day, in days since 1970-01-01 by the wall clock of the property.
    pub first_day: u32,
    /// How many days.
    pub days: u8,
    /// When the first day begins.
    pub starts_at: Timestamp,
    /// When the first day ends: used for the first time later, the code is refused.
    pub first_use_before: Timestamp,
    /// When the last day ends.
    pub ends_at: Timestamp,
}

/// The days of a code given at `now` by a right from `starts_at` to `ends_at`: from the first day that lies within the right
/// or, where the right has begun, from today; as many as end within it. `None` where not one does.
#[must_use]
pub fn code_days(
    starts_at: Timestamp,
    ends_at: Option<Timestamp>,
    zone: &TimeZone,
    now: Timestamp,
) -> Option<CodeDays> {
    let begins = now.max(starts_at);
    let today = zone.rules().to_datetime(begins.to_jiff()).date();
    let has_begun = starts_at <= now;
    let first = if has_begun || midnight(today, zone)?.0 >= starts_at {
        today
    } else {
        today.tomorrow().ok()?
    };
    let first_day = u32::try_from(first.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24).ok()?;
    CODE_DAYS.into_iter().find_map(|days| {
        let day_after = |days: u8| first.checked_add(jiff::Span::new().days(i64::from(days))).ok();
        let over = midnight(day_after(days)?, zone)?.1;
        (ends_at.is_none_or(|end| over <= end)).then_some(CodeDays {
            first_day,
            days,
            starts_at: midnight(first, zone)?.0,
            first_use_before: midnight(day_after(1)?, zone)?.1,
            ends_at: over,
        })
    })
}

/// The first instant at which the wall clock may read `date`, and the last at which it may still read the day before: the
/// same, but where the clock changes at midnight.
fn midnight(date: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let midnight = zone.rules().to_ambiguous_timestamp(date.at(0, 0, 0, 0));
    let instant = |at: Result<jiff::Timestamp, jiff::Error>| Some(Timestamp::from_millis(at.ok()?.as_millisecond()));
    Some((instant(midnight.earlier())?, instant(midnight.later())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_code_never_counts_outside_its_right() {
        let vienna: TimeZone = "Europe/Vienna".parse().unwrap();
        let now = "2026-03-02T09:00:00+01:00";
        for (what, starts, ends, now, expected) in [
            (
                "begun, without an end",
                "2026-03-01T00:00:00+01:00",
                None,
                now,
                Some(("2026-03-01T23:00:00Z", 7)),
            ),
            (
                "begun, three days and a bit",
                "2026-03-01T00:00:00+01:00",
                Some("2026-03-05T11:00:00+01:00"),
                now,
                Some(("2026-03-01T23:00:00Z", 3)),
            ),
            (
                "ends at midnight",
                "2026-03-01T00:00:00+01:00",
                Some("2026-03-04T00:00:00+01:00"),
                now,
                Some(("2026-03-01T23:00:00Z", 2)),
            ),
            (
                "a millisecond less",
                "2026-03-01T00:00:00+01:00",
                Some("2026-03-03T23:59:59.999+01:00"),
                now,
                Some(("2026-03-01T23:00:00Z", 1)),
            ),
            (
                "ends today",
                "2026-03-01T00:00:00+01:00",
                Some("2026-03-02T20:00:00+01:00"),
                now,
                None,
            ),
            (
                "begins this afternoon: from tomorrow",
                "2026-03-02T15:00:00+01:00",
                Some("2026-03-04T11:00:00+01:00"),
                now,
                Some(("2026-03-02T23:00:00Z", 1)),
            ),
            (
                "the same, asked in the afternoon: from today",
                "2026-03-02T15:00:00+01:00",
                Some("2026-03-04T11:00:00+01:00"),
                "2026-03-02T15:00:00+01:00",
                Some(("2026-03-01T23:00:00Z", 2)),
            ),
            (
                "begins at midnight",
                "2026-03-03T00:00:00+01:00",
                None,
                now,
                Some(("2026-03-02T23:00:00Z", 7)),
            ),
            (
                "over the change of the clocks",
                "2026-03-28T00:00:00+01:00",
                Some("2026-03-30T00:00:00+02:00"),
                now,
                Some(("2026-03-27T23:00:00Z", 2)),
            ),
        ] {
            let days = code_days(at(starts), ends.map(at), &vienna, at(now));
            let told = days.map(|days| (days.starts_at, days.days));
            assert_eq!(told, expected.map(|(starts, days)| (at(starts), days)), "{what}");
            if let Some(days) = days {
                assert!(ends.is_none_or(|end| days.ends_at <= at(end)), "{what}");
                assert!(days.starts_at >= at(starts) || at(now) >= at(starts), "{what}");
            }
        }
    }

    #[test]
    fn days_are_those_of_the_property() {
        let begun = at("2026-01-01T00:00:00Z");
        let now = at("2026-03-02T12:00:00Z");
        for (zone, first_day, starts) in [
            ("UTC", 20_514, "2026-03-02T00:00:00Z"),
            ("Pacific/Kiritimati", 20_515, "2026-03-02T10:00:00Z"),
            ("Pacific/Niue", 20_514, "2026-03-02T11:00:00Z"),
        ] {
            let days = code_days(begun, None, &zone.parse().unwrap(), now).unwrap();
            assert_eq!((days.first_day, days.starts_at), (first_day, at(starts)), "{zone}");
        }
    }
}
