use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::grant::{Grant, GrantState, Holder, Terms, Uses, Way};
use crate::domain::ids::{GrantId, OrganizationId, PersonId, TenancyId};
use crate::domain::pass::Role;
use crate::domain::spare::SpareKey;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn vienna() -> TimeZone {
    "Europe/Vienna".parse().unwrap()
}

fn lock() -> LockId {
    LockId::from_bits(1)
}

fn unlock() -> Ask {
    Ask {
        lock: lock(),
        action: Action::Unlock,
    }
}

/// A right from the grant of this number, from and to these milliseconds.
fn grant(number: u128, starts: i64, ends: i64) -> Right {
    Right {
        source: RightSource::Grant(GrantId::from_bits(number)),
        lock: lock(),
        starts_at: at(starts),
        ends_at: Some(at(ends)),
        schedule: None,
        uses: None,
        ways: vec![Way::App],
        role: Role::Guest,
        is_only_lock: true,
        revoked: false,
        delegable: false,
        spare: SpareKey::None,
        under: None,
        round: 0,
        kept_out_until: None,
    }
}

fn revoked(right: Right) -> Right {
    Right { revoked: true, ..right }
}

fn used(right: Right, taken: u32, limit: u32) -> Right {
    Right {
        uses: Some(Uses::with_taken(limit, taken).unwrap()),
        ..right
    }
}

fn on_schedule(right: Right, json: &str) -> Right {
    Right {
        schedule: Some(serde_json::from_str(json).unwrap()),
        ..right
    }
}

fn open(number: u128) -> Decision {
    Decision::Open {
        by: RightSource::Grant(GrantId::from_bits(number)),
        takes_use: false,
    }
}

fn open_with_a_use(number: u128) -> Decision {
    Decision::Open {
        by: RightSource::Grant(GrantId::from_bits(number)),
        takes_use: true,
    }
}

fn refuse(refusal: Refusal, number: u128) -> Decision {
    Decision::Refuse {
        refusal,
        nearest: Some(RightSource::Grant(GrantId::from_bits(number))),
    }
}

#[test]
fn one_right_at_its_edges() {
    for (what, right, now, expected) in [
        (
            "one ms before the start",
            grant(1, 100, 200),
            99,
            refuse(Refusal::NotYet { opens_at: at(100) }, 1),
        ),
        ("at the start", grant(1, 100, 200), 100, open(1)),
        ("one ms before the end", grant(1, 100, 200), 199, open(1)),
        (
            "the end is exclusive",
            grant(1, 100, 200),
            200,
            refuse(Refusal::GrantExpired, 1),
        ),
        (
            "without an end",
            Right {
                ends_at: None,
                ..grant(1, 100, 0)
            },
            1 << 40,
            open(1),
        ),
        (
            "revoked while it runs",
            revoked(grant(1, 100, 200)),
            150,
            refuse(Refusal::GrantRevoked, 1),
        ),
        (
            "revoked before it began",
            revoked(grant(1, 100, 200)),
            50,
            refuse(Refusal::GrantRevoked, 1),
        ),
        (
            "revoked and ended",
            revoked(grant(1, 100, 200)),
            250,
            refuse(Refusal::GrantRevoked, 1),
        ),
        (
            "the last use is left",
            used(grant(1, 100, 200), 2, 3),
            150,
            open_with_a_use(1),
        ),
        (
            "no use is left",
            used(grant(1, 100, 200), 3, 3),
            150,
            refuse(Refusal::UsesExhausted, 1),
        ),
        (
            "used up and ended",
            used(grant(1, 100, 200), 3, 3),
            200,
            refuse(Refusal::GrantExpired, 1),
        ),
        (
            "used up before it began",
            used(grant(1, 100, 200), 3, 3),
            50,
            refuse(Refusal::UsesExhausted, 1),
        ),
    ] {
        assert_eq!(decide(&unlock(), &[right], &vienna(), at(now)), expected, "{what}");
    }
}

