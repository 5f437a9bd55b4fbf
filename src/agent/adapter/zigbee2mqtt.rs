//! Zigbee locks behind Zigbee2MQTT: one JSON object a message, with everything that the bridge remembers of the device
//! in it, old and new (`zigbee-herdsman-converters`, `lock`, `lock_operation_event`, `pincode_lock`).

use doorward_lock::controller::{Alarm, Hand};
use doorward_lock::wire::{Action, Door};
use serde_json::{Map, Value, json};

use super::dialect::{self, Dialect, Held, Origin, Place, Proof, Report, Word};

/// The language of one lock behind a bridge.
#[derive(Debug)]
pub(super) struct Zigbee2Mqtt {
    /// `zigbee2mqtt/front door`.
    device: String,
    /// The bridge's own base: `zigbee2mqtt`.
    bridge: String,
    is_bridge_online: bool,
    is_device_online: bool,
    /// Whether it says where the bolt is besides the state that the bridge may only suppose.
    says_lock_state: bool,
}

impl Zigbee2Mqtt {
    /// The lock whose topic is `device`; the bridge's base is its first level.
    pub(super) fn new(device: &str) -> Self {
        let bridge = device.split('/').next().unwrap_or(device);
        Self {
            device: device.to_owned(),
            bridge: bridge.to_owned(),
            is_bridge_online: false,
            is_device_online: true,
            says_lock_state: false,
        }
    }

    fn there(&self) -> Report {
        Report::There(self.is_bridge_online && self.is_device_online)
    }

    fn read_device(&mut self, said: &Map<String, Value>) -> Vec<Report> {
        let text = |key: &str| said.get(key).and_then(Value::as_str);
        let mut reports = Vec::new();
        if let Some(action) = text("action").filter(|action| !action.is_empty()) {
            reports.extend(operation(
                action,
                text("action_source_name"),
                slot(said.get("action_user")),
            ));
        }
        let lock_state = text("lock_state");
        self.says_lock_state |= lock_state.is_some();
        // The bridge may publish the state that was asked for before the lock has moved; what the lock itself reports is
        // `lock_state`.
        let place = match (lock_state, text("state")) {
            (Some(state), _) => Some(place_by_lock_state(state)),
            (None, Some(state)) if !self.says_lock_state => place_by_state(state),
            _ => None,
        };
        reports.extend(place.map(Report::Bolt));
        reports.extend(door(said).map(Report::Door));
        reports.extend(said.get("battery").and_then(number).map(Report::Battery));
        if text("tamper").is_some_and(|text| text == "true") || said.get("tamper") == Some(&Value::Bool(true)) {
            reports.push(Report::Alarm(Alarm::Tamper));
        }
        if let Some(users) = said.get("users").and_then(Value::as_object) {
            reports.extend(users.iter().filter_map(|(user, held)| slot_held(user, held)));
        }
        reports
    }

    /// The bridge's log: what a lock refuses stands nowhere else. The line may hold digits, and goes no further.
    fn read_log(&self, said: &Map<String, Value>) -> Option<Report> {
        let text = |key: &str| said.get(key).and_then(Value::as_str);
        let line = text("message")?;
        let name = self.device.strip_prefix(self.bridge.as_str())?.strip_prefix('/')?;
        let is_ours = text("level") == Some("error") && line.contains(name) && line.contains("pin_code");
        let user: String = line
            .split_once("user\":")
            .or_else(|| line.split_once("userid\":"))
            .map(|(_, rest)| rest.trim_start().chars().take_while(char::is_ascii_digit).collect())
            .unwrap_or_default();
        let slot = user.parse().ok().filter(|_| is_ours)?;
        let is_duplicate = line.to_ascii_lowercase().contains("duplicate");
        Some(Report::Slot(
            slot,
            if is_duplicate { Held::Duplicate } else { Held::Refused },
        ))
    }
}

impl Dialect for Zigbee2Mqtt {
    fn filters(&self) -> Vec<String> {
        vec![
            self.device.clone(),
            format!("{}/availability", self.device),
            format!("{}/bridge/state", self.bridge),
            format!("{}/bridge/logging", self.bridge),
        ]
    }

