//! Everything that an organization has, as a file that is written while it is read.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use futures_util::stream;

use self::reader::Reader;
use super::auth::Owner;
use super::edge::chain;
use super::export::Format;
use super::path::Id;
use super::problem::Problem;
use super::{Service, schema};
use crate::app::Error;
use crate::domain::ids::OrganizationId;

mod line;
mod reader;

/// Everything that the organization has, as a file: one JSON object a line, `what` says what it is; that it was exported is
/// written into its log
#[utoipa::path(
    tag = "rules",
    params(("organization_id" = schema::OrganizationId, Path)),
    responses(
        (
            status = 200,
            description = "The file; its last line says `end`",
            content((String = "application/jsonl")),
            headers(("Content-Disposition" = String, description = "A file to keep")),
        ),
        (status = 403, description = "`forbidden`; `proof-needed`"),
    )
)]
#[get("/v1/organizations/{organization_id}/export")]
pub(super) async fn export_books(
    service: Data<Service>,
    Owner(who): Owner,
    Id(organization): Id<OrganizationId>,
) -> Result<HttpResponse, Problem> {
    let begun = service.app.begin_books_export(&who, organization.clone()).await?;
    let reader = Reader::new(service, who, organization, begun);
    let parts = stream::try_unfold(reader, |reader| async {
        // The status has gone out: what is left is to break the connection, so that nobody takes half for whole.
        let broke_off = |error: &Error| tracing::error!("an export of an organization broke off: {}", chain(error));
        reader.next().await.inspect_err(broke_off)
    });
    Ok(HttpResponse::Ok()
        .content_type(Format::Jsonl.media_type())
        .insert_header((header::CONTENT_DISPOSITION, Format::Jsonl.disposition("organization")))
        .streaming(parts))
}