#[test]
fn a_schedule_within_a_right() {
    // 1970-01-05 was a Monday; Vienna was an hour ahead of UTC.
    let monday = 4 * 86_400_000;
    let (eight, nine, ten) = (monday + 7 * 3_600_000, monday + 8 * 3_600_000, monday + 9 * 3_600_000);
    let mornings = r#"{"weekly":[{"days":["mon"],"from":"09:00","to":"10:00"}]}"#;
    let next_monday = at(nine + 7 * 86_400_000);
    let long = || on_schedule(grant(1, 0, 30 * 86_400_000), mornings);
    let late_start = || on_schedule(grant(1, eight, 30 * 86_400_000), mornings);
    let short = || on_schedule(grant(1, 0, ten + 1), mornings);
    for (what, right, now, expected) in [
        (
            "before",
            long(),
            nine - 1,
            refuse(
                Refusal::OutsideSchedule {
                    opens_at: Some(at(nine)),
                },
                1,
            ),
        ),
        ("at the window's start", long(), nine, open(1)),
        (
            "the window's end is exclusive",
            long(),
            ten,
            refuse(
                Refusal::OutsideSchedule {
                    opens_at: Some(next_monday),
                },
                1,
            ),
        ),
        (
            "before the right",
            late_start(),
            eight - 1,
            refuse(Refusal::NotYet { opens_at: at(nine) }, 1),
        ),
        (
            "at the right's start",
            late_start(),
            eight,
            refuse(
                Refusal::OutsideSchedule {
                    opens_at: Some(at(nine)),
                },
                1,
            ),
        ),
        (
            "it ends before the next window",
            short(),
            ten,
            refuse(Refusal::OutsideSchedule { opens_at: None }, 1),
        ),
        (
            "it ends before the first window",
            on_schedule(grant(1, eight, nine), mornings),
            eight - 1,
            refuse(Refusal::OutsideSchedule { opens_at: None }, 1),
        ),
    ] {
        assert_eq!(decide(&unlock(), &[right], &vienna(), at(now)), expected, "{what}");
    }
}

#[test]
fn the_refusal_is_the_one_nearest_to_opening() {
    let never = r#"{"weekly":[{"days":["sun"],"from":"00:00","to":"00:01"}]}"#;
    let now = 1000;
    let expired = || grant(1, 0, 1000);
    let taken_back = || revoked(grant(2, 0, 2000));
    let used_up = || used(grant(3, 0, 2000), 1, 1);
    let closed = || on_schedule(grant(4, 0, 2000), never);
    let soon = || grant(5, 1500, 2000);
    let later = || grant(6, 1600, 2000);
    let not_yet = |ms| Refusal::NotYet { opens_at: at(ms) };
    for (what, rights, expected) in [
        (
            "ended before taken back",
            vec![taken_back(), expired()],
            refuse(Refusal::GrantExpired, 1),
        ),
        (
            "used up before ended",
            vec![expired(), used_up()],
            refuse(Refusal::UsesExhausted, 3),
        ),
        (
            "closed before used up",
            vec![used_up(), closed()],
            refuse(Refusal::OutsideSchedule { opens_at: None }, 4),
        ),
        (
            "with a time before without",
            vec![closed(), later()],
            refuse(not_yet(1600), 6),
        ),
        (
            "the sooner before the later",
            vec![later(), soon()],
            refuse(not_yet(1500), 5),
        ),
        (
            "all of them",
            vec![taken_back(), expired(), used_up(), closed(), later(), soon()],
            refuse(not_yet(1500), 5),
        ),
        (
            "the first among equals",
            vec![soon(), grant(7, 1500, 2000)],
            refuse(not_yet(1500), 5),
        ),
        (
            "one that opens wins",
            vec![taken_back(), expired(), soon(), grant(8, 1000, 2000)],
            open(8),
        ),
        (
            "the first that opens",
            vec![grant(9, 0, 2000), grant(8, 0, 2000)],
            open(9),
        ),
        (
            "a counted use is kept where possible",
            vec![used(grant(9, 0, 2000), 0, 1), grant(8, 0, 2000)],
            open(8),
        ),
        (
            "the first of the counted",
            vec![used(grant(9, 0, 2000), 0, 1), used(grant(8, 0, 2000), 0, 1)],
            open_with_a_use(9),
        ),
    ] {
        assert_eq!(decide(&unlock(), &rights, &vienna(), at(now)), expected, "{what}");
    }
}

