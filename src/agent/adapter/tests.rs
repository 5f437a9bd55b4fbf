//! The talk with a device, by hand and without a broker.

use std::time::Duration;

use doorward_lock::chain::Sensors;
use doorward_lock::controller::{Alarm, Hand, Input, Outcome};
use doorward_lock::wire::{Action, Bolt, Door};
use tokio::time::Instant;

use super::dialogue::{Deed, Dialogue, Patience};
use super::profile::{Language, Profile};

/// A dialogue, and the time in it.
struct Talk {
    dialogue: Dialogue,
    base: String,
    now: Instant,
}

impl Talk {
    fn with(language: Language, device: &str) -> Self {
        let profile = Profile {
            language,
            device: device.to_owned(),
            unlatch: false,
            door_topic: None,
            battery_topic: None,
            broker: "mqtt://localhost".to_owned(),
            user: String::new(),
            password: String::new(),
            ca_certificate: String::new(),
        };
        Self {
            dialogue: Dialogue::new(profile.dialect().unwrap(), Patience::default()),
            base: device.to_owned(),
            now: Instant::now(),
        }
    }

    /// A Nuki that is there and locked, as the broker has kept it and the Nuki has said.
    fn nuki() -> Self {
        let mut talk = Self::with(Language::Nuki, "nuki/1");
        talk.dialogue.linked();
        talk.kept("connected", "true");
        talk.hears("state", "1");
        talk
    }

