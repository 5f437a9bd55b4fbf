//! A device at the broker inside the backend, and its adapter there too.

use std::net::SocketAddr;
use std::path::PathBuf;

use doorward::agent::adapter::Language;
use doorward::agent::command::adapter::{EnrolArgs, enrol_device};
use doorward::config::{Config, Device as Access, DeviceDialect, SecretText};
use rumqttc::ConnectReturnCode;
use serde_json::json;

use super::NUKI;
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::devices::{Device, Nuki};
use crate::fixtures::mqtt_client::Visit;
use crate::fixtures::wait::until;
use crate::world::{Door, Landlord, Person, TestServer};

const USER: &str = "nuki";
const PASSWORD: &str = "nuki's password";

struct Flat {
    t: TestServer,
    ana: Landlord,
    gus: Person,
    door: Door,
    password: String,
    _database: TestDatabase,
}

fn configure(config: &mut Config) {
    config.mqtt.embedded.devices_bind = Some("127.0.0.1:0".parse().unwrap());
    let access = |user: &str, base: &str| Access {
        user: user.to_owned(),
        password: SecretText::from(format!("{user}'s password")),
        dialect: DeviceDialect::Nuki,
        base: base.to_owned(),
        ..Access::default()
    };
    config.mqtt.embedded.devices = vec![access(USER, NUKI.device), access("other", "nuki/0THER")];
    config.adapters.run = true;
}

impl Flat {
    /// The device is enrolled, and its adapter runs in the server.
    async fn build() -> Self {
        let database = TestDatabase::sqlite();
        let mut t = TestServer::start_with(&database, configure).await;
        let ana = t.landlord("ana").await;
        let house = ana.add_property("Europe/Vienna").await;
        let door = ana.add_lock(&house, "Front door").await;
        let gus = ana.guest("gus").await;
        ana.grant(&gus, &door, json!({})).await;
        let args = EnrolArgs {
            state: t.adapters_dir().join("front"),
            server: t.http.base_url().parse().unwrap(),
            claim: door.claim_code.clone(),
            ca_file: None::<PathBuf>,
            dialect: Language::Nuki,
            device: NUKI.device.to_owned(),
            broker: "embedded".to_owned(),
            broker_user: String::new(),
            broker_password_file: None,
            broker_ca_file: None,
            unlatch: false,
            door_topic: None,
            battery_topic: None,
        };
        std::fs::create_dir_all(t.adapters_dir()).unwrap();
        enrol_device(args).await.unwrap();
        let stored = std::fs::read(t.adapters_dir().join("front/lock.json")).unwrap();
        let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap();
        let password = stored["welcome"]["mqtt"]["password"].as_str().unwrap().to_owned();
        t.restart().await;
        Self {
            t,
            ana,
            gus,
            door,
            password,
            _database: database,
        }
    }

    async fn plug_in(&self) -> Device {
        Device::start(self.t.devices(), USER, PASSWORD, Nuki::new(NUKI.device)).await
    }

    async fn until_locked(&self) {
        until("the adapter to see its device", async || {
            self.ana.get(&self.door.path()).await.expect(200)["bolt"]["value"] == "locked"
        })
        .await;
    }

    /// Opens the door, once the adapter has seen its device: it tells the backend so with its next hello only.
    async fn open(&self) {
        until("the door to open", async || {
            let answer = self.gus.unlock(&self.door).await;
            answer.status == 200 && answer.json["status"] == "confirmed"
        })
        .await;
    }
}

fn visit(at: SocketAddr, client_id: &str, user: &str) -> Visit {
    Visit::with_client_id(at, client_id, user, &format!("{user}'s password"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_at_the_embedded_broker_is_opened_by_the_adapter_beside_it() {
    let flat = Flat::build().await;
    let device = flat.plug_in().await;
    flat.open().await;
    let entries = flat.ana.list("/v1/access-log?kind=unlocked").await;
    assert_eq!(entries[0]["detail"]["assurance"], "adapter", "{}", entries[0]);
    assert_eq!(device.retained(), 0);

    // It comes back, and the adapter sees how it is by what the broker has kept.
    flat.gus.lock(&flat.door).await.expect_opened();
    flat.until_locked().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_adapter_commands_a_device_at_the_embedded_broker() {
    let flat = Flat::build().await;
    let device = flat.plug_in().await;
    flat.open().await;
    let before = device.heard().len();
    let at = flat.t.devices();
    let command = format!("{}/lockAction", NUKI.device);
    // Another device; the same device by another connection; under every topic and kept or not.
    for (client_id, user) in [("other", "other"), ("nuki-2", USER)] {
        let mut visitor = visit(at, client_id, user).connect().await;
        for topic in [command.as_str(), "nuki/4A0B1C2D/unlock"] {
            visitor.publish(topic, "1").await.unwrap();
            visitor.publish_retained(topic, "1").await.unwrap();
        }
        assert!(!visitor.subscribe("#").await);
        assert!(!visitor.subscribe("doorward/v1/+/down").await);
    }
    let mut spy = visit(at, "spy", "other").connect().await;
    assert!(!spy.subscribe(&format!("{}/#", NUKI.device)).await, "another's base");

    // A lock does not come in by the devices' way, nor a device under a lock's id, a node's name or another's id.
    let lock = Visit::new(at, &flat.door.id, &flat.password).refused().await;
    assert_eq!(lock, ConnectReturnCode::NotAuthorized);
    for client_id in [flat.door.id.as_str(), "node-1", "nuki-device"] {
        let refused = visit(at, client_id, "other").refused().await;
        assert_eq!(refused, ConnectReturnCode::NotAuthorized, "{client_id}");
    }
    let wrong = Visit::with_client_id(at, "x", USER, "other's password").refused().await;
    assert_eq!(wrong, ConnectReturnCode::BadUserNamePassword);
    let adapter = visit(at, "x", "adapter:nuki").refused().await;
    assert_eq!(adapter, ConnectReturnCode::BadUserNamePassword);

    flat.gus.lock(&flat.door).await.expect_opened();
    assert_eq!(device.heard().len(), before + 1, "{:?}", device.heard());
}
