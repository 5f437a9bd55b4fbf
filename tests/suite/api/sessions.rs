//! One's own sessions, and proving anew who one is.

use std::time::Duration;

use serde_json::{Value, json};

use super::lockouts::policy;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Answer, Http, Landlord, PASSWORD, Person, TestServer, house};

on_each_database!(
    a_person_sees_and_ends_their_sessions,
    nobody_ends_anothers_session,
    a_session_is_called_by_no_more_than_a_phrase,
    a_sign_in_from_somewhere_new_is_told,
    a_phone_that_is_registered_is_told,
    a_phone_that_is_removed_takes_its_session_along,
    what_is_dangerous_asks_for_a_young_proof,
    no_refresh_renews_a_proof,
    a_proof_is_guessed_no_faster_than_a_sign_in,
    a_proof_counts_for_its_own_session,
    who_proves_asks_again_with_the_same_key,
);

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

async fn sign_in_from(http: &Http, address: &str, body: Value) -> Answer {
    http.post("/v1/auth/sign-in").coming_from(address).json(body).await
}

/// Without being asked for a proof and giving it.
async fn ask(person: &Person, method: &str, path: &str, body: Value) -> Answer {
    let http = person.http();
    let request = http.request(method, path).bearer(&person.access_token());
    request.json(body).await
}

async fn prove(person: &Person, password: &str) -> Answer {
    let proof = json!({ "password": password });
    ask(person, "POST", "/v1/auth/prove", proof).await
}

async fn a_person_sees_and_ends_their_sessions(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let began = t.clock.after(Duration::ZERO);
    t.clock.advance(3 * HOUR + 7 * MINUTE);
    let laptop = Person::sign_in(&t.http, "ana", &ana.email).await;
    let sessions = laptop.list("/v1/me/sessions").await;
    let of = |member: &str| {
        sessions
            .iter()
            .map(|session| session[member].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("current"), [true, false]);
    assert_eq!(of("began_at"), [json!(t.clock.after(Duration::ZERO)), json!(began)]);
    // No more than the hour is known of when it was used.
    let hour =
        |text: &Value| text.as_str().unwrap().ends_with(":00:00Z") || text.as_str().unwrap().ends_with(":00:00.000Z");
    assert!(of("used_at").iter().all(hour), "{sessions:?}");
    assert!(of("used_at")[0] != of("used_at")[1]);
    ana.get("/v1/me").await.expect(200);
    let again = laptop.list("/v1/me/sessions").await;
    assert_eq!(again[0]["used_at"], again[1]["used_at"]);

    let third = Person::sign_in(&t.http, "ana", &ana.email).await;
    let path = format!("/v1/me/sessions/{}", again[1]["id"].as_str().unwrap());
    laptop.delete(&path).await.expect(204);
    laptop.delete(&path).await.expect_no("session");
    ana.get("/v1/me").await.expect_problem(401, "unauthenticated");
    t.clock.advance(10 * MINUTE);
    let stale = ask(&laptop, "DELETE", "/v1/me/sessions", json!({})).await;
    stale.expect_problem(403, "proof-needed");
    let ended = laptop.delete("/v1/me/sessions").await.expect(200);
    assert_eq!(ended, json!({ "ended": 1 }));
    third.get("/v1/me").await.expect_problem(401, "unauthenticated");
    let refreshed = json!({ "refresh_token": third.refresh_token() });
    let refreshed = t.http.post("/v1/auth/refresh").json(refreshed).await;
    refreshed.expect_problem(401, "unauthenticated");
    let left = laptop.list("/v1/me/sessions").await;
    assert_eq!(left.len(), 1);
    let own = format!("/v1/me/sessions/{}", left[0]["id"].as_str().unwrap());
    laptop.delete(&own).await.expect(204);
    laptop.get("/v1/me").await.expect_problem(401, "unauthenticated");
}

async fn nobody_ends_anothers_session(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, eve) = (t.landlord("ana").await, t.landlord("eve").await);
    let max = ana.manager("max").await;
    let session = ana.list("/v1/me/sessions").await[0]["id"].clone();
    let path = format!("/v1/me/sessions/{}", session.as_str().unwrap());
    for other in [&eve, &max] {
        other.delete(&path).await.expect_no("session");
        let ended = other.delete("/v1/me/sessions").await.expect(200);
        assert_eq!(ended["ended"], 0);
    }
    ana.get("/v1/me").await.expect(200);
}

async fn a_session_is_called_by_no_more_than_a_phrase(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let sign_in = json!({ "email": ana.email, "password": PASSWORD });
    let named = json!({ "email": ana.email, "password": PASSWORD, "device": " Kitchen tablet " });
    let told = "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.1.2 Mobile Safari/537.36";
    for (agent, body, device) in [
        ("<b>evil</b>", sign_in.clone(), "Unknown device"),
        (told, sign_in.clone(), "Chrome on Android"),
        (told, named, "Kitchen tablet"),
    ] {
        let request = t.http.post("/v1/auth/sign-in").header("User-Agent", agent);
        request.json(body).await.expect(200);
        assert_eq!(ana.list("/v1/me/sessions").await[0]["device"], device);
    }
    for device in ["", "two\nlines", &"x".repeat(65)] {
        let body = json!({ "email": ana.email, "password": PASSWORD, "device": device });
        t.http
            .post("/v1/auth/sign-in")
            .json(body)
            .await
            .expect_invalid("device");
    }
}

