//! Files of secrets, sealed at rest under a key-encryption key that is kept apart from them: a copied folder alone opens
//! nothing.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crypto::digest::digest;
use crate::crypto::private_folder::{FolderError, Held, PrivateFolder, Stamp};
use crate::crypto::random::{OsRandom, Random};
use crate::crypto::sealed::{NotSealed, SealingKey};

/// How many bytes a key-encryption key has.
const KEY_BYTES: usize = 32;

/// What an envelope calls itself.
const FORM: &str = "doorward-1";

/// The bits of a mode that may not be set on a key that somebody else has put there: systemd shows the access list of a
/// credential as a group that may read.
const STRANGERS: u32 = 0o037;

/// A file of secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A folder or file cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There are sealed files, and no key to open them.
    #[error(
        "{sealed} is sealed, and its key-encryption key {path} is missing: put it back from a backup; without it the keys are lost"
    )]
    KeyMissing {
        /// Where the key should be.
        path: PathBuf,
        /// A file that it would open.
        sealed: PathBuf,
    },
    /// The configuration names a key-encryption key that is not there, and nothing is sealed yet.
    #[error(
        "the key-encryption key {0} is missing: make one with `(umask 077; head -c 32 /dev/urandom | base64 > {0})`"
    )]
    NoKey(PathBuf),
    /// What is there is no key.
    #[error("{0} is no key-encryption key: expected 32 bytes as base64; restore it from a backup")]
    NotAKey(PathBuf),
    /// Others may read the key.
    #[error("{path} is open to others (mode {mode:03o}): run `chmod 600 {path}`")]
    KeyOpen {
        /// The key.
        path: PathBuf,
        /// The mode it has.
        mode: u32,
    },
    /// The key is another than the one that the file was sealed under.
    #[error("{sealed} is sealed under the key-encryption key {wanted}, and {path} is {found}: put the right one there")]
    OtherKey {
        /// The file.
        sealed: PathBuf,
        /// The key that it names.
        wanted: String,
        /// Where the key was read.
        path: PathBuf,
        /// The key that is there.
        found: String,
    },
    /// The file does not open although the key is the right one.
    #[error("{0} is damaged: restore it from a backup")]
    Damaged(PathBuf),
    /// Sealing failed.
    #[error("a file could not be sealed")]
    Seal(#[from] NotSealed),
    /// The key cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The key.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// Where the key-encryption key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// A file of our own, made at first run.
    Own(PathBuf),
    /// A file that the operator provides, such as a credential of systemd; never made or changed here.
    Given(PathBuf),
}

impl KeyPlace {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Own(path) | Self::Given(path) => path,
        }
    }
}

/// A private folder whose files are sealed.
pub struct Vault {
    folder: PrivateFolder,
    key: EncryptionKey,
}

/// The content of a file.
pub struct Content {
    /// What it holds.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Whether it was sealed; files of the first version were not.
    pub is_sealed: bool,
}

/// A sealed file as it stands on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    /// [`FORM`].
    sealed: String,
    /// Name of the key-encryption key.
    key: String,
    /// The sealed content as base64.
    content: String,
}

impl Envelope {
    /// The envelope that these bytes are, if they are one.
    fn of(bytes: &[u8]) -> Option<Self> {
        let envelope: Self = serde_json::from_slice(bytes).ok()?;
        (envelope.sealed == FORM).then_some(envelope)
    }
}

struct EncryptionKey {
    secret: Zeroizing<[u8; KEY_BYTES]>,
    name: String,
    path: PathBuf,
}

impl EncryptionKey {
    /// The key that is there, if there is a file.
    fn find(place: &KeyPlace) -> Result<Option<Self>, VaultError> {
        let path = place.path();
        let unreadable = |source| VaultError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        let forbidden = match place {
            KeyPlace::Own(_) => 0o077,
            KeyPlace::Given(_) => STRANGERS,
        };
        if mode & forbidden != 0 {
            return Err(VaultError::KeyOpen {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(unreadable)?;
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).unwrap_or_default());
        let secret = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| VaultError::NotAKey(path.to_owned()))?;
        let secret = Zeroizing::new(secret);
        Ok(Some(Self {
            name: name_of(&secret),
            secret,
            path: path.to_owned(),
        }))
    }

