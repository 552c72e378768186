//! Tasks as the runtime runs them.
//!
//! **Rule.** Tasks stand in groups, one for each request in a component, and one for each peer outside. The runtime gives
//! a group its turn once one of its tasks was woken: all that are ready are polled until none is. Which of several groups
//! has the next turn is drawn. Once none is ready, time goes on to the next moment that is awaited.
//!
//! **What a component dictates** (wit-bindgen 0.57, `async_support.rs` and `spawn.rs`): a task that is spawned is first
//! polled when a task of its group ends, or in the group's next turn, and its being there is no reason for a turn (what a
//! cancelled request's destructors spawn is taken by the instance's next group that has one); a group has another turn
//! at once where one of its tasks was woken in this one, or all of them were polled; a request's task cannot wake
//! another's; a group ends with its last task. A turn without end, or a group that is left with nothing to wait for, is a fault of the run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake as _, Waker};
use std::time::Duration;

use crate::board::{Board, GroupId, TaskWaker};
use crate::timers::Timers;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// So many polls in one turn are a loop without end.
const MAX_POLLS: usize = 20_000;

/// So many turns of one group at one moment are a loop without end.
const MAX_TURNS: usize = 20_000;

/// What all of a simulation's tasks share.
#[derive(Default)]
pub(crate) struct Executor {
    pub timers: Rc<Timers>,
    board: Arc<Board>,
    groups: RefCell<BTreeMap<GroupId, Group>>,
    /// What has not begun, and where it waits: see [`GroupId::spawns_in`].
    spawned: RefCell<Vec<(u64, Task)>>,
    begun: Cell<u32>,
    turns: Cell<u64>,
    /// Whoever waits for so many turns to have been taken.
    turn_waiters: RefCell<BTreeMap<u64, Vec<Waker>>>,
    draw: RefCell<Option<fastrand::Rng>>,
    is_over: Cell<bool>,
    /// Whether the world is taken apart.
    is_ending: Cell<bool>,
    /// Until when all has to be over.
    pub ends_by: Cell<Option<Duration>>,
    /// What was lost with its instance. Kept until the world's end, so that nothing of it is dropped before.
    lost: RefCell<(Vec<Group>, Vec<Task>)>,
}

#[derive(Default)]
struct Group {
    tasks: Vec<Running>,
    /// Its turns since time last went on.
    turns_now: usize,
    /// Polls of its present turn.
    polls: usize,
    /// Whether it has asked for another turn.
    yields: bool,
}

struct Running {
    task: Task,
    waker: Arc<TaskWaker>,
    /// Its place in the queue, if it was not polled before.
    fresh: Option<u64>,
}

impl Executor {
    /// Draws the order of turns from now on; without it the oldest group goes first.
    pub fn draw_by(&self, draw: fastrand::Rng) {
        self.draw.replace(Some(draw));
    }

    /// Begins a group with this task: a request's in the instance of this number, or one outside.
    pub fn begin(
        &self,
        instance: Option<u32>,
        task: impl Future<Output = ()> + 'static,
    ) -> GroupId {
        let number = self.begun.get().wrapping_add(1);
        self.begun.set(number);
        let group = GroupId::new(number, instance);
        let running = self.running(group, Box::pin(task));
        running.waker.wake_by_ref();
        let first = Group {
            tasks: vec![running],
            ..Group::default()
        };
        self.groups.borrow_mut().insert(group, first);
        group
    }

