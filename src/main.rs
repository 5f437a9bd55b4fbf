//! The command line of Doorward.

use std::process::ExitCode;

use clap::Parser as _;

mod command;

fn main() -> ExitCode {
    command::run(command::Doorward::parse())
}
