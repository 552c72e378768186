//! How much may be tried again: a fifth more than was asked for, so that a storm of failures does not become a storm
//! of attempts.
//!
//! Every call pays in a fifth of an attempt, every attempt but a call's first draws a whole one. (Finagle and linkerd
//! keep their retry budgets so.) Two things are allowed before it has been paid for:
//!
//! - an instance that has just started may draw some attempts in advance;
//! - a call whose endpoint or key failed may go on to others, and once to the same. Where a target dies under all calls
//!   at once, each of them must be able to move. It cannot become a storm, as an endpoint that fails often is taken out
//!   of the way by its breaker, and a key by its first failure; what is drawn so has to be paid for before anything else
//!   may be tried again.
//!
//! Going on because a model refused what was asked (too long, filtered) costs nothing: that is no retry.

use std::sync::Mutex;

/// A whole attempt.
const ATTEMPT: u64 = 1000;
/// What a call pays in: 20 %.
const PER_CALL: u64 = 200;
/// What may be drawn in advance: little, as instances come and go, and each new one may draw it.
const ADVANCE: u64 = 10 * ATTEMPT;
/// What calls may draw whose endpoint or key failed: as many as one instance has calls, by Spin's default.
const MOVES: u64 = 128 * ATTEMPT;
/// No more is saved up.
const MAX_BALANCE: u64 = 50 * ATTEMPT;

/// The retry budget of one instance.
#[derive(Debug, Default)]
pub struct Budget(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    paid: u64,
    drawn: u64,
}

impl Budget {
    /// A call has come.
    pub fn pay_in(&self) {
        if let Ok(mut account) = self.0.lock() {
            let max = account.drawn.saturating_add(MAX_BALANCE);
            account.paid = account.paid.saturating_add(PER_CALL).min(max);
        }
    }

    /// Whether one more attempt may be made; if so, it is drawn.
    pub fn draw(&self) -> bool {
        self.draw_in_advance(ADVANCE)
    }

    /// Whether a call may go on whose endpoint or key failed; if so, it is drawn.
    pub fn draw_to_move(&self) -> bool {
        self.draw_in_advance(MOVES)
    }

    fn draw_in_advance(&self, advance: u64) -> bool {
        let Ok(mut account) = self.0.lock() else {
            return false;
        };
        let may = account.drawn.saturating_add(ATTEMPT) <= account.paid.max(advance);
        if may {
            account.drawn = account.drawn.saturating_add(ATTEMPT);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(draw: impl Fn() -> bool) -> usize {
        std::iter::from_fn(|| draw().then_some(())).count()
    }

    #[test]
    fn no_more_than_a_fifth_is_tried_again() {
        let budget = Budget::default();
        let mut sum = 0;
        for calls in 1..=1000 {
            budget.pay_in();
            sum += drawn(|| budget.draw());
            assert!(sum <= (calls / 5).max(10), "{sum} after {calls} calls");
        }
        assert_eq!(sum, 200);
    }

    #[test]
    fn all_calls_of_an_instance_can_move_and_have_to_be_paid_for() {
        let budget = Budget::default();
        assert_eq!(drawn(|| budget.draw_to_move()), 128);
        for _ in 0..639 {
            budget.pay_in();
            assert!(!budget.draw());
        }
        for _ in 0..6 {
            budget.pay_in();
        }
        assert!(budget.draw());
    }

    #[test]
    fn little_is_saved_up() {
        let budget = Budget::default();
        for _ in 0..10_000 {
            budget.pay_in();
        }
        assert_eq!(drawn(|| budget.draw()), 50);
    }
}
