//! A lock goes to another door.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{HandLock, Landlord, Person, house};

on_each_database!(
    a_lock_on_another_door_opens_to_those_of_that_door,
    grants_are_kept_where_that_is_asked_for,
    a_lock_goes_only_where_its_landlord_may_put_it,
);

async fn entries(reader: &Person, query: &str) -> Vec<Value> {
    reader.list(&format!("/v1/access-log?{query}")).await
}

async fn a_lock_on_another_door_opens_to_those_of_that_door(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let annex = ana.add_property("Asia/Tokyo").await;
    let (flat, loft) = (ana.add_unit(&house, "Flat 1").await, ana.add_unit(&annex, "Loft").await);
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let cellar = ana.add_lock(&house, "Cellar").await;
    let mut lock = HandLock::install(&door).await;
    let (tom, tia) = (ana.tenant("tom", &flat).await, ana.tenant("tia", &loft).await);
    let (gus, mia) = (ana.guest("gus").await, ana.guest("mia").await);
    let only = ana.grant(&gus, &door, json!({})).await;
    let both = ana.give(&[&door, &cellar], json!({ "person_id": mia.id }), json!({}));
    let both = both.await.expect(201);
    let (opened, _) = tokio::join!(tom.unlock(&door), lock.obey());
    opened.expect_opened();
    tia.unlock(&door).await.expect_refused("no-access");

    let to = json!({ "property_id": annex.id, "unit_id": loft.id });
    let transfer = || ana.post(&format!("{}/transfer", door.path())).json(to.clone());
    transfer().await.expect_problem(409, "home-lived-in");
    ana.end_tenancy(&ana.tenancy_of(&tom, &flat).await, json!({})).await;
    let moved = transfer().await.expect(200);
    assert_eq!(moved["lock"]["property_id"], annex.id);
    assert_eq!(moved["lock"]["unit_id"], loft.id);
    let mut ended = vec![only["id"].clone(), both["id"].clone()];
    ended.sort_by_key(|id| id.as_str().unwrap().to_owned());
    assert_eq!(moved["grants_ended"], Value::from(ended));
    assert_eq!(moved["grants_kept"], json!([]));
    assert_eq!(moved["effective_no_later_than"], t.clock.after(Duration::from_secs(10)));

    tom.unlock(&door).await.expect_refused("no-access");
    gus.unlock(&door).await.expect_refused("grant-revoked");
    mia.unlock(&door).await.expect_refused("no-access");
    let (opened, _) = tokio::join!(tia.unlock(&door), lock.obey());
    opened.expect_opened();
    let both = format!("/v1/grants/{}", both["id"].as_str().unwrap());
    let both = ana.get(&both).await.expect(200);
    assert_eq!(
        (&both["revoked_at"], &both["lock_ids"]),
        (&Value::Null, &json!([cellar.id]))
    );

    // Both places know of it; what happened before stays where it happened.
    for (property, reason) in [(&house, "taken-away"), (&annex, "brought")] {
        let told = entries(&ana, &format!("kind=lock-transferred&property_id={}", property.id)).await;
        assert_eq!((told.len(), &told[0]["reason"]), (1, &json!(reason)));
        assert_eq!(told[0]["detail"]["from"]["property_id"], house.id);
        assert_eq!(told[0]["detail"]["grants_ended"], 2);
    }
    assert_eq!(
        entries(&tom, &format!("kind=unlocked&property_id={}", house.id))
            .await
            .len(),
        1
    );
    assert_eq!(
        entries(&tia, &format!("kind=unlocked&property_id={}", annex.id))
            .await
            .len(),
        1
    );
    let revoked = entries(&ana, "kind=grant-revoked").await;
    assert_eq!(revoked.len(), 2);
    assert!(
        revoked.iter().all(|entry| entry["reason"] == "lock-transferred"),
        "{revoked:?}"
    );
    ana.post(&format!("{}/transfer", door.path()))
        .json(to)
        .await
        .expect_invalid("property_id");
}

async fn grants_are_kept_where_that_is_asked_for(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let annex = ana.add_property("Asia/Tokyo").await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    let mornings = json!({ "schedule": { "weekly": [{ "days": ["mon"], "from": "09:00", "to": "12:00" }] } });
    let grant = ana.grant(&gus, &door, mornings).await;
    let over = ana.grant(&gus, &door, json!({})).await;
    ana.revoke(&over).await;
    // Monday, ten past nine in Vienna, ten past five in Tokyo.
    t.clock.set("2026-03-02T08:10:00Z");
    lock.until_heard().await;
    let (opened, _) = tokio::join!(gus.unlock(&door), lock.obey());
    opened.expect_opened();
    let to = json!({ "property_id": annex.id, "keep_grants": true });
    let moved = ana
        .post(&format!("{}/transfer", door.path()))
        .json(to)
        .await
        .expect(200);
    assert_eq!(moved["grants_kept"], json!([grant["id"]]));
    assert_eq!(moved["grants_ended"], json!([]));
    gus.unlock(&door).await.expect_refused("outside-schedule");
}

async fn a_lock_goes_only_where_its_landlord_may_put_it(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let annex = ana.add_property("Asia/Tokyo").await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock(&house, "Front door").await;
    let eve = t.landlord("eve").await;
    let far = eve.add_property("Europe/Vienna").await;
    let transfer = |to: Value| ana.post(&format!("{}/transfer", door.path())).json(to);
    transfer(json!({ "property_id": far.id })).await.expect_no("property");
    transfer(json!({ "property_id": annex.id, "unit_id": flat.id }))
        .await
        .expect_no("unit");
    transfer(json!({ "unit_id": flat.id }))
        .await
        .expect_invalid("property_id");
    transfer(json!({ "property_id": house.id }))
        .await
        .expect_invalid("property_id");
    let foreign = eve.post(&format!("{}/transfer", door.path()));
    foreign.json(json!({ "property_id": far.id })).await.expect_no("lock");

    // Somebody who manages both organizations cannot carry a lock from one into the other.
    let both = eve
        .invite(&ana.email, json!({ "role": "manager" }))
        .await
        .text_of("secret_link");
    let ana = Landlord::new(
        crate::world::Person::accept(&t.http, "ana", &ana.email, &both).await,
        ana.organization.clone(),
        t.clock.clone(),
    );
    let across = ana.post(&format!("{}/transfer", door.path()));
    across
        .json(json!({ "property_id": far.id }))
        .await
        .expect_invalid("property_id");
    ana.post(&format!("{}/retire", door.path())).await.expect(200);
    let late = ana.post(&format!("{}/transfer", door.path()));
    late.json(json!({ "property_id": annex.id }))
        .await
        .expect_problem(409, "lock-retired");
}
