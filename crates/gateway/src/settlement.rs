//! What a request ends in, on every path.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use spillway_forward::{ForwardedHeaders, request_id};
use spillway_llm::{CallProgress, InputTokens};
use spillway_platform::{Platform, RequestHead};
use spillway_telemetry::{AccessRecord, ApiKind, Detail, Reason};

use crate::agent::RunRecord;
use crate::call_usage::CallUsage;
use crate::model::CallRecord;
use crate::state_access::StateBudget;
use crate::{Log, Meter, Permit, Runtime};

/// A request that has not ended. It owns what the request holds, and the one record of it: dropped, on whatever path,
/// it gives back what is held, counts the request, and writes its line.
///
/// Who answers says so by [`Settlement::set`]; a request that is dropped before has lost its client.
pub struct Settlement<P: Platform> {
    /// What there is to tell.
    pub record: AccessRecord,
    /// When the request came.
    pub arrived: Duration,
    /// How long it may still wait for the store.
    pub(crate) state_budget: StateBudget,
    /// What it holds in the store.
    pub permits: Vec<Permit>,
    /// The model call that it makes.
    call: Option<CallRecord>,
    /// The run of a Dify app whose answer is on its way.
    pub(crate) run: Option<RunRecord>,
    /// What it has used if nothing more is heard of it.
    pub(crate) unheard: Option<CallUsage>,
    platform: P,
    meter: Arc<Meter<P>>,
    log: Log<P>,
}

impl<P: Platform> Settlement<P> {
    /// Of a request that has just come, of any kind; with what its client asked for, and who that is.
    pub(crate) fn begin<A>(
        runtime: &Runtime<P, A>,
        api: ApiKind,
        head: &RequestHead,
    ) -> (Self, ForwardedHeaders) {
        let platform = &runtime.platform;
        let claims = ForwardedHeaders::of(head, &runtime.trust);
        let mut record = begin_record(platform, api, head);
        record.client = claims.client;
        let settlement = Self {
            record,
            arrived: platform.now(),
            state_budget: runtime.access.budget(),
            permits: Vec::new(),
            call: None,
            run: None,
            unheard: None,
            platform: platform.clone(),
            meter: Arc::clone(&runtime.meter),
            log: runtime.log.clone(),
        };
        (settlement, claims)
    }

    /// Says how the request is answered.
    pub fn set(&mut self, status: StatusCode, reason: Reason) {
        self.record.status = status.as_u16();
        self.record.reason = reason;
    }

    /// Says that the request makes a call of this model, or of none that it names. What the call tells of itself is
    /// settled however it ends.
    pub(crate) fn begin_call(
        &mut self,
        model: &str,
        is_stream: bool,
        input: Option<InputTokens>,
        is_background: bool,
    ) -> Arc<CallProgress> {
        let progress = Arc::<CallProgress>::default();
        self.call = Some(CallRecord {
            model: model.to_owned(),
            is_stream,
            input,
            is_background,
            progress: Arc::clone(&progress),
        });
        progress
    }
}

impl<P: Platform> Settlement<P> {
    fn settle(&mut self, usage: CallUsage) {
        for permit in self.permits.drain(..) {
            permit.settle(usage);
        }
    }
}

impl<P: Platform> Drop for Settlement<P> {
    fn drop(&mut self) {
        let now = self.platform.now();
        self.record.took = now.saturating_sub(self.arrived);
        if let Some(call) = self.call.take() {
            if self.record.reason == Reason::ClientLeft && call.progress.has_head() {
                self.record.status = StatusCode::OK.as_u16();
            }
            let (detail, usage) = call.detail(self.record.reason, now);
            self.record.detail = Detail::Call(Box::new(detail));
            self.settle(usage);
        }
        if let Some(run) = self.run.take() {
            let (detail, usage) = run.detail();
            self.record.detail = detail;
            self.settle(usage);
        }
        if let Some(usage) = self.unheard.take() {
            self.settle(usage);
        }
        // Of what has not begun nothing was used.
        self.permits.clear();
        let record = &self.record;
        self.meter.count(|counters| record.count(counters));
        self.log.record(record);
    }
}

/// The record of a request that has just come, of any kind.
pub(crate) fn begin_record<P: Platform>(
    platform: &P,
    api: ApiKind,
    head: &RequestHead,
) -> AccessRecord {
    let id = request_id(&head.headers, || platform.unique_name());
    AccessRecord::new(api, head.method.clone(), head.path(), id)
}
