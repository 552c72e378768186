//! All rules of an API, and those of them that hold for a request.

use spillway_config::{OnError, RateLimit, RuleItem, State};
use spillway_platform::{Counted, Hold, NewValues, Take, Taken};

use crate::digest::CountNames;
use crate::invention::{Invention, allowance, client};
use crate::item::{Item, Quota, Wanted};
use crate::verdict::Place;
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
        state: &State,
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

    /// What a request has to take of the rules that are due, in the order of the file: of every rule all items that it matches, of every item
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
            applicable
                .take_rules
                .extend(wanted.takes.iter().map(|_| rule));
            applicable
                .hold_rules
                .extend(wanted.holds.iter().map(|_| rule));
            applicable.takes.extend(wanted.takes);
            applicable.forgettable.extend(wanted.forgettable);
            applicable.holds.extend(wanted.holds);
        }
        if applicable.takes.iter().any(|take| take.cost_when_new > 0) {
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

/// What one request has to take, and from which rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applicable<'r> {
    /// Of each take, its rule.
    take_rules: Vec<&'r Rule>,
    takes: Vec<Take>,
    /// Of each take, whether it is to be taken back where the upstream does not know the client's key.
    forgettable: Vec<bool>,
    new_values: Option<NewValues>,
    /// Of each hold, its rule.
    hold_rules: Vec<&'r Rule>,
    holds: Vec<Hold>,
}

impl<'r> Applicable<'r> {
    /// Whether no rule holds for the request, so that nothing needs to be asked.
    pub fn is_empty(&self) -> bool {
        self.takes.is_empty() && self.holds.is_empty()
    }

    /// For the store, all in one call.
    pub fn takes(&self) -> &[Take] {
        &self.takes
    }

    /// For the store, in the same call: the places to keep while the request is under way.
    pub fn holds(&self) -> &[Hold] {
        &self.holds
    }

    /// For the store, in the same call: the bound on what the client invents, where it did so.
    pub fn new_values(&self) -> Option<&NewValues> {
        self.new_values.as_ref()
    }

    /// Where the request was counted: to be taken back if a later phase refuses it.
    pub fn counted(&self, taken: &Taken) -> Vec<Counted> {
        let all = self.takes.iter().map(|_| true);
        self.counted_where(all, taken)
    }

    /// Where the request was counted by what comes with its key: to be taken back if the upstream does not know that.
    pub fn forgettable(&self, taken: &Taken) -> Vec<Counted> {
        self.counted_where(self.forgettable.iter().copied(), taken)
    }

    fn counted_where(&self, wanted: impl Iterator<Item = bool>, taken: &Taken) -> Vec<Counted> {
        if !taken.passes {
            return Vec::new();
        }
        let takes = self.takes.iter().zip(wanted);
        takes
            .zip(&taken.counts)
            .filter(|((_, wanted), count)| *wanted && !count.full && count.used > 0)
            .map(|((take, _), count)| Counted {
                take: take.clone(),
                sub_window: count.sub_window,
            })
            .collect()
    }

    /// What happens to the request if the store gives no answer: it is refused if a rule that is no dry run says so.
    pub fn when_state_fails(&self) -> OnError {
        let mut rules = self.take_rules.iter().chain(&self.hold_rules);
        if rules.any(|rule| rule.denies_on_error()) {
            OnError::Deny
        } else {
            OnError::Allow
        }
    }

    /// What the store's answer to [`Applicable::takes`] and [`Applicable::holds`] means.
    pub fn verdict(&self, taken: &Taken) -> Verdict<'r> {
        let takes = self.takes.iter().zip(&taken.counts);
        let takes = self.take_rules.iter().zip(takes);
        let holds = self.holds.iter().zip(&taken.holds);
        let holds = self.hold_rules.iter().zip(holds);
        let places = takes
            .map(|(rule, (take, count))| Place::in_window(rule, take, count))
            .chain(holds.map(|(rule, (hold, count))| Place::under_way(rule, hold, count)));
        Verdict::new(taken.passes, places)
    }
}
