//! All rules of an API, and those of them that hold for a request.

use spillway_config::{
    LimitRule, LimitScope, OnError, RateLimit, ReserveMode, RuleItem, StateConfig, TokenLimit,
};
use spillway_platform::NewValues;

use crate::descriptor::Descriptor;
use crate::digest::CountNames;
use crate::invention::{Invention, allowance, client};
use crate::item::{Counted, Item, KeyLimits, Wanted};
use crate::{Applicable, DifyApp, DigestKey, Due, Error, RequestFacts, TokenCounting, TokenDemand};

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
    /// How it counts tokens; `None`: it counts requests.
    pub tokens: Option<TokenCounting>,
}

/// The limits of one API, ready to be asked.
#[derive(Debug)]
pub struct Rules {
    /// The API's kind and name.
    api: String,
    rules: Vec<RuleLimits>,
    /// What clients' new values are counted under, of all APIs together, and how many a client may bring.
    clients: CountNames,
    new_values_per_second: u32,
}

#[derive(Debug)]
struct RuleLimits {
    rule: Rule,
    /// The requests that it is for, and those that it is not for.
    applies_to: Option<LimitScope>,
    except: Vec<LimitScope>,
    /// A quota for all requests together, and what they are counted under.
    global: Option<(KeyLimits, String)>,
    items: Vec<Item>,
}

impl RuleLimits {
    fn new<L: LimitRule>(
        config: &L,
        tokens: Option<TokenCounting>,
        api: &str,
        state: &StateConfig,
        digest_key: &DigestKey,
    ) -> Result<Self, Error> {
        let name = config.name();
        // The counts of requests are named as they were before there were any of tokens.
        let common: &[&str] = match tokens {
            None => &[api, name],
            Some(_) => &[api, name, "tokens"],
        };
        let global = config.global_threshold().map(|quota| {
            let names = digest_key.count_names(&[common, &["global_threshold"]].concat());
            (KeyLimits::new(quota), names.name(b""))
        });
        let all = config.rule_items();
        let items = all.iter().enumerate().map(|(place, item)| {
            let is_twin = |other: &&RuleItem<L::Quota>| {
                other.by == item.by && other.per_value == item.per_value
            };
            let twins = all.iter().take(place).filter(is_twin).count();
            Item::new(item, twins, name, common, digest_key)
        });
        let (rejected_code, rejected_msg) = config.rejection();
        Ok(Self {
            rule: Rule {
                name: name.to_owned(),
                shows_quota: config.shows_quota(),
                rejected_code,
                rejected_msg: rejected_msg.map(str::to_owned),
                on_error: config.on_error().unwrap_or(state.on_error),
                dry_run: config.dry_run(),
                tokens,
            },
            applies_to: config.applies_to().cloned(),
            except: config.except().to_vec(),
            global,
            items: items.collect::<Result<_, _>>()?,
        })
    }

    /// Whether only a call's body tells whether and how it holds.
    fn needs_body(&self) -> bool {
        let mut scopes = self.applies_to.iter().chain(&self.except);
        self.rule.tokens.is_some() || scopes.any(LimitScope::needs_route)
    }

    fn asks_global(&self, due: Due) -> bool {
        self.global.is_some() && due.asks(None, self.needs_body())
    }

    fn items_due(&self, due: Due) -> impl Iterator<Item = &Item> {
        let needs_body = self.needs_body();
        let items = self.items.iter();
        items.filter(move |item| due.asks(Some(item.by()), needs_body))
    }

