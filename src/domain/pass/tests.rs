use proptest::prelude::*;

use super::*;
use crate::domain::attempt::Action;
use crate::domain::ids::{GrantId, LockId, OrganizationId, PropertyId, TenancyId};
use crate::domain::lock::{LockKind, LockState};
use crate::domain::spare::SpareKey;
use crate::domain::unlock::{self, Ask, Decision};

/// Monday, 2026-03-02, 9 o'clock in Vienna, in seconds.
const NINE: i64 = 1_772_438_400;
const HOUR: i64 = 3600;

const LIVES: Lives = Lives {
    tenant: Duration::from_secs(72 * 3600),
    guest: Duration::from_secs(12 * 3600),
    vendor: Duration::from_secs(2 * 3600),
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn ms(ms: i64) -> Timestamp {
    Timestamp::from_millis(NINE * 1000 + ms)
}

fn vienna() -> TimeZone {
    "Europe/Vienna".parse().unwrap()
}

fn lock() -> Lock {
    Lock {
        id: LockId::from_bits(1),
        organization: OrganizationId::from_bits(1),
        property: PropertyId::from_bits(1),
        unit: None,
        name: "Front door".to_owned().try_into().unwrap(),
        kind: LockKind::Controller,
        state: LockState::Enrolled,
        created_at: at(0),
        model: None,
        firmware: None,
        quarantined: false,
        assurance: None,
        online: None,
        bolt: None,
        door: None,
        battery: None,
        shareable: true,
    }
}

/// A guest's right by the grant of this number, from an hour ago to this many hours from now.
fn guest(number: u128, hours: i64) -> Right {
    Right {
        source: RightSource::Grant(GrantId::from_bits(number)),
        lock: lock().id,
        starts_at: at(NINE - HOUR),
        ends_at: Some(at(NINE + hours * HOUR)),
        schedule: None,
        uses: None,
        ways: vec![Way::App, Way::Offline],
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

fn tenant() -> Right {
    Right::of_tenancy(TenancyId::from_bits(1), lock().id, at(NINE - HOUR), None)
}

fn on_schedule(right: Right, json: &str) -> Right {
    Right {
        schedule: Some(serde_json::from_str(json).unwrap()),
        ..right
    }
}

fn counted(right: Right, taken: u32) -> Right {
    Right {
        uses: Some(Uses::with_taken(3, taken).unwrap()),
        ..right
    }
}

fn decided(rights: &[Right], now: Timestamp) -> Result<Pass, NoPass> {
    decide(&lock(), rights, &vienna(), now, &LIVES)
}

#[test]
fn a_pass_lives_as_long_as_its_role_allows_and_ends_before_its_right() {
    let vendor = |right| Right {
        role: Role::Vendor,
        ..right
    };
    for (what, right, now, starts, ends) in [
        ("a tenant", tenant(), ms(0), 0, 72 * HOUR),
        ("within a second", tenant(), ms(999), 0, 72 * HOUR),
        ("a guest", guest(1, 100), ms(0), 0, 12 * HOUR),
        ("a vendor", vendor(guest(1, 100)), ms(0), 0, 2 * HOUR),
        ("a guest whose right ends sooner", guest(1, 1), ms(0), 0, HOUR - 1),
        (
            "the end within a second",
            Right {
                ends_at: Some(ms(5_999)),
                ..guest(1, 1)
            },
            ms(0),
            0,
            4,
        ),
        (
            "a guest who comes later",
            Right {
                starts_at: ms(HOUR * 1000),
                ..guest(1, 100)
            },
            ms(0),
            HOUR,
            12 * HOUR,
        ),
        (
            "the start within a second is rounded up",
            Right {
                starts_at: ms(HOUR * 1000 + 1),
                ..guest(1, 100)
            },
            ms(0),
            HOUR + 1,
            12 * HOUR,
        ),
        (
            "a start in this very second",
            Right {
                starts_at: ms(500),
                ..guest(1, 100)
            },
            ms(500),
            0,
            12 * HOUR,
        ),
    ] {
        let pass = decided(&[right], now).unwrap();
        assert_eq!(
            (pass.issued_at, pass.starts_at, pass.ends_at),
            (at(NINE), at(NINE + starts), at(NINE + ends)),
            "{what}"
        );
        assert!(pass.counts_until() >= pass.may_open_until(), "{what}");
    }
}

#[test]
fn who_gets_no_pass_is_told_why() {
    let mornings = r#"{"weekly":[{"days":["tue"],"from":"08:00","to":"10:00"}]}"#;
    let later = |hours: i64| Right {
        starts_at: at(NINE + hours * HOUR),
        ..guest(1, 200)
    };
    let refused = NoPass::Refused;
    let tuesday = at(NINE + 23 * HOUR);
    for (what, rights, expected) in [
        ("no right", vec![], refused(Refusal::NoAccess)),
        (
            "revoked",
            vec![Right {
                revoked: true,
                ..guest(1, 1)
            }],
            refused(Refusal::GrantRevoked),
        ),
        ("ended", vec![guest(1, 0)], refused(Refusal::GrantExpired)),
        (
            "ends within this second and the next",
            vec![Right {
                ends_at: Some(ms(1_999)),
                ..guest(1, 1)
            }],
            refused(Refusal::GrantExpired),
        ),
        (
            "used up",
            vec![counted(guest(1, 1), 3)],
            refused(Refusal::UsesExhausted),
        ),
        (
            "begins after its life",
            vec![later(13)],
            refused(Refusal::NotYet {
                opens_at: at(NINE + 13 * HOUR),
            }),
        ),
        (
            "a tenant who has not moved in",
            vec![Right {
                starts_at: ms(1),
                ..tenant()
            }],
            refused(Refusal::NotYet { opens_at: ms(1) }),
        ),
        (
            "opens tomorrow, after its life",
            vec![on_schedule(guest(1, 100), mornings)],
            refused(Refusal::OutsideSchedule {
                opens_at: Some(tuesday),
            }),
        ),
        (
            "never opens before its end",
            vec![on_schedule(guest(1, 5), mornings)],
            refused(Refusal::OutsideSchedule { opens_at: None }),
        ),
        (
            "by the app alone",
            vec![Right {
                ways: vec![Way::App],
                ..guest(1, 5)
            }],
            NoPass::WayNotGiven,
        ),
        (
            "counted, for two locks",
            vec![Right {
                is_only_lock: false,
                ..counted(guest(1, 5), 0)
            }],
            NoPass::SeveralLocks,
        ),
        (
            "for another lock",
            vec![Right {
                lock: LockId::from_bits(9),
                ..guest(1, 5)
            }],
            refused(Refusal::NoAccess),
        ),
        (
            "what comes by itself is nearer than what was not given",
            vec![
                Right {
                    ways: vec![Way::App],
                    ..guest(1, 5)
                },
                later(13),
            ],
            refused(Refusal::NotYet {
                opens_at: at(NINE + 13 * HOUR),
            }),
        ),
    ] {
        assert_eq!(decided(&rights, ms(0)), Err(expected), "{what}");
    }
}

#[test]
fn a_role_whose_passes_are_off_gets_none() {
    let off = Lives {
        guest: Duration::ZERO,
        ..LIVES
    };
    let decided = |right| decide(&lock(), &[right], &vienna(), ms(0), &off);
    assert_eq!(decided(guest(1, 5)), Err(NoPass::Off));
    assert!(decided(tenant()).is_ok());
    let far = Lives {
        guest: Duration::from_secs(1 << 40),
        ..LIVES
    };
    assert_eq!(far.of(Role::Guest), LONGEST_LIFE);
}

#[test]
fn a_lock_out_of_service_is_named_to_who_has_a_right() {
    for (lock, refusal) in [
        (
            Lock {
                state: LockState::Unclaimed,
                ..lock()
            },
            Refusal::LockNotEnrolled,
        ),
        (
            Lock {
                state: LockState::Retired,
                ..lock()
            },
            Refusal::LockRetired,
        ),
        (
            Lock {
                quarantined: true,
                ..lock()
            },
            Refusal::LockQuarantined,
        ),
    ] {
        let of = |rights: &[Right]| decide(&lock, rights, &vienna(), ms(0), &LIVES);
        assert_eq!(of(&[tenant()]), Err(NoPass::Refused(refusal)));
        assert_eq!(of(&[]), Err(NoPass::Refused(Refusal::NoAccess)));
    }
}

#[test]
fn the_best_right_is_taken() {
    let number = |pass: &Pass| pass.by.to_string();
    let open = |rights: &[Right]| number(&decided(rights, ms(0)).unwrap());
    let by = |right: &Right| right.source.to_string();
    let daily = r#"{"weekly":[{"days":["mon"],"from":"08:00","to":"10:00"}]}"#;
    for (what, better, worse) in [
        ("the longer one", guest(2, 5), guest(1, 4)),
        (
            "one without counted uses, though shorter",
            guest(2, 1),
            counted(guest(1, 5), 0),
        ),
        ("the tenancy", tenant(), guest(1, 100)),
        ("one without a schedule", guest(2, 5), on_schedule(guest(1, 5), daily)),
    ] {
        for rights in [[better.clone(), worse.clone()], [worse.clone(), better.clone()]] {
            assert_eq!(open(&rights), by(&better), "{what}");
        }
    }
    // Among equals the first.
    assert_eq!(open(&[guest(1, 5), guest(2, 5)]), by(&guest(1, 5)));
}

fn schedules() -> impl Strategy<Value = Option<Schedule>> {
    let days = prop::sample::subsequence(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"], 1..=7);
    let time = |last: u32| (0..=last).prop_map(|minute| format!("{:02}:{:02}", minute / 60, minute % 60));
    let window = (days, time(1439), time(1440)).prop_filter_map("not empty", |(days, from, to)| {
        (from != to).then(|| serde_json::json!({ "days": days, "from": from, "to": to }))
    });
    let schedule = prop::collection::vec(window, 1..3)
        .prop_map(|weekly| serde_json::from_value(serde_json::json!({ "weekly": weekly })).unwrap());
    prop::option::of(schedule)
}

fn zones() -> impl Strategy<Value = TimeZone> {
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    prop::sample::select(names).prop_filter_map("a zone of ours", |name| name.parse().ok())
}

proptest! {
    /// The lock's rule: from the first second to the end of the last, while the wall clock reads inside the schedule.
    #[test]
    fn a_pass_opens_at_no_instant_at_which_its_right_does_not(
        schedule in schedules(),
        zone in zones(),
        role in prop::sample::select(vec![Role::Tenant, Role::Guest, Role::Vendor]),
        start in -200_000_000_i64..200_000_000,
        length in 1_i64..400_000_000,
        later in prop::collection::vec(0_i64..260_000_000, 32),
    ) {
        let right = Right {
            starts_at: ms(start),
            ends_at: Some(ms(start + length)),
            schedule,
            role,
            ..guest(1, 0)
        };
        let now = ms(0);
        let Ok(pass) = decide(&lock(), std::slice::from_ref(&right), &zone, now, &LIVES) else {
            return Ok(());
        };
        prop_assert!(pass.issued_at <= pass.starts_at && pass.starts_at <= pass.ends_at);
        prop_assert!(pass.ends_at > pass.issued_at && pass.ends_at.since(pass.issued_at) <= LIVES.of(role));
        // Its edges, and any time in its life and after.
        let edges = [0, 999, 1000].map(|after| pass.ends_at + Duration::from_millis(after));
        let instants = later.into_iter().map(ms).chain(edges).chain([now, pass.starts_at.max(now)]);
        for at in instants {
            let second = Timestamp::from_seconds(at.as_seconds());
            let opens = (pass.starts_at..=pass.ends_at).contains(&second)
                && pass.schedule.as_ref().is_none_or(|schedule| schedule.is_open(&zone, at));
            let ask = Ask { lock: lock().id, action: Action::Unlock };
            let decision = unlock::decide(&ask, std::slice::from_ref(&right), &zone, at);
            prop_assert!(!opens || matches!(decision, Decision::Open { .. }), "{at} {decision:?}");
            prop_assert!(!opens || at < pass.may_open_until());
        }
    }
}
