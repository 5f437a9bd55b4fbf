//! Outsiders: somebody who is locked out and not signed in. Whoever asks for whomever gets the same answer.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Lockout;
use crate::app::lockouts::{Answers, Outsider};
use crate::crypto::identity_code::IdentityCode;
use crate::domain::account::{Email, PersonName};
use crate::domain::ids::LockoutId;
use crate::domain::place::PlaceName;
use crate::domain::time::Timestamp;
use crate::http::auth::Desk;
use crate::http::json::{Json, Object};
use crate::http::path::Id;
use crate::http::peer::ClientAddress;
use crate::http::problem::Problem;
use crate::http::{Service, schema};

/// Who is locked out: by their address, or by where they live.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Object<AskAsOutsider>")]
struct Ask(Outsider);

/// As it stands in a body: `email` alone, or the three others.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AskAsOutsider {
    #[schema(value_type = Option<schema::Email>)]
    email: Option<Email>,
    /// The property, by its name or its identifier.
    #[schema(value_type = Option<schema::PlaceName>)]
    property: Option<PlaceName>,
    #[schema(value_type = Option<schema::PlaceName>)]
    unit: Option<PlaceName>,
    /// Your own name, as on the lease.
    #[schema(value_type = Option<schema::PersonName>)]
    name: Option<PersonName>,
}

impl TryFrom<Object<AskAsOutsider>> for Ask {
    type Error = &'static str;

    fn try_from(Object(written): Object<AskAsOutsider>) -> Result<Self, Self::Error> {
        match (written.email, written.property, written.unit, written.name) {
            (Some(email), None, None, None) => Ok(Self(Outsider::Email(email))),
            (None, Some(property), Some(unit), Some(name)) => Ok(Self(Outsider::Resident {
                property,
                unit,
                name: name.into(),
            })),
            _ => Err("expected either `email`, or `property`, `unit` and `name`"),
        }
    }
}

/// What is asked next, whether or not anybody is meant.
#[derive(Serialize, ToSchema)]
struct OutsiderAsked {
    #[schema(value_type = schema::LockoutId)]
    id: LockoutId,
    /// Which of the answers `identify` wants beside the code.
    #[schema(value_type = Vec<String>)]
    questions: &'static [&'static str],
    /// How the code comes: `letter` to the address on file, or else by a call of the `desk` to the number on file.
    code_by: &'static str,
    /// Until when the code can be told.
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
}

/// The code, and what only whoever lives there knows.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Identify {
    #[schema(value_type = schema::IdentityCode)]
    code: IdentityCode,
    /// Your name, as on the lease.
    #[schema(value_type = Option<schema::PersonName>)]
    name: Option<PersonName>,
    /// The unit that you live in.
    #[schema(value_type = Option<schema::PlaceName>)]
    unit: Option<PlaceName>,
    /// The year and month in which you moved in, such as `2026-03`.
    #[schema(max_length = 7)]
    moved_in: Option<String>,
    /// The door that you stand before; left out for the unit's own.
    #[schema(value_type = Option<schema::PlaceName>)]
    door: Option<PlaceName>,
}

/// An outsider who has shown who they are.
#[derive(Serialize, ToSchema)]
struct OutsiderIdentified {
    lockout: Lockout,
    /// Shown this once: `Authorization: Bearer` with it follows this lock-out, and does nothing else.
    #[schema(value_type = schema::Secret)]
    secret: String,
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
}

/// A code to be told on the telephone.
#[derive(Serialize, ToSchema)]
struct CodeForOutsider {
    /// Shown this once; the one before is void.
    #[schema(value_type = schema::IdentityCode)]
    code: String,
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
}

/// I am locked out, and not signed in
///
/// The answer is the same whether or not anybody is meant. A code goes to the address on file, if there is one.
#[utoipa::path(
    tag = "lock-outs",
    security(()),
    request_body = AskAsOutsider,
    responses((status = 202, description = "Taken down", body = OutsiderAsked), (status = 429))
)]
#[post("/v1/lockouts/ask")]
pub(in crate::http) async fn ask_as_outsider(
    service: Data<Service>,
    ClientAddress(from): ClientAddress,
    Json(Ask(outsider)): Json<Ask>,
) -> Result<HttpResponse, Problem> {
    service.limits.spend_lockout(from)?;
    let questions: &[&str] = match outsider {
        Outsider::Email(_) => &["name", "unit"],
        Outsider::Resident { .. } => &["moved_in"],
    };
    let taken = service.app.ask_as_outsider(outsider, from).await?;
    Ok(HttpResponse::Accepted().json(OutsiderAsked {
        id: taken.id,
        questions,
        code_by: if taken.by_letter { "letter" } else { "desk" },
        expires_at: taken.ends_at,
    }))
}

/// Show who I am, by the code and what I know
#[utoipa::path(
    tag = "lock-outs",
    security(()),
    params(("lockout_id" = schema::LockoutId, Path)),
    responses(
        (status = 200, description = "There is a lock-out now, and a secret to follow it", body = OutsiderIdentified),
        (status = 401, description = "`wrong-code`: whatever does not fit"), (status = 429),
    )
)]
#[post("/v1/lockouts/{lockout_id}/identify")]
pub(in crate::http) async fn identify_outsider(
    service: Data<Service>,
    ClientAddress(from): ClientAddress,
    Id(lockout): Id<LockoutId>,
    Json(identify): Json<Identify>,
) -> Result<HttpResponse, Problem> {
    service.limits.spend_lockout(from)?;
    let answers = Answers {
        name: identify.name.map(String::from),
        unit: identify.unit,
        moved_in: identify.moved_in,
        door: identify.door,
    };
    let identified = service
        .app
        .identify_outsider(lockout, identify.code, answers, from)
        .await?;
    Ok(HttpResponse::Ok().json(OutsiderIdentified {
        lockout: Lockout::of(identified.shown, service.app.now()),
        secret: identified.follow.expose().to_owned(),
        expires_at: identified.follow_ends_at,
    }))
}

/// A code to tell to whoever answers the number on file
#[utoipa::path(
    tag = "lock-outs",
    params(("lockout_id" = schema::LockoutId, Path)),
    responses((status = 200, description = "The code", body = CodeForOutsider), (status = 403), (status = 409))
)]
#[post("/v1/lockouts/{lockout_id}/call")]
pub(in crate::http) async fn call_outsider(
    service: Data<Service>,
    Desk(who): Desk,
    Id(lockout): Id<LockoutId>,
) -> Result<HttpResponse, Problem> {
    let (code, expires_at) = service.app.call_outsider(&who, lockout).await?;
    Ok(HttpResponse::Ok().json(CodeForOutsider {
        code: code.expose().to_string(),
        expires_at,
    }))
}
