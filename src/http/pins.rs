//! PINs: giving them, taking them back, and what became of them at the locks. Digits are in one answer, once.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Anyone, Manager, Viewer};
use super::grants::Revoked;
use super::json::{Json, JsonOrNothing};
use super::path::Id;
use super::problem::Problem;
use super::{Service, schema};
use crate::app::pins::{CodeView, GivenAt, GivenPin, LockPinsView, SlotView};
use crate::domain::guest::sheet::Sheet;
use crate::domain::ids::{GrantId, LockId};
use crate::domain::pin::{PinKind, SlotState, Status};
use crate::domain::time::Timestamp;

/// Which kind of PIN.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GivePin {
    /// `synced`: the locks are told of it, and it can be taken back. `computed`: the locks tell it by themselves, off line
    /// too, and nobody can take it back before its end. Left out for `synced`.
    #[serde(default)]
    #[schema(value_type = Option<schema::PinKind>)]
    kind: PinKind,
}

/// A PIN that was given, shown this once.
#[derive(Serialize, ToSchema)]
struct Given {
    /// The digits; `null` where each lock has its own.
    #[schema(required = true)]
    code: Option<String>,
    #[schema(value_type = schema::PinKind)]
    kind: PinKind,
    /// Whether it can be taken back before its end.
    revocable: bool,
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    /// The end, exclusive; `null` for one that goes on until it is taken back.
    #[schema(value_type = Option<schema::Time>, required = true)]
    ends_at: Option<Timestamp>,
    /// A computed code must be used for the first time before this.
    #[schema(value_type = Option<schema::Time>, required = true)]
    first_use_before: Option<Timestamp>,
    locks: Vec<GivenLock>,
    /// All of it in words, to be printed for who has no phone; as secret as the code.
    sheet: String,
}

/// A PIN that was given, at one lock.
#[derive(Serialize, ToSchema)]
struct GivenLock {
    #[schema(value_type = schema::LockId)]
    lock_id: LockId,
    /// The lock's own digits; `null` where all locks take the same.
    #[schema(required = true)]
    code: Option<String>,
    /// Its slot; `null` of a computed code.
    #[schema(required = true)]
    slot: Option<u16>,
    /// As of a slot of a lock; a computed code is `applied` from the beginning.
    #[schema(value_type = schema::PinStatus)]
    status: &'static str,
    /// Where the grant counts its uses: whether the lock does so by itself, and so opens no oftener even off line. `false` of
    /// a lock behind an adapter: there the PIN is taken back once the last opening was heard of, and might open again before.
    #[schema(required = true)]
    counts_uses: Option<bool>,
}

impl From<GivenAt> for GivenLock {
    fn from(at: GivenAt) -> Self {
        Self {
            lock_id: at.lock,
            code: at.code.map(|code| code.expose().to_owned()),
            slot: at.slot,
            status: at.status.as_str(),
            counts_uses: at.counts_uses,
        }
    }
}

impl From<(GivenPin, Sheet)> for Given {
    fn from((given, sheet): (GivenPin, Sheet)) -> Self {
        Self {
            sheet: sheet.expose().to_owned(),
            code: given.code.map(|code| code.expose().to_owned()),
            kind: given.kind,
            revocable: given.kind == PinKind::Synced,
            starts_at: given.starts_at,
            ends_at: given.ends_at,
            first_use_before: given.first_use_before,
            locks: given.locks.into_iter().map(GivenLock::from).collect(),
        }
    }
}

/// A grant's PIN at one lock.
#[derive(Serialize, ToSchema)]
pub(super) struct PinAtLock {
    slot: u16,
    #[schema(value_type = schema::PinStatus)]
    status: &'static str,
    /// `failed`: why. `lock-replaced`: another controller is the lock now, and a new PIN must be given. `not-confirmed`: the
    /// lock was told again and again and said nothing. Otherwise the word by which the lock refused.
    #[schema(required = true)]
    reason: Option<String>,
    /// Whether it is to be forgotten by the lock.
    clearing: bool,
    /// Since when it is wanted so.
    #[schema(value_type = schema::Time)]
    since: Timestamp,
    /// Until when the lock takes it, whatever becomes of the way to it; told anew in time while the grant goes on.
    #[schema(value_type = schema::Time)]
    ends_at: Timestamp,
}

