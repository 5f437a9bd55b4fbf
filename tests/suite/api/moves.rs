//! A door changes: nobody comes in by what was agreed for another.

use serde_json::{Value, json};

use super::visits::{order, visit_path};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Answer, Landlord, Link, Person, TestServer, house};

on_each_database!(
    a_lock_that_moves_from_home_to_home_takes_no_vendor_along,
    a_lock_that_is_handed_on_with_its_grants_keeps_vendors_out,
);

/// The office calls the number on the order, and the vendor says the code and follows the link.
async fn let_in(t: &TestServer, office: &Person, visit: &Value) -> Person {
    let called = office.post(&visit_path(visit, "call")).await.expect(200);
    let verify = office.post(&visit_path(visit, "verify"));
    let told = verify.json(json!({ "code": called["code"] })).await.expect(200);
    Link::of(&t.http, &t.clock, told).open().await.0
}

async fn shown(who: &Person, visit: &Value) -> Value {
    let path = format!("/v1/visits/{}", visit["id"].as_str().unwrap());
    who.get(&path).await.expect(200)
}

async fn told(person: &Person, kind: &str) -> Vec<Value> {
    let mut notices = person.list("/v1/me/notices").await;
    notices.retain(|notice| notice["kind"] == kind);
    notices
}

/// A vendor whose way in is gone: nobody is signed in by their link any more, or the door stays shut.
#[track_caller]
fn assert_shut_out(answer: &Answer) {
    assert!(matches!(answer.status, 401 | 403), "{answer:?}");
}

/// What the log says of vendors who were kept out, the newest first.
async fn kept_out(landlord: &Landlord) -> Vec<Value> {
    landlord.list("/v1/access-log?kind=vendor-kept-out").await
}

async fn a_lock_that_moves_from_home_to_home_takes_no_vendor_along(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let [one, three] = [
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 3").await,
    ];
    let dee = ana.staff("dee", "desk").await;
    let (own, cellar) = (
        ana.add_lock_of(&one, "Flat 1").await,
        ana.add_lock(&house, "Cellar").await,
    );
    let _locks = (own.install().await, cellar.install().await);
    let first = order(&dee, &t, &[&own, &cellar], json!({})).await.expect(201);
    let second = order(&dee, &t, &[&cellar], json!({})).await.expect(201);
    let (paul, petra) = (let_in(&t, &dee, &first).await, let_in(&t, &dee, &second).await);
    // Another name is another name.
    ana.patch(&own.path())
        .json(json!({ "name": "Front" }))
        .await
        .expect(200);
    paul.unlock(&own).await.expect_opened();
    for door in [&own, &cellar] {
        let to = json!({ "unit_id": three.id });
        ana.patch(&door.path()).json(to).await.expect(200);
    }
    let _gus = ana.tenant("gus", &three).await;
    for (vendor, door) in [(&paul, &own), (&petra, &cellar)] {
        assert_shut_out(&vendor.unlock(door).await);
    }
    let written = kept_out(&ana).await;
    assert_eq!(written.len(), 2);
    assert!(
        written.iter().all(|entry| entry["reason"] == "door-moved"),
        "{written:?}"
    );
    assert_eq!(told(&dee, "vendor-kept-out").await.len(), 2);
    for visit in [&first, &second] {
        dee.post(&visit_path(visit, "call"))
            .await
            .expect_problem(409, "visit-door-moved");
    }
}

async fn a_lock_that_is_handed_on_with_its_grants_keeps_vendors_out(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let [one, three] = [
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 3").await,
    ];
    let annex = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock_of(&one, "Flat 1").await;
    let _lock = door.install().await;
    let of_guest = ana.grant(&ana.guest("gil").await, &door, json!({})).await;
    for (property, unit) in [(&house, json!(three.id)), (&annex, Value::Null)] {
        let visit = order(&ana, &t, &[&door], json!({})).await.expect(201);
        let paul = let_in(&t, &ana, &visit).await;
        let grant = shown(&ana, &visit).await["grant_id"].clone();
        let to = json!({ "property_id": property.id, "unit_id": unit, "keep_grants": true });
        let moved = ana
            .post(&format!("{}/transfer", door.path()))
            .json(to)
            .await
            .expect(200);
        assert_eq!(moved["grants_kept"], json!([of_guest["id"]]));
        assert_eq!(moved["grants_ended"], json!([grant]));
        assert_shut_out(&paul.unlock(&door).await);
        ana.post(&visit_path(&visit, "call"))
            .await
            .expect_problem(409, "visit-door-moved");
    }
}
