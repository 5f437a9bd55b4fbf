//! The content of the file: the keys with their private halves, and the keyset over them.

use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorward_lock::jws::{ALG, Message};
use doorward_lock::keys::{Keyset, PublicKey as LocksKey};
use doorward_lock::wire::{self, MAX_KEYS, Typ, Use};
use jsonwebtoken::EncodingKey;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::ring::{Ring, SigningKey};
use super::rotate::USES;
use super::{KeyError, Lives};
use crate::crypto::public_key::PublicKey;
use crate::crypto::tokens::sign;
use crate::domain::time::Timestamp;

/// How long before its making a key counts, in seconds: the clock of a lock may be behind.
const BEFORE: u64 = 3600;

/// A private key as PKCS#8 in base64. Nothing of it is shown.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Private(String);

impl Drop for Private {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Private {
    fn make() -> Result<Self, KeyError> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| KeyError::NotMade)?;
        Ok(Self(STANDARD.encode(pkcs8.as_ref())))
    }

    fn der(&self) -> Option<Zeroizing<Vec<u8>>> {
        STANDARD.decode(self.0.as_bytes()).ok().map(Zeroizing::new)
    }

    fn pair(&self) -> Option<EcdsaKeyPair> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.der()?).ok()
    }

    fn public(&self) -> Option<PublicKey> {
        PublicKey::from_point(self.pair()?.public_key().as_ref()).ok()
    }

    fn signing(&self) -> Option<EncodingKey> {
        self.pair()?;
        Some(EncodingKey::from_ec_der(&self.der()?))
    }
}

/// The root key with its private half: for a recovery kit, and to rotate with.
pub struct RootKey {
    private: Private,
    public: PublicKey,
}

impl RootKey {
    /// A new one.
    pub(super) fn make() -> Result<Self, KeyError> {
        Self::of(Private::make()?)
    }

    fn of(private: Private) -> Result<Self, KeyError> {
        let public = private.public().ok_or(KeyError::NotMade)?;
        Ok(Self { private, public })
    }

