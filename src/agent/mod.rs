//! The lock side on a computer: reference lock, simulator, demo locks.
