//! The path of a retrieval.

use std::sync::Arc;

use bytes::Bytes;
use spillway_forward::REQUEST_ID;
use spillway_knowledge::{
    KnowledgeApi, KnowledgeCatalogue, MAX_REQUEST_BYTES, Retrieval, RetrievalReply,
};
use spillway_limit::{Due, RequestFacts};
use spillway_platform::{Platform, ReceiveError, RequestHead};
use spillway_surface::Surface;
use spillway_telemetry::{ApiKind, Detail, RetrievalDetail};

use crate::limits::ApiLimits;
use crate::runtime::configuration;
use crate::{Passage, Runtime, Settlement, misconfigured};

/// What an instance knows that serves knowledge APIs.
pub type KnowledgeRuntime<P> = Runtime<P, KnowledgeCatalogue>;

/// Reads the configuration.
///
/// # Errors
/// What is wrong, for the operator.
pub async fn start<P: Platform>(platform: P) -> Result<KnowledgeRuntime<P>, String> {
    let gateway = configuration(&platform).await?;
    let catalogue = KnowledgeCatalogue::new(&gateway).map_err(|error| error.to_string())?;
    let limits = gateway.knowledge.iter().map(ApiLimits::of_knowledge);
    Runtime::new(platform, &gateway, "knowledge", limits, |_| catalogue)
}

/// Answers a request.
///
/// # Errors
/// The platform's, where there can be no answer.
pub async fn handle<P: Platform>(
    runtime: &Arc<KnowledgeRuntime<P>>,
    request: P::Request,
) -> Result<P::Response, P::Error> {
    let platform = &runtime.platform;
    let head = platform.head(&request);
    let (settlement, _) = Settlement::begin(runtime, ApiKind::Knowledge, &head);
    let mut exchange = RetrievalExchange {
        runtime,
        settlement,
        head,
        quota: Vec::new(),
    };
    let (backend, mut reply) = match runtime.apis.api(exchange.head.path()) {
        Ok(api) => {
            let served = serve(&mut exchange, api, request).await;
            (api.backend, served.unwrap_or_else(|reply| reply))
        }
        Err(reply) => ("", reply),
    };
    for (name, value) in &exchange.quota {
        reply.local.headers.append(name, value.as_str());
    }
    let mut settlement = exchange.settlement;
    settlement.record.detail = Detail::Retrieval(RetrievalDetail {
        backend,
        outcome: reply.outcome.as_str(),
        records: reply.records,
        query: reply.query.map(String::from),
        detail: reply.detail.map(String::from),
    });
    settlement.set(reply.local.status, reply.local.reason);
    let mut rendered = Surface::Knowledge.render(*reply.local);
    let id = settlement.record.request_id.as_str();
    rendered.headers.append(REQUEST_ID, id);
    platform
        .respond(rendered.status, rendered.headers, rendered.body)
        .await
}

/// One request on its way.
struct RetrievalExchange<'r, P: Platform> {
    runtime: &'r KnowledgeRuntime<P>,
    settlement: Settlement<P>,
    head: RequestHead,
    /// Header fields that tell the client of its limits.
    quota: Vec<(&'static str, String)>,
}

/// The phases, each of which may reply in the gateway's own name.
async fn serve<P: Platform>(
    exchange: &mut RetrievalExchange<'_, P>,
    api: &KnowledgeApi,
    request: P::Request,
) -> Result<RetrievalReply, RetrievalReply> {
    exchange.settlement.record.name = api.name.clone().into();
    identify(exchange, api)?;
    admit(exchange, api).await?;
    let body = read(exchange, api, request).await?;
    let platform = &exchange.runtime.platform;
    let retrieval = Retrieval {
        sender: platform,
        clock: platform,
        api,
        arrived: exchange.settlement.arrived,
    };
    Ok(retrieval.serve(&body).await)
}

/// Phase *identify*: the API's keys.
fn identify<P: Platform>(
    exchange: &mut RetrievalExchange<'_, P>,
    api: &KnowledgeApi,
) -> Result<(), RetrievalReply> {
    if exchange.head.headers.is_too_large() {
        return Err(RetrievalReply::headers_too_large());
    }
    let caller = api.admit(&exchange.head)?;
    exchange.settlement.record.consumer = caller.name().map(Into::into);
    Ok(())
}

/// Phase *admit*: the API's limits, none of which needs the body.
async fn admit<P: Platform>(
    exchange: &mut RetrievalExchange<'_, P>,
    api: &KnowledgeApi,
) -> Result<(), RetrievalReply> {
    let limits = &exchange.runtime.limits;
    if !limits.has_rules(&api.name) {
        return Ok(());
    }
    let (head, record) = (&exchange.head, &exchange.settlement.record);
    let facts = RequestFacts {
        query: head.query(),
        client: record.client,
        consumer: record.consumer.as_deref(),
        host: Some(&head.authority),
        ..RequestFacts::of(&head.headers)
    };
    let budget = &exchange.settlement.state_budget;
    let admitted = limits.admit(
        budget,
        &api.name,
        &facts,
        None,
        Due::All,
        Passage::default(),
    );
    let passage = admitted.await.map_err(RetrievalReply::rate_limited)?;
    exchange.quota = passage.headers;
    exchange.settlement.permits = passage.permits;
    Ok(())
}

/// Phase *read*: the whole body, which names the knowledge and what is looked for.
async fn read<P: Platform>(
    exchange: &RetrievalExchange<'_, P>,
    api: &KnowledgeApi,
    request: P::Request,
) -> Result<Bytes, RetrievalReply> {
    let until = exchange.settlement.arrived.saturating_add(api.deadline);
    let in_hand = &exchange.runtime.requests_in_hand;
    let platform = &exchange.runtime.platform;
    let read = platform.read_body(request, MAX_REQUEST_BYTES, until, in_hand);
    read.await.map_err(|error| match error {
        ReceiveError::TooLarge { .. } => RetrievalReply::too_large(),
        ReceiveError::Broken(_) => RetrievalReply::broken_body(),
        ReceiveError::NoRoom(_) => RetrievalReply::overloaded(),
        ReceiveError::TooSlow => RetrievalReply::slow_body(),
    })
}

/// Answers while nothing can be served, for this reason.
///
/// # Errors
/// As [`handle`].
pub async fn misconfigured<P: Platform>(
    platform: &P,
    problem: &str,
    request: P::Request,
) -> Result<P::Response, P::Error> {
    let reply = *RetrievalReply::misconfigured().local;
    misconfigured::answer(
        platform,
        request,
        problem,
        ApiKind::Knowledge,
        Surface::Knowledge,
        reply,
    )
    .await
}
