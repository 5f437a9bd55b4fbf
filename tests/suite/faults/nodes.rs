//! Two nodes on one Postgres, at one external broker.

use std::future::IntoFuture as _;

use doorward::config::Config;
use serde_json::json;

use super::outages::{lock_at, server_at};
use crate::fixtures::authenticator::Authenticator;
use crate::fixtures::certificates::Certificates;
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::mosquitto::Mosquitto;
use crate::world::{Person, TestServer};

/// The broker of two nodes, which stands as long as this does.
pub struct Broker {
    pub mosquitto: Mosquitto,
    authority: tempfile::NamedTempFile,
}

impl Broker {
    fn for_two() -> Self {
        let certificates = Certificates::new();
        let nodes = [("node-1", "password of node-1"), ("node-2", "password of node-2")];
        let mosquitto = Mosquitto::start(&nodes, &certificates);
        let authority = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(authority.path(), &certificates.authority_pem).unwrap();
        Self { mosquitto, authority }
    }

    async fn node(&self, database: &TestDatabase) -> TestServer {
        server_at(database, &self.mosquitto, self.authority.path(), "node-1").await
    }
}

/// Two nodes on this database, and their broker.
pub async fn two_nodes(database: &TestDatabase) -> (TestServer, TestServer, Broker) {
    let broker = Broker::for_two();
    let one = broker.node(database).await;
    let two = one.another_node("node-2").await;
    (one, two, broker)
}

/// As [`two_nodes`], both with a configuration that `adjust` has changed.
pub async fn two_nodes_with(
    database: &TestDatabase,
    adjust: impl FnOnce(&mut Config),
) -> (TestServer, TestServer, Broker) {
    let broker = Broker::for_two();
    let mut one = broker.node(database).await;
    one.restart_with(adjust).await;
    let two = one.another_node("node-2").await;
    (one, two, broker)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_end_a_tenancy_once() {
    let database = TestDatabase::postgres();
    let (one, two, _broker) = two_nodes(&database).await;
    let ana = one.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let unit = ana.add_unit(&house, "Flat 1").await;
    let gus = ana.guest("gus").await;
    for day in 3..=5 {
        let term = json!({
            "starts_at": format!("2026-03-0{day}T08:00:00Z"), "ends_at": format!("2026-03-0{day}T09:00:00Z"),
        });
        ana.tenancy(&gus, &unit, term).await;
    }
    one.clock.set("2026-03-06T00:00:00Z");
    ana.sign_in_again().await;
    gus.sign_in_again().await;
    let both = || async { tokio::join!(one.app().end_due_tenancies(), two.app().end_due_tenancies()) };
    for _ in 0..3 {
        let (here, there) = both().await;
        assert!(here.unwrap() + there.unwrap() <= 3);
    }
    // Their own timers ran too.
    assert_eq!(ana.list("/v1/access-log?kind=tenancy-ended").await.len(), 3);
    let told = gus.list("/v1/me/notices").await;
    let ended = told.iter().filter(|notice| notice["kind"] == "tenancy-ended");
    assert_eq!(ended.count(), 3, "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_are_one_backend() {
    let database = TestDatabase::postgres();
    let (one, two, broker) = two_nodes(&database).await;

    let ana = one.landlord("ana").await;
    let (door, mut lock) = lock_at(&broker.mosquitto, &ana).await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({ "uses": 5 })).await;
    // Signed in at one node is signed in at the other.
    let elsewhere = Person::sign_in(&two.http, "gus", &gus.email).await;
    for person in [&gus, &elsewhere, &gus, &elsewhere] {
        let (opened, token) = tokio::join!(person.unlock(&door), lock.obey());
        opened.expect_opened();
        let node = if std::ptr::eq(person, &elsewhere) {
            "node-2"
        } else {
            "node-1"
        };
        assert_eq!(token.node(), node, "the lock answers whom it was asked by");
    }
    let counters: Vec<u64> = lock
        .tokens
        .iter()
        .map(|token| token.claims["ctr"].as_u64().unwrap())
        .collect();
    assert!(
        counters.len() == 4 && counters.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "one counter: {counters:?}"
    );

    // One use is left, and two nodes are asked for it at once.
    let both = async { tokio::join!(gus.unlock(&door), elsewhere.unlock(&door)) };
    let ((here, there), _) = tokio::join!(both, lock.obey());
    let (opened, refused) = if here.status == 200 {
        (here, there)
    } else {
        (there, here)
    };
    opened.expect_opened();
    refused.expect_refused("uses-exhausted");

    // Taken back at one node, it is refused at the other at once.
    let again = ana.grant(&gus, &door, json!({})).await;
    ana.revoke(&grant).await;
    let (opened, _) = tokio::join!(elsewhere.unlock(&door), lock.obey());
    opened.expect_opened();
    ana.revoke(&again).await;
    elsewhere.unlock(&door).await.expect_refused("grant-revoked");
    lock.until_heard().await;
    assert_eq!(lock.tokens.len(), 6, "and no token more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_passkey_signed_counts_at_one_of_two_nodes() {
    let database = TestDatabase::postgres();
    let (one, two, _broker) = two_nodes(&database).await;
    let ana = one.landlord("ana").await;
    let (mut device, _) = Authenticator::of(&ana).await;
    for round in 0..5 {
        let asked = one.http.post("/v1/auth/passkey/options").await.expect(200);
        let signed = json!({ "credential": device.sign(&asked) });
        let show = |http: &crate::world::Http| http.post("/v1/auth/passkey").json(signed.clone()).into_future();
        let (here, there) = tokio::join!(show(&one.http), show(&two.http));
        let mut statuses = [here.status, there.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "{round}: {} {}", here.text, there.text);
    }
}
