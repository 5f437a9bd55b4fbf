//! Passkeys (Web Authentication Level 3): what an authenticator shows at its registration and at each use, checked by the steps
//! of sections 7.1 and 7.2. CBOR and COSE are read by kept libraries. No attestation is asked for, and none looked at: nothing
//! here depends on who made an authenticator.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};

use super::digest::digest;
use super::secret::Secret;

mod authenticator;
mod cose;
#[cfg(test)]
mod tests;

use authenticator::{AuthenticatorData, data_in};
pub use cose::ALGORITHMS;
use cose::PublicKey;

/// The most bytes of the name that an authenticator gives a passkey (WebAuthn, 7.1, step 25).
pub const MOST_ID_BYTES: usize = 1023;

/// What was shown does not hold. Nobody is told which part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the passkey does not show what was asked for")]
pub struct Refused;

/// A text is not bytes as browsers send them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected base64url without padding")]
pub struct BadBytes;

/// Bytes as browsers send them: base64url without padding, not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(Vec<u8>);

impl Bytes {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The text of them; there is but one.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }
}

impl std::str::FromStr for Bytes {
    type Err = BadBytes;

    fn from_str(text: &str) -> Result<Self, BadBytes> {
        match URL_SAFE_NO_PAD.decode(text) {
            Ok(bytes) if !bytes.is_empty() => Ok(Self(bytes)),
            _ => Err(BadBytes),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Who asks: the domain for which passkeys are made, and the one origin whose pages may ask for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    /// `doors.example`.
    pub id: String,
    /// `https://doors.example`.
    pub origin: String,
}

/// What a browser was asked for (WebAuthn, 5.8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// To make a passkey.
    Create,
    /// To sign by one.
    Get,
}

/// What a browser says that it was asked, found to be by a page of ours. Whether its challenge is one of ours is for the
/// caller to find out.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What was to be signed.
    pub challenge: Secret,
    digest: [u8; 32],
}

/// What a new passkey is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// The authenticator's name for it.
    pub id: Vec<u8>,
    /// Its public key, COSE.
    pub public_key: Vec<u8>,
    /// Its counter of signatures; 0 where it counts none.
    pub counter: u32,
    /// Whether its authenticator may copy it to other devices.
    pub synced: bool,
}

/// What an authenticator says of itself where it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assertion {
    /// Its counter of signatures; 0 where it counts none.
    pub counter: u32,
    /// Whether it may copy the passkey to other devices.
    pub synced: bool,
}

/// Others may stand beside these, and will (WebAuthn, 5.8.1.2).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    ceremony: String,
    challenge: Secret,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    top_origin: Option<String>,
}

impl RelyingParty {
    /// The party behind this address of ours; `None` where it has no domain, because passkeys are never made for a number.
    #[must_use]
    pub fn of(public_url: &str) -> Option<Self> {
        let url = url::Url::parse(public_url).ok()?;
        Some(Self {
            id: url.domain()?.to_owned(),
            origin: url.origin().ascii_serialization(),
        })
    }

    /// Reads what the browser says that it was asked.
    ///
    /// # Errors
    /// [`Refused`] where it was asked for something else, by another's page, or by ours within another's.
    pub fn read(&self, moment: Moment, client_data: &[u8]) -> Result<Asked, Refused> {
        let said: ClientData = serde_json::from_slice(client_data).map_err(|_| Refused)?;
        let ceremony = match moment {
            Moment::Create => "webauthn.create",
            Moment::Get => "webauthn.get",
        };
        let is_framed = said.cross_origin || said.top_origin.is_some();
        if said.ceremony != ceremony || said.origin != self.origin || is_framed {
            return Err(Refused);
        }
        Ok(Asked {
            challenge: said.challenge,
            digest: digest(client_data),
        })
    }

    /// The passkey in this `attestationObject`.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn registered(&self, attestation_object: &[u8]) -> Result<NewCredential, Refused> {
        let bytes = data_in(attestation_object)?;
        let data = AuthenticatorData::read(&bytes, &self.id)?;
        let attested = data.attested.ok_or(Refused)?;
        PublicKey::read(&attested.public_key)?;
        Ok(NewCredential {
            id: attested.id,
            public_key: attested.public_key,
            counter: data.counter,
            synced: data.synced,
        })
    }

    /// What the authenticator says that signed what was asked, by the passkey of this public key.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn asserted(
        &self,
        asked: &Asked,
        authenticator_data: &[u8],
        signature: &[u8],
        public_key: &[u8],
    ) -> Result<Assertion, Refused> {
        let data = AuthenticatorData::read(authenticator_data, &self.id)?;
        let signed = [authenticator_data, &asked.digest].concat();
        PublicKey::read(public_key)?.verify(&signed, signature)?;
        Ok(Assertion {
            counter: data.counter,
            synced: data.synced,
        })
    }
}
