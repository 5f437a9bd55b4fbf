//! Pure rules: no clock, no randomness, no I/O, no framework.

pub mod ids;
pub mod relay;
pub mod time;
