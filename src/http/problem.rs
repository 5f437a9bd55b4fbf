//! What went wrong, as RFC 9457 `application/problem+json`: the one place where errors become answers.
//!
//! The `type` is `urn:doorward:problem:<word>`; the words are stable. `detail` is for people and never shows a cause:
//! that goes to the log, once, where the answer leaves the house ([`super::edge`]).

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde_json::{Map, Value};

use crate::app::{Error, What};
use crate::domain::api_key::KeyScope;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// How long to wait where nobody can tell how long it takes.
const SHORTLY: Duration = Duration::from_secs(2);

/// An answer that says why there is no other.
pub struct Problem(Box<Parts>);

/// Boxed, because every fallible function of this floor carries it.
struct Parts {
    status: StatusCode,
    word: &'static str,
    title: &'static str,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Error>,
}

impl Problem {
    /// A problem of this kind; `detail` is read by people who may not know how the house is built.
    pub fn new(status: StatusCode, word: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            status,
            word,
            title,
            detail: detail.into(),
            members: Map::new(),
            headers: Vec::new(),
            cause: None,
        }))
    }

    /// With one more member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// With one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// With `Retry-After`, in whole seconds, rounded up and never 0.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let value = HeaderValue::from_str(&seconds.to_string()).unwrap_or(HeaderValue::from_static("1"));
        self.with_header(header::RETRY_AFTER, value)
    }

    /// The stable word at the end of the `type`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.0.word
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What is behind it, for the log.
    #[must_use]
    pub fn cause(&self) -> Option<&Error> {
        self.0.cause.as_ref()
    }

    /// The answer, with `request_id` where somebody has to look into the log for the rest.
    #[must_use]
    pub fn answer(&self, request_id: Option<&str>) -> HttpResponse {
        let mut body = Map::new();
        body.insert("type".into(), format!("urn:doorward:problem:{}", self.0.word).into());
        body.insert("title".into(), self.0.title.into());
        body.insert("status".into(), self.0.status.as_u16().into());
        body.insert("detail".into(), self.0.detail.as_str().into());
        body.extend(self.0.members.clone());
        if let Some(id) = request_id {
            body.insert("request_id".into(), id.into());
        }
        let mut answer = HttpResponseBuilder::new(self.0.status);
        answer.content_type(MEDIA_TYPE);
        for (name, value) in &self.0.headers {
            answer.append_header((name, value));
        }
        answer.body(Value::Object(body).to_string())
    }

    /// There is no such thing, or none that the caller may know of.
    #[must_use]
    pub fn not_found(what: What) -> Self {
        let detail = format!("there is no such {}", what.as_str());
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail).with("what", what.as_str())
    }

    /// There is nothing at this address.
    #[must_use]
    pub fn no_route() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-such-route",
            "Not found",
            "there is nothing at this address; /docs lists what there is",
        )
    }

    /// Something is at this address, for other methods.
    #[must_use]
    pub fn wrong_method(allowed: &str) -> Self {
        let problem = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            format!("this address answers {allowed}"),
        );
        match HeaderValue::from_str(allowed) {
            Ok(value) => problem.with_header(header::ALLOW, value),
            Err(_) => problem,
        }
    }

    /// Nobody is signed in by what the request carries.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "Not signed in",
            "sign in, and send the access token as `Authorization: Bearer`",
        )
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// What shows that the caller holds their key does not hold, or is missing (RFC 9449, 7.1).
    #[must_use]
    pub fn proof_refused(why: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "proof-refused",
            "The proof does not hold",
            why.to_string(),
        )
        .with_header(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("DPoP error=\"invalid_dpop_proof\", algs=\"ES256\""),
        )
    }

    /// The caller's role does not reach that far.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "Not allowed",
            "your role does not allow this",
        )
    }

    /// The caller's API key is not good for this.
    #[must_use]
    pub fn scope_missing(scope: KeyScope) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "scope-missing",
            "The key does not reach that far",
            format!("this needs an API key with the scope `{}`", scope.as_str()),
        )
        .with("scope", scope.as_str())
    }

    /// The caller came by a guest's link, which lets them in at doors and nowhere else.
    #[must_use]
    pub fn beyond_link() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "Not allowed",
            "a guest's link is for the doors of its grant; this needs an account",
        )
    }

    /// A field of the body does not say what it should.
    #[must_use]
    pub fn invalid_field(field: &str, why: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-field",
            "A field is not acceptable",
            why,
        )
        .with("field", field)
    }

    /// A parameter of the query does not say what it should.
    #[must_use]
    pub fn invalid_query(parameter: &str, why: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-query",
            "A query parameter is not acceptable",
            why,
        )
        .with("parameter", parameter)
    }

    /// The error where what the use case calls a field is a parameter of the query.
    #[must_use]
    pub fn of_query(error: Error) -> Self {
        match error {
            Error::Invalid { field, why } => Self::invalid_query(field, why),
            other => other.into(),
        }
    }

    /// Too many tries.
    #[must_use]
    pub fn throttled(wait: Duration) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "throttled",
            "Too many tries",
            "wait as long as Retry-After says",
        )
        .retry_after(wait)
    }

    /// Something that should not fail did.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            "something went wrong here; the log knows more under this request's id",
        )
    }

    fn unavailable(word: &'static str, title: &'static str, detail: &'static str, wait: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, word, title, detail).retry_after(wait)
    }

    fn because(mut self, cause: Error) -> Self {
        self.0.cause = Some(cause);
        self
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(what) => Self::not_found(what),
            Error::Unauthenticated => Self::unauthenticated(),
            Error::WrongCredentials => Self::new(
                StatusCode::UNAUTHORIZED,
                "wrong-credentials",
                "Wrong credentials",
                "the e-mail address or the password is wrong",
            )
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Error::SecondFactorNeeded => Self::new(
                StatusCode::UNAUTHORIZED,
                "second-factor-needed",
                "A code is needed too",
                "send it once more with `code`: what your device shows, or a recovery code",
            )
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Error::WrongCode => Self::new(
                StatusCode::UNAUTHORIZED,
                "wrong-code",
                "The code or an answer is wrong",
                "the code or an answer is wrong, or the code has ended or was used",
            )
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Error::PasskeyRefused => Self::new(
                StatusCode::UNAUTHORIZED,
                "passkey-refused",
                "The passkey was refused",
                "the passkey is none of ours, was removed, or has not signed what was asked for just now: ask anew",
            )
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Error::ProofNeeded => Self::new(
                StatusCode::FORBIDDEN,
                "proof-needed",
                "Prove who you are",
                "this asks for a proof of the last ten minutes that it is you: POST /v1/auth/prove, and then this again",
            ),
            Error::Forbidden => Self::forbidden(),
            Error::ProofRefused => Self::proof_refused("it is by another key than the session's, or was used before"),
            Error::PhoneKeyNeeded => Self::new(
                StatusCode::FORBIDDEN,
                "phone-key-needed",
                "A session that is bound to a key is needed",
                "sign in with a `DPoP` proof by a key of this phone",
            ),
            Error::Invalid { field, why } => Self::invalid_field(field, why),
            Error::Conflict { word, why } => {
                Self::new(StatusCode::CONFLICT, word, "The present state does not allow it", why)
            }
            Error::Throttled { retry_after } => Self::throttled(retry_after),
            Error::Busy => Self::unavailable("busy", "Too busy", "too much is waiting; try again shortly", SHORTLY),
            Error::RelayAway => Self::unavailable(
                "relay-away",
                "Locks cannot be reached",
                "the way to the locks is down; nothing was sent",
                SHORTLY,
            ),
            Error::ClockBehind { behind, .. } => Self::unavailable(
                "clock-behind",
                "The clock is behind",
                "this service's clock is behind its own records; it issues nothing until that is over",
                behind,
            )
            .because(error),
            Error::StoreUnavailable(_) => Self::unavailable(
                "store-unavailable",
                "The database is unavailable",
                "the database does not answer; nothing was kept",
                SHORTLY,
            )
            .because(error),
            Error::Store(_) | Error::Internal(..) => Self::internal().because(error),
        }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        self.answer(None)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.word, self.0.detail)
    }
}

