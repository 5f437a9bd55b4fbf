//! How locks come, go and follow one another under one id.

use std::time::Duration;

use doorward_lock::wire::{Cause, ClockState, Kind, RESULT_OK, Typ};
use rumqttc::{ConnectReturnCode, ConnectionError};
use serde_json::{Value, json};

use doorward::agent::bolt::SimulatedBolt;
use doorward::agent::controller::End;

use super::{alarms, ask, entries, until_status};
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Door, HandLock, Landlord, Person, claims_of, house};

on_each_database!(
    a_released_lock_forgets_everything_and_is_claimed_again_with_its_grants,
    a_lock_that_leaves_tells_everything_first_and_is_let_in_no_more,
    a_lock_that_leaves_and_says_no_more_is_put_out_in_the_end,
    a_movement_under_way_is_reported_after_the_release,
    only_a_connected_lock_can_be_released,
    of_two_releases_at_once_the_lock_leaves_once,
    a_reset_at_the_door_is_an_alarm_and_a_new_chain,
    a_replaced_controller_works_until_the_new_one_enrols_and_not_a_moment_longer,
    what_a_replaced_controller_had_not_told_is_lost_and_said_so,
    a_use_that_the_replaced_controller_may_have_taken_stays_taken,
    a_replacement_ends_the_quarantine,
    a_replacement_code_is_for_one_controller_and_one_moment,
    a_lock_that_is_retired_under_way_moves_and_is_heard_no_more,
);

/// Makes a code for the door's next controller.
async fn code_for(ana: &Landlord, door: &Door, how: &str) -> Door {
    let claim = ana.post(&format!("{}/{how}", door.path())).json(json!({})).await;
    door.with_code(&claim.text_of("code"))
}

async fn state(ana: &Landlord, door: &Door) -> Value {
    ana.get(&door.path()).await.expect(200)["state"].clone()
}

async fn until_state(ana: &Landlord, door: &Door, wanted: &str) {
    until(wanted, async || state(ana, door).await == wanted).await;
}

/// Waits until the broker lets the lock in no more.
async fn until_out(lock: &HandLock) {
    // Meanwhile it is in still, or put out at this moment.
    until("the broker to refuse", async || {
        let tried = lock.visit().try_connect().await;
        matches!(
            tried,
            Err(ConnectionError::ConnectionRefused(
                ConnectReturnCode::BadUserNamePassword
            ))
        )
    })
    .await;
}

async fn a_released_lock_forgets_everything_and_is_claimed_again_with_its_grants(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut first = door.install().await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    gus.unlock(&door).await.expect_opened();
    first
        .until_shown("the time", |view| view.clock == ClockState::Fresh)
        .await;

    let released = ana.post(&format!("{}/release", door.path())).await.expect(200);
    assert_eq!(released["state"], "unclaimed");
    assert_eq!(first.ended().await, End::Released);
    gus.unlock(&door).await.expect_refused("lock-not-in-service");
    assert_eq!(
        entries(&ana, "unlock-requested").await[0]["reason"],
        "lock-not-enrolled"
    );
    let asked = entries(&ana, "lock-release-asked").await;
    assert_eq!((asked.len(), &asked[0]["actor_id"]), (1, &json!(ana.id)));
    assert_eq!(entries(&ana, "lock-event").await[0]["reason"], "released");
    ana.post(&format!("{}/release", door.path()))
        .await
        .expect_problem(409, "lock-unclaimed");

    let again = code_for(&ana, &door, "claim").await;
    let second = again.install().await;
    assert_eq!(second.id().as_str(), door.id);
    let told = ana.list("/v1/me/notices").await;
    assert_eq!(
        told[0]["kind"], "lock-replaced",
        "whoever manages hears of another controller"
    );
    let [before, after] = [&first, &second].map(|lock| lock.enrolled().welcome.pin_key.clone().unwrap());
    assert_ne!(before, after, "whoever knew the PIN key knows nothing of the new one");
    second.until_online(&ana, true).await;
    gus.unlock(&door).await.expect_opened();
    assert!(alarms(&ana).await.is_empty());
}

