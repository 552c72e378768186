//! One request, from its body to its answer, within the deadline.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use spillway_platform::{Clock, IncomingBody, Sender, may_grow};

use crate::failure::{BackendFailure, Unreadable};
use crate::record::{Record, best};
use crate::{KnowledgeApi, Query, Request, RetrievalReply};

/// The longest answer that is taken from an engine: 16 MiB.
pub const MAX_ENGINE_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// The longest query in the log, in characters.
const MAX_LOGGED_CHARS: usize = 500;

/// A request to a knowledge API, admitted.
#[derive(Debug)]
pub struct Retrieval<'a, S, C> {
    /// How to send.
    pub sender: &'a S,
    /// What time it is.
    pub clock: &'a C,
    /// The API that it came to.
    pub api: &'a KnowledgeApi,
    /// When it arrived, by `clock`.
    pub arrived: Duration,
}

impl<S: Sender, C: Clock> Retrieval<'_, S, C> {
    /// Answers a request by its body.
    pub async fn serve(&self, body: &[u8]) -> RetrievalReply {
        match Request::parse(body) {
            Ok(Request::Probe) => RetrievalReply::probe(),
            Ok(Request::Query(query)) => self.retrieve(&query).await,
            Err(answer) => answer,
        }
    }

    /// Answers a query, at the API's deadline at the latest.
    pub async fn retrieve(&self, query: &Query) -> RetrievalReply {
        let time = self.api.deadline.saturating_sub(self.elapsed());
        let result = if time.is_zero() {
            Err(BackendFailure::Deadline)
        } else {
            let deadline = self.clock.sleep(time);
            let asking = self.ask(query, time);
            match select(std::pin::pin!(deadline), std::pin::pin!(asking)).await {
                Either::Left(((), _)) => Err(BackendFailure::Deadline),
                Either::Right((result, _)) => result,
            }
        };
        let mut answer = match &result {
            Ok(records) => RetrievalReply::found(records),
            Err(failure) => failure.answer(self.api, &query.knowledge_id),
        };
        answer.query = self.api.log_queries.then(|| shown(&query.text).into());
        answer.detail = result.err().map(|failure| self.detail(&failure).into());
        answer
    }

    async fn ask(&self, query: &Query, time: Duration) -> Result<Vec<Record>, BackendFailure> {
        let engine = &self.api.engine;
        let mut response = self.sender.send(engine.request(query, time)?).await?;
        let body = read_whole(&mut response.body).await;
        let records = if response.status.is_success() {
            engine.read(response.status, &body?)?
        } else {
            // An error is an error even if its text broke off.
            engine.read(response.status, &body.unwrap_or_default())?
        };
        Ok(best(records, engine.score_threshold(query), query.top_k))
    }

    /// What went wrong, for the operator.
    fn detail(&self, failure: &BackendFailure) -> String {
        match failure {
            BackendFailure::Send(_) => {
                format!("{}: {failure}", self.api.engine.upstream().origin())
            }
            _ => failure.to_string(),
        }
    }

    fn elapsed(&self) -> Duration {
        self.clock.now().saturating_sub(self.arrived)
    }
}

fn shown(query: &str) -> String {
    query.chars().take(MAX_LOGGED_CHARS).collect()
}

async fn read_whole<B: IncomingBody>(body: &mut B) -> Result<Bytes, BackendFailure> {
    let mut whole = BytesMut::new();
    while let Some(piece) = body.next().await? {
        if whole.len().saturating_add(piece.len()) > MAX_ENGINE_ANSWER_BYTES {
            return Err(BackendFailure::Unreadable(Unreadable::TooLarge));
        }
        if !may_grow(body, whole.len(), whole.len().saturating_add(piece.len())).await {
            return Err(BackendFailure::NoRoom);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}
