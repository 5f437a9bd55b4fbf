//! Budgets: who has asked too often is told to wait, and can still open the door.

use serde_json::json;

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{BoundPhone, PASSWORD, Person, TestServer};

on_each_database!(
    who_has_spent_everything_else_can_still_open_a_door,
    the_unlocks_of_a_person_count_over_all_sessions,
    an_address_signs_in_so_often,
    proofs_of_strangers_have_a_budget,
);

async fn who_has_spent_everything_else_can_still_open_a_door(database: TestDatabase) {
    let t = TestServer::start_with(&database, |config| config.limits.requests_per_minute = 12).await;
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let mut asked = 0;
    while gus.get("/v1/me").await.status == 200 {
        asked += 1;
        assert!(asked < 13);
    }
    gus.get("/v1/me").await.expect_problem(429, "throttled");
    gus.unlock(&door).await.expect_opened();
    gus.lock(&door).await.expect_opened();
    // Another session, and another person, have budgets of their own.
    Person::sign_in(&t.http, "gus", &gus.email).await;
    ana.get("/v1/me").await.expect(200);
}

async fn the_unlocks_of_a_person_count_over_all_sessions(database: TestDatabase) {
    let t = TestServer::start_with(&database, |config| config.limits.unlocks_per_minute = 3).await;
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let other_phone = Person::sign_in(&t.http, "ana", &ana.email).await;
    ana.unlock(&door).await.expect_refused("no-access");
    other_phone.unlock(&door).await.expect_refused("no-access");
    ana.lock(&door).await.expect_refused("no-access");
    other_phone.unlock(&door).await.expect_problem(429, "throttled");
    ana.get("/v1/me").await.expect(200);
    // What was not heard is not in the log.
    let asked = ana
        .list(&format!("/v1/access-log?lock_id={}&person_id={}", door.id, ana.id))
        .await;
    assert_eq!(asked.len(), 3, "{asked:?}");
}

async fn an_address_signs_in_so_often(database: TestDatabase) {
    let t = TestServer::start_with(&database, |config| config.limits.sign_ins_per_minute = 3).await;
    let ana = t.landlord("ana").await;
    let sign_in = |from: &'static str| {
        let body = json!({ "email": ana.email, "password": PASSWORD });
        t.http.post("/v1/auth/sign-in").coming_from(from).json(body)
    };
    for _ in 0..3 {
        sign_in("192.0.2.7").await.expect(200);
    }
    sign_in("192.0.2.7").await.expect_problem(429, "throttled");
    sign_in("192.0.2.8").await.expect(200);
    // Of the addresses that a caller lists, the one that the proxy saw counts.
    sign_in("192.0.2.99, 192.0.2.7").await.expect_problem(429, "throttled");
    // So is guessing at a new password, whoever is signed in: everybody waits for the one thread that hashes.
    let change = json!({ "current_password": PASSWORD, "new_password": "another battery staple" });
    ana.post("/v1/auth/password")
        .coming_from("192.0.2.7")
        .json(change)
        .await
        .expect_problem(429, "throttled");
    // Refreshing is signing in; accepting an invitation is not.
    let refresh = json!({ "refresh_token": ana.refresh_token() });
    t.http
        .post("/v1/auth/refresh")
        .coming_from("192.0.2.7")
        .json(refresh)
        .await
        .expect_problem(429, "throttled");
    let link = ana
        .invite("new@people.example", json!({ "role": "guest" }))
        .await
        .text_of("secret_link");
    let (_, secret) = link.split_once('#').unwrap();
    let body = json!({ "secret": secret, "name": "New", "password": PASSWORD });
    t.http
        .post("/v1/invitations/accept")
        .coming_from("192.0.2.7")
        .json(body)
        .await
        .expect(200);
}

async fn proofs_of_strangers_have_a_budget(database: TestDatabase) {
    let t = TestServer::start_with(&database, |config| config.limits.requests_per_minute = 12).await;
    let ana = t.landlord("ana").await;
    let nobody = BoundPhone::new(&t.http, &t.clock);
    let refresh = |from: &'static str| {
        let body = json!({ "refresh_token": "A".repeat(43) });
        let request = nobody.without_token("POST", "/v1/auth/refresh");
        request.coming_from(from).json(body)
    };
    for _ in 0..12 {
        refresh("192.0.2.7").await.expect_problem(401, "unauthenticated");
    }
    refresh("192.0.2.7").await.expect_problem(429, "throttled");
    refresh("192.0.2.8").await.expect_problem(401, "unauthenticated");
    ana.get("/v1/me").coming_from("192.0.2.7").await.expect(200);
}
