//! One record a request, of every kind of API and of every outcome: it becomes counts, and a line of the log.
//!
//! A label or a field is added here: as a member (in [`AccessRecord::new`] too), in [`AccessRecord::count`] (with the
//! family's label in `families.rs`), and in [`AccessRecord::write`]. It is filled in by the gateway: in
//! `Settlement::begin` where every request has it, else by the phase that finds it out. The console's records, which are
//! logged and not counted, begin in `console.rs`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use spillway_config::LogLevel;

use crate::address::address_text;
use crate::fields::Fields;
use crate::{Counters, Family, Label, Reason};

mod call;
mod retrieval;
mod run;

pub use call::{AttemptDetail, CallDetail, CallTokens};
pub use retrieval::RetrievalDetail;
pub use run::{RunDetail, RunTokens};

/// The longest path or name of others' that a line holds, in characters.
const MAX_TEXT_CHARS: usize = 200;

/// Which kind of API a request came in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiKind {
    /// Ingress to Dify.
    Agent,
    /// Egress to models.
    Model,
    /// Egress to retrieval engines.
    Knowledge,
    /// The gateway's own paths. They are logged, and counted nowhere.
    Console,
}

impl ApiKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Model => "model",
            Self::Knowledge => "knowledge",
            Self::Console => "console",
        }
    }
}

/// What there is to tell of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessRecord {
    /// The kind of API.
    pub api: ApiKind,
    /// The API's name; empty where none was found.
    pub name: Label,
    /// The route's name; empty where none was found.
    pub route: Label,
    /// The method.
    pub method: Method,
    /// The path, without the query, which may hold a key.
    pub path: String,
    /// The request's name: its `X-Request-Id`.
    pub request_id: String,
    /// Who sent it, as far as it is known.
    pub client: Option<IpAddr>,
    /// The consumer who was identified.
    pub consumer: Option<Arc<str>>,
    /// The answer's status.
    pub status: u16,
    /// Why it was answered so.
    pub reason: Reason,
    /// From its arrival until its answer's end, or head where nobody sees the end.
    pub took: Duration,
    /// What went wrong with the upstream, for the operator: it may hold an address.
    pub error: Option<String>,
    /// What only this kind of request has.
    pub detail: Detail,
}

/// What only one kind of request has.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// Nothing: a page of Dify's, or an answer of the gateway's own.
    None,
    /// A run of a Dify app.
    Run(Box<RunDetail>),
    /// A call of a model.
    Call(Box<CallDetail>),
    /// A retrieval of knowledge.
    Retrieval(RetrievalDetail),
}

impl AccessRecord {
    /// Of a request that has just come. It has not ended: dropped as it is, its client has left.
    pub fn new(api: ApiKind, method: Method, path: &str, request_id: String) -> Self {
        Self {
            api,
            name: Label::NONE,
            route: Label::NONE,
            method,
            path: beginning_of(path).to_owned(),
            request_id,
            client: None,
            consumer: None,
            // nginx' number for it.
            status: 499,
            reason: Reason::ClientLeft,
            took: Duration::ZERO,
            error: None,
            detail: Detail::None,
        }
    }

    /// Counts it.
    pub fn count(&self, counters: &mut Counters) {
        if self.api == ApiKind::Console {
            return;
        }
        let (api, name) = (Label::Static(self.api.as_str()), &self.name);
        counters.add(
            Family::Requests,
            [
                api.clone(),
                name.clone(),
                self.route.clone(),
                self.status.into(),
                self.reason.as_str().into(),
            ],
            1,
        );
        counters.observe(Family::RequestDuration, [api, name.clone()], self.took);
        match &self.detail {
            Detail::None => {}
            Detail::Run(run) => run.count(name, counters),
            Detail::Call(call) => call.count(name, self.consumer.as_ref(), counters),
            Detail::Retrieval(retrieval) => retrieval.count(name, counters),
        }
    }

    /// What happened, in a word.
    pub(crate) const fn event(&self) -> &'static str {
        match self.detail {
            Detail::None => "request",
            Detail::Run(_) => "run",
            Detail::Call(_) => "call",
            Detail::Retrieval(_) => "retrieval",
        }
    }

    /// How much it matters.
    pub(crate) const fn level(&self) -> LogLevel {
        match (self.reason, self.status) {
            (Reason::Internal | Reason::Misconfigured | Reason::HostNotAllowed, _) => {
                LogLevel::Error
            }
            (
                Reason::StreamBroken
                | Reason::UpstreamRefused
                | Reason::UpstreamTimeout
                | Reason::UpstreamError
                | Reason::StateUnavailable
                | Reason::Overloaded,
                _,
            )
            | (_, 500..) => LogLevel::Warn,
            _ => LogLevel::Info,
        }
    }

    /// Its line's fields.
    pub(crate) fn write(&self, fields: &mut Fields) {
        if !self.name.is_empty() {
            fields.word("api", self.name.text().unwrap_or_default());
        }
        if !self.route.is_empty() {
            fields.text("route", self.route.text().unwrap_or_default());
        }
        fields.number("status", self.status);
        fields.word("reason", self.reason.as_str());
        fields.number("ms", self.took.as_millis());
        fields.word("kind", self.api.as_str());
        fields.word("method", self.method.as_str());
        fields.text("path", &self.path);
        if let Some(client) = self.client {
            fields.word("client", &address_text(client));
        }
        if let Some(consumer) = &self.consumer {
            fields.word("consumer", consumer);
        }
        fields.word("request", &self.request_id);
        if let Some(error) = &self.error {
            fields.text("error", error);
        }
        match &self.detail {
            Detail::None => {}
            Detail::Run(run) => run.write(fields),
            Detail::Call(call) => call.write(fields),
            Detail::Retrieval(retrieval) => retrieval.write(fields),
        }
    }
}

/// As much of others' text as a line holds.
fn beginning_of(text: &str) -> &str {
    if text.len() <= MAX_TEXT_CHARS {
        return text;
    }
    let end = text.char_indices().nth(MAX_TEXT_CHARS);
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}
