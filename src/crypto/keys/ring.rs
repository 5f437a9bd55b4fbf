//! The keys in use: what signs now, and what locks believe.

use doorward_lock::jws::ALG;
use doorward_lock::wire::Use;
use jsonwebtoken::EncodingKey;
use serde::Serialize;

use super::Lives;
use super::file::StoredKey;
use crate::crypto::public_key::PublicKey;
use crate::domain::time::Timestamp;

/// One key: ES256, for one purpose, for some time.
pub struct SigningKey {
    purpose: Use,
    kid: String,
    since: u64,
    made: u64,
    nbf: u64,
    exp: u64,
    public: PublicKey,
    private: EncodingKey,
}

impl SigningKey {
    pub(super) fn new(stored: &StoredKey, public: PublicKey, private: EncodingKey) -> Self {
        Self {
            purpose: stored.purpose,
            kid: public.thumbprint(),
            since: stored.since,
            made: stored.made,
            nbf: stored.nbf,
            exp: stored.exp,
            public,
            private,
        }
    }

    /// What it signs.
    #[must_use]
    pub fn purpose(&self) -> Use {
        self.purpose
    }

    /// The name under which it signs: the thumbprint of its public half (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The first version of the keyset that lists it: who holds that or a later one holds the key.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.since
    }

    /// When it was made.
    #[must_use]
    pub fn made_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.made)
    }

    /// The last second in which it counts.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.exp)
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(super) fn nbf(&self) -> u64 {
        self.nbf
    }

    pub(super) fn exp(&self) -> u64 {
        self.exp
    }

    pub(in crate::crypto) fn private(&self) -> &EncodingKey {
        &self.private
    }

    fn counts(&self, now: u64) -> bool {
        (self.nbf..=self.exp).contains(&now)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({:?}, {})", self.purpose, self.kid)
    }
}

/// Every key that signs, and the keyset that lists them.
#[derive(Debug)]
pub struct Ring {
    version: u64,
    root: PublicKey,
    has_root: bool,
    keys: Vec<SigningKey>,
    keyset: String,
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

impl Ring {
    pub(super) fn new(version: u64, root: PublicKey, has_root: bool, keys: Vec<SigningKey>, keyset: String) -> Self {
        Self {
            version,
            root,
            has_root,
            keys,
            keyset,
        }
    }

    /// Version of the keyset.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The keyset, signed: one document for every lock.
    #[must_use]
    pub fn keyset(&self) -> &str {
        &self.keyset
    }

    /// The public half of the root key.
    #[must_use]
    pub fn root(&self) -> &PublicKey {
        &self.root
    }

    /// Whether the root key is on this machine.
    #[must_use]
    pub fn has_root(&self) -> bool {
        self.has_root
    }

    /// The keys that the keyset lists.
    #[must_use]
    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// The newest key for this purpose.
    #[must_use]
    pub fn newest(&self, purpose: Use) -> Option<&SigningKey> {
        self.of(purpose).max_by_key(|key| key.since)
    }

    /// The key to sign with for somebody who holds this version of the keyset: the newest that they hold, as long as it
    /// counts, else the newest of all.
    #[must_use]
    pub fn pick(&self, purpose: Use, held: u64, now: u64) -> Option<&SigningKey> {
        let known = |key: &&SigningKey| key.since <= held && key.counts(now);
        self.of(purpose)
            .filter(known)
            .max_by_key(|key| key.since)
            .or_else(|| self.newest(purpose))
    }

    fn of(&self, purpose: Use) -> impl Iterator<Item = &SigningKey> {
        self.keys.iter().filter(move |key| key.purpose == purpose)
    }

    /// The purposes whose newest key is as old as a key may get.
    pub fn due(&self, lives: Lives, now: Timestamp) -> impl Iterator<Item = Use> {
        let is_due = move |purpose: &Use| {
            let newest = self.newest(*purpose);
            newest.is_some_and(|key| now >= key.made_at() + lives.rotate_after)
        };
        super::USES.into_iter().filter(is_due)
    }

    /// When the first of the newest keys ends: from then on locks do not believe everything any more.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        let ends = super::USES.into_iter().filter_map(|purpose| self.newest(purpose));
        Timestamp::from_seconds(ends.map(|key| key.exp).min().unwrap_or(0))
    }

    /// The public halves of all keys.
    #[must_use]
    pub fn jwks(&self) -> Jwks {
        let jwk = |key: &PublicKey| Jwk {
            kid: key.thumbprint(),
            key: key.clone(),
            alg: ALG,
            usage: "sig",
        };
        let signing = self.keys.iter().map(SigningKey::public);
        Jwks {
            keys: std::iter::once(&self.root).chain(signing).map(jwk).collect(),
        }
    }
}
