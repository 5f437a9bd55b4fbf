//! A guest without a phone at a real lock, whose backend is away: by a PIN, and by a computed code in its window alone.

use doorward::agent::local::LocalCarrier;
use serde_json::{Value, json};

use super::entries;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::fixtures::wait::until;
use crate::world::{Door, Landlord, house};

on_each_database!(
    a_guests_code_opens_in_its_window_and_not_a_minute_outside,
    a_guests_pin_opens_until_it_is_taken_back,
    a_printed_code_opens_once_for_a_guest_without_phone_and_account,
);

/// The word of the lock for these digits.
async fn enter(at: &LocalCarrier, digits: &str) -> String {
    let request = reqwest::Client::new().post(format!("http://{}/pin", at.address()));
    let answer = request.json(&json!({ "pin": digits })).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    answer["result"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

/// Waits until the lock holds what it should.
async fn until_applied(ana: &Landlord, door: &Door) {
    until("the lock to hold its PINs", async || {
        ana.get(&format!("{}/pins", door.path())).await.expect(200)["status"] == "applied"
    })
    .await;
}

async fn a_guests_code_opens_in_its_window_and_not_a_minute_outside(database: TestDatabase) {
    let (mut t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let at = LocalCarrier::open(([127, 0, 0, 1], 0).into(), lock.door())
        .await
        .unwrap();
    let gus = ana.guest("gus").await;
    let terms = json!({
        "ways": ["app", "pin"], "starts_at": "2026-03-02T15:00:00+01:00", "ends_at": "2026-03-04T11:00:00+01:00",
    });
    let grant = ana.grant(&gus, &door, terms).await;
    until_applied(&ana, &door).await;
    let path = format!("/v1/grants/{}/pin", grant["id"].as_str().unwrap());
    let given = ana.post(&path).json(json!({ "kind": "computed" })).await.expect(201);
    assert_eq!(given["starts_at"], "2026-03-02T23:00:00.000Z");
    assert_eq!(given["ends_at"], "2026-03-03T23:00:00.000Z");
    let code = given["code"].as_str().unwrap();

    t.stop().await;
    lock.until_shown("the backend gone", |view| !view.is_connected).await;
    for (time, opens) in [
        ("2026-03-02T22:59:00Z", false),
        ("2026-03-02T22:59:58Z", false),
        ("2026-03-02T23:00:00Z", true),
        ("2026-03-03T22:59:58Z", true),
        ("2026-03-03T23:00:00Z", false),
    ] {
        t.clock.set(time);
        assert_eq!(enter(&at, code).await == "ok", opens, "{time}");
    }

    t.restart().await;
    ana.sign_in_again().await;
    lock.until_settled().await;
    let opened = entries(&ana, "unlocked").await;
    assert_eq!(opened.len(), 2);
    for entry in &opened {
        assert_eq!(
            (&entry["person_id"], &entry["grant_id"]),
            (&json!(gus.id), &grant["id"])
        );
    }
}

async fn a_guests_pin_opens_until_it_is_taken_back(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let at = LocalCarrier::open(([127, 0, 0, 1], 0).into(), lock.door())
        .await
        .unwrap();
    let gus = ana.guest("gus").await;
    let grant = ana.grant(&gus, &door, json!({ "ways": ["app", "pin"] })).await;
    let path = format!("/v1/grants/{}/pin", grant["id"].as_str().unwrap());
    let given = ana.post(&path).await.expect(201);
    until_applied(&ana, &door).await;
    let code = given["code"].as_str().unwrap();
    assert_eq!(enter(&at, code).await, "ok");
    ana.delete(&path).await.expect(200);
    until_applied(&ana, &door).await;
    assert_eq!(enter(&at, code).await, "wrong-pin");
    let again = ana.post(&path).await.expect(201);
    until_applied(&ana, &door).await;
    assert_ne!(again["code"], given["code"]);
    assert_eq!(enter(&at, again["code"].as_str().unwrap()).await, "ok");
    lock.until_settled().await;
    assert_eq!(entries(&ana, "unlocked").await.len(), 2);
}

async fn a_printed_code_opens_once_for_a_guest_without_phone_and_account(database: TestDatabase) {
    let (_t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let at = LocalCarrier::open(([127, 0, 0, 1], 0).into(), lock.door())
        .await
        .unwrap();
    let terms = json!({ "ways": ["app", "pin"], "uses": 1, "ends_at": "2026-03-02T17:00:00+01:00" });
    let grant = ana.grant_guest("Gus", &door, terms).await;
    let path = format!("/v1/grants/{}/pin", grant["id"].as_str().unwrap());
    // What would open all day is not given for one opening.
    let computed = ana.post(&path).json(json!({ "kind": "computed" })).await;
    computed.expect_problem(409, "code-needs-plain-grant");
    let given = ana.post(&path).await.expect(201);
    let code = given["code"].as_str().unwrap();
    assert_eq!(given["locks"][0]["counts_uses"], true);
    let sheet = given["sheet"].as_str().unwrap();
    for line in [
        "Access for Gus, from ana's houses",
        "Where: Linden Street 4, Vienna",
        "Door: Front door",
        "When: Mon 2 Mar 2026, 09:00 to Mon 2 Mar 2026, 17:00 (Europe/Vienna)",
        "It opens once.",
        &format!("Code: {code}"),
    ] {
        assert!(sheet.lines().any(|told| told == line), "{line}: {sheet}");
    }
    until_applied(&ana, &door).await;
    assert_eq!(enter(&at, code).await, "ok");
    assert_ne!(enter(&at, code).await, "ok");
    lock.until_settled().await;
    let opened = entries(&ana, "unlocked").await;
    assert_eq!(opened.len(), 1);
    assert_eq!(
        (&opened[0]["person_id"], &opened[0]["grant_id"]),
        (&grant["person_id"], &grant["id"])
    );
    // The link of the same grant opens nothing more: one opening, whichever way it came.
    let (gus, _) = ana.link(&grant, json!({})).await.open().await;
    gus.unlock(&door).await.expect_refused("uses-exhausted");
}
