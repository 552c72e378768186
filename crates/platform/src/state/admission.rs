//! What a request takes of the limits that hold for it.

/// Names of all keys of request limits begin so. They share a hash tag, because all rules of a request go into one
/// script call.
pub const LIMIT_KEY_PREFIX: &str = "spillway:{limit}:v1:";

/// How long a place is held without being renewed, in milliseconds: after its holder's death it is free so late.
pub const LEASE_MS: u64 = 30_000;

/// For how long a settlement is sent again where the store does not answer, in milliseconds. What is not settled by then
/// stays as it is: a count is charged, so that too few may pass; a reservation ends with its lease, and its use is not counted.
pub const SETTLEMENT_TRIED_MS: u64 = 4_000;

/// For how long the store tells it from others: the last time may take eight seconds more, on two connections that fall
/// silent, and come late. Short, as it is a key for each call that Dify does not know.
pub const SETTLEMENT_MS: u64 = 15_000;

/// The highest cost and limit: a million times a million, which numbers of every store hold a thousand times over.
pub const MAX_COST: u64 = 1_000_000_000_000;

/// What a request asks of the store, all in one step.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// What it costs, by rule.
    pub charges: &'a [Charge],
    /// The name under which it is in flight and has reserved; read only where a charge is for that.
    pub lease: &'a LeaseName,
    /// The bound on what the client invents, where it did so.
    pub new_values: Option<&'a NewValues>,
}

/// What one rule charges a request.
///
/// A request passes if every rule that is no dry run has room for its cost. Then it is charged by each of these rules,
/// and by each dry run that has room. A request that does not pass is charged nothing. So a dry run takes nothing from
/// the others, and its own count is what it would be if it refused.
///
/// ```
/// use spillway_platform::{Charge, Mode};
///
/// let a_minute = Mode::Count { window_ms: 60_000, cost_when_new: 0 };
/// let charge = Charge { key: "spillway:{limit}:v1:a".to_owned(), cost: 1, limit: 10, mode: a_minute, dry_run: false };
/// assert_eq!(charge.window_ms(), Some(60_000));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// What is charged together: [`LIMIT_KEY_PREFIX`] and what tells it from others, its window among that. A key that
    /// is there twice is charged twice.
    pub key: String,
    /// How much: at most the limit, as more would never find room, and at most [`MAX_COST`]. What is in flight costs 1; what
    /// is not known before can cost 0, and finds room where any is left.
    pub cost: u64,
    /// How much there may be in all, at most [`MAX_COST`].
    pub limit: u64,
    /// For how long it is charged.
    pub mode: Mode,
    /// Whether the rule only counts.
    pub dry_run: bool,
}

/// For how long a request is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until no window has any of it, whatever becomes of the request, unless it is settled otherwise
    /// ([`State::settle`](crate::State::settle)).
    Count {
        /// The window in milliseconds, not 0.
        window_ms: u64,
        /// What it costs a client to begin this window while nobody is counted in it, see [`NewValues`]. 0 where the
        /// value is none that clients invent.
        cost_when_new: u32,
    },
    /// While it is in flight, and from its settlement ([`State::settle`](crate::State::settle)) on as
    /// [`Mode::Count`], by what it came to. Where it is neither settled nor renewed in time
    /// ([`State::renew`](crate::State::renew)), as when its holder died, it costs nothing. A key may be there once.
    Reserve {
        /// The window in milliseconds, not 0.
        window_ms: u64,
        /// As of [`Mode::Count`].
        cost_when_new: u32,
    },
    /// Until it is given up ([`State::release`](crate::State::release)) or not renewed in time
    /// ([`State::renew`](crate::State::renew)), as when its holder died.
    InFlight,
}

impl Charge {
    /// The window in milliseconds, where it is one of a window.
    pub const fn window_ms(&self) -> Option<u64> {
        match self.mode {
            Mode::Count { window_ms, .. } | Mode::Reserve { window_ms, .. } => Some(window_ms),
            Mode::InFlight => None,
        }
    }

    /// What it costs a client to begin it, where it did not exist.
    pub const fn cost_when_new(&self) -> u32 {
        match self.mode {
            Mode::Count { cost_when_new, .. } | Mode::Reserve { cost_when_new, .. } => {
                cost_when_new
            }
            Mode::InFlight => 0,
        }
    }

    /// Whether it is reserved until it is settled.
    pub const fn is_reserved(&self) -> bool {
        matches!(self.mode, Mode::Reserve { .. })
    }

    /// Whether it is for being in flight.
    pub const fn is_in_flight(&self) -> bool {
        matches!(self.mode, Mode::InFlight)
    }
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

/// The name under which a request is in flight, or by which a settlement is told from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseName(pub String);

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Whether it passes.
    pub passes: bool,
    /// Whether it does not because of [`NewValues`]. Every rule has room then.
    pub too_many_new: bool,
    /// Of each rule, in the order of the [`Charge`]s.
    pub charges: Vec<Charged>,
}

/// Where a rule stands after a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Charged {
    /// How much is charged in the window and reserved, or in flight, this request included where it passed.
    pub used: u64,
    /// How much of that is reserved.
    pub reserved: u64,
    /// How much more may be.
    pub remaining: u64,
    /// Milliseconds until more may than now, if no other comes, or where there was no room for this request until there
    /// is. 0 where nothing is charged; of what is in flight, and of what is reserved, nobody knows.
    pub reset_ms: u64,
    /// Whether there was no room for this request.
    pub full: bool,
    /// The number of the sub-window that is counted in now; 0 for what is in flight.
    pub sub_window: u64,
    /// Whether the request passed without being charged here: the rule only counts, and its value was one too many new ones.
    pub passed_over: bool,
}

/// What a charge comes to in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The charge; one that counts or reserves.
    pub charge: Charge,
    /// The number of the sub-window, [`Charged::sub_window`].
    pub sub_window: u64,
    /// What it costs in truth, at most [`MAX_COST`]; 0: it is taken back.
    pub actual: u64,
}
