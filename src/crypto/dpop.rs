//! Proofs of possession (DPoP, RFC 9449): that whoever shows a token, or asks for one, holds the private key to which it is
//! bound, in this request and now.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::signature::PrivateKey;
use jsonwebtoken::{Algorithm, DecodingKey};
use p256::ecdsa::SigningKey;
use serde::Deserialize;
use serde_json::json;

use super::digest::digest;
use super::public_key::PublicKey;
use super::secret::Secret;
use crate::domain::time::Timestamp;

/// What a proof says that it is (RFC 9449, 4.2).
const TYP: &str = "dpop+jwt";

/// How far the clock of a phone may be off, either way.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// How long after it came a proof could come again: it is good from [`CLOCK_TOLERANCE`] before its time to as long after
/// it, to the end of that second.
pub const GOOD_FOR: Duration = Duration::from_secs(2 * CLOCK_TOLERANCE.as_secs() + 1);

/// The longest proof, in bytes: a header with a key of P-256 and an address of 1 KiB, with room to spare.
const LONGEST: usize = 4096;

/// The longest name of a proof.
const LONGEST_ID: usize = 128;

/// What a proof has to be for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The address without query and fragment, as clients see it.
    pub url: &'a str,
    /// The access token that comes with it, where one does.
    pub token: Option<&'a Secret>,
}

/// A text is no proof for this request at this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// It is no such message, or not by the key in its header.
    #[error("expected a JWS with the header {{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"jwk\":…}} by that key")]
    Malformed,
    /// It is for another method, address or token.
    #[error("the proof is for another request: look at `htm`, `htu` and `ath`")]
    OtherRequest,
    /// It is too old, or ahead of the time.
    #[error("the proof is not of now: look at this phone's clock")]
    NotNow,
}

/// A proof that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The thumbprint of its key (RFC 7638).
    pub key: String,
    /// What it is known by, so that it is used once.
    pub digest: [u8; 32],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
    jwk: PublicKey,
}

/// Others may stand beside these (RFC 9449, 4.2); these stand once.
#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: u64,
    ath: Option<String>,
}

/// Verifies that `proof` was made for this request by the key in its header, about `now`.
///
/// # Errors
/// [`BadProof`].
pub fn verify(proof: &str, request: &Request<'_>, now: Timestamp) -> Result<Proof, BadProof> {
    if proof.len() > LONGEST {
        return Err(BadProof::Malformed);
    }
    let (signed, signature) = proof.rsplit_once('.').ok_or(BadProof::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(BadProof::Malformed)?;
    let Header { typ, alg, jwk } = part(header)?;
    if typ != TYP || alg != "ES256" {
        return Err(BadProof::Malformed);
    }
    let point = jwk.jwk();
    let key = DecodingKey::from_ec_components(point.x, point.y).map_err(|_| BadProof::Malformed)?;
    match jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key, Algorithm::ES256) {
        Ok(true) => {}
        Ok(false) | Err(_) => return Err(BadProof::Malformed),
    }
    let claims: Claims = part(claims)?;
    if claims.jti.is_empty() || claims.jti.len() > LONGEST_ID {
        return Err(BadProof::Malformed);
    }
    let token = request.token.map(|token| URL_SAFE_NO_PAD.encode(token.digest()));
    let address = claims.htu.split(['?', '#']).next().unwrap_or_default();
    if claims.htm != request.method || address != request.url || claims.ath != token {
        return Err(BadProof::OtherRequest);
    }
    if claims.iat.abs_diff(now.as_seconds()) > CLOCK_TOLERANCE.as_secs() {
        return Err(BadProof::NotNow);
    }
    let key = jwk.thumbprint();
    Ok(Proof {
        // The name is the key's own: another's does not use it up.
        digest: digest(format!("dpop {key} {}", claims.jti).as_bytes()),
        key,
    })
}

