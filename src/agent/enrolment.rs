//! How a lock becomes one of a backend's: it makes its key pair, shows the claim code that a manager got, and keeps what
//! it is given (`docs/PROTOCOL.md`, "Enrolment").

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::controller;
use doorward_lock::{keys, pins, wire};
use hyper::StatusCode;
use p256::ecdsa::SigningKey;
use rustls::ClientConfig;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::crypto::public_key::PublicKey;
use crate::crypto::random::Random;
use crate::domain::ids::LockId;
use crate::mqtt::address::{BadAuthority, BrokerAddress, trusting};
use crate::mqtt::topics::{BadRoot, Topics};

use super::backend_address::{Answer, Server, Unanswered};

/// Where locks enrol.
const PATH: &str = "/v1/enrolments";

/// How often the backend is asked, where an earlier request cannot have reached it.
const TRIES: u32 = 4;

/// The wait before the second try; it doubles with every further one.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// How long a lock lets itself be put off altogether: a claim code is not good for longer.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What this program is, to the backend.
pub const FIRMWARE: &str = env!("CARGO_PKG_VERSION");

/// What a lock asks with.
#[derive(Serialize)]
struct Ask<'a> {
    claim_code: &'a str,
    public_key: wire::Jwk<'a>,
    model: &'a str,
    firmware: &'a str,
    proof: &'a str,
}

/// What the backend answers: all that the lock has to know of it. Members that this program does not know are ignored.
#[derive(Clone, Serialize, Deserialize)]
pub struct Welcome {
    /// The lock's id.
    pub lock_id: LockId,
    /// The backend's name, which stands in everything that it signs.
    pub iss: String,
    /// The organization that the lock belongs to.
    pub org: String,
    /// The key that signs keysets.
    pub root_key: PublicKey,
    /// The first keyset, signed by it.
    pub keyset: String,
    /// 32 bytes as base64url, kept for PINs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin_key: Option<String>,
    /// The last counter that was issued to the lock, whoever was it before: what this one counts from.
    #[serde(default)]
    pub ctr: u64,
    /// The time in seconds since 1970-01-01T00:00:00Z: what the lock takes for the earliest possible from now on.
    pub time: u64,
    /// The way to the broker.
    pub mqtt: BrokerAccess,
}

/// How a lock reaches the broker: always over TLS.
#[derive(Clone, Serialize, Deserialize)]
pub struct BrokerAccess {
    /// Name or address, as it stands in the broker's certificate.
    pub host: String,
    /// Its port for TLS.
    pub port: u16,
    /// The one certificate authority to trust for it, as PEM.
    pub ca_certificate: String,
    /// The lock's user name: its id.
    pub username: String,
    /// The lock's password.
    pub password: String,
    /// What the names of all topics begin with: `doorward/v1`.
    pub topic_root: String,
}

impl fmt::Debug for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Welcome({})", self.lock_id)
    }
}

/// An enrolled lock: what it was given, its private key, and what it is.
#[derive(Clone, Serialize, Deserialize)]
pub struct Enrolled {
    /// What the backend answered.
    pub welcome: Welcome,
    #[serde(serialize_with = "write_key", deserialize_with = "read_key")]
    key: SigningKey,
    model: String,
    firmware: String,
}

impl fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Enrolled({})", self.welcome.lock_id)
    }
}

/// A lock could not enrol.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The backend could not be reached; the claim code is still good.
    #[error("{server} cannot be reached ({cause}); the claim code is still good until it expires")]
    Unreachable {
        /// The backend's address.
        server: String,
        /// What was in the way.
        cause: String,
    },
    /// The request went out and no answer came back.
    #[error(
        "the answer of {server} was lost ({cause}): the claim code may be used up; make a new one for this lock, or \
         replace it if it shows as enrolled, and start again with that code"
    )]
    AnswerLost {
        /// The backend's address.
        server: String,
        /// What was in the way.
        cause: String,
    },
    /// The backend refused.
    #[error("the backend refused to enrol the lock ({status}): {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the backend said.
        detail: String,
    },
    /// The answer is not what a lock needs; the claim code is used up.
    #[error("the backend's answer cannot be used ({0}): replace the lock, and start again with the new code")]
    BadWelcome(String),
    /// Model or firmware are not plain printable ASCII, or too long.
    #[error("the model must be 1 to {} plain characters", controller::MAX_MODEL)]
    BadModel,
}

