//! Randomness, digests, passwords, secrets and sealed texts. Nothing here knows a database or a network.

pub mod claim_code;
pub mod digest;
pub mod password;
pub mod random;
pub mod sealed;
pub mod secret;
