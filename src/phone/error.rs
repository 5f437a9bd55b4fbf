//! Why a phone cannot do what it was asked.

use std::path::PathBuf;

use crate::crypto::private_folder::FolderError;
use crate::domain::ids::LockId;

/// A phone could not do its work. The text is for its owner.
#[derive(Debug, thiserror::Error)]
pub enum PhoneError {
    /// The phone's folder is open to others, or cannot be read or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file of the folder is not what the phone wrote.
    #[error("{0} is damaged: empty the folder and get passes again")]
    Damaged(PathBuf),
    /// Nobody has signed in with this folder.
    #[error("there are no passes in this folder yet: run `doorward pass get`")]
    NotSignedIn,
    /// There is no answer.
    #[error("{server} does not answer ({cause})")]
    Unanswered {
        /// Who was asked.
        server: String,
        /// What was in the way.
        cause: String,
    },
    /// The answer is a refusal.
    #[error("{server} refused ({status}): {detail}")]
    Refused {
        /// Who was asked.
        server: String,
        /// The HTTP status.
        status: u16,
        /// The stable word for it.
        word: String,
        /// What it said.
        detail: String,
    },
    /// The answer is none that was asked for.
    #[error("{0} answered something else than was asked for")]
    Strange(String),
    /// No address of this lock is known.
    #[error("where {0} is has to be said once: give its address in place of its id")]
    Nowhere(LockId),
    /// The phone has no pass for the lock at this address.
    #[error("there is no pass for the lock at {0}")]
    NoPass(String),
    /// Whoever answers at this address is not the lock that it says it is.
    #[error("what answers at {0} cannot prove that it is the lock; the pass was not shown")]
    Impostor(String),
    /// The phone's signature could not be made.
    #[error("the phone could not sign its answer")]
    Signature,
}
