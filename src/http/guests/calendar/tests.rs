use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::guest::message::Door;
use crate::domain::ids::LockId;
use crate::domain::schedule::Schedule;

fn place(name: &str, zone: &str) -> Place {
    Place {
        name: name.to_owned().try_into().unwrap(),
        address: "Linden Street 4, Vienna".to_owned().try_into().unwrap(),
        zone: zone.parse().unwrap(),
        doors: vec![Door {
            lock: LockId::from_bits(1),
            name: "Front door".to_owned().try_into().unwrap(),
        }],
    }
}

fn stay(places: Vec<Place>, starts_at: &str, ends_at: &str) -> Stay {
    Stay {
        guest: None,
        host: "Ana; her houses, \\ and all".to_owned().try_into().unwrap(),
        places,
        starts_at: starts_at.parse().unwrap(),
        ends_at: Some(ends_at.parse().unwrap()),
        schedule: None,
        openings: None,
    }
}

fn written_entry(stay: &Stay) -> String {
    entry(
        stay,
        "link_1",
        "https://doors.example/guest#s",
        Timestamp::from_seconds(1_772_438_400),
    )
}

/// The lines of a calendar, unfolded (RFC 5545, 3.1).
fn lines(calendar: &str) -> Vec<String> {
    assert!(calendar.ends_with("\r\n"));
    for line in calendar.split("\r\n") {
        // 75 bytes, and the space by which a line goes on.
        assert!(line.trim_start().len() <= 75, "{line}");
        assert!(!line.contains(['\r', '\n']), "{line}");
    }
    calendar.replace("\r\n ", "").lines().map(str::to_owned).collect()
}

#[test]
fn an_entry_is_written_by_the_clock_of_the_property() {
    let stay = stay(
        vec![place("Linden Street 4", "Europe/Vienna")],
        "2026-03-02T09:00:00Z",
        "2026-03-29T09:00:00Z",
    );
    assert_eq!(
        lines(&written_entry(&stay)),
        [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//Doorward//guest//EN",
            "BEGIN:VTIMEZONE",
            "TZID:Europe/Vienna",
            "BEGIN:STANDARD",
            "DTSTART:20251026T030000",
            "TZOFFSETFROM:+0200",
            "TZOFFSETTO:+0100",
            "END:STANDARD",
            "BEGIN:DAYLIGHT",
            "DTSTART:20260329T020000",
            "TZOFFSETFROM:+0100",
            "TZOFFSETTO:+0200",
            "END:DAYLIGHT",
            "END:VTIMEZONE",
            "BEGIN:VEVENT",
            "UID:link_1-1@doorward",
            "DTSTAMP:20260302T080000Z",
            "DTSTART;TZID=Europe/Vienna:20260302T100000",
            "DTEND;TZID=Europe/Vienna:20260329T110000",
            "SUMMARY:Ana\\; her houses\\, \\\\ and all: Front door",
            "LOCATION:Linden Street 4\\, Vienna",
            "DESCRIPTION:Where: Linden Street 4\\, Vienna\\nDoor: Front door\\nWhen: Mon 2 Mar 2026\\, 10:00 to Sun 29 Mar \
             2026\\, 11:00 (Europe/Vienna)\\nhttps://doors.example/guest#s\\n",
            "END:VEVENT",
            "END:VCALENDAR",
        ]
    );
}

fn of(text: &str, names: &[&str]) -> Vec<String> {
    let found = lines(text).into_iter();
    found
        .filter(|line| names.iter().any(|name| line.starts_with(name)))
        .collect()
}

#[test]
fn the_windows_of_a_schedule_come_every_week() {
    let schedule: Schedule = serde_json::from_value(json!({
        "weekly": [
            { "days": ["tue"], "from": "09:00", "to": "11:00" },
            { "days": ["sun", "mon"], "from": "22:00", "to": "02:00" },
            { "days": ["wed"], "from": "00:00", "to": "24:00" },
            { "days": ["sat"], "from": "09:00", "to": "11:00" },
        ],
        "except": ["2026-03-03", "2026-03-04", "2026-03-10"],
    }))
    .unwrap();
    // From Monday, 01:00, to a Friday.
    let stay = Stay {
        schedule: Some(schedule),
        ..stay(
            vec![place("Linden Street 4", "Europe/Vienna")],
            "2026-03-02T00:00:00Z",
            "2026-03-13T12:00:00Z",
        )
    };
    let calendar = written_entry(&stay);
    let calendar = &calendar[calendar.find("BEGIN:VEVENT").unwrap()..];
    assert_eq!(
        of(calendar, &["DTSTART", "DTEND", "RRULE", "EXDATE"]),
        [
            // The third is excepted, and so is the tenth: there is none.
            "DTSTART;TZID=Europe/Vienna:20260301T220000",
            "DTEND;TZID=Europe/Vienna:20260302T020000",
            "RRULE:FREQ=WEEKLY;BYDAY=SU,MO;UNTIL=20260313T115959Z",
            "DTSTART;TZID=Europe/Vienna:20260311T000000",
            "DTEND;TZID=Europe/Vienna:20260312T000000",
            "RRULE:FREQ=WEEKLY;BYDAY=WE;UNTIL=20260313T115959Z",
            "EXDATE;TZID=Europe/Vienna:20260304T000000",
            "DTSTART;TZID=Europe/Vienna:20260307T090000",
            "DTEND;TZID=Europe/Vienna:20260307T110000",
            "RRULE:FREQ=WEEKLY;BYDAY=SA;UNTIL=20260313T115959Z",
        ]
    );
}

