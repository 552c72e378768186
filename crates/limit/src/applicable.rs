//! What one request is charged, and by which rules.

use spillway_config::OnError;
use spillway_platform::{Admitted, Charge, Mode, NewValues, Settled};

use crate::descriptor::Descriptor;
use crate::verdict::Standpoint;
use crate::{LimitDescription, Rule, TokenCounting, Verdict};

/// What a request has reserved by one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// The rule's name.
    pub rule: String,
    /// How it counts.
    pub counting: TokenCounting,
    /// What is reserved.
    pub charge: Charge,
    /// As the store told it.
    pub sub_window: u64,
}

/// What one request is charged, and by which rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applicable<'r> {
    /// The API's kind and name.
    pub(crate) api: &'r str,
    /// Of each charge, its rule.
    pub(crate) rules: Vec<&'r Rule>,
    pub(crate) charges: Vec<Charge>,
    /// Of each charge, whose requests it counts.
    pub(crate) descriptors: Vec<Descriptor<'r>>,
    /// Of each charge, whether it is to be taken back where the upstream does not know the client's key.
    pub(crate) forgettable: Vec<bool>,
    pub(crate) new_values: Option<NewValues>,
}

impl<'r> Applicable<'r> {
    /// Whether no rule holds for the request, so that nothing needs to be asked.
    pub fn is_empty(&self) -> bool {
        self.charges.is_empty()
    }

    /// For the store, all in one call.
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }

    /// What they count.
    pub fn described(&self) -> impl Iterator<Item = (&Charge, LimitDescription)> {
        let rules = self.rules.iter().zip(&self.descriptors);
        let charges = self.charges.iter().zip(rules);
        charges.map(|(charge, (rule, descriptor))| {
            let description = LimitDescription::new(self.api, rule, descriptor, charge);
            (charge, description)
        })
    }

    /// What those of them count under which something is charged now, and whose keys are wanted. A value that anybody may
    /// have made up is none before it has come again: it would push out those that are real.
    pub fn descriptions(
        &self,
        admitted: &Admitted,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<(&Charge, LimitDescription)> {
        let charged = self.charges.iter().zip(&admitted.charges);
        let is_wanted = charged.map(|(charge, charged)| {
            let has_come_before = charged.full || charged.used > charge.cost;
            let is_known = charge.cost_when_new() == 0 || has_come_before;
            charged.used > 0 && is_known && !admitted.too_many_new && wanted(&charge.key)
        });
        let is_wanted: Vec<bool> = is_wanted.collect();
        let described = self.described().zip(is_wanted);
        described
            .filter_map(|(described, is_wanted)| is_wanted.then_some(described))
            .collect()
    }

    /// Those of them that are kept while the request is in flight.
    pub fn in_flight(&self) -> impl Iterator<Item = &Charge> {
        self.charges.iter().filter(|charge| charge.is_in_flight())
    }

    /// Whether nothing of it lasts as long as the request: it is neither in flight under a limit nor reserves anything.
    pub fn holds_nothing(&self) -> bool {
        let mut charges = self.charges.iter();
        charges.all(|charge| matches!(charge.mode, Mode::Count { .. }))
    }

    /// For the store, in the same call: the bound on what the client invents, where it did so.
    pub fn new_values(&self) -> Option<&NewValues> {
        self.new_values.as_ref()
    }

    /// What the request was counted by: to be taken back if a later phase refuses it.
    pub fn counted(&self, admitted: &Admitted) -> Vec<Settled> {
        self.undo_where(|_| true, admitted)
    }

    /// What it was counted by that comes with its key: to be taken back if the upstream does not know that.
    pub fn forgettable(&self, admitted: &Admitted) -> Vec<Settled> {
        let is_one = |place: usize| self.forgettable.get(place).copied().unwrap_or_default();
        self.undo_where(is_one, admitted)
    }

    fn undo_where(&self, wanted: impl Fn(usize) -> bool, admitted: &Admitted) -> Vec<Settled> {
        if !admitted.passes {
            return Vec::new();
        }
        let charges = self.charges.iter().zip(&admitted.charges).enumerate();
        charges
            .filter(|(place, (charge, charged))| {
                let was_charged = !charged.full && charged.used > 0;
                was_charged && matches!(charge.mode, Mode::Count { .. }) && wanted(*place)
            })
            .map(|(_, (charge, charged))| Settled {
                charge: charge.clone(),
                sub_window: charged.sub_window,
                actual: 0,
            })
            .collect()
    }

    /// What it has reserved, to be settled when its use is known: also what costs nothing before. Where the store has not
    /// answered (`None`), all that it may have.
    pub fn reserved(&self, admitted: Option<&Admitted>) -> Vec<Reserved> {
        let passes = admitted.is_none_or(|admitted| admitted.passes);
        let charges = self.rules.iter().zip(&self.charges).enumerate();
        let reserved = charges.filter_map(|(place, (rule, charge))| {
            let charged = admitted.and_then(|admitted| admitted.charges.get(place));
            let is_full = charged.is_some_and(|charged| charged.full || charged.passed_over);
            let counting = rule.tokens.filter(|_| passes && !is_full)?;
            Some(Reserved {
                rule: rule.name.clone(),
                counting,
                charge: charge.clone(),
                sub_window: charged.map_or(0, |charged| charged.sub_window),
            })
        });
        reserved.collect()
    }

    /// Whether some rule counts its tokens.
    pub fn counts_tokens(&self) -> bool {
        self.rules.iter().any(|rule| rule.tokens.is_some())
    }

    /// How many tokens it was refused, of each rule that refuses it.
    pub fn refused_tokens(&self, admitted: &Admitted) -> impl Iterator<Item = (&'r str, u64)> {
        let charges = self.charges.iter().zip(&admitted.charges);
        let refused = self.rules.iter().zip(charges);
        let refused = refused.filter(|(rule, (_, charged))| {
            !admitted.passes && charged.full && rule.tokens.is_some() && !rule.dry_run
        });
        refused.map(|(rule, (charge, _))| (rule.name.as_str(), charge.cost))
    }

    /// What happens to the request if the store gives no answer: it is refused if a rule that is no dry run says so.
    pub fn when_state_fails(&self) -> OnError {
        if self.rules.iter().any(|rule| rule.denies_on_error()) {
            OnError::Deny
        } else {
            OnError::Allow
        }
    }

    /// What the store's answer to [`Applicable::charges`] means.
    pub fn verdict(&self, admitted: &Admitted) -> Verdict<'r> {
        let all = self.charges.iter().zip(&admitted.charges);
        let all = self.rules.iter().zip(all);
        // Of equals a window tells more than what is in flight, of which nobody knows when it ends.
        let (in_flight, in_windows): (Vec<_>, Vec<_>) =
            all.partition(|(_, (charge, _))| charge.is_in_flight());
        let all = in_windows.into_iter().chain(in_flight);
        let all = all.map(|(rule, (charge, charged))| Standpoint::new(rule, charge, charged));
        Verdict::new(admitted.passes, all)
    }
}
