//! Requests that may come twice: the second gets the first one's answer, and nothing happens twice.
//!
//! An answer may hold a secret (a claim code, a link), so it is kept sealed under the access token of the one who asked:
//! the database alone does not show it, and neither does the session's next token.

use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::housekeeping::ANSWER_LIFE;
use super::{Actor, App, Error};
use crate::crypto::digest::{digest, hexadecimal};
use crate::crypto::sealed::SealingKey;
use crate::crypto::secret::Secret;
use crate::domain::time::Timestamp;
use crate::store::idempotency::{self, Known};
use crate::store::{Conn, StoreError};

/// After how long a request without an answer counts as lost with the process that worked on it. No request works that
/// long: the longest waits 15 s for a lock.
pub const LOST_AFTER: Duration = Duration::from_secs(60);

/// What a client calls a request by, to send it again: 1 to 255 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey(String);

/// A text is not the key of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {} printable ASCII characters", RequestKey::LONGEST)]
pub struct BadRequestKey;

impl RequestKey {
    /// The most characters.
    pub const LONGEST: usize = 255;
}

impl FromStr for RequestKey {
    type Err = BadRequestKey;

    fn from_str(text: &str) -> Result<Self, BadRequestKey> {
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if (1..=Self::LONGEST).contains(&text.len()) && printable {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadRequestKey)
        }
    }
}

/// A request that is being worked on, to be answered by [`App::finish_request`] or given up by [`App::forget_request`].
#[derive(Debug)]
pub struct Ticket {
    subject: [u8; 32],
    seal: SealingKey,
}

/// What is known of a request when it comes.
#[derive(Debug)]
pub enum Begun {
    /// It is the first under its key: work on it.
    First(Ticket),
    /// It came before, and this was the answer.
    Answered(Vec<u8>),
    /// It came before, and the answer was for another access token of the session.
    AnsweredElsewhere,
    /// It came before, and is still being worked on.
    Running,
    /// Another request came under this key.
    OtherRequest,
}

/// What the store says of a request when it comes.
enum Found {
    Nothing,
    Running,
    Other,
    Answer(String),
}

impl App {
    /// Notes a request of the caller down under `key`, or says what became of it when it came before. `request` is
    /// everything by which it is the same request, `token` the access token that it came with.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn begin_request(
        &self,
        who: &Actor,
        token: &Secret,
        key: &RequestKey,
        request: &[u8],
    ) -> Result<Begun, Error> {
        let now = self.now();
        let subject = digest(format!("{} {}", who.session, key.0).as_bytes());
        let request = digest(request);
        let seal = SealingKey::derive(token.expose().as_bytes(), &[b"answer", &subject])?;
        let found = self
            .db
            .write(move |conn| Ok::<_, Error>(find_or_note(conn, &subject, &request, now)?))
            .await;
        let found = match found {
            // Of two at once on two nodes, the second finds the first one's row when it commits.
            Err(Error::Store(StoreError::Conflict { .. })) => Found::Running,
            other => other?,
        };
        Ok(match found {
            Found::Nothing => Begun::First(Ticket { subject, seal }),
            Found::Running => Begun::Running,
            Found::Other => Begun::OtherRequest,
            Found::Answer(sealed) => {
                let opened = URL_SAFE_NO_PAD.decode(sealed).ok().map(|sealed| seal.open(&sealed));
                match opened {
                    Some(Ok(answer)) => Begun::Answered(answer),
                    _ => Begun::AnsweredElsewhere,
                }
            }
        })
    }

    /// Keeps the answer of a request.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn finish_request(&self, ticket: Ticket, answer: &[u8]) -> Result<(), Error> {
        let sealed = URL_SAFE_NO_PAD.encode(ticket.seal.seal(answer, self.random.as_ref())?);
        self.db
            .write(move |conn| Ok(idempotency::finish(conn, &ticket.subject, &sealed)?))
            .await
    }

    /// Forgets a request that failed in a way that sending it again may mend.
    ///
    /// # Errors
    /// Only those of the database.
    pub async fn forget_request(&self, ticket: Ticket) -> Result<(), Error> {
        self.db
            .write(move |conn| Ok(idempotency::forget(conn, &ticket.subject)?))
            .await
    }
}

fn find_or_note(conn: &mut Conn, subject: &[u8; 32], request: &[u8; 32], now: Timestamp) -> Result<Found, StoreError> {
    let Some(known) = idempotency::begin(conn, subject, request, now)? else {
        return Ok(Found::Nothing);
    };
    let age = now.since(known.created_at);
    let is_lost = known.answer.is_none() && age > LOST_AFTER;
    if is_lost || age > ANSWER_LIFE {
        idempotency::forget(conn, subject)?;
        idempotency::begin(conn, subject, request, now)?;
        return Ok(Found::Nothing);
    }
    Ok(match known {
        Known { request_digest, .. } if request_digest != hexadecimal(request) => Found::Other,
        Known {
            answer: Some(answer), ..
        } => Found::Answer(answer),
        Known { answer: None, .. } => Found::Running,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_short_and_printable() {
        let (longest, too_long) = ("k".repeat(255), "k".repeat(256));
        for (text, accepted) in [
            ("", false),
            ("a", true),
            ("8e03978e-40d5-43e8-bc93-6894a57f9324", true),
            ("a b", true),
            ("a\tb", false),
            ("ä", false),
            (&longest, true),
            (&too_long, false),
        ] {
            assert_eq!(text.parse::<RequestKey>().is_ok(), accepted, "{text}");
        }
    }
}
