//! The leaf of a log entry: what stays of it when it is forgotten ([`crate::domain::access_log::canonical`]).

use super::digest::{digest, hexadecimal};
use crate::domain::access_log::{Entry, canonical};
use crate::domain::ids::OrganizationId;

/// The leaf of the entry as lower-case hexadecimal.
#[must_use]
pub fn leaf(salt: u128, organization: &OrganizationId, entry: &Entry) -> String {
    hexadecimal(&salted(salt, canonical::bytes(organization, entry)))
}

/// `SHA-256(salt || bytes)`; the salt as 16 bytes, big-endian.
#[must_use]
pub fn salted(salt: u128, bytes: Vec<u8>) -> [u8; 32] {
    digest(&[salt.to_be_bytes().to_vec(), bytes].concat())
}

/// What stands in the tree for an entry: its leaf, and the word for how much of it staff see. Whoever hides an entry afterwards
/// that was for them, or shows one that was not, is found.
#[must_use]
pub fn in_tree(leaf: &[u8; 32], staff_sees: &str) -> Vec<u8> {
    [leaf, staff_sees.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access_log::{Kind, NewEntry};
    use crate::domain::time::Timestamp;

    /// A vector for whoever verifies a log without this program.
    #[test]
    fn a_leaf_is_known() {
        let organization = OrganizationId::from_bits(5);
        let entry = Entry {
            seq: 1,
            recorded_at: Timestamp::from_millis(1_772_441_999_999),
            what: NewEntry::new(Kind::LogExported, Timestamp::from_millis(1_772_441_999_999)),
        };
        assert_eq!(
            leaf(7, &organization, &entry),
            "6cfb5234b3bc0b48e33abbd187c06a521ddb31849cb29d0086293fd98543633a"
        );
        assert_ne!(leaf(8, &organization, &entry), leaf(7, &organization, &entry));
    }
}
