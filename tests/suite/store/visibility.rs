//! Who sees which entry: the database says the same as the rule, whatever the entry; and what is left of a forgotten one.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use doorward::crypto::leaf::leaf;
use doorward::domain::access_log::visibility::{
    Audience, Circumstances, Giver, Home, Reader, Sight, audience, sight, without_who,
};
use doorward::domain::access_log::{Kind, NewEntry, Outcome};
use doorward::domain::account::Role;
use doorward::domain::ids::{GrantId, LockId, LookId, OrganizationId, PersonId, PropertyId, UnitId};
use doorward::domain::look::{Look, Part};
use doorward::domain::time::Timestamp;
use doorward::store::access_log::{self, Filter, Order, forgetting};
use doorward::store::{Conn, MIGRATIONS, StoreError, looks};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::fixtures::databases::{TestDatabase, on_each_database};

on_each_database!(the_database_shows_what_the_rule_says, a_forgotten_entry_leaves_its_leaf,);

const ROLES: [Role; 6] = [
    Role::Owner,
    Role::Tenant,
    Role::Tenant,
    Role::Guest,
    Role::Vendor,
    Role::Viewer,
];

/// Who lives in which unit, from when to when.
const STAYS: [(u128, u128, i64, Option<i64>); 3] = [(1, 0, 0, Some(500)), (2, 0, 300, Some(900)), (2, 1, 100, None)];

/// From when on the landlord sees everything at the doors of the second unit's property.
const SHOWN_SINCE: i64 = 400;

