//! The commands of `spillway`. Exit codes: 0, 1 when something is refused, 2 for wrong usage.

mod admin;
mod check;
mod connect;
mod limits;
mod running;
mod up;
mod values;

use std::process::ExitCode;

use clap::Parser;

use crate::demo;
use crate::gateway_config::ConfigRefused;
use crate::log_lines::{self, Destination};
use crate::toml_document::DocumentError;

pub use check::CheckArguments;
pub use limits::LimitsArguments;
pub use running::Running;
pub use up::UpArguments;

/// Spillway, an AI gateway for Dify: runs the gateway, and checks its configuration.
#[derive(Debug, Parser)]
#[command(name = "spillway", version, max_term_width = 100)]
pub enum Command {
    /// Run the application of a spin.toml until SIGTERM or Ctrl-C.
    Up(Box<UpArguments>),
    /// Check a gateway.yaml: exit code 0 if it can be used, 1 if not.
    Check(CheckArguments),
    /// Print the JSON Schema of gateway.yaml.
    Schema,
    /// Tell where the limits of a running gateway stand, the fullest first.
    Limits(LimitsArguments),
    /// Show the gateway at work, before stand-ins for Dify, a model vendor and a retrieval engine; then stay up.
    Demo(Box<UpArguments>),
}

impl Command {
    /// Does what was asked, and says how it went.
    pub fn run(self) -> ExitCode {
        let outcome = match self {
            Self::Up(arguments) => up::run(*arguments),
            Self::Check(arguments) => check::run(&arguments),
            Self::Schema => {
                Destination::Stdout.write(spillway_config::json_schema().as_bytes());
                Ok(ExitCode::SUCCESS)
            }
            Self::Limits(arguments) => limits::run(&arguments),
            Self::Demo(arguments) => up::on_threads(demo::run(*arguments)),
        };
        outcome.unwrap_or_else(|error| {
            log_lines::error(&refusal(&error));
            ExitCode::FAILURE
        })
    }
}

/// Mistakes in files tell their own place, in the form that editors and terminals turn into links.
fn refusal(error: &anyhow::Error) -> String {
    if error.is::<ConfigRefused>() || error.is::<DocumentError>() {
        error.to_string()
    } else {
        format!("error: {error:#}")
    }
}
