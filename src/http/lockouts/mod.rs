//! Lock-outs: asking for a way in, following it, and the desk's yes or no.

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse, get, post};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::{self, Anyone, Desk};
use super::json::{Json, JsonOrNothing, Object};
use super::page::{List, Paging};
use super::path::Id;
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::app::Error;
use crate::app::lockouts::{AskedBy, Asker, Shown};
use crate::domain::account::PersonName;
use crate::domain::ids::{GrantId, LockId, LockoutId, OrganizationId, PersonId, PropertyId, UnitId};
use crate::domain::lockout::policy::{Approver, Helper};
use crate::domain::lockout::{Identity, Seen, State, Why};
use crate::domain::place::PlaceName;
use crate::domain::time::Timestamp;

pub(super) mod outsiders;
pub(super) mod policy;

/// Whoever is signed in, or holds the secret that follows one lock-out; both come as `Authorization: Bearer`.
pub(super) struct Following(pub(super) Asker);

impl FromRequest for Following {
    type Error = Problem;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let refused = match auth::admit(&req).await {
                // What a guest's link opens is one grant.
                Ok(who) if who.reach.is_some() => return Err(Problem::beyond_link()),
                Ok(who) => return Ok(Self(Asker::Person(who))),
                Err(problem) if problem.word() == "unauthenticated" => problem,
                Err(problem) => return Err(problem),
            };
            let Ok((auth::Scheme::Bearer, auth::Shown::Token(secret))) = auth::bearer(req.headers()) else {
                return Err(refused);
            };
            let followed = Service::behind(&req)?.app.followed_lockout(&secret).await?;
            Ok(Self(Asker::Follower(followed)))
        })
    }
}

/// Somebody who stands before their own door.
#[derive(Serialize, ToSchema)]
pub(super) struct Lockout {
    #[schema(value_type = schema::LockoutId)]
    id: LockoutId,
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    #[schema(value_type = schema::PropertyId)]
    property_id: PropertyId,
    /// The unit that they live in.
    #[schema(value_type = schema::UnitId)]
    unit_id: UnitId,
    #[schema(value_type = schema::LockId)]
    lock_id: LockId,
    #[schema(value_type = Option<schema::PlaceName>, required = true)]
    lock_name: Option<PlaceName>,
    #[schema(value_type = schema::PersonId)]
    person_id: PersonId,
    #[schema(value_type = Option<schema::PersonName>, required = true)]
    person_name: Option<PersonName>,
    #[schema(value_type = schema::Time)]
    asked_at: Timestamp,
    /// How they showed who they are: `session`, `code`, `desk`.
    identity: &'static str,
    /// What staff saw of them; for the desk alone, and `null` once it is forgotten.
    #[schema(value_type = Option<schema::Remark>, required = true)]
    saw: Option<Seen>,
    /// `open`, `approved`, `used`, `unused`, `denied`, `cancelled`, `lapsed`.
    status: &'static str,
    /// Who may approve: `nobody` need, `desk`, `manager`.
    #[schema(value_type = schema::Approver)]
    approval_by: Approver,
    /// What is being tried now, while it is open.
    #[schema(required = true)]
    now_trying: Option<&'static str>,
    /// The telephone number to call, where that is what is tried.
    #[schema(required = true)]
    call: Option<String>,
    /// When something follows by itself, while it is open.
    #[schema(value_type = Option<schema::Time>, required = true)]
    next_at: Option<Timestamp>,
    /// Where the mechanical key is, once nothing else is left.
    #[schema(required = true)]
    mechanical_key: Option<String>,
    /// When it was decided, called off or ended.
    #[schema(value_type = Option<schema::Time>, required = true)]
    decided_at: Option<Timestamp>,
    /// By whom; for the desk alone, and `null` where by the policy.
    #[schema(value_type = Option<schema::PersonId>, required = true)]
    decided_by: Option<PersonId>,
    /// Why it was denied; `null` once it is forgotten.
    #[schema(value_type = Option<schema::Remark>, required = true)]
    why: Option<Why>,
    /// The grant that is the way in.
    #[schema(value_type = Option<schema::GrantId>, required = true)]
    grant_id: Option<GrantId>,
    /// Until when the way in works, exclusive.
    #[schema(value_type = Option<schema::Time>, required = true)]
    ends_at: Option<Timestamp>,
    /// When the door was opened by it, as its lock told.
    #[schema(value_type = Option<schema::Time>, required = true)]
    used_at: Option<Timestamp>,
}

