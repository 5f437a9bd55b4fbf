//! Public keys: as JWK, by thumbprint, and the set of them that a lock believes.

use heapless::Vec;
use p256::Sec1Point;
use p256::ecdsa::VerifyingKey;

use crate::base64url::{Text32, decode, text32};
use crate::jws::{ALG, Message};
use crate::refusal::Refusal;
use crate::wire::{self, Jwk, MAX_KEYS, NUMBER_LIMIT, Typ, Use};

/// A public key with its thumbprint, which is its name (`kid`) on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// SHA-256 thumbprint (RFC 7638) as base64url.
    pub kid: Text32,
    /// The key.
    pub key: VerifyingKey,
}

impl PublicKey {
    /// The key of this JWK; `None` where it is not a point on P-256, or not written the one way.
    #[must_use]
    pub fn from_jwk(jwk: &Jwk<'_>) -> Option<Self> {
        if jwk.kty != "EC" || jwk.crv != "P-256" {
            return None;
        }
        let (x, y) = (decode::<32>(jwk.x)?, decode::<32>(jwk.y)?);
        let point = Sec1Point::from_affine_coordinates(&x.into(), &y.into(), false);
        VerifyingKey::from_sec1_point(&point).ok().map(|key| Self {
            kid: thumbprint(jwk),
            key,
        })
    }

    /// The key of this half of a pair.
    #[must_use]
    pub fn from_key(key: VerifyingKey) -> Self {
        let (x, y) = coordinates(&key);
        Self {
            kid: thumbprint(&jwk(&x, &y)),
            key,
        }
    }

    /// The key's coordinates x and y as base64url, for [`jwk`].
    #[must_use]
    pub fn coordinates(&self) -> (Text32, Text32) {
        coordinates(&self.key)
    }
}

/// The JWK with these coordinates.
#[must_use]
pub fn jwk<'a>(x: &'a str, y: &'a str) -> Jwk<'a> {
    Jwk {
        kty: "EC",
        crv: "P-256",
        x,
        y,
    }
}

/// SHA-256 thumbprint of a JWK as base64url (RFC 7638): of its members in the order of their names, without spaces.
#[must_use]
pub fn thumbprint(jwk: &Jwk<'_>) -> Text32 {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in [
        r#"{"crv":""#,
        jwk.crv,
        r#"","kty":""#,
        jwk.kty,
        r#"","x":""#,
        jwk.x,
        r#"","y":""#,
        jwk.y,
        r#""}"#,
    ] {
        hash.update(part);
    }
    text32(&hash.finalize().into())
}

/// Coordinates of a key as text.
fn coordinates(key: &VerifyingKey) -> (Text32, Text32) {
    let point = key.to_sec1_point(false);
    let bytes = point.as_bytes();
    let at = |from: usize| {
        bytes
            .get(from..from + 32)
            .and_then(|half| half.try_into().ok())
            .unwrap_or([0; 32])
    };
    // An uncompressed point is the byte 4, then x, then y (SEC 1 section 2.3.3).
    (text32(&at(1)), text32(&at(33)))
}

/// One key that a lock believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldKey {
    /// The key and its name.
    pub public: PublicKey,
    /// The only purpose that it is for.
    pub purpose: Use,
    /// The first second of its life.
    pub nbf: u64,
    /// The last second of its life.
    pub exp: u64,
}

/// The keys that a lock believes: the content of one keyset, verified.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keyset {
    /// The keyset's version; 0 for none.
    pub version: u64,
    /// Tokens with a `rev` below this are void.
    pub min_rev: u64,
    keys: Vec<HeldKey, MAX_KEYS>,
}

impl Keyset {
    /// Reads a keyset that `root` signed for the backend `iss`.
    ///
    /// # Errors
    /// What is wrong with it, in the order of [`Refusal`]; [`Refusal::Malformed`] also where a `kid` is not its key's
    /// thumbprint, two keys have one name, or a life ends before it begins.
    pub fn read(compact: &str, root: &PublicKey, iss: &str) -> Result<Self, Refusal> {
        let message = crate::jws::open(compact, Typ::Keyset, &root.kid, &root.key)?;
        Self::from_message(&message, iss)
    }

    /// As [`Self::read`], of a message whose signature is already verified.
    fn from_message(message: &Message<'_>, iss: &str) -> Result<Self, Refusal> {
        let claims: wire::Keyset<'_> = message.claims()?;
        if claims.version == 0 || claims.version.max(claims.min_rev) >= NUMBER_LIMIT {
            return Err(Refusal::Malformed);
        }
        let mut held = Self {
            version: claims.version,
            min_rev: claims.min_rev,
            keys: Vec::new(),
        };
        for key in &claims.keys {
            let public = PublicKey::from_jwk(&key.jwk).ok_or(Refusal::Malformed)?;
            let named_right = key.kid == public.kid && held.keys.iter().all(|other| other.public.kid != public.kid);
            if !named_right || key.alg != ALG || key.nbf > key.exp || key.exp >= NUMBER_LIMIT {
                return Err(Refusal::Malformed);
            }
            let key = HeldKey {
                public,
                purpose: key.purpose,
                nbf: key.nbf,
                exp: key.exp,
            };
            held.keys.push(key).map_err(|_| Refusal::Malformed)?;
        }
        if claims.iss == iss {
            Ok(held)
        } else {
            Err(Refusal::WrongIssuer)
        }
    }

    /// The key with this name for this purpose.
    ///
    /// # Errors
    /// [`Refusal::UnknownKey`] where there is none; [`Refusal::KeyNotValid`] outside its life at `now`. Without a fresh
    /// clock `now` is `None` and `floor`, the greatest time ever trusted, stands for "not before".
    pub fn find(&self, kid: &str, purpose: Use, now: Option<u64>, floor: u64) -> Result<&HeldKey, Refusal> {
        let named = |key: &&HeldKey| key.public.kid == kid && key.purpose == purpose;
        let key = self.keys.iter().find(named).ok_or(Refusal::UnknownKey)?;
        let begun = now.is_none_or(|now| key.nbf <= now);
        if begun && now.unwrap_or(floor) <= key.exp {
            Ok(key)
        } else {
            Err(Refusal::KeyNotValid)
        }
    }
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::SigningKey;

    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_slice(&[seed; 32]).unwrap()
    }

    #[test]
    fn a_key_survives_its_jwk() {
        let public = PublicKey::from_key(*key(7).verifying_key());
        let (x, y) = public.coordinates();
        assert_eq!(PublicKey::from_jwk(&jwk(&x, &y)), Some(public));
    }

    #[test]
    fn a_jwk_that_is_not_a_point_is_no_key() {
        let (x, y) = PublicKey::from_key(*key(7).verifying_key()).coordinates();
        let zero = text32(&[0; 32]);
        for (why, jwk) in [
            ("not on the curve", jwk(&x, &zero)),
            ("the origin", jwk(&zero, &zero)),
            ("short", jwk(&x[..42], &y)),
            (
                "other type",
                Jwk {
                    kty: "OKP",
                    ..jwk(&x, &y)
                },
            ),
            (
                "other curve",
                Jwk {
                    crv: "P-384",
                    ..jwk(&x, &y)
                },
            ),
        ] {
            assert_eq!(PublicKey::from_jwk(&jwk), None, "{why}");
        }
    }
}
