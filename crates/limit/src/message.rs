//! What the client of a refused request is told, where the rule has no words of its own: when to come again.

use crate::Standing;

impl Standing<'_> {
    /// In words that a user of Dify reads, too: Dify shows them.
    pub fn message(&self) -> String {
        match (self.rule.tokens, self.window_s) {
            (Some(_), Some(window_s)) => self.of_tokens(window_s),
            (None, Some(window_s)) => format!(
                "Too many requests: at most {} in any {window_s} s{}. Try again in {} s.",
                self.limit,
                self.steps(window_s),
                self.reset_s
            ),
            (_, None) => format!(
                "Too many requests at once: {} may be in flight. Try again when one has ended.",
                self.limit
            ),
        }
    }

    fn of_tokens(&self, window_s: u64) -> String {
        let Self {
            limit,
            remaining,
            reset_s,
            cost,
            ..
        } = self;
        let rule = &self.rule.name;
        let need = if *cost > 0 {
            format!("{remaining} are left, and this call may use {cost}")
        } else {
            "they are used up".to_owned()
        };
        let wait = if self.is_known {
            format!("Try again in {reset_s} s.")
        } else {
            "The rest is reserved for calls that are running: try again when one has ended."
                .to_owned()
        };
        format!(
            "Too many tokens: the limit `{rule}` allows {limit} in any {window_s} s{}, {need}. {wait}",
            self.steps(window_s)
        )
    }

    /// Counted in sixths of the window, so that the wait may be longer than it.
    fn steps(&self, window_s: u64) -> String {
        if self.reset_s > window_s {
            format!(", counted in steps of {} s", window_s.div_ceil(6))
        } else {
            String::new()
        }
    }
}
