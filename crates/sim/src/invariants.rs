//! What holds in every history, whatever was drawn.

use crate::history::History;

mod answered;
mod attempt_records;
mod attempts;
mod blame;
mod deadlines;
mod leases;
mod limits;
mod places;
mod records;
mod refusals;
mod replays;
mod secrets;
mod served;
mod sharing;
mod store_used;
mod streams;
mod tokens;

/// What does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// How.
    pub words: String,
}

/// Says what does not hold.
type Check = fn(&History) -> Vec<String>;

/// All of them.
const INVARIANTS: [(&str, Check); 18] = [
    (
        "nothing happens that no runtime would do, and nothing panics",
        |history| history.faults.clone(),
    ),
    ("every request gets exactly one answer", answered::check),
    ("whoever can be served is, and nobody else", served::check),
    ("every request is exactly one record", records::check),
    (
        "a stream that is cut never looks whole, and what looks whole is",
        streams::check,
    ),
    ("no window has more than its limit", limits::check),
    (
        "no window has more tokens than its limit and what exceeded reservations",
        tokens::check,
    ),
    (
        "nobody is refused who has not used up a limit",
        refusals::check,
    ),
    ("nobody is refused for what is not under way", places::check),
    (
        "once the store is well again it is asked",
        store_used::check,
    ),
    ("what is signed once is let through once", replays::check),
    ("whatever is held is given back", leases::check),
    (
        "nobody is asked more often than the budget has it",
        attempts::check,
    ),
    (
        "a call's record has every attempt that was sent",
        attempt_records::check,
    ),
    (
        "no secret gets out, and nobody reads another's",
        secrets::check,
    ),
    ("nobody waits past the deadline", deadlines::check),
    (
        "what one instance has found out others act on",
        sharing::check,
    ),
    (
        "what one client causes ejects nothing for others",
        blame::check,
    ),
];

/// What does not hold of a history.
pub fn violations(history: &History) -> Vec<Violation> {
    let of_each = INVARIANTS.iter().flat_map(|(invariant, check)| {
        let words = check(history).into_iter();
        words.map(|words| Violation { invariant, words })
    });
    of_each.collect()
}
