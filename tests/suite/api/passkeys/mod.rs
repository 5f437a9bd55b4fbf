//! Passkeys in the place of password and code.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::authenticator::Authenticator;
use crate::world::{Answer, Http, Person, Request};

mod own;
mod proving;
mod signing;

const MINUTE: Duration = Duration::from_secs(60);

async fn options(http: &Http) -> Value {
    http.post("/v1/auth/passkey/options").await.expect(200)
}

fn show(http: &Http, credential: &Value) -> Request {
    http.post("/v1/auth/passkey").json(json!({ "credential": credential }))
}

async fn sign_in(http: &Http, device: &mut Authenticator) -> Answer {
    let credential = device.sign(&options(http).await);
    show(http, &credential).await
}

/// With this access token and without a proof beside it.
fn by(http: &Http, token: &str, method: &str, path: &str) -> Request {
    http.request(method, path).bearer(token)
}

async fn told(person: &Person) -> Vec<String> {
    let notices = person.list("/v1/me/notices").await;
    notices
        .iter()
        .map(|notice| notice["kind"].as_str().unwrap().to_owned())
        .collect()
}
