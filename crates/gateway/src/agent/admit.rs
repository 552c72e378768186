//! Phases *admit, head* and *admit, body*: the API's limits.
//!
//! What needs nothing of the body is asked before it is read; where it is read for the end user, and small, all is
//! asked at once after that.

use http::Method;
use spillway_forward::{Class, Destination, UserPlace};
use spillway_limit::{DifyApp, Due, InBody, RequestFacts};
use spillway_platform::Platform;
use spillway_surface::LocalReply;

use super::exchange::AgentExchange;
use crate::Passage;

/// What of the limits is asked before the body is read, and what after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps {
    pub head: Option<Due>,
    pub body: Option<Due>,
}

impl Steps {
    /// `reads`: the body is read for the end user.
    pub fn of<P: Platform>(
        exchange: &AgentExchange<P>,
        destination: &Destination,
        reads: bool,
    ) -> Self {
        let hidden = InBody::EndUser;
        let length = exchange.head.content_length();
        let limits = &exchange.runtime.limits;
        if !reads {
            Self {
                head: Some(Due::All),
                body: None,
            }
        } else if limits.splits(&destination.api, hidden, length) {
            Self {
                head: Some(Due::Head(hidden)),
                body: Some(Due::Body(hidden)),
            }
        } else {
            Self {
                head: None,
                body: Some(Due::All),
            }
        }
    }
}

/// Counts a request under those of the API's limits that are due. `earlier` is what an earlier step gave.
pub(super) async fn admit<P: Platform>(
    exchange: &AgentExchange<P>,
    destination: &Destination,
    end_user: Option<&str>,
    due: Option<Due>,
    earlier: Passage,
) -> Result<Passage, LocalReply> {
    let limits = &exchange.runtime.limits;
    let Some(due) = due.filter(|_| limits.has_rules(&destination.api)) else {
        return Ok(earlier);
    };
    let budget = &exchange.settlement.state_budget;
    let head = &exchange.head;
    let dify_app = limits.dify_app(&head.headers);
    let named = match destination.user_place {
        Some(UserPlace::Query) => head.query().and_then(user_of_query),
        Some(UserPlace::Body) => end_user.map(ToOwned::to_owned),
        None => None,
    };
    let demand = if begins_run(exchange, destination) {
        let app = dify_app.as_ref().map(DifyApp::label).unwrap_or_default();
        limits
            .demand(budget, &destination.api, &[&app], None, None)
            .await
    } else {
        None
    };
    let facts = RequestFacts {
        query: head.query(),
        client: exchange.claims.client,
        dify_app: dify_app.as_ref(),
        end_user: destination.counted_user(named.as_deref()),
        route: Some(&destination.route),
        service: Some(destination.service.as_str()),
        host: Some(&exchange.claims.host),
        ..RequestFacts::of(&head.headers)
    };
    let demand = demand.as_ref();
    let api = &destination.api;
    limits
        .admit(budget, api, &facts, demand, due, earlier)
        .await
}

/// Whether a request begins a run, which uses tokens: how many only its end tells. Who follows one that another request has
/// begun uses none.
pub(super) fn begins_run<P: Platform>(
    exchange: &AgentExchange<P>,
    destination: &Destination,
) -> bool {
    destination.class == Class::Run && exchange.head.method == Method::POST
}

fn user_of_query(query: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find_map(|(name, value)| (name == "user").then(|| value.into_owned()))
        .filter(|user| !user.is_empty())
}
