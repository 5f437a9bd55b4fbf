use super::*;
use crate::domain::lockout::policy::BadPolicy;

#[test]
fn the_policies_of_the_field_are_read_and_written_alike() {
    for known in [
        housing_office(),
        apartment_manager(),
        first_one_free(),
        Policy::undecided(),
    ] {
        let written = serde_json::to_string(&known).unwrap();
        assert_eq!(policy(&written), known, "{written}");
    }
    assert_eq!(apartment_manager().replacement_key_fee(), 2500);
}

/// The housing office's policy with this member exchanged.
fn with(member: &str, value: serde_json::Value) -> Result<Policy, String> {
    let mut written = serde_json::to_value(housing_office()).unwrap();
    written[member] = value;
    serde_json::from_value(written).map_err(|error| error.to_string())
}

#[test]
fn what_makes_no_sense_is_refused() {
    use serde_json::json;
    let day = |day: &str| json!({ "of": "dates", "begins_on": [day] });
    for (member, value, why) in [
        ("free", json!(1001), Some(BadPolicy::Free)),
        ("free", json!(1000), None),
        ("fee", json!(-1), Some(BadPolicy::Fee)),
        ("fee", json!(100_000_001), Some(BadPolicy::Fee)),
        ("fee_after_hours", json!(-1), Some(BadPolicy::Fee)),
        ("replacement_key_fee", json!(-1), Some(BadPolicy::Fee)),
        (
            "period",
            json!({ "of": "months", "months": 5 }),
            Some(BadPolicy::Months),
        ),
        (
            "period",
            json!({ "of": "months", "months": 0 }),
            Some(BadPolicy::Months),
        ),
        ("period", json!({ "of": "months", "months": 1 }), None),
        ("period", json!({ "of": "months" }), Some(BadPolicy::Period)),
        ("period", json!({ "of": "lease", "months": 1 }), Some(BadPolicy::Period)),
        (
            "period",
            json!({ "of": "dates", "begins_on": [] }),
            Some(BadPolicy::Days),
        ),
        (
            "period",
            json!({ "of": "dates", "begins_on": ["01-10", "01-10"] }),
            Some(BadPolicy::Days),
        ),
        ("period", day("02-29"), Some(BadPolicy::Day)),
        ("period", day("13-01"), Some(BadPolicy::Day)),
        ("period", day("1-1"), Some(BadPolicy::Day)),
        ("period", day("+1-01"), Some(BadPolicy::Day)),
        ("period", day("02-28"), None),
        (
            "approval",
            json!({ "by": "nobody", "wait_minutes": 5 }),
            Some(BadPolicy::Approval),
        ),
        (
            "approval",
            json!({ "by": "desk", "wait_minutes": 5 }),
            Some(BadPolicy::Approval),
        ),
        (
            "approval",
            json!({ "by": "desk", "wait_minutes": 0, "then": "refuse" }),
            Some(BadPolicy::Minutes),
        ),
        (
            "approval",
            json!({ "by": "manager", "wait_minutes": 1440, "then": "approve" }),
            None,
        ),
        (
            "first",
            json!([{ "try": "office", "minutes": 1441 }]),
            Some(BadPolicy::Minutes),
        ),
        (
            "first",
            json!([{ "try": "locksmith", "minutes": 5 }]),
            Some(BadPolicy::Step),
        ),
        (
            "first",
            json!([{ "try": "on-call", "minutes": 5 }]),
            Some(BadPolicy::Step),
        ),
        (
            "first",
            json!([{ "try": "office", "minutes": 5, "call": "1" }]),
            Some(BadPolicy::Step),
        ),
        (
            "first",
            json!(vec![json!({ "try": "office", "minutes": 5 }); 9]),
            Some(BadPolicy::Steps),
        ),
        ("first", json!([]), None),
    ] {
        let read = with(member, value.clone());
        match why {
            None => assert!(read.is_ok(), "{member} {value}: {read:?}"),
            Some(why) => assert_eq!(read.unwrap_err(), why.to_string(), "{member} {value}"),
        }
    }
    for (member, value) in [
        ("currency", json!("usd")),
        ("colour", json!("red")),
        ("fee", json!(2.5)),
    ] {
        assert!(with(member, value.clone()).is_err(), "{member} {value}");
    }
}