impl Lockout {
    /// As it is told at `now`.
    pub(super) fn of(shown: Shown, now: Timestamp) -> Self {
        let Shown {
            lockout,
            person_name,
            lock_name,
            for_desk,
        } = shown;
        let is_open = lockout.state == State::Open;
        let step = lockout.begun.checked_sub(1).filter(|_| is_open);
        let step = step.and_then(|at| lockout.policy.first().get(at));
        let saw = match &lockout.identity {
            Identity::Desk { saw, .. } if for_desk => saw.clone(),
            _ => None,
        };
        let (mut decided_at, mut decided_by, mut why) = (None, None, None);
        let (mut grant_id, mut ends_at, mut used_at) = (None, None, None);
        let status = lockout.state.status(now);
        match lockout.state {
            State::Open => {}
            State::Approved {
                at,
                by,
                grant,
                ends_at: end,
                used_at: used,
            } => (decided_at, decided_by, grant_id, ends_at, used_at) = (Some(at), by, Some(grant), Some(end), used),
            State::Denied { at, by, why: said } => (decided_at, decided_by, why) = (Some(at), Some(by), said),
            State::Cancelled { at, by } => (decided_at, decided_by) = (Some(at), by),
            State::Lapsed { at } => decided_at = Some(at),
        }
        let is_left = matches!(status, "denied" | "lapsed" | "unused");
        Self {
            id: lockout.id,
            organization_id: lockout.organization,
            property_id: lockout.property,
            unit_id: lockout.unit,
            lock_id: lockout.lock,
            lock_name,
            person_id: lockout.person,
            person_name,
            asked_at: lockout.asked_at,
            identity: lockout.identity.word(),
            saw,
            status,
            approval_by: lockout.policy.approval().approver(),
            now_trying: step.map(|step| step.word()),
            call: step.and_then(|step| match &step.helper {
                Helper::Locksmith(number) => Some(number.as_str().to_owned()),
                _ => None,
            }),
            next_at: is_open.then_some(lockout.next_at),
            mechanical_key: (lockout.policy.mechanical_key())
                .filter(|_| is_left)
                .map(|hint| hint.as_str().to_owned()),
            decided_at,
            decided_by: decided_by.filter(|_| for_desk),
            why,
            grant_id,
            ends_at,
            used_at,
        }
    }
}

/// Who is locked out of which door.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AskForWayIn {
    #[schema(value_type = schema::LockId)]
    lock_id: LockId,
    #[schema(value_type = WrittenIdentity)]
    identity: AskIdentity,
}

/// How the caller knows who is locked out.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Object<WrittenIdentity>")]
enum AskIdentity {
    Session,
    Desk { person: PersonId, saw: Seen },
}

/// As it stands in a body: `session` alone, or `desk` with the person and what was seen of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WrittenIdentity {
    kind: IdentityKind,
    /// Who stands before the desk.
    #[schema(value_type = Option<schema::PersonId>)]
    person_id: Option<PersonId>,
    /// What was seen of them, such as a passport whose photo matches; no numbers of papers.
    #[schema(value_type = Option<schema::Remark>)]
    saw: Option<Seen>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum IdentityKind {
    Session,
    Desk,
}

impl TryFrom<Object<WrittenIdentity>> for AskIdentity {
    type Error = &'static str;

    fn try_from(Object(written): Object<WrittenIdentity>) -> Result<Self, Self::Error> {
        match (written.kind, written.person_id, written.saw) {
            (IdentityKind::Session, None, None) => Ok(Self::Session),
            (IdentityKind::Desk, Some(person), Some(saw)) => Ok(Self::Desk { person, saw }),
            _ => Err("expected `session` alone, or `desk` with `person_id` and what you `saw`"),
        }
    }
}

/// How a way in is approved.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Approve {
    /// Whether a mechanical key is handed out for good, at the policy's fee.
    replacement_key: Option<bool>,
}

/// Why a way in is denied.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Deny {
    /// Shown to whoever is locked out.
    #[schema(value_type = schema::Remark)]
    reason: Why,
}

/// Which lock-outs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LockoutFilter {
    /// Only those that nobody has decided.
    #[param(required = false, nullable = false)]
    open: Option<bool>,
}

/// The lock-outs of the houses at whose desk the caller sits, the newest first
#[utoipa::path(
    tag = "lock-outs",
    params(LockoutFilter, Paging),
    responses((status = 200, description = "A page of lock-outs", body = List<Lockout>), (status = 403))
)]
#[get("/v1/lockouts")]
pub(super) async fn list_lockouts(
    service: Data<Service>,
    Desk(who): Desk,
    Query(filter): Query<LockoutFilter>,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let only_open = filter.open.unwrap_or(false);
    let page = service.app.lockouts(&who, only_open, paging.request()?).await?;
    let now = service.app.now();
    Ok(HttpResponse::Ok().json(List::of(page, |shown| Lockout::of(shown, now))))
}

/// I am locked out, or somebody at my desk is
#[utoipa::path(
    tag = "lock-outs",
    responses(
        (status = 201, description = "Asked", body = Lockout),
        (status = 200, description = "The lock-out of this person and door that stands", body = Lockout),
        (status = 403, description = "`forbidden`: nobody of that name lives behind this door now, or it is not your desk"),
        (status = 404), (status = 409),
    )
)]
#[post("/v1/lockouts")]
pub(super) async fn ask_for_lockout(
    service: Data<Service>,
    Anyone(who): Anyone,
    Json(ask): Json<AskForWayIn>,
) -> Result<HttpResponse, Problem> {
    let by = match ask.identity {
        AskIdentity::Session => AskedBy::Session,
        AskIdentity::Desk { person, saw } => AskedBy::Desk { person, saw },
    };
    let (shown, is_new) = service.app.ask_for_lockout(&who, ask.lock_id, by).await?;
    let body = Lockout::of(shown, service.app.now());
    Ok(match is_new {
        true => HttpResponse::Created().json(body),
        false => HttpResponse::Ok().json(body),
    })
}

