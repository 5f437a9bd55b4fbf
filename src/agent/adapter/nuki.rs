//! Nuki Smart Locks by themselves over MQTT (the vendor's MQTT API 1.4): one topic a value, every value a text. Base
//! topic `nuki/<ID>`.

use doorward_lock::controller::{Alarm, Hand};
use doorward_lock::wire::{Action, Door};

use super::dialect::{Dialect, Origin, Place, Proof, Report, Word, percent};

/// The topics below the base that are commands: nobody but the adapter may publish them.
pub(super) const COMMANDS: [&str; 3] = ["lockAction", "lock", "unlock"];

/// What the adapter listens to, below the base.
const TOPICS: [&str; 6] = [
    "connected",
    "state",
    "batteryChargeState",
    "doorsensorState",
    "commandResponse",
    "lockActionEvent",
];

/// The language of one Nuki.
#[derive(Debug)]
pub(super) struct Nuki {
    base: String,
    unlatches: bool,
}

impl Nuki {
    /// The device at `base`. `unlatches`: to unlock is to pull the latch too, for doors with a knob outside.
    pub(super) fn new(base: &str, unlatches: bool) -> Self {
        Self {
            base: base.to_owned(),
            unlatches,
        }
    }
}

impl Dialect for Nuki {
    fn filters(&self) -> Vec<String> {
        TOPICS.iter().map(|topic| format!("{}/{topic}", self.base)).collect()
    }

    fn read(&mut self, topic: &str, payload: &str) -> Vec<Report> {
        let Some(topic) = topic
            .strip_prefix(self.base.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            return Vec::new();
        };
        let payload = payload.trim();
        let report = match topic {
            "connected" => Some(Report::There(payload.eq_ignore_ascii_case("true"))),
            "state" => place(payload).map(Report::Bolt),
            "batteryChargeState" => percent(payload).map(Report::Battery),
            "doorsensorState" => door(payload),
            "commandResponse" => (payload != "0").then_some(Report::Refused),
            "lockActionEvent" => operation(payload),
            _ => None,
        };
        report.into_iter().collect()
    }

    fn command(&self, action: Action) -> Option<Word> {
        let number = match action {
            Action::Unlock if self.unlatches => "3",
            Action::Unlock => "1",
            Action::Lock => "2",
        };
        Some(Word::new(format!("{}/lockAction", self.base), number))
    }

    fn proof(&self) -> Proof {
        Proof::CauseAndPlace
    }

    fn names_causes(&self) -> bool {
        true
    }
}

/// Lock states of the vendor's table.
fn place(number: &str) -> Option<Place> {
    Some(match number.parse::<u8>().ok()? {
        1 => Place::Locked,
        3 | 5 | 6 => Place::Unlocked,
        2 | 4 | 7 => Place::Moving,
        254 => Place::Stuck,
        _ => Place::Unknown,
    })
}

/// Door sensor states of the vendor's table.
fn door(number: &str) -> Option<Report> {
    Some(match number.parse::<u8>().ok()? {
        2 => Report::Door(Door::Closed),
        3 => Report::Door(Door::Open),
        240 => Report::Alarm(Alarm::Tamper),
        _ => Report::Door(Door::Unknown),
    })
}

