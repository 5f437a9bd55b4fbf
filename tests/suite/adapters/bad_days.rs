//! Devices that go, dawdle, lie or are spoken to by others.

use std::time::Duration;

use doorward::agent::controller::End;
use doorward_lock::wire::Bolt;

use super::{ESPHOME, Home, NUKI, ZIGBEE};
use crate::fixtures::devices::Manner;
use crate::fixtures::mqtt_client::Visit;
use crate::fixtures::wait::soon;

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_goes_in_mid_command_leaves_the_attempt_unanswered() {
    let (home, device) = Home::ready(NUKI).await;
    device.behave(Manner::Dawdles);
    let attempt = home.ask().await;
    device.until_asked(1).await;
    device.vanish().await;
    let failed = home.until_status(&attempt, "failed").await;
    assert_eq!(failed["reason"], "no-answer", "{failed}");
    assert_eq!(home.entries("jammed", 1).await[0]["reason"], "no-answer");
    home.until_settled().await;

    // Nobody is asked who is not there, and nothing waits for when they are.
    let attempt = home.ask().await;
    let failed = home.until_status(&attempt, "failed").await;
    assert_eq!(failed["reason"], "device-away", "{failed}");
    let device = NUKI.plug_in(&home.broker).await;
    home.until_shown("the device again", |view| view.bolt == Bolt::Locked)
        .await;
    assert_eq!(device.heard(), []);
    home.gus.unlock(&home.door).await.expect_opened();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_after_the_command_was_given_up_is_still_the_truth() {
    let (home, device) = Home::ready(NUKI).await;
    device.behave(Manner::Dawdles);
    let attempt = home.ask().await;
    let failed = home.until_status(&attempt, "failed").await;
    assert_eq!(failed["reason"], "no-answer", "{failed}");
    device.catch_up().await;
    home.until_status(&attempt, "confirmed").await;
    let entry = &home.entries("unlocked", 1).await[0];
    assert_eq!(entry["person_id"], *home.gus.id, "{entry}");
    assert_eq!(device.heard().len(), 1, "it was asked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_kept_from_yesterday_confirms_nothing() {
    let mut home = Home::build(ESPHOME).await;
    let device = ESPHOME.plug_in(&home.broker).await;
    // The device says that it is unlocked; then nothing more.
    device.turn(false).await;
    device.behave(Manner::Dawdles);
    let mut tablet = Visit::new(home.broker.plain, "tablet", "tablet").connect().await;
    assert!(tablet.subscribe("hall/lock/front_door/state").await);
    while tablet.next_text().await != "UNLOCKED" {}
    home.start_adapter().await;
    home.until_shown("what was kept", |view| view.bolt == Bolt::Unlocked)
        .await;
    let attempt = home.ask().await;
    device.until_asked(1).await;
    let failed = home.until_status(&attempt, "failed").await;
    assert_eq!(failed["reason"], "no-answer", "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_unlock_at_once_do_not_jam_the_motor() {
    let (home, device) = Home::ready(ZIGBEE).await;
    device.behave(Manner::Dawdles);
    let asked = device.heard().len();
    let first = home.ask().await;
    device.until_asked(asked + 1).await;
    let second = home.ask().await;
    // The second waits for the end of the first.
    device.behave(Manner::Obeys);
    device.catch_up().await;
    home.until_status(&first, "confirmed").await;
    home.until_status(&second, "confirmed").await;
    assert_eq!(device.heard().len(), asked + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_that_dies_in_mid_command_says_interrupted_and_asks_nobody_again() {
    let (mut home, device) = Home::ready(NUKI).await;
    device.behave(Manner::Dawdles);
    let attempt = home.ask().await;
    device.until_asked(1).await;
    // The next thing that it would write down is that nobody answered.
    home.storage.cut_power_at(1, false);
    let mut adapter = home.adapter.take().unwrap();
    assert_eq!(soon("the power to go", adapter.ended()).await, End::PowerLost);
    drop(adapter);
    home.storage.power_on();
    home.start_adapter().await;
    let failed = home.until_status(&attempt, "failed").await;
    assert_eq!(failed["reason"], "jammed", "{failed}");
    assert_eq!(home.entries("jammed", 1).await[0]["reason"], "interrupted");
    home.until_shown("the device", |view| view.bolt == Bolt::Locked).await;
    assert_eq!(device.heard().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_publish_a_command() {
    for (kind, topic, payload) in [
        (NUKI, "nuki/4A0B1C2D/lockAction", "1"),
        (NUKI, "nuki/4A0B1C2D/unlock", "true"),
        (ZIGBEE, "zigbee2mqtt/front door/set", r#"{"state":"UNLOCK"}"#),
        (ESPHOME, "hall/lock/front_door/command", "UNLOCK"),
    ] {
        let (home, device) = Home::ready(kind).await;
        let before = device.heard().len();
        let users = ["tablet", "shed", "nuki", "zigbee2mqtt", "esphome"];
        for user in users.into_iter().filter(|user| *user != kind.user) {
            let mut visitor = Visit::new(home.broker.plain, user, user).connect().await;
            // The broker takes it and drops it; 3.1.1 knows no refusal.
            let _ = visitor.publish(topic, payload).await;
            let _ = visitor.publish_retained(topic, payload).await;
        }
        // What the adapter says after them is the first that the device hears.
        home.gus.unlock(&home.door).await.expect_opened();
        assert_eq!(device.heard().len(), before + 1, "{topic}: {:?}", device.heard());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_without_its_broker_refuses_at_once() {
    let (mut home, device) = Home::ready(ESPHOME).await;
    device.vanish().await;
    home.broker.kill();
    home.until_shown("the loss", |view| view.bolt == Bolt::Unknown).await;
    let attempt = home.ask().await;
    let failed = home.until_status(&attempt, "failed").await;
    assert_eq!(failed["reason"], "device-away", "{failed}");
    home.broker.resume();
    let device = ESPHOME.plug_in(&home.broker).await;
    home.until_shown("the device again", |view| view.bolt == Bolt::Locked)
        .await;
    tokio::time::timeout(Duration::from_secs(20), home.gus.unlock(&home.door))
        .await
        .unwrap()
        .expect_opened();
    assert_eq!(device.heard().len(), 1);
}
