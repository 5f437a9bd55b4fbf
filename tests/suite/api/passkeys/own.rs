//! Registering passkeys, naming and removing them, and what else ends them.

use std::future::IntoFuture as _;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{MINUTE, by, options, show, sign_in, told};
use crate::fixtures::authenticator::Authenticator;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::outsider::Outsider;
use crate::world::{BoundPhone, PASSWORD, Person, TestServer};

on_each_database!(
    a_passkey_is_registered_as_it_should_be_or_not_at_all,
    a_removed_passkey_is_refused,
    nobody_touches_anothers_passkey,
    passkeys_have_an_end,
    a_house_that_wants_keys_wants_one_for_a_passkey,
    who_has_lost_everything_has_lost_the_passkeys_too,
    who_is_erased_signs_in_no_more,
    without_a_domain_there_are_no_passkeys,
    what_nobody_needs_any_more_is_forgotten,
);

async fn a_passkey_is_registered_as_it_should_be_or_not_at_all(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, bob) = (t.landlord("ana").await, t.landlord("bob").await);
    let asked = || async { ana.post("/v1/me/passkeys/options").await.expect(201) };
    let send = |credential: Value| {
        let body = json!({ "name": "Phone", "credential": credential });
        ana.post("/v1/me/passkeys").json(body)
    };
    type Bend = fn(&mut Authenticator);
    let bent: [(&str, Bend); 4] = [
        ("another origin", |device| {
            device.origin = "https://doors.example.evil".to_owned()
        }),
        ("another party", |device| device.party = "evil.example".to_owned()),
        ("nobody verified", |device| device.flags = 0x01),
        ("nobody there", |device| device.flags = 0x04),
    ];
    for (name, bend) in bent {
        let mut device = Authenticator::new();
        bend(&mut device);
        let credential = device.make(&asked().await);
        let answer = send(credential).await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.text);
        answer.expect_problem(401, "passkey-refused");
    }
    // What was asked of somebody else, for something else, in another session, too long ago, or twice.
    let mut device = Authenticator::new();
    let foreign = bob.post("/v1/me/passkeys/options").await.expect(201);
    send(device.make(&foreign)).await.expect_problem(401, "passkey-refused");
    let to_sign_in = options(&t.http).await;
    send(device.make(&to_sign_in))
        .await
        .expect_problem(401, "passkey-refused");
    let other = Person::sign_in(&t.http, "ana", &ana.email).await;
    let elsewhere = other.post("/v1/me/passkeys/options").await.expect(201);
    send(device.make(&elsewhere))
        .await
        .expect_problem(401, "passkey-refused");
    let late = asked().await;
    t.clock.advance(5 * MINUTE);
    send(device.make(&late)).await.expect_problem(401, "passkey-refused");
    let once = device.make(&asked().await);
    let at_once = join_all((0..4).map(|_| send(once.clone()).into_future())).await;
    let made = at_once.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(
        made,
        1,
        "{:?}",
        at_once.iter().map(|answer| &answer.text).collect::<Vec<_>>()
    );
    send(once).await.expect_problem(401, "passkey-refused");
    // The same passkey again, for its owner or for somebody else.
    send(device.make(&asked().await))
        .await
        .expect_problem(409, "passkey-known");
    let again = bob.post("/v1/me/passkeys/options").await.expect(201);
    let body = json!({ "name": "Phone", "credential": device.make(&again) });
    bob.post("/v1/me/passkeys")
        .json(body)
        .await
        .expect_problem(409, "passkey-known");

    for (field, body) in [
        (
            "name",
            json!({ "name": " ", "credential": device.make(&asked().await) }),
        ),
        ("credential", json!({ "name": "Phone" })),
        (
            "more",
            json!({ "name": "Phone", "credential": device.make(&asked().await), "more": 1 }),
        ),
        (
            "credential.response.attestationObject",
            json!({ "name": "Phone", "credential": {
                "type": "public-key", "response": { "clientDataJSON": "e30", "attestationObject": "+/==" },
            } }),
        ),
        (
            "credential.type",
            json!({ "name": "Phone", "credential": {
                "type": "password", "response": { "clientDataJSON": "e30", "attestationObject": "oA" },
            } }),
        ),
    ] {
        ana.post("/v1/me/passkeys").json(body).await.expect_invalid(field);
    }
    let junk = json!({ "type": "public-key", "response": { "clientDataJSON": "e30", "attestationObject": "oA" } });
    send(junk).await.expect_problem(401, "passkey-refused");
    assert_eq!(ana.list("/v1/me/passkeys").await.len(), 1);

    // Who holds a session alone registers nothing.
    t.clock.advance(10 * MINUTE);
    let token = ana.access_token();
    let begin = by(&t.http, &token, "POST", "/v1/me/passkeys/options");
    begin.await.expect_problem(403, "proof-needed");
    let body = json!({ "name": "Thief's", "credential": Authenticator::new().make(&again) });
    let register = by(&t.http, &token, "POST", "/v1/me/passkeys").json(body);
    register.await.expect_problem(403, "proof-needed");
}

