//! Sentences about any schedule, in any zone, at any instant.

use proptest::prelude::*;

use super::*;

fn windows() -> impl Strategy<Value = Window> {
    let days = prop::sample::subsequence(WEEK.to_vec(), 1..=7).prop_shuffle();
    (days, 0..1440_u16, 0..=1440_u16).prop_filter_map("a window is not empty", |(days, from, to)| {
        Window::new(days, WallTime { minutes: from }, WallTime { minutes: to }).ok()
    })
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let dates = prop::collection::hash_set((0..40_000_i32).prop_map(nth_date), 0..20);
    (prop::collection::vec(windows(), 1..5), dates)
        .prop_map(|(weekly, except)| Schedule::new(weekly, except.into_iter().collect()).unwrap())
}

/// The date this many days after 1970-01-01.
fn nth_date(days: i32) -> Date {
    jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(days)
}

fn zones() -> impl Strategy<Value = TimeZone> {
    let names = jiff::tz::db().available().map(|name| name.to_string());
    let names: Vec<_> = names.filter(|name| name.parse::<TimeZone>().is_ok()).collect();
    prop::sample::select(names).prop_map(|name| zone(&name))
}

/// 1970 to 2079, in milliseconds.
const INSTANTS: std::ops::Range<i64> = 0..110 * 365 * 86_400_000;

/// Whether the wall clock reads inside a window, said in the calendar's own words.
fn reads_inside(schedule: &Schedule, zone: &TimeZone, at: Timestamp) -> bool {
    let wall = at.to_jiff().to_zoned_datetime(zone.rules().clone());
    let reading = wall.strftime("%H:%M").to_string();
    let begins = |date: Date, window: &&Window| {
        let day = date.strftime("%a").to_string().to_lowercase();
        let days = serde_json::to_value(window.days()).unwrap();
        days.as_array().unwrap().contains(&day.into()) && !schedule.except.contains(&date)
    };
    let (today, yesterday) = (wall.date(), wall.date().yesterday().unwrap());
    schedule.weekly.iter().any(|window| {
        let (from, to) = (window.from.to_string(), window.to.to_string());
        if from < to {
            begins(today, &window) && from <= reading && reading < to
        } else {
            (begins(today, &window) && from <= reading) || (begins(yesterday, &window) && reading < to)
        }
    })
}

proptest! {
    #[test]
    fn no_schedule_opens_outside_its_windows_for_any_zone_and_instant(
        schedule in schedules(), zone in zones(), at in INSTANTS,
    ) {
        let at = Timestamp::from_millis(at);
        prop_assert_eq!(schedule.is_open(&zone, at), reads_inside(&schedule, &zone, at));
    }

    #[test]
    fn any_next_opening_is_the_first(schedule in schedules(), zone in zones(), at in INSTANTS, part in 0.0..1.0_f64) {
        let at = Timestamp::from_millis(at);
        let opens = schedule.next_opening(&zone, at).unwrap();
        prop_assert!(schedule.is_open(&zone, opens));
        let between = at + opens.since(at).mul_f64(part);
        prop_assert!(between == opens || !schedule.is_open(&zone, between));
    }

    #[test]
    fn any_schedule_survives_its_json(schedule in schedules()) {
        let json = serde_json::to_string(&schedule).unwrap();
        let read: Schedule = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), json);
        prop_assert_eq!(read, schedule);
    }
}
