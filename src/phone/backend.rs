//! The backend, as a phone knows it.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Method;
use p256::ecdsa::SigningKey;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::PhoneError;
use crate::client::{BackendAddress, Opened, Server, Shown, TrustError, Unanswered};
use crate::crypto::dpop;
use crate::crypto::public_key::PublicKey;
use crate::crypto::random::Random;
use crate::crypto::secret::Secret;
use crate::domain::ids::LockId;
use crate::domain::time::Clock;

/// The most locks that passes are asked for at once.
const AT_ONCE: usize = 16;

/// The most messages that are delivered at once.
pub(super) const DELIVERED_AT_ONCE: usize = 32;

/// A backend.
pub struct Backend {
    server: Server,
    /// Its own name for where it is, which proofs name.
    known_as: String,
    prover: Option<Prover>,
}

/// What a phone proves by that its requests are its own.
pub struct Prover {
    pub(super) key: SigningKey,
    pub(super) public: PublicKey,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
}

/// Somebody who is signed in.
pub struct Session {
    access_token: Secret,
    pub(super) refresh_token: String,
    /// Whether its tokens are worth nothing without the phone's key.
    pub(super) is_bound: bool,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: Secret,
    token_type: String,
    refresh_token: String,
}

#[derive(Deserialize)]
struct Phone {
    id: String,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Openable>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Openable {
    id: LockId,
}

/// What the backend gives a phone.
#[derive(Default, Deserialize)]
pub(super) struct Issued {
    pub(super) passes: Vec<IssuedPass>,
    pub(super) locks: Vec<Papers>,
}

#[derive(Deserialize)]
pub(super) struct IssuedPass {
    pub(super) pass: String,
    pub(super) lock_ids: Vec<LockId>,
    pub(super) expires_at: String,
}

#[derive(Deserialize)]
pub(super) struct Papers {
    pub(super) lock_id: LockId,
    pub(super) public_key: PublicKey,
    pub(super) documents: Vec<String>,
}

#[derive(Deserialize)]
struct Answers {
    #[serde(default)]
    messages: Vec<String>,
}

impl Backend {
    /// The backend at `address`, believed on the word of the authorities in `ca_file`, or of those that this machine
    /// trusts.
    ///
    /// # Errors
    /// [`TrustError`] where there is nobody to trust.
    pub fn at(address: BackendAddress, ca_file: Option<&Path>) -> Result<Self, TrustError> {
        Ok(Self {
            known_as: address.to_string(),
            server: Server::new(address, ca_file)?,
            prover: None,
        })
    }

    /// The same, which calls itself `name` wherever it is reached: its `http.public_url`.
    #[must_use]
    pub fn known_as(self, name: &str) -> Self {
        let known_as = name.trim_end_matches('/').to_owned();
        Self { known_as, ..self }
    }

    /// The same, with sessions that are bound to the phone's key: a copy of their tokens is worth nothing.
    #[must_use]
    pub fn proving(self, prover: Prover) -> Self {
        let prover = Some(prover);
        Self { prover, ..self }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &BackendAddress {
        self.server.address()
    }

    /// What it calls itself.
    pub(super) fn name(&self) -> &str {
        &self.known_as
    }

    /// Signs in.
    ///
    /// # Errors
    /// [`PhoneError`], for this and all below.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<Session, PhoneError> {
        self.sign_in_with(email, password, None).await
    }

