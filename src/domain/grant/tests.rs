use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn locks(count: u128) -> Vec<LockId> {
    (0..count).map(LockId::from_bits).collect()
}

/// A grant of one lock from 100 to 200, for any number of uses.
fn plain() -> NewGrant {
    NewGrant {
        locks: locks(1),
        starts_at: at(100),
        ends_at: Some(at(200)),
        schedule: None,
        uses: None,
        ways: None,
        role: None,
        delegable: None,
        spare: None,
        reason: None,
    }
}

#[test]
fn what_can_be_given() {
    let ways = |ways: &[Way]| NewGrant {
        ways: Some(ways.to_vec()),
        ..plain()
    };
    let role = |role| NewGrant {
        role: Some(role),
        ..plain()
    };
    let uses = |uses| NewGrant {
        uses: Some(uses),
        ..plain()
    };
    let until = |ms| NewGrant {
        ends_at: Some(at(ms)),
        ..plain()
    };
    for (what, asked, now, refused) in [
        ("a plain one", plain(), 0, None),
        ("one that began already", plain(), 150, None),
        ("one that ends in one ms", plain(), 199, None),
        ("one that ends now", plain(), 200, Some(BadGrant::EndsInPast)),
        ("one that is over", plain(), 300, Some(BadGrant::EndsInPast)),
        (
            "without an end",
            NewGrant {
                ends_at: None,
                ..plain()
            },
            300,
            None,
        ),
        ("for one ms", until(101), 0, None),
        ("for no time", until(100), 0, Some(BadGrant::EndsBeforeStart)),
        ("backwards", until(99), 0, Some(BadGrant::EndsBeforeStart)),
        (
            "fifty locks",
            NewGrant {
                locks: locks(50),
                ..plain()
            },
            0,
            None,
        ),
        (
            "fifty-one locks",
            NewGrant {
                locks: locks(51),
                ..plain()
            },
            0,
            Some(BadGrant::Locks),
        ),
        (
            "no lock",
            NewGrant {
                locks: locks(0),
                ..plain()
            },
            0,
            Some(BadGrant::Locks),
        ),
        (
            "a lock twice",
            NewGrant {
                locks: [locks(2), locks(1)].concat(),
                ..plain()
            },
            0,
            Some(BadGrant::DoubledLock),
        ),
        ("one use", uses(1), 0, None),
        ("a thousand uses", uses(1000), 0, None),
        ("no use", uses(0), 0, Some(BadGrant::Uses)),
        ("a thousand and one uses", uses(1001), 0, Some(BadGrant::Uses)),
        ("by the app", ways(&[Way::App]), 0, None),
        ("by a pass too", ways(&[Way::App, Way::Offline]), 0, None),
        (
            "by all ways, in any order",
            ways(&[Way::Pin, Way::Offline, Way::App]),
            0,
            None,
        ),
        ("by a PIN alone", ways(&[Way::Pin]), 0, Some(BadGrant::Ways)),
        ("in no way", ways(&[]), 0, Some(BadGrant::Ways)),
        ("by the app twice", ways(&[Way::App, Way::App]), 0, Some(BadGrant::Ways)),
        ("to a vendor", role(Role::Vendor), 0, None),
        ("to a tenant", role(Role::Tenant), 0, Some(BadGrant::Role)),
        (
            "not to be passed on",
            NewGrant {
                delegable: Some(false),
                ..plain()
            },
            0,
            None,
        ),
        (
            "to be passed on",
            NewGrant {
                delegable: Some(true),
                ..plain()
            },
            0,
            None,
        ),
        (
            "a spare key",
            NewGrant {
                spare: Some(Spare::default()),
                ..plain()
            },
            0,
            None,
        ),
        (
            "a spare key to be passed on",
            NewGrant {
                spare: Some(Spare::default()),
                delegable: Some(true),
                ..plain()
            },
            0,
            Some(BadGrant::SpareDelegable),
        ),
        (
            "a spare key with a PIN",
            NewGrant {
                spare: Some(Spare::default()),
                ..ways(&[Way::App, Way::Pin])
            },
            0,
            Some(BadGrant::SparePin),
        ),
    ] {
        assert_eq!(asked.check(at(now)).err(), refused, "{what}");
    }
}

#[test]
fn the_terms_are_what_was_asked() {
    let schedule: Schedule =
        serde_json::from_str(r#"{"weekly":[{"days":["mon"],"from":"09:00","to":"10:00"}]}"#).unwrap();
    let asked = NewGrant {
        schedule: Some(schedule.clone()),
        uses: Some(3),
        ..plain()
    };
    let expected = Terms {
        locks: locks(1),
        starts_at: at(100),
        ends_at: Some(at(200)),
        schedule: Some(schedule),
        uses: Some(Uses::new(3).unwrap()),
        ways: Way::USUAL.to_vec(),
        role: Role::Guest,
        delegable: false,
        spare: None,
    };
    assert_eq!(asked.check(at(0)), Ok(expected));
}

#[test]
fn uses_run_out() {
    for (taken, is_exhausted) in [(0, false), (1, false), (2, true), (7, true)] {
        assert_eq!(
            Uses::with_taken(2, taken).unwrap().is_exhausted(),
            is_exhausted,
            "{taken}"
        );
    }
    let all = Uses::with_taken(2, 7).unwrap();
    assert_eq!((all.limit(), all.taken()), (2, 2), "more taken than there are is all");
}

#[test]
fn ways_are_words() {
    let ways: Vec<Way> = serde_json::from_str(r#"["app","offline","pin"]"#).unwrap();
    assert_eq!(ways, [Way::App, Way::Offline, Way::Pin]);
    assert!(serde_json::from_str::<Way>(r#""nfc""#).is_err());
}

#[test]
fn ways_are_kept_in_one_order() {
    for (asked, kept) in [
        (None, &[Way::App, Way::Offline][..]),
        (Some(vec![Way::App]), &[Way::App]),
        (Some(vec![Way::Pin, Way::App]), &[Way::App, Way::Pin]),
    ] {
        let new = NewGrant { ways: asked, ..plain() };
        assert_eq!(new.check(at(0)).unwrap().ways, kept);
    }
}
