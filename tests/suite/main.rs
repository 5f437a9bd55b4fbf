//! The suite: everything that is tested from outside, in one program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking, and its name says what it is for"
)]

mod adapters;
mod api;
mod architecture;
mod brokers;
mod browser;
mod dependencies;
mod documents;
mod doors;
mod endpoints;
mod faults;
mod fixtures;
mod foreign;
mod fuzzed;
mod guards;
mod home_assistant;
mod mail;
mod store;
mod webhooks;
mod world;
