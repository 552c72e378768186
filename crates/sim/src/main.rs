//! `spillway-sim`: histories by seed.
#![expect(clippy::print_stderr, reason = "a command-line tool")]

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Parser;
use spillway_sim::{History, Plan, Violation, minimise, plan, run, trace, violations};

/// Runs the whole gateway on virtual time, with clients, upstreams, a store and faults drawn from a seed, and says what
/// does not hold. The same seed is the same history.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    which: Which,

    /// Print what happens in the history of `--seed`; of one in which something does not hold, the smallest part in which
    /// it does not.
    #[arg(long, conflicts_with = "seeds")]
    trace: bool,

    /// Print all of it even so.
    #[arg(long, requires = "trace")]
    whole: bool,

    /// How many seeds are run at the same time [default: as many as there are processors].
    #[arg(long, value_name = "N", conflicts_with = "seed")]
    jobs: Option<NonZeroUsize>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Run the histories of these seeds, the last one left out.
    #[arg(long, value_name = "A..B")]
    seeds: Option<Seeds>,

    /// Run the history of this seed alone.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Seeds(u64, u64);

impl FromStr for Seeds {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (from, to) = text
            .split_once("..")
            .context("two numbers with `..` between them, such as 1..2001")?;
        let number = |text: &str| {
            text.parse()
                .with_context(|| format!("`{text}` is no number of 64 bits"))
        };
        let (from, to) = (number(from)?, number(to)?);
        if from >= to {
            bail!("{from}..{to} has no seed in it");
        }
        Ok(Self(from, to))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match (arguments.which.seeds, arguments.which.seed) {
        (Some(seeds), _) => run_seeds(seeds, arguments.jobs),
        (None, Some(seed)) => run_one(seed, &arguments),
        (None, None) => ExitCode::FAILURE,
    }
}

fn run_one(seed: u64, arguments: &Arguments) -> ExitCode {
    let drawn = plan(seed);
    let history = run(&drawn);
    let found = violations(&history);
    if arguments.trace {
        let shown = match found.first() {
            Some(first) if !arguments.whole => run(&smaller(&drawn, first.invariant)),
            _ => history,
        };
        show(&shown);
    } else {
        tell(seed, &found);
        if !found.is_empty() {
            say(&format!("`--seed {seed} --trace` shows what happened."));
        }
    }
    if found.is_empty() {
        say(&format!("Seed {seed}: everything holds."));
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn tell(seed: u64, found: &[Violation]) {
    for Violation { invariant, words } in found {
        say(&format!("Seed {seed}: {invariant}: {words}"));
    }
}

fn show(history: &History) {
    say(trace(history).trim_end());
    for Violation { invariant, words } in violations(history) {
        say(&format!("VIOLATED: {invariant}: {words}"));
    }
}

/// Whoever no longer reads needs nothing more.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// So long it is looked for a smaller history, about.
const MAKING_SMALLER: Duration = Duration::from_secs(15);

fn smaller(drawn: &Plan, invariant: &str) -> Plan {
    let (mut runs, mut told) = (0_u32, Instant::now());
    eprintln!(
        "Making the history smaller, for {} s at most…",
        MAKING_SMALLER.as_secs()
    );
    minimise(drawn, invariant, MAKING_SMALLER, |smallest| {
        runs = runs.saturating_add(1);
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            eprintln!(
                "{} requests are left after {runs} runs",
                smallest.requests.len()
            );
        }
    })
}

/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(10);

fn run_seeds(Seeds(from, to): Seeds, jobs: Option<NonZeroUsize>) -> ExitCode {
    let began = Instant::now();
    let next = AtomicU64::new(from);
    let is_over = AtomicBool::new(false);
    let failed: Mutex<Option<(u64, Plan, Vec<Violation>)>> = Mutex::new(None);
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let done = AtomicU64::new(0);
    let work = || {
        while !is_over.load(Ordering::Relaxed) {
            let Ok(seed) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seed| {
                (seed < to).then(|| seed.saturating_add(1))
            }) else {
                break;
            };
            let drawn = plan(seed);
            let found = violations(&run(&drawn));
            done.fetch_add(1, Ordering::Relaxed);
            if !found.is_empty() {
                is_over.store(true, Ordering::Relaxed);
                if let Ok(mut failed) = failed.lock() {
                    let is_first = failed.as_ref().is_none_or(|(first, ..)| seed < *first);
                    if is_first {
                        *failed = Some((seed, drawn, found));
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.map_or(processors, NonZeroUsize::get))
            .map(|_| scope.spawn(work))
            .collect();
        let mut told = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                let (done, at) = (done.load(Ordering::Relaxed), next.load(Ordering::Relaxed));
                eprintln!(
                    "{done} of {} seeds, at {at}, {} s",
                    to.saturating_sub(from),
                    began.elapsed().as_secs()
                );
            }
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    let failed = failed.into_inner().ok().flatten();
    let Some((seed, drawn, found)) = failed else {
        let count = to.saturating_sub(from);
        say(&format!(
            "{count} histories in {seconds:.1} s: everything holds in all of them."
        ));
        return ExitCode::SUCCESS;
    };
    tell(seed, &found);
    if let Some(first) = found.first() {
        show(&run(&smaller(&drawn, first.invariant)));
    }
    say(&format!(
        "\nSeed {seed} violates an invariant, after {seconds:.1} s. `spillway-sim --seed {seed} --trace` shows this again, with `--whole` all of it."
    ));
    ExitCode::FAILURE
}
