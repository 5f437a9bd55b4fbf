//! Schedules and zones in the words of a lock, which has no calendar of zones (`docs/PROTOCOL.md`, "Schedules").

use doorward_lock::wire::{self, Zone, ZoneChange};
use jiff::civil::Date;

use crate::domain::schedule::{Schedule, Window};
use crate::domain::time::{TimeZone, Timestamp};

/// The wall clock of `zone` from `since` on: its offset then, and the changes that follow, as many as a lock takes.
#[must_use]
pub fn zone_for_lock(zone: &TimeZone, since: Timestamp) -> Zone {
    let rules = zone.rules();
    let mut changes = Zone::new();
    let first = ZoneChange {
        at: since.as_seconds(),
        offset: rules.to_offset(since.to_jiff()).seconds(),
    };
    let following = rules.following(since.to_jiff()).filter_map(|change| {
        Some(ZoneChange {
            at: u64::try_from(change.timestamp().as_second()).ok()?,
            offset: change.offset().seconds(),
        })
    });
    for change in std::iter::once(first).chain(following) {
        // A change of the rules that keeps the offset is none to a wall clock.
        if changes.last().is_some_and(|last| last.offset == change.offset) {
            continue;
        }
        if changes.push(change).is_err() {
            break;
        }
    }
    changes
}

/// `schedule` as it counts from `since` to `until`, with the exceptions of that time alone; `None` where it has more
/// windows or exceptions than a lock takes.
#[must_use]
pub fn schedule_for_lock(schedule: &Schedule, since: Timestamp, until: Option<Timestamp>) -> Option<wire::Schedule> {
    let mut written = wire::Schedule {
        weekly: heapless::Vec::new(),
        except: heapless::Vec::new(),
    };
    for window in schedule.weekly() {
        written.weekly.push(window_for_lock(window)).ok()?;
    }
    // Two days more on each side: any zone, and a window that began the evening before.
    let first = day_of(since).saturating_sub(2);
    let last = until.map_or(u32::MAX, |until| day_of(until).saturating_add(2));
    for date in schedule.except() {
        if let Some(day) = day_number(*date).filter(|day| (first..=last).contains(day)) {
            written.except.push(day).ok()?;
        }
    }
    Some(written)
}

fn window_for_lock(window: &Window) -> wire::Window {
    let days = window.days().iter().fold(0, |days, day| days | 1 << (*day as u8));
    wire::Window {
        days,
        from: window.from().minutes(),
        to: window.to().minutes(),
    }
}

fn day_of(at: Timestamp) -> u32 {
    u32::try_from(at.as_seconds() / 86_400).unwrap_or(u32::MAX)
}

/// Days since 1970-01-01; `None` for a date before it.
fn day_number(date: Date) -> Option<u32> {
    let days = date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24;
    u32::try_from(days).ok()
}

#[cfg(test)]
mod tests {
    use doorward_lock::schedule::{WallClock, is_open};
    use proptest::prelude::*;

    use super::*;

    fn schedules() -> impl Strategy<Value = Schedule> {
        let days = prop::sample::subsequence(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"], 1..=7);
        let time = |last: u32| (0..=last).prop_map(|minute| format!("{:02}:{:02}", minute / 60, minute % 60));
        let window = (days, time(1439), time(1440)).prop_filter_map("not empty", |(days, from, to)| {
            (from != to).then(|| serde_json::json!({ "days": days, "from": from, "to": to }))
        });
        let dates = prop::collection::btree_set(20_000..20_400_i64, 0..14).prop_map(|days| {
            let date = |day| jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(day);
            days.into_iter().map(|day| date(day).to_string()).collect::<Vec<_>>()
        });
        (prop::collection::vec(window, 1..5), dates).prop_map(|(weekly, except)| {
            serde_json::from_value(serde_json::json!({ "weekly": weekly, "except": except })).unwrap()
        })
    }

    fn zones() -> impl Strategy<Value = TimeZone> {
        let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        prop::sample::select(names).prop_filter_map("a zone of ours", |name| name.parse().ok())
    }

    proptest! {
        #[test]
        fn a_lock_reads_any_schedule_in_any_zone_like_the_backend(
            schedule in schedules(),
            zone in zones(),
            since in 20_000 * 86_400_u64..20_200 * 86_400,
            later in 0..200 * 86_400_u64,
        ) {
            let (since, at) = (Timestamp::from_seconds(since), Timestamp::from_seconds(since + later));
            let written = schedule_for_lock(&schedule, since, Some(Timestamp::from_seconds(20_400 * 86_400))).unwrap();
            prop_assert!(written.is_whole());
            let changes = zone_for_lock(&zone, since);
            prop_assert!(wire::is_zone(&changes));
            let wall = WallClock::read(&changes, at.as_seconds());
            prop_assert_eq!(is_open(&written, wall), schedule.is_open(&zone, at));
        }
    }

    #[test]
    fn only_the_exceptions_of_its_life_travel() {
        let dates: Vec<String> = (1..=300)
            .map(|day| (jiff::civil::date(2026, 1, 1) + jiff::Span::new().days(day)).to_string())
            .collect();
        let schedule: Schedule = serde_json::from_value(serde_json::json!({
            "weekly": [{ "days": ["mon"], "from": "09:00", "to": "10:00" }], "except": dates,
        }))
        .unwrap();
        let since = Timestamp::from_seconds(1_772_442_000);
        let week = since + std::time::Duration::from_secs(7 * 86_400);
        let written = schedule_for_lock(&schedule, since, Some(week)).unwrap();
        assert_eq!(written.except.len(), 12);
        assert_eq!(schedule_for_lock(&schedule, since, None), None);
    }
}