/// What the person was told of new devices.
async fn told_of_devices(person: &Person) -> Vec<Value> {
    let notices = person.list("/v1/me/notices").await;
    let of_kind = notices.into_iter().filter(|notice| notice["kind"] == "new-device");
    of_kind.map(|notice| notice["detail"].clone()).collect()
}

async fn a_sign_in_from_somewhere_new_is_told(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let gus = ana.guest("gus").await;
    let body = |person: &Person| json!({ "email": person.email, "password": PASSWORD });
    for person in [&*ana, &gus] {
        // The first of all, and where they came in before: nothing.
        person.sign_in_again().await;
        assert!(told_of_devices(person).await.is_empty());
        // A wrong password is none of it.
        let wrong = json!({ "email": person.email, "password": "not the password" });
        sign_in_from(&t.http, "203.0.113.9", wrong).await.expect(401);
        assert!(told_of_devices(person).await.is_empty());
        for _ in 0..2 {
            sign_in_from(&t.http, "203.0.113.9", body(person)).await.expect(200);
            assert_eq!(told_of_devices(person).await, [json!({ "what": "signed-in" })]);
        }
        sign_in_from(&t.http, "2001:db8::1", body(person)).await.expect(200);
        // The same customer's network.
        sign_in_from(&t.http, "2001:db8::2", body(person)).await.expect(200);
        assert_eq!(told_of_devices(person).await.len(), 2);
    }
}

async fn a_phone_that_is_registered_is_told(database: TestDatabase) {
    let (_t, ana, _) = house(&database).await;
    ana.phone().await;
    assert_eq!(told_of_devices(&ana).await, [json!({ "what": "phone" })]);
}

async fn a_phone_that_is_removed_takes_its_session_along(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Gate").await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({})).await;
    let (linked, phone) = ana.link(&grant, json!({})).await.open().await;
    linked.get("/v1/me/locks").await.expect(200);
    let path = format!("/v1/me/phones/{}", phone.id);
    gus.delete(&path).await.expect(200);
    linked.get("/v1/me/locks").await.expect_problem(401, "unauthenticated");
    gus.get("/v1/me").await.expect(200);
    assert_eq!(gus.list("/v1/me/sessions").await.len(), 1);
}

/// Everything that asks for a proof: a request of each kind, made of things that are there.
async fn dangers(ana: &Landlord) -> Vec<(&'static str, String, Value)> {
    let house = ana.add_property("Europe/Vienna").await;
    let annex = ana.add_property("Europe/Vienna").await;
    let lock = ana.add_lock(&house, "Gate").await.id;
    let member = ana.guest("gil").await.id;
    let program = ana.program("Bookings").await;
    let organization = &ana.organization;
    let invite = |role: &str| json!({ "organization_id": organization, "email": "new@people.example", "role": role });
    let rules =
        json!({ "two_person": { "whole_property_grants": false, "lockdown": false }, "self_grant_delay_hours": 1 });
    let key = json!({ "name": "Key", "scopes": ["unlock"], "expires_at": ana.in_days(30) });
    vec![
        ("POST", "/v1/invitations".to_owned(), invite("manager")),
        ("POST", "/v1/invitations".to_owned(), invite("desk")),
        (
            "PUT",
            format!("/v1/organizations/{organization}/members/{member}/role"),
            json!({ "role": "desk" }),
        ),
        ("PUT", format!("/v1/organizations/{organization}/rules"), rules),
        (
            "POST",
            format!("/v1/organizations/{organization}/service-accounts"),
            json!({ "name": "Robot" }),
        ),
        ("POST", format!("/v1/service-accounts/{program}/keys"), key),
        (
            "POST",
            format!("/v1/locks/{lock}/transfer"),
            json!({ "property_id": annex.id, "unit_id": null }),
        ),
        (
            "POST",
            "/v1/webhooks".to_owned(),
            json!({ "organization_id": organization, "url": "https://hooks.example/" }),
        ),
        ("PATCH", format!("/v1/locks/{lock}"), json!({ "unit_id": null })),
        ("POST", format!("/v1/locks/{lock}/replace"), json!({})),
        (
            "PUT",
            format!("/v1/properties/{}/lockout-policy", house.id),
            policy(json!({})),
        ),
        (
            "PUT",
            format!("/v1/properties/{}/privacy", house.id),
            json!({ "own_doors": "landlord-sees", "retention_days": 90 }),
        ),
        ("POST", format!("/v1/locks/{lock}/release"), Value::Null),
        ("POST", format!("/v1/locks/{lock}/retire"), Value::Null),
        ("DELETE", format!("/v1/properties/{}", house.id), Value::Null),
    ]
}

async fn send(person: &Person, (method, path, body): &(&str, String, Value)) -> Answer {
    let http = person.http();
    let request = http.request(method, path).bearer(&person.access_token());
    match body {
        Value::Null => request.await,
        body => request.json(body.clone()).await,
    }
}

