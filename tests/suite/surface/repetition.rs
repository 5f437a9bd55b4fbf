//! Requests that come twice, and too often.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, House};

async fn post_once(house: &House, key: &str, path: &str, body: &Value) -> Answer {
    let request = house.request(Method::POST, path).header("Idempotency-Key", key);
    Answer::of(request.json(body).send().await.unwrap()).await
}

#[tokio::test]
async fn the_same_request_is_carried_out_once_and_answered_the_same() {
    let house = House::open().await;
    let property = house.property("Haus");
    let first = post_once(&house, "a", "/v1/properties", &property).await;
    let second = post_once(&house, "a", "/v1/properties", &property).await;
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.text, second.text);
    assert_eq!(second.header("content-type"), "application/json");
    let other = post_once(&house, "b", "/v1/properties", &property).await;
    assert_ne!(other.body["id"], first.body["id"]);
    assert_eq!(
        house.get("/v1/properties").await.body["data"].as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn two_at_once_are_one() {
    let house = House::open().await;
    let property = house.property("Haus");
    let (one, two) = tokio::join!(
        post_once(&house, "a", "/v1/properties", &property),
        post_once(&house, "a", "/v1/properties", &property)
    );
    for answer in [&one, &two] {
        if answer.status != 201 {
            answer.expect(409, "idempotency-in-progress");
        }
    }
    assert!(one.status == 201 || two.status == 201);
    assert_eq!(
        house.get("/v1/properties").await.body["data"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let house = House::open().await;
    post_once(&house, "a", "/v1/properties", &house.property("Haus")).await;
    let reused = post_once(&house, "a", "/v1/properties", &house.property("Hof")).await;
    reused.expect(422, "idempotency-key-reused");
    let refused = post_once(&house, "", "/v1/properties", &house.property("Hof")).await;
    refused.expect(400, "invalid-idempotency-key");
    let refused = post_once(&house, &"k".repeat(256), "/v1/properties", &house.property("Hof")).await;
    refused.expect(400, "invalid-idempotency-key");
}

#[tokio::test]
async fn a_refusal_is_kept_too() {
    let house = House::open().await;
    let nowhere = json!({
        "organization_id": format!("org_{}", "0".repeat(32)), "name": "a", "address": "b", "time_zone": "UTC",
    });
    let first = post_once(&house, "a", "/v1/properties", &nowhere).await;
    first.expect(404, "not-found");
    assert_eq!(
        post_once(&house, "a", "/v1/properties", &nowhere).await.text,
        first.text
    );
}

#[tokio::test]
async fn an_answer_is_for_the_token_that_asked() {
    let mut house = House::open().await;
    let sign_in = json!({ "email": "ana@example.org", "password": "correct horse" });
    let tokens = house.post("/v1/auth/sign-in", &sign_in).await.body;
    house.token = tokens["access_token"].as_str().unwrap().to_owned();
    let property = house.property("Haus");
    post_once(&house, "a", "/v1/properties", &property).await;
    let next = house
        .post("/v1/auth/refresh", &json!({ "refresh_token": tokens["refresh_token"] }))
        .await
        .body;
    house.token = next["access_token"].as_str().unwrap().to_owned();
    let again = post_once(&house, "a", "/v1/properties", &property).await;
    again.expect(409, "idempotency-answer-sealed");
    assert_eq!(
        house.get("/v1/properties").await.body["data"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn who_has_asked_too_often_can_still_ask_for_a_door() {
    let house = House::open_with(|config| config.limits.requests_per_minute = 3).await;
    let mut answer = house.get("/v1/me").await;
    while answer.status == 200 {
        answer = house.get("/v1/me").await;
    }
    answer.expect(429, "throttled");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    let door = format!("/v1/locks/lock_{}/unlock", "0".repeat(32));
    house.post(&door, &json!({})).await.expect(404, "not-found");
}

#[tokio::test]
async fn sign_ins_from_one_address_are_counted() {
    let house = House::open_with(|config| config.limits.sign_ins_per_minute = 2).await;
    let wrong = json!({ "email": "tom@example.org", "password": "wrong horse" });
    house
        .post("/v1/auth/sign-in", &wrong)
        .await
        .expect(401, "wrong-credentials");
    house.post("/v1/auth/sign-in", &wrong).await.expect(429, "throttled");
}
