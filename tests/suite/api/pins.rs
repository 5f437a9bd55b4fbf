//! Giving PINs and taking them back, as far as no lock has to say anything.

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{HandLock, Landlord, house};

on_each_database!(
    one_pin_opens_all_doors_of_a_grant,
    what_allows_no_pin_says_why,
    a_code_needs_a_whole_day_of_a_plain_grant,
    a_lock_takes_what_its_model_takes,
    a_pin_that_no_lock_was_told_of_is_gone_at_once,
);

fn pin(grant: &Value) -> String {
    format!("/v1/grants/{}/pin", grant["id"].as_str().unwrap())
}

async fn slots(ana: &Landlord, path: &str) -> Vec<Value> {
    let shown = ana.get(&format!("{path}/pins")).await.expect(200);
    shown["slots"].as_array().unwrap().clone()
}

async fn one_pin_opens_all_doors_of_a_grant(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let (front, back) = (ana.add_lock(&house, "Front").await, ana.add_lock(&house, "Back").await);
    let _locks = [HandLock::install(&front).await, HandLock::install(&back).await];
    let gus = ana.guest("gus").await;
    let terms = json!({ "ways": ["pin", "app"] });
    let both = ana
        .give(&[&front, &back], json!({ "person_id": gus.id }), terms)
        .await
        .expect(201);
    assert_eq!(both["ways"], json!(["app", "pin"]));
    let given = ana.post(&pin(&both)).await.expect(201);
    assert!(given["code"].is_string());
    assert_eq!((&given["kind"], &given["ends_at"]), (&json!("synced"), &Value::Null));
    assert_eq!(given["locks"].as_array().unwrap().len(), 2);
    assert!(
        given["locks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|lock| lock["code"].is_null() && lock["slot"] == 1)
    );
    for door in [&front, &back] {
        let slots = slots(&ana, &door.path()).await;
        assert_eq!((slots.len(), &slots[0]["grant_id"]), (1, &both["id"]));
        assert!(!slots[0].to_string().contains(given["code"].as_str().unwrap()));
    }
    ana.post(&pin(&both)).await.expect_problem(409, "pin-exists");
    let entry = &ana.list("/v1/access-log?kind=pin-given").await[0];
    assert_eq!(
        (&entry["person_id"], &entry["actor_id"]),
        (&json!(gus.id), &json!(ana.id))
    );
}

async fn what_allows_no_pin_says_why(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let (front, back) = (ana.add_lock(&house, "Front").await, ana.add_lock(&house, "Back").await);
    let gus = ana.guest("gus").await;
    let by_pin = json!({ "ways": ["app", "pin"] });
    let grant = ana.grant(&gus, &front, by_pin.clone()).await;
    ana.post(&pin(&grant)).await.expect_problem(409, "lock-not-in-service");
    let _locks = [HandLock::install(&front).await, HandLock::install(&back).await];
    let usual = ana.grant(&gus, &front, json!({})).await;
    assert_eq!(usual["ways"], json!(["app", "offline"]));
    ana.post(&pin(&usual)).await.expect_problem(409, "way-not-given");
    let counted = json!({ "ways": ["app", "pin"], "uses": 2 });
    let counted = ana
        .give(&[&front, &back], json!({ "person_id": gus.id }), counted)
        .await
        .expect(201);
    ana.post(&pin(&counted)).await.expect_problem(409, "uses-need-one-lock");
    let window =
        |hour: u32| json!({ "days": ["mon"], "from": format!("{:02}:{:02}", hour / 2, hour % 2 * 30), "to": "24:00" });
    let windows: Vec<Value> = (0..29).map(window).collect();
    let long = ana
        .grant(
            &gus,
            &front,
            json!({ "ways": ["app", "pin"], "schedule": { "weekly": windows } }),
        )
        .await;
    ana.post(&pin(&long)).await.expect_problem(409, "schedule-too-long");
    ana.revoke(&grant).await;
    ana.post(&pin(&grant)).await.expect_problem(409, "grant-over");
    let short = ana
        .grant(
            &gus,
            &front,
            json!({ "ways": ["app", "pin"], "ends_at": "2026-03-02T09:00:00Z" }),
        )
        .await;
    t.clock.set("2026-03-02T09:00:00Z");
    ana.post(&pin(&short)).await.expect_problem(409, "grant-over");
    ana.post(&pin(&usual))
        .json(json!({ "kind": "1234" }))
        .await
        .expect_invalid("kind");
    ana.post(&pin(&usual))
        .json(json!({ "code": "836204" }))
        .await
        .expect_invalid("code");
    ana.delete(&pin(&usual)).await.expect(200);
}

async fn a_code_needs_a_whole_day_of_a_plain_grant(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front").await;
    let mut lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    let computed = json!({ "kind": "computed" });
    for (terms, word) in [
        (json!({ "uses": 1 }), "code-needs-plain-grant"),
        (
            json!({ "schedule": { "weekly": [{ "days": ["mon"], "from": "09:00", "to": "10:00" }] } }),
            "code-needs-plain-grant",
        ),
        (json!({}), "lock-behind"),
    ] {
        let mut terms = terms;
        terms["ways"] = json!(["app", "pin"]);
        let grant = ana.grant(&gus, &door, terms).await;
        ana.post(&pin(&grant))
            .json(computed.clone())
            .await
            .expect_problem(409, word);
    }
    let shown = ana.get(&format!("{}/pins", door.path())).await.expect(200);
    lock.pins = shown["version"].as_u64().unwrap();
    lock.until_heard().await;
    for ends in ["2026-03-02T23:59:00+01:00", "2026-03-02T12:00:00+01:00"] {
        let grant = ana
            .grant(&gus, &door, json!({ "ways": ["app", "pin"], "ends_at": ends }))
            .await;
        ana.post(&pin(&grant))
            .json(computed.clone())
            .await
            .expect_problem(409, "code-needs-whole-day");
    }
}

async fn a_lock_takes_what_its_model_takes(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front").await;
    let _lock = HandLock::install(&door).await;
    let gus = ana.guest("gus").await;
    let path = format!("{}/pins", door.path());
    for (limits, field) in [
        (json!({ "slots": 1000 }), "slots"),
        (json!({ "digits": { "least": 3, "most": 8 } }), "digits"),
        (json!({ "digits": { "least": 8, "most": 6 } }), "digits"),
        (json!({ "digits": { "least": 8, "most": 11 } }), "digits"),
        (json!({ "digits": { "least": 8 } }), "digits.most"),
    ] {
        ana.patch(&path).json(limits).await.expect_invalid(field);
    }
    let limits = json!({ "slots": 1, "digits": { "least": 7, "most": 7 } });
    let shown = ana.patch(&path).json(limits.clone()).await.expect(200);
    assert_eq!(shown["limits"], limits);
    let by_pin = json!({ "ways": ["app", "pin"] });
    let first = ana.grant(&gus, &door, by_pin.clone()).await;
    let given = ana.post(&pin(&first)).await.expect(201);
    assert_eq!(given["code"].as_str().unwrap().len(), 7);
    let second = ana.grant(&gus, &door, by_pin.clone()).await;
    ana.post(&pin(&second)).await.expect_problem(409, "no-slot-left");
    ana.patch(&path)
        .json(json!({ "slots": 2, "digits": { "least": 4, "most": 5 } }))
        .await
        .expect(200);
    ana.post(&pin(&second)).await.expect_problem(409, "no-slot-left");
}

async fn a_pin_that_no_lock_was_told_of_is_gone_at_once(database: TestDatabase) {
    let (t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front").await;
    let mut lock = HandLock::install(&door).await;
    lock.vanish();
    t.clock.advance(std::time::Duration::from_secs(3600));
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({ "ways": ["app", "pin"] })).await;
    ana.post(&pin(&grant)).await.expect(201);
    assert_eq!(slots(&ana, &door.path()).await[0]["status"], "pending");
    let taken = ana.delete(&pin(&grant)).await.expect(200);
    assert_eq!(
        taken["effective_no_later_than"],
        t.clock.after(std::time::Duration::ZERO)
    );
    assert!(slots(&ana, &door.path()).await.is_empty());
    assert_eq!(ana.list("/v1/access-log?kind=pin-taken-back").await.len(), 1);
    ana.post(&pin(&grant)).await.expect(201);
}
