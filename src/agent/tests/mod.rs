//! Locks at work, against a backend side of throw-away keys and the embedded broker.

mod backend;
mod bolts;
mod commands;
mod doors;
mod enrolments;
mod folders;
mod front_door;
mod power;
mod simulations;
mod site;
