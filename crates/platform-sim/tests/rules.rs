//! What the simulated runtime allows, and what it calls a fault.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use http::StatusCode;
use spillway_platform::{Clock, Headers, OutgoingBody, Platform, ResponseWriter};
use spillway_platform_sim::{Sim, SimInstance, SimResponse, Unanswered};

const MOMENT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_millis(10);

async fn empty(platform: Sim) -> Result<SimResponse, String> {
    let headers = Headers::default();
    platform
        .respond(StatusCode::OK, headers, Vec::new().into())
        .await
}

/// A place where one task leaves its waker for another.
type Meeting = Rc<RefCell<Option<Waker>>>;

async fn wait_to_be_woken(meeting: Meeting, is_due: Rc<Cell<bool>>) {
    poll_fn(|context| {
        if is_due.get() {
            return Poll::Ready(());
        }
        meeting.replace(Some(context.waker().clone()));
        Poll::Pending
    })
    .await;
}

fn one_request_wakes_another(sim: &Sim, of_the_same_task: bool) {
    let (meeting, is_due) = (Meeting::default(), Rc::new(Cell::new(false)));
    let instance = sim.instance();
    let platform = sim.clone();
    sim.run(async move {
        let waiting = wait_to_be_woken(Rc::clone(&meeting), Rc::clone(&is_due));
        let waking = async move {
            platform.sleep(MOMENT).await;
            is_due.set(true);
            meeting.take().unwrap().wake();
        };
        let (first, second) = (instance.platform(), instance.platform());
        if of_the_same_task {
            let call = instance.call(async move {
                first.spawn(waking);
                first.yield_now().await;
                waiting.await;
                empty(first).await
            });
            call.await.unwrap();
        } else {
            let waiter = instance.call(async move {
                waiting.await;
                empty(first).await
            });
            let waker = instance.call(async move {
                waking.await;
                empty(second).await
            });
            waiter.await.unwrap();
            waker.await.unwrap();
        }
    });
}

#[test]
#[should_panic(expected = "woke another's")]
fn a_request_cannot_wake_another() {
    one_request_wakes_another(&Sim::default(), false);
}

#[test]
fn a_request_can_wake_itself() {
    one_request_wakes_another(&Sim::default(), true);
}

/// When what a request spawns begins, if the request then waits as it says, and so many other tasks of its own wait.
fn begins_after(others: usize, wait: impl AsyncFn(Sim) + 'static) -> Duration {
    let sim = Sim::default();
    let began = Rc::new(Cell::new(None));
    let (instance, platform, place) = (sim.instance(), sim.clone(), Rc::clone(&began));
    sim.run(async move {
        let call = instance.call(async move {
            let (clock, other) = (platform.clone(), platform.clone());
            for _ in 0..others {
                let other = other.clone();
                platform.spawn(async move { other.sleep(LONG).await });
            }
            // They begin in the next turn, and are over with their own in the one after.
            platform.yield_now().await;
            platform.yield_now().await;
            platform.spawn(async move { place.set(Some(clock.now())) });
            wait(platform.clone()).await;
            empty(platform).await
        });
        call.await.unwrap();
    });
    began.get().unwrap()
}

#[test]
fn what_is_spawned_begins_with_the_next_turn() {
    let at_once = Duration::ZERO;
    let sleeps = async |sim: Sim| sim.sleep(MOMENT).await;
    assert_eq!(begins_after(1, sleeps), MOMENT);
    // All of its tasks were polled, so that it has another turn.
    assert_eq!(begins_after(0, sleeps), at_once);
    for others in 0..5 {
        let yields = async |sim: Sim| sim.yield_now().await;
        assert_eq!(begins_after(others, yields), at_once, "{others} others");
        assert_eq!(begins_after(others, async |_| {}), at_once);
    }
}

#[test]
#[should_panic(expected = "nothing that could ever happen")]
fn who_waits_for_nothing_is_found() {
    Sim::default().run(std::future::pending::<()>());
}

#[test]
#[should_panic(expected = "spins")]
fn who_never_waits_is_found() {
    let sim = Sim::default();
    let platform = sim.clone();
    sim.run(async move {
        loop {
            platform.yield_now().await;
        }
    });
}

