//! The configuration of a history.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::plan::Behaviour;

/// What differs between histories.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Instances of each component.
    pub instances: usize,
    /// Calls of a minute, by consumer.
    pub calls_a_minute: u32,
    /// Calls of a second, by consumer, where written.
    pub calls_a_second: Option<u32>,
    /// Calls of a consumer at once.
    pub calls_at_once: u32,
    /// The limit of tokens, of calls by consumer and of runs altogether, where written.
    pub tokens: Option<TokenSettings>,
    /// Whether apps are told apart by their keys, not by a header.
    pub by_key: bool,
    /// Whether requests to Dify are counted, and none is refused.
    pub dry_run: bool,
    /// Requests of a minute, by app, and runs by end user.
    pub requests_a_minute: u32,
    /// Requests of an app at once.
    pub at_once: u32,
    /// Whether requests are refused where the store does not answer.
    pub denies: bool,
    /// `max_attempts`; 0 where it is left out.
    pub max_attempts: u32,
    /// Whether a call that a model refuses, as too long or filtered, goes on to the next.
    pub refused_goes_on: bool,
    /// `deadline`.
    pub deadline: Duration,
    /// `keep_alive`.
    pub keep_alive: Duration,
    /// `timeout` and `first_token_timeout` of each target, where written.
    pub timeout: Option<Duration>,
    /// Keys of the first provider.
    pub keys: usize,
    /// Endpoints of the first provider.
    pub endpoints: usize,
    /// Whether the second target is one of Anthropic's.
    pub second_is_anthropic: bool,
    /// Whether there is a second target.
    pub has_second: bool,
    /// Whether the endpoint with the least requests is taken.
    pub least_request: bool,
    /// What providers do with what the gateway asks by itself.
    pub probes: Behaviour,
    /// After how many failures an endpoint is ejected, where written.
    pub breaker_failures: Option<u32>,
    /// How long an agent API's upstream may take to its head.
    pub first_byte: Duration,
}

/// A limit of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenSettings {
    /// Tokens of a minute.
    pub a_minute: u32,
    /// `reserve`.
    pub reserve: &'static str,
}

/// Every key of a provider begins so, and nothing else does.
pub const PROVIDER_SECRET: &str = "sk-secret-";

/// Every key of a consumer begins so, and nothing else does.
pub const CONSUMER_SECRET: &str = "sk-caller-";

/// How long a knowledge API may take.
pub const KNOWLEDGE_DEADLINE: Duration = Duration::from_millis(4_500);

/// How long a request waits for the store in all.
pub const STORE_TIMEOUT: Duration = Duration::from_millis(150);

/// What opens the admin API. It is a secret as consumers' are.
pub const ADMIN_TOKEN: &str = "sk-caller-admin-0123";

/// What a signer signs with.
pub const SIGNING_SECRET: &str = "sk-caller-signing";

