//! How much may be tried again: a fifth more than was asked for, so that a storm of failures does not become a storm
//! of attempts.
//!
//! Every call pays in a fifth of an attempt, every attempt but a call's first draws a whole one. An instance begins
//! with a reserve, as one that has just started, or whose first target dies under all its calls at once, must be
//! able to move them. (Finagle and linkerd keep their retry budgets so.)

use std::sync::Mutex;

/// A whole attempt.
const ATTEMPT: u32 = 1000;
/// What a call pays in: 20 %.
const PER_CALL: u32 = 200;
/// What an instance begins with: as many attempts as it has calls waiting for a head at once, and some more.
const RESERVE: u32 = 20 * ATTEMPT;
/// No more is saved up.
const MOST: u32 = 50 * ATTEMPT;

/// The retry budget of one instance.
#[derive(Debug)]
pub struct Budget(Mutex<u32>);

impl Default for Budget {
    fn default() -> Self {
        Self(Mutex::new(RESERVE))
    }
}

impl Budget {
    /// A call has come.
    pub fn pay_in(&self) {
        if let Ok(mut balance) = self.0.lock() {
            *balance = balance.saturating_add(PER_CALL).min(MOST);
        }
    }

    /// Whether one more attempt may be made; if so, it is drawn.
    pub fn draw(&self) -> bool {
        let Ok(mut balance) = self.0.lock() else {
            return false;
        };
        match balance.checked_sub(ATTEMPT) {
            Some(rest) => {
                *balance = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_a_fifth_is_tried_again_beyond_the_reserve() {
        let budget = Budget::default();
        let mut drawn = 0;
        for _ in 0..1000 {
            budget.pay_in();
            while budget.draw() {
                drawn += 1;
            }
        }
        assert_eq!(drawn, 20 + 200);
    }

    #[test]
    fn little_is_saved_up() {
        let budget = Budget::default();
        for _ in 0..10_000 {
            budget.pay_in();
        }
        let drawn = std::iter::from_fn(|| budget.draw().then_some(())).count();
        assert_eq!(drawn, 50);
    }
}
