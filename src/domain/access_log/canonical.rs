//! The bytes of an entry of which its leaf is made: the same for the same entry, whoever writes them down.
//!
//! `leaf = SHA-256(salt || bytes)`, with 16 random bytes of salt for each entry. While the entry stands, its salt and its
//! content show that it is the one of that leaf. Once it is forgotten the leaf alone is left: without the salt, guessing
//! what an entry may have said cannot be checked against it.
//!
//! The bytes are `doorward-log-entry-1`, a zero byte, and these fields in this order, each as a length of four bytes
//! (big-endian) and so many bytes of UTF-8, an absent one as the length `ffffffff`: organization, number (decimal),
//! recorded at, occurred at (RFC 3339, UTC, milliseconds), kind, outcome, reason, property, unit, lock, person, actor,
//! grant, attempt, detail (JSON without white space, members in the order of their names).

use super::{Entry, NewEntry};
use crate::domain::ids::OrganizationId;

/// What the bytes begin with.
const BEGINNING: &[u8] = b"doorward-log-entry-1\0";

/// The length that says that a field is absent.
const ABSENT: u32 = u32::MAX;

/// The bytes of the entry in the log of `organization`.
#[must_use]
pub fn bytes(organization: &OrganizationId, entry: &Entry) -> Vec<u8> {
    let NewEntry {
        kind,
        outcome,
        reason,
        occurred_at,
        property,
        unit,
        lock,
        person,
        actor,
        grant,
        attempt,
        detail,
    } = &entry.what;
    let seq = entry.seq.to_string();
    let [recorded_at, occurred_at] = [entry.recorded_at, *occurred_at].map(|at| at.to_string());
    let detail = detail.as_ref().map(serde_json::Value::to_string);
    of_fields([
        Some(organization.as_str()),
        Some(&seq),
        Some(&recorded_at),
        Some(&occurred_at),
        Some(kind.as_str()),
        Some(outcome.as_str()),
        reason.as_deref(),
        property.as_ref().map(|id| id.as_str()),
        unit.as_ref().map(|id| id.as_str()),
        lock.as_ref().map(|id| id.as_str()),
        person.as_ref().map(|id| id.as_str()),
        actor.as_ref().map(|id| id.as_str()),
        grant.as_ref().map(|id| id.as_str()),
        attempt.as_ref().map(|id| id.as_str()),
        detail.as_deref(),
    ])
}

/// The same of fields that are text already, as they stand in an export: of an entry of whatever version.
#[must_use]
pub fn of_fields(fields: [Option<&str>; 15]) -> Vec<u8> {
    let mut bytes = BEGINNING.to_vec();
    for field in fields {
        let length = field.map_or(ABSENT, |text| u32::try_from(text.len()).unwrap_or(ABSENT - 1));
        bytes.extend(length.to_be_bytes());
        bytes.extend(field.unwrap_or_default().bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;
    use crate::domain::ids::{LockId, PersonId};
    use crate::domain::time::Timestamp;

    fn entry() -> Entry {
        Entry {
            seq: 7,
            recorded_at: Timestamp::from_millis(1_772_441_999_999),
            what: NewEntry {
                lock: Some(LockId::from_bits(1)),
                person: Some(PersonId::from_bits(2)),
                detail: Some(serde_json::json!({ "event_seq": 3, "cause": "app" })),
                ..NewEntry::new(Kind::Unlocked, Timestamp::from_millis(1_772_441_999_000))
            },
        }
    }

    #[test]
    fn the_bytes_are_as_described() {
        let organization = OrganizationId::from_bits(5);
        let field = |text: &str| [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat();
        let absent = vec![0xff; 4];
        let expected = [
            b"doorward-log-entry-1\0".to_vec(),
            field("org_00000000000000000000000000000005"),
            field("7"),
            field("2026-03-02T08:59:59.999Z"),
            field("2026-03-02T08:59:59.000Z"),
            field("unlocked"),
            field("ok"),
            absent.clone(),
            absent.clone(),
            absent.clone(),
            field("lock_00000000000000000000000000000001"),
            field("person_00000000000000000000000000000002"),
            absent.clone(),
            absent.clone(),
            absent,
            field(r#"{"cause":"app","event_seq":3}"#),
        ]
        .concat();
        assert_eq!(bytes(&organization, &entry()), expected);
    }

    #[test]
    fn nothing_of_an_entry_can_move_to_another_field() {
        let organization = OrganizationId::from_bits(5);
        let with = |reason: Option<&str>, outcome| Entry {
            what: NewEntry {
                reason: reason.map(str::to_owned),
                outcome,
                ..entry().what
            },
            ..entry()
        };
        let all = [
            with(None, super::super::Outcome::Ok),
            with(Some(""), super::super::Outcome::Ok),
            with(Some("jammed"), super::super::Outcome::Ok),
            with(Some("jammed"), super::super::Outcome::Failed),
            Entry { seq: 8, ..entry() },
        ];
        let all: std::collections::BTreeSet<Vec<u8>> = all.iter().map(|entry| bytes(&organization, entry)).collect();
        assert_eq!(all.len(), 5);
    }
}
