//! Folders for private keys: nobody but the account of the backend may read them. Every private byte that is kept on
//! disk goes in and out here.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::crypto::random::{OsRandom, Random as _};

/// The bits of a mode that let others in.
const OTHERS: u32 = 0o077;

/// A folder or file of private keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Others may read or write it.
    #[error("{path} is open to others (mode {mode:03o}): run `chmod {wanted:03o} {path}`")]
    Open {
        /// The folder or file.
        path: PathBuf,
        /// The mode it has.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// The operating system refused.
    #[error("{path} cannot be {verb}")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What was tried: `read`, `written`, `made`, `locked`.
        verb: &'static str,
        /// What it said.
        source: std::io::Error,
    },
}

/// A folder that only this account may enter.
#[derive(Debug, Clone)]
pub struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// Opens the folder, and makes it where it is missing.
    ///
    /// # Errors
    /// [`FolderError::Open`] where others may enter, [`FolderError::Io`] where it cannot be made or read.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let folder = Self(path.to_owned());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| io(path, "made", error))?;
        let metadata = path.metadata().map_err(|error| io(path, "read", error))?;
        refuse_open(path, &metadata.permissions(), 0o700)?;
        Ok(folder)
    }

    /// A folder that others may enter; its files are this account's alone all the same.
    #[must_use]
    pub fn unguarded(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where a file of this folder is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The content of a file, or `None` where there is none.
    ///
    /// # Errors
    /// [`FolderError::Open`] where others may read it, [`FolderError::Io`] where it cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, FolderError> {
        let path = self.path(name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(&path, "read", error)),
        };
        let metadata = file.metadata().map_err(|error| io(&path, "read", error))?;
        refuse_open(&path, &metadata.permissions(), 0o600)?;
        let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0)));
        file.read_to_end(&mut content)
            .map_err(|error| io(&path, "read", error))?;
        Ok(Some(content))
    }

    /// The content of a file, which `make` makes where there is none; of nodes that share the folder, the first makes it
    /// for all.
    ///
    /// # Errors
    /// As of [`Self::read`] and [`Self::write_new`], and those of `make`.
    pub fn read_or_make<E: From<FolderError>>(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, E>,
    ) -> Result<Zeroizing<Vec<u8>>, E> {
        if let Some(content) = self.read(name)? {
            return Ok(content);
        }
        self.write_new(name, &make()?)?;
        let made = self.read(name)?;
        Ok(made.ok_or_else(|| io(&self.path(name), "read", ErrorKind::NotFound.into()))?)
    }

    /// Writes a file that is not there yet, whole and durable or not at all. Where another node was faster, its file
    /// stays; so read afterwards.
    ///
    /// # Errors
    /// [`FolderError::Io`] where it cannot be written.
    pub fn write_new(&self, name: &str, content: &[u8]) -> Result<(), FolderError> {
        let path = self.path(name);
        let draft = self.draft(name);
        let written = write_durably(&draft, content).and_then(|()| match std::fs::hard_link(&draft, &path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => File::open(&self.0)?.sync_all(),
        });
        // Whatever happened, the draft is of no more use; that it could not be removed changes nothing.
        let _ = std::fs::remove_file(&draft);
        written.map_err(|error| io(&path, "written", error))
    }

    /// Writes a file in place of what is there, whole and durable or not at all: whoever reads meanwhile reads the old one
    /// or the new one.
    ///
    /// # Errors
    /// [`FolderError::Io`] where it cannot be written.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<(), FolderError> {
        let path = self.path(name);
        let draft = self.draft(name);
        let written = write_durably(&draft, content).and_then(|()| {
            std::fs::rename(&draft, &path)?;
            File::open(&self.0)?.sync_all()
        });
        if written.is_err() {
            // It is of no more use; that it could not be removed changes nothing.
            let _ = std::fs::remove_file(&draft);
        }
        written.map_err(|error| io(&path, "written", error))
    }

    /// Waits until nobody else holds the lock of this name, and holds it until the value is dropped or the process ends.
    ///
    /// # Errors
    /// [`FolderError::Io`] where there can be no lock.
    pub fn hold(&self, name: &str) -> Result<Held, FolderError> {
        let path = self.path(name);
        let mut options = OpenOptions::new();
        let opened = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
        opened
            .and_then(|file| file.lock().map(|()| Held { _file: file }))
            .map_err(|error| io(&path, "locked", error))
    }

    /// What tells a file from one that has replaced it; `None` where there is none.
    ///
    /// # Errors
    /// [`FolderError::Io`] where it cannot be looked at.
    pub fn stamp(&self, name: &str) -> Result<Option<Stamp>, FolderError> {
        let path = self.path(name);
        match path.metadata() {
            Ok(metadata) => Ok(Some(Stamp {
                inode: metadata.ino(),
                length: metadata.len(),
                changed: (metadata.mtime(), metadata.mtime_nsec()),
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io(&path, "read", error)),
        }
    }

    /// The names of the files in it, without drafts.
    ///
    /// # Errors
    /// [`FolderError::Io`] where they cannot be listed.
    pub fn names(&self) -> Result<Vec<String>, FolderError> {
        let list = || -> std::io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(&self.0)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if entry.file_type()?.is_file() && !name.starts_with('.') {
                    names.push(name);
                }
            }
            Ok(names)
        };
        list().map_err(|error| io(&self.0, "read", error))
    }

    /// Where a file is written before it gets its name; nodes that share the folder never meet there.
    fn draft(&self, name: &str) -> PathBuf {
        self.path(&format!(".{name}.{:032x}", OsRandom.bits()))
    }

    /// Writes a file that everybody may read, such as a certificate, in place of what is there.
    ///
    /// # Errors
    /// [`FolderError::Io`] where it cannot be written.
    pub fn publish(&self, name: &str, content: &[u8]) -> Result<(), FolderError> {
        let path = self.path(name);
        let draft = self.draft(name);
        write_durably(&draft, content)
            .and_then(|()| std::fs::set_permissions(&draft, Permissions::from_mode(0o644)))
            .and_then(|()| std::fs::rename(&draft, &path))
            .map_err(|error| io(&path, "written", error))
    }
}

