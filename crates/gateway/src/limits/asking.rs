//! Asking the store, and telling the operator how it is.

use std::sync::Arc;
use std::time::Duration;

use spillway_limit::Applicable;
use spillway_platform::{Admission, Admitted, LeaseName, Platform, State, StateError};
use spillway_state::StoreTransition;
use spillway_telemetry::Family;

use super::Limits;
use crate::Permit;
use crate::state_access::StoreResult;

/// A late answer is logged no more often.
const LATE_LOGGED_EVERY: Duration = Duration::from_secs(10);

/// Places that a request may have taken without knowing: the store has not answered, or the runtime has given the request
/// up meanwhile.
struct Unanswered<'l, P: Platform> {
    limits: &'l Limits<P>,
    applicable: &'l Applicable<'l>,
    lease: &'l LeaseName,
    is_answered: bool,
}

impl<P: Platform> Drop for Unanswered<'_, P> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let in_flight: Vec<_> = self.applicable.in_flight().cloned().collect();
        if !in_flight.is_empty() {
            let Limits {
                platform,
                log,
                state,
                ..
            } = self.limits;
            let (log, state) = (log.clone(), Arc::clone(state));
            Permit::give_back(platform, log, state, in_flight, self.lease.clone());
        }
    }
}

impl<P: Platform> Limits<P> {
    /// `None`: the store did not answer, or is being left alone.
    pub(super) async fn charge(
        &self,
        applicable: &Applicable<'_>,
        lease: &LeaseName,
    ) -> Option<Admitted> {
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
            };
            let result = self.state.admit(asked).await;
            unanswered.is_answered = result.is_ok();
            result
        };
        let asked = self.access.ask(&self.platform, admit).await?;
        self.tell(&asked);
        asked.result.ok()
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
