//! `spillway`: runs the gateway, and checks its configuration.

use std::process::ExitCode;

use clap::Parser as _;
use spillway_host::command::Command;

fn main() -> ExitCode {
    Command::parse().run()
}