/// Enrols a new lock of this `model` at `server`. Asks again only where the backend has surely not heard it, or has put it
/// off.
///
/// # Errors
/// [`EnrolError`], whose text says whether the claim code is still good.
pub async fn enrol(
    server: &Server,
    claim_code: &str,
    model: &str,
    random: &dyn Random,
) -> Result<Enrolled, EnrolError> {
    enrol_patiently(server, claim_code, model, random, FIRST_WAIT, PATIENCE).await
}

/// As [`enrol`], with other waits.
pub(super) async fn enrol_patiently(
    server: &Server,
    claim_code: &str,
    model: &str,
    random: &dyn Random,
    first_wait: Duration,
    patience: Duration,
) -> Result<Enrolled, EnrolError> {
    let claim_code = claim_code.trim();
    let key = new_key(random);
    let body = request(&key, claim_code, model)?;
    let (mut tries, mut wait, mut patience) = (1, first_wait, patience);
    let answer = loop {
        match server.post(PATH, body.clone()).await {
            Ok(answer) => match put_off(&answer, wait) {
                Some(wait) if wait <= patience => {
                    patience -= wait;
                    tokio::time::sleep(wait).await;
                }
                _ => break answer,
            },
            Err(Unanswered::NotSent(cause)) if tries < TRIES => {
                tracing::warn!(
                    cause,
                    wait_s = wait.as_secs(),
                    "{} cannot be reached: {cause}",
                    server.address()
                );
                tokio::time::sleep(wait).await;
            }
            Err(unanswered) => return Err(no_answer(server, unanswered)),
        }
        tries += 1;
        wait *= 2;
    };
    Enrolled::new(welcome(&answer)?, key, model)
}

fn request(key: &SigningKey, claim_code: &str, model: &str) -> Result<String, EnrolError> {
    if model.is_empty() || model.len() > controller::MAX_MODEL {
        return Err(EnrolError::BadModel);
    }
    let proof = controller::enrolment_proof(key, claim_code, model, FIRMWARE).map_err(|_| EnrolError::BadModel)?;
    let (x, y) = keys::PublicKey::from_key(*key.verifying_key()).coordinates();
    let ask = Ask {
        claim_code,
        public_key: keys::jwk(&x, &y),
        model,
        firmware: FIRMWARE,
        proof: &proof,
    };
    serde_json::to_string(&ask).map_err(|_| EnrolError::BadModel)
}

/// How long to wait before asking again, where the backend says that it has done nothing yet.
fn put_off(answer: &Answer, at_least: Duration) -> Option<Duration> {
    let is_put_off = matches!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    );
    is_put_off.then(|| answer.retry_after.unwrap_or_default().max(at_least))
}

fn no_answer(server: &Server, unanswered: Unanswered) -> EnrolError {
    let server = server.address().to_string();
    match unanswered {
        Unanswered::NotSent(cause) => EnrolError::Unreachable { server, cause },
        Unanswered::Lost(cause) => EnrolError::AnswerLost { server, cause },
    }
}

fn welcome(answer: &Answer) -> Result<Welcome, EnrolError> {
    /// What is shown of a problem (RFC 9457).
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Problem {
        title: String,
        detail: String,
    }
    if answer.status.is_success() {
        return serde_json::from_slice(&answer.body).map_err(|error| EnrolError::BadWelcome(error.to_string()));
    }
    let problem: Problem = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = [problem.detail, problem.title]
        .into_iter()
        .find(|text| !text.is_empty());
    Err(EnrolError::Refused {
        status: answer.status.as_u16(),
        detail: said.unwrap_or_else(|| "it does not say why".to_owned()),
    })
}

impl Enrolled {
    /// The lock of this welcome with this key, for whoever enrols it by another way than HTTP.
    ///
    /// # Errors
    /// [`EnrolError::BadWelcome`] where the welcome could not be used, [`EnrolError::BadModel`] where the model could not.
    pub fn new(welcome: Welcome, key: SigningKey, model: &str) -> Result<Self, EnrolError> {
        let enrolled = Self {
            welcome,
            key,
            model: model.to_owned(),
            firmware: FIRMWARE.to_owned(),
        };
        enrolled.check()?;
        Ok(enrolled)
    }

