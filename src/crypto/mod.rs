//! Randomness, digests, passwords, signing keys, tokens, sealed texts. Nothing here knows a database or a network.

pub mod claim_code;
pub mod digest;
pub mod keys;
pub mod password;
pub mod private_folder;
pub mod public_key;
pub mod random;
pub mod sealed;
pub mod secret;
pub mod tokens;