async fn a_lock_that_leaves_tells_everything_first_and_is_let_in_no_more(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let asked = ana
        .post(&format!("{}/release", door.path()))
        .json(json!({ "wait_ms": 0 }));
    assert_eq!(asked.await.expect(202)["state"], "enrolled");
    let release = claims_of(&lock.next_of(Typ::Release).await);
    assert_eq!(release["aud"], door.id);
    let (iat, exp) = (release["iat"].as_u64().unwrap(), release["exp"].as_u64().unwrap());
    assert!((1..=300).contains(&(exp - iat)), "{release}");

    // Its last words come in any order.
    let late = lock.event(Kind::Locked, Cause::Key, RESULT_OK);
    let jti = release["jti"].as_str().unwrap();
    lock.report(Kind::Released, Cause::Jti(jti), RESULT_OK).await;
    until_state(&ana, &door, "unclaimed").await;
    lock.say(late).await;
    lock.until_acknowledged().await;
    assert_eq!(entries(&ana, "locked").await.len(), 1);

    lock.leave().await;
    until_out(&lock).await;
    assert_eq!(ana.get(&door.path()).await.expect(200)["chain"]["status"], "none");
    assert!(alarms(&ana).await.is_empty());
}

async fn a_lock_that_leaves_and_says_no_more_is_put_out_in_the_end(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    // One that it never tells.
    lock.event(Kind::Locked, Cause::Key, RESULT_OK);
    lock.report(Kind::Reset, Cause::Manual, RESULT_OK).await;
    lock.until_heard().await;
    t.clock.advance(Duration::from_millis(89_999));
    t.app().expel_gone().await.unwrap();
    lock.hello().await;
    t.clock.advance(Duration::from_millis(1));
    t.app().expel_gone().await.unwrap();
    lock.until_put_out().await;
    until_out(&lock).await;
    assert_eq!(alarms(&ana).await, ["events-lost", "reset"]);
}

async fn a_movement_under_way_is_reported_after_the_release(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = door.install_with(SimulatedBolt::new(Duration::from_millis(1500))).await;
    lock.until_shown("the time", |view| view.clock == ClockState::Fresh)
        .await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let attempt = ask(&gus, &door).await;
    let released = ana.post(&format!("{}/release", door.path())).await.expect(200);
    assert_eq!(released["state"], "unclaimed");
    until_status(&gus, &attempt, "confirmed").await;
    assert_eq!(lock.ended().await, End::Released);
}

async fn only_a_connected_lock_can_be_released(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let release = || {
        ana.post(&format!("{}/release", door.path()))
            .json(json!({ "wait_ms": 0 }))
    };
    release().await.expect_problem(409, "lock-unclaimed");
    let mut lock = HandLock::install(&door).await;
    lock.vanish();
    t.clock.advance(Duration::from_secs(151));
    let problem = release().await.expect_problem(409, "lock-offline");
    assert!(problem["detail"].as_str().unwrap().contains("reset it at the door"));
    assert!(entries(&ana, "lock-release-asked").await.is_empty());
    // Which is the way out: the same door, another controller.
    let mut next = HandLock::install(&code_for(&ana, &door, "replace").await).await;
    next.hello().await;
    release().await.expect(202);
    ana.post(&format!("{}/retire", door.path())).await.expect(200);
    release().await.expect_problem(409, "lock-retired");
    ana.post(&format!("{}/replace", door.path()))
        .await
        .expect_problem(409, "lock-retired");
}

async fn of_two_releases_at_once_the_lock_leaves_once(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = door.install().await;
    lock.until_shown("the time", |view| view.clock == ClockState::Fresh)
        .await;
    let release = || ana.post(&format!("{}/release", door.path()));
    let (one, other) = tokio::join!(release(), release());
    for answer in [one, other] {
        assert!(matches!(answer.status, 200 | 409), "{answer:?}");
    }
    assert_eq!(lock.ended().await, End::Released);
    assert_eq!(state(&ana, &door).await, "unclaimed");
    let released = entries(&ana, "lock-event").await;
    assert_eq!(released.iter().filter(|entry| entry["reason"] == "released").count(), 1);
}

