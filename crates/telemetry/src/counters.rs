//! Sums of one instance, ready to be added to the totals of all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::Reason;

/// Upper bounds of the duration buckets, in milliseconds: from a cached page to the longest run Dify allows.
pub(crate) const DURATION_BUCKETS_MS: [u64; 14] = [
    5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 15_000, 60_000, 300_000, 1_200_000,
];

/// Which kind of API a request came in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Ingress to Dify.
    Agent,
    /// Egress to models.
    Model,
    /// Egress to retrieval engines.
    Knowledge,
}

impl Api {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Model => "model",
            Self::Knowledge => "knowledge",
        }
    }
}

/// Which side of a model call tokens belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// The prompt.
    Input,
    /// The completion.
    Output,
}

impl TokenKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// The labels that model metrics share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelCall<'a> {
    /// The model API's name.
    pub name: &'a str,
    /// The provider that served.
    pub provider: &'a str,
    /// The model as the configuration names it; never what a client sent, which would have no end.
    pub model: &'a str,
}

/// The labels of knowledge metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnowledgeCall<'a> {
    /// The knowledge API's name; empty where there is none of the name that was asked for.
    pub name: &'a str,
    /// The kind of its engine.
    pub backend: &'a str,
}

/// The labels of a run of a Dify app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentRun<'a> {
    /// The agent API's name.
    pub name: &'a str,
    /// The app's digest; empty where Dify did not take the key, as those have no end.
    pub app: &'a str,
    /// `blocking`, `streaming` or `unknown`.
    pub mode: &'a str,
    /// How it ended, from a closed list.
    pub outcome: &'a str,
}

/// Tokens that a run of a Dify app took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentTokens {
    /// Told apart.
    Split {
        /// Of prompts.
        input: u64,
        /// Of completions.
        output: u64,
    },
    /// Only the sum is known.
    Total(u64),
}

/// Sums by series. Keys are Prometheus series (`name{labels}`), values only grow; durations are microseconds.
///
/// The text form is one `series value` line each, which is how deltas travel and totals are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    series: BTreeMap<String, u64>,
}

