//! A landlord's building for the benches, made over REST as a landlord and a lock would make it.

mod building;
mod door;
#[allow(dead_code, reason = "a bench of `serve` as a process of its own needs none")]
mod real;
mod rest;

pub use building::Landlord;
pub use door::start_lock;
#[allow(unused_imports, reason = "a bench of `serve` as a process of its own needs none")]
pub use real::{Door, Real};
pub use rest::Client;

/// Whatever stops a bench.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The landlord of every bench.
pub const EMAIL: &str = "landlord@bench.example";
/// The landlord's password, and every tenant's.
pub const PASSWORD: &str = "a password for benches only";
