//! The service itself, and what every answer wears.

use super::House;

#[tokio::test]
async fn every_answer_wears_the_same_headers() {
    let house = House::open().await;
    for path in ["/healthz", "/v1/me", "/nothing", "/v1/properties?x=1"] {
        let answer = house.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(
            answer.header("content-security-policy").contains("default-src 'none'"),
            "{path}"
        );
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn the_service_says_that_it_is_well() {
    let house = House::open().await;
    assert_eq!(house.get("/healthz").await.body["status"], "ok");
    let ready = house.get("/readyz").await;
    assert!(matches!(ready.status, 200 | 503), "{ready:?}");
    assert_eq!(ready.body["database"], true);
    let keys = house.get("/.well-known/jwks.json").await.body;
    assert!(!keys["keys"].as_array().unwrap().is_empty());
    assert_eq!(house.get("/openapi.json").await.body["openapi"], "3.1.0");
}

#[tokio::test]
async fn the_pages_load_nothing_from_elsewhere() {
    let house = House::open().await;
    let page = house.get("/docs").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("script-src 'self'") && !policy.contains("http"),
        "{policy}"
    );
    for part in page.text.split(['"', '\'']).filter(|part| part.starts_with("./")) {
        assert_eq!(house.get(&format!("/docs/{}", &part[2..])).await.status, 200, "{part}");
    }
    for elsewhere in ["src=\"http", "href=\"http", "src=\"//", "href=\"//"] {
        assert!(!page.text.contains(elsewhere), "{elsewhere}");
    }
    assert!(
        house
            .get("/docs/swagger-initializer.js")
            .await
            .text
            .contains("/openapi.json")
    );
    house.get("/docs/nothing.js").await.expect(404, "no-such-route");
}

#[tokio::test]
async fn the_link_of_an_invitation_leads_to_a_page() {
    let house = House::open().await;
    let page = house.get("/invitation").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").contains("script-src 'self'"));
    assert_eq!(page.header("cache-control"), "no-store");
    for part in page.text.split('"').filter(|part| part.starts_with('/')) {
        assert_eq!(house.get(part).await.status, 200, "{part}");
    }
    assert!(!page.text.contains("http"), "{}", page.text);
}
