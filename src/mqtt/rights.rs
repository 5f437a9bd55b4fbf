//! Who may use which topic (`docs/PROTOCOL.md`, "Topics"). Pure: the embedded broker asks here at every packet;
//! `dynamic_security`, or `config/mosquitto.acl`, says the same to an external one.

use crate::domain::relay::{DevicePlace, Principal};

use super::topics::{NodeName, Topic, Topics};

/// The only client id that `who` may connect with: a lock's id, a node's name. `None` for a device, whose id its maker
/// has chosen, and for its adapter.
#[must_use]
pub fn client_id(who: &Principal) -> Option<&str> {
    match who {
        Principal::Lock(lock) => Some(lock.as_str()),
        Principal::Backend { node } => Some(node),
        Principal::Device(_) | Principal::Adapter(_) => None,
    }
}

/// Whether `who` may publish to `topic`: a lock to its own `up/…` and `status`, a node to every lock's `down`; a device
/// within its base and never to its own commands, its adapter to these commands and to nothing else. With the retain
/// flag nobody but a device.
#[must_use]
pub fn may_publish(topics: &Topics, who: &Principal, topic: &str, retain: bool) -> bool {
    match who {
        Principal::Device(place) => return is_of_device(topics, place, topic),
        Principal::Adapter(place) => return !retain && is_command(place, topic) && !topics.is_own(topic),
        Principal::Lock(_) | Principal::Backend { .. } => {}
    }
    let own = match (who, topics.parse(topic)) {
        (Principal::Lock(me), Some(Topic::Up(lock, _) | Topic::Status(lock))) => lock == *me,
        (Principal::Backend { .. }, Some(Topic::Down(_))) => true,
        _ => false,
    };
    own && !retain
}

/// Whether `who` may subscribe to `filter`: a lock to its own `down` and to no wildcard; a node to what all locks say
/// to it and to any node (shared or not), and to their comings and goings; a device and its adapter to what lies within
/// its base.
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
        Principal::Device(place) => is_within(filter, &place.base),
        Principal::Adapter(place) => {
            is_within(filter, &place.base) || place.also.iter().any(|also| matches(also, filter))
        }
    }
}

/// Whether a device may publish there: within its base, or where it describes itself, and not to its own commands.
fn is_of_device(topics: &Topics, place: &DevicePlace, topic: &str) -> bool {
    let is_own = is_within(topic, &place.base) || place.also.iter().any(|also| matches(also, topic));
    is_own && !is_command(place, topic) && !topics.is_own(topic)
}

fn is_command(place: &DevicePlace, topic: &str) -> bool {
    place.commands.iter().any(|command| matches(command, topic))
}

/// Whether a topic or filter is `base`, or lies below it.
fn is_within(filter: &str, base: &str) -> bool {
    let rest = filter.strip_prefix(base);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether the topic's name matches the filter (MQTT 3.1.1, 4.7).
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.is_empty() || topic.contains(['+', '#']) || topic.starts_with('$') != filter.starts_with('$') {
        return false;
    }
    let (mut levels, mut names) = (filter.split('/'), topic.split('/'));
    loop {
        match (levels.next(), names.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(level), Some(name)) if level == name => {}
            _ => return false,
        }
    }
}

