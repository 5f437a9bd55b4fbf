//! Requests that are sent again under their `Idempotency-Key`.

use std::time::Duration;

use doorward::agent::bolt::SimulatedBolt;
use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Person, house};

on_each_database!(
    the_same_request_happens_once,
    an_answer_is_kept_over_a_restart_and_for_a_day,
    a_door_is_asked_once,
    a_request_that_is_being_worked_on_is_not_begun_again,
    keys_belong_to_a_session,
);

async fn the_same_request_happens_once(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let lock = json!({ "property_id": house.id, "name": "Front door", "kind": "controller" });
    let add = |key: &str, body: &Value| ana.post("/v1/locks").idempotency_key(key).json(body.clone());
    let first = add("press 1", &lock).await;
    let again = add("press 1", &lock).await;
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    first.expect(201);
    let other = json!({ "property_id": house.id, "name": "Cellar", "kind": "controller" });
    add("press 1", &other)
        .await
        .expect_problem(422, "idempotency-key-reused");
    let elsewhere = ana
        .post("/v1/grants")
        .idempotency_key("press 1")
        .json(lock.clone())
        .await;
    elsewhere.expect_problem(422, "idempotency-key-reused");
    assert_eq!(ana.list("/v1/locks").await.len(), 1);
    for bad in ["", &"k".repeat(256)] {
        add(bad, &other).await.expect_problem(400, "invalid-idempotency-key");
    }
    let two = add("press 2", &other).idempotency_key("press 3").await;
    two.expect_problem(400, "invalid-idempotency-key");

    // Of two at once, one is carried out.
    let (one, two) = tokio::join!(add("press 4", &other), add("press 4", &other));
    for answer in [one, two] {
        if answer.status != 201 {
            answer.expect_problem(409, "idempotency-in-progress");
        }
    }
    assert_eq!(ana.list("/v1/locks").await.len(), 2);
}

async fn an_answer_is_kept_over_a_restart_and_for_a_day(database: TestDatabase) {
    let (mut t, ana, house) = house(&database).await;
    let path = format!("/v1/properties/{}/units", house.id);
    let first = ana
        .post(&path)
        .idempotency_key("a")
        .json(json!({ "name": "Flat 1" }))
        .await;
    let refusal = ana
        .post(&path)
        .idempotency_key("b")
        .json(json!({ "name": "Flat 1" }))
        .await;
    t.restart().await;
    t.clock.advance(Duration::from_millis(24 * 3600 * 1000 - 1));
    let again = ana
        .post(&path)
        .idempotency_key("a")
        .json(json!({ "name": "Flat 1" }))
        .await;
    assert_eq!(again.expect(201), first.expect(201));
    let again = ana
        .post(&path)
        .idempotency_key("b")
        .json(json!({ "name": "Flat 1" }))
        .await;
    assert_eq!(
        again.expect_problem(409, "name-taken"),
        refusal.expect_problem(409, "name-taken")
    );
}

async fn a_door_is_asked_once(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({ "uses": 1 })).await;
    let ask = || gus.post(&format!("{}/unlock", door.path())).idempotency_key("press 1");
    let first = ask().await.expect_opened();
    assert_eq!(ask().await.expect_opened(), first);
    gus.unlock(&door).await.expect_refused("uses-exhausted");
}

async fn a_request_that_is_being_worked_on_is_not_begun_again(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install_with(SimulatedBolt::new(Duration::from_secs(3600))).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let ask = || {
        let wait = json!({ "wait_ms": 15_000 });
        gus.post(&format!("{}/unlock", door.path()))
            .idempotency_key("press 1")
            .json(wait)
    };
    let first = tokio::spawn(std::future::IntoFuture::into_future(ask()));
    let asked = format!("/v1/access-log?lock_id={}&person_id={}", door.id, gus.id);
    until("the first to be heard", async || {
        ana.list(&asked)
            .await
            .iter()
            .any(|entry| entry["attempt_id"].is_string())
    })
    .await;
    ask().await.expect_problem(409, "idempotency-in-progress");
    // Its deadline passes, and both are told the same.
    t.clock.advance(Duration::from_secs(11));
    let first = first.await.unwrap().expect(200);
    assert_eq!(first["status"], "expired");
    assert_eq!(ask().await.expect(200), first);
}

async fn keys_belong_to_a_session(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let other_phone = Person::sign_in(&t.http, "ana", &ana.email).await;
    let path = format!("/v1/properties/{}/units", house.id);
    ana.post(&path)
        .idempotency_key("a")
        .json(json!({ "name": "Flat 1" }))
        .await
        .expect(201);
    other_phone
        .post(&path)
        .idempotency_key("a")
        .json(json!({ "name": "Flat 2" }))
        .await
        .expect(201);

    let refresh = json!({ "refresh_token": other_phone.refresh_token() });
    let next = t
        .http
        .post("/v1/auth/refresh")
        .json(refresh)
        .await
        .text_of("access_token");
    let again = t
        .http
        .post(&path)
        .bearer(&next)
        .idempotency_key("a")
        .json(json!({ "name": "Flat 2" }))
        .await;
    again.expect_problem(409, "idempotency-answer-sealed");
}
