//! A phone's side, for a computer: it keeps a key and passes, opens doors with them while the backend is away, and carries
//! messages between locks and the backend. Knows what locks understand and the backend's HTTP, and nothing of its inside.

mod backend;
mod door;
mod error;
mod office;
mod visit;
mod wallet;

pub use backend::{Backend, Prover, Session};
pub use door::{DoorAddress, LockDoor};
pub use error::PhoneError;
pub use office::{Bound, Download, Fault, Imported, Invitation, Office, OfficeError};
pub use visit::Opened;
pub use wallet::Wallet;
