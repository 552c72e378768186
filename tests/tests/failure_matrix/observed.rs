//! Calling one cell, and what came of it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use spillway_tests::{
    Chat, attempts, chat_request,
    client::{End, Request, Response},
    message, provider,
    standin::chat_text,
    stream_request, until,
};

use crate::{
    columns::{Column, Mode},
    service::{Cell, Service},
};

/// What came of a cell.
pub struct Observed {
    /// The client got a complete answer.
    pub is_recovered: bool,
    /// What the client got, in one word or two.
    pub gist: String,
    /// The same with its reason and who it came from.
    pub got: String,
    /// `x-gateway-attempts`.
    pub attempts: String,
    /// Every attempt: who was asked, and how it went.
    pub tried: Vec<String>,
    /// Calls that each upstream saw.
    pub calls: Vec<usize>,
    /// What was ejected, and what came back, in order.
    pub ejected: Vec<String>,
}

impl Cell {
    /// Calls it once.
    pub async fn observe(&self, service: &Service, column: Column) -> Result<Observed> {
        let model = self.model();
        let body = match column.mode {
            Mode::Whole => chat_request(&model, &self.question()),
            Mode::Streamed => stream_request(&model, &self.question()),
        };
        let request =
            Request::json("/llm/v1/chat/completions", &body).header("x-request-id", &model);
        let response = service.gateway.call(&request).await?;
        let answer = self.read(&response).with_context(|| {
            format!(
                "{} / {}: {}",
                column.title(),
                self.failure.name,
                response.text()
            )
        })?;
        let header = |name: &str| response.header(name).unwrap_or_default();
        let from = provider(&response.head).unwrap_or_default();
        let mut got = format!(
            "{}, `{}` from {}",
            answer.gist,
            header("x-gateway-reason"),
            self.normalised(&from)
        );
        if let Some(seconds) = response.header("retry-after") {
            got.push_str(&format!(", `Retry-After: {seconds}`"));
        }
        let log = self.wait_for_log(service, column).await?;
        let tried = self.tried(&log)?;
        Ok(Observed {
            is_recovered: answer.is_complete,
            gist: answer.gist,
            got,
            attempts: attempts(&response.head).unwrap_or_default(),
            ejected: self.ejected(&log, &tried),
            tried: tried
                .into_iter()
                .map(|attempt| self.settled(column, attempt.outcome))
                .collect(),
            calls: self.calls(),
        })
    }

    /// Reads an answer, and makes sure that all of it is one provider's.
    fn read(&self, response: &Response) -> Result<Answer> {
        ensure!(
            response.end == End::Clean,
            "the answer's end: {:?}",
            response.end
        );
        let status = response.status();
        let is_stream = response
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/event-stream"));
        if !is_stream {
            let answer = response.json();
            let Some(error) = answer.get("error") else {
                ensure!(status == 200, "neither an answer nor an error");
                self.check_author(&[&answer], message(&answer), true)?;
                return Ok(Answer::complete("200"));
            };
            ensure!(status >= 400, "an error with status {status}");
            return Ok(Answer::failed(format!("{status} `{}`", code(error))));
        }
        ensure!(status == 200, "a stream with status {status}");
        let chat = Chat::read(&response.text());
        let chunks: Vec<&Value> = chat.chunks.iter().collect();
        self.check_author(&chunks, &chat.text(), chat.done)?;
        match &chat.error {
            None => Ok(Answer::complete("200, `[DONE]`")),
            Some(error) => {
                let text = if chat.text().is_empty() {
                    ""
                } else {
                    " after text"
                };
                Ok(Answer::failed(format!(
                    "200, error event `{}`{text}",
                    code(error)
                )))
            }
        }
    }

    /// Waits until the call is logged, and what a probe of its key found, and gives the lines about it and its providers.
    async fn wait_for_log(&self, service: &Service, column: Column) -> Result<Vec<String>> {
        let own_request = format!("request={} ", self.model());
        let own_providers =
            ["first", "second"].map(|upstream| format!("provider {}: ", self.provider(upstream)));
        let what = format!("the log of {} ({})", self.model(), self.failure.name);
        until(&what, async || {
            let log = service.gateway.log();
            let is_own = |line: &&str| {
                line.contains(&own_request) || own_providers.iter().any(|own| line.contains(own))
            };
            let lines: Vec<String> = log.lines().filter(is_own).map(str::to_owned).collect();
            let logged = |text: &str| lines.iter().any(|line| line.contains(text));
            let is_back = !logged(" is out for ") || logged(" is back");
            let is_probed = match self.finds_key_good(column) {
                None => true,
                Some(true) => self.saw_probe() && is_back,
                Some(false) => logged(" is out for ") || logged(" is suspect for "),
            };
            Ok((logged(&own_request) && is_probed).then_some(lines))
        })
        .await
    }

