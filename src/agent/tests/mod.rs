//! Locks at work, against a backend side of throw-away keys and the embedded broker.

mod backend;
mod bolts;
mod doors;
mod power;
mod site;
