//! The operator's tool and the host: checking, refusing, restarting, ending.

use std::{path::Path, process::Command};

use anyhow::Result;
use spillway_tests::{Outcome, run_to_end, spillway_binary};

mod capacity;
mod check;
mod connect;
mod demo;
mod hand_over;
mod live;
mod running;
mod trapped;
mod unit;
mod up;

/// `servces` in line 3, column 5.
const MISSPELT: &str = "agents:\n  - name: dify\n    servces:\n      api: http://127.0.0.1:5001\n";
const RIGHT: &str = "agents:\n  - name: dify\n    services:\n      api: http://127.0.0.1:5001\n";

async fn spillway(directory: &Path, arguments: &[&str]) -> Result<Outcome> {
    let mut command = Command::new(spillway_binary()?);
    run_to_end(command.args(arguments).current_dir(directory)).await
}

fn assert_names(text: &str, line: u32, column: u32, key: &str) {
    let short = text.contains(&format!("{line}:{column}"));
    let long = text.contains(&format!("line {line}")) && text.contains(&format!("column {column}"));
    assert!(
        short || long,
        "line {line}, column {column} is not named: {text}"
    );
    assert!(text.contains(key), "{key} is not named: {text}");
}
