//! A second factor beside the password.

use std::time::Duration;

use doorward::domain::time::Clock as _;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Answer, PASSWORD, Person, TestServer};

on_each_database!(
    a_code_is_asked_for_beside_the_password,
    a_code_counts_once_also_at_once,
    a_code_is_good_one_step_late_or_early,
    codes_are_guessed_no_faster_than_passwords,
    a_recovery_code_works_once_and_is_told,
    new_codes_make_the_old_ones_void,
    what_waits_for_its_code_counts_for_nothing,
    a_second_factor_wants_a_proof,
    wherever_a_password_is_asked_for_a_code_is_too,
    an_owner_helps_who_has_lost_everything,
    an_owner_takes_no_factor_that_is_not_theirs_to_take,
    a_database_alone_tells_no_code,
);

const STEP: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

/// The device of somebody, which is an implementation of its own here: it reads the address that the picture shows.
struct Device(Secret);

impl Device {
    fn read(uri: &str) -> Self {
        let (_, rest) = uri.split_once("secret=").unwrap();
        let secret = rest.split('&').next().unwrap();
        Self(Secret::try_from_base32(secret).unwrap())
    }

    /// What it shows at the time of the server, this many steps ahead.
    fn code(&self, t: &TestServer, steps: i64) -> String {
        let seconds = t.clock.now().as_millis() / 1000 + steps * 30;
        let totp = Builder::new().with_secret(self.0.as_bytes().to_vec()).build().unwrap();
        totp.generate(u64::try_from(seconds).unwrap()).to_string()
    }
}

/// Switches it on; gives the device and the recovery codes. The clock is a step further then.
async fn switch_on(t: &TestServer, person: &Person) -> (Device, Vec<String>) {
    let begun = person.post("/v1/me/second-factor").await.expect(201);
    assert!(begun["qr_svg"].as_str().unwrap().contains("<svg"));
    let device = Device::read(begun["uri"].as_str().unwrap());
    let code = json!({ "code": device.code(t, 0) });
    let on = person.post("/v1/me/second-factor/confirm").json(code).await.expect(200);
    let codes = on["recovery_codes"].as_array().unwrap().iter();
    t.clock.advance(STEP);
    (device, codes.map(|code| code.as_str().unwrap().to_owned()).collect())
}

async fn sign_in(t: &TestServer, person: &Person, code: Option<&str>) -> Answer {
    let body = json!({ "email": person.email, "password": PASSWORD, "code": code });
    t.http.post("/v1/auth/sign-in").json(body).await
}

async fn told(person: &Person) -> Vec<String> {
    let notices = person.list("/v1/me/notices").await;
    let kinds = notices.iter().map(|notice| notice["kind"].as_str().unwrap().to_owned());
    kinds.filter(|kind| kind != "new-device").collect()
}

async fn a_code_is_asked_for_beside_the_password(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let off = json!({ "on": false, "since": null, "recovery_codes_left": 0 });
    assert_eq!(ana.get("/v1/me/second-factor").await.expect(200), off);
    let since = t.clock.after(Duration::ZERO);
    let (device, codes) = switch_on(&t, &ana).await;
    assert_eq!(codes.len(), 10);
    let on = json!({ "on": true, "since": since, "recovery_codes_left": 10 });
    assert_eq!(ana.get("/v1/me/second-factor").await.expect(200), on);
    ana.post("/v1/me/second-factor")
        .await
        .expect_problem(409, "second-factor-on");

    sign_in(&t, &ana, None)
        .await
        .expect_problem(401, "second-factor-needed");
    sign_in(&t, &ana, Some("000000"))
        .await
        .expect_problem(401, "wrong-code");
    let tokens = sign_in(&t, &ana, Some(&device.code(&t, 0))).await.expect(200);
    let access = tokens["access_token"].as_str().unwrap();
    t.http.get("/v1/me").bearer(access).await.expect(200);
    // Whoever does not know the password learns nothing of it, with a code or without.
    t.clock.advance(STEP);
    for code in [None, Some(device.code(&t, 0)), Some("000000".to_owned())] {
        for email in [&*ana.email, "nobody@landlords.example"] {
            let body = json!({ "email": email, "password": "not her password", "code": code });
            let answer = t
                .http
                .post("/v1/auth/sign-in")
                .coming_from("203.0.113.9")
                .json(body)
                .await;
            answer.expect_problem(401, "wrong-credentials");
        }
        t.clock.advance(16 * MINUTE);
    }
    for code in ["", "12345", "1234567", "letters", "0A1B2-C3D4"] {
        sign_in(&t, &ana, Some(code)).await.expect_invalid("code");
    }
    assert_eq!(told(&ana).await, ["second-factor-on"]);

    ana.sign_in_again_with(&device.code(&t, 0)).await;
    ana.delete("/v1/me/second-factor").await.expect(204);
    ana.delete("/v1/me/second-factor")
        .await
        .expect_problem(409, "second-factor-off");
    sign_in(&t, &ana, None).await.expect(200);
    // One that is not asked for is not looked at.
    sign_in(&t, &ana, Some("000000")).await.expect(200);
    assert_eq!(told(&ana).await, ["second-factor-off", "second-factor-on"]);
}

