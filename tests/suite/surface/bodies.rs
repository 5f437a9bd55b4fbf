//! Bodies, queries and addresses that are not what they should be.

use reqwest::Method;
use serde_json::json;

use super::{Answer, House};

#[tokio::test]
async fn a_field_at_fault_is_named() {
    let house = House::open().await;
    let org = &house.organization;
    for (body, status, word, field) in [
        ("", 400, "malformed-body", None),
        ("{", 400, "malformed-body", None),
        ("[]", 422, "invalid-field", Some("")),
        ("null", 422, "invalid-field", Some("")),
        ("{}", 422, "invalid-field", Some("organization_id")),
        (&format!(r#"["{org}","a","b","UTC"]"#), 422, "invalid-field", Some("")),
        (
            r#"{"organization_id":5}"#,
            422,
            "invalid-field",
            Some("organization_id"),
        ),
        (
            r#"{"organization_id":"lock_1"}"#,
            422,
            "invalid-field",
            Some("organization_id"),
        ),
        (r#"{"colour":"red"}"#, 422, "invalid-field", Some("colour")),
        (
            &format!(r#"{{"organization_id":"{org}","organization_id":"{org}"}}"#),
            422,
            "invalid-field",
            Some("organization_id"),
        ),
        (
            &format!(r#"{{"organization_id":"{org}","name":""}}"#),
            422,
            "invalid-field",
            Some("name"),
        ),
        (
            &format!(r#"{{"organization_id":"{org}","name":"a\u0000b"}}"#),
            422,
            "invalid-field",
            Some("name"),
        ),
        (
            &format!(r#"{{"organization_id":"{org}","name":"a","address":"b","time_zone":"Mars/Phobos"}}"#),
            422,
            "invalid-field",
            Some("time_zone"),
        ),
        (&"[".repeat(9_000), 422, "invalid-field", Some("")),
        (
            &format!(r#"{{"name":{}"#, "[".repeat(9_000)),
            422,
            "invalid-field",
            Some("name"),
        ),
    ] {
        let request = house
            .request(Method::POST, "/v1/properties")
            .header("Content-Type", "application/json");
        let answer = Answer::of(request.body(body.to_owned()).send().await.unwrap()).await;
        answer.expect(status, word);
        if let Some(field) = field {
            assert_eq!(answer.body["field"], field, "{body}");
        }
    }
}

#[tokio::test]
async fn a_body_comes_as_plain_json() {
    let house = House::open().await;
    for (content_type, encoding, status) in [
        (Some("application/json"), None, 201),
        (Some("application/json; charset=utf-8"), None, 201),
        (Some("Application/JSON"), None, 201),
        (Some("text/plain"), None, 415),
        (Some("application/x-www-form-urlencoded"), None, 415),
        (Some("nonsense"), None, 415),
        (None, None, 415),
        (Some("application/json"), Some("gzip"), 415),
    ] {
        let mut request = house.request(Method::POST, "/v1/properties");
        for (name, value) in [("Content-Type", content_type), ("Content-Encoding", encoding)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let body = house.property("Haus").to_string();
        let answer = Answer::of(request.body(body).send().await.unwrap()).await;
        assert_eq!(answer.status, status, "{content_type:?} {encoding:?} {answer:?}");
        if status == 415 {
            answer.expect(415, "unsupported-media-type");
        }
    }
}

#[tokio::test]
async fn a_query_says_what_is_asked_for_once() {
    let house = House::open().await;
    for (query, word, parameter) in [
        ("limit=0", "invalid-query", "limit"),
        ("limit=201", "invalid-query", "limit"),
        ("limit=-1", "invalid-query", "limit"),
        ("limit=many", "invalid-query", "limit"),
        ("limit=", "invalid-query", "limit"),
        ("limit=5&limit=5", "invalid-query", "limit"),
        ("page=2", "invalid-query", "page"),
        ("cursor=", "invalid-cursor", ""),
        ("cursor=nonsense", "invalid-cursor", ""),
        ("cursor=dW5pdF8", "invalid-cursor", ""),
    ] {
        let answer = house.get(&format!("/v1/properties?{query}")).await;
        answer.expect(400, word);
        if !parameter.is_empty() {
            assert_eq!(answer.body["parameter"], parameter, "{query}");
        }
    }
    house.get("/v1/me?x=1").await.expect(400, "invalid-query");
    for (query, parameter) in [
        ("kind=opened", "kind"),
        ("from=yesterday", "from"),
        ("from=2026-03-02T09:00:00", "from"),
        ("lock_id=grant_1", "lock_id"),
    ] {
        let answer = house.get(&format!("/v1/access-log?{query}")).await;
        answer.expect(400, "invalid-query");
        assert_eq!(answer.body["parameter"], parameter, "{query}");
    }
    assert_eq!(
        house
            .get("/v1/access-log?kind=unlocked&from=2026-03-02T09:00:00%2B01:00")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn pages_follow_each_other() {
    let house = House::open().await;
    for name in ["Eins", "Zwei", "Drei"] {
        assert_eq!(house.post("/v1/properties", &house.property(name)).await.status, 201);
    }
    let mut names = Vec::new();
    let mut path = "/v1/properties?limit=2".to_owned();
    loop {
        let page = house.get(&path).await.body;
        names.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|property| property["name"].clone()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/properties?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["Eins", "Zwei", "Drei"]);
}

#[tokio::test]
async fn an_address_that_names_nothing_is_not_found() {
    let house = House::open().await;
    let nobody = "0".repeat(32);
    for (path, what) in [
        ("/v1/properties/nonsense".to_owned(), "property"),
        (format!("/v1/properties/unit_{nobody}"), "property"),
        (format!("/v1/properties/property_{nobody}"), "property"),
        (format!("/v1/locks/lock_{nobody}"), "lock"),
        (format!("/v1/grants/grant_{nobody}"), "grant"),
        (format!("/v1/attempts/attempt_{nobody}"), "attempt"),
        (format!("/v1/organizations/org_{nobody}/members"), "organization"),
    ] {
        let answer = house.get(&path).await;
        answer.expect(404, "not-found");
        assert_eq!(answer.body["what"], what, "{path}");
    }
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/propertie",
        "/v1/properties/",
        "//v1/me",
        "/v1/me/",
    ] {
        house.get(path).await.expect(404, "no-such-route");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let house = House::open().await;
    for (method, path, allowed) in [
        (Method::DELETE, "/v1/properties", "GET, POST"),
        (Method::PUT, "/v1/me", "GET"),
        (Method::GET, "/v1/auth/sign-in", "POST"),
        (Method::OPTIONS, "/v1/properties", "GET, POST"),
        (Method::POST, "/healthz", "GET"),
    ] {
        let answer = Answer::of(house.request(method.clone(), path).send().await.unwrap()).await;
        answer.expect(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn who_is_not_signed_in_learns_nothing_else() {
    let mut house = House::open().await;
    for token in ["nonsense".to_owned(), "A".repeat(43)] {
        house.token = token;
        for path in ["/v1/me", "/v1/properties/nonsense", "/v1/properties?x=1", "/v1/locks"] {
            let answer = house.get(path).await;
            answer.expect(401, "unauthenticated");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        house
            .post("/v1/properties", &json!({ "colour": "red" }))
            .await
            .expect(401, "unauthenticated");
    }
}
