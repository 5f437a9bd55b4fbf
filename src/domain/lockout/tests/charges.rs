use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::ids::LockoutId;
use crate::domain::lockout::charge::{Account, Rate, Use, charge, differences};

fn used(number: u128, asked_at: &str) -> Use {
    Use {
        lockout: LockoutId::from_bits(number),
        asked_at: at(asked_at),
        lease_starts_at: at("2025-09-01T00:00:00Z"),
    }
}

/// What each of these costs, with all the others as its history.
fn costs(policy: &Policy, zone_name: &str, asked: &[&str]) -> Vec<(Rate, i64)> {
    let uses: Vec<Use> = (1..).zip(asked).map(|(number, asked)| used(number, asked)).collect();
    let cost = |this| charge(policy, &uses, this, &zone(zone_name));
    uses.iter()
        .map(cost)
        .map(|charge| (charge.rate, charge.amount.minor))
        .collect()
}

#[test]
fn three_are_free_a_semester_and_the_fourth_is_not() {
    let fee = (Rate::OfficeHours, 2500);
    let free = (Rate::Free, 0);
    let asked = [
        "2026-01-10T05:00:00Z",
        "2026-03-02T08:00:00Z",
        "2026-03-02T08:00:00Z",
        "2026-08-14T23:00:00Z",
        // In New York the semester begins at four o'clock UTC.
        "2026-08-15T03:59:59.999Z",
        "2026-08-15T04:00:00Z",
        // Before the first date of the year the last one's period goes on.
        "2027-01-01T12:00:00Z",
        "2027-01-09T12:00:00Z",
        "2027-01-10T04:59:59.999Z",
        "2027-01-10T05:00:00Z",
    ];
    let costs = costs(&housing_office(), "America/New_York", &asked);
    assert_eq!(costs, [free, free, free, fee, fee, free, free, free, fee, free]);
}

#[test]
fn after_office_hours_it_costs_a_hundred() {
    let (day, night) = ((Rate::OfficeHours, 0), (Rate::AfterHours, 10_000));
    for (asked, cost) in [
        ("2026-03-02T13:59:59.999Z", night),
        ("2026-03-02T14:00:00Z", day),
        ("2026-03-02T21:59:59.999Z", day),
        ("2026-03-02T22:00:00Z", night),
        // A Sunday.
        ("2026-03-01T17:00:00Z", night),
        // Since the clocks went forward on March 8th, nine o'clock is an hour earlier.
        ("2026-03-09T13:00:00Z", day),
        ("2026-03-09T12:59:59.999Z", night),
        ("2026-03-09T21:00:00Z", night),
        // And back on November 1st.
        ("2026-10-30T13:00:00Z", day),
        ("2026-11-02T13:00:00Z", night),
        ("2026-11-02T14:00:00Z", day),
    ] {
        assert_eq!(
            costs(&apartment_manager(), "America/New_York", &[asked]),
            [cost],
            "{asked}"
        );
    }
}

#[test]
fn the_first_one_of_a_lease_is_free() {
    let policy = first_one_free();
    let (first, second) = (used(1, "2026-01-01T00:00:00Z"), used(2, "2027-12-31T00:00:00Z"));
    let elsewhere = Use {
        lease_starts_at: at("2027-12-01T00:00:00Z"),
        ..second.clone()
    };
    let uses = [first.clone(), second.clone()];
    let vienna = zone("Europe/Vienna");
    for (this, rate) in [
        (&first, Rate::Free),
        (&second, Rate::OfficeHours),
        (&elsewhere, Rate::Free),
    ] {
        let charge = charge(&policy, &uses, this, &vienna);
        assert_eq!((charge.rate, charge.amount.currency.code()), (rate, "EUR"), "{this:?}");
    }
}

#[test]
fn a_month_is_one_of_the_calendar_on_the_wall() {
    let monthly = policy(
        r#"{"free":1,"period":{"of":"months","months":1},"currency":"EUR","fee":100,"fee_after_hours":100,
            "approval":{"by":"nobody"}}"#,
    );
    let (free, fee) = ((Rate::Free, 0), (Rate::OfficeHours, 100));
    // Midnight in Vienna, before and after the clocks went forward.
    let asked = [
        "2026-02-28T22:59:59Z",
        "2026-02-28T23:00:00Z",
        "2026-03-31T21:59:59Z",
        "2026-03-31T22:00:00Z",
    ];
    assert_eq!(costs(&monthly, "Europe/Vienna", &asked), [free, free, fee, free]);
    // A zone that left out a day, and with it the first day of nothing.
    let asked = ["2011-12-30T09:59:59Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"];
    assert_eq!(costs(&monthly, "Pacific/Apia", &asked), [free, fee, free]);
    // Quarters.
    let quarterly = policy(
        r#"{"free":1,"period":{"of":"months","months":3},"currency":"EUR","fee":100,"fee_after_hours":100,
            "approval":{"by":"nobody"}}"#,
    );
    let asked = [
        "2026-01-01T12:00:00Z",
        "2026-03-31T12:00:00Z",
        "2026-04-01T12:00:00Z",
        "2026-12-31T12:00:00Z",
    ];
    assert_eq!(costs(&quarterly, "Europe/Vienna", &asked), [free, fee, free, free]);
}

