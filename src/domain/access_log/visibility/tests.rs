use proptest::prelude::*;

use super::*;
use crate::domain::ids::{LockId, OrganizationId, UnitId};
use crate::domain::look::Part;
use crate::domain::time::Timestamp;

fn person(number: u128) -> PersonId {
    PersonId::from_bits(number)
}

const TOM: u128 = 1;
const MIA: u128 = 2;
const FRIEND: u128 = 3;
const PLUMBER: u128 = 4;
const MAX: u128 = 5;

fn entry(kind: Kind, who: Option<u128>) -> NewEntry {
    NewEntry {
        lock: Some(LockId::from_bits(1)),
        unit: Some(UnitId::from_bits(1)),
        person: who.map(person),
        ..NewEntry::new(kind, Timestamp::from_millis(1000))
    }
}

fn home(residents: &[u128]) -> Circumstances {
    Circumstances {
        homes: vec![Home {
            residents: residents.iter().copied().map(person).collect(),
            is_private: true,
        }],
        ..Circumstances::default()
    }
}

/// At the same door, by a grant of this giver.
fn by_grant(residents: &[u128], giver: u128, for_landlord: bool) -> Circumstances {
    Circumstances {
        giver: Some(Giver {
            person: person(giver),
            for_landlord,
        }),
        person_role: Some(Role::Guest),
        ..home(residents)
    }
}

fn as_role(residents: &[u128], role: Role) -> Circumstances {
    Circumstances {
        person_role: Some(role),
        ..home(residents)
    }
}

#[test]
fn a_homes_comings_and_goings_are_its_own() {
    use Sight::{Nothing, What, Whole};
    let refused = |who| NewEntry {
        outcome: Outcome::Refused,
        ..entry(Kind::Denied, who)
    };
    let event = |reason: &str| NewEntry {
        reason: Some(reason.to_owned()),
        ..entry(Kind::LockEvent, None)
    };
    let alone = [TOM];
    let both = [TOM, MIA];
    for (what, entry, then, staff, tom, mia) in [
        (
            "a tenant comes",
            entry(Kind::Unlocked, Some(TOM)),
            home(&both),
            Nothing,
            Whole,
            Nothing,
        ),
        (
            "a tenant asks",
            entry(Kind::UnlockRequested, Some(TOM)),
            home(&both),
            Nothing,
            Whole,
            Nothing,
        ),
        (
            "a tenant locks",
            entry(Kind::Locked, Some(MIA)),
            home(&both),
            Nothing,
            Nothing,
            Whole,
        ),
        (
            "a tenant's friend",
            entry(Kind::Unlocked, Some(FRIEND)),
            by_grant(&both, TOM, false),
            Nothing,
            Whole,
            Nothing,
        ),
        (
            "the landlord's guest",
            entry(Kind::Unlocked, Some(FRIEND)),
            by_grant(&both, MAX, true),
            Whole,
            Whole,
            Whole,
        ),
        (
            "a tenant by a grant of the landlord",
            entry(Kind::Unlocked, Some(TOM)),
            by_grant(&both, MAX, true),
            Nothing,
            Whole,
            Nothing,
        ),
        (
            "the manager",
            entry(Kind::UnlockRequested, Some(MAX)),
            as_role(&both, Role::Manager),
            Whole,
            Whole,
            Whole,
        ),
        (
            "a manager who lives there",
            entry(Kind::Unlocked, Some(TOM)),
            as_role(&both, Role::Manager),
            Nothing,
            Whole,
            Nothing,
        ),
        (
            "a vendor",
            entry(Kind::Unlocked, Some(PLUMBER)),
            as_role(&both, Role::Vendor),
            Whole,
            Whole,
            Whole,
        ),
        (
            "a neighbour tries",
            entry(Kind::UnlockRequested, Some(FRIEND)),
            as_role(&both, Role::Tenant),
            Nothing,
            Whole,
            Whole,
        ),
        (
            "a key, one lives there",
            entry(Kind::Unlocked, None),
            home(&alone),
            Nothing,
            Whole,
            Nothing,
        ),
        (
            "a key, two live there",
            entry(Kind::Unlocked, None),
            home(&both),
            Nothing,
            Nothing,
            Nothing,
        ),
        ("a wrong token", refused(None), home(&both), Nothing, Whole, Whole),
        (
            "the door opens",
            event("door_open"),
            home(&alone),
            Nothing,
            Whole,
            Nothing,
        ),
        (
            "an event of tomorrow",
            event("weather"),
            home(&alone),
            Nothing,
            Whole,
            Nothing,
        ),
        ("the lock starts", event("boot"), home(&both), What, Whole, Whole),
        (
            "it jams under a tenant",
            entry(Kind::Jammed, Some(TOM)),
            home(&both),
            What,
            Whole,
            What,
        ),
        (
            "it jams under a friend",
            entry(Kind::Jammed, Some(FRIEND)),
            by_grant(&both, MIA, false),
            What,
            What,
            Whole,
        ),
        (
            "it jams under a plumber",
            entry(Kind::Jammed, Some(PLUMBER)),
            as_role(&both, Role::Vendor),
            Whole,
            Whole,
            Whole,
        ),
        ("tampering", entry(Kind::Alarm, None), home(&both), What, Whole, Whole),
        (
            "a lock is retired",
            entry(Kind::LockRetired, None),
            home(&both),
            Whole,
            Whole,
            Whole,
        ),
    ] {
        let audience = audience(&entry, &then);
        let seen = |who, views| {
            let reader = Reader {
                person: person(who),
                views,
                looks: Vec::new(),
            };
            sight(&entry, &audience, &reader)
        };
        assert_eq!(
            (
                audience.staff,
                seen(TOM, false),
                seen(MIA, false),
                seen(99, true),
                seen(99, false)
            ),
            (staff, tom, mia, staff, Nothing),
            "{what}"
        );
    }
}