#[test]
fn a_running_right_is_named_before_one_that_begins_at_the_same_time() {
    let mornings = r#"{"weekly":[{"days":["mon"],"from":"09:00","to":"10:00"}]}"#;
    let nine = 4 * 86_400_000 + 8 * 3_600_000;
    let rights = [grant(1, nine, nine + 1), on_schedule(grant(2, 0, nine + 1), mornings)];
    let expected = refuse(
        Refusal::OutsideSchedule {
            opens_at: Some(at(nine)),
        },
        2,
    );
    assert_eq!(decide(&unlock(), &rights, &vienna(), at(nine - 1)), expected);
}

#[test]
fn no_right_is_no_access() {
    let expected = Decision::Refuse {
        refusal: Refusal::NoAccess,
        nearest: None,
    };
    assert_eq!(decide(&unlock(), &[], &vienna(), at(0)), expected);
    let elsewhere = Right {
        lock: LockId::from_bits(2),
        ..grant(1, 0, 100)
    };
    assert_eq!(
        decide(&unlock(), &[elsewhere], &vienna(), at(0)),
        expected,
        "a right for another lock is no right"
    );
}

#[test]
fn locking_takes_no_use_and_needs_none() {
    let ask = Ask {
        action: Action::Lock,
        ..unlock()
    };
    assert_eq!(decide(&ask, &[used(grant(1, 0, 100), 0, 1)], &vienna(), at(0)), open(1));
    assert_eq!(decide(&ask, &[used(grant(1, 0, 100), 1, 1)], &vienna(), at(0)), open(1));
    assert_eq!(
        decide(&ask, &[grant(1, 0, 100)], &vienna(), at(100)),
        refuse(Refusal::GrantExpired, 1)
    );
}

#[test]
fn a_grant_and_a_tenancy_say_what_they_give() {
    let grant = |state| Grant {
        id: GrantId::from_bits(3),
        organization: OrganizationId::from_bits(4),
        holder: Holder::Person(PersonId::from_bits(5)),
        given_by: PersonId::from_bits(6),
        created_at: at(0),
        under: None,
        round: 0,
        released_until: None,
        terms: Terms {
            locks: vec![lock()],
            starts_at: at(10),
            ends_at: Some(at(20)),
            schedule: None,
            uses: None,
            ways: vec![Way::App],
            role: Role::Guest,
            delegable: false,
            spare: None,
        },
        state,
    };
    let stands = grant(GrantState::Active);
    assert_eq!(Right::of_grant(&stands, &lock()), Some(super::tests::grant(3, 10, 20)));
    assert_eq!(Right::of_grant(&stands, &LockId::from_bits(2)), None);
    let gone = grant(GrantState::Revoked {
        at: at(15),
        by: PersonId::from_bits(6),
    });
    assert_eq!(
        Right::of_grant(&gone, &lock()),
        Some(revoked(super::tests::grant(3, 10, 20)))
    );

    let id = TenancyId::from_bits(7);
    let tenancy = Right::of_tenancy(id.clone(), lock(), at(10), None);
    let opened = Decision::Open {
        by: RightSource::Tenancy(id),
        takes_use: false,
    };
    assert_eq!(decide(&unlock(), &[tenancy], &vienna(), at(10)), opened);
}

