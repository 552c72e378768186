//! An item of a rule, ready to be asked.

use spillway_config::{KeyPattern, LimitBy, LimitKey, Quota, QuotaWindow, RuleItem, Source};
use spillway_pattern::{Pattern, PatternError};
use spillway_platform::MAX_MATCHED_BYTES;
use spillway_platform::{Charge, Mode};

use crate::descriptor::{Descriptor, DescriptorValue};
use crate::digest::CountNames;
use crate::facts::Value;
use crate::invention::{Invention, cost_when_new};
use crate::{DifyApp, DigestKey, Error, RequestFacts, TokenCounting, TokenDemand};

/// How much may pass in which time, and what it is counted under.
#[derive(Debug)]
pub(crate) struct Item {
    by: LimitBy,
    /// As it is told: the key of the configuration, and what that names.
    title: String,
    /// Those that say a value most exactly come first; among equals the order of the file.
    keys: Vec<Key>,
    /// Where every value has a quota of its own: what it is counted under.
    per_value: Option<CountNames>,
}

#[derive(Debug)]
struct Key {
    matcher: Matcher,
    limits: KeyLimits,
    /// As the configuration has it.
    text: String,
    /// What all values of this key are counted under together.
    shared: String,
}

#[derive(Debug)]
enum Matcher {
    Exact(String),
    Prefix(String),
    Regexp(Pattern),
    Network(ipnet::IpNet),
    DifyApp(DifyApp),
    Any,
}

/// The limits of several windows, and of what is in flight.
#[derive(Debug)]
pub(crate) struct KeyLimits {
    windows: Vec<(QuotaWindow, u64)>,
    in_flight: Option<u32>,
}

/// What a rule counts of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'d> {
    /// Tokens, of which that is known; `None`: requests.
    pub tokens: Option<(TokenCounting, &'d TokenDemand)>,
    pub dry_run: bool,
}

impl Wanted<'_> {
    /// Leaves out what is reserved under a key that has reserved already.
    pub fn without(&mut self, charged: &[Charge]) {
        let mut place = 0_usize;
        while let Some(charge) = self.charges.get(place) {
            let mut before = self.charges.iter().take(place).chain(charged);
            if charge.is_reserved() && before.any(|other| other.key == charge.key) {
                self.charges.remove(place);
                self.forgettable.remove(place);
                self.descriptors.remove(place);
            } else {
                place = place.saturating_add(1);
            }
        }
    }
}

impl Counted<'_> {
    /// What one window charges.
    fn charge(self, limit: u64, window: QuotaWindow, invention: Invention) -> (u64, Mode) {
        let window_ms = u64::from(window.seconds()).saturating_mul(1000);
        let cost_when_new = match invention {
            Invention::None => 0,
            Invention::Choice | Invention::Word => cost_when_new(window),
        };
        match self.tokens {
            None => {
                let mode = Mode::Count {
                    window_ms,
                    cost_when_new,
                };
                (1, mode)
            }
            Some((counting, demand)) => {
                let mode = Mode::Reserve {
                    window_ms,
                    cost_when_new,
                };
                (counting.cost(demand, limit), mode)
            }
        }
    }
}

/// What a request is charged by one rule.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'r> {
    pub charges: Vec<Charge>,
    /// Of each charge, whose requests it counts.
    pub descriptors: Vec<Descriptor<'r>>,
    /// Of each charge, whether its value comes with a key that the upstream may not know.
    pub forgettable: Vec<bool>,
}

impl KeyLimits {
    pub fn new(quota: impl Quota) -> Self {
        Self {
            windows: quota.windows().collect(),
            in_flight: quota.in_flight(),
        }
    }