#[test]
fn what_was_booked_too_early_is_set_right_by_a_line() {
    let late = used(1, "2026-03-02T08:00:00Z");
    let known = used(2, "2026-03-03T08:00:00Z");
    let account = |used: &Use, booked| Account {
        used: used.clone(),
        policy: first_one_free(),
        booked,
    };
    let vienna = zone("Europe/Vienna");
    // The later one was the only one that anybody knew of: free.
    let lines = differences(&[account(&known, None)], &vienna);
    assert_eq!(
        (lines.len(), lines[0].amount.minor, lines[0].is_correction),
        (1, 0, false)
    );
    // A lock that was away reports the one before.
    let lines = differences(&[account(&known, Some(0)), account(&late, None)], &vienna);
    let told: Vec<_> = lines
        .iter()
        .map(|line| (&line.lockout, line.amount.minor, line.is_correction))
        .collect();
    assert_eq!(told, [(&late.lockout, 0, false), (&known.lockout, 5000, true)]);
    // And nothing is left to say.
    assert_eq!(
        differences(&[account(&known, Some(5000)), account(&late, Some(0))], &vienna),
        []
    );
}

/// Lock-outs of one person, as often as not within one minute of each other, over both clock changes.
fn any_uses() -> impl Strategy<Value = Vec<Use>> {
    let asked = prop_oneof![0_i64..31_536_000, 7_340_000_i64..7_340_060, 25_660_000_i64..25_660_060];
    proptest::collection::vec((asked, 0_i64..2), 1..12).prop_map(|drawn| {
        let of = |(number, (seconds, lease)): (u128, (i64, i64))| Use {
            lockout: LockoutId::from_bits(number),
            asked_at: Timestamp::from_millis(1_767_225_600_000 + seconds * 1000),
            lease_starts_at: Timestamp::from_millis(lease),
        };
        (1..).zip(drawn).map(of).collect()
    })
}

fn any_policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        Just(housing_office()),
        Just(apartment_manager()),
        Just(first_one_free())
    ]
}

proptest! {
    /// The same policy gives the same fee whatever the order in which openings become known, one by one or all at once.
    #[test]
    fn any_order_of_events_costs_the_same(
        (uses, order) in any_uses().prop_flat_map(|uses| (Just(uses.clone()), Just(uses).prop_shuffle())),
        policy in any_policy(),
        zone_name in prop_oneof![Just("Europe/Vienna"), Just("America/New_York"), Just("Pacific/Apia"), Just("UTC")],
    ) {
        let zone = zone(zone_name);
        let once: BTreeMap<LockoutId, i64> = uses
            .iter()
            .map(|this| (this.lockout.clone(), charge(&policy, &uses, this, &zone).amount.minor))
            .collect();
        let mut booked: BTreeMap<LockoutId, i64> = BTreeMap::new();
        let mut known: Vec<Use> = Vec::new();
        for arrived in &order {
            known.push(arrived.clone());
            let accounts: Vec<Account> = known
                .iter()
                .map(|used| Account { used: used.clone(), policy: policy.clone(), booked: booked.get(&used.lockout).copied() })
                .collect();
            for line in differences(&accounts, &zone) {
                *booked.entry(line.lockout).or_default() += line.amount.minor;
            }
        }
        prop_assert_eq!(&booked, &once);
        for this in &order {
            prop_assert_eq!(charge(&policy, &order, this, &zone).amount.minor, once[&this.lockout]);
        }
    }

    /// No period has more free ones than the policy says, nor fewer while there are as many.
    #[test]
    fn the_free_ones_of_a_lease_are_counted(uses in any_uses()) {
        let policy = first_one_free();
        let vienna = zone("Europe/Vienna");
        let mut free: BTreeMap<Timestamp, u32> = BTreeMap::new();
        for this in &uses {
            let is_free = charge(&policy, &uses, this, &vienna).rate == Rate::Free;
            *free.entry(this.lease_starts_at).or_default() += u32::from(is_free);
        }
        prop_assert!(free.values().all(|count| *count == policy.free()), "{free:?}");
    }
}
