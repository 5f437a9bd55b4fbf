//! The key that signs checkpoints of access logs. It never changes: whoever keeps its public half can check the log of years.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

use super::digest::hexadecimal;
use super::note::{self, Checkpoint, NoteKey};
use super::random::Random;
use super::vault::{Vault, VaultError};
use crate::domain::ids::OrganizationId;

const FILE: &str = "log-secret";

/// Signs checkpoints, those of each organization under a name of their own.
pub struct LogKey {
    pair: Ed25519KeyPair,
    host: String,
}

impl LogKey {
    /// Reads the key in the vault, or makes it where there is none. `issuer` is what this backend is called.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open(vault: &Vault, issuer: &str, random: &dyn Random) -> Result<Self, VaultError> {
        let secret = vault.secret(FILE, random)?;
        let pair =
            Ed25519KeyPair::from_seed_unchecked(&secret.bytes).map_err(|_| VaultError::Damaged(vault.path(FILE)))?;
        // Names of logs have no scheme.
        let host = issuer.split_once("://").map_or(issuer, |(_, host)| host);
        Ok(Self {
            pair,
            host: host.trim_end_matches('/').to_owned(),
        })
    }

    /// What the log of an organization is called: the first line of its checkpoints, and the name of their key.
    #[must_use]
    pub fn origin(&self, organization: &OrganizationId) -> String {
        format!("{}/access-log/{organization}", self.host)
    }

    /// The public half, as whoever audits the organization's log keeps it.
    #[must_use]
    pub fn public(&self, organization: &OrganizationId) -> NoteKey {
        note::key_of(&self.pair, self.origin(organization))
    }

    /// The public half by itself, as lower-case hexadecimal: what tells this key from others.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let mut public = [0; 32];
        public.copy_from_slice(self.pair.public_key().as_ref());
        hexadecimal(&public)
    }

    /// The checkpoint as a signed note.
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        note::sign(checkpoint, &self.pair)
    }
}
