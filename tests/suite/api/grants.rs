//! Giving access and taking it back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{PASSWORD, Person, house};

on_each_database!(
    a_grant_keeps_its_terms,
    terms_that_make_no_sense_are_refused,
    a_grant_opens_from_its_start_to_its_end,
    uses_are_counted,
    a_stranger_accepts_before_anything_opens,
    a_revoked_grant_opens_nothing_from_then_on,
    grants_are_found_by_lock_and_person,
    several_doors_go_with_one_grant,
    who_may_open_what_is_told,
);

fn id(grant: &Value) -> &str {
    grant["id"].as_str().unwrap()
}

async fn a_grant_keeps_its_terms(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let gus = ana.guest("gus").await;
    let schedule =
        json!({ "weekly": [{ "days": ["mon", "thu"], "from": "09:00", "to": "12:30" }], "except": ["2026-03-09"] });
    let terms = json!({
        "starts_at": "2026-03-02T00:00:00+01:00", "ends_at": "2026-04-01T00:00:00+02:00", "schedule": schedule,
        "uses": 5, "ways": ["app"], "delegable": false,
    });
    let given = ana.grant(&gus, &door, terms).await;
    for (member, value) in [
        ("organization_id", json!(ana.organization)),
        ("lock_ids", json!([door.id])),
        ("person_id", json!(gus.id)),
        ("invitation_id", Value::Null),
        ("invitation", Value::Null),
        ("given_by", json!(ana.id)),
        ("created_at", json!("2026-03-02T08:00:00.000Z")),
        ("starts_at", json!("2026-03-01T23:00:00.000Z")),
        ("ends_at", json!("2026-03-31T22:00:00.000Z")),
        ("schedule", schedule),
        ("uses", json!(5)),
        ("uses_taken", json!(0)),
        ("ways", json!(["app"])),
        ("role", json!("guest")),
        ("delegable", json!(false)),
        ("under", Value::Null),
        ("spare", Value::Null),
        ("revoked_at", Value::Null),
    ] {
        assert_eq!(given[member], value, "{member}");
    }
    let shown = ana.get(&format!("/v1/grants/{}", id(&given))).await.expect(200);
    assert_eq!(
        shown["locks"],
        json!([{
            "lock_id": door.id, "status": "not-in-service", "reason": null, "may_open_until": null, "pin": null,
            "codes": [],
        }])
    );
    assert_eq!(
        shown["provisioning"],
        json!({ "status": "under-provisioned", "missing": [door.id], "lingering": [], "failed": [] })
    );
    assert_eq!(shown["schedule"], given["schedule"]);
    door.try_enrol().await.unwrap();
    let shown = ana.get(&format!("/v1/grants/{}", id(&given))).await.expect(200);
    assert_eq!(shown["locks"][0]["status"], "ready");
    assert_eq!(shown["provisioning"]["status"], "complete");
}

