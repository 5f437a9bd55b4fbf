//! Passkeys in the place of password and code.

use std::future::IntoFuture as _;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::fixtures::authenticator::Authenticator;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::outsider::Outsider;
use crate::world::{Answer, BoundPhone, Http, PASSWORD, Person, Request, TestServer};

on_each_database!(
    a_passkey_signs_in_alone,
    a_passkey_is_registered_as_it_should_be_or_not_at_all,
    what_a_passkey_signed_counts_once_and_for_what_was_asked,
    nothing_signs_in_but_what_was_asked_for_here,
    a_copied_passkey_is_refused_and_told,
    a_removed_passkey_is_refused,
    nobody_touches_anothers_passkey,
    a_passkey_proves_who_holds_a_session,
    nobody_proves_by_anothers_passkey,
    passkeys_have_an_end,
    a_session_by_a_passkey_is_bound_to_a_key,
    a_house_that_wants_keys_wants_one_for_a_passkey,
    who_has_lost_everything_has_lost_the_passkeys_too,
    who_is_erased_signs_in_no_more,
    a_challenge_outlives_a_restart,
    without_a_domain_there_are_no_passkeys,
    passkeys_are_tried_no_faster_than_passwords,
);

const MINUTE: Duration = Duration::from_secs(60);

/// Registers a passkey of this person.
async fn register(person: &Person) -> (Authenticator, String) {
    let mut device = Authenticator::new();
    let options = person.post("/v1/me/passkeys/options").await.expect(201);
    let body = json!({ "name": "Phone", "credential": device.make(&options) });
    let id = person.post("/v1/me/passkeys").json(body).await.text_of("id");
    (device, id)
}

async fn options(http: &Http) -> Value {
    http.post("/v1/auth/passkey/options").await.expect(200)
}

fn show(http: &Http, credential: &Value) -> Request {
    http.post("/v1/auth/passkey").json(json!({ "credential": credential }))
}

async fn sign_in(http: &Http, device: &mut Authenticator) -> Answer {
    let credential = device.sign(&options(http).await);
    show(http, &credential).await
}

/// With this access token and without a proof beside it.
fn by(http: &Http, token: &str, method: &str, path: &str) -> Request {
    http.request(method, path).bearer(token)
}

async fn told(person: &Person) -> Vec<String> {
    let notices = person.list("/v1/me/notices").await;
    notices
        .iter()
        .map(|notice| notice["kind"].as_str().unwrap().to_owned())
        .collect()
}

