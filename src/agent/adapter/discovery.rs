//! Any lock that Home Assistant's MQTT discovery describes: the device says itself, in a retained configuration, what it
//! calls a state and what a command (`homeassistant/lock/…/config`, or a lock among the components of
//! `homeassistant/device/…/config`).

use std::collections::BTreeMap;

use doorward_lock::wire::Action;
use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;
use serde_json::{Map, Value};

use super::dialect::{Dialect, Place, Proof, Report, Word};

/// The short forms of the keys that are used here (Home Assistant, `mqtt/abbreviations.py`).
const SHORT: [(&str, &str); 22] = [
    ("avty", "availability"),
    ("avty_mode", "availability_mode"),
    ("avty_t", "availability_topic"),
    ("avty_tpl", "availability_template"),
    ("cmd_t", "command_topic"),
    ("cmd_tpl", "command_template"),
    ("cmps", "components"),
    ("opt", "optimistic"),
    ("p", "platform"),
    ("pl_avail", "payload_available"),
    ("pl_lock", "payload_lock"),
    ("pl_not_avail", "payload_not_available"),
    ("pl_open", "payload_open"),
    ("pl_unlk", "payload_unlock"),
    ("stat_jam", "state_jammed"),
    ("stat_locked", "state_locked"),
    ("stat_locking", "state_locking"),
    ("stat_t", "state_topic"),
    ("stat_unlocked", "state_unlocked"),
    ("stat_unlocking", "state_unlocking"),
    ("t", "topic"),
    ("val_tpl", "value_template"),
];

/// How much a template may do: far more than any that reads one value out of an object.
const FUEL: u64 = 10_000;

/// The longest template that is looked at, in bytes.
const TEMPLATE_LIMIT: usize = 1024;

/// A description cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not a JSON object, or no lock in it.
    #[error("it describes no lock")]
    NoLock,
    /// Topics are missing, or hold wildcards.
    #[error("it names no topic for commands or none for the state")]
    NoTopics,
    /// The lock only supposes where its bolt is.
    #[error("the lock is optimistic: it takes every command for done, so that nothing it says confirms one")]
    Optimistic,
    /// A template is too long or not one.
    #[error("one of its templates cannot be read")]
    Template,
    /// It cannot pull the latch.
    #[error("the lock has no payload_open, and is to pull the latch")]
    NoLatch,
}

/// When several topics say whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    All,
    Any,
    Latest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Availability {
    topic: String,
    template: Option<String>,
    there: String,
    away: String,
    is_there: bool,
}

/// What a device says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Description {
    command_topic: String,
    command_template: Option<String>,
    payload_lock: String,
    payload_unlock: String,
    state_topic: String,
    value_template: Option<String>,
    /// From the word for a state to the state.
    states: BTreeMap<String, Place>,
    availability: Vec<Availability>,
    mode: Mode,
}

/// The language of a lock that describes itself.
#[derive(Debug)]
pub(super) struct Discovered {
    config_topic: String,
    unlatches: bool,
    described: Option<Description>,
}

impl Discovered {
    /// The lock whose configuration is published at `config_topic`.
    pub(super) fn new(config_topic: &str, unlatches: bool) -> Self {
        Self {
            config_topic: config_topic.to_owned(),
            unlatches,
            described: None,
        }
    }

    fn learn(&mut self, payload: &str) -> Vec<Report> {
        let described = describe(payload, self.unlatches);
        if let Err(unfit) = &described {
            tracing::warn!(
                topic = self.config_topic,
                "the description at {} cannot be used: {unfit}",
                self.config_topic
            );
        }
        let described = described.ok();
        let is_same = match (&described, &self.described) {
            (Some(new), Some(old)) => new.is_same(old),
            (None, None) => true,
            _ => false,
        };
        if is_same {
            return Vec::new();
        }
        self.described = described;
        vec![Report::There(self.is_there_unasked())]
    }
}

impl Description {
    /// Whether it says the same, whatever is there now.
    fn is_same(&self, other: &Self) -> bool {
        let still = |description: &Self| {
            let mut description = description.clone();
            description.availability.iter_mut().for_each(|way| way.is_there = false);
            description
        };
        still(self) == still(other)
    }

    fn is_there(&self, latest: bool) -> bool {
        let mut ways = self.availability.iter().map(|way| way.is_there);
        match self.mode {
            Mode::All => ways.all(|is_there| is_there),
            Mode::Any => ways.any(|is_there| is_there),
            Mode::Latest => latest,
        }
    }
}

