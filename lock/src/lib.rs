//! The lock's side of Doorward: what travels between the backend and a lock, how a lock checks it, and what it does
//! then. Written for a small controller: no operating system, no allocator; time, randomness, storage, the radio and
//! the motor come from outside. `docs/PROTOCOL.md` says the same for other languages.
//!
//! Floors, from the ground: `refusal`, `wire` (words), `base64url`, `signature`, `jws`, `keys`, `pins` (proof), `clock`,
//! `schedule`, `keypad`, `verify` (belief), `command`, `shell`, `slots`, `lockdown`, `chain`, `journal` (memory), `controller` (deeds). A module imports
//! only from those before it.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod base64url;
pub mod chain;
pub mod clock;
pub mod command;
pub mod controller;
pub mod journal;
pub mod jws;
pub mod keypad;
pub mod keys;
pub mod lockdown;
pub mod pins;
pub mod refusal;
pub mod schedule;
pub mod shell;
pub mod signature;
pub mod slots;
pub mod verify;
pub mod wire;
