//! The way out to webhooks: HTTP to addresses that somebody else has chosen, and therefore to none of the inside.

mod addresses;
pub mod teller;
