//! Identifiers: prefixed text that says what it names (`lock_…`, `grant_…`), one type each, so that one cannot be
//! passed for another.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text is not an identifier of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id that begins with `{prefix}_`, followed by 32 hexadecimal digits")]
pub struct BadId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier of these 128 bits (a UUID version 7, so that identifiers sort by age).
            #[must_use]
            pub fn from_bits(bits: u128) -> Self {
                Self(format!(concat!($prefix, "_{:032x}"), bits).into())
            }

            /// The bits that it was made of.
            #[must_use]
            pub fn bits(&self) -> u128 {
                let digits = self.0.get(concat!($prefix, "_").len()..).unwrap_or_default();
                // Never else: an identifier is made of bits, or parsed.
                u128::from_str_radix(digits, 16).unwrap_or_default()
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let digits = text.strip_prefix(concat!($prefix, "_")).ok_or(BadId { prefix: $prefix })?;
                let hex = digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if hex { Ok(Self(text.into())) } else { Err(BadId { prefix: $prefix }) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

ids! {
    /// One landlord's business; nothing of one organization is ever visible to another.
    OrganizationId = "org";
    /// A person, whatever their roles and in however many organizations.
    PersonId = "person";
    /// One signed-in phone or browser.
    SessionId = "session";
    /// An invitation to join an organization.
    InvitationId = "invitation";
    /// A building or a group of buildings in one time zone.
    PropertyId = "property";
    /// A flat.
    UnitId = "unit";
    /// A person's stay in a unit, from a time to a time.
    TenancyId = "tenancy";
    /// A door's lock; also its MQTT client id and user name.
    LockId = "lock";
    /// Somebody's access to some locks.
    GrantId = "grant";
    /// A link by which a guest without an account comes in.
    LinkId = "link";
    /// One asked-for movement of one lock, granted or not.
    AttemptId = "attempt";
    /// A phone that a person has registered.
    PhoneId = "phone";
    /// A key of a person's own device, by which they sign in.
    PasskeyId = "passkey";
    /// A time in which nobody is let in.
    LockdownId = "lockdown";
    /// A visit of a vendor.
    VisitId = "visit";
    /// Something that a person is told.
    NoticeId = "notice";
    /// An e-mail on its way to a person.
    LetterId = "letter";
    /// Somebody stands before their own door and cannot open it.
    LockoutId = "lockout";
    /// A line of the ledger.
    LedgerLineId = "line";
    /// An API key of a program's account.
    ApiKeyId = "key";
    /// Something that a second person must confirm before it is done.
    ProposalId = "proposal";
    /// A hidden part of the access log, opened to somebody for a while.
    LookId = "look";
    /// A program of an organization's own that is told what its log says.
    WebhookId = "webhook";
    /// A try to tell a webhook of an entry.
    DeliveryId = "delivery";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = LockId::from_bits(0x0192_f0a0);
        assert_eq!(id.as_str().len(), "lock_".len() + 32);
        assert_eq!(id.bits(), 0x0192_f0a0);
        assert_eq!(LockId::from_bits(u128::MAX).bits(), u128::MAX);
        assert_eq!(id.as_str().parse::<LockId>(), Ok(id));
    }

    #[test]
    fn other_texts_are_not_ids() {
        let lock = LockId::from_bits(7);
        let upper = format!("lock_{:032X}", u128::MAX);
        for text in [
            "",
            "lock_",
            "lock",
            "lock_zz",
            "grant_",
            &lock.as_str()[..36],
            &upper,
            &format!("{lock}0"),
        ] {
            assert!(text.parse::<LockId>().is_err(), "{text}");
        }
        assert!(lock.as_str().parse::<GrantId>().is_err());
    }
}
