//! Pure rules: no clock, no randomness, no I/O, no framework.

pub mod access_log;
pub mod account;
pub mod attempt;
pub mod chain;
pub mod delegation;
pub mod grant;
pub mod ids;
pub mod letter;
pub mod lock;
pub mod lockout;
pub mod money;
pub mod notice;
pub mod page;
pub mod pass;
pub mod password;
pub mod phone;
pub mod pin;
pub mod place;
pub mod relay;
pub mod revocation;
pub mod schedule;
pub mod signin;
pub mod spare;
pub mod text;
pub mod time;
pub mod unlock;
