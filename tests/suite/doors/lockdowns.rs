//! Lockdowns at the door: real locks with the backend gone or their connection cut, phones that carry the word, and locks that
//! know nothing of it.

use std::time::Duration;

use doorward_lock::wire::{Action, Cause, Kind, RESULT_OK, Typ};
use serde_json::{Value, json};

use super::entries;
use super::local::{Phone, door, enter, install};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::{found, until};
use crate::world::{HandLock, Landlord, Property, claims_of, house};

on_each_database!(
    a_door_keeps_people_out_with_the_backend_gone_and_opens_by_itself,
    a_phone_brings_a_lockdown_to_a_lock_that_is_cut_off,
    a_lock_that_is_away_is_pending_with_the_last_time_at_which_it_may_open,
    a_lock_that_knows_no_lockdown_is_named_and_its_passes_are_void,
    what_got_lost_on_its_way_is_sent_again,
    a_lock_ahead_of_a_restored_backend_is_told_what_is_true_now,
    a_door_that_comes_to_the_part_is_told_and_one_that_leaves_it_too,
);

const MINUTE: Duration = Duration::from_secs(60);

async fn at_door(ana: &Landlord, house: &Property) -> Value {
    let path = format!("/v1/properties/{}/lockdown", house.id);
    ana.get(&path).await.expect(200)["locks"][0].clone()
}

async fn until_status(ana: &Landlord, house: &Property, status: &str) -> Value {
    found(status, async || {
        let shown = at_door(ana, house).await;
        (shown["status"] == status).then_some(shown)
    })
    .await
}

async fn a_door_keeps_people_out_with_the_backend_gone_and_opens_by_itself(database: TestDatabase) {
    let (mut t, ana, house) = house(&database).await;
    let flat = ana.add_unit(&house, "Flat 1").await;
    let own = ana.add_lock_of(&flat, "Flat 1").await;
    let (lock, carrier) = install(&own).await;
    let (tom, gus, fay) = (
        ana.tenant("tom", &flat).await,
        ana.guest("gus").await,
        ana.guest("fay").await,
    );
    let grant = ana.grant(&gus, &own, json!({ "ways": ["app", "pin"] })).await;
    let path = format!("/v1/grants/{}", grant["id"].as_str().unwrap());
    let pin = ana.post(&format!("{path}/pin")).await.text_of("code");
    until("the PIN to be held", async || {
        ana.get(&path).await.expect(200)["locks"][0]["pin"]["status"] == "applied"
    })
    .await;
    ana.grant(&fay, &own, json!({})).await;
    let (mut his, mut hers) = (Phone::of(&tom).await, Phone::of(&fay).await);
    assert_eq!(his.enter(&carrier).await, "ok");
    assert_eq!(enter(&carrier, &pin).await, "ok");

    let except = json!({ "except": { "person_ids": [fay.id] } });
    let ordered = ana.lock_down(&house, 120, except).await.expect(201);
    assert_eq!(ordered["locks"][0]["status"], "holds", "{ordered}");
    t.stop().await;
    lock.until_shown("the backend gone", |view| !view.is_connected).await;
    assert_eq!(his.enter(&carrier).await, "lockdown");
    assert_eq!(enter(&carrier, &pin).await, "lockdown");
    assert_eq!(hers.enter(&carrier).await, "ok", "she is excepted");
    let out = his.wallet.enter(&door(&carrier), Action::Lock).await.unwrap();
    assert_eq!(out.result, "ok", "whoever goes locks behind them");

    t.clock.advance(120 * MINUTE);
    assert_eq!(his.enter(&carrier).await, "ok", "nobody had to say that it is over");
    assert_eq!(enter(&carrier, &pin).await, "ok");

    t.restart().await;
    lock.until_settled().await;
    // That of the tenant at their own door is not for the landlord to see.
    until("the refusal of the landlord's guest to be in the log", async || {
        let denied = entries(&ana, "denied").await;
        denied.iter().any(|entry| entry["reason"] == "lockdown")
    })
    .await;
}

