use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// Where the tests begin: late enough that there is a past.
const START: i64 = 100 * DAY;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn failures(count: u32) -> Failures {
    Failures {
        count,
        last_at: at(START),
    }
}

#[test]
fn an_account_waits_longer_and_longer() {
    // (failures, minutes to wait after the last one)
    for (count, minutes) in [
        (0, 0),
        (1, 0),
        (4, 0),
        (5, 1),
        (6, 2),
        (7, 4),
        (8, 8),
        (9, 15),
        (10, 15),
        (100, 15),
        (u32::MAX, 15),
    ] {
        let until = START + minutes * MINUTE;
        let asked = |now| verdict(failures(count), Failures::NONE, at(now));
        assert_eq!(asked(until), Verdict::Allowed, "{count} failures");
        if minutes > 0 {
            assert_eq!(asked(until - 1), Verdict::Wait { until: at(until) }, "{count} failures");
            assert_eq!(asked(START), Verdict::Wait { until: at(until) }, "{count} failures");
        }
    }
}

#[test]
fn an_address_has_a_larger_budget_that_refills_evenly() {
    // (failures, seconds to wait after the last one)
    for (count, seconds) in [(0, 0), (5, 0), (49, 0), (50, 18), (51, 36), (99, 900), (1000, 900)] {
        let until = START + seconds * 1000;
        let asked = |now| verdict(Failures::NONE, failures(count), at(now));
        assert_eq!(asked(until), Verdict::Allowed, "{count} failures");
        if seconds > 0 {
            assert_eq!(asked(until - 1), Verdict::Wait { until: at(until) }, "{count} failures");
            assert_eq!(asked(START), Verdict::Wait { until: at(until) }, "{count} failures");
        }
    }
    let leaked = failures(50).after_failure_of_address(at(START + 15 * MINUTE));
    assert_eq!(
        leaked,
        Failures {
            count: 1,
            last_at: at(START + 15 * MINUTE)
        },
        "whole again after the refill"
    );
    let half = failures(50).after_failure_of_address(at(START + 15 * MINUTE / 2));
    assert_eq!(half.count, 26);
    assert_eq!(
        failures(1000).after_failure_of_address(at(START)).count,
        100,
        "more are not remembered"
    );
}

#[test]
fn the_longer_wait_counts() {
    let asked = verdict(failures(6), failures(50), at(START));
    assert_eq!(
        asked,
        Verdict::Wait {
            until: at(START + 2 * MINUTE)
        }
    );
    let asked = verdict(failures(5), failures(60), at(START));
    assert_eq!(
        asked,
        Verdict::Wait {
            until: at(START + 11 * 18_000)
        }
    );
}

#[test]
fn an_account_forgets_after_a_quiet_day() {
    let kept = failures(20).after_failure_of_account(at(START + DAY - 1));
    assert_eq!(kept.count, 21);
    let forgotten = failures(20).after_failure_of_account(at(START + DAY));
    assert_eq!(
        forgotten,
        Failures {
            count: 1,
            last_at: at(START + DAY)
        }
    );
}

#[test]
fn guessing_without_end_gets_about_a_hundred_tries_a_day() {
    let (mut account, mut now) = (Failures::NONE, at(START));
    let mut tries = [0_u32; 3];
    while now < at(START + 3 * DAY) {
        match verdict(account, Failures::NONE, now) {
            Verdict::Allowed => {
                tries[usize::try_from((now.as_millis() - START) / DAY).unwrap()] += 1;
                account = account.after_failure_of_account(now);
            }
            Verdict::Wait { until } => now = until,
        }
    }
    assert_eq!(tries, [103, 96, 96]);
}

#[test]
fn a_clock_that_was_set_back_locks_nobody_out() {
    let asked = verdict(failures(100), failures(1000), at(START - DAY));
    assert_eq!(
        asked,
        Verdict::Wait {
            until: at(START - DAY) + LONGEST_WAIT
        }
    );
}

proptest! {
    #[test]
    fn no_wait_is_ever_longer_than_the_cap(
        account in 0..200_u32, address in 0..2000_u32, now in START - DAY..START + DAY,
    ) {
        let now = at(now);
        if let Verdict::Wait { until } = verdict(failures(account), failures(address), now) {
            prop_assert!(until > now && until.since(now) <= LONGEST_WAIT);
        }
    }

    #[test]
    fn no_pace_of_guessing_gets_more_than_the_bound_of_a_day(pauses in prop::collection::vec(0..120_i64, 1..40)) {
        let (mut account, mut now) = (Failures::NONE, START);
        let mut tries = Vec::new();
        for pause in pauses.iter().cycle() {
            if now >= START + 3 * DAY {
                break;
            }
            match verdict(account, Failures::NONE, at(now)) {
                Verdict::Allowed => {
                    tries.push(now);
                    account = account.after_failure_of_account(at(now));
                    now += pause * MINUTE / 4;
                }
                Verdict::Wait { until } => now = until.as_millis(),
            }
        }
        for first in &tries {
            prop_assert!(tries.iter().filter(|at| (*first..first + DAY).contains(at)).count() <= 103);
        }
    }

    #[test]
    fn any_address_within_its_budget_never_waits(steps in prop::collection::vec(18_000..60_000_i64, 1..200)) {
        let (mut address, mut now) = (Failures::NONE, START);
        for step in steps {
            now += step;
            prop_assert_eq!(verdict(Failures::NONE, address, at(now)), Verdict::Allowed);
            address = address.after_failure_of_address(at(now));
        }
    }
}