async fn a_code_counts_once_also_at_once(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let begun = ana.post("/v1/me/second-factor").await.expect(201);
    let device = Device::read(begun["uri"].as_str().unwrap());
    let code = device.code(&t, 0);
    let body = json!({ "code": code });
    ana.post("/v1/me/second-factor/confirm").json(body).await.expect(200);
    // The code that switched it on is used up.
    sign_in(&t, &ana, Some(&code)).await.expect_problem(401, "wrong-code");
    t.clock.advance(STEP);
    let code = device.code(&t, 0);
    let tries = (0..4).map(|_| sign_in(&t, &ana, Some(&code)));
    let answers = futures_util::future::join_all(tries).await;
    let let_in = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(
        let_in,
        1,
        "{:?}",
        answers.iter().map(|answer| answer.status).collect::<Vec<_>>()
    );
    t.clock.advance(20 * MINUTE);
    // The next one is used; then the one before it is none any more, though its time is not over.
    let before = device.code(&t, 0);
    sign_in(&t, &ana, Some(&device.code(&t, 1))).await.expect(200);
    sign_in(&t, &ana, Some(&before)).await.expect_problem(401, "wrong-code");
}

async fn a_code_is_good_one_step_late_or_early(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (device, _) = switch_on(&t, &ana).await;
    for (steps, status) in [(-2, 401), (-1, 200), (2, 401), (1, 200)] {
        t.clock.advance(20 * MINUTE);
        let answer = sign_in(&t, &ana, Some(&device.code(&t, steps))).await;
        assert_eq!(answer.status, status, "{steps}: {}", answer.text);
    }
}

async fn codes_are_guessed_no_faster_than_passwords(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (device, _) = switch_on(&t, &ana).await;
    let from = "203.0.113.9";
    let guess = |code: Option<&'static str>| {
        let body = json!({ "email": ana.email, "password": PASSWORD, "code": code });
        t.http.post("/v1/auth/sign-in").coming_from(from).json(body)
    };
    for _ in 0..5 {
        guess(Some("000000")).await.expect_problem(401, "wrong-code");
        // To show the password alone forgives nothing, and makes no place a known one.
        if guess(None).await.status == 429 {
            break;
        }
    }
    guess(Some("000000")).await.expect_problem(429, "throttled");
    guess(None).await.expect_problem(429, "throttled");
    let recovery = guess(Some("0A1B2-C3D4E"));
    recovery.await.expect_problem(429, "throttled");
    // Whoever's account it is comes in where they did before.
    sign_in(&t, &ana, Some(&device.code(&t, 0))).await.expect(200);
}

async fn a_recovery_code_works_once_and_is_told(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (_, codes) = switch_on(&t, &ana).await;
    let typed = codes[0].to_lowercase().replace('-', " ");
    sign_in(&t, &ana, Some(&typed)).await.expect(200);
    sign_in(&t, &ana, Some(&codes[0]))
        .await
        .expect_problem(401, "wrong-code");
    let left = ana.get("/v1/me/second-factor").await.expect(200);
    assert_eq!(left["recovery_codes_left"], 9);
    let tries = (0..4).map(|_| sign_in(&t, &ana, Some(&codes[1])));
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for code in &codes[2..7] {
        t.clock.advance(20 * MINUTE);
        sign_in(&t, &ana, Some(code)).await.expect(200);
    }
    ana.sign_in_again_with(&codes[7]).await;
    let notices = ana.list("/v1/me/notices").await;
    let used = notices.iter().filter(|notice| notice["kind"] == "recovery-code-used");
    let few: Vec<Value> = used.map(|notice| notice["detail"].clone()).collect();
    assert_eq!(few.len(), 8);
    assert_eq!(few[0], json!({ "left": 2, "few": true }));
    assert_eq!(few[2], json!({ "left": 4, "few": false }));
    // Another's code is none.
    let bob = t.landlord("bob").await;
    switch_on(&t, &bob).await;
    sign_in(&t, &bob, Some(&codes[8]))
        .await
        .expect_problem(401, "wrong-code");
}

