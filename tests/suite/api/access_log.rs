//! Reading the access log.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{TestServer, house};

on_each_database!(
    every_ask_stands_in_the_log,
    entries_are_found_by_what_they_are_about,
    a_walk_misses_nothing_while_the_log_grows,
    everybody_sees_what_concerns_them,
    an_export_is_the_log_as_a_file,
    no_cell_of_an_export_is_a_formula,
    who_belongs_to_several_names_one,
);

fn kinds(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

async fn every_ask_stands_in_the_log(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    gus.unlock(&door).await.expect_refused("no-access");
    ana.grant(&gus, &door, json!({})).await;
    gus.unlock(&door).await.expect_refused("lock-not-in-service");
    let lock = door.install().await;
    let opened = gus.unlock(&door).await.expect_opened();
    lock.until_settled().await;
    lock.disconnect().await;
    lock.until_online(&ana, false).await;
    gus.unlock(&door).await.expect_offline();

    let mut log = ana.log().await;
    log.reverse();
    let seqs: Vec<i64> = log.iter().map(|entry| entry["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (1..=i64::try_from(log.len()).unwrap()).collect::<Vec<_>>());
    let reasons: Vec<&str> = log
        .iter()
        .filter(|entry| entry["person_id"] == gus.id.as_str())
        .filter_map(|entry| entry["reason"].as_str())
        .collect();
    // The landlord reads the reason as it is; the guest was told less.
    assert_eq!(reasons, ["no-access", "lock-not-enrolled", "lock-offline"]);
    let of_attempt: Vec<&Value> = log.iter().filter(|entry| entry["attempt_id"] == opened["id"]).collect();
    assert!(
        of_attempt.iter().any(|entry| entry["kind"] == "unlocked"),
        "{of_attempt:?}"
    );
    assert!(
        of_attempt
            .iter()
            .all(|entry| entry["outcome"] == "ok" && entry["lock_id"] == door.id.as_str())
    );
}

async fn entries_are_found_by_what_they_are_about(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let annex = ana.add_property("Asia/Tokyo").await;
    let [here, there] = [ana.add_lock(&house, "Here").await, ana.add_lock(&annex, "There").await];
    let (gus, mia) = (ana.guest("gus").await, ana.guest("mia").await);
    for (hour, person, door) in [(9, &gus, &here), (10, &mia, &here), (11, &gus, &there)] {
        t.clock.set(&format!("2026-03-02T{hour:02}:00:00Z"));
        person.unlock(door).await.expect_refused("no-access");
    }
    let asked = "kind=unlock-requested";
    let kind = ana.list("/v1/access-log?limit=1").await[0]["kind"]
        .as_str()
        .unwrap()
        .to_owned();
    let asked = asked.replace("unlock-requested", &kind);
    for (filter, count) in [
        (String::new(), 3),
        (format!("&lock_id={}", here.id), 2),
        (format!("&property_id={}", annex.id), 1),
        (format!("&person_id={}", gus.id), 2),
        (format!("&person_id={}&lock_id={}", gus.id, here.id), 1),
        ("&from=2026-03-02T10:00:00Z".to_owned(), 2),
        ("&to=2026-03-02T10:00:00Z".to_owned(), 1),
        ("&from=2026-03-02T10:00:00Z&to=2026-03-02T11:00:00Z".to_owned(), 1),
        (
            "&from=2026-03-02T11:00:00%2B01:00&to=2026-03-02T12:00:00%2B01:00".to_owned(),
            1,
        ),
        ("&from=2026-03-02T11:00:00.001Z".to_owned(), 0),
    ] {
        let found = ana.list(&format!("/v1/access-log?limit=1&{asked}{filter}")).await;
        assert_eq!(found.len(), count, "{filter}: {found:?}");
        assert!(found.iter().all(|entry| entry["kind"] == kind), "{found:?}");
    }
    for (query, parameter) in [
        ("kind=opened", "kind"),
        ("from=2026-03-02T10:00:00", "from"),
        ("to=yesterday", "to"),
        ("lock_id=person_1", "lock_id"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
    ] {
        let problem = ana
            .get(&format!("/v1/access-log?{query}"))
            .await
            .expect_problem(400, "invalid-query");
        assert_eq!(problem["parameter"], parameter, "{problem}");
    }
}

async fn a_walk_misses_nothing_while_the_log_grows(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    for _ in 0..10 {
        ana.post(&format!("{}/claim", door.path())).await.expect(200);
    }
    let before: BTreeSet<i64> = ana
        .log()
        .await
        .iter()
        .map(|entry| entry["seq"].as_i64().unwrap())
        .collect();
    let (mut walked, mut next) = (Vec::new(), Some(String::new()));
    while let Some(cursor) = next {
        let page = ana.get(&format!("/v1/access-log?limit=3{cursor}")).await.expect(200);
        walked.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["seq"].as_i64().unwrap()),
        );
        next = page["next_cursor"].as_str().map(|cursor| format!("&cursor={cursor}"));
        // Somebody goes on meanwhile.
        ana.post(&format!("{}/claim", door.path())).await.expect(200);
    }
    assert!(walked.is_sorted_by(|newer, older| newer > older), "{walked:?}");
    assert_eq!(walked.into_iter().collect::<BTreeSet<_>>(), before);
}

async fn everybody_sees_what_concerns_them(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let [flat, other] = [
        ana.add_unit(&house, "Flat 1").await,
        ana.add_unit(&house, "Flat 2").await,
    ];
    let door = ana.add_lock_of(&flat, "Flat 1").await;
    let (tom, mia) = (ana.tenant("tom", &flat).await, ana.tenant("mia", &other).await);
    tom.unlock(&door).await.expect_refused("lock-not-in-service");
    mia.unlock(&door).await.expect_refused("no-access");

    // Who tried at whose door both know; of everything else nobody sees what is another's.
    for (person, stranger) in [(&tom, &mia), (&mia, &tom)] {
        let seen = person.list("/v1/access-log?limit=1").await;
        assert!(seen.len() >= 2, "{seen:?}");
        for entry in seen.iter().filter(|entry| entry["person_id"] != person.id.as_str()) {
            assert_eq!(
                (&entry["reason"], &entry["person_id"]),
                (&json!("no-access"), &json!(mia.id)),
                "{entry}"
            );
        }
        let of_other = person.list(&format!("/v1/access-log?person_id={}", stranger.id)).await;
        assert_eq!(of_other.len(), usize::from(person.id == tom.id), "{of_other:?}");
    }
    let file = mia.get("/v1/access-log/export?format=jsonl").await;
    assert!(!file.text.contains(&tom.id), "{}", file.text);
    let max = ana.manager("max").await;
    assert!(max.log().await.len() > 4);
    let eve = t.landlord("eve").await;
    assert_eq!(eve.log().await, Vec::<Value>::new());
    eve.get(&format!("/v1/access-log?organization_id={}", ana.organization))
        .await
        .expect_no("organization");
    let export = format!("/v1/access-log/export?format=csv&organization_id={}", ana.organization);
    eve.get(&export).await.expect_no("organization");
    assert_eq!(
        eve.list(&format!("/v1/access-log?lock_id={}", door.id)).await,
        Vec::<Value>::new()
    );
}

async fn an_export_is_the_log_as_a_file(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    gus.unlock(&door).await.expect_refused("no-access");
    t.clock.advance(Duration::from_secs(1));
    let mut log = ana.log().await;
    log.reverse();

    let lines = ana.get("/v1/access-log/export?format=jsonl").await;
    assert_eq!(lines.header("content-type"), "application/jsonl");
    assert_eq!(
        lines.header("content-disposition"),
        "attachment; filename=\"access-log.jsonl\""
    );
    let mut read: Vec<Value> = lines
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(read.remove(0)["what"], "log-checkpoint");
    assert_eq!(lines.header("doorward-log-size"), read.len().to_string());
    for line in &mut read {
        // What proves it has tests of its own.
        let line = line.as_object_mut().unwrap();
        assert_eq!(line.remove("what"), Some(json!("log-entry")));
        line.retain(|name, _| !["leaf", "staff_sees", "salt", "node"].contains(&name.as_str()));
    }
    assert_eq!(read[..log.len()], log);
    // That it was exported is written into it first, and so stands in the file.
    assert_eq!(kinds(&read[log.len()..]), ["log-exported"]);
    assert_eq!(read[log.len()]["person_id"], ana.id);

    let file = ana
        .get(&format!("/v1/access-log/export?format=csv&lock_id={}", door.id))
        .await;
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    let mut reader = csv::Reader::from_reader(file.text.as_bytes());
    let column = |name: &str, head: &csv::StringRecord| head.iter().position(|title| title == name).unwrap();
    let head = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let about: Vec<&Value> = log
        .iter()
        .filter(|entry| entry["lock_id"] == door.id.as_str())
        .collect();
    assert_eq!(rows.len(), about.len());
    for (row, entry) in rows.iter().zip(about) {
        assert_eq!(row[column("seq", &head)], entry["seq"].to_string());
        assert_eq!(row[column("kind", &head)], *entry["kind"].as_str().unwrap());
        assert_eq!(
            row[column("reason", &head)],
            *entry["reason"].as_str().unwrap_or_default()
        );
    }
    ana.get("/v1/access-log/export")
        .await
        .expect_problem(400, "invalid-query");
    ana.get("/v1/access-log/export?format=xml")
        .await
        .expect_problem(400, "invalid-query");
}

async fn no_cell_of_an_export_is_a_formula(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "=HYPERLINK(\"http://evil.example\")").await;
    let key = doorward::agent::enrolment::new_key(&doorward::crypto::random::OsRandom);
    let body = super::enrolments::ask(&key, &key, &door.claim_code);
    t.http.post("/v1/enrolments").json(body).await.expect(200);
    let link = ana
        .invite("new@people.example", json!({ "role": "guest" }))
        .await
        .text_of("secret_link");
    let (_, secret) = link.split_once('#').unwrap();
    let body = json!({ "secret": secret, "name": "@SUM(A1:A9)", "password": crate::world::PASSWORD });
    t.http.post("/v1/invitations/accept").json(body).await.expect(200);
    let file = ana.get("/v1/access-log/export?format=csv").await;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(file.text.as_bytes());
    for row in reader.records() {
        for cell in &row.unwrap() {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
        }
    }
}

async fn who_belongs_to_several_names_one(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let (ana, eve) = (t.landlord("ana").await, t.landlord("eve").await);
    let link = ana
        .invite(&eve.email, json!({ "role": "guest" }))
        .await
        .text_of("secret_link");
    crate::world::Person::accept(&t.http, "eve", &eve.email, &link).await;
    let problem = eve.get("/v1/access-log").await.expect_problem(400, "invalid-query");
    assert_eq!(problem["parameter"], "organization_id");
    let of = |organization: &str| format!("/v1/access-log?organization_id={organization}");
    assert_eq!(eve.list(&of(&eve.organization)).await, Vec::<Value>::new());
    // As a guest there, she sees that she joined, and not who was invited besides.
    assert_eq!(kinds(&eve.list(&of(&ana.organization)).await), ["person-joined"]);
}
