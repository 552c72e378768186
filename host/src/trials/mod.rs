//! Trying out what a configuration leads to, for the operator: each upstream, with the keys that it is sent, and the store.
//!
//! **Rule.** One small request for each service, endpoint and key, all at the same time, five seconds at most: the list of
//! models of a provider, the list of data sets of a RAGFlow, a question for a knowledge base that there is not to an engine
//! of Dify's contract, and any answer at all of other back ends. None costs tokens. What is wrong is told by the place in
//! `gateway.yaml`, never with a key.

mod answers;
mod background;
mod sending;
mod upstreams;

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use spillway_config::Gateway;
use spillway_state::Distance;

use crate::redis::try_out;

pub use self::background::Trials;
pub(crate) use self::sending::Sender;
use self::upstreams::{Trial, trials};

/// How many are under way at once.
const AT_ONCE: usize = 32;

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub verdict: TrialVerdict,
    /// What was tried, and what came of it.
    pub words: String,
}

/// How something is that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrialVerdict {
    /// As it should be.
    Fine,
    /// Not as one would expect, though it may serve.
    Odd,
    /// It cannot serve.
    Wrong,
}

/// Probes all that a configuration leads to, whose `{{ name }}` have their values, and `former` did not: the store first,
/// then upstreams in the order of the file.
pub async fn try_all(gateway: &Gateway, former: Option<&Gateway>) -> Vec<Finding> {
    let sender = Sender::new();
    let known = former.map(trials).unwrap_or_default();
    let is_new = |trial: &Trial| !known.iter().any(|it| it.is(trial));
    let upstreams = stream::iter(trials(gateway).into_iter().filter(is_new))
        .map(|trial| trial.run(&sender))
        .buffered(AT_ONCE)
        .collect::<Vec<_>>();
    let (store, upstreams) = futures_util::join!(try_store(gateway, former), upstreams);
    store.into_iter().chain(upstreams).collect()
}

/// `None` where there is no Redis, or the same as before.
async fn try_store(gateway: &Gateway, former: Option<&Gateway>) -> Option<Finding> {
    let address = gateway.state.redis.trim();
    let is_known = former.is_some_and(|former| former.state.redis.trim() == address);
    if address.is_empty() || is_known {
        return None;
    }
    let (verdict, words) = match try_out(address).await {
        Err(problem) => (
            TrialVerdict::Wrong,
            format!("Redis cannot be used: {problem}"),
        ),
        Ok(distance) => match Distance::of(distance, gateway.state.timeout.duration(), address) {
            Distance::Near => {
                let words = format!("Redis can be used; it is {} away", in_words(distance));
                (TrialVerdict::Fine, words)
            }
            Distance::Far(message) => (TrialVerdict::Odd, message),
            Distance::TooFar(message) => (TrialVerdict::Wrong, message),
        },
    };
    Some(Finding { verdict, words })
}

fn in_words(distance: Duration) -> String {
    match distance.as_millis() {
        0 => "less than 1 ms".to_owned(),
        milliseconds => format!("{milliseconds} ms"),
    }
}
