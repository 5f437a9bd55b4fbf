//! The domain's texts as the OpenAPI document describes them. `domain` names no framework, so its types cannot say it
//! themselves: a field says `#[schema(value_type = schema::PlaceName)]`.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn line(longest: usize, example: &str) -> ObjectBuilder {
    text().min_length(Some(1)).max_length(Some(longest)).examples([example])
}

fn id(prefix: &str) -> ObjectBuilder {
    text().pattern(Some(format!("^{prefix}_[0-9a-f]{{32}}$")))
}

fn secret() -> ObjectBuilder {
    text().pattern(Some("^[A-Za-z0-9_-]{43}$"))
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
    Secret = secret(), "A secret: a token, or the fragment of a link.";
    Role = text().enum_values(Some(["owner", "manager", "tenant", "guest"])),
        "What a person is in an organization.";
}
