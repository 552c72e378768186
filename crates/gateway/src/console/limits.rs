//! `/_gateway/api/limits`: where limits stand, the fullest first.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use spillway_limit::{LimitDescription, Unit};
use spillway_platform::{Charge, Charged, Platform, State, StateError};
use spillway_surface::LocalReply;
use spillway_telemetry::Reason;

use super::Console;

/// So much of a limit that is not used is nothing of it; all of it a million.
const MILLION: u64 = 1_000_000;

/// What is wanted of the limits.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    /// Of an API, by its kind and name or its name alone.
    api: Option<String>,
    /// Of a rule.
    rule: Option<String>,
    /// Of this value of whatever is counted by.
    value: Option<String>,
}

/// Where one limit of one value stands.
#[derive(Debug, Serialize)]
struct Standing {
    api: String,
    rule: String,
    by: Option<String>,
    value: Option<String>,
    unit: Unit,
    window_seconds: Option<u64>,
    limit: u64,
    /// What is used up in the window, or in flight.
    used: u64,
    /// What calls that run have reserved beside.
    reserved: u64,
    /// What was used beyond the limit.
    debt: u64,
    remaining: u64,
    /// In how many seconds some is free again; none where nothing is used, or nobody knows.
    reset_seconds: Option<u64>,
    dry_run: bool,
}

impl Standing {
    fn new(description: LimitDescription, charged: &Charged) -> Self {
        let used = charged.used.saturating_sub(charged.reserved);
        let limit = description.limit;
        Self {
            window_seconds: description
                .window_ms
                .map(|window_ms| window_ms.div_ceil(1000)),
            used,
            reserved: charged.reserved,
            debt: used.saturating_sub(limit),
            remaining: limit.saturating_sub(charged.used),
            reset_seconds: (charged.reset_ms > 0).then(|| charged.reset_ms.div_ceil(1000)),
            api: description.api,
            rule: description.rule,
            by: description.by,
            value: description.value,
            unit: description.unit,
            limit,
            dry_run: description.dry_run,
        }
    }

    /// In millionths of the limit.
    fn fullness(&self) -> u64 {
        let used = self.used.saturating_add(self.reserved);
        used.saturating_mul(MILLION)
            .checked_div(self.limit)
            .unwrap_or(u64::MAX)
    }
}

impl Wanted {
    /// From the query.
    ///
    /// # Errors
    /// What is wrong with it.
    fn of(query: Option<&str>) -> Result<Self, String> {
        let mut wanted = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let slot = match &*name {
                "api" => &mut wanted.api,
                "rule" => &mut wanted.rule,
                "value" => &mut wanted.value,
                _ => {
                    return Err(format!(
                        "There is no parameter `{name}`. There are `api`, `rule` and `value`."
                    ));
                }
            };
            *slot = Some(value.into_owned());
        }
        Ok(wanted)
    }

    fn has(&self, description: &LimitDescription) -> bool {
        let name = description.api.split_once('/').map(|(_, name)| name);
        let is_api = |api: &String| *api == description.api || Some(api.as_str()) == name;
        let is_rule = |rule: &String| *rule == description.rule;
        self.api.as_ref().is_none_or(is_api) && self.rule.as_ref().is_none_or(is_rule)
    }
}

impl<P: Platform> Console<P> {
    pub(super) async fn limits(&self, query: Option<&str>) -> LocalReply {
        let wanted = match Wanted::of(query) {
            Ok(wanted) => wanted,
            Err(problem) => return LocalReply::invalid(&problem),
        };
        match self.standings(&wanted).await {
            Ok((standings, is_complete)) => {
                let body = json!({ "limits": standings, "complete": is_complete });
                LocalReply::json(StatusCode::OK, Reason::Ok, &body)
            }
            Err(error) => {
                self.log.warn(&format!("limits cannot be told: {error}"));
                LocalReply::error(
                    StatusCode::SERVICE_UNAVAILABLE,
                    Reason::StateUnavailable,
                    format!("The store does not tell where limits stand: {error}"),
                )
            }
        }
    }

    /// Those that are wanted, the fullest first, and whether these are all that are used.
    async fn standings(&self, wanted: &Wanted) -> Result<(Vec<Standing>, bool), StateError> {
        let (described, is_complete) = match &wanted.value {
            Some(value) => (self.of_value(value), true),
            None => {
                let indexed = self.state.indexed_limits().await?;
                let all = indexed.len();
                let described = indexed.into_iter().filter_map(|limit| {
                    // Another release may have written it.
                    let description = serde_json::from_str(&limit.description).ok()?;
                    Some((limit.key, description))
                });
                let mut described: Vec<(String, LimitDescription)> = described.collect();
                let is_complete = all < self.state.max_indexed_limits() && described.len() == all;
                // A rule may be gone since it was used.
                described.retain(|(_, description)| {
                    let mut rules = self.rules.iter();
                    rules.any(|rules| rules.have(&description.api, &description.rule))
                });
                (described, is_complete)
            }
        };
        let described: Vec<(String, LimitDescription)> = described
            .into_iter()
            .filter(|(_, description)| wanted.has(description))
            .collect();
        let charges: Vec<Charge> = described
            .iter()
            .map(|(key, description)| description.charge(key))
            .collect();
        let charged = self.state.read_limits(&charges).await?;
        let mut standings: Vec<Standing> = described
            .into_iter()
            .zip(&charged)
            .map(|((_, description), charged)| Standing::new(description, charged))
            .collect();
        standings.sort_by(|left, right| {
            let names = |it: &Standing| (it.api.clone(), it.rule.clone(), it.value.clone());
            let order = right.fullness().cmp(&left.fullness());
            order.then_with(|| names(left).cmp(&names(right)))
        });
        Ok((standings, is_complete))
    }

    /// What a value is counted under, whether anybody has brought it or not.
    fn of_value(&self, value: &str) -> Vec<(String, LimitDescription)> {
        let app = self.digest.dify_app_of_key(value.as_bytes());
        let mut described = BTreeMap::new();
        for rules in &self.rules {
            let applicable = rules.of_value(value, &app);
            for (charge, description) in applicable.described() {
                described.insert(charge.key.clone(), description);
            }
        }
        described.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_what_is_wanted_and_nothing_else() {
        let wanted = Wanted::of(Some("api=llm&value=a%20b")).unwrap();
        assert_eq!(
            (wanted.api.as_deref(), wanted.value.as_deref()),
            (Some("llm"), Some("a b"))
        );
        assert_eq!(Wanted::of(None), Ok(Wanted::default()));
        assert!(Wanted::of(Some("key=a")).unwrap_err().contains("`value`"));
    }
}
