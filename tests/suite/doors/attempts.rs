//! What becomes of one asked-for movement: pending, confirmed, refused, failed, expired, and late.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use doorward_lock::wire::{Cause, Kind, RESULT_OK};
use serde_json::{Value, json};

use super::{alarms, ask, entries, show, until_status};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Door, HandLock, Landlord, Person, TestServer, claims_of, house};

on_each_database!(
    only_the_locks_word_confirms,
    a_newer_command_takes_the_place_of_the_older,
    a_command_that_the_lock_has_accepted_is_not_superseded,
    an_older_command_that_had_begun_is_put_right,
    a_one_time_grant_opens_once_for_two_who_ask_at_once,
    a_use_comes_back_when_the_lock_denies,
    a_use_comes_back_when_the_lock_never_took_the_token,
    a_silent_lock_lets_the_attempt_expire_and_its_late_word_counts,
    a_bolt_that_moved_too_late_raises_the_alarm,
    a_deadline_is_not_reckoned_from_an_old_hello,
    what_ends_while_somebody_asks_ends_for_them_too,
    the_locks_word_counts_though_a_node_closes_the_attempt,
);

/// A guest with a right to the door of a lock that says what the test says.
async fn at_the_door(database: &TestDatabase, terms: Value) -> (TestServer, Landlord, Person, Door, HandLock, Value) {
    let (t, ana, house) = house(database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, terms).await;
    (t, ana, gus, door, lock, grant)
}

async fn taken(ana: &Landlord, grant: &Value) -> Value {
    let path = format!("/v1/grants/{}", grant["id"].as_str().unwrap());
    ana.get(&path).await.expect(200)["uses_taken"].clone()
}

async fn only_the_locks_word_confirms(database: TestDatabase) {
    let (_t, ana, gus, door, mut lock, _) = at_the_door(&database, json!({})).await;
    let attempt = ask(&gus, &door).await;
    let token = lock.next_token().await;
    // The broker has the token: that is not yet an open door.
    assert_eq!(show(&gus, &attempt).await["status"], "pending");
    lock.report(Kind::Attempt, Cause::Jti(token.jti()), RESULT_OK).await;
    lock.until_acknowledged().await;
    assert_eq!(show(&gus, &attempt).await["status"], "pending");
    assert!(entries(&ana, "unlocked").await.is_empty());
    // Nor is the opposite movement, or the same one by another cause.
    lock.report(Kind::Locked, Cause::Jti(token.jti()), RESULT_OK).await;
    lock.report(Kind::Unlocked, Cause::Manual, RESULT_OK).await;
    lock.until_acknowledged().await;
    assert_eq!(show(&gus, &attempt).await["status"], "pending");

    lock.report(Kind::Unlocked, Cause::Jti(token.jti()), RESULT_OK).await;
    let confirmed = until_status(&gus, &attempt, "confirmed").await;
    assert!(confirmed["confirmed_at"].is_string());
    assert_eq!(entries(&ana, "unlocked").await[0]["attempt_id"], attempt["id"]);
}

async fn a_newer_command_takes_the_place_of_the_older(database: TestDatabase) {
    let (_t, ana, gus, door, mut lock, _) = at_the_door(&database, json!({})).await;
    let older = ask(&gus, &door).await;
    let newer = ask(&gus, &door).await;
    let superseded = show(&gus, &older).await;
    assert_eq!(
        (&superseded["status"], &superseded["reason"]),
        (&json!("failed"), &json!("superseded"))
    );
    let [first, second] = [lock.next_token().await, lock.next_token().await];
    assert!(first.claims["ctr"].as_u64() < second.claims["ctr"].as_u64());
    lock.report(Kind::Denied, Cause::Jti(first.jti()), "superseded").await;
    lock.move_by(&second).await;
    until_status(&gus, &newer, "confirmed").await;
    assert_eq!(show(&gus, &older).await["reason"], "superseded");
    assert_eq!(entries(&ana, "request-ended").await[0]["reason"], "superseded");
}

