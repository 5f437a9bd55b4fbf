//! Sessions that are bound to a key (DPoP, RFC 9449): a copied token is worth nothing without its phone.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::faults::nodes::broker_for_two;
use crate::faults::outages::server_at;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{BoundPhone, Landlord, PASSWORD, house};

on_each_database!(
    a_copied_access_token_opens_nothing,
    a_copied_refresh_token_gives_nothing,
    of_many_copies_of_a_request_one_is_heard,
    clocks_may_be_off_by_minutes,
    an_unbound_session_is_not_taken_for_a_bound_one,
    where_the_house_wants_keys_nobody_opens_without,
    a_phone_that_is_removed_takes_its_sessions_along,
    a_guests_session_is_bound_to_the_key_that_redeemed,
    an_invitation_may_begin_a_bound_session,
    a_new_password_keeps_the_binding,
);

async fn a_copied_access_token_opens_nothing(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (door, other) = (
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Cellar").await,
    );
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let phone = BoundPhone::sign_in(&t.http, &t.clock, &gus.email).await;
    let thief = BoundPhone::new(&t.http, &t.clock);
    let unlock = format!("{}/unlock", door.path());

    let copied = t.http.post(&unlock).bearer(&phone.access).await;
    assert!(copied.header("www-authenticate").starts_with("DPoP "), "{copied:?}");
    copied.expect_problem(401, "proof-refused");
    let scheme = format!("DPoP {}", phone.access);
    let without = t.http.post(&unlock).header("Authorization", &scheme).await;
    without.expect_problem(401, "proof-refused");
    let mut refused = vec![
        (
            "the thief's key",
            thief.proof_with("POST", &unlock, Some(&phone.access), |_| ()),
        ),
        ("another door", phone.proof("POST", &format!("{}/unlock", other.path()))),
        ("another method", phone.proof("GET", &unlock)),
        (
            "another token",
            phone.proof_with("POST", &unlock, Some("another"), |_| ()),
        ),
        ("no token", phone.proof_with("POST", &unlock, None, |_| ())),
        ("nothing", String::new()),
    ];
    let elsewhere = |claims: &mut Value| claims["htu"] = format!("https://evil.example{unlock}").into();
    refused.push((
        "another house",
        phone.proof_with("POST", &unlock, Some(&phone.access), elsewhere),
    ));
    for (what, proof) in refused {
        let answer = phone.request_with("POST", &unlock, &proof).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text);
    }
    assert_eq!(
        ana.list("/v1/access-log?kind=unlock-requested").await,
        Vec::<Value>::new()
    );

    let proof = phone.proof("POST", &unlock);
    let opened = phone.request_with("POST", &unlock, &proof).await.expect(200);
    assert_eq!(opened["status"], "confirmed");
    let again = phone.request_with("POST", &unlock, &proof).await;
    again.expect_problem(401, "proof-refused");
    phone.request("GET", "/v1/access-log?limit=5").await.expect(200);
    let twice = phone
        .request("GET", "/v1/me")
        .header("DPoP", &phone.proof("GET", "/v1/me"));
    twice.await.expect_problem(401, "proof-refused");
}

async fn a_copied_refresh_token_gives_nothing(database: TestDatabase) {
    let (t, ana, _house) = house(&database).await;
    let mut phone = BoundPhone::sign_in(&t.http, &t.clock, &ana.email).await;
    let thief = BoundPhone::new(&t.http, &t.clock);
    let body = json!({ "refresh_token": phone.refresh });
    let copied = t.http.post("/v1/auth/refresh").json(body.clone()).await;
    copied.expect_problem(401, "proof-refused");
    let copied = thief.without_token("POST", "/v1/auth/refresh").json(body.clone()).await;
    copied.expect_problem(401, "proof-refused");
    // Nothing was spent by that.
    let renewed = phone.without_token("POST", "/v1/auth/refresh").json(body.clone()).await;
    phone.take(renewed);
    phone.request("GET", "/v1/me").await.expect(200);
    // A token of no key does not become one of a key.
    let body = json!({ "refresh_token": ana.refresh_token() });
    let bound = thief.without_token("POST", "/v1/auth/refresh").json(body).await;
    bound.expect_problem(401, "proof-refused");
}

