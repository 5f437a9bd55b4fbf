//! A controller claims a lock (`docs/PROTOCOL.md`, "Enrolment").

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::json::Json;
use super::peer::ClientAddress;
use super::problem::Problem;
use super::{Service, schema};
use crate::app::enrolment::{Newcomer, Welcome};
use crate::crypto::claim_code::ClaimCode;
use crate::crypto::public_key::PublicKey;
use crate::domain::ids::{LockId, OrganizationId};
use crate::domain::lock::ProductName;

/// What a controller brings.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Enrol {
    /// The code that the manager was shown.
    #[schema(value_type = String)]
    claim_code: ClaimCode,
    /// The public half of the P-256 key pair that it made.
    #[schema(value_type = schema::PublicKey)]
    public_key: PublicKey,
    /// Its maker's name of the product.
    #[schema(value_type = schema::ProductName)]
    model: ProductName,
    /// The version of its firmware.
    #[schema(value_type = schema::ProductName)]
    firmware: ProductName,
    /// An `enrol+jwt` by its key.
    proof: String,
}

/// Everything that a lock has to keep.
#[derive(Serialize, ToSchema)]
struct Enrolled {
    #[schema(value_type = schema::LockId)]
    lock_id: LockId,
    /// The name of this backend, to pin.
    iss: String,
    #[schema(value_type = schema::OrganizationId)]
    org: OrganizationId,
    /// The key to pin, by which keysets are believed.
    #[schema(value_type = schema::PublicKey)]
    root_key: PublicKey,
    /// The keys to believe, signed by the root key.
    keyset: String,
    /// 32 bytes as base64url, kept for PINs.
    pin_key: String,
    mqtt: Broker,
    /// Counters up to this one are not new: the first value of the lock's own.
    ctr: u64,
    /// Seconds since 1970: the first floor of the lock's time.
    time: u64,
}

/// Where the broker is, and how the lock comes in.
#[derive(Serialize, ToSchema)]
struct Broker {
    host: String,
    port: u16,
    /// The authority to trust, PEM.
    ca_certificate: String,
    #[schema(value_type = schema::LockId)]
    username: LockId,
    #[schema(value_type = schema::Secret)]
    password: String,
    /// What every topic begins with.
    topic_root: String,
}

impl From<Welcome> for Enrolled {
    fn from(welcome: Welcome) -> Self {
        Self {
            iss: welcome.issuer,
            org: welcome.organization,
            root_key: welcome.root_key,
            keyset: welcome.keyset,
            pin_key: URL_SAFE_NO_PAD.encode(welcome.pin_key.as_slice()),
            mqtt: Broker {
                host: welcome.broker.host,
                port: welcome.broker.port,
                ca_certificate: welcome.broker.ca_certificate,
                username: welcome.lock.clone(),
                password: welcome.password.expose().to_owned(),
                topic_root: welcome.broker.topic_root,
            },
            ctr: welcome.counter,
            time: welcome.time.as_seconds(),
            lock_id: welcome.lock,
        }
    }
}

/// Claim a lock; called by its controller
#[utoipa::path(
    tag = "locks",
    security(()),
    responses(
        (status = 200, description = "Enrolled", body = Enrolled),
        (status = 409, description = "`claim-refused`"),
        (status = 429),
    )
)]
#[post("/v1/enrolments")]
pub(super) async fn enrol(
    service: Data<Service>,
    ClientAddress(from): ClientAddress,
    Json(enrol): Json<Enrol>,
) -> Result<HttpResponse, Problem> {
    service.limits.spend_enrolment(from)?;
    let newcomer = Newcomer {
        claim_code: enrol.claim_code,
        public_key: enrol.public_key,
        model: enrol.model,
        firmware: enrol.firmware,
        proof: enrol.proof,
    };
    let enrolled: Enrolled = service.app.enrol(newcomer).await?.into();
    Ok(HttpResponse::Ok().json(enrolled))
}