#[test]
fn the_person_is_told_what_is_theirs_to_know() {
    let some = Some(at(5));
    for (refusal, word, told, opens_at) in [
        (Refusal::NoAccess, "no-access", "no-access", None),
        (Refusal::NotYet { opens_at: at(5) }, "not-yet", "not-yet", some),
        (
            Refusal::OutsideSchedule { opens_at: some },
            "outside-schedule",
            "outside-schedule",
            some,
        ),
        (
            Refusal::OutsideSchedule { opens_at: None },
            "outside-schedule",
            "outside-schedule",
            None,
        ),
        (Refusal::GrantExpired, "grant-expired", "grant-expired", None),
        (Refusal::GrantRevoked, "grant-revoked", "grant-revoked", None),
        (
            Refusal::SpareNotReleased,
            "spare-not-released",
            "spare-not-released",
            None,
        ),
        (Refusal::PhoneKeyNeeded, "phone-key-needed", "phone-key-needed", None),
        (Refusal::UsesExhausted, "uses-exhausted", "uses-exhausted", None),
        (
            Refusal::LockNotEnrolled,
            "lock-not-enrolled",
            "lock-not-in-service",
            None,
        ),
        (Refusal::LockRetired, "lock-retired", "lock-not-in-service", None),
    ] {
        assert_eq!(refusal.word(), word);
        assert_eq!(
            Reason::from(refusal).as_str().parse(),
            Ok(Reason::from(refusal)),
            "{word}"
        );
        assert_eq!(refusal.for_person(), ToldRefusal { reason: told, opens_at }, "{word}");
    }
}

#[test]
fn a_source_survives_its_text() {
    let (grant, tenancy) = (GrantId::from_bits(1), TenancyId::from_bits(1));
    for source in [RightSource::Grant(grant), RightSource::Tenancy(tenancy)] {
        assert_eq!(source.to_string().parse(), Ok(source));
    }
    assert!(lock().as_str().parse::<RightSource>().is_err());
}

#[test]
fn a_name_is_a_source_and_its_round() {
    let source = RightSource::Grant(GrantId::from_bits(1));
    for round in [0, 1, 42] {
        let name = RightName {
            source: source.clone(),
            round,
        };
        assert_eq!(name.to_string().parse(), Ok(name.clone()));
        assert_eq!(name.with_earlier().count(), usize::try_from(round).unwrap() + 1);
        assert!(name.to_string().len() <= 64, "as long as a lock takes it");
    }
    assert_eq!(RightName::from(source.clone()).to_string(), source.to_string());
    for text in [
        "",
        ".",
        ".1",
        "1",
        &format!("{source}."),
        &format!("{source}.0"),
        &format!("{source}.01"),
        &format!("{source}.1.1"),
    ] {
        assert!(text.parse::<RightName>().is_err(), "{text}");
    }
}

/// What is given under `giver`, for as long.
fn under(giver: Right, right: Right) -> Right {
    right.given_by(Some(giver))
}

#[test]
fn what_hangs_under_a_right_opens_only_while_that_does() {
    let monday = r#"{"weekly":[{"days":["mon"],"from":"09:00","to":"12:00"}]}"#;
    let late = r#"{"weekly":[{"days":["mon"],"from":"11:00","to":"13:00"}]}"#;
    let (hour, day) = (3_600_000, 86_400_000);
    // 1970-01-05 was a Monday; Vienna was an hour ahead of UTC.
    let (nine, eleven, twelve) = (4 * day + 8 * hour, 4 * day + 10 * hour, 4 * day + 11 * hour);
    let week = || grant(1, 0, 7 * day);
    let giver = |right: Right| under(right, grant(2, 0, 7 * day));
    for (what, right, now, expected) in [
        ("both", giver(week()), 5, open(2)),
        (
            "nobody said what the giver has",
            week().given_by(None),
            5,
            refuse(Refusal::GrantRevoked, 1),
        ),
        (
            "its giver's was taken back",
            giver(revoked(week())),
            5,
            refuse(Refusal::GrantRevoked, 2),
        ),
        (
            "its giver's has ended",
            giver(grant(1, 0, 5)),
            5,
            refuse(Refusal::GrantExpired, 2),
        ),
        ("one ms before its giver's end", giver(grant(1, 0, 5)), 4, open(2)),
        (
            "its giver's has not begun",
            giver(grant(1, 9, 20)),
            5,
            refuse(Refusal::NotYet { opens_at: at(9) }, 2),
        ),
        (
            "its giver's is used up",
            giver(used(week(), 2, 2)),
            5,
            refuse(Refusal::UsesExhausted, 2),
        ),
        (
            "its giver's uses are taken with it",
            giver(used(week(), 1, 2)),
            5,
            open_with_a_use(2),
        ),
        (
            "within both schedules",
            under(on_schedule(week(), monday), on_schedule(grant(2, 0, 7 * day), late)),
            eleven,
            open(2),
        ),
        (
            "within its own, outside its giver's",
            under(on_schedule(week(), monday), on_schedule(grant(2, 0, 30 * day), late)),
            twelve,
            refuse(Refusal::OutsideSchedule { opens_at: None }, 2),
        ),
        (
            "outside its own, within its giver's: when both are open",
            under(on_schedule(week(), monday), on_schedule(grant(2, 0, 7 * day), late)),
            nine,
            refuse(
                Refusal::OutsideSchedule {
                    opens_at: Some(at(eleven)),
                },
                2,
            ),
        ),
    ] {
        assert_eq!(decide(&unlock(), &[right], &vienna(), at(now)), expected, "{what}");
    }
}

