use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::lockout::walk::{Stand, Verdict, stand};

#[test]
fn one_step_follows_the_other_until_the_wait_is_over() {
    let start = "2026-03-02T08:00:00Z";
    let waits = |begun, until: &str| Stand {
        begun,
        verdict: Verdict::Waits { until: at(until) },
    };
    let ended = |begun, verdict| Stand { begun, verdict };
    for (what, policy, now, stands) in [
        (
            "the first begins at once",
            housing_office(),
            start,
            waits(1, "2026-03-02T08:10:00Z"),
        ),
        (
            "until its last moment",
            housing_office(),
            "2026-03-02T08:09:59.999Z",
            waits(1, "2026-03-02T08:10:00Z"),
        ),
        (
            "then the next",
            housing_office(),
            "2026-03-02T08:10:00Z",
            waits(2, "2026-03-02T09:00:00Z"),
        ),
        (
            "nobody answered",
            housing_office(),
            "2026-03-02T09:00:00Z",
            ended(2, Verdict::Lapsed),
        ),
        (
            "a clock that is behind",
            housing_office(),
            "2026-03-02T07:00:00Z",
            waits(0, start),
        ),
        (
            "the locksmith's turn",
            apartment_manager(),
            "2026-03-02T08:15:00Z",
            waits(2, "2026-03-02T08:45:00Z"),
        ),
        (
            "nobody need approve",
            first_one_free(),
            "2026-03-02T08:14:59.999Z",
            waits(1, "2026-03-02T08:15:00Z"),
        ),
        (
            "after everything was tried",
            first_one_free(),
            "2026-03-02T08:15:00Z",
            ended(1, Verdict::Approved),
        ),
        (
            "long after",
            first_one_free(),
            "2027-01-01T00:00:00Z",
            ended(1, Verdict::Approved),
        ),
    ] {
        assert_eq!(stand(&policy, at(start), at(now)), stands, "{what}");
    }
    let nothing_first = policy(
        r#"{"free":0,"period":{"of":"lease"},"currency":"EUR","fee":0,"fee_after_hours":0,"approval":{"by":"nobody"}}"#,
    );
    assert_eq!(stand(&nothing_first, at(start), at(start)), ended(0, Verdict::Approved));
    // A step whose turn would come with the end of the wait never begins.
    let late = policy(
        r#"{"free":0,"period":{"of":"lease"},"currency":"EUR","fee":0,"fee_after_hours":0,
            "approval":{"by":"desk","wait_minutes":10,"then":"approve"},
            "first":[{"try":"office","minutes":10},{"try":"locksmith","minutes":10,"call":"1"}]}"#,
    );
    assert_eq!(
        stand(&late, at(start), at("2026-03-02T09:00:00Z")),
        ended(1, Verdict::Approved)
    );
}

proptest! {
    /// A node that looks late sees all that one which looked often has seen, and each look names a later one.
    #[test]
    fn looking_seldom_misses_nothing(minutes in proptest::collection::vec(1_u32..60, 0..8), wait in 1_u32..200,
                                     kind in 0_u8..3, early in 0_u64..15_000, later in 0_u64..15_000) {
        let steps: Vec<_> = minutes.iter().map(|minutes| serde_json::json!({"try": "office", "minutes": minutes})).collect();
        let approval = match kind {
            0 => serde_json::json!({"by": "nobody"}),
            1 => serde_json::json!({"by": "desk", "wait_minutes": wait, "then": "refuse"}),
            _ => serde_json::json!({"by": "manager", "wait_minutes": wait, "then": "approve"}),
        };
        let policy = policy(&serde_json::json!({
            "free": 0, "period": {"of": "lease"}, "currency": "EUR", "fee": 0, "fee_after_hours": 0,
            "approval": approval, "first": steps,
        }).to_string());
        let asked = at("2026-03-02T08:00:00Z");
        let (one, two) = (asked + Duration::from_secs(early), asked + Duration::from_secs(early + later));
        let (first, second) = (stand(&policy, asked, one), stand(&policy, asked, two));
        prop_assert!(first.begun <= second.begun);
        match first.verdict {
            Verdict::Waits { until } => {
                prop_assert!(until > one);
                let just_before = stand(&policy, asked, until - Duration::from_millis(1));
                prop_assert_eq!(just_before, first);
                prop_assert_ne!(stand(&policy, asked, until), first);
            }
            over => prop_assert_eq!(second.verdict, over),
        }
    }
}