async fn terms_that_make_no_sense_are_refused(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let (gus, eve) = (ana.guest("gus").await, t.landlord("eve").await);
    let many: Vec<&str> = vec![door.id.as_str(); 51];
    let window = |from: &str| json!({ "weekly": [{ "days": ["mon"], "from": from, "to": "12:00" }] });
    for (terms, field) in [
        (json!({ "lock_ids": [] }), "lock_ids"),
        (json!({ "lock_ids": [door.id, door.id] }), "lock_ids"),
        (json!({ "lock_ids": many }), "lock_ids"),
        (json!({ "lock_ids": [house.id] }), "lock_ids[0]"),
        (json!({ "ends_at": "2026-03-02T08:00:00Z" }), "ends_at"),
        (
            json!({ "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-02-01T00:00:00Z" }),
            "ends_at",
        ),
        (json!({ "starts_at": "2026-03-02T08:00:00" }), "starts_at"),
        (json!({ "starts_at": "tomorrow" }), "starts_at"),
        (json!({ "uses": 0 }), "uses"),
        (json!({ "uses": 1001 }), "uses"),
        (json!({ "uses": -1 }), "uses"),
        (json!({ "uses": "5" }), "uses"),
        (json!({ "ways": [] }), "ways"),
        (json!({ "ways": ["app", "app"] }), "ways"),
        (json!({ "ways": ["magic"] }), "ways[0]"),
        (json!({ "role": "tenant" }), "role"),
        (json!({ "role": "owner" }), "role"),
        (json!({ "delegable": "yes" }), "delegable"),
        (json!({ "spare": true, "delegable": true }), "delegable"),
        (json!({ "spare": true, "ways": ["app", "pin"] }), "ways"),
        (json!({ "spare": true, "release_minutes": 0 }), "release_minutes"),
        (json!({ "spare": true, "release_minutes": 1441 }), "release_minutes"),
        (json!({ "spare": true, "on_silence": "shout" }), "on_silence"),
        (json!({ "answer_within_minutes": 5 }), "answer_within_minutes"),
        (
            json!({ "spare": false, "landlord_may_release": true }),
            "landlord_may_release",
        ),
        (json!({ "schedule": { "weekly": [] } }), "schedule"),
        (json!({ "schedule": window("12:00") }), "schedule"),
        (json!({ "schedule": window("9:00") }), "schedule"),
        (json!({ "to": {} }), "to"),
        (json!({ "to": null }), "to"),
        (json!({ "to": [gus.id, null] }), "to"),
        (json!({ "to": { "phone": "1" } }), "to.phone"),
        (json!({ "to": { "person_id": gus.id, "email": gus.email } }), "to"),
        (json!({ "to": { "person_id": house.id } }), "to.person_id"),
        (json!({ "to": { "email": "nobody" } }), "to.email"),
        (json!({ "colour": "red" }), "colour"),
    ] {
        let answer = ana.give(&[&door], json!({ "person_id": gus.id }), terms.clone()).await;
        assert_eq!(answer.status, 422, "{terms}: {}", answer.text);
        let named = answer.text_of("field");
        assert!(
            named == field || field == "schedule" && named.starts_with("schedule"),
            "{terms}: {}",
            answer.text
        );
    }
    ana.give(&[&door], json!({ "person_id": eve.id }), json!({}))
        .await
        .expect_no("person");
    let foreign = eve.add_property("Europe/Vienna").await;
    let foreign = eve.add_lock(&foreign, "Door").await;
    ana.give(&[&door, &foreign], json!({ "person_id": gus.id }), json!({}))
        .await
        .expect_no("lock");
    assert_eq!(ana.list("/v1/grants").await, Vec::<Value>::new());
}

async fn a_grant_opens_from_its_start_to_its_end(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let gus = ana.guest("gus").await;
    let terms = json!({ "starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T10:00:00Z" });
    ana.grant(&gus, &door, terms).await;
    t.clock.set("2026-03-02T08:59:59.999Z");
    let early = gus.unlock(&door).await.expect_refused("not-yet");
    assert_eq!(early["opens_at"], "2026-03-02T09:00:00.000Z");
    t.clock.advance(Duration::from_millis(1));
    lock.until_online(&ana, true).await;
    gus.unlock(&door).await.expect_opened();
    t.clock.set("2026-03-02T09:59:59.999Z");
    lock.until_online(&ana, true).await;
    gus.unlock(&door).await.expect_opened();
    t.clock.advance(Duration::from_millis(1));
    gus.unlock(&door).await.expect_refused("grant-expired");
}

async fn uses_are_counted(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({ "uses": 2 })).await;
    lock.disconnect().await;
    lock.until_online(&ana, false).await;
    gus.unlock(&door).await.expect_offline();
    lock.connect().await;
    lock.until_online(&ana, true).await;
    gus.unlock(&door).await.expect_opened();
    gus.lock(&door).await.expect_opened();
    gus.unlock(&door).await.expect_opened();
    gus.unlock(&door).await.expect_refused("uses-exhausted");
    gus.lock(&door).await.expect_opened();
    let shown = ana.get(&format!("/v1/grants/{}", id(&grant))).await.expect(200);
    assert_eq!((&shown["uses"], &shown["uses_taken"]), (&json!(2), &json!(2)));
}

