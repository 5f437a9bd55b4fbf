//! Locks that one can buy, behind adapters: fake devices at a real mosquitto, the real backend, people over HTTP.

mod bad_days;
mod inside;
mod pins;
mod stories;

use std::sync::Arc;
use std::time::Duration;

use doorward::agent::adapter::{Adapter, AdapterOptions, Language, Patience, PinBook, Profile};
use doorward::agent::controller::View;
use doorward::agent::enrolment::Enrolled;
use doorward::agent::storage::MemoryStorage;
use doorward::crypto::random::OsRandom;
use doorward_lock::wire::Bolt;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::fixtures::databases::TestDatabase;
use crate::fixtures::devices::{self, Device};
use crate::fixtures::mosquitto::Mosquitto;
use crate::fixtures::wait::{SOON, found};
use crate::world::{Door, Landlord, Person, TestServer, house};

/// Short, so that stories about giving up are short too.
const PATIENCE: Patience = Patience {
    taken: Duration::from_millis(1500),
    arrived: Duration::from_secs(5),
    cause: Duration::from_millis(500),
    agreed: Duration::from_millis(500),
};

/// A kind of device, and where it is found.
#[derive(Clone, Copy)]
struct Kind {
    language: Language,
    device: &'static str,
    user: &'static str,
}

const NUKI: Kind = Kind {
    language: Language::Nuki,
    device: "nuki/4A0B1C2D",
    user: "nuki",
};
const ZIGBEE: Kind = Kind {
    language: Language::Zigbee2mqtt,
    device: "zigbee2mqtt/front door",
    user: "zigbee2mqtt",
};
const ESPHOME: Kind = Kind {
    language: Language::Esphome,
    device: "hall/lock/front_door",
    user: "esphome",
};
const DISCOVERED: Kind = Kind {
    language: Language::Discovery,
    device: "homeassistant/lock/shed/config",
    user: "shed",
};

impl Kind {
    async fn plug_in(self, broker: &Mosquitto) -> Device {
        let at = broker.plain;
        match self.language {
            Language::Nuki => Device::start(at, self.user, self.user, devices::Nuki::new(self.device)).await,
            Language::Zigbee2mqtt => {
                Device::start(at, self.user, self.user, devices::Zigbee2Mqtt::new(self.device)).await
            }
            Language::Esphome => Device::start(at, self.user, self.user, devices::EspHome::new(self.device)).await,
            Language::Discovery => Device::start(at, self.user, self.user, devices::Discovered::new(self.device)).await,
        }
    }
}

/// The backend, a home's own broker, a landlord with a house, and a guest who may open its front door.
struct Home {
    broker: Mosquitto,
    kind: Kind,
    ana: Landlord,
    gus: Person,
    door: Door,
    enrolled: Enrolled,
    storage: MemoryStorage,
    adapter: Option<Adapter>,
    pins: Arc<PinBook>,
    t: TestServer,
    _database: TestDatabase,
}

/// The seal of these tests.
fn open(_: u16, sealed: &str) -> Option<Zeroizing<String>> {
    Some(Zeroizing::new(sealed.strip_prefix("sealed ")?.to_owned()))
}

impl Home {
    /// The door is enrolled; neither adapter nor device are there yet.
    async fn build(kind: Kind) -> Self {
        let database = TestDatabase::sqlite();
        let (t, ana, house) = house(&database).await;
        let door = ana.add_lock(&house, "Front door").await;
        let gus = ana.guest("gus").await;
        ana.grant(&gus, &door, json!({})).await;
        Self {
            broker: Mosquitto::start_for_devices(),
            kind,
            enrolled: door.try_enrol().await.unwrap(),
            storage: MemoryStorage::new(256),
            adapter: None,
            pins: PinBook::open(None, Box::new(open)).unwrap(),
            ana,
            gus,
            door,
            t,
            _database: database,
        }
    }

    /// Everything is there, and the adapter has heard its device.
    async fn ready(kind: Kind) -> (Self, Device) {
        let mut home = Self::build(kind).await;
        let device = kind.plug_in(&home.broker).await;
        home.start_adapter().await;
        home.until_shown("the device", |view| view.bolt == Bolt::Locked).await;
        if kind.language == Language::Zigbee2mqtt {
            // The question how it is.
            device.until_asked(1).await;
        }
        (home, device)
    }

    async fn start_adapter(&mut self) {
        let profile = Profile {
            language: self.kind.language,
            device: self.kind.device.to_owned(),
            unlatch: false,
            door_topic: None,
            battery_topic: None,
            broker: format!("mqtt://{}", self.broker.plain),
            user: "adapter".to_owned(),
            password: "adapter".to_owned(),
            ca_certificate: String::new(),
        };
        let options = AdapterOptions {
            tls: self.enrolled.tls().unwrap(),
            storage: self.storage.clone(),
            counter: Arc::new(self.t.clock.counter()),
            random: Arc::new(OsRandom),
            place: profile.place(self.enrolled.lock_id()).unwrap(),
            profile,
            pins: Arc::clone(&self.pins),
            patience: PATIENCE,
            enrolled: self.enrolled.clone(),
        };
        self.adapter = Some(Adapter::start(options).await.unwrap());
        self.until_settled().await;
    }

    /// Waits until the adapter shows what `is_so` asks for.
    async fn until_shown(&self, what: &str, is_so: impl FnMut(&View) -> bool) {
        let lock = self.adapter.as_ref().unwrap().lock();
        let mut view = lock.view();
        let seen = tokio::time::timeout(SOON, view.wait_for(is_so)).await;
        assert!(
            matches!(seen, Ok(Ok(_))),
            "in vain: waited for {what}, the adapter shows {:?}",
            lock.view().borrow()
        );
    }

    /// Waits until the backend has all events.
    async fn until_settled(&self) {
        self.until_shown("everything told", |view| {
            view.is_connected && view.acknowledged == view.events
        })
        .await;
    }

    /// Waits for this many entries of the kind; the newest first.
    async fn entries(&self, kind: &str, count: usize) -> Vec<Value> {
        let path = format!("/v1/access-log?kind={kind}");
        found(kind, async || {
            let entries = self.ana.list(&path).await;
            (entries.len() >= count).then_some(entries)
        })
        .await
    }

    /// The lock as its landlord sees it.
    async fn lock(&self) -> Value {
        self.ana.get(&self.door.path()).await.expect(200)
    }

    /// Asks for the door and does not wait; the attempt's path.
    async fn ask(&self) -> String {
        let asked = self.gus.post(&format!("{}/unlock", self.door.path()));
        let attempt = asked.json(json!({ "wait_ms": 0 })).await.expect(202);
        format!("/v1/attempts/{}", attempt["id"].as_str().unwrap())
    }

    /// Waits until the attempt has this status; gives it.
    async fn until_status(&self, attempt: &str, status: &str) -> Value {
        found(status, async || {
            let present = self.gus.get(attempt).await.expect(200);
            (present["status"] == status).then_some(present)
        })
        .await
    }
}
