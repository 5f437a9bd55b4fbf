//! What is shown of visits.

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::revocations::Revocation;
use crate::app::visits::{Called, ClaimOfLock, LetIn, Shown};
use crate::domain::account::PersonName;
use crate::domain::ids::{GrantId, LockId, PersonId, PropertyId, UnitId, VisitId};
use crate::domain::time::Timestamp;
use crate::domain::visit::{self, Company, EmergencyReason, PhoneNumber, Purpose};
use crate::http::locks::claims::ClaimCode;
use crate::http::problem::Problem;
use crate::http::schema;

/// Who comes, as whoever asks may know them.
#[derive(Serialize, ToSchema)]
struct Vendor {
    #[schema(value_type = schema::PersonName)]
    name: PersonName,
    #[schema(value_type = schema::Company)]
    company: Company,
    /// `null` for whoever does not work for the landlord.
    #[schema(value_type = Option<schema::PhoneNumber>, required = true)]
    phone: Option<PhoneNumber>,
}

/// Consent that was passed over.
#[derive(Serialize, ToSchema)]
struct Emergency {
    #[schema(value_type = schema::PersonId)]
    by: PersonId,
    #[schema(value_type = schema::Time)]
    at: Timestamp,
    /// `null` once it is forgotten.
    #[schema(value_type = Option<schema::EmergencyReason>, required = true)]
    reason: Option<EmergencyReason>,
}

/// A visit of a vendor.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Visit {
    #[schema(value_type = schema::VisitId)]
    id: VisitId,
    #[schema(value_type = schema::PropertyId)]
    property_id: PropertyId,
    /// The unit that some of its doors are of.
    #[schema(value_type = Option<schema::UnitId>, required = true)]
    unit_id: Option<UnitId>,
    #[schema(value_type = Vec<schema::LockId>)]
    lock_ids: Vec<LockId>,
    /// `null` once it is forgotten, with the log of that time.
    #[schema(required = true)]
    vendor: Option<Vendor>,
    /// `null` once it is forgotten.
    #[schema(value_type = Option<schema::Purpose>, required = true)]
    purpose: Option<Purpose>,
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    #[schema(value_type = schema::Time)]
    ends_at: Timestamp,
    stay_minutes: u64,
    lock_change: bool,
    #[schema(value_type = schema::PersonId)]
    ordered_by: PersonId,
    #[schema(value_type = schema::Time)]
    ordered_at: Timestamp,
    #[schema(value_type = schema::VisitStage)]
    stage: &'static str,
    /// Whether those agree who live there now.
    #[schema(value_type = schema::VisitConsent)]
    consent: &'static str,
    #[schema(required = true)]
    emergency: Option<Emergency>,
    /// When the vendor proved to be the one.
    #[schema(value_type = Option<schema::Time>, required = true)]
    let_in_at: Option<Timestamp>,
    /// By which they come; `null` for whoever does not work for the landlord.
    #[schema(value_type = Option<schema::GrantId>, required = true)]
    grant_id: Option<GrantId>,
    /// When they first got in.
    #[schema(value_type = Option<schema::Time>, required = true)]
    begun_at: Option<Timestamp>,
    /// When their way in ends by itself, as far as is known.
    #[schema(value_type = schema::Time)]
    closes_at: Timestamp,
    #[schema(value_type = Option<schema::Time>, required = true)]
    ended_at: Option<Timestamp>,
    #[schema(value_type = Option<schema::VisitEnd>, required = true)]
    end_reason: Option<&'static str>,
}

impl From<Shown> for Visit {
    fn from(shown: Shown) -> Self {
        let Shown {
            visit,
            agreement,
            stage,
            for_staff,
        } = shown;
        let closes_at = visit.closes_at();
        let visit::Visit {
            vendor,
            emergency,
            let_in,
            ended,
            ..
        } = visit;
        Self {
            id: visit.id,
            property_id: visit.property,
            unit_id: visit.unit,
            lock_ids: visit.locks,
            vendor: vendor.map(|vendor| Vendor {
                name: vendor.name,
                company: vendor.company,
                phone: for_staff.then_some(vendor.phone),
            }),
            purpose: visit.purpose,
            starts_at: visit.starts_at,
            ends_at: visit.ends_at,
            stay_minutes: visit.stay.as_secs() / 60,
            lock_change: visit.lock_change,
            ordered_by: visit.ordered_by,
            ordered_at: visit.ordered_at,
            stage: stage.as_str(),
            consent: agreement.as_str(),
            emergency: emergency.map(|emergency| Emergency {
                by: emergency.by,
                at: emergency.at,
                reason: emergency.reason,
            }),
            let_in_at: let_in.as_ref().map(|(at, _)| *at),
            grant_id: let_in.map(|(_, grant)| grant).filter(|_| for_staff),
            begun_at: visit.begun_at,
            closes_at,
            ended_at: ended.map(|(at, _)| at),
            end_reason: ended.map(|(_, why)| why.as_str()),
        }
    }
}

/// A visit that was called off.
#[derive(Serialize, ToSchema)]
pub(super) struct Cancelled {
    visit: Visit,
    /// No bolt moves by its way in after this.
    #[schema(value_type = schema::Time)]
    effective_no_later_than: Timestamp,
}

impl From<(Shown, Revocation)> for Cancelled {
    fn from((shown, revocation): (Shown, Revocation)) -> Self {
        Self {
            visit: shown.into(),
            effective_no_later_than: revocation.effective_no_later_than,
        }
    }
}

/// A code to tell the vendor by telephone, shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct CodeForVendor {
    /// The number on the order, and no other.
    #[schema(value_type = schema::PhoneNumber)]
    phone: PhoneNumber,
    /// Six digits.
    #[schema(pattern = "^[0-9]{6}$")]
    code: String,
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
}

impl From<Called> for CodeForVendor {
    fn from(Called { phone, code, ends_at }: Called) -> Self {
        Self {
            phone,
            code,
            expires_at: ends_at,
        }
    }
}

/// A vendor's way in, shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct VendorLetIn {
    #[schema(value_type = schema::GrantId)]
    grant_id: GrantId,
    /// To open on the vendor's own phone; its secret stands behind `#`.
    url: String,
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
}

impl From<LetIn> for VendorLetIn {
    fn from(let_in: LetIn) -> Self {
        Self {
            grant_id: let_in.grant,
            url: let_in.url,
            expires_at: let_in.ends_at,
        }
    }
}

/// The claim for one new controller.
#[derive(Serialize, ToSchema)]
struct NewController {
    #[schema(value_type = schema::LockId)]
    lock_id: LockId,
    claim: ClaimCode,
}

/// What the new controllers are claimed with.
#[derive(Serialize, ToSchema)]
pub(super) struct NewControllers {
    /// One for each lock of the unit.
    claims: Vec<NewController>,
}

impl NewControllers {
    /// The claims with their pictures.
    ///
    /// # Errors
    /// Only where no picture can be made.
    pub(super) fn of(claims: Vec<ClaimOfLock>) -> Result<Self, Problem> {
        let claims = claims.into_iter().map(|of| {
            Ok(NewController {
                lock_id: of.lock,
                claim: ClaimCode::of(of.claim)?,
            })
        });
        Ok(Self {
            claims: claims.collect::<Result<_, Problem>>()?,
        })
    }
}
