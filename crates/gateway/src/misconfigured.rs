//! What is answered while the configuration cannot be used: nothing can be served, the operator must act, so the operator
//! is told. In the log's default form, as the configuration may be what says how lines are written; and counted nowhere, as
//! no store is known either.

use spillway_config::LogConfig;
use spillway_forward::REQUEST_ID;
use spillway_platform::Platform;
use spillway_surface::{LocalReply, Surface};
use spillway_telemetry::ApiKind;

use crate::Log;
use crate::settlement::begin_record;

/// Answers a request with this reply in this form.
pub(crate) async fn answer<P: Platform>(
    platform: &P,
    request: P::Request,
    problem: &str,
    api: ApiKind,
    surface: Surface,
    reply: LocalReply,
) -> Result<P::Response, P::Error> {
    let arrived = platform.now();
    let log = Log::new(platform.clone(), &LogConfig::default());
    log.error(problem);
    let mut record = begin_record(platform, api, &platform.head(&request));
    drop(request);
    let mut rendered = surface.render(reply);
    record.status = rendered.status.as_u16();
    record.reason = rendered.reason;
    record.took = platform.now().saturating_sub(arrived);
    log.record(&record);
    rendered
        .headers
        .append(REQUEST_ID, record.request_id.as_str());
    platform
        .respond(rendered.status, rendered.headers, rendered.body)
        .await
}
