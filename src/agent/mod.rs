//! The lock's side on a computer: the reference lock and the simulator of many. Knows the link to the broker and
//! `doorward-lock`, and nothing of the backend: to it, these locks are locks like any others.

pub mod adapter;
pub mod bolt;
pub mod command;
pub mod controller;
pub mod counter;
pub mod dice;
pub mod enrolment;
pub mod keypad;
pub mod local;
pub mod simulate;
pub mod state_folder;
pub mod storage;

// The way to the backend is the phones' way too.
pub use crate::client as backend_address;

#[cfg(test)]
mod tests;