    /// Makes the key where it is ours to make.
    fn make(place: &KeyPlace) -> Result<Self, VaultError> {
        let KeyPlace::Own(path) = place else {
            return Err(VaultError::NoKey(place.path().to_owned()));
        };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return Err(VaultError::NoKey(path.clone()));
        };
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        OsRandom.fill(secret.as_mut());
        let text = Zeroizing::new(STANDARD.encode(secret.as_ref()) + "\n");
        // Of two that start at once the first makes it for both.
        PrivateFolder::unguarded(folder).write_new(name, text.as_bytes())?;
        Self::find(place)?.ok_or_else(|| VaultError::NoKey(path.clone()))
    }

    fn sealing(&self, name: &str) -> Result<SealingKey, NotSealed> {
        SealingKey::derive(self.secret.as_ref(), &[b"doorward-key-file", name.as_bytes()])
    }
}

/// What a key is called where it is named: a digest that says nothing about it.
fn name_of(secret: &[u8; KEY_BYTES]) -> String {
    let hash = digest(&[b"doorward-key-encryption-key".as_slice(), secret].concat());
    URL_SAFE_NO_PAD.encode(&hash[..8])
}

impl Vault {
    /// Opens the folder with its key. A key of our own is made where there is none and nothing is sealed yet.
    ///
    /// # Errors
    /// [`VaultError`], which names the file and the remedy. A missing or foreign key is never replaced.
    pub fn open(folder: &Path, place: &KeyPlace) -> Result<Self, VaultError> {
        let folder = PrivateFolder::open(folder)?;
        if let Some(key) = EncryptionKey::find(place)? {
            return Ok(Self { folder, key });
        }
        for name in folder.names()? {
            if folder.read(&name)?.is_some_and(|bytes| Envelope::of(&bytes).is_some()) {
                return Err(VaultError::KeyMissing {
                    path: place.path().to_owned(),
                    sealed: folder.path(&name),
                });
            }
        }
        let key = EncryptionKey::make(place)?;
        Ok(Self { folder, key })
    }

    /// What the key-encryption key is called: nothing secret.
    #[must_use]
    pub fn key_name(&self) -> &str {
        &self.key.name
    }

    /// Where the key-encryption key was read.
    #[must_use]
    pub fn key_path(&self) -> &Path {
        &self.key.path
    }

    /// Where a file is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// The content of a file, or `None` where there is none.
    ///
    /// # Errors
    /// [`VaultError::OtherKey`], [`VaultError::Damaged`], [`VaultError::Folder`].
    pub fn read(&self, name: &str) -> Result<Option<Content>, VaultError> {
        let Some(bytes) = self.folder.read(name)? else {
            return Ok(None);
        };
        let Some(envelope) = Envelope::of(&bytes) else {
            return Ok(Some(Content {
                bytes,
                is_sealed: false,
            }));
        };
        let sealed = self.path(name);
        if envelope.key != self.key.name {
            return Err(VaultError::OtherKey {
                sealed,
                wanted: envelope.key,
                path: self.key.path.clone(),
                found: self.key.name.clone(),
            });
        }
        let opened = STANDARD.decode(&envelope.content).ok();
        let opened = opened.and_then(|content| self.key.sealing(name).ok()?.open(&content).ok());
        match opened {
            Some(opened) => Ok(Some(Content {
                bytes: Zeroizing::new(opened),
                is_sealed: true,
            })),
            None => Err(VaultError::Damaged(sealed)),
        }
    }

    /// A secret of 32 bytes of this installation, made where there is none: of nodes that share the folder the first makes it
    /// for all.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] where what is there is none; those of reading and writing.
    pub fn secret(&self, name: &str, random: &dyn Random) -> Result<Content, VaultError> {
        if self.read(name)?.is_none() {
            let mut secret = Zeroizing::new([0; KEY_BYTES]);
            random.fill(secret.as_mut());
            self.write_new(name, secret.as_ref())?;
        }
        let secret = self.read(name)?.filter(|content| content.bytes.len() == KEY_BYTES);
        secret.ok_or_else(|| VaultError::Damaged(self.path(name)))
    }

    /// Seals and writes a file that is not there yet; where another node was faster, its file stays.
    ///
    /// # Errors
    /// [`VaultError::Folder`] where it cannot be written.
    pub fn write_new(&self, name: &str, content: &[u8]) -> Result<(), VaultError> {
        Ok(self.folder.write_new(name, &self.seal(name, content)?)?)
    }