async fn new_codes_make_the_old_ones_void(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let renew = || ana.post("/v1/me/second-factor/recovery-codes");
    renew().await.expect_problem(409, "second-factor-off");
    let (_, old) = switch_on(&t, &ana).await;
    let new = renew().await.expect(200);
    let new = new["recovery_codes"][0].as_str().unwrap();
    sign_in(&t, &ana, Some(&old[0])).await.expect_problem(401, "wrong-code");
    sign_in(&t, &ana, Some(new)).await.expect(200);
}

async fn what_waits_for_its_code_counts_for_nothing(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let confirm = |code: String| ana.post("/v1/me/second-factor/confirm").json(json!({ "code": code }));
    confirm("123456".into()).await.expect_problem(409, "second-factor-off");
    let first = ana.post("/v1/me/second-factor").await.expect(201);
    let first = Device::read(first["uri"].as_str().unwrap());
    sign_in(&t, &ana, None).await.expect(200);
    // Begun anew, the first secret is gone.
    let second = ana.post("/v1/me/second-factor").await.expect(201);
    let second = Device::read(second["uri"].as_str().unwrap());
    confirm(first.code(&t, 0)).await.expect_problem(401, "wrong-code");
    confirm("0A1B2-C3D4E".into()).await.expect_problem(401, "wrong-code");
    t.clock.advance(60 * MINUTE);
    confirm(second.code(&t, 0))
        .await
        .expect_problem(409, "second-factor-off");
    sign_in(&t, &ana, None).await.expect(200);
    ana.delete("/v1/me/second-factor")
        .await
        .expect_problem(409, "second-factor-off");
}

async fn a_second_factor_wants_a_proof(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let token = ana.access_token();
    let ask = |method: &str, path: &str| t.http.request(method, path).bearer(&token);
    t.clock.advance(10 * MINUTE);
    let begin = || ask("POST", "/v1/me/second-factor");
    begin().await.expect_problem(403, "proof-needed");
    let (device, codes) = switch_on(&t, &ana).await;
    t.clock.advance(10 * MINUTE);
    let code = json!({ "code": device.code(&t, 0) });
    let confirm = ask("POST", "/v1/me/second-factor/confirm").json(code);
    confirm.await.expect_problem(403, "proof-needed");
    let renew = || ask("POST", "/v1/me/second-factor/recovery-codes");
    renew().await.expect_problem(403, "proof-needed");
    let end = || ask("DELETE", "/v1/me/second-factor");
    end().await.expect_problem(403, "proof-needed");
    // The password alone is no proof any more.
    let prove = |code: Option<String>| {
        let proof = json!({ "password": PASSWORD, "code": code });
        t.http.post("/v1/auth/prove").bearer(&token).json(proof)
    };
    prove(None).await.expect_problem(401, "second-factor-needed");
    prove(Some("000000".into())).await.expect_problem(401, "wrong-code");
    renew().await.expect_problem(403, "proof-needed");
    prove(Some(codes[0].clone())).await.expect(200);
    renew().await.expect(200);
    end().await.expect(204);
}

async fn wherever_a_password_is_asked_for_a_code_is_too(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, bob) = (t.landlord("ana").await, t.landlord("bob").await);
    let gus = ana.guest("gus").await;
    let (device, codes) = switch_on(&t, &gus).await;
    t.clock.advance(10 * MINUTE);
    // An invitation signs in.
    let offer = json!({ "role": "guest", "letter": false });
    let link = bob.invite(&gus.email, offer).await.text_of("secret_link");
    let (_, secret) = link.split_once('#').unwrap();
    let accept = |code: Option<String>| {
        let body = json!({ "secret": secret, "name": "Gus", "password": PASSWORD, "code": code });
        t.http.post("/v1/invitations/accept").json(body)
    };
    accept(None).await.expect_problem(401, "second-factor-needed");
    accept(Some(device.code(&t, 0))).await.expect(200);
    // A new password, and the end of the account: unless both were shown just now.
    let change = |person: &Person, code: Option<&str>| {
        let body = json!({ "current_password": PASSWORD, "new_password": PASSWORD, "code": code });
        t.http
            .post("/v1/auth/password")
            .bearer(&person.access_token())
            .json(body)
    };
    change(&gus, None).await.expect_problem(401, "second-factor-needed");
    let erase = |person: &Person| {
        let body = json!({ "password": PASSWORD });
        t.http.post("/v1/me/erase").bearer(&person.access_token()).json(body)
    };
    erase(&gus).await.expect_problem(401, "second-factor-needed");
    let changed = change(&gus, Some(&codes[0])).await.expect(200);
    let access = changed["access_token"].as_str().unwrap();
    let erase = t
        .http
        .post("/v1/me/erase")
        .bearer(access)
        .json(json!({ "password": PASSWORD }));
    erase.await.expect(200);
}