    /// The key of this private number, 32 bytes big-endian.
    ///
    /// # Errors
    /// [`KeyError::NotMade`] where it is no key on P-256.
    pub fn from_scalar(scalar: &[u8; 32]) -> Result<Self, KeyError> {
        let made = || {
            let half = p256::ecdsa::SigningKey::from_slice(scalar).ok()?;
            let point = half.verifying_key().to_sec1_point(false);
            let pair = EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                scalar,
                point.as_bytes(),
            );
            let pkcs8 = pair.ok()?.to_pkcs8v1().ok()?;
            Some(Private(STANDARD.encode(pkcs8.as_ref())))
        };
        Self::of(made().ok_or(KeyError::NotMade)?)
    }

    /// Its private number, 32 bytes big-endian.
    ///
    /// # Errors
    /// [`KeyError::NotMade`] where the library does not give it, which it has no reason to.
    pub fn scalar(&self) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let pair = self.private.pair().ok_or(KeyError::NotMade)?;
        let number: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(|_| KeyError::NotMade)?;
        <[u8; 32]>::try_from(number.as_ref())
            .map(Zeroizing::new)
            .map_err(|_| KeyError::NotMade)
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RootKey({})", self.public.thumbprint())
    }
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFile {
    /// The backend that the keys are of: `iss` of the keyset.
    pub(super) issuer: String,
    /// Version of the keyset.
    pub(super) version: u64,
    root: StoredRoot,
    /// The keys of the keyset, in its order.
    pub(super) keys: Vec<StoredKey>,
    /// The keyset as the root key signed it.
    keyset: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRoot {
    public: PublicKey,
    /// Absent where the root key is kept elsewhere.
    private: Option<Private>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredKey {
    #[serde(rename = "use")]
    pub(super) purpose: Use,
    /// The first version of the keyset that lists it.
    pub(super) since: u64,
    /// When it was made, in seconds.
    pub(super) made: u64,
    pub(super) nbf: u64,
    pub(super) exp: u64,
    private: Private,
}

impl StoredKey {
    /// A new key that the keyset of this version lists first.
    pub(super) fn make(purpose: Use, since: u64, life: u64, now: u64) -> Result<Self, KeyError> {
        Ok(Self {
            purpose,
            since,
            made: now,
            nbf: now.saturating_sub(BEFORE),
            exp: now.saturating_add(life),
            private: Private::make()?,
        })
    }

    fn open(&self) -> Option<SigningKey> {
        Some(SigningKey::new(self, self.private.public()?, self.private.signing()?))
    }
}

/// The file of the first version: plain, one key a purpose, its keyset signed anew for every lock.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainFile {
    keys: Vec<PlainKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainKey {
    #[serde(rename = "use")]
    purpose: String,
    nbf: u64,
    exp: u64,
    pkcs8: Private,
}

impl KeyFile {
    /// New keys under this root key.
    pub(super) fn make(
        issuer: &str,
        root: &RootKey,
        version: u64,
        lives: Lives,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        let (life, now) = (lives.life.as_secs(), now.as_seconds());
        let keys: Result<_, KeyError> = USES
            .into_iter()
            .map(|purpose| StoredKey::make(purpose, version, life, now))
            .collect();
        let mut file = Self {
            issuer: issuer.to_owned(),
            version,
            root: StoredRoot {
                public: root.public.clone(),
                private: Some(Private(root.private.0.clone())),
            },
            keys: keys?,
            keyset: String::new(),
        };
        file.sign(root)?;
        Ok(file)
    }

    /// The content of a file of the first version, in the present form; or what is wrong with it.
    pub(super) fn taken_over(content: &[u8], issuer: &str, lives: Lives, now: Timestamp) -> Result<Self, String> {
        let plain: PlainFile = serde_json::from_slice(content).map_err(|error| error.to_string())?;
        let (life, seconds) = (lives.life.as_secs(), now.as_seconds());
        let mut root = None;
        let mut keys = Vec::new();
        for key in plain.keys {
            let purpose = match key.purpose.as_str() {
                "root" => {
                    root = Some(RootKey::of(key.pkcs8).map_err(|_| "no good root key".to_owned())?);
                    continue;
                }
                word => USES.into_iter().find(|purpose| super::word(*purpose) == word),
            };
            keys.push(StoredKey {
                purpose: purpose.ok_or("a key for no known purpose")?,
                since: 2,
                made: key.nbf,
                nbf: key.nbf,
                // They were made to live ten years.
                exp: key.exp.min(seconds.saturating_add(life)),
                private: key.pkcs8,
            });
        }
        let root = root.ok_or("no root key")?;
        if keys.iter().all(|key| key.purpose != Use::Pass) {
            keys.push(StoredKey::make(Use::Pass, 2, life, seconds).map_err(|error| error.to_string())?);
        }
        let mut file = Self {
            issuer: issuer.to_owned(),
            version: 2,
            root: StoredRoot {
                public: root.public.clone(),
                private: Some(Private(root.private.0.clone())),
            },
            keys,
            keyset: String::new(),
        };
        file.sign(&root).map_err(|error| error.to_string())?;
        file.ring()?;
        Ok(file)
    }

    pub(super) fn from_bytes(content: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(content).map_err(|error| error.to_string())
    }

    pub(super) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        serde_json::to_vec(self)
            .map(Zeroizing::new)
            .map_err(|_| KeyError::NotMade)
    }

    /// The root key, where it is here.
    pub(super) fn root_key(&self) -> Result<Option<RootKey>, KeyError> {
        let private = self.root.private.as_ref();
        private
            .map(|private| RootKey::of(Private(private.0.clone())))
            .transpose()
    }

    /// Says whether it was here.
    pub(super) fn remove_root(&mut self) -> bool {
        self.root.private.take().is_some()
    }

    pub(super) fn restore_root(&mut self, root: &RootKey) -> Result<(), KeyError> {
        self.refuse_other(root)?;
        self.root.private = Some(Private(root.private.0.clone()));
        Ok(())
    }

    pub(super) fn refuse_other(&self, root: &RootKey) -> Result<(), KeyError> {
        if root.public == self.root.public {
            return Ok(());
        }
        Err(KeyError::OtherRoot {
            given: root.public.thumbprint(),
            pinned: self.root.public.thumbprint(),
        })
    }

    /// Signs the keyset over the keys as they are now.
    pub(super) fn sign(&mut self, root: &RootKey) -> Result<(), KeyError> {
        let private = root.private.signing().ok_or(KeyError::NotMade)?;
        let keys = self.opened().ok_or(KeyError::NotMade)?;
        let keyset = {
            let claims = self.claims(&keys).ok_or(KeyError::NotMade)?;
            sign(&root.public.thumbprint(), &private, Typ::Keyset, &claims)?
        };
        self.keyset = keyset;
        Ok(())
    }

    fn opened(&self) -> Option<Vec<SigningKey>> {
        self.keys.iter().map(StoredKey::open).collect()
    }

    /// What the keyset is to say; `None` where that is more keys than it takes.
    fn claims<'a>(&'a self, keys: &'a [SigningKey]) -> Option<wire::Keyset<'a>> {
        // The list of a keyset panics where it overflows.
        if keys.len() > MAX_KEYS {
            return None;
        }
        let listed = keys.iter().map(|key| wire::Key {
            kid: key.kid(),
            alg: ALG,
            purpose: key.purpose(),
            nbf: key.nbf(),
            exp: key.exp(),
            jwk: key.public().jwk(),
        });
        Some(wire::Keyset {
            iss: &self.issuer,
            version: self.version,
            keys: listed.collect(),
            min_rev: 0,
        })
    }

    /// The keys, ready to sign with; or what is wrong with the file. A lock reads the keyset here, so that none is ever
    /// sent that no lock would take.
    pub(super) fn ring(&self) -> Result<Ring, String> {
        if let Some(root) = self.root_key().map_err(|_| "no good root key".to_owned())? {
            self.refuse_other(&root).map_err(|error| error.to_string())?;
        }
        let keys = self.opened().ok_or("a key that is none")?;
        if let Some(missing) = USES
            .into_iter()
            .find(|purpose| keys.iter().all(|key| key.purpose() != *purpose))
        {
            return Err(format!("no {} key", super::word(missing)));
        }
        let root = LocksKey::from_jwk(&self.root.public.jwk()).ok_or("no good root key")?;
        Keyset::read(&self.keyset, &root, &self.issuer).map_err(|refusal| format!("its keyset: {refusal}"))?;
        let says_so = {
            let message = Message::parse(&self.keyset).map_err(|refusal| refusal.to_string())?;
            let claims: Result<wire::Keyset<'_>, _> = message.claims();
            claims.ok() == self.claims(&keys)
        };
        if !says_so {
            return Err("its keyset is about other keys".to_owned());
        }
        Ok(Ring::new(
            self.version,
            self.root.public.clone(),
            self.root.private.is_some(),
            keys,
            self.keyset.clone(),
        ))
    }
}
