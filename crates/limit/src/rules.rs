//! All rules of an API, and those of them that hold for a request.

use spillway_config::{OnError, RateLimit};
use spillway_store::{Hold, Take, Taken};

use crate::item::{Item, Quota, Wanted};
use crate::verdict::Place;
use crate::{DigestKey, Error, RequestFacts, Verdict};

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
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Limits>,
}

#[derive(Debug)]
struct Limits {
    rule: Rule,
    /// A quota for all requests together, and what they are counted under.
    global: Option<(Quota, String)>,
    items: Vec<Item>,
}

impl Rules {
    /// Prepares an API's limits. `api` tells it from all other APIs, of other kinds too: `agent/dify`. Those that
    /// do not say what to do while requests cannot be counted do as `on_error` says.
    ///
    /// Counts go on where they stood after a restart with another limit, other keys beside, or another order.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(
        limits: &[RateLimit],
        api: &str,
        on_error: OnError,
        digest_key: &DigestKey,
    ) -> Result<Self, Error> {
        let rules = limits.iter().map(|config| {
            let common = [api, config.rule_name.as_str()];
            let global = config.global_threshold.map(|quota| {
                let names = digest_key.count_names(&[&common[..], &["global_threshold"]].concat());
                (Quota::new(quota), names.name(b""))
            });
            let items = config
                .rule_items
                .iter()
                .map(|item| Item::new(item, &config.rule_name, &common, digest_key));
            Ok(Limits {
                rule: Rule {
                    name: config.rule_name.clone(),
                    shows_quota: config.show_limit_quota_header,
                    rejected_code: config.rejected_code,
                    rejected_msg: config.rejected_msg.clone(),
                    on_error: config.on_error.unwrap_or(on_error),
                    dry_run: config.dry_run,
                },
                global,
                items: items.collect::<Result<_, _>>()?,
            })
        });
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
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

    /// What a request has to take, in the order of the file: of every rule all items that it matches, of every item
    /// the key that says its value most exactly, of every key all windows.
    pub fn applicable(&self, facts: &RequestFacts<'_>) -> Applicable<'_> {
        let mut applicable = Applicable::default();
        for limits in &self.rules {
            let dry_run = limits.rule.dry_run;
            let mut wanted = Wanted::default();
            if let Some((quota, name)) = &limits.global {
                quota.want(name, dry_run, &mut wanted);
            }
            for item in &limits.items {
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
            applicable.holds.extend(wanted.holds);
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
