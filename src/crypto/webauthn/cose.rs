//! Public keys of passkeys (RFC 9052, 9053 and 8230), and what was signed by them.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use coset::cbor::Value;
use coset::iana::{self, EnumI64 as _};
use coset::{CborSerializable as _, CoseKey, KeyType, Label, RegisteredLabelWithPrivate};

use super::Refused;

/// The algorithms that a passkey may sign with, as COSE numbers them, the preferred first: ES256, EdDSA on Ed25519, and RS256
/// of TPMs that know nothing else.
pub const ALGORITHMS: [i64; 3] = [-7, -8, -257];

/// The length of an RSA modulus in bytes.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// A public key in the form in which it verifies.
pub(super) enum PublicKey {
    /// On a curve.
    Point(ParsedPublicKey),
    /// Modulus and exponent, big-endian.
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl PublicKey {
    /// The key in this COSE key, if it is of an algorithm that was asked for.
    pub(super) fn read(cose: &[u8]) -> Result<Self, Refused> {
        let key = CoseKey::from_slice(cose).map_err(|_| Refused)?;
        match (&key.kty, &key.alg) {
            (
                KeyType::Assigned(iana::KeyType::EC2),
                Some(RegisteredLabelWithPrivate::Assigned(iana::Algorithm::ES256)),
            ) => p256(&key),
            (
                KeyType::Assigned(iana::KeyType::OKP),
                Some(RegisteredLabelWithPrivate::Assigned(iana::Algorithm::EdDSA)),
            ) => ed25519(&key),
            (
                KeyType::Assigned(iana::KeyType::RSA),
                Some(RegisteredLabelWithPrivate::Assigned(iana::Algorithm::RS256)),
            ) => rsa(&key),
            _ => Err(Refused),
        }
    }

    /// Whether `signature` is of `message` by this key.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let verified = match self {
            Self::Point(key) => key.verify_sig(message, signature),
            Self::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        };
        verified.map_err(|_| Refused)
    }
}

fn p256(key: &CoseKey) -> Result<PublicKey, Refused> {
    let (x, y) = (
        bytes(key, iana::Ec2KeyParameter::X.to_i64())?,
        bytes(key, iana::Ec2KeyParameter::Y.to_i64())?,
    );
    let is_p256 = is_on(key, iana::Ec2KeyParameter::Crv.to_i64(), iana::EllipticCurve::P_256);
    if !is_p256 || x.len() != 32 || y.len() != 32 {
        return Err(Refused);
    }
    // SEC 1, uncompressed. A point that is not on the curve is no key.
    let point = [&[4][..], x, y].concat();
    let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
    parsed.map(PublicKey::Point).map_err(|_| Refused)
}

fn ed25519(key: &CoseKey) -> Result<PublicKey, Refused> {
    let x = bytes(key, iana::OkpKeyParameter::X.to_i64())?;
    let is_ours = is_on(key, iana::OkpKeyParameter::Crv.to_i64(), iana::EllipticCurve::Ed25519);
    if !is_ours || x.len() != 32 {
        return Err(Refused);
    }
    let parsed = ParsedPublicKey::new(&ED25519, x);
    parsed.map(PublicKey::Point).map_err(|_| Refused)
}

fn rsa(key: &CoseKey) -> Result<PublicKey, Refused> {
    let (n, e) = (
        bytes(key, iana::RsaKeyParameter::N.to_i64())?,
        bytes(key, iana::RsaKeyParameter::E.to_i64())?,
    );
    if !RSA_BYTES.contains(&n.len()) || !(1..=8).contains(&e.len()) {
        return Err(Refused);
    }
    Ok(PublicKey::Rsa {
        n: n.to_vec(),
        e: e.to_vec(),
    })
}

/// The parameter of this number.
fn parameter(key: &CoseKey, label: i64) -> Option<&Value> {
    let found = key.params.iter().find(|(name, _)| *name == Label::Int(label));
    found.map(|(_, value)| value)
}

fn bytes(key: &CoseKey, label: i64) -> Result<&[u8], Refused> {
    let found = parameter(key, label).and_then(Value::as_bytes);
    found.map(Vec::as_slice).ok_or(Refused)
}

fn is_on(key: &CoseKey, label: i64, curve: iana::EllipticCurve) -> bool {
    parameter(key, label) == Some(&Value::from(curve.to_i64()))
}
