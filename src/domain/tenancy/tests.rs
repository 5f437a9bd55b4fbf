use proptest::prelude::*;

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn term(starts_at: i64, ends_at: impl Into<Option<i64>>) -> Term {
    Term {
        starts_at: at(starts_at),
        ends_at: ends_at.into().map(at),
    }
}

fn of(person: u128, unit: u128, term: Term) -> Tenancy {
    Tenancy {
        id: TenancyId::from_bits(person << 32 | unit << 16 | u128::from(term.starts_at.as_millis().unsigned_abs())),
        organization: OrganizationId::from_bits(1),
        property: PropertyId::from_bits(1),
        unit: UnitId::from_bits(unit),
        person: PersonId::from_bits(person),
        term,
        set_by: None,
        created_at: at(0),
        closed_at: None,
    }
}

#[test]
fn a_term_has_its_start_and_not_its_end() {
    for (case, term, instant, holds) in [
        ("one ms before the start", term(100, 200), 99, false),
        ("at the start", term(100, 200), 100, true),
        ("one ms before the end", term(100, 200), 199, true),
        ("at the end", term(100, 200), 200, false),
        ("without an end", term(100, None), 1_000_000, true),
        ("without an end, before the start", term(100, None), 99, false),
        ("called off", term(100, 100), 100, false),
    ] {
        assert_eq!(term.holds(at(instant)), holds, "{case}");
    }
}

#[test]
fn terms_overlap_where_they_have_an_instant_in_common() {
    for (case, one, other, overlap) in [
        ("one after the other", term(0, 100), term(200, 300), false),
        ("moves in as the other moves out", term(0, 100), term(100, 200), false),
        ("one ms too early", term(0, 100), term(99, 200), true),
        ("the same", term(0, 100), term(0, 100), true),
        ("within", term(0, 100), term(10, 20), true),
        ("an open end", term(0, None), term(1_000_000, None), true),
        ("before an open end", term(0, 100), term(100, None), false),
        ("called off within", term(0, 100), term(50, 50), false),
        ("called off at the start", term(0, 100), term(0, 0), false),
    ] {
        assert_eq!(one.overlaps(other), overlap, "{case}");
        assert_eq!(other.overlaps(one), overlap, "{case}, the other way round");
    }
}

#[test]
fn a_term_that_makes_no_sense_is_none() {
    for (case, asked, now, result) in [
        ("ahead", term(100, 200), 0, Ok(())),
        ("long begun", term(100, 200), 150, Ok(())),
        ("without an end", term(100, None), 1_000, Ok(())),
        ("ends as it starts", term(100, 100), 0, Err(BadTerm::EndsBeforeStart)),
        ("ends before it starts", term(100, 99), 0, Err(BadTerm::EndsBeforeStart)),
        ("ends now", term(100, 200), 200, Err(BadTerm::EndsInPast)),
        ("ended", term(100, 200), 201, Err(BadTerm::EndsInPast)),
        ("one ms left", term(100, 200), 199, Ok(())),
    ] {
        assert_eq!(asked.check(at(now)).map(|_| ()), result, "{case}");
    }
}

#[test]
fn what_has_begun_keeps_its_start_and_what_has_ended_its_end() {
    let closed = Tenancy {
        closed_at: Some(at(50)),
        ..of(1, 1, term(100, 100))
    };
    for (case, tenancy, to, now, result) in [
        ("to come: anything", of(1, 1, term(100, 200)), term(50, 300), 10, Ok(())),
        (
            "to come: begins at once",
            of(1, 1, term(100, 200)),
            term(0, None),
            10,
            Ok(()),
        ),
        ("running: longer", of(1, 1, term(100, 200)), term(100, 300), 150, Ok(())),
        (
            "running: for good",
            of(1, 1, term(100, 200)),
            term(100, None),
            150,
            Ok(()),
        ),
        (
            "running: shorter",
            of(1, 1, term(100, 200)),
            term(100, 160),
            150,
            Ok(()),
        ),
        (
            "running: ends now",
            of(1, 1, term(100, 200)),
            term(100, 150),
            150,
            Err(BadChange::Term(BadTerm::EndsInPast)),
        ),
        (
            "running: begins later",
            of(1, 1, term(100, 200)),
            term(160, 200),
            150,
            Err(BadChange::Begun),
        ),
        (
            "running: began earlier",
            of(1, 1, term(100, 200)),
            term(99, 200),
            150,
            Err(BadChange::Begun),
        ),
        (
            "over: prolonged in the instant of its end",
            of(1, 1, term(100, 200)),
            term(100, 300),
            200,
            Err(BadChange::Over),
        ),
        ("called off: revived", closed, term(100, 300), 60, Err(BadChange::Over)),
    ] {
        assert_eq!(tenancy.change(to, at(now)).map(|_| ()), result, "{case}");
    }
}

