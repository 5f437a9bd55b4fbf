//! The backend's signing keys: one for each purpose, made at first run, kept in a folder of their own.
//!
//! All of them stand in one file, so that a first run leaves all or none, whenever the machine stops. Several nodes on
//! one database share the folder: whichever makes the file first has made it for all.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorward_lock::wire::{self, Use};
use jsonwebtoken::EncodingKey;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::crypto::private_folder::{FolderError, PrivateFolder};
use crate::crypto::public_key::PublicKey;
use crate::domain::time::Timestamp;

/// The file in the folder.
const FILE: &str = "signing.json";

/// How long a key lives, in seconds: ten years. A lock refuses what is signed by an older one.
const LIFE_SECONDS: u64 = 10 * 365 * 24 * 3600;

/// The signing keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The folder or the file cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The file is not one of ours, or a key is missing in it: no lock would believe new ones, so restore it.
    #[error("{path} is damaged ({what}): restore it from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The library made no key.
    #[error("a signing key could not be made")]
    NotMade,
}

/// What a signing key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Keysets; pinned by every lock when it enrols.
    Root,
    /// Unlock tokens.
    Unlock,
    /// Offline passes.
    Pass,
    /// Time and release.
    Doc,
    /// Acknowledgements and requests to send again.
    Ack,
}

impl Purpose {
    const ALL: [Self; 5] = [Self::Root, Self::Unlock, Self::Pass, Self::Doc, Self::Ack];

    /// The purpose as a keyset names it; the root key never stands in one.
    const fn in_keyset(self) -> Option<Use> {
        match self {
            Self::Root => None,
            Self::Unlock => Some(Use::Unlock),
            Self::Pass => Some(Use::Pass),
            Self::Doc => Some(Use::Doc),
            Self::Ack => Some(Use::Ack),
        }
    }
}

/// One key: ES256, for one purpose, for some time.
pub struct SigningKey {
    purpose: Purpose,
    kid: String,
    not_before: u64,
    not_after: u64,
    public: PublicKey,
    private: EncodingKey,
}

impl SigningKey {
    /// The name under which it signs: the thumbprint of its public half (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(super) fn private(&self) -> &EncodingKey {
        &self.private
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({:?}, {})", self.purpose, self.kid)
    }
}

/// Every key that this backend signs with.
#[derive(Debug)]
pub struct KeyStore {
    pub(super) root: SigningKey,
    pub(super) unlock: SigningKey,
    pass: SigningKey,
    pub(super) doc: SigningKey,
    pub(super) ack: SigningKey,
}

/// Public keys for whoever wants to verify what this backend signed (RFC 7517, 5): `/.well-known/jwks.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Jwks {
    /// One member a key.
    pub keys: Vec<Jwk>,
}

/// One public key of [`Jwks`].
#[derive(Debug, Clone, Serialize)]
pub struct Jwk {
    /// `kty`, `crv`, `x`, `y`.
    #[serde(flatten)]
    pub key: PublicKey,
    /// The name that stands in the header of what it signed.
    pub kid: String,
    /// `ES256`.
    pub alg: &'static str,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: &'static str,
}

impl KeyStore {
    /// Reads the keys of `folder`, or makes them where it holds none.
    ///
    /// # Errors
    /// [`KeyError::Folder`] where folder or file are open to others or cannot be read or written, [`KeyError::Damaged`]
    /// where the file is not whole.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, KeyError> {
        let folder = PrivateFolder::open(folder)?;
        let content = folder.read_or_make(FILE, || KeyFile::make(now))?;
        let damaged = |what: String| KeyError::Damaged {
            path: folder.path(FILE),
            what,
        };
        let file: KeyFile = serde_json::from_slice(&content).map_err(|error| damaged(error.to_string()))?;
        let mut keys = file.keys.iter();
        let mut next = |purpose: Purpose| {
            let stored = keys.next().filter(|stored| stored.purpose == purpose);
            stored
                .and_then(StoredKey::open)
                .ok_or_else(|| damaged(format!("no good {purpose:?} key")))
        };
        let [root, unlock, pass, doc, ack] = Purpose::ALL.map(&mut next);
        Ok(Self {
            root: root?,
            unlock: unlock?,
            pass: pass?,
            doc: doc?,
            ack: ack?,
        })
    }

    /// The key that locks pin when they enrol.
    #[must_use]
    pub fn root(&self) -> &SigningKey {
        &self.root
    }

    /// The keys of a keyset, as a lock is to believe them.
    pub fn keyset_keys(&self) -> impl Iterator<Item = wire::Key<'_>> {
        [&self.unlock, &self.pass, &self.doc, &self.ack]
            .into_iter()
            .filter_map(|key| {
                Some(wire::Key {
                    kid: &key.kid,
                    alg: doorward_lock::jws::ALG,
                    purpose: key.purpose.in_keyset()?,
                    nbf: key.not_before,
                    exp: key.not_after,
                    jwk: key.public.jwk(),
                })
            })
    }

    /// The public halves of all keys.
    #[must_use]
    pub fn jwks(&self) -> Jwks {
        let keys = [&self.root, &self.unlock, &self.pass, &self.doc, &self.ack].map(|key| Jwk {
            key: key.public.clone(),
            kid: key.kid.clone(),
            alg: doorward_lock::jws::ALG,
            usage: "sig",
        });
        Jwks { keys: keys.into() }
    }
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    /// One key a purpose, in the order of [`Purpose::ALL`].
    keys: Vec<StoredKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    #[serde(rename = "use")]
    purpose: Purpose,
    nbf: u64,
    exp: u64,
    /// PKCS#8 as base64.
    pkcs8: String,
}