async fn a_passkey_signs_in_alone(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let asked = ana.post("/v1/me/passkeys/options").await.expect(201);
    let of = &asked["public_key"];
    assert_eq!(of["rp"]["id"], "doors.example");
    assert_eq!(of["user"]["name"], ana.email);
    assert_eq!(of["attestation"], "none");
    assert_eq!(of["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(asked["ends_at"], t.clock.after(5 * MINUTE));
    let (mut device, id) = register(&ana).await;
    let known = ana.post("/v1/me/passkeys/options").await.expect(201);
    assert_eq!(known["public_key"]["excludeCredentials"][0]["id"], device.id());

    // With a code asked for beside the password, too.
    let begun = ana.post("/v1/me/second-factor").await.text_of("uri");
    let secret = begun.split_once("secret=").unwrap().1.split('&').next().unwrap();
    let totp = Builder::new()
        .with_secret(Secret::try_from_base32(secret).unwrap())
        .build()
        .unwrap();
    let now = doorward::domain::time::Clock::now(&t.clock).as_millis() / 1000;
    let code = json!({ "code": totp.generate(u64::try_from(now).unwrap()).to_string() });
    ana.post("/v1/me/second-factor/confirm").json(code).await.expect(200);

    let asked = options(&t.http).await;
    assert_eq!(asked["public_key"]["rpId"], "doors.example");
    assert_eq!(asked["public_key"]["allowCredentials"], json!([]));
    let tokens = sign_in(&t.http, &mut device).await.expect(200);
    assert_eq!(tokens["token_type"], "Bearer");
    let access = tokens["access_token"].as_str().unwrap();
    let me = by(&t.http, access, "GET", "/v1/me").await;
    assert_eq!(me.text_of("id"), ana.id);
    // It is a proof as well, and nothing of it is a password.
    by(&t.http, access, "DELETE", "/v1/me/second-factor").await.expect(204);
    let listed = ana.list("/v1/me/passkeys").await;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0]["id"], &listed[0]["name"], &listed[0]["synced"]),
        (&json!(id), &json!("Phone"), &json!(false))
    );
    assert!(listed[0]["used_at"].as_str().unwrap().contains(":00:00"), "{listed:?}");
    assert_eq!(
        told(&ana).await,
        ["second-factor-off", "second-factor-on", "passkey-added"],
        "and nothing of a new device: that is where she always comes from"
    );
    // From elsewhere it is news, once.
    for _ in 0..2 {
        let credential = device.sign(&options(&t.http).await);
        show(&t.http, &credential).coming_from("203.0.113.9").await.expect(200);
    }
    let new = told(&ana).await.into_iter().filter(|kind| kind == "new-device");
    assert_eq!(new.count(), 1);
    let mine = by(&t.http, &ana.access_token(), "GET", "/v1/me/export").await.text;
    assert!(
        mine.contains(&format!(r#"{{"what":"passkey","id":"{id}","name":"Phone""#)),
        "{mine}"
    );
    // A new password leaves it as it is.
    let change = json!({ "current_password": PASSWORD, "new_password": "another horse battery" });
    ana.post("/v1/auth/password").json(change).await.expect(200);
    sign_in(&t.http, &mut device).await.expect(200);
}

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

async fn what_a_passkey_signed_counts_once_and_for_what_was_asked(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (mut device, _) = register(&ana).await;
    let mut sign = |options: &Value| device.sign(options);
    let credential = sign(&options(&t.http).await);
    let at_once = join_all((0..4).map(|_| show(&t.http, &credential).into_future())).await;
    let let_in = at_once.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(
        let_in,
        1,
        "{:?}",
        at_once.iter().map(|answer| &answer.text).collect::<Vec<_>>()
    );
    show(&t.http, &credential).await.expect_problem(401, "passkey-refused");
    // A challenge is used up by a wrong answer too.
    let asked = options(&t.http).await;
    let mut wrong = sign(&asked);
    wrong["response"]["signature"] = json!("MEUCIQ");
    show(&t.http, &wrong).await.expect_problem(401, "passkey-refused");
    show(&t.http, &sign(&asked))
        .await
        .expect_problem(401, "passkey-refused");
    // It waits for five minutes.
    let asked = options(&t.http).await;
    t.clock.advance(5 * MINUTE - Duration::from_millis(1));
    show(&t.http, &sign(&asked)).await.expect(200);
    let asked = options(&t.http).await;
    t.clock.advance(5 * MINUTE);
    show(&t.http, &sign(&asked))
        .await
        .expect_problem(401, "passkey-refused");
    // What was asked for one thing is no answer to another.
    let to_prove = ana.post("/v1/auth/prove/passkey/options").await.expect(200);
    show(&t.http, &sign(&to_prove))
        .await
        .expect_problem(401, "passkey-refused");
    let to_register = ana.post("/v1/me/passkeys/options").await.expect(201);
    show(&t.http, &sign(&to_register))
        .await
        .expect_problem(401, "passkey-refused");
    let to_sign_in = options(&t.http).await;
    let body = json!({ "credential": sign(&to_sign_in) });
    ana.post("/v1/auth/prove/passkey")
        .json(body)
        .await
        .expect_problem(401, "passkey-refused");
}

async fn nothing_signs_in_but_what_was_asked_for_here(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, bob) = (t.landlord("ana").await, t.landlord("bob").await);
    let (device, _) = register(&ana).await;
    let (other, _) = register(&bob).await;
    type Bend = fn(&mut Authenticator);
    let bent: [(&str, Bend); 6] = [
        ("another origin", |device| {
            device.origin = "https://doors.example.evil".to_owned()
        }),
        ("another port", |device| {
            device.origin = "https://doors.example:8443".to_owned()
        }),
        ("another party", |device| device.party = "evil.example".to_owned()),
        ("nobody verified", |device| device.flags = 0x01),
        ("one that is synced all at once", |device| device.flags = 0x0d),
        ("without a word of whose it is", |device| device.handle = None),
    ];
    for (name, bend) in bent {
        let mut device = device.clone();
        bend(&mut device);
        let answer = sign_in(&t.http, &mut device).await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.text);
        answer.expect_problem(401, "passkey-refused");
    }
    let mut mixed = device.clone();
    mixed.handle.clone_from(&other.handle);
    sign_in(&t.http, &mut mixed)
        .await
        .expect_problem(401, "passkey-refused");
    sign_in(&t.http, &mut Authenticator::new())
        .await
        .expect_problem(401, "passkey-refused");
    // Bob's signature under Ana's name.
    let (mut device, mut other) = (device, other);
    let mut forged = other.sign(&options(&t.http).await);
    forged["id"] = json!(device.id());
    forged["response"]["userHandle"] = json!(device.handle);
    show(&t.http, &forged).await.expect_problem(401, "passkey-refused");
    sign_in(&t.http, &mut device).await.expect(200);
}