/// `action,trigger,auth id,code id,extra`, published when a lock action is about to be executed.
fn operation(event: &str) -> Option<Report> {
    let mut fields = event.split(',').map(|field| field.trim().parse::<u32>().ok());
    let (action, trigger) = (fields.next()??, fields.next()??);
    let (person, code) = (fields.next().flatten()?, fields.next().flatten()?);
    let action = match action {
        1 | 3 | 4 | 5 => Action::Unlock,
        2 | 6 => Action::Lock,
        // A button or fob that is configured to do nothing.
        _ => return None,
    };
    let origin = match trigger {
        172 => Origin::Command,
        1 | 2 => Origin::Hand(Hand::Manual),
        // A keypad's code, a fob, a phone or a home that the Nuki knows and Doorward does not.
        _ if person != 0 || code != 0 => Origin::Hand(Hand::Key),
        171 => Origin::Hand(Hand::Key),
        _ => Origin::Hand(Hand::Auto),
    };
    Some(Report::Operated(action, origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(topic: &str, payload: &str) -> Option<Report> {
        let mut nuki = Nuki::new("nuki/4A0B", false);
        let reports = nuki.read(topic, payload);
        assert!(reports.len() <= 1);
        reports.first().copied()
    }

    #[test]
    fn the_vendors_table_is_read() {
        for (topic, payload, expected) in [
            ("nuki/4A0B/connected", "true", Some(Report::There(true))),
            ("nuki/4A0B/connected", "false", Some(Report::There(false))),
            ("nuki/4A0B/state", "1", Some(Report::Bolt(Place::Locked))),
            ("nuki/4A0B/state", "2", Some(Report::Bolt(Place::Moving))),
            ("nuki/4A0B/state", "3", Some(Report::Bolt(Place::Unlocked))),
            ("nuki/4A0B/state", "4", Some(Report::Bolt(Place::Moving))),
            ("nuki/4A0B/state", "5", Some(Report::Bolt(Place::Unlocked))),
            ("nuki/4A0B/state", "6", Some(Report::Bolt(Place::Unlocked))),
            ("nuki/4A0B/state", "7", Some(Report::Bolt(Place::Moving))),
            ("nuki/4A0B/state", "0", Some(Report::Bolt(Place::Unknown))),
            ("nuki/4A0B/state", "252", Some(Report::Bolt(Place::Unknown))),
            ("nuki/4A0B/state", "253", Some(Report::Bolt(Place::Unknown))),
            ("nuki/4A0B/state", "254", Some(Report::Bolt(Place::Stuck))),
            ("nuki/4A0B/state", "255", Some(Report::Bolt(Place::Unknown))),
            ("nuki/4A0B/state", "locked", None),
            ("nuki/4A0B/state", "", None),
            ("nuki/4A0B/batteryChargeState", "78", Some(Report::Battery(78))),
            ("nuki/4A0B/batteryChargeState", "300", None),
            ("nuki/4A0B/doorsensorState", "1", Some(Report::Door(Door::Unknown))),
            ("nuki/4A0B/doorsensorState", "2", Some(Report::Door(Door::Closed))),
            ("nuki/4A0B/doorsensorState", "3", Some(Report::Door(Door::Open))),
            ("nuki/4A0B/doorsensorState", "240", Some(Report::Alarm(Alarm::Tamper))),
            ("nuki/4A0B/commandResponse", "0", None),
            ("nuki/4A0B/commandResponse", "69", Some(Report::Refused)),
            ("nuki/4A0B/name", "1", None),
            ("nuki/OTHER/state", "1", None),
            ("nuki/4A0Bstate", "1", None),
        ] {
            assert_eq!(read(topic, payload), expected, "{topic} {payload}");
        }
    }

    #[test]
    fn an_action_says_who_it_came_from() {
        let by = |action, origin| Some(Report::Operated(action, origin));
        for (event, expected) in [
            ("1,172,0,0,0", by(Action::Unlock, Origin::Command)),
            ("2,172,0,0,0", by(Action::Lock, Origin::Command)),
            ("3,0,54321,12345,1", by(Action::Unlock, Origin::Hand(Hand::Key))),
            ("1,0,54322,0,1", by(Action::Unlock, Origin::Hand(Hand::Key))),
            ("4,2,0,0,0", by(Action::Unlock, Origin::Hand(Hand::Manual))),
            ("1,1,0,0,0", by(Action::Unlock, Origin::Hand(Hand::Manual))),
            ("2,6,0,0,0", by(Action::Lock, Origin::Hand(Hand::Auto))),
            ("6,3,0,0,0", by(Action::Lock, Origin::Hand(Hand::Auto))),
            ("3,3,54322,0,3", by(Action::Unlock, Origin::Hand(Hand::Key))),
            ("1,171,0,0,0", by(Action::Unlock, Origin::Hand(Hand::Key))),
            ("90,2,0,0,2", None),
            ("1", None),
            ("", None),
            ("1,172", None),
            ("a,b,c,d,e", None),
        ] {
            assert_eq!(read("nuki/4A0B/lockActionEvent", event), expected, "{event}");
        }
    }

    #[test]
    fn a_knob_outside_wants_the_latch_pulled() {
        let payload = |unlatches, action| Nuki::new("n", unlatches).command(action).unwrap().payload;
        assert_eq!(payload(false, Action::Unlock), "1");
        assert_eq!(payload(true, Action::Unlock), "3");
        assert_eq!(payload(true, Action::Lock), "2");
    }
}
