//! Child processes: started, watched, ended by their id.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::log::LogFile;

/// How long a process has to end by itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// What a command that ran to its end has left.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

impl Outcome {
    /// Standard output and standard error together.
    pub fn everything(&self) -> String {
        format!("{}\n{}", self.output, self.errors)
    }
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started, or runs for more than 120 s: then it is killed.
pub async fn run_to_end(command: &mut Command) -> Result<Outcome> {
    let text = format!("{command:?}");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command
        .spawn()
        .with_context(|| format!("starting {text}"))?;
    let pid = Pid::from_child(&child);
    let ending = tokio::task::spawn_blocking(move || child.wait_with_output());
    let Ok(ended) = tokio::time::timeout(Duration::from_secs(120), ending).await else {
        kill_process(pid, Signal::KILL)?;
        bail!("{text} did not end within 120 s");
    };
    let ended = ended??;
    Ok(Outcome {
        code: ended.status.code(),
        output: String::from_utf8_lossy(&ended.stdout).into_owned(),
        errors: String::from_utf8_lossy(&ended.stderr).into_owned(),
    })
}

/// A process that runs until it is told to end, at the latest when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: Arc<LogFile>,
    ending: AtomicBool,
}

impl Process {
    /// Starts it, its output going to a file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let output = File::create(log)?;
        let errors = output.try_clone()?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        Ok(Self {
            child,
            log: LogFile::new(log.to_path_buf()),
            ending: AtomicBool::new(false),
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        self.log.read()
    }

    pub(crate) fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Whether it has been asked to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Sends it SIGHUP.
    pub(crate) fn hang_up(&self) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::HUP)?)
    }

    /// Asks it to end (SIGTERM).
    pub(crate) fn terminate(&self) -> Result<()> {
        self.ending.store(true, Ordering::Relaxed);
        Ok(kill_process(Pid::from_child(&self.child), Signal::TERM)?)
    }

    /// Ends it at once (SIGKILL), and what it has started: `spin up` serves in a process of its own.
    pub(crate) fn kill(&self) -> Result<()> {
        self.ending.store(true, Ordering::Relaxed);
        let id = self.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        kill_process(Pid::from_child(&self.child), Signal::KILL)?;
        let children = children.unwrap_or_default();
        for child in children.split_whitespace().filter_map(|it| it.parse().ok()) {
            if let Some(child) = Pid::from_raw(child) {
                // It may have ended with its parent.
                let _ = kill_process(child, Signal::KILL);
            }
        }
        Ok(())
    }

    /// A number of kilobytes out of `/proc/PID/status`, in bytes.
    pub(crate) fn memory(&self, field: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        let kilobytes = number.with_context(|| format!("no {field} in /proc/PID/status"))?;
        Ok(kilobytes.saturating_mul(1024))
    }
}

impl Drop for Process {
    /// Blocks the test's thread, which has nothing left to do.
    fn drop(&mut self) {
        let _ = self.terminate();
        let deadline = Instant::now().checked_add(GRACE);
        while let Ok(None) = self.child.try_wait() {
            if deadline.is_none_or(|deadline| Instant::now() > deadline) {
                let _ = self.child.kill();
                let _ = self.child.wait();
            } else {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.log.keep();
    }
}
