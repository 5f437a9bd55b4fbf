//! What a phone keeps: its key, which never leaves it, its passes, and what it carries.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_lock::jws::Message;
use doorward_lock::keys;
use doorward_lock::wire::{Lockdown, Revocations, Typ};
use p256::ecdsa::SigningKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{PhoneError, Prover};
use crate::crypto::private_folder::PrivateFolder;
use crate::crypto::public_key::PublicKey;
use crate::crypto::random::Random;
use crate::domain::ids::LockId;
use crate::domain::time::Clock;

/// The file with the private key, as base64url.
const KEY: &str = "phone.key";

/// The file with everything else.
const WALLET: &str = "wallet.json";

/// The most messages that are carried at a time. More stay with their lock.
const CARRIED: usize = 1_024;

/// A phone's folder.
pub struct Wallet {
    folder: PrivateFolder,
    pub(super) key: SigningKey,
    pub(super) held: Held,
}

/// What changes.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Held {
    /// The backend's address.
    pub(super) server: String,
    /// What the backend calls this phone.
    pub(super) phone_id: String,
    /// What the next session begins with.
    pub(super) refresh_token: String,
    /// Whether that is bound to the phone's key. Wallets from before know of no such thing.
    #[serde(default)]
    pub(super) is_bound: bool,
    /// What the backend calls itself.
    #[serde(default)]
    pub(super) known_as: String,
    pub(super) locks: BTreeMap<LockId, HeldLock>,
    /// Messages of locks for the backend, the oldest first.
    pub(super) carried: Vec<Carried>,
}

/// What the phone has for one lock.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct HeldLock {
    /// By which the lock proves who it is.
    pub(super) public_key: PublicKey,
    #[serde(default)]
    pub(super) pass: Option<String>,
    /// When the pass ends, for people.
    #[serde(default)]
    pub(super) expires_at: Option<String>,
    /// Messages of the backend for the lock.
    #[serde(default)]
    pub(super) documents: Vec<String>,
    /// Where it was met last.
    #[serde(default)]
    pub(super) address: Option<String>,
}

/// A message on its way to the backend.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Carried {
    pub(super) lock: LockId,
    pub(super) message: String,
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wallet({})", self.held.phone_id)
    }
}

impl Wallet {
    /// Opens the folder, and makes it, with a new key, where it is missing.
    ///
    /// # Errors
    /// [`PhoneError::Folder`] where others may enter it, [`PhoneError::Damaged`] where it holds something else.
    pub fn open(path: &Path, random: &dyn Random) -> Result<Self, PhoneError> {
        let folder = PrivateFolder::open(path)?;
        let scalar = folder.read_or_make::<PhoneError>(KEY, || Ok(new_scalar(random)))?;
        let key = URL_SAFE_NO_PAD
            .decode(scalar.as_slice())
            .ok()
            .map(Zeroizing::new)
            .and_then(|scalar| SigningKey::from_slice(&scalar).ok())
            .ok_or_else(|| PhoneError::Damaged(folder.path(KEY)))?;
        let held = match folder.read(WALLET)? {
            Some(content) => serde_json::from_slice(&content).map_err(|_| PhoneError::Damaged(folder.path(WALLET)))?,
            None => Held::default(),
        };
        Ok(Self { folder, key, held })
    }

    /// The phone's public key.
    ///
    /// # Errors
    /// [`PhoneError::Signature`] where the key's point cannot be written, which no key of ours is.
    pub fn public_key(&self) -> Result<PublicKey, PhoneError> {
        public_key_of(&self.key)
    }