/// One lock-out: for the desk, for whoever is locked out, and by the secret that follows it
#[utoipa::path(
    tag = "lock-outs",
    security(("bearer" = [])),
    params(("lockout_id" = schema::LockoutId, Path)),
    responses((status = 200, description = "The lock-out", body = Lockout), (status = 401), (status = 404), (status = 429))
)]
#[get("/v1/lockouts/{lockout_id}")]
pub(super) async fn show_lockout(
    service: Data<Service>,
    Following(asker): Following,
    Id(lockout): Id<LockoutId>,
) -> Result<HttpResponse, Problem> {
    let shown = service.app.lockout(&asker, lockout).await?;
    Ok(HttpResponse::Ok().json(Lockout::of(shown, service.app.now())))
}

/// Give a way in; never to oneself
#[utoipa::path(
    tag = "lock-outs",
    params(("lockout_id" = schema::LockoutId, Path)),
    request_body = Option<Approve>,
    responses(
        (status = 200, description = "Approved; or `lapsed`, where the person does not live there any more", body = Lockout),
        (status = 403), (status = 409),
    )
)]
#[post("/v1/lockouts/{lockout_id}/approve")]
pub(super) async fn approve_lockout(
    service: Data<Service>,
    Desk(who): Desk,
    Id(lockout): Id<LockoutId>,
    JsonOrNothing(approve): JsonOrNothing<Approve>,
) -> Result<HttpResponse, Problem> {
    let key = approve.replacement_key.unwrap_or(false);
    let shown = service.app.approve_lockout(&who, lockout, key).await?;
    Ok(HttpResponse::Ok().json(Lockout::of(shown, service.app.now())))
}

/// Deny a way in
#[utoipa::path(
    tag = "lock-outs",
    params(("lockout_id" = schema::LockoutId, Path)),
    responses((status = 200, description = "Denied", body = Lockout), (status = 403), (status = 409))
)]
#[post("/v1/lockouts/{lockout_id}/deny")]
pub(super) async fn deny_lockout(
    service: Data<Service>,
    Desk(who): Desk,
    Id(lockout): Id<LockoutId>,
    Json(deny): Json<Deny>,
) -> Result<HttpResponse, Problem> {
    let shown = service.app.deny_lockout(&who, lockout, deny.reason).await?;
    Ok(HttpResponse::Ok().json(Lockout::of(shown, service.app.now())))
}

/// A way in, shown this once.
#[derive(Serialize, ToSchema)]
struct LockoutWayIn {
    /// Opens the door once, from the first browser that follows it.
    #[schema(format = "uri")]
    url: String,
    /// The same as a QR picture, SVG, as secret as the link.
    qr_svg: String,
    /// Until when, exclusive.
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
}

/// The link to the door; a new one makes the one before void
///
/// For whoever is locked out, by the secret that follows it, and for the desk where it vouched for the person.
#[utoipa::path(
    tag = "lock-outs",
    security(("bearer" = [])),
    params(("lockout_id" = schema::LockoutId, Path)),
    responses(
        (status = 201, description = "Made", body = LockoutWayIn),
        (status = 401), (status = 403), (status = 404), (status = 409, description = "`no-way-in`"), (status = 429),
    )
)]
#[post("/v1/lockouts/{lockout_id}/way-in")]
pub(super) async fn make_way_in(
    service: Data<Service>,
    Following(asker): Following,
    Id(lockout): Id<LockoutId>,
) -> Result<HttpResponse, Problem> {
    let way = service.app.lockout_way_in(&asker, lockout).await?;
    let picture = QrCode::new(way.url.as_bytes()).map_err(|error| Error::Internal("drawing", error.into()))?;
    Ok(HttpResponse::Created().json(LockoutWayIn {
        qr_svg: picture.render::<svg::Color<'_>>().module_dimensions(1, 1).build(),
        url: way.url,
        expires_at: way.ends_at,
    }))
}

/// Call it off, while nothing is decided
#[utoipa::path(
    tag = "lock-outs",
    security(("bearer" = [])),
    params(("lockout_id" = schema::LockoutId, Path)),
    responses(
        (status = 200, description = "Called off", body = Lockout),
        (status = 401), (status = 404), (status = 409), (status = 429),
    )
)]
#[post("/v1/lockouts/{lockout_id}/cancel")]
pub(super) async fn cancel_lockout(
    service: Data<Service>,
    Following(asker): Following,
    Id(lockout): Id<LockoutId>,
) -> Result<HttpResponse, Problem> {
    let shown = service.app.cancel_lockout(&asker, lockout).await?;
    Ok(HttpResponse::Ok().json(Lockout::of(shown, service.app.now())))
}
