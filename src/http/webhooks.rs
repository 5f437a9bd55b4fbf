//! Webhooks.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access_log::Entry;
use super::auth::Manager;
use super::json::Json;
use super::page::{List, Paging};
use super::path::Id;
use super::problem::Problem;
use super::query::Query;
use super::{Service, schema};
use crate::app::access_log::NamedEntry;
use crate::app::webhooks::{Shown, WebhookChange, WithSecret};
use crate::domain::access_log::{EntryNumber, Kind};
use crate::domain::ids::{DeliveryId, OrganizationId, PersonId, WebhookId};
use crate::domain::time::Timestamp;
use crate::domain::webhook::{self, Outcome, State, WebhookUrl};

/// What a webhook is told (Standard Webhooks: `type`, `timestamp`, `data`).
#[derive(Serialize)]
struct Event {
    r#type: Kind,
    timestamp: Timestamp,
    data: Entry,
}

/// What a webhook is told of the entry, as JSON.
///
/// # Errors
/// Only where the library refuses, which it has no reason to.
pub fn event(named: NamedEntry) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Event {
        r#type: named.entry.what.kind,
        timestamp: named.entry.what.occurred_at,
        data: named.into(),
    })
}

/// A webhook to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MakeWebhook {
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    /// Where it is told: by POST, over TLS.
    #[schema(value_type = schema::WebhookUrl)]
    url: WebhookUrl,
    /// The kinds of entries that it is told of; all where it is left out or empty.
    #[serde(default)]
    #[schema(value_type = Vec<schema::EntryKind>, required = false)]
    events: Vec<Kind>,
}

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeWebhook {
    #[schema(value_type = Option<schema::WebhookUrl>)]
    url: Option<WebhookUrl>,
    /// The kinds of entries that it is told of; all where it is empty.
    #[schema(value_type = Option<Vec<schema::EntryKind>>)]
    events: Option<Vec<Kind>>,
    /// `false` stops it for now; `true` lets it go on where it was stopped, whoever stopped it.
    active: Option<bool>,
}

/// From where on it is told again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Replay {
    /// The number of the first entry that it is told of again.
    #[schema(value_type = schema::EntryNumber)]
    from: EntryNumber,
}

/// A webhook.
#[derive(Serialize, ToSchema)]
pub(super) struct Webhook {
    #[schema(value_type = schema::WebhookId)]
    id: WebhookId,
    #[schema(value_type = schema::OrganizationId)]
    organization_id: OrganizationId,
    #[schema(value_type = schema::WebhookUrl)]
    url: WebhookUrl,
    /// The kinds of entries that it is told of; all where it is empty.
    #[schema(value_type = Vec<schema::EntryKind>)]
    events: Vec<Kind>,
    #[schema(value_type = schema::WebhookState)]
    state: State,
    /// Who made it, or gave it its present address.
    #[schema(value_type = schema::PersonId)]
    created_by: PersonId,
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
    /// The number of the last entry of which it was told, or that is not for it.
    told: i64,
    /// How often in a row it could not be told.
    failures: u32,
    /// Since when it cannot be told.
    #[schema(value_type = Option<schema::Time>, required = true)]
    failing_since: Option<Timestamp>,
    /// When it is tried again, where it could not be told.
    #[schema(value_type = Option<schema::Time>, required = true)]
    next_try_at: Option<Timestamp>,
}

impl From<Shown> for Webhook {
    fn from(shown: Shown) -> Self {
        let Shown { webhook, url } = shown;
        let is_tried_again = webhook.state == State::Active && webhook.failing.times > 0;
        Self {
            id: webhook.id,
            organization_id: webhook.organization,
            url,
            events: webhook.kinds,
            state: webhook.state,
            created_by: webhook.created_by,
            created_at: webhook.created_at,
            told: webhook.told,
            failures: webhook.failing.times,
            failing_since: webhook.failing.since,
            next_try_at: is_tried_again.then_some(webhook.failing.next_try_at),
        }
    }
}

/// A webhook with its secret.
#[derive(Serialize, ToSchema)]
struct WebhookWithSecret {
    #[serde(flatten)]
    webhook: Webhook,
    /// What signs for it from now on; shown this once.
    #[schema(value_type = schema::WebhookSecret)]
    secret: String,
}

impl From<WithSecret> for WebhookWithSecret {
    fn from(with: WithSecret) -> Self {
        Self {
            webhook: with.shown.into(),
            secret: with.secret.to_string(),
        }
    }
}

/// A try to tell a webhook.
#[derive(Serialize, ToSchema)]
struct Delivery {
    #[schema(value_type = schema::DeliveryId)]
    id: DeliveryId,
    /// The number of the entry.
    seq: i64,
    #[schema(value_type = schema::Time)]
    tried_at: Timestamp,
    /// How long it took, in milliseconds.
    took_ms: i64,
    #[schema(value_type = schema::DeliveryResult)]
    result: Outcome,
    /// The status that it answered with.
    #[schema(required = true)]
    status: Option<u16>,
}

