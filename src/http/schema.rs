//! The domain's texts as the OpenAPI document describes them. `domain` names no framework, so its types cannot say it
//! themselves: a field says `#[schema(value_type = schema::PlaceName)]`.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::access_log::Kind;
use crate::domain::notice;
use crate::domain::visit::Stage;
use crate::domain::webhook;

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn line(longest: usize, example: &str) -> ObjectBuilder {
    text().min_length(Some(1)).max_length(Some(longest)).examples([example])
}

/// Printable ASCII without `"` and `\`: what the proof of an enrolment can hold (`docs/PROTOCOL.md`, "Enrolment").
fn product_name() -> ObjectBuilder {
    line(64, "bench").pattern(Some(r"^[!#-\[\]-~]([ !#-\[\]-~]*[!#-\[\]-~])?$"))
}

fn id(prefix: &str) -> ObjectBuilder {
    text().pattern(Some(format!("^{prefix}_[0-9a-f]{{32}}$")))
}

fn secret() -> ObjectBuilder {
    text().pattern(Some("^[A-Za-z0-9_-]{43}$"))
}

fn public_key() -> ObjectBuilder {
    let coordinate = || text().pattern(Some("^[A-Za-z0-9_-]{43}$"));
    ["kty", "crv", "x", "y"].into_iter().fold(
        ObjectBuilder::new()
            .property("kty", text().enum_values(Some(["EC"])))
            .property("crv", text().enum_values(Some(["P-256"])))
            .property("x", coordinate())
            .property("y", coordinate()),
        ObjectBuilder::required,
    )
}

fn receiver() -> ObjectBuilder {
    ObjectBuilder::new()
        .property("person_id", PersonId::schema())
        .property("email", Email::schema())
        .property(
            "guest",
            ObjectBuilder::new()
                .property("name", PersonName::schema())
                .required("name")
                .additional_properties(Some(AdditionalProperties::FreeForm(false))),
        )
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .min_properties(Some(1))
        .max_properties(Some(1))
}

/// A word, or an object with one list of ids.
fn lockdown_part() -> ObjectBuilder {
    let ids = |id: RefOr<Schema>| ArrayBuilder::new().items(id).min_items(Some(1)).max_items(Some(200));
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Object]))
        .property("unit_ids", ids(UnitId::schema()))
        .property("lock_ids", ids(LockId::schema()))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

fn schedule() -> ObjectBuilder {
    let day = text().enum_values(Some(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]));
    let time = |pattern| text().pattern(Some(pattern));
    let window = ["days", "from", "to"].into_iter().fold(
        ObjectBuilder::new()
            .property(
                "days",
                ArrayBuilder::new()
                    .items(day)
                    .min_items(Some(1))
                    .max_items(Some(7))
                    .unique_items(true),
            )
            .property("from", time("^([01][0-9]|2[0-3]):[0-5][0-9]$"))
            .property("to", time("^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"))
            .additional_properties(Some(AdditionalProperties::FreeForm(false))),
        ObjectBuilder::required,
    );
    let date = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)));
    ObjectBuilder::new()
        .property(
            "weekly",
            ArrayBuilder::new().items(window).min_items(Some(1)).max_items(Some(50)),
        )
        .required("weekly")
        .property(
            "except",
            ArrayBuilder::new().items(date).max_items(Some(366)).unique_items(true),
        )
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

/// The same, or `null`: what a policy says nothing of.
fn or_null(of: ObjectBuilder, kind: Type) -> ObjectBuilder {
    of.schema_type(SchemaType::from_iter([kind, Type::Null]))
}

/// A property's lock-out policy; `docs/lockout-policies/` has examples.
fn lockout_policy() -> ObjectBuilder {
    let strict = |of: ObjectBuilder| of.additional_properties(Some(AdditionalProperties::FreeForm(false)));
    let number = |least: i32, most: i32| {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(least))
            .maximum(Some(most))
    };
    let word = |words: &[&str]| text().enum_values(Some(words.iter().copied().map(str::to_owned).collect::<Vec<_>>()));
    let day = text().pattern(Some("^[0-9]{2}-[0-9]{2}$")).examples(["08-15"]);
    let period = ObjectBuilder::new()
        .property("of", word(&["months", "dates", "lease"]))
        .required("of")
        .property("months", number(1, 12))
        .property(
            "begins_on",
            ArrayBuilder::new()
                .items(day)
                .min_items(Some(1))
                .max_items(Some(12))
                .unique_items(true),
        );
    let approval = ObjectBuilder::new()
        .property("by", Approver::schema())
        .required("by")
        .property("wait_minutes", number(1, 1440))
        .property("then", word(&["refuse", "approve"]));
    let step = ObjectBuilder::new()
        .property("try", word(&["spare-key", "office", "on-call", "locksmith"]))
        .required("try")
        .property("minutes", number(1, 1440))
        .required("minutes")
        .property("person_id", PersonId::schema())
        .property("call", line(40, "+1 212 555 0100"));
    let steps = ArrayBuilder::new().items(strict(step)).max_items(Some(8));
    let policy = ObjectBuilder::new()
        .property("free", number(0, 1000))
        .property("period", strict(period))
        .property("currency", Currency::schema())
        .property("fee", number(0, 100_000_000))
        .property("fee_after_hours", number(0, 100_000_000))
        .property("approval", strict(approval))
        .property("office_hours", or_null(schedule(), Type::Object))
        .property("replacement_key_fee", number(0, 100_000_000))
        .property("first", steps)
        .property(
            "mechanical_key",
            or_null(line(200, "The office keeps one"), Type::String),
        );
    ["free", "period", "currency", "fee", "fee_after_hours", "approval"]
        .into_iter()
        .fold(policy, ObjectBuilder::required)
}

