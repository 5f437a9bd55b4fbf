//! What is not a request: each kind of mistake is a problem with a stable word and the name of what is wrong.

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::house;

on_each_database!(
    a_body_says_what_is_asked_for_and_nothing_else,
    a_query_says_what_is_asked_for_and_nothing_else,
    an_address_names_what_there_is,
    a_body_has_bounds,
    what_is_refused_changes_nothing,
);

async fn a_body_says_what_is_asked_for_and_nothing_else(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let lock = |members: &str| format!(r#"{{"property_id":"{}","kind":"controller"{members}}}"#, house.id);
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for (what, body, word, field) in [
        ("nothing", String::new(), "malformed-body", None),
        ("half", "{\"name\":".to_owned(), "malformed-body", None),
        (
            "two bodies",
            format!("{} {{}}", lock(r#","name":"a""#)),
            "malformed-body",
            None,
        ),
        ("a trailing comma", lock(r#","name":"a","#), "malformed-body", None),
        ("a lone surrogate", lock(r#","name":"\ud800""#), "malformed-body", None),
        ("not a number", lock(r#","name":NaN"#), "malformed-body", None),
        ("a list", "[]".to_owned(), "invalid-field", Some("")),
        ("a text", "\"name\"".to_owned(), "invalid-field", Some("")),
        ("null", "null".to_owned(), "invalid-field", Some("")),
        ("a missing field", lock(""), "invalid-field", Some("name")),
        (
            "an unknown field",
            lock(r#","name":"a","colour":"red""#),
            "invalid-field",
            Some("colour"),
        ),
        (
            "a field twice",
            lock(r#","name":"a","name":"b""#),
            "invalid-field",
            Some("name"),
        ),
        (
            "a field of another type",
            lock(r#","name":["a"]"#),
            "invalid-field",
            Some("name"),
        ),
        (
            "a field that is null",
            lock(r#","name":null"#),
            "invalid-field",
            Some("name"),
        ),
        (
            "a kind that does not exist",
            format!(r#"{{"property_id":"{}","kind":"padlock","name":"a"}}"#, house.id),
            "invalid-field",
            Some("kind"),
        ),
        (
            "an id of the wrong kind",
            lock(&format!(r#","name":"a","unit_id":"{}""#, house.id)),
            "invalid-field",
            Some("unit_id"),
        ),
        (
            "an id in capitals",
            lock(&format!(r#","name":"a","unit_id":"{}""#, house.id.to_uppercase())),
            "invalid-field",
            Some("unit_id"),
        ),
        ("nesting", deep, "", None),
    ] {
        let answer = ana.post("/v1/locks").body("application/json", body).await;
        match (word, field) {
            ("invalid-field", Some(field)) => answer.expect_invalid(field),
            ("", _) => assert!(matches!(answer.status, 400 | 422), "{what}: {}", answer.text),
            (word, _) => drop(answer.expect_problem(400, word)),
        }
    }
    // Not UTF-8.
    let name = [b"{\"name\":\"".as_slice(), &[0xff], b"\"}"].concat();
    ana.post("/v1/locks")
        .body("application/json", name)
        .await
        .expect_problem(400, "malformed-body");
    assert_eq!(ana.list("/v1/locks").await, Vec::<Value>::new());
}

async fn a_query_says_what_is_asked_for_and_nothing_else(database: TestDatabase) {
    let (_t, ana, _house) = house(&database).await;
    for (path, parameter) in [
        ("/v1/locks?limit=1&limit=1", "limit"),
        ("/v1/locks?limit=1&%6cimit=1", "limit"),
        ("/v1/locks?colour=red", "colour"),
        ("/v1/locks?limit=", "limit"),
        ("/v1/locks?limit=ten", "limit"),
        ("/v1/locks?limit=-1", "limit"),
        ("/v1/locks?limit=0", "limit"),
        ("/v1/locks?limit=201", "limit"),
        ("/v1/locks?limit=99999999999999999999", "limit"),
        ("/v1/locks?property_id=house", "property_id"),
        ("/v1/me?verbose=1", "verbose"),
        ("/healthz?a=1", "a"),
    ] {
        let problem = ana.get(path).await.expect_problem(400, "invalid-query");
        assert_eq!(problem["parameter"], parameter, "{path}: {problem}");
    }
    for cursor in ["", "AAAA", "%00", "not-a-cursor", "bG9ja18x"] {
        ana.get(&format!("/v1/locks?cursor={cursor}"))
            .await
            .expect_problem(400, "invalid-cursor");
    }
}

async fn an_address_names_what_there_is(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/doors",
        "/v1/locks/",
        "/v2/locks",
        "/v1//locks",
        "/.env",
        "/v1/me/",
        "/metrics",
    ] {
        ana.get(path).await.expect_problem(404, "no-such-route");
        t.http.get(path).await.expect_problem(404, "no-such-route");
    }
    for (method, path, allowed) in [
        ("DELETE", "/v1/me", "GET"),
        ("PUT", "/v1/locks", "GET, POST"),
        ("GET", "/v1/auth/sign-in", "POST"),
        ("PATCH", "/healthz", "GET"),
        ("TRACE", "/v1/me", "GET"),
        ("OPTIONS", "/v1/properties", "GET, POST"),
        ("BREW", "/v1/me", "GET"),
    ] {
        let answer = ana.request(method, path).await;
        assert_eq!(answer.header("allow"), allowed, "{method} {path}: {}", answer.text);
        answer.expect_problem(405, "method-not-allowed");
    }
    let unit = house.id.replace("property_", "unit_");
    for id in [
        unit.as_str(),
        "property_1",
        "1",
        "%20",
        "property_%00",
        &house.id[..40],
        &format!("{}0", house.id),
    ] {
        ana.get(&format!("/v1/properties/{id}")).await.expect_no("property");
    }
    let nobody = "0".repeat(32);
    for (path, what) in [
        (format!("/v1/locks/lock_{nobody}"), "lock"),
        (format!("/v1/grants/grant_{nobody}"), "grant"),
        (format!("/v1/attempts/attempt_{nobody}"), "attempt"),
        (format!("/v1/organizations/org_{nobody}/members"), "organization"),
    ] {
        ana.get(&path).await.expect_no(what);
    }
    // Who is not signed in learns nothing else.
    for path in ["/v1/properties/1", "/v1/properties?x=1", "/v1/locks"] {
        t.http.get(path).await.expect_problem(401, "unauthenticated");
        let bad = t.http.post("/v1/properties").bearer(&"A".repeat(43));
        bad.json(json!({ "colour": "red" }))
            .await
            .expect_problem(401, "unauthenticated");
    }
}

async fn a_body_has_bounds(database: TestDatabase) {
    let (t, ana, _house) = house(&database).await;
    let body = |length: usize| format!("{{\"name\":\"{}\"}}", "x".repeat(length - 11));
    let sent = |length| ana.post("/v1/properties").body("application/json", body(length));
    assert_eq!(sent(16 * 1024).await.status, 422);
    sent(16 * 1024 + 1).await.expect_problem(413, "body-too-large");
    t.http
        .post("/v1/auth/sign-in")
        .body("application/json", body(1024 * 1024))
        .await
        .expect_problem(413, "body-too-large");

    for (media_type, encoding) in [
        ("text/plain", None),
        ("nonsense", None),
        ("application/x-www-form-urlencoded", None),
        ("application/problem+json", None),
        ("application/json", Some("gzip")),
    ] {
        let mut request = ana.post("/v1/properties").body(media_type, "{}");
        if let Some(encoding) = encoding {
            request = request.header("Content-Encoding", encoding);
        }
        request.await.expect_problem(415, "unsupported-media-type");
    }
    ana.post("/v1/properties")
        .await
        .expect_problem(415, "unsupported-media-type");
    let utf8 = ana
        .post("/v1/properties")
        .body("application/json; charset=utf-8", "{}")
        .await;
    utf8.expect_problem(422, "invalid-field");
}

async fn what_is_refused_changes_nothing(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let before = ana.log().await;
    let bad = json!({ "property_id": house.id, "name": "Door", "kind": "controller", "colour": "red" });
    ana.post("/v1/locks").json(bad).await.expect_invalid("colour");
    let good = json!({ "property_id": house.id, "name": "Door", "kind": "controller" });
    ana.post("/v1/locks?dry=1")
        .json(good)
        .await
        .expect_problem(400, "invalid-query");
    assert_eq!(ana.list("/v1/locks").await, Vec::<Value>::new());
    assert_eq!(ana.log().await, before);
}