impl From<&SlotView> for PinAtLock {
    fn from(view: &SlotView) -> Self {
        Self {
            slot: view.slot.slot,
            status: view.status.as_str(),
            reason: view.status.reason().map(str::to_owned),
            clearing: view.slot.state == SlotState::Clearing,
            since: view.slot.since,
            ends_at: view.slot.ends_at,
        }
    }
}

/// A computed code that was given, without its digits.
#[derive(Serialize, ToSchema)]
pub(super) struct CodeAtLock {
    #[schema(value_type = schema::Time)]
    starts_at: Timestamp,
    #[schema(value_type = schema::Time)]
    first_use_before: Timestamp,
    #[schema(value_type = schema::Time)]
    ends_at: Timestamp,
    /// Whether the lock may still open by it.
    counts: bool,
}

impl From<&CodeView> for CodeAtLock {
    fn from(view: &CodeView) -> Self {
        Self {
            starts_at: view.code.days.starts_at,
            first_use_before: view.code.days.first_use_before,
            ends_at: view.code.days.ends_at,
            counts: view.counts,
        }
    }
}

/// What a lock should know of PINs, and what it knows.
#[derive(Serialize, ToSchema)]
struct LockPins {
    /// The version that the lock should hold.
    version: u64,
    /// The version that it holds, as far as is known.
    held: u64,
    #[schema(value_type = schema::PinStatus)]
    status: &'static str,
    #[schema(required = true)]
    reason: Option<String>,
    limits: PinLimits,
    codes: Codes,
    /// The slots in use.
    slots: Vec<SlotAtLock>,
}

/// What a lock's model takes.
#[derive(Serialize, ToSchema)]
struct PinLimits {
    /// Slots 1 to this one.
    slots: u16,
    digits: DigitRange,
}

/// How many digits a PIN may have.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DigitRange {
    #[schema(minimum = 4, maximum = 10)]
    least: u8,
    #[schema(minimum = 4, maximum = 10)]
    most: u8,
}

/// Computed codes of a lock.
#[derive(Serialize, ToSchema)]
struct Codes {
    /// Codes of earlier generations are void once the lock has taken this one.
    generation: u32,
    #[schema(value_type = schema::Time)]
    since: Timestamp,
    /// What became of the newest generation.
    #[schema(value_type = schema::PinStatus)]
    status: &'static str,
    /// When the last code ends by which the lock may still open; `null` where there is none.
    #[schema(value_type = Option<schema::Time>, required = true)]
    effective_no_later_than: Option<Timestamp>,
}

/// A slot in use.
#[derive(Serialize, ToSchema)]
struct SlotAtLock {
    #[serde(flatten)]
    pin: PinAtLock,
    /// The grant whose PIN it is; `null` where the lock may hold something that is not in the books, and is to forget it.
    #[schema(value_type = Option<schema::GrantId>, required = true)]
    grant_id: Option<GrantId>,
}

impl From<LockPinsView> for LockPins {
    fn from(view: LockPinsView) -> Self {
        let (generation, since, codes): (u32, Timestamp, Status) = view.codes;
        Self {
            version: view.versions.0,
            held: view.versions.1,
            status: view.status.as_str(),
            reason: view.status.reason().map(str::to_owned),
            limits: PinLimits {
                slots: view.limits.slots,
                digits: DigitRange {
                    least: view.limits.digits_least,
                    most: view.limits.digits_most,
                },
            },
            codes: Codes {
                generation,
                since,
                status: codes.as_str(),
                effective_no_later_than: view.codes_until,
            },
            slots: view
                .slots
                .iter()
                .map(|slot| SlotAtLock {
                    pin: slot.into(),
                    grant_id: slot.slot.grant.clone(),
                })
                .collect(),
        }
    }
}