async fn a_copied_passkey_is_refused_and_told(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (mut device, id) = register(&ana).await;
    sign_in(&t.http, &mut device).await.expect(200);
    let mut copy = device.clone();
    sign_in(&t.http, &mut copy).await.expect(200);
    // Whoever comes second with the same count is refused, be it the owner.
    sign_in(&t.http, &mut device)
        .await
        .expect_problem(401, "passkey-refused");
    let notices = ana.list("/v1/me/notices").await;
    assert_eq!(notices[0]["kind"], "passkey-copied");
    assert_eq!(notices[0]["detail"], json!({ "passkey_id": id }));
    device.counter = 0;
    let body = json!({ "credential": device.sign(&ana.post("/v1/auth/prove/passkey/options").await.expect(200)) });
    ana.post("/v1/auth/prove/passkey")
        .json(body)
        .await
        .expect_problem(401, "passkey-refused");
    // One that counts nothing is not suspected.
    let mut device = Authenticator::bent(|device| (device.flags, device.counts) = (0x1d, false));
    let asked = ana.post("/v1/me/passkeys/options").await.expect(201);
    let body = json!({ "name": "Synced", "credential": device.make(&asked) });
    let synced = ana.post("/v1/me/passkeys").json(body).await.expect(201);
    assert_eq!(synced["synced"], true);
    for _ in 0..2 {
        sign_in(&t.http, &mut device).await.expect(200);
    }
}

