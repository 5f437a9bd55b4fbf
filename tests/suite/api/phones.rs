//! Phones: registered, listed, removed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Phone, house};

on_each_database!(
    a_phone_is_registered_once_and_removed_once,
    only_a_good_key_and_a_name_are_registered,
    a_key_is_one_persons_and_never_comes_back,
    a_person_has_ten_phones_at_most,
    the_log_says_that_there_is_a_phone_and_not_what_it_is_called,
);

async fn a_phone_is_registered_once_and_removed_once(database: TestDatabase) {
    let (t, ana, _) = house(&database).await;
    let (gus, eve) = (ana.guest("gus").await, t.landlord("eve").await);
    let key = Phone::new_key();
    let phone = gus.register(&key, "  Gus's phone ").await.expect(201);
    assert_eq!(phone["name"], "Gus's phone");
    assert_eq!(phone["registered_at"], t.clock.after(Duration::ZERO));
    // Again, because the answer was lost: the same phone as it is.
    assert_eq!(gus.register(&key, "Another name").await.expect(200), phone);
    assert_eq!(gus.list("/v1/me/phones").await, std::slice::from_ref(&phone));
    assert!(eve.list("/v1/me/phones").await.is_empty());
    let path = format!("/v1/me/phones/{}", phone["id"].as_str().unwrap());
    eve.delete(&path).await.expect_no("phone");
    ana.delete(&path).await.expect_no("phone");
    let removed = gus.delete(&path).await.expect(200);
    let in_ten_seconds = t.clock.after(Duration::from_secs(10));
    assert_eq!(
        removed,
        json!({ "effective_no_later_than": in_ten_seconds, "waiting_for": [] })
    );
    gus.delete(&path).await.expect_no("phone");
    assert!(gus.list("/v1/me/phones").await.is_empty());
}

async fn only_a_good_key_and_a_name_are_registered(database: TestDatabase) {
    let (_t, ana, _) = house(&database).await;
    let good = Phone::public_key(&Phone::new_key());
    let key = |member: &str, value: Value| {
        let mut key = good.clone();
        key[member] = value;
        key
    };
    let long = "x".repeat(65);
    for (key, name, field) in [
        (key("kty", json!("RSA")), json!("Phone"), "public_key"),
        (key("crv", json!("P-384")), json!("Phone"), "public_key"),
        (key("y", good["x"].clone()), json!("Phone"), "public_key"),
        (key("x", json!("AAAA")), json!("Phone"), "public_key"),
        (key("d", json!("secret")), json!("Phone"), "public_key.d"),
        (Value::Null, json!("Phone"), "public_key"),
        (good.clone(), json!(""), "name"),
        (good.clone(), json!(long), "name"),
        (good.clone(), json!("two\nlines"), "name"),
        (good.clone(), Value::Null, "name"),
    ] {
        let body = json!({ "public_key": key, "name": name });
        ana.post("/v1/me/phones").json(body).await.expect_invalid(field);
    }
}

async fn a_key_is_one_persons_and_never_comes_back(database: TestDatabase) {
    let (_t, ana, _) = house(&database).await;
    let gus = ana.guest("gus").await;
    let phone = gus.phone().await;
    ana.register(&phone.key, "Phone").await.expect_problem(409, "key-taken");
    gus.delete(&format!("/v1/me/phones/{}", phone.id)).await.expect(200);
    gus.register(&phone.key, "Phone")
        .await
        .expect_problem(409, "phone-removed");
    ana.register(&phone.key, "Phone").await.expect_problem(409, "key-taken");
}

async fn a_person_has_ten_phones_at_most(database: TestDatabase) {
    let (_t, ana, _) = house(&database).await;
    let mut phones = Vec::new();
    for _ in 0..10 {
        phones.push(ana.phone().await);
    }
    let one_more = Phone::new_key();
    ana.register(&one_more, "Phone")
        .await
        .expect_problem(409, "too-many-phones");
    // One that is registered is none too many.
    ana.register(&phones[3].key, "Phone").await.expect(200);
    ana.delete(&format!("/v1/me/phones/{}", phones[3].id)).await.expect(200);
    ana.register(&one_more, "Phone").await.expect(201);
}

async fn the_log_says_that_there_is_a_phone_and_not_what_it_is_called(database: TestDatabase) {
    let (_t, ana, _) = house(&database).await;
    let gus = ana.guest("gus").await;
    let key = Phone::new_key();
    let phone = gus.register(&key, "Secretive").await.expect(201);
    gus.register(&key, "Secretive").await.expect(200);
    gus.delete(&format!("/v1/me/phones/{}", phone["id"].as_str().unwrap()))
        .await
        .expect(200);
    let log = ana.log().await;
    let kinds: Vec<&str> = log
        .iter()
        .take(3)
        .map(|entry| entry["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["phone-removed", "phone-registered", "person-joined"]);
    assert_eq!(log[1]["person_id"], gus.id.as_str());
    assert_eq!(log[1]["detail"], json!({ "phone_id": phone["id"] }));
    assert!(!log.iter().any(|entry| entry.to_string().contains("Secretive")));
}
