//! What an adapter is for: a door that one can buy is opened from the API, and what happens at it stands in the log.

use doorward_lock::wire::Bolt;
use serde_json::json;

use super::{DISCOVERED, ESPHOME, Home, Kind, NUKI, ZIGBEE};

async fn is_opened_and_told(kind: Kind) {
    let (home, device) = Home::ready(kind).await;
    let opened = home.gus.unlock(&home.door).await.expect_opened();
    home.until_settled().await;
    let unlocked = &home.entries("unlocked", 1).await[0];
    assert_eq!(unlocked["attempt_id"], opened["id"], "{unlocked}");
    assert_eq!(unlocked["person_id"], *home.gus.id, "{unlocked}");
    assert_eq!(unlocked["detail"]["cause"], "app", "{unlocked}");
    assert_eq!(unlocked["detail"]["assurance"], "adapter", "{unlocked}");
    let lock = home.lock().await;
    assert_eq!(lock["assurance"], "adapter", "{lock}");
    assert_eq!(lock["bolt"]["value"], "unlocked", "{lock}");

    home.gus.lock(&home.door).await.expect_opened();
    assert_eq!(home.entries("locked", 1).await[0]["person_id"], *home.gus.id);

    device.turn(false).await;
    home.until_shown("the knob turned", |view| view.bolt == Bolt::Unlocked)
        .await;
    let by_hand = &home.entries("unlocked", 2).await[0];
    assert_eq!(by_hand["detail"]["cause"], "manual", "{by_hand}");
    assert_eq!(by_hand["person_id"], json!(null), "{by_hand}");

    // Already there: it says little or nothing, and is open all the same.
    home.gus.unlock(&home.door).await.expect_opened();
    assert_eq!(device.retained(), 0, "no command is ever kept for later");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nuki_is_opened_and_its_events_are_in_the_log() {
    is_opened_and_told(NUKI).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zigbee_lock_is_opened_and_its_events_are_in_the_log() {
    is_opened_and_told(ZIGBEE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_esphome_lock_is_opened_and_its_events_are_in_the_log() {
    is_opened_and_told(ESPHOME).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_describes_itself_is_opened_and_its_events_are_in_the_log() {
    is_opened_and_told(DISCOVERED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doors_batteries_and_keypads_are_told() {
    let (home, device) = Home::ready(NUKI).await;
    let line = |topic: &str, payload: &str| (format!("{}/{topic}", NUKI.device), payload.to_owned(), false);
    device.says(vec![line("batteryChargeState", "9")]).await;
    home.until_shown("the battery", |view| view.battery == Some(9)).await;
    device.says(vec![line("doorsensorState", "3")]).await;
    assert_eq!(
        home.entries("alarm", 1).await[0]["reason"],
        "forced",
        "open while locked"
    );
    device.says(vec![line("doorsensorState", "2")]).await;
    home.entries("lock-event", 1).await;
    home.until_settled().await;
    let lock = home.lock().await;
    assert_eq!(lock["battery"]["value"], 9, "{lock}");
    assert_eq!(lock["door"]["value"], "closed", "{lock}");

    device
        .says(vec![line("lockActionEvent", "3,0,54321,12345,1"), line("state", "3")])
        .await;
    let entry = &home.entries("unlocked", 1).await[0];
    assert_eq!(entry["detail"]["cause"], "key", "a code of the Nuki's own: {entry}");
}
