//! Bytes as text: base64url without padding (RFC 4648 section 5), strict, and the digests written in it.

use base64ct::{Base64UrlUnpadded, Encoding};
use heapless::String;
use sha2::{Digest, Sha256};

/// 16 bytes as text: ids of tokens and chains, salts, nonces.
pub type Text16 = String<22>;

/// 32 bytes as text: digests, thumbprints, coordinates.
pub type Text32 = String<43>;

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of `text`'s bytes, as text: the hash of an event, or of a claim code.
#[must_use]
pub fn hash(text: &str) -> Text32 {
    text32(&sha256(text.as_bytes()))
}

/// 16 bytes as 22 characters.
#[must_use]
pub fn text16(bytes: &[u8; 16]) -> Text16 {
    encode(bytes)
}

/// 32 bytes as 43 characters.
#[must_use]
pub fn text32(bytes: &[u8; 32]) -> Text32 {
    encode(bytes)
}

/// The `N` bytes that `text` stands for; `None` for another length, another alphabet, padding, or bits left over at the
/// end that are not zero.
#[must_use]
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let read = Base64UrlUnpadded::decode(text, &mut bytes).ok()?.len();
    (read == N).then_some(bytes)
}

/// The bytes that `text` stands for, at the front of `into`; `None` as for [`decode`], or where they do not fit.
pub(crate) fn decode_into<'b>(text: &str, into: &'b mut [u8]) -> Option<&'b [u8]> {
    Base64UrlUnpadded::decode(text, into).ok()
}

/// Appends `bytes` to `text`; `None` where they do not fit.
pub(crate) fn push<const N: usize>(text: &mut String<N>, bytes: &[u8]) -> Option<()> {
    let mut four = [0; 4];
    bytes
        .chunks(3)
        .try_for_each(|three| text.push_str(Base64UrlUnpadded::encode(three, &mut four).ok()?).ok())
}

/// `bytes` as text; `N` has room for them.
fn encode<const N: usize>(bytes: &[u8]) -> String<N> {
    let mut text = String::new();
    debug_assert!(N * 3 / 4 >= bytes.len());
    let _fits_by_its_type = push(&mut text, bytes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_one_spelling() {
        assert_eq!(decode::<1>("AQ"), Some([1]));
        for (why, text) in [
            ("padding", "AQ=="),
            ("bits left over", "AR"),
            ("other alphabet", "+w"),
            ("one character", "A"),
            ("", ""),
        ] {
            assert_eq!(decode::<1>(text), None, "{why}");
        }
    }

    #[test]
    fn bytes_come_back() {
        assert_eq!(decode(&text16(&[0xfb; 16])), Some([0xfb; 16]));
        assert_eq!(decode(&text32(&[0xff; 32])), Some([0xff; 32]));
        assert_eq!(text32(&[0; 32]).as_str(), crate::wire::NO_PREVIOUS);
    }
}
