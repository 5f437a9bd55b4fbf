//! ES256, the one algorithm: ECDSA on P-256 with SHA-256, a signature 64 bytes (`r`, then `s`; RFC 7518 section 3.4).

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};

/// A private key, wherever it is kept: in memory, or in a chip that signs and never shows it.
pub trait PrivateKey {
    /// The signature of `bytes`; `None` where the key cannot be used now.
    fn sign(&self, bytes: &[u8]) -> Option<[u8; 64]>;
}

impl PrivateKey for SigningKey {
    /// The same bytes have the same signature (RFC 6979).
    fn sign(&self, bytes: &[u8]) -> Option<[u8; 64]> {
        let signature: Signature = self.try_sign(bytes).ok()?;
        Some(signature.to_bytes().into())
    }
}

#[cfg(feature = "std")]
impl PrivateKey for aws_lc_rs::signature::EcdsaKeyPair {
    /// For a pair made for `ECDSA_P256_SHA256_FIXED_SIGNING`; with any other there is no signature.
    fn sign(&self, bytes: &[u8]) -> Option<[u8; 64]> {
        let signature = aws_lc_rs::signature::EcdsaKeyPair::sign(self, &aws_lc_rs::rand::SystemRandom::new(), bytes);
        signature.ok()?.as_ref().try_into().ok()
    }
}

/// Whether `signature` is the one of `bytes` by `key`'s private half.
#[cfg(not(feature = "std"))]
#[must_use]
pub fn holds(key: &VerifyingKey, bytes: &[u8], signature: &[u8; 64]) -> bool {
    use p256::ecdsa::signature::Verifier;
    Signature::from_slice(signature).is_ok_and(|signature| key.verify(bytes, &signature).is_ok())
}

/// Whether `signature` is the one of `bytes` by `key`'s private half.
#[cfg(feature = "std")]
#[must_use]
pub fn holds(key: &VerifyingKey, bytes: &[u8], signature: &[u8; 64]) -> bool {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    let point = key.to_sec1_point(false);
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.as_bytes())
        .verify(bytes, signature)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_bytes_and_key_only() {
        let [key, other] = [7, 8].map(|seed| SigningKey::from_slice(&[seed; 32]).unwrap());
        let signature = PrivateKey::sign(&key, b"bytes").unwrap();
        assert!(holds(key.verifying_key(), b"bytes", &signature));
        assert!(!holds(key.verifying_key(), b"other", &signature));
        assert!(!holds(other.verifying_key(), b"bytes", &signature));
        for fault in [[0; 64], [0xff; 64]] {
            assert!(!holds(key.verifying_key(), b"bytes", &fault));
        }
    }

    #[test]
    fn both_halves_of_s_are_good() {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let signature: Signature = Signer::sign(&key, b"bytes");
        let (r, s) = signature.split_scalars();
        let mirrored = Signature::from_scalars(r, -s).unwrap();
        for signature in [signature, mirrored] {
            assert!(holds(key.verifying_key(), b"bytes", &signature.to_bytes().into()));
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn a_pair_of_the_other_library_signs_too() {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let point = key.verifying_key().to_sec1_point(false);
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &key.to_bytes(),
            point.as_bytes(),
        );
        let signature = PrivateKey::sign(&pair.unwrap(), b"bytes").unwrap();
        assert!(holds(key.verifying_key(), b"bytes", &signature));
    }
}