async fn what_is_dangerous_asks_for_a_young_proof(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let dangers = dangers(&ana).await;
    let max = ana.manager("max").await;
    t.clock.advance(10 * MINUTE);
    let before = ana.log().await.len();
    for danger in &dangers {
        send(&ana, danger).await.expect_problem(403, "proof-needed");
    }
    assert_eq!(ana.log().await.len(), before, "nothing of it was done");
    // What is not dangerous goes on.
    let guest = json!({ "organization_id": ana.organization, "email": "gia@people.example", "role": "guest" });
    ask(&ana, "POST", "/v1/invitations", guest).await.expect(201);
    // Another landlord learns nothing by it that they did not know.
    let eve = t.landlord("eve").await;
    for danger in &dangers {
        assert_eq!(send(&eve, danger).await.status, 404, "{danger:?}");
    }

    let proven = prove(&ana, PASSWORD).await.expect(200);
    assert_eq!(proven, json!({ "good_until": t.clock.after(10 * MINUTE) }));
    t.clock.advance(10 * MINUTE - Duration::from_millis(1));
    for danger in &dangers {
        let answer = send(&ana, danger).await;
        assert!(matches!(answer.status, 200..=204 | 409), "{danger:?}: {}", answer.text);
    }
    t.clock.advance(Duration::from_millis(1));
    send(&ana, &dangers[0]).await.expect_problem(403, "proof-needed");
    send(&max, &dangers[1]).await.expect_problem(403, "proof-needed");
    // A new password is asked for with the old one, which is a proof.
    let new = json!({ "current_password": PASSWORD, "new_password": "another horse battery" });
    let tokens = ask(&ana, "POST", "/v1/auth/password", new).await.expect(200);
    let (method, path, body) = &dangers[0];
    let request = t
        .http
        .request(method, path)
        .bearer(tokens["access_token"].as_str().unwrap());
    request.json(body.clone()).await.expect(201);
}

async fn no_refresh_renews_a_proof(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    t.clock.advance(10 * MINUTE);
    let tokens = t.http.post("/v1/auth/refresh");
    let tokens = tokens
        .json(json!({ "refresh_token": ana.refresh_token() }))
        .await
        .expect(200);
    let access = tokens["access_token"].as_str().unwrap();
    let path = format!("/v1/organizations/{}/service-accounts", ana.organization);
    let open = || t.http.post(&path).bearer(access).json(json!({ "name": "Robot" }));
    open().await.expect_problem(403, "proof-needed");
    let proof = t.http.post("/v1/auth/prove").bearer(access);
    proof.json(json!({ "password": PASSWORD })).await.expect(200);
    open().await.expect(201);
}

async fn a_proof_is_guessed_no_faster_than_a_sign_in(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    t.clock.advance(10 * MINUTE);
    for _ in 0..5 {
        prove(&ana, "not her password")
            .await
            .expect_problem(401, "wrong-credentials");
    }
    prove(&ana, PASSWORD).await.expect_problem(429, "throttled");
    // One budget for both.
    let sign_in = json!({ "email": ana.email, "password": PASSWORD });
    t.http
        .post("/v1/auth/sign-in")
        .json(sign_in)
        .await
        .expect_problem(429, "throttled");
    let path = format!("/v1/organizations/{}/service-accounts", ana.organization);
    let robot = json!({ "name": "Robot" });
    ask(&ana, "POST", &path, robot.clone())
        .await
        .expect_problem(403, "proof-needed");
    t.clock.advance(MINUTE);
    prove(&ana, PASSWORD).await.expect(200);
    ask(&ana, "POST", &path, robot).await.expect(201);
    let program = ana.program("Bookings").await;
    let key = ana.key(&program, &["unlock"]).await;
    let by_key = t.http.post("/v1/auth/prove").bearer(key["key"].as_str().unwrap());
    by_key
        .json(json!({ "password": PASSWORD }))
        .await
        .expect_problem(403, "forbidden");
}

async fn a_proof_counts_for_its_own_session(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    t.clock.advance(10 * MINUTE);
    let other = Person::sign_in(&t.http, "ana", &ana.email).await;
    prove(&other, PASSWORD).await.expect(200);
    let path = format!("/v1/organizations/{}/service-accounts", ana.organization);
    let robot = json!({ "name": "Robot" });
    ask(&ana, "POST", &path, robot.clone())
        .await
        .expect_problem(403, "proof-needed");
    ask(&other, "POST", &path, robot).await.expect(201);
}

async fn who_proves_asks_again_with_the_same_key(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    t.clock.advance(10 * MINUTE);
    let path = format!("/v1/organizations/{}/service-accounts", ana.organization);
    let token = ana.access_token();
    let open = || {
        let request = t.http.post(&path).bearer(&token).idempotency_key("robot-1");
        request.json(json!({ "name": "Robot" }))
    };
    open().await.expect_problem(403, "proof-needed");
    prove(&ana, PASSWORD).await.expect(200);
    let opened = open().await.expect(201);
    assert_eq!(open().await.expect(201), opened);
}
