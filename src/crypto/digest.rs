//! SHA-256 of secrets that are random themselves: sessions, links, claim codes, broker passwords.

/// SHA-256 of `bytes`. Enough for a secret of 128 random bits or more; what people choose goes through
/// [`crate::crypto::password`].
#[must_use]
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    out
}

/// A digest as the database holds it: lower-case hexadecimal.
#[must_use]
pub fn hexadecimal(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_sha_256() {
        let abc = digest(b"abc");
        assert_eq!(abc[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(abc[28..], [0xf2, 0x00, 0x15, 0xad]);
    }
}
