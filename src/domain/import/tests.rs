use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;
use crate::domain::account::{Email, Role};
use crate::domain::ids::{LockId, OrganizationId, PersonId, TenancyId};
use crate::domain::lock::{Lock, LockState};
use crate::domain::tenancy::{Tenancy, Term};
use crate::domain::time::Timestamp;

fn now() -> Timestamp {
    "2026-03-02T08:00:00Z".parse().unwrap()
}

fn nobody() -> Known {
    Known {
        organization: OrganizationId::from_bits(1),
        properties: Vec::new(),
        units: Vec::new(),
        locks: Vec::new(),
        residents: HashMap::new(),
        tenancies: Vec::new(),
        invited: Vec::new(),
    }
}

/// Tables of lines whose cells are parted by `|`.
fn tables(given: &[(Sheet, &[&str])]) -> BTreeMap<Sheet, Table> {
    let record = |(at, text): (usize, &&str)| Record {
        line: at as u64 + 1,
        cells: text.split('|').map(str::to_owned).collect(),
    };
    let table = |lines: &[&str]| {
        let mut records: Vec<Record> = lines.iter().enumerate().map(record).collect();
        let header = records.remove(0);
        Table { header, records }
    };
    given.iter().map(|(sheet, lines)| (*sheet, table(lines))).collect()
}

const HOUSE: (Sheet, &[&str]) = (
    Sheet::Properties,
    &["name|address|time_zone", "Linden|Linden Street 4, Vienna|Europe/Vienna"],
);
const FLATS: (Sheet, &[&str]) = (Sheet::Units, &["property|name", "Linden|Flat 1", "Linden|Flat 2"]);
const DOORS: (Sheet, &[&str]) = (
    Sheet::Locks,
    &["Property|Unit|Name", "Linden||Street door", "Linden|Flat 1|Door"],
);
const STAYS: (Sheet, &[&str]) = (
    Sheet::Tenancies,
    &[
        "property|unit|email|from|until",
        "Linden|Flat 1|Tom@example.org|2026-03-01|",
        "Linden|Flat 2|uma@example.org|1.4.2026|31.3.2027",
    ],
);

fn faults(known: Known, given: &[(Sheet, &[&str])]) -> Vec<Fault> {
    let (rows, mut faults) = read(&tables(given));
    let mut id = 100;
    let mut fresh = || {
        id += 1;
        id
    };
    faults.extend(plan(&rows, known, now(), &mut fresh).err().unwrap_or_default());
    faults
}

fn planned(known: Known, given: &[(Sheet, &[&str])]) -> Plan {
    let (rows, faults) = read(&tables(given));
    assert_eq!(faults, []);
    let mut id = 1000;
    let mut fresh = || {
        id += 1;
        id
    };
    plan(&rows, known, now(), &mut fresh).unwrap()
}

/// What is known once the plan has come in; who was invited has accepted if `accepted`.
fn after(plan: Plan, accepted: bool) -> Known {
    let mut known = nobody();
    known.properties = plan.properties;
    known.units = plan.units;
    known.locks = plan.locks;
    for (number, stay) in plan.stays.into_iter().enumerate() {
        if !accepted {
            known.invited.push(Invited {
                email: stay.email,
                unit: stay.unit.id,
                term: stay.term,
            });
            continue;
        }
        let person = PersonId::from_bits(number as u128);
        let role = Some(Role::Tenant);
        let resident = Resident {
            person: person.clone(),
            role,
        };
        known.residents.insert(stay.email, resident);
        known.tenancies.push(Tenancy {
            id: TenancyId::from_bits(number as u128),
            organization: known.organization.clone(),
            property: stay.unit.property,
            unit: stay.unit.id,
            person,
            term: stay.term,
            set_by: None,
            created_at: now(),
            closed_at: None,
        });
    }
    known
}

fn told(faults: &[Fault]) -> Vec<(Sheet, u64, Option<&str>)> {
    let told = faults
        .iter()
        .map(|fault| (fault.sheet, fault.line, fault.column.as_deref()));
    told.collect()
}

