use std::time::Duration;

use super::*;

mod any;
mod every_zone;
mod json;

fn zone(name: &str) -> TimeZone {
    name.parse().unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(json: &str) -> Schedule {
    serde_json::from_str(json).unwrap()
}

const WEEK: [Weekday; 7] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];

/// When the opening that `opens` is in ends, found by looking every minute.
fn closing(schedule: &Schedule, zone: &TimeZone, opens: Timestamp) -> Timestamp {
    let minutes = (1..).map(|minutes| opens + Duration::from_secs(60 * minutes));
    let mut a_week = minutes.take(7 * 1440);
    a_week.find(|at| !schedule.is_open(zone, *at)).unwrap()
}

/// One window, from and to, on every day.
fn daily(from: &str, to: &str) -> Schedule {
    let window = Window::new(WEEK.to_vec(), from.parse().unwrap(), to.parse().unwrap()).unwrap();
    Schedule::new(vec![window], Vec::new()).unwrap()
}

/// The openings of `schedule` from one instant until another, as a person with a list of UTC times would write them.
fn openings(schedule: &Schedule, zone: &TimeZone, from: Timestamp, until: Timestamp) -> String {
    let mut found = Vec::new();
    let mut now = from;
    while let Some(opens) = schedule.next_opening(zone, now).filter(|opens| *opens < until) {
        let closes = closing(schedule, zone, opens);
        let clock = |at: Timestamp| at.to_jiff().strftime("%dT%H:%M").to_string();
        found.push(format!("{}-{}", clock(opens), clock(closes)));
        now = closes;
    }
    found.join(" ")
}

/// The lines of a table, each cut at its bars.
fn rows<const N: usize>(table: &str) -> impl Iterator<Item = [&str; N]> {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>().try_into().unwrap())
}

#[test]
fn a_week_at_its_edges() {
    // Vienna is an hour ahead of UTC in March; 2026-03-02 is a Monday.
    let office = r#"{"weekly":[{"days":["mon","tue"],"from":"09:00","to":"17:00"}],"except":[]}"#;
    let two_a_day = r#"{"weekly":[{"days":["mon"],"from":"09:00","to":"10:00"},
                                  {"days":["mon"],"from":"12:00","to":"13:00"}]}"#;
    let night = r#"{"weekly":[{"days":["mon"],"from":"22:00","to":"06:00"}]}"#;
    let night_but_monday = r#"{"weekly":[{"days":["mon"],"from":"22:00","to":"06:00"}],"except":["2026-03-02"]}"#;
    let night_but_tuesday = r#"{"weekly":[{"days":["mon"],"from":"22:00","to":"06:00"}],"except":["2026-03-03"]}"#;
    let day = r#"{"weekly":[{"days":["mon"],"from":"00:00","to":"24:00"}]}"#;
    let till_midnight = r#"{"weekly":[{"days":["mon"],"from":"20:00","to":"00:00"}]}"#;
    let sunday_night = r#"{"weekly":[{"days":["sun"],"from":"23:00","to":"01:00"}]}"#;
    for (json, table) in [
        (
            office,
            "one ms before the start      | 2026-03-02T07:59:59.999Z | closed
             the start is inclusive       | 2026-03-02T08:00:00.000Z | open
             one ms before the end        | 2026-03-02T15:59:59.999Z | open
             the end is exclusive         | 2026-03-02T16:00:00.000Z | closed
             the second day               | 2026-03-03T08:00:00.000Z | open
             another day                  | 2026-03-04T08:00:00.000Z | closed",
        ),
        (
            two_a_day,
            "the first of two windows     | 2026-03-02T08:30:00.000Z | open
             between two windows          | 2026-03-02T09:00:00.000Z | closed
             the second of two windows    | 2026-03-02T11:00:00.000Z | open",
        ),
        (
            night,
            "before midnight              | 2026-03-02T22:59:59.999Z | open
             at midnight                  | 2026-03-02T23:00:00.000Z | open
             on a day that is not named   | 2026-03-03T04:59:59.999Z | open
             its end                      | 2026-03-03T05:00:00.000Z | closed
             the morning before           | 2026-03-02T04:00:00.000Z | closed",
        ),
        (
            night_but_monday,
            "not on an excepted day       | 2026-03-02T21:00:00.000Z | closed
             nor on the morning after it  | 2026-03-03T04:00:00.000Z | closed
             a week later                 | 2026-03-09T21:00:00.000Z | open",
        ),
        (
            night_but_tuesday,
            "it goes on into an exception | 2026-03-03T04:00:00.000Z | open",
        ),
        (
            day,
            "the first instant of a day   | 2026-03-01T23:00:00.000Z | open
             the last instant of a day    | 2026-03-02T22:59:59.999Z | open
             the next midnight            | 2026-03-02T23:00:00.000Z | closed",
        ),
        (
            till_midnight,
            "before an end at 00:00       | 2026-03-02T22:59:59.999Z | open
             at an end at 00:00           | 2026-03-02T23:00:00.000Z | closed",
        ),
        (
            sunday_night,
            "from Sunday into Monday      | 2026-03-01T23:59:59.999Z | open",
        ),
    ] {
        for [what, now, expected] in rows(table) {
            let open = schedule(json).is_open(&zone("Europe/Vienna"), time(now));
            assert_eq!(open, expected == "open", "{what}");
        }
    }
}