fn person(number: u128) -> PersonId {
    PersonId::from_bits(number)
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn organization() -> OrganizationId {
    OrganizationId::from_bits(1)
}

/// The house in which the entries happen: two properties with a unit and its lock each, and a grant of the landlord's (0) and one of a
/// tenant's (1) to the same guest.
fn furnish(conn: &mut Conn) -> Result<(), StoreError> {
    let organization = organization();
    let mut sql = format!(
        "INSERT INTO organizations (id, name, created_at_ms) VALUES ('{organization}', 'o', 0);
         INSERT INTO access_log_heads (organization_id, last_seq, last_at_ms) VALUES ('{organization}', 0, 0);"
    );
    for (number, role) in (0..).zip(ROLES) {
        let (person, role) = (person(number), role.as_str());
        sql += &format!(
            "INSERT INTO persons (id, email, name, password_hash, created_at_ms)
             VALUES ('{person}', '{number}@people.example', 'p', '', 0);
             INSERT INTO memberships (organization_id, person_id, role, created_at_ms)
             VALUES ('{organization}', '{person}', '{role}', 0);"
        );
    }
    for number in 0..2 {
        let (property, unit) = (PropertyId::from_bits(number), UnitId::from_bits(number));
        let lock = LockId::from_bits(number);
        sql += &format!(
            "INSERT INTO properties (id, organization_id, name, address, time_zone, created_at_ms)
             VALUES ('{property}', '{organization}', 'h', 'a', 'UTC', 0);
             INSERT INTO units (id, organization_id, property_id, name, created_at_ms)
             VALUES ('{unit}', '{organization}', '{property}', 'u', 0);
             INSERT INTO locks (id, organization_id, property_id, unit_id, name, kind, state, created_at_ms, counter,
                                last_issued_at_ms, chain_seq)
             VALUES ('{lock}', '{organization}', '{property}', '{unit}', 'l', 'unit_door', 'unclaimed', 0, 0, 0, -1);"
        );
    }
    sql += &format!(
        "INSERT INTO privacy_rules (property_id, landlord_sees_since_ms, retention_days, changed_at_ms)
         VALUES ('{}', {SHOWN_SINCE}, 90, 0);",
        PropertyId::from_bits(1)
    );
    for (number, (who, unit, starts, ends)) in (0u128..).zip(STAYS) {
        let ends = ends.map_or("NULL".to_owned(), |ends| ends.to_string());
        sql += &format!(
            "INSERT INTO tenancies (id, organization_id, unit_id, person_id, starts_at_ms, ends_at_ms, created_at_ms)
             VALUES ('{}', '{organization}', '{}', '{}', {starts}, {ends}, 0);",
            tenancy(number),
            UnitId::from_bits(unit),
            person(who),
        );
    }
    for (number, giver, under) in [(0, 0, "NULL".to_owned()), (1, 1, format!("'{}'", tenancy(0)))] {
        sql += &format!(
            "INSERT INTO grants (id, organization_id, person_id, given_by, created_at_ms, starts_at_ms, under)
             VALUES ('{}', '{organization}', '{}', '{}', 0, 0, {under});",
            GrantId::from_bits(number),
            person(3),
            person(giver),
        );
    }
    Ok(conn.batch_execute(&sql)?)
}

fn tenancy(number: u128) -> doorward::domain::ids::TenancyId {
    doorward::domain::ids::TenancyId::from_bits(number)
}

/// Any entry in that house.
fn any_entry() -> impl Strategy<Value = NewEntry> {
    let kinds: Vec<Kind> = Kind::ALL
        .iter()
        .copied()
        .filter(|kind| *kind != Kind::Forgotten)
        .collect();
    let outcome = prop::sample::select(vec![Outcome::Ok, Outcome::Refused, Outcome::Failed]);
    let reason = prop::option::of(prop::sample::select(vec!["boot", "door_open", "jammed"]));
    let who = || prop::option::of(0u128..6);
    let grant = prop::option::of(0u128..2);
    let place = (any::<bool>(), 0u128..2, any::<bool>());
    (
        prop::sample::select(kinds),
        outcome,
        reason,
        0i64..1000,
        who(),
        who(),
        grant,
        place,
    )
        .prop_map(
            |(kind, outcome, reason, occurred, subject, actor, grant, (at_door, property, is_own))| NewEntry {
                outcome,
                reason: reason.map(str::to_owned),
                property: at_door.then(|| PropertyId::from_bits(property)),
                unit: (at_door && is_own).then(|| UnitId::from_bits(property)),
                lock: at_door.then(|| LockId::from_bits(property)),
                person: subject.map(person),
                actor: actor.map(person),
                grant: grant.map(GrantId::from_bits),
                detail: Some(serde_json::json!({ "cause": "app", "event_seq": occurred })),
                ..NewEntry::new(kind, at(occurred))
            },
        )
}

/// What is true of the entry in that house.
fn circumstances(entry: &NewEntry) -> Circumstances {
    let mut then = Circumstances::default();
    let number = |unit: &UnitId| (0..2).find(|number| UnitId::from_bits(*number) == *unit).unwrap();
    let lives = |unit: u128| {
        let present = STAYS.iter().filter(move |(_, where_, starts, ends)| {
            *where_ == unit && at(*starts) <= entry.occurred_at && ends.is_none_or(|ends| entry.occurred_at < at(ends))
        });
        present.map(|(who, ..)| person(*who)).collect::<Vec<_>>()
    };
    match entry.unit.as_ref().map(number) {
        Some(unit) if !lives(unit).is_empty() => then.homes.push(Home {
            residents: lives(unit),
            is_private: unit == 0 || entry.occurred_at < at(SHOWN_SINCE),
        }),
        _ => then.elsewhere = true,
    }
    let role = |who: &PersonId| {
        (0..6)
            .find(|number| person(*number) == *who)
            .map(|number| ROLES[number as usize])
    };
    then.person_role = entry.person.as_ref().filter(|_| !then.homes.is_empty()).and_then(role);
    then.actor_role = entry.actor.as_ref().and_then(role);
    then.giver = entry.grant.as_ref().map(|grant| {
        let for_landlord = *grant == GrantId::from_bits(0);
        Giver {
            person: person(u128::from(!for_landlord)),
            for_landlord,
        }
    });
    then
}

fn readers() -> Vec<Reader> {
    let look = |number, unit, from, to| Look {
        id: LookId::from_bits(number),
        organization: organization(),
        person: person(0),
        part: Part {
            unit: UnitId::from_bits(unit),
            lock: (number == 1).then(|| LockId::from_bits(unit)),
            from: at(from),
            to: at(to),
        },
        reason: "somebody asked".to_owned().try_into().unwrap(),
        opened_at: at(0),
        ends_at: at(1_000_000),
        used_at: None,
    };
    let plain = (0..).zip(ROLES).map(|(number, role)| Reader {
        person: person(number),
        views: role.views(),
        looks: Vec::new(),
    });
    let looking = Reader {
        person: person(0),
        views: true,
        looks: vec![look(0, 0, 200, 400), look(1, 1, 100, 300)],
    };
    plain.chain([looking]).collect()
}

async fn the_database_shows_what_the_rule_says(database: TestDatabase) {
    let db = database.open();
    db.migrate(MIGRATIONS).await.unwrap();
    let mut runner = TestRunner::deterministic();
    let entries: Vec<NewEntry> = (0..800)
        .map(|_| any_entry().new_tree(&mut runner).unwrap().current())
        .collect();
    let stored = entries.clone();
    let written = db.write(move |conn| {
        furnish(conn)?;
        for look in readers().into_iter().flat_map(|reader| reader.looks) {
            looks::add(conn, &look, &[])?;
        }
        for entry in &stored {
            access_log::append(conn, &organization(), entry, at(1000))?;
        }
        Ok::<_, StoreError>(())
    });
    written.await.unwrap();
    let audiences: Vec<Audience> = entries
        .iter()
        .map(|entry| audience(entry, &circumstances(entry)))
        .collect();
    let mut told_apart = [0; 3];
    for reader in readers() {
        let filters = (0..6).map(|number| Filter {
            person: Some(person(number)),
            ..Filter::default()
        });
        for filter in std::iter::once(Filter::default()).chain(filters) {
            let mut expected = BTreeMap::new();
            for ((seq, entry), audience) in (1i64..).zip(&entries).zip(&audiences) {
                let is_asked = filter.person.is_none() || filter.person == entry.person;
                match sight(entry, audience, &reader) {
                    Sight::Whole if is_asked => expected.insert(seq, entry.clone()),
                    Sight::What if filter.person.is_none() => expected.insert(seq, without_who(entry)),
                    _ => None,
                };
                told_apart[sight(entry, audience, &reader) as usize] += 1;
            }
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let asked = format!("{filter:?} by {reader:?}");
                let (filter, reader) = (filter.clone(), reader.clone());
                let found = db
                    .read(move |conn| access_log::entries(conn, &organization(), &filter, &reader, order, None, 1000));
                let found = found.await.unwrap().into_iter();
                let found: BTreeMap<i64, NewEntry> = found.map(|seen| (seen.entry.seq, seen.entry.what)).collect();
                assert_eq!(found, expected, "{asked}");
            }
        }
    }
    assert!(told_apart.iter().all(|count| *count > 30), "{told_apart:?}");
}

