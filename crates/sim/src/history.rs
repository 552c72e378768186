//! What happened.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use spillway_platform_sim::{ReceivedRequest, SimAnswer, SimMoment, StoreEvent};

use crate::api::request_name;
use crate::plan::{Behaviour, Plan, RequestPlan, Strike};
use crate::upstream::PeerKind;

/// All that can be known of a run.
#[derive(Debug, Clone)]
pub struct History {
    /// What was planned.
    pub plan: Plan,
    /// What became of each request, in the order of their ends.
    pub outcomes: Vec<Outcome>,
    /// What upstreams were asked.
    pub asked: Vec<Asked>,
    /// Strikes that hit.
    pub strikes: Vec<Struck>,
    /// The log's lines.
    pub log: Vec<(SimMoment, String)>,
    /// Records among them.
    pub records: Vec<Value>,
    /// What the store did.
    pub store: Vec<StoreEvent>,
    /// What became of connections to the store.
    pub store_notes: Vec<(SimMoment, &'static str)>,
    /// The totals of all metrics at the end.
    pub totals: Vec<(String, u64)>,
    /// Keys that are still in flight at the end, and how often.
    pub leases: Vec<(String, usize)>,
    /// What is reserved in the end, by key.
    pub reserved: Vec<(String, u64)>,
    /// What no runtime would have done, and panics.
    pub faults: Vec<String>,
}

/// What became of a request.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its number.
    pub number: u32,
    /// When it was sent.
    pub sent: SimMoment,
    /// When its answer's head came.
    pub head: Option<SimMoment>,
    /// When it was over.
    pub ended: SimMoment,
    /// How long its client took over its pieces.
    pub paused: Duration,
    /// How.
    pub ending: Ending,
}

/// How a request ended, as its client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With an answer, whole or cut.
    Answered(SimAnswer),
    /// The client left, and had this by then.
    Left(Option<SimAnswer>),
    /// The connection was lost, before there was a head.
    Lost,
    /// The component failed.
    Failed(String),
}

/// What an upstream was asked, and what it did.
#[derive(Debug, Clone)]
pub struct Asked {
    /// When.
    pub at: SimMoment,
    /// Whose request it was; `None` for what the gateway asks by itself.
    pub number: Option<u32>,
    /// How often this request had been sent before.
    pub attempt: usize,
    /// Which upstream.
    pub service: PeerKind,
    /// What it did.
    pub behaviour: Behaviour,
    /// What came.
    pub request: ReceivedRequest,
    /// The body that it answered with.
    pub body: Vec<u8>,
    /// Whether it ended that as it should.
    pub is_clean: bool,
}

/// When fate struck.
#[derive(Debug, Clone, Copy)]
pub struct Struck {
    /// When.
    pub at: SimMoment,
    /// What it did.
    pub what: Strike,
    /// How much the store had done before.
    pub store_events: usize,
}

/// What is written down while a run goes on. A copy is the same.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Rc<RefCell<Recorded>>);

/// What has been written down.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Of clients.
    pub outcomes: Vec<Outcome>,
    /// Of upstreams.
    pub asked: Vec<Asked>,
    /// Of fate.
    pub strikes: Vec<Struck>,
}

impl Recorder {
    /// A request is over.
    pub fn outcome(&self, outcome: Outcome) {
        self.0.borrow_mut().outcomes.push(outcome);
    }

    /// An upstream was asked.
    pub fn asked(&self, asked: Asked) {
        self.0.borrow_mut().asked.push(asked);
    }

    /// How often a request has been sent so far.
    pub fn attempts(&self, number: u32) -> usize {
        let recorded = self.0.borrow();
        let of = recorded.asked.iter();
        of.filter(|asked| asked.number == Some(number)).count()
    }

    /// Fate has struck.
    pub fn strike(&self, struck: Struck) {
        self.0.borrow_mut().strikes.push(struck);
    }

    /// What was written down.
    pub fn take(&self) -> Recorded {
        self.0.take()
    }
}

impl History {
    /// What was planned for a request.
    pub fn request(&self, number: u32) -> Option<&RequestPlan> {
        let mut requests = self.plan.requests.iter();
        requests.find(|one| one.number == number)
    }

    /// Whether anything of the gateway has ended before its time.
    pub fn has_deaths(&self) -> bool {
        let is_one = |struck: &Struck| {
            matches!(
                struck.what,
                Strike::Death(_) | Strike::Deaths | Strike::Cancel(_)
            )
        };
        self.strikes.iter().any(is_one)
    }

    /// Whether an instance has died, with all that it had not yet told.
    pub fn has_lost_instances(&self) -> bool {
        let is_one = |struck: &Struck| matches!(struck.what, Strike::Death(_) | Strike::Deaths);
        self.strikes.iter().any(is_one)
    }

    /// A request's records.
    pub fn records(&self, number: u32) -> impl Iterator<Item = &Value> {
        let name = request_name(number);
        let records = self.records.iter();
        records.filter(move |record| record.get("request").is_some_and(|one| *one == name))
    }

    /// What upstreams were asked for this request.
    pub fn attempts(&self, number: u32) -> impl Iterator<Item = &Asked> {
        self.asked
            .iter()
            .filter(move |asked| asked.number == Some(number))
    }
}

impl Outcome {
    /// How long it took to its end, without what its client took over its pieces.
    pub const fn took(&self) -> Duration {
        let took = self.ended.time.saturating_sub(self.sent.time);
        took.saturating_sub(self.paused)
    }

    /// What the client got, whole or not.
    pub const fn answer(&self) -> Option<&SimAnswer> {
        match &self.ending {
            Ending::Answered(answer) => Some(answer),
            Ending::Left(answer) => answer.as_ref(),
            Ending::Lost | Ending::Failed(_) => None,
        }
    }
}
