//! Phones: the keys to which passes are bound.

use doorward::agent::enrolment::new_key;
use doorward::crypto::random::OsRandom;
use doorward_lock::keys::{self, PublicKey};
use p256::ecdsa::SigningKey;
use serde_json::{Value, json};

use super::{Answer, Door, Person, Request};

/// A phone that its owner has registered.
pub struct Phone {
    /// Its id.
    pub id: String,
    /// Its private key.
    pub key: SigningKey,
}

impl Phone {
    /// A new key, as it is registered: its public half.
    pub fn public_key(key: &SigningKey) -> Value {
        let (x, y) = PublicKey::from_key(*key.verifying_key()).coordinates();
        serde_json::to_value(keys::jwk(&x, &y)).unwrap()
    }

    /// A new key, not registered.
    pub fn new_key() -> SigningKey {
        new_key(&OsRandom)
    }

    /// The name by which locks know it.
    pub fn thumbprint(&self) -> String {
        let (x, y) = PublicKey::from_key(*self.key.verifying_key()).coordinates();
        keys::thumbprint(&keys::jwk(&x, &y)).as_str().to_owned()
    }
}

impl Person {
    /// Registers this key under this name.
    pub fn register(&self, key: &SigningKey, name: &str) -> Request {
        let body = json!({ "public_key": Phone::public_key(key), "name": name });
        self.post("/v1/me/phones").json(body)
    }

    /// Registers a new phone.
    pub async fn phone(&self) -> Phone {
        let key = Phone::new_key();
        let answer = self.register(&key, "Phone").await;
        let id = answer.text_of("id");
        answer.expect(201);
        Phone { id, key }
    }

    /// Asks for passes of these doors.
    pub async fn pass(&self, phone: &Phone, doors: &[&Door]) -> Answer {
        let doors: Vec<&str> = doors.iter().map(|door| door.id.as_str()).collect();
        let body = json!({ "lock_ids": doors, "phone_id": phone.id });
        self.post("/v1/passes").json(body).await
    }

    /// The claims of the one pass of these doors.
    pub async fn pass_claims(&self, phone: &Phone, doors: &[&Door]) -> Value {
        let issued = self.pass(phone, doors).await.expect(200);
        super::claims_of(issued["pass"].as_str().unwrap())
    }
}
