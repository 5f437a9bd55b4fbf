//! Controllers that claim locks.

use std::time::Duration;

use doorward::agent::enrolment::{EnrolError, new_key};
use doorward::crypto::random::OsRandom;
use doorward_lock::controller::enrolment_proof;
use doorward_lock::keys;
use p256::ecdsa::SigningKey;
use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Door, TestServer, house};

on_each_database!(
    a_code_enrols_one_lock,
    of_two_controllers_at_once_one_gets_the_lock,
    a_code_is_void_after_its_time_or_after_a_newer_one,
    a_proof_is_by_the_key_over_the_code,
    a_code_may_be_typed_as_people_type,
);

const MODEL: &str = "Model 1";
const FIRMWARE: &str = "1.0.0";

/// What a controller that holds `key` asks with, its proof made by `signer`.
pub fn ask(key: &SigningKey, signer: &SigningKey, claim_code: &str) -> Value {
    let public = keys::PublicKey::from_key(*key.verifying_key());
    let (x, y) = public.coordinates();
    let jwk: Value = serde_json::to_value(keys::jwk(&x, &y)).unwrap();
    let proof = enrolment_proof(signer, claim_code, MODEL, FIRMWARE).unwrap();
    json!({
        "claim_code": claim_code,
        "public_key": jwk,
        "model": MODEL,
        "firmware": FIRMWARE,
        "proof": proof.as_str(),
    })
}

/// Enrols with a new key; the answer's status.
async fn enrol(t: &TestServer, claim_code: &str) -> u16 {
    let key = new_key(&OsRandom);
    t.http
        .post("/v1/enrolments")
        .json(ask(&key, &key, claim_code))
        .await
        .status
}

fn is_refused<T>(enrolled: &Result<T, EnrolError>) -> bool {
    matches!(enrolled, Err(EnrolError::Refused { status: 409, .. }))
}

async fn a_code_enrols_one_lock(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let key = new_key(&OsRandom);
    let body = ask(&key, &key, &door.claim_code);
    let welcome = t.http.post("/v1/enrolments").json(body.clone()).await.expect(200);
    assert_eq!(welcome["lock_id"], door.id);
    assert_eq!(welcome["iss"], "https://doors.example");
    assert_eq!(welcome["org"], ana.organization);
    assert_eq!(welcome["mqtt"]["username"], door.id);
    assert_eq!(welcome["time"], 1_772_438_400);
    t.http
        .post("/v1/enrolments")
        .json(body)
        .await
        .expect_problem(409, "claim-refused");
    assert!(is_refused(&door.try_enrol().await));

    let lock = ana.get(&door.path()).await.expect(200);
    assert_eq!((&lock["state"], &lock["model"]), (&json!("enrolled"), &json!(MODEL)));
    let entries = ana.list("/v1/access-log?kind=lock-enrolled").await;
    assert_eq!((entries.len(), &entries[0]["lock_id"]), (1, &json!(door.id)));
}

async fn of_two_controllers_at_once_one_gets_the_lock(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let (first, second) = tokio::join!(door.try_enrol(), door.try_enrol());
    assert_eq!(
        [&first, &second].iter().filter(|tried| tried.is_ok()).count(),
        1,
        "{first:?} {second:?}"
    );
    assert!(is_refused(&first) || is_refused(&second), "{first:?} {second:?}");
}

async fn a_code_is_void_after_its_time_or_after_a_newer_one(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let [early, late] = [ana.add_lock(&house, "Early").await, ana.add_lock(&house, "Late").await];
    t.clock.advance(Duration::from_millis(10 * 60 * 1000 - 1));
    assert_eq!(enrol(&t, &early.claim_code).await, 200);
    t.clock.advance(Duration::from_millis(1));
    assert_eq!(enrol(&t, &late.claim_code).await, 409);

    let renewed = ana.post(&format!("{}/claim", late.path())).await.expect(200);
    assert_eq!(renewed["expires_at"], t.clock.after(Duration::from_secs(600)));
    assert_eq!(enrol(&t, &late.claim_code).await, 409);
    assert_eq!(enrol(&t, renewed["code"].as_str().unwrap()).await, 200);
}

async fn a_proof_is_by_the_key_over_the_code(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let Door { claim_code, .. } = ana.add_lock(&house, "Front door").await;
    let (key, other) = (new_key(&OsRandom), new_key(&OsRandom));
    let good = ask(&key, &key, &claim_code);
    let with = |member: &str, value: Value| {
        let mut body = good.clone();
        body[member] = value;
        body
    };
    let over_another_code = ask(&key, &key, "0ABCD-0ABCD-0ABCD-0ABCD-0ABCDE");
    for (what, body) in [
        ("by another key", ask(&key, &other, &claim_code)),
        (
            "for another key",
            with("public_key", ask(&other, &other, &claim_code)["public_key"].clone()),
        ),
        ("over another code", with("proof", over_another_code["proof"].clone())),
        (
            "for another code",
            with("claim_code", over_another_code["claim_code"].clone()),
        ),
        ("not a token", with("proof", json!("nonsense"))),
        (
            "without a signature",
            with("proof", json!(unsigned(good["proof"].as_str().unwrap()))),
        ),
    ] {
        let answer = t.http.post("/v1/enrolments").json(body).await;
        assert_eq!(answer.status, 409, "{what}");
        answer.expect_problem(409, "claim-refused");
    }
    t.http.post("/v1/enrolments").json(good).await.expect(200);
}

fn unsigned(token: &str) -> String {
    let (signed, _) = token.rsplit_once('.').unwrap();
    format!("{signed}.")
}

async fn a_code_may_be_typed_as_people_type(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let typed = door
        .claim_code
        .to_lowercase()
        .replace('-', " ")
        .replace('0', "o")
        .replace('1', "l");
    assert_eq!(enrol(&t, &typed).await, 200);
}
