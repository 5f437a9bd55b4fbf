use proptest::prelude::*;

use super::*;
use crate::domain::ids::GrantId;

const DEADLINE: i64 = 100;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// An attempt to unlock with this counter, allowed, its deadline at 100.
fn attempt(counter: u64) -> Attempt {
    Attempt {
        id: AttemptId::from_bits(u128::from(counter)),
        organization: OrganizationId::from_bits(1),
        lock: LockId::from_bits(2),
        person: PersonId::from_bits(3),
        action: Action::Unlock,
        requested_at: at(90),
        command: Some(Command {
            by: RightSource::Grant(GrantId::from_bits(4)),
            takes_use: false,
            jti: format!("jti-{counter}"),
            counter,
            deadline: at(DEADLINE),
            relayed_at: None,
            accepted_at: None,
        }),
        state: AttemptState::Pending,
    }
}

fn refused_by_the_backend() -> Attempt {
    let state = AttemptState::Refused(Reason::new("no-access"));
    Attempt {
        command: None,
        state,
        ..attempt(1)
    }
}

/// The state of a word and a reason, as the table below writes them.
fn state(text: &str) -> AttemptState {
    let mut words = text.split(' ');
    let status: AttemptStatus = words.next().unwrap().parse().unwrap();
    let reason = words.next().map(|word| word.parse().unwrap());
    AttemptState::of_parts(status, reason, (status == AttemptStatus::Confirmed).then_some(at(50))).unwrap()
}

#[test]
fn what_an_event_makes_of_an_attempt() {
    let table = [
        ("pending", "unlocked", "ok", "confirmed"),
        ("pending", "locked", "ok", "-"),
        ("pending", "denied", "replayed", "refused lock-replayed"),
        ("pending", "jammed", "stalled", "failed jammed"),
        ("pending", "attempt", "ok", "-"),
        ("pending", "door_open", "ok", "-"),
        ("pending", "of-a-later-version", "ok", "-"),
        ("expired", "unlocked", "ok", "confirmed"),
        ("expired", "denied", "expired", "refused lock-expired"),
        ("expired", "jammed", "stalled", "failed jammed"),
        ("failed superseded", "unlocked", "ok", "confirmed"),
        ("failed superseded", "denied", "superseded", "-"),
        ("pending", "denied", "superseded", "failed superseded"),
        ("failed broker-away", "unlocked", "ok", "confirmed"),
        ("failed jammed", "unlocked", "ok", "confirmed"),
        ("failed jammed", "denied", "replayed", "-"),
        ("failed jammed", "jammed", "stalled", "-"),
        ("refused lock-replayed", "unlocked", "ok", "confirmed"),
        ("refused lock-replayed", "denied", "expired", "-"),
        ("refused lock-replayed", "jammed", "stalled", "failed jammed"),
        ("confirmed", "unlocked", "ok", "-"),
        ("confirmed", "denied", "replayed", "-"),
        ("confirmed", "jammed", "stalled", "-"),
    ];
    for (before, kind, result, after) in table {
        let known = Attempt {
            state: state(before),
            ..attempt(1)
        };
        let change = known.on_event(kind, result, at(50)).map(|change| change.state);
        let expected = (after != "-").then(|| state(after));
        assert_eq!(change, expected, "{before}, then {kind} {result}");
    }
}

#[test]
fn locking_is_confirmed_by_locked() {
    let locking = Attempt {
        action: Action::Lock,
        ..attempt(1)
    };
    assert_eq!(
        locking.on_event("locked", "ok", at(95)).unwrap().state,
        AttemptState::Confirmed { at: at(95) }
    );
    assert_eq!(locking.on_event("unlocked", "ok", at(95)), None);
}

#[test]
fn a_report_after_the_deadline_is_late() {
    let pending = attempt(1);
    let expired = Attempt {
        state: AttemptState::Expired,
        ..attempt(1)
    };
    for (what, attempt, when, late) in [
        ("in time", &pending, DEADLINE - 1, false),
        ("at the deadline", &pending, DEADLINE, false),
        ("one ms after it", &pending, DEADLINE + 1, true),
        ("after it was closed", &expired, DEADLINE + 1, true),
        ("after it was closed, the clock set back", &expired, DEADLINE - 1, true),
    ] {
        let change = attempt.on_event("unlocked", "ok", at(when)).unwrap();
        assert_eq!(
            change,
            Change {
                state: AttemptState::Confirmed { at: at(when) },
                late_report: late
            },
            "{what}"
        );
    }
}

#[test]
fn an_attempt_expires_after_its_deadline() {
    assert_eq!(
        attempt(1).expire(at(DEADLINE)),
        None,
        "the deadline is the last instant"
    );
    assert_eq!(
        attempt(1).expire(at(DEADLINE + 1)).unwrap().state,
        AttemptState::Expired
    );
    for closed in ["confirmed", "refused lock-expired", "expired", "failed superseded"] {
        let closed = Attempt {
            state: state(closed),
            ..attempt(1)
        };
        assert_eq!(closed.expire(at(DEADLINE + 1)), None, "{:?}", closed.state);
    }
}

