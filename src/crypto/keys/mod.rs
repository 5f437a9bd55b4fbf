//! The backend's signing keys: one for each purpose and now and then the one before it, in a sealed file of their own.
//!
//! All of them stand in one file, with the keyset that the root key has signed over them; so a first run or a rotation
//! leaves all or none, whenever the machine stops. Several nodes on one database share the folder: whichever makes the
//! file first has made it for all, one at a time may change it, and the others notice.

mod file;
mod ring;
mod rotate;
mod signer;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use doorward_lock::wire::Use;

pub use file::RootKey;
pub use ring::{Jwk, Jwks, Ring, SigningKey};
pub use rotate::{Rotation, USES};
pub use signer::Signer;

use crate::crypto::private_folder::Stamp;
use crate::crypto::public_key::PublicKey;
use crate::crypto::tokens::SignError;
use crate::crypto::vault::{Vault, VaultError};
use crate::domain::time::Timestamp;
use file::KeyFile;

/// The file in the folder.
const FILE: &str = "signing.json";

/// Who changes the file holds this.
const LOCK: &str = ".signing.lock";

/// The signing keys cannot be used, or not be changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The folder or the file cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// There are no keys yet.
    #[error("there are no signing keys in {0}: the backend makes them when it starts for the first time")]
    None(PathBuf),
    /// There are keys already.
    #[error("there are signing keys in {0} already")]
    Present(PathBuf),
    /// The file is not one of ours, or a key is missing in it: no lock would believe new ones, so restore it.
    #[error("{path} is damaged ({what}): restore it from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The file was put back from an older copy while this process ran.
    #[error("{path} holds keyset {found}, older than {held}: restart with it only if that is meant, then rotate")]
    Older {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u64,
        /// The version in use.
        held: u64,
    },
    /// The keys are another backend's.
    #[error(
        "the signing keys are those of {stored}, and the configuration says {configured}: set `issuer` to the former"
    )]
    OtherIssuer {
        /// The name in the file.
        stored: String,
        /// The name in the configuration.
        configured: String,
    },
    /// The root key is needed, and is not on this machine.
    #[error("the root key is not on this server: give the recovery kit that holds it")]
    NoRoot,
    /// A root key that the locks did not pin.
    #[error("this is another root key ({given}) than the one that the locks trust ({pinned})")]
    OtherRoot {
        /// Its thumbprint.
        given: String,
        /// The thumbprint of the one that is needed.
        pinned: String,
    },
    /// The key before the present one has not ended yet, and a keyset has room for two of a purpose.
    #[error(
        "the {} keys were rotated lately: the one before still counts until {until}, for what it has signed; \
         rotate again after that, or end it at once with `--end-former`",
        word(*.purpose)
    )]
    Overlapping {
        /// The purpose.
        purpose: Use,
        /// When that key ends.
        until: Timestamp,
    },
    /// The machine's clock is before the last rotation: lives would be wrong.
    #[error("the clock is behind: the newest signing key was made at {0}")]
    ClockBehind(Timestamp),
    /// The library made no key.
    #[error("a signing key could not be made")]
    NotMade,
    /// The keyset could not be signed.
    #[error("the keyset could not be signed")]
    Sign(#[from] SignError),
}

/// How long signing keys live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lives {
    /// The age at which a key is replaced by a new one.
    pub rotate_after: Duration,
    /// How long the one before still counts then: longer than the longest pass lives, and shorter than `rotate_after`.
    pub overlap: Duration,
    /// How long a key counts where it is never replaced.
    pub life: Duration,
}

impl Default for Lives {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        Self {
            rotate_after: days(90),
            overlap: days(14),
            life: days(365),
        }
    }
}

/// What a key is for, as it stands in a keyset.
#[must_use]
pub const fn word(purpose: Use) -> &'static str {
    match purpose {
        Use::Unlock => "unlock",
        Use::Pass => "pass",
        Use::Doc => "doc",
        Use::Ack => "ack",
    }
}

/// The keys of this backend, and their file.
pub struct KeyStore {
    vault: Arc<Vault>,
    lives: Lives,
    loaded: RwLock<Loaded>,
}

