//! Guests without an account: links, as a message, a picture and a calendar entry, and the phones that redeem them.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, post};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Anyone, SessionKey};
use super::grants::Revoked;
use super::json::{Json, JsonOrNothing};
use super::path::Id;
use super::peer::ClientAddress;
use super::problem::Problem;
use super::sessions::TokenPair;
use super::{Service, schema};
use crate::app::Error;
use crate::app::guests::{HandedOut, StandingLink};
use crate::crypto::public_key::PublicKey;
use crate::crypto::secret::Secret;
use crate::domain::account::{Email, PersonName};
use crate::domain::guest::NewLink;
use crate::domain::ids::{GrantId, LinkId, PersonId, PhoneId};
use crate::domain::time::Timestamp;

mod calendar;

/// What the link is to allow; all of it may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MakeLink {
    /// How many phones may redeem it; left out for one.
    #[schema(minimum = 1, maximum = 10)]
    uses: Option<u32>,
    /// From when on it opens, no earlier than its grant; left out for the grant's start. It may be redeemed before.
    #[schema(value_type = Option<schema::Time>)]
    starts_at: Option<Timestamp>,
    /// The end, exclusive, no later than its grant's; left out for that, or for 30 days where the grant has no end.
    #[schema(value_type = Option<schema::Time>)]
    ends_at: Option<Timestamp>,
    /// Where the link goes by letter too, where this installation sends letters. The address is forgotten once it has gone.
    #[schema(value_type = Option<schema::Email>)]
    email: Option<Email>,
}

/// A link, shown this once.
#[derive(Serialize, ToSchema)]
struct GuestLink {
    #[schema(value_type = schema::LinkId)]
    id: LinkId,
    /// To hand to the guest. Its secret is in the fragment, which browsers do not send: what looks at it for a preview
    /// uses nothing.
    url: String,
    /// How many phones may redeem it.
    uses: u32,
    /// From when on it opens.
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    /// From when on it lets nobody in.
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
    /// The link as a QR picture, SVG, as secret as the link.
    qr_svg: String,
    /// A message to the guest: where, when, and the link.
    text: String,
    /// The same as a calendar entry (RFC 5545), by the clock of the property.
    calendar: String,
    /// Whether it goes to the guest by letter; else hand it on yourself.
    by_letter: bool,
}

impl GuestLink {
    /// The link as it is told at `now`, this once.
    fn of(HandedOut { made, stay, by_letter }: &HandedOut, url: String, now: Timestamp) -> Result<Self, Problem> {
        let picture = QrCode::new(url.as_bytes()).map_err(|error| Error::Internal("drawing", error.into()))?;
        Ok(Self {
            uses: made.link.terms.phones,
            starts_at: made.link.terms.starts_at,
            expires_at: made.link.terms.ends_at,
            qr_svg: picture.render::<svg::Color<'_>>().module_dimensions(1, 1).build(),
            text: stay.message(&url),
            calendar: calendar::entry(stay, made.link.id.as_str(), &url, now),
            id: made.link.id.clone(),
            by_letter: *by_letter,
            url,
        })
    }
}

/// A link that stands, without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct LinkOfGrant {
    #[schema(value_type = schema::LinkId)]
    id: LinkId,
    #[schema(value_type = schema::PersonId)]
    made_by: PersonId,
    /// How many phones may redeem it.
    uses: u32,
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
    /// The phones that have redeemed it, the first one first.
    redeemed: Vec<RedeemedBy>,
}

/// A phone that has redeemed a link.
#[derive(Serialize, ToSchema)]
struct RedeemedBy {
    #[schema(value_type = schema::PhoneId)]
    phone_id: PhoneId,
    #[schema(value_type = schema::Time)]
    redeemed_at: Timestamp,
}

impl From<StandingLink> for LinkOfGrant {
    fn from(StandingLink { link, redeemed }: StandingLink) -> Self {
        let redeemed = redeemed
            .into_iter()
            .map(|(phone_id, redeemed_at)| RedeemedBy { phone_id, redeemed_at });
        Self {
            id: link.id,
            made_by: link.made_by,
            uses: link.terms.phones,
            starts_at: link.terms.starts_at,
            expires_at: link.terms.ends_at,
            redeemed: redeemed.collect(),
        }
    }
}

