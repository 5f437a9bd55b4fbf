//! Locks as their landlord knows them, from the claim code to the end of their service.

use std::time::Duration;

use doorward::agent::bolt::SimulatedBolt;
use doorward::agent::dice::Dice;
use doorward_lock::wire::Bolt;
use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait;
use crate::world::{Landlord, Person, Property, house};

on_each_database!(
    a_lock_shows_what_is_known_of_it_and_since_when,
    a_lock_is_renamed_and_moved,
    locks_are_listed_by_property,
    a_retired_lock_is_out_at_once,
    only_an_unclaimed_lock_gets_a_new_code,
    a_jammed_bolt_and_a_pending_wait_are_told,
    an_asked_movement_without_a_word_expires,
);

async fn a_lock_shows_what_is_known_of_it_and_since_when(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let added = json!({ "property_id": house.id, "name": "Front door", "kind": "controller" });
    let added = ana.post("/v1/locks").json(added).await.expect(201);
    let claim = &added["claim"];
    assert_eq!(claim["expires_at"], t.clock.after(Duration::from_secs(600)));
    let code = claim["code"].as_str().unwrap();
    assert_eq!(
        claim["uri"],
        format!("doorward:claim?server=https%3A%2F%2Fdoors.example&code={code}")
    );
    let picture = claim["qr_svg"].as_str().unwrap();
    assert!(picture.contains("<svg ") && picture.ends_with("</svg>"), "{picture}");
    assert!(picture.len() < 16_384, "{} bytes", picture.len());
    let lock = ana
        .get(&format!("/v1/locks/{}", added["id"].as_str().unwrap()))
        .await
        .expect(200);
    assert_eq!(lock["state"], "unclaimed");
    for unknown in ["online", "bolt", "door", "battery", "model", "firmware", "unit_id"] {
        assert_eq!(lock[unknown], Value::Null, "{unknown}");
    }
    assert!(!lock.to_string().contains(added["claim"]["code"].as_str().unwrap()));

    let door = ana.add_lock(&house, "Cellar").await;
    let lock = door.install().await;
    lock.until_online(&ana, true).await;
    t.clock.advance(Duration::from_secs(5));
    lock.turn_by_hand(Bolt::Unlocked).await;
    lock.until_shown("the bolt's place", |view| view.bolt == Bolt::Unlocked)
        .await;
    lock.until_settled().await;
    let shown = ana.get(&door.path()).await.expect(200);
    assert_eq!(
        shown["bolt"],
        json!({ "value": "unlocked", "last_value": "unlocked", "observed_at": "2026-03-02T08:00:05.000Z" })
    );
    assert_eq!(shown["battery"]["value"], 80);
    assert_eq!(shown["model"], "Test lock");
    assert_eq!(shown["online"]["value"], true);
}

async fn a_lock_is_renamed_and_moved(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let (flat, annex) = (
        ana.add_unit(&house, "Flat 1").await,
        ana.add_property("Asia/Tokyo").await,
    );
    let foreign = ana.add_unit(&annex, "Flat 9").await;
    let door = ana.add_lock(&house, "Door").await;
    let change = |change: Value| ana.patch(&door.path()).json(change);
    assert_eq!(
        change(json!({ "name": "Flat door", "unit_id": flat.id }))
            .await
            .expect(200)["unit_id"],
        flat.id
    );
    assert_eq!(
        change(json!({ "name": "Door one" })).await.expect(200)["unit_id"],
        flat.id
    );
    assert_eq!(
        change(json!({ "unit_id": null })).await.expect(200)["unit_id"],
        Value::Null
    );
    change(json!({ "unit_id": foreign.id })).await.expect_no("unit");
    change(json!({ "unit_id": house.id })).await.expect_invalid("unit_id");
    change(json!({ "property_id": annex.id }))
        .await
        .expect_invalid("property_id");
    assert_eq!(ana.get(&door.path()).await.json["name"], "Door one");
    let other = json!({ "property_id": house.id, "unit_id": foreign.id, "name": "Door", "kind": "controller" });
    ana.post("/v1/locks").json(other).await.expect_no("unit");
}

