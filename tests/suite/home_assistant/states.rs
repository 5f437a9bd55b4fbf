//! What Home Assistant shows is what the lock said, and for no longer than that holds.

use std::time::Duration;

use doorward_lock::wire::{Cause, Door as Leaf, Kind, RESULT_JAMMED, RESULT_OK};
use serde_json::json;

use super::{config_topics, installed, shown_house, topic};
use crate::fixtures::databases::{TestDatabase, on_each_database};

on_each_database!(
    states_follow_what_the_lock_says,
    what_is_old_is_not_known,
    alarms_are_told_once_and_without_names,
    the_broker_goes_and_comes_back,
    a_home_assistant_that_starts_is_told_everything_again,
);

async fn states_follow_what_the_lock_says(database: TestDatabase) {
    let (_t, ana, house, mut home) = shown_house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = installed(&door).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    home.until_said(&topic(&door.id, "availability"), "online").await;
    home.until_said(&topic(&door.id, "battery"), "80").await;

    let (opened, _) = tokio::join!(gus.unlock(&door), lock.obey());
    opened.expect_opened();
    home.until_said(&topic(&door.id, "lock"), "UNLOCKED").await;
    let (thrown, _) = tokio::join!(gus.lock(&door), lock.obey());
    thrown.expect_opened();
    home.until_said(&topic(&door.id, "lock"), "LOCKED").await;

    lock.report(Kind::Jammed, Cause::Manual, RESULT_JAMMED).await;
    home.until_said(&topic(&door.id, "lock"), "JAMMED").await;
    lock.report(Kind::Locked, Cause::Key, RESULT_OK).await;
    home.until_said(&topic(&door.id, "lock"), "LOCKED").await;

    for (leaf, kind, said) in [
        (Leaf::Open, Kind::DoorOpen, "ON"),
        (Leaf::Closed, Kind::DoorClosed, "OFF"),
    ] {
        lock.leaf = leaf;
        lock.report(kind, Cause::Auto, RESULT_OK).await;
        home.until_said(&topic(&door.id, "door"), said).await;
    }
    // That event knew nothing of the bolt, and nothing is stuck: it is not called locked.
    home.until_said(&topic(&door.id, "lock"), "None").await;
    lock.leaf = Leaf::Unknown;
    lock.hello().await;
    home.until_said(&topic(&door.id, "door"), "None").await;
    home.until_said(&topic(&door.id, "lock"), "LOCKED").await;
    assert!(
        home.said(&config_topics(&door.id)[2])
            .is_some_and(|config| !config.is_empty()),
        "the silent door sensor stays"
    );
    let names = [&gus.id, &gus.name, &gus.email, &ana.name];
    for (topic, text) in &home.all {
        assert!(!names.iter().any(|name| text.contains(*name)), "{topic}: {text}");
    }
}

async fn what_is_old_is_not_known(database: TestDatabase) {
    let (t, ana, house, mut home) = shown_house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = installed(&door).await;
    home.until_said(&topic(&door.id, "lock"), "LOCKED").await;
    home.until_said(&topic(&door.id, "availability"), "online").await;

    t.clock.advance(Duration::from_secs(151));
    home.until_said(&topic(&door.id, "availability"), "offline").await;
    home.until_said(&topic(&door.id, "lock"), "None").await;
    assert_eq!(
        home.said(&topic(&door.id, "battery")),
        Some("80"),
        "a battery lasts longer"
    );
    lock.hello().await;
    home.until_said(&topic(&door.id, "availability"), "online").await;
    home.until_said(&topic(&door.id, "lock"), "LOCKED").await;

    t.clock.advance(Duration::from_secs(24 * 3600 + 1));
    home.until_said(&topic(&door.id, "battery"), "None").await;
    // Its last will.
    lock.hello().await;
    home.until_said(&topic(&door.id, "availability"), "online").await;
    lock.say_status("offline").await;
    home.until_said(&topic(&door.id, "availability"), "offline").await;
}

async fn alarms_are_told_once_and_without_names(database: TestDatabase) {
    let (_t, ana, house, mut home) = shown_house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = installed(&door).await;
    home.until_said("doorward/status", "online").await;
    home.until_said(&topic(&door.id, "availability"), "online").await;
    for kind in [Kind::Forced, Kind::Ajar, Kind::Tamper, Kind::WrongCodeLimit] {
        let event = lock.report(kind, Cause::Auto, RESULT_OK).await;
        lock.say(event).await;
    }
    lock.report(Kind::Jammed, Cause::Auto, RESULT_JAMMED).await;
    lock.report(Kind::Unlocked, Cause::Manual, RESULT_OK).await;
    home.until_said(&topic(&door.id, "lock"), "UNLOCKED").await;
    home.until("the alarms", |home| home.alarms(&door.id).len() >= 5).await;
    let told = home.alarms(&door.id);
    let types: Vec<_> = told.iter().map(|alarm| alarm["event_type"].as_str().unwrap()).collect();
    assert_eq!(types, ["forced", "ajar", "tamper", "wrong_code_limit", "jammed"]);
    for alarm in &told {
        let members: Vec<_> = alarm.as_object().unwrap().keys().collect();
        assert_eq!(members, ["event_type", "occurred_at", "reason"]);
    }
}

async fn the_broker_goes_and_comes_back(database: TestDatabase) {
    let (_t, ana, house, mut home) = shown_house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = installed(&door).await;
    home.until_said(&topic(&door.id, "lock"), "LOCKED").await;
    home.until_said("doorward/status", "online").await;

    home.broker.kill();
    lock.report(Kind::Unlocked, Cause::Manual, RESULT_OK).await;
    lock.report(Kind::Forced, Cause::Auto, RESULT_OK).await;
    lock.report(Kind::Unlocked, Cause::Manual, RESULT_OK).await;
    lock.until_acknowledged().await;
    home.last.clear();
    home.all.clear();
    // It has forgotten everything.
    home.broker.resume();
    home.connect().await;
    for (topic, text) in [
        (topic(&door.id, "lock"), "UNLOCKED"),
        (topic(&door.id, "availability"), "online"),
        ("doorward/status".to_owned(), "online"),
    ] {
        home.until_said(&topic, text).await;
    }
    home.until("the configurations", |home| {
        let [lock, battery, _, alarm] = config_topics(&door.id);
        [lock, battery, alarm].iter().all(|topic| home.said(topic).is_some())
    })
    .await;
    home.until("the alarm of meanwhile", |home| home.alarms(&door.id).len() == 1)
        .await;
}

async fn a_home_assistant_that_starts_is_told_everything_again(database: TestDatabase) {
    let (_t, ana, house, mut home) = shown_house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = installed(&door).await;
    for (last, text) in [
        ("lock", "LOCKED"),
        ("availability", "online"),
        ("battery", "80"),
        ("door", "None"),
    ] {
        home.until_said(&topic(&door.id, last), text).await;
    }
    home.until_said("doorward/status", "online").await;
    home.all.clear();
    // What is the same as before is not said again.
    lock.hello().await;
    lock.report(Kind::Unlocked, Cause::Manual, RESULT_OK).await;
    home.until_said(&topic(&door.id, "lock"), "UNLOCKED").await;
    let said: Vec<&str> = home.all.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(said, [topic(&door.id, "lock")]);

    home.last.clear();
    home.publish("homeassistant/status", "online").await;
    home.until_said(&topic(&door.id, "lock"), "UNLOCKED").await;
    home.until_said(&topic(&door.id, "availability"), "online").await;
    home.until_said("doorward/status", "online").await;
    assert!(home.said(&config_topics(&door.id)[0]).is_some());
}
