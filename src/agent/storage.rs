//! What a lock must not forget, in files or, for simulated locks and tests, in memory.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use doorward_lock::shell::{Record, Storage};
use sha2::{Digest as _, Sha256};

use super::state_folder::Hold;

/// How many events a lock keeps in files until the backend has them: days without a connection.
const FILE_SLOTS: u32 = 512;

/// How many bytes of SHA-256 stand before a record in its file.
const CHECKSUM: usize = 32;

/// What the name of a record's draft ends with.
pub(super) const DRAFT: &str = ".new";

/// A record could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The operating system refused.
    #[error("{path} cannot be {verb}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: `read`, `written`, `removed`.
        verb: &'static str,
        /// What it said.
        source: std::io::Error,
    },
    /// The lock's state is not what was written. A lock that went on from an older one would take old tokens.
    #[error("{0} is damaged: retire the lock, empty its folder and enrol it as another")]
    Damaged(PathBuf),
    /// A record is longer than there is room for it.
    #[error("a record of {0} bytes is too long")]
    TooLong(usize),
    /// The power is gone; only [`MemoryStorage`] says so.
    #[error("the power is gone")]
    PowerLost,
}

/// Storage of a lock on a computer. Clones are the same storage.
pub trait Medium: Storage<Error = StorageError> + Clone + Send + 'static {
    /// Whether writing waits for a device, so that no thread may do it that others wait for.
    const WAITS: bool;

    /// Forgets everything, for good: records, keys and enrolment.
    ///
    /// # Errors
    /// [`StorageError::Io`] where something may still be there.
    fn erase(&mut self) -> Result<(), StorageError>;
}

/// Records as files of one folder: each is written beside its place, made durable, and put into its place at once. A
/// checksum tells a file that the disk has spoilt. See [`super::state_folder::StateFolder::storage`].
#[derive(Debug, Clone)]
pub struct FileStorage {
    hold: Arc<Hold>,
}

impl FileStorage {
    pub(super) fn new(hold: Arc<Hold>) -> Self {
        Self { hold }
    }

    fn path(&self, record: Record) -> PathBuf {
        self.hold.path().join(name(record))
    }
}

impl Storage for FileStorage {
    type Error = StorageError;

    fn write(&mut self, record: Record, bytes: &[u8]) -> Result<(), StorageError> {
        let path = self.path(record);
        let draft = self.hold.path().join(name(record) + DRAFT);
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&draft)?;
            file.write_all(&checksum(record, bytes))?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)?;
            // The new name is durable only with its folder.
            File::open(self.hold.path())?.sync_all()
        };
        write().map_err(|error| io(&path, "written", error))
    }

    fn read(&mut self, record: Record, into: &mut [u8]) -> Result<Option<usize>, StorageError> {
        let path = self.path(record);
        let content = match std::fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(&path, "read", error)),
        };
        let whole = content
            .split_at_checked(CHECKSUM)
            .filter(|(sum, bytes)| **sum == checksum(record, bytes));
        match whole {
            Some((_, bytes)) => copy(bytes, into).map(Some),
            // A lock without its counts would open again by what has been used.
            None if matches!(record, Record::State | Record::Uses | Record::Keypad) => Err(StorageError::Damaged(path)),
            None => {
                // The backend sends documents again, and shows the gap that a lost event leaves.
                tracing::warn!(path = %path.display(), "{} is damaged: it counts as lost", path.display());
                Ok(None)
            }
        }
    }

    fn event_slots(&self) -> u32 {
        FILE_SLOTS
    }
}

impl Medium for FileStorage {
    const WAITS: bool = true;

    fn erase(&mut self) -> Result<(), StorageError> {
        self.hold.erase()
    }
}

fn name(record: Record) -> String {
    match record {
        Record::State => "state".to_owned(),
        Record::Keyset => "keyset".to_owned(),
        Record::Revocations => "revocations".to_owned(),
        Record::Uses => "uses".to_owned(),
        Record::Pins => "pins".to_owned(),
        Record::Slot(place) => format!("pin-{place:03}"),
        Record::Codes => "codes".to_owned(),
        Record::Keypad => "keypad".to_owned(),
        Record::Lockdown => "lockdown".to_owned(),
        Record::Event(slot) => format!("event-{slot:04}"),
    }
}

