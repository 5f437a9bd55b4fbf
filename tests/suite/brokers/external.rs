//! The whole backend at a mosquitto that it tells whom to let in: locks come, open doors and go there as they do at the
//! embedded broker.

use doorward::agent::enrolment::{Enrolled, new_key};
use doorward::config::{BrokerCredentials, MqttMode, SecretText};
use doorward::crypto::random::OsRandom;
use doorward::domain::ids::LockId;
use rumqttc::ConnectReturnCode;
use serde_json::json;
use tempfile::TempDir;

use super::{NODE, NODE_PASSWORD, topics};
use crate::api::enrolments::ask;
use crate::fixtures::certificates::Certificates;
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::mosquitto::Mosquitto;
use crate::fixtures::mqtt_client::Visit;
use crate::fixtures::wait::{found, until};
use crate::world::{Door, Landlord, Person, Property, TestServer};

/// How the node reaches the broker; locks always come over TLS.
#[derive(Clone, Copy)]
enum NodeBy {
    Loopback,
    Tls,
}

/// The backend, its broker, and a landlord with a house and a guest who may open everything.
struct Site {
    t: TestServer,
    mosquitto: Mosquitto,
    ana: Landlord,
    house: Property,
    gus: Person,
    _database: TestDatabase,
    _folder: TempDir,
}

impl Site {
    async fn open(by: NodeBy) -> Self {
        let certificates = Certificates::new();
        let mosquitto = Mosquitto::start_with_dynamic_security(NODE, NODE_PASSWORD, &certificates);
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("ca.pem");
        std::fs::write(&authority, &certificates.authority_pem).unwrap();
        let database = TestDatabase::sqlite();
        let t = TestServer::start_with(&database, |config| {
            config.mqtt.mode = MqttMode::External;
            let external = &mut config.mqtt.external;
            external.url = match by {
                NodeBy::Loopback => format!("mqtt://{}", mosquitto.plain),
                NodeBy::Tls => format!("mqtts://localhost:{}", mosquitto.tls.port()),
            };
            external.username = NODE.to_owned();
            external.password = SecretText::from(NODE_PASSWORD.to_owned());
            external.credentials = BrokerCredentials::DynamicSecurity;
            external.ca_file = Some(authority);
            external.lock_host = mosquitto.tls.ip().to_string();
            external.lock_port = mosquitto.tls.port();
        })
        .await;
        let ana = t.landlord("ana").await;
        let house = ana.add_property("Europe/Vienna").await;
        let gus = ana.guest("gus").await;
        Self {
            t,
            mosquitto,
            ana,
            house,
            gus,
            _database: database,
            _folder: folder,
        }
    }

    /// A door that the guest may open.
    async fn add_door(&self, name: &str) -> Door {
        let door = self.ana.add_lock(&self.house, name).await;
        self.ana.grant(&self.gus, &door, json!({})).await;
        door
    }

    async fn retire(&self, door: &Door) {
        self.ana.post(&format!("{}/retire", door.path())).await.expect(200);
    }

    /// Somebody who comes with a lock's password, under this client id.
    fn visit_as(&self, client_id: &str, lock: &Enrolled) -> Visit {
        let access = &lock.welcome.mqtt;
        Visit::with_client_id(self.mosquitto.tls, client_id, &access.username, &access.password)
            .tls(&lock.tls().unwrap())
    }

    fn visit(&self, lock: &Enrolled) -> Visit {
        self.visit_as(&lock.welcome.mqtt.username, lock)
    }

    /// Waits until the node is connected, or is not.
    async fn until_ready(&self, is_ready: bool) {
        until("the node to notice", async || {
            self.t.app().readiness().await.is_ready() == is_ready
        })
        .await;
    }
}

