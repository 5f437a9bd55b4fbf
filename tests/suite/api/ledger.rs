//! The ledger: what lock-outs cost, who sees it, what is waived, and what the accounts get.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier as _;
use serde_json::{Value, json};

use super::lockouts::{Scene, approve, ask, policy, told};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Http, Person};

on_each_database!(
    a_replacement_key_is_booked_and_a_line_is_waived_once,
    everybody_sees_what_they_owe_and_the_desk_sees_all,
    an_export_is_signed_byte_for_byte,
);

/// Asks for somebody, and has it approved with a mechanical key.
async fn with_key(s: &Scene, tenant: &Person) -> Value {
    let lockout = ask(tenant, &s.door).await.expect(201);
    approve(&s.dee, &lockout)
        .json(json!({ "replacement_key": true }))
        .await
        .expect(200)
}

async fn fees(s: &Scene) {
    s.policy(policy(json!({ "replacement_key_fee": 2500, "first": [] })))
        .await;
}

async fn a_replacement_key_is_booked_and_a_line_is_waived_once(database: TestDatabase) {
    let s = Scene::new(&database).await;
    fees(&s).await;
    let lockout = with_key(&s, &s.tom).await;
    let lines = s.dee.list("/v1/ledger").await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    for (member, value) in [
        ("seq", json!(1)),
        ("item", json!("replacement-key")),
        ("amount_minor", json!(2500)),
        ("amount", json!("25.00")),
        ("currency", json!("USD")),
        ("person_id", json!(s.tom.id)),
        ("actor_id", json!(s.dee.id)),
        ("lockout_id", lockout["id"].clone()),
    ] {
        assert_eq!(line[member], value, "{member}");
    }
    assert!(told(&s.tom).await.contains(&"ledger-line".to_owned()));
    let path = format!("/v1/ledger/{}/waive", line["id"].as_str().unwrap());
    let waive = |person: &Person, why: &str| person.post(&path).json(json!({ "reason": why }));
    waive(&s.dee, "kindness").await.expect_problem(403, "forbidden");
    waive(&s.tom, "poverty").await.expect_problem(403, "forbidden");
    waive(&s.ana, "").await.expect_invalid("reason");
    // Two at once: one has waived it.
    let (one, other) = tokio::join!(
        waive(&s.ana, "the lock was at fault"),
        waive(&s.ana, "the lock was at fault")
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{} {}", one.text, other.text);
    waive(&s.ana, "again").await.expect_problem(409, "line-waived");
    let lines = s.dee.list("/v1/ledger").await;
    assert_eq!((lines.len(), &lines[1]), (2, line));
    let waiver = &lines[0];
    assert_eq!((&waiver["amount_minor"], &waiver["seq"]), (&json!(-2500), &json!(2)));
    assert_eq!(
        (&waiver["waives"], &waiver["reason"]),
        (&line["id"], &json!("the lock was at fault"))
    );
    let of_waiver = format!("/v1/ledger/{}/waive", waiver["id"].as_str().unwrap());
    let body = json!({ "reason": "no" });
    s.ana
        .post(&of_waiver)
        .json(body)
        .await
        .expect_problem(409, "line-is-waiver");
    assert_eq!(s.ana.list("/v1/access-log?kind=charge-waived").await.len(), 1);
    let eve = s.t.landlord("eve").await;
    waive(&eve, "mine?").await.expect_no("line");
}

async fn everybody_sees_what_they_owe_and_the_desk_sees_all(database: TestDatabase) {
    let s = Scene::new(&database).await;
    fees(&s).await;
    let tim = s.ana.tenant("tim", &s.flat).await;
    for tenant in [&s.tom, &tim] {
        with_key(&s, tenant).await;
    }
    for tenant in [&s.tom, &tim] {
        let own = tenant.list("/v1/ledger").await;
        assert_eq!((own.len(), &own[0]["person_id"]), (1, &json!(tenant.id)));
    }
    assert_eq!(s.dee.list("/v1/ledger?limit=1").await.len(), 2);
    let (gus, eve) = (s.ana.guest("gus").await, s.t.landlord("eve").await);
    for person in [&gus, &*eve] {
        assert_eq!(person.list("/v1/ledger").await, Vec::<Value>::new());
    }
    // Numbers have no gap, whoever books at once.
    let numbers: Vec<_> = s
        .ana
        .list("/v1/ledger")
        .await
        .iter()
        .map(|line| line["seq"].clone())
        .collect();
    assert_eq!(numbers, [json!(2), json!(1)]);
}

/// Whether the detached signature is over this file, by a key that the backend shows.
async fn is_genuine(http: &Http, signature: &str, file: &str) -> bool {
    let (header, rest) = signature.split_once('.').unwrap();
    let signature = rest
        .strip_prefix('.')
        .expect("a detached signature has nothing in its middle");
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let header_says: Value = serde_json::from_slice(&bytes(header)).unwrap();
    assert_eq!(
        (&header_says["alg"], &header_says["typ"]),
        (&json!("ES256"), &json!("doorward-ledger+jws"))
    );
    let jwks = http.get("/.well-known/jwks.json").await.expect(200);
    let key = jwks["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == header_says["kid"]);
    let key = key.expect("a key that is shown");
    let mut point = vec![4];
    point.extend(bytes(key["x"].as_str().unwrap()));
    point.extend(bytes(key["y"].as_str().unwrap()));
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&bytes(signature)).unwrap();
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(file));
    key.verify(signed.as_bytes(), &signature).is_ok()
}

async fn an_export_is_signed_byte_for_byte(database: TestDatabase) {
    let s = Scene::new(&database).await;
    fees(&s).await;
    with_key(&s, &s.tom).await;
    for (format, lines) in [("csv", 2), ("jsonl", 1)] {
        let answer = s.dee.get(&format!("/v1/ledger/export?format={format}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.text.lines().count(), lines, "{}", answer.text);
        let signature = answer.header("doorward-signature").to_owned();
        assert!(is_genuine(&s.t.http, &signature, &answer.text).await);
        // An amount changed on the way is noticed.
        assert!(answer.text.contains("2500"));
        assert!(!is_genuine(&s.t.http, &signature, &answer.text.replace("2500", "2501")).await);
    }
    let none = s
        .dee
        .get("/v1/ledger/export?format=jsonl&to=2026-03-02T08:00:00Z")
        .await;
    assert_eq!((none.status, none.text.as_str()), (200, ""));
    assert!(is_genuine(&s.t.http, none.header("doorward-signature"), "").await);
    s.tom
        .get("/v1/ledger/export?format=csv")
        .await
        .expect_problem(403, "forbidden");
    let eve = s.t.landlord("eve").await;
    let foreign = format!("/v1/ledger/export?format=csv&organization_id={}", s.ana.organization);
    eve.get(&foreign).await.expect_no("organization");
    assert_eq!(s.ana.list("/v1/access-log?kind=ledger-exported").await.len(), 3);
}
