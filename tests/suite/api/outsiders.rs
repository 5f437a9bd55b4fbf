//! Somebody who is locked out and not signed in: what an answer never tells, what guessing is worth, who sees it.

use std::time::Duration;

use serde_json::{Value, json};

use super::lockouts::{Scene, approve, told};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait;
use crate::world::{Answer, Person, Request, TestServer};

on_each_database!(
    an_answer_does_not_tell_whether_anybody_is_meant,
    the_code_and_what_they_know_let_an_outsider_follow_their_lockout,
    a_unit_and_a_name_will_do,
    a_code_stands_five_tries_and_the_sixth_is_seen,
    a_code_is_good_for_its_ask_and_ten_minutes,
    a_secret_follows_one_lockout_and_does_nothing_else,
    too_many_asks_wait_and_are_seen,
    who_left_is_nobody,
);

fn ask(t: &TestServer, body: Value) -> Request {
    t.http.post("/v1/lockouts/ask").json(body)
}

fn by_email(email: &str) -> Value {
    json!({ "email": email })
}

/// The desk is told of an ask, and tells the code on the telephone.
async fn code_of(s: &Scene, asked: &Value) -> String {
    let id = asked["id"].as_str().unwrap();
    wait::until("the desk to be told", async || {
        let notices = s.dee.list("/v1/me/notices").await;
        notices.iter().any(|notice| notice["detail"]["lockout_id"] == id)
    })
    .await;
    s.dee.post(&format!("/v1/lockouts/{id}/call")).await.text_of("code")
}

async fn identify(s: &Scene, asked: &Value, body: Value) -> Answer {
    let path = format!("/v1/lockouts/{}/identify", asked["id"].as_str().unwrap());
    s.t.http.post(&path).json(body).await
}

fn toms(code: &str) -> Value {
    json!({ "code": code, "name": "tom", "unit": "flat 1" })
}

async fn an_answer_does_not_tell_whether_anybody_is_meant(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let gus = s.ana.guest("gus").await;
    let shape = |answer: &Value| {
        let id = answer["id"].as_str().unwrap();
        assert!(id.starts_with("lockout_") && id.len() == 40, "{id}");
        (
            answer["questions"].clone(),
            answer["code_by"].clone(),
            answer["expires_at"].clone(),
        )
    };
    let known = ask(&s.t, by_email(&s.tom.email)).await.expect(202);
    for body in [
        by_email("nobody@people.example"),
        by_email(&gus.email),
        by_email(&s.ana.email),
    ] {
        let unknown = ask(&s.t, body).await.expect(202);
        assert_eq!(shape(&unknown), shape(&known));
        // Nor does a guess at the code, nor the desk's question.
        identify(&s, &unknown, toms("00000-00000"))
            .await
            .expect_problem(401, "wrong-code");
        let call = format!("/v1/lockouts/{}/call", unknown["id"].as_str().unwrap());
        s.dee.post(&call).await.expect_no("lockout");
    }
    identify(&s, &known, toms("00000-00000"))
        .await
        .expect_problem(401, "wrong-code");
    identify(
        &s,
        &json!({ "id": format!("lockout_{}", "0".repeat(32)) }),
        toms("00000-00000"),
    )
    .await
    .expect_problem(401, "wrong-code");
    let here = |unit: &str, name: &str| json!({ "property": "Linden Street 4", "unit": unit, "name": name });
    let known = ask(&s.t, here("Flat 1", "Tom")).await.expect(202);
    for body in [here("Flat 1", "Eve"), here("Flat 9", "Tom")] {
        assert_eq!(shape(&ask(&s.t, body).await.expect(202)), shape(&known));
    }
    for (body, field) in [
        (json!({}), ""),
        (json!({ "email": "x" }), "email"),
        (json!({ "email": s.tom.email, "unit": "Flat 1" }), ""),
        (json!({ "unit": "Flat 1" }), ""),
        (json!({ "phone": "1" }), "phone"),
    ] {
        ask(&s.t, body).await.expect_invalid(field);
    }
    // Nothing of it is a lock-out.
    assert_eq!(s.dee.list("/v1/lockouts").await, Vec::<Value>::new());
}