/// A proof of the request by this key, whose public half is `public`, named `id` and made at `now`; `None` where it cannot be
/// signed, which no key of ours is in the way of.
#[must_use]
pub fn prove(key: &SigningKey, public: &PublicKey, request: &Request<'_>, id: &str, now: Timestamp) -> Option<String> {
    let header = json!({ "typ": TYP, "alg": "ES256", "jwk": public });
    let mut claims = json!({ "jti": id, "htm": request.method, "htu": request.url, "iat": now.as_seconds() });
    if let Some(token) = request.token {
        claims["ath"] = URL_SAFE_NO_PAD.encode(token.digest()).into();
    }
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{claims}");
    let signature = PrivateKey::sign(key, signed.as_bytes())?;
    Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, BadProof> {
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadProof::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| BadProof::Malformed)
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::signature::Signer;
    use serde_json::Value;

    use super::*;

    const NOW: u64 = 1_800_000_000;
    const URL: &str = "https://door.example/v1/locks/lock_1/unlock";

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_slice(&[seed; 32]).unwrap()
    }

    fn jwk(key: &SigningKey) -> Value {
        let point = key.verifying_key().to_sec1_point(false);
        serde_json::to_value(PublicKey::from_point(point.as_bytes()).unwrap()).unwrap()
    }

    fn jws(key: &SigningKey, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature: p256::ecdsa::Signature = Signer::sign(key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    fn claims(token: Option<&Secret>) -> Value {
        let mut claims = json!({ "jti": "a", "htm": "POST", "htu": URL, "iat": NOW });
        if let Some(token) = token {
            claims["ath"] = URL_SAFE_NO_PAD.encode(token.digest()).into();
        }
        claims
    }

    fn judge(proof: &str, token: Option<&Secret>) -> Result<Proof, BadProof> {
        let request = Request {
            method: "POST",
            url: URL,
            token,
        };
        verify(proof, &request, Timestamp::from_seconds(NOW))
    }

    #[test]
    fn a_proof_is_by_its_key_and_known_by_its_name() {
        let header = json!({ "typ": TYP, "alg": "ES256", "jwk": jwk(&key(1)) }).to_string();
        let proof = jws(&key(1), &header, &claims(None).to_string());
        let verified = judge(&proof, None).unwrap();
        let point = key(1).verifying_key().to_sec1_point(false);
        assert_eq!(
            verified.key,
            PublicKey::from_point(point.as_bytes()).unwrap().thumbprint()
        );
        // What is more in it, or a query, changes nothing.
        let mut more = claims(None);
        more["nonce"] = "x".into();
        more["htu"] = format!("{URL}?a=b#c").into();
        assert_eq!(
            judge(&jws(&key(1), &header, &more.to_string()), None).unwrap(),
            verified
        );
        more["jti"] = "b".into();
        let other = judge(&jws(&key(1), &header, &more.to_string()), None).unwrap();
        assert_ne!(other.digest, verified.digest);
        let of_another = json!({ "typ": TYP, "alg": "ES256", "jwk": jwk(&key(2)) }).to_string();
        let of_another = judge(&jws(&key(2), &of_another, &claims(None).to_string()), None).unwrap();
        assert_ne!(of_another.digest, verified.digest, "the same name by another key");
    }

    #[test]
    fn what_is_proven_verifies() {
        let (token, now) = (Secret::from_bytes(&[7; 32]), Timestamp::from_seconds(NOW));
        let point = key(1).verifying_key().to_sec1_point(false);
        let public = PublicKey::from_point(point.as_bytes()).unwrap();
        for token in [None, Some(&token)] {
            let request = Request {
                method: "POST",
                url: URL,
                token,
            };
            let proof = prove(&key(1), &public, &request, "a", now).unwrap();
            assert_eq!(judge(&proof, token).unwrap().key, public.thumbprint());
            assert!(judge(&prove(&key(2), &public, &request, "a", now).unwrap(), token).is_err());
        }
    }

    #[test]
    fn what_looks_like_a_proof_is_none() {
        let good = json!({ "typ": TYP, "alg": "ES256", "jwk": jwk(&key(1)) });
        let with = |name: &str, value: Value| {
            let mut header = good.clone();
            header[name] = value;
            header.to_string()
        };
        let mut private = jwk(&key(1));
        private["d"] = URL_SAFE_NO_PAD.encode([1; 32]).into();
        let twice = good.to_string().replacen('{', "{\"alg\":\"ES256\",", 1);
        for (what, header) in [
            ("none", with("alg", "none".into())),
            ("HS256", with("alg", "HS256".into())),
            ("ES384", with("alg", "ES384".into())),
            ("another kind of token", with("typ", "JWT".into())),
            ("a private key", with("jwk", private)),
            ("another's key", with("jwk", jwk(&key(2)))),
            ("kid", with("kid", "../../etc/passwd".into())),
            ("jku", with("jku", "https://evil.example/keys".into())),
            ("crit", with("crit", json!(["b64"]))),
            ("alg twice", twice),
            ("no key", json!({ "typ": TYP, "alg": "ES256" }).to_string()),
        ] {
            let proof = jws(&key(1), &header, &claims(None).to_string());
            assert_eq!(judge(&proof, None), Err(BadProof::Malformed), "{what}");
        }
        let proof = jws(&key(1), &good.to_string(), &claims(None).to_string());
        let (signed, signature) = proof.rsplit_once('.').unwrap();
        for (what, text) in [
            ("unsigned", format!("{signed}.")),
            ("padded", format!("{signed}.{signature}=")),
            ("four parts", format!("{proof}.x")),
            ("nothing", String::new()),
            ("long", "a".repeat(LONGEST + 1)),
        ] {
            assert_eq!(judge(&text, None), Err(BadProof::Malformed), "{what}");
        }
    }

    #[test]
    fn a_proof_is_of_one_request_and_of_now() {
        let header = json!({ "typ": TYP, "alg": "ES256", "jwk": jwk(&key(1)) }).to_string();
        let (token, other) = (Secret::from_bytes(&[7; 32]), Secret::from_bytes(&[8; 32]));
        let with = |name: &str, value: Value| {
            let mut claims = claims(Some(&token));
            claims[name] = value;
            claims.to_string()
        };
        let hash = |secret: &Secret| Value::from(URL_SAFE_NO_PAD.encode(secret.digest()));
        for (what, claims, expected) in [
            ("good", with("jti", "a".into()), None),
            ("slow", with("iat", (NOW - 300).into()), None),
            ("fast", with("iat", (NOW + 300).into()), None),
            ("old", with("iat", (NOW - 301).into()), Some(BadProof::NotNow)),
            ("ahead", with("iat", (NOW + 301).into()), Some(BadProof::NotNow)),
            (
                "another method",
                with("htm", "GET".into()),
                Some(BadProof::OtherRequest),
            ),
            (
                "small letters",
                with("htm", "post".into()),
                Some(BadProof::OtherRequest),
            ),
            (
                "another door",
                with("htu", "https://door.example/v1/locks/lock_2/unlock".into()),
                Some(BadProof::OtherRequest),
            ),
            (
                "another house",
                with("htu", URL.replace("door", "evil").into()),
                Some(BadProof::OtherRequest),
            ),
            ("another token", with("ath", hash(&other)), Some(BadProof::OtherRequest)),
            ("no token", with("ath", Value::Null), Some(BadProof::OtherRequest)),
            (
                "a fraction",
                with("iat", json!(1_800_000_000.5)),
                Some(BadProof::Malformed),
            ),
            ("a text", with("iat", "1800000000".into()), Some(BadProof::Malformed)),
            ("no name", with("jti", "".into()), Some(BadProof::Malformed)),
            (
                "a long name",
                with("jti", "a".repeat(129).into()),
                Some(BadProof::Malformed),
            ),
            (
                "a time twice",
                with("jti", "a".into()).replacen('{', "{\"iat\":1,", 1),
                Some(BadProof::Malformed),
            ),
        ] {
            let judged = judge(&jws(&key(1), &header, &claims), Some(&token));
            assert_eq!(judged.err(), expected, "{what}");
        }
        // A token's hash where there is no token.
        let stray = jws(&key(1), &header, &with("jti", "a".into()));
        assert_eq!(judge(&stray, None), Err(BadProof::OtherRequest));
    }
}
