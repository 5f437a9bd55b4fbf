//! Secrets of many things, derived from one secret of this installation, so that the database holds none of them.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

/// How many bytes a derived secret has.
pub const DERIVED_BYTES: usize = 32;

/// The library did not derive, which it has no reason to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret could not be derived")]
pub struct NotDerived;

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        DERIVED_BYTES
    }
}

/// The secret of the thing of this name and number, derived by HKDF-SHA-256 (RFC 5869) from `secret` for the use that
/// `label` names; that of another name, number or use is unrelated.
///
/// # Errors
/// [`NotDerived`].
pub fn derived(
    secret: &[u8],
    label: &[u8],
    name: &str,
    number: u32,
) -> Result<Zeroizing<[u8; DERIVED_BYTES]>, NotDerived> {
    let mut derived = Zeroizing::new([0; DERIVED_BYTES]);
    Salt::new(HKDF_SHA256, label)
        .extract(secret)
        .expand(&[name.as_bytes(), &number.to_be_bytes()], Length)
        .and_then(|okm| okm.fill(derived.as_mut()))
        .map_err(|_| NotDerived)?;
    Ok(derived)
}
