//! Asking the store.

use spillway_limit::Applicable;
use spillway_platform::{Admission, Admitted, LeaseName, Platform, State};

use super::Limits;
use crate::Permit;
use crate::permit::Kept;
use crate::state_access::{NoAnswer, StateBudget};

/// Places that a request may have taken without knowing: the store has not answered, or the runtime has given the request
/// up meanwhile.
struct Unanswered<'l, P: Platform> {
    limits: &'l Limits<P>,
    applicable: &'l Applicable<'l>,
    lease: &'l LeaseName,
    is_answered: bool,
    /// Whether the request itself goes on, which sees to what it has reserved.
    goes_on: bool,
}

impl<P: Platform> Drop for Unanswered<'_, P> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let kept = Kept {
            in_flight: self.applicable.in_flight().cloned().collect(),
            reserved: if self.goes_on {
                Vec::new()
            } else {
                self.applicable.reserved(None)
            },
            kind: None,
            name: self.lease.clone(),
            may_be_taken_again: true,
        };
        if !kept.is_empty() {
            Permit::give_back(&self.limits.keeping(), kept);
        }
    }
}

impl<P: Platform> Limits<P> {
    pub(super) async fn charge(
        &self,
        budget: &StateBudget,
        applicable: &Applicable<'_>,
        lease: &LeaseName,
    ) -> Result<Admitted, NoAnswer> {
        let asked = Admission {
            charges: applicable.charges(),
            lease,
            new_values: applicable.new_values(),
        };
        let admit = async |waiting| {
            let mut unanswered = Unanswered {
                limits: self,
                applicable,
                lease,
                is_answered: false,
                goes_on: false,
            };
            let result = self.state.admit(asked, waiting).await;
            unanswered.is_answered = result.is_ok();
            unanswered.goes_on = true;
            result
        };
        let admitted = self.access.verdict(budget, admit).await;
        admitted.inspect_err(|why| self.access.tell_late(*why))
    }
}
