//! Asking for a door, and what became of it.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoResponses, ToSchema};

use super::auth::Caller;
use super::json::JsonOrNothing;
use super::path::Id;
use super::problem::Problem;
use super::{Service, schema};
use crate::app::Actor;
use crate::app::unlock::{Asked, LONGEST_WAIT_MS};
use crate::domain::attempt::{self, Action, AttemptStatus};
use crate::domain::grant::Way;
use crate::domain::ids::{AttemptId, LockId, PersonId};
use crate::domain::time::Timestamp;
use crate::domain::unlock::ToldRefusal;

/// How long to wait for the lock's word.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    /// In milliseconds; 8000 where the operator has not set another and it is left out.
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 15000)]
    wait_ms: Option<WaitMs>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "u64")]
struct WaitMs(u64);

impl Wait {
    /// The wait, or the usual one.
    pub(super) fn or(self, usual: Duration) -> Duration {
        self.wait_ms.map_or(usual, |WaitMs(ms)| Duration::from_millis(ms))
    }
}

impl TryFrom<u64> for WaitMs {
    type Error = String;

    fn try_from(ms: u64) -> Result<Self, String> {
        if ms <= LONGEST_WAIT_MS {
            Ok(Self(ms))
        } else {
            Err(format!("expected 0 to {LONGEST_WAIT_MS}"))
        }
    }
}

/// One asked-for movement of a lock, and what became of it. Only the lock's own verified word confirms.
#[derive(Serialize, ToSchema)]
struct Attempt {
    #[schema(value_type = schema::AttemptId)]
    id: AttemptId,
    #[schema(value_type = schema::LockId)]
    lock_id: LockId,
    /// Who asked.
    #[schema(value_type = schema::PersonId)]
    person_id: PersonId,
    #[schema(value_type = schema::Action)]
    action: Action,
    #[schema(value_type = schema::AttemptStatus)]
    status: AttemptStatus,
    /// Why it was refused or failed: a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    #[schema(value_type = schema::Time)]
    requested_at: Timestamp,
    /// When the broker had the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = schema::Time, required = false)]
    relayed_at: Option<Timestamp>,
    /// When the lock's word was committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = schema::Time, required = false)]
    confirmed_at: Option<Timestamp>,
}

impl From<attempt::Attempt> for Attempt {
    fn from(attempt: attempt::Attempt) -> Self {
        let reason = attempt.state.reason();
        Self {
            status: attempt.state.status(),
            reason: reason.map(|reason| ToldRefusal::word_of(reason).to_owned()),
            confirmed_at: attempt.state.confirmed_at(),
            relayed_at: attempt.command.and_then(|command| command.relayed_at),
            id: attempt.id,
            lock_id: attempt.lock,
            person_id: attempt.person,
            action: attempt.action,
            requested_at: attempt.requested_at,
        }
    }
}

/// What is answered to an ask, for the document alone.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "handlers answer by hand: two of the four are problems")]
enum Answers {
    #[response(status = 200, description = "How it came out")]
    Ended(Attempt),
    #[response(status = 202, description = "The wait ended first; ask again for the attempt")]
    Pending(Attempt),
    #[response(
        status = 403,
        description = "`access-refused`, with `reason`, and `opens_at` where it opens by itself"
    )]
    Refused,
    #[response(status = 409, description = "`lock-offline`, with the `ways_in` that still work")]
    Offline,
}

/// Unlock a door
///
/// Waits up to `wait_ms` for the lock's word. A 200 says how it came out, which may be that it did not; only
/// `status: confirmed` means that the bolt moved.
#[utoipa::path(
    tag = "unlock",
    params(("lock_id" = schema::LockId, Path)),
    request_body = Option<Wait>,
    responses(Answers)
)]
#[post("/v1/locks/{lock_id}/unlock")]
pub(super) async fn unlock_door(
    service: Data<Service>,
    Caller(who): Caller,
    Id(lock): Id<LockId>,
    JsonOrNothing(wait): JsonOrNothing<Wait>,
) -> Result<HttpResponse, Problem> {
    ask(&service, &who, lock, Action::Unlock, wait).await
}

