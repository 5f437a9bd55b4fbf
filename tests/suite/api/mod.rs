//! The REST surface from outside, on both databases.

mod access_log;
mod bad_input;
pub mod enrolments;
mod grants;
mod idempotency;
mod invitations;
mod keys;
mod limits;
pub mod lockouts;
mod locks;
mod members;
mod outsiders;
mod passes;
mod phones;
mod pins;
mod places;
mod raw;
mod roles;
mod schedules;
mod service;
mod sign_in;
mod tenancies;
mod transfers;
mod unlock;
