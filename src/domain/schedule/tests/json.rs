//! What is a schedule in JSON, and what is not.

use super::*;

#[test]
fn what_is_not_a_schedule() {
    let windows = |count: usize| {
        let window = r#"{"days":["mon"],"from":"09:00","to":"10:00"}"#;
        format!(r#"{{"weekly":[{}]}}"#, vec![window; count].join(","))
    };
    let exceptions = |count: usize| {
        let dates = jiff::civil::date(2026, 1, 1)
            .series(jiff::Span::new().days(1))
            .take(count);
        let dates: Vec<_> = dates.map(|date| format!("\"{date}\"")).collect();
        format!(
            r#"{{"weekly":[{{"days":["mon"],"from":"09:00","to":"10:00"}}],"except":[{}]}}"#,
            dates.join(",")
        )
    };
    let window = |days: &str, from: &str, to: &str| {
        format!(r#"{{"weekly":[{{"days":[{days}],"from":"{from}","to":"{to}"}}],"except":[]}}"#)
    };
    let except =
        |dates: &str| format!(r#"{{"weekly":[{{"days":["mon"],"from":"09:00","to":"10:00"}}],"except":[{dates}]}}"#);
    for (what, json, good) in [
        ("one window", windows(1), true),
        ("fifty windows", windows(50), true),
        ("fifty-one windows", windows(51), false),
        ("no window", windows(0), false),
        ("a leap year of exceptions", exceptions(366), true),
        ("one more", exceptions(367), false),
        ("an exception twice", except(r#""2026-12-24","2026-12-24""#), false),
        ("not a date", except(r#""2026-02-29""#), false),
        ("a date with a time", except(r#""2026-12-24T00:00:00""#), false),
        ("a date in short", except(r#""20261224""#), false),
        ("no day", window("", "09:00", "10:00"), false),
        ("a day twice", window(r#""mon","mon""#, "09:00", "10:00"), false),
        ("a day in full", window(r#""monday""#, "09:00", "10:00"), false),
        ("a day in capitals", window(r#""MON""#, "09:00", "10:00"), false),
        ("an empty window", window(r#""mon""#, "09:00", "09:00"), false),
        ("over midnight", window(r#""mon""#, "23:59", "00:00"), true),
        ("the whole day", window(r#""mon""#, "00:00", "24:00"), true),
        ("midnight to midnight", window(r#""mon""#, "00:00", "00:00"), false),
        ("from the end of the day", window(r#""mon""#, "24:00", "01:00"), false),
        ("past the end of the day", window(r#""mon""#, "09:00", "24:01"), false),
        ("sixty minutes", window(r#""mon""#, "09:60", "10:00"), false),
        ("seconds", window(r#""mon""#, "09:00:00", "10:00"), false),
        ("one digit", window(r#""mon""#, "9:00", "10:00"), false),
        ("a sign", window(r#""mon""#, "+9:00", "10:00"), false),
        ("other digits", window(r#""mon""#, "٠٩:00", "10:00"), false),
        (
            "an unknown field",
            r#"{"weekly":[{"days":["mon"],"from":"09:00","to":"10:00"}],"zone":"UTC"}"#.into(),
            false,
        ),
        (
            "an unknown field in a window",
            r#"{"weekly":[{"days":["mon"],"from":"09:00","to":"10:00","x":1}]}"#.into(),
            false,
        ),
        ("no weekly", r#"{"except":[]}"#.into(), false),
    ] {
        assert_eq!(serde_json::from_str::<Schedule>(&json).is_ok(), good, "{what}: {json}");
    }
}
