//! Live events: the access log as it grows.

use serde_json::{Value, json};

use crate::faults::nodes::two_nodes;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::soon;
use crate::world::{Door, Landlord, Person, Streamed, house};

on_each_database!(
    what_happens_comes_at_once_and_in_order,
    what_was_missed_comes_after_the_last_event,
    everybody_is_told_what_is_for_them,
    only_what_is_asked_for_comes,
    a_stream_ends_with_the_session,
    a_stream_ends_with_the_membership,
    nobody_keeps_the_server_from_stopping,
    there_is_a_most,
    a_program_follows_with_its_key,
);

/// Follows as this person, from now on or after this event.
async fn follow(who: &Person, query: &str, after: Option<i64>) -> Streamed {
    let mut request = who.get(&format!("/v1/events{query}"));
    if let Some(after) = after {
        request = request.header("Last-Event-ID", &after.to_string());
    }
    let mut stream = request.open().await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert_eq!(stream.paragraph().await.unwrap(), "retry: 3000");
    stream
}

/// The next event: its number and what it says.
async fn event(stream: &mut Streamed) -> Option<(i64, Value)> {
    let text = stream.paragraph().await?;
    let (id, data) = text.split_once('\n').unwrap();
    let id = id.strip_prefix("id: ").unwrap().parse().unwrap();
    let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(data["data"]["seq"], id);
    assert_eq!(data["type"], data["data"]["kind"]);
    Some((id, data["data"].clone()))
}

async fn give(ana: &Landlord, to: &Person, door: &Door) {
    ana.grant(to, door, json!({})).await;
}

async fn what_happens_comes_at_once_and_in_order(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    let _lock = door.install().await;
    let before = ana.log().await.len();
    let mut stream = follow(&ana, "", None).await;
    give(&ana, &gus, &door).await;
    assert_eq!(event(&mut stream).await.unwrap().1["kind"], "grant-given");
    gus.unlock(&door).await.expect_opened();
    give(&ana, &gus, &door).await;
    let mut told = Vec::new();
    while told.last().is_none_or(|last: &Value| last["kind"] != "grant-given") {
        told.push(event(&mut stream).await.unwrap().1);
    }
    let log = ana.log().await;
    let expected: Vec<Value> = log[..log.len() - before - 1].iter().rev().cloned().collect();
    assert_eq!(told, expected, "as `GET /v1/access-log` shows it");
}