async fn a_reset_at_the_door_is_an_alarm_and_a_new_chain(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = door.install().await;
    let chain = entries(&ana, "lock-event").await[0]["detail"]["chain"].clone();
    lock.reset().await;
    assert_eq!(lock.ended().await, End::Released);
    assert_eq!(alarms(&ana).await, ["reset"]);
    assert_eq!(state(&ana, &door).await, "unclaimed");

    let mut next = HandLock::install(&code_for(&ana, &door, "claim").await).await;
    assert_ne!(next.chain.id(), chain);
    next.report(Kind::Unlocked, Cause::Manual, RESULT_OK).await;
    next.until_acknowledged().await;
    let shown = ana.get(&door.path()).await.expect(200);
    assert_eq!(shown["chain"], json!({ "status": "whole", "events": 2, "missing": [] }));
    assert_eq!(alarms(&ana).await, ["reset"]);
}

async fn a_replaced_controller_works_until_the_new_one_enrols_and_not_a_moment_longer(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut old = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let replacing = code_for(&ana, &door, "replace").await;
    let (opened, token) = tokio::join!(gus.unlock(&door), old.obey());
    opened.expect_opened();
    old.until_acknowledged().await;
    assert_eq!(state(&ana, &door).await, "enrolled");
    let told = async |who: &Person| {
        let notices = who.list("/v1/me/notices?limit=200").await;
        notices
            .iter()
            .filter(|notice| notice["kind"] == "lock-replaced")
            .count()
    };
    assert_eq!(told(&ana).await, 0);

    let mut new = HandLock::enrol(&replacing).await;
    assert_eq!(
        (told(&ana).await, told(&gus).await),
        (1, 0),
        "whoever manages, and who lives there"
    );
    old.until_put_out().await;
    assert_eq!(old.refused_by_broker().await, ConnectReturnCode::BadUserNamePassword);
    assert_eq!(new.id(), old.id());
    assert_ne!(new.welcome.pin_key, old.welcome.pin_key);
    assert_ne!(new.welcome.mqtt.password, old.welcome.mqtt.password);
    assert_eq!(new.welcome.ctr, token.claims["ctr"].as_u64().unwrap());
    let shown = ana.get(&door.path()).await.expect(200);
    assert_eq!(
        (&shown["bolt"], &shown["online"]),
        (&Value::Null, &Value::Null),
        "the new one has not spoken"
    );
    gus.unlock(&door).await.expect_offline();

    // What the old one still says is said by nobody, even if the new one says it on.
    let forged = old.event(Kind::Unlocked, Cause::Manual, RESULT_OK);
    new.connect().await;
    new.say(forged).await;
    new.report(Kind::Claimed, Cause::Auto, RESULT_OK).await;
    new.until_acknowledged().await;
    assert_eq!(entries(&ana, "unlocked").await.len(), 1);
    let (opened, token) = tokio::join!(gus.unlock(&door), new.obey());
    opened.expect_opened();
    assert!(
        token.claims["ctr"].as_u64().unwrap() > new.welcome.ctr,
        "the counter goes on"
    );

    let enrolled = entries(&ana, "lock-enrolled").await;
    assert_eq!(
        (&enrolled[0]["reason"], &enrolled[1]["reason"]),
        (&json!("replaced"), &Value::Null)
    );
    assert_eq!(enrolled[0]["detail"]["enrolment"], 2);
    assert_eq!(enrolled[0]["detail"]["replaced"]["chain"], old.chain.id());
    assert_eq!(enrolled[0]["detail"]["replaced"]["events"], 3);
    assert!(alarms(&ana).await.is_empty());
    drop(t);
}

async fn what_a_replaced_controller_had_not_told_is_lost_and_said_so(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut old = HandLock::install(&door).await;
    old.event(Kind::Unlocked, Cause::Key, RESULT_OK);
    old.report(Kind::Locked, Cause::Key, RESULT_OK).await;
    old.event(Kind::Unlocked, Cause::Key, RESULT_OK);
    // It tells how far its chain has come, and not what stands in it.
    old.hello().await;
    old.until_heard().await;
    let shown = ana.get(&door.path()).await.expect(200);
    assert_eq!(
        shown["chain"],
        json!({ "status": "gap", "events": 1, "missing": [{ "from": 1, "to": 1 }, { "from": 3, "to": 3 }] })
    );
    HandLock::install(&code_for(&ana, &door, "replace").await).await;
    assert_eq!(alarms(&ana).await, ["events-lost"]);
    let lost = &entries(&ana, "alarm").await[0]["detail"];
    assert_eq!(lost, &json!({ "chain": old.chain.id(), "from": 1, "to": 3 }));
    assert_eq!(entries(&ana, "locked").await.len(), 1, "what was told stays");
    assert_eq!(ana.get(&door.path()).await.expect(200)["chain"]["status"], "whole");
}

