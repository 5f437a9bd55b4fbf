//! Whether one schedule lies within another.
//!
//! What is open is decided by what the wall clock reads, a date and a minute, so the question is one about readings: it
//! has one answer for every zone and every change of a clock.

use std::collections::BTreeSet;
use std::ops::Range;

use jiff::civil::Date;

use super::Schedule;
use super::window::{MINUTES_A_DAY, Weekday, Window};

/// Minutes of one day, each from its first to before its last.
type Minutes = Vec<Range<u16>>;

impl Schedule {
    /// Whether `outer` is open whenever this one is, in any zone. Of windows that exceptions keep from ever opening it
    /// is asked too.
    #[must_use]
    pub fn is_within(&self, outer: &Self) -> bool {
        let days = [
            Weekday::Mon,
            Weekday::Tue,
            Weekday::Wed,
            Weekday::Thu,
            Weekday::Fri,
            Weekday::Sat,
            Weekday::Sun,
        ];
        let ordinary = days.iter().enumerate().all(|(number, today)| {
            let yesterday = days[(number + 6) % 7];
            covers(
                &outer.minutes(Some(*today), Some(yesterday)),
                &self.minutes(Some(*today), Some(yesterday)),
            )
        });
        // An exception changes its own date and the morning after it.
        let dates: BTreeSet<Date> = (self.except.iter().chain(&outer.except))
            .flat_map(|date| [Some(*date), date.tomorrow().ok()])
            .flatten()
            .collect();
        ordinary
            && dates.into_iter().all(|date| {
                let begins =
                    |schedule: &Self, date: Date| (!schedule.except.contains(&date)).then(|| Weekday::of(date));
                let minutes = |schedule: &Self| {
                    let yesterday = date.yesterday().ok();
                    schedule.minutes(
                        begins(schedule, date),
                        yesterday.and_then(|yesterday| begins(schedule, yesterday)),
                    )
                };
                covers(&minutes(outer), &minutes(self))
            })
    }

    /// The minutes at which it is open on a day on which the windows of `today` begin, after one on which those of
    /// `yesterday` did; `None` where none begins.
    fn minutes(&self, today: Option<Weekday>, yesterday: Option<Weekday>) -> Minutes {
        let beginning = |day: Option<Weekday>| {
            let windows = self.weekly.iter();
            windows.filter(move |window| day.is_some_and(|day| window.days().contains(&day)))
        };
        let whole = |window: &Window| window.from().minutes()..window.end_minute();
        let until_midnight = beginning(today).map(|window| {
            let Range { start, end } = whole(window);
            start..end.min(MINUTES_A_DAY)
        });
        let after_midnight = beginning(yesterday).map(|window| 0..whole(window).end.saturating_sub(MINUTES_A_DAY));
        until_midnight
            .chain(after_midnight)
            .filter(|range| !range.is_empty())
            .collect()
    }
}

/// Whether all of `inner` lies in `outer` taken together.
fn covers(outer: &Minutes, inner: &Minutes) -> bool {
    let mut sorted = outer.clone();
    sorted.sort_unstable_by_key(|range| range.start);
    inner.iter().all(|range| {
        let reached = sorted.iter().fold(range.start, |reached, part| {
            if part.start <= reached {
                reached.max(part.end)
            } else {
                reached
            }
        });
        reached >= range.end
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(weekly: &str, except: &str) -> Schedule {
        serde_json::from_str(&format!(r#"{{"weekly":[{weekly}],"except":[{except}]}}"#)).unwrap()
    }

    #[test]
    fn a_schedule_within_another() {
        let window = |days: &str, from: &str, to: &str| format!(r#"{{"days":[{days}],"from":"{from}","to":"{to}"}}"#);
        let mon = r#""mon""#;
        let whole = window(mon, "09:00", "17:00");
        let whole_week = window(r#""mon","tue","wed","thu","fri","sat","sun""#, "00:00", "24:00");
        let night = window(mon, "22:00", "06:00");
        let (two_halves, with_a_hole) = (
            [window(mon, "09:00", "13:00"), window(mon, "13:00", "17:00")].join(","),
            [window(mon, "09:00", "13:00"), window(mon, "13:01", "17:00")].join(","),
        );
        for (what, inner, except, outer, outer_except, is_within) in [
            ("itself", &whole, "", &whole, "", true),
            ("a part", &window(mon, "10:00", "11:00"), "", &whole, "", true),
            (
                "a minute too early",
                &window(mon, "08:59", "11:00"),
                "",
                &whole,
                "",
                false,
            ),
            (
                "a minute too late",
                &window(mon, "10:00", "17:01"),
                "",
                &whole,
                "",
                false,
            ),
            (
                "another day",
                &window(r#""tue""#, "10:00", "11:00"),
                "",
                &whole,
                "",
                false,
            ),
            (
                "a day more",
                &window(r#""mon","tue""#, "10:00", "11:00"),
                "",
                &whole,
                "",
                false,
            ),
            ("in two halves", &whole, "", &two_halves, "", true),
            ("over a hole", &whole, "", &with_a_hole, "", false),
            ("over midnight", &night, "", &night, "", true),
            (
                "the morning of a night",
                &window(r#""tue""#, "00:00", "06:00"),
                "",
                &night,
                "",
                true,
            ),
            (
                "the morning of another",
                &window(mon, "00:00", "06:00"),
                "",
                &night,
                "",
                false,
            ),
            ("over midnight in the whole week", &night, "", &whole_week, "", true),
            // 2026-03-09 was a Monday.
            ("not excepted", &whole, "", &whole, r#""2026-03-09""#, false),
            (
                "excepted too",
                &whole,
                r#""2026-03-09""#,
                &whole,
                r#""2026-03-09""#,
                true,
            ),
            ("excepted more", &whole, r#""2026-03-09""#, &whole, "", true),
            (
                "an exception on another day",
                &whole,
                "",
                &whole,
                r#""2026-03-10""#,
                true,
            ),
            (
                "the morning after an excepted evening",
                &window(r#""tue""#, "01:00", "02:00"),
                "",
                &night,
                r#""2026-03-09""#,
                false,
            ),
            (
                "its own morning is excepted",
                &night,
                r#""2026-03-09""#,
                &night,
                r#""2026-03-09""#,
                true,
            ),
            (
                "the morning goes on into an exception",
                &night,
                "",
                &whole_week,
                r#""2026-03-10""#,
                false,
            ),
        ] {
            let (inner, outer) = (schedule(inner, except), schedule(outer, outer_except));
            assert_eq!(inner.is_within(&outer), is_within, "{what}");
        }
    }
}
