//! Timed work, one round a call.