    /// What a probe of the key finds; `None`: there is none.
    fn finds_key_good(&self, column: Column) -> Option<bool> {
        let is_good = self.failure.key_is_good || column.setup.fails_once();
        self.failure.is_probed.then_some(is_good)
    }

    /// The attempts that the call's line tells of: `PROVIDER/MODEL at=URL key=DIGEST outcome=OUTCOME ms=N`.
    fn tried(&self, log: &[String]) -> Result<Vec<Attempt>> {
        let mut lines = log.iter();
        let line = lines.find_map(|line| line.split_once(" attempts=["));
        let (_, attempts) = line.context("no line of the call")?;
        let word = |attempt: &str, name: &str| {
            let (_, rest) = attempt.split_once(name)?;
            rest.split([' ', ',', ']']).next().map(str::to_owned)
        };
        let places: Vec<&str> = attempts.split(" at=").collect();
        let providers = places.iter().map(|text| {
            let name = text.rsplit(' ').next().unwrap_or_default();
            name.split('/').next().unwrap_or_default()
        });
        let outcomes = places.iter().skip(1);
        providers
            .zip(outcomes)
            .map(|(provider, attempt)| {
                let outcome = word(attempt, "outcome=").context("an attempt without outcome")?;
                Ok(Attempt {
                    key: word(attempt, "key=").context("an attempt without key")?,
                    outcome: format!("{}: {outcome}", self.normalised(provider)),
                })
            })
            .collect()
    }

    /// The time for a head and the time for a first token are the same, so that a stream without a head is told by
    /// whichever is noticed first.
    fn settled(&self, column: Column, outcome: String) -> String {
        if self.failure.is_silent && column.mode == Mode::Streamed {
            outcome.replace(": timeout", ": first_token_timeout")
        } else {
            outcome
        }
    }

    /// What the log says of endpoints and keys, without addresses and digests: keys are called by the order in which
    /// they were tried.
    fn ejected(&self, log: &[String], tried: &[Attempt]) -> Vec<String> {
        let mut keys: Vec<&str> = Vec::new();
        for attempt in tried {
            if !keys.contains(&attempt.key.as_str()) {
                keys.push(&attempt.key);
            }
        }
        let second = self.provider("second");
        log.iter()
            .filter_map(|line| {
                let (_, change) = line.split_once("provider ")?;
                let (provider, change) = change.split_once(": ")?;
                let whose = if provider == second { "second's " } else { "" };
                let (subject, state) = change.split_once(" is ")?;
                let what = match subject.split_once(' ')? {
                    ("key", digest) if keys.first().is_some_and(|first| *first == digest) => "key",
                    ("key", _) => "second key",
                    (kind, _) => kind,
                };
                let state = state.replace(", for calls without a credential", " for its consumer");
                Some(format!("{whose}{what} {state}"))
            })
            .collect()
    }

    /// Makes sure that a text is one upstream's, all of it where it is complete.
    fn check_author(&self, parts: &[&Value], text: &str, is_complete: bool) -> Result<()> {
        let mut authors: Vec<&str> = parts
            .iter()
            .filter_map(|part| part.get("system_fingerprint").and_then(Value::as_str))
            .collect();
        authors.dedup();
        ensure!(authors.len() <= 1, "an answer of several: {authors:?}");
        let Some(author) = authors.first() else {
            ensure!(!is_complete && text.is_empty(), "an answer of nobody");
            return Ok(());
        };
        let whole = chat_text(author, &self.question());
        ensure!(whole.starts_with(text), "{text:?} is not {author}'s");
        ensure!(
            !is_complete || whole == text,
            "{text:?} is not all of {author}'s"
        );
        Ok(())
    }

    fn normalised(&self, provider: &str) -> String {
        let known = ["first", "second"];
        let mut known = known.into_iter();
        let found = known.find(|upstream| self.provider(upstream) == provider);
        found
            .unwrap_or(if provider.is_empty() {
                "nobody"
            } else {
                provider
            })
            .to_owned()
    }
}

struct Attempt {
    key: String,
    outcome: String,
}

struct Answer {
    is_complete: bool,
    gist: String,
}

impl Answer {
    fn complete(gist: &str) -> Self {
        Self {
            is_complete: true,
            gist: gist.to_owned(),
        }
    }

    fn failed(gist: String) -> Self {
        Self {
            is_complete: false,
            gist,
        }
    }
}

/// The error's code, or else its type.
fn code(error: &Value) -> String {
    let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
    text("code").or_else(|| text("type")).unwrap_or_default()
}
