//! All rules of an API, and those of them that hold for a request.

use spillway_config::{OnError, RateLimit, RuleItem, StateConfig};
use spillway_platform::{Admitted, Charge, NewValues, Settled};

use crate::digest::CountNames;
use crate::invention::{Invention, allowance, client};
use crate::item::{Item, Quota, Wanted};
use crate::verdict::Standpoint;
use crate::{DigestKey, Due, Error, RequestFacts, Verdict};

/// A rule, as far as answers and reports are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, for logs, metrics and headers.
    pub name: String,
    /// Whether answers to requests that pass tell its quota.
    pub shows_quota: bool,
    /// The status of a refusal.
    pub rejected_code: u16,
    /// The body of a refusal; `None`: in the form that the API's clients know.
    pub rejected_msg: Option<String>,
    /// What happens while requests cannot be counted.
    pub on_error: OnError,
    /// Whether it only counts.
    pub dry_run: bool,
}

/// The request limits of one API, ready to be asked.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<RuleLimits>,
    /// What clients' new values are counted under, of all APIs together, and how many a client may bring.
    clients: CountNames,
    new_values_per_second: u32,
}

#[derive(Debug)]
struct RuleLimits {
    rule: Rule,
    /// A quota for all requests together, and what they are counted under.
    global: Option<(Quota, String)>,
    items: Vec<Item>,
}

impl Rules {
    /// Prepares an API's limits. `api` tells it from all other APIs, of other kinds too: `agent/dify`. Those that
    /// do not say what to do while requests cannot be counted do as `state.on_error` says.
    ///
    /// Counts go on where they stood after a restart with another limit, other keys beside, or another order.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(
        limits: &[RateLimit],
        api: &str,
        state: &StateConfig,
        digest_key: &DigestKey,
    ) -> Result<Self, Error> {
        let rules = limits.iter().map(|config| {
            let common = [api, config.rule_name.as_str()];
            let global = config.global_threshold.map(|quota| {
                let names = digest_key.count_names(&[&common[..], &["global_threshold"]].concat());
                (Quota::new(quota), names.name(b""))
            });
            let all = &config.rule_items;
            let items = all.iter().enumerate().map(|(place, item)| {
                let is_twin =
                    |other: &&RuleItem| other.by == item.by && other.per_value == item.per_value;
                let twins = all.iter().take(place).filter(is_twin).count();
                Item::new(item, twins, &config.rule_name, &common, digest_key)
            });
            Ok(RuleLimits {
                rule: Rule {
                    name: config.rule_name.clone(),
                    shows_quota: config.show_limit_quota_header,
                    rejected_code: config.rejected_code,
                    rejected_msg: config.rejected_msg.clone(),
                    on_error: config.on_error.unwrap_or(state.on_error),
                    dry_run: config.dry_run,
                },
                global,
                items: items.collect::<Result<_, _>>()?,
            })
        });
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
            clients: digest_key.count_names(&["new_values"]),
            new_values_per_second: state.new_values_per_second,
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule counts by the end user.
    pub fn count_by_end_user(&self) -> bool {
        let mut items = self.rules.iter().flat_map(|limits| &limits.items);
        items.any(Item::counts_by_end_user)
    }

    /// Whether requests are refused while they cannot be counted, so that the API cannot work then.
    pub fn deny_on_error(&self) -> bool {
        self.rules
            .iter()
            .any(|limits| limits.rule.denies_on_error())
    }

    /// Whether some rule is asked then.
    pub fn has_due(&self, due: Due) -> bool {
        self.rules.iter().any(|limits| {
            (due.asks_global() && limits.global.is_some())
                || limits.items.iter().any(|item| item.is_due(due))
        })
    }

    /// What a request is charged by the rules that are due, in the order of the file: of every rule all items that it matches, of every item
    /// the key that says its value most exactly, of every key all windows.
    pub fn applicable(&self, facts: &RequestFacts<'_>, due: Due) -> Applicable<'_> {
        let mut applicable = Applicable::default();
        for limits in &self.rules {
            let dry_run = limits.rule.dry_run;
            let mut wanted = Wanted::default();
            if let Some((quota, name)) = &limits.global
                && due.asks_global()
            {
                quota.want(name, dry_run, Invention::None, &mut wanted);
            }
            for item in limits.items.iter().filter(|item| item.is_due(due)) {
                item.want(facts, dry_run, &mut wanted);
            }
            let rule = &limits.rule;
            applicable.rules.extend(wanted.charges.iter().map(|_| rule));
            applicable.charges.extend(wanted.charges);
            applicable.forgettable.extend(wanted.forgettable);
        }
        if applicable
            .charges
            .iter()
            .any(|charge| charge.cost_when_new() > 0)
        {
            applicable.new_values = facts.client.map(|address| NewValues {
                key: self.clients.name(&client(address)),
                allowance: allowance(self.new_values_per_second),
            });
        }
        applicable
    }
}

impl Rule {
    fn denies_on_error(&self) -> bool {
        self.on_error == OnError::Deny && !self.dry_run
    }
}

/// What one request is charged, and by which rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applicable<'r> {
    /// Of each charge, its rule.
    rules: Vec<&'r Rule>,
    charges: Vec<Charge>,
    /// Of each charge, whether it is to be taken back where the upstream does not know the client's key.
    forgettable: Vec<bool>,
    new_values: Option<NewValues>,
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

    /// Those of them that are kept while the request is in flight.
    pub fn in_flight(&self) -> impl Iterator<Item = &Charge> {
        self.charges.iter().filter(|charge| charge.is_in_flight())
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
                was_charged && !charge.is_in_flight() && wanted(*place)
            })
            .map(|(_, (charge, charged))| Settled {
                charge: charge.clone(),
                sub_window: charged.sub_window,
                actual: 0,
            })
            .collect()
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