/// Make a link by which the grant's holder comes in without an account; the one before is void
///
/// The link is shown this once. It belongs to the first phone that redeems it, and ends with its grant.
#[utoipa::path(
    tag = "guests",
    params(("grant_id" = schema::GrantId, Path)),
    request_body = Option<MakeLink>,
    responses(
        (status = 201, description = "Made", body = GuestLink),
        (status = 403), (status = 404),
        (status = 409, description = "`grant-over`, `invitation-waits`"),
    )
)]
#[post("/v1/grants/{grant_id}/link")]
pub(super) async fn make_link(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(grant): Id<GrantId>,
    JsonOrNothing(make): JsonOrNothing<MakeLink>,
) -> Result<HttpResponse, Problem> {
    let new = NewLink {
        phones: make.uses,
        starts_at: make.starts_at,
        ends_at: make.ends_at,
    };
    let (handed_out, url) = service.app.make_link(&who, grant, new, make.email).await?;
    let link = GuestLink::of(&handed_out, url, service.app.now())?;
    Ok(HttpResponse::Created().json(link))
}

/// Take a grant's link back: it lets nobody in, and what began by it ends; the grant stands
#[utoipa::path(
    tag = "guests",
    params(("grant_id" = schema::GrantId, Path)),
    responses((status = 200, description = "Taken back", body = Revoked), (status = 403))
)]
#[delete("/v1/grants/{grant_id}/link")]
pub(super) async fn take_link_back(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(grant): Id<GrantId>,
) -> Result<HttpResponse, Problem> {
    let revoked: Revoked = service.app.take_link_back(&who, grant).await?.into();
    Ok(HttpResponse::Ok().json(revoked))
}

/// A link to redeem.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Redeem {
    /// The link's fragment.
    #[schema(value_type = schema::Secret)]
    secret: Secret,
    /// The public half of a P-256 key pair that the phone has made for this link and keeps.
    #[schema(value_type = schema::PublicKey)]
    public_key: PublicKey,
    /// A JWS by that key: header `{"alg":"ES256","typ":"redeem+jwt","kid":THUMBPRINT}`, claims `{"link_hash","jkt","iat"}`:
    /// SHA-256 of the secret's text as base64url, the thumbprint, the time in seconds.
    #[schema(max_length = 4096)]
    proof: String,
}

/// A guest's session.
#[derive(Serialize, ToSchema)]
struct GuestSession {
    #[serde(flatten)]
    tokens: TokenPair,
    /// This phone, to ask for passes.
    #[schema(value_type = schema::PhoneId)]
    phone_id: PhoneId,
    /// Whose access it is.
    #[schema(value_type = schema::PersonName)]
    name: PersonName,
    /// From when on it opens.
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    /// The end, exclusive, of the access and of this session.
    #[schema(value_type = schema::Time)]
    ends_at: Timestamp,
}

/// Exchange a link's secret for a session at the doors of its grant
///
/// The link is bound to the first phone's key; that phone may come again. The session lists and opens those doors, reads
/// its attempts, gets passes for this phone, and signs out: nothing else. One answer for a link that is unknown, ended or
/// taken back.
#[utoipa::path(
    tag = "guests",
    security(()),
    responses(
        (status = 200, description = "Let in", body = GuestSession),
        (status = 404),
        (status = 409, description = "`link-used`, `key-taken`, `phone-removed`, `too-many-phones`"),
        (status = 429),
    )
)]
#[post("/v1/guest/redeem")]
pub(super) async fn redeem(
    service: Data<Service>,
    ClientAddress(from): ClientAddress,
    SessionKey(key): SessionKey,
    Json(Redeem {
        secret,
        public_key,
        proof,
    }): Json<Redeem>,
) -> Result<HttpResponse, Problem> {
    service.limits.spend_guest_link(from)?;
    let redeemed = service.app.redeem_link(secret, public_key, &proof, key).await?;
    Ok(HttpResponse::Ok().json(GuestSession {
        tokens: TokenPair::of(&redeemed.tokens, service.app.now()),
        phone_id: redeemed.phone,
        name: redeemed.guest,
        starts_at: redeemed.starts_at,
        ends_at: redeemed.ends_at,
    }))
}
