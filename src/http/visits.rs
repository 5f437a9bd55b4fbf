//! Visits of vendors.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

pub(super) use self::shown::Visit;
use self::shown::{Cancelled, CodeForVendor, NewControllers, VendorLetIn};
use super::auth::{Anyone, Desk, Manager, Staff};
use super::json::{Json, Object, object_or_nothing};
use super::page::{List, Paging};
use super::path::Id;
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::app::visits::Verified;
use crate::domain::account::PersonName;
use crate::domain::ids::{LockId, PropertyId, VisitId};
use crate::domain::time::Timestamp;
use crate::domain::visit::{self, Company, EmergencyReason, NewVisit, PhoneNumber, Purpose, SpokenCode};

mod shown;

/// Who comes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderedVendor {
    #[schema(value_type = schema::PersonName)]
    name: PersonName,
    #[schema(value_type = schema::Company)]
    company: Company,
    #[schema(value_type = schema::PhoneNumber)]
    phone: PhoneNumber,
}

/// Why consent is passed over.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeclareEmergency {
    /// Shown to those who live there.
    #[schema(value_type = schema::EmergencyReason)]
    reason: EmergencyReason,
}

/// A visit to order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderVisit {
    /// The doors, all of one property; those that are no shared ones of one unit.
    #[schema(value_type = Vec<schema::LockId>, min_items = 1, max_items = 16)]
    lock_ids: Vec<LockId>,
    vendor: Object<OrderedVendor>,
    #[schema(value_type = schema::Purpose)]
    purpose: Purpose,
    /// From when on they may come.
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    /// Until when they must have come and gone, exclusive; two weeks later at most.
    #[schema(value_type = schema::Time)]
    ends_at: Timestamp,
    /// How long they may go in and out after they first got in; left out for 120.
    #[schema(minimum = 15, maximum = 720)]
    stay_minutes: Option<u16>,
    /// Whether the locks of the unit are to be changed.
    lock_change: Option<bool>,
    /// Left out where those who live there are asked.
    #[serde(default, deserialize_with = "object_or_nothing")]
    #[schema(value_type = Option<DeclareEmergency>)]
    emergency: Option<DeclareEmergency>,
}

/// Of which property.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct VisitFilter {
    #[param(value_type = Option<schema::PropertyId>, required = false, nullable = false)]
    property_id: Option<PropertyId>,
}

/// The visits that the landlord ordered, the newest first
#[utoipa::path(
    tag = "visits",
    params(VisitFilter, Paging),
    responses((status = 200, description = "A page of visits", body = List<Visit>), (status = 403))
)]
#[get("/v1/visits")]
pub(super) async fn list_visits(
    service: Data<Service>,
    Staff(who): Staff,
    Query(filter): Query<VisitFilter>,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.visits(&who, filter.property_id, paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, Visit::from)))
}

/// The visits to units in which I live, or lived at the time
#[utoipa::path(
    tag = "visits",
    params(Paging),
    responses((status = 200, description = "A page of visits", body = List<Visit>))
)]
#[get("/v1/me/visits")]
pub(super) async fn list_my_visits(
    service: Data<Service>,
    Anyone(who): Anyone,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.my_visits(&who, paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, Visit::from)))
}

/// One visit, for whoever works for the landlord or lives there
#[utoipa::path(
    tag = "visits",
    params(("visit_id" = schema::VisitId, Path)),
    responses((status = 200, description = "The visit", body = Visit))
)]
#[get("/v1/visits/{visit_id}")]
pub(super) async fn show_visit(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<VisitId>,
) -> Result<HttpResponse, Problem> {
    let shown = service.app.visit(&who, id).await?;
    Ok(HttpResponse::Ok().json(Visit::from(shown)))
}

/// Order a visit of a vendor
///
/// Nobody gets in by that. Where somebody lives behind the doors, one of them has to agree, unless an emergency is declared;
/// then the vendor proves to be the one (`/call`, `/verify`), and gets a link.
#[utoipa::path(
    tag = "visits",
    responses(
        (status = 201, description = "Ordered", body = Visit),
        (status = 403), (status = 404),
        (status = 409, description = "`lock-retired`"),
    )
)]
#[post("/v1/visits")]
pub(super) async fn order_visit(
    service: Data<Service>,
    Desk(who): Desk,
    Json(order): Json<OrderVisit>,
) -> Result<HttpResponse, Problem> {
    let Object(vendor) = order.vendor;
    let new = NewVisit {
        locks: order.lock_ids,
        vendor: visit::Vendor {
            name: vendor.name,
            company: vendor.company,
            phone: vendor.phone,
        },
        purpose: order.purpose,
        starts_at: order.starts_at,
        ends_at: order.ends_at,
        stay_minutes: order.stay_minutes,
        lock_change: order.lock_change.unwrap_or(false),
    };
    let emergency = order.emergency.map(|declared| declared.reason);
    let shown = service.app.order_visit(&who, new, emergency).await?;
    Ok(HttpResponse::Created().json(Visit::from(shown)))
}

/// I live there, and agree
#[utoipa::path(
    tag = "visits",
    params(("visit_id" = schema::VisitId, Path)),
    responses(
        (status = 200, description = "Noted", body = Visit),
        (status = 403, description = "Staff does not answer for those who live there"),
        (status = 409, description = "`visit-over`"),
    )
)]
#[post("/v1/visits/{visit_id}/consent")]
pub(super) async fn consent_to_visit(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<VisitId>,
) -> Result<HttpResponse, Problem> {
    let shown = service.app.answer_visit(&who, id, true).await?;
    Ok(HttpResponse::Ok().json(Visit::from(shown)))
}

