//! Vendors at real doors: let in for a stay, and not a moment longer.

use std::time::Duration;

use serde_json::{Value, json};

use super::entries;
use crate::api::visits::{order, visit_path};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::found;
use crate::world::{Door, Landlord, Link, Person, TestServer, house};

on_each_database!(
    a_plumber_comes_once_for_two_hours,
    the_window_ends_a_stay_that_began_late,
    a_vendor_opens_no_other_door_and_not_before_the_window,
    a_visit_called_off_shuts_the_door,
    a_lock_change_renews_the_locks_of_the_flat,
    a_lock_change_gives_no_claim_for_a_door_of_another_home,
);

const HOUR: Duration = Duration::from_secs(3600);

/// The office calls the number on the order, and the vendor says the code.
async fn let_in(t: &TestServer, office: &Landlord, visit: &Value) -> Person {
    let called = office.post(&visit_path(visit, "call")).await.expect(200);
    let verify = office.post(&visit_path(visit, "verify"));
    let told = verify.json(json!({ "code": called["code"] })).await.expect(200);
    let (vendor, _phone) = Link::of(&t.http, &t.clock, told).open().await;
    vendor
}

async fn until_ended(landlord: &Landlord) -> Vec<Value> {
    found("the end to be written down", async || {
        let ended = entries(landlord, "visit-ended").await;
        (!ended.is_empty()).then_some(ended)
    })
    .await
}

async fn a_plumber_comes_once_for_two_hours(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let (front, flat) = (
        ana.add_lock(&house, "Front door").await,
        ana.add_lock_of(&unit, "Flat 1").await,
    );
    let (_front_lock, flat_lock) = (front.install().await, flat.install().await);
    let tom = ana.tenant("tom", &unit).await;
    let visit = order(&ana, &t, &[&front, &flat], json!({})).await.expect(201);
    tom.post(&visit_path(&visit, "consent")).await.expect(200);
    let paul = let_in(&t, &ana, &visit).await;

    t.clock.advance(HOUR);
    flat_lock.until_online(&ana, true).await;
    paul.unlock(&front).await.expect_opened();
    let begun = &entries(&ana, "visit-begun").await[0];
    assert_eq!(begun["occurred_at"].as_str().unwrap()[..16], *"2026-03-02T09:00");
    let told = tom.list("/v1/me/notices").await;
    assert_eq!(told[0]["kind"], "visit-begun", "{told:?}");
    // In and out, while the stay lasts.
    paul.unlock(&flat).await.expect_opened();
    t.clock.advance(HOUR);
    flat_lock.until_online(&ana, true).await;
    paul.unlock(&flat).await.expect_opened();
    let path = format!("/v1/visits/{}", visit["id"].as_str().unwrap());
    let shown = ana.get(&path).await.expect(200);
    assert_eq!(shown["stage"], "begun");

    t.clock.set(shown["closes_at"].as_str().unwrap());
    flat_lock.until_online(&ana, true).await;
    // The link ends with its grant: nobody is signed in by it any more, or the door stays shut.
    let late = paul.unlock(&flat).await;
    assert!(matches!(late.status, 401 | 403), "{late:?}");
    let ended = until_ended(&ana).await;
    assert_eq!((ended.len(), &ended[0]["reason"]), (1, &json!("stay-over")));
    assert_eq!(ended[0]["occurred_at"], shown["closes_at"]);
    assert_eq!(entries(&ana, "visit-begun").await.len(), 1);
    assert_eq!(ana.get(&path).await.expect(200)["stage"], "ended");
}

async fn the_window_ends_a_stay_that_began_late(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let cellar = ana.add_lock(&house, "Cellar").await;
    let lock = cellar.install().await;
    let visit = order(&ana, &t, &[&cellar], json!({})).await.expect(201);
    let paul = let_in(&t, &ana, &visit).await;
    t.clock.advance(7 * HOUR + HOUR / 2);
    lock.until_online(&ana, true).await;
    paul.unlock(&cellar).await.expect_opened();
    let path = format!("/v1/visits/{}", visit["id"].as_str().unwrap());
    assert_eq!(ana.get(&path).await.expect(200)["closes_at"], visit["ends_at"]);
    t.clock.advance(HOUR / 2);
    lock.until_online(&ana, true).await;
    let late = paul.unlock(&cellar).await;
    assert!(matches!(late.status, 401 | 403), "{late:?}");
    assert_eq!(until_ended(&ana).await[0]["reason"], "window-over");
}