impl Counters {
    /// Whether nothing has been counted.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// All series in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.series
            .iter()
            .map(|(series, value)| (series.as_str(), *value))
    }

    /// Takes what has been counted so far, leaving nothing.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Adds `value` to one series.
    pub fn add(&mut self, series: &str, value: u64) {
        match self.series.get_mut(series) {
            Some(sum) => *sum = sum.saturating_add(value),
            None => {
                self.series.insert(series.to_owned(), value);
            }
        }
    }

    /// Adds every series of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (series, value) in other.iter() {
            self.add(series, value);
        }
    }

    /// Counts one finished request and how long it took until its head (splice) or its end (copy).
    pub fn request(
        &mut self,
        api: Api,
        name: &str,
        route: &str,
        status: u16,
        reason: Reason,
        took: Duration,
    ) {
        let api = api.as_str();
        let name = label(name);
        self.add(
            &format!(
                "spillway_requests_total{{api=\"{api}\",name=\"{name}\",route=\"{}\",status=\"{status}\",reason=\"{reason}\"}}",
                label(route)
            ),
            1,
        );
        self.observe(
            "spillway_request_duration_seconds",
            &format!("api=\"{api}\",name=\"{name}\""),
            took,
        );
    }

    /// Counts tokens that a provider reported.
    pub fn tokens(&mut self, call: ModelCall<'_>, kind: TokenKind, count: u64) {
        let series = format!(
            "spillway_model_tokens_total{{{},kind=\"{}\"}}",
            model_labels(call),
            kind.as_str()
        );
        self.add(&series, count);
    }

    /// Counts how long a stream's first content took, all attempts included.
    pub fn first_token(&mut self, call: ModelCall<'_>, took: Duration) {
        self.observe(
            "spillway_model_first_token_seconds",
            &model_labels(call),
            took,
        );
    }

    /// Counts one attempt at a target and how it ended (`ok`, an error class or a status).
    pub fn attempt(&mut self, call: ModelCall<'_>, outcome: &str) {
        let series = format!(
            "spillway_model_attempts_total{{{},outcome=\"{}\"}}",
            model_labels(call),
            label(outcome)
        );
        self.add(&series, 1);
    }

    /// Counts an endpoint or a key of a provider (`kind`) that was set aside, or is used again.
    pub fn provider_transition(&mut self, provider: &str, kind: &str, to: &str) {
        let series = format!(
            "spillway_provider_transitions_total{{provider=\"{}\",kind=\"{}\",to=\"{}\"}}",
            label(provider),
            label(kind),
            label(to)
        );
        self.add(&series, 1);
    }

    /// Counts a call that was not sent again although it might have been, and why.
    pub fn retry_refused(&mut self, name: &str, why: &str) {
        let series = format!(
            "spillway_model_retries_refused_total{{name=\"{}\",reason=\"{}\"}}",
            label(name),
            label(why)
        );
        self.add(&series, 1);
    }

    /// Counts one run of a Dify app, and the tokens it told.
    pub fn agent_run(&mut self, run: AgentRun<'_>, tokens: Option<AgentTokens>) {
        let labels = format!("name=\"{}\",app=\"{}\"", label(run.name), label(run.app));
        self.add(
            &format!(
                "spillway_agent_runs_total{{{labels},mode=\"{}\",outcome=\"{}\"}}",
                label(run.mode),
                label(run.outcome)
            ),
            1,
        );
        let mut add = |kind: &str, count| {
            self.add(
                &format!("spillway_agent_tokens_total{{{labels},kind=\"{kind}\"}}"),
                count,
            );
        };
        match tokens {
            None => {}
            Some(AgentTokens::Split { input, output }) => {
                add(TokenKind::Input.as_str(), input);
                add(TokenKind::Output.as_str(), output);
            }
            Some(AgentTokens::Total(total)) => add("unsplit", total),
        }
    }

    /// Counts one request to a knowledge API and how it ended.
    pub fn knowledge(&mut self, call: KnowledgeCall<'_>, outcome: &str) {
        let series = format!(
            "spillway_knowledge_requests_total{{name=\"{}\",backend=\"{}\",outcome=\"{}\"}}",
            label(call.name),
            label(call.backend),
            label(outcome)
        );
        self.add(&series, 1);
    }

    /// Counts what one rule said of one request.
    pub fn rate_limit(&mut self, rule: &str, verdict: &str) {
        let series = format!(
            "spillway_rate_limit_requests_total{{rule=\"{}\",verdict=\"{}\"}}",
            label(rule),
            label(verdict)
        );
        self.add(&series, 1);
    }

    /// Counts a change of an instance's opinion of the store: `opened` or `closed`.
    pub fn state_transition(&mut self, transition: &str) {
        let series = format!(
            "spillway_state_transitions_total{{to=\"{}\"}}",
            label(transition)
        );
        self.add(&series, 1);
    }

    /// Counts a request that was decided without the store's verdict, as that comes later than a request waits.
    pub fn state_late(&mut self) {
        self.add("spillway_state_late_total", 1);
    }

    fn observe(&mut self, family: &str, labels: &str, took: Duration) {
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        // One bucket, not all above it: cumulation is left to `render`, so that a delta stays small.
        let bound = DURATION_BUCKETS_MS
            .iter()
            .find(|bound| milliseconds <= **bound)
            .map_or_else(|| "+Inf".to_owned(), |bound| seconds(*bound));
        let mut series = String::with_capacity(96);
        // Writing to a string cannot fail.
        let _ = write!(series, "{family}_bucket{{{labels},le=\"{bound}\"}}");
        self.add(&series, 1);
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.add(&format!("{family}_sum{{{labels}}}"), microseconds);
        self.add(&format!("{family}_count{{{labels}}}"), 1);
    }

    /// One line a series: `series value`.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (series, value) in self.iter() {
            let _ = writeln!(text, "{series} {value}");
        }
        text
    }

    /// Reads [`Counters::to_text`]. Lines that are none are passed over: a store may hold an older release's.
    pub fn from_text(text: &str) -> Self {
        let mut counters = Self::default();
        for line in text.lines() {
            if let Some((series, value)) = line.rsplit_once(' ')
                && let Ok(value) = value.parse()
            {
                counters.add(series, value);
            }
        }
        counters
    }
}

pub(crate) fn seconds(milliseconds: u64) -> String {
    let whole = milliseconds / 1000;
    let rest = milliseconds % 1000;
    if rest == 0 {
        whole.to_string()
    } else {
        format!("{whole}.{rest:03}")
            .trim_end_matches('0')
            .to_owned()
    }
}

fn model_labels(call: ModelCall<'_>) -> String {
    format!(
        "name=\"{}\",provider=\"{}\",model=\"{}\"",
        label(call.name),
        label(call.provider),
        label(call.model)
    )
}

/// A label's value, escaped as the Prometheus text format asks.
fn label(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            other => escaped.push(other),
        }
    }
    escaped
}