async fn a_use_that_the_replaced_controller_may_have_taken_stays_taken(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut old = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({ "uses": 1 })).await;
    let attempt = ask(&gus, &door).await;
    let token = old.next_token().await;
    // It moves, and nobody hears of it.
    old.events_of(&token);
    let mut new = HandLock::install(&code_for(&ana, &door, "replace").await).await;
    t.clock.advance(Duration::from_secs(40));
    until_status(&gus, &attempt, "expired").await;
    // A controller that forgot what it was told counts from nothing.
    new.ctr = 0;
    new.hello().await;
    new.until_heard().await;
    gus.unlock(&door).await.expect_refused("uses-exhausted");
    let path = format!("/v1/grants/{}", grant["id"].as_str().unwrap());
    assert_eq!(ana.get(&path).await.expect(200)["uses_taken"], 1);
}

async fn a_replacement_ends_the_quarantine(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let before = lock.chain.clone();
    lock.report(Kind::Unlocked, Cause::Manual, RESULT_OK).await;
    lock.until_acknowledged().await;
    lock.chain = before;
    lock.report(Kind::Locked, Cause::Manual, RESULT_OK).await;
    lock.until_heard().await;
    let shown = ana.get(&door.path()).await.expect(200);
    assert_eq!(
        (&shown["quarantined"], &shown["chain"]["status"]),
        (&json!(true), &json!("quarantined"))
    );
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    gus.unlock(&door).await.expect_refused("lock-not-in-service");

    let mut new = HandLock::install(&code_for(&ana, &door, "replace").await).await;
    let shown = ana.get(&door.path()).await.expect(200);
    assert_eq!(
        (&shown["quarantined"], &shown["chain"]["status"]),
        (&json!(false), &json!("whole"))
    );
    let (opened, _) = tokio::join!(gus.unlock(&door), new.obey());
    opened.expect_opened();
    assert_eq!(alarms(&ana).await, ["event-fork"]);
}

async fn a_replacement_code_is_for_one_controller_and_one_moment(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    ana.post(&format!("{}/replace", door.path()))
        .await
        .expect_problem(409, "lock-unclaimed");
    door.try_enrol().await.unwrap();
    let [older, newer] = [
        code_for(&ana, &door, "replace").await,
        code_for(&ana, &door, "replace").await,
    ];
    assert!(older.try_enrol().await.is_err(), "a newer code voids the one before");
    let (one, other) = tokio::join!(newer.try_enrol(), newer.try_enrol());
    assert_eq!([one.is_ok(), other.is_ok()].iter().filter(|is_in| **is_in).count(), 1);
    assert!(newer.try_enrol().await.is_err());
    assert_eq!(entries(&ana, "lock-enrolled").await.len(), 2);

    let late = code_for(&ana, &door, "replace").await;
    t.clock.advance(Duration::from_secs(600));
    assert!(late.try_enrol().await.is_err(), "its time is over");
    let retired = code_for(&ana, &door, "replace").await;
    ana.post(&format!("{}/retire", door.path())).await.expect(200);
    assert!(retired.try_enrol().await.is_err(), "a retired lock stays retired");
    assert_eq!(state(&ana, &door).await, "retired");
    assert_eq!(entries(&ana, "lock-enrolled").await.len(), 2);
}

async fn a_lock_that_is_retired_under_way_moves_and_is_heard_no_more(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let attempt = ask(&gus, &door).await;
    lock.next_token().await;
    let retire = || ana.post(&format!("{}/retire", door.path()));
    let (one, other) = tokio::join!(retire(), retire());
    let mut answers = [one.status, other.status];
    answers.sort_unstable();
    assert_eq!(answers, [200, 409]);
    lock.until_put_out().await;
    t.clock.advance(Duration::from_secs(11));
    until_status(&gus, &attempt, "expired").await;
    assert_eq!(entries(&ana, "lock-retired").await.len(), 1);
}
