use proptest::prelude::*;

use super::*;
use crate::domain::attempt::Action;
use crate::domain::grant::Way;
use crate::domain::ids::{LockId, TenancyId};
use crate::domain::pass::Role;
use crate::domain::time::TimeZone;
use crate::domain::unlock::{Ask, Decision, decide};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn terms(starts_at: i64, ends_at: Option<i64>) -> Terms {
    Terms {
        locks: vec![LockId::from_bits(1)],
        starts_at: at(starts_at),
        ends_at: ends_at.map(at),
        schedule: None,
        uses: None,
        ways: vec![Way::App],
        role: Role::Guest,
        delegable: false,
        spare: None,
    }
}

#[test]
fn a_link_stays_within_its_grant() {
    let link = |phones, starts_at: Option<i64>, ends_at: Option<i64>| NewLink {
        phones,
        starts_at: starts_at.map(at),
        ends_at: ends_at.map(at),
    };
    let is = |phones, starts_at, ends_at| {
        Ok(LinkTerms {
            phones,
            starts_at: at(starts_at),
            ends_at: at(ends_at),
        })
    };
    let month = 30 * 24 * 3600;
    for (what, new, grant, expected) in [
        (
            "all of it",
            link(None, None, None),
            terms(100, Some(200)),
            is(1, 100, 200),
        ),
        (
            "a part",
            link(Some(2), Some(110), Some(190)),
            terms(100, Some(200)),
            is(2, 110, 190),
        ),
        (
            "no end",
            link(None, None, None),
            terms(100, None),
            is(1, 100, 150 + month),
        ),
        (
            "no end, later",
            link(None, None, None),
            terms(500, None),
            is(1, 500, 500 + month),
        ),
        (
            "no end, its own",
            link(None, None, Some(160)),
            terms(100, None),
            is(1, 100, 160),
        ),
        (
            "no phone",
            link(Some(0), None, None),
            terms(100, Some(200)),
            Err(BadLink::Phones),
        ),
        (
            "a crowd",
            link(Some(11), None, None),
            terms(100, Some(200)),
            Err(BadLink::Phones),
        ),
        (
            "too early",
            link(None, Some(99), None),
            terms(100, Some(200)),
            Err(BadLink::StartsBeforeGrant),
        ),
        (
            "too late",
            link(None, None, Some(201)),
            terms(100, Some(200)),
            Err(BadLink::EndsAfterGrant),
        ),
        (
            "backwards",
            link(None, Some(180), Some(180)),
            terms(100, Some(200)),
            Err(BadLink::EndsBeforeStart),
        ),
        (
            "begun at the end",
            link(None, Some(200), None),
            terms(100, Some(200)),
            Err(BadLink::EndsBeforeStart),
        ),
        (
            "over",
            link(None, None, Some(150)),
            terms(100, Some(200)),
            Err(BadLink::EndsInPast),
        ),
        (
            "grant over",
            link(None, None, None),
            terms(100, Some(150)),
            Err(BadLink::EndsInPast),
        ),
    ] {
        assert_eq!(new.check(&grant, at(150)), expected, "{what}");
    }
}

#[test]
fn a_link_ends_with_the_first_of_both() {
    let link = LinkTerms {
        phones: 1,
        starts_at: at(100),
        ends_at: at(200),
    };
    let revoked = GrantState::Revoked {
        at: at(120),
        by: PersonId::from_bits(1),
    };
    for (what, state, grant, now, expected) in [
        ("before the start", GrantState::Active, terms(100, None), 0, Some(200)),
        (
            "the link's last",
            GrantState::Active,
            terms(100, Some(300)),
            199,
            Some(200),
        ),
        ("the link's end", GrantState::Active, terms(100, Some(300)), 200, None),
        (
            "the grant's last",
            GrantState::Active,
            terms(100, Some(150)),
            149,
            Some(150),
        ),
        ("the grant's end", GrantState::Active, terms(100, Some(150)), 150, None),
        ("taken back", revoked, terms(100, Some(300)), 130, None),
    ] {
        assert_eq!(open_until(&link, &state, &grant, at(now)), expected.map(at), "{what}");
    }
}

fn opens(rights: &[Right], now: Timestamp) -> bool {
    let ask = Ask {
        lock: LockId::from_bits(1),
        action: Action::Unlock,
    };
    let zone: TimeZone = "Europe/Vienna".parse().unwrap();
    matches!(decide(&ask, rights, &zone, now), Decision::Open { .. })
}

proptest! {
    /// Whatever else its holder may: by the link opens what the grant opens, within the link's time, and nothing else.
    #[test]
    fn a_link_opens_what_its_grant_opens_and_no_more(
        grants in proptest::collection::vec((0i64..100, proptest::option::of(1i64..100), any::<bool>()), 1..4),
        lives_there in any::<bool>(),
        (starts_at, length) in (0i64..100, 1i64..100),
        now in 0i64..220,
    ) {
        let forever = || Right::of_tenancy(TenancyId::from_bits(1), LockId::from_bits(1), at(0), None);
        let of = |(number, (starts_at, length, revoked)): (usize, &(i64, Option<i64>, bool))| Right {
            source: RightSource::Grant(GrantId::from_bits(number as u128)),
            starts_at: at(*starts_at),
            ends_at: length.map(|length| at(starts_at + length)),
            revoked: *revoked,
            ..forever()
        };
        let mut rights: Vec<Right> = grants.iter().enumerate().map(of).collect();
        let own = rights[0].clone();
        if lives_there {
            rights.push(forever());
        }
        let reach = Reach {
            link: LinkId::from_bits(1),
            phone: PhoneId::from_bits(1),
            grant: GrantId::from_bits(0),
            starts_at: at(starts_at),
            ends_at: at(starts_at + length),
        };
        let now = at(now);
        let within = reach.starts_at <= now && now < reach.ends_at;
        let opens_by_link = opens(&reach.narrow(rights), now);
        prop_assert_eq!(opens_by_link, within && opens(&[own], now));
    }
}
