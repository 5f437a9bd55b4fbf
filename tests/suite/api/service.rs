//! The service itself, its pages and its numbers, and what every answer wears.

use std::collections::BTreeSet;

use serde_json::json;

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait;
use crate::world::{TestServer, house};

on_each_database!(the_service_says_that_it_is_well, what_happens_is_counted);

async fn the_service_says_that_it_is_well(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    assert_eq!(t.http.get("/healthz").await.expect(200)["status"], "ok");
    let ready = t.http.get("/readyz").await.expect(200);
    assert_eq!(ready, json!({ "database": true, "relay": true, "clock": true }));
    let keys = t.http.get("/.well-known/jwks.json").await.expect(200);
    assert!(!keys["keys"].as_array().unwrap().is_empty());
    assert!(!keys.to_string().contains("\"d\""), "a private key");
    let document = t.http.get("/openapi.json").await.expect(200);
    let committed = include_str!("../../../docs/openapi.json");
    assert_eq!(document, serde_json::from_str::<serde_json::Value>(committed).unwrap());
}

async fn what_happens_is_counted(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    gus.unlock(&door).await.expect_refused("no-access");
    ana.grant(&gus, &door, json!({})).await;
    gus.unlock(&door).await.expect_opened();
    // The answer goes out first, and then it is counted.
    let metrics = wait::found("both to be counted", async || {
        let metrics = reqwest::get(format!("http://{}/metrics", t.metrics())).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let is_counted = |result: &str| {
            let label = format!("result=\"{result}\"");
            metrics
                .lines()
                .any(|line| line.contains(&label) && line.ends_with(" 1"))
        };
        (is_counted("confirmed") && is_counted("refused")).then_some(metrics)
    })
    .await;
    for person in [&gus.email, &ana.email, &gus.id, &door.id] {
        assert!(!metrics.contains(person.as_str()), "{person}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_wears_the_same_headers() {
    let t = TestServer::start(&TestDatabase::sqlite()).await;
    let mut ids = BTreeSet::new();
    for path in ["/healthz", "/v1/me", "/nothing", "/v1/properties?x=1", "/openapi.json"] {
        let answer = t.http.get(path).await;
        for (header, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(answer.header(header), value, "{path}");
        }
        assert!(ids.insert(answer.header("x-request-id").to_owned()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_load_nothing_from_elsewhere() {
    let t = TestServer::start(&TestDatabase::sqlite()).await;
    let docs = t.http.get("/docs").await;
    assert_eq!((docs.status, docs.header("location")), (308, "/docs/"));
    let page = t.http.get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("script-src 'self'") && !policy.contains("http"),
        "{policy}"
    );
    for part in page.text.split(['"', '\'']).filter(|part| part.starts_with("./")) {
        t.http.get(&format!("/docs/{}", &part[2..])).await.expect(200);
    }
    for elsewhere in ["src=\"http", "href=\"http", "src=\"//", "href=\"//"] {
        assert!(!page.text.contains(elsewhere), "{elsewhere}");
    }
    let script = t.http.get("/docs/swagger-initializer.js").await;
    assert!(script.text.contains("/openapi.json"));
    t.http
        .get("/docs/nothing.js")
        .await
        .expect_problem(404, "no-such-route");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_of_an_invitation_leads_to_a_page() {
    let t = TestServer::start(&TestDatabase::sqlite()).await;
    let page = t.http.get("/invitation").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").contains("script-src 'self'"));
    assert_eq!(page.header("cache-control"), "no-store");
    for part in page.text.split('"').filter(|part| part.starts_with('/')) {
        t.http.get(part).await.expect(200);
    }
    assert!(!page.text.contains("http"), "{}", page.text);
}
