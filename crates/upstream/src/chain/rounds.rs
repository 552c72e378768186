//! What a call waits for before it tries its targets once more.

use std::time::Duration;

use super::{Chain, Failed, Step, Stop};
use crate::{Blame, CallContext, Failure};

/// However long a back-off grows, no longer than this.
const MAX_BACK_OFF: Duration = Duration::from_secs(8);

impl<'a> Chain<'a> {
    /// Everything has been tried. Where more attempts are allowed the targets are tried once more, after a while.
    pub(super) fn round_again(
        &mut self,
        failed: Failed,
        context: CallContext<'a>,
        elapsed: Duration,
    ) -> Step<'a> {
        // Left to itself, a call that had one endpoint and one credential to go to takes them once more, and one that finds everybody limited
        // comes back when it was asked to.
        let is_limited = failed.failure == Failure::Status(429);
        // What has been busy for a while will be so a moment later.
        let is_still_busy = self.knew_busy && is_limited;
        let is_allowed = self.fallback.max_attempts > 0
            || (self.rounds == 0 && !is_still_busy && (self.attempts == 1 || is_limited));
        if !is_allowed || !failed.failure.may_pass() {
            return Step::Stop(Stop::Exhausted);
        }
        // What a key was told its cooling says; what an endpoint was told holds for the call.
        let asked_for = match failed.failure.blame() {
            Blame::Key if failed.has_key => None,
            Blame::Endpoint | Blame::Key | Blame::Nobody => failed.retry_after,
        };
        let back_off = self.back_off().max(asked_for.unwrap_or_default());
        let waits = self.targets.iter().filter_map(|target| {
            let wait = target.pool.key_in(context, &target.excluded)?.max(back_off);
            let then = context.now.saturating_add(wait);
            let pool = target.pool;
            pool.has_endpoint_at(then, self.consumer).then_some(wait)
        });
        let Some(wait) = waits.min() else {
            return Step::Stop(Stop::Exhausted);
        };
        let left = self.left_after(wait, elapsed);
        if left.is_zero() {
            return Step::Stop(Stop::Deadline);
        }
        let wait = wait.saturating_add(self.spread(wait.saturating_sub(back_off), left));
        self.begins_anew = true;
        self.rounds = self.rounds.saturating_add(1);
        Step::Wait(wait)
    }

    /// What is put on a wait that ends for many calls at once, so that they do not all come in the same moment: up to
    /// a quarter of it, two seconds at most, and no more than half of what is left then: somebody has to answer yet.
    pub(super) fn spread(&self, wait: Duration, left: Duration) -> Duration {
        let max = wait
            .checked_div(4)
            .unwrap_or_default()
            .min(Duration::from_secs(2))
            .min(left.checked_div(2).unwrap_or_default());
        let share = self.sequence.wrapping_mul(0x9E37_79B9) >> 24;
        let part = max.saturating_mul(share).checked_div(256);
        part.unwrap_or_default()
    }

    /// What is left until the deadline after such a wait.
    pub(super) fn left_after(&self, wait: Duration, elapsed: Duration) -> Duration {
        let deadline = self.fallback.deadline.duration();
        deadline.saturating_sub(elapsed.saturating_add(wait))
    }

    /// Doubled each round, and up to a half of it taken off, so that calls which failed together do not come back
    /// together.
    fn back_off(&self) -> Duration {
        let whole = self
            .fallback
            .back_off
            .duration()
            .saturating_mul(1_u32.checked_shl(self.rounds).unwrap_or(u32::MAX))
            .min(MAX_BACK_OFF);
        let share = self.sequence.wrapping_mul(0x9E37_79B9) >> 24;
        let off = whole.saturating_mul(share).checked_div(512);
        whole.saturating_sub(off.unwrap_or_default())
    }
}
