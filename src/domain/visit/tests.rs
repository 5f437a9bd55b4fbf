use proptest::prelude::*;

use super::*;
use crate::domain::ids::{OrganizationId, PropertyId, VisitId};

fn person(n: u128) -> PersonId {
    PersonId::from_bits(n)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn vendor() -> Vendor {
    Vendor {
        name: "Paul".to_owned().try_into().unwrap(),
        company: "Pipes & Sons".to_owned().try_into().unwrap(),
        phone: "+43 1 234 5678".parse().unwrap(),
    }
}

fn order(starts_at: u64, ends_at: u64) -> NewVisit {
    NewVisit {
        locks: vec![LockId::from_bits(1)],
        vendor: vendor(),
        purpose: "The sink".to_owned().try_into().unwrap(),
        starts_at: at(starts_at),
        ends_at: at(ends_at),
        stay_minutes: None,
        lock_change: false,
    }
}

/// A visit between 1,000 s and 10,000 s whose stay is 15 minutes.
fn visit() -> Visit {
    Visit {
        id: VisitId::from_bits(1),
        organization: OrganizationId::from_bits(1),
        property: PropertyId::from_bits(1),
        unit: None,
        locks: vec![LockId::from_bits(1)],
        vendor: Some(vendor()),
        purpose: Some("The sink".to_owned().try_into().unwrap()),
        starts_at: at(1_000),
        ends_at: at(10_000),
        stay: Duration::from_secs(900),
        lock_change: false,
        ordered_by: person(9),
        ordered_at: at(0),
        emergency: None,
        let_in: None,
        begun_at: None,
        ended: None,
    }
}

fn emergency() -> Emergency {
    Emergency {
        by: person(9),
        at: at(5),
        reason: Some("Water comes through the ceiling".to_owned().try_into().unwrap()),
    }
}

#[test]
fn a_number_is_what_the_whole_world_dials() {
    for (given, taken) in [
        ("+43 1 234 5678", Some("+4312345678")),
        (" +1 (555) 010-9999 ", Some("+15550109999")),
        ("+1234567", Some("+1234567")),
        ("+123456", None),
        ("+1234567890123456", None),
        ("+0431234567", None),
        ("0043 1 234 5678", None),
        ("+43 1 234 x678", None),
        ("", None),
    ] {
        let number = given.parse::<PhoneNumber>().ok();
        assert_eq!(number.as_ref().map(PhoneNumber::as_str), taken, "{given:?}");
    }
    assert!(!format!("{:?}", vendor()).contains("234"));
}

#[test]
fn an_order_has_doors_a_window_and_a_stay() {
    let two_of_one = vec![LockId::from_bits(1), LockId::from_bits(1)];
    let many = (0..17).map(LockId::from_bits).collect();
    let fortnight = NewVisit::LONGEST_WINDOW.as_secs();
    for (what, order, now, expected) in [
        ("usual", order(100, 200), 0, Ok(Duration::from_secs(7200))),
        (
            "no door",
            NewVisit {
                locks: vec![],
                ..order(100, 200)
            },
            0,
            Err(BadVisit::Locks),
        ),
        (
            "a door twice",
            NewVisit {
                locks: two_of_one,
                ..order(100, 200)
            },
            0,
            Err(BadVisit::Locks),
        ),
        (
            "too many doors",
            NewVisit {
                locks: many,
                ..order(100, 200)
            },
            0,
            Err(BadVisit::Locks),
        ),
        ("no time at all", order(100, 100), 0, Err(BadVisit::Window)),
        ("backwards", order(200, 100), 0, Err(BadVisit::Window)),
        ("over", order(100, 200), 200, Err(BadVisit::Window)),
        ("nearly over", order(100, 200), 199, Ok(Duration::from_secs(7200))),
        (
            "two weeks",
            order(100, 100 + fortnight),
            0,
            Ok(Duration::from_secs(7200)),
        ),
        ("longer", order(100, 101 + fortnight), 0, Err(BadVisit::Window)),
        (
            "too short",
            NewVisit {
                stay_minutes: Some(14),
                ..order(100, 200)
            },
            0,
            Err(BadVisit::Stay),
        ),
        (
            "shortest",
            NewVisit {
                stay_minutes: Some(15),
                ..order(100, 200)
            },
            0,
            Ok(Duration::from_secs(900)),
        ),
        (
            "too long",
            NewVisit {
                stay_minutes: Some(721),
                ..order(100, 200)
            },
            0,
            Err(BadVisit::Stay),
        ),
    ] {
        assert_eq!(order.check(at(now)), expected, "{what}");
    }
}

#[test]
fn who_lives_there_agrees_or_the_landlord_has_a_reason() {
    let yes = |n| Answer {
        person: person(n),
        agrees: true,
    };
    let no = |n| Answer {
        person: person(n),
        agrees: false,
    };
    for (what, residents, answers, in_emergency, expected) in [
        ("a shared or vacant place", vec![], vec![], false, Agreement::NotNeeded),
        ("nobody answered", vec![1, 2], vec![], false, Agreement::Waiting),
        (
            "one of two agrees",
            vec![1, 2],
            vec![yes(2)],
            false,
            Agreement::Given(person(2)),
        ),
        (
            "one agrees, one does not",
            vec![1, 2],
            vec![yes(1), no(2)],
            false,
            Agreement::Declined(person(2)),
        ),
        ("a neighbour agrees", vec![1], vec![yes(3)], false, Agreement::Waiting),
        (
            "a neighbour does not",
            vec![1],
            vec![yes(1), no(3)],
            false,
            Agreement::Given(person(1)),
        ),
        (
            "declined, and an emergency",
            vec![1],
            vec![no(1)],
            true,
            Agreement::Emergency,
        ),
        ("vacant, and an emergency", vec![], vec![], true, Agreement::NotNeeded),
    ] {
        let residents: Vec<_> = residents.into_iter().map(person).collect();
        let passed_over = in_emergency.then(emergency);
        assert_eq!(
            Agreement::of(&residents, &answers, passed_over.as_ref()),
            expected,
            "{what}"
        );
    }
}

#[test]
fn a_stay_begins_with_the_first_opening_and_ends_by_itself() {
    let agreed = Agreement::NotNeeded;
    let let_in = Visit {
        let_in: Some((at(1_500), GrantId::from_bits(1))),
        ..visit()
    };
    let begun = |second| Visit {
        begun_at: Some(at(second)),
        ..let_in.clone()
    };
    for (what, visit, now, stage, over) in [
        ("ordered", visit(), 500, Stage::Agreed, None),
        ("let in, and nobody came", let_in.clone(), 9_999, Stage::LetIn, None),
        (
            "the window's end is exclusive",
            let_in.clone(),
            10_000,
            Stage::Ended,
            Some(EndReason::WindowOver),
        ),
        ("inside", begun(2_000), 2_899, Stage::Begun, None),
        (
            "the stay's end is exclusive",
            begun(2_000),
            2_900,
            Stage::Ended,
            Some(EndReason::StayOver),
        ),
        ("came late", begun(9_500), 9_999, Stage::Begun, None),
        (
            "the window ends a stay",
            begun(9_500),
            10_000,
            Stage::Ended,
            Some(EndReason::WindowOver),
        ),
        (
            "both at once",
            begun(9_100),
            10_000,
            Stage::Ended,
            Some(EndReason::StayOver),
        ),
    ] {
        assert_eq!(
            (visit.stage(&agreed, at(now)), visit.is_over(at(now))),
            (stage, over),
            "{what}"
        );
    }
    let cancelled = Visit {
        ended: Some((at(1), EndReason::Cancelled)),
        ..let_in
    };
    assert_eq!(cancelled.stage(&agreed, at(2_000)), Stage::Ended);
    assert_eq!(visit().stage(&Agreement::Waiting, at(2_000)), Stage::Ordered);
}

proptest! {
    #[test]
    fn without_a_yes_and_with_any_no_of_a_resident_nobody_is_let_in(
        residents in proptest::collection::vec(0u128..6, 1..4),
        answers in proptest::collection::vec((0u128..6, any::<bool>()), 0..6),
    ) {
        let residents: Vec<_> = residents.into_iter().map(person).collect();
        let answers: Vec<_> = answers.into_iter().map(|(n, agrees)| Answer { person: person(n), agrees }).collect();
        let of_resident = |agrees: bool| {
            answers.iter().any(|answer| answer.agrees == agrees && residents.contains(&answer.person))
        };
        let suffices = Agreement::of(&residents, &answers, None).suffices();
        prop_assert_eq!(suffices, of_resident(true) && !of_resident(false));
    }

    #[test]
    fn no_visit_outlasts_its_window_or_its_stay(begun in 1_000u64..10_000, now in 0u64..20_000) {
        let visit = Visit { begun_at: Some(at(begun)), ..visit() };
        let is_open = visit.is_over(at(now)).is_none();
        prop_assert_eq!(is_open, now < 10_000 && now < begun + 900);
    }
}