    /// Seals and writes a file in place of what is there, whole or not at all.
    ///
    /// # Errors
    /// [`VaultError::Folder`] where it cannot be written.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<(), VaultError> {
        Ok(self.folder.replace(name, &self.seal(name, content)?)?)
    }

    /// See [`PrivateFolder::hold`].
    ///
    /// # Errors
    /// [`VaultError::Folder`].
    pub fn hold(&self, name: &str) -> Result<Held, VaultError> {
        Ok(self.folder.hold(name)?)
    }

    /// See [`PrivateFolder::stamp`].
    ///
    /// # Errors
    /// [`VaultError::Folder`].
    pub fn stamp(&self, name: &str) -> Result<Option<Stamp>, VaultError> {
        Ok(self.folder.stamp(name)?)
    }

    fn seal(&self, name: &str, content: &[u8]) -> Result<Vec<u8>, VaultError> {
        let sealed = self.key.sealing(name)?.seal(content, &OsRandom)?;
        let envelope = Envelope {
            sealed: FORM.to_owned(),
            key: self.key.name.clone(),
            content: STANDARD.encode(sealed),
        };
        serde_json::to_vec(&envelope).map_err(|_| NotSealed.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct House {
        state: tempfile::TempDir,
    }

    impl House {
        fn new() -> Self {
            Self {
                state: tempfile::tempdir().unwrap(),
            }
        }

        fn place(&self) -> KeyPlace {
            KeyPlace::Own(self.state.path().join("kek"))
        }

        fn open(&self, place: &KeyPlace) -> Result<Vault, VaultError> {
            Vault::open(&self.state.path().join("keys"), place)
        }
    }

    fn why(opened: Result<Vault, VaultError>) -> String {
        opened.err().unwrap().to_string()
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_only() {
        let house = House::new();
        let vault = house.open(&house.place()).unwrap();
        vault.write_new("a", b"secret").unwrap();
        vault.write_new("a", b"too late").unwrap();
        let on_disk = std::fs::read_to_string(vault.path("a")).unwrap();
        assert!(!on_disk.contains("secret"));
        let again = house.open(&house.place()).unwrap();
        let content = again.read("a").unwrap().unwrap();
        assert!(content.is_sealed && content.bytes.as_slice() == b"secret");
        std::fs::copy(vault.path("a"), vault.path("b")).unwrap();
        assert!(
            matches!(again.read("b"), Err(VaultError::Damaged(_))),
            "under another name"
        );

        std::fs::remove_file(house.state.path().join("kek")).unwrap();
        assert!(why(house.open(&house.place())).contains("is missing"));
        let other = KeyPlace::Given(house.state.path().join("other"));
        assert!(why(house.open(&other)).contains("is missing"));
        std::fs::write(other.path(), STANDARD.encode([7; 32])).unwrap();
        std::fs::set_permissions(other.path(), std::fs::Permissions::from_mode(0o440)).unwrap();
        let wrong = house.open(&other).unwrap().read("a").err().unwrap().to_string();
        assert!(wrong.contains("put the right one there"), "{wrong}");
        assert_eq!(
            std::fs::read_to_string(vault.path("a")).unwrap(),
            on_disk,
            "never replaced"
        );
    }

    #[test]
    fn a_key_is_made_only_where_it_is_ours_and_nothing_is_sealed() {
        let house = House::new();
        let given = KeyPlace::Given(house.state.path().join("given"));
        assert!(why(house.open(&given)).contains("make one with"));
        house.open(&house.place()).unwrap();
        let made = house.state.path().join("kek").metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(made, 0o600);
        for (content, mode, remedy) in [
            ("short", 0o600, "no key-encryption key"),
            ("", 0o600, "no key-encryption key"),
            (&STANDARD.encode([7; 33]), 0o600, "no key-encryption key"),
            (&STANDARD.encode([7; 32]), 0o604, "chmod 600"),
            (&STANDARD.encode([7; 32]), 0o460, "chmod 600"),
        ] {
            std::fs::write(given.path(), content).unwrap();
            std::fs::set_permissions(given.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(why(house.open(&given)).contains(remedy), "{content} {mode:o}");
            std::fs::remove_file(given.path()).unwrap();
        }
    }

    #[test]
    fn a_damaged_file_says_so() {
        let house = House::new();
        let vault = house.open(&house.place()).unwrap();
        vault.write_new("a", b"secret").unwrap();
        let mut envelope = Envelope::of(&std::fs::read(vault.path("a")).unwrap()).unwrap();
        envelope.content = envelope.content.chars().rev().collect();
        std::fs::write(vault.path("a"), serde_json::to_vec(&envelope).unwrap()).unwrap();
        assert!(matches!(vault.read("a"), Err(VaultError::Damaged(_))));
    }
}