async fn a_phone_brings_a_lockdown_to_a_lock_that_is_cut_off(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let front = ana.add_lock(&house, "Front door").await;
    let (lock, carrier) = install(&front).await;
    let (gus, fay) = (ana.guest("gus").await, ana.guest("fay").await);
    ana.grant(&gus, &front, json!({})).await;
    ana.grant(&fay, &front, json!({})).await;
    let (mut his, mut hers) = (Phone::of(&gus).await, Phone::of(&fay).await);
    lock.disconnect().await;
    lock.until_shown("that it is cut off", |view| !view.is_connected).await;
    lock.until_online(&ana, false).await;

    let except = json!({ "except": { "person_ids": [fay.id] } });
    let ordered = ana.lock_down(&house, 60, except).await.expect(201);
    let shown = &ordered["locks"][0];
    assert_eq!(
        (&shown["status"], &shown["may_open_until"]),
        (&json!("pending"), &ordered["until"])
    );
    assert_eq!(his.enter(&carrier).await, "ok", "nobody has told the lock");
    hers.wallet.renew(&Phone::backend(fay.base_url())).await.unwrap();
    hers.wallet.carry(&door(&carrier)).await.unwrap();
    assert_eq!(his.enter(&carrier).await, "lockdown");
    assert_eq!(hers.enter(&carrier).await, "ok");
    // What the lock has said goes with her, and is believed.
    hers.wallet.bring_out(&Phone::backend(fay.base_url())).await.unwrap();
    until_status(&ana, &house, "holds").await;
}

async fn a_lock_that_is_away_is_pending_with_the_last_time_at_which_it_may_open(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let (gus, fay) = (ana.guest("gus").await, ana.guest("fay").await);
    ana.grant(&gus, &door, json!({})).await;
    ana.grant(&fay, &door, json!({})).await;
    let phone = fay.phone().await;
    fay.pass(&phone, &[&door]).await.expect(200);
    lock.vanish();
    // Only somebody who is excepted has a pass.
    let except = json!({ "except": { "person_ids": [fay.id] } });
    let week = t.clock.after(Duration::from_secs(7 * 24 * 3600));
    let ordered = ana
        .lock_down(&house, 0, json!({ "until": week, "except": except["except"] }))
        .await
        .expect(201);
    let shown = &ordered["locks"][0];
    assert_eq!(
        (&shown["status"], &shown["may_open_until"]),
        (&json!("pending"), &Value::Null)
    );
    assert!(shown["last_seen"].is_string(), "{shown}");
    let path = format!("/v1/lockdowns/{}", ordered["id"].as_str().unwrap());
    ana.put(&path)
        .json(json!({ "until": week, "reason": "Gas leak" }))
        .await
        .expect(200);
    // A guest's pass of twelve hours, its last second, and how far the lock's clock may be behind.
    let last = t.clock.after(Duration::from_secs(12 * 3600 + 61));
    assert_eq!(at_door(&ana, &house).await["may_open_until"], last);

    // It comes back, says what it holds, and is told all of it; its event, or its hello, says that it has it.
    lock.connect().await;
    let told = claims_of(&lock.next_of(Typ::Lockdown).await);
    let seconds = t.clock.after(Duration::from_secs(7 * 24 * 3600));
    assert_eq!(
        (&told["epoch"], &told["aud"], week),
        (&json!(2), &json!(door.id), seconds)
    );
    assert_eq!(told["holds"][0]["except"], json!([]));
    assert_eq!(
        told["holds"][0]["until"].as_u64().unwrap() - told["iat"].as_u64().unwrap(),
        604_800
    );
    assert_eq!(at_door(&ana, &house).await["status"], "pending");
    lock.report(Kind::Lockdown, Cause::Auto, RESULT_OK).await;
    lock.until_acknowledged().await;
    assert_eq!(
        at_door(&ana, &house).await["status"],
        "pending",
        "it may be the first of two"
    );
    lock.lockdown = Some(2);
    lock.hello().await;
    let shown = until_status(&ana, &house, "holds").await;
    assert_eq!(shown["may_open_until"], Value::Null);
    // A hello that says that it has lost it counts as well.
    lock.lockdown = Some(0);
    lock.hello().await;
    assert_eq!(claims_of(&lock.next_of(Typ::Lockdown).await)["epoch"], 2);
    until_status(&ana, &house, "pending").await;
    // Ended early, it is told that too, and waited for.
    lock.lockdown = Some(2);
    lock.hello().await;
    until_status(&ana, &house, "holds").await;
    lock.vanish();
    let over = ana.delete(&path).await.expect(200);
    assert_eq!(
        over["locks"][0]["status"], "pending",
        "it keeps people out until it knows: {over}"
    );
    lock.connect().await;
    let told = claims_of(&lock.next_of(Typ::Lockdown).await);
    assert_eq!((&told["epoch"], &told["holds"]), (&json!(3), &json!([])));
    lock.report(Kind::Lockdown, Cause::Auto, RESULT_OK).await;
    lock.until_acknowledged().await;
    assert_eq!(at_door(&ana, &house).await, Value::Null);
}