async fn of_many_copies_of_a_request_one_is_heard(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let phone = BoundPhone::sign_in(&t.http, &t.clock, &gus.email).await;
    let unlock = format!("{}/unlock", door.path());
    let proof = phone.proof("POST", &unlock);
    let answers = join_all((0..100).map(|_| async { phone.request_with("POST", &unlock, &proof).await.status })).await;
    assert_eq!(
        answers.iter().filter(|status| **status == 200).count(),
        1,
        "{answers:?}"
    );
    assert_eq!(
        answers.iter().filter(|status| **status == 401).count(),
        99,
        "{answers:?}"
    );
    assert_eq!(ana.list("/v1/access-log?kind=unlocked").await.len(), 1);
}

async fn clocks_may_be_off_by_minutes(database: TestDatabase) {
    let (t, ana, _house) = house(&database).await;
    let phone = BoundPhone::sign_in(&t.http, &t.clock, &ana.email).await;
    for (by, status) in [(-301, 401), (-300, 200), (300, 200), (301, 401)] {
        let off = |claims: &mut Value| claims["iat"] = (claims["iat"].as_i64().unwrap() + by).into();
        let proof = phone.proof_with("GET", "/v1/me", Some(&phone.access), off);
        assert_eq!(
            phone.request_with("GET", "/v1/me", &proof).await.status,
            status,
            "{by} s"
        );
    }
}

async fn an_unbound_session_is_not_taken_for_a_bound_one(database: TestDatabase) {
    let (t, ana, _house) = house(&database).await;
    let mut phone = BoundPhone::new(&t.http, &t.clock);
    phone.access = ana.access_token();
    phone
        .request("GET", "/v1/me")
        .await
        .expect_problem(401, "proof-refused");
    // A proof beside a token that needs none is not looked at.
    let proof = phone.proof("GET", "/v1/me");
    ana.get("/v1/me").header("DPoP", &proof).await.expect(200);
    let program = ana.program("Bookings").await;
    let key = ana.key(&program, &["locks:read"]).await;
    phone.access = key["key"].as_str().unwrap().to_owned();
    phone
        .request("GET", "/v1/locks")
        .await
        .expect_problem(401, "proof-refused");
    let body = json!({ "email": ana.email, "password": PASSWORD });
    let broken = t.http.post("/v1/auth/sign-in").header("DPoP", "x.y.z").json(body).await;
    broken.expect_problem(401, "proof-refused");
}

async fn want_keys(ana: &Landlord, wanted: bool) {
    let path = format!("/v1/organizations/{}/rules", ana.organization);
    let rules = json!({
        "two_person": { "whole_property_grants": false, "lockdown": false },
        "self_grant_delay_hours": 24,
        "phone_key_required": wanted,
    });
    let set = ana.put(&path).json(rules).await.expect(200);
    assert_eq!(set["phone_key_required"], wanted);
}

async fn where_the_house_wants_keys_nobody_opens_without(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let registered = gus.phone().await;
    let program = ana.program("Dashboard").await;
    ana.give(&[&door], json!({ "person_id": program }), json!({}))
        .await
        .expect(201);
    let key = ana.key(&program, &["unlock"]).await;
    want_keys(&ana, true).await;

    gus.unlock(&door).await.expect_refused("phone-key-needed");
    let shown = &gus.list("/v1/me/locks").await[0];
    assert_eq!(
        (&shown["opens_now"], &shown["reason"]),
        (&json!(false), &json!("phone-key-needed"))
    );
    let refused = &ana.list("/v1/access-log?kind=unlock-requested").await[0];
    assert_eq!(
        (&refused["outcome"], &refused["reason"]),
        (&json!("refused"), &json!("phone-key-needed"))
    );
    // Who may not at all is told that, and nothing of keys.
    let ida = ana.guest("ida").await;
    ida.unlock(&door).await.expect_refused("no-access");
    let passes = json!({ "lock_ids": [door.id], "phone_id": registered.id });
    let refused = gus.post("/v1/passes").json(passes.clone()).await;
    assert!(refused.text.contains("phone-key-needed"), "{}", refused.text);
    let register =
        json!({ "public_key": crate::world::Phone::public_key(&crate::world::Phone::new_key()), "name": "X" });
    let refused = gus.post("/v1/me/phones").json(register.clone()).await;
    refused.expect_problem(403, "phone-key-needed");
    let path = format!("/v1/me/phones/{}", registered.id);
    gus.delete(&path).await.expect_problem(403, "phone-key-needed");

    let phone = BoundPhone::sign_in(&t.http, &t.clock, &gus.email).await;
    let unlock = format!("{}/unlock", door.path());
    let opened = phone.request("POST", &unlock).await.expect(200);
    assert_eq!(opened["status"], "confirmed");
    phone.request("POST", "/v1/passes").json(passes).await.expect(200);
    phone.request("POST", "/v1/me/phones").json(register).await.expect(201);
    // A program has no phone.
    let opened = t.http.post(&unlock).bearer(key["key"].as_str().unwrap()).await;
    assert_eq!(opened.status, 200, "{}", opened.text);

    want_keys(&ana, false).await;
    gus.unlock(&door).await.expect_opened();
}