#[test]
fn a_house_comes_in_by_its_own_clock() {
    let plan = planned(nobody(), &[HOUSE, FLATS, DOORS, STAYS]);
    let added = plan.added();
    assert_eq!(
        (added.properties, added.units, added.locks, added.tenancies),
        (1, 2, 2, 2)
    );
    assert_eq!(plan.locks[0].unit, None);
    assert_eq!(plan.locks[1].unit.as_ref(), Some(&plan.units[0].id));
    let terms: Vec<(String, Option<String>)> = (plan.stays.iter())
        .map(|stay| {
            let end = stay.term.ends_at.map(|end| end.to_string());
            (stay.term.starts_at.to_string(), end)
        })
        .collect();
    assert_eq!(terms[0], ("2026-02-28T23:00:00.000Z".to_owned(), None));
    // From the first minute of April until the last of March, in summer time both.
    let end = Some("2027-03-31T22:00:00.000Z".to_owned());
    assert_eq!(terms[1], ("2026-03-31T22:00:00.000Z".to_owned(), end));
    assert!(plan.stays.iter().all(|stay| stay.member.is_none()));
}

#[test]
fn the_same_twice_changes_nothing() {
    for accepted in [false, true] {
        let all = [HOUSE, FLATS, DOORS, STAYS];
        let known = after(planned(nobody(), &all), accepted);
        let again = planned(known, &all);
        assert_eq!(again.added(), Counts::default(), "{accepted}");
        let Counts {
            properties,
            units,
            locks,
            tenancies,
        } = again.unchanged;
        assert_eq!((properties, units, locks, tenancies), (1, 2, 2, 2), "{accepted}");
    }
}

#[test]
fn what_is_over_is_left_over() {
    let mut known = after(planned(nobody(), &[HOUSE, FLATS, STAYS]), true);
    // Ended by hand before its time: the table does not bring the tenant back.
    known.tenancies[1].term.ends_at = Some(known.tenancies[1].term.starts_at);
    known.tenancies[1].closed_at = Some(now());
    assert_eq!(told(&faults(known, &[STAYS])), [(Sheet::Tenancies, 3, Some("until"))]);
}

#[test]
fn a_retired_lock_is_none() {
    let mut known = after(planned(nobody(), &[HOUSE, FLATS, DOORS]), true);
    known.locks[0].state = LockState::Retired;
    assert_eq!(planned(known, &[DOORS]).added().locks, 1);
}

#[test]
fn a_member_has_it_at_once_and_whoever_left_is_invited() {
    let emails = ["tom@example.org", "uma@example.org"].map(|email| email.parse::<Email>().unwrap());
    for (role, member) in [(Some(Role::Guest), true), (Some(Role::Manager), true), (None, false)] {
        let mut known = nobody();
        for email in &emails {
            let person = PersonId::from_bits(7);
            known.residents.insert(email.clone(), Resident { person, role });
        }
        let plan = planned(known, &[HOUSE, FLATS, STAYS]);
        assert!(
            plan.stays.iter().all(|stay| stay.member.is_some() == member),
            "{role:?}"
        );
    }
    let mut known = nobody();
    let [tom, _] = emails;
    let person = PersonId::from_bits(7);
    let role = Some(Role::Service);
    known.residents.insert(tom, Resident { person, role });
    let refused = faults(known, &[HOUSE, FLATS, STAYS]);
    assert_eq!(told(&refused), [(Sheet::Tenancies, 2, Some("email"))]);
}

