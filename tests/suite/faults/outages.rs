//! What a running backend does without its database, its broker, or the right time.

use std::time::Duration;

use doorward::config::{BrokerCredentials, MqttMode, SecretText};
use serde_json::json;

use crate::fixtures::certificates::Certificates;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::mosquitto::Mosquitto;
use crate::fixtures::outsider::Outsider;
use crate::fixtures::wait::until;
use crate::world::{HandLock, Landlord, TestServer, house};

on_each_database!(
    while_the_database_is_held_nothing_opens_and_reading_goes_on,
    while_the_broker_is_away_nothing_opens,
    a_clock_that_fell_back_issues_nothing,
    a_clock_that_jumped_ahead_goes_on_from_there,
    a_panic_ends_its_request_or_its_round_and_nothing_else,
);

async fn while_the_database_is_held_nothing_opens_and_reading_goes_on(database: TestDatabase) {
    let t = TestServer::start_with(&database, |config| config.database.lock_wait_ms = 200).await;
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;

    let mut outsider = Outsider::at(&database);
    let attempts = outsider.count("attempts");
    outsider.hold_writes();
    gus.unlock(&door).await.expect_problem(503, "busy");
    gus.get("/v1/me/locks").await.expect(200);
    assert!(!ana.log().await.is_empty());
    outsider.let_go();
    assert_eq!(outsider.count("attempts"), attempts, "nothing half done");

    let (opened, _) = tokio::join!(gus.unlock(&door), lock.obey());
    opened.expect_opened();
    assert_eq!(lock.tokens.len(), 1, "no token of the one that failed");
}

/// A server at this mosquitto, as this node.
pub async fn server_at(
    database: &TestDatabase,
    mosquitto: &Mosquitto,
    authority: &std::path::Path,
    node: &str,
) -> TestServer {
    TestServer::start_with(database, |config| {
        config.mqtt.mode = MqttMode::External;
        config.mqtt.node = node.to_owned();
        config.mqtt.external.url = format!("mqtt://{}", mosquitto.plain);
        config.mqtt.external.username = node.to_owned();
        config.mqtt.external.password = SecretText::from(format!("password of {node}"));
        config.mqtt.external.credentials = BrokerCredentials::Manual;
        config.mqtt.external.ca_file = Some(authority.to_owned());
        config.mqtt.external.lock_host = "127.0.0.1".to_owned();
        config.mqtt.external.lock_port = mosquitto.tls.port();
    })
    .await
}

/// A lock at this mosquitto, which the operator has told of it.
pub async fn lock_at(mosquitto: &Mosquitto, ana: &Landlord) -> (crate::world::Door, HandLock) {
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::enrol(&door).await;
    mosquitto.let_in(lock.id(), &lock.welcome.mqtt.password);
    until("mosquitto to know the lock", async || {
        lock.visit().try_connect().await.is_ok()
    })
    .await;
    let claimed = lock.first_event();
    lock.connect().await;
    lock.say(claimed).await;
    lock.until_acknowledged().await;
    (door, lock)
}

async fn while_the_broker_is_away_nothing_opens(database: TestDatabase) {
    let certificates = Certificates::new();
    let mut mosquitto = Mosquitto::start(&[("node-1", "password of node-1")], &certificates);
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), &certificates.authority_pem).unwrap();
    let t = server_at(&database, &mosquitto, authority.path(), "node-1").await;
    let ana = t.landlord("ana").await;
    let (door, mut lock) = lock_at(&mosquitto, &ana).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({ "uses": 1 })).await;

    lock.vanish();
    mosquitto.kill();
    until_ready(&t, 503).await;
    gus.unlock(&door).await.expect_problem(503, "relay-away");
    gus.get("/v1/me").await.expect(200);

    mosquitto.resume();
    until_ready(&t, 200).await;
    lock.connect().await;
    lock.until_heard().await;
    assert!(lock.tokens.is_empty(), "nothing comes late");
    let (opened, _) = tokio::join!(gus.unlock(&door), lock.obey());
    opened.expect_opened();
}

async fn until_ready(t: &TestServer, status: u16) {
    until("readiness to change", async || {
        t.http.get("/readyz").await.status == status
    })
    .await;
}

async fn a_clock_that_fell_back_issues_nothing(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    t.clock.advance(Duration::from_secs(60));
    ana.grant(&gus, &door, json!({})).await;
    let present = t.clock.after(Duration::ZERO);

    t.clock.set("2026-03-02T07:00:00Z");
    let refused = gus.unlock(&door).await;
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!(wait >= 3600, "{wait}");
    refused.expect_problem(503, "clock-behind");
    until_ready(&t, 503).await;

    t.clock.set(&present);
    until_ready(&t, 200).await;
    let (opened, _) = tokio::join!(gus.unlock(&door), lock.obey());
    opened.expect_opened();
    assert_eq!(lock.tokens.len(), 1, "no token of the hour that was not");
}

async fn a_clock_that_jumped_ahead_goes_on_from_there(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;
    let attempt = gus
        .post(&format!("{}/unlock", door.path()))
        .json(json!({ "wait_ms": 0 }));
    let attempt = attempt.await.expect(202);
    let token = lock.next_token().await;

    t.clock.advance(Duration::from_secs(3600));
    let path = format!("/v1/attempts/{}", attempt["id"].as_str().unwrap());
    until("the attempt to expire", async || {
        gus.get(&path).await.expect(200)["status"] == "expired"
    })
    .await;
    // Nothing was heard of the lock for an hour, as far as anybody here can tell.
    gus.unlock(&door).await.expect_offline();
    lock.until_heard().await;
    assert_eq!(lock.tokens.len(), 1);
    let (opened, newer) = tokio::join!(gus.unlock(&door), lock.obey());
    opened.expect_opened();
    assert!(newer.claims["iat"].as_u64() >= token.claims["iat"].as_u64().map(|iat| iat + 3600));
}

async fn a_panic_ends_its_request_or_its_round_and_nothing_else(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;

    let present = t.clock.break_down();
    gus.unlock(&door).await.expect_problem(500, "internal");
    gus.get("/v1/me").await.expect_problem(500, "internal");
    until("the restart of a task to be counted", async || {
        let metrics = reqwest::get(format!("http://{}/metrics", t.metrics())).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let restarts = metrics
            .lines()
            .find_map(|line| line.strip_prefix("doorward_task_restarts_total "));
        restarts.unwrap().parse::<u64>().unwrap() > 1
    })
    .await;

    t.clock.set(&present);
    let (opened, _) = tokio::join!(gus.unlock(&door), lock.obey());
    opened.expect_opened();
    assert_eq!(lock.tokens.len(), 1, "no token of the request that went down");
}