async fn a_removed_passkey_is_refused(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (mut device, id) = register(&ana).await;
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
    let (mut device, id) = register(&ana).await;
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

async fn a_passkey_proves_who_holds_a_session(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let ask = || ana.post("/v1/auth/prove/passkey/options");
    ask().await.expect_problem(409, "no-passkey");
    let (mut device, id) = register(&ana).await;
    t.clock.advance(10 * MINUTE);
    let token = ana.access_token();
    let remove = || by(&t.http, &token, "DELETE", &format!("/v1/me/passkeys/{id}"));
    remove().await.expect_problem(403, "proof-needed");
    let asked = ask().await.expect(200);
    assert_eq!(asked["public_key"]["allowCredentials"][0]["id"], device.id());
    // Where it was named, an authenticator need not say whose it is.
    device.handle = None;
    let prove = |token: &str, credential: &Value| {
        let proof = json!({ "credential": credential });
        by(&t.http, token, "POST", "/v1/auth/prove/passkey").json(proof)
    };
    let credential = device.sign(&asked);
    let proven = prove(&token, &credential).await.expect(200);
    assert_eq!(proven["good_until"], t.clock.after(10 * MINUTE));
    prove(&token, &credential).await.expect_problem(401, "passkey-refused");
    // Of this session alone.
    let other = Person::sign_in(&t.http, "ana", &ana.email).await;
    let asked = ask().await.expect(200);
    let elsewhere = prove(&other.access_token(), &device.sign(&asked));
    elsewhere.await.expect_problem(401, "passkey-refused");
    remove().await.expect(204);
}

async fn nobody_proves_by_anothers_passkey(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, eve) = (t.landlord("ana").await, t.landlord("eve").await);
    let (mut hers, _) = register(&ana).await;
    let (mut eves, _) = register(&eve).await;
    // Eve holds a session of Ana's.
    let stolen = ana.access_token();
    t.clock.advance(10 * MINUTE);
    let ask = || by(&t.http, &stolen, "POST", "/v1/auth/prove/passkey/options");
    let prove = |credential: Value| {
        let proof = json!({ "credential": credential });
        by(&t.http, &stolen, "POST", "/v1/auth/prove/passkey").json(proof)
    };
    let asked = ask().await.expect(200);
    prove(eves.sign(&asked)).await.expect_problem(401, "passkey-refused");
    let mut unnamed = eves.clone();
    unnamed.handle = None;
    let asked = ask().await.expect(200);
    prove(unnamed.sign(&asked)).await.expect_problem(401, "passkey-refused");
    let begin = by(&t.http, &stolen, "POST", "/v1/me/passkeys/options");
    begin.await.expect_problem(403, "proof-needed");
    let asked = ask().await.expect(200);
    prove(hers.sign(&asked)).await.expect(200);
}

async fn passkeys_have_an_end(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    for _ in 0..18 {
        register(&ana).await;
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

async fn a_session_by_a_passkey_is_bound_to_a_key(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (mut device, _) = register(&ana).await;
    let mut phone = BoundPhone::new(&t.http, &t.clock);
    let credential = device.sign(&options(&t.http).await);
    let body = json!({ "credential": credential, "device": "Ana's phone" });
    let answer = phone.without_token("POST", "/v1/auth/passkey").json(body).await;
    phone.take(answer);
    phone.request("GET", "/v1/me").await.expect(200);
    let copied = by(&t.http, &phone.access, "GET", "/v1/me");
    copied.await.expect_problem(401, "proof-refused");
    assert_eq!(ana.list("/v1/me/sessions").await[0]["device"], "Ana's phone");
    // A proof that does not hold begins no session, and spends no challenge.
    let credential = device.sign(&options(&t.http).await);
    let body = json!({ "credential": credential });
    let bent = phone.proof_with("POST", "/v1/auth/sign-in", None, |_| ());
    let refused = t.http.post("/v1/auth/passkey").header("DPoP", &bent).json(body.clone());
    refused.await.expect_problem(401, "proof-refused");
    t.http.post("/v1/auth/passkey").json(body).await.expect(200);
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
    let (mut device, _) = register(&max).await;
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
    let (mut device, _) = register(&gus).await;
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

async fn a_challenge_outlives_a_restart(database: TestDatabase) {
    let mut t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (mut device, _) = register(&ana).await;
    let asked = options(&t.http).await;
    t.restart().await;
    show(&t.http, &device.sign(&asked)).await.expect(200);
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

async fn passkeys_are_tried_no_faster_than_passwords(database: TestDatabase) {
    let few = |config: &mut doorward::config::Config| config.limits.sign_ins_per_minute = 5;
    let t = TestServer::start_with(&database, few).await;
    for _ in 0..5 {
        options(&t.http).await;
    }
    let ask = t.http.post("/v1/auth/passkey/options");
    ask.await.expect_problem(429, "throttled");
    let credential = Authenticator::new().sign(&json!({ "public_key": { "challenge": "A".repeat(43) } }));
    show(&t.http, &credential).await.expect_problem(429, "throttled");
    let body = json!({ "email": "nobody@landlords.example", "password": PASSWORD });
    let by_password = t.http.post("/v1/auth/sign-in").json(body);
    by_password.await.expect_problem(429, "throttled");
}