#[test]
fn each_fault_is_named_by_line_and_column() {
    const PROPERTIES: &str = "name|address|time_zone";
    const UNITS: &str = "property|name";
    const LOCKS: &str = "property|unit|name";
    const TENANCIES: &str = "property|unit|email|from|until";
    for (sheet, lines, expected) in [
        (
            Sheet::Properties,
            &[PROPERTIES, "B|Street|Vienna"][..],
            &[(2, Some("time_zone"))][..],
        ),
        (
            Sheet::Properties,
            &[PROPERTIES, "B||"],
            &[(2, Some("address")), (2, Some("time_zone"))],
        ),
        (
            Sheet::Properties,
            &[PROPERTIES, "B|1|UTC", "B|1|UTC"],
            &[(3, Some("name"))],
        ),
        (
            Sheet::Properties,
            &[PROPERTIES, "Linden|elsewhere|Europe/Vienna"],
            &[(2, Some("address"))],
        ),
        (
            Sheet::Properties,
            &[PROPERTIES, "Linden|Linden Street 4, Vienna|Europe/Berlin"],
            &[(2, Some("time_zone"))],
        ),
        (Sheet::Properties, &["name|address", "B|1"], &[(1, Some("time_zone"))]),
        (Sheet::Properties, &["name|name|address|time_zone"], &[(1, None)]),
        (Sheet::Properties, &["name|address|time_zone|rent"], &[(1, None)]),
        (Sheet::Properties, &[PROPERTIES, "B|Street|UTC|1010"], &[(2, None)]),
        (
            Sheet::Properties,
            &[PROPERTIES, "M\u{fffd}ller|Street|UTC"],
            &[(2, Some("name"))],
        ),
        (Sheet::Units, &[UNITS, "Nowhere|Flat 3"], &[(2, Some("property"))]),
        (Sheet::Units, &[UNITS, "Linden|Flat\n3"], &[(2, Some("name"))]),
        (
            Sheet::Units,
            &[UNITS, "Linden|Flat 3", "", "||", "Linden|Flat 3"],
            &[(5, Some("name"))],
        ),
        (Sheet::Locks, &[LOCKS, "Linden|Flat 9|Door"], &[(2, Some("unit"))]),
        (
            Sheet::Locks,
            &[LOCKS, "Linden|Flat 2|Door", "Linden|Flat 2|Door"],
            &[(3, Some("name"))],
        ),
        (
            Sheet::Tenancies,
            &[TENANCIES, "Linden|Flat 1|nobody|2026-03-01|"],
            &[(2, Some("email"))],
        ),
        (
            Sheet::Tenancies,
            &[TENANCIES, "Linden|Flat 1|a@b.example||"],
            &[(2, Some("from"))],
        ),
        (
            Sheet::Tenancies,
            &[TENANCIES, "Linden|Flat 1|a@b.example|3/1/26|never"],
            &[(2, Some("from")), (2, Some("until"))],
        ),
        (
            Sheet::Tenancies,
            &[TENANCIES, "Linden|Flat 1|a@b.example|2026-05-01|2026-04-01"],
            &[(2, Some("until"))],
        ),
        (
            Sheet::Tenancies,
            &[TENANCIES, "Linden|Flat 1|a@b.example|2025-05-01|2026-03-01"],
            &[(2, Some("until"))],
        ),
        (
            Sheet::Tenancies,
            &[
                TENANCIES,
                "Linden|Flat 1|a@b.example|2026-05-01|2026-05-31",
                "Linden|Flat 1|A@B.example|2026-05-31|",
                "Linden|Flat 2|a@b.example|2026-05-31|",
                "Linden|Flat 1|a@b.example|2026-05-01|2026-05-31",
            ],
            &[(3, Some("email")), (5, Some("email"))],
        ),
    ] {
        let known = after(planned(nobody(), &[HOUSE, FLATS]), true);
        let expected: Vec<_> = expected.iter().map(|(line, column)| (sheet, *line, *column)).collect();
        assert_eq!(told(&faults(known, &[(sheet, lines)])), expected, "{lines:?}");
    }
}

#[test]
fn what_stands_in_a_faulty_place_is_not_complained_of() {
    let given: [(Sheet, &[&str]); 3] = [
        (Sheet::Properties, &["name|address|time_zone", "Linden|Street|Vienna"]),
        FLATS,
        STAYS,
    ];
    assert_eq!(
        told(&faults(nobody(), &given)),
        [(Sheet::Properties, 2, Some("time_zone"))]
    );
}

#[test]
fn of_two_properties_of_one_name_nobody_knows_which() {
    let mut known = after(planned(nobody(), &[HOUSE]), true);
    known.properties.push(known.properties[0].clone());
    let refused = faults(known, &[FLATS]);
    assert_eq!(
        told(&refused),
        [(Sheet::Units, 2, Some("property")), (Sheet::Units, 3, Some("property"))]
    );
}

#[test]
fn a_stay_beside_another_of_the_same_person_is_refused() {
    let known = || after(planned(nobody(), &[HOUSE, FLATS, STAYS]), true);
    let stay = |from: &str, until: &str| format!("Linden|Flat 2|uma@example.org|{from}|{until}");
    for (from, until, column) in [
        // It has another end.
        ("2026-04-01", "", Some("until")),
        ("2026-06-01", "2026-07-01", Some("from")),
        ("2027-03-31", "", Some("from")),
        // Right behind it.
        ("2027-04-01", "", None),
    ] {
        let line = stay(from, until);
        let refused = faults(
            known(),
            &[(Sheet::Tenancies, &["property|unit|email|from|until", &line])],
        );
        let expected: Vec<_> = column
            .iter()
            .map(|column| (Sheet::Tenancies, 2, Some(*column)))
            .collect();
        assert_eq!(told(&refused), expected, "{line}");
    }
}

