//! The differences that are meant, each with its reason. What an operator would call a defect has no place here.

use spillway_tests::Host;

use crate::Difference;

mod answered;
mod arrived;
mod on_spin;
mod outcome;

/// A difference that is meant.
pub(crate) struct Justified {
    /// What differs.
    places: &'static [&'static str],
    /// Whether it differs in this way and no other.
    fits: fn(&Difference) -> bool,
    /// Why it does.
    pub(crate) why: &'static str,
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Justified> {
    let on_spin = match Host::chosen() {
        Host::Spin => on_spin::JUSTIFIED,
        Host::Embedded | Host::Harsh => &[],
    };
    [
        arrived::JUSTIFIED,
        answered::JUSTIFIED,
        outcome::JUSTIFIED,
        on_spin,
    ]
    .into_iter()
    .flatten()
}

/// The number of the first entry that fits.
pub(crate) fn reason(difference: &Difference) -> Option<usize> {
    all().position(|justified| {
        justified.places.contains(&difference.place.as_str()) && (justified.fits)(difference)
    })
}

impl Difference {
    /// Whether these are the values.
    fn is(&self, nginx: &[&str], gateway: &[&str]) -> bool {
        self.nginx == nginx && self.gateway == gateway
    }

    /// Whether nginx lets pass what the gateway does not.
    fn only_by_nginx(&self) -> bool {
        !self.nginx.is_empty() && self.gateway.is_empty()
    }

    fn is_of(&self, cases: &[&str]) -> bool {
        cases.contains(&self.case.as_str())
    }
}
