//! What Home Assistant is told that there is: one device a lock, with its entities, in the form of MQTT discovery.

use serde_json::{Value, json};

use super::topics::{Part, Topics};
use crate::app::shown::{Alarm, ShownLock};
use crate::domain::access_log::Kind;
use crate::domain::lock::{Bolt, Door, Lock, SILENCE};
use crate::domain::time::Timestamp;

/// What Home Assistant sends to have a door locked.
pub(super) const LOCK: &str = "LOCK";
/// What it sends to have one unlocked. To unlatch is not offered.
pub(super) const UNLOCK: &str = "UNLOCK";

/// What every entity takes for "not known".
pub(super) const UNKNOWN: &str = "None";

/// What is there, and what is not.
pub(super) const ONLINE: &str = "online";
pub(super) const OFFLINE: &str = "offline";

/// After how long a battery's level says nothing any more.
const BATTERY_AGE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// The kinds of alarms that Home Assistant knows by name; every other is [`OTHER`], with its word beside it.
const ALARMS: [&str; 5] = ["jammed", "ajar", "forced", "tamper", "wrong_code_limit"];
const OTHER: &str = "other";

/// Whether the lock has this part: a battery or a door sensor that has never said anything is not shown.
pub(super) fn has(lock: &Lock, part: Part) -> bool {
    match part {
        Part::Lock | Part::Alarm => true,
        Part::Battery => lock.battery.is_some(),
        Part::Door => lock.door.is_some_and(|door| door.value != Door::Unknown),
    }
}

/// The configuration of one part.
pub(super) fn config(topics: &Topics, lock: &Lock, part: Part) -> Value {
    let id = &lock.id;
    let mut config = json!({
        "unique_id": format!("doorward_{id}_{}", part.as_str()),
        "state_topic": topics.state(id, part),
        "qos": 1,
        "availability": [{ "topic": topics.status() }],
        "availability_mode": "all",
        "device": device(lock),
        "origin": { "name": "Doorward", "sw_version": env!("CARGO_PKG_VERSION") },
    });
    let own = match part {
        // Without a name of its own it bears that of its device, the door.
        Part::Lock => json!({
            "name": null,
            "command_topic": topics.command(id),
            "payload_lock": LOCK,
            "payload_unlock": UNLOCK,
            "state_locked": "LOCKED",
            "state_unlocked": "UNLOCKED",
            "state_jammed": "JAMMED",
            "optimistic": false,
            "retain": false,
        }),
        Part::Battery => json!({
            "name": "Battery",
            "device_class": "battery",
            "state_class": "measurement",
            "unit_of_measurement": "%",
            "entity_category": "diagnostic",
        }),
        Part::Door => json!({
            "name": "Door",
            "device_class": "door",
            "payload_on": "ON",
            "payload_off": "OFF",
        }),
        Part::Alarm => {
            let types: Vec<&str> = ALARMS.into_iter().chain([OTHER]).collect();
            json!({ "name": "Alarm", "icon": "mdi:shield-alert", "event_types": types })
        }
    };
    // An alarm may be told late, and counts even if the lock is gone by then.
    if part != Part::Alarm
        && let Some(availability) = config["availability"].as_array_mut()
    {
        availability.push(json!({ "topic": topics.availability(id) }));
    }
    if let (Some(config), Value::Object(own)) = (config.as_object_mut(), own) {
        config.extend(own);
    }
    config
}

fn device(lock: &Lock) -> Value {
    let mut device = json!({
        "identifiers": [format!("doorward_{}", lock.id)],
        "name": lock.name.as_str(),
        "serial_number": lock.id,
    });
    if let Some(model) = &lock.model {
        device["model"] = model.clone().into();
    }
    if let Some(firmware) = &lock.firmware {
        device["sw_version"] = firmware.clone().into();
    }
    device
}

/// The lock's states at `now`, by topic. Only what was observed, and not too long ago, is said: an unknown bolt is
/// neither locked nor unlocked.
pub(super) fn states(topics: &Topics, shown: &ShownLock, now: Timestamp) -> Vec<(String, String)> {
    let lock = &shown.lock;
    // A lock with two histories says nothing that could be believed.
    let there = lock.is_online(now) && !lock.quarantined;
    let bolt = match lock.bolt.and_then(|bolt| bolt.within(SILENCE, now)) {
        Some(Bolt::Locked) => "LOCKED",
        Some(Bolt::Unlocked) => "UNLOCKED",
        Some(Bolt::Unknown) if shown.jammed_at.is_some() => "JAMMED",
        Some(Bolt::Unknown) | None => UNKNOWN,
    };
    let door = match lock.door.and_then(|door| door.within(SILENCE, now)) {
        Some(Door::Open) => "ON",
        Some(Door::Closed) => "OFF",
        Some(Door::Unknown) | None => UNKNOWN,
    };
    let battery = lock.battery.and_then(|battery| battery.within(BATTERY_AGE, now));
    let battery = battery.map_or(UNKNOWN.to_owned(), |percent| percent.to_string());
    vec![
        (topics.state(&lock.id, Part::Lock), bolt.to_owned()),
        (topics.state(&lock.id, Part::Door), door.to_owned()),
        (topics.state(&lock.id, Part::Battery), battery),
        (
            topics.availability(&lock.id),
            if there { ONLINE } else { OFFLINE }.to_owned(),
        ),
    ]
}

