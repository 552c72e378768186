//! How much may be tried again: a fifth more than was asked for, so that a storm of failures does not become a storm
//! of attempts.
//!
//! Every call pays in a fifth of an attempt, every attempt but a call's first draws a whole one. An instance that has
//! just started, or whose first target dies under all its calls at once, must be able to move them: it may draw some
//! attempts in advance, which its calls pay back before they save up any more. So an instance makes at most a fifth
//! more attempts than it has calls, once it has had a hundred of them. (Finagle and linkerd keep their retry budgets so,
//! but for the advance.)

use std::sync::Mutex;

/// A whole attempt.
const ATTEMPT: u32 = 1000;
/// What a call pays in: 20 %.
const PER_CALL: u32 = 200;
/// What may be drawn in advance: as many attempts as an instance has calls that wait for a head at once, and a few more.
const ADVANCE: u32 = 20 * ATTEMPT;
/// No more is saved up.
const MOST: u32 = 50 * ATTEMPT;

/// The retry budget of one instance.
#[derive(Debug)]
pub struct Budget(Mutex<Account>);

#[derive(Debug)]
struct Account {
    balance: u32,
    /// What is left to be paid back of the advance.
    owed: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self(Mutex::new(Account {
            balance: ADVANCE,
            owed: ADVANCE,
        }))
    }
}

impl Budget {
    /// A call has come.
    pub fn pay_in(&self) {
        if let Ok(mut account) = self.0.lock() {
            match account.owed.checked_sub(PER_CALL) {
                Some(owed) => account.owed = owed,
                None => account.balance = account.balance.saturating_add(PER_CALL).min(MOST),
            }
        }
    }

    /// Whether one more attempt may be made; if so, it is drawn.
    pub fn draw(&self) -> bool {
        let Ok(mut account) = self.0.lock() else {
            return false;
        };
        match account.balance.checked_sub(ATTEMPT) {
            Some(rest) => {
                account.balance = rest;
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
    fn no_more_than_a_fifth_is_tried_again() {
        let budget = Budget::default();
        let mut drawn = 0;
        for calls in 1..=1000 {
            budget.pay_in();
            while budget.draw() {
                drawn += 1;
            }
            assert!(drawn <= (calls / 5).max(20), "{drawn} after {calls} calls");
        }
        assert_eq!(drawn, 200);
    }

    #[test]
    fn a_new_instance_can_move_all_its_calls_and_little_is_saved_up() {
        let drawn = |budget: &Budget| std::iter::from_fn(|| budget.draw().then_some(())).count();
        assert_eq!(drawn(&Budget::default()), 20);
        let budget = Budget::default();
        for _ in 0..10_000 {
            budget.pay_in();
        }
        assert_eq!(drawn(&budget), 50);
    }
}
