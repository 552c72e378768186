//! The one runtime of a test process.

use std::{sync::LazyLock, time::Duration};

use anyhow::{Result, bail};
use tokio::runtime::{Builder, Runtime};

use crate::log::LogsOnFailure;

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

/// Runs a test. When it fails, prints what the gateways logged meanwhile.
///
/// # Errors
/// The test's own, or that it did not end in time.
pub fn run(test: impl Future<Output = Result<()>>) -> Result<()> {
    let logs = LogsOnFailure::new();
    let outcome = RUNTIME.block_on(async {
        match tokio::time::timeout(LIMIT, test).await {
            Ok(outcome) => outcome,
            Err(_) => bail!("the test did not end within {} s", LIMIT.as_secs()),
        }
    });
    logs.settle(outcome)
}

/// Asks again and again until there is an answer.
///
/// # Errors
/// After 30 s, naming what was waited for; or the question's own error.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let asking = async {
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(30), asking).await {
        Ok(outcome) => outcome,
        Err(_) => bail!("waited 30 s for {what}"),
    }
}
