//! The proof that comes with a guest's link: that whoever redeems it holds the key to which it is to be bound.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::jws::Message;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use super::public_key::PublicKey;
use super::secret::Secret;
use crate::domain::time::Timestamp;

/// What the proof says that it is.
pub const TYP: &str = "redeem+jwt";

/// How far the clock of a guest's phone may be off, either way.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// A text is no proof for this link by this key at this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// It is not such a message, or not by this key.
    #[error("expected a JWS ({TYP}, ES256) by this key, with `link_hash`, `jkt` and `iat`")]
    NotByKey,
    /// It was made for another link or another key.
    #[error("the proof is for another link or another key")]
    OtherLink,
    /// It is too old, or ahead of the time.
    #[error("the proof is not of now: look at this phone's clock")]
    NotNow,
}

/// What it states: these three and no other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims<'a> {
    /// SHA-256 of the secret's text, as base64url.
    link_hash: &'a str,
    /// The key's thumbprint.
    jkt: &'a str,
    /// When it was made, in seconds.
    iat: u64,
}

/// Verifies that `proof` was made by `key` for the link with this secret, about `now`.
///
/// # Errors
/// [`BadProof`].
pub fn verify(proof: &str, key: &PublicKey, secret: &Secret, now: Timestamp) -> Result<(), BadProof> {
    // The strict reader of the locks: one way to write a message.
    let message = Message::parse(proof).map_err(|_| BadProof::NotByKey)?;
    let header = message.header().map_err(|_| BadProof::NotByKey)?;
    let thumbprint = key.thumbprint();
    if header.typ != TYP || header.kid != thumbprint {
        return Err(BadProof::NotByKey);
    }
    let (signed, signature) = proof.rsplit_once('.').ok_or(BadProof::NotByKey)?;
    let jwk = key.jwk();
    let key = DecodingKey::from_ec_components(jwk.x, jwk.y).map_err(|_| BadProof::NotByKey)?;
    match jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key, Algorithm::ES256) {
        Ok(true) => {}
        Ok(false) | Err(_) => return Err(BadProof::NotByKey),
    }
    let claims: Claims<'_> = message.claims().map_err(|_| BadProof::NotByKey)?;
    if claims.jkt != thumbprint || claims.link_hash != URL_SAFE_NO_PAD.encode(secret.digest()) {
        return Err(BadProof::OtherLink);
    }
    if claims.iat.abs_diff(now.as_seconds()) > CLOCK_TOLERANCE.as_secs() {
        return Err(BadProof::NotNow);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::Signer as _;
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key(seed: u8) -> (SigningKey, PublicKey) {
        let private = SigningKey::from_slice(&[seed; 32]).unwrap();
        let point = private.verifying_key().to_sec1_point(false);
        let public = PublicKey::from_point(point.as_bytes()).unwrap();
        (private, public)
    }

    fn jws(key: &SigningKey, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature: p256::ecdsa::Signature = key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    #[test]
    fn a_proof_is_of_one_link_one_key_and_now() {
        let secret = Secret::from_bytes(&[7; 32]);
        let hash = URL_SAFE_NO_PAD.encode(secret.digest());
        let other_hash = URL_SAFE_NO_PAD.encode(Secret::from_bytes(&[8; 32]).digest());
        let ((private, public), (other_private, other_public)) = (key(1), key(2));
        let (jkt, other_jkt) = (public.thumbprint(), other_public.thumbprint());
        let header = json!({ "alg": "ES256", "typ": TYP, "kid": jkt });
        let with = |name: &str, value: Value| {
            let mut header = header.clone();
            header[name] = value;
            header
        };
        let claims = |hash: &str, jkt: &str, iat: Value| json!({ "link_hash": hash, "jkt": jkt, "iat": iat });
        let good = claims(&hash, &jkt, NOW.into());
        for (what, key, header, claims, expected) in [
            ("good", &private, header.clone(), good.clone(), Ok(())),
            (
                "slow clock",
                &private,
                header.clone(),
                claims(&hash, &jkt, (NOW - 300).into()),
                Ok(()),
            ),
            (
                "fast clock",
                &private,
                header.clone(),
                claims(&hash, &jkt, (NOW + 300).into()),
                Ok(()),
            ),
            (
                "old",
                &private,
                header.clone(),
                claims(&hash, &jkt, (NOW - 301).into()),
                Err(BadProof::NotNow),
            ),
            (
                "ahead",
                &private,
                header.clone(),
                claims(&hash, &jkt, (NOW + 301).into()),
                Err(BadProof::NotNow),
            ),
            (
                "other link",
                &private,
                header.clone(),
                claims(&other_hash, &jkt, NOW.into()),
                Err(BadProof::OtherLink),
            ),
            (
                "other key named",
                &private,
                header.clone(),
                claims(&hash, &other_jkt, NOW.into()),
                Err(BadProof::OtherLink),
            ),
            (
                "other key signs",
                &other_private,
                header.clone(),
                good.clone(),
                Err(BadProof::NotByKey),
            ),
            (
                "none",
                &private,
                with("alg", "none".into()),
                good.clone(),
                Err(BadProof::NotByKey),
            ),
            (
                "HS256",
                &private,
                with("alg", "HS256".into()),
                good.clone(),
                Err(BadProof::NotByKey),
            ),
            (
                "an enrolment",
                &private,
                with("typ", "enrol+jwt".into()),
                good.clone(),
                Err(BadProof::NotByKey),
            ),
            (
                "other kid",
                &private,
                with("kid", other_jkt.clone().into()),
                good.clone(),
                Err(BadProof::NotByKey),
            ),
            (
                "own jwk",
                &private,
                with("jwk", json!({})),
                good.clone(),
                Err(BadProof::NotByKey),
            ),
            (
                "fractional",
                &private,
                header.clone(),
                claims(&hash, &jkt, json!(1.5)),
                Err(BadProof::NotByKey),
            ),
            (
                "a text",
                &private,
                header.clone(),
                claims(&hash, &jkt, json!("now")),
                Err(BadProof::NotByKey),
            ),
            (
                "no time",
                &private,
                header.clone(),
                json!({ "link_hash": hash, "jkt": jkt }),
                Err(BadProof::NotByKey),
            ),
        ] {
            let proof = jws(key, &header, &claims);
            let now = Timestamp::from_seconds(NOW);
            assert_eq!(verify(&proof, &public, &secret, now), expected, "{what}");
        }
        for text in ["", "a.b", "a.b.c", &"x".repeat(10_000)] {
            let now = Timestamp::from_seconds(NOW);
            assert_eq!(verify(text, &public, &secret, now), Err(BadProof::NotByKey));
        }
    }
}
