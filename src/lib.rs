//! Doorward: the self-hosted backend for apartments with Wi-Fi smart locks.
//!
//! Folders are floors and a file imports only from floors below its own: `domain` and `config` (0),
//! `crypto` (1), `store`, `mail`, `hooks`, `mqtt` and, above `mqtt`, `client` (2), `app`, `agent` and `phone` (3), `http`, `bridge`, `inbox` and `jobs` (4),
//! `server` (5). `docs/ARCHITECTURE.md` draws the house; `tests/suite/architecture.rs` holds it up.

pub mod agent;
pub mod app;
pub mod bridge;
pub mod client;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod hooks;
pub mod http;
pub mod inbox;
pub mod jobs;
pub mod mail;
pub mod mqtt;
pub mod phone;
pub mod server;
pub mod store;
