//! What an operator sees of the real program: why it does not start, and how it stops.

use std::net::TcpListener;

use serde_json::json;

use super::installation::Installation;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::HandLock;

on_each_database!(told_to_stop_it_finishes_what_it_has_begun);

async fn told_to_stop_it_finishes_what_it_has_begun(database: TestDatabase) {
    let installation = Installation::on(&database);
    let (backend, ana) = installation.open().await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let mut lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &door, json!({})).await;

    let stopping = async {
        let token = lock.next_token().await;
        backend.tell_to_stop();
        // It takes no new requests any more, and still hears the lock.
        while installation.http.get("/healthz").try_send().await.is_some() {}
        lock.move_by(&token).await;
    };
    let (opened, ()) = tokio::join!(gus.unlock(&door), stopping);
    opened.expect_opened();
    assert!(backend.ended().await, "{}", installation.log());
}

#[tokio::test]
async fn a_second_process_on_one_sqlite_file_is_refused() {
    let database = TestDatabase::sqlite();
    let installation = Installation::on(&database);
    let _backend = installation.serve().await;
    let complaint = installation.twin().complaint().await;
    assert!(
        complaint.contains("doorward.db") && complaint.contains("use"),
        "{complaint}"
    );
    let output = installation.run(&[
        "landlord",
        "add",
        "--email",
        "a@b.example",
        "--name",
        "A",
        "--organization",
        "O",
    ]);
    assert!(!output.await.status.success(), "nor does another command work on it");
    installation.until_ready(true).await;
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let database = TestDatabase::sqlite();
    let mut installation = Installation::on(&database);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for key in ["HTTP__BIND", "MQTT__EMBEDDED__BIND"] {
        let mut clumsy = installation.twin();
        clumsy.set(key, &address);
        let complaint = clumsy.complaint().await;
        assert!(
            complaint.contains(&address) && complaint.contains("taken"),
            "{key}: {complaint}"
        );
    }
    installation.set("METRICS__BIND", &address);
    let complaint = installation.complaint().await;
    assert!(complaint.contains(&address), "{complaint}");
}

#[tokio::test]
async fn an_unknown_key_is_named() {
    let database = TestDatabase::sqlite();
    let mut installation = Installation::on(&database);
    installation.set("HTTP__BINDD", "127.0.0.1:1");
    let complaint = installation.complaint().await;
    assert!(complaint.contains("DOORWARD__HTTP__BINDD"), "{complaint}");
}

#[tokio::test]
async fn a_bind_that_everybody_reaches_is_refused() {
    let database = TestDatabase::sqlite();
    let mut installation = Installation::on(&database);
    installation.set("HTTP__BIND", "0.0.0.0:0");
    let complaint = installation.complaint().await;
    assert!(complaint.contains("allow_plain_http_on_network"), "{complaint}");
}
