//! Locks of ESPHome's MQTT component: `<prefix>/lock/<object id>/{command,state}`, with `<prefix>/status` for the node.

use doorward_lock::wire::Action;

use super::dialect::{Dialect, Place, Proof, Report, Word};

/// The language of one lock of an ESPHome node.
#[derive(Debug)]
pub(super) struct EspHome {
    base: String,
    status: String,
    unlatches: bool,
}

impl EspHome {
    /// The lock at `base` (`<prefix>/lock/<object id>`); `None` where that is none. `unlatches`: to unlock is `OPEN`.
    pub(super) fn new(base: &str, unlatches: bool) -> Option<Self> {
        let (prefix, object) = base.rsplit_once("/lock/")?;
        let is_one = !prefix.is_empty() && !object.is_empty() && !object.contains('/');
        is_one.then(|| Self {
            base: base.to_owned(),
            status: format!("{prefix}/status"),
            unlatches,
        })
    }
}

impl Dialect for EspHome {
    fn filters(&self) -> Vec<String> {
        vec![format!("{}/state", self.base), self.status.clone()]
    }

    fn read(&mut self, topic: &str, payload: &str) -> Vec<Report> {
        let payload = payload.trim();
        if topic == self.status {
            return vec![Report::There(payload == "online")];
        }
        if topic.strip_prefix(self.base.as_str()) != Some("/state") {
            return Vec::new();
        }
        vec![Report::Bolt(match payload.to_ascii_uppercase().as_str() {
            "LOCKED" => Place::Locked,
            "UNLOCKED" | "OPEN" => Place::Unlocked,
            "LOCKING" | "UNLOCKING" | "OPENING" => Place::Moving,
            "JAMMED" => Place::Stuck,
            // Also `LOCK` and `UNLOCK`, which are commands.
            _ => Place::Unknown,
        })]
    }

    fn command(&self, action: Action) -> Option<Word> {
        let word = match action {
            Action::Unlock if self.unlatches => "OPEN",
            Action::Unlock => "UNLOCK",
            Action::Lock => "LOCK",
        };
        Some(Word::new(format!("{}/command", self.base), word))
    }

    fn proof(&self) -> Proof {
        Proof::Place
    }

    fn names_causes(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_participles_and_commands_are_verbs() {
        let mut lock = EspHome::new("hall/lock/front_door", false).unwrap();
        for (topic, payload, expected) in [
            (
                "hall/lock/front_door/state",
                "LOCKED",
                Some(Report::Bolt(Place::Locked)),
            ),
            (
                "hall/lock/front_door/state",
                "UNLOCKED",
                Some(Report::Bolt(Place::Unlocked)),
            ),
            (
                "hall/lock/front_door/state",
                "UNLOCKING",
                Some(Report::Bolt(Place::Moving)),
            ),
            ("hall/lock/front_door/state", "JAMMED", Some(Report::Bolt(Place::Stuck))),
            ("hall/lock/front_door/state", "LOCK", Some(Report::Bolt(Place::Unknown))),
            (
                "hall/lock/front_door/state",
                "UNLOCK",
                Some(Report::Bolt(Place::Unknown)),
            ),
            ("hall/lock/front_door/state", "NONE", Some(Report::Bolt(Place::Unknown))),
            ("hall/status", "online", Some(Report::There(true))),
            ("hall/status", "offline", Some(Report::There(false))),
            ("hall/lock/other/state", "LOCKED", None),
        ] {
            assert_eq!(
                lock.read(topic, payload).first().copied(),
                expected,
                "{topic} {payload}"
            );
        }
        let asks = |unlatches, action| EspHome::new("h/lock/d", unlatches).unwrap().command(action).unwrap();
        assert_eq!(
            asks(false, Action::Unlock),
            Word::new("h/lock/d/command".into(), "UNLOCK")
        );
        assert_eq!(asks(true, Action::Unlock).payload, "OPEN");
        assert_eq!(asks(true, Action::Lock).payload, "LOCK");
    }

    #[test]
    fn the_base_names_a_lock_of_a_node() {
        for (base, good) in [
            ("hall/lock/front_door", true),
            ("home/hall/lock/front", true),
            ("hall", false),
            ("/lock/front", false),
            ("hall/lock/", false),
            ("hall/lock/a/b", false),
        ] {
            assert_eq!(EspHome::new(base, false).is_some(), good, "{base}");
        }
    }
}