async fn a_phone_that_is_removed_takes_its_sessions_along(database: TestDatabase) {
    let (t, ana, _house) = house(&database).await;
    let gus = ana.guest("gus").await;
    let phone = BoundPhone::sign_in(&t.http, &t.clock, &gus.email).await;
    let register = json!({ "public_key": phone.jwk(), "name": "Gus's phone" });
    let known = phone.request("POST", "/v1/me/phones").json(register).await.expect(201);
    // It is lost; its owner removes it from another one.
    let path = format!("/v1/me/phones/{}", known["id"].as_str().unwrap());
    gus.delete(&path).await.expect(200);
    phone
        .request("GET", "/v1/me")
        .await
        .expect_problem(401, "unauthenticated");
    gus.get("/v1/me").await.expect(200);
}

async fn a_guests_session_is_bound_to_the_key_that_redeemed(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let grant = ana.grant_guest("Gus", &door, json!({})).await;
    let link = ana.link(&grant, json!({})).await;
    let mut phone = BoundPhone::new(&t.http, &t.clock);
    let redemption = link.redemption(&phone.key);
    let by_another = BoundPhone::new(&t.http, &t.clock).without_token("POST", "/v1/guest/redeem");
    by_another
        .json(redemption.clone())
        .await
        .expect_problem(401, "proof-refused");
    let redeemed = phone.without_token("POST", "/v1/guest/redeem").json(redemption).await;
    phone.take(redeemed);
    let unlock = format!("{}/unlock", door.path());
    t.http
        .post(&unlock)
        .bearer(&phone.access)
        .await
        .expect_problem(401, "proof-refused");
    assert_eq!(phone.request("POST", &unlock).await.expect(200)["status"], "confirmed");
}

async fn an_invitation_may_begin_a_bound_session(database: TestDatabase) {
    let (t, ana, _house) = house(&database).await;
    let link = ana
        .invite("max@people.example", json!({ "role": "manager" }))
        .await
        .text_of("secret_link");
    let secret = link.split_once('#').unwrap().1.to_owned();
    let mut phone = BoundPhone::new(&t.http, &t.clock);
    let body = json!({ "secret": secret, "name": "Max", "password": PASSWORD });
    let accepted = phone.without_token("POST", "/v1/invitations/accept").json(body).await;
    phone.take(accepted);
    phone.request("GET", "/v1/locks").await.expect(200);
    t.http
        .get("/v1/locks")
        .bearer(&phone.access)
        .await
        .expect_problem(401, "proof-refused");
}

async fn a_new_password_keeps_the_binding(database: TestDatabase) {
    let (t, ana, _house) = house(&database).await;
    let mut phone = BoundPhone::sign_in(&t.http, &t.clock, &ana.email).await;
    let body = json!({ "current_password": PASSWORD, "new_password": "another one entirely" });
    let changed = phone.request("POST", "/v1/auth/password").json(body).await;
    phone.take(changed);
    t.http
        .get("/v1/me")
        .bearer(&phone.access)
        .await
        .expect_problem(401, "proof-refused");
    t.clock.advance(Duration::from_secs(60));
    phone.request("GET", "/v1/me").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_that_was_used_at_one_node_is_used_at_all() {
    let database = TestDatabase::postgres();
    let (mosquitto, authority) = broker_for_two();
    let one = server_at(&database, &mosquitto, authority.path(), "node-1").await;
    let two = one.another_node("node-2").await;
    let ana = one.landlord("ana").await;
    let phone = BoundPhone::sign_in(&one.http, &one.clock, &ana.email).await;
    let property = json!({
        "organization_id": ana.organization, "name": "A", "address": "B", "time_zone": "Europe/Vienna",
    });
    let proof = phone.proof("POST", "/v1/properties");
    phone
        .request_with("POST", "/v1/properties", &proof)
        .json(property.clone())
        .await
        .expect(201);
    let elsewhere = two.http.post("/v1/properties").header("DPoP", &proof);
    let elsewhere = elsewhere
        .header("Authorization", &format!("DPoP {}", phone.access))
        .json(property);
    elsewhere.await.expect_problem(401, "proof-refused");
}
