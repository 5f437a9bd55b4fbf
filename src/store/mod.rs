//! The database: diesel lives here and nowhere else.
//!
//! [`Db`] runs pieces of work on SQLite or Postgres, chosen by [`DatabaseUrl`]: [`Db::read`] on a snapshot,
//! [`Db::write`] in a transaction that is durable before the answer comes. On SQLite one writer takes everything that
//! waits into one commit; callers see nothing of that but its speed.
//!
//! Rules for a piece of work, the same on both databases:
//! - An error that the database gave must be returned: what ran before it is undone. Postgres refuses everything after
//!   an error, SQLite may have undone the whole transaction.
//! - Rows are numbered by updating a head row first, with `RETURNING`; then no two writers ever wait in a circle.
//! - No `transaction` of diesel inside: the piece is one already.
//! - A row that is found by its key is read with `get_result` and not with `first`: SQLite plans `LIMIT ?` anew whenever
//!   a value is bound to it.

pub mod access_log;
pub mod accounts;
pub mod alarms;
pub mod api_keys;
pub mod attempts;
pub mod backup;
mod columns;
pub mod computed_codes;
mod connection;
mod db;
pub mod endings;
pub mod enrolments;
mod error;
mod file;
pub mod grants;
mod group_commit;
pub mod guest_links;
pub mod idempotency;
pub mod installation;
pub mod invitations;
mod kept;
mod lane;
pub mod leases;
pub mod ledger;
pub mod letters;
pub mod lock_events;
pub mod lock_places;
pub mod lockdowns;
pub mod lockout_asks;
pub mod lockouts;
pub mod locks;
pub mod log_tree;
pub mod looks;
mod migrations;
pub mod notices;
pub mod own_sessions;
pub mod passes;
pub mod passkeys;
pub mod phones;
mod piece;
pub mod pins;
pub mod places;
pub mod privacy;
pub mod proposals;
mod queue;
pub mod revocations;
pub mod rules;
mod schema;
pub mod second_factors;
pub mod sessions;
pub mod shown;
pub mod spare_asks;
mod statistics;
pub mod tenancies;
mod url;
pub mod visits;
pub mod webhooks;

pub use connection::{Conn, MultiBackend};
pub use db::{Db, Options};
pub use error::{Cause, StoreError};
pub use migrations::MIGRATIONS;
pub use statistics::{COMMIT_SIZES, Statistics};
pub use url::{BadUrl, DatabaseUrl};
