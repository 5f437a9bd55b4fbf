//! An office's side: what a landlord's command line brings to the backend and takes from it, signed in as a phone signs in.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use p256::ecdsa::SigningKey;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::backend::{Backend, Prover, Session, word_of};
use super::error::PhoneError;
use super::wallet::public_key_of;
use crate::client::{BackendAddress, Opened, TrustError, Unanswered};
use crate::crypto::random::Random;
use crate::domain::ids::OrganizationId;
use crate::domain::time::Clock;

/// How long an answer, or each part of a long one, may take: a whole house may be coming in.
const PATIENCE: Duration = Duration::from_secs(120);

/// The longest answer to an import, in bytes: 20,000 links.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// How often an import is sent whose answer was lost; it happens once all the same.
const SENT_AT_MOST: usize = 3;

/// Where a session ends.
const SIGN_OUT: &str = "/v1/auth/sign-out";

/// How long to wait where an import that was sent before is under way still.
const UNDER_WAY: Duration = Duration::from_secs(2);

/// The header with the number of a log's last entry.
const LOG_SIZE: &str = "doorward-log-size";

/// An office could not do its work. The text is for its owner.
#[derive(Debug, thiserror::Error)]
pub enum OfficeError {
    /// There is nobody to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Signing in failed.
    #[error(transparent)]
    SignIn(#[from] PhoneError),
    /// There is no answer, or it broke off.
    #[error("{server} does not answer ({cause})")]
    Unanswered {
        /// Who was asked.
        server: String,
        /// What was in the way.
        cause: String,
    },
    /// The answer is a refusal.
    #[error("{server} refused ({status}): {detail}")]
    Refused {
        /// Who was asked.
        server: String,
        /// The HTTP status.
        status: u16,
        /// The stable word for it.
        word: String,
        /// What it said.
        detail: String,
    },
    /// The answer is none that was asked for.
    #[error("{0} answered something else than was asked for")]
    Strange(String),
}

/// What keeps a table from coming in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Fault {
    /// Which table.
    pub file: String,
    /// The line.
    pub line: u64,
    /// The column, where it is one.
    pub column: Option<String>,
    /// What is wrong.
    pub why: String,
}

/// An invitation that came of a row.
#[derive(Deserialize)]
pub struct Invitation {
    /// The line of the table of tenancies.
    pub line: u64,
    /// What the unit is called.
    pub unit_name: String,
    /// Who was invited.
    pub email: String,
    /// The link, where no letter takes it there.
    pub secret_link: Option<String>,
    /// Until when it works.
    pub expires_at: String,
}

/// What came in, or would.
#[derive(Deserialize)]
pub struct Imported {
    /// Rows that are new, by table.
    pub added: std::collections::BTreeMap<String, u64>,
    /// Rows that stand already, by table.
    pub unchanged: std::collections::BTreeMap<String, u64>,
    /// What stands against it, the first of them.
    pub faults: Vec<Fault>,
    /// How many there are in all.
    pub fault_count: u64,
    /// Who was invited.
    pub invitations: Vec<Invitation>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    r#type: String,
    detail: String,
    faults: Vec<Fault>,
    fault_count: u64,
}

/// A file on its way.
pub struct Download {
    server: String,
    opened: Opened,
}

impl Download {
    /// The number of the last entry, of an access log.
    #[must_use]
    pub fn log_size(&self) -> Option<u64> {
        self.opened.headers.get(LOG_SIZE)?.to_str().ok()?.parse().ok()
    }

    /// The next bytes; `None` at the end of the whole file.
    ///
    /// # Errors
    /// [`OfficeError::Unanswered`] where it breaks off.
    pub async fn chunk(&mut self) -> Result<Option<hyper::body::Bytes>, OfficeError> {
        self.opened
            .chunk()
            .await
            .map_err(|error| unanswered(&self.server, &error))
    }
}

/// What a session is bound to a key with.
pub struct Bound<'a> {
    /// What the backend calls itself, where that is not its address.
    pub known_as: Option<&'a str>,
    /// The time, for proofs.
    pub clock: Arc<dyn Clock>,
    /// What the key is made of.
    pub random: Arc<dyn Random>,
}

/// Somebody who is signed in from a command line.
pub struct Office {
    backend: Backend,
    session: Session,
}