/// Lock a door
///
/// As unlocking; it needs the same right and takes none of its uses.
#[utoipa::path(
    tag = "unlock",
    params(("lock_id" = schema::LockId, Path)),
    request_body = Option<Wait>,
    responses(Answers)
)]
#[post("/v1/locks/{lock_id}/lock")]
pub(super) async fn lock_door(
    service: Data<Service>,
    Caller(who): Caller,
    Id(lock): Id<LockId>,
    JsonOrNothing(wait): JsonOrNothing<Wait>,
) -> Result<HttpResponse, Problem> {
    ask(&service, &who, lock, Action::Lock, wait).await
}

async fn ask(
    service: &Service,
    who: &Actor,
    lock: LockId,
    action: Action,
    wait: Wait,
) -> Result<HttpResponse, Problem> {
    let wait = wait.or(service.app.usual_wait());
    match service.app.ask(who, lock, action, wait).await? {
        Asked::Sent(attempt) => {
            let attempt = Attempt::from(attempt);
            let mut answer = match attempt.status {
                AttemptStatus::Pending => HttpResponse::Accepted(),
                _ => HttpResponse::Ok(),
            };
            Ok(answer.json(attempt))
        }
        Asked::Refused(attempt, told) => {
            let problem = Problem::new(
                StatusCode::FORBIDDEN,
                "access-refused",
                "The door stays as it is",
                in_words(told.reason),
            )
            .with("reason", told.reason)
            .with("attempt_id", attempt.id.as_str());
            Err(match told.opens_at {
                Some(opens_at) => problem.with("opens_at", opens_at.to_string()),
                None => problem,
            })
        }
        Asked::Offline(attempt, ways) => Err(Problem::new(
            StatusCode::CONFLICT,
            "lock-offline",
            "The lock is away",
            "the lock is not connected; nothing was sent, and nothing will be later",
        )
        .with("ways_in", ways_in(&ways))
        .with("attempt_id", attempt.id.as_str())),
    }
}

/// The ways into the house that do not need us.
fn ways_in(ways: &[Way]) -> Vec<&'static str> {
    ways.iter().map(|way| way.as_str()).chain(["mechanical-key"]).collect()
}

/// A refusal for somebody who stands at the door.
pub(super) fn in_words(reason: &str) -> &'static str {
    match reason {
        "not-yet" => "your access to this door has not begun",
        "outside-schedule" => "your access to this door does not reach to this hour",
        "grant-expired" => "your access to this door has ended",
        "grant-revoked" => "your access to this door was taken back",
        "uses-exhausted" => "your access to this door is used up",
        "spare-not-released" => {
            "your key to this door is a spare one; ask for it at /v1/grants/{grant_id}/ask, where the id is the one in /v1/grants?held=true"
        }
        "phone-key-needed" => "the house lets in only phones that prove themselves; sign in anew with an app that does",
        "lockdown" => "a lockdown lets nobody in at this door but whom it excepts",
        "lock-not-in-service" => "the lock of this door is not in service",
        _ => "you have no access to this door",
    }
}

/// What became of an attempt
#[utoipa::path(
    tag = "unlock",
    params(("attempt_id" = schema::AttemptId, Path)),
    responses((status = 200, description = "The attempt as it stands", body = Attempt))
)]
#[get("/v1/attempts/{attempt_id}")]
pub(super) async fn show_attempt(
    service: Data<Service>,
    Caller(who): Caller,
    Id(id): Id<AttemptId>,
) -> Result<HttpResponse, Problem> {
    let attempt: Attempt = service.app.attempt(&who, id).await?.into();
    Ok(HttpResponse::Ok().json(attempt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_access_is_not_told_that_they_have_none() {
        for reason in [
            "not-yet",
            "lockdown",
            "lock-not-in-service",
            "spare-not-released",
            "phone-key-needed",
        ] {
            assert_ne!(in_words(reason), in_words("no-access"), "{reason}");
        }
    }

    #[test]
    fn a_wait_has_its_bounds() {
        for (body, ms) in [
            ("{}", Some(None)),
            (r#"{"wait_ms":null}"#, Some(None)),
            (r#"{"wait_ms":0}"#, Some(Some(0))),
            (r#"{"wait_ms":15000}"#, Some(Some(15000))),
            (r#"{"wait_ms":15001}"#, None),
            (r#"{"wait_ms":-1}"#, None),
            (r#"{"wait_ms":"5"}"#, None),
            (r#"{"wait_ms":1.5}"#, None),
            (r#"{"wait":1}"#, None),
        ] {
            let wait: Option<Wait> = serde_json::from_str(body).ok();
            assert_eq!(wait.map(|wait| wait.wait_ms.map(|wait| wait.0)), ms, "{body}");
        }
    }
}