/// A lock that is held; see [`PrivateFolder::hold`].
#[derive(Debug)]
pub struct Held {
    _file: File,
}

/// What tells a file from one that has replaced it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

fn write_durably(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn refuse_open(path: &Path, permissions: &Permissions, wanted: u32) -> Result<(), FolderError> {
    let mode = permissions.mode() & 0o777;
    if mode & OTHERS == 0 {
        Ok(())
    } else {
        Err(FolderError::Open {
            path: path.to_owned(),
            mode,
            wanted,
        })
    }
}

fn io(path: &Path, verb: &'static str, source: std::io::Error) -> FolderError {
    FolderError::Io {
        path: path.to_owned(),
        verb,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_written_is_private_and_comes_back() {
        let state = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open(&state.path().join("a/keys")).unwrap();
        assert!(folder.read("key").unwrap().is_none());
        folder.write_new("key", b"first").unwrap();
        folder.write_new("key", b"second").unwrap();
        assert_eq!(folder.read("key").unwrap().unwrap().as_slice(), b"first");
        assert_eq!((mode(&folder.0), mode(&folder.path("key"))), (0o700, 0o600));
        assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
    }

    #[test]
    fn a_replaced_file_is_private_and_another_one() {
        let state = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open(&state.path().join("keys")).unwrap();
        folder.write_new("key", b"first").unwrap();
        let before = folder.stamp("key").unwrap();
        folder.replace("key", b"other").unwrap();
        assert_ne!(folder.stamp("key").unwrap(), before);
        assert_eq!(folder.read("key").unwrap().unwrap().as_slice(), b"other");
        assert_eq!(mode(&folder.path("key")), 0o600);
        assert_eq!(folder.names().unwrap(), ["key"]);
    }

    #[test]
    fn a_published_file_is_replaced_and_readable() {
        let state = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open(&state.path().join("tls")).unwrap();
        folder.publish("ca.pem", b"first").unwrap();
        folder.publish("ca.pem", b"second").unwrap();
        assert_eq!(std::fs::read(folder.path("ca.pem")).unwrap(), b"second");
        assert_eq!(mode(&folder.path("ca.pem")), 0o644);
    }

    #[test]
    fn what_is_open_to_others_is_refused_with_the_remedy() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("keys");
        let folder = PrivateFolder::open(&path).unwrap();
        folder.write_new("key", b"content").unwrap();
        chmod(&folder.path("key"), 0o640);
        let message = folder.read("key").unwrap_err().to_string();
        assert!(
            message.contains("mode 640") && message.contains("`chmod 600 "),
            "{message}"
        );
        chmod(&path, 0o750);
        let message = PrivateFolder::open(&path).unwrap_err().to_string();
        assert!(
            message.contains("mode 750") && message.contains("`chmod 700 "),
            "{message}"
        );
    }
}