    /// A Zigbee lock that is there and locked.
    fn zigbee() -> Self {
        let mut talk = Self::with(Language::Zigbee2mqtt, "z/front");
        talk.dialogue.linked();
        talk.dialogue.heard("z/bridge/state", b"online", true, talk.now);
        talk.hears("", r#"{"state":"LOCK","lock_state":"locked"}"#);
        talk
    }

    fn topic(&self, below: &str) -> String {
        if below.is_empty() {
            self.base.clone()
        } else {
            format!("{}/{below}", self.base)
        }
    }

    fn hears(&mut self, below: &str, payload: &str) -> Vec<Deed> {
        let topic = self.topic(below);
        self.dialogue.heard(&topic, payload.as_bytes(), false, self.now)
    }

    fn kept(&mut self, below: &str, payload: &str) -> Vec<Deed> {
        let topic = self.topic(below);
        self.dialogue.heard(&topic, payload.as_bytes(), true, self.now)
    }

    /// Asks, and sees that the device is asked.
    fn asks(&mut self, action: Action) {
        let deeds = self.dialogue.ask(action, self.now);
        assert!(matches!(deeds[..], [Deed::Say(_)]), "{deeds:?}");
    }

    fn waits(&mut self, seconds: u64) -> Vec<Deed> {
        self.now += Duration::from_secs(seconds);
        self.dialogue.pass(self.now)
    }
}

fn arrived() -> Vec<Deed> {
    vec![Deed::End(Outcome::Arrived)]
}

fn by(bolt: Bolt, hand: Hand) -> Vec<Deed> {
    vec![Deed::Tell(Input::Bolt(bolt, hand))]
}

fn seen(bolt: Bolt) -> Deed {
    Deed::Tell(Input::Seen(Sensors {
        bolt,
        door: Door::Unknown,
        battery: None,
    }))
}

fn gave_up(bolt: Bolt) -> Vec<Deed> {
    vec![Deed::End(Outcome::NoAnswer), seen(bolt)]
}

#[test]
fn a_nuki_is_believed_by_its_event_and_its_state() {
    let mut talk = Talk::nuki();
    talk.asks(Action::Unlock);
    assert_eq!(talk.hears("commandResponse", "0"), []);
    assert_eq!(talk.hears("lockActionEvent", "1,172,0,0,0"), []);
    assert_eq!(talk.hears("state", "2"), []);
    assert_eq!(talk.waits(10), [], "it has begun, and takes its time");
    assert_eq!(talk.hears("state", "3"), arrived());
    assert_eq!(talk.hears("state", "3"), [], "the same message twice is one movement");
    assert_eq!(talk.hears("lockActionEvent", "1,172,0,0,0"), []);
}

#[test]
fn another_ones_success_confirms_nothing() {
    let mut talk = Talk::nuki();
    talk.asks(Action::Unlock);
    assert_eq!(talk.hears("commandResponse", "0"), []);
    assert_eq!(talk.hears("lockActionEvent", "1,1,0,0,0"), []);
    assert_eq!(talk.hears("state", "3"), by(Bolt::Unlocked, Hand::Manual));
    assert_eq!(talk.waits(5), gave_up(Bolt::Unlocked));
}

#[test]
fn what_the_broker_kept_confirms_nothing() {
    let mut talk = Talk::with(Language::Nuki, "nuki/1");
    talk.dialogue.linked();
    talk.kept("connected", "true");
    assert_eq!(talk.kept("state", "3"), [seen(Bolt::Unlocked)]);
    talk.asks(Action::Unlock);
    talk.kept("state", "3");
    talk.kept("lockActionEvent", "1,172,0,0,0");
    assert_eq!(
        talk.hears("lockActionEvent", "1,172,0,0,0"),
        [],
        "the state is of yesterday"
    );
    assert_eq!(talk.hears("state", "3"), arrived());

    let mut talk = Talk::with(Language::Esphome, "hall/lock/front");
    talk.dialogue.linked();
    talk.dialogue.heard("hall/status", b"online", true, talk.now);
    talk.kept("state", "UNLOCKED");
    talk.asks(Action::Unlock);
    assert_eq!(talk.waits(5), gave_up(Bolt::Unlocked));
}

#[test]
fn who_is_not_there_is_not_asked() {
    let away = vec![Deed::End(Outcome::Away)];
    let mut talk = Talk::with(Language::Nuki, "nuki/1");
    assert_eq!(talk.dialogue.ask(Action::Unlock, talk.now), away, "no broker");
    talk.dialogue.linked();
    assert_eq!(
        talk.dialogue.ask(Action::Unlock, talk.now),
        away,
        "no word of the device"
    );
    talk.kept("connected", "false");
    assert_eq!(talk.dialogue.ask(Action::Unlock, talk.now), away);
    talk.hears("connected", "true");
    talk.asks(Action::Unlock);
}

#[test]
fn a_device_that_goes_in_mid_command_leaves_it_open() {
    let mut talk = Talk::nuki();
    talk.asks(Action::Unlock);
    assert_eq!(talk.hears("connected", "false"), gave_up(Bolt::Unknown));
    assert_eq!(talk.dialogue.ask(Action::Unlock, talk.now), [Deed::End(Outcome::Away)]);

    let mut talk = Talk::zigbee();
    talk.asks(Action::Unlock);
    assert_eq!(talk.dialogue.unlinked(), gave_up(Bolt::Unknown));
}

#[test]
fn a_late_answer_is_the_commands_own() {
    let mut talk = Talk::nuki();
    talk.asks(Action::Unlock);
    assert_eq!(talk.waits(4), []);
    assert_eq!(talk.waits(1), gave_up(Bolt::Locked));
    talk.waits(1);
    assert_eq!(talk.hears("lockActionEvent", "1,172,0,0,0"), []);
    talk.hears("state", "2");
    assert_eq!(talk.hears("state", "3"), [Deed::Tell(Input::Late)]);
    // Once.
    talk.hears("lockActionEvent", "2,172,0,0,0");
    assert_eq!(talk.hears("state", "1"), by(Bolt::Locked, Hand::Auto));
    talk.hears("lockActionEvent", "1,172,0,0,0");
    assert_eq!(talk.hears("state", "3"), by(Bolt::Unlocked, Hand::Auto));
}

#[test]
fn a_jam_ends_a_command_and_is_an_event_without_one() {
    let mut talk = Talk::nuki();
    talk.asks(Action::Unlock);
    talk.hears("lockActionEvent", "1,172,0,0,0");
    assert_eq!(
        talk.hears("state", "254"),
        [Deed::End(Outcome::Jammed), seen(Bolt::Unknown)]
    );
    assert_eq!(talk.hears("state", "254"), by(Bolt::Unknown, Hand::Auto));
}

#[test]
fn hands_at_the_door_are_told_apart() {
    for (event, hand) in [
        ("1,1,0,0,0", Hand::Manual),
        ("1,2,0,0,1", Hand::Manual),
        ("3,0,5,9,1", Hand::Key),
        ("1,3,0,0,0", Hand::Auto),
    ] {
        let mut talk = Talk::nuki();
        talk.hears("lockActionEvent", event);
        assert_eq!(talk.hears("state", "3"), by(Bolt::Unlocked, hand), "{event}");
    }
    let mut talk = Talk::nuki();
    assert_eq!(talk.hears("state", "3"), [], "perhaps the word on it is under way");
    assert_eq!(talk.waits(2), by(Bolt::Unlocked, Hand::Manual));
}

#[test]
fn a_zigbee_locks_word_counts_and_the_bridges_guess_does_not() {
    let mut talk = Talk::zigbee();
    talk.asks(Action::Unlock);
    assert_eq!(talk.hears("", r#"{"state":"UNLOCK"}"#), []);
    assert_eq!(talk.hears("", r#"{"state":"UNLOCK","lock_state":"locked"}"#), []);
    assert_eq!(
        talk.hears("", r#"{"state":"UNLOCK","lock_state":"unlocked"}"#),
        arrived()
    );
}

#[test]
fn a_keypad_names_the_slot_in_either_order() {
    let mut talk = Talk::zigbee();
    let both = r#"{"action":"unlock","action_source_name":"keypad","action_user":3,"lock_state":"unlocked"}"#;
    assert_eq!(talk.hears("", both), by(Bolt::Unlocked, Hand::Pin(3)));
    assert_eq!(talk.hears("", both), [], "twice is once");

    let mut talk = Talk::zigbee();
    assert_eq!(talk.hears("", r#"{"lock_state":"unlocked"}"#), []);
    let action = r#"{"action":"keypad_unlock","action_user":"7","lock_state":"unlocked"}"#;
    assert_eq!(talk.hears("", action), by(Bolt::Unlocked, Hand::Pin(7)));
    assert_eq!(talk.waits(5), []);
}

#[test]
fn five_wrong_codes_are_an_alarm() {
    let mut talk = Talk::zigbee();
    let wrong = r#"{"action":"unlock_failure_invalid_pin_or_id","action_source_name":"keypad"}"#;
    for _ in 0..4 {
        assert_eq!(talk.hears("", wrong), []);
    }
    assert_eq!(talk.hears("", wrong), [Deed::Tell(Input::Alarm(Alarm::WrongCodeLimit))]);
    for _ in 0..8 {
        talk.waits(100);
        assert_eq!(talk.hears("", wrong), [], "spread out they are forgetfulness");
    }
}

#[test]
fn asked_for_what_it_is_a_device_need_not_answer() {
    let mut talk = Talk::zigbee();
    talk.asks(Action::Lock);
    assert_eq!(talk.waits(2), []);
    assert_eq!(talk.waits(1), arrived());

    // A Nuki always answers, so one that does not has not heard.
    let mut talk = Talk::nuki();
    talk.asks(Action::Lock);
    assert_eq!(talk.waits(5), gave_up(Bolt::Locked));
    talk.asks(Action::Lock);
    assert_eq!(talk.hears("lockActionEvent", "2,172,0,0,0"), arrived());
}

#[test]
fn doors_and_batteries_are_told_while_the_device_is_there() {
    let mut talk = Talk::nuki();
    assert_eq!(
        talk.hears("doorsensorState", "3"),
        [Deed::Tell(Input::Door(Door::Open))]
    );
    assert_eq!(talk.hears("batteryChargeState", "19"), [Deed::Tell(Input::Battery(19))]);
    assert_eq!(
        talk.hears("doorsensorState", "240"),
        [Deed::Tell(Input::Alarm(Alarm::Tamper))]
    );
    talk.hears("connected", "false");
    assert_eq!(talk.hears("batteryChargeState", "18"), []);
}

#[test]
fn a_description_moves_the_ears() {
    let topic = "homeassistant/lock/x/config";
    let mut talk = Talk::with(Language::Discovery, topic);
    talk.dialogue.linked();
    assert_eq!(talk.dialogue.ask(Action::Unlock, talk.now), [Deed::End(Outcome::Away)]);
    let config = r#"{"cmd_t":"x/set","stat_t":"x/state"}"#;
    let deeds = talk.dialogue.heard(topic, config.as_bytes(), true, talk.now);
    assert_eq!(deeds.last(), Some(&Deed::ListenAnew));
    assert_eq!(talk.dialogue.filters(), [topic, "x/state"]);
    talk.dialogue.linked();
    let again = talk.dialogue.heard(topic, config.as_bytes(), true, talk.now);
    assert_eq!(again, [], "the same description is no news");
    talk.asks(Action::Unlock);
    assert_eq!(talk.dialogue.heard("x/state", b"UNLOCKED", false, talk.now), arrived());
}

#[test]
fn hostile_bytes_are_no_words() {
    let mut talk = Talk::nuki();
    assert_eq!(talk.dialogue.heard("nuki/1/state", &[0xff, 0xfe], false, talk.now), []);
    for payload in ["", " ", "-1", "99999999999", "3\0", "{}", "null", "1,"] {
        for topic in ["state", "lockActionEvent", "batteryChargeState", "doorsensorState"] {
            assert_eq!(talk.hears(topic, payload), [], "{topic} {payload}");
        }
    }
    let mut talk = Talk::zigbee();
    for payload in [
        "[",
        "[]",
        "1",
        r#"{"lock_state":{},"action":7,"users":[],"battery":{}}"#,
    ] {
        assert_eq!(talk.hears("", payload), [], "{payload}");
    }
}