impl Drop for StoredKey {
    fn drop(&mut self) {
        self.pkcs8.zeroize();
    }
}

impl KeyFile {
    fn make(now: Timestamp) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let nbf = now.as_seconds();
        let mut keys = Vec::new();
        for purpose in Purpose::ALL {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|_| KeyError::NotMade)?;
            let pkcs8 = STANDARD.encode(pkcs8.as_ref());
            keys.push(StoredKey {
                purpose,
                nbf,
                exp: nbf + LIFE_SECONDS,
                pkcs8,
            });
        }
        serde_json::to_vec_pretty(&Self { keys })
            .map(Zeroizing::new)
            .map_err(|_| KeyError::NotMade)
    }
}

impl StoredKey {
    fn open(&self) -> Option<SigningKey> {
        let pkcs8 = Zeroizing::new(STANDARD.decode(self.pkcs8.as_bytes()).ok()?);
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).ok()?;
        let public = PublicKey::from_point(pair.public_key().as_ref()).ok()?;
        Some(SigningKey {
            purpose: self.purpose,
            kid: public.thumbprint(),
            not_before: self.nbf,
            not_after: self.exp,
            public,
            private: EncodingKey::from_ec_der(&pkcs8),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_772_441_999_999);

    fn kids(keys: &KeyStore) -> Vec<String> {
        keys.jwks().keys.into_iter().map(|key| key.kid).collect()
    }

    #[test]
    fn the_keys_are_made_once_and_stay() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("keys");
        let first = KeyStore::open(&folder, NOW).unwrap();
        let again = KeyStore::open(&folder, NOW + std::time::Duration::from_secs(3600)).unwrap();
        assert_eq!(kids(&first), kids(&again));
        assert_eq!(kids(&first).iter().collect::<std::collections::HashSet<_>>().len(), 5);
        assert_eq!(
            folder.join(FILE).metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn nodes_that_start_together_get_the_same_keys() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("keys");
        let opened: Vec<Vec<String>> = std::thread::scope(|scope| {
            let nodes: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| kids(&KeyStore::open(&folder, NOW).unwrap())))
                .collect();
            nodes.into_iter().map(|node| node.join().unwrap()).collect()
        });
        assert!(opened.iter().all(|kids| *kids == opened[0]));
    }

    #[test]
    fn a_keyset_names_every_purpose_but_the_root() {
        let state = tempfile::tempdir().unwrap();
        let keys = KeyStore::open(state.path().join("keys").as_path(), NOW).unwrap();
        let listed: Vec<wire::Key<'_>> = keys.keyset_keys().collect();
        assert_eq!(
            listed.iter().map(|key| key.purpose).collect::<Vec<_>>(),
            [Use::Unlock, Use::Pass, Use::Doc, Use::Ack]
        );
        for key in listed {
            assert_eq!(key.kid, PublicKey::from_jwk(&key.jwk).unwrap().thumbprint());
            assert_eq!((key.nbf, key.exp), (1_772_441_999, 1_772_441_999 + LIFE_SECONDS));
            assert_ne!(key.kid, keys.root().kid());
        }
    }

    #[test]
    fn published_keys_have_no_private_half() {
        let state = tempfile::tempdir().unwrap();
        let keys = KeyStore::open(state.path().join("keys").as_path(), NOW).unwrap();
        for key in serde_json::to_value(keys.jwks()).unwrap()["keys"].as_array().unwrap() {
            let members: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
        }
    }

    #[test]
    fn a_damaged_file_is_never_replaced() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("keys");
        KeyStore::open(&folder, NOW).unwrap();
        let good = std::fs::read_to_string(folder.join(FILE)).unwrap();
        for (part, instead) in [
            (good.as_str(), ""),
            ("\"root\"", "\"ack\""),
            ("\"pkcs8\": \"MI", "\"pkcs8\": \"AA"),
            ("\"nbf\"", "\"x\""),
        ] {
            let bad = good.replacen(part, instead, 1);
            std::fs::write(folder.join(FILE), &bad).unwrap();
            let message = KeyStore::open(&folder, NOW).unwrap_err().to_string();
            assert!(message.contains("restore it from a backup"), "{message}");
            assert_eq!(std::fs::read_to_string(folder.join(FILE)).unwrap(), bad);
        }
    }
}