impl Dialect for Discovered {
    fn filters(&self) -> Vec<String> {
        let described = self.described.iter();
        let topics = described.flat_map(|described| {
            let availability = described.availability.iter().map(|way| way.topic.clone());
            availability.chain([described.state_topic.clone()])
        });
        let mut filters: Vec<String> = std::iter::once(self.config_topic.clone()).chain(topics).collect();
        filters.sort();
        filters.dedup();
        filters
    }

    fn read(&mut self, topic: &str, payload: &str) -> Vec<Report> {
        if topic == self.config_topic {
            return self.learn(payload);
        }
        let Some(described) = &mut self.described else {
            return Vec::new();
        };
        let mut reports = Vec::new();
        let mut latest = None;
        for way in described.availability.iter_mut().filter(|way| way.topic == topic) {
            let said = render(way.template.as_deref(), payload);
            match said {
                Some(said) if said == way.there => way.is_there = true,
                Some(said) if said == way.away => way.is_there = false,
                _ => continue,
            }
            latest = Some(way.is_there);
        }
        if let Some(latest) = latest {
            reports.push(Report::There(described.is_there(latest)));
        }
        if topic == described.state_topic {
            let said = render(described.value_template.as_deref(), payload);
            // Home Assistant takes an empty value for none.
            if let Some(said) = said.filter(|said| !said.is_empty()) {
                let place = described.states.get(&said).copied().unwrap_or(Place::Unknown);
                reports.push(Report::Bolt(place));
            }
        }
        reports
    }

    fn command(&self, action: Action) -> Option<Word> {
        let described = self.described.as_ref()?;
        let payload = match action {
            Action::Unlock => &described.payload_unlock,
            Action::Lock => &described.payload_lock,
        };
        let payload = render(described.command_template.as_deref(), payload)?;
        Some(Word::new(described.command_topic.clone(), payload))
    }

    fn proof(&self) -> Proof {
        Proof::Place
    }

    fn names_causes(&self) -> bool {
        false
    }

    fn forget(&mut self) {
        let described = self.described.iter_mut();
        described
            .flat_map(|described| &mut described.availability)
            .for_each(|way| way.is_there = false);
    }

    fn is_there_unasked(&self) -> bool {
        self.described
            .as_ref()
            .is_some_and(|described| described.availability.is_empty())
    }
}

/// The description in this configuration.
fn describe(payload: &str, unlatches: bool) -> Result<Description, Unfit> {
    let config: Value = serde_json::from_str(payload).map_err(|_| Unfit::NoLock)?;
    let Value::Object(config) = lengthen(config) else {
        return Err(Unfit::NoLock);
    };
    let lock = lock_of(config).ok_or(Unfit::NoLock)?;
    let base = lock.get("~").and_then(Value::as_str).unwrap_or_default();
    let text = |key: &str| lock.get(key).and_then(said);
    let topic = |topic: String| whole_topic(&topic, base);
    let or = |key: &str, default: &str| text(key).unwrap_or_else(|| default.to_owned());
    let (Some(command_topic), Some(state_topic)) = (
        text("command_topic").and_then(topic),
        text("state_topic").and_then(topic),
    ) else {
        return Err(Unfit::NoTopics);
    };
    if lock.get("optimistic") == Some(&Value::Bool(true)) {
        return Err(Unfit::Optimistic);
    }
    let states = [
        ("state_locking", "LOCKING", Place::Moving),
        ("state_unlocking", "UNLOCKING", Place::Moving),
        ("state_opening", "OPENING", Place::Moving),
        ("state_open", "OPEN", Place::Unlocked),
        ("state_jammed", "JAMMED", Place::Stuck),
        ("state_unlocked", "UNLOCKED", Place::Unlocked),
        ("state_locked", "LOCKED", Place::Locked),
    ];
    let payload_unlock = match (unlatches, text("payload_open")) {
        (true, None) => return Err(Unfit::NoLatch),
        (true, Some(open)) => open,
        (false, _) => or("payload_unlock", "UNLOCK"),
    };
    let described = Description {
        command_topic,
        command_template: text("command_template"),
        payload_lock: or("payload_lock", "LOCK"),
        payload_unlock,
        state_topic,
        value_template: text("value_template"),
        states: states.map(|(key, word, place)| (or(key, word), place)).into(),
        availability: availability(&lock, base)?,
        mode: match text("availability_mode").as_deref() {
            Some("all") => Mode::All,
            Some("any") => Mode::Any,
            _ => Mode::Latest,
        },
    };
    let own = [&described.command_template, &described.value_template];
    let ways = described.availability.iter().map(|way| &way.template);
    if own
        .into_iter()
        .chain(ways)
        .flatten()
        .any(|template| !is_template(template))
    {
        return Err(Unfit::Template);
    }
    Ok(described)
}

