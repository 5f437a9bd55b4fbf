//! One-time codes by the time (RFC 6238): SHA-1, six digits, steps of thirty seconds, one step of skew either way: what every
//! authenticator app knows.

use totp_rs::{Builder, Totp, TotpError};
use zeroize::Zeroizing;

use crate::crypto::random::Random;
use crate::domain::time::Timestamp;

/// How many bytes a secret has: as many as its hash gives (RFC 4226, 4).
const SECRET_BYTES: usize = 20;

/// What a device calls the accounts that are here.
const ISSUER: &str = "Doorward";

/// The library refuses the secret, for which it has no reason.
#[derive(Debug, thiserror::Error)]
#[error("a secret for one-time codes is not usable")]
pub struct NotUsable(#[source] Box<dyn std::error::Error + Send + Sync>);

impl From<TotpError> for NotUsable {
    fn from(error: TotpError) -> Self {
        Self(error.to_string().into())
    }
}

/// The secret that a person's device shares with us.
#[derive(Clone)]
pub struct TotpSecret(Zeroizing<Vec<u8>>);

impl TotpSecret {
    /// A new one.
    #[must_use]
    pub fn new(random: &dyn Random) -> Self {
        let mut bytes = Zeroizing::new(vec![0; SECRET_BYTES]);
        random.fill(&mut bytes);
        Self(bytes)
    }

    /// The secret of these bytes.
    #[must_use]
    pub fn of_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The bytes, to be sealed.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The address (`otpauth://totp/…`) that a device reads from a picture, with this name on the account.
    ///
    /// # Errors
    /// [`NotUsable`].
    pub fn uri(&self, account: &str) -> Result<Zeroizing<String>, NotUsable> {
        let builder = self.builder().with_issuer(Some(ISSUER));
        let totp = builder.with_account_name(account.replace(':', " ")).build()?;
        Ok(Zeroizing::new(totp.to_url()?))
    }

    /// The step of time whose code this is, among the present one and its neighbours.
    ///
    /// # Errors
    /// [`NotUsable`].
    pub fn step_of(&self, code: &str, now: Timestamp) -> Result<Option<i64>, NotUsable> {
        let totp: Totp = self.builder().build()?;
        let seconds = u64::try_from(now.as_millis().div_euclid(1000)).unwrap_or(0);
        let step = totp.check(code, seconds);
        Ok(step.and_then(|step| i64::try_from(step).ok()))
    }

    fn builder(&self) -> Builder {
        Builder::new().with_secret(self.0.to_vec())
    }
}

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of the vectors of RFC 6238, appendix B.
    fn of_the_rfc() -> TotpSecret {
        TotpSecret::of_bytes(Zeroizing::new(b"12345678901234567890".to_vec()))
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            let now = Timestamp::from_millis(seconds * 1000);
            assert_eq!(
                of_the_rfc().step_of(code, now).unwrap(),
                Some(seconds / 30),
                "{seconds}"
            );
        }
    }

    #[test]
    fn a_code_is_read_one_step_late_or_early_and_no_more() {
        let step = 1_234_567_890_i64 / 30;
        for (offset, found) in [
            (-2, None),
            (-1, Some(step)),
            (0, Some(step)),
            (1, Some(step)),
            (2, None),
        ] {
            let now = Timestamp::from_millis((step + offset) * 30_000);
            assert_eq!(of_the_rfc().step_of("005924", now).unwrap(), found, "{offset}");
        }
        for wrong in ["", "00592", "0059240", "abcdef", "５９２４００"] {
            let now = Timestamp::from_millis(1_234_567_890_000);
            assert_eq!(of_the_rfc().step_of(wrong, now).unwrap(), None, "{wrong}");
        }
    }

    #[test]
    fn a_device_reads_the_address() {
        let uri = of_the_rfc().uri("ana@landlords.example").unwrap();
        assert!(
            uri.starts_with("otpauth://totp/Doorward:ana%40landlords.example?"),
            "{}",
            *uri
        );
        assert!(uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), "{}", *uri);
        assert!(uri.contains("issuer=Doorward"), "{}", *uri);
    }
}
