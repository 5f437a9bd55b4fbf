//! What a lock tells after it went to another door, or after those moved out who lived behind it.

use std::time::Duration;

use doorward_lock::wire::{Cause, Kind, RESULT_OK};
use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{HandLock, Person, house};

on_each_database!(
    what_a_lock_tells_late_is_of_the_door_where_it_hung,
    what_nobody_knows_the_time_of_is_of_who_lived_there,
    a_lock_that_went_on_twice_tells_of_three_doors,
);

const MINUTE: Duration = Duration::from_secs(60);

/// The places of the openings at this lock, as this person reads them, the newest first.
async fn openings(reader: &Person, lock: &HandLock) -> Vec<Value> {
    let log = reader
        .list(&format!("/v1/access-log?lock_id={}&kind=unlocked", lock.id()))
        .await;
    let places = log.iter().map(|entry| json!([entry["unit_id"], entry["person_id"]]));
    places.collect()
}

/// As the landlord would see more: the lock is away, its tenant moves out, it is hung elsewhere, and only then it tells.
async fn what_a_lock_tells_late_is_of_the_door_where_it_hung(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let gus = ana.guest("gus").await;
    // Once it knows when it was, once it has forgotten; once corrected, once brought away.
    for (name, is_forgetful, is_brought) in [
        ("ada", false, false),
        ("bob", false, true),
        ("cem", true, false),
        ("dan", true, true),
    ] {
        let flat = ana.add_unit(&house, name).await;
        let door = ana.add_lock_of(&flat, name).await;
        let mut lock = HandLock::install(&door).await;
        let tenant = ana.tenant(name, &flat).await;
        let phone = tenant.phone().await;
        let own = tenant.pass_claims(&phone, &[&door]).await["gid"].clone();
        t.clock.advance(MINUTE);
        lock.vanish();
        let own = Cause::Pass(own.as_str().unwrap());
        let mut told = vec![
            lock.event(Kind::Unlocked, own, RESULT_OK),
            lock.event(Kind::Unlocked, Cause::Manual, RESULT_OK),
        ];
        t.clock.advance(MINUTE);
        ana.end_tenancy(&ana.tenancy_of(&tenant, &flat).await, json!({})).await;
        t.clock.advance(MINUTE);
        if is_brought {
            let to = json!({ "property_id": house.id });
            ana.post(&format!("{}/transfer", door.path()))
                .json(to)
                .await
                .expect(200);
        } else {
            ana.patch(&door.path())
                .json(json!({ "unit_id": null }))
                .await
                .expect(200);
        }
        t.clock.advance(MINUTE);
        if is_forgetful {
            lock.boot += 1;
        }
        let grant = ana.grant(&gus, &door, json!({})).await;
        told.push(lock.event(Kind::Unlocked, Cause::Pass(grant["id"].as_str().unwrap()), RESULT_OK));
        lock.connect().await;
        for event in told {
            lock.say(event).await;
        }
        lock.until_acknowledged().await;
        let [his, unknown, shared] = [
            json!([flat.id, tenant.id]),
            json!([flat.id, null]),
            json!([null, gus.id]),
        ];
        assert_eq!(openings(&ana, &lock).await, [shared], "{name}");
        // Who lived there alone sees what nobody did, for it was done at their door.
        assert_eq!(openings(&tenant, &lock).await, [unknown, his], "{name}");
    }
}

async fn what_nobody_knows_the_time_of_is_of_who_lived_there(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let mut lock = HandLock::install(&door).await;
    let tom = ana.tenant("tom", &flat).await;
    let gus = ana.guest("gus").await;
    let lent = tom.lend(&[&door], &gus, json!({ "starts_at": "2026-03-02T08:00:00Z" }));
    let lent = lent.await.expect(201)["id"].clone();
    let own = ana.tenancy_of(&tom, &flat).await["id"].clone();
    t.clock.advance(MINUTE);
    lock.vanish();
    let told = [&own, &lent].map(|by| lock.event(Kind::Unlocked, Cause::Pass(by.as_str().unwrap()), RESULT_OK));
    ana.end_tenancy(&ana.tenancy_of(&tom, &flat).await, json!({})).await;
    t.clock.advance(MINUTE);
    // Half of it is told while nobody lives there, half when somebody else does.
    lock.boot += 1;
    lock.connect().await;
    let [first, second] = told;
    lock.say(first).await;
    lock.until_heard().await;
    let mia = ana.tenant("mia", &flat).await;
    lock.say(second).await;
    lock.until_acknowledged().await;
    for reader in [&*ana, &mia] {
        assert_eq!(openings(reader, &lock).await, Vec::<Value>::new(), "{}", reader.name);
    }
    let (his, friends) = (json!([flat.id, tom.id]), json!([flat.id, gus.id]));
    assert_eq!(openings(&tom, &lock).await, [friends.clone(), his]);
    assert_eq!(openings(&gus, &lock).await, [friends]);
}

async fn a_lock_that_went_on_twice_tells_of_three_doors(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let annex = ana.add_property("Asia/Tokyo").await;
    let (flat, loft) = (ana.add_unit(&house, "Flat 1").await, ana.add_unit(&annex, "Loft").await);
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let mut lock = HandLock::install(&door).await;
    t.clock.advance(MINUTE);
    lock.vanish();
    let mut told = Vec::new();
    let places = [
        Some(json!({ "property_id": annex.id, "unit_id": loft.id })),
        Some(json!({ "property_id": house.id })),
        None,
    ];
    for to in places {
        told.push(lock.event(Kind::Unlocked, Cause::Key, RESULT_OK));
        t.clock.advance(MINUTE);
        if let Some(to) = to {
            ana.post(&format!("{}/transfer", door.path()))
                .json(to)
                .await
                .expect(200);
        }
        t.clock.advance(MINUTE);
    }
    lock.connect().await;
    for event in told {
        lock.say(event).await;
    }
    lock.until_acknowledged().await;
    let expected = [json!([null, null]), json!([loft.id, null]), json!([flat.id, null])];
    assert_eq!(openings(&ana, &lock).await, expected);
    let properties: Vec<Value> = ana
        .list(&format!("/v1/access-log?lock_id={}&kind=unlocked", door.id))
        .await
        .into_iter()
        .map(|entry| entry["property_id"].clone())
        .collect();
    assert_eq!(properties, [json!(house.id), json!(annex.id), json!(house.id)]);
}