async fn what_was_missed_comes_after_the_last_event(database: TestDatabase) {
    let (mut t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    let mut stream = follow(&ana, "", None).await;
    give(&ana, &gus, &door).await;
    let (last, _) = event(&mut stream).await.unwrap();
    drop(stream);
    for _ in 0..150 {
        give(&ana, &gus, &door).await;
    }
    t.restart().await;
    let mut stream = follow(&ana, "", Some(last)).await;
    for next in 1..=150 {
        assert_eq!(event(&mut stream).await.unwrap().0, last + next);
    }
    give(&ana, &gus, &door).await;
    assert_eq!(event(&mut stream).await.unwrap().0, last + 151);
    // A number that the log has not reached: now.
    let mut stream = follow(&ana, "", Some(1_000_000)).await;
    give(&ana, &gus, &door).await;
    assert_eq!(event(&mut stream).await.unwrap().0, last + 152);
    for bad in ["0", "-1", "x", "1.5"] {
        let answer = ana.get("/v1/events").header("Last-Event-ID", bad).await;
        answer.expect_problem(400, "invalid-last-event-id");
    }
}

async fn everybody_is_told_what_is_for_them(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let unit = ana.add_unit(&house, "Top 3").await;
    let home = ana.add_lock_of(&unit, "Home").await;
    let shared = ana.add_lock(&house, "Front door").await;
    let (_lock, _front) = (home.install().await, shared.install().await);
    let tom = ana.tenant("tom", &unit).await;
    let ida = ana.guest("ida").await;
    let (mut to_ana, mut to_tom) = (follow(&ana, "", None).await, follow(&tom, "", None).await);
    let mut to_ida = follow(&ida, "", None).await;
    tom.unlock(&home).await.expect_opened();
    assert_eq!(event(&mut to_tom).await.unwrap().1["kind"], "unlock-requested");
    assert_eq!(event(&mut to_tom).await.unwrap().1["kind"], "unlocked");
    give(&ana, &ida, &shared).await;
    // The first that the landlord hears of is their own act, and the guest of what was given to them.
    for stream in [&mut to_ana, &mut to_ida] {
        let (_, given) = event(stream).await.unwrap();
        assert_eq!(
            (&given["kind"], &given["person_id"]),
            (&json!("grant-given"), &json!(ida.id))
        );
    }
    let stranger = t.landlord("eve").await;
    let path = format!("/v1/events?organization_id={}", ana.organization);
    stranger.get(&path).await.expect_problem(404, "not-found");
}

async fn only_what_is_asked_for_comes(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    let mut stream = follow(&ana, "?kind=grant-revoked", None).await;
    let grant = ana.grant(&gus, &door, json!({})).await;
    ana.revoke(&grant).await;
    assert_eq!(event(&mut stream).await.unwrap().1["kind"], "grant-revoked");
}

async fn a_stream_ends_with_the_session(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    let elsewhere = Person::sign_in(&t.http, "ana", &ana.email).await;
    let mut stream = follow(&elsewhere, "", None).await;
    elsewhere.post("/v1/auth/sign-out").await.expect(204);
    give(&ana, &gus, &door).await;
    assert!(event(&mut stream).await.is_none());
}

async fn a_stream_ends_with_the_membership(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let vic = ana.staff("vic", "viewer").await;
    let mut stream = follow(&vic, "", None).await;
    give(&ana, &vic, &door).await;
    assert_eq!(event(&mut stream).await.unwrap().1["kind"], "grant-given");
    let member = format!("/v1/organizations/{}/members/{}", ana.organization, vic.id);
    ana.delete(&member).await.expect(200);
    // Whatever is still theirs to see, nothing of what the house does from then on.
    while let Some((_, seen)) = event(&mut stream).await {
        assert_ne!(seen["kind"], "person-removed");
    }
}

async fn nobody_keeps_the_server_from_stopping(database: TestDatabase) {
    let (mut t, ana, _house) = house(&database).await;
    let mut stream = follow(&ana, "", None).await;
    let (_, end) = tokio::join!(soon("the server to stop", t.stop()), event(&mut stream));
    assert!(end.is_none());
}

async fn there_is_a_most(database: TestDatabase) {
    let (_t, ana, _house) = house(&database).await;
    let mut streams = Vec::new();
    for _ in 0..6 {
        streams.push(follow(&ana, "", None).await);
    }
    streams.push(follow(&ana, "", None).await);
    // The oldest ends, and no other.
    assert!(event(&mut streams[0]).await.is_none());
    ana.guest("gus").await;
    for stream in &mut streams[1..] {
        assert_eq!(event(stream).await.unwrap().1["kind"], "person-invited");
    }
}

async fn a_program_follows_with_its_key(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    let program = ana.program("Dashboard").await;
    let key = ana.key(&program, &["log:read"]).await;
    let stream = t.http.get("/v1/events").bearer(key["key"].as_str().unwrap()).open();
    let mut stream = stream.await;
    stream.paragraph().await.unwrap();
    give(&ana, &gus, &door).await;
    assert_eq!(event(&mut stream).await.unwrap().1["kind"], "grant-given");
    let path = format!("/v1/service-accounts/{program}/keys/{}", key["id"].as_str().unwrap());
    ana.delete(&path).await.expect(204);
    while let Some((_, seen)) = event(&mut stream).await {
        assert_ne!(seen["kind"], "key-revoked");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_at_one_node_is_told_at_the_other() {
    let database = TestDatabase::postgres();
    let (one, two, _broker) = two_nodes(&database).await;
    let ana = one.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    let elsewhere = Person::sign_in(&two.http, "ana", &ana.email).await;
    let mut stream = follow(&elsewhere, "", None).await;
    give(&ana, &gus, &door).await;
    assert_eq!(event(&mut stream).await.unwrap().1["kind"], "grant-given");
}
