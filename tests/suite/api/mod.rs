//! The REST surface from outside, on both databases.

mod access_log;
mod bad_input;
mod delegation;
pub mod enrolments;
mod grant_changes;
mod forgetting;
mod grants;
mod guests;
mod house_access;
mod idempotency;
mod invitations;
mod keys;
mod limits;
mod lockdowns;
pub mod lockouts;
mod locks;
mod members;
mod outsiders;
mod passes;
mod phones;
mod pins;
mod places;
mod privacy;
mod proposals;
mod raw;
mod roles;
mod schedules;
mod service;
mod sign_in;
<<<<<<< HEAD
mod spare_keys;
=======
mod tenancies;
>>>>>>> y-tenancy
mod transfers;
mod unlock;
