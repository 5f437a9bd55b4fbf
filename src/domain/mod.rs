//! Pure rules: no clock, no randomness, no I/O, no framework.

pub mod access_log;
pub mod account;
pub mod ids;
pub mod lock;
pub mod password;
pub mod place;
pub mod relay;
pub mod text;
pub mod time;