#[test]
fn a_newer_command_takes_the_place_of_an_older_one() {
    let superseded = Some(AttemptState::Failed(Reason::SUPERSEDED));
    let elsewhere = Attempt {
        lock: LockId::from_bits(9),
        ..attempt(2)
    };
    let confirmed = Attempt {
        state: AttemptState::Confirmed { at: at(95) },
        ..attempt(1)
    };
    for (what, older, newer, expected) in [
        ("a later one", attempt(1), attempt(2), superseded),
        ("an earlier one", attempt(2), attempt(1), None),
        ("itself", attempt(1), attempt(1), None),
        ("for another lock", attempt(1), elsewhere, None),
        ("one that was refused", attempt(1), refused_by_the_backend(), None),
        ("over one that is done", confirmed, attempt(2), None),
    ] {
        assert_eq!(
            older.superseded_by(&newer).map(|change| change.state),
            expected,
            "{what}"
        );
    }
}

#[test]
fn only_a_pending_attempt_fails() {
    assert_eq!(
        attempt(1).fail(Reason::BROKER_AWAY).unwrap().state,
        AttemptState::Failed(Reason::BROKER_AWAY)
    );
    assert_eq!(refused_by_the_backend().fail(Reason::BROKER_AWAY), None);
}

#[test]
fn no_event_touches_what_the_backend_refused() {
    for kind in ["unlocked", "denied", "jammed"] {
        assert_eq!(refused_by_the_backend().on_event(kind, "ok", at(95)), None, "{kind}");
    }
}

#[test]
fn a_state_survives_its_parts() {
    let time = Some(at(95));
    let word = || Some(Reason::JAMMED);
    for (status, reason, confirmed_at, good) in [
        ("pending", None, None, true),
        ("pending", word(), None, false),
        ("pending", None, time, false),
        ("confirmed", None, time, true),
        ("confirmed", None, None, false),
        ("confirmed", word(), time, false),
        ("refused", word(), None, true),
        ("refused", None, None, false),
        ("expired", None, None, true),
        ("expired", word(), None, false),
        ("failed", word(), None, true),
        ("failed", None, None, false),
        ("failed", word(), time, false),
    ] {
        let status: AttemptStatus = status.parse().unwrap();
        let state = AttemptState::of_parts(status, reason.clone(), confirmed_at);
        assert_eq!(state.is_ok(), good, "{status}");
        if let Ok(state) = state {
            let parts = (state.status(), state.reason().cloned(), state.confirmed_at());
            assert_eq!(parts, (status, reason, confirmed_at));
        }
    }
    assert!("opened".parse::<AttemptStatus>().is_err());
    assert!("unlatch".parse::<Action>().is_err());
}

#[test]
fn a_lock_names_its_reason_and_writes_nothing_else() {
    for (word, reason) in [
        ("replayed", "lock-replayed"),
        ("bad-signature", "lock-bad-signature"),
        ("", "lock-unspecified"),
        ("a b", "lock-unspecified"),
        ("Late", "lock-unspecified"),
        ("=1+1", "lock-unspecified"),
        ("-", "lock-unspecified"),
        ("\u{202e}", "lock-unspecified"),
        (&"x".repeat(60), "lock-unspecified"),
    ] {
        assert_eq!(Reason::of_lock(word).as_str(), reason, "{word:?}");
    }
}

fn events() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let event = prop::sample::select(vec![
        ("unlocked", "ok"),
        ("locked", "ok"),
        ("denied", "replayed"),
        ("jammed", "stalled"),
        ("attempt", "ok"),
    ]);
    prop::collection::vec(event, 0..6)
}

/// The attempt after these events, and after its time ran out where `expires_before` says so.
fn after(events: &[(&str, &str)], expires_before: usize) -> AttemptState {
    let mut attempt = attempt(1);
    for number in 0..=events.len() {
        if number == expires_before
            && let Some(change) = attempt.expire(at(DEADLINE + 1))
        {
            attempt.state = change.state;
        }
        if let Some((kind, result)) = events.get(number)
            && let Some(change) = attempt.on_event(kind, result, at(DEADLINE))
        {
            attempt.state = change.state;
        }
    }
    attempt.state
}

proptest! {
    #[test]
    fn any_order_of_the_same_events_ends_alike(
        (events, shuffled) in events().prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        expires in 0..6_usize,
        later in 0..6_usize,
    ) {
        let (expires, later) = (expires.min(events.len()), later.min(events.len()));
        prop_assert_eq!(after(&events, expires), after(&shuffled, later));
    }

    #[test]
    fn any_confirmation_has_a_movement_behind_it(events in events()) {
        let moved = events.iter().any(|(kind, _)| *kind == "unlocked");
        prop_assert_eq!(after(&events, events.len()).status() == AttemptStatus::Confirmed, moved);
    }
}
