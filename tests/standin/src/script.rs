//! What a stand-in was told to do.

use std::collections::VecDeque;

use crate::{Behaviour, RecordedRequest};

/// What it was told: once and in line, by what a request mentions, and else.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) next: VecDeque<Behaviour>,
    pub(crate) once: Vec<(String, Behaviour)>,
    pub(crate) when: Vec<(String, Behaviour)>,
    pub(crate) always: Behaviour,
}

impl Script {
    /// How to answer this request. What was told once is used up.
    pub(crate) fn choose(&mut self, request: &RecordedRequest) -> Behaviour {
        if let Some(behaviour) = self.next.pop_front() {
            return behaviour;
        }
        let mut once = self.once.iter();
        if let Some(place) = once.position(|(text, _)| request.mentions(text)) {
            return self.once.remove(place).1;
        }
        let fitting = self
            .when
            .iter()
            .rev()
            .find(|(text, _)| request.mentions(text));
        fitting.map_or_else(|| self.always.clone(), |(_, behaviour)| behaviour.clone())
    }
}
