//! Which target a call is sent to next, and with which credential.

use super::{Chain, Found};
use crate::CallContext;

impl<'a> Chain<'a> {
    pub(super) fn choose_from(&self, place: usize, context: CallContext<'a>) -> Option<Found<'a>> {
        (place..self.targets.len())
            .filter(|place| !self.was_asked(*place))
            .find_map(|place| self.choose_at(place, context))
    }

    /// A target that was not asked, although its key is suspect.
    pub(super) fn choose_suspect(&self, context: CallContext<'a>) -> Option<Found<'a>> {
        (0..self.targets.len())
            .filter(|place| !self.was_asked(*place))
            .find_map(|place| self.choose_suspect_at(place, context))
    }

    /// Another model of a provider that limited one: many limit each model by itself. As nobody knows which
    /// do, only who has nothing better asks.
    pub(super) fn choose_limited(&self, context: CallContext<'a>) -> Option<Found<'a>> {
        self.targets
            .iter()
            .enumerate()
            .filter(|(_, target)| !target.was_asked)
            .find_map(|(place, target)| {
                let limited = self.targets.iter().find_map(|other| {
                    let is_other_model =
                        std::ptr::eq(other.pool, target.pool) && other.model != target.model;
                    other.limited.filter(|_| is_other_model)
                })?;
                Some((place, target.pool.choose_limited(context, limited)?))
            })
    }

    /// A target that was not asked because its endpoints are ejected. In turn: any may have recovered.
    pub(super) fn choose_last_resort(&self, context: CallContext<'a>) -> Option<Found<'a>> {
        let count = self.targets.len();
        let first = usize::try_from(self.sequence)
            .unwrap_or_default()
            .checked_rem(count)?;
        (first..count)
            .chain(0..first)
            .filter(|place| !self.was_asked(*place))
            .find_map(|place| {
                let target = self.targets.get(place)?;
                Some((place, target.pool.choose_last_resort(context)?))
            })
    }

    /// A target that was not asked for no other reason than that its endpoints are ejected.
    pub(super) fn choose_ejected(&self, context: CallContext<'a>) -> Option<Found<'a>> {
        (0..self.targets.len())
            .filter(|place| !self.was_asked(*place))
            .find_map(|place| {
                let target = self.targets.get(place)?;
                Some((place, target.pool.choose_ejected(context)?))
            })
    }

    pub(super) fn was_asked(&self, place: usize) -> bool {
        self.targets
            .get(place)
            .is_some_and(|target| target.was_asked)
    }

    pub(super) fn choose_suspect_at(
        &self,
        place: usize,
        context: CallContext<'a>,
    ) -> Option<Found<'a>> {
        let target = self.targets.get(place)?;
        let pick = target.pool.choose_suspect(context, &target.excluded)?;
        Some((place, pick))
    }

    pub(super) fn choose_at(&self, place: usize, context: CallContext<'a>) -> Option<Found<'a>> {
        let target = self.targets.get(place)?;
        let pick = target.pool.choose(context, &target.excluded)?;
        Some((place, pick))
    }
}
