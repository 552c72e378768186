//! Which way a call takes after which failure.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test"
)]

mod bounds;
mod budget;
mod ejected;
mod next_target;
mod waits;

use std::time::Duration;

use futures_util::FutureExt as _;
use spillway_config::{Fallback, Gateway};
use spillway_upstream::{
    AttemptOutcome, Budget, Candidates, Chain, Failure, Pick, Pool, Step, Stop,
};

/// Whose calls they are.
const ANN: &str = "ann";

/// Pools of providers with so many endpoints and keys.
fn pools(sizes: &[(usize, usize)]) -> Vec<Pool> {
    let list = |count: usize, item: &dyn Fn(usize) -> String| {
        (0..count).map(item).collect::<Vec<_>>().join(",")
    };
    let providers: Vec<String> = sizes
        .iter()
        .enumerate()
        .map(|(number, (endpoints, keys))| {
            let urls = list(*endpoints, &|index| {
                format!("\"http://p{number}-{index}/v1\"")
            });
            let keys = list(*keys, &|index| format!("\"key-{number}-{index}\""));
            format!(r#"{{"name":"p{number}","endpoints":[{urls}],"api_keys":[{keys}]}}"#)
        })
        .collect();
    let document = format!(r#"{{"providers":[{}]}}"#, providers.join(","));
    let gateway: Gateway = serde_json::from_str(&document).unwrap();
    gateway
        .providers
        .iter()
        .map(|provider| Pool::new(provider).unwrap())
        .collect()
}

/// What the provider's balancer picks.
fn picked(pool: &Pool, candidates: Candidates<'_>) -> Pick {
    pool.pick(candidates).now_or_never().unwrap().unwrap()
}

struct Call<'a> {
    chain: Chain<'a>,
    pools: &'a [Pool],
    now: Duration,
    /// Since the call's arrival, waits included.
    elapsed: Duration,
}

impl<'a> Call<'a> {
    fn new(pools: &'a [Pool], fallback: &'a Fallback, budget: &'a Budget, sequence: u32) -> Self {
        let targets = pools.iter().map(|pool| (pool, "m"));
        Self {
            chain: Chain::new(targets, fallback, budget, ANN, sequence),
            pools,
            now: Duration::from_secs(100),
            elapsed: Duration::ZERO,
        }
    }

    fn step(&mut self) -> Step<'a> {
        self.chain.next(self.now, 1_800_000_000, self.elapsed)
    }

    /// The next attempt, waits waited for.
    fn attempt(&mut self) -> Result<(usize, Pick), Stop> {
        loop {
            match self.step() {
                Step::Try { target, candidates } => {
                    return Ok((target, picked(&self.pools[target], candidates)));
                }
                Step::Wait(time) => {
                    self.now += time;
                    self.elapsed += time;
                }
                Step::Stop(stop) => return Err(stop),
            }
        }
    }

    fn fails(&mut self, (target, pick): (usize, Pick), failure: Failure) {
        self.pools[target].report(self.now, ANN, pick, AttemptOutcome::Failed(failure, None));
        self.chain.failed(pick, failure, None);
    }
}

/// The targets and keys of every attempt of a call that fails so each time, and why it stops.
fn fail_all(
    pools: &[Pool],
    fallback: &Fallback,
    failure: Failure,
) -> (Vec<(usize, usize, Option<usize>)>, Stop) {
    let budget = Budget::default();
    let mut call = Call::new(pools, fallback, &budget, 0);
    let mut attempts = Vec::new();
    loop {
        match call.attempt() {
            Ok((target, pick)) => {
                attempts.push((target, pick.endpoint, pick.credential));
                call.fails((target, pick), failure);
            }
            Err(stop) => return (attempts, stop),
        }
    }
}

/// For so long, and a little more, so that not all come back at once.
fn assert_waits(step: Step<'_>, seconds: u64) {
    let wait = Duration::from_secs(seconds);
    match step {
        Step::Wait(time) => assert!(
            time >= wait && time <= wait + Duration::from_secs(2),
            "{time:?}"
        ),
        other => assert_eq!(other, Step::Wait(wait)),
    }
}
