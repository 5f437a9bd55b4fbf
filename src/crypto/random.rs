//! The one place that randomness comes from.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::crypto::claim_code::ClaimCode;
use crate::crypto::secret::Secret;
use crate::domain::time::Timestamp;

/// How many identifiers this process has made. After 2^24 of them in one millisecond their order would be lost.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Where random bytes come from: the operating system in production, whatever they need in tests. Shared as `Arc<dyn Random>`.
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes` with unguessable bytes.
    fn fill(&self, bytes: &mut [u8]);

    /// 128 bits for an identifier: a UUID version 7 of `now`, so that identifiers sort by age; those of one process do so
    /// within a millisecond too, by a counter in the place of the first random bits (RFC 9562, 6.2, method 1).
    fn id_bits(&self, now: Timestamp) -> u128 {
        let mut tail = [0; 10];
        self.fill(&mut tail);
        // 24 bits of the counter: four beside the version, eight, six beside the variant, six.
        let [_, a, b, c] = MADE.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        tail[0] = a >> 4;
        tail[1] = a << 4 | b >> 4;
        tail[2] = (b & 0x0f) << 2 | c >> 6;
        tail[3] = c << 2 | tail[3] >> 6;
        uuid::Builder::from_unix_timestamp_millis(now.as_millis().unsigned_abs(), &tail)
            .into_uuid()
            .as_u128()
    }

    /// 128 random bits: a token's `jti`, a salt.
    fn bits(&self) -> u128 {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        u128::from_be_bytes(bytes)
    }

    /// A new secret of 256 bits.
    fn secret(&self) -> Secret {
        let mut bytes = zeroize::Zeroizing::new([0; Secret::BYTES]);
        self.fill(bytes.as_mut());
        Secret::from_bytes(&bytes)
    }

    /// So many random digits, at most 18, to be told to somebody; 128 bits are drawn, so that each is as likely.
    fn digits(&self, count: u32) -> String {
        let width = usize::try_from(count.min(18)).unwrap_or(18);
        let drawn = self.bits() % 10_u128.pow(count.min(18));
        format!("{drawn:0width$}")
    }

    /// A new claim code of 128 bits.
    fn claim_code(&self) -> ClaimCode {
        ClaimCode::from_bits(self.bits())
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, bytes: &mut [u8]) {
        if aws_lc_rs::rand::fill(bytes).is_err() {
            // Going on would hand out secrets that can be guessed; unwinding would do so in whoever catches it.
            tracing::error!("the operating system gives no randomness");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::LockId;

    #[test]
    fn ids_sort_by_age_within_one_instant_too() {
        let at = Timestamp::from_millis;
        let [first, second, later] = [1_000, 1_000, 1_001].map(|ms| LockId::from_bits(OsRandom.id_bits(at(ms))));
        assert!(first < second && second < later);
    }

    #[test]
    fn an_id_is_a_uuid_version_7_of_its_instant() {
        let id = uuid::Uuid::from_u128(OsRandom.id_bits(Timestamp::from_millis(1_772_441_999_999)));
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.as_u128() >> 80, 1_772_441_999_999);
    }

    #[test]
    fn digits_are_as_many_as_were_asked_for() {
        for count in [1, 6, 8, 18] {
            let digits = OsRandom.digits(count);
            assert!(digits.bytes().all(|digit| digit.is_ascii_digit()), "{digits}");
            assert_eq!(digits.len(), usize::try_from(count).unwrap());
        }
    }

    #[test]
    fn nothing_is_drawn_twice() {
        let drawn: std::collections::HashSet<u128> = (0..1000).map(|_| OsRandom.bits()).collect();
        assert_eq!(drawn.len(), 1000);
        assert_ne!(OsRandom.secret(), OsRandom.secret());
    }
}