#[test]
fn an_hour_that_comes_twice_is_written_in_utc() {
    let stay = stay(
        vec![place("Linden Street 4", "Europe/Vienna")],
        "2026-10-25T01:30:00Z",
        "2026-10-25T03:30:00Z",
    );
    assert_eq!(
        of(&written_entry(&stay), &["DTSTART:20261025T0130", "DTEND"]),
        ["DTSTART:20261025T013000Z", "DTEND;TZID=Europe/Vienna:20261025T043000"]
    );
}

#[test]
fn two_properties_are_two_entries_and_one_zone_is_told_once() {
    let places = vec![
        place("Ring", "Europe/Vienna"),
        place("Park", "Europe/Vienna"),
        place("Broadway", "America/New_York"),
        place("Nowhere", "Etc/UTC"),
    ];
    let calendar = written_entry(&stay(places, "2026-03-02T09:00:00Z", "2026-03-03T09:00:00Z"));
    assert_eq!(
        of(&calendar, &["TZID", "UID", "DTSTART;"]),
        [
            "TZID:Europe/Vienna",
            "TZID:America/New_York",
            "TZID:Etc/UTC",
            "UID:link_1-1@doorward",
            "DTSTART;TZID=Europe/Vienna:20260302T100000",
            "UID:link_1-2@doorward",
            "DTSTART;TZID=Europe/Vienna:20260302T100000",
            "UID:link_1-3@doorward",
            "DTSTART;TZID=America/New_York:20260302T040000",
            "UID:link_1-4@doorward",
            "DTSTART;TZID=Etc/UTC:20260302T090000",
        ]
    );
}

/// What a reader makes of a time, who knows of the zone what the calendar says and nothing else.
fn read(calendar: &str, name: &str) -> jiff::Timestamp {
    let lines = lines(calendar);
    let parse = |text: &str| DateTime::strptime("%Y%m%dT%H%M%S", text).unwrap();
    let event = lines.iter().position(|line| line == "BEGIN:VEVENT").unwrap();
    let (head, value) = lines[event..]
        .iter()
        .find(|line| line.starts_with(name))
        .unwrap()
        .rsplit_once(':')
        .unwrap();
    if let Some(utc) = value.strip_suffix('Z') {
        return Offset::UTC.to_timestamp(parse(utc)).unwrap();
    }
    assert!(head.contains(";TZID="), "{head}");
    let mut changes = BTreeMap::new();
    let mut onset = None;
    for line in &lines[..event] {
        if let Some(text) = line.strip_prefix("DTSTART:") {
            onset = Some(parse(text));
        }
        if let Some(text) = line.strip_prefix("TZOFFSETTO:") {
            let (sign, digits) = text.split_at(1);
            let number =
                |range: std::ops::Range<usize>| digits.get(range).map_or(0, |part| part.parse::<i32>().unwrap());
            let seconds = number(0..2) * 3600 + number(2..4) * 60 + number(4..6);
            changes.insert(onset.unwrap(), if sign == "-" { -seconds } else { seconds });
        }
    }
    let wall = parse(value);
    let (_, seconds) = changes.range(..=wall).next_back().unwrap();
    Offset::from_seconds(*seconds).unwrap().to_timestamp(wall).unwrap()
}

proptest! {
    /// In any zone at any time: a reader who knows nothing of zones comes to the instants that are meant.
    #[test]
    fn a_reader_comes_to_the_same_instants(
        zone in proptest::sample::select(
            jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
        ),
        starts_at in 946_684_800u64..2_840_140_800,
        length in 60u64..40_000_000,
    ) {
        prop_assume!(zone.parse::<TimeZone>().is_ok());
        let (from, to) = (Timestamp::from_seconds(starts_at), Timestamp::from_seconds(starts_at + length));
        let stay = stay(vec![place("Linden Street 4", &zone)], &from.to_string(), &to.to_string());
        let calendar = written_entry(&stay);
        prop_assert_eq!(read(&calendar, "DTSTART"), from.to_jiff(), "{}", calendar);
        prop_assert_eq!(read(&calendar, "DTEND"), to.to_jiff(), "{}", calendar);
    }
}
