//! Small secrets at rest under a key that the database does not have: an answer kept for its `Idempotency-Key` is sealed
//! under the bearer token of the one who asked, so that a stolen database shows nothing.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};

use crate::crypto::random::Random;

/// What HKDF's salt says, so that no other use of the same secret gives the same key.
const LABEL: &[u8] = b"doorward-sealed-v1";

/// The blob was not sealed under this key for this purpose, or it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed text does not open")]
pub struct NotOpened;

/// Sealing failed; only a text of more than 64 GiB does that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text could not be sealed")]
pub struct NotSealed;

/// A key for AES-256-GCM, derived by HKDF-SHA-256 (RFC 5869) from a secret that its holder brings along.
pub struct SealingKey(LessSafeKey);

impl SealingKey {
    /// The key of `secret` (128 random bits or more) for one `purpose`; another purpose gives an unrelated key. The parts
    /// of the purpose are kept apart: `["a", "bc"]` is not `["ab", "c"]`.
    ///
    /// # Errors
    /// [`NotSealed`] where the library refuses, which it has no reason to.
    pub fn derive(secret: &[u8], purpose: &[&[u8]]) -> Result<Self, NotSealed> {
        let lengths: Vec<[u8; 8]> = purpose.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
        let parts: Vec<&[u8]> = lengths
            .iter()
            .zip(purpose)
            .flat_map(|(length, part)| [length.as_slice(), *part])
            .collect();
        let key = Salt::new(HKDF_SHA256, LABEL).extract(secret);
        let key = key.expand(&parts, &AES_256_GCM).map_err(|_| NotSealed)?;
        Ok(Self(LessSafeKey::new(UnboundKey::from(key))))
    }

    /// `text`, sealed: a random nonce, the encrypted text, the tag; 28 bytes longer.
    ///
    /// # Errors
    /// [`NotSealed`] where the text is too long.
    pub fn seal(&self, text: &[u8], random: &dyn Random) -> Result<Vec<u8>, NotSealed> {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut sealed = text.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| NotSealed)?;
        sealed.splice(0..0, nonce);
        Ok(sealed)
    }

    /// What [`Self::seal`] sealed.
    ///
    /// # Errors
    /// [`NotOpened`] where it was sealed under another key, cut, or changed.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, NotOpened> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(NotOpened)?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self
            .0
            .open_in_place(nonce, Aad::empty(), &mut body)
            .map_err(|_| NotOpened)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::OsRandom;

    fn key(secret: &[u8], purpose: &[&[u8]]) -> SealingKey {
        SealingKey::derive(secret, purpose).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_again() {
        for text in [&b""[..], b"{\"id\":1}", &[0; 100_000]] {
            let sealed = key(b"token", &[b"answer", b"key-1"]).seal(text, &OsRandom).unwrap();
            assert_eq!(sealed.len(), text.len() + 28);
            assert_eq!(key(b"token", &[b"answer", b"key-1"]).open(&sealed).unwrap(), text);
        }
    }

    #[test]
    fn no_other_key_opens_it() {
        let sealed = key(b"token", &[b"answer", b"key-1"]).seal(b"text", &OsRandom).unwrap();
        for (secret, purpose) in [
            (&b"other"[..], &[&b"answer"[..], b"key-1"][..]),
            (b"token", &[b"answer", b"key-2"]),
            (b"token", &[b"answerk", b"ey-1"]),
            (b"token", &[b"answer"]),
            (b"token", &[]),
        ] {
            assert_eq!(key(secret, purpose).open(&sealed), Err(NotOpened));
        }
    }

    #[test]
    fn a_changed_blob_does_not_open() {
        let key = key(b"token", &[]);
        let sealed = key.seal(b"text", &OsRandom).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(&changed), Err(NotOpened), "byte {at}");
            assert_eq!(key.open(&sealed[..at]), Err(NotOpened), "cut at {at}");
        }
    }

    #[test]
    fn the_same_text_is_never_sealed_to_the_same_blob() {
        let key = key(b"token", &[]);
        assert_ne!(
            key.seal(b"text", &OsRandom).unwrap(),
            key.seal(b"text", &OsRandom).unwrap()
        );
    }
}