impl Office {
    /// Signs in at `server`, believed on the word of the authorities in `ca_file`, or of those that this machine trusts. With
    /// `bound` the session is bound to a key that is made for it and forgotten with it.
    ///
    /// # Errors
    /// [`OfficeError`], for this and all below.
    pub async fn sign_in(
        server: BackendAddress,
        ca_file: Option<&Path>,
        (email, password, code): (&str, &str, Option<&str>),
        bound: Option<Bound<'_>>,
    ) -> Result<Self, OfficeError> {
        let mut backend = Backend::at(server, ca_file)?.patient(PATIENCE);
        if let Some(Bound {
            known_as,
            clock,
            random,
        }) = bound
        {
            if let Some(name) = known_as {
                backend = backend.known_as(name);
            }
            backend = backend.proving(prover(clock, random)?);
        }
        let session = backend.sign_in_with(email, password, code).await?;
        Ok(Self { backend, session })
    }

    /// Signs out. Where that fails the session ends by itself, unused as it is from now on.
    pub async fn leave(self) {
        let out = self
            .backend
            .open(&self.session, Method::POST, SIGN_OUT, None, None)
            .await;
        if let Err(error) = out {
            tracing::debug!(%error, "the session was not ended");
        }
    }

    fn server(&self) -> String {
        self.backend.address().to_string()
    }

    /// Brings tables in, or tries it, under a key by which it happens once. What stands against it is told as of a trial.
    pub async fn import(
        &self,
        organization: &OrganizationId,
        tables: &Value,
        is_trial: bool,
        once: &str,
    ) -> Result<Imported, OfficeError> {
        let path = format!("/v1/organizations/{organization}/import?dry_run={is_trial}");
        let (mut sent, began) = (0, std::time::Instant::now());
        let (status, body) = loop {
            sent += 1;
            let asked = async {
                let opened = (self.backend)
                    .open(&self.session, Method::POST, &path, Some(once), Some(tables.to_string()))
                    .await?;
                Ok((opened.status, opened.rest(LONGEST_ANSWER).await?))
            };
            match asked.await {
                // The one before arrived, and only its answer was lost.
                Ok((StatusCode::CONFLICT, body)) if sent > 1 && word_in(&body) == "idempotency-in-progress" => {
                    tokio::time::sleep(UNDER_WAY).await;
                    sent = 1;
                    if began.elapsed() > PATIENCE {
                        break (StatusCode::CONFLICT, body);
                    }
                }
                Ok(answer) => break answer,
                Err(Unanswered::Lost(_)) if sent < SENT_AT_MOST => {}
                Err(error) => return Err(unanswered(&self.server(), &error)),
            }
        };
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| OfficeError::Strange(self.server()));
        }
        let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
        match problem.faults.is_empty() {
            true => Err(refused(self.server(), status, problem)),
            false => Ok(Imported {
                added: Default::default(),
                unchanged: Default::default(),
                faults: problem.faults,
                fault_count: problem.fault_count,
                invitations: Vec::new(),
            }),
        }
    }

    /// A file that the backend writes while it reads.
    pub async fn download(&self, path: &str) -> Result<Download, OfficeError> {
        let asked = self.backend.open(&self.session, Method::GET, path, None, None).await;
        let opened = asked.map_err(|error| unanswered(&self.server(), &error))?;
        let status = opened.status;
        if status.is_success() {
            let server = self.server();
            return Ok(Download { server, opened });
        }
        let body = opened.rest(LONGEST_ANSWER).await;
        let body = body.map_err(|error| unanswered(&self.server(), &error))?;
        let problem = serde_json::from_slice(&body).unwrap_or_default();
        Err(refused(self.server(), status, problem))
    }
}

/// The word for a refusal in its body.
fn word_in(body: &[u8]) -> String {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    word_of(&problem.r#type).to_owned()
}

fn prover(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Prover, OfficeError> {
    // Zero and what is past the curve's order are no keys; nobody has ever drawn one.
    let mut scalar = Zeroizing::new([0; 32]);
    random.fill(scalar.as_mut());
    let key = SigningKey::from_slice(scalar.as_slice()).map_err(|_| PhoneError::Signature)?;
    let public = public_key_of(&key)?;
    Ok(Prover {
        key,
        public,
        clock,
        random,
    })
}

fn unanswered(server: &str, error: &Unanswered) -> OfficeError {
    OfficeError::Unanswered {
        server: server.to_owned(),
        cause: error.to_string(),
    }
}

fn refused(server: String, status: StatusCode, problem: Problem) -> OfficeError {
    let word = word_of(&problem.r#type).to_owned();
    let detail = match problem.detail.is_empty() {
        true => "it does not say why".to_owned(),
        false => problem.detail,
    };
    OfficeError::Refused {
        server,
        status: status.as_u16(),
        word,
        detail,
    }
}
