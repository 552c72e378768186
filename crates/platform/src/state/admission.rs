//! What a request takes of the limits that hold for it.

/// Names of all keys of request limits begin so. They share a hash tag, because all rules of a request go into one
/// script call.
pub const LIMIT_KEY_PREFIX: &str = "spillway:{limit}:v1:";

/// How long a place is held without being renewed, in milliseconds: after its holder's death it is free so late.
pub const LEASE_MS: u64 = 30_000;

/// What a request asks of the store, all in one step.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// The rules that count requests in a window.
    pub takes: &'a [Take],
    /// The rules on what is in flight.
    pub holds: &'a [Hold],
    /// The name under which places in flight are held; read only where there are such.
    pub lease: &'a LeaseName,
    /// The bound on what the client invents, where it did so.
    pub new_values: Option<&'a NewValues>,
}

/// One rule that a request has to pass.
///
/// A request passes if every rule that is no dry run has room: fewer requests than its limit passed in the last
/// window. Then it is counted by each of these rules, and by each dry run that has room. A request that does not
/// pass is counted nowhere. So a dry run takes nothing from the others, and its own count is what it would be if
/// it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// Whose requests are counted together: [`LIMIT_KEY_PREFIX`] and what tells it from others, its window among
    /// that. A key that is there twice is counted twice.
    pub key: String,
    /// How many may pass in any window.
    pub limit: u32,
    /// The window in milliseconds, not 0.
    pub window_ms: u64,
    /// Whether it only counts.
    pub dry_run: bool,
    /// What it costs a client to begin this window while nobody is counted in it, see [`NewValues`]. 0 where the value
    /// is none that clients invent.
    pub cost_when_new: u32,
}

/// The bound on what a client invents: values that were not counted before, each of which makes keys in the store.
///
/// A request whose values all have room costs what the dearest of its new windows does. It passes if its client's
/// requests have not cost more than `allowance` in this second of the clock; else it is refused, or, where all
/// that is new is dry runs, passes and is not counted by these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewValues {
    /// The client: [`LIMIT_KEY_PREFIX`] and what tells it from others.
    pub key: String,
    /// What all that is new may cost in a second.
    pub allowance: u32,
}

/// A rule on how many requests are under way at once. Like a [`Take`], but a place is kept until it is given up
/// ([`State::release`](crate::State::release)) or not renewed in time ([`State::renew`](crate::State::renew)), as when its holder died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Whose requests are counted together: [`LIMIT_KEY_PREFIX`] and what tells it from others.
    pub key: String,
    /// How many may be under way.
    pub limit: u32,
    /// Whether it only counts.
    pub dry_run: bool,
}

/// The name under which a request's places are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseName(pub String);

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Whether it passes.
    pub passes: bool,
    /// Whether it does not because of [`NewValues`]. Every rule has room then.
    pub too_many_new: bool,
    /// Of each rule, in the order of the [`Take`]s.
    pub counts: Vec<Count>,
    /// Of each rule on what is under way, in the order of the [`Hold`]s.
    pub holds: Vec<HoldCount>,
}

/// Where a rule on what is under way stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldCount {
    /// How many are under way, this one included where it passed.
    pub under_way: u64,
    /// Whether there was no room for this request.
    pub full: bool,
}

/// Where a rule stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How many passed in the window, this one included.
    pub used: u64,
    /// How many more may.
    pub remaining: u64,
    /// Milliseconds until more may than now, if no other comes; 0 where none passed.
    pub reset_ms: u64,
    /// Whether there was no room for this request.
    pub full: bool,
    /// The number of the sub-window that is counted in now.
    pub sub_window: u64,
}

/// Where one request was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The rule.
    pub take: Take,
    /// The number of the sub-window, [`Count::sub_window`].
    pub sub_window: u64,
}
