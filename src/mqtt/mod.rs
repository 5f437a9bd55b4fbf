//! The link to the broker and the embedded broker. `rumqttc` is used in `connection` and its two users, `mqtt5` in
//! `broker`, and neither anywhere else.

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