impl From<webhook::Delivery> for Delivery {
    fn from(delivery: webhook::Delivery) -> Self {
        Self {
            id: delivery.id,
            seq: delivery.seq,
            tried_at: delivery.tried_at,
            took_ms: delivery.took_ms,
            result: delivery.outcome,
            status: delivery.status,
        }
    }
}

/// The webhooks of the organizations that the caller manages
#[utoipa::path(
    tag = "webhooks",
    params(Paging),
    responses((status = 200, description = "A page of webhooks", body = List<Webhook>), (status = 403))
)]
#[get("/v1/webhooks")]
pub(super) async fn list_webhooks(
    service: Data<Service>,
    Manager(who): Manager,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.webhooks(&who, paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, Webhook::from)))
}

/// Make a webhook: it is told of the access log from now on, as far as any manager sees it
#[utoipa::path(
    tag = "webhooks",
    responses(
        (status = 201, description = "Made", body = WebhookWithSecret),
        (status = 403), (status = 404), (status = 409),
    )
)]
#[post("/v1/webhooks")]
pub(super) async fn make_webhook(
    service: Data<Service>,
    Manager(who): Manager,
    Json(make): Json<MakeWebhook>,
) -> Result<HttpResponse, Problem> {
    let MakeWebhook {
        organization_id,
        url,
        events,
    } = make;
    let made = service.app.make_webhook(&who, organization_id, url, events).await?;
    Ok(HttpResponse::Created().json(WebhookWithSecret::from(made)))
}

/// One webhook
#[utoipa::path(
    tag = "webhooks",
    params(("webhook_id" = schema::WebhookId, Path)),
    responses((status = 200, description = "The webhook", body = Webhook), (status = 403), (status = 404))
)]
#[get("/v1/webhooks/{webhook_id}")]
pub(super) async fn show_webhook(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<WebhookId>,
) -> Result<HttpResponse, Problem> {
    let shown = service.app.webhook(&who, id).await?;
    Ok(HttpResponse::Ok().json(Webhook::from(shown)))
}

/// Change a webhook, stop it for now or let it go on
#[utoipa::path(
    tag = "webhooks",
    params(("webhook_id" = schema::WebhookId, Path)),
    responses((status = 200, description = "Changed", body = Webhook), (status = 403), (status = 404))
)]
#[patch("/v1/webhooks/{webhook_id}")]
pub(super) async fn change_webhook(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<WebhookId>,
    Json(change): Json<ChangeWebhook>,
) -> Result<HttpResponse, Problem> {
    let change = WebhookChange {
        url: change.url,
        kinds: change.events,
        is_active: change.active,
    };
    let shown = service.app.change_webhook(&who, id, change).await?;
    Ok(HttpResponse::Ok().json(Webhook::from(shown)))
}

/// Remove a webhook and what is known of its deliveries
#[utoipa::path(
    tag = "webhooks",
    params(("webhook_id" = schema::WebhookId, Path)),
    responses((status = 204, description = "Removed"), (status = 403), (status = 404))
)]
#[delete("/v1/webhooks/{webhook_id}")]
pub(super) async fn remove_webhook(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<WebhookId>,
) -> Result<HttpResponse, Problem> {
    service.app.remove_webhook(&who, id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Give a webhook a new secret; the one before it signs too for 24 hours
#[utoipa::path(
    tag = "webhooks",
    params(("webhook_id" = schema::WebhookId, Path)),
    responses((status = 200, description = "The new secret", body = WebhookWithSecret), (status = 403), (status = 404))
)]
#[post("/v1/webhooks/{webhook_id}/secret")]
pub(super) async fn renew_webhook_secret(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<WebhookId>,
) -> Result<HttpResponse, Problem> {
    let renewed = service.app.renew_webhook_secret(&who, id).await?;
    Ok(HttpResponse::Ok().json(WebhookWithSecret::from(renewed)))
}

/// Tell a webhook of older entries again, in order, under the ids of the first time
#[utoipa::path(
    tag = "webhooks",
    params(("webhook_id" = schema::WebhookId, Path)),
    responses((status = 202, description = "It will be told", body = Webhook), (status = 403), (status = 404))
)]
#[post("/v1/webhooks/{webhook_id}/replay")]
pub(super) async fn replay_webhook(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<WebhookId>,
    Json(Replay { from }): Json<Replay>,
) -> Result<HttpResponse, Problem> {
    let shown = service.app.replay_webhook(&who, id, from).await?;
    Ok(HttpResponse::Accepted().json(Webhook::from(shown)))
}

/// What became of telling a webhook, the newest tries first; kept for 30 days
#[utoipa::path(
    tag = "webhooks",
    params(("webhook_id" = schema::WebhookId, Path), Paging),
    responses((status = 200, description = "A page of tries", body = List<Delivery>), (status = 403), (status = 404))
)]
#[get("/v1/webhooks/{webhook_id}/deliveries")]
pub(super) async fn list_deliveries(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<WebhookId>,
    Query(paging): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let page = service.app.webhook_deliveries(&who, id, paging.request()?).await?;
    Ok(HttpResponse::Ok().json(List::of(page, Delivery::from)))
}
