//! A door with a keypad, whose backend is away.

use doorward::agent::local::LocalCarrier;
use doorward::domain::time::Clock as _;
use doorward_lock::pins::{Code, Entry, PinKey};
use doorward_lock::wire::{Bolt, Pins};
use serde_json::{Value, json};

use super::entries;
use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{InstalledLock, claims_of, house};

on_each_database!(a_keypad_opens_while_the_backend_is_away);

/// What the lock answers to a call at its door.
async fn call(at: &LocalCarrier, path: &str, body: Value) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("http://{}{path}", at.address()));
    let answer = request.json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The word for these digits, and the causes of the events that say so.
async fn enter(at: &LocalCarrier, digits: &str) -> (String, Vec<Value>) {
    let (status, answer) = call(at, "/pin", json!({ "pin": digits })).await;
    assert_eq!(status, 200, "{answer}");
    let events = answer["events"].as_array().unwrap().iter();
    let causes = events.map(|event| claims_of(event.as_str().unwrap())["cause"].clone());
    (answer["result"].as_str().unwrap().to_owned(), causes.collect())
}

fn pin_key(lock: &InstalledLock) -> PinKey {
    PinKey::from_text(lock.enrolled().welcome.pin_key.as_deref().unwrap()).unwrap()
}

async fn a_keypad_opens_while_the_backend_is_away(database: TestDatabase) {
    const PIN: &str = "48291573";
    const WRONG: &str = "90817264";
    let (mut t, ana, house) = house(&database).await;
    let door = ana.add_lock(&house, "Front door").await;
    let lock = door.install().await;
    let at = LocalCarrier::open(([127, 0, 0, 1], 0).into(), lock.door())
        .await
        .unwrap();

    let now = t.clock.now().as_seconds();
    let welcome = &lock.enrolled().welcome;
    let mac = pin_key(&lock).slots().mac(7, &Entry::read(PIN).unwrap());
    let pins = json!({
        "iss": welcome.iss, "org": welcome.org, "aud": door.id, "base": 0, "version": 1, "codes": 0,
        "zone": [{ "at": 0, "offset": 0 }], "clear": [],
        "set": [{ "slot": 7, "mac": mac.as_str(), "gid": "grant_1", "role": "guest", "nbf": now, "exp": now + 3_600 }],
    })
    .to_string();
    let pins: Pins<'_> = serde_json::from_str(&pins).unwrap();
    let keyset = claims_of(&welcome.keyset)["version"].as_u64().unwrap();
    let message = t.keys().signer(keyset, t.clock.now()).sign_pins(&pins).unwrap();
    t.stop().await;
    lock.until_shown("the backend gone", |view| !view.is_connected).await;

    let (status, taken) = call(&at, "/messages", json!({ "messages": [message] })).await;
    assert_eq!(status, 200, "{taken}");
    assert_eq!(claims_of(taken["events"][0].as_str().unwrap())["kind"], "pins");
    let by_slot = json!({ "pin": 7 });
    assert_eq!(enter(&at, PIN).await, ("ok".into(), vec![by_slot.clone(), by_slot]));
    assert_eq!(lock.view().borrow().bolt, Bolt::Unlocked);
    let today = u32::try_from(now / 86_400).unwrap();
    let code = pin_key(&lock).codes(0).digits(&Code::new(today, 1, 5).unwrap());
    let by_code = json!({ "code": format!("{today}-1-5") });
    assert_eq!(
        enter(&at, code.as_str()).await,
        ("ok".into(), vec![by_code.clone(), by_code])
    );
    for no_pin in ["", "12345", "48291573 ", "123456789", "letmein"] {
        assert_eq!(call(&at, "/pin", json!({ "pin": no_pin })).await.0, 422, "{no_pin:?}");
    }
    for _ in 0..5 {
        let (result, causes) = enter(&at, WRONG).await;
        assert_eq!(result, "wrong-pin");
        assert!(causes.iter().all(|cause| cause == "auto"), "{causes:?}");
    }
    assert_eq!(enter(&at, PIN).await.0, "keypad-closed", "even a right one");
    assert_eq!(
        enter(&at, PIN).await,
        ("keypad-closed".into(), vec![]),
        "which is written once"
    );

    t.restart().await;
    lock.until_settled().await;
    let opened = entries(&ana, "unlocked").await;
    let details: Vec<&Value> = opened.iter().map(|entry| &entry["detail"]).collect();
    assert_eq!(details.len(), 2, "{details:?}");
    assert_eq!(
        (&details[0]["cause"], &details[0]["code"]),
        (&json!("code"), &json!(format!("{today}-1-5")))
    );
    assert_eq!(
        (&details[1]["cause"], &details[1]["pin_slot"]),
        (&json!("pin"), &json!(7))
    );
    assert!(opened[1]["seq"].as_i64() < opened[0]["seq"].as_i64(), "in their order");
    let everything = Value::from(ana.list("/v1/access-log").await).to_string();
    assert!(everything.contains("wrong-pin"));
    for digits in [PIN, code.as_str(), WRONG] {
        assert!(!everything.contains(digits), "no digits in the log");
    }
}
