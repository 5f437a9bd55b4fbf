//! Composition root: opens, wires, starts, stops.

pub mod logging;
