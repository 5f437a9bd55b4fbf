//! Asking for a door: what is no such ask, and when nothing is asked of any lock.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Person, house};

on_each_database!(
    a_wait_has_its_bounds,
    a_clock_behind_the_log_issues_nothing,
    doors_of_two_organizations_do_not_share_a_grant,
    a_right_ends_with_the_session_that_used_it,
    whoever_had_many_rights_is_refused_by_the_nearest_and_opens_by_the_next,
);

async fn a_wait_has_its_bounds(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let unlock = format!("{}/unlock", door.path());
    for (body, field) in [
        (json!({ "wait_ms": 15_001 }), "wait_ms"),
        (json!({ "wait_ms": -1 }), "wait_ms"),
        (json!({ "wait_ms": "5" }), "wait_ms"),
        (json!({ "wait_ms": 1.5 }), "wait_ms"),
        (json!({ "wait": 1 }), "wait"),
        (json!([]), ""),
    ] {
        gus.post(&unlock).json(body).await.expect_invalid(field);
    }
    let text = gus.post(&unlock).body("text/plain", "{}").await;
    text.expect_problem(415, "unsupported-media-type");
    let asked = format!(
        "/v1/access-log?lock_id={}&person_id={}&kind=unlock-requested",
        door.id, gus.id
    );
    assert_eq!(ana.list(&asked).await, Vec::<Value>::new());
    for body in [json!({}), json!({ "wait_ms": 15_000 })] {
        gus.post(&unlock).json(body).await.expect_opened();
    }
}

async fn a_clock_behind_the_log_issues_nothing(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let gus = ana.guest("gus").await;
    let terms = json!({ "starts_at": "2026-03-01T00:00:00Z", "uses": 2 });
    ana.grant(&gus, &door, terms).await;
    let ctr = lock.view().borrow().ctr;
    t.clock.set("2026-03-02T07:59:57.999Z");
    let behind = gus.unlock(&door).await;
    assert_eq!(behind.header("retry-after"), "3");
    behind.expect_problem(503, "clock-behind");
    assert_eq!(
        t.http.get("/readyz").await.expect_problem(503, "not-ready")["clock"],
        false
    );
    assert_eq!(lock.view().borrow().ctr, ctr);
    gus.unlock(&door).await.expect_problem(503, "clock-behind");
    let alarms = ana.log().await.into_iter().filter(|entry| entry["kind"] == "alarm");
    assert_eq!(
        alarms.map(|entry| entry["reason"].clone()).collect::<Vec<_>>(),
        ["clock-behind"],
        "one alarm"
    );

    // Nodes' clocks differ by less.
    t.clock.set("2026-03-02T07:59:58Z");
    gus.unlock(&door).await.expect_opened();
    t.clock.set("2026-03-02T08:00:01Z");
    gus.unlock(&door).await.expect_opened();
    gus.unlock(&door).await.expect_refused("uses-exhausted");
    let log = ana.log().await;
    let recorded: Vec<&str> = log.iter().map(|entry| entry["recorded_at"].as_str().unwrap()).collect();
    assert!(recorded.is_sorted_by(|newer, older| newer >= older), "{recorded:?}");
}

async fn doors_of_two_organizations_do_not_share_a_grant(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let eve = t.landlord("eve").await;
    let link = eve
        .invite(&ana.email, json!({ "role": "manager" }))
        .await
        .text_of("secret_link");
    Person::accept(&t.http, "ana", &ana.email, &link).await;
    let theirs = eve.add_property("Europe/Vienna").await;
    let doors = [ana.add_lock(&house, "Here").await, eve.add_lock(&theirs, "There").await];
    let gus = ana.guest("gus").await;
    let to = json!({ "person_id": gus.id });
    let both = ana.give(&[&doors[0], &doors[1]], to.clone(), json!({})).await;
    both.expect_invalid("lock_ids");
    // She manages both, and he is a member of one.
    ana.give(&[&doors[1]], to.clone(), json!({})).await.expect_no("person");
    ana.give(&[&doors[0]], to, json!({})).await.expect(201);
}

async fn a_right_ends_with_the_session_that_used_it(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let stolen = gus.access_token();
    let unlock = |token: &str| t.http.post(&format!("{}/unlock", door.path())).bearer(token);
    unlock(&stolen).await.expect_opened();
    let other_phone = Person::sign_in(&t.http, "gus", &gus.email).await;
    gus.post("/v1/auth/sign-out").await.expect(204);
    unlock(&stolen).await.expect_problem(401, "unauthenticated");
    other_phone.unlock(&door).await.expect_opened();
    t.clock.advance(Duration::from_secs(24 * 3600));
    other_phone.unlock(&door).await.expect_problem(401, "unauthenticated");
}

async fn whoever_had_many_rights_is_refused_by_the_nearest_and_opens_by_the_next(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let (gus, fay) = (ana.guest("gus").await, ana.guest("fay").await);
    let minute = Duration::from_secs(60);
    ana.grant(&gus, &door, json!({ "ends_at": t.clock.after(minute) }))
        .await;
    t.clock.advance(minute);
    lock.until_online(&ana, true).await;
    let mut last = json!(null);
    for person in [&gus, &fay] {
        for _ in 0..5 {
            let grant = ana.grant(person, &door, json!({ "uses": 2 })).await;
            ana.revoke(&grant).await;
            last = grant["id"].clone();
        }
    }
    // What has ended is nearer to opening than what was taken back later.
    gus.unlock(&door).await.expect_refused("grant-expired");
    fay.unlock(&door).await.expect_refused("grant-revoked");
    let refused = format!("/v1/access-log?kind=unlock-requested&person_id={}", fay.id);
    assert_eq!(
        ana.list(&refused).await[0]["grant_id"],
        last,
        "the last of many is named"
    );
    let later = json!({ "starts_at": t.clock.after(minute) });
    ana.grant(&gus, &door, later).await;
    gus.unlock(&door).await.expect_refused("not-yet");
    ana.grant(&fay, &door, json!({ "uses": 1 })).await;
    fay.unlock(&door).await.expect_opened();
    fay.unlock(&door).await.expect_refused("uses-exhausted");
}