async fn locks_are_listed_by_property(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let annex = ana.add_property("Asia/Tokyo").await;
    let mut here = vec![
        ana.add_lock(&house, "One").await.id,
        ana.add_lock(&house, "Two").await.id,
    ];
    ana.add_lock(&annex, "Elsewhere").await;
    assert_eq!(ana.list("/v1/locks?limit=1").await.len(), 3);
    let of = |property: &Property| format!("/v1/locks?property_id={}", property.id);
    let mut found: Vec<String> = Vec::new();
    for lock in ana.list(&of(&house)).await {
        found.push(lock["id"].as_str().unwrap().to_owned());
    }
    here.sort();
    found.sort();
    assert_eq!(found, here);
    ana.get("/v1/locks?property_id=lock_1")
        .await
        .expect_problem(400, "invalid-query");
}

async fn a_retired_lock_is_out_at_once(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    gus.unlock(&door).await.expect_opened();

    let retired = ana.post(&format!("{}/retire", door.path())).await.expect(200);
    assert_eq!(retired["state"], "retired");
    lock.until_shown("that the broker has hung up", |view| !view.is_connected)
        .await;
    gus.unlock(&door).await.expect_refused("lock-not-in-service");
    assert_eq!(gus.list("/v1/me/locks").await, Vec::<Value>::new());
    ana.post(&format!("{}/retire", door.path()))
        .await
        .expect_problem(409, "lock-retired");
    ana.post(&format!("{}/claim", door.path()))
        .await
        .expect_problem(409, "lock-retired");
    let grant = ana.give(&[&door], json!({ "person_id": gus.id }), json!({})).await;
    grant.expect_problem(409, "lock-retired");
    // Its log stays.
    assert_eq!(
        ana.list(&format!("/v1/access-log?lock_id={}&kind=lock-retired", door.id))
            .await
            .len(),
        1
    );
    assert_eq!(ana.get(&door.path()).await.expect(200)["state"], "retired");
}

async fn only_an_unclaimed_lock_gets_a_new_code(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let renewed = ana.post(&format!("{}/claim", door.path())).await.expect(200);
    assert_ne!(renewed["code"], door.claim_code);
    assert!(door.try_enrol().await.is_err());
    let other = ana.add_lock(&house, "Cellar").await;
    other.try_enrol().await.unwrap();
    ana.post(&format!("{}/claim", other.path()))
        .await
        .expect_problem(409, "lock-claimed");
}

/// A guest who may open the door.
async fn welcome_guest(ana: &Landlord, door: &crate::world::Door) -> Person {
    let gus = ana.guest("gus").await;
    ana.grant(&gus, door, json!({ "uses": 2 })).await;
    gus
}

async fn a_jammed_bolt_and_a_pending_wait_are_told(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door
        .install_with(SimulatedBolt::jamming(Duration::ZERO, 1.0, Dice::new(1)))
        .await;
    let gus = welcome_guest(&ana, &door).await;
    let attempt = gus.unlock(&door).await.expect(200);
    assert_eq!(
        (&attempt["status"], &attempt["reason"]),
        (&json!("failed"), &json!("jammed"))
    );
    assert!(attempt["confirmed_at"].is_null(), "{attempt}");
    let log = ana.list(&format!("/v1/access-log?lock_id={}", door.id)).await;
    assert!(
        log.iter()
            .any(|entry| entry["attempt_id"] == attempt["id"] && entry["outcome"] == "failed"),
        "{log:?}"
    );
}

async fn an_asked_movement_without_a_word_expires(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let never = SimulatedBolt::new(Duration::from_secs(3600));
    let _lock = door.install_with(never).await;
    let gus = welcome_guest(&ana, &door).await;
    let unlock = format!("{}/unlock", door.path());
    let attempt = gus.post(&unlock).json(json!({ "wait_ms": 0 })).await.expect(202);
    assert_eq!(attempt["status"], "pending");
    let path = format!("/v1/attempts/{}", attempt["id"].as_str().unwrap());
    assert_eq!(gus.get(&path).await.expect(200)["status"], "pending");
    t.clock.advance(Duration::from_secs(11));
    wait::until("the attempt to expire", async || {
        gus.get(&path).await.expect(200)["status"] == "expired"
    })
    .await;
    assert_eq!(ana.get(&path).await.expect(200)["person_id"], gus.id);
    let (mia, eve) = (ana.guest("mia").await, t.landlord("eve").await);
    mia.get(&path).await.expect_no("attempt");
    eve.get(&path).await.expect_no("attempt");
}
