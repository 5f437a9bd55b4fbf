//! The links to the broker, for nodes and for locks, and the embedded broker. `rumqttc` is used in `connection` and
//! around it, `mqtt5` in `broker`, and neither above this floor.

pub mod address;
mod back_off;
pub mod broker;
mod connection;
mod lanes;
pub mod link;
pub mod lock_link;
mod outlet;
pub mod rights;
pub mod topics;
