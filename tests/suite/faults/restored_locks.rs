//! Locks that were told of more than the restored database knows.

use std::time::Duration;

use doorward::agent::local::LocalCarrier;
use serde_json::{Value, json};

use super::installation::Installation;
use crate::doors::local::{enter, install};
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::wait::{found, until};
use crate::world::{Door, Landlord, Person};

/// A grant that may be used at the keypad, and its PIN, once the lock holds it.
async fn pin_for(ana: &Landlord, to: &Person, door: &Door) -> (String, String) {
    let grant = ana.grant(to, door, json!({ "ways": ["app", "pin"] })).await;
    let path = format!("/v1/grants/{}", grant["id"].as_str().unwrap());
    let pin = code(ana, &path, "synced").await;
    until_held(ana, &path).await;
    (path, pin)
}

async fn until_held(ana: &Landlord, grant: &str) {
    until("the lock to hold the PIN", async || {
        ana.get(grant).await.expect(200)["locks"][0]["pin"]["status"] == "applied"
    })
    .await;
}

/// Waits until the lock says this to the digits. A PIN begins with the second after that in which it was given, and the lock hears
/// as many as it has time for.
async fn until_said(ana: &Landlord, keypad: &LocalCarrier, digits: &str, word: &str) {
    ana.clock.catch_up();
    until(word, async || {
        ana.clock.advance(Duration::from_secs(1));
        enter(keypad, digits).await == word
    })
    .await;
}

/// The digits of a PIN or code that is given. While the lock has not said what it holds, or its slots are being cleared, none is.
async fn code(ana: &Landlord, grant: &str, kind: &str) -> String {
    let path = format!("{grant}/pin");
    found("a code", async || {
        let answer = ana.post(&path).json(json!({ "kind": kind })).await;
        (answer.status == 201).then(|| answer.text_of("code"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_keypad_only_those_get_in_whom_the_restored_database_knows() {
    let database = TestDatabase::sqlite();
    let installation = Installation::on(&database);
    let (backend, ana) = installation.open().await;
    let house = ana.add_property("Europe/Vienna").await;
    let door = ana.add_lock(&house, "Front door").await;
    let (lock, keypad) = install(&door).await;
    let (gus, max, pia) = (ana.guest("gus").await, ana.guest("max").await, ana.guest("pia").await);
    let (his, known) = pin_for(&ana, &gus, &door).await;
    let backup = installation.back_up().await;

    // Of none of this the backup knows: a PIN, codes that are void, a lockdown.
    let (_, unknown) = pin_for(&ana, &max, &door).await;
    let void = code(&ana, &his, "computed").await;
    until_said(&ana, &keypad, &void, "ok").await;
    ana.post(&format!("{}/rotate-codes", door.path())).await.expect(200);
    until("the lock to hold the next codes", async || {
        let shown = ana.get(&format!("{}/pins", door.path())).await.expect(200);
        shown["codes"]["status"] == "applied"
    })
    .await;
    let ordered = ana.lock_down(&house, 120, json!({})).await.expect(201);
    assert_eq!(ordered["locks"][0]["status"], "holds", "{ordered}");
    until_said(&ana, &keypad, &known, "lockdown").await;
    backend.kill().await;
    lock.until_shown("the backend gone", |view| !view.is_connected).await;
    assert_eq!(enter(&keypad, &known).await, "lockdown");

    let said = installation.restore(&backup).await;
    assert!(!said.contains("stands again;"), "the notes cover all of it: {said}");
    let backend = installation.serve().await;
    ana.sign_in_again().await;
    // As many changes as the lock has seen, before it has said what it holds or after.
    let (_, new) = pin_for(&ana, &pia, &door).await;
    until_held(&ana, &his).await;
    // The lockdown that nobody knows of any more is over.
    until_said(&ana, &keypad, &known, "ok").await;
    until_said(&ana, &keypad, &new, "ok").await;
    assert_eq!(enter(&keypad, &unknown).await, "wrong-pin");
    let code = code(&ana, &his, "computed").await;
    assert_eq!(enter(&keypad, &code).await, "ok", "by the codes that the lock goes by");
    assert_eq!(enter(&keypad, &void).await, "wrong-pin");
    ana.lock_down(&house, 120, json!({})).await.expect(201);
    until_said(&ana, &keypad, &new, "lockdown").await;

    // Once more from the same copy: the first restore is what the backup does not know now.
    backend.kill().await;
    installation.restore(&backup).await;
    let _backend = installation.serve().await;
    ana.sign_in_again().await;
    until_held(&ana, &his).await;
    until_said(&ana, &keypad, &known, "ok").await;
    assert_eq!(enter(&keypad, &new).await, "wrong-pin");
    let rotated: Vec<Value> = ana.list("/v1/access-log?kind=codes-rotated").await;
    assert_eq!(rotated[0]["reason"], "restored");
}
