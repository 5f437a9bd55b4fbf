//! The topics at Home Assistant's broker: made, and read back.
//!
//! ```text
//! homeassistant/lock/doorward/lock_…_lock/config    what there is, kept by the broker (discovery)
//! doorward/status                                   whether anything is shown now: online, offline (our last will)
//! doorward/lock_…/availability                      whether that lock is heard of
//! doorward/lock_…/lock · battery · door             its states, kept
//! doorward/lock_…/alarm                             what has happened, not kept
//! doorward/lock_…/command                           what Home Assistant asks for, never kept
//! ```

use crate::domain::ids::LockId;

/// Something of a lock that Home Assistant shows on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Part {
    Lock,
    Battery,
    Door,
    Alarm,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::Lock, Self::Battery, Self::Door, Self::Alarm];

    /// Its word in topics and identifiers.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Battery => "battery",
            Self::Door => "door",
            Self::Alarm => "alarm",
        }
    }

    /// The component of Home Assistant that shows it.
    const fn component(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Battery => "sensor",
            Self::Door => "binary_sensor",
            Self::Alarm => "event",
        }
    }
}

/// What a topic is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Home Assistant says that it has started, or ends.
    Home,
    /// A configuration of ours; `None` for a lock that nobody could name so.
    Config(Option<LockId>),
    /// Home Assistant asks for a door.
    Command(LockId),
}

/// The names, below the two roots that the operator has chosen.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    prefix: String,
    base: String,
    /// The base as one level of a discovery topic: what tells our configurations from others'.
    node: String,
}

impl Topics {
    pub(super) fn new(prefix: &str, base: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            base: base.to_owned(),
            node: base.replace('/', "_"),
        }
    }

    /// What is subscribed to: Home Assistant's birth, our own configurations, and commands where they are allowed.
    pub(super) fn filters(&self, commands: bool) -> Vec<String> {
        let mut filters = vec![self.birth(), format!("{}/+/{}/+/config", self.prefix, self.node)];
        if commands {
            filters.push(format!("{}/+/command", self.base));
        }
        filters
    }

    fn birth(&self) -> String {
        format!("{}/status", self.prefix)
    }

    /// Whether anything is shown now.
    pub(super) fn status(&self) -> String {
        format!("{}/status", self.base)
    }

    /// Where the part's configuration is.
    pub(super) fn config(&self, lock: &LockId, part: Part) -> String {
        let (prefix, node) = (&self.prefix, &self.node);
        format!("{prefix}/{}/{node}/{lock}_{}/config", part.component(), part.as_str())
    }

    /// Where the part's state is.
    pub(super) fn state(&self, lock: &LockId, part: Part) -> String {
        self.of(lock, part.as_str())
    }

    /// Whether the lock is heard of.
    pub(super) fn availability(&self, lock: &LockId) -> String {
        self.of(lock, "availability")
    }

    /// Where Home Assistant asks for the door.
    pub(super) fn command(&self, lock: &LockId) -> String {
        self.of(lock, "command")
    }

    /// What the broker keeps of a lock beside its configurations.
    pub(super) fn kept_states(&self, lock: &LockId) -> [String; 4] {
        let state = |part| self.state(lock, part);
        [
            self.availability(lock),
            state(Part::Lock),
            state(Part::Battery),
            state(Part::Door),
        ]
    }

    fn of(&self, lock: &LockId, last: &str) -> String {
        format!("{}/{lock}/{last}", self.base)
    }

    /// What the topic is about, if it is one of those.
    pub(super) fn parse(&self, topic: &str) -> Option<Topic> {
        if topic == self.birth() {
            return Some(Topic::Home);
        }
        let command = topic
            .strip_prefix(&self.base)
            .and_then(|rest| rest.strip_prefix('/')?.strip_suffix("/command"));
        if let Some(lock) = command {
            return lock.parse().ok().map(Topic::Command);
        }
        let rest = topic.strip_prefix(&self.prefix)?.strip_prefix('/')?;
        let [_, node, object, "config"] = rest.split('/').collect::<Vec<_>>()[..] else {
            return None;
        };
        let named = object.rsplit_once('_').and_then(|(lock, _)| lock.parse().ok());
        (node == self.node).then_some(Topic::Config(named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_as_they_are_made() {
        let lock = LockId::from_bits(7);
        for (prefix, base) in [("homeassistant", "doorward"), ("ha/discovery", "house/doors")] {
            let topics = Topics::new(prefix, base);
            for part in Part::ALL {
                let config = topics.parse(&topics.config(&lock, part));
                assert_eq!(config, Some(Topic::Config(Some(lock.clone()))));
            }
            let command = topics.parse(&topics.command(&lock));
            assert_eq!(command, Some(Topic::Command(lock.clone())));
            assert_eq!(topics.parse(&topics.birth()), Some(Topic::Home));
            for strange in [
                String::new(),
                topics.status(),
                topics.availability(&lock),
                format!("{base}/lock_7/command"),
                format!("{base}/command"),
                format!("{prefix}/lock/other/{lock}_lock/config"),
                format!("{prefix}/lock/{lock}_lock/config"),
            ] {
                assert_eq!(topics.parse(&strange), None, "{strange}");
            }
            let node = base.replace('/', "_");
            let nobodys = topics.parse(&format!("{prefix}/lock/{node}/cellar/config"));
            assert_eq!(nobodys, Some(Topic::Config(None)));
        }
    }
}