async fn an_owner_helps_who_has_lost_everything(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let max = ana.manager("max").await;
    let path = |person: &Person| {
        format!(
            "/v1/organizations/{}/members/{}/second-factor",
            ana.organization, person.id
        )
    };
    ana.delete(&path(&max)).await.expect_problem(409, "second-factor-off");
    switch_on(&t, &max).await;
    max.delete(&path(&max)).await.expect_problem(403, "forbidden");
    ana.delete(&path(&max)).await.expect(204);
    max.get("/v1/me").await.expect_problem(401, "unauthenticated");
    max.sign_in_again().await;
    let told_of_it = told(&max).await;
    assert_eq!(told_of_it[0], "second-factor-off");
    assert_eq!(told(&ana).await, ["second-factor-off"]);
    let log = ana.log().await;
    let taken = log.iter().find(|entry| entry["kind"] == "second-factor-taken").unwrap();
    assert_eq!(
        (&taken["person_id"], &taken["actor_id"]),
        (&json!(max.id), &json!(ana.id))
    );
}

async fn an_owner_takes_no_factor_that_is_not_theirs_to_take(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, eve) = (t.landlord("ana").await, t.landlord("eve").await);
    let gus = ana.guest("gus").await;
    switch_on(&t, &gus).await;
    let path =
        |organization: &str, person: &str| format!("/v1/organizations/{organization}/members/{person}/second-factor");
    eve.delete(&path(&ana.organization, &gus.id))
        .await
        .expect_no("organization");
    eve.delete(&path(&eve.organization, &gus.id)).await.expect_no("person");
    ana.delete(&path(&ana.organization, &ana.id))
        .await
        .expect_problem(409, "own-second-factor");
    t.clock.advance(10 * MINUTE);
    let stale = t
        .http
        .request("DELETE", &path(&ana.organization, &gus.id))
        .bearer(&ana.access_token());
    stale.await.expect_problem(403, "proof-needed");
    // Somebody lured into another's organization keeps it.
    let offer = json!({ "role": "guest", "letter": false });
    let lured = ana.invite(&eve.email, offer).await.text_of("secret_link");
    Person::accept(&t.http, "eve", &eve.email, &lured).await;
    switch_on(&t, &eve).await;
    ana.delete(&path(&ana.organization, &eve.id))
        .await
        .expect_problem(409, "belongs-elsewhere");
    // Where the rules want two persons, one is not enough.
    ana.manager("max").await;
    let rules = format!("/v1/organizations/{}/rules", ana.organization);
    let two =
        json!({ "two_person": { "whole_property_grants": false, "lockdown": true }, "self_grant_delay_hours": 24 });
    ana.put(&rules).json(two).await.expect(200);
    ana.delete(&path(&ana.organization, &gus.id))
        .await
        .expect_problem(409, "second-person-needed");
}

async fn a_database_alone_tells_no_code(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let begun = ana.post("/v1/me/second-factor").await.expect(201);
    let uri = begun["uri"].as_str().unwrap().to_owned();
    let device = Device::read(&uri);
    let code = json!({ "code": device.code(&t, 0) });
    let on = ana.post("/v1/me/second-factor/confirm").json(code).await.expect(200);
    let dump = database.dump();
    let stands = |told: &str| dump.windows(told.len()).any(|window| window == told.as_bytes());
    assert!(stands(&ana.email), "the dump is one");
    let code = on["recovery_codes"][0].as_str().unwrap();
    for told in [device.0.to_base32(), code.to_owned(), code.replace('-', "")] {
        assert!(!stands(&told), "{told} stands in the database");
    }
}
