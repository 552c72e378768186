//! Feeds broken input to every parser that reads foreign bytes, for as long as it is told.
//!
//! `spillway-fuzz [--seconds 60] [--seed N]`. Inputs are made by breaking good ones: bytes flipped, pieces doubled,
//! cut, swapped and spliced. Built with overflow checks. A panic ends it, printing target, seed and input.

mod mutate;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let mut seconds: u64 = 60;
    let mut seed = fastrand::u64(..);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments
            .next()
            .with_context(|| format!("{argument} takes a number"))?;
        match argument.as_str() {
            "--seconds" => seconds = value.parse().context("--seconds takes a number")?,
            "--seed" => seed = value.parse().context("--seed takes a number")?,
            other => {
                bail!("there is no option {other}; usage: spillway-fuzz [--seconds 60] [--seed N]")
            }
        }
    }
    let targets = targets::all();
    let count = u32::try_from(targets.len())?.max(1);
    let share = Duration::from_secs(seconds)
        .checked_div(count)
        .unwrap_or_default();
    say(&format!("seed {seed}"));
    let mut random = fastrand::Rng::with_seed(seed);
    for target in targets {
        let began = Instant::now();
        let mut inputs: u64 = 0;
        while began.elapsed() < share {
            let input = mutate::broken(target.samples, &mut random);
            if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
                bail!(
                    "{}: panicked (seed {seed}) on {:?}",
                    target.name,
                    String::from_utf8_lossy(&input)
                );
            }
            inputs = inputs.saturating_add(1);
        }
        say(&format!("{}: {inputs} inputs, no panic", target.name));
    }
    Ok(())
}

fn say(line: &str) {
    #[expect(clippy::print_stdout, reason = "a command's output")]
    {
        println!("{line}");
    }
}