/// Says so when it is dropped.
struct Held(Rc<Cell<bool>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// What becomes of a streamed answer, and of what its request holds, if fate strikes in the middle.
fn struck(strike: impl Fn(&SimInstance) + 'static) -> (bool, bool) {
    let sim = Sim::default();
    let was_dropped = Rc::new(Cell::new(false));
    let held = Held(Rc::clone(&was_dropped));
    let (instance, platform, clock) = (sim.instance(), sim.clone(), sim.clone());
    let is_complete = sim.run(async move {
        let call = instance.call(async move {
            let (mut writer, reader) = platform.response_stream();
            let clock = platform.clone();
            platform.spawn(async move {
                let _held = held;
                let _ = writer.write(b"one".to_vec()).await;
                clock.sleep(LONG).await;
                let _ = writer.write(b"two".to_vec()).await;
                writer.finish(None).await;
            });
            let headers = Headers::default();
            platform
                .respond_with_stream(StatusCode::OK, &headers, reader)
                .await
        });
        let answer = call.await.unwrap();
        let fate = instance.clone();
        clock.spawn({
            let clock = clock.clone();
            async move {
                clock.sleep(MOMENT).await;
                strike(&fate);
            }
        });
        clock.yield_now().await;
        let answer = answer.read().await;
        assert!(answer.text().starts_with("one"), "{}", answer.text());
        answer.is_complete
    });
    (is_complete, was_dropped.get())
}

#[test]
fn an_instance_that_dies_drops_nothing_and_cuts_its_answers() {
    assert_eq!(struck(|_| {}), (true, true));
    assert_eq!(struck(|instance| instance.die()), (false, false));
    assert_eq!(struck(|instance| instance.cancel_one()), (false, true));
}

/// Begins a task when it is dropped, as what gives a place back does.
struct Begins(Sim, Rc<Cell<Option<Duration>>>);

impl Drop for Begins {
    fn drop(&mut self) {
        let (clock, place) = (self.0.clone(), Rc::clone(&self.1));
        self.0.spawn(async move { place.set(Some(clock.now())) });
    }
}

/// When what a cancelled request leaves behind begins, if its instance's next request comes after `LONG`.
fn left_behind(then: impl Fn(&SimInstance) + 'static) -> Option<Duration> {
    let sim = Sim::default();
    let began = Rc::new(Cell::new(None));
    let (instance, clock) = (sim.instance(), sim.clone());
    let begins = Begins(sim.clone(), Rc::clone(&began));
    sim.run(async move {
        let (platform, other) = (instance.platform(), instance.platform());
        let cancelled = instance.call(async move {
            let _begins = begins;
            platform.sleep(LONG).await;
            empty(platform).await
        });
        clock.sleep(MOMENT).await;
        instance.cancel_one();
        assert_eq!(cancelled.await.err(), Some(Unanswered::Lost));
        // Whoever cancelled is at work as before.
        clock.spawn(async {});
        then(&instance);
        clock.sleep(LONG).await;
        let _ = instance.call(empty(other)).await;
    });
    began.get()
}

#[test]
fn what_a_cancelled_request_leaves_behind_begins_with_the_next_one() {
    assert_eq!(left_behind(|_| {}), Some(MOMENT + LONG));
    assert_eq!(left_behind(|instance| instance.die()), None);
}

#[test]
fn a_dead_instance_answers_nobody() {
    let sim = Sim::default();
    let (instance, platform) = (sim.instance(), sim.clone());
    let lost = sim.run(async move {
        let waiting = platform.clone();
        let before = instance.call(async move {
            waiting.sleep(MOMENT).await;
            empty(waiting).await
        });
        platform.yield_now().await;
        instance.die();
        let after = instance.call(empty(platform));
        (before.await.err(), after.await.err(), instance.is_alive())
    });
    assert_eq!(
        lost,
        (Some(Unanswered::Lost), Some(Unanswered::Lost), false)
    );
}

/// The order in which ten requests of one moment come to their ends.
fn order(seed: u64) -> Vec<usize> {
    let sim = Sim::seeded(seed);
    let order = Rc::new(RefCell::new(Vec::new()));
    let (instance, place) = (sim.instance(), Rc::clone(&order));
    sim.run(async move {
        let calls: Vec<_> = (0..10)
            .map(|number| {
                let (platform, place) = (instance.platform(), Rc::clone(&place));
                instance.call(async move {
                    platform.sleep(MOMENT).await;
                    place.borrow_mut().push(number);
                    empty(platform).await
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
    });
    order.take()
}

#[test]
fn the_order_follows_from_the_seed() {
    assert_eq!(order(1), order(1));
    assert!((2..20).any(|seed| order(seed) != order(1)));
}

#[test]
fn every_moment_between_two_awaits_has_a_number() {
    let sim = Sim::default();
    let (instance, world) = (sim.instance(), sim.clone());
    let seen = sim.run(async move {
        let platform = instance.platform();
        let call = instance.call(async move {
            for _ in 0..5 {
                platform.sleep(MOMENT).await;
            }
            empty(platform).await
        });
        let mut seen = Vec::new();
        for turn in 1..4 {
            assert!(world.turn(turn * 4).await);
            seen.push(world.time());
        }
        call.await.unwrap();
        assert!(!world.turn(1_000).await, "the run ends before");
        seen
    });
    assert!(seen.is_sorted() && seen[0] < seen[2], "{seen:?}");
}
