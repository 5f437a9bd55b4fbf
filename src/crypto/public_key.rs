//! Public keys on P-256: our own, the locks'.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::wire::Jwk;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A JWK is not a public key that a lock may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a public key {{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":…,\"y\":…}} and nothing else in it")]
pub struct BadPublicKey;

/// A point on P-256, by its coordinates as base64url.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    x: String,
    y: String,
}

impl PublicKey {
    /// The key of a JWK (RFC 7518, 6.2), read as a lock reads it: exactly these members, each written the one way, and
    /// the point lies on the curve.
    ///
    /// # Errors
    /// [`BadPublicKey`] for everything else.
    pub fn from_jwk(jwk: &Jwk<'_>) -> Result<Self, BadPublicKey> {
        doorward_lock::keys::PublicKey::from_jwk(jwk).ok_or(BadPublicKey)?;
        Ok(Self {
            x: jwk.x.to_owned(),
            y: jwk.y.to_owned(),
        })
    }

    /// The key of an uncompressed point (SEC 1, 2.3.3): `04`, x, y.
    ///
    /// # Errors
    /// [`BadPublicKey`] for everything else.
    pub fn from_point(point: &[u8]) -> Result<Self, BadPublicKey> {
        match point {
            [4, xy @ ..] if xy.len() == 64 => Ok(Self {
                x: URL_SAFE_NO_PAD.encode(&xy[..32]),
                y: URL_SAFE_NO_PAD.encode(&xy[32..]),
            }),
            _ => Err(BadPublicKey),
        }
    }

    /// The key as a JWK.
    #[must_use]
    pub fn jwk(&self) -> Jwk<'_> {
        Jwk {
            kty: "EC",
            crv: "P-256",
            x: &self.x,
            y: &self.y,
        }
    }

    /// The key as JSON, always the same text for the same key: what is stored.
    #[must_use]
    pub fn to_json(&self) -> String {
        format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, self.x, self.y)
    }

    /// The key's `kid`: its SHA-256 thumbprint (RFC 7638) as base64url.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        doorward_lock::keys::thumbprint(&self.jwk()).as_str().to_owned()
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.jwk().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Members {
            kty: String,
            crv: String,
            x: String,
            y: String,
        }
        let Members { kty, crv, x, y } = Members::deserialize(deserializer)?;
        Self::from_jwk(&Jwk {
            kty: &kty,
            crv: &crv,
            x: &x,
            y: &y,
        })
        .map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.thumbprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 7517, appendix A.1.
    const JSON: &str = concat!(
        r#"{"crv":"P-256","kty":"EC","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","#,
        r#""y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#
    );

    #[test]
    fn a_key_survives_its_text() {
        let key: PublicKey = serde_json::from_str(JSON).unwrap();
        assert_eq!(key.to_json(), JSON);
        assert_eq!(
            serde_json::from_value::<PublicKey>(serde_json::to_value(&key).unwrap()).unwrap(),
            key
        );
        // Computed with another implementation: sha256 of the text above.
        assert_eq!(key.thumbprint(), "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
    }

    #[test]
    fn other_keys_are_refused() {
        for (part, instead) in [
            ("P-256", "P-384"),
            ("\"EC\"", "\"OKP\""),
            ("MKBC", "MKB"),
            ("MKBC", "MKBCA"),
            ("MKBC", "MKBD"),
            ("7D4\"", "7D5\""),
            ("7D4\"", "7D4=\""),
            ("{", "{\"d\":\"AAAA\","),
            ("{", "{\"kty\":\"EC\","),
            ("\"crv\":\"P-256\",", ""),
        ] {
            let text = JSON.replacen(part, instead, 1);
            assert!(serde_json::from_str::<PublicKey>(&text).is_err(), "{text}");
        }
    }
}