/// I live there, and am against it; a way in that was not used is taken back
#[utoipa::path(
    tag = "visits",
    params(("visit_id" = schema::VisitId, Path)),
    responses(
        (status = 200, description = "Noted", body = Visit),
        (status = 403, description = "Staff does not answer for those who live there"),
        (status = 409, description = "`visit-over`, `visit-begun`"),
    )
)]
#[post("/v1/visits/{visit_id}/decline")]
pub(super) async fn decline_visit(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<VisitId>,
) -> Result<HttpResponse, Problem> {
    let shown = service.app.answer_visit(&who, id, false).await?;
    Ok(HttpResponse::Ok().json(Visit::from(shown)))
}

/// Pass over the consent of those who live there, for a reason that they are told at once
#[utoipa::path(
    tag = "visits",
    params(("visit_id" = schema::VisitId, Path)),
    responses(
        (status = 200, description = "On record", body = Visit),
        (status = 403),
        (status = 409, description = "`visit-over`, `emergency-declared`"),
    )
)]
#[post("/v1/visits/{visit_id}/emergency")]
pub(super) async fn declare_emergency(
    service: Data<Service>,
    Desk(who): Desk,
    Id(id): Id<VisitId>,
    Json(declared): Json<DeclareEmergency>,
) -> Result<HttpResponse, Problem> {
    let shown = service.app.pass_over_consent(&who, id, declared.reason).await?;
    Ok(HttpResponse::Ok().json(Visit::from(shown)))
}

/// Call a visit off; what way in there is is taken back
#[utoipa::path(
    tag = "visits",
    params(("visit_id" = schema::VisitId, Path)),
    responses(
        (status = 200, description = "Called off", body = Cancelled),
        (status = 403),
        (status = 409, description = "`visit-over`"),
    )
)]
#[post("/v1/visits/{visit_id}/cancel")]
pub(super) async fn cancel_visit(
    service: Data<Service>,
    Desk(who): Desk,
    Id(id): Id<VisitId>,
) -> Result<HttpResponse, Problem> {
    let cancelled = service.app.cancel_visit(&who, id).await?;
    Ok(HttpResponse::Ok().json(Cancelled::from(cancelled)))
}

/// Make a code, to be told at the telephone number on the order
///
/// Whoever then asks to be let in and can say it (`/verify`) is the one who was ordered. The one before is void.
#[utoipa::path(
    tag = "visits",
    params(("visit_id" = schema::VisitId, Path)),
    responses(
        (status = 200, description = "Call the number and tell the code", body = CodeForVendor),
        (status = 403),
        (status = 409, description = "`visit-over`, `visit-door-moved`, `consent-missing`, `consent-declined`"),
    )
)]
#[post("/v1/visits/{visit_id}/call")]
pub(super) async fn call_vendor(
    service: Data<Service>,
    Desk(who): Desk,
    Id(id): Id<VisitId>,
) -> Result<HttpResponse, Problem> {
    let called = service.app.call_vendor(&who, id).await?;
    Ok(HttpResponse::Ok().json(CodeForVendor::from(called)))
}

/// What whoever wants to be let in says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SaidCode {
    /// The six digits.
    #[schema(value_type = String, pattern = "^ *([0-9] *){6}$")]
    code: SpokenCode,
}

/// Let the vendor in who says the code that was told by telephone
///
/// They get a link for their own phone. It opens the visit's doors within its window, and from the first opening on for the
/// stay; a link from before is void. After five wrong codes another has to be told.
#[utoipa::path(
    tag = "visits",
    params(("visit_id" = schema::VisitId, Path)),
    responses(
        (status = 200, description = "It is the one", body = VendorLetIn),
        (status = 403, description = "`wrong-code`; or the caller's role"),
        (status = 409, description = "`visit-over`, `visit-door-moved`, `consent-missing`, `consent-declined`, `no-code`"),
    )
)]
#[post("/v1/visits/{visit_id}/verify")]
pub(super) async fn verify_vendor(
    service: Data<Service>,
    Desk(who): Desk,
    Id(id): Id<VisitId>,
    Json(said): Json<SaidCode>,
) -> Result<HttpResponse, Problem> {
    match service.app.verify_vendor(&who, id, said.code).await? {
        Verified::LetIn(let_in) => Ok(HttpResponse::Ok().json(VendorLetIn::from(let_in))),
        Verified::Wrong => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "wrong-code",
            "The code is wrong",
            "this is not the code that was told by telephone; the try is counted",
        )),
    }
}

/// Change the unit's locks, as was ordered with the visit: a claim for each new controller
///
/// While the vendor is there. The present controllers work until the new ones enrol; in that moment their keys, PINs and passes
/// are void.
#[utoipa::path(
    tag = "visits",
    params(("visit_id" = schema::VisitId, Path)),
    responses(
        (status = 200, description = "The claims", body = NewControllers),
        (status = 403),
        (status = 409, description = "`visit-over`, `visit-not-begun`, `visit-door-moved`, `no-lock-change`, `lock-unclaimed`, `lock-retired`"),
    )
)]
#[post("/v1/visits/{visit_id}/lock-change")]
pub(super) async fn change_locks(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<VisitId>,
) -> Result<HttpResponse, Problem> {
    let claims = service.app.change_locks(&who, id).await?;
    Ok(HttpResponse::Ok().json(NewControllers::of(claims)?))
}