#[test]
fn a_tenancy_ends_now_or_later_and_once() {
    for (case, lasts, wanted, now, result) in [
        ("now", term(100, None), None, 150, Ok(End::Now(at(150)))),
        (
            "now, in so many words",
            term(100, None),
            Some(150),
            150,
            Ok(End::Now(at(150))),
        ),
        ("before its end", term(100, 200), None, 150, Ok(End::Now(at(150)))),
        ("called off", term(100, 200), None, 50, Ok(End::Now(at(100)))),
        ("later", term(100, None), Some(300), 150, Ok(End::At(at(300)))),
        (
            "sooner than planned",
            term(100, 200),
            Some(160),
            150,
            Ok(End::At(at(160))),
        ),
        ("as planned", term(100, 200), Some(200), 150, Ok(End::Planned(at(200)))),
        ("over", term(100, 200), None, 200, Ok(End::Over)),
        ("over, asked for again", term(100, 200), Some(200), 250, Ok(End::Over)),
        ("in the past", term(100, None), Some(149), 150, Err(BadEnd::InPast)),
        ("as it starts", term(100, None), Some(100), 50, Err(BadEnd::BeforeStart)),
        ("later than planned", term(100, 200), Some(201), 150, Err(BadEnd::Later)),
    ] {
        assert_eq!(of(1, 1, lasts).end(wanted.map(at), at(now)), result, "{case}");
    }
}

#[test]
fn who_lives_together_is_told() {
    let tom = of(1, 1, term(100, 200));
    for (case, other, joint, doubled) in [
        ("a flatmate", of(2, 1, term(150, None)), true, false),
        ("who lived there before", of(2, 1, term(0, 100)), false, false),
        ("who lives there after", of(2, 1, term(200, None)), false, false),
        ("a neighbour", of(2, 2, term(100, 200)), false, false),
        ("the same person again", of(1, 1, term(199, 300)), false, true),
        ("the same person afterwards", of(1, 1, term(200, 300)), false, false),
        ("the same person elsewhere", of(1, 2, term(100, 200)), false, false),
        ("itself", of(1, 1, term(100, 200)), false, false),
    ] {
        assert_eq!(
            (tom.is_joint_with(&other), tom.doubles(&other)),
            (joint, doubled),
            "{case}"
        );
    }
}

#[test]
fn a_term_that_comes_sooner_and_lasts_longer_goes_beyond_the_one_before() {
    for (case, now_it_is, beyond) in [
        ("the same", term(100, 200), vec![]),
        ("shorter", term(120, 180), vec![]),
        ("sooner", term(50, 200), vec![term(50, 100)]),
        ("later", term(100, 250), vec![term(200, 250)]),
        ("both", term(50, None), vec![term(50, 100), term(200, None)]),
        ("all before", term(20, 60), vec![term(20, 60)]),
        ("all after", term(300, 400), vec![term(300, 400)]),
    ] {
        assert_eq!(now_it_is.beyond(Some(term(100, 200))), beyond, "{case}");
    }
    assert_eq!(term(50, None).beyond(Some(term(100, None))), [term(50, 100)]);
}

fn any_term() -> impl Strategy<Value = Term> {
    (0..40_i64, prop::option::of(0..40_i64))
        .prop_map(|(start, length)| term(start, length.map(|length| start + length)))
}

proptest! {
    /// What lies beyond another term is exactly what that one does not hold, each instant once.
    #[test]
    fn what_lies_beyond_a_term_is_what_that_does_not_hold(one in any_term(), other in any_term()) {
        // A tenancy lasts: one that was called off has no term to change.
        prop_assume!(other.ends_at != Some(other.starts_at));
        let beyond = one.beyond(Some(other));
        for ms in 0..100 {
            let times = beyond.iter().filter(|stretch| stretch.holds(at(ms))).count();
            prop_assert_eq!(times, usize::from(one.holds(at(ms)) && !other.holds(at(ms))), "{}", ms);
        }
        prop_assert_eq!(one.beyond(None), vec![one]);
        prop_assert_eq!(one.beyond(Some(one)), vec![]);
    }

    /// Whatever the order of two terms, overlapping means an instant that lies in both.
    #[test]
    fn any_two_terms_overlap_exactly_where_an_instant_lies_in_both(one in any_term(), other in any_term()) {
        let common = (0..100).any(|ms| one.holds(at(ms)) && other.holds(at(ms)));
        prop_assert_eq!(one.overlaps(other), common);
        prop_assert_eq!(other.overlaps(one), common);
    }

    /// Ending never lets anybody in for longer, and never reaches into the past.
    #[test]
    fn any_end_shortens(lasts in any_term(), wanted in prop::option::of(0..90_i64), now in 0..90_i64) {
        let tenancy = of(1, 1, lasts);
        let until = match tenancy.end(wanted.map(at), at(now)) {
            Ok(End::Now(until) | End::At(until) | End::Planned(until)) => until,
            Ok(End::Over) | Err(_) => return Ok(()),
        };
        let ended = Term { ends_at: Some(until), ..lasts };
        prop_assert!(until >= at(now));
        prop_assert!(until >= lasts.starts_at);
        for ms in 0..100 {
            prop_assert!(!ended.holds(at(ms)) || lasts.holds(at(ms)), "{ms}");
            prop_assert!(ms >= now || ended.holds(at(ms)) == lasts.holds(at(ms)), "{ms}");
        }
    }

    /// A change leaves what was in the past as it was, and never revives what has ended.
    #[test]
    fn any_change_leaves_the_past_alone(lasts in any_term(), to in any_term(), now in 0..90_i64) {
        let tenancy = of(1, 1, lasts);
        let Ok(changed) = tenancy.change(to, at(now)) else { return Ok(()) };
        prop_assert_eq!(changed, to);
        prop_assert!(!changed.is_over(at(now)));
        if lasts.starts_at <= at(now) {
            for ms in 0..=now {
                prop_assert_eq!(changed.holds(at(ms)), lasts.holds(at(ms)), "{}", ms);
            }
        }
    }
}