    /// One charge for each window, and one where what is in flight is limited.
    pub fn want<'r>(
        &self,
        name: &str,
        descriptor: Descriptor<'r>,
        counted: Counted<'_>,
        invention: Invention,
        wanted: &mut Wanted<'r>,
    ) {
        for (window, limit) in &self.windows {
            let (cost, mode) = counted.charge(*limit, *window, invention);
            wanted.charges.push(Charge {
                key: format!("{name}:{}", window.seconds()),
                cost,
                limit: *limit,
                mode,
                dry_run: counted.dry_run,
            });
            wanted.descriptors.push(descriptor.clone());
            wanted.forgettable.push(invention == Invention::Word);
        }
        if let Some(limit) = self.in_flight {
            wanted.charges.push(Charge {
                // As earlier releases named it: they may share the store.
                key: format!("{name}:under_way"),
                cost: 1,
                limit: u64::from(limit),
                mode: Mode::InFlight,
                dry_run: counted.dry_run,
            });
            wanted.descriptors.push(descriptor);
            wanted.forgettable.push(false);
        }
    }
}

impl Item {
    /// `common` is what the names of its counts have in common; `twin` how many items before it count by the same.
    pub fn new<Q: Quota>(
        config: &RuleItem<Q>,
        twin: usize,
        rule: &str,
        common: &[&str],
        digest_key: &DigestKey,
    ) -> Result<Self, Error> {
        let name = config.by.argument.to_string();
        let twin = (twin > 0).then(|| twin.to_string());
        let own = [config.key(), &name];
        let twin: Vec<&str> = twin.as_deref().into_iter().collect();
        let names = digest_key.count_names(&[common, &own, &twin].concat());
        let mut keys = Vec::new();
        for key in &config.limit_keys {
            let pattern = config.pattern(key).map_err(|source| Error::Key {
                rule: rule.to_owned(),
                source,
            })?;
            // A variable may have given nothing. An empty key would match what is empty, too.
            if matches!(pattern, KeyPattern::Exact("") | KeyPattern::Prefix("")) {
                continue;
            }
            let rank = pattern.rank();
            let key = Key::new(config, key, pattern, &names, digest_key);
            let key = key.map_err(|source| Error::Regexp {
                rule: rule.to_owned(),
                source,
            })?;
            keys.push((rank, key));
        }
        keys.sort_by_key(|(rank, _)| *rank);
        let title = [config.key(), &name].join(" ");
        Ok(Self {
            by: config.by.clone(),
            title: title.trim_end().to_owned(),
            keys: keys.into_iter().map(|(_, key)| key).collect(),
            per_value: config.per_value.then_some(names),
        })
    }

    /// Whether it counts by the end user.
    pub fn counts_by_end_user(&self) -> bool {
        self.by.source() == Source::EndUser
    }

    /// By what it counts.
    pub fn by(&self) -> &LimitBy {
        &self.by
    }

    /// What a request has to take.
    ///
    /// Where values share the quota of their key, each value that the request has counts, once a key: sending a
    /// header twice gets around nothing. Where each value has its own, the first that a key matches counts.
    pub fn want<'r>(
        &'r self,
        facts: &RequestFacts<'_>,
        counted: Counted<'_>,
        wanted: &mut Wanted<'r>,
    ) {
        let mut matched: Vec<usize> = Vec::new();
        for value in facts.values(&self.by) {
            let Some((index, key)) = self.key_of(&value) else {
                continue;
            };
            if self.per_value.is_some() {
                self.want_value(&value, key, counted, wanted);
                break;
            }
            if !matched.contains(&index) {
                matched.push(index);
                self.want_value(&value, key, counted, wanted);
            }
        }
    }

    /// What one value is counted by, whoever sends it. `app` is the Dify app whose key it may be.
    pub fn want_text<'r>(
        &'r self,
        text: &str,
        app: &DifyApp,
        counted: Counted<'_>,
        wanted: &mut Wanted<'r>,
    ) {
        let value = match self.by.source() {
            Source::DifyApp => Some(Value::DifyApp(app)),
            Source::Address => {
                let address = text.parse::<std::net::IpAddr>().ok();
                address.map(|address| Value::Address(address.to_canonical()))
            }
            _ => Some(Value::Text(text.into())),
        };
        if let Some(value) = value
            && let Some((_, key)) = self.key_of(&value)
        {
            self.want_value(&value, key, counted, wanted);
        }
    }

    fn key_of(&self, value: &Value<'_>) -> Option<(usize, &Key)> {
        let mut keys = self.keys.iter().enumerate();
        keys.find(|(_, key)| key.matcher.matches(value))
    }

    fn want_value<'r>(
        &'r self,
        value: &Value<'_>,
        key: &'r Key,
        counted: Counted<'_>,
        wanted: &mut Wanted<'r>,
    ) {
        let source = self.by.source();
        let item = Some(self.title.as_str());
        let Some(names) = &self.per_value else {
            let is_one = matches!(key.matcher, Matcher::Exact(_) | Matcher::DifyApp(_));
            let value = if is_one {
                DescriptorValue::of_value(source, value)
            } else {
                DescriptorValue::of_key(&key.text)
            };
            let descriptor = Descriptor { item, value };
            let invention = Invention::None;
            key.limits
                .want(&key.shared, descriptor, counted, invention, wanted);
            return;
        };
        let name = value.count_name(names);
        let invention = key.matcher.invention(&self.by, value);
        let value = DescriptorValue::of_value(source, value);
        let descriptor = Descriptor { item, value };
        key.limits
            .want(&name, descriptor, counted, invention, wanted);
    }
}

