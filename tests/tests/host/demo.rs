//! The demo shows what it promises, and stays up.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use spillway_tests::{embedded_only, repository_root, spillway_binary};

#[test]
fn the_demo_passes_all_its_requests_and_then_waits() -> Result<()> {
    if !embedded_only("the demo runs on the embedded host") {
        return Ok(());
    }
    // As on a terminal, where the log stands among what is shown.
    let (output, terminal) = std::io::pipe()?;
    let mut demo = Command::new(spillway_binary()?)
        .args(["demo", "--listen", "127.0.0.1:0"])
        .current_dir(repository_root())
        .stdin(Stdio::null())
        .stderr(terminal.try_clone()?)
        .stdout(terminal)
        .spawn()?;
    let output = BufReader::new(output);
    let mut shown = Vec::new();
    for line in output.lines() {
        let line = line?;
        let is_last = line.starts_with("The demo stays up");
        shown.push(line);
        if is_last {
            break;
        }
    }
    let runs_on = demo.try_wait()?.is_none();
    demo.kill()?;
    demo.wait()?;
    let shown = shown.join("\n");
    assert!(runs_on, "the demo ended:\n{shown}");
    for expected in [
        "forwarded to Dify's `web`",
        "x-gateway-reason: fallback, x-gateway-provider: spare",
        "data: [DONE]",
        "401 [x-gateway-reason: unauthorized]",
        "\"records\"",
        "429 [x-gateway-reason: rate_limited]",
    ] {
        assert!(
            shown.contains(expected),
            "{expected} is missing in:\n{shown}"
        );
    }
    let step = shown
        .split("5. A model call without a key")
        .nth(1)
        .and_then(|rest| rest.split("6. Dify asks").next())
        .context("no fifth step")?;
    assert!(step.contains("status=401"), "not with its line:\n{shown}");
    Ok(())
}