/// The topics that say whether it is there.
fn availability(lock: &Map<String, Value>, base: &str) -> Result<Vec<Availability>, Unfit> {
    let text = |of: &Map<String, Value>, key: &str| of.get(key).and_then(said);
    let way = |of: &Map<String, Value>, topic: &str, template: &str| {
        let or = |key: &str, default: &str| text(of, key).unwrap_or_else(|| default.to_owned());
        Some(Availability {
            topic: whole_topic(&text(of, topic)?, base)?,
            template: text(of, template),
            there: or("payload_available", "online"),
            away: or("payload_not_available", "offline"),
            is_there: false,
        })
    };
    let ways: Option<Vec<Availability>> = match lock.get("availability") {
        Some(Value::Array(ways)) => ways
            .iter()
            .map(|of| way(of.as_object()?, "topic", "value_template"))
            .collect(),
        Some(Value::Object(of)) => way(of, "topic", "value_template").map(|way| vec![way]),
        _ if lock.contains_key("availability_topic") => {
            way(lock, "availability_topic", "availability_template").map(|way| vec![way])
        }
        _ => Some(Vec::new()),
    };
    ways.ok_or(Unfit::NoTopics)
}

/// The configuration of the lock: the whole, or the first lock among the components, over what they share.
fn lock_of(mut config: Map<String, Value>) -> Option<Map<String, Value>> {
    let Some(components) = config.remove("components") else {
        return Some(config);
    };
    let Value::Object(components) = components else {
        return None;
    };
    let lock = components.into_iter().find_map(|(_, component)| match component {
        Value::Object(component) if component.get("platform").and_then(Value::as_str) == Some("lock") => {
            Some(component)
        }
        _ => None,
    })?;
    config.extend(lock);
    Some(config)
}

/// The same with every key in its long form.
fn lengthen(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let long = |key: String| {
                let long = SHORT.iter().find(|(short, _)| *short == key);
                long.map_or(key, |(_, long)| (*long).to_owned())
            };
            let members = members.into_iter().map(|(key, value)| (long(key), lengthen(value)));
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(lengthen).collect()),
        other => other,
    }
}

/// A value as a text: devices write `1` as well as `"1"`.
fn said(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}

/// `~` at either end stands for the base. No wildcards: they would make the adapter listen to others, or to nobody.
fn whole_topic(topic: &str, base: &str) -> Option<String> {
    let topic = if let Some(rest) = topic.strip_prefix('~') {
        format!("{base}{rest}")
    } else if let Some(rest) = topic.strip_suffix('~') {
        format!("{rest}{base}")
    } else {
        topic.to_owned()
    };
    let is_plain = !topic.is_empty() && topic.len() <= 512 && !topic.contains(['+', '#', '\0']);
    is_plain.then_some(topic)
}

fn is_template(template: &str) -> bool {
    template.len() <= TEMPLATE_LIMIT && Environment::new().template_from_str(template).is_ok()
}