#[test]
fn a_spare_key_opens_while_it_is_released() {
    let spare = |spare| Right {
        spare,
        ..grant(1, 100, 200)
    };
    let until = |ms| SpareKey::Released { until: at(ms) };
    for (what, right, now, expected) in [
        ("kept", spare(SpareKey::Kept), 150, refuse(Refusal::SpareNotReleased, 1)),
        ("released", spare(until(160)), 150, open(1)),
        ("one ms before the end of the release", spare(until(160)), 159, open(1)),
        (
            "the end of the release",
            spare(until(160)),
            160,
            refuse(Refusal::SpareNotReleased, 1),
        ),
        (
            "released for longer than the grant",
            spare(until(300)),
            200,
            refuse(Refusal::GrantExpired, 1),
        ),
        (
            "released before the grant begins",
            spare(until(160)),
            99,
            refuse(Refusal::NotYet { opens_at: at(100) }, 1),
        ),
        (
            "kept and used up",
            used(spare(SpareKey::Kept), 1, 1),
            150,
            refuse(Refusal::UsesExhausted, 1),
        ),
        (
            "released and taken back",
            revoked(spare(until(160))),
            150,
            refuse(Refusal::GrantRevoked, 1),
        ),
        (
            "the giver's own is a kept one",
            under(spare(SpareKey::Kept), grant(2, 100, 200)),
            150,
            refuse(Refusal::SpareNotReleased, 2),
        ),
    ] {
        assert_eq!(decide(&unlock(), &[right], &vienna(), at(now)), expected, "{what}");
    }
}

