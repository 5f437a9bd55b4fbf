//! What is known of a lock grows old; what nobody knows is kept.

use std::time::Duration;

use doorward::crypto::random::{OsRandom, Random as _};
use doorward_lock::wire::{Bolt, Cause, ClockState, Event, Kind, RESULT_OK, Typ};
use doorward_lock::{base64url, jws};
use serde_json::{Value, json};

use super::{alarms, entries};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{HandLock, house};

on_each_database!(
    what_was_seen_too_long_ago_is_unknown,
    an_event_of_an_unknown_time_says_nothing_of_the_present,
    a_gap_is_shown_until_it_is_filled,
    a_kind_that_nobody_knows_is_kept_and_shown,
);

async fn what_was_seen_too_long_ago_is_unknown(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let mut lock = HandLock::install(&door).await;
    lock.hello().await;
    lock.until_heard().await;
    let show = || async { ana.get(&door.path()).await.expect(200) };
    let values = |shown: &Value| ["online", "bolt", "battery"].map(|what| shown[what]["value"].clone());
    let seen_at = show().await["bolt"]["observed_at"].clone();

    t.clock.advance(Duration::from_secs(150));
    assert_eq!(values(&show().await), [json!(true), json!("locked"), json!(80)]);
    assert_eq!(gus.list("/v1/me/locks").await[0]["online"], true);
    t.clock.advance(Duration::from_millis(1));
    ana.sign_in_again().await;
    let silent = show().await;
    assert_eq!(values(&silent), [json!(false), json!("unknown"), json!(80)]);
    assert_eq!(silent["online"]["last_value"], true);
    assert_eq!(
        silent["bolt"],
        json!({ "value": "unknown", "last_value": "locked", "observed_at": seen_at })
    );
    assert_eq!(gus.list("/v1/me/locks").await[0]["online"], false);
    let listed = ana.list("/v1/locks").await;
    assert_eq!(listed[0]["bolt"], silent["bolt"], "the list says the same");
    assert_eq!(listed[0]["chain"], Value::Null, "and leaves the chain to the one");

    t.clock.advance(Duration::from_millis(24 * 60 * 60 * 1000 - 150_001));
    assert_eq!(show().await["battery"]["value"], 80);
    t.clock.advance(Duration::from_millis(1));
    assert_eq!(
        show().await["battery"],
        json!({ "value": null, "last_value": 80, "observed_at": seen_at })
    );
}

async fn an_event_of_an_unknown_time_says_nothing_of_the_present(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    // Seen in a start that nobody heard of, told in the next.
    lock.boot = 2;
    let before = lock.event(Kind::Unlocked, Cause::Key, RESULT_OK);
    lock.boot = 3;
    t.clock.advance(Duration::from_secs(1));
    lock.hello().await;
    lock.say(before).await;
    lock.until_acknowledged().await;
    assert_eq!(ana.get(&door.path()).await.expect(200)["bolt"]["value"], "locked");
    assert_eq!(entries(&ana, "unlocked").await.len(), 1);
}

async fn a_gap_is_shown_until_it_is_filled(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let chain = || async { ana.get(&door.path()).await.expect(200)["chain"].clone() };
    assert_eq!(chain().await, json!({ "status": "none", "events": 0, "missing": [] }));
    let mut lock = HandLock::install(&door).await;
    let [one, two, three] = [(); 3].map(|()| lock.event(Kind::Unlocked, Cause::Key, RESULT_OK));
    lock.say(three).await;
    lock.until_heard().await;
    assert_eq!(
        chain().await,
        json!({ "status": "gap", "events": 1, "missing": [{ "from": 1, "to": 2 }] })
    );
    lock.say(two).await;
    lock.until_heard().await;
    assert_eq!(chain().await["missing"], json!([{ "from": 1, "to": 1 }]));
    lock.say(one).await;
    lock.until_acknowledged().await;
    assert_eq!(chain().await, json!({ "status": "whole", "events": 4, "missing": [] }));
}

async fn a_kind_that_nobody_knows_is_kept_and_shown(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let head = lock.chain.head().unwrap();
    let event = Event {
        lock: lock.id(),
        chain: head.chain,
        seq: head.seq + 1,
        prev: head.hash,
        salt: &base64url::text16(&OsRandom.bits().to_be_bytes()),
        boot: 1,
        mono: 0,
        wall: None,
        clock: ClockState::None,
        kind: "bell_rung",
        cause: Cause::Manual,
        result: RESULT_OK,
        bolt: Some(Bolt::Locked),
        door: None,
        battery: None,
        matter: None,
        assurance: None,
        lost: None,
    };
    let event = jws::sign(Typ::Event, lock.id(), &event, &lock.key).unwrap();
    lock.say(event.as_str().to_owned()).await;
    lock.until_heard().await;
    let told = &entries(&ana, "lock-event").await[0];
    assert_eq!((&told["reason"], &told["outcome"]), (&json!("bell_rung"), &json!("ok")));
    assert_eq!(
        told["detail"],
        json!({ "cause": "manual", "chain": lock.chain.id(), "event_seq": 1 })
    );
    assert_eq!(ana.get(&door.path()).await.expect(200)["chain"]["events"], 2);
    assert!(alarms(&ana).await.is_empty());
}
