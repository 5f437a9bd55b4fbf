//! Two nodes on one Postgres, at one external broker.

use serde_json::json;

use super::outages::{lock_at, server_at};
use crate::fixtures::certificates::Certificates;
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::mosquitto::Mosquitto;
use crate::world::Person;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_are_one_backend() {
    let database = TestDatabase::postgres();
    let certificates = Certificates::new();
    let nodes = [("node-1", "password of node-1"), ("node-2", "password of node-2")];
    let mosquitto = Mosquitto::start(&nodes, &certificates);
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), &certificates.authority_pem).unwrap();
    let one = server_at(&database, &mosquitto, authority.path(), "node-1").await;
    let two = one.another_node("node-2").await;

    let ana = one.landlord("ana").await;
    let (door, mut lock) = lock_at(&mosquitto, &ana).await;
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
        counters.windows(2).all(|pair| pair[1] == pair[0] + 1),
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
