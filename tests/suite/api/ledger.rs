//! The ledger: what lock-outs cost, who sees it, what is waived, and what the accounts get.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier as _;
use serde_json::{Value, json};

use doorward::domain::time::Clock as _;

use super::lockouts::{Scene, approve, ask, policy, told};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait;
use crate::world::{Http, Person, Phone, redemption};

on_each_database!(
    a_replacement_key_is_booked_and_a_line_is_waived_once,
    everybody_sees_what_they_owe_and_the_desk_sees_all,
    an_export_is_signed_byte_for_byte,
    a_way_in_opens_once_and_costs_what_the_policy_says,
    a_way_in_is_for_whoever_is_locked_out,
    after_office_hours_by_the_clock_of_the_house,
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
    let lines = by_number(&s.dee).await;
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
    let numbers: Vec<_> = by_number(&s.ana).await.iter().map(|line| line["seq"].clone()).collect();
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

/// Any browser follows the link.
async fn follow(s: &Scene, url: &str) -> Person {
    let (page, secret) = url.split_once('#').unwrap();
    assert_eq!(page, "https://doors.example/guest");
    let body = redemption(secret, &Phone::new_key(), s.t.clock.now().as_seconds());
    let answer = s.t.http.post("/v1/guest/redeem").json(body).await.expect(200);
    Person::by_link(&s.t.http, "tom", &answer)
}

/// Asks, gets the way in, and opens the door by it; a second after the one before, so that it is the later one.
async fn let_in(s: &Scene, tenant: &Person) -> Value {
    s.t.clock.advance(std::time::Duration::from_secs(1));
    let lockout = ask(tenant, &s.door).await.expect(201);
    let path = format!("/v1/lockouts/{}/way-in", lockout["id"].as_str().unwrap());
    let url = tenant.post(&path).await.text_of("url");
    let browser = follow(s, &url).await;
    browser.unlock(&s.door).await.expect_opened();
    browser.unlock(&s.door).await.expect_refused("uses-exhausted");
    lockout
}

/// The whole ledger, the last number first.
async fn by_number(person: &Person) -> Vec<Value> {
    let mut lines = person.list("/v1/ledger").await;
    lines.sort_by_key(|line| std::cmp::Reverse(line["seq"].as_i64()));
    lines
}

/// The amounts of the ledger, the newest line first, once there are so many.
async fn amounts(s: &Scene, lines: usize) -> Vec<Value> {
    wait::until(&format!("{lines} lines"), async || {
        s.dee.list("/v1/ledger").await.len() >= lines
    })
    .await;
    let lines = by_number(&s.dee).await;
    lines.iter().map(|line| line["amount_minor"].clone()).collect()
}

async fn a_way_in_opens_once_and_costs_what_the_policy_says(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let _lock = s.door.install().await;
    let at_once = json!({ "approval": { "by": "nobody" }, "first": [], "free": 1 });
    s.policy(policy(at_once)).await;
    let first = let_in(&s, &s.tom).await;
    assert_eq!(amounts(&s, 1).await, [json!(0)]);
    let line = &s.tom.list("/v1/ledger").await[0];
    assert_eq!((&line["item"], &line["rate"]), (&json!("lockout"), &json!("free")));
    assert_eq!((&line["lockout_id"], &line["actor_id"]), (&first["id"], &Value::Null));
    let shown = s
        .tom
        .get(&format!("/v1/lockouts/{}", first["id"].as_str().unwrap()))
        .await
        .expect(200);
    assert_eq!(
        (&shown["status"], &shown["used_at"]),
        (&json!("used"), &shown["asked_at"])
    );
    // It is used, so the next one is another, and no free one is left.
    let_in(&s, &s.tom).await;
    assert_eq!(amounts(&s, 2).await, [json!(2500), json!(0)]);
    // Another tenant has a free one of their own.
    let tim = s.ana.tenant("tim", &s.flat).await;
    let_in(&s, &tim).await;
    assert_eq!(amounts(&s, 3).await, [json!(0), json!(2500), json!(0)]);
    // One that nobody used costs nothing, however often the books are gone through.
    ask(&tim, &s.door).await.expect(201);
    for _ in 0..3 {
        s.t.app().book_lockouts().await.unwrap();
    }
    assert_eq!(amounts(&s, 3).await.len(), 3);
    assert_eq!(s.ana.list("/v1/access-log?kind=lockout-charged").await.len(), 3);
    // With a session they open their door as ever, and that costs nothing.
    s.tom.unlock(&s.door).await.expect_opened();
    s.t.app().book_lockouts().await.unwrap();
    assert_eq!(amounts(&s, 3).await.len(), 3);
}

async fn a_way_in_is_for_whoever_is_locked_out(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let _lock = s.door.install().await;
    let lockout = ask(&s.tom, &s.door).await.expect(201);
    let path = format!("/v1/lockouts/{}/way-in", lockout["id"].as_str().unwrap());
    s.tom.post(&path).await.expect_problem(409, "no-way-in");
    approve(&s.dee, &lockout).await.expect(200);
    let tim = s.ana.tenant("tim", &s.flat).await;
    tim.post(&path).await.expect_no("lockout");
    for person in [&s.dee, &*s.ana] {
        person.post(&path).await.expect_problem(403, "forbidden");
    }
    // A new link makes the one before void.
    let older = s.tom.post(&path).await.text_of("url");
    let newer = s.tom.post(&path).await.text_of("url");
    let (_, secret) = older.split_once('#').unwrap();
    let body = redemption(secret, &Phone::new_key(), s.t.clock.now().as_seconds());
    s.t.http.post("/v1/guest/redeem").json(body).await.expect_no("link");
    let browser = follow(&s, &newer).await;
    // It opens that door, and lends nothing else of what Tom may.
    assert_eq!(
        browser
            .get(&format!("/v1/lockouts/{}", lockout["id"].as_str().unwrap()))
            .await
            .status,
        403
    );
    assert_eq!(browser.get("/v1/ledger").await.status, 403);
    s.t.clock.advance(std::time::Duration::from_secs(15 * 60));
    s.tom.post(&path).await.expect_problem(409, "no-way-in");
    browser.unlock(&s.door).await.expect_problem(401, "unauthenticated");
    // Whom the desk vouched for it hands the link.
    let identity = json!({ "kind": "desk", "person_id": s.tom.id, "saw": "passport" });
    let body = json!({ "lock_id": s.door.id, "identity": identity });
    let lockout = s.dee.post("/v1/lockouts").json(body).await.expect(201);
    approve(&s.dee, &lockout).await.expect(200);
    let path = format!("/v1/lockouts/{}/way-in", lockout["id"].as_str().unwrap());
    let made = s.dee.post(&path).await.expect(201);
    assert!(made["qr_svg"].as_str().unwrap().contains("<svg"));
    let log = s.ana.log().await;
    let secret = made["url"].as_str().unwrap().split_once('#').unwrap().1;
    assert!(!json!(log).to_string().contains(secret));
}

async fn after_office_hours_by_the_clock_of_the_house(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let lock = s.door.install().await;
    let hours = json!({ "weekly": [{ "days": ["mon"], "from": "09:00", "to": "17:00" }] });
    let at_night = json!({
        "approval": { "by": "nobody" }, "first": [], "free": 0, "fee": 0, "fee_after_hours": 10_000, "office_hours": hours,
    });
    s.policy(policy(at_night)).await;
    let_in(&s, &s.tom).await;
    assert_eq!(amounts(&s, 1).await, [json!(0)]);
    // On the Monday after the clocks went forward in Vienna, nine o'clock is seven o'clock UTC.
    s.t.clock.set("2026-03-30T06:59:58Z");
    s.tom.sign_in_again().await;
    s.dee.sign_in_again().await;
    s.ana.sign_in_again().await;
    lock.until_online(&s.ana, true).await;
    let_in(&s, &s.tom).await;
    assert_eq!(amounts(&s, 2).await, [json!(10_000), json!(0)]);
    s.t.clock.set("2026-03-30T07:00:00Z");
    let_in(&s, &s.tom).await;
    assert_eq!(amounts(&s, 3).await, [json!(0), json!(10_000), json!(0)]);
}
