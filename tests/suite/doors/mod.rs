//! The main job with locks at the broker: the reference lock where a story is told, a lock made by hand where something
//! is to be said that no honest lock says.

mod alarms;
mod attempts;
mod chain;
mod foreign;
mod forgery;
mod guest;
mod keypad;
mod keys;
mod life;
pub mod local;
mod lockdowns;
mod moves;
mod passes;
mod pins;
mod silence;
mod story;
mod tenancies;
mod visits;
mod year;

use serde_json::{Value, json};

use crate::fixtures::wait::found;
use crate::world::{Door, Landlord, Person};

/// Asks for the door and does not wait for the lock: the attempt, pending.
async fn ask(person: &Person, door: &Door) -> Value {
    let asked = person.post(&format!("{}/unlock", door.path()));
    let attempt = asked.json(json!({ "wait_ms": 0 })).await.expect(202);
    assert_eq!(attempt["status"], "pending");
    attempt
}

/// The attempt as it stands.
async fn show(person: &Person, attempt: &Value) -> Value {
    let id = attempt["id"].as_str().unwrap();
    person.get(&format!("/v1/attempts/{id}")).await.expect(200)
}

/// Waits until the attempt has this status; gives it.
async fn until_status(person: &Person, attempt: &Value, status: &str) -> Value {
    found(status, async || {
        let present = show(person, attempt).await;
        (present["status"] == status).then_some(present)
    })
    .await
}

/// The entries of the log of this kind that the person sees, the newest first.
async fn entries(reader: &Person, kind: &str) -> Vec<Value> {
    reader.list(&format!("/v1/access-log?kind={kind}")).await
}

/// The reasons of the alarms in the log, the newest first.
async fn alarms(landlord: &Landlord) -> Vec<String> {
    let alarms = entries(landlord, "alarm").await.into_iter();
    alarms
        .map(|entry| entry["reason"].as_str().unwrap().to_owned())
        .collect()
}
