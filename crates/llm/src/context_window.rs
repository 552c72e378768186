//! Calls whose input is larger than a target takes: found out before a provider is asked.

use bytes::Bytes;
use spillway_config::OnExceeded;
use spillway_upstream::target_order;

use crate::{ModelRequest, Operation, Route, TargetPlace};
use spillway_tokens::TokenEstimate;

/// So much is read in one go, in bytes: some milliseconds at most.
const STEP_BYTES: usize = 256 * 1024;

/// Members that no model reads. All others count: engines have members of their own, and what is there twice, or is written
/// in other capitals, some of them read.
const NO_INPUT: [&str; 8] = [
    "model",
    "models",
    "fallbacks",
    "metadata",
    "user",
    "logit_bias",
    "safety_identifier",
    "prompt_cache_key",
];

/// How many tokens a request's input comes to, as far as that was estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputTokens {
    /// All together.
    pub total: u64,
    /// What has to fit into a context window: of several texts that are to be embedded, or completed, each has to by
    /// itself, and the largest counts.
    pub largest: u64,
}

impl InputTokens {
    /// However many.
    pub const ANY: Self = Self {
        total: u64::MAX,
        largest: u64::MAX,
    };
}

/// The tokens of a request's input, [estimated](crate::estimate_tokens) in steps: between two of them others have their
/// turn.
#[derive(Debug)]
pub struct InputEstimate<'r> {
    members: std::slice::Iter<'r, (String, Bytes)>,
    estimate: TokenEstimate<'r>,
    /// Of the members that have been read.
    before: InputTokens,
    max: InputTokens,
    /// The member whose texts are each an input of their own.
    list: &'static str,
}

impl<'r> InputEstimate<'r> {
    /// Of a request; above one of `max` it is not looked at further.
    pub fn new(request: &'r ModelRequest, operation: Operation, max: InputTokens) -> Self {
        Self {
            list: match operation {
                Operation::Embeddings => "input",
                Operation::Completions => "prompt",
                _ => "",
            },
            members: request.members().iter(),
            estimate: TokenEstimate::new(&[]),
            before: InputTokens {
                total: 0,
                largest: 0,
            },
            max,
        }
    }

    /// Reads on; `None` where there is more.
    pub fn step(&mut self) -> Option<InputTokens> {
        let mut read = 0_usize;
        while read < STEP_BYTES {
            let InputTokens { total, largest } = self.before;
            let tokens = InputTokens {
                total: total.saturating_add(self.estimate.tokens()),
                largest: largest.saturating_add(self.estimate.largest()),
            };
            if tokens.total > self.max.total || tokens.largest > self.max.largest {
                return Some(tokens);
            }
            let left = self.estimate.left();
            if self.estimate.step() {
                read = read.saturating_add(left.saturating_sub(self.estimate.left()));
            } else {
                self.before = tokens;
                let next = self
                    .members
                    .find(|(name, _)| !NO_INPUT.contains(&name.as_str()));
                let Some((name, value)) = next else {
                    return Some(tokens);
                };
                self.estimate = if name == self.list {
                    TokenEstimate::of_each(value)
                } else {
                    TokenEstimate::new(value)
                };
            }
        }
        None
    }
}

impl Route {
    /// The largest of its targets' context windows, where some have one.
    pub fn largest_window(&self) -> Option<u64> {
        let windows = self.targets.iter().filter_map(|place| place.window);
        windows.map(|window| window.max_input_tokens).max()
    }

    /// The context window for which this call of so many tokens is to be refused: of the target that it begins with, or, where
    /// others may take it, of the largest of all. A call that is bound to what a provider keeps goes to no other.
    pub fn exceeded_window(
        &self,
        operation: Operation,
        model: &str,
        number: u32,
        input: InputTokens,
        is_bound: bool,
    ) -> Option<u64> {
        let mut places = self
            .in_order(number)
            .filter(|place| self.may_answer(place, operation, model));
        let too_small = |place: &TargetPlace| {
            let window = place.window?;
            (!place.takes(Some(input))).then_some(window)
        };
        let first = places.next().and_then(too_small)?;
        let mut largest = first.max_input_tokens;
        if first.on_exceeded == OnExceeded::Next && !is_bound {
            for place in places {
                let window = too_small(place)?;
                largest = largest.max(window.max_input_tokens);
            }
        }
        Some(largest)
    }

    /// The targets in the order in which the call of this number tries them.
    pub(crate) fn in_order(&self, number: u32) -> impl Iterator<Item = &TargetPlace> {
        let weights: Vec<Option<u32>> = self.targets.iter().map(|place| place.weight).collect();
        let order = target_order(&weights, number).into_iter();
        order.filter_map(|index| self.targets.get(index))
    }

    /// Whether this target has the operation, and its answer is one to what was asked: vectors of two models cannot be
    /// compared.
    pub(crate) fn may_answer(
        &self,
        place: &TargetPlace,
        operation: Operation,
        model: &str,
    ) -> bool {
        let is_alike = operation != Operation::Embeddings || self.embeds_alike(place, model);
        is_alike && place.dialect().offers(operation)
    }
}
