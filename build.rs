//! Builds again when a migration is added: the compiler knows only the files that it has read.
#![allow(clippy::print_stdout, reason = "this is how a build script speaks")]

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