struct Loaded {
    ring: Arc<Ring>,
    stamp: Option<Stamp>,
}

impl KeyStore {
    /// Reads the keys of the backend `issuer`, or makes them where there are none. A file of the first version, which was
    /// not sealed and had no keyset, is taken over: same root, a new keyset.
    ///
    /// # Errors
    /// [`KeyError::Vault`] where folder, file or key-encryption key cannot be used, [`KeyError::Damaged`] where the file
    /// is not whole, [`KeyError::OtherIssuer`].
    pub fn open(vault: Arc<Vault>, issuer: &str, lives: Lives, now: Timestamp) -> Result<Self, KeyError> {
        if vault.read(FILE)?.is_none() {
            let made = KeyFile::make(issuer, &RootKey::make()?, 1, lives, now)?;
            vault.write_new(FILE, &made.to_bytes()?)?;
        }
        if vault.read(FILE)?.is_some_and(|content| !content.is_sealed) {
            let _held = vault.hold(LOCK)?;
            // Another node may have been faster.
            if let Some(content) = vault.read(FILE)?.filter(|content| !content.is_sealed) {
                let file =
                    KeyFile::taken_over(&content.bytes, issuer, lives, now).map_err(|what| damaged(&vault, what))?;
                vault.replace(FILE, &file.to_bytes()?)?;
                tracing::info!("the signing keys are sealed from now on, and their keyset is new");
            }
        }
        Self::read(vault, issuer, lives)
    }

    /// Whether the folder has signing keys, whatever they are.
    #[must_use]
    pub fn is_in(folder: &std::path::Path) -> bool {
        folder.join(FILE).exists()
    }

    /// Reads the keys, and makes none.
    ///
    /// # Errors
    /// As [`Self::open`]; [`KeyError::None`].
    pub fn open_existing(vault: Arc<Vault>, issuer: &str, lives: Lives, now: Timestamp) -> Result<Self, KeyError> {
        if vault.stamp(FILE)?.is_none() {
            return Err(KeyError::None(vault.path(FILE)));
        }
        Self::open(vault, issuer, lives, now)
    }

    /// Makes new keys under a root key that locks trust already: after the folder was lost. The keyset's version is above
    /// all that these locks may hold.
    ///
    /// # Errors
    /// [`KeyError::Present`], and those of [`Self::open`].
    pub fn found(
        vault: Arc<Vault>,
        issuer: &str,
        root: &RootKey,
        lives: Lives,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        let _held = vault.hold(LOCK)?;
        if vault.stamp(FILE)?.is_some() {
            return Err(KeyError::Present(vault.path(FILE)));
        }
        let made = KeyFile::make(issuer, root, rotate::version_above_all(now), lives, now)?;
        vault.write_new(FILE, &made.to_bytes()?)?;
        Self::read(vault, issuer, lives)
    }

    fn read(vault: Arc<Vault>, issuer: &str, lives: Lives) -> Result<Self, KeyError> {
        let (file, stamp) = load(&vault)?;
        if file.issuer != issuer {
            return Err(KeyError::OtherIssuer {
                stored: file.issuer.clone(),
                configured: issuer.to_owned(),
            });
        }
        let ring = Arc::new(file.ring().map_err(|what| damaged(&vault, what))?);
        Ok(Self {
            vault,
            lives,
            loaded: RwLock::new(Loaded { ring, stamp }),
        })
    }