async fn a_command_that_the_lock_has_accepted_is_not_superseded(database: TestDatabase) {
    let (_t, _ana, gus, door, mut lock, _) = at_the_door(&database, json!({})).await;
    let older = ask(&gus, &door).await;
    let token = lock.next_token().await;
    lock.report(Kind::Attempt, Cause::Jti(token.jti()), RESULT_OK).await;
    lock.until_acknowledged().await;
    let newer = ask(&gus, &door).await;
    assert_eq!(show(&gus, &older).await["status"], "pending");
    lock.report(Kind::Unlocked, Cause::Jti(token.jti()), RESULT_OK).await;
    until_status(&gus, &older, "confirmed").await;
    assert_eq!(show(&gus, &newer).await["status"], "pending");
}

async fn an_older_command_that_had_begun_is_put_right(database: TestDatabase) {
    let (_t, _ana, gus, door, mut lock, _) = at_the_door(&database, json!({})).await;
    let older = ask(&gus, &door).await;
    let newer = ask(&gus, &door).await;
    // The older token was under way already when the newer came.
    lock.obey().await;
    lock.obey().await;
    until_status(&gus, &newer, "confirmed").await;
    until_status(&gus, &older, "confirmed").await;
}

async fn a_one_time_grant_opens_once_for_two_who_ask_at_once(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let gus = ana.guest("gus").await;
    for round in 1..=3 {
        let grant = ana.grant(&gus, &door, json!({ "uses": 1 })).await;
        let (one, other) = tokio::join!(gus.unlock(&door), gus.unlock(&door));
        let (opened, refused) = if one.status == 200 { (one, other) } else { (other, one) };
        opened.expect_opened();
        refused.expect_refused("uses-exhausted");
        assert_eq!(taken(&ana, &grant).await, 1);
        // The upper bits are the issuer's generation.
        let tokens = lock.view().borrow().ctr & 0xffff_ffff;
        assert_eq!(tokens, round, "one token a grant");
    }
}

async fn a_use_comes_back_when_the_lock_denies(database: TestDatabase) {
    let (_t, ana, gus, door, mut lock, grant) = at_the_door(&database, json!({ "uses": 1 })).await;
    let attempt = ask(&gus, &door).await;
    gus.unlock(&door).await.expect_refused("uses-exhausted");
    let token = lock.next_token().await;
    lock.report(Kind::Denied, Cause::Jti(token.jti()), "no-time").await;
    let refused = until_status(&gus, &attempt, "refused").await;
    assert_eq!(refused["reason"], "lock-no-time");
    assert_eq!(entries(&ana, "denied").await[0]["reason"], "no-time");
    assert_eq!(taken(&ana, &grant).await, 0);

    let (opened, _) = tokio::join!(gus.unlock(&door), lock.obey());
    opened.expect_opened();
    assert_eq!(taken(&ana, &grant).await, 1);
    // The denial once more, as any broker can repeat it, gives nothing back.
    let denied_again = lock.event(Kind::Denied, Cause::Jti(token.jti()), "no-time");
    lock.say(denied_again).await;
    lock.until_acknowledged().await;
    assert_eq!(taken(&ana, &grant).await, 1);
}

async fn a_use_comes_back_when_the_lock_never_took_the_token(database: TestDatabase) {
    let (t, ana, gus, door, mut lock, grant) = at_the_door(&database, json!({ "uses": 1 })).await;
    let attempt = ask(&gus, &door).await;
    t.clock.advance(Duration::from_secs(11));
    until_status(&gus, &attempt, "expired").await;
    // Whether the lock has moved is not known yet.
    assert_eq!(taken(&ana, &grant).await, 1);
    gus.unlock(&door).await.expect_refused("uses-exhausted");
    // Its hello names the counter that it accepted last.
    lock.until_heard().await;
    assert_eq!(taken(&ana, &grant).await, 0);
}

async fn a_silent_lock_lets_the_attempt_expire_and_its_late_word_counts(database: TestDatabase) {
    let (t, ana, gus, door, mut lock, _) = at_the_door(&database, json!({})).await;
    let attempt = ask(&gus, &door).await;
    let token = lock.next_token().await;
    let events = [
        lock.event(Kind::Attempt, Cause::Jti(token.jti()), RESULT_OK),
        lock.event(Kind::Unlocked, Cause::Jti(token.jti()), RESULT_OK),
    ];
    // Moved in time; the report got lost on the way.
    t.clock.advance(Duration::from_secs(11));
    let expired = until_status(&gus, &attempt, "expired").await;
    assert!(expired["confirmed_at"].is_null());
    let ended = &entries(&ana, "request-ended").await[0];
    assert_eq!(
        (&ended["reason"], &ended["attempt_id"]),
        (&json!("expired"), &attempt["id"])
    );

    for event in events {
        lock.say(event).await;
    }
    until_status(&gus, &attempt, "confirmed").await;
    let unlocked = &entries(&ana, "unlocked").await[0];
    assert_eq!(
        (&unlocked["reason"], &unlocked["attempt_id"]),
        (&json!("late-report"), &attempt["id"])
    );
    assert!(alarms(&ana).await.is_empty(), "the report was late and not the bolt");
}

