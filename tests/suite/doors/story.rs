//! Two doors, the people who live behind them, and those who come to visit.

use std::time::{Duration, Instant};

use doorward::agent::bolt::SimulatedBolt;
use doorward::agent::dice::Dice;
use doorward_lock::wire::{Bolt, Door as Leaf};
use rumqttc::ConnectReturnCode;
use serde_json::{Value, json};

use super::{alarms, entries};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{HandLock, house};

on_each_database!(
    a_tenant_opens_their_door_and_no_other,
    a_guest_comes_for_two_hours_and_is_sent_away,
    a_lock_that_is_away_is_said_to_be_away_at_once,
    what_happens_at_the_door_stands_in_the_log,
    a_bolt_that_jams_has_not_opened,
    a_retired_lock_is_put_out_at_once,
    two_organizations_do_not_see_each_others_doors,
    locks_are_there_again_after_a_restart,
    a_lock_is_there_again_after_new_batteries,
);

async fn a_tenant_opens_their_door_and_no_other(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let flats = [
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    ];
    let (own, other) = (
        ana.add_lock_of(&flats[0], "Flat 1").await,
        ana.add_lock_of(&flats[1], "Flat 2").await,
    );
    let (lock, untouched) = (own.install().await, other.install().await);
    let tom = ana.tenant("tom", &flats[0]).await;
    let events_before = untouched.view().borrow().events;

    let opened = tom.unlock(&own).await.expect_opened();
    assert_eq!(lock.view().borrow().bolt, Bolt::Unlocked);
    lock.until_settled().await;
    let unlocked = &entries(&tom, "unlocked").await[0];
    let asked = &entries(&tom, "unlock-requested").await[0];
    for entry in [unlocked, asked] {
        assert_eq!(entry["attempt_id"], opened["id"], "{entry}");
        assert_eq!(entry["person_id"], *tom.id, "{entry}");
        assert_eq!(entry["lock_id"], *own.id, "{entry}");
        assert_eq!(entry["outcome"], "ok", "{entry}");
    }
    assert!(asked["seq"].as_i64() < unlocked["seq"].as_i64());
    assert!(opened["relayed_at"].is_string() && opened["confirmed_at"].is_string());

    tom.unlock(&other).await.expect_refused("no-access");
    let refused = &entries(&ana, "unlock-requested").await[0];
    assert_eq!(
        (&refused["outcome"], &refused["reason"]),
        (&json!("refused"), &json!("no-access"))
    );
    assert_eq!(
        (&refused["person_id"], &refused["lock_id"]),
        (&json!(tom.id), &json!(other.id))
    );
    assert_eq!(
        untouched.view().borrow().events,
        events_before,
        "the other lock heard nothing"
    );
}

async fn a_guest_comes_for_two_hours_and_is_sent_away(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let gus = ana.guest("gus").await;
    let grant = ana
        .grant(
            &gus,
            &door,
            json!({ "ends_at": t.clock.after(Duration::from_secs(7200)) }),
        )
        .await;
    let opened = gus.unlock(&door).await.expect_opened();
    assert_eq!(entries(&ana, "unlocked").await[0]["grant_id"], grant["id"]);
    gus.lock(&door).await.expect_opened();
    lock.until_shown("the bolt thrown", |view| view.bolt == Bolt::Locked)
        .await;

    ana.revoke(&grant).await;
    gus.unlock(&door).await.expect_refused("grant-revoked");
    gus.lock(&door).await.expect_refused("grant-revoked");
    assert_eq!(lock.view().borrow().bolt, Bolt::Locked);
    // What was done stays on record, for the guest too.
    let path = format!("/v1/attempts/{}", opened["id"].as_str().unwrap());
    assert_eq!(gus.get(&path).await.expect(200)["status"], "confirmed");
}

async fn a_lock_that_is_away_is_said_to_be_away_at_once(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({ "uses": 1 })).await;
    lock.disconnect().await;
    lock.until_online(&ana, false).await;

    let began = Instant::now();
    let problem = gus.unlock(&door).await.expect_offline();
    assert!(began.elapsed() < Duration::from_secs(2), "nobody waited for it");
    assert_eq!(problem["ways_in"], json!(["offline", "mechanical-key"]));
    let asked = &entries(&ana, "unlock-requested").await[0];
    assert_eq!(
        (&asked["outcome"], &asked["reason"]),
        (&json!("failed"), &json!("lock-offline"))
    );
    assert_eq!(asked["attempt_id"], problem["attempt_id"]);

    // Back again: nothing of before comes late, and the one use is still there.
    let before = lock.view().borrow().ctr;
    t.clock.advance(Duration::from_secs(1));
    lock.connect().await;
    lock.until_online(&ana, true).await;
    lock.until_settled().await;
    assert_eq!(lock.view().borrow().ctr, before);
    gus.unlock(&door).await.expect_opened();
    gus.unlock(&door).await.expect_refused("uses-exhausted");
}

