//! The service itself: is it well, which keys does it sign with, what can it do.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, Data};
use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::Service;
use super::problem::Problem;
use crate::app::App;

/// Whether the service is well.
#[derive(Serialize, ToSchema)]
struct Health {
    #[schema(value_type = String, examples("ok"))]
    status: &'static str,
}

/// What the service needs, and whether it has it.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// The database answers.
    database: bool,
    /// The broker is connected.
    relay: bool,
    /// The clock is not behind the service's own records.
    clock: bool,
}

/// Is the process alive?
#[utoipa::path(
    tag = "service",
    security(()),
    responses((status = 200, description = "It answers", body = Health))
)]
#[get("/healthz")]
pub(super) async fn health() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// Does the service have what it needs?
#[utoipa::path(
    tag = "service",
    security(()),
    responses(
        (status = 200, description = "It has", body = Readiness),
        (status = 503, description = "`not-ready`, with the members of the other answer"),
    )
)]
#[get("/readyz")]
pub(super) async fn readiness(service: Data<Service>) -> Result<HttpResponse, Problem> {
    let found = service.app.readiness().await;
    if found.is_ready() {
        return Ok(HttpResponse::Ok().json(Readiness {
            database: found.database,
            relay: found.relay,
            clock: found.clock,
        }));
    }
    Err(Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "not-ready",
        "Not ready",
        "something that this service needs is away",
    )
    .with("database", found.database)
    .with("relay", found.relay)
    .with("clock", found.clock)
    .retry_after(std::time::Duration::from_secs(2)))
}

/// The public keys that this service signs with (RFC 7517)
#[utoipa::path(
    tag = "service",
    security(()),
    responses((status = 200, description = "The keys", body = Object))
)]
#[get("/.well-known/jwks.json")]
pub(super) async fn jwks(service: Data<Service>) -> HttpResponse {
    HttpResponse::Ok().json(service.app.jwks())
}

/// This document
#[utoipa::path(
    tag = "service",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
#[get("/openapi.json")]
pub(super) async fn openapi(service: Data<Service>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(service.document.clone())
}

/// `/docs`: the document to browse, with nothing loaded from elsewhere.
pub(super) fn docs(to: &mut web::ServiceConfig) {
    // The page's own script sets styles on elements and draws with `data:` images; it evaluates nothing.
    let policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                  connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    let config = Config::from("/openapi.json").validator_url("none");
    to.service(web::redirect("/docs", "/docs/").permanent());
    to.service(
        web::scope("/docs")
            .wrap(DefaultHeaders::new().add((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))))
            .service(SwaggerUi::new("/{_:.*}").config(config)),
    );
}

/// The numbers for Prometheus, for an `actix_web::App` of its own on its own bind: they are nobody else's business.
pub fn metrics(app: std::sync::Arc<App>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |to| {
        to.app_data(Data::from(app));
        to.route("/metrics", web::get().to(render_metrics));
    }
}

async fn render_metrics(app: Data<App>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(app.metrics().render())
}