async fn a_stranger_accepts_before_anything_opens(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let to = json!({ "email": "Nina@people.example" });
    let given = ana.give(&[&door], to.clone(), json!({ "uses": 1 })).await.expect(201);
    assert_eq!(given["person_id"], Value::Null);
    assert_eq!(given["invitation_id"], given["invitation"]["id"]);
    let link = given["invitation"]["secret_link"].as_str().unwrap();
    let nina = Person::accept(&t.http, "nina", "nina@people.example", link).await;
    nina.unlock(&door).await.expect_opened();
    let shown = ana.get(&format!("/v1/grants/{}", id(&given))).await.expect(200);
    assert_eq!(
        (&shown["person_id"], &shown["invitation_id"]),
        (&json!(nina.id), &Value::Null)
    );
    assert!(!shown.to_string().contains("secret_link"));

    // To a member it goes at once.
    let again = ana.give(&[&door], to, json!({})).await.expect(201);
    assert_eq!(
        (&again["person_id"], &again["invitation"]),
        (&json!(nina.id), &Value::Null)
    );
    // Revoked while it waits, it opens nothing once it is accepted.
    let given = ana
        .give(&[&door], json!({ "email": "olga@people.example" }), json!({}))
        .await
        .expect(201);
    ana.revoke(&given).await;
    let (_, secret) = given["invitation"]["secret_link"]
        .as_str()
        .unwrap()
        .split_once('#')
        .unwrap();
    let body = json!({ "secret": secret, "name": "olga", "password": PASSWORD });
    if t.http.post("/v1/invitations/accept").json(body).await.status == 200 {
        let olga = Person::sign_in(&t.http, "olga", "olga@people.example").await;
        olga.unlock(&door).await.expect_refused("grant-revoked");
    }
}

async fn a_revoked_grant_opens_nothing_from_then_on(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let _lock = door.install().await;
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({})).await;
    gus.unlock(&door).await.expect_opened();
    let revoked = ana.revoke(&grant).await;
    assert_eq!(
        revoked["effective_no_later_than"],
        t.clock.after(Duration::from_secs(10))
    );
    gus.unlock(&door).await.expect_refused("grant-revoked");
    gus.lock(&door).await.expect_refused("grant-revoked");
    t.clock.advance(Duration::from_secs(60));
    assert_eq!(
        ana.revoke(&grant).await["effective_no_later_than"],
        t.clock.after(Duration::from_secs(10))
    );
    assert_eq!(ana.list("/v1/access-log?kind=grant-revoked").await.len(), 1);
    let shown = ana.get(&format!("/v1/grants/{}", id(&grant))).await.expect(200);
    assert_eq!(shown["revoked_at"], "2026-03-02T08:00:00.000Z");
}

async fn grants_are_found_by_lock_and_person(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let [front, cellar] = [
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Cellar").await,
    ];
    let [gus, mia] = [ana.guest("gus").await, ana.guest("mia").await];
    for (person, door) in [(&gus, &front), (&gus, &cellar), (&mia, &front)] {
        ana.grant(person, door, json!({})).await;
    }
    for (filter, count) in [
        (String::new(), 3),
        (format!("&lock_id={}", front.id), 2),
        (format!("&person_id={}", gus.id), 2),
        (format!("&lock_id={}&person_id={}", front.id, mia.id), 1),
        (format!("&lock_id={}&person_id={}", cellar.id, mia.id), 0),
    ] {
        assert_eq!(
            ana.list(&format!("/v1/grants?limit=1{filter}")).await.len(),
            count,
            "{filter}"
        );
    }
}

async fn several_doors_go_with_one_grant(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let doors = [
        ana.add_lock(&house, "Front door").await,
        ana.add_lock(&house, "Cellar").await,
    ];
    let _locks = [doors[0].install().await, doors[1].install().await];
    let gus = ana.guest("gus").await;
    let to = json!({ "person_id": gus.id });
    ana.give(&[&doors[0], &doors[1]], to, json!({ "uses": 3 }))
        .await
        .expect(201);
    for door in [&doors[0], &doors[1], &doors[0]] {
        gus.unlock(door).await.expect_opened();
    }
    gus.unlock(&doors[1]).await.expect_refused("uses-exhausted");
}

async fn who_may_open_what_is_told(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let [now, later, none] = [
        ana.add_lock(&house, "A").await,
        ana.add_lock(&house, "B").await,
        ana.add_lock(&house, "C").await,
    ];
    let lock = now.install().await;
    later.try_enrol().await.unwrap();
    lock.until_online(&ana, true).await;
    let gus = ana.guest("gus").await;
    ana.grant(&gus, &now, json!({})).await;
    ana.grant(&gus, &later, json!({ "starts_at": "2026-03-03T08:00:00Z" }))
        .await;
    let mut told = gus.list("/v1/me/locks").await;
    told.sort_by_key(|lock| lock["name"].to_string());
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(
        (&told[0]["opens_now"], &told[0]["online"], &told[0]["id"]),
        (&json!(true), &json!(true), &json!(now.id))
    );
    assert_eq!(
        (&told[1]["opens_now"], &told[1]["online"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(
        (&told[1]["reason"], &told[1]["opens_at"]),
        (&json!("not-yet"), &json!("2026-03-03T08:00:00.000Z"))
    );
    gus.unlock(&none).await.expect_refused("no-access");
}
