//! Endpoints one after the other.
//!
//! **Rule.** The first that may be picked from the place on whose turn it is, by the attempt's number. **Guarantee.** Of
//! as many calls in a row of one instance as there are endpoints each gets one, while all may be picked. **Cost.** No
//! state.

use super::PickContext;

/// Endpoints one after the other.
#[derive(Debug, Clone, Copy)]
pub struct RoundRobin;

impl RoundRobin {
    pub(super) fn pick(self, context: &PickContext<'_>) -> Option<usize> {
        rotated(context).next()
    }
}

/// The endpoints that may be picked, from the one on whose turn it is.
pub(super) fn rotated<'a>(context: &PickContext<'a>) -> impl Iterator<Item = usize> + use<'a> {
    let first = usize::try_from(context.sequence)
        .unwrap_or_default()
        .checked_rem(context.endpoint_count)
        .unwrap_or_default();
    let split = context.endpoints.partition_point(|place| *place < first);
    let (before, after) = context.endpoints.split_at(split);
    after.iter().chain(before).copied()
}
