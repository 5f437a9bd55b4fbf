//! A phone whose sessions are bound to its key (DPoP, RFC 9449), as an app's author would write it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward::domain::time::Clock as _;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Answer, HandClock, Http, PASSWORD, Phone, Request};

/// What addresses in proofs begin with: the configured address of the service, whatever the socket's is.
const SERVICE: &str = "https://doors.example";

/// A phone with a key, and the tokens of its session.
pub struct BoundPhone {
    http: Http,
    clock: HandClock,
    /// Its key.
    pub key: SigningKey,
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
}

impl BoundPhone {
    /// One without a session.
    pub fn new(http: &Http, clock: &HandClock) -> Self {
        Self {
            http: http.clone(),
            clock: clock.clone(),
            key: Phone::new_key(),
            access: String::new(),
            refresh: String::new(),
        }
    }

    /// One on which the person with this address is signed in.
    pub async fn sign_in(http: &Http, clock: &HandClock, email: &str) -> Self {
        let mut phone = Self::new(http, clock);
        let body = json!({ "email": email, "password": PASSWORD });
        let answer = phone.without_token("POST", "/v1/auth/sign-in").json(body).await;
        phone.take(answer);
        phone
    }

    /// Keeps the tokens of the answer, which are bound.
    pub fn take(&mut self, answer: Answer) {
        let answer = answer.expect(200);
        assert_eq!(answer["token_type"], "DPoP");
        let text = |member: &str| answer[member].as_str().unwrap().to_owned();
        (self.access, self.refresh) = (text("access_token"), text("refresh_token"));
    }

    /// The public half of its key.
    pub fn jwk(&self) -> Value {
        Phone::public_key(&self.key)
    }

    /// A proof of a request, by its key and now, with what `change` makes of its claims.
    pub fn proof_with(&self, method: &str, path: &str, token: Option<&str>, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({
            "jti": URL_SAFE_NO_PAD.encode(rand_bytes()),
            "htm": method,
            "htu": format!("{SERVICE}{}", path.split('?').next().unwrap()),
            "iat": self.clock.now().as_seconds(),
        });
        if let Some(token) = token {
            claims["ath"] = URL_SAFE_NO_PAD.encode(Sha256::digest(token)).into();
        }
        change(&mut claims);
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature: p256::ecdsa::Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    /// A proof of a request with its access token.
    pub fn proof(&self, method: &str, path: &str) -> String {
        self.proof_with(method, path, Some(&self.access), |_| ())
    }

    /// A request without a token, such as a sign-in.
    pub fn without_token(&self, method: &str, path: &str) -> Request {
        let proof = self.proof_with(method, path, None, |_| ());
        self.http.request(method, path).header("DPoP", &proof)
    }

    /// A request with its access token and this proof.
    pub fn request_with(&self, method: &str, path: &str, proof: &str) -> Request {
        let request = self.http.request(method, path).header("DPoP", proof);
        request.header("Authorization", &format!("DPoP {}", self.access))
    }

    /// A request as it should be.
    pub fn request(&self, method: &str, path: &str) -> Request {
        self.request_with(method, path, &self.proof(method, path))
    }
}

fn rand_bytes() -> [u8; 16] {
    use doorward::crypto::random::{OsRandom, Random as _};
    OsRandom.bits().to_be_bytes()
}