/// Whether `who` may leave this last will: a lock on its own `status`, not retained and not delayed; a will anywhere
/// else would be a message that fires later, when the right to send it may be gone. A device's may be anything that it
/// may publish.
#[must_use]
pub fn may_leave_will(topics: &Topics, who: &Principal, topic: &str, retain: bool, delayed: bool) -> bool {
    match who {
        Principal::Lock(lock) => topic == topics.status(lock) && !retain && !delayed,
        Principal::Device(place) => is_of_device(topics, place, topic) && !delayed,
        Principal::Backend { .. } | Principal::Adapter(_) => false,
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

    fn device() -> (Principal, Principal) {
        let place = std::sync::Arc::new(DevicePlace {
            user: "zigbee".into(),
            base: "zigbee2mqtt".into(),
            also: vec!["homeassistant/+/zigbee/#".into()],
            commands: vec!["zigbee2mqtt/+/set/#".into(), "zigbee2mqtt/+/get".into()],
        });
        (
            Principal::Device(std::sync::Arc::clone(&place)),
            Principal::Adapter(place),
        )
    }

    #[test]
    fn a_devices_commands_are_its_adapters_alone() {
        let (p, (device, adapter)) = (people(), device());
        let down = p.topics.down(&p.mine);
        for (topic, by_device, by_adapter) in [
            ("zigbee2mqtt/front", true, false),
            ("zigbee2mqtt/bridge/state", true, false),
            ("zigbee2mqtt", true, false),
            ("zigbee2mqtt/front/set", false, true),
            ("zigbee2mqtt/front/set/state", false, true),
            ("zigbee2mqtt/front/get", false, true),
            ("zigbee2mqtt2/front", false, false),
            ("homeassistant/lock/zigbee/front/config", true, false),
            ("homeassistant/lock/other/front/config", false, false),
            ("nuki/1/lockAction", false, false),
            (&down, false, false),
            ("$SYS/zigbee2mqtt", false, false),
        ] {
            let may = |who, retain| may_publish(&p.topics, who, topic, retain);
            assert_eq!(may(&device, false), by_device, "device to {topic}");
            assert_eq!(may(&device, true), by_device, "device, retained, to {topic}");
            assert_eq!(may(&adapter, false), by_adapter, "adapter to {topic}");
            assert!(!may(&adapter, true), "adapter, retained, to {topic}");
            assert!(!may(&p.lock, false), "lock to {topic}");
            assert_eq!(may(&p.node, false), topic == down, "node to {topic}");
        }
    }

    #[test]
    fn a_device_and_its_adapter_hear_its_base_and_nobody_else_does() {
        let (p, (device, adapter)) = (people(), device());
        for (filter, by_device, by_adapter) in [
            ("zigbee2mqtt/#", true, true),
            ("zigbee2mqtt/+/set", true, true),
            ("zigbee2mqtt", true, true),
            ("zigbee2mqtt2/#", false, false),
            ("homeassistant/lock/zigbee/front/config", false, true),
            ("homeassistant/#", false, false),
            ("+/front", false, false),
            ("#", false, false),
            ("$share/g/zigbee2mqtt/#", false, false),
            ("doorward/v1/+/up/any", false, false),
        ] {
            assert_eq!(
                may_subscribe(&p.topics, &device, filter),
                by_device,
                "device to {filter}"
            );
            assert_eq!(
                may_subscribe(&p.topics, &adapter, filter),
                by_adapter,
                "adapter to {filter}"
            );
            assert!(!may_subscribe(&p.topics, &p.lock, filter), "lock to {filter}");
        }
        assert!(may_leave_will(
            &p.topics,
            &device,
            "zigbee2mqtt/bridge/state",
            true,
            false
        ));
        assert!(!may_leave_will(
            &p.topics,
            &device,
            "zigbee2mqtt/front/set",
            false,
            false
        ));
        assert!(!may_leave_will(
            &p.topics,
            &device,
            "zigbee2mqtt/bridge/state",
            true,
            true
        ));
        assert!(!may_leave_will(
            &p.topics,
            &adapter,
            "zigbee2mqtt/front/set",
            false,
            false
        ));
    }

    #[test]
    fn a_base_that_is_too_wide_does_not_reach_the_locks() {
        let p = people();
        let place = std::sync::Arc::new(DevicePlace {
            user: "greedy".into(),
            base: "doorward".into(),
            also: vec!["#".into()],
            commands: vec!["#".into()],
        });
        let adapter = Principal::Adapter(std::sync::Arc::clone(&place));
        for topic in [
            p.topics.down(&p.mine),
            p.topics.up(&p.mine, "any"),
            p.topics.status(&p.mine),
        ] {
            assert!(!may_publish(
                &p.topics,
                &Principal::Device(std::sync::Arc::clone(&place)),
                &topic,
                false
            ));
            assert!(!may_publish(&p.topics, &adapter, &topic, false));
        }
    }

    #[test]
    fn filters_match_as_mqtt_says() {
        for (filter, topic, good) in [
            ("a/b", "a/b", true),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("a/+", "a", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("#", "a/b", true),
            ("#", "$SYS/a", false),
            ("+/b", "a/b", true),
            ("a/b", "a/+", false),
            ("a/b", "", false),
        ] {
            assert_eq!(matches(filter, topic), good, "{filter} {topic}");
        }
    }
}