async fn a_lock_that_knows_no_lockdown_is_named_and_its_passes_are_void(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::enrol(&door).await;
    lock.lockdown = None;
    lock.connect().await;
    lock.report(Kind::Claimed, Cause::Auto, RESULT_OK).await;
    lock.until_acknowledged().await;
    let (gus, fay) = (ana.guest("gus").await, ana.guest("fay").await);
    ana.grant(&gus, &door, json!({})).await;
    ana.grant(&fay, &door, json!({})).await;
    let (his, hers) = (gus.phone().await, fay.phone().await);
    let pass = gus.pass_claims(&his, &[&door]).await;
    let except = json!({ "except": { "person_ids": [fay.id] } });
    let ordered = ana.lock_down(&house, 60, except).await.expect(201);
    assert_eq!(ordered["locks"][0]["status"], "not-supported", "{ordered}");
    assert_eq!(
        ordered["locks"][0]["may_open_until"], ordered["until"],
        "until it has the revocations"
    );
    let told = claims_of(&lock.next_of(Typ::Revocations).await);
    assert!(pass["rev"].as_u64() < told["min_rev"].as_u64(), "{pass} {told}");
    lock.report(Kind::Revocations, Cause::Auto, RESULT_OK).await;
    lock.until_acknowledged().await;
    assert_eq!(at_door(&ana, &house).await["may_open_until"], Value::Null);
    // Nobody gets another but who is excepted.
    gus.pass(&his, &[&door]).await.expect_problem(403, "pass-refused");
    let hers = fay.pass_claims(&hers, &[&door]).await;
    assert!(hers["rev"].as_u64() >= told["min_rev"].as_u64());
    assert!(
        lock.down
            .iter()
            .all(|message| !claims_of(message).as_object().unwrap().contains_key("holds"))
    );
}

async fn what_got_lost_on_its_way_is_sent_again(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    ana.lock_down(&house, 60, json!({})).await.expect(201);
    let first = lock.next_of(Typ::Lockdown).await;
    assert_eq!(claims_of(&first)["epoch"], 1);
    // It has not said that it has it.
    t.app().repeat_lockdowns().await.unwrap();
    assert_eq!(claims_of(&lock.next_of(Typ::Lockdown).await)["epoch"], 1);
    lock.report(Kind::Lockdown, Cause::Auto, RESULT_OK).await;
    lock.until_acknowledged().await;
    until_status(&ana, &house, "holds").await;
    assert_eq!(t.app().repeat_lockdowns().await.unwrap(), 0);
    // Its time is over: nothing is to be told, for it knows.
    t.clock.advance(60 * MINUTE);
    lock.lockdown = Some(1);
    lock.hello().await;
    lock.until_heard().await;
    t.app().end_lockdowns_by_time().await.unwrap();
    assert_eq!(t.app().repeat_lockdowns().await.unwrap(), 0);
}

async fn a_lock_ahead_of_a_restored_backend_is_told_what_is_true_now(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    lock.lockdown = Some(7);
    lock.hello().await;
    let told = claims_of(&lock.next_of(Typ::Lockdown).await);
    assert_eq!((&told["epoch"], &told["holds"]), (&json!(8), &json!([])));
    lock.lockdown = Some(8);
    lock.hello().await;
    lock.until_heard().await;
    assert_eq!(at_door(&ana, &house).await, Value::Null);
}

async fn a_door_that_comes_to_the_part_is_told_and_one_that_leaves_it_too(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (one, two) = (
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    );
    let door = ana.add_lock_of(&one, "Flat").await;
    let mut lock = HandLock::install(&door).await;
    ana.lock_down(&house, 60, json!({ "part": { "unit_ids": [two.id] } }))
        .await
        .expect(201);
    assert_eq!(at_door(&ana, &house).await, Value::Null);
    let unit = |id: &str| ana.patch(&door.path()).json(json!({ "unit_id": id }));
    unit(&two.id).await.expect(200);
    t.app().repeat_lockdowns().await.unwrap();
    let told = claims_of(&lock.next_of(Typ::Lockdown).await);
    assert_eq!(told["holds"].as_array().unwrap().len(), 1);
    lock.lockdown = Some(1);
    lock.hello().await;
    until_status(&ana, &house, "holds").await;
    unit(&one.id).await.expect(200);
    t.app().repeat_lockdowns().await.unwrap();
    let told = claims_of(&lock.next_of(Typ::Lockdown).await);
    assert_eq!((&told["epoch"], &told["holds"]), (&json!(2), &json!([])));
}
