//! Requests that take their places at once, one step of one request at a time, in an order of the test's choice.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};

use proptest::prelude::*;
use spillway_platform::{Admitted, Charge};
use spillway_state::{Error, Increment, charge_in_numbers};

#[derive(Default)]
pub struct Numbers(pub RefCell<BTreeMap<String, i64>>);

impl Increment for Numbers {
    type Error = &'static str;

    fn increment(&self, key: &str, delta: i64) -> Result<i64, Self::Error> {
        let mut numbers = self.0.borrow_mut();
        let number = numbers.entry(key.to_owned()).or_default();
        *number += delta;
        Ok(*number)
    }

    fn get(&self, key: &str) -> Result<i64, Self::Error> {
        Ok(self.0.borrow().get(key).copied().unwrap_or(0))
    }
}

/// What a request asks of the world around it, one thing at a time.
enum Step {
    Clock,
    Get(String),
    Increment(String, i64),
}

enum Message {
    Asks(usize, Step, Sender<Result<i64, &'static str>>),
    Ends(usize, Result<Admitted, Error<&'static str>>),
}

/// The store as one request sees it: every step waits until its turn has come.
pub struct Turns {
    request: usize,
    messages: Sender<Message>,
}

impl Turns {
    fn ask(&self, step: Step) -> Result<i64, &'static str> {
        let (answer, answered) = channel();
        self.messages
            .send(Message::Asks(self.request, step, answer))
            .unwrap();
        answered.recv().unwrap()
    }
}

impl Increment for Turns {
    type Error = &'static str;

    fn increment(&self, key: &str, delta: i64) -> Result<i64, Self::Error> {
        self.ask(Step::Increment(key.to_owned(), delta))
    }

    fn get(&self, key: &str) -> Result<i64, Self::Error> {
        self.ask(Step::Get(key.to_owned()))
    }
}

/// Who goes on next, how far the clock moves before, and whether the store fails.
#[derive(Debug, Clone)]
pub struct Turn {
    who: prop::sample::Index,
    step_ms: u64,
    fails: Option<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Failure {
    Undone,
    Done,
}

pub struct Outcome {
    /// When each request that passed last added to the first rule's numbers.
    pub passed: Vec<u64>,
    pub refused: usize,
    pub too_slow: usize,
    pub failed: usize,
    pub numbers: BTreeMap<String, i64>,
    /// How much the first rule's windows were charged, and as of when: a settlement is of what was used before it looked at
    /// the clock, and what was reserved for that counts until it is done.
    pub charged: Vec<(u64, u64)>,
}

/// Runs so many requests at once, their steps in the order of `turns`, which begins anew when it is at its end.
pub fn run(requests: usize, takes: &[Charge], turns: &[Turn]) -> Outcome {
    run_from(1_700_000_000_000, requests, takes, turns, |_, _, _| Ok(()))
}

/// The same from this time on; with what each that has passed does then.
pub fn run_from(
    start_ms: u64,
    requests: usize,
    takes: &[Charge],
    turns: &[Turn],
    then: impl Fn(&Turns, u64, &Admitted) -> Result<(), Error<&'static str>> + Sync,
) -> Outcome {
    let (messages, inbox) = channel();
    let then = &then;
    std::thread::scope(|scope| {
        for request in 0..requests {
            let turns = Turns {
                request,
                messages: messages.clone(),
            };
            scope.spawn(move || {
                let clock = || u64::try_from(turns.ask(Step::Clock).unwrap()).unwrap();
                let taken = charge_in_numbers(&turns, clock, takes, None);
                if let Ok(admitted) = &taken
                    && admitted.passes
                {
                    then(&turns, clock(), admitted).unwrap();
                }
                turns.messages.send(Message::Ends(request, taken)).unwrap();
            });
        }
        give_turns(start_ms, requests, takes, turns, &inbox)
    })
}

fn give_turns(
    start_ms: u64,
    requests: usize,
    takes: &[Charge],
    turns: &[Turn],
    inbox: &Receiver<Message>,
) -> Outcome {
    let store = Numbers::default();
    let mut waiting = BTreeMap::new();
    let mut added = BTreeMap::new();
    let mut looked = BTreeMap::new();
    let mut ended = Vec::new();
    let (mut now_ms, mut charged) = (start_ms, Vec::new());
    let mut turns = turns.iter().cycle();
    while ended.len() < requests {
        while waiting.len() + ended.len() < requests {
            match inbox.recv().unwrap() {
                Message::Asks(request, step, answer) => {
                    waiting.insert(request, (step, answer));
                }
                Message::Ends(request, taken) => ended.push((request, taken)),
            }
        }
        let Some(turn) = turns.next().filter(|_| !waiting.is_empty()) else {
            continue;
        };
        let request = *turn.who.get(&waiting.keys().copied().collect::<Vec<_>>());
        let (step, answer) = waiting.remove(&request).unwrap();
        now_ms += turn.step_ms;
        let result = match (step, turn.fails) {
            (Step::Clock, _) => {
                looked.insert(request, now_ms);
                Ok(i64::try_from(now_ms).unwrap())
            }
            (_, Some(Failure::Undone)) => Err("the store is down"),
            (Step::Get(key), None) => store.get(&key),
            (Step::Get(_), Some(Failure::Done)) => Err("the store is down"),
            (Step::Increment(key, delta), fails) => {
                if delta > 0 && key.starts_with(&takes[0].key) {
                    added.insert(request, now_ms);
                    if !key.contains(":reserved:") {
                        charged.push((looked[&request], delta.unsigned_abs()));
                    }
                }
                let sum = store.increment(&key, delta);
                fails.map_or(sum, |_| Err("the store is down"))
            }
        };
        answer.send(result).unwrap();
    }
    let mut outcome = Outcome {
        passed: Vec::new(),
        refused: 0,
        too_slow: 0,
        failed: 0,
        numbers: store.0.take(),
        charged,
    };
    for (request, taken) in ended {
        match taken {
            Ok(taken) if taken.passes => outcome.passed.push(added[&request]),
            Ok(_) => outcome.refused += 1,
            Err(Error::TooSlow) => outcome.too_slow += 1,
            Err(_) => outcome.failed += 1,
        }
    }
    outcome.passed.sort_unstable();
    outcome
}

pub fn turns(window_ms: u64, fails: bool) -> impl Strategy<Value = Vec<Turn>> {
    let moving = prop_oneof![
        12 => Just(0),
        4 => 0..=window_ms / 60 + 1,
        1 => 0..=window_ms / 6 + 1,
        1 => 0..=window_ms * 2,
    ];
    // Where the clock moves, many a request starts over; where it stands still, all of them meet in one sub-window.
    let step_ms = prop_oneof![Just(Just(0).boxed()), Just(moving.boxed())];
    step_ms.prop_flat_map(move |step_ms| {
        let failure = prop_oneof![
            38 => Just(None),
            1 => Just(Some(Failure::Undone)),
            1 => Just(Some(Failure::Done)),
        ];
        let turn = (any::<prop::sample::Index>(), step_ms, failure);
        let turn = turn.prop_map(move |(who, step_ms, failure)| Turn {
            who,
            step_ms,
            fails: failure.filter(|_| fails),
        });
        prop::collection::vec(turn, 50..400)
    })
}
