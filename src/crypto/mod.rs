//! Randomness, digests, passwords, signing keys, tokens, certificates, sealed texts. Knows no database and no network.

pub mod api_key;
pub mod authority;
pub mod claim_code;
pub mod claim_link;
pub mod digest;
pub mod evidence;
pub mod identity_code;
pub mod keys;
pub mod leaf;
pub mod letter_key;
pub mod log_key;
pub mod merkle;
pub mod note;
pub mod password;
pub mod pin_codes;
pub mod pin_keys;
pub mod private_folder;
pub mod public_key;
pub mod random;
pub mod recovery_kit;
pub mod redemption;
pub mod sealed;
pub mod secret;
pub mod tls;
pub mod tokens;
pub mod vault;
