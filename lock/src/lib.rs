//! The lock's side of Doorward: what travels between the backend and a lock, how a lock checks it, and what it does
//! then. Written for a small controller: no operating system, no allocator; time, randomness, storage, the radio and
//! the motor come from outside. `docs/PROTOCOL.md` says the same for other languages.
//!
//! Files stand in the order in which they import: each only from those above it.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod wire;

pub mod base64url;
pub mod refusal;

pub mod jws;
pub mod keys;