macro_rules! texts {
    ($($name:ident = $schema:expr, $doc:literal;)+) => {$(
        #[doc = $doc]
        pub(super) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.description(Some($doc)).build().into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )+};
}

texts! {
    OrganizationId = id("org"), "An organization.";
    PersonId = id("person"), "A person.";
    InvitationId = id("invitation"), "An invitation.";
    PropertyId = id("property"), "A property.";
    UnitId = id("unit"), "A unit of a property.";
    LockId = id("lock"), "A lock.";
    TenancyId = id("tenancy"), "A tenancy.";
    GrantId = id("grant"), "A grant.";
    AttemptId = id("attempt"), "An attempt.";
    LinkId = id("link"), "A guest's link.";
    PhoneId = id("phone"), "A phone.";
    SessionId = id("session"), "A session.";
    PasskeyId = id("passkey"), "A passkey.";
    PasskeyName = line(64, "Ana's phone"), "What a passkey is called, on one line.";
    Base64Url = text().min_length(Some(1)).pattern(Some("^[A-Za-z0-9_-]+$")), "Bytes, as base64url without padding.";
    NoticeId = id("notice"), "A notice.";
    ApiKeyId = id("key"), "An API key.";
    ProposalId = id("proposal"), "Something that a second person must confirm.";
    KeyName = line(64, "Bookings"), "What an API key is called, on one line.";
    KeyScope = text().enum_values(Some(crate::domain::api_key::KeyScope::ALL.map(crate::domain::api_key::KeyScope::as_str))),
        "One thing that an API key may be good for.";
    KeyText = text().pattern(Some("^dwk_[A-Za-z0-9_-]{43}$")), "An API key.";
    LockoutId = id("lockout"), "A lock-out.";
    LedgerLineId = id("line"), "A line of the ledger.";
    Currency = text().pattern(Some("^[A-Z]{3}$")).examples(["USD"]), "The ISO 4217 code of a currency.";
    Remark = line(200, "Passport, photo matches"), "A remark, on one line.";
    IdentityCode = text().pattern(Some("^[0-9A-Za-z]{5}[- ]?[0-9A-Za-z]{5}$")).examples(["0A1B2-C3D4E"]),
        "The code from the letter or the call.";
    Approver = text().enum_values(Some(["nobody", "desk", "manager"])), "Who approves a lock-out.";
    LockoutPolicy = lockout_policy(), "What happens to who is locked out, and what it costs in minor units of a currency.";
    ProposalKind = text().enum_values(Some(crate::domain::proposal::ProposalKind::ALL.map(crate::domain::proposal::ProposalKind::as_str))),
        "What is proposed.";
    GrantReason = line(200, "The heating valve is read"), "Why access is given, on one line, for the people behind the door.";
    DelayHours = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(168)), "Whole hours.";
    WebhookId = id("webhook"), "A webhook.";
    WebhookUrl = text().max_length(Some(1024)).pattern(Some("^https?://")).examples(["https://hooks.example.org/doorward"]), "Where a webhook is told.";
    WebhookSecret = text().pattern(Some("^whsec_[A-Za-z0-9+/]{43}=$")), "What signs for a webhook (Standard Webhooks).";
    WebhookState = text().enum_values(Some(webhook::State::ALL.map(webhook::State::as_str))), "Where a webhook stands.";
    DeliveryId = id("delivery"), "A try to tell a webhook.";
    DeliveryResult = text().enum_values(Some(webhook::Outcome::ALL.map(webhook::Outcome::as_str))), "How it came out.";
    LookId = id("look"), "A look at a hidden part of the access log.";
    WrittenReason = line(300, "A theft on the third floor"), "Why, on one line; those whom it concerns read it.";
    LockdownId = id("lockdown"), "A lockdown.";
    LockdownReason = line(200, "Gas leak in the cellar"), "Why there is a lockdown, on one line.";
    LockdownPart = lockdown_part(), "Which doors: `shared`, or those of units, or locks. In answers also `whole` and, to who is no staff, `some`.";
    LockdownStatus = text().enum_values(Some(["holds", "pending", "not-supported"])), "What a lock knows of a lockdown.";
    ListName = text().pattern(Some("^[a-z0-9-]{1,32}$")).examples(["emergency-services"]), "The name of a list of exceptions.";
    VisitId = id("visit"), "A visit.";
    Company = line(100, "Pipes & Sons"), "A firm, on one line.";
    Purpose = line(200, "The sink leaks"), "What a visit is for, on one line.";
    EmergencyReason = line(200, "Water comes through the ceiling"), "Why consent was passed over, on one line.";
    PhoneNumber = text().pattern(Some(r"^\s*\+[0-9 .()/-]{7,40}\s*$")).examples(["+43 1 234 5678"]),
        "A telephone number with its country code (E.164).";
    VisitStage = text().enum_values(Some(Stage::ALL.map(Stage::as_str))), "How far a visit is.";
    VisitConsent = text().enum_values(Some(["not-needed", "given", "emergency", "waiting", "declined"])),
        "What those say to a visit who live there.";
    VisitEnd = text().enum_values(Some(["cancelled", "stay-over", "window-over"])), "Why a visit is over.";
    NoticeKind = text().enum_values(Some(notice::Kind::ALL.iter().map(|kind| kind.as_str()))), "What a notice tells of.";
    Time = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).examples(["2026-03-02T09:00:00.000Z"]),
        "RFC 3339 with an offset; answers are in UTC.";
    TimeZone = text().examples(["Europe/Vienna"]), "The name of an IANA time zone.";
    Email = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Email))).max_length(Some(254))
        .examples(["ana@example.org"]), "An e-mail address.";
    Password = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Password))).min_length(Some(10))
        .max_length(Some(256)), "At least 10 characters and at most 256 bytes.";
    PersonName = line(100, "Ana"), "A person's name, on one line.";
    OrganizationName = line(100, "Ana's houses"), "An organization's name, on one line.";
    PlaceName = line(64, "Top 3"), "The name of a property, a unit or a door, on one line.";
    Address = line(200, "Hauptstraße 1, 1010 Wien"), "A postal address, on one line.";
    TokenType = text().enum_values(Some(["Bearer", "DPoP"])), "How a token is shown.";
    Secret = secret(), "A secret: a token, or the fragment of a link.";
    ProductName = product_name(), "A product's name or version, in printable ASCII.";
    LockKind = text().enum_values(Some(["controller"])), "How a lock verifies tokens.";
    LockState = text().enum_values(Some(["unclaimed", "enrolled", "retired"])), "Where a lock is in its life.";
    Standing = text().enum_values(Some(crate::domain::tenancy::Standing::ALL.map(crate::domain::tenancy::Standing::as_str))),
        "Where a tenancy stands.";
    ImportSheet = text().enum_values(Some(crate::domain::import::Sheet::ALL.map(crate::domain::import::Sheet::as_str))), "A table to bring in.";
    Action = text().enum_values(Some(["unlock", "lock"])), "A movement of the bolt.";
    AttemptStatus = text().enum_values(Some(["pending", "confirmed", "refused", "expired", "failed"])),
        "Where an attempt stands.";
    PinKind = text().enum_values(Some(["synced", "computed"])), "How a PIN comes to a lock.";
    PinStatus = text().enum_values(Some(["pending", "applied", "failed", "suspended"])), "What became of a PIN at a lock: not confirmed yet; held by it; sent for nothing, with a reason; the lock is not in service.";
    Way = text().enum_values(Some(["app", "offline", "pin"])), "A way in: asking here, a pass on the phone, a code at the lock.";
    GrantRole = text().enum_values(Some(["guest", "vendor"])), "As what somebody comes to a door.";
    OnSilence = text().enum_values(Some(["release", "refuse"])), "What becomes of an ask that nobody answers.";
    AskReason = line(200, "The dog is alone inside"), "Why a spare key is needed, on one line.";
    ProvisioningStatus = text().enum_values(Some(["complete", "under-provisioned", "over-provisioned", "both"])),
        "How a grant is at all of its locks together.";
    GrantAtLockStatus = text()
        .enum_values(Some(["ready", "pending", "failed", "not-in-service", "removing", "removed"])),
        "How a grant is at one lock.";
    Outcome = text().enum_values(Some(["ok", "refused", "failed"])), "How it came out.";
    EntryNumber = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(i64::MAX)),
        "The number of an entry of the access log.";
    EntryKind = text().enum_values(Some(Kind::ALL.iter().map(|kind| kind.as_str()))), "What an entry is about.";
    Schedule = schedule(), "Windows that come every week, by the clock of the property, and dates without any.";
    Receiver = receiver(), "Who gets access: a member, whoever has an e-mail address, or somebody new without an account.";
    PhoneName = line(64, "Tom's phone"), "What a phone is called, on one line.";
    FactorCode = text().min_length(Some(6)).max_length(Some(32)).examples(["123456"]), "Six digits, or a recovery code; spaces and hyphens do not matter.";
    DeviceName = line(64, "Firefox on Linux"), "What a session is called, on one line.";
    PublicKey = public_key(), "A P-256 public key (RFC 7517).";
    Role = text().enum_values(Some(crate::domain::account::Role::ALL.map(crate::domain::account::Role::as_str))),
        "What a person is in an organization.";
}