impl Key {
    fn new<Q: Quota>(
        item: &RuleItem<Q>,
        key: &LimitKey<Q>,
        pattern: KeyPattern<'_>,
        names: &CountNames,
        digest_key: &DigestKey,
    ) -> Result<Self, PatternError> {
        let matcher = match pattern {
            KeyPattern::Exact(app_key) if item.by.source() == Source::DifyApp => {
                Matcher::DifyApp(digest_key.dify_app_of_key(app_key.as_bytes()))
            }
            KeyPattern::Exact(text) => Matcher::Exact(text.to_owned()),
            KeyPattern::Prefix(text) => Matcher::Prefix(text.to_owned()),
            KeyPattern::Regexp(expression) => Matcher::Regexp(Pattern::new(expression)?),
            KeyPattern::Network(network) => Matcher::Network(network),
            KeyPattern::Any => Matcher::Any,
        };
        Ok(Self {
            matcher,
            limits: KeyLimits::new(key.quota),
            text: key.key.clone(),
            shared: names.name(key.key.as_bytes()),
        })
    }
}

impl Matcher {
    /// Who made a value up that this matches. What stands in the configuration nobody did.
    fn invention(&self, by: &LimitBy, value: &Value<'_>) -> Invention {
        match self {
            Self::Exact(_) | Self::DifyApp(_) => Invention::None,
            Self::Prefix(_) | Self::Regexp(_) | Self::Network(_) | Self::Any => {
                Invention::of(by, value)
            }
        }
    }

    fn matches(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Any, _) => true,
            (Self::Exact(text), Value::Text(value)) => value == text,
            (Self::Prefix(text), Value::Text(value)) => value.starts_with(text),
            (Self::Regexp(expression), Value::Text(value)) => {
                // By its beginning: a limit must not be passed by making a value long.
                let end = value.floor_char_boundary(MAX_MATCHED_BYTES);
                expression.is_match(value.get(..end).unwrap_or_default())
            }
            (Self::Network(network), Value::Address(address)) => network.contains(address),
            (Self::DifyApp(app), Value::DifyApp(value)) => app == *value,
            (
                Self::Exact(_)
                | Self::Prefix(_)
                | Self::Regexp(_)
                | Self::Network(_)
                | Self::DifyApp(_),
                _,
            ) => false,
        }
    }
}

impl Value<'_> {
    fn count_name(&self, names: &CountNames) -> String {
        match self {
            Self::Text(text) => names.name(text.as_bytes()),
            Self::Address(address) => names.name(address.to_string().as_bytes()),
            Self::DifyApp(app) => names.name(app.as_bytes()),
        }
    }
}