/// What the template makes of the payload; the payload itself without one, nothing where it fails.
fn render(template: Option<&str>, payload: &str) -> Option<String> {
    #[derive(Serialize)]
    struct Given<'a> {
        value: &'a str,
        value_json: Option<Value>,
    }
    let Some(template) = template else {
        return Some(payload.trim().to_owned());
    };
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    let given = Given {
        value: payload,
        value_json: serde_json::from_str(payload).ok(),
    };
    let rendered = environment.render_str(template, Serde(given)).ok()?;
    Some(rendered.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CONFIG: &str = "homeassistant/lock/hall/front/config";

    fn taught(config: &Value) -> Discovered {
        let mut lock = Discovered::new(CONFIG, false);
        lock.read(CONFIG, &config.to_string());
        lock
    }

    #[test]
    fn a_bare_description_has_home_assistants_defaults() {
        let mut lock = taught(&json!({ "command_topic": "hall/set", "state_topic": "hall/state" }));
        assert!(lock.is_there_unasked());
        assert_eq!(lock.filters(), ["hall/state", CONFIG]);
        for (payload, place) in [
            ("LOCKED", Place::Locked),
            ("UNLOCKED", Place::Unlocked),
            ("LOCKING", Place::Moving),
            ("JAMMED", Place::Stuck),
            ("LOCK", Place::Unknown),
        ] {
            assert_eq!(lock.read("hall/state", payload), [Report::Bolt(place)], "{payload}");
        }
        assert!(lock.read("hall/state", "").is_empty());
        assert_eq!(
            lock.command(Action::Unlock),
            Some(Word::new("hall/set".into(), "UNLOCK"))
        );
        assert_eq!(lock.command(Action::Lock).unwrap().payload, "LOCK");
    }

    #[test]
    fn short_keys_a_base_templates_and_availability_are_understood() {
        let mut lock = taught(&json!({
            "~": "z2m/front", "cmd_t": "~/set", "stat_t": "~", "val_tpl": "{{ value_json.state }}",
            "stat_locked": "LOCK", "stat_unlocked": "UNLOCK", "pl_lock": "LOCK", "pl_unlk": "UNLOCK",
            "cmd_tpl": "{\"state\": \"{{ value }}\"}",
            "avty": [{ "t": "z2m/bridge/state", "val_tpl": "{{ value_json.state }}" }, { "t": "~/availability" }],
            "avty_mode": "all",
        }));
        assert!(!lock.is_there_unasked());
        let there = |is_there| vec![Report::There(is_there)];
        assert_eq!(lock.read("z2m/bridge/state", r#"{"state":"online"}"#), there(false));
        assert_eq!(lock.read("z2m/front/availability", "online"), there(true));
        assert_eq!(lock.read("z2m/front/availability", "perhaps"), []);
        assert_eq!(lock.read("z2m/front/availability", "offline"), there(false));
        assert_eq!(
            lock.read("z2m/front", r#"{"state":"UNLOCK","battery":80}"#),
            [Report::Bolt(Place::Unlocked)]
        );
        assert_eq!(lock.read("z2m/front", r#"{"battery":80}"#), []);
        assert_eq!(lock.command(Action::Lock).unwrap().payload, r#"{"state": "LOCK"}"#);
    }

    #[test]
    fn a_lock_among_the_components_of_a_device_is_found() {
        let lock = taught(&json!({
            "dev": { "ids": "1" }, "avty_t": "hall/status",
            "cmps": { "b": { "p": "sensor", "stat_t": "hall/battery" },
                      "l": { "p": "lock", "cmd_t": "hall/set", "stat_t": "hall/state" } },
        }));
        assert_eq!(lock.filters(), ["hall/state", "hall/status", CONFIG]);
    }

    #[test]
    fn what_cannot_confirm_or_be_trusted_is_no_description() {
        let long = format!("{{{{ {} }}}}", "x".repeat(TEMPLATE_LIMIT));
        for (config, unfit) in [
            (json!({ "command_topic": "a" }), Unfit::NoTopics),
            (json!({ "state_topic": "a" }), Unfit::NoTopics),
            (
                json!({ "command_topic": "a", "state_topic": "+/state" }),
                Unfit::NoTopics,
            ),
            (json!({ "command_topic": "a", "state_topic": "#" }), Unfit::NoTopics),
            (
                json!({ "command_topic": "a", "state_topic": "b", "optimistic": true }),
                Unfit::Optimistic,
            ),
            (
                json!({ "command_topic": "a", "state_topic": "b", "value_template": "{{ value" }),
                Unfit::Template,
            ),
            (
                json!({ "command_topic": "a", "state_topic": "b", "value_template": long }),
                Unfit::Template,
            ),
            (
                json!({ "command_topic": "a", "state_topic": "b", "availability": [{}] }),
                Unfit::NoTopics,
            ),
            (
                json!({ "components": { "s": { "platform": "sensor" } } }),
                Unfit::NoLock,
            ),
            (json!([]), Unfit::NoLock),
        ] {
            assert_eq!(describe(&config.to_string(), false), Err(unfit), "{config}");
        }
        assert_eq!(describe("", false), Err(Unfit::NoLock));
        let plain = json!({ "command_topic": "a", "state_topic": "b" }).to_string();
        assert_eq!(describe(&plain, true), Err(Unfit::NoLatch));
    }

    #[test]
    fn a_template_that_never_ends_is_cut_short() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{{ value }}{% endfor %}{% endfor %}";
        assert_eq!(render(Some(endless), "x"), None);
        assert_eq!(render(Some("{{ value_json.a.b }}"), "not json"), None);
        assert_eq!(render(Some("{{ value | upper }}"), "locked"), Some("LOCKED".into()));
    }

    #[test]
    fn a_description_that_is_taken_back_leaves_nothing() {
        let mut lock = taught(&json!({ "command_topic": "a", "state_topic": "b" }));
        assert_eq!(lock.read(CONFIG, ""), [Report::There(false)]);
        assert_eq!(lock.command(Action::Unlock), None);
        assert_eq!(lock.filters(), [CONFIG]);
    }
}
