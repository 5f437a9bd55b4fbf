//! Where the keys are, and how long they live, as the configuration says.

use std::sync::Arc;
use std::time::Duration;

use super::StartError;
use crate::config::Config;
use crate::crypto::factor_key::FactorKey;
use crate::crypto::keys::{KeyStore, Lives};
use crate::crypto::letter_key::LetterKey;
use crate::crypto::log_key::LogKey;
use crate::crypto::pin_keys::PinKeys;
use crate::crypto::random::Random;
use crate::crypto::vault::{KeyPlace, Vault, VaultError};
use crate::crypto::webhook_key::WebhookKey;
use crate::domain::time::Timestamp;

/// How long signing keys live.
#[must_use]
pub fn key_lives(config: &Config) -> Lives {
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);
    Lives {
        rotate_after: days(config.keys.rotate_days),
        overlap: days(config.keys.overlap_days),
        life: days(config.keys.life_days),
    }
}

/// Opens the folder of the key files.
///
/// # Errors
/// [`VaultError`], which names the file and the remedy.
pub fn open_vault(config: &Config) -> Result<Arc<Vault>, VaultError> {
    let place = match &config.keys.encryption_key_file {
        Some(file) => KeyPlace::Given(file.clone()),
        None => KeyPlace::Own(config.own_encryption_key()),
    };
    Vault::open(&config.keys_dir(), &place).map(Arc::new)
}

/// Whether there are signing keys at all.
pub(super) fn are_there(config: &Config) -> bool {
    KeyStore::is_in(&config.keys_dir())
}

/// The keys of this installation.
pub(super) struct Keys {
    pub(super) signing: Arc<KeyStore>,
    pub(super) pins: PinKeys,
    pub(super) letters: LetterKey,
    pub(super) log: LogKey,
    pub(super) webhooks: WebhookKey,
    pub(super) factors: FactorKey,
}

/// The keys of this installation; made where there are none.
pub(super) fn open(config: &Config, issuer: &str, random: &dyn Random, now: Timestamp) -> Result<Keys, StartError> {
    let vault = open_vault(config)?;
    Ok(Keys {
        pins: PinKeys::open(&vault, random)?,
        letters: LetterKey::open(&vault, random)?,
        log: LogKey::open(&vault, issuer, random)?,
        webhooks: WebhookKey::open(&vault, random)?,
        factors: FactorKey::open(&vault, random)?,
        signing: Arc::new(KeyStore::open(vault, issuer, key_lives(config), now)?),
    })
}
