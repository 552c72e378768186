//! Asking the store, and telling the operator how it is.

use std::time::Duration;

use spillway_limit::Applicable;
use spillway_platform::{Admission, Admitted, LeaseName, Platform, State, StateError};
use spillway_state::StoreTransition;
use spillway_telemetry::Family;

use super::Limits;
use crate::Permit;
use crate::permit::Kept;
use crate::state_access::StoreResult;

/// A late answer is logged no more often.
const LATE_LOGGED_EVERY: Duration = Duration::from_secs(10);

/// Why there is no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unverdicted {
    /// The store is being left alone.
    NotAsked,
    /// It did not answer, or not in time: it may do what it was asked yet.
    NotAnswered,
}

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
        applicable: &Applicable<'_>,
        lease: &LeaseName,
    ) -> Result<Admitted, Unverdicted> {
        let asked = Admission {
            charges: applicable.charges(),
            lease,
            new_values: applicable.new_values(),
        };
        let admit = async {
            let mut unanswered = Unanswered {
                limits: self,
                applicable,
                lease,
                is_answered: false,
                goes_on: false,
            };
            let result = self.state.admit(asked).await;
            unanswered.is_answered = result.is_ok();
            unanswered.goes_on = true;
            result
        };
        let asked = self.access.ask(&self.platform, admit).await;
        let asked = asked.ok_or(Unverdicted::NotAsked)?;
        self.tell(&asked);
        asked.result.map_err(|_| Unverdicted::NotAnswered)
    }

    /// What the operator should know of the store.
    fn tell(&self, asked: &StoreResult<Admitted>) {
        match (&asked.result, asked.transition) {
            (Err(error), Some(StoreTransition::Opened)) => {
                self.log.warn(&format!(
                    "limits: the store does not answer and is left alone for now: {error}"
                ));
            }
            (Err(error), _) if error.is_late => {
                self.meter
                    .count(|counters| counters.add(Family::StateLate, [], 1));
                self.log_late(error);
            }
            // That it is left alone has been said.
            (Err(_), _) if asked.is_probe => {}
            (Err(error), _) => self.log.warn(&format!("limits: {error}")),
            (Ok(_), Some(_)) => self.log.info("limits: the store answers again"),
            (Ok(_), None) => {}
        }
        if let Some(transition) = asked.transition {
            self.meter.count(|counters| {
                counters.add(Family::StateTransitions, [transition.as_str().into()], 1)
            });
        }
    }

    /// Once in a while, as it may be every request's lot.
    fn log_late(&self, error: &StateError) {
        let now = self.platform.now();
        let Ok(mut logged) = self.late_logged.lock() else {
            return;
        };
        if logged.is_none_or(|logged| now.saturating_sub(logged) >= LATE_LOGGED_EVERY) {
            *logged = Some(now);
            self.log.warn(&format!(
                "limits: {error}: a request was decided without its verdict, as on_error says. /_gateway/health/ready tells the distance"
            ));
        }
    }
}
