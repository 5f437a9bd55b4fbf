//! The command line of Doorward.

fn main() {}
