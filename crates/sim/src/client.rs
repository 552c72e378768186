//! A client: it sends its request, reads, and leaves when it does.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use spillway_platform::Clock as _;
use spillway_platform_sim::{Sim, SimAnswer, SimMoment, Unanswered};

use crate::api;
use crate::fleet::Fleet;
use crate::history::{Ending, Outcome, Recorder};
use crate::plan::{Leave, RequestPlan};

/// One client.
pub struct Client {
    plan: RequestPlan,
    sim: Sim,
    fleet: Fleet,
    recorder: Recorder,
}

/// What it has so far.
#[derive(Default)]
struct Progress {
    head: Option<SimMoment>,
    answer: Option<SimAnswer>,
    paused: Duration,
}

impl Client {
    /// Who does as planned.
    pub fn new(plan: RequestPlan, sim: &Sim, fleet: &Fleet, recorder: &Recorder) -> Self {
        Self {
            plan,
            sim: sim.clone(),
            fleet: fleet.clone(),
            recorder: recorder.clone(),
        }
    }

    /// From its beginning to its end.
    pub async fn act(self) {
        self.sim.sleep(self.plan.at).await;
        let sent = self.sim.moment();
        let progress = Rc::new(RefCell::new(Progress::default()));
        let ending = {
            let asking = std::pin::pin!(self.ask(Rc::clone(&progress)));
            match self.plan.leaves {
                Some(Leave::After(time)) => self.until(asking, self.sim.sleep(time)).await,
                Some(Leave::Turn(turns)) => {
                    let turn = self.sim.turns().saturating_add(turns);
                    let sim = self.sim.clone();
                    let leaving = async move {
                        if !sim.turn(turn).await {
                            std::future::pending::<()>().await;
                        }
                    };
                    self.until(asking, leaving).await
                }
                _ => Some(asking.await),
            }
        };
        let progress = progress.take();
        self.recorder.outcome(Outcome {
            number: self.plan.number,
            sent,
            head: progress.head,
            ended: self.sim.moment(),
            paused: progress.paused,
            ending: ending.unwrap_or(Ending::Left(progress.answer)),
        });
    }

    async fn until(
        &self,
        asking: std::pin::Pin<&mut impl Future<Output = Ending>>,
        leaving: impl Future<Output = ()>,
    ) -> Option<Ending> {
        use futures_util::future::{Either, select};
        match select(asking, std::pin::pin!(leaving)).await {
            Either::Left((ending, _)) => Some(ending),
            Either::Right(_) => None,
        }
    }

    async fn ask(&self, progress: Rc<RefCell<Progress>>) -> Ending {
        let request = api::request(&self.plan, self.sim.since_1970());
        let number = usize::try_from(self.plan.number).unwrap_or_default();
        let served = self.fleet.serve(self.plan.api.kind(), number, request);
        let mut response = match served.await {
            Ok(response) => response,
            Err(Unanswered::Lost) => return Ending::Lost,
            Err(Unanswered::Failed(words)) => return Ending::Failed(words),
        };
        let mut answer = response.begin();
        {
            let mut progress = progress.borrow_mut();
            progress.head = Some(self.sim.moment());
            progress.answer = Some(answer.clone());
        }
        let mut left = match self.plan.leaves {
            Some(Leave::Pieces(pieces)) => pieces,
            _ => usize::MAX,
        };
        loop {
            if left == 0 {
                return Ending::Left(Some(answer));
            }
            left = left.saturating_sub(1);
            let goes_on = response.read_on(&mut answer).await;
            progress.borrow_mut().answer = Some(answer.clone());
            if !goes_on {
                return Ending::Answered(answer);
            }
            // It may leave meanwhile.
            let paused = progress.borrow().paused.saturating_add(self.plan.pause);
            progress.borrow_mut().paused = paused;
            self.sim.sleep(self.plan.pause).await;
        }
    }
}