async fn a_vendor_opens_no_other_door_and_not_before_the_window(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (cellar, roof) = (ana.add_lock(&house, "Cellar").await, ana.add_lock(&house, "Roof").await);
    let lock = cellar.install().await;
    let later = json!({
        "starts_at": t.clock.after(HOUR), "ends_at": t.clock.after(3 * HOUR), "stay_minutes": 15,
    });
    let visit = order(&ana, &t, &[&cellar], later).await.expect(201);
    let paul = let_in(&t, &ana, &visit).await;
    paul.unlock(&cellar).await.expect_refused("not-yet");
    let other = paul.unlock(&roof).await;
    assert!(matches!(other.status, 403 | 404), "{other:?}");
    assert!(entries(&ana, "visit-begun").await.is_empty());
    t.clock.advance(HOUR);
    lock.until_online(&ana, true).await;
    paul.unlock(&cellar).await.expect_opened();
}

async fn a_visit_called_off_shuts_the_door(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let cellar = ana.add_lock(&house, "Cellar").await;
    let _lock = cellar.install().await;
    let visit = order(&ana, &t, &[&cellar], json!({})).await.expect(201);
    let paul = let_in(&t, &ana, &visit).await;
    paul.unlock(&cellar).await.expect_opened();
    let cancelled = ana.post(&visit_path(&visit, "cancel")).await.expect(200);
    assert_eq!(cancelled["visit"]["end_reason"], "cancelled");
    assert!(cancelled["effective_no_later_than"].as_str().unwrap() <= t.clock.after(Duration::from_secs(60)).as_str());
    let late = paul.unlock(&cellar).await;
    assert!(matches!(late.status, 401 | 403), "{late:?}");
}

async fn a_lock_change_renews_the_locks_of_the_flat(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let (front, flat) = (
        ana.add_lock(&house, "Front door").await,
        ana.add_lock_of(&unit, "Flat 1").await,
    );
    let (_front_lock, mut old) = (front.install().await, flat.install().await);
    let tom = ana.tenant("tom", &unit).await;
    let visit = order(&ana, &t, &[&front, &flat], json!({ "lock_change": true }))
        .await
        .expect(201);
    tom.post(&visit_path(&visit, "consent")).await.expect(200);
    let paul = let_in(&t, &ana, &visit).await;
    let change = visit_path(&visit, "lock-change");
    ana.post(&change).await.expect_problem(409, "visit-not-begun");
    paul.unlock(&front).await.expect_opened();

    let claims = ana.post(&change).await.expect(200)["claims"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(claims.len(), 1, "the shared door keeps its lock");
    assert_eq!(claims[0]["lock_id"], *flat.id);
    let told = tom.list("/v1/me/notices").await;
    assert_eq!(told[0]["kind"], "lock-change-begun", "{told:?}");
    // The present one works until the new one is there.
    tom.unlock(&flat).await.expect_opened();
    let new: Door = flat.with_code(claims[0]["claim"]["code"].as_str().unwrap());
    let fresh = new.install().await;
    old.power_off().await;
    fresh.until_online(&ana, true).await;
    tom.unlock(&flat).await.expect_opened();

    let plain = order(&ana, &t, &[&front], json!({})).await.expect(201);
    let pia = let_in(&t, &ana, &plain).await;
    pia.unlock(&front).await.expect_opened();
    ana.post(&visit_path(&plain, "lock-change"))
        .await
        .expect_problem(409, "no-lock-change");
}

async fn a_lock_change_gives_no_claim_for_a_door_of_another_home(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (unit, other) = (
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    );
    let (front, cellar) = (
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Cellar").await,
    );
    let flat = ana.add_lock_of(&unit, "Flat 1").await;
    let _locks = (front.install().await, cellar.install().await, flat.install().await);
    let visit = order(&ana, &t, &[&front, &cellar, &flat], json!({ "lock_change": true }))
        .await
        .expect(201);
    let paul = let_in(&t, &ana, &visit).await;
    paul.unlock(&front).await.expect_opened();
    let there = json!({ "unit_id": other.id });
    ana.request("PATCH", &cellar.path()).json(there).await.expect(200);
    let change = visit_path(&visit, "lock-change");
    ana.post(&change).await.expect_problem(409, "visit-door-moved");
    assert!(
        ana.list("/v1/access-log?kind=lock-claim-made")
            .await
            .iter()
            .all(|entry| entry["reason"] != "replacement")
    );
    let back = json!({ "unit_id": Value::Null });
    ana.request("PATCH", &cellar.path()).json(back).await.expect(200);
    let claims = ana.post(&change).await.expect(200)["claims"].clone();
    assert_eq!(claims.as_array().map(Vec::len), Some(1), "{claims}");
}
