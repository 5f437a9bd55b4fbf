//! Who may use which topic (`docs/PROTOCOL.md`, "Topics"). Pure: the embedded broker asks here at every packet;
//! `dynamic_security`, or `config/mosquitto.acl`, says the same to an external one.

use crate::domain::relay::Principal;

use super::topics::{NodeName, Topic, Topics};

/// The only client id that `who` may connect with: a lock's id, a node's name.
#[must_use]
pub fn client_id(who: &Principal) -> &str {
    match who {
        Principal::Lock(lock) => lock.as_str(),
        Principal::Backend { node } => node,
    }
}

/// Whether `who` may publish to `topic`: a lock to its own `up/…` and `status`, a node to every lock's `down`, and
/// nobody with the retain flag.
#[must_use]
pub fn may_publish(topics: &Topics, who: &Principal, topic: &str, retain: bool) -> bool {
    let own = match (who, topics.parse(topic)) {
        (Principal::Lock(me), Some(Topic::Up(lock, _) | Topic::Status(lock))) => lock == *me,
        (Principal::Backend { .. }, Some(Topic::Down(_))) => true,
        _ => false,
    };
    own && !retain
}

/// Whether `who` may subscribe to `filter`: a lock to its own `down` and to no wildcard; a node to what all locks say
/// to it and to any node (shared or not), and to their comings and goings.
#[must_use]
pub fn may_subscribe(topics: &Topics, who: &Principal, filter: &str) -> bool {
    match who {
        Principal::Lock(lock) => filter == topics.down(lock),
        Principal::Backend { node } => {
            node.parse::<NodeName>()
                .is_ok_and(|node| filter == topics.all_up(&node))
                || filter == topics.all_up_any(false)
                || filter == topics.all_up_any(true)
                || filter == topics.all_status()
        }
    }
}

/// Whether `who` may leave this last will: a lock on its own `status`, not retained and not delayed; a will anywhere
/// else would be a message that fires later, when the right to send it may be gone.
#[must_use]
pub fn may_leave_will(topics: &Topics, who: &Principal, topic: &str, retain: bool, delayed: bool) -> bool {
    match who {
        Principal::Lock(lock) => topic == topics.status(lock) && !retain && !delayed,
        Principal::Backend { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::LockId;

    struct People {
        topics: Topics,
        mine: LockId,
        other: LockId,
        lock: Principal,
        node: Principal,
    }

    fn people() -> People {
        let (mine, other) = (LockId::from_bits(1), LockId::from_bits(2));
        People {
            topics: Topics::new("doorward/v1").unwrap(),
            lock: Principal::Lock(mine.clone()),
            node: Principal::Backend { node: "node-1".into() },
            mine,
            other,
        }
    }

    #[test]
    fn publishing_follows_the_table_of_the_protocol() {
        let p = people();
        let t = &p.topics;
        for (topic, lock, node) in [
            (t.up(&p.mine, "node-1"), true, false),
            (t.up(&p.mine, "node-2"), true, false),
            (t.up(&p.mine, "any"), true, false),
            (t.status(&p.mine), true, false),
            (t.down(&p.mine), false, true),
            (t.down(&p.other), false, true),
            (t.up(&p.other, "any"), false, false),
            (t.status(&p.other), false, false),
            (t.up(&p.mine, "a/b"), false, false),
            ("doorward/v1".into(), false, false),
            ("$SYS/broker".into(), false, false),
            (format!("other/{}/status", p.mine), false, false),
        ] {
            assert_eq!(may_publish(t, &p.lock, &topic, false), lock, "lock to {topic}");
            assert_eq!(may_publish(t, &p.node, &topic, false), node, "node to {topic}");
            assert!(!may_publish(t, &p.lock, &topic, true), "lock, retained, to {topic}");
            assert!(!may_publish(t, &p.node, &topic, true), "node, retained, to {topic}");
        }
    }

    #[test]
    fn subscribing_follows_the_table_of_the_protocol() {
        let p = people();
        let t = &p.topics;
        for (filter, lock, node) in [
            (t.down(&p.mine), true, false),
            (t.down(&p.other), false, false),
            ("doorward/v1/+/down".into(), false, false),
            (format!("doorward/v1/{}/+", p.mine), false, false),
            (format!("doorward/v1/{}/#", p.mine), false, false),
            (format!("$share/g/doorward/v1/{}/down", p.mine), false, false),
            ("doorward/v1/+/up/node-1".into(), false, true),
            ("doorward/v1/+/up/node-2".into(), false, false),
            ("doorward/v1/+/up/+".into(), false, false),
            ("doorward/v1/+/up/any".into(), false, true),
            ("$share/doorward/doorward/v1/+/up/any".into(), false, true),
            ("$share/other/doorward/v1/+/up/any".into(), false, false),
            ("doorward/v1/+/status".into(), false, true),
            ("#".into(), false, false),
            ("+/+/+/+".into(), false, false),
            ("$SYS/#".into(), false, false),
        ] {
            assert_eq!(may_subscribe(t, &p.lock, &filter), lock, "lock to {filter}");
            assert_eq!(may_subscribe(t, &p.node, &filter), node, "node to {filter}");
        }
    }

    #[test]
    fn a_will_is_a_locks_own_status_and_nothing_else() {
        let p = people();
        let t = &p.topics;
        assert!(may_leave_will(t, &p.lock, &t.status(&p.mine), false, false));
        assert!(!may_leave_will(t, &p.lock, &t.status(&p.mine), true, false));
        assert!(!may_leave_will(t, &p.lock, &t.status(&p.mine), false, true));
        for topic in [
            t.status(&p.other),
            t.down(&p.other),
            t.down(&p.mine),
            t.up(&p.mine, "any"),
        ] {
            assert!(!may_leave_will(t, &p.lock, &topic, false, false), "{topic}");
        }
        assert!(!may_leave_will(t, &p.node, &t.status(&p.mine), false, false));
    }

    #[test]
    fn a_node_that_borrows_a_wildcard_for_a_name_gets_nothing() {
        let p = people();
        let forged = Principal::Backend { node: "+".into() };
        assert!(!may_subscribe(&p.topics, &forged, "doorward/v1/+/up/+"));
    }
}