async fn a_removed_passkey_is_refused(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (mut device, id) = Authenticator::of(&ana).await;
    let path = format!("/v1/me/passkeys/{id}");
    for name in ["Old phone", "The one with the cracked screen"] {
        let renamed = ana.patch(&path).json(json!({ "name": name })).await.expect(200);
        assert_eq!(renamed["name"], name);
    }
    ana.patch(&path)
        .json(json!({ "name": "" }))
        .await
        .expect_invalid("name");
    let tokens = sign_in(&t.http, &mut device).await.expect(200);
    let asked = options(&t.http).await;
    t.clock.advance(11 * MINUTE);
    let stale = by(&t.http, &ana.access_token(), "DELETE", &path);
    stale.await.expect_problem(403, "proof-needed");
    ana.delete(&path).await.expect(204);
    ana.delete(&path).await.expect_no("passkey");
    ana.patch(&path)
        .json(json!({ "name": "Again" }))
        .await
        .expect_no("passkey");
    sign_in(&t.http, &mut device)
        .await
        .expect_problem(401, "passkey-refused");
    show(&t.http, &device.sign(&asked))
        .await
        .expect_problem(401, "passkey-refused");
    assert_eq!(told(&ana).await[0], "passkey-removed");
    // Sessions end apart.
    let access = tokens["access_token"].as_str().unwrap();
    by(&t.http, access, "GET", "/v1/me").await.expect(200);
    // Nothing of it is left, and the device may be registered once more.
    let left = Outsider::at(&database).rows(&["id", "name", "credential", "public_key"], "passkeys");
    let left = format!("{left:?}");
    assert!(
        left.contains(&id) && !left.contains(&device.id()) && !left.contains("cracked"),
        "{left}"
    );
    let asked = ana.post("/v1/me/passkeys/options").await.expect(201);
    let body = json!({ "name": "Phone", "credential": device.make(&asked) });
    ana.post("/v1/me/passkeys").json(body).await.expect(201);
    sign_in(&t.http, &mut device).await.expect(200);
}

async fn nobody_touches_anothers_passkey(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, eve) = (t.landlord("ana").await, t.landlord("eve").await);
    let (mut device, id) = Authenticator::of(&ana).await;
    let path = format!("/v1/me/passkeys/{id}");
    eve.delete(&path).await.expect_no("passkey");
    eve.patch(&path)
        .json(json!({ "name": "Mine" }))
        .await
        .expect_no("passkey");
    assert_eq!(eve.list("/v1/me/passkeys").await, Vec::<Value>::new());
    assert_eq!(ana.list("/v1/me/passkeys").await[0]["name"], "Phone");
    sign_in(&t.http, &mut device).await.expect(200);
}

async fn passkeys_have_an_end(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    for _ in 0..18 {
        Authenticator::of(&ana).await;
    }
    // The last two places, taken by four at once.
    let mut bodies = Vec::new();
    for _ in 0..4 {
        let asked = ana.post("/v1/me/passkeys/options").await.expect(201);
        bodies.push(json!({ "name": "Phone", "credential": Authenticator::new().make(&asked) }));
    }
    let at_once = bodies
        .into_iter()
        .map(|body| async { ana.post("/v1/me/passkeys").json(body).await });
    let mut statuses: Vec<u16> = join_all(at_once).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 409, 409]);
    ana.post("/v1/me/passkeys/options")
        .await
        .expect_problem(409, "too-many-passkeys");
    assert_eq!(ana.list("/v1/me/passkeys").await.len(), 20);
}

