//! Every zone of the bundled database, minute by minute around each change of its clocks.

use std::collections::HashSet;

use super::*;

const MINUTES_A_WEEK: usize = 7 * 24 * 60;
const MINUTES_AROUND: i64 = 30 * 60;

/// Windows whose edges lie in, at and around the hours at which clocks change anywhere, and one that crosses them all.
const SHORT: &str = r#"{"weekly":[
    {"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"00:30","to":"01:30"},
    {"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"02:15","to":"02:45"},
    {"days":["sat","sun","mon"],"from":"03:00","to":"03:01"},
    {"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"23:10","to":"00:01"}]}"#;
const LONG: &str = r#"{"weekly":[
    {"days":["fri","sat","sun"],"from":"22:00","to":"02:30"},
    {"days":["sat","sun"],"from":"02:59","to":"12:00"},
    {"days":["mon","wed","thu"],"from":"00:00","to":"24:00"}]}"#;

/// Which minutes of a week, from Monday 00:00, the JSON names: written without any of the code that it checks.
fn minutes_named(json: &str) -> Vec<bool> {
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    let minute = |text: &serde_json::Value| {
        let (hour, minute) = text.as_str().unwrap().split_once(':').unwrap();
        hour.parse::<usize>().unwrap() * 60 + minute.parse::<usize>().unwrap()
    };
    let mut named = vec![false; MINUTES_A_WEEK];
    for window in json["weekly"].as_array().unwrap() {
        let (from, to) = (minute(&window["from"]), minute(&window["to"]));
        let length = if to > from { to - from } else { to + 1440 - from };
        for day in window["days"].as_array().unwrap() {
            let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
            let begins = days.iter().position(|name| day == name).unwrap() * 1440 + from;
            (begins..begins + length).for_each(|minute| named[minute % MINUTES_A_WEEK] = true);
        }
    }
    named
}

/// Walks the minutes around `change` and compares every answer with what the wall clock reads.
fn walk(zone: &TimeZone, schedule: &Schedule, named: &[bool], change: i64) {
    let instant = |minute: i64| Timestamp::from_millis((change + minute * 60) * 1000);
    let open_by_the_wall = |minute: i64| {
        let at = instant(minute);
        let reading = at.as_millis().div_euclid(1000) + i64::from(zone.rules().to_offset(at.to_jiff()).seconds());
        // 1970-01-01 was a Thursday.
        let minute_of_week = (reading.div_euclid(60) + 3 * 1440).rem_euclid(7 * 1440);
        named[usize::try_from(minute_of_week).unwrap()]
    };
    let mut was_open = None;
    for minute in (-MINUTES_AROUND..=MINUTES_AROUND).rev() {
        let (at, open) = (instant(minute), open_by_the_wall(minute));
        assert_eq!(schedule.is_open(zone, at), open, "{} at {at}", zone.name());
        let last_ms = Timestamp::from_millis(at.as_millis() + 59_999);
        assert_eq!(schedule.is_open(zone, last_ms), open, "{} at {last_ms}", zone.name());
        // Backwards: what was seen last is what comes next.
        if was_open == Some(true) && !open {
            let next = instant(minute + 1);
            assert_eq!(
                schedule.next_opening(zone, at),
                Some(next),
                "{} after {at}",
                zone.name()
            );
        }
        was_open = Some(open);
    }
}

fn walk_every_change_of(year: i16) -> usize {
    let schedules = [SHORT, LONG].map(|json| (schedule(json), minutes_named(json)));
    let start = jiff::civil::date(year, 1, 1).in_tz("UTC").unwrap().timestamp();
    let end = jiff::civil::date(year + 1, 1, 1).in_tz("UTC").unwrap().timestamp();
    let mut walked = 0;
    let mut seen = HashSet::new();
    for name in jiff::tz::db().available() {
        let Ok(zone) = name.to_string().parse::<TimeZone>() else {
            continue;
        };
        let first = zone.rules().to_offset(start).seconds();
        let changes = zone
            .rules()
            .following(start)
            .take_while(|change| change.timestamp() < end);
        let changes: Vec<_> = changes
            .map(|change| (change.timestamp().as_second(), change.offset().seconds()))
            .collect();
        // Several names of one set of rules are walked once.
        if !seen.insert((first, changes.clone())) {
            continue;
        }
        let quiet = changes.is_empty().then_some(start.as_second() + 86_400 * 100);
        for change in changes.into_iter().map(|(at, _)| at).chain(quiet) {
            schedules
                .iter()
                .for_each(|(schedule, named)| walk(&zone, schedule, named, change));
            walked += 1;
        }
    }
    walked
}

#[test]
fn both_changes_of_2026_read_like_the_wall_clock_in_every_zone() {
    let walked = walk_every_change_of(2026);
    assert!(walked > 60, "{walked}");
}

/// A year with more and stranger changes: at midnight, at one minute past it, four times in one year, and a whole day.
#[test]
fn every_change_of_2011_reads_like_the_wall_clock_in_every_zone() {
    let walked = walk_every_change_of(2011);
    assert!(walked > 100, "{walked}");
}