/// What Home Assistant is told of an alarm: what and when, never who.
pub(super) fn event(alarm: &Alarm) -> Value {
    let word = match alarm.kind {
        Kind::Jammed => "jammed",
        _ => alarm.reason.as_deref().unwrap_or(OTHER),
    };
    let event_type = if ALARMS.contains(&word) { word } else { OTHER };
    json!({ "event_type": event_type, "reason": word, "occurred_at": alarm.occurred_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{LockId, OrganizationId, PropertyId};
    use crate::domain::lock::{LockKind, LockState, Observed};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn seen<T>(value: T, seconds_ago: u64) -> Option<Observed<T>> {
        let at = NOW - std::time::Duration::from_secs(seconds_ago);
        Some(Observed { value, at })
    }

    fn lock() -> ShownLock {
        let lock = Lock {
            id: LockId::from_bits(1),
            organization: OrganizationId::from_bits(2),
            property: PropertyId::from_bits(3),
            unit: None,
            name: "Front door".to_owned().try_into().unwrap(),
            kind: LockKind::Controller,
            assurance: None,
            state: LockState::Enrolled,
            created_at: NOW,
            model: None,
            firmware: None,
            quarantined: false,
            online: seen(true, 0),
            bolt: None,
            door: None,
            battery: None,
            shareable: true,
        };
        ShownLock { lock, jammed_at: None }
    }

    fn said(shown: &ShownLock) -> [String; 4] {
        let states = states(&Topics::new("homeassistant", "doorward"), shown, NOW);
        let texts: Vec<String> = states.into_iter().map(|(_, text)| text).collect();
        texts.try_into().unwrap()
    }

    #[test]
    fn a_bolt_is_what_was_observed_lately_and_nothing_else() {
        for (bolt, ago, jammed, expected) in [
            (None, 0, false, "None"),
            (None, 0, true, "None"),
            (Some(Bolt::Locked), 0, false, "LOCKED"),
            (Some(Bolt::Locked), 150, false, "LOCKED"),
            (Some(Bolt::Locked), 151, false, "None"),
            (Some(Bolt::Locked), 0, true, "LOCKED"),
            (Some(Bolt::Unlocked), 0, false, "UNLOCKED"),
            (Some(Bolt::Unlocked), 100_000, false, "None"),
            (Some(Bolt::Unknown), 0, false, "None"),
            (Some(Bolt::Unknown), 0, true, "JAMMED"),
            (Some(Bolt::Unknown), 151, true, "None"),
        ] {
            let mut shown = lock();
            shown.lock.bolt = bolt.and_then(|bolt| seen(bolt, ago));
            shown.jammed_at = jammed.then_some(NOW);
            assert_eq!(said(&shown)[0], expected, "{bolt:?} {ago} s ago, jammed: {jammed}");
        }
    }

    #[test]
    fn doors_and_batteries_grow_old_too() {
        let mut shown = lock();
        shown.lock.door = seen(Door::Open, 0);
        shown.lock.battery = seen(81, 24 * 3600);
        assert_eq!(said(&shown)[1..], ["ON", "81", "online"]);
        shown.lock.door = seen(Door::Closed, 150);
        shown.lock.battery = seen(0, 0);
        assert_eq!(said(&shown)[1..], ["OFF", "0", "online"]);
        shown.lock.door = seen(Door::Closed, 151);
        shown.lock.battery = seen(81, 24 * 3600 + 1);
        shown.lock.online = seen(true, 151);
        assert_eq!(said(&shown)[1..], ["None", "None", "offline"]);
    }

    #[test]
    fn a_lock_with_two_histories_is_not_there() {
        let mut shown = lock();
        shown.lock.quarantined = true;
        assert_eq!(said(&shown)[3], "offline");
    }

    #[test]
    fn a_part_that_never_said_anything_is_not_shown() {
        let mut lock = lock().lock;
        lock.door = seen(Door::Unknown, 0);
        let parts = |lock: &Lock| {
            Part::ALL
                .into_iter()
                .filter(|part| has(lock, *part))
                .collect::<Vec<_>>()
        };
        assert_eq!(parts(&lock), [Part::Lock, Part::Alarm]);
        lock.door = seen(Door::Closed, 1_000_000);
        lock.battery = seen(5, 1_000_000);
        assert_eq!(parts(&lock), Part::ALL);
    }

    #[test]
    fn an_alarm_is_told_by_a_name_that_home_assistant_knows() {
        for (kind, reason, event_type, word) in [
            (Kind::Jammed, Some("interrupted"), "jammed", "jammed"),
            (Kind::Alarm, Some("forced"), "forced", "forced"),
            (
                Kind::Alarm,
                Some("wrong_code_limit"),
                "wrong_code_limit",
                "wrong_code_limit",
            ),
            (Kind::Alarm, Some("event-fork"), "other", "event-fork"),
            (Kind::Alarm, None, "other", "other"),
        ] {
            let told = event(&Alarm {
                seq: 1,
                recorded_at: NOW,
                occurred_at: NOW,
                lock: LockId::from_bits(1),
                kind,
                reason: reason.map(str::to_owned),
            });
            assert_eq!(
                (&told["event_type"], &told["reason"]),
                (&json!(event_type), &json!(word))
            );
        }
    }
}
