//! What is to become of a request, and comparing it with what did.

use std::fmt::Debug;

use anyhow::{Context, Result, bail, ensure};
use spillway_tests::{
    client::Response,
    standin::{BodyFraming, RecordedRequest, Service},
};

use crate::FOLLOWING;

/// What is to become of a request.
#[derive(Debug)]
pub(crate) enum Expected {
    /// One service gets it, once, and its answer comes back.
    Arrives(Arrival),
    /// The component answers it with this status; nobody else hears of it.
    RefusedByGateway(u16),
    /// The host (here and on Spin: hyper) answers it with this status, no component being asked.
    RefusedByHost(u16),
    /// The host closes the connection without a word, no component being asked.
    ClosedByHost,
    /// It says two lengths: refused by the component where the host shows it both, else read by its chunks alone. In
    /// either case the connection is not used again (RFC 9112, 6.1).
    OneLengthOnly(Arrival),
    /// The head is in order and the body is not: a service may see it begin, but never end, and the connection is
    /// not used again.
    BreaksOff,
}

/// A request as a service is to get it.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) service: Service,
    pub(crate) target: String,
    pub(crate) body: &'static str,
    pub(crate) framing: Option<BodyFraming>,
}

impl Expected {
    /// The back end gets it, at this target, without a body.
    pub(crate) fn arrives(target: &str) -> Self {
        Self::arrives_at(Service::Api, target)
    }

    pub(crate) fn arrives_at(service: Service, target: &str) -> Self {
        Self::Arrives(Arrival::new(service, target))
    }

    /// The back end gets it at `/v1/x` with this body.
    pub(crate) fn arrives_with(body: &'static str, framing: BodyFraming) -> Self {
        Self::Arrives(Arrival::with(body, framing))
    }
}

/// What became of a case.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) answers: Vec<Response>,
    /// What came after the last whole answer.
    pub(crate) rest: String,
    pub(crate) arrived: Vec<RecordedRequest>,
}

impl Outcome {
    /// Says what is wrong.
    pub(crate) fn compare(&self, expected: &Expected) -> Result<()> {
        let (following, arrived): (Vec<_>, Vec<_>) = self
            .arrived
            .iter()
            .partition(|request| request.target == FOLLOWING);
        let mut answers = self.answers.iter();
        match expected {
            Expected::Arrives(arrival) => arrival.compare(&arrived, answers.next())?,
            Expected::RefusedByGateway(status) | Expected::RefusedByHost(status) => {
                ensure!(arrived.is_empty(), "a service got it: {arrived:?}");
                let answer = answers.next().context("no answer")?;
                let by_gateway = answer.header("x-gateway-reason").is_some();
                let meant = matches!(expected, Expected::RefusedByGateway(_));
                ensure!(
                    answer.status() == *status && by_gateway == meant,
                    "not {expected:?} but {answer:?}"
                );
            }
            Expected::ClosedByHost => {
                ensure!(arrived.is_empty(), "a service got it: {arrived:?}");
                equal("answers", &self.answers.len(), &0)?;
            }
            Expected::OneLengthOnly(arrival) => {
                ensure!(following.is_empty(), "the connection was used again");
                let answer = answers.next();
                match arrived.is_empty() {
                    true => equal("status", &answer.map(Response::status), &Some(400))?,
                    false => arrival.compare(&arrived, answer)?,
                }
                let told = arrived
                    .iter()
                    .find(|it| it.header("content-length").is_some());
                ensure!(told.is_none(), "Dify was told two lengths: {told:?}");
            }
            Expected::BreaksOff => {
                let whole = arrived.iter().any(|request| request.body_complete);
                ensure!(!whole, "it looks complete to a service: {arrived:?}");
                ensure!(following.is_empty(), "the connection was used again");
                let refused = answers.next().is_none_or(|answer| answer.status() == 400);
                ensure!(refused, "not refused: {:?}", self.answers);
            }
        }
        ensure!(self.rest.is_empty(), "what is {:?}?", self.rest);
        let Some(next) = answers.next() else {
            return Ok(());
        };
        let is_its_own = next.json().get("target").is_some_and(|it| it == FOLLOWING);
        ensure!(is_its_own, "what follows was answered with {next:?}");
        ensure!(answers.next().is_none(), "more answers than requests");
        equal("requests that followed", &following.len(), &1)
    }
}

impl Arrival {
    /// Without a body.
    pub(crate) fn new(service: Service, target: &str) -> Self {
        Self {
            service,
            target: target.to_owned(),
            body: "",
            framing: None,
        }
    }

    /// With this body, at the back end's `/v1/x`.
    pub(crate) fn with(body: &'static str, framing: BodyFraming) -> Self {
        Self {
            body,
            framing: Some(framing),
            ..Self::new(Service::Api, "/v1/x")
        }
    }

    fn compare(&self, arrived: &[&RecordedRequest], answer: Option<&Response>) -> Result<()> {
        let [request] = arrived else {
            bail!("not one request arrived, but {arrived:?}; answered: {answer:?}");
        };
        equal("service", &request.service, &self.service)?;
        equal("target", &request.target.as_str(), &self.target.as_str())?;
        equal("body", &request.text().as_str(), &self.body)?;
        ensure!(request.body_complete, "its body broke off");
        if let Some(framing) = self.framing {
            equal("framing", &request.framing, &framing)?;
        }
        let answer = answer.context("no answer")?;
        ensure!((200..300).contains(&answer.status()), "{answer:?}");
        Ok(())
    }
}

fn equal<T: PartialEq + Debug>(what: &str, is: &T, expected: &T) -> Result<()> {
    ensure!(is == expected, "{what}: {is:?} instead of {expected:?}");
    Ok(())
}