#[test]
fn a_table_that_is_too_long_is_refused_at_its_first_row_too_many() {
    let mut lines = vec!["property|name".to_owned()];
    lines.extend((0..=MOST_ROWS).map(|number| format!("Linden|Flat {number}")));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let refused = faults(nobody(), &[HOUSE, (Sheet::Units, &lines)]);
    assert_eq!(told(&refused), [(Sheet::Units, MOST_ROWS as u64 + 2, None)]);
}

proptest! {
    /// Whatever comes in, comes in once: no identifier and no name twice, and a second time nothing.
    #[test]
    fn what_came_in_is_known(flats in proptest::collection::vec(0_u8..6, 0..12), stays in proptest::collection::vec((0_u8..6, 0_u8..4, 1_u8..28), 0..12)) {
        let flats: Vec<String> = flats.iter().map(|flat| format!("Linden|Flat {flat}")).collect();
        let stays: Vec<String> = stays
            .iter()
            .map(|(flat, who, day)| format!("Linden|Flat {flat}|p{who}@example.org|2026-04-{day:02}|"))
            .collect();
        let mut units = vec!["property|name"];
        units.extend(flats.iter().map(String::as_str));
        let mut tenancies = vec!["property|unit|email|from|until"];
        tenancies.extend(stays.iter().map(String::as_str));
        let given: [(Sheet, &[&str]); 3] = [HOUSE, (Sheet::Units, &units), (Sheet::Tenancies, &tenancies)];
        let (rows, faults) = read(&tables(&given));
        prop_assert!(faults.is_empty());
        let mut id = 0;
        let mut fresh = || { id += 1; id };
        if let Ok(plan) = plan(&rows, nobody(), now(), &mut fresh) {
            let terms: Vec<(&Email, &str, Term)> =
                plan.stays.iter().map(|stay| (&stay.email, stay.unit.id.as_str(), stay.term)).collect();
            for (at, one) in terms.iter().enumerate() {
                for other in &terms[at + 1..] {
                    let same = (one.0, one.1) == (other.0, other.1);
                    prop_assert!(!(same && one.2.overlaps(other.2)));
                }
            }
            for accepted in [false, true] {
                // Several addresses stand for several persons here.
                let once = plan.clone();
                if accepted && once.stays.iter().map(|stay| &stay.email).collect::<std::collections::HashSet<_>>().len() < once.stays.len() {
                    continue;
                }
                let known = after(once, accepted);
                let again = super::plan(&rows, known, now(), &mut || 0);
                prop_assert_eq!(again.map(|plan| plan.added()), Ok(Counts::default()));
            }
        }
    }

    /// No text stops the reading.
    #[test]
    fn any_cell_is_read_or_refused(cells in proptest::collection::vec(".{0,20}", 0..8)) {
        for sheet in Sheet::ALL {
            let header = Record { line: 1, cells: sheet.columns().iter().map(|(column, _)| (*column).to_owned()).collect() };
            let records = vec![Record { line: 2, cells: cells.clone() }];
            let (rows, faults) = read(&BTreeMap::from([(sheet, Table { header, records })]));
            let mut id = 0;
            let mut fresh = || { id += 1; id };
            let outcome = plan(&rows, nobody(), now(), &mut fresh);
            prop_assert!(!faults.is_empty() || outcome.is_ok() || outcome.is_err());
        }
    }
}

#[test]
fn no_more_comes_in_at_once_than_others_can_wait_for() {
    let doors = |count: usize| (0..count).map(|number| format!("Linden||Door {number}"));
    for (count, stays, expected) in [
        (MOST_WRITTEN_DOWN, 0, vec![]),
        (MOST_WRITTEN_DOWN + 1, 0, vec![(Sheet::Locks, 1, None)]),
        (MOST_WRITTEN_DOWN - 1, 2, vec![(Sheet::Tenancies, 3, None)]),
    ] {
        let lines: Vec<String> = std::iter::once("property|unit|name".to_owned())
            .chain(doors(count))
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let given = [
            HOUSE,
            FLATS,
            (Sheet::Locks, &lines[..]),
            (Sheet::Tenancies, &STAYS.1[..=stays]),
        ];
        assert_eq!(told(&faults(nobody(), &given)), expected, "{count}");
    }
}

#[test]
fn locks_that_come_in_are_unclaimed() {
    let plan = planned(nobody(), &[HOUSE, FLATS, DOORS]);
    let ids: Vec<&LockId> = plan.locks.iter().map(|lock: &Lock| &lock.id).collect();
    assert_ne!(ids[0], ids[1]);
    assert!(plan.locks.iter().all(|lock| lock.state == LockState::Unclaimed));
}