/// Details may repeat what somebody sent; `Debug`, which ends up in logs, does not.
impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({} {})", self.0.status.as_u16(), self.0.word)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody as _;

    use super::*;
    use crate::domain::ids::OrganizationId;

    fn body(problem: &Problem) -> Value {
        let bytes = problem.error_response().into_body().try_into_bytes().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn every_error_has_its_status_and_word() {
        for (error, status, word) in [
            (Error::NotFound(What::Lock), 404, "not-found"),
            (Error::Unauthenticated, 401, "unauthenticated"),
            (Error::WrongCredentials, 401, "wrong-credentials"),
            (Error::ProofNeeded, 403, "proof-needed"),
            (Error::SecondFactorNeeded, 401, "second-factor-needed"),
            (Error::Forbidden, 403, "forbidden"),
            (
                Error::Invalid {
                    field: "ends_at",
                    why: "too early".into(),
                },
                422,
                "invalid-field",
            ),
            (
                Error::Conflict {
                    word: "name-taken",
                    why: "there is one",
                },
                409,
                "name-taken",
            ),
            (
                Error::Throttled {
                    retry_after: Duration::from_millis(1),
                },
                429,
                "throttled",
            ),
            (Error::Busy, 503, "busy"),
            (Error::RelayAway, 503, "relay-away"),
            (
                Error::ClockBehind {
                    behind: SHORTLY,
                    organization: OrganizationId::from_bits(0),
                },
                503,
                "clock-behind",
            ),
            (Error::Internal("signing", "key 7 is bent".into()), 500, "internal"),
        ] {
            let problem = Problem::from(error);
            let body = body(&problem);
            assert_eq!((problem.status().as_u16(), problem.word()), (status, word));
            assert_eq!(body["type"], format!("urn:doorward:problem:{word}"));
            assert_eq!(body["status"], status);
        }
    }

    #[test]
    fn a_cause_stays_in_the_house() {
        let problem = Problem::from(Error::Internal("signing", "key 7 is bent".into()));
        assert!(!body(&problem).to_string().contains("bent"));
        assert!(problem.cause().is_some());
    }

    #[test]
    fn who_must_wait_is_told_how_long_in_whole_seconds() {
        for (wait_ms, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (90_000, "90")] {
            let answer = Problem::throttled(Duration::from_millis(wait_ms)).error_response();
            assert_eq!(
                answer.headers().get(header::RETRY_AFTER).unwrap(),
                seconds,
                "{wait_ms} ms"
            );
        }
    }

    #[test]
    fn a_missing_thing_is_named_and_a_stranger_is_asked_to_sign_in() {
        assert_eq!(body(&Problem::not_found(What::Grant))["what"], "grant");
        let answer = Problem::unauthenticated().error_response();
        assert_eq!(answer.headers().get(header::WWW_AUTHENTICATE).unwrap(), "Bearer");
        assert_eq!(answer.headers().get(header::CONTENT_TYPE).unwrap(), MEDIA_TYPE);
    }
}
