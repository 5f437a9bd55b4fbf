//! What browsers are told and what they answer, in the shapes of WebAuthn Level 3 (5.1.8 and 5.1.9), which browsers read and write
//! by themselves: `PublicKeyCredential.parseCreationOptionsFromJSON` and `toJSON`. Answers may have more members, and will.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::passkeys::{Challenge, Made, Signed, ToRegister};
use crate::crypto::webauthn::{ALGORITHMS, Bytes};
use crate::domain::passkey::CHALLENGE_LIFE;
use crate::domain::time::Timestamp;
use crate::http::schema;

/// What this service is called where a device shows its passkeys.
const NAME: &str = "Doorward";

/// The kind of all credentials that there are.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
enum CredentialKind {
    #[serde(rename = "public-key")]
    PublicKey,
}

/// What to make a passkey by: `navigator.credentials.create`.
#[derive(Serialize, ToSchema)]
pub(super) struct ToCreate {
    public_key: CreationOptions,
    /// Until when the answer counts.
    #[schema(value_type = schema::Time)]
    ends_at: Timestamp,
}

/// `PublicKeyCredentialCreationOptionsJSON`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreationOptions {
    rp: Party,
    user: User,
    #[schema(value_type = schema::Secret)]
    challenge: String,
    pub_key_cred_params: Vec<Algorithm>,
    /// In milliseconds.
    timeout: u64,
    exclude_credentials: Vec<Credential>,
    authenticator_selection: Selection,
    #[schema(value_type = String, examples("none"))]
    attestation: &'static str,
}

/// For whom passkeys are made.
#[derive(Serialize, ToSchema)]
struct Party {
    /// Our domain.
    id: String,
    #[schema(value_type = String)]
    name: &'static str,
}

/// Whose passkey it is to be.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct User {
    #[schema(value_type = schema::Base64Url)]
    id: String,
    name: String,
    display_name: String,
}

/// By what it may sign, as COSE numbers it.
#[derive(Serialize, ToSchema)]
struct Algorithm {
    #[serde(rename = "type")]
    kind: CredentialKind,
    alg: i64,
}

/// A passkey that is known.
#[derive(Serialize, ToSchema)]
struct Credential {
    #[serde(rename = "type")]
    kind: CredentialKind,
    #[schema(value_type = schema::Base64Url)]
    id: String,
}

/// Which authenticators will do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Selection {
    #[schema(value_type = String, examples("required"))]
    resident_key: &'static str,
    require_resident_key: bool,
    #[schema(value_type = String, examples("required"))]
    user_verification: &'static str,
}

/// What to sign by a passkey: `navigator.credentials.get`.
#[derive(Serialize, ToSchema)]
pub(super) struct ToSign {
    public_key: RequestOptions,
    /// Until when the answer counts.
    #[schema(value_type = schema::Time)]
    ends_at: Timestamp,
}

/// `PublicKeyCredentialRequestOptionsJSON`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RequestOptions {
    #[schema(value_type = schema::Secret)]
    challenge: String,
    rp_id: String,
    /// In milliseconds.
    timeout: u64,
    /// The passkeys that will do; none named: whichever its holder chooses.
    allow_credentials: Vec<Credential>,
    #[schema(value_type = String, examples("required"))]
    user_verification: &'static str,
}

fn timeout() -> u64 {
    CHALLENGE_LIFE.as_secs() * 1000
}

fn known(credentials: Vec<String>) -> Vec<Credential> {
    let known = credentials.into_iter().map(|id| Credential {
        kind: CredentialKind::PublicKey,
        id,
    });
    known.collect()
}

impl From<ToRegister> for ToCreate {
    fn from(begun: ToRegister) -> Self {
        let Challenge {
            challenge,
            party,
            ends_at,
        } = begun.challenge;
        let algorithms = ALGORITHMS.map(|alg| Algorithm {
            kind: CredentialKind::PublicKey,
            alg,
        });
        let public_key = CreationOptions {
            rp: Party { id: party, name: NAME },
            user: User {
                id: begun.handle,
                name: begun.person.email.as_str().to_owned(),
                display_name: begun.person.name.as_str().to_owned(),
            },
            challenge: challenge.expose().to_owned(),
            pub_key_cred_params: algorithms.into(),
            timeout: timeout(),
            exclude_credentials: known(begun.known),
            authenticator_selection: Selection {
                resident_key: "required",
                require_resident_key: true,
                user_verification: "required",
            },
            attestation: "none",
        };
        Self { public_key, ends_at }
    }
}

impl ToSign {
    /// What is to be signed by one of these passkeys; by any where none is named.
    pub(super) fn by(credentials: Vec<String>, challenge: Challenge) -> Self {
        let Challenge {
            challenge,
            party,
            ends_at,
        } = challenge;
        let public_key = RequestOptions {
            challenge: challenge.expose().to_owned(),
            rp_id: party,
            timeout: timeout(),
            allow_credentials: known(credentials),
            user_verification: "required",
        };
        Self { public_key, ends_at }
    }
}

/// `RegistrationResponseJSON`: what an authenticator made.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct MadeCredential {
    #[serde(rename = "type")]
    _kind: CredentialKind,
    response: MadeResponse,
}

/// What it says of it.
#[derive(Debug, Deserialize, ToSchema)]
struct MadeResponse {
    #[serde(rename = "clientDataJSON")]
    #[schema(value_type = schema::Base64Url)]
    client_data: Bytes,
    #[serde(rename = "attestationObject")]
    #[schema(value_type = schema::Base64Url)]
    attestation_object: Bytes,
}

impl From<MadeCredential> for Made {
    fn from(made: MadeCredential) -> Self {
        Self {
            client_data: made.response.client_data,
            attestation_object: made.response.attestation_object,
        }
    }
}

/// `AuthenticationResponseJSON`: what an authenticator signed.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SignedCredential {
    #[schema(value_type = schema::Base64Url)]
    id: Bytes,
    #[serde(rename = "type")]
    _kind: CredentialKind,
    response: SignedResponse,
}

/// What it signed, and the signature.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SignedResponse {
    #[serde(rename = "clientDataJSON")]
    #[schema(value_type = schema::Base64Url)]
    client_data: Bytes,
    #[schema(value_type = schema::Base64Url)]
    authenticator_data: Bytes,
    #[schema(value_type = schema::Base64Url)]
    signature: Bytes,
    #[schema(value_type = schema::Base64Url)]
    user_handle: Option<Bytes>,
}

impl From<SignedCredential> for Signed {
    fn from(signed: SignedCredential) -> Self {
        let response = signed.response;
        Self {
            credential: signed.id,
            client_data: response.client_data,
            authenticator_data: response.authenticator_data,
            signature: response.signature,
            handle: response.user_handle,
        }
    }
}