    /// What it charges a request.
    fn wanted(&self, facts: &RequestFacts<'_>, due: Due) -> Wanted<'_> {
        let mut wanted = Wanted::default();
        let has = |scope: &LimitScope| scope.has(facts.route, facts.host);
        let holds = self.applies_to.as_ref().is_none_or(has) && !self.except.iter().any(has);
        let tokens = match (self.rule.tokens, facts.demand) {
            (Some(_), None) => return wanted,
            (Some(counting), Some(demand)) => Some((counting, demand)),
            (None, _) => None,
        };
        if !holds {
            return wanted;
        }
        let counted = Counted {
            tokens,
            dry_run: self.rule.dry_run,
        };
        if let Some((limits, name)) = &self.global
            && self.asks_global(due)
        {
            let descriptor = Descriptor::default();
            limits.want(name, descriptor, counted, Invention::None, &mut wanted);
        }
        for item in self.items_due(due) {
            item.want(facts, counted, &mut wanted);
        }
        wanted
    }
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
        requests: &[RateLimit],
        tokens: &[TokenLimit],
        api: &str,
        state: &StateConfig,
        digest_key: &DigestKey,
    ) -> Result<Self, Error> {
        let requests = requests
            .iter()
            .map(|config| RuleLimits::new(config, None, api, state, digest_key));
        let tokens = tokens.iter().map(|config| {
            let counting = TokenCounting {
                kind: config.token_kind,
                reserve: config.reserve,
            };
            RuleLimits::new(config, Some(counting), api, state, digest_key)
        });
        Ok(Self {
            api: api.to_owned(),
            rules: requests.chain(tokens).collect::<Result<_, _>>()?,
            clients: digest_key.count_names(&["new_values"]),
            new_values_per_second: state.new_values_per_second,
        })
    }

    /// Whether they are of this API, and one has this name.
    pub fn have(&self, api: &str, rule: &str) -> bool {
        self.api == api && self.rules.iter().any(|limits| limits.rule.name == rule)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether some rule counts tokens.
    pub fn count_tokens(&self) -> bool {
        self.rules.iter().any(|limits| limits.rule.tokens.is_some())
    }

    /// Whether some rule reserves what calls are expected to use.
    pub fn expect_usage(&self) -> bool {
        let mut tokens = self.rules.iter().filter_map(|limits| limits.rule.tokens);
        tokens.any(|counting| counting.reserve == ReserveMode::Expected)
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
        self.rules
            .iter()
            .any(|limits| limits.asks_global(due) || limits.items_due(due).next().is_some())
    }

    /// What a request is charged by the rules that are due, in the order of the file: of every rule all items that it matches, of every item
    /// the key that says its value most exactly, of every key all windows.
    pub fn applicable(&self, facts: &RequestFacts<'_>, due: Due) -> Applicable<'_> {
        let mut applicable = self.nothing();
        for limits in &self.rules {
            applicable.add(&limits.rule, limits.wanted(facts, due));
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

impl Rules {
    fn nothing(&self) -> Applicable<'_> {
        Applicable {
            api: &self.api,
            ..Applicable::default()
        }
    }

    /// What a value is counted by, wherever it is one that is counted by, for whoever looks at limits: nobody is charged by
    /// it. `app` is the Dify app whose key it would be.
    pub fn of_value(&self, value: &str, app: &DifyApp) -> Applicable<'_> {
        let unknown = TokenDemand {
            input: None,
            output_cap: None,
            profile: None,
        };
        let mut applicable = self.nothing();
        for limits in &self.rules {
            let counted = Counted {
                tokens: limits.rule.tokens.map(|counting| (counting, &unknown)),
                dry_run: limits.rule.dry_run,
            };
            let mut wanted = Wanted::default();
            for item in &limits.items {
                item.want_text(value, app, counted, &mut wanted);
            }
            applicable.add(&limits.rule, wanted);
        }
        applicable
    }
}

impl<'r> Applicable<'r> {
    fn add(&mut self, rule: &'r Rule, mut wanted: Wanted<'r>) {
        // A key reserves once.
        wanted.without(&self.charges);
        self.rules.extend(wanted.charges.iter().map(|_| rule));
        self.charges.extend(wanted.charges);
        self.descriptors.extend(wanted.descriptors);
        self.forgettable.extend(wanted.forgettable);
    }
}

impl Rule {
    pub(crate) fn denies_on_error(&self) -> bool {
        self.on_error == OnError::Deny && !self.dry_run
    }
}
