//! Signing in by a passkey.

use std::future::IntoFuture as _;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use super::{MINUTE, by, options, show, sign_in, told};
use crate::fixtures::authenticator::Authenticator;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{BoundPhone, PASSWORD, TestServer};

on_each_database!(
    a_passkey_signs_in_alone,
    what_a_passkey_signed_counts_once_and_for_what_was_asked,
    nothing_signs_in_but_what_was_asked_for_here,
    a_copied_passkey_is_refused_and_told,
    a_session_by_a_passkey_is_bound_to_a_key,
    a_challenge_outlives_a_restart,
    passkeys_are_tried_no_faster_than_passwords,
);

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
    let (mut device, id) = Authenticator::of(&ana).await;
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

async fn what_a_passkey_signed_counts_once_and_for_what_was_asked(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (mut device, _) = Authenticator::of(&ana).await;
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
    let (device, _) = Authenticator::of(&ana).await;
    let (other, _) = Authenticator::of(&bob).await;
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
    let (mut device, id) = Authenticator::of(&ana).await;
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

async fn a_session_by_a_passkey_is_bound_to_a_key(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (mut device, _) = Authenticator::of(&ana).await;
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

async fn a_challenge_outlives_a_restart(database: TestDatabase) {
    let mut t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (mut device, _) = Authenticator::of(&ana).await;
    let asked = options(&t.http).await;
    t.restart().await;
    show(&t.http, &device.sign(&asked)).await.expect(200);
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
