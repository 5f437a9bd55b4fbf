//! The folder in which a lock on a computer keeps its enrolment, its private key and its records.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::crypto::private_folder::{FolderError, PrivateFolder};

use super::adapter::Profile;
use super::enrolment::Enrolled;
use super::storage::{DRAFT, FileStorage, StorageError, io};

/// The file with the enrolment and the private key. While it is there, the folder is a lock's.
const ENROLMENT: &str = "lock.json";

/// The file with an adapter's device.
const PROFILE: &str = "adapter.json";

/// The file that the running lock holds on to.
const HOLD: &str = "in-use";

/// A lock's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateFolderError {
    /// Folder or file are open to others, or cannot be read or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file cannot be removed or held.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Another process runs this lock: two of them would tear its chain of events.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// The file is not an enrolment.
    #[error("{path} is damaged: retire the lock, empty its folder and enrol it as another")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// A lock's folder, which no other process may use meanwhile.
#[derive(Debug)]
pub struct StateFolder {
    folder: PrivateFolder,
    hold: Arc<Hold>,
}

impl StateFolder {
    /// Opens the folder, and makes it where it is missing.
    ///
    /// # Errors
    /// [`StateFolderError::InUse`] where another process has it, [`StateFolderError::Folder`] where others may enter it.
    pub fn open(path: &Path) -> Result<Self, StateFolderError> {
        let folder = PrivateFolder::open(path)?;
        let hold = Arc::new(Hold::take(path)?);
        Ok(Self { folder, hold })
    }

    /// The enrolment, where the lock has one.
    ///
    /// # Errors
    /// [`StateFolderError::Damaged`] where the file is not one of ours, [`StateFolderError::Folder`] where others may
    /// read it.
    pub fn enrolled(&self) -> Result<Option<Enrolled>, StateFolderError> {
        let Some(content) = self.folder.read(ENROLMENT)? else {
            return Ok(None);
        };
        serde_json::from_slice(&content)
            .map(Some)
            .map_err(|source| StateFolderError::Damaged {
                path: self.folder.path(ENROLMENT),
                source,
            })
    }

    /// Keeps a new enrolment, with nothing left of one before.
    ///
    /// # Errors
    /// [`StateFolderError::Folder`], [`StateFolderError::Storage`] where it may not be there to stay.
    pub fn keep(&self, enrolled: &Enrolled) -> Result<(), StateFolderError> {
        // Counters and events of an earlier enrolment are another lock's.
        self.hold.erase()?;
        let content = serde_json::to_vec_pretty(enrolled).map_err(|source| StateFolderError::Damaged {
            path: self.folder.path(ENROLMENT),
            source,
        })?;
        Ok(self.folder.write_new(ENROLMENT, &Zeroizing::new(content))?)
    }

    /// The device of the adapter that lives here, where one does.
    ///
    /// # Errors
    /// As [`Self::enrolled`].
    pub fn profile(&self) -> Result<Option<Profile>, StateFolderError> {
        let Some(content) = self.folder.read(PROFILE)? else {
            return Ok(None);
        };
        serde_json::from_slice(&content)
            .map(Some)
            .map_err(|source| StateFolderError::Damaged {
                path: self.folder.path(PROFILE),
                source,
            })
    }

    /// Keeps the device of an adapter, in place of one before.
    ///
    /// # Errors
    /// [`StateFolderError::Folder`], [`StateFolderError::Storage`] where it may not be there to stay.
    pub fn keep_profile(&self, profile: &Profile) -> Result<(), StateFolderError> {
        let path = self.folder.path(PROFILE);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(&path, "removed", error).into()),
            _ => {}
        }
        let content =
            serde_json::to_vec_pretty(profile).map_err(|source| StateFolderError::Damaged { path, source })?;
        Ok(self.folder.write_new(PROFILE, &Zeroizing::new(content))?)
    }

    /// The lock's records. The folder stays in use until the last clone is dropped.
    #[must_use]
    pub fn storage(&self) -> FileStorage {
        FileStorage::new(Arc::clone(&self.hold))
    }
}

/// The hold of this process on a folder.
#[derive(Debug)]
pub(super) struct Hold {
    path: PathBuf,
    _file: File,
}

impl Hold {
    fn take(path: &Path) -> Result<Self, StateFolderError> {
        let place = path.join(HOLD);
        let file = File::create(&place).map_err(|error| io(&place, "written", error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _file: file,
            }),
            Err(TryLockError::WouldBlock) => Err(StateFolderError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(io(&place, "held", error).into()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the enrolment first: without it, what is left of the records is nobody's and never read.
    pub(super) fn erase(&self) -> Result<(), StorageError> {
        let enrolment = self.path.join(ENROLMENT);
        match std::fs::remove_file(&enrolment) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(&enrolment, "removed", error)),
            _ => self.settle()?,
        }
        let entries = std::fs::read_dir(&self.path).map_err(|error| io(&self.path, "read", error))?;
        for entry in entries {
            let entry = entry.map_err(|error| io(&self.path, "read", error))?;
            if entry.file_name().to_str().is_some_and(is_record) {
                let path = entry.path();
                std::fs::remove_file(&path).map_err(|error| io(&path, "removed", error))?;
            }
        }
        self.settle()
    }

    /// Makes what was removed stay removed.
    fn settle(&self) -> Result<(), StorageError> {
        File::open(&self.path)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| io(&self.path, "written", error))
    }
}

/// Whether a file is a record, or the draft of one. Nothing else is ever removed: folders get mixed up.
fn is_record(name: &str) -> bool {
    let name = name.strip_suffix(DRAFT).unwrap_or(name);
    let numbered = name
        .strip_prefix("event-")
        .or(name.strip_prefix("pin-"))
        .map(|slot| slot.bytes().all(|byte| byte.is_ascii_digit()));
    let single = [
        "state",
        "keyset",
        "revocations",
        "uses",
        "pins",
        "codes",
        "keypad",
        "lockdown",
    ];
    single.contains(&name) || numbered == Some(true)
}
