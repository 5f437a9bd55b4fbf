//! A foreign fuzzer reads the OpenAPI document and asks everything that it describes, right and wrong: nothing breaks, and
//! every answer is one that the document knows.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Person, TestServer};

on_each_database!(whatever_is_asked_the_answer_is_in_the_document);

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/schemathesis/bin/schemathesis");

/// What must hold of every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance,unsupported_method,ignored_auth";

/// What is left out: a stream that does not end, and what ends the session by which is asked.
const EXCLUDED: [&str; 6] = [
    "/v1/events",
    "/v1/auth/sign-out",
    "/v1/auth/password",
    "/v1/me/erase",
    "/v1/me/sessions",
    "/v1/me/sessions/{session_id}",
];

/// How long it may take for one person: several times what it needs on an idle machine.
const AT_MOST: Duration = Duration::from_secs(400);

async fn whatever_is_asked_the_answer_is_in_the_document(database: TestDatabase) {
    assert!(
        Path::new(PROGRAM).exists(),
        "this test needs schemathesis: run tests/packages schemathesis"
    );
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let house = ana.add_property("Europe/Vienna").await;
    let unit = ana.add_unit(&house, "Top 3").await;
    let door = ana.add_lock_of(&unit, "Home").await;
    let _lock = door.install().await;
    let tom = ana.tenant("tom", &unit).await;
    let gus = ana.guest("gus").await;
    let grant = json!({ "lock_ids": [door.id], "to": { "person_id": gus.id }, "starts_at": ana.in_days(0) });
    tom.post("/v1/grants").json(grant).await.expect(201);
    for person in [&*ana, &tom] {
        fuzz(&t, person).await;
    }
    // It still does what it is for.
    tom.get("/v1/me/locks").await.expect(200);
}

async fn fuzz(t: &TestServer, person: &Person) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .current_dir(folder.path())
        .args(["run", &format!("{}/openapi.json", t.http.base_url())])
        .args(["--header", &format!("Authorization: Bearer {}", person.access_token())])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "5"])
        .args(["--generation-deterministic", "--continue-on-failure", "--no-color"])
        .args(["--request-timeout", "60", "--checks", CHECKS])
        .kill_on_drop(true);
    for path in EXCLUDED {
        command.args(["--exclude-path", path]);
    }
    let output = tokio::time::timeout(AT_MOST, command.output()).await;
    let output = output.expect("it takes too long").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "as {}: {said}", person.name);
    // What it asked was answered by the handlers, and not turned away at the door.
    assert!(!said.contains("mostly returned 429"), "{said}");
}
