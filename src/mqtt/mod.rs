//! The links to the broker, for nodes and for locks; the embedded broker; the registrar of a mosquitto; and the link to a
//! broker of somebody else. `rumqttc` is used in `connection` and
//! around it, `mqtt5` in `broker`, and neither above this floor.

pub mod address;
mod back_off;
pub mod broker;
mod connection;
pub mod dynamic_security;
pub mod foreign_link;
mod lanes;
pub mod link;
pub mod lock_link;
mod outlet;
pub mod rights;
pub mod topics;
