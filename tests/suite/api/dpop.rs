//! Sessions that are bound to a key (DPoP, RFC 9449): a copied token is worth nothing without its phone.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::lockouts::ask;
use super::visits::{order, visit_path};
use crate::faults::nodes::two_nodes;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{BoundPhone, Landlord, PASSWORD, house};

on_each_database!(
    a_copied_access_token_opens_nothing,
    a_copied_refresh_token_gives_nothing,
    of_many_copies_of_a_request_one_is_heard,
    clocks_may_be_off_by_minutes,
    a_used_proof_stays_used,
    an_unbound_session_is_not_taken_for_a_bound_one,
    where_the_house_wants_keys_nobody_opens_without,
    where_the_house_wants_keys_nobody_makes_a_way_in_without,
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
    // What only asks is asked once too.
    let proof = phone.proof("GET", "/v1/me");
    phone.request_with("GET", "/v1/me", &proof).await.expect(200);
    let again = phone.request_with("GET", "/v1/me", &proof).await;
    again.expect_problem(401, "proof-refused");
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
    let answers =
        join_all((0..1_000).map(|_| async { phone.request_with("POST", &unlock, &proof).await.status })).await;
    assert_eq!(
        answers.iter().filter(|status| **status == 200).count(),
        1,
        "{answers:?}"
    );
    assert_eq!(
        answers.iter().filter(|status| **status == 401).count(),
        999,
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

/// Whoever records a request cannot wait until it was forgotten that it came.
async fn a_used_proof_stays_used(database: TestDatabase) {
    let (mut t, ana, _house) = house(&database).await;
    let phone = BoundPhone::sign_in(&t.http, &t.clock, &ana.email).await;
    let property = json!({
        "organization_id": ana.organization, "name": "A", "address": "B", "time_zone": "Europe/Vienna",
    });
    t.clock.set("2026-03-02T09:00:00.000Z");
    let ahead = |claims: &mut Value| claims["iat"] = (claims["iat"].as_i64().unwrap() + 300).into();
    let proof = phone.proof_with("POST", "/v1/properties", Some(&phone.access), ahead);
    let made = phone.request_with("POST", "/v1/properties", &proof);
    made.json(property.clone()).await.expect(201);
    // A clock that jumps ahead and comes back, and a node that starts anew, remember it too.
    t.clock.set("2026-03-02T10:00:00.000Z");
    t.app().forget().await.unwrap();
    t.restart().await;
    for time in ["2026-03-02T09:00:01.000Z", "2026-03-02T09:10:00.900Z"] {
        t.clock.set(time);
        t.app().forget().await.unwrap();
        let again = phone.request_with("POST", "/v1/properties", &proof);
        let again = again.json(property.clone()).await;
        assert!(again.text.contains("was used before"), "at {time}: {}", again.text);
        t.restart().await;
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

fn rules(wanted: Option<bool>) -> Value {
    let mut rules = json!({
        "two_person": { "whole_property_grants": false, "lockdown": false },
        "self_grant_delay_hours": 24,
    });
    if let Some(wanted) = wanted {
        rules["phone_key_required"] = wanted.into();
    }
    rules
}

fn rules_path(ana: &Landlord) -> String {
    format!("/v1/organizations/{}/rules", ana.organization)
}

async fn want_keys(ana: &Landlord) {
    let set = ana.put(&rules_path(ana)).json(rules(Some(true))).await.expect(200);
    assert_eq!(set["phone_key_required"], true);
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
    let ida = ana.guest("ida").await;
    want_keys(&ana).await;

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

    // Nor does a copied token of the owner's give the rule up, and who says nothing of it keeps it.
    let path = rules_path(&ana);
    let refused = ana.put(&path).json(rules(Some(false))).await;
    refused.expect_problem(403, "phone-key-needed");
    let owner = BoundPhone::sign_in(&t.http, &t.clock, &ana.email).await;
    let kept = owner.request("PUT", &path).json(rules(None)).await.expect(200);
    assert_eq!(kept["phone_key_required"], true);
    let given_up = owner.request("PUT", &path).json(rules(Some(false))).await.expect(200);
    assert_eq!(given_up["phone_key_required"], false);
    gus.unlock(&door).await.expect_opened();
}

/// Whoever has a copy of a token does not open the door by it, and does not make another way in by it either.
async fn where_the_house_wants_keys_nobody_makes_a_way_in_without(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let (door, front) = (
        ana.add_lock_of(&unit, "Flat 1").await,
        ana.add_lock(&house, "Front door").await,
    );
    let _lock = door.install().await;
    let (tom, gus) = (ana.tenant("tom", &unit).await, ana.guest("gus").await);
    let tenancy = ana.tenancy_of(&tom, &unit).await;
    let terms = json!({ "starts_at": ana.in_days(0), "ends_at": ana.in_days(2), "ways": ["app", "pin"] });
    let lent = tom.lend(&[&door], &gus, terms).await.expect(201);
    let lent = format!("/v1/grants/{}", lent["id"].as_str().unwrap());
    let visit = order(&ana, &t, &[&front], json!({})).await.expect(201);
    let at_home = order(&ana, &t, &[&door], json!({})).await.expect(201);
    let lockout = ask(&tom, &door).await.expect(201);
    let lockout = format!("/v1/lockouts/{}", lockout["id"].as_str().unwrap());
    let program = ana.program("Bookings").await;
    want_keys(&ana).await;

    let again = json!({
        "lock_ids": [door.id], "to": { "guest": { "name": "Mallory" } },
        "starts_at": ana.in_days(0), "ends_at": ana.in_days(1),
    });
    let wider = json!({ "lock_ids": [door.id], "starts_at": ana.in_days(0), "ends_at": ana.in_days(9) });
    let of_tenant = [
        ("POST", "/v1/grants".to_owned(), again.clone()),
        ("PUT", lent.clone(), wider),
        ("POST", format!("{lent}/link"), json!({})),
        ("POST", format!("{lent}/pin"), json!({})),
        ("POST", visit_path(&at_home, "consent"), json!({ "agrees": true })),
    ];
    for (method, path, body) in &of_tenant {
        let refused = tom.request(method, path).json(body.clone()).await;
        assert!(
            refused.text.contains("phone-key-needed"),
            "{method} {path}: {}",
            refused.text
        );
    }
    let of_house = json!({
        "lock_ids": [front.id], "to": { "person_id": gus.id }, "starts_at": ana.in_days(0), "ends_at": ana.in_days(1),
    });
    let resident = json!({ "unit_id": unit.id, "person_id": gus.id, "starts_at": ana.in_days(0) });
    let longer = json!({ "starts_at": tenancy["starts_at"], "ends_at": ana.in_days(30) });
    let invited = json!({ "organization_id": ana.organization, "email": "mallory@people.example", "role": "guest" });
    let keys = format!("/v1/service-accounts/{program}/keys");
    let key = json!({ "name": "K", "scopes": ["grants:write"], "expires_at": ana.in_days(1) });
    let role = format!("/v1/organizations/{}/members/{}/role", ana.organization, gus.id);
    let of_landlord = [
        ("POST", "/v1/grants".to_owned(), of_house.clone()),
        ("POST", "/v1/tenancies".to_owned(), resident),
        (
            "PUT",
            format!("/v1/tenancies/{}", tenancy["id"].as_str().unwrap()),
            longer,
        ),
        ("POST", "/v1/invitations".to_owned(), invited),
        ("POST", keys.clone(), key.clone()),
        ("PUT", role, json!({ "role": "manager" })),
        ("POST", visit_path(&visit, "call"), json!({})),
        // A home's door that becomes everybody's, a controller of one's own, and whom a lockdown does not keep out.
        ("PATCH", door.path(), json!({ "unit_id": null })),
        ("PATCH", front.path(), json!({ "unit_id": unit.id })),
        ("POST", format!("{}/replace", front.path()), json!({})),
        (
            "PUT",
            format!("/v1/properties/{}/lockdown-lists/friends", house.id),
            json!({ "person_ids": [gus.id], "grant_ids": [] }),
        ),
        ("DELETE", format!("/v1/properties/{}/lockdown", house.id), json!({})),
        (
            "POST",
            visit_path(&visit, "emergency"),
            json!({ "reason": "Water comes through the ceiling" }),
        ),
        ("POST", format!("{lockout}/approve"), json!({})),
    ];
    for (method, path, body) in &of_landlord {
        let refused = ana.request(method, path).json(body.clone()).await;
        assert!(
            refused.text.contains("phone-key-needed"),
            "{method} {path}: {}",
            refused.text
        );
    }
    let ordered = order(&ana, &t, &[&front], json!({})).await;
    ordered.expect_problem(403, "phone-key-needed");

    // With the phone's key everything is as ever.
    let phone = BoundPhone::sign_in(&t.http, &t.clock, &ana.email).await;
    phone
        .request("POST", &format!("{lockout}/approve"))
        .json(json!({}))
        .await
        .expect(200);
    let way_in = format!("{lockout}/way-in");
    let refused = tom.post(&way_in).json(json!({})).await;
    refused.expect_problem(403, "phone-key-needed");
    let toms = BoundPhone::sign_in(&t.http, &t.clock, &tom.email).await;
    toms.request("POST", &way_in).json(json!({})).await.expect(201);
    toms.request("POST", "/v1/grants").json(again).await.expect(201);
    phone
        .request("POST", "/v1/grants")
        .json(of_house.clone())
        .await
        .expect(201);
    // What takes access away goes on in any session: a lost phone must not be in the way of that.
    tom.post(&format!("{lent}/revoke")).await.expect(200);
    // A program has no phone.
    let key = phone.request("POST", &keys).json(key).await.expect(201);
    let by_program = t.http.post("/v1/grants").bearer(key["key"].as_str().unwrap());
    by_program.json(of_house).await.expect(201);
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
    let (one, two, _broker) = two_nodes(&database).await;
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
