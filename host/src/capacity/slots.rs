//! Places for instances, of which the memory pool holds so many, shared fairly among components.
//!
//! **Rule.** A quarter of all places is kept, in equal parts, for the components: each may always have its part. The
//! rest goes to whoever asks first.
//! **Guarantee.** The parts that are not used are never given to others, so a component below its part always gets a
//! place: with 1,000 places and four components, 62 each, whatever the others do. The console answers when the model
//! API is full.
//! **Cost.** A lock and two additions an instance, not a request.
//! **Versions.** A new version of the application begins with all places free: those that instances of former ones hold,
//! until their streams have ended, count only where there are twice as many altogether.
//! **When full.** [`Slots::take`] says no, and [`Slots::has_room`] makes instances that have served their count go on
//! taking requests instead of leaving (`instance`).

use std::sync::{Arc, Mutex, PoisonError};

/// What part of all places is kept for components that do not use them now: one of so many.
const KEPT_PART: usize = 4;

/// All places.
#[derive(Debug)]
pub struct Slots {
    capacity: usize,
    /// How many instances there may be at all, those of former versions among them.
    limit: usize,
    /// How many each component may always have.
    part: usize,
    taken: Mutex<Occupied>,
}

#[derive(Debug)]
struct Occupied {
    version: u64,
    /// By the present version.
    total: usize,
    by_component: Vec<usize>,
    /// By former ones.
    former: usize,
}

/// A place, free again when this is dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    component: usize,
    version: u64,
}

impl Slots {
    /// `capacity` places for so many components; with those that former versions hold `limit` at most.
    pub fn new(capacity: usize, limit: usize, components: usize) -> Self {
        let kept = capacity.checked_div(KEPT_PART).unwrap_or_default();
        let part = kept.checked_div(components).unwrap_or_default();
        let all_have_one = capacity >= components.saturating_mul(2);
        Self {
            capacity,
            limit,
            part: part.max(usize::from(all_have_one)),
            taken: Mutex::new(Occupied {
                version: 0,
                total: 0,
                by_component: vec![0; components],
                former: 0,
            }),
        }
    }

    /// How many places there are.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// A place for an instance of the component with this number; `None` where all that it may have are taken.
    pub fn take(self: &Arc<Self>, component: usize) -> Option<Slot> {
        let mut taken = self.lock();
        if !self.fits(&taken, component) {
            return None;
        }
        taken.total = taken.total.saturating_add(1);
        if let Some(count) = taken.by_component.get_mut(component) {
            *count = count.saturating_add(1);
        }
        Some(Slot {
            slots: Arc::clone(self),
            component,
            version: taken.version,
        })
    }

    /// From now on places are a new version's.
    pub fn begin_version(&self) {
        let mut taken = self.lock();
        taken.version = taken.version.wrapping_add(1);
        taken.former = taken.former.saturating_add(taken.total);
        taken.total = 0;
        taken.by_component.fill(0);
    }

    /// Whether another instance of the component would get a place.
    pub fn has_room(&self, component: usize) -> bool {
        self.fits(&self.lock(), component)
    }

    fn fits(&self, taken: &Occupied, component: usize) -> bool {
        let Some(own) = taken.by_component.get(component) else {
            return false;
        };
        if taken.total.saturating_add(taken.former) >= self.limit {
            return false;
        }
        if *own < self.part {
            return true;
        }
        let kept_for_others = taken.by_component.iter().fold(0_usize, |sum, count| {
            sum.saturating_add(self.part.saturating_sub(*count))
        });
        taken.total.saturating_add(kept_for_others) < self.capacity
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Occupied> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        if taken.version != self.version {
            taken.former = taken.former.saturating_sub(1);
            return;
        }
        taken.total = taken.total.saturating_sub(1);
        if let Some(count) = taken.by_component.get_mut(self.component) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(slots: &Arc<Slots>, component: usize) -> Vec<Slot> {
        std::iter::from_fn(|| slots.take(component)).collect()
    }

    #[test]
    fn whoever_asks_first_gets_all_but_the_others_parts() {
        let slots = Arc::new(Slots::new(1_000, 2_000, 4));
        let mut first = fill(&slots, 0);
        assert_eq!(first.len(), 1_000 - 3 * 62);
        let second = fill(&slots, 1);
        assert_eq!(second.len(), 62);
        first.truncate(900 - 186);
        assert!(
            slots.has_room(1),
            "what is free beyond the parts is anybody's"
        );
        assert_eq!(fill(&slots, 1).len(), 100);
        drop(second);
        assert!(slots.has_room(1));
    }

    #[test]
    fn a_new_version_has_all_places_while_a_former_one_holds_as_many() {
        let slots = Arc::new(Slots::new(10, 20, 1));
        let first = fill(&slots, 0);
        slots.begin_version();
        let second = fill(&slots, 0);
        assert_eq!([first.len(), second.len()], [10, 10]);
        slots.begin_version();
        assert!(!slots.has_room(0), "there are twice as many");
        drop(first);
        let third = fill(&slots, 0);
        assert_eq!(third.len(), 10);
        drop((second, third));
        let taken = slots.lock();
        assert_eq!([taken.total, taken.former], [0, 0]);
    }

    #[test]
    fn never_more_than_there_are() {
        for capacity in 0..40 {
            for components in 1..6 {
                let slots = Arc::new(Slots::new(capacity, capacity, components));
                let all: Vec<_> = (0..components).map(|it| fill(&slots, it)).collect();
                let count: usize = all.iter().map(Vec::len).sum();
                assert!(count <= capacity, "{count} of {capacity}");
                if capacity >= 2 * components {
                    assert!(all.iter().all(|of_one| !of_one.is_empty()));
                }
                drop(all);
                assert_eq!(slots.lock().total, 0);
            }
        }
    }
}
