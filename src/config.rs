//! Configuration: one struct, unknown keys refused, checked once.