async fn the_code_and_what_they_know_let_an_outsider_follow_their_lockout(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let asked = ask(&s.t, by_email("Tom@People.example")).await.expect(202);
    assert_eq!(
        (&asked["questions"], &asked["code_by"]),
        (&json!(["name", "unit"]), &json!("desk"))
    );
    let code = code_of(&s, &asked).await;
    let identified = identify(&s, &asked, toms(&code.to_lowercase())).await.expect(200);
    let (lockout, secret) = (&identified["lockout"], identified["secret"].as_str().unwrap());
    assert_eq!((&lockout["id"], &lockout["identity"]), (&asked["id"], &json!("code")));
    assert_eq!(
        (&lockout["lock_id"], &lockout["person_id"]),
        (&json!(s.door.id), &json!(s.tom.id))
    );
    let path = format!("/v1/lockouts/{}", lockout["id"].as_str().unwrap());
    let follow = || s.t.http.get(&path).bearer(secret);
    assert_eq!(follow().await.expect(200)["status"], "open");
    approve(&s.dee, lockout).await.expect(200);
    let shown = follow().await.expect(200);
    assert_eq!(
        (&shown["status"], &shown["decided_by"]),
        (&json!("approved"), &Value::Null)
    );
    let way =
        s.t.http
            .post(&format!("{path}/way-in"))
            .bearer(secret)
            .await
            .expect(201);
    assert!(way["url"].as_str().unwrap().starts_with("https://doors.example/guest#"));
    // The code was good once, and tells nothing afterwards.
    identify(&s, &asked, toms(&code))
        .await
        .expect_problem(401, "wrong-code");
    let told_code = &s.ana.list("/v1/access-log?kind=lockout-code-told").await[0];
    assert_eq!(
        (&told_code["person_id"], &told_code["actor_id"]),
        (&json!(s.tom.id), &json!(s.dee.id))
    );
    assert!(!s.ana.log().await.iter().any(|entry| entry.to_string().contains(&code)));
    s.t.clock.advance(Duration::from_secs(24 * 3600));
    follow().await.expect_problem(401, "unauthenticated");
}

async fn a_unit_and_a_name_will_do(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let front = s.ana.add_lock(&s.house, "Front door").await;
    let body = json!({ "property": s.house.id, "unit": " flat  1", "name": "TOM" });
    let asked = ask(&s.t, body).await.expect(202);
    assert_eq!(asked["questions"], json!(["moved_in"]));
    let code = code_of(&s, &asked).await;
    let answer = |moved_in: &str, door: &str| json!({ "code": code, "moved_in": moved_in, "door": door });
    for wrong in [
        json!({ "code": code }),
        json!({ "code": code, "name": "tom", "unit": "Flat 1" }),
        answer("2026-02", "Front door"),
        answer("2026-03", "Cellar"),
    ] {
        identify(&s, &asked, wrong).await.expect_problem(401, "wrong-code");
    }
    let identified = identify(&s, &asked, answer("2026-03", "front door")).await.expect(200);
    assert_eq!(identified["lockout"]["lock_id"], front.id);
}

async fn a_code_stands_five_tries_and_the_sixth_is_seen(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let asked = ask(&s.t, by_email(&s.tom.email)).await.expect(202);
    let code = code_of(&s, &asked).await;
    // Tries that come at once all count.
    let guess = || identify(&s, &asked, toms("ZZZZZ-ZZZZZ"));
    let (one, two, three) = tokio::join!(guess(), guess(), guess());
    for answer in [one, two, three] {
        answer.expect_problem(401, "wrong-code");
    }
    // So do right codes with wrong answers.
    let who = json!({ "code": code, "name": "eve", "unit": "Flat 1" });
    identify(&s, &asked, who).await.expect_problem(401, "wrong-code");
    assert!(s.ana.list("/v1/access-log?kind=lockout-refused").await.is_empty());
    guess().await.expect_problem(401, "wrong-code");
    identify(&s, &asked, toms(&code))
        .await
        .expect_problem(401, "wrong-code");
    let seen = s.ana.list("/v1/access-log?kind=lockout-refused").await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(
        (&seen[0]["reason"], &seen[0]["person_id"]),
        (&json!("code-guessed-at"), &json!(s.tom.id))
    );
    let called = s.ana.list("/v1/access-log?kind=lockout-code-told").await;
    for entry in [&seen[0], &called[0]] {
        assert_eq!(entry["property_id"], json!(s.house.id), "{entry}");
    }
    assert_eq!(told(&s.tom).await, ["lockout-refused"]);
    assert_eq!(told(&s.dee).await, ["lockout-call-wanted", "lockout-refused"]);
}

async fn a_code_is_good_for_its_ask_and_ten_minutes(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let tim = s.ana.tenant("tim", &s.flat).await;
    let (one, other) = (
        ask(&s.t, by_email(&s.tom.email)).await.expect(202),
        ask(&s.t, by_email(&tim.email)).await.expect(202),
    );
    let (code, others) = (code_of(&s, &one).await, code_of(&s, &other).await);
    identify(&s, &one, toms(&others))
        .await
        .expect_problem(401, "wrong-code");
    identify(&s, &other, toms(&code))
        .await
        .expect_problem(401, "wrong-code");
    // A new code makes the one before void.
    let newer = code_of(&s, &one).await;
    identify(&s, &one, toms(&code)).await.expect_problem(401, "wrong-code");
    s.t.clock.advance(Duration::from_millis(599_999));
    identify(&s, &one, toms(&newer)).await.expect(200);
    s.t.clock.advance(Duration::from_millis(1));
    let body = json!({ "code": others, "name": "tim", "unit": "Flat 1" });
    identify(&s, &other, body).await.expect_problem(401, "wrong-code");
}

