//! The names of the topics (`docs/PROTOCOL.md`, "Topics"): `{root}/{lock}/down`, `{root}/{lock}/up/{node}` and
//! `{root}/{lock}/status`, and the filters a node of the backend subscribes to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::domain::ids::LockId;

/// The last level of the `up` topic that every node listens to.
pub const ANY_NODE: &str = "any";

/// The group in which the nodes share `up/any`, where the broker has shared subscriptions.
const SHARE_GROUP: &str = "doorward";

/// A text cannot be the root of the topics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a topic root of 1 to 64 letters, digits, `-`, `_`, `.` and single inner `/`, such as doorward/v1")]
pub struct BadRoot;

/// A text cannot name a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a node name of 1 to 32 small letters, digits and `-`, other than `any`")]
pub struct BadNode;

/// The name of one node of the backend: a topic level, and that node's MQTT client id. It has no underscore, so that
/// it is never a lock's id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeName {
    type Err = BadNode;

    fn from_str(text: &str) -> Result<Self, BadNode> {
        let letters = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if letters && (1..=32).contains(&text.len()) && text != ANY_NODE {
            Ok(Self(text.into()))
        } else {
            Err(BadNode)
        }
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The topics under one root. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    root: Arc<str>,
}

/// What a topic's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic<'a> {
    /// From the backend to the lock.
    Down(LockId),
    /// From the lock to the node named last (or [`ANY_NODE`]).
    Up(LockId, &'a str),
    /// Whether the lock is there.
    Status(LockId),
}

impl Topics {
    /// The topics under `root`.
    ///
    /// # Errors
    /// [`BadRoot`] where `root` could not be the beginning of a topic, or holds a wildcard.
    pub fn new(root: &str) -> Result<Self, BadRoot> {
        let level = |level: &str| {
            !level.is_empty()
                && level
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        if root.len() <= 64 && root.split('/').all(level) {
            Ok(Self { root: root.into() })
        } else {
            Err(BadRoot)
        }
    }

    /// Where the backend speaks to the lock.
    #[must_use]
    pub fn down(&self, lock: &LockId) -> String {
        format!("{}/{lock}/down", self.root)
    }

    /// Where the lock speaks to `node` (or [`ANY_NODE`]).
    #[must_use]
    pub fn up(&self, lock: &LockId, node: &str) -> String {
        format!("{}/{lock}/up/{node}", self.root)
    }

    /// Where the lock, or its last will, says that it is there or gone.
    #[must_use]
    pub fn status(&self, lock: &LockId) -> String {
        format!("{}/{lock}/status", self.root)
    }

    /// What all locks say to `node`.
    #[must_use]
    pub fn all_up(&self, node: &NodeName) -> String {
        format!("{}/+/up/{node}", self.root)
    }

    /// What all locks say to any node: every node hears it, or, `shared`, one of them.
    #[must_use]
    pub fn all_up_any(&self, shared: bool) -> String {
        let plain = format!("{}/+/up/{ANY_NODE}", self.root);
        if shared {
            format!("$share/{SHARE_GROUP}/{plain}")
        } else {
            plain
        }
    }

    /// All locks' comings and goings.
    #[must_use]
    pub fn all_status(&self) -> String {
        format!("{}/+/status", self.root)
    }

    /// Whether a topic or filter lies under this root, or above it.
    #[must_use]
    pub fn is_own(&self, topic: &str) -> bool {
        let mut levels = self.root.split('/').zip(topic.split('/'));
        levels.all(|(own, other)| own == other || matches!(other, "+" | "#"))
    }

    /// What `topic` says, or `None` where it is no topic of a lock under this root.
    #[must_use]
    pub fn parse<'a>(&self, topic: &'a str) -> Option<Topic<'a>> {
        let rest = topic.strip_prefix(&*self.root)?.strip_prefix('/')?;
        let (lock, rest) = rest.split_once('/')?;
        let lock = lock.parse().ok()?;
        match rest.split_once('/') {
            None if rest == "down" => Some(Topic::Down(lock)),
            None if rest == "status" => Some(Topic::Status(lock)),
            Some(("up", node)) if node == ANY_NODE || node.parse::<NodeName>().is_ok() => Some(Topic::Up(lock, node)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics() -> Topics {
        Topics::new("doorward/v1").unwrap()
    }

    #[test]
    fn a_root_is_some_plain_levels() {
        for (root, good) in [
            ("doorward/v1", true),
            ("d", true),
            ("a_b/c-d/v1.2", true),
            ("", false),
            ("/doorward", false),
            ("doorward/", false),
            ("door//ward", false),
            ("door/+/ward", false),
            ("doorward/#", false),
            ("$SYS", false),
            ("door ward", false),
            (&"d".repeat(65), false),
        ] {
            assert_eq!(Topics::new(root).is_ok(), good, "{root}");
        }
    }

    #[test]
    fn a_node_is_never_a_lock_nor_any() {
        let lock = LockId::from_bits(1);
        for (node, good) in [
            ("node-1", true),
            ("n", true),
            ("any", false),
            ("", false),
            ("+", false),
            ("a/b", false),
            ("A", false),
        ] {
            assert_eq!(node.parse::<NodeName>().is_ok(), good, "{node}");
        }
        assert!(lock.as_str().parse::<NodeName>().is_err());
    }

    #[test]
    fn a_topic_survives_its_name() {
        let (topics, lock) = (topics(), LockId::from_bits(7));
        assert_eq!(topics.parse(&topics.down(&lock)), Some(Topic::Down(lock.clone())));
        assert_eq!(
            topics.parse(&topics.up(&lock, "node-1")),
            Some(Topic::Up(lock.clone(), "node-1"))
        );
        assert_eq!(
            topics.parse(&topics.up(&lock, ANY_NODE)),
            Some(Topic::Up(lock.clone(), ANY_NODE))
        );
        assert_eq!(topics.parse(&topics.status(&lock)), Some(Topic::Status(lock)));
    }

    #[test]
    fn other_names_say_nothing() {
        let lock = LockId::from_bits(7);
        for topic in [
            String::new(),
            "doorward/v1".into(),
            format!("doorward/v1/{lock}"),
            format!("doorward/v1/{lock}/up"),
            format!("doorward/v1/{lock}/up/"),
            format!("doorward/v1/{lock}/up/a/b"),
            format!("doorward/v1/{lock}/up/+"),
            format!("doorward/v1/{lock}/down/x"),
            format!("doorward/v1x/{lock}/down"),
            format!("other/{lock}/down"),
            format!("/doorward/v1/{lock}/down"),
            "doorward/v1/lock_7/down".into(),
            "doorward/v1/+/down".into(),
        ] {
            assert_eq!(topics().parse(&topic), None, "{topic}");
        }
    }
}