/// What the lock's model takes; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LimitPins {
    /// Slots 1 to this one.
    #[schema(minimum = 0, maximum = 999)]
    slots: Option<u16>,
    digits: Option<DigitRange>,
}

/// Give a PIN; its digits are shown this once
#[utoipa::path(
    tag = "PINs",
    params(("grant_id" = schema::GrantId, Path)),
    request_body(content = GivePin),
    responses(
        (status = 201, description = "Given", body = Given),
        (status = 403),
        (status = 409, description = "`way-not-given`, `grant-over`, `pin-exists`, `lock-not-in-service`, `no-slot-left`, \
            `schedule-too-long`, `uses-need-one-lock`, `uses-exhausted`; of a computed code also `code-needs-plain-grant`, \
            `code-needs-whole-day`, `no-code-left`, `lock-behind`, `lock-computes-nothing`"),
    )
)]
#[post("/v1/grants/{grant_id}/pin")]
pub(super) async fn give_pin(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<GrantId>,
    JsonOrNothing(GivePin { kind }): JsonOrNothing<GivePin>,
) -> Result<HttpResponse, Problem> {
    let given = service.app.give_pin(&who, id, kind).await?;
    Ok(HttpResponse::Created().json(Given::from(given)))
}

/// Take the grant's PIN back; the grant stands
#[utoipa::path(
    tag = "PINs",
    params(("grant_id" = schema::GrantId, Path)),
    responses((status = 200, description = "Taken back", body = Revoked), (status = 403))
)]
#[delete("/v1/grants/{grant_id}/pin")]
pub(super) async fn take_pin_back(
    service: Data<Service>,
    Anyone(who): Anyone,
    Id(id): Id<GrantId>,
) -> Result<HttpResponse, Problem> {
    let taken: Revoked = service.app.take_pin_back(&who, id).await?.into();
    Ok(HttpResponse::Ok().json(taken))
}

/// What a lock should know of PINs, and what it knows; never the digits
#[utoipa::path(
    tag = "PINs",
    params(("lock_id" = schema::LockId, Path)),
    responses((status = 200, description = "Its PINs", body = LockPins), (status = 403))
)]
#[get("/v1/locks/{lock_id}/pins")]
pub(super) async fn show_pins(
    service: Data<Service>,
    Viewer(who): Viewer,
    Id(id): Id<LockId>,
) -> Result<HttpResponse, Problem> {
    let pins = service.app.lock_pins(&who, id).await?;
    Ok(HttpResponse::Ok().json(LockPins::from(pins)))
}

/// Say what the lock's model takes, for PINs that are given from now on
#[utoipa::path(
    tag = "PINs",
    params(("lock_id" = schema::LockId, Path)),
    responses((status = 200, description = "Its PINs", body = LockPins), (status = 403))
)]
#[patch("/v1/locks/{lock_id}/pins")]
pub(super) async fn limit_pins(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<LockId>,
    Json(LimitPins { slots, digits }): Json<LimitPins>,
) -> Result<HttpResponse, Problem> {
    let digits = digits.map(|digits| (digits.least, digits.most));
    let pins = service.app.limit_pins(&who, id, slots, digits).await?;
    Ok(HttpResponse::Ok().json(LockPins::from(pins)))
}

/// Make the lock's computed codes void, once it has taken it
#[utoipa::path(
    tag = "PINs",
    params(("lock_id" = schema::LockId, Path)),
    responses((status = 200, description = "A new generation", body = LockPins), (status = 403), (status = 409))
)]
#[post("/v1/locks/{lock_id}/rotate-codes")]
pub(super) async fn rotate_codes(
    service: Data<Service>,
    Manager(who): Manager,
    Id(id): Id<LockId>,
) -> Result<HttpResponse, Problem> {
    let pins = service.app.rotate_codes(&who, id).await?;
    Ok(HttpResponse::Ok().json(LockPins::from(pins)))
}