async fn a_secret_follows_one_lockout_and_does_nothing_else(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let tim = s.ana.tenant("tim", &s.flat).await;
    let asked = ask(&s.t, by_email(&s.tom.email)).await.expect(202);
    let code = code_of(&s, &asked).await;
    let identified = identify(&s, &asked, toms(&code)).await.expect(200);
    let secret = identified["secret"].as_str().unwrap();
    let his = super::lockouts::ask(&tim, &s.door).await.expect(201);
    let of = |lockout: &Value, what: &str| format!("/v1/lockouts/{}{what}", lockout["id"].as_str().unwrap());
    s.t.http.get(&of(&his, "")).bearer(secret).await.expect_no("lockout");
    s.t.http
        .request("POST", &of(&his, "/cancel"))
        .bearer(secret)
        .await
        .expect_no("lockout");
    for (method, path) in [
        ("GET", "/v1/me".to_owned()),
        ("GET", "/v1/me/locks".to_owned()),
        ("GET", "/v1/lockouts".to_owned()),
        ("GET", "/v1/ledger".to_owned()),
        ("POST", of(&asked, "/approve")),
        ("POST", format!("{}/unlock", s.door.path())),
    ] {
        let answer = s.t.http.request(method, &path).bearer(secret).await;
        answer.expect_problem(401, "unauthenticated");
    }
    s.t.http
        .get(&of(&asked, ""))
        .await
        .expect_problem(401, "unauthenticated");
    let cancelled =
        s.t.http
            .request("POST", &of(&asked, "/cancel"))
            .bearer(secret)
            .await
            .expect(200);
    assert_eq!(cancelled["status"], "cancelled");
    // Whose own session asks joins what their code has begun, and the other way round.
    let again = super::lockouts::ask(&s.tom, &s.door).await.expect(201);
    let asked = ask(&s.t, by_email(&s.tom.email)).await.expect(202);
    let code = code_of(&s, &asked).await;
    let joined = identify(&s, &asked, toms(&code)).await.expect(200);
    assert_eq!(joined["lockout"]["id"], again["id"]);
    let secret = joined["secret"].as_str().unwrap();
    assert_eq!(
        s.t.http.get(&of(&again, "")).bearer(secret).await.expect(200)["status"],
        "open"
    );
}

async fn too_many_asks_wait_and_are_seen(database: TestDatabase) {
    let s = Scene::new(&database).await;
    for (email, is_known) in [(s.tom.email.as_str(), true), ("nobody@people.example", false)] {
        let asks = |from: &'static str| ask(&s.t, by_email(email)).coming_from(from);
        for _ in 0..5 {
            asks("192.0.2.7").await.expect(202);
        }
        // Who is known and who is not wait alike, wherever they ask from.
        asks("192.0.2.7").await.expect_problem(429, "throttled");
        let wait = asks("198.51.100.1").await;
        assert_eq!(wait.header("retry-after"), "60", "{}", wait.text);
        s.t.clock.advance(Duration::from_secs(60));
        asks("192.0.2.7").await.expect(202);
        let wait = asks("192.0.2.7").await;
        assert_eq!(wait.header("retry-after"), "120", "{}", wait.text);
        if is_known {
            wait::until("the asks to be seen", async || {
                !s.ana.list("/v1/access-log?kind=lockout-refused").await.is_empty()
            })
            .await;
            assert!(told(&s.tom).await.contains(&"lockout-refused".to_owned()));
            assert!(told(&s.dee).await.contains(&"lockout-refused".to_owned()));
        }
    }
    let seen = s.ana.list("/v1/access-log?kind=lockout-refused").await;
    assert_eq!((seen.len(), &seen[0]["reason"]), (1, &json!("asked-too-often")));
    // The desk helps meanwhile: what strangers do elsewhere keeps nobody from their door.
    let identity = json!({ "kind": "desk", "person_id": s.tom.id, "saw": "known for years" });
    let body = json!({ "lock_id": s.door.id, "identity": identity });
    s.dee.post("/v1/lockouts").json(body).await.expect(201);
    super::lockouts::ask(&s.tom, &s.door).await.expect(200);
}

async fn who_left_is_nobody(database: TestDatabase) {
    let s = Scene::new(&database).await;
    let offer = json!({ "tenancy": {
        "unit_id": s.flat.id, "starts_at": "2026-03-02T08:00:00Z", "ends_at": "2026-03-02T08:05:00Z",
    } });
    let link = s.ana.invite("lou@people.example", offer).await.text_of("secret_link");
    let lou = Person::accept(&s.t.http, "lou", "lou@people.example", &link).await;
    let asked = ask(&s.t, by_email(&lou.email)).await.expect(202);
    let code = code_of(&s, &asked).await;
    s.t.clock.advance(Duration::from_secs(300));
    let body = json!({ "code": code, "name": "lou", "unit": "Flat 1" });
    identify(&s, &asked, body).await.expect_problem(401, "wrong-code");
    let call = format!("/v1/lockouts/{}/call", asked["id"].as_str().unwrap());
    s.dee.post(&call).await.expect_no("lockout");
    let eve = s.t.landlord("eve").await;
    eve.post(&call).await.expect_no("lockout");
}
