//! What is the caller's own: to take along, and to erase.

use std::collections::VecDeque;

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, get, post};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access_log::evidence;
use super::auth::Anyone;
use super::edge::chain;
use super::export;
use super::grants::{Grant, Revoked};
use super::json::Json;
use super::looks::Look;
use super::me::Me;
use super::notices::Notice;
use super::passkeys::Passkey;
use super::peer::ClientAddress;
use super::phones::Phone;
use super::problem::Problem;
use super::{Service, schema};
use crate::app::belongings::Belongings;
use crate::app::evidence::SignedCheckpoint;
use crate::app::{Actor, App, Error};
use crate::crypto::recovery_code::FactorCode;
use crate::domain::ids::{OrganizationId, TenancyId, UnitId};
use crate::domain::password::Password;
use crate::domain::tenancy;
use crate::domain::time::Timestamp;

/// How many entries are read at once.
const PART: u16 = 500;

/// A stay.
#[derive(Serialize)]
struct Tenancy {
    id: TenancyId,
    organization_id: OrganizationId,
    unit_id: UnitId,
    starts_at: Timestamp,
    ends_at: Option<Timestamp>,
}

impl From<tenancy::Tenancy> for Tenancy {
    fn from(tenancy: tenancy::Tenancy) -> Self {
        Self {
            id: tenancy.id,
            organization_id: tenancy.organization,
            unit_id: tenancy.unit,
            starts_at: tenancy.term.starts_at,
            ends_at: tenancy.term.ends_at,
        }
    }
}

/// A line of the file, before those of logs: `what` says what it is.
#[derive(Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
enum Line {
    Account(Me),
    Tenancy(Tenancy),
    GrantHeld(Grant),
    GrantGiven(Grant),
    Phone(Phone),
    Passkey(Passkey),
    Notice(Notice),
    Look(Look),
}

/// A file on its way.
struct Reader {
    service: Data<Service>,
    who: Actor,
    waiting: Option<Vec<u8>>,
    organizations: VecDeque<OrganizationId>,
    /// The log that is being read: its state, and the last number so far.
    log: Option<(SignedCheckpoint, i64)>,
}

impl Reader {
    fn new(service: Data<Service>, who: Actor, belongings: Belongings) -> Result<Self, Error> {
        let Belongings {
            me,
            tenancies,
            held,
            given,
            phones,
            passkeys,
            notices,
            looks,
            organizations,
        } = belongings;
        let lines = std::iter::once(Line::Account(me.into()))
            .chain(tenancies.into_iter().map(|tenancy| Line::Tenancy(tenancy.into())))
            .chain(held.into_iter().map(|grant| Line::GrantHeld(grant.into())))
            .chain(given.into_iter().map(|grant| Line::GrantGiven(grant.into())))
            .chain(phones.into_iter().map(|phone| Line::Phone(phone.into())))
            .chain(passkeys.into_iter().map(|passkey| Line::Passkey(passkey.into())))
            .chain(notices.into_iter().map(|notice| Line::Notice(notice.into())))
            .chain(looks.into_iter().map(|look| Line::Look(look.into())));
        Ok(Self {
            waiting: Some(export::lines(lines)?),
            organizations: organizations.into(),
            log: None,
            service,
            who,
        })
    }

    /// The next part; `None` at the end.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        if let Some(part) = self.waiting.take() {
            return Ok(Some((part.into(), self)));
        }
        let app = &self.service.app;
        while let Some(organization) = self.organizations.front().cloned() {
            let (view, filter) = App::own_log(&self.who, organization);
            let Some((checkpoint, after)) = &mut self.log else {
                let checkpoint = app.checkpoint(&view).await?;
                let head = export::lines([evidence::Line::head(checkpoint.clone(), false)])?;
                self.log = Some((checkpoint, 0));
                return Ok(Some((head.into(), self)));
            };
            let entries = app.evidence(view, filter, *after, PART, checkpoint.size).await?;
            if let Some(last) = entries.last() {
                *after = last.seq;
                let part = export::lines(entries.into_iter().map(evidence::Line::from))?;
                return Ok(Some((part.into(), self)));
            }
            self.organizations.pop_front();
            self.log = None;
        }
        Ok(None)
    }
}

/// Everything that is mine, as a file: one JSON object a line, `what` says what it is
#[utoipa::path(
    tag = "privacy",
    responses((
        status = 200,
        description = "The file",
        content((String = "application/jsonl")),
        headers(("Content-Disposition" = String, description = "A file to keep")),
    ))
)]
#[get("/v1/me/export")]
pub(super) async fn take_along(service: Data<Service>, Anyone(who): Anyone) -> Result<HttpResponse, Problem> {
    let belongings = service.app.belongings(&who).await?;
    let reader = Reader::new(service, who, belongings)?;
    let parts = stream::try_unfold(reader, |reader| async {
        // The status has gone out: what is left is to break the connection, so that nobody takes half for whole.
        let broke_off = |error: &Error| tracing::error!("a person's own file broke off: {}", chain(error));
        reader.next().await.inspect_err(broke_off)
    });
    Ok(HttpResponse::Ok()
        .content_type("application/jsonl")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"mine.jsonl\""))
        .streaming(parts))
}

/// That it is really me.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Erase {
    #[schema(value_type = schema::Password)]
    password: Password,
    /// What the second factor's device shows, or a recovery code; asked for by `second-factor-needed`.
    #[schema(value_type = schema::FactorCode)]
    code: Option<FactorCode>,
}

/// Erase my account and what is mine alone; it does not come back
#[utoipa::path(
    tag = "privacy",
    responses(
        (status = 200, description = "Erased", body = Revoked),
        (status = 409, description = "`still-in-use`: an organization is mine, or I live somewhere"),
        (status = 429),
    )
)]
#[post("/v1/me/erase")]
pub(super) async fn erase(
    service: Data<Service>,
    Anyone(who): Anyone,
    ClientAddress(from): ClientAddress,
    Json(Erase { password, code }): Json<Erase>,
) -> Result<HttpResponse, Problem> {
    service.limits.spend_sign_in(from)?;
    let revoked: Revoked = service.app.erase(&who, password, code, from).await?.into();
    Ok(HttpResponse::Ok().json(revoked))
}
