//! Offline passes, and what phones carry between locks and the backend.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Anyone, Caller};
use super::json::Json;
use super::path::Id;
use super::problem::Problem;
use super::unlock::in_words;
use super::{Service, schema};
use crate::app::passes::{Issued, Papers, SignedPass};
use crate::crypto::public_key::PublicKey;
use crate::domain::ids::{LockId, PhoneId};
use crate::domain::time::Timestamp;
use crate::domain::unlock::ToldRefusal;

/// Passes to issue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ask {
    #[schema(value_type = Vec<schema::LockId>, min_items = 1, max_items = 16)]
    lock_ids: Vec<LockId>,
    /// One of the caller's own.
    #[schema(value_type = schema::PhoneId)]
    phone_id: PhoneId,
}

/// Passes, and what the phone needs at each lock.
#[derive(Serialize, ToSchema)]
struct Passes {
    /// Where there is one pass alone: that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pass: Option<String>,
    /// Where there is one pass alone: from when on it counts no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = schema::Time, required = false)]
    expires_at: Option<Timestamp>,
    /// One for each right that is needed.
    passes: Vec<Pass>,
    locks: Vec<AtLock>,
    /// The locks for which there is no pass now.
    refused: Vec<Refused>,
}

/// An offline pass.
#[derive(Serialize, ToSchema)]
struct Pass {
    /// A `pass+jwt`, to be shown as it is.
    pass: String,
    #[schema(value_type = Vec<schema::LockId>)]
    lock_ids: Vec<LockId>,
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    /// From when on it counts no more. Renew it long before.
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
}

/// What a phone needs at one lock.
#[derive(Serialize, ToSchema)]
struct AtLock {
    #[schema(value_type = schema::LockId)]
    lock_id: LockId,
    /// By which the lock signs its challenges and events.
    #[schema(value_type = schema::PublicKey)]
    public_key: PublicKey,
    /// To be handed to the lock before the pass is shown.
    documents: Vec<String>,
}

/// A lock for which there is no pass now.
#[derive(Serialize, ToSchema)]
struct Refused {
    #[schema(value_type = schema::LockId)]
    lock_id: LockId,
    /// Why: a stable word.
    reason: &'static str,
    /// When there is one by itself, where that is known.
    #[schema(value_type = Option<schema::Time>, required = true)]
    opens_at: Option<Timestamp>,
}

impl From<SignedPass> for Pass {
    fn from(signed: SignedPass) -> Self {
        Self {
            pass: signed.pass,
            lock_ids: signed.locks,
            starts_at: signed.starts_at,
            expires_at: signed.expires_at,
        }
    }
}

impl From<Papers> for AtLock {
    fn from(papers: Papers) -> Self {
        Self {
            lock_id: papers.lock,
            public_key: papers.public_key,
            documents: papers.documents,
        }
    }
}

impl From<Issued> for Passes {
    fn from(issued: Issued) -> Self {
        let only = match issued.passes.as_slice() {
            [only] => Some((only.pass.clone(), only.expires_at)),
            _ => None,
        };
        let (pass, expires_at) = only.unzip();
        let refused = issued.refused.into_iter().map(|(lock_id, told)| Refused {
            lock_id,
            reason: told.reason,
            opens_at: told.opens_at,
        });
        Self {
            pass,
            expires_at,
            passes: issued.passes.into_iter().map(Pass::from).collect(),
            locks: issued.locks.into_iter().map(AtLock::from).collect(),
            refused: refused.collect(),
        }
    }
}

/// Issue offline passes to one of my phones
///
/// Each is bound to the phone's key and lives for hours: renew it silently while online. Locks for which there is none
/// stand in `refused`; where there is none at all, that is the problem.
#[utoipa::path(
    tag = "offline",
    responses(
        (status = 200, description = "Issued", body = Passes),
        (status = 403, description = "`pass-refused`, with `reason`, and `opens_at` where it comes by itself"),
        (status = 404),
    )
)]
#[post("/v1/passes")]
pub(super) async fn issue_passes(
    service: Data<Service>,
    Caller(who): Caller,
    Json(ask): Json<Ask>,
) -> Result<HttpResponse, Problem> {
    let issued = service.app.issue_passes(&who, ask.lock_ids, ask.phone_id).await?;
    match issued.refused.first() {
        Some((_, told)) if issued.passes.is_empty() => Err(none_at_all(told)),
        _ => Ok(HttpResponse::Ok().json(Passes::from(issued))),
    }
}

fn none_at_all(told: &ToldRefusal) -> Problem {
    let detail = match told.reason {
        "way-not-given" => "your access to this door is not for offline passes",
        "passes-off" => "this service gives no offline passes to people who come as you do",
        "several-locks" => "your access is counted and for several doors; each use needs the service",
        "schedule-too-long" => "the schedule of your access is longer than a lock reads",
        reason => in_words(reason),
    };
    let problem =
        Problem::new(StatusCode::FORBIDDEN, "pass-refused", "There is no pass", detail).with("reason", told.reason);
    match told.opens_at {
        Some(opens_at) => problem.with("opens_at", opens_at.to_string()),
        None => problem,
    }
}

/// What a lock has said to a phone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Carried {
    /// Events and hellos as the lock signed them, the oldest first.
    #[schema(min_items = 1, max_items = 64)]
    messages: Vec<String>,
}

/// What the phone is to hand the lock.
#[derive(Serialize, ToSchema)]
struct Answers {
    messages: Vec<String>,
}

/// Carry in what a lock has signed
///
/// For who may open the lock or manages it. What the lock did not sign is dropped. The answer is for the lock.
#[utoipa::path(
    tag = "offline",
    params(("lock_id" = schema::LockId, Path)),
    responses((status = 200, description = "Taken", body = Answers), (status = 403))
)]
#[post("/v1/locks/{lock_id}/messages")]
pub(super) async fn carry(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(lock): Id<LockId>,
    Json(carried): Json<Carried>,
) -> Result<HttpResponse, Problem> {
    let messages = service.app.carry(&who, lock, carried.messages).await?;
    Ok(HttpResponse::Ok().json(Answers { messages }))
}
