//! Properties and units.

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{TestServer, house};

on_each_database!(
    a_property_is_added_changed_and_deleted,
    a_property_that_is_in_use_stays,
    units_of_a_property_have_names_of_their_own,
    what_is_no_property_is_refused,
    lists_come_in_pages,
);

async fn a_property_is_added_changed_and_deleted(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let added = ana
        .post("/v1/properties")
        .json(json!({
            "organization_id": ana.organization, "name": "  Linden Street ", "address": "Linden Street 4, Vienna",
            "time_zone": "Europe/Vienna",
        }))
        .await
        .expect(201);
    assert_eq!(
        (&added["name"], &added["created_at"]),
        (&json!("Linden Street"), &json!("2026-03-02T08:00:00.000Z"))
    );
    let path = format!("/v1/properties/{}", added["id"].as_str().unwrap());
    assert_eq!(ana.get(&path).await.expect(200), added);

    let changed = ana
        .patch(&path)
        .json(json!({ "time_zone": "Asia/Tokyo" }))
        .await
        .expect(200);
    assert_eq!(
        (&changed["time_zone"], &changed["name"]),
        (&json!("Asia/Tokyo"), &added["name"])
    );
    assert_eq!(ana.patch(&path).json(json!({})).await.expect(200), changed);
    assert_eq!(ana.get(&path).await.expect(200), changed);

    ana.delete(&path).await.expect(204);
    ana.get(&path).await.expect_no("property");
    ana.patch(&path).json(json!({})).await.expect_no("property");
    ana.delete(&path).await.expect_no("property");
    assert_eq!(ana.list("/v1/properties").await, Vec::<Value>::new());
}

async fn a_property_that_is_in_use_stays(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let [with_unit, with_lock] = [
        ana.add_property("Europe/Vienna").await,
        ana.add_property("Europe/Vienna").await,
    ];
    ana.add_unit(&with_unit, "Flat 1").await;
    let door = ana.add_lock(&with_lock, "Front door").await;
    ana.post(&format!("{}/retire", door.path())).await.expect(200);
    for property in [&with_unit, &with_lock] {
        let answer = ana.delete(&format!("/v1/properties/{}", property.id)).await;
        answer.expect_problem(409, "property-in-use");
    }
}

async fn units_of_a_property_have_names_of_their_own(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let other = ana.add_property("Europe/Vienna").await;
    let units = |property: &str| format!("/v1/properties/{property}/units");
    ana.add_unit(&house, "Flat 1").await;
    for taken in ["Flat 1", " Flat 1 "] {
        let again = ana.post(&units(&house.id)).json(json!({ "name": taken })).await;
        again.expect_problem(409, "name-taken");
    }
    ana.post(&units(&other.id))
        .json(json!({ "name": "Flat 1" }))
        .await
        .expect(201);
    let (one, two) = tokio::join!(
        ana.post(&units(&house.id)).json(json!({ "name": "Flat 2" })),
        ana.post(&units(&house.id)).json(json!({ "name": "Flat 2" })),
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{} {}", one.text, two.text);
    let names: Vec<Value> = ana
        .list(&units(&house.id))
        .await
        .iter()
        .map(|unit| unit["name"].clone())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

async fn what_is_no_property_is_refused(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let good = json!({
        "organization_id": ana.organization, "name": "House", "address": "Street 1", "time_zone": "Europe/Vienna",
    });
    let long = "x".repeat(1000);
    for (field, value) in [
        ("time_zone", json!("Europe/Atlantis")),
        ("time_zone", json!("+01:00")),
        ("time_zone", json!("")),
        ("name", json!("")),
        ("name", json!("   ")),
        ("name", json!("a\nb")),
        ("name", json!("a\u{202e}b")),
        ("name", json!(long)),
        ("name", json!(7)),
        ("name", Value::Null),
        ("organization_id", json!(house.id)),
        ("organization_id", json!("org_1")),
    ] {
        let mut body = good.clone();
        body[field] = value;
        ana.post("/v1/properties").json(body).await.expect_invalid(field);
    }
    let change = json!({ "time_zone": "Mars/Base" });
    ana.patch(&format!("/v1/properties/{}", house.id))
        .json(change)
        .await
        .expect_invalid("time_zone");
}

async fn lists_come_in_pages(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let path = format!("/v1/properties/{}/units", house.id);
    let mut added = Vec::new();
    for n in 0..5 {
        added.push(ana.add_unit(&house, &format!("Flat {n}")).await.id);
    }
    added.sort();
    for limit in [1, 2, 4, 5, 6, 200] {
        let mut found: Vec<String> = Vec::new();
        for unit in ana.list(&format!("{path}?limit={limit}")).await {
            found.push(unit["id"].as_str().unwrap().to_owned());
        }
        assert_eq!(found, added, "{limit} a page");
    }
    let first = ana.get(&format!("{path}?limit=2")).await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    // A cursor of another list is none of this one.
    ana.get(&format!("/v1/locks?cursor={cursor}"))
        .await
        .expect_problem(400, "invalid-cursor");
}
