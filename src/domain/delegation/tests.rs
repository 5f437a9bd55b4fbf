use proptest::prelude::*;

use super::*;
use crate::domain::attempt::Action;
use crate::domain::grant::{Grant, GrantState, Holder};
use crate::domain::ids::{GrantId, LockId, OrganizationId, PersonId, PropertyId, TenancyId, UnitId};
use crate::domain::lock::{LockKind, LockState};
use crate::domain::schedule::Schedule;
use crate::domain::spare::{Spare, SpareKey};
use crate::domain::time::TimeZone;
use crate::domain::unlock::{Ask, Decision, decide};

const DAY: i64 = 86_400_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// The door of a unit.
fn own_door() -> Lock {
    Lock {
        id: LockId::from_bits(1),
        organization: OrganizationId::from_bits(1),
        property: PropertyId::from_bits(1),
        unit: Some(UnitId::from_bits(1)),
        name: "Flat 1".to_owned().try_into().unwrap(),
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

/// A shared door.
fn front_door() -> Lock {
    Lock {
        unit: None,
        ..own_door()
    }
}

fn tenancy() -> Right {
    Right::of_tenancy(TenancyId::from_bits(1), own_door().id, at(100), Some(at(200)))
}

/// The right of somebody whose grant may be passed on.
fn granted() -> Right {
    Right {
        source: RightSource::Grant(GrantId::from_bits(1)),
        ways: vec![Way::App, Way::Offline],
        role: Role::Guest,
        ..tenancy()
    }
}

fn schedule(json: &str) -> Option<Schedule> {
    Some(serde_json::from_str(json).unwrap())
}

fn terms() -> Terms {
    Terms {
        locks: vec![own_door().id],
        starts_at: at(100),
        ends_at: Some(at(200)),
        schedule: None,
        uses: None,
        ways: Way::USUAL.to_vec(),
        role: Role::Guest,
        delegable: false,
        spare: None,
    }
}

fn counted(limit: u32, taken: u32) -> Option<Uses> {
    Some(Uses::with_taken(limit, taken).unwrap())
}

#[test]
fn nothing_is_given_that_is_wider() {
    let days = r#"{"weekly":[{"days":["mon"],"from":"09:00","to":"17:00"}]}"#;
    let hours = r#"{"weekly":[{"days":["mon"],"from":"10:00","to":"11:00"}]}"#;
    let once = |limit| Terms {
        uses: counted(limit, 0),
        ways: vec![Way::App],
        ..terms()
    };
    let twice = || Right {
        uses: counted(5, 3),
        ..granted()
    };
    let on_days = || Right {
        schedule: schedule(days),
        ..granted()
    };
    let with_pin = || Terms {
        ways: Way::ALL.to_vec(),
        ..terms()
    };
    let from_to = |from, to: Option<i64>| Terms {
        starts_at: at(from),
        ends_at: to.map(at),
        ..terms()
    };
    let closed = || Lock {
        shareable: false,
        ..front_door()
    };
    for (what, giver, door, asked, wider) in [
        ("all that a tenant has", tenancy(), own_door(), terms(), None),
        ("at a shared door too", tenancy(), front_door(), terms(), None),
        (
            "a PIN at the tenant's own door",
            tenancy(),
            own_door(),
            with_pin(),
            None,
        ),
        (
            "a PIN at a shared door",
            tenancy(),
            front_door(),
            with_pin(),
            Some(Wider::Ways),
        ),
        (
            "a PIN under a grant without",
            granted(),
            own_door(),
            with_pin(),
            Some(Wider::Ways),
        ),
        (
            "a PIN under a grant with one, at a shared door",
            Right {
                ways: Way::ALL.to_vec(),
                ..granted()
            },
            front_door(),
            with_pin(),
            None,
        ),
        (
            "a pass under a right by the app alone",
            Right {
                ways: vec![Way::App],
                ..granted()
            },
            own_door(),
            terms(),
            Some(Wider::Ways),
        ),
        (
            "at a shared door that is closed",
            tenancy(),
            closed(),
            terms(),
            Some(Wider::DoorNotShareable),
        ),
        (
            "an own door is not the landlord's to close",
            tenancy(),
            Lock {
                shareable: false,
                ..own_door()
            },
            terms(),
            None,
        ),
        (
            "at another lock",
            tenancy(),
            Lock {
                id: LockId::from_bits(2),
                ..own_door()
            },
            terms(),
            Some(Wider::NoRight),
        ),
        (
            "after one's own was taken back",
            Right {
                revoked: true,
                ..granted()
            },
            own_door(),
            terms(),
            Some(Wider::NoRight),
        ),
        (
            "one ms before one's own",
            tenancy(),
            own_door(),
            from_to(99, Some(200)),
            Some(Wider::Start),
        ),
        (
            "one ms after one's own",
            tenancy(),
            own_door(),
            from_to(100, Some(201)),
            Some(Wider::End),
        ),
        (
            "without an end",
            tenancy(),
            own_door(),
            from_to(100, None),
            Some(Wider::End),
        ),
        (
            "without an end under one without",
            Right {
                ends_at: None,
                ..tenancy()
            },
            own_door(),
            from_to(100, None),
            None,
        ),
        ("shorter", tenancy(), own_door(), from_to(150, Some(160)), None),
        (
            "always under a schedule",
            on_days(),
            own_door(),
            terms(),
            Some(Wider::Schedule),
        ),
        (
            "the same schedule",
            on_days(),
            own_door(),
            Terms {
                schedule: schedule(days),
                ..terms()
            },
            None,
        ),
        (
            "a narrower schedule",
            on_days(),
            own_door(),
            Terms {
                schedule: schedule(hours),
                ..terms()
            },
            None,
        ),
        (
            "a wider schedule",
            Right {
                schedule: schedule(hours),
                ..granted()
            },
            own_door(),
            Terms {
                schedule: schedule(days),
                ..terms()
            },
            Some(Wider::Schedule),
        ),
        (
            "any number under two",
            twice(),
            own_door(),
            Terms {
                ways: vec![Way::App],
                ..terms()
            },
            Some(Wider::Uses),
        ),
        ("three under two", twice(), own_door(), once(3), Some(Wider::Uses)),
        ("two under two", twice(), own_door(), once(2), None),
        (
            "two by passes under two",
            twice(),
            own_door(),
            Terms {
                ways: Way::USUAL.to_vec(),
                ..once(2)
            },
            Some(Wider::Ways),
        ),
        (
            "counted under uncounted",
            tenancy(),
            own_door(),
            Terms {
                uses: counted(9, 0),
                ..terms()
            },
            None,
        ),
        (
            "a guest's under a vendor's",
            Right {
                role: Role::Vendor,
                ..granted()
            },
            own_door(),
            terms(),
            Some(Wider::Role),
        ),
        (
            "a vendor's under a vendor's",
            Right {
                role: Role::Vendor,
                ..granted()
            },
            own_door(),
            Terms {
                role: Role::Vendor,
                ..terms()
            },
            None,
        ),
        (
            "one more level",
            tenancy(),
            own_door(),
            Terms {
                delegable: true,
                ..terms()
            },
            Some(Wider::Delegable),
        ),
        (
            "under a grant that is not passed on",
            Right {
                delegable: false,
                ..granted()
            },
            own_door(),
            terms(),
            Some(Wider::NotDelegable),
        ),
        (
            "under what was given so itself",
            granted().given_by(Some(tenancy())),
            own_door(),
            terms(),
            Some(Wider::NotDelegable),
        ),
        (
            "under a spare key",
            Right {
                spare: SpareKey::Released { until: at(999) },
                ..granted()
            },
            own_door(),
            terms(),
            Some(Wider::NotDelegable),
        ),
        (
            "a spare key",
            tenancy(),
            own_door(),
            Terms {
                spare: Some(Spare::default()),
                ..terms()
            },
            None,
        ),
    ] {
        assert_eq!(is_within(&giver, &door, &asked, at(150)).err(), wider, "{what}");
    }
    assert_eq!(
        is_within(&tenancy(), &own_door(), &terms(), at(200)),
        Err(Wider::NoRight),
        "at its end"
    );
}

#[test]
fn what_is_left_when_the_givers_right_changes() {
    let (first, second) = (
        own_door(),
        Lock {
            id: LockId::from_bits(2),
            ..own_door()
        },
    );
    let both = Terms {
        locks: vec![first.id.clone(), second.id.clone()],
        ..terms()
    };
    let at_second = |right: Right| Right {
        lock: second.id.clone(),
        ..right
    };
    let whole = || vec![(first.clone(), tenancy()), (second.clone(), at_second(tenancy()))];
    let change = |change: fn(Right) -> Right| -> Vec<(Lock, Right)> {
        whole().into_iter().map(|(door, right)| (door, change(right))).collect()
    };
    let mondays = r#"{"weekly":[{"days":["mon"],"from":"09:00","to":"17:00"}]}"#;
    for (what, givers, terms, left) in [
        ("nothing changed", whole(), both.clone(), Some(both.clone())),
        (
            "one lock less",
            whole()[..1].to_vec(),
            both.clone(),
            Some(Terms {
                locks: vec![first.id.clone()],
                ..both.clone()
            }),
        ),
        ("no lock", Vec::new(), both.clone(), None),
        (
            "it ends sooner",
            change(|right| Right {
                ends_at: Some(at(180)),
                ..right
            }),
            both.clone(),
            Some(Terms {
                ends_at: Some(at(180)),
                ..both.clone()
            }),
        ),
        (
            "it ends now",
            change(|right| Right {
                ends_at: Some(at(150)),
                ..right
            }),
            both.clone(),
            None,
        ),
        (
            "it begins later",
            change(|right| Right {
                starts_at: at(180),
                ..right
            }),
            both.clone(),
            Some(Terms {
                starts_at: at(180),
                ..both.clone()
            }),
        ),
        (
            "it was taken back",
            change(|right| Right { revoked: true, ..right }),
            both.clone(),
            None,
        ),
        (
            "it is not passed on any more",
            change(|right| Right {
                delegable: false,
                ..right
            }),
            both.clone(),
            None,
        ),
        (
            "by the app alone",
            change(|right| Right {
                ways: vec![Way::App],
                ..right
            }),
            both.clone(),
            Some(Terms {
                ways: vec![Way::App],
                ..both.clone()
            }),
        ),
        (
            "it has a schedule now",
            change(|right| Right {
                schedule: schedule(r#"{"weekly":[{"days":["mon"],"from":"09:00","to":"17:00"}]}"#),
                ..right
            }),
            both.clone(),
            Some(Terms {
                schedule: schedule(mondays),
                ..both.clone()
            }),
        ),
        (
            "schedules that only overlap",
            change(|right| Right {
                schedule: schedule(r#"{"weekly":[{"days":["mon"],"from":"16:00","to":"18:00"}]}"#),
                ..right
            }),
            Terms {
                schedule: schedule(mondays),
                ..both.clone()
            },
            None,
        ),
        (
            "it is counted now, and two of three were taken here",
            change(|right| Right {
                uses: counted(4, 3),
                ..right
            }),
            Terms {
                uses: counted(9, 2),
                ways: vec![Way::App],
                ..both.clone()
            },
            Some(Terms {
                uses: counted(3, 2),
                ways: vec![Way::App],
                ..both.clone()
            }),
        ),
    ] {
        assert_eq!(narrowed(&givers, &terms, at(150)), left, "{what}");
    }
}

fn schedules() -> impl Strategy<Value = Option<Schedule>> {
    let days = prop::sample::subsequence(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"], 1..=7);
    // Coarse, so that one often lies within another.
    let window = (days, 0..6_u16, 0..6_u16).prop_filter("a window is not empty", |(_, from, to)| from != to);
    let window = window.prop_map(|(days, from, to)| {
        serde_json::json!({ "days": days, "from": format!("{:02}:30", from * 4), "to": format!("{:02}:30", to * 4) })
    });
    let except = prop::collection::btree_set(1..29_u8, 0..3).prop_map(|days| {
        days.into_iter()
            .map(|day| format!("2026-03-{day:02}"))
            .collect::<Vec<_>>()
    });
    let schedule = (prop::collection::vec(window, 1..4), except).prop_map(|(weekly, except)| {
        serde_json::from_value(serde_json::json!({ "weekly": weekly, "except": except })).unwrap()
    });
    prop::option::weighted(0.7, schedule)
}

fn zones() -> impl Strategy<Value = TimeZone> {
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    prop::sample::select(names).prop_filter_map("a zone of ours", |name| name.parse().ok())
}

fn ways() -> impl Strategy<Value = Vec<Way>> {
    prop::sample::subsequence(vec![Way::Offline, Way::Pin], 0..=2).prop_map(|more| {
        Way::ALL
            .into_iter()
            .filter(|way| *way == Way::App || more.contains(way))
            .collect()
    })
}

/// 2026-03-01, in milliseconds: in this month clocks change in much of the world.
const MARCH: i64 = 1_772_323_200_000;

fn rights() -> impl Strategy<Value = Right> {
    let what = (
        any::<bool>(),
        ways(),
        prop::option::of(0..4_u32),
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.1),
    );
    (what, 0..10_i64, prop::option::of(15..40_i64), schedules()).prop_map(
        |((is_tenancy, ways, taken, delegable, revoked), start, end, schedule)| {
            let right = Right {
                starts_at: at(MARCH + start * DAY),
                ends_at: end.map(|end| at(MARCH + end * DAY)),
                revoked,
                ..granted()
            };
            if is_tenancy {
                return Right {
                    source: tenancy().source,
                    ..right
                };
            }
            Right {
                schedule,
                ways,
                delegable,
                uses: taken.and_then(|taken| counted(3, taken)),
                ..right
            }
        },
    )
}

fn asked() -> impl Strategy<Value = Terms> {
    (
        ways(),
        prop::option::of(1..4_u32),
        5..20_i64,
        prop::option::weighted(0.9, 1..20_i64),
        schedules(),
    )
        .prop_map(|(ways, uses, start, length, schedule)| Terms {
            starts_at: at(MARCH + start * DAY),
            ends_at: length.map(|length| at(MARCH + (start + length) * DAY)),
            schedule,
            uses: uses.and_then(|uses| counted(uses, 0)),
            ways,
            ..terms()
        })
}

/// A grant of these terms, as a right at the door, whatever its giver has.
fn given(terms: Terms) -> Right {
    let grant = Grant {
        id: GrantId::from_bits(2),
        organization: OrganizationId::from_bits(1),
        holder: Holder::Person(PersonId::from_bits(2)),
        given_by: PersonId::from_bits(1),
        created_at: at(0),
        under: None,
        round: 0,
        released_until: None,
        terms,
        state: GrantState::Active,
    };
    Right::of_grant(&grant, &own_door().id).unwrap()
}

fn opens(right: &Right, zone: &TimeZone, now: Timestamp) -> bool {
    let ask = Ask {
        lock: own_door().id,
        action: Action::Unlock,
    };
    matches!(
        decide(&ask, std::slice::from_ref(right), zone, now),
        Decision::Open { .. }
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, max_global_rejects: 1 << 20, ..ProptestConfig::default() })]

    /// Not even where it is judged without its giver's right.
    #[test]
    fn a_delegated_right_is_never_wider_than_its_givers(
        giver in rights(),
        asked in asked(),
        zone in zones(),
        door in prop::sample::select(vec![own_door(), front_door()]),
        instants in prop::collection::vec(MARCH..MARCH + 45 * DAY, 24),
    ) {
        let now = at(MARCH + 11 * DAY);
        // What does not fit is made to fit, so that most of what is drawn is looked at.
        let fits = is_within(&giver, &door, &asked, now).is_ok();
        let made_to_fit = narrowed(&[(door.clone(), giver.clone())], &asked, now);
        let fitting = if fits { Some(asked) } else { made_to_fit };
        let Some(asked) = fitting else {
            return Ok(());
        };
        for way in &asked.ways {
            prop_assert!(giver.lends(*way));
        }
        let delegated = given(asked);
        for instant in instants {
            prop_assert!(!opens(&delegated, &zone, at(instant)) || opens(&giver, &zone, at(instant)), "{instant}");
        }
    }

    #[test]
    fn under_its_givers_right_none_opens_alone(
        giver in rights(),
        asked in asked(),
        zone in zones(),
        instants in prop::collection::vec(MARCH..MARCH + 45 * DAY, 24),
    ) {
        let delegated = given(asked).given_by(Some(giver.clone()));
        for instant in instants {
            prop_assert!(!opens(&delegated, &zone, at(instant)) || opens(&giver, &zone, at(instant)), "{instant}");
        }
    }

    #[test]
    fn what_is_left_lies_within_what_was_and_within_the_givers_right(
        giver in rights(),
        asked in asked(),
        door in prop::sample::select(vec![own_door(), front_door()]),
    ) {
        let now = at(MARCH + 11 * DAY);
        let left = narrowed(&[(door.clone(), giver.clone())], &asked, now);
        if is_within(&giver, &door, &asked, now).is_ok() && asked.ends_at.is_none_or(|end| end > now) {
            prop_assert_eq!(left.as_ref(), Some(&asked), "what fits stays");
        }
        if let Some(left) = left {
            prop_assert_eq!(is_within(&giver, &door, &left, now), Ok(()));
            let limit = |uses: Option<Uses>| uses.map_or(u32::MAX, Uses::limit);
            prop_assert!(limit(left.uses) <= limit(asked.uses));
            // A grant of the same, which could be passed on: counted uses would lend the app alone.
            let before = Right { delegable: true, uses: None, ..given(asked) };
            prop_assert_eq!(is_within(&before, &door, &left, now), Ok(()));
        }
    }

    #[test]
    fn a_schedule_within_another_opens_at_no_other_time(
        inner in schedules(),
        outer in schedules(),
        zone in zones(),
        instants in prop::collection::vec(MARCH..MARCH + 45 * DAY, 24),
    ) {
        if let (Some(inner), Some(outer)) = (inner, outer) && inner.is_within(&outer) {
            for instant in instants {
                prop_assert!(!inner.is_open(&zone, at(instant)) || outer.is_open(&zone, at(instant)), "{instant}");
            }
        }
    }
}