async fn a_house_that_wants_keys_wants_one_for_a_passkey(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let mut device = Authenticator::new();
    let asked = ana.post("/v1/me/passkeys/options").await.expect(201);
    let phone = BoundPhone::sign_in(&t.http, &t.clock, &ana.email).await;
    let rules = json!({
        "two_person": { "whole_property_grants": false, "lockdown": false }, "self_grant_delay_hours": 24,
        "phone_key_required": true,
    });
    let path = format!("/v1/organizations/{}/rules", ana.organization);
    phone.request("PUT", &path).json(rules).await.expect(200);
    // A copied token would make itself a way to begin bound sessions.
    let body = json!({ "name": "Thief's", "credential": device.make(&asked) });
    ana.post("/v1/me/passkeys")
        .json(body)
        .await
        .expect_problem(403, "phone-key-needed");
    ana.post("/v1/me/passkeys/options")
        .await
        .expect_problem(403, "phone-key-needed");
    let asked = phone.request("POST", "/v1/me/passkeys/options").await.expect(201);
    let body = json!({ "name": "Phone", "credential": device.make(&asked) });
    let made = phone.request("POST", "/v1/me/passkeys").json(body).await.text_of("id");
    // What takes a way in away works in any session.
    ana.delete(&format!("/v1/me/passkeys/{made}")).await.expect(204);
}

async fn who_has_lost_everything_has_lost_the_passkeys_too(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let max = ana.manager("max").await;
    let (mut device, _) = Authenticator::of(&max).await;
    let path = format!(
        "/v1/organizations/{}/members/{}/second-factor",
        ana.organization, max.id
    );
    ana.delete(&path).await.expect(204);
    max.get("/v1/me").await.expect_problem(401, "unauthenticated");
    sign_in(&t.http, &mut device)
        .await
        .expect_problem(401, "passkey-refused");
    max.sign_in_again().await;
    assert_eq!(max.list("/v1/me/passkeys").await, Vec::<Value>::new());
    assert_eq!(told(&max).await[0], "second-factor-off");
    ana.delete(&path).await.expect_problem(409, "second-factor-off");
}

async fn who_is_erased_signs_in_no_more(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let gus = ana.guest("gus").await;
    let (mut device, _) = Authenticator::of(&gus).await;
    let asked = options(&t.http).await;
    let to_register = gus.post("/v1/me/passkeys/options").await.expect(201);
    let erase = gus.post("/v1/me/erase").json(json!({ "password": PASSWORD }));
    erase.await.expect(200);
    show(&t.http, &device.sign(&asked))
        .await
        .expect_problem(401, "passkey-refused");
    let body = json!({ "name": "Phone", "credential": Authenticator::new().make(&to_register) });
    gus.post("/v1/me/passkeys")
        .json(body)
        .await
        .expect_problem(401, "unauthenticated");
    let dump = database.dump();
    let id = device.id();
    assert!(!dump.windows(id.len()).any(|window| window == id.as_bytes()));
}

async fn without_a_domain_there_are_no_passkeys(database: TestDatabase) {
    let address = |config: &mut doorward::config::Config| {
        config.http.public_url = "http://127.0.0.1:8080".to_owned();
    };
    let t = TestServer::start_with(&database, address).await;
    let ana = t.landlord("ana").await;
    let ask = t.http.post("/v1/auth/passkey/options");
    ask.await.expect_problem(409, "no-domain");
    ana.post("/v1/me/passkeys/options")
        .await
        .expect_problem(409, "no-domain");
    let mut device = Authenticator::new();
    let credential = device.sign(&json!({ "public_key": { "challenge": "A".repeat(43) } }));
    show(&t.http, &credential).await.expect_problem(409, "no-domain");
    assert_eq!(ana.list("/v1/me/passkeys").await, Vec::<Value>::new());
}

async fn what_nobody_needs_any_more_is_forgotten(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (mut device, _) = Authenticator::of(&ana).await;
    let (_, removed) = Authenticator::of(&ana).await;
    ana.delete(&format!("/v1/me/passkeys/{removed}")).await.expect(204);
    let waits = options(&t.http).await;
    let rows = |table: &str, column: &str| Outsider::at(&database).rows(&[column], table).len();
    t.app().forget().await.unwrap();
    assert_eq!((rows("passkey_challenges", "digest"), rows("passkeys", "id")), (1, 2));
    show(&t.http, &device.sign(&waits)).await.expect(200);
    options(&t.http).await;
    t.clock.advance(5 * MINUTE);
    t.app().forget().await.unwrap();
    assert_eq!((rows("passkey_challenges", "digest"), rows("passkeys", "id")), (0, 2));
    t.clock.advance(31 * 24 * 60 * MINUTE);
    t.app().forget().await.unwrap();
    assert_eq!(rows("passkeys", "id"), 1);
    sign_in(&t.http, &mut device).await.expect(200);
}