async fn what_happens_at_the_door_stands_in_the_log(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    t.clock.advance(Duration::from_secs(30));
    let at = t.clock.after(Duration::ZERO);

    lock.turn_by_hand(Bolt::Unlocked).await;
    lock.move_door(Leaf::Open).await;
    lock.measure_battery(14).await;
    lock.until_shown("what was done", |view| {
        view.bolt == Bolt::Unlocked && view.door == Leaf::Open && view.battery == Some(14)
    })
    .await;
    lock.until_settled().await;

    let turned = &entries(&ana, "unlocked").await[0];
    assert_eq!(turned["detail"]["cause"], "manual", "{turned}");
    assert_eq!(
        (&turned["person_id"], &turned["attempt_id"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(entries(&ana, "lock-event").await[0]["reason"], "door_open");
    let shown = ana.get(&door.path()).await.expect(200);
    for (part, value) in [
        ("bolt", json!("unlocked")),
        ("door", json!("open")),
        ("battery", json!(14)),
    ] {
        let seen = json!({ "value": value, "last_value": value, "observed_at": at });
        assert_eq!(shown[part], seen, "{part}");
    }
    assert_eq!(shown["online"]["value"], true);

    lock.raise(doorward_lock::controller::Alarm::Tamper).await;
    until("both alarms", async || alarms(&ana).await.len() == 2).await;
    assert_eq!(alarms(&ana).await, ["tamper", "battery-low"]);
}

async fn a_bolt_that_jams_has_not_opened(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let stuck = SimulatedBolt::jamming(Duration::ZERO, 1.0, Dice::new(1));
    let _lock = door.install_with(stuck).await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({ "uses": 1 })).await;

    let attempt = gus.unlock(&door).await.expect(200);
    assert_eq!(
        (&attempt["status"], &attempt["reason"]),
        (&json!("failed"), &json!("jammed"))
    );
    assert!(attempt["confirmed_at"].is_null());
    let jammed = &entries(&ana, "jammed").await[0];
    assert_eq!(
        (&jammed["outcome"], &jammed["attempt_id"]),
        (&json!("failed"), &attempt["id"])
    );
    assert!(entries(&ana, "unlocked").await.is_empty());
    // The lock itself says that nothing moved: the use is the guest's again.
    let path = format!("/v1/grants/{}", grant["id"].as_str().unwrap());
    assert_eq!(ana.get(&path).await.expect(200)["uses_taken"], 0);
}

async fn a_retired_lock_is_put_out_at_once(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;

    ana.post(&format!("{}/retire", door.path())).await.expect(200);
    lock.until_put_out().await;
    assert_eq!(lock.refused_by_broker().await, ConnectReturnCode::BadUserNamePassword);
    gus.unlock(&door).await.expect_refused("lock-not-in-service");
    assert_eq!(entries(&ana, "unlock-requested").await[0]["reason"], "lock-retired");
    let log = ana.list(&format!("/v1/access-log?lock_id={}", door.id)).await;
    assert!(
        log.iter().any(|entry| entry["kind"] == "lock-enrolled"),
        "its log stays"
    );
}

async fn two_organizations_do_not_see_each_others_doors(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let bob = t.landlord("bob").await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let gus = bob.guest("gus").await;
    let tia = ana.guest("tia").await;
    ana.grant(&tia, &door, json!({})).await;
    let opened = tia.unlock(&door).await.expect_opened();
    let ctr = lock.view().borrow().ctr;

    for stranger in [&*bob, &gus] {
        stranger.unlock(&door).await.expect_no("lock");
        stranger.lock(&door).await.expect_no("lock");
        let path = format!("/v1/attempts/{}", opened["id"].as_str().unwrap());
        stranger.get(&path).await.expect_no("attempt");
    }
    bob.get(&door.path()).await.expect_no("lock");
    bob.post(&format!("{}/retire", door.path())).await.expect_no("lock");
    bob.give(&[&door], json!({ "person_id": gus.id }), json!({}))
        .await
        .expect_no("lock");
    assert_eq!(lock.view().borrow().ctr, ctr, "the lock was asked for nothing");
    let of_bob = bob.log().await;
    assert!(!of_bob.is_empty(), "that Gus came to him stands there");
    assert!(of_bob.iter().all(|entry| entry["lock_id"] != *door.id), "{of_bob:?}");
    let asked = entries(&ana, "unlock-requested").await;
    let persons: Vec<&Value> = asked.iter().map(|entry| &entry["person_id"]).collect();
    assert_eq!(persons, [&json!(tia.id)]);
}

async fn locks_are_there_again_after_a_restart(database: TestDatabase) {
    let (mut t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let (own, shared) = (
        ana.add_lock_of(&flat, "Flat 1").await,
        ana.add_lock(&house, "Front door").await,
    );
    let locks = [own.install().await, shared.install().await];
    let tom = ana.tenant("tom", &flat).await;

    t.restart().await;
    for lock in &locks {
        lock.until_online(&ana, true).await;
    }
    tom.unlock(&own).await.expect_opened();
    tom.unlock(&shared).await.expect_opened();
}

async fn a_lock_is_there_again_after_new_batteries(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = door.install().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    gus.unlock(&door).await.expect_opened();
    lock.power_off().await;
    until("the lock to be away", async || {
        ana.get(&door.path()).await.expect(200)["online"]["value"] != true
    })
    .await;
    gus.unlock(&door).await.expect_offline();
    lock.start(SimulatedBolt::new(Duration::ZERO)).await;
    lock.until_online(&ana, true).await;
    gus.unlock(&door).await.expect_opened();
    assert_eq!(lock.view().borrow().boot, 2);
}
