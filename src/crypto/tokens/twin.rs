//! One statement, two signatures: whoever holds an ECDSA signature (r, s) can write (r, n - s), which is as good (n is
//! the order of P-256). So a broker can hand on a lock's event in a second form, with another hash, without any key.
//! Taken for two events it would look like a fork, and would quarantine an honest lock; here both forms are one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::digest::digest;

/// The order of P-256, big-endian (SEC 2, 2.4.2).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Whether two messages, both verified, say the same: all but their signatures is equal. Two events of one place in a
/// chain are a fork only where this is not so.
#[must_use]
pub fn is_same_statement(one: &str, other: &str) -> bool {
    match (one.rsplit_once('.'), other.rsplit_once('.')) {
        (Some((one, _)), Some((other, _))) => one == other,
        _ => false,
    }
}

/// Whether `hash` (base64url, as in an event's `prev`) is that of `compact`, a verified message, in either form.
#[must_use]
pub fn is_hash_of(hash: &str, compact: &str) -> bool {
    let names = |text: &str| URL_SAFE_NO_PAD.encode(digest(text.as_bytes())) == hash;
    names(compact) || twin(compact).is_some_and(|twin| names(&twin))
}

/// The hash of a verified message's other form, base64url, by which it is known once the message is forgotten.
#[must_use]
pub fn hash_of_twin(compact: &str) -> Option<String> {
    twin(compact).map(|twin| URL_SAFE_NO_PAD.encode(digest(twin.as_bytes())))
}

/// The other form of a message.
pub(super) fn twin(compact: &str) -> Option<String> {
    let (signed, signature) = compact.rsplit_once('.')?;
    let mut signature: [u8; 64] = URL_SAFE_NO_PAD.decode(signature).ok()?.try_into().ok()?;
    let mut borrow = false;
    for (digit, order) in signature[32..].iter_mut().zip(ORDER).rev() {
        let (difference, first) = order.overflowing_sub(*digit);
        let (difference, second) = difference.overflowing_sub(u8::from(borrow));
        *digit = difference;
        borrow = first || second;
    }
    // A verified signature has s below n; with anything else there is no twin.
    if borrow {
        None
    } else {
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twin_of_the_twin_is_the_message() {
        for s in [[0; 32], [0x55; 32], ORDER] {
            let signature = [[1; 32], s].concat();
            let message = format!("a.b.{}", URL_SAFE_NO_PAD.encode(signature));
            assert_eq!(twin(&twin(&message).unwrap()), Some(message));
        }
        for message in [
            "",
            "a.b",
            "a.b.AAAA",
            &format!("a.b.{}", URL_SAFE_NO_PAD.encode([0xff; 64])),
        ] {
            assert_eq!(twin(message), None, "{message}");
        }
    }

    #[test]
    fn a_message_is_known_by_the_hash_of_either_form() {
        let message = format!("a.b.{}", URL_SAFE_NO_PAD.encode([7; 64]));
        let other = format!("a.c.{}", URL_SAFE_NO_PAD.encode([7; 64]));
        let hash = |text: &str| URL_SAFE_NO_PAD.encode(digest(text.as_bytes()));
        assert!(is_hash_of(&hash(&message), &message));
        assert!(is_hash_of(&hash(&twin(&message).unwrap()), &message));
        assert_eq!(hash_of_twin(&message), Some(hash(&twin(&message).unwrap())));
        assert!(!is_hash_of(&hash(&other), &message));
        assert!(is_same_statement(&message, &twin(&message).unwrap()));
        assert!(!is_same_statement(&message, &other) && !is_same_statement("", ""));
    }
}
