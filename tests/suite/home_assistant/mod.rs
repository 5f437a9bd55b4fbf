//! Locks in a Home Assistant: the real server, a mosquitto that stands for Home Assistant's broker, and whoever listens
//! there.

mod commands;
mod discovery;
mod states;

use std::collections::BTreeMap;
use std::time::Duration;

use doorward::config::{Config, SecretText};
use rumqttc::Publish;
use serde_json::Value;

use crate::fixtures::certificates::Certificates;
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::mosquitto::Mosquitto;
use crate::fixtures::mqtt_client::{Client, Visit};
use crate::fixtures::wait::soon;
use crate::world::{Door, HandLock, Landlord, Property, TestServer};

const PASSWORD: &str = "of the broker";
/// Longest wait: everything is read again every five seconds.
const PATIENCE: Duration = Duration::from_secs(9);
/// What nobody publishes but us.
const SENTINEL: &str = "doorward/sentinel";

/// Home Assistant's broker, and an observer at it.
pub struct Home {
    pub broker: Mosquitto,
    client: Client,
    /// What was published last on each topic.
    pub last: BTreeMap<String, String>,
    /// Every message, in order: topic and text.
    pub all: Vec<(String, String)>,
}

impl Home {
    pub async fn start() -> Self {
        let users = [("doorward", PASSWORD), ("home", PASSWORD)];
        let broker = Mosquitto::start_open(&users, &Certificates::new());
        let client = observe(&broker).await;
        Self {
            broker,
            client,
            last: BTreeMap::new(),
            all: Vec::new(),
        }
    }

    /// Has a server show this organization's locks here.
    pub fn configure(&self, config: &mut Config, organization: &str) {
        let home = &mut config.home_assistant;
        home.url = format!("mqtt://{}", self.broker.plain);
        home.username = "doorward".to_owned();
        home.password = SecretText::from(PASSWORD.to_owned());
        home.organizations = vec![organization.to_owned()];
    }

    /// Listens until what has been heard is so.
    pub async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let heard = async {
            while !is_so(self) {
                let message = self.client.next_publish().await;
                self.hear(&message);
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, heard).await;
        assert!(in_time.is_ok(), "in vain: waited for {what}; heard {:#?}", self.last);
    }

    /// Listens until this was said last on the topic.
    pub async fn until_said(&mut self, topic: &str, text: &str) {
        let what = format!("{text} on {topic}");
        self.until(&what, |home| home.said(topic) == Some(text)).await;
    }

    /// What was said last on the topic.
    pub fn said(&self, topic: &str) -> Option<&str> {
        self.last.get(topic).map(String::as_str)
    }

    /// The alarms that were told of the lock.
    pub fn alarms(&self, lock: &str) -> Vec<Value> {
        let topic = format!("doorward/{lock}/alarm");
        let told = self.all.iter().filter(|(on, _)| *on == topic);
        told.map(|(_, text)| serde_json::from_str(text).unwrap()).collect()
    }

    fn hear(&mut self, message: &Publish) {
        let text = String::from_utf8(message.payload.to_vec()).unwrap();
        self.last.insert(message.topic.clone(), text.clone());
        self.all.push((message.topic.clone(), text));
    }

    /// Publishes as Home Assistant does.
    pub async fn publish(&mut self, topic: &str, text: &str) {
        self.client.publish(topic, text).await.unwrap();
    }

    /// Publishes with the retain flag.
    pub async fn publish_retained(&mut self, topic: &str, text: &str) {
        self.client.publish_retained(topic, text).await.unwrap();
    }

    /// What the broker keeps, as somebody finds it who comes now.
    pub async fn kept(&mut self) -> BTreeMap<String, String> {
        self.connect().await;
        self.publish(SENTINEL, "now").await;
        let mut kept = BTreeMap::new();
        soon("all that is kept", async {
            loop {
                let message = self.client.next_publish().await;
                if message.topic == SENTINEL {
                    return;
                }
                self.hear(&message);
                if message.retain {
                    let text = String::from_utf8(message.payload.to_vec()).unwrap();
                    kept.insert(message.topic, text);
                }
            }
        })
        .await;
        kept
    }

    /// The observer comes anew.
    pub async fn connect(&mut self) {
        self.client = observe(&self.broker).await;
    }
}

async fn observe(broker: &Mosquitto) -> Client {
    let mut client = Visit::new(broker.plain, "home", PASSWORD).connect().await;
    for filter in ["homeassistant/#", "doorward/#"] {
        assert!(client.subscribe(filter).await);
    }
    client
}

/// A house whose landlord's locks are shown.
pub async fn shown_house(database: &TestDatabase) -> (TestServer, Landlord, Property, Home) {
    let (mut t, ana, house) = crate::world::house(database).await;
    let home = Home::start().await;
    t.restart_with(|config| home.configure(config, &ana.organization)).await;
    (t, ana, house, home)
}

/// A lock made by hand, whose bolt is thrown.
pub async fn installed(door: &Door) -> HandLock {
    let mut lock = HandLock::install(door).await;
    lock.hello().await;
    lock
}

/// The topics of a lock's configurations.
pub fn config_topics(lock: &str) -> [String; 4] {
    [
        ("lock", "lock"),
        ("sensor", "battery"),
        ("binary_sensor", "door"),
        ("event", "alarm"),
    ]
    .map(|(component, part)| format!("homeassistant/{component}/doorward/{lock}_{part}/config"))
}

/// The topic of something of a lock.
pub fn topic(lock: &str, last: &str) -> String {
    format!("doorward/{lock}/{last}")
}