/// A record may not stand in for another one: its name is part of the sum.
fn checksum(record: Record, bytes: &[u8]) -> [u8; CHECKSUM] {
    let (kind, slot) = match record {
        Record::State => (0_u8, 0),
        Record::Keyset => (1, 0),
        Record::Revocations => (2, 0),
        Record::Event(slot) => (3, slot),
        Record::Uses => (4, 0),
        Record::Pins => (5, 0),
        Record::Slot(place) => (6, u32::from(place)),
        Record::Codes => (7, 0),
        Record::Keypad => (8, 0),
        Record::Lockdown => (9, 0),
    };
    Sha256::new()
        .chain_update([kind])
        .chain_update(slot.to_be_bytes())
        .chain_update(bytes)
        .finalize()
        .into()
}

/// Records in memory, with a fuse by which tests cut the power between any two writes.
#[derive(Debug, Clone)]
pub struct MemoryStorage {
    chip: Arc<Mutex<Chip>>,
    slots: u32,
}

#[derive(Debug, Default)]
struct Chip {
    records: HashMap<Record, Box<[u8]>>,
    power: Power,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Power {
    #[default]
    On,
    Fused {
        writes_left: u32,
        last_is_stored: bool,
    },
    Off,
}

impl MemoryStorage {
    /// Empty storage for this many events: at least 16.
    #[must_use]
    pub fn new(slots: u32) -> Self {
        Self {
            chip: Arc::default(),
            slots: slots.max(16),
        }
    }

    /// The power goes with the `writes`th write from now, which `last_is_stored` or not; 0 is taken for 1.
    pub fn cut_power_at(&self, writes: u32, last_is_stored: bool) {
        self.chip().power = Power::Fused {
            writes_left: writes.max(1),
            last_is_stored,
        };
    }

    /// The power is back: what was stored is there. Whoever held the storage before must be gone by now.
    pub fn power_on(&self) {
        self.chip().power = Power::On;
    }

    fn chip(&self) -> MutexGuard<'_, Chip> {
        // No code that holds it can panic half-way through a change.
        self.chip.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for MemoryStorage {
    type Error = StorageError;

    fn write(&mut self, record: Record, bytes: &[u8]) -> Result<(), StorageError> {
        let mut chip = self.chip();
        let (is_stored, next) = match chip.power {
            Power::On => (true, Power::On),
            Power::Fused {
                writes_left: 0 | 1,
                last_is_stored,
            } => (last_is_stored, Power::Off),
            Power::Fused {
                writes_left,
                last_is_stored,
            } => (
                true,
                Power::Fused {
                    writes_left: writes_left - 1,
                    last_is_stored,
                },
            ),
            Power::Off => (false, Power::Off),
        };
        chip.power = next;
        if is_stored {
            chip.records.insert(record, bytes.into());
        }
        if next == Power::Off {
            Err(StorageError::PowerLost)
        } else {
            Ok(())
        }
    }

    fn read(&mut self, record: Record, into: &mut [u8]) -> Result<Option<usize>, StorageError> {
        let chip = self.chip();
        if chip.power == Power::Off {
            return Err(StorageError::PowerLost);
        }
        chip.records.get(&record).map(|bytes| copy(bytes, into)).transpose()
    }

    fn event_slots(&self) -> u32 {
        self.slots
    }
}

impl Medium for MemoryStorage {
    const WAITS: bool = false;

    fn erase(&mut self) -> Result<(), StorageError> {
        self.chip().records.clear();
        Ok(())
    }
}

fn copy(bytes: &[u8], into: &mut [u8]) -> Result<usize, StorageError> {
    let room = into.get_mut(..bytes.len()).ok_or(StorageError::TooLong(bytes.len()))?;
    room.copy_from_slice(bytes);
    Ok(bytes.len())
}

pub(super) fn io(path: &Path, verb: &'static str, source: std::io::Error) -> StorageError {
    StorageError::Io {
        path: path.to_owned(),
        verb,
        source,
    }
}
