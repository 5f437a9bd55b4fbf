//! The file of a SQLite database: private to its owner, open in one process at a time.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::StoreError;

/// How long somebody who is about to leave the file is waited for: a process that ends, or a program that one is starting,
/// which has all open files of the other for a moment.
const LEAVING: Duration = Duration::from_secs(1);

/// A database file that belongs to this process until the value is dropped.
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// Holds the lock of the operating system: it ends with the process, however that ends.
    _lock: File,
}

impl DatabaseFile {
    /// Takes the file for this process; creates it, empty and with mode 0600, if there is none.
    ///
    /// # Errors
    /// [`StoreError::InUse`] where somebody has it; [`StoreError::File`] where it cannot be created or locked.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let cannot = |file: &Path| {
            let file = file.to_owned();
            move |source: io::Error| StoreError::File {
                file,
                source: Arc::new(source),
            }
        };
        let path = real_path(path).map_err(cannot(path))?;
        let mut lock_path = path.clone().into_os_string();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        let lock = private(&lock_path).map_err(cannot(&path))?;
        let began = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if began.elapsed() < LEAVING => std::thread::sleep(LEAVING / 50),
                Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { file: path }),
                Err(TryLockError::Error(source)) => return Err(cannot(&lock_path)(source)),
            }
        }
        // Only now: to open and close the file beside SQLite in one process would end SQLite's own locks on it.
        let file = private(&path).map_err(cannot(&path))?;
        // A file that was restored from a backup may have come back readable by everybody.
        if file.metadata().map_err(cannot(&path))?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))
                .map_err(cannot(&path))?;
        }
        Ok(Self { path, _lock: lock })
    }

    /// The absolute path of the database.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The absolute path of a file that need not exist, without links: a link to its folder is not a second door.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let absolute = std::path::absolute(path)?;
            match (absolute.parent(), absolute.file_name()) {
                (Some(folder), Some(name)) => Ok(fs::canonicalize(folder)?.join(name)),
                _ => Err(error),
            }
        }
        Ok(path) if path.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        found => found,
    }
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}
