//! PINs on the keypad of a Zigbee lock.

use std::time::Duration;

use doorward::agent::bolt::Keypad as _;
use doorward::domain::time::Clock as _;
use doorward_lock::wire::{Pins, Role, Slot, ZoneChange};
use serde_json::{Value, json};

use super::{Home, ZIGBEE};
use crate::fixtures::devices::Device;
use crate::fixtures::wait::found;

/// Tells the adapter, as the lock does when it has taken a message.
fn tell(home: &Home, set: &[(u16, &str)], clear: &[u16]) {
    let now = u64::try_from(home.t.clock.now().as_millis()).unwrap() / 1_000;
    let slot = |(slot, sealed): &(u16, &'static str)| Slot {
        slot: *slot,
        mac: "unused",
        gid: "grant_1",
        role: Role::Guest,
        nbf: now,
        exp: Some(now + 3_600),
        uses: None,
        schedule: None,
        sealed: Some(sealed),
    };
    let set: Vec<(u16, &'static str)> = set
        .iter()
        .map(|(slot, digits)| (*slot, &*format!("sealed {digits}").leak() as &'static str))
        .collect();
    home.pins.change(&Pins {
        iss: "unused",
        org: "unused",
        aud: "unused",
        base: 1,
        version: 2,
        codes: 0,
        zone: [ZoneChange { at: 0, offset: 3_600 }].into_iter().collect(),
        set: set.iter().map(slot).collect(),
        clear: clear.iter().copied().collect(),
    });
}

/// Waits for this many words on slots; the newest first, as slot and result.
async fn ends(home: &Home, count: usize) -> Vec<(Value, Value)> {
    found("the device's word on its slots", async || {
        let entries = home.entries("lock-event", 1).await.into_iter();
        let ends: Vec<_> = entries
            .filter(|entry| entry["reason"] == "pin_slot")
            .map(|entry| (entry["detail"]["pin_slot"].clone(), entry["detail"]["result"].clone()))
            .collect();
        (ends.len() >= count).then_some(ends)
    })
    .await
}

/// The PINs that the device was told to hold.
fn set_on(device: &Device) -> Vec<Value> {
    let heard = device.heard().into_iter();
    heard
        .filter_map(|(_, payload)| serde_json::from_str::<Value>(&payload).ok())
        .filter(|said| said["pin_code"]["pin_code"].is_string())
        .map(|said| said["pin_code"].clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_on_the_keypad_within_its_times_and_its_slot_in_the_log() {
    let (home, device) = Home::ready(ZIGBEE).await;
    tell(&home, &[(3, "0220")], &[]);
    assert_eq!(ends(&home, 1).await[0], (json!(3), json!("ok")));
    let set = set_on(&device);
    assert_eq!(set.len(), 1, "{set:?}");
    assert_eq!((&set[0]["user"], &set[0]["pin_code"]), (&json!(3), &json!("0220")));

    let said = json!({
        "action": "unlock", "action_source_name": "keypad", "action_user": 3, "lock_state": "unlocked",
        "pin_code": { "user": 3, "pin_code": "0220" },
    });
    device.says(vec![(ZIGBEE.device.into(), said.to_string(), false)]).await;
    let entry = &home.entries("unlocked", 1).await[0];
    assert_eq!(
        (&entry["detail"]["cause"], &entry["detail"]["pin_slot"]),
        (&json!("pin"), &json!(3))
    );

    home.t.clock.advance(Duration::from_secs(3_601));
    assert_eq!(ends(&home, 2).await[0], (json!(3), json!("cleared")));
    assert_eq!(set_on(&device).len(), 1);
    let log = serde_json::to_string(&home.ana.log().await).unwrap();
    assert!(!log.contains("0220"), "no digit is anywhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_that_another_slot_holds_is_refused_for_good() {
    let (home, device) = Home::ready(ZIGBEE).await;
    tell(&home, &[(3, "0220")], &[]);
    ends(&home, 1).await;
    tell(&home, &[(4, "0220")], &[]);
    assert_eq!(ends(&home, 2).await[0], (json!(4), json!("duplicate")));
    let asked = set_on(&device).len();
    // A round of the adapter later it has not been asked again.
    tell(&home, &[], &[3]);
    assert_eq!(ends(&home, 3).await[0], (json!(3), json!("cleared")));
    assert_eq!(set_on(&device).len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_not_ours_is_a_key_of_the_devices_own() {
    let (home, device) = Home::ready(ZIGBEE).await;
    let said = json!({ "action": "keypad_unlock", "action_user": 9, "lock_state": "unlocked" });
    device.says(vec![(ZIGBEE.device.into(), said.to_string(), false)]).await;
    let entry = &home.entries("unlocked", 1).await[0];
    assert_eq!(entry["detail"]["cause"], "key", "{entry}");
}