fn rights() -> impl Strategy<Value = Vec<Right>> {
    let schedules = prop::sample::select(vec![
        None,
        Some(r#"{"weekly":[{"days":["mon","sat"],"from":"22:00","to":"06:00"}]}"#),
        Some(r#"{"weekly":[{"days":["tue"],"from":"09:00","to":"10:30"}],"except":["1970-01-06"]}"#),
    ]);
    let right = (
        0..30_i64,
        prop::option::of(1..30_i64),
        schedules,
        0..3_u32,
        prop::bool::weighted(0.2),
        1..4_u128,
    )
        .prop_map(|(start, length, schedule, taken, revoked, number)| Right {
            starts_at: at(start * 86_400_000 / 2),
            ends_at: length.map(|days| at((start + days) * 86_400_000 / 2)),
            schedule: schedule.map(|json| serde_json::from_str(json).unwrap()),
            uses: (taken > 0).then(|| Uses::with_taken(2, taken).unwrap()),
            revoked,
            lock: LockId::from_bits(number.min(2)),
            ..grant(number, 0, 0)
        });
    prop::collection::vec(right, 0..6)
}

proptest! {
    #[test]
    fn nothing_opens_that_no_right_allows(rights in rights(), now in 0..20 * 86_400_000_i64) {
        let now = at(now);
        let allows = |right: &Right| {
            right.lock == lock() && !right.revoked && right.starts_at <= now && right.ends_at.is_none_or(|end| now < end)
                && right.uses.is_none_or(|uses| uses.taken() < uses.limit())
                && right.schedule.as_ref().is_none_or(|schedule| schedule.is_open(&vienna(), now))
        };
        match decide(&unlock(), &rights, &vienna(), now) {
            Decision::Open { by, takes_use } => prop_assert!(
                rights.iter().any(|right| right.source == by && right.uses.is_some() == takes_use && allows(right))
            ),
            Decision::Refuse { refusal, .. } => {
                prop_assert!(!rights.iter().any(allows));
                prop_assert!(refusal.opens_at().is_none_or(|opens| opens > now));
            }
        }
    }

    #[test]
    fn the_order_of_rights_never_changes_whether_or_when(rights in rights(), now in 0..20 * 86_400_000_i64) {
        let now = at(now);
        let backwards: Vec<_> = rights.iter().rev().cloned().collect();
        let word = |rights: &[Right]| match decide(&unlock(), rights, &vienna(), now) {
            Decision::Open { takes_use, .. } => (if takes_use { "opens with a use" } else { "opens" }, None),
            Decision::Refuse { refusal, .. } => (refusal.word(), refusal.opens_at()),
        };
        prop_assert_eq!(word(&rights), word(&backwards));
    }

    #[test]
    fn a_refusal_names_the_next_opening_and_nothing_opens_before(
        rights in rights(),
        now in 0..20 * 86_400_000_i64,
        part in 0.0..1.0_f64,
    ) {
        let now = at(now);
        let opens = |when| matches!(decide(&unlock(), &rights, &vienna(), when), Decision::Open { .. });
        let next = match decide(&unlock(), &rights, &vienna(), now) {
            Decision::Open { .. } => Some(now),
            Decision::Refuse { refusal, .. } => refusal.opens_at(),
        };
        if let Some(next) = next {
            prop_assert!(opens(next));
        }
        let end = next.unwrap_or(now + Duration::from_secs(40 * 86_400));
        let between = now + end.since(now).mul_f64(part);
        prop_assert!(between == end || !opens(between));
    }
}

fn kept_out(right: Right, until: i64) -> Right {
    Right {
        kept_out_until: Some(at(until)),
        ..right
    }
}

#[test]
fn a_lockdown_refuses_to_open_until_its_end_and_never_to_lock() {
    let zone = vienna();
    let to_lock = Ask {
        action: Action::Lock,
        ..unlock()
    };
    let lockdown = |opens_at: Option<i64>| {
        Some(Refusal::Lockdown {
            opens_at: opens_at.map(at),
        })
    };
    let refusal = |ask: &Ask, rights: &[Right], now: i64| match decide(ask, rights, &zone, at(now)) {
        Decision::Open { .. } => None,
        Decision::Refuse { refusal, .. } => Some(refusal),
    };
    for (why, right, now, expected) in [
        (
            "while it holds",
            kept_out(grant(1, 100, 900), 500),
            200,
            lockdown(Some(500)),
        ),
        (
            "its last millisecond",
            kept_out(grant(1, 100, 900), 500),
            499,
            lockdown(Some(500)),
        ),
        ("the end is exclusive", kept_out(grant(1, 100, 900), 500), 500, None),
        (
            "beyond the right's own end",
            kept_out(grant(1, 100, 400), 500),
            200,
            lockdown(None),
        ),
        (
            "before the right begins",
            kept_out(grant(1, 300, 900), 500),
            200,
            Some(Refusal::NotYet { opens_at: at(500) }),
        ),
        (
            "a right that has ended",
            kept_out(grant(1, 100, 150), 500),
            200,
            Some(Refusal::GrantExpired),
        ),
        (
            "a right that was taken back",
            kept_out(revoked(grant(1, 100, 900)), 500),
            200,
            Some(Refusal::GrantRevoked),
        ),
        (
            "a right that is used up",
            kept_out(used(grant(1, 100, 900), 1, 1), 500),
            200,
            Some(Refusal::UsesExhausted),
        ),
    ] {
        assert_eq!(refusal(&unlock(), &[right], now), expected, "{why}");
    }
    let shut = kept_out(grant(1, 100, 900), 500);
    assert_eq!(
        refusal(&to_lock, std::slice::from_ref(&shut), 200),
        None,
        "whoever goes locks"
    );
    assert_eq!(
        refusal(&unlock(), &[shut, grant(2, 100, 900)], 200),
        None,
        "another right of theirs is excepted"
    );
}