fn milliseconds(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

impl Settings {
    /// The normal form, with limits so many times as wide.
    pub fn normal_form(&self, times: u32) -> String {
        let minutely = |of: u32| of.saturating_mul(times);
        let (dimension, name) = if self.by_key {
            ("limit_by_per_dify_app", "")
        } else {
            ("limit_by_per_header", "x-app-id")
        };
        let agent_rules = json!([{ "rule_name": "apps", "on_error": self.on_error(), "dry_run": self.dry_run, "rule_items": [
            { dimension: name, "limit_keys": [{
                "key": "*", "query_per_minute": minutely(self.requests_a_minute), "concurrency": minutely(self.at_once) }] },
            { "limit_by_per_end_user": "", "limit_keys": [{
                "key": "*", "query_per_minute": minutely(self.requests_a_minute) }] },
        ]}]);
        let mut calls = json!({
            "key": "*", "query_per_minute": minutely(self.calls_a_minute), "concurrency": minutely(self.calls_at_once) });
        if let (Some(limit), Some(calls)) = (self.calls_a_second, calls.as_object_mut()) {
            calls.insert("query_per_second".to_owned(), minutely(limit).into());
        }
        let model_rules = json!([{ "rule_name": "callers", "on_error": self.on_error(), "rule_items": [
            { "limit_by_per_consumer": "", "limit_keys": [calls] },
            { "limit_by_per_model": "", "limit_keys": [{ "key": "*", "query_per_minute": minutely(self.calls_a_minute) }] },
        ]}]);
        let of_calls = self.token_limits(times, "limit_by_per_consumer");
        let of_runs = self.token_limits(times, "limit_by_per_service");
        json!({
            "consumers": [
                { "name": "ada", "credentials": [{ "api_key": "sk-caller-ada" }] },
                { "name": "bob", "credentials": [{ "api_key": "sk-caller-bob" }] },
                { "name": "signer", "credentials": [{ "hmac": { "access_key": "ak", "secret_key": SIGNING_SECRET } }] },
            ],
            "agents": [{ "name": "dify", "services": { "api": "http://api:5001", "web": "http://web:3000" },
                "timeouts": { "first_byte": milliseconds(self.first_byte), "run_first_byte": milliseconds(self.first_byte),
                              "idle": "30000ms", "stream_idle": "30000ms", "ceiling": "120000ms" },
                "policies": { "rate_limits": agent_rules, "token_limits": of_runs } }],
            "models": [{ "name": "llm",
                "policies": { "auth": ["ada", "bob", "signer"], "rate_limits": model_rules, "token_limits": of_calls },
                "routes": [{ "name": "all", "targets": self.targets(), "fallback": self.fallback() }] }],
            "providers": self.providers(),
            "knowledge": [
                { "name": "flow", "api_keys": ["sk-caller-ada", "sk-caller-bob"], "deadline": milliseconds(KNOWLEDGE_DEADLINE),
                  "backend": { "type": "ragflow", "base_url": "http://flow:9380", "api_key": "sk-secret-flow" } },
                { "name": "engine", "api_keys": ["sk-caller-ada", "sk-caller-bob"], "deadline": milliseconds(KNOWLEDGE_DEADLINE),
                  "backend": { "type": "dify_compatible", "base_url": "http://engine:9", "api_key": "sk-secret-engine" } },
            ],
            "telemetry": { "log": { "format": "json" } },
            "admin": { "token": ADMIN_TOKEN },
            "state": { "redis": "redis://simulated", "digest_key": "a-key-of-digests", "timeout": milliseconds(STORE_TIMEOUT) },
        })
        .to_string()
    }

    fn token_limits(&self, times: u32, dimension: &str) -> Value {
        let Some(TokenSettings { a_minute, reserve }) = self.tokens else {
            return json!([]);
        };
        json!([{ "rule_name": "tokens", "on_error": self.on_error(), "reserve": reserve, "rule_items": [
            { dimension: "", "limit_keys": [{ "key": "*", "token_per_minute": a_minute.saturating_mul(times) }] },
        ]}])
    }

    const fn on_error(&self) -> &'static str {
        if self.denies { "deny" } else { "allow" }
    }

    fn targets(&self) -> Value {
        let mut first = Map::new();
        first.insert("provider".to_owned(), "first".into());
        let mut second = Map::new();
        second.insert("provider".to_owned(), "second".into());
        second.insert("model".to_owned(), "spare".into());
        if let Some(timeout) = self.timeout {
            for target in [&mut first, &mut second] {
                for name in ["timeout", "first_token_timeout"] {
                    target.insert(name.to_owned(), milliseconds(timeout).into());
                }
            }
        }
        if self.has_second {
            json!([first, second])
        } else {
            json!([first])
        }
    }

    fn fallback(&self) -> Value {
        let mut fallback = json!({
            "deadline": milliseconds(self.deadline), "keep_alive": milliseconds(self.keep_alive),
            "max_attempts": self.max_attempts,
        });
        if let (true, Some(fallback)) = (self.refused_goes_on, fallback.as_object_mut()) {
            let on = [
                "connect_error",
                "timeout",
                "first_token_timeout",
                "reset",
                "truncated",
                "401",
                "402",
                "403",
                "408",
                "429",
                "5xx",
                "context_length",
                "content_filter",
            ];
            fallback.insert("on".to_owned(), json!(on));
        }
        fallback
    }

    fn providers(&self) -> Value {
        let keys: Vec<String> = (0..self.keys)
            .map(|key| format!("{PROVIDER_SECRET}first-{key}"))
            .collect();
        let endpoints: Vec<String> = (0..self.endpoints)
            .map(|endpoint| format!("http://first{endpoint}:1/v1"))
            .collect();
        let policy = if self.least_request {
            "least_request"
        } else {
            "round_robin"
        };
        let second = if self.second_is_anthropic {
            json!({ "name": "second", "type": "anthropic", "base_url": "http://second:2", "api_keys": ["sk-secret-second"] })
        } else {
            json!({ "name": "second", "base_url": "http://second:2/v1", "api_keys": ["sk-secret-second"] })
        };
        let mut first = json!({
            "name": "first", "endpoints": endpoints, "api_keys": keys, "load_balance": { "lb_policy": policy } });
        if let (Some(failures), Some(first)) = (self.breaker_failures, first.as_object_mut()) {
            let breaker = json!({ "failures": failures, "of": failures.saturating_mul(2), "open_for": "10s" });
            first.insert("breaker".to_owned(), breaker);
        }
        json!([first, second])
    }
}