async fn a_bolt_that_moved_too_late_raises_the_alarm(database: TestDatabase) {
    let (t, ana, gus, door, mut lock, _) = at_the_door(&database, json!({})).await;
    let attempt = ask(&gus, &door).await;
    let token = lock.next_token().await;
    t.clock.advance(Duration::from_secs(60));
    until_status(&gus, &attempt, "expired").await;
    lock.move_by(&token).await;
    until_status(&gus, &attempt, "confirmed").await;
    assert_eq!(alarms(&ana).await, ["moved-after-deadline"]);
}

async fn a_deadline_is_not_reckoned_from_an_old_hello(database: TestDatabase) {
    let (t, _ana, gus, door, mut lock, _) = at_the_door(&database, json!({})).await;
    ask(&gus, &door).await;
    assert!(lock.next_token().await.claims["lt"].is_object());
    // Whoever holds the broker can say that the lock is there; the lock itself has said nothing for hours.
    lock.vanish();
    t.clock.advance(Duration::from_secs(3 * 3600));
    let mut radio = lock.visit().connect().await;
    assert!(radio.subscribe(&lock.topic("down")).await);
    radio.publish(&lock.topic("status"), "online").await.unwrap();
    until("the lock to seem there", async || {
        gus.post(&format!("{}/unlock", door.path()))
            .json(json!({ "wait_ms": 0 }))
            .await
            .status
            == 202
    })
    .await;
    assert_eq!(claims_of(&radio.next_text().await)["lt"], json!(null));
}

/// Postgres only: on SQLite writers take turns, and nothing changes between a decision and its commit.
async fn what_ends_while_somebody_asks_ends_for_them_too(database: TestDatabase) {
    if database.is_sqlite() {
        return;
    }
    let (_t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let mut lock = HandLock::install(&door).await;
    let tom = ana.tenant("tom", &flat).await;
    let mut other_node = database.connect();
    for (sql, expected, undo) in [
        (
            "BEGIN; UPDATE locks SET state = 'retired'",
            "lock-not-in-service",
            "UPDATE locks SET state = 'enrolled'",
        ),
        (
            "BEGIN; UPDATE tenancies SET ends_at_ms = starts_at_ms + 3600000; \
             UPDATE memberships SET ended_at_ms = 1 WHERE role = 'tenant'",
            "grant-revoked",
            "UPDATE memberships SET ended_at_ms = NULL",
        ),
    ] {
        other_node.batch_execute(sql).unwrap();
        let path = format!("{}/unlock", door.path());
        let asked = async { tom.post(&path).json(json!({ "wait_ms": 0 })).await };
        let ending = async {
            database.until_waiting(1).await;
            other_node.batch_execute("COMMIT").unwrap();
        };
        let (asked, ()) = tokio::join!(asked, ending);
        asked.expect_refused(expected);
        other_node.batch_execute(undo).unwrap();
    }
    // The first token that comes down is the one that follows: none was issued before.
    let asked = ask(&tom, &door).await;
    let token = lock.next_token().await;
    lock.move_by(&token).await;
    until_status(&tom, &asked, "confirmed").await;
}

/// Postgres only, as above.
async fn the_locks_word_counts_though_a_node_closes_the_attempt(database: TestDatabase) {
    if database.is_sqlite() {
        return;
    }
    let (_t, _ana, gus, door, mut lock, _) = at_the_door(&database, json!({})).await;
    let attempt = ask(&gus, &door).await;
    let token = lock.next_token().await;
    let mut other_node = database.connect();
    other_node
        .batch_execute("BEGIN; UPDATE attempts SET status = 'expired'")
        .unwrap();
    lock.move_by(&token).await;
    database.until_waiting(1).await;
    other_node.batch_execute("COMMIT").unwrap();
    until_status(&gus, &attempt, "confirmed").await;
}
