//! Which endpoint of a provider serves a call, of those that may.
//!
//! The credential has been chosen by then, and with it which endpoints take it: a balancer spreads load, and knows
//! nothing of health. [`LoadBalancer::pick`] may await, for the policies that ask the store or the engines; whoever
//! asked sees to it that the endpoint still takes calls when the pick is there ([`crate::Pool::pick`]).
//! [`LoadBalancer::report`] is called once for each pick, also where the call was dropped.

mod least_request;
mod round_robin;

use spillway_config::LbPolicy;

pub use self::least_request::LeastRequest;
pub use self::round_robin::RoundRobin;
use crate::AttemptOutcome;

/// What a balancer goes by.
#[derive(Debug, Clone, Copy)]
pub struct PickContext<'a> {
    /// The endpoints that may be picked, by their places, in ascending order.
    pub endpoints: &'a [usize],
    /// How many endpoints the provider has.
    pub endpoint_count: usize,
    /// One higher with each attempt of a call, and with each call of an instance.
    pub sequence: u32,
}

/// How a provider's calls are spread over its endpoints.
///
/// ```
/// use spillway_config::LbPolicy;
/// use spillway_upstream::{LoadBalancer, AttemptOutcome, PickContext};
///
/// # use futures_util::FutureExt as _;
/// # async fn example() {
/// let balancer = LoadBalancer::new(LbPolicy::LeastRequest, 2);
/// let context = PickContext { endpoints: &[0, 1], endpoint_count: 2, sequence: 7 };
/// let first = balancer.pick(&context).await.unwrap();
/// let second = balancer.pick(&context).await.unwrap();
/// assert_ne!(first, second, "the first is busy");
/// balancer.report(first, AttemptOutcome::Served);
/// assert_eq!(balancer.pick(&context).await, Some(first));
/// # }
/// # example().now_or_never().unwrap();
/// ```
#[derive(Debug)]
pub enum LoadBalancer {
    /// One after the other.
    RoundRobin(RoundRobin),
    /// The one with the fewest calls in flight.
    LeastRequest(LeastRequest),
}

impl LoadBalancer {
    /// A balancer for so many endpoints.
    pub fn new(policy: LbPolicy, endpoint_count: usize) -> Self {
        match policy {
            LbPolicy::RoundRobin => Self::RoundRobin(RoundRobin),
            LbPolicy::LeastRequest => Self::LeastRequest(LeastRequest::new(endpoint_count)),
        }
    }

    /// The endpoint's place; `None` where there is none to pick from.
    #[expect(
        clippy::unused_async,
        reason = "policies that ask the store will await here, and callers are held to it"
    )]
    pub async fn pick(&self, context: &PickContext<'_>) -> Option<usize> {
        match self {
            Self::RoundRobin(policy) => policy.pick(context),
            Self::LeastRequest(policy) => policy.pick(context),
        }
    }

    /// How the call went that an endpoint was picked for.
    pub fn report(&self, endpoint: usize, _outcome: AttemptOutcome) {
        match self {
            Self::RoundRobin(_) => {}
            Self::LeastRequest(policy) => policy.leave(endpoint),
        }
    }
}