async fn a_lock_comes_opens_its_door_and_goes(by: NodeBy) {
    let site = Site::open(by).await;
    let door = site.add_door("Front door").await;
    let lock = door.install().await;
    site.gus.unlock(&door).await.expect_opened();
    site.gus.lock(&door).await.expect_opened();

    site.retire(&door).await;
    lock.until_shown("the end of its session", |view| !view.is_connected)
        .await;
    assert_eq!(
        site.visit(lock.enrolled()).refused().await,
        ConnectReturnCode::NotAuthorized
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_comes_opens_its_door_and_goes_where_the_node_is_on_the_brokers_machine() {
    a_lock_comes_opens_its_door_and_goes(NodeBy::Loopback).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_comes_opens_its_door_and_goes_where_the_node_speaks_tls() {
    a_lock_comes_opens_its_door_and_goes(NodeBy::Tls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_neither_hears_nor_speaks_for_another() {
    let site = Site::open(NodeBy::Loopback).await;
    let front = site.add_door("Front door").await.try_enrol().await.unwrap();
    let back = site.add_door("Back door").await.try_enrol().await.unwrap();
    let id = |lock: &Enrolled| -> LockId { lock.lock_id().clone() };
    let (mine, other, topics) = (id(&back), id(&front), topics());
    let mut watcher = Visit::with_client_id(site.mosquitto.plain, "watcher", NODE, NODE_PASSWORD)
        .connect()
        .await;
    assert!(watcher.subscribe("doorward/v1/#").await);

    assert_eq!(
        site.visit_as(other.as_str(), &back).refused().await,
        ConnectReturnCode::NotAuthorized
    );
    assert_eq!(
        site.visit_as("anybody", &back).refused().await,
        ConnectReturnCode::NotAuthorized
    );
    let mut lock = site.visit(&back).connect().await;
    assert!(lock.subscribe(&topics.down(&mine)).await);
    for filter in [
        topics.down(&other),
        topics.up(&mine, "any"),
        topics.status(&other),
        "doorward/v1/+/down".to_owned(),
        format!("doorward/v1/{mine}/#"),
        "#".to_owned(),
        "$SYS/#".to_owned(),
        "$CONTROL/dynamic-security/v1/response".to_owned(),
    ] {
        assert!(!lock.subscribe(&filter).await, "{filter}");
    }
    for topic in [
        topics.down(&other),
        topics.up(&other, "any"),
        topics.status(&other),
        topics.down(&mine),
        "doorward/v1/anything".to_owned(),
    ] {
        lock.publish(&topic, "forged").await.unwrap();
    }
    let allowed = [topics.up(&mine, NODE), topics.up(&mine, "any"), topics.status(&mine)];
    for topic in &allowed {
        lock.publish(topic, "own").await.unwrap();
    }
    for topic in &allowed {
        assert_eq!(watcher.next().await, (topic.clone(), "own".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_either_side_changes_nothing() {
    let mut site = Site::open(NodeBy::Loopback).await;
    let door = site.add_door("Front door").await;
    let lock = door.install().await;

    site.t.restart().await;
    site.gus.unlock(&door).await.expect_opened();

    site.mosquitto.kill();
    site.until_ready(false).await;
    lock.until_shown("the broker's end", |view| !view.is_connected).await;
    site.mosquitto.resume();
    site.until_ready(true).await;
    lock.until_settled().await;
    site.gus.lock(&door).await.expect_opened();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_retired_while_the_broker_is_away_is_expelled_when_it_is_back() {
    let mut site = Site::open(NodeBy::Loopback).await;
    let door = site.add_door("Front door").await;
    let lock = door.install().await;
    site.mosquitto.kill();
    site.until_ready(false).await;
    site.retire(&door).await;

    site.mosquitto.resume();
    // A round of the timed work, as often as it needs until the broker is back.
    let expelled = found("the broker to be told", async || site.t.app().expel_gone().await.ok());
    assert!(expelled.await <= 1);
    assert_eq!(site.t.app().expel_gone().await.unwrap(), 0);
    assert_eq!(
        site.visit(lock.enrolled()).refused().await,
        ConnectReturnCode::NotAuthorized
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_is_away_nobody_enrols_and_the_claim_code_stays_good() {
    let mut site = Site::open(NodeBy::Loopback).await;
    let door = site.add_door("Front door").await;
    site.mosquitto.kill();
    site.until_ready(false).await;
    // Asked once: a lock on a computer would go on asking until the broker is back.
    let key = new_key(&OsRandom);
    let answer = site
        .t
        .http
        .post("/v1/enrolments")
        .json(ask(&key, &key, &door.claim_code))
        .await;
    answer.expect_problem(503, "relay-away");

    site.mosquitto.resume();
    site.until_ready(true).await;
    let _lock = door.install().await;
    site.gus.unlock(&door).await.expect_opened();
}