    /// Signs in with what a second factor shows, where there is one.
    pub(super) async fn sign_in_with(
        &self,
        email: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<Session, PhoneError> {
        let body = json!({ "email": email, "password": password, "code": code, "device": "Command line" });
        self.session("/v1/auth/sign-in", self.prover.is_some(), body).await
    }

    /// The same, where an answer, or each part of a long one, may take this long.
    pub(super) fn patient(self, patience: std::time::Duration) -> Self {
        let server = self.server.patient(patience);
        Self { server, ..self }
    }

    /// An answer whose body is read as it comes, whatever its status; under `once` it happens once.
    pub(super) async fn open(
        &self,
        session: &Session,
        method: Method,
        path: &str,
        once: Option<&str>,
        body: Option<String>,
    ) -> Result<Opened, Unanswered> {
        let proof = match session.is_bound {
            true => {
                let proof = self.prove(&method, path, Some(&session.access_token));
                Some(proof.map_err(|error| Unanswered::NotSent(error.to_string()))?)
            }
            false => None,
        };
        let shown = Shown {
            token: Some(session.access_token.expose()),
            proof: proof.as_deref(),
            once,
        };
        self.server.open(method, path, shown, body).await
    }

    /// The next session; the one that `refresh_token` came with ends. `is_bound` where that was bound to the phone's key.
    pub(super) async fn refresh(&self, refresh_token: &str, is_bound: bool) -> Result<Session, PhoneError> {
        let body = json!({ "refresh_token": refresh_token });
        self.session("/v1/auth/refresh", is_bound, body).await
    }

    async fn session(&self, path: &str, is_bound: bool, body: Value) -> Result<Session, PhoneError> {
        let proof = match is_bound {
            true => Some(self.prove(&Method::POST, path, None)?),
            false => None,
        };
        let shown = Shown {
            proof: proof.as_deref(),
            ..Shown::default()
        };
        let tokens: Tokens = ask(&self.server, Method::POST, path, shown, Some(body)).await?;
        Ok(Session {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            is_bound: tokens.token_type == "DPoP",
        })
    }

    /// A proof that this request, with this access token, is the phone's.
    fn prove(&self, method: &Method, path: &str, token: Option<&Secret>) -> Result<String, PhoneError> {
        let prover = self.prover.as_ref().ok_or(PhoneError::Signature)?;
        let path = path.split('?').next().unwrap_or_default();
        let request = dpop::Request {
            method: method.as_str(),
            url: &format!("{}{path}", self.known_as),
            token,
        };
        let id = URL_SAFE_NO_PAD.encode(prover.random.bits().to_be_bytes());
        let proof = dpop::prove(&prover.key, &prover.public, &request, &id, prover.clock.now());
        proof.ok_or(PhoneError::Signature)
    }

    /// Registers the phone with this key, or finds it again; gives its id.
    pub(super) async fn register(&self, session: &Session, key: &PublicKey, name: &str) -> Result<String, PhoneError> {
        let body = json!({ "public_key": key, "name": name });
        let phone: Phone = self.ask(session, Method::POST, "/v1/me/phones", Some(body)).await?;
        Ok(phone.id)
    }

    /// The locks that the person may open.
    pub(super) async fn locks(&self, session: &Session) -> Result<Vec<LockId>, PhoneError> {
        let (mut locks, mut path) = (Vec::new(), "/v1/me/locks".to_owned());
        loop {
            let page: List = self.ask(session, Method::GET, &path, None).await?;
            locks.extend(page.data.into_iter().map(|lock| lock.id));
            match page.next_cursor {
                Some(cursor) => path = format!("/v1/me/locks?cursor={cursor}"),
                None => return Ok(locks),
            }
        }
    }

    /// Passes for these locks, as far as there are any.
    pub(super) async fn passes(
        &self,
        session: &Session,
        phone_id: &str,
        locks: &[LockId],
    ) -> Result<Issued, PhoneError> {
        let mut all = Issued::default();
        for locks in locks.chunks(AT_ONCE) {
            let body = json!({ "lock_ids": locks, "phone_id": phone_id });
            match self
                .ask::<Issued>(session, Method::POST, "/v1/passes", Some(body))
                .await
            {
                Ok(issued) => {
                    all.passes.extend(issued.passes);
                    all.locks.extend(issued.locks);
                }
                // For none of these is there a pass now.
                Err(PhoneError::Refused { status: 403, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Delivers what a lock has said; gives what is to be carried back to it.
    pub(super) async fn deliver(
        &self,
        session: &Session,
        lock: &LockId,
        messages: &[&str],
    ) -> Result<Vec<String>, PhoneError> {
        let path = format!("/v1/locks/{lock}/messages");
        let body = json!({ "messages": messages });
        let answers: Answers = self.ask(session, Method::POST, &path, Some(body)).await?;
        Ok(answers.messages)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        session: &Session,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, PhoneError> {
        let proof = match session.is_bound {
            true => Some(self.prove(&method, path, Some(&session.access_token))?),
            false => None,
        };
        let shown = Shown {
            token: Some(session.access_token.expose()),
            proof: proof.as_deref(),
            once: None,
        };
        ask(&self.server, method, path, shown, body).await
    }
}

/// One call: JSON in, JSON out.
pub(super) async fn ask<T: DeserializeOwned>(
    server: &Server,
    method: Method,
    path: &str,
    shown: Shown<'_>,
    body: Option<Value>,
) -> Result<T, PhoneError> {
    /// What is shown of a problem (RFC 9457).
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Problem {
        r#type: String,
        title: String,
        detail: String,
    }
    let name = server.address().to_string();
    let body = body.map(|body| body.to_string());
    let answer = match server.ask(method, path, shown, body).await {
        Ok(answer) => answer,
        Err(cause) => {
            return Err(PhoneError::Unanswered {
                server: name,
                cause: cause.to_string(),
            });
        }
    };
    if answer.status.is_success() {
        return serde_json::from_slice(&answer.body).map_err(|_| PhoneError::Strange(name));
    }
    let problem: Problem = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = [problem.detail, problem.title]
        .into_iter()
        .find(|text| !text.is_empty());
    Err(PhoneError::Refused {
        server: name,
        word: word_of(&problem.r#type).to_owned(),
        status: answer.status.as_u16(),
        detail: said.unwrap_or_else(|| "it does not say why".to_owned()),
    })
}

/// The stable word at the end of a problem's type.
pub(super) fn word_of(kind: &str) -> &str {
    kind.rsplit(':').next().unwrap_or_default()
}
