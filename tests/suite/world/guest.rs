//! Guests without an account: who comes by a link.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward::crypto::secret::Secret;
use doorward::domain::time::Clock as _;
use doorward_lock::keys::{self, PublicKey};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};

use super::{Answer, Door, HandClock, Http, Landlord, Person, Phone, Request};

/// A link as it was sent.
pub struct Link {
    /// The address.
    pub url: String,
    /// All of the answer that made it.
    pub told: Value,
    http: Http,
    clock: HandClock,
}

impl Link {
    /// The link in an answer that has it as `url`.
    pub fn of(http: &Http, clock: &HandClock, told: Value) -> Self {
        Self {
            url: told["url"].as_str().unwrap().to_owned(),
            told,
            http: http.clone(),
            clock: clock.clone(),
        }
    }

    /// The part that browsers keep to themselves.
    pub fn secret(&self) -> &str {
        self.url.split_once('#').unwrap().1
    }

    /// A phone redeems it by this key.
    pub fn redeem(&self, key: &SigningKey) -> Request {
        self.http.post("/v1/guest/redeem").json(self.redemption(key))
    }

    /// What a phone with this key sends for it now.
    pub fn redemption(&self, key: &SigningKey) -> Value {
        redemption(self.secret(), key, self.clock.now().as_seconds())
    }

    /// A new phone redeems it.
    pub async fn open(&self) -> (Person, Phone) {
        let key = Phone::new_key();
        let answer = self.redeem(&key).await;
        (self.came(&answer), self.phone(&answer, key))
    }

    /// Who the answer lets in.
    #[track_caller]
    pub fn came(&self, answer: &Answer) -> Person {
        let told = answer.clone().expect(200);
        Person::by_link(&self.http, told["name"].as_str().unwrap(), &told)
    }

    /// The phone as the answer calls it.
    pub fn phone(&self, answer: &Answer, key: SigningKey) -> Phone {
        Phone {
            id: answer.text_of("phone_id"),
            key,
        }
    }
}

/// What a phone with this key sends for the link with this secret, at this second.
pub fn redemption(secret: &str, key: &SigningKey, iat: u64) -> Value {
    let (x, y) = PublicKey::from_key(*key.verifying_key()).coordinates();
    let jkt = keys::thumbprint(&keys::jwk(&x, &y)).as_str().to_owned();
    let digest = secret.parse::<Secret>().unwrap().digest();
    let header = json!({ "alg": "ES256", "typ": "redeem+jwt", "kid": jkt });
    let claims = json!({ "link_hash": URL_SAFE_NO_PAD.encode(digest), "jkt": jkt, "iat": iat });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature: p256::ecdsa::Signature = key.sign(signed.as_bytes());
    json!({
        "secret": secret,
        "public_key": Phone::public_key(key),
        "proof": format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes())),
    })
}

impl Landlord {
    /// Gives somebody without an account access to a door from now on, by these further terms; the answer is the grant.
    pub async fn grant_guest(&self, name: &str, door: &Door, terms: Value) -> Value {
        let to = json!({ "guest": { "name": name } });
        self.give(&[door], to, terms).await.expect(201)
    }

    /// Asks for a link for the grant, by these terms.
    pub fn make_link(&self, grant: &Value, terms: Value) -> Request {
        let id = grant["id"].as_str().unwrap();
        self.post(&format!("/v1/grants/{id}/link")).json(terms)
    }

    /// Takes the grant's link back.
    pub fn take_link_back(&self, grant: &Value) -> Request {
        let id = grant["id"].as_str().unwrap();
        self.delete(&format!("/v1/grants/{id}/link"))
    }

    /// A link for the grant, by these terms.
    pub async fn link(&self, grant: &Value, terms: Value) -> Link {
        let told = self.make_link(grant, terms).await.expect(201);
        Link::of(&self.http, &self.clock, told)
    }
}