    fn read(&mut self, topic: &str, payload: &str) -> Vec<Report> {
        let said = serde_json::from_str::<Value>(payload).ok();
        let object = said.as_ref().and_then(Value::as_object);
        let is_online = || {
            let state = object.and_then(|said| said.get("state")).and_then(Value::as_str);
            state.unwrap_or(payload.trim()) == "online"
        };
        if topic == self.device {
            return object.map(|said| self.read_device(said)).unwrap_or_default();
        }
        if topic.strip_prefix(self.device.as_str()) == Some("/availability") {
            self.is_device_online = is_online();
            return vec![self.there()];
        }
        match topic.strip_prefix(self.bridge.as_str()) {
            Some("/bridge/state") => {
                self.is_bridge_online = is_online();
                vec![self.there()]
            }
            Some("/bridge/logging") => object.and_then(|said| self.read_log(said)).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn command(&self, action: Action) -> Option<Word> {
        let state = match action {
            Action::Unlock => "UNLOCK",
            Action::Lock => "LOCK",
        };
        Some(Word::new(
            format!("{}/set", self.device),
            json!({ "state": state }).to_string(),
        ))
    }

    fn proof(&self) -> Proof {
        Proof::Place
    }

    fn names_causes(&self) -> bool {
        true
    }

    fn forget(&mut self) {
        (self.is_bridge_online, self.is_device_online) = (false, true);
    }

    fn questions(&self) -> Vec<Word> {
        vec![Word::new(
            format!("{}/get", self.device),
            json!({ "state": "" }).to_string(),
        )]
    }

    fn keep_pin(&self, slot: u16, digits: Option<&str>) -> Vec<Word> {
        let pin = json!({ "pin_code": {
            "user": slot,
            "user_type": "unrestricted",
            "user_enabled": digits.is_some(),
            "pin_code": digits,
        }});
        let question = json!({ "pin_code": { "user": slot } });
        vec![
            Word::new(format!("{}/set", self.device), pin.to_string()),
            Word::new(format!("{}/get", self.device), question.to_string()),
        ]
    }
}

fn place_by_lock_state(state: &str) -> Place {
    match state {
        "locked" => Place::Locked,
        "unlocked" => Place::Unlocked,
        // Neither end: it moves, or is stuck, or was never measured.
        _ => Place::Unknown,
    }
}

/// `LOCK` and `UNLOCK`, and what some converters write instead.
fn place_by_state(state: &str) -> Option<Place> {
    match state.to_ascii_uppercase().as_str() {
        "LOCK" | "LOCKED" => Some(Place::Locked),
        "UNLOCK" | "UNLOCKED" => Some(Place::Unlocked),
        _ => None,
    }
}

fn door(said: &Map<String, Value>) -> Option<Door> {
    match (said.get("door_state"), said.get("contact")) {
        (Some(Value::String(state)), _) => Some(dialect::door(state).unwrap_or(Door::Unknown)),
        (_, Some(Value::Bool(is_closed))) => Some(if *is_closed { Door::Closed } else { Door::Open }),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u8> {
    match value {
        Value::Number(number) => dialect::percent(&number.to_string()),
        Value::String(text) => dialect::percent(text),
        _ => None,
    }
}

/// The user of an operation: a number, or one as a text.
fn slot(value: Option<&Value>) -> Option<u16> {
    match value? {
        Value::Number(number) => u16::try_from(number.as_u64()?).ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// `action` with who did it.
fn operation(action: &str, source: Option<&str>, user: Option<u16>) -> Option<Report> {
    if action.contains("failure_invalid") || action == "keypad_lockout" {
        return Some(Report::WrongCode);
    }
    if action == "error_jammed" || action == "lock_failure" {
        return Some(Report::Bolt(Place::Stuck));
    }
    let verb = action.rsplit('_').next()?;
    let moved = match verb {
        "unlock" => Action::Unlock,
        "lock" => Action::Lock,
        _ => return None,
    };
    let by = action.strip_suffix(verb)?.trim_end_matches('_');
    let keypad = || Origin::Hand(user.filter(|slot| *slot > 0).map_or(Hand::Key, Hand::Pin));
    let origin = match (by, source) {
        ("keypad", _) | ("", Some("keypad")) => keypad(),
        ("manual" | "one_touch" | "thumb" | "button", _) | ("", Some("manual")) => Origin::Hand(Hand::Manual),
        ("key" | "rfid" | "fingerprint" | "bluetooth", _)
        | ("", Some("rfid" | "fingerprint" | "fingerprintsensor")) => Origin::Hand(Hand::Key),
        ("auto" | "schedule", _) | ("", Some("auto")) => Origin::Hand(Hand::Auto),
        ("zigbee" | "rf" | "remote", _) | ("", None | Some("rf" | "zigbee" | "remote")) => Origin::Command,
        _ => Origin::Hand(Hand::Manual),
    };
    Some(Report::Operated(moved, origin))
}

fn slot_held(user: &str, held: &Value) -> Option<Report> {
    let slot = user.parse().ok()?;
    let held = match held.get("status").and_then(Value::as_str)? {
        "available" => Held::Free,
        "enabled" => Held::Taken,
        "disabled" => Held::Refused,
        _ => return None,
    };
    Some(Report::Slot(slot, held))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: &str = "zigbee2mqtt/front door";

    #[test]
    fn what_the_lock_reports_counts_and_not_what_the_bridge_supposes() {
        let mut lock = Zigbee2Mqtt::new(DEVICE);
        for (payload, expected) in [
            (r#"{"state":"LOCK"}"#, vec![Report::Bolt(Place::Locked)]),
            (r#"{"state":"UNLOCKED"}"#, vec![Report::Bolt(Place::Unlocked)]),
            (
                r#"{"state":"UNLOCK","lock_state":"locked"}"#,
                vec![Report::Bolt(Place::Locked)],
            ),
            (r#"{"state":"UNLOCK"}"#, vec![]),
            (
                r#"{"lock_state":"not_fully_locked","state":"UNLOCK"}"#,
                vec![Report::Bolt(Place::Unknown)],
            ),
            (
                r#"{"battery":"87","door_state":"open"}"#,
                vec![Report::Door(Door::Open), Report::Battery(87)],
            ),
            (
                r#"{"battery":86.5,"contact":true}"#,
                vec![Report::Door(Door::Closed), Report::Battery(87)],
            ),
            (r#"{"door_state":"error_jammed"}"#, vec![Report::Door(Door::Unknown)]),
            (r#"{"lock_state":5,"state":null,"battery":null}"#, vec![]),
            ("online", vec![]),
            ("[]", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(lock.read(DEVICE, payload), expected, "{payload}");
        }
    }

    #[test]
    fn operations_say_who() {
        let by = |action, origin| Some(Report::Operated(action, origin));
        for (action, source, user, expected) in [
            ("unlock", Some("rf"), None, by(Action::Unlock, Origin::Command)),
            ("unlock", None, None, by(Action::Unlock, Origin::Command)),
            (
                "unlock",
                Some("keypad"),
                Some(3),
                by(Action::Unlock, Origin::Hand(Hand::Pin(3))),
            ),
            (
                "keypad_unlock",
                None,
                Some(12),
                by(Action::Unlock, Origin::Hand(Hand::Pin(12))),
            ),
            (
                "keypad_unlock",
                None,
                Some(0),
                by(Action::Unlock, Origin::Hand(Hand::Key)),
            ),
            ("keypad_lock", None, None, by(Action::Lock, Origin::Hand(Hand::Key))),
            (
                "manual_unlock",
                Some("manual"),
                None,
                by(Action::Unlock, Origin::Hand(Hand::Manual)),
            ),
            (
                "one_touch_lock",
                None,
                None,
                by(Action::Lock, Origin::Hand(Hand::Manual)),
            ),
            ("key_unlock", None, None, by(Action::Unlock, Origin::Hand(Hand::Key))),
            ("auto_lock", None, None, by(Action::Lock, Origin::Hand(Hand::Auto))),
            ("schedule_lock", None, None, by(Action::Lock, Origin::Hand(Hand::Auto))),
            (
                "unlock_failure_invalid_pin_or_id",
                Some("keypad"),
                None,
                Some(Report::WrongCode),
            ),
            ("error_jammed", None, None, Some(Report::Bolt(Place::Stuck))),
            ("pin_code_added", None, Some(3), None),
            ("non_access_user_operational_event", None, None, None),
            ("unknown", None, None, None),
        ] {
            assert_eq!(operation(action, source, user), expected, "{action} {source:?}");
        }
    }

    #[test]
    fn it_is_there_while_the_bridge_is_and_nothing_says_otherwise() {
        let mut lock = Zigbee2Mqtt::new(DEVICE);
        for (topic, payload, is_there) in [
            ("zigbee2mqtt/bridge/state", r#"{"state":"online"}"#, true),
            ("zigbee2mqtt/front door/availability", r#"{"state":"offline"}"#, false),
            ("zigbee2mqtt/front door/availability", "online", true),
            ("zigbee2mqtt/bridge/state", "offline", false),
        ] {
            assert_eq!(
                lock.read(topic, payload),
                [Report::There(is_there)],
                "{topic} {payload}"
            );
        }
        assert!(lock.read("zigbee2mqtt/back door/availability", "offline").is_empty());
    }

    #[test]
    fn a_pin_is_a_text_with_its_zeros_and_is_cleared_by_null() {
        let lock = Zigbee2Mqtt::new(DEVICE);
        let said = |word: &Word| serde_json::from_str::<Value>(&word.payload).unwrap();
        let set = &lock.keep_pin(3, Some("0220"))[0];
        assert_eq!(set.topic, "zigbee2mqtt/front door/set");
        assert_eq!(said(set)["pin_code"]["pin_code"], "0220");
        assert_eq!(said(set)["pin_code"]["user"], 3);
        assert!(!format!("{set:?}").contains("0220"));
        let clear = &lock.keep_pin(3, None)[0];
        assert_eq!(said(clear)["pin_code"]["pin_code"], Value::Null);
        assert_eq!(said(clear)["pin_code"]["user_enabled"], false);
    }

    #[test]
    fn slots_are_reported_as_users_and_refusals_in_the_log() {
        let mut lock = Zigbee2Mqtt::new(DEVICE);
        let mut read = |topic: &str, payload: &str| lock.read(topic, payload);
        assert_eq!(
            read(
                DEVICE,
                r#"{"users":{"3":{"status":"enabled"},"4":{"status":"available"}}}"#
            ),
            [Report::Slot(3, Held::Taken), Report::Slot(4, Held::Free)]
        );
        let log = |message: &str| json!({ "level": "error", "message": message }).to_string();
        let line = r#"z2m: Publish 'set' 'pin_code' to 'front door' failed: {"user":3} Error: DUPLICATE_CODE"#;
        assert_eq!(
            read("zigbee2mqtt/bridge/logging", &log(line)),
            [Report::Slot(3, Held::Duplicate)]
        );
        let other = line.replace("front door", "back yard");
        assert!(read("zigbee2mqtt/bridge/logging", &log(&other)).is_empty());
    }
}