#[test]
fn a_way_in_that_a_resident_gives_is_theirs() {
    let given = |actor| NewEntry {
        actor: Some(person(actor)),
        ..entry(Kind::GrantGiven, Some(FRIEND))
    };
    let by = |role, then| Circumstances {
        actor_role: Some(role),
        ..then
    };
    let of_tom = audience(&given(TOM), &by(Role::Tenant, by_grant(&[TOM, MIA], TOM, false)));
    assert_eq!(
        (of_tom.staff, of_tom.witnesses),
        (Sight::Nothing, vec![(person(TOM), Sight::Whole)])
    );
    let of_max = audience(&given(MAX), &by(Role::Manager, by_grant(&[TOM, MIA], MAX, true)));
    assert_eq!(of_max.staff, Sight::Whole);
    assert_eq!(
        of_max.witnesses,
        [(person(TOM), Sight::Whole), (person(MIA), Sight::Whole)]
    );
    // What his friend does with it is between the two.
    for kind in [Kind::SpareAsked, Kind::LinkRedeemed] {
        let asked = audience(&entry(kind, Some(FRIEND)), &by_grant(&[TOM, MIA], TOM, false));
        assert_eq!(
            (asked.staff, asked.witnesses),
            (Sight::Nothing, vec![(person(TOM), Sight::Whole)]),
            "{kind:?}"
        );
    }
    // With a shared door in it the landlord sees it too.
    let shared = Circumstances {
        elsewhere: true,
        ..by(Role::Tenant, by_grant(&[TOM], TOM, false))
    };
    assert_eq!(audience(&given(TOM), &shared).staff, Sight::Whole);
}

#[test]
fn who_moves_in_next_is_not_the_residents_business() {
    let mut invited = entry(Kind::PersonInvited, None);
    invited.lock = None;
    let then = Circumstances {
        elsewhere: true,
        ..Circumstances::default()
    };
    let audience = audience(&invited, &then);
    assert_eq!((audience.staff, audience.witnesses), (Sight::Whole, Vec::new()));
}

#[test]
fn what_is_told_without_who_names_nobody() {
    let jammed = NewEntry {
        actor: Some(person(MAX)),
        grant: Some(crate::domain::ids::GrantId::from_bits(1)),
        attempt: Some(crate::domain::ids::AttemptId::from_bits(1)),
        reason: Some("jammed".to_owned()),
        detail: Some(serde_json::json!({ "cause": "pin", "pin_slot": 3, "event_seq": 4, "pass_by": "grant" })),
        ..entry(Kind::Jammed, Some(TOM))
    };
    let told = without_who(&jammed);
    assert_eq!(told.detail, Some(serde_json::json!({ "event_seq": 4 })));
    let rest = NewEntry { detail: None, ..told };
    assert_eq!(
        rest,
        NewEntry {
            reason: Some("jammed".to_owned()),
            ..entry(Kind::Jammed, None)
        }
    );
}

fn any_role() -> impl Strategy<Value = Option<Role>> {
    prop::option::of(prop::sample::select(Role::ALL.to_vec()))
}

