mod charges;
mod policies;
mod walks;

use super::Policy;
use crate::domain::time::{TimeZone, Timestamp};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> TimeZone {
    name.parse().unwrap()
}

fn policy(json: &str) -> Policy {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// Three free a semester, then 25 USD.
fn housing_office() -> Policy {
    policy(include_str!("../../../../docs/lockout-policies/housing-office.json"))
}

/// 100 USD after office hours, 25 USD a replacement key.
fn apartment_manager() -> Policy {
    policy(include_str!("../../../../docs/lockout-policies/apartment-manager.json"))
}

/// The first one free, then a fee.
fn first_one_free() -> Policy {
    policy(include_str!("../../../../docs/lockout-policies/first-one-free.json"))
}
