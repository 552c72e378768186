//! A gateway for one column: a route and upstreams of its own for every failure, as what is ejected belongs to a
//! provider.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use spillway_tests::{
    Gateway, Options,
    standin::{Behaviour, BlackHole, ReservedPort, StandinModel},
};

use crate::{
    columns::{Column, Mode, Setup},
    failures::{Failure, Upstream, failures},
};

/// The failures on which a call goes on by default, as docs/models.md lists it.
const LEADS_ON: &str = "connect_error, timeout, first_token_timeout, reset, truncated, \
    \"401\", \"402\", \"403\", \"408\", \"429\", \"5xx\"";
/// A column has so many gateways, so that none makes more attempts again (one a failure) than its retry budget has in
/// reserve, and no cell depends on another one's.
pub const PARTS: usize = 3;
/// What an instance may try again at first.
const RESERVE: usize = 20;

/// A gateway for a part of a column.
pub struct Service {
    pub gateway: Gateway,
    pub cells: Vec<Cell>,
}

/// A failure in a column, with its own upstreams.
pub struct Cell {
    pub failure: Failure,
    pub number: usize,
    first: First,
    second: Option<StandinModel>,
}

enum First {
    Dead(ReservedPort),
    BlackHole(BlackHole),
    Vendor(StandinModel),
}

impl Service {
    pub async fn start(column: Column, part: usize) -> Result<Self> {
        let (mut routes, mut providers) = (String::new(), String::new());
        let mut cells = Vec::new();
        for (number, failure) in failures().into_iter().enumerate() {
            if number % PARTS != part {
                continue;
            }
            if let Some(cell) = Cell::start(column, failure, number).await? {
                cell.configure(column, &mut routes, &mut providers)?;
                cells.push(cell);
            }
        }
        ensure!(cells.len() <= RESERVE, "`PARTS` is too small");
        let yaml = format!("models:\n  - name: llm\n    routes:\n{routes}providers:\n{providers}");
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        Ok(Self { gateway, cells })
    }
}

impl Cell {
    /// `None` where the column does not have the failure.
    async fn start(column: Column, failure: Failure, number: usize) -> Result<Option<Self>> {
        let answers = match &failure.upstream {
            Upstream::Answers(answers) => match column.mode {
                Mode::Whole => Some(&answers.whole),
                Mode::Streamed => Some(&answers.streamed),
            },
            // Nobody sees that a connection was refused or not taken, so nobody could make it good then.
            _ if column.setup.fails_once() => return Ok(None),
            _ => None,
        };
        let first = match (&failure.upstream, answers) {
            (_, Some(None)) => return Ok(None),
            (_, Some(Some(behaviour))) => {
                let vendor = StandinModel::start("first")?;
                script(
                    &vendor,
                    column.setup,
                    &failure,
                    &model_of(number),
                    behaviour,
                );
                First::Vendor(vendor)
            }
            (Upstream::BlackHole, None) => First::BlackHole(BlackHole::open().await?),
            (_, None) => First::Dead(ReservedPort::reserve()?),
        };
        let second = match column.setup {
            Setup::TwoTargets => Some(StandinModel::start("second")?),
            Setup::OneEndpoint | Setup::OneEndpointOnce | Setup::TwoKeysOnce => None,
        };
        Ok(Some(Self {
            failure,
            number,
            first,
            second,
        }))
    }

    /// The model to ask for, and the call's request id.
    pub fn model(&self) -> String {
        model_of(self.number)
    }

    /// What it is asked. Names the cell, so that its upstreams know its calls.
    pub fn question(&self) -> String {
        format!("tell me about {}", self.model())
    }

    /// What an upstream's provider is called in the configuration.
    pub fn provider(&self, upstream: &str) -> String {
        format!("{upstream}-{:02}", self.number)
    }

    /// How many calls each upstream saw. Probes are none.
    pub fn calls(&self) -> Vec<usize> {
        // A port may have been another test's a moment ago, and somebody may still call there.
        let own = self.question();
        let count = |vendor: &StandinModel| vendor.requests_mentioning(&own).len();
        let first = match &self.first {
            First::Vendor(vendor) => count(vendor),
            First::Dead(_) | First::BlackHole(_) => 0,
        };
        std::iter::once(first)
            .chain(self.second.as_ref().map(count))
            .collect()
    }

    /// Whether the first upstream was asked for its models with the cell's key.
    pub fn saw_probe(&self) -> bool {
        let First::Vendor(vendor) = &self.first else {
            return false;
        };
        let own = vendor.requests_mentioning(&self.provider("sk-a-first"));
        own.iter().any(|request| request.method == "GET")
    }

    fn configure(&self, column: Column, routes: &mut String, providers: &mut String) -> Result<()> {
        let (first, second) = (self.provider("first"), self.provider("second"));
        let limits = if self.failure.never_goes_on {
            ", timeout: 2s, first_token_timeout: 1s"
        } else {
            ""
        };
        let mut targets = format!("{{ provider: {first}, model: first{limits} }}");
        if self.second.is_some() {
            write!(targets, ", {{ provider: {second}, model: second }}")?;
        }
        let also_on = self.failure.also_on;
        let comma = if also_on.is_empty() { "" } else { ", " };
        let keep_alive = if self.failure.short_keep_alive {
            ", keep_alive: 200ms"
        } else {
            ""
        };
        writeln!(
            routes,
            "      - match: {{ model: [{}] }}\n        targets: [{targets}]\n        fallback: {{ back_off: 50ms{keep_alive}, on: [{LEADS_ON}{comma}{also_on}] }}",
            self.model()
        )?;
        let url = match &self.first {
            First::Dead(port) => format!("{}/v1", port.url()),
            First::BlackHole(hole) => format!("{}/v1", hole.url()),
            First::Vendor(vendor) => vendor.base_url(),
        };
        let keys = match column.setup {
            // One of weight 0 serves when no other does.
            Setup::TwoKeysOnce => {
                format!("sk-a-{first}, {{ key: sk-b-{first}, weight: 0 }}")
            }
            Setup::TwoTargets | Setup::OneEndpoint | Setup::OneEndpointOnce => {
                format!("sk-a-{first}")
            }
        };
        let failures = column.setup.failures_allowed();
        let breaker = format!("{{ failures: {failures}, of: {failures}, open_for: 60s }}");
        writeln!(
            providers,
            "  - {{ name: {first}, base_url: \"{url}\", api_keys: [{keys}], breaker: {breaker} }}"
        )?;
        if let Some(vendor) = &self.second {
            let url = vendor.base_url();
            writeln!(
                providers,
                "  - {{ name: {second}, base_url: \"{url}\", api_keys: [sk-{second}], breaker: {breaker} }}"
            )?;
        }
        Ok(())
    }
}

fn model_of(number: usize) -> String {
    format!("cell-{number:02}")
}

/// Tells a vendor when to fail: `call` stands in every call, and in no probe.
fn script(
    vendor: &StandinModel,
    ways: Setup,
    failure: &Failure,
    call: &str,
    behaviour: &Behaviour,
) {
    if ways.fails_once() {
        vendor.once(call, behaviour.clone());
    } else {
        vendor.when(call, behaviour.clone());
    }
    if failure.is_probed && !failure.key_is_good && !ways.fails_once() {
        vendor.always(behaviour.clone());
    }
}