    /// The keys as they are now; the same ones until they are asked for again.
    #[must_use]
    pub fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).ring)
    }

    /// Signs for a lock that holds this version of the keyset (0 for none, or not known), with the newest keys that it
    /// holds.
    #[must_use]
    pub fn signer(&self, held: u64, now: Timestamp) -> Signer {
        Signer::new(self.ring(), held, now.as_seconds())
    }

    /// The public half of the root key, which locks pin when they enrol.
    #[must_use]
    pub fn root(&self) -> PublicKey {
        self.ring().root().clone()
    }

    /// How long keys live.
    #[must_use]
    pub fn lives(&self) -> Lives {
        self.lives
    }

    /// Where they are.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Takes over what another process has written into the file since; says whether there was something.
    ///
    /// # Errors
    /// [`KeyError`]; the keys in use stay then.
    pub fn refresh(&self) -> Result<bool, KeyError> {
        let known = self.loaded.read().unwrap_or_else(PoisonError::into_inner).stamp;
        if self.vault.stamp(FILE)? == known {
            return Ok(false);
        }
        let (file, stamp) = load(&self.vault)?;
        self.take(&file, stamp)
    }

    /// Makes the content of the file the keys in use; says whether they are others.
    fn take(&self, file: &KeyFile, stamp: Option<Stamp>) -> Result<bool, KeyError> {
        let ring = file.ring().map_err(|what| damaged(&self.vault, what))?;
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if ring.version() < loaded.ring.version() {
            return Err(KeyError::Older {
                path: self.vault.path(FILE),
                found: ring.version(),
                held: loaded.ring.version(),
            });
        }
        let is_other = ring.version() > loaded.ring.version() || ring.has_root() != loaded.ring.has_root();
        *loaded = Loaded {
            ring: Arc::new(ring),
            stamp,
        };
        Ok(is_other)
    }

    /// The root key, where it is on this machine.
    ///
    /// # Errors
    /// [`KeyError::NoRoot`], and those of [`Self::open`].
    pub fn root_key(&self) -> Result<RootKey, KeyError> {
        let (file, _) = load(&self.vault)?;
        file.root_key()?.ok_or(KeyError::NoRoot)
    }

    /// Takes the root key off this machine. Everything goes on; only rotating needs it.
    ///
    /// # Errors
    /// [`KeyError::NoRoot`], and those of [`Self::open`].
    pub fn remove_root(&self) -> Result<(), KeyError> {
        self.change(|file| match file.remove_root() {
            true => Ok(()),
            false => Err(KeyError::NoRoot),
        })
    }

    /// Puts the root key back on this machine.
    ///
    /// # Errors
    /// [`KeyError::OtherRoot`], and those of [`Self::open`].
    pub fn restore_root(&self, root: &RootKey) -> Result<(), KeyError> {
        self.change(|file| file.restore_root(root))
    }

    /// Changes the file, one process at a time; what `change` refuses leaves it as it is.
    fn change<T>(&self, change: impl FnOnce(&mut KeyFile) -> Result<T, KeyError>) -> Result<T, KeyError> {
        let _held = self.vault.hold(LOCK)?;
        let (mut file, _) = load(&self.vault)?;
        let changed = change(&mut file)?;
        file.ring().map_err(|what| damaged(&self.vault, what))?;
        self.vault.replace(FILE, &file.to_bytes()?)?;
        let stamp = self.vault.stamp(FILE)?;
        self.take(&file, stamp)?;
        Ok(changed)
    }
}

/// The content of the file, and what tells when it changes. The stamp is taken first: a change in between is seen again.
fn load(vault: &Vault) -> Result<(KeyFile, Option<Stamp>), KeyError> {
    let stamp = vault.stamp(FILE)?;
    let content = vault.read(FILE)?.ok_or_else(|| KeyError::None(vault.path(FILE)))?;
    if !content.is_sealed {
        return Err(damaged(vault, "it is not sealed".to_owned()));
    }
    let file = KeyFile::from_bytes(&content.bytes).map_err(|what| damaged(vault, what))?;
    Ok((file, stamp))
}

fn damaged(vault: &Vault, what: String) -> KeyError {
    KeyError::Damaged {
        path: vault.path(FILE),
        what,
    }
}

/// Opens the vault of the folder and the keys in it, for tests of whatever signs.
#[cfg(test)]
pub fn open_in(folder: &std::path::Path, issuer: &str, now: Timestamp) -> Result<KeyStore, KeyError> {
    let place = crate::crypto::vault::KeyPlace::Own(folder.with_extension("kek"));
    let vault = Arc::new(Vault::open(folder, &place)?);
    KeyStore::open(vault, issuer, Lives::default(), now)
}

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyStore({:?})", self.ring())
    }
}

#[cfg(test)]
mod tests;