#[derive(QueryableByName)]
struct Kept {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<Text>)]
    salt: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    leaf: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    detail: Option<String>,
}

fn kept(conn: &mut Conn) -> Result<Kept, StoreError> {
    let sql = "SELECT kind, salt, leaf, detail FROM access_log WHERE seq = 1";
    Ok(diesel::sql_query(sql).get_result(conn)?)
}

async fn a_forgotten_entry_leaves_its_leaf(database: TestDatabase) {
    let db = database.open();
    db.migrate(MIGRATIONS).await.unwrap();
    let entry = NewEntry {
        property: Some(PropertyId::from_bits(0)),
        person: Some(person(1)),
        detail: Some(serde_json::json!({ "b": 1, "a": "x" })),
        ..NewEntry::new(Kind::Unlocked, at(700))
    };
    let (before, seen) = db
        .write(move |conn| {
            furnish(conn)?;
            for _ in 0..2 {
                access_log::append(conn, &organization(), &entry, at(1000))?;
            }
            let reader = readers().remove(0);
            let order = Order::OldestFirst;
            let filter = Filter::default();
            let seen = access_log::entries(conn, &organization(), &filter, &reader, order, None, 10)?;
            Ok::<_, StoreError>((kept(conn)?, seen))
        })
        .await
        .unwrap();
    // What is read back, with its salt, is what the leaf is of.
    let salt = u128::from_str_radix(&before.salt.clone().unwrap(), 16).unwrap();
    assert_eq!(before.leaf, Some(leaf(salt, &organization(), &seen[0].entry)));
    assert_eq!(seen.len(), 2);
    let after = db
        .write(move |conn| {
            let due = forgetting::older(conn, Some(&PropertyId::from_bits(0)), at(1001), 1)?;
            forgetting::forget(conn, &due)?;
            kept(conn)
        })
        .await
        .unwrap();
    assert_eq!(
        (after.kind.as_str(), after.salt, after.detail),
        ("forgotten", None, None)
    );
    assert_eq!(after.leaf, before.leaf);
    // A second time there is only the other one.
    let left = db.read(|conn| forgetting::older(conn, Some(&PropertyId::from_bits(0)), at(1001), 10));
    assert_eq!(left.await.unwrap().len(), 1);
}