/// Checks a table of: what, zone, date, a daily window, and its openings in UTC from noon before that date until noon.
fn check_openings(table: &str) {
    for [what, place, date, window, expected] in rows(table) {
        let (from, to) = window.split_once('-').unwrap();
        let noon = time(&format!("{date}T12:00:00Z"));
        let found = openings(&daily(from, to), &zone(place), noon - Duration::from_secs(86_400), noon);
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn the_hour_that_is_missing() {
    // 02:00 became 03:00 in Vienna at 01:00Z; 00:00 became 01:00 in Beirut at 22:00Z the day before; 02:00 became 02:30
    // on Lord Howe Island at 15:30Z the day before; in Samoa the 29th was followed by the 31st, at 10:00Z on the 30th.
    check_openings(
        "an ordinary night      | Europe/Vienna       | 2026-03-28 | 01:00-04:00 | 28T00:00-28T03:00
         around the gap         | Europe/Vienna       | 2026-03-29 | 01:00-04:00 | 29T00:00-29T02:00
         from within the gap    | Europe/Vienna       | 2026-03-29 | 02:30-04:00 | 29T01:00-29T02:00
         until within the gap   | Europe/Vienna       | 2026-03-29 | 01:00-02:30 | 29T00:00-29T01:00
         inside the gap: never  | Europe/Vienna       | 2026-03-29 | 02:15-02:45 |
         the gap itself: never  | Europe/Vienna       | 2026-03-29 | 02:00-03:00 |
         over midnight          | Europe/Vienna       | 2026-03-29 | 22:00-06:00 | 28T21:00-29T04:00
         no midnight            | Asia/Beirut         | 2026-03-29 | 00:00-02:00 | 28T22:00-28T23:00
         until no midnight      | Asia/Beirut         | 2026-03-29 | 23:00-24:00 | 28T21:00-28T22:00
         until after it         | Asia/Beirut         | 2026-03-29 | 23:00-00:30 | 28T21:00-28T22:00
         half an hour           | Australia/Lord_Howe | 2026-10-04 | 02:15-03:00 | 03T15:30-03T16:00
         before a missing day   | Pacific/Apia        | 2011-12-30 | 09:00-10:00 | 29T19:00-29T20:00
         after a missing day    | Pacific/Apia        | 2011-12-31 | 09:00-10:00 | 30T19:00-30T20:00
         over a missing day     | Pacific/Apia        | 2011-12-31 | 22:00-04:00 | 30T12:00-30T14:00 31T08:00-31T14:00",
    );
}

#[test]
fn the_hour_that_comes_twice() {
    // 03:00 became 02:00 in Vienna at 01:00Z; 01:00 became 00:00 in Havana at 05:00Z; 00:01 became 23:01 of the day
    // before in St. John's at 02:31Z.
    check_openings(
        "an hour longer         | Europe/Vienna    | 2026-10-25 | 01:00-04:00 | 24T23:00-25T03:00
         the doubled hour       | Europe/Vienna    | 2026-10-25 | 02:00-03:00 | 25T00:00-25T02:00
         inside it: twice       | Europe/Vienna    | 2026-10-25 | 02:15-02:45 | 25T00:15-25T00:45 25T01:15-25T01:45
         never open at 02:45    | Europe/Vienna    | 2026-10-25 | 01:00-02:30 | 24T23:00-25T00:30 25T01:00-25T01:30
         never open at 02:15    | Europe/Vienna    | 2026-10-25 | 02:30-04:00 | 25T00:30-25T01:00 25T01:30-25T03:00
         over midnight          | Europe/Vienna    | 2026-10-25 | 22:00-06:00 | 24T20:00-25T05:00
         midnight twice         | America/Havana   | 2024-11-03 | 00:00-00:30 | 03T04:00-03T04:30 03T05:00-03T05:30
         until midnight twice   | America/Havana   | 2024-11-03 | 23:00-24:00 | 03T03:00-03T04:00
         an evening twice       | America/St_Johns | 2010-11-07 | 23:30-23:45 | 07T02:00-07T02:15 07T03:00-07T03:15
         a minute of tomorrow   | America/St_Johns | 2010-11-07 | 00:00-00:10 | 07T02:30-07T02:31 07T03:30-07T03:40",
    );
}

#[test]
fn what_is_next() {
    let vienna = zone("Europe/Vienna");
    let office = schedule(r#"{"weekly":[{"days":["mon"],"from":"09:00","to":"17:00"}],"except":["2026-03-09"]}"#);
    for (what, now, opens) in [
        ("open now", "2026-03-02T12:00:00Z", "2026-03-02T12:00:00Z"),
        ("later today", "2026-03-02T00:00:00Z", "2026-03-02T08:00:00Z"),
        (
            "over an excepted Monday",
            "2026-03-02T16:00:00Z",
            "2026-03-16T08:00:00Z",
        ),
    ] {
        assert_eq!(office.next_opening(&vienna, time(now)), Some(time(opens)), "{what}");
    }
}

#[test]
fn a_year_of_exceptions_is_seen_over() {
    let first = jiff::civil::date(2026, 1, 1);
    let year: Vec<_> = first
        .series(jiff::Span::new().days(1))
        .take(Schedule::MAX_EXCEPTIONS)
        .collect();
    let window = daily("09:00", "10:00").weekly;
    let closed = Schedule::new(window.clone(), year.clone()).unwrap();
    let opens = closed.next_opening(&zone("UTC"), time("2026-01-01T00:00:00Z"));
    assert_eq!(opens, Some(time("2027-01-02T09:00:00Z")));

    let mondays = first
        .series(jiff::Span::new().days(1))
        .filter(|date| Weekday::of(*date) == Weekday::Mon);
    let monday = Window::new(vec![Weekday::Mon], window[0].from, window[0].to).unwrap();
    let closed = Schedule::new(vec![monday], mondays.take(Schedule::MAX_EXCEPTIONS).collect()).unwrap();
    assert_eq!(
        closed.next_opening(&zone("UTC"), time("2026-01-01T00:00:00Z")),
        None,
        "seven years are out of sight"
    );
}

#[test]
fn the_ends_of_the_calendar_hold() {
    for place in ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"] {
        for at in [Timestamp::MIN, Timestamp::MAX] {
            for schedule in [
                daily("00:00", "24:00"),
                daily("23:59", "00:01"),
                daily("12:00", "11:59"),
            ] {
                let zone = zone(place);
                let opens = schedule.next_opening(&zone, at);
                assert!(opens.is_none_or(|opens| opens >= at));
                assert_eq!(opens == Some(at), schedule.is_open(&zone, at));
            }
        }
    }
}