    /// The lock's id.
    #[must_use]
    pub fn lock_id(&self) -> &LockId {
        &self.welcome.lock_id
    }

    /// What to trust for the broker. Locks of one broker should share it.
    ///
    /// # Errors
    /// [`BadAuthority`] where the backend gave no usable certificate.
    pub fn tls(&self) -> Result<Arc<ClientConfig>, BadAuthority> {
        trusting(self.welcome.mqtt.ca_certificate.as_bytes())
    }

    /// The broker, on the word of `tls`.
    pub(super) fn broker(&self, tls: Arc<ClientConfig>) -> BrokerAddress {
        BrokerAddress {
            host: self.welcome.mqtt.host.clone(),
            port: self.welcome.mqtt.port,
            tls: Some(tls),
        }
    }

    pub(super) fn topics(&self) -> Result<Topics, BadRoot> {
        Topics::new(&self.welcome.mqtt.topic_root)
    }

    /// The same for the controller, which signs by AWS-LC, many times as fast; `None` where a text is longer than any
    /// lock's. `assurance` says who vouches for its events, where that is not the lock itself.
    pub(super) fn for_controller(
        &self,
        assurance: Option<wire::Assurance>,
    ) -> Option<controller::Enrolment<EcdsaKeyPair>> {
        let point = self.key.verifying_key().to_sec1_point(false);
        let scalar = Zeroizing::new(<[u8; 32]>::from(self.key.to_bytes()));
        let key = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            scalar.as_slice(),
            point.as_bytes(),
        );
        Some(controller::Enrolment {
            lock: self.welcome.lock_id.as_str().try_into().ok()?,
            iss: self.welcome.iss.as_str().try_into().ok()?,
            org: self.welcome.org.as_str().try_into().ok()?,
            root: keys::PublicKey::from_jwk(&self.welcome.root_key.jwk())?,
            key: key.ok()?,
            pin_key: self.welcome.pin_key.as_deref().and_then(pins::PinKey::from_text),
            model: self.model.as_str().try_into().ok()?,
            firmware: self.firmware.as_str().try_into().ok()?,
            assurance,
        })
    }

    /// Whether a lock can live with it, as far as that can be told without the broker.
    fn check(&self) -> Result<(), EnrolError> {
        let bad = |what: &str| Err(EnrolError::BadWelcome(what.to_owned()));
        if self.welcome.mqtt.username != self.welcome.lock_id.as_str() {
            return bad("the user name is not the lock's id");
        }
        if let Err(error) = self.topics() {
            return bad(&error.to_string());
        }
        if let Err(error) = self.tls() {
            return bad(&error.to_string());
        }
        let Some(enrolment) = self.for_controller(None) else {
            return bad("a text in it is too long");
        };
        match keys::Keyset::read(&self.welcome.keyset, &enrolment.root, &enrolment.iss) {
            Ok(_) => Ok(()),
            Err(refusal) => bad(&format!("the keyset is refused: {refusal}")),
        }
    }
}

/// A new private key.
pub fn new_key(random: &dyn Random) -> SigningKey {
    loop {
        let mut scalar = Zeroizing::new([0; 32]);
        random.fill(scalar.as_mut());
        // Zero and what is past the curve's order are no keys; nobody has ever drawn one.
        if let Ok(key) = SigningKey::from_slice(scalar.as_slice()) {
            return key;
        }
    }
}

fn write_key<S: Serializer>(key: &SigningKey, serializer: S) -> Result<S::Ok, S::Error> {
    let scalar = Zeroizing::new(<[u8; 32]>::from(key.to_bytes()));
    serializer.serialize_str(&Zeroizing::new(URL_SAFE_NO_PAD.encode(scalar.as_slice())))
}

fn read_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SigningKey, D::Error> {
    let text = Zeroizing::new(String::deserialize(deserializer)?);
    let scalar = URL_SAFE_NO_PAD
        .decode(text.as_bytes())
        .map(Zeroizing::new)
        .map_err(serde::de::Error::custom)?;
    SigningKey::from_slice(&scalar).map_err(|_| serde::de::Error::custom("the private key is not one"))
}
