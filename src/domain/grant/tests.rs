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
        delegable: None,
    }
}

#[test]
fn what_can_be_given() {
    let ways = |ways: &[Way]| NewGrant {
        ways: Some(ways.to_vec()),
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
        ("one that ends now", plain(), 200, Some("ends-in-past")),
        ("one that is over", plain(), 300, Some("ends-in-past")),
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
        ("for no time", until(100), 0, Some("ends-before-start")),
        ("backwards", until(99), 0, Some("ends-before-start")),
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
            Some("bad-locks"),
        ),
        (
            "no lock",
            NewGrant {
                locks: locks(0),
                ..plain()
            },
            0,
            Some("bad-locks"),
        ),
        (
            "a lock twice",
            NewGrant {
                locks: [locks(2), locks(1)].concat(),
                ..plain()
            },
            0,
            Some("doubled-lock"),
        ),
        ("one use", uses(1), 0, None),
        ("a thousand uses", uses(1000), 0, None),
        ("no use", uses(0), 0, Some("bad-uses")),
        ("a thousand and one uses", uses(1001), 0, Some("bad-uses")),
        ("by the app", ways(&[Way::App]), 0, None),
        (
            "by a pass too",
            ways(&[Way::App, Way::Offline]),
            0,
            Some("way-not-available"),
        ),
        ("by a PIN", ways(&[Way::Pin]), 0, Some("way-not-available")),
        ("in no way", ways(&[]), 0, Some("bad-ways")),
        ("by the app twice", ways(&[Way::App, Way::App]), 0, Some("bad-ways")),
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
            Some("delegation-not-available"),
        ),
    ] {
        assert_eq!(asked.check(at(now)).err().map(BadGrant::word), refused, "{what}");
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
    };
    assert_eq!(asked.check(at(0)), Ok(expected));
}

#[test]
fn uses_run_out() {
    let two = Uses::new(2).unwrap();
    let one = two.take().unwrap();
    assert!(!one.is_exhausted());
    let none = one.take().unwrap();
    assert!(none.is_exhausted());
    assert_eq!((none.take(), none.taken(), none.limit()), (None, 2, 2));
    assert_eq!(Uses::with_taken(2, 7), Ok(none), "more taken than there are is all");
}

#[test]
fn a_grant_is_revoked_once() {
    let mut grant = Grant {
        id: GrantId::from_bits(1),
        organization: OrganizationId::from_bits(2),
        holder: Holder::Invited(InvitationId::from_bits(3)),
        given_by: PersonId::from_bits(4),
        created_at: at(0),
        terms: plain().check(at(0)).unwrap(),
        state: GrantState::Active,
    };
    let (ana, ben) = (PersonId::from_bits(5), PersonId::from_bits(6));
    assert!(grant.revoke(at(150), ana.clone()));
    assert!(!grant.revoke(at(160), ben));
    assert_eq!(grant.state, GrantState::Revoked { at: at(150), by: ana });
}

#[test]
fn ways_are_words() {
    let ways: Vec<Way> = serde_json::from_str(r#"["app","offline","pin"]"#).unwrap();
    assert_eq!(ways, [Way::App, Way::Offline, Way::Pin]);
    assert!(serde_json::from_str::<Way>(r#""nfc""#).is_err());
}