/// Any entry, whatever is true when it happens, with few enough persons that they meet.
fn any_entry() -> impl Strategy<Value = (NewEntry, Circumstances)> {
    let kind = prop::sample::select(Kind::ALL.to_vec());
    let outcome = prop::sample::select(vec![Outcome::Ok, Outcome::Refused, Outcome::Failed]);
    let who = || prop::option::of(0u128..6);
    let homes = prop::collection::vec((prop::collection::btree_set(0u128..6, 1..3), any::<bool>()), 0..3);
    let giver = prop::option::of((0u128..6, any::<bool>()));
    (
        kind,
        outcome,
        who(),
        who(),
        homes,
        any::<bool>(),
        any_role(),
        any_role(),
        giver,
    )
        .prop_map(
            |(kind, outcome, subject, actor, homes, elsewhere, person_role, actor_role, giver)| {
                let entry = NewEntry {
                    outcome,
                    actor: actor.map(person),
                    ..entry(kind, subject)
                };
                let homes = homes.into_iter().map(|(residents, is_private)| Home {
                    residents: residents.into_iter().map(person).collect(),
                    is_private,
                });
                let then = Circumstances {
                    homes: homes.collect(),
                    elsewhere,
                    person_role,
                    actor_role: actor.and(actor_role),
                    giver: giver.map(|(who, for_landlord)| Giver {
                        person: person(who),
                        for_landlord,
                    }),
                };
                (entry, then)
            },
        )
}

proptest! {
    /// Nobody but those whom the rule names sees an entry: staff, residents of that time, who gave the way in, who did it,
    /// and the person concerned.
    #[test]
    fn nobody_else_sees_an_entry((entry, then) in any_entry(), reader in 0u128..8, views: bool) {
        let audience = audience(&entry, &then);
        let reader = Reader { person: person(reader), views, looks: Vec::new() };
        let lives_there = then.homes.iter().any(|home| home.residents.contains(&reader.person));
        let gave = then.giver.as_ref().is_some_and(|giver| giver.person == reader.person && !giver.for_landlord);
        let is_named = entry.person.as_ref() == Some(&reader.person)
            || entry.actor.as_ref() == Some(&reader.person)
            || lives_there || gave || views;
        prop_assert!(is_named || sight(&entry, &audience, &reader) == Sight::Nothing);
    }

    /// Staff never see a resident, nor anybody whom a resident let in, come or go at a private door.
    #[test]
    fn the_landlord_does_not_watch_a_home((entry, then) in any_entry()) {
        let is_home = !then.elsewhere && !then.homes.is_empty() && then.homes.iter().all(|home| home.is_private);
        let of_home = entry.person.as_ref().is_none_or(|who| then.homes.iter().any(|home| home.residents.contains(who)))
            || then.giver.as_ref().is_some_and(|giver| !giver.for_landlord);
        let of_home = of_home && !(entry.person.is_none() && then.giver.as_ref().is_some_and(|giver| giver.for_landlord));
        if is_home && of_home {
            match Topic::of(&entry) {
                Topic::Movement => prop_assert_eq!(audience(&entry, &then).staff, Sight::Nothing),
                Topic::Health => prop_assert_eq!(audience(&entry, &then).staff, Sight::What),
                Topic::Access | Topic::Office => {}
            }
        }
    }

    /// A resident sees another resident come or go in no case.
    #[test]
    fn who_live_together_do_not_watch_each_other((entry, then) in any_entry()) {
        let residents: Vec<&PersonId> = then.homes.iter().flat_map(|home| &home.residents).collect();
        if let Some(who) = entry.person.as_ref().filter(|who| residents.contains(who))
            && Topic::of(&entry) == Topic::Movement
        {
            for other in residents.into_iter().filter(|other| *other != who) {
                let reader = Reader { person: other.clone(), views: false, looks: Vec::new() };
                let did_it = entry.actor.as_ref() == Some(other);
                prop_assert!(did_it || sight(&entry, &audience(&entry, &then), &reader) == Sight::Nothing);
            }
        }
    }

    /// A look shows the whole of what it covers and nothing more.
    #[test]
    fn a_look_shows_its_part((entry, then) in any_entry(), unit in 0u128..3, from in 900i64..1100, length in 1i64..200) {
        let audience = audience(&entry, &then);
        let look = Look {
            id: crate::domain::ids::LookId::from_bits(1),
            organization: OrganizationId::from_bits(1),
            person: person(90),
            part: Part {
                unit: UnitId::from_bits(unit),
                lock: None,
                from: Timestamp::from_millis(from),
                to: Timestamp::from_millis(from + length),
            },
            reason: "somebody asked".to_owned().try_into().unwrap(),
            opened_at: Timestamp::MIN,
            ends_at: Timestamp::MAX,
            used_at: None,
        };
        let covers = unit == 1 && (from..from + length).contains(&1000);
        let reader = Reader { person: person(90), views: true, looks: vec![look] };
        let plain = plain_sight(&entry, &audience, &reader);
        prop_assert_eq!(sight(&entry, &audience, &reader), if covers { Sight::Whole } else { plain });
    }
}
