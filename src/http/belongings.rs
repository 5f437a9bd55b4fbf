//! What is the caller's own: to take along, and to erase.

use std::collections::VecDeque;

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, get, post};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access_log::Entry;
use super::auth::{Anyone, ClientAddress};
use super::edge::chain;
use super::grants::{Grant, Revoked};
use super::json::Json;
use super::looks::Look;
use super::me::Me;
use super::notices::Notice;
use super::phones::Phone;
use super::problem::Problem;
use super::{Service, schema};
use crate::app::belongings::Belongings;
use crate::app::{Actor, Error};
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

/// A line of the file: `what` says what it is.
#[derive(Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
enum Line {
    Account(Me),
    Tenancy(Tenancy),
    GrantHeld(Grant),
    GrantGiven(Grant),
    Phone(Phone),
    Notice(Notice),
    Look(Look),
    LogEntry(Entry),
}

/// The lines as they stand in the file.
fn written(lines: impl IntoIterator<Item = Line>) -> Result<Vec<u8>, Error> {
    let mut file = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut file, &line).map_err(|error| Error::Internal("writing the file", error.into()))?;
        file.push(b'\n');
    }
    Ok(file)
}

/// A file on its way.
struct Reader {
    service: Data<Service>,
    who: Actor,
    waiting: Option<Vec<u8>>,
    organizations: VecDeque<OrganizationId>,
    after: i64,
    /// Nothing newer: the file ends, even where a log goes on growing.
    until: Timestamp,
}

impl Reader {
    fn new(service: Data<Service>, who: Actor, belongings: Belongings) -> Result<Self, Error> {
        let Belongings {
            me,
            tenancies,
            held,
            given,
            phones,
            notices,
            looks,
            organizations,
        } = belongings;
        let lines = std::iter::once(Line::Account(me.into()))
            .chain(tenancies.into_iter().map(|tenancy| Line::Tenancy(tenancy.into())))
            .chain(held.into_iter().map(|grant| Line::GrantHeld(grant.into())))
            .chain(given.into_iter().map(|grant| Line::GrantGiven(grant.into())))
            .chain(phones.into_iter().map(|phone| Line::Phone(phone.into())))
            .chain(notices.into_iter().map(|notice| Line::Notice(notice.into())))
            .chain(looks.into_iter().map(|look| Line::Look(look.into())));
        Ok(Self {
            waiting: Some(written(lines)?),
            organizations: organizations.into(),
            after: 0,
            until: service.app.now(),
            service,
            who,
        })
    }

    /// The next part; `None` at the end.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        if let Some(part) = self.waiting.take() {
            return Ok(Some((part.into(), self)));
        }
        while let Some(organization) = self.organizations.front().cloned() {
            let app = &self.service.app;
            let mut entries = app.own_entries(&self.who, organization, self.after, PART).await?;
            entries.retain(|named| named.entry.recorded_at <= self.until);
            match entries.last() {
                Some(last) => self.after = last.entry.seq,
                None => {
                    self.organizations.pop_front();
                    self.after = 0;
                    continue;
                }
            }
            let part = written(entries.into_iter().map(|entry| Line::LogEntry(entry.into())))?;
            return Ok(Some((part.into(), self)));
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
    Json(Erase { password }): Json<Erase>,
) -> Result<HttpResponse, Problem> {
    service.limits.spend_sign_in(from)?;
    let revoked: Revoked = service.app.erase(&who, password, from).await?.into();
    Ok(HttpResponse::Ok().json(revoked))
}
