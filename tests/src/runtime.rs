//! The one runtime of a test process.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::LazyLock,
    time::Duration,
};

use anyhow::{Result, bail};
use tokio::runtime::{Builder, Runtime};

use crate::{exemptions::exemption, log::LogsOnFailure, repository::Host, sample::is_drawn};

/// A test that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(240);

/// Outlives every single test, so that stand-ins and gateways can be shared by several.
#[expect(
    clippy::expect_used,
    reason = "without a runtime there is nothing to test with"
)]
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let built = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    built.expect("the system gives threads and a poll descriptor")
});

/// Runs a test, if it belongs to this run. When it fails, prints what the gateways logged meanwhile.
///
/// # Errors
/// The test's own, or that it did not end in time, or that it passed though it is listed as failing on this host.
pub fn run(test: impl Future<Output = Result<()>>) -> Result<()> {
    let name = test_name();
    if !is_drawn(&name)? {
        say(&format!("passed over: {name} is not of this run's sample"));
        return Ok(());
    }
    let Some(reason) = exemption(Host::chosen(), &name) else {
        return run_it(test);
    };
    match catch_unwind(AssertUnwindSafe(|| run_it(test))) {
        Ok(Ok(())) => bail!(
            "{name} passes, though tests/src/exemptions.rs lists it as failing on this host: take it off the list"
        ),
        Ok(Err(_)) | Err(_) => {
            say(&format!("{name} fails on this host, as is known: {reason}"));
            Ok(())
        }
    }
}

fn run_it(test: impl Future<Output = Result<()>>) -> Result<()> {
    let logs = LogsOnFailure::new();
    let outcome = RUNTIME.block_on(async {
        match tokio::time::timeout(LIMIT, test).await {
            Ok(outcome) => outcome,
            Err(_) => bail!("the test did not end within {} s", LIMIT.as_secs()),
        }
    });
    logs.settle(outcome)
}

/// `file::module::test`: the test binary's name without cargo's digest, and the thread's, which libtest names so.
fn test_name() -> String {
    let binary = std::env::current_exe().unwrap_or_default();
    let stem = binary
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let file = stem
        .rsplit_once('-')
        .map_or(stem.as_str(), |(file, _)| file);
    let thread = std::thread::current();
    format!("{file}::{}", thread.name().unwrap_or_default())
}

#[expect(
    clippy::print_stderr,
    reason = "this is the note of a test that is passed over"
)]
fn say(line: &str) {
    eprintln!("{line}");
}

/// Asks again and again until there is an answer.
///
/// # Errors
/// After 30 s, naming what was waited for; or the question's own error.
pub async fn until<T>(what: &str, ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    until_within(Duration::from_secs(30), what, ask).await
}

/// The same of what takes longer.
///
/// # Errors
/// After `time`.
pub async fn until_within<T>(
    time: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let asking = async {
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    match tokio::time::timeout(time, asking).await {
        Ok(outcome) => outcome,
        Err(_) => bail!("waited {} s for {what}", time.as_secs()),
    }
}