    /// What proves to a backend that requests are this phone's.
    ///
    /// # Errors
    /// As [`Self::public_key`].
    pub fn prover(&self, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Prover, PhoneError> {
        Ok(Prover {
            key: self.key.clone(),
            public: self.public_key()?,
            clock,
            random,
        })
    }

    /// What the backend that its passes are from calls itself; `None` where that is its address.
    #[must_use]
    pub fn known_as(&self) -> Option<&str> {
        Some(self.held.known_as.as_str()).filter(|name| !name.is_empty())
    }

    /// The address of the backend that its passes are from.
    ///
    /// # Errors
    /// [`PhoneError::NotSignedIn`] where there is none yet.
    pub fn server(&self) -> Result<&str, PhoneError> {
        if self.held.server.is_empty() {
            return Err(PhoneError::NotSignedIn);
        }
        Ok(&self.held.server)
    }

    /// The locks that the phone has a pass for, with when each pass ends.
    pub fn passes(&self) -> impl Iterator<Item = (&LockId, &str)> {
        let with_pass = self.held.locks.iter().filter(|(_, held)| held.pass.is_some());
        with_pass.map(|(lock, held)| (lock, held.expires_at.as_deref().unwrap_or("?")))
    }

    /// Where the lock was met last.
    ///
    /// # Errors
    /// [`PhoneError::Nowhere`] where it never was.
    pub fn address_of(&self, lock: &LockId) -> Result<&str, PhoneError> {
        let held = self.held.locks.get(lock);
        held.and_then(|held| held.address.as_deref())
            .ok_or_else(|| PhoneError::Nowhere(lock.clone()))
    }

    /// How many messages are on their way to the backend.
    #[must_use]
    pub fn carries(&self) -> usize {
        self.held.carried.len()
    }

    /// Takes up messages of a lock; each once.
    pub(super) fn take_up(&mut self, lock: &LockId, messages: Vec<String>) {
        for message in messages {
            let carried = Carried {
                lock: lock.clone(),
                message,
            };
            if self.held.carried.len() < CARRIED && !self.held.carried.contains(&carried) {
                self.held.carried.push(carried);
            }
        }
    }

    /// Writes down what has changed.
    ///
    /// # Errors
    /// [`PhoneError::Folder`].
    pub(super) fn save(&self) -> Result<(), PhoneError> {
        let text = serde_json::to_vec_pretty(&self.held).map(Zeroizing::new);
        let text = text.map_err(|_| PhoneError::Damaged(self.folder.path(WALLET)))?;
        Ok(self.folder.replace(WALLET, &text)?)
    }
}

impl HeldLock {
    /// The messages that a lock with revocations of this epoch, and a lockdown of that one, still wants; `None` for a lock that
    /// knows nothing of lockdowns.
    pub(super) fn news(&self, epoch: u64, lockdown: Option<u64>) -> Vec<String> {
        let is_news = |document: &&String| match epoch_of(document) {
            Some((Typ::Lockdown, of)) => lockdown.is_some_and(|held| of > held),
            Some((_, of)) => of > epoch,
            None => true,
        };
        self.documents.iter().filter(is_news).cloned().collect()
    }

    /// Forgets what is handed over once: all but revocations and lockdown, which other phones' visits may call for again.
    pub(super) fn forget_handed_over(&mut self) {
        self.documents.retain(|document| epoch_of(document).is_some());
    }
}

/// The epoch of revocations or of a lockdown, whoever signed them; `None` for another message.
fn epoch_of(document: &str) -> Option<(Typ, u64)> {
    let message = Message::parse(document).ok()?;
    let typ = message.typ().ok()?;
    let epoch = match typ {
        Typ::Revocations => message.claims::<Revocations<'_>>().ok()?.epoch,
        Typ::Lockdown => message.claims::<Lockdown<'_>>().ok()?.epoch,
        _ => return None,
    };
    Some((typ, epoch))
}

/// The public half of the key.
pub(super) fn public_key_of(key: &SigningKey) -> Result<PublicKey, PhoneError> {
    let (x, y) = keys::PublicKey::from_key(*key.verifying_key()).coordinates();
    PublicKey::from_jwk(&keys::jwk(&x, &y)).map_err(|_| PhoneError::Signature)
}

/// A new private key as base64url.
fn new_scalar(random: &dyn Random) -> Zeroizing<Vec<u8>> {
    loop {
        let mut scalar = Zeroizing::new([0; 32]);
        random.fill(scalar.as_mut());
        // Zero and what is past the curve's order are no keys; nobody has ever drawn one.
        if SigningKey::from_slice(scalar.as_slice()).is_ok() {
            return Zeroizing::new(URL_SAFE_NO_PAD.encode(scalar.as_slice()).into_bytes());
        }
    }
}