    /// A further task of the group at work.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        if self.is_ending.get() {
            // Dropped, it could leave another behind, and that another.
            return std::mem::forget(task);
        }
        match self.board.current() {
            Some(group) => {
                let mut spawned = self.spawned.borrow_mut();
                spawned.push((group.spawns_in(), Box::pin(task)));
            }
            None => {
                self.begin(None, task);
            }
        }
    }

    /// Drops a group wherever it stands, as the runtime's cancelling does.
    pub fn cancel(&self, group: GroupId) {
        let ended = self.groups.borrow_mut().remove(&group);
        let at_work = self.board.put(Some(group));
        drop(ended);
        self.board.put(at_work);
    }

    /// An instance's death: nothing of its groups is dropped, no destructor runs.
    pub fn lose(&self, instance: u32) {
        let is_its = |place: u64| place == u64::from(instance);
        let (lost_groups, lost_tasks) = &mut *self.lost.borrow_mut();
        let mut groups = self.groups.borrow_mut();
        let lost = groups.extract_if(.., |group, _| is_its(group.spawns_in()));
        lost_groups.extend(lost.map(|(_, group)| group));
        let mut spawned = self.spawned.borrow_mut();
        let lost = spawned.extract_if(.., |(place, _)| is_its(*place));
        lost_tasks.extend(lost.map(|(_, task)| task));
    }

    /// Drops all that there is, and what that leaves behind.
    pub fn end(&self) {
        self.is_ending.set(true);
        self.turn_waiters.take();
        drop(self.lost.take());
        loop {
            let (groups, spawned) = (self.groups.take(), self.spawned.take());
            if groups.is_empty() && spawned.is_empty() {
                return;
            }
        }
    }

    /// Whether a group has not ended.
    pub fn has(&self, group: GroupId) -> bool {
        self.groups.borrow().contains_key(&group)
    }

    /// Whose turn it is.
    pub fn at_work(&self) -> Option<GroupId> {
        self.board.current()
    }

    /// How many turns were taken.
    pub fn turns(&self) -> u64 {
        self.turns.get()
    }

    /// Wakes at so many turns.
    pub fn wake_at_turn(&self, turn: u64, waker: Waker) {
        let mut waiters = self.turn_waiters.borrow_mut();
        waiters.entry(turn).or_default().push(waker);
    }

    /// Whether the run has ended, and whoever still waits for a turn waits in vain.
    pub fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// What no runtime would have done.
    pub fn faults(&self) -> Vec<String> {
        self.board.faults()
    }

    /// Runs groups until none is left.
    pub fn run(&self) {
        self.is_over.set(false);
        loop {
            if self.groups.borrow().is_empty() {
                return;
            }
            let ready = self.ready();
            if let Some(group) = self.choose(&ready) {
                self.turn(group);
                self.count_turn();
            } else if self.timers.go_on() {
                let now = self.timers.now();
                if self.ends_by.get().is_some_and(|until| now > until) {
                    self.board.fault(format!(
                        "it is {now:?}, and {} requests or peers still have something to do",
                        self.groups.borrow().len()
                    ));
                    return;
                }
                for group in self.groups.borrow_mut().values_mut() {
                    group.turns_now = 0;
                }
            } else if !self.release_turn_waiters() {
                self.board.fault(format!(
                    "{} requests or peers wait for nothing that could ever happen",
                    self.groups.borrow().len()
                ));
                return;
            }
        }
    }

    fn ready(&self) -> Vec<GroupId> {
        let groups = self.groups.borrow();
        let ready = groups.iter().filter(|(_, group)| group.is_ready());
        ready.map(|(id, _)| *id).collect()
    }

    fn choose(&self, ready: &[GroupId]) -> Option<GroupId> {
        match &mut *self.draw.borrow_mut() {
            Some(draw) if ready.len() > 1 => ready.get(draw.usize(..ready.len())).copied(),
            _ => ready.first().copied(),
        }
    }

    /// Polls what is ready of a group, until nothing is.
    fn turn(&self, id: GroupId) {
        let Some(mut group) = self.groups.borrow_mut().remove(&id) else {
            return;
        };
        group.turns_now = group.turns_now.saturating_add(1);
        if group.turns_now > MAX_TURNS {
            self.board
                .fault("a task spins: it is woken again and again while time stands".to_owned());
            return;
        }
        self.board.put(Some(id));
        group.polls = 0;
        // Each ends with a task, or when there is nothing more to be done now.
        while self.poll_tasks(&mut group) {
            self.take_spawned(id, &mut group);
        }
        self.take_spawned(id, &mut group);
        if group.polls > MAX_POLLS {
            let fault = format!("a turn of more than {MAX_POLLS} polls");
            self.board.fault(fault);
            group.tasks.clear();
        }
        self.board.put(None);
        if !group.tasks.is_empty() {
            self.groups.borrow_mut().insert(id, group);
        }
    }

    /// Polls what is due until a task ends (`true`), nothing is due, or the group lets others have a turn: as
    /// futures-util's `FuturesUnordered::poll_next` does, of which wit-bindgen has one for each request.
    fn poll_tasks(&self, group: &mut Group) -> bool {
        let (all, mut polled, mut woken) = (group.tasks.len(), 0_usize, 0_usize);
        let begun = self.board.place();
        group.yields = false;
        loop {
            let due = group.next_due().filter(|_| group.polls <= MAX_POLLS);
            let Some((due, one)) = due.and_then(|due| Some((due, group.tasks.get_mut(due)?)))
            else {
                return false;
            };
            one.waker.clear();
            one.fresh = None;
            polled = polled.saturating_add(1);
            group.polls = group.polls.saturating_add(1);
            let waker = Waker::from(Arc::clone(&one.waker));
            let poll = one.task.as_mut().poll(&mut Context::from_waker(&waker));
            if poll == Poll::Ready(()) {
                group.tasks.remove(due);
                return true;
            }
            if one.waker.place().is_some() {
                woken = woken.saturating_add(1);
            }
            // That reaches the request's own waker (`FutureWaker`), which is asked once nothing is due.
            group.yields |= group.was_woken_since(begun);
            if woken >= 2 || polled == all {
                group.yields = true;
                return false;
            }
        }
    }

    /// Takes into the group what waits in its place.
    fn take_spawned(&self, id: GroupId, group: &mut Group) {
        let mut spawned = self.spawned.borrow_mut();
        for (_, task) in spawned.extract_if(.., |(place, _)| *place == id.spawns_in()) {
            let mut running = self.running(id, task);
            running.fresh = Some(self.board.place());
            group.tasks.push(running);
        }
    }

    fn running(&self, group: GroupId, task: Task) -> Running {
        Running {
            task,
            waker: Arc::new(TaskWaker::new(group, Arc::clone(&self.board))),
            fresh: None,
        }
    }

    fn count_turn(&self) {
        let turn = self.turns.get().wrapping_add(1);
        self.turns.set(turn);
        let due = self.turn_waiters.borrow_mut().remove(&turn);
        for waker in due.into_iter().flatten() {
            waker.wake();
        }
    }

    /// Nothing else happens any more: who waits for a later turn is told so.
    fn release_turn_waiters(&self) -> bool {
        self.is_over.set(true);
        let waiters = self.turn_waiters.take();
        let has_some = !waiters.is_empty();
        for waker in waiters.into_values().flatten() {
            waker.wake();
        }
        has_some
    }
}

impl Group {
    fn is_ready(&self) -> bool {
        self.yields || self.tasks.iter().any(|one| one.waker.place().is_some())
    }

    fn was_woken_since(&self, place: u64) -> bool {
        let mut places = self.tasks.iter().filter_map(|one| one.waker.place());
        places.any(|woken| woken > place)
    }

    /// Which task is the next to be polled.
    fn next_due(&self) -> Option<usize> {
        let places = self.tasks.iter().enumerate().filter_map(|(index, one)| {
            let place = one.fresh.or_else(|| one.waker.place())?;
            Some((place, index))
        });
        places.min().map(|(_, index)| index)
    }
}
