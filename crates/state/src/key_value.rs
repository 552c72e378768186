//! Request limits on a key-value store that can do no more than read, and add to, one number at a time.
//!
//! One number a sub-window, each under a key of its own. A request is charged by adding its cost, which stays if what comes
//! back is within the limit; otherwise it is given back. While two requests try for the last place each may see the
//! other's try, and neither get it: too few may pass, never too many, as long as the clock does not step back. A
//! request with several rules takes their places one after the other and gives all back if one is refused, so
//! another request may find places taken that are not.

mod reservations;
mod standings;

pub(crate) use self::reservations::half_minute;
pub use self::reservations::{move_reservation, settle_reservation};
use self::reservations::{read_reserved, reservation_key};
pub use self::standings::standings_in_numbers;
use crate::Error;
use crate::settle::signed;
use crate::sub_windows::{self, SubWindows};
use spillway_platform::{Admitted, Charge, LIMIT_KEY_PREFIX, NewValues, Settled};

/// How often a request starts over because a sub-window ended while it was at it.
const MAX_ATTEMPTS: u32 = 3;

/// Numbers by name, shared by all instances.
pub trait Increment {
    /// The store's own error.
    type Error;

    /// Adds in one step that nothing comes in between of, and gives the sum. A number that is not there is 0.
    ///
    /// # Errors
    /// The store's own.
    fn increment(&self, key: &str, delta: i64) -> Result<i64, Self::Error>;

    /// The number; 0 where there is none.
    ///
    /// # Errors
    /// The store's own.
    fn get(&self, key: &str) -> Result<i64, Self::Error>;
}

/// Charges a request by every rule, or by none, as [`Charge`] says, but for what this module's documentation leaves open:
/// not by what is in flight, for nothing here knows of leases. `now_ms` is the time since 1970, the same for all instances.
/// Of what is reserved, the sub-window that is told is the half minute in which it was.
///
/// Reads seven numbers a rule, two more of one that reserves, and those again; a request that finds no room writes nothing.
///
/// # Errors
/// [`Error::Store`], after which places may stay taken until their sub-window is over, and [`Error::TooSlow`].
pub fn charge_in_numbers<S: Increment>(
    store: &S,
    now_ms: impl Fn() -> u64,
    charges: &[Charge],
    new_values: Option<&NewValues>,
) -> Result<Admitted, Error<S::Error>> {
    let mut has_room_for_new = None;
    for _ in 0..MAX_ATTEMPTS {
        let mut attempt = Attempt::read(store, now_ms(), charges)?;
        if !attempt.passes() {
            return Ok(attempt.finish(false));
        }
        let has_room = match has_room_for_new {
            Some(has_room) => has_room,
            None => attempt.book_new_values(new_values)?,
        };
        has_room_for_new = Some(has_room);
        if !has_room {
            if attempt.new_values().any(|rule| !rule.charge.dry_run) {
                return Ok(attempt.refuse_new_values());
            }
            attempt.pass_over_new_values();
        }
        let added = attempt.add();
        // Whoever adds later than this sees what was added here, as both are in one sub-window; whoever added in
        // an earlier one was seen when it was read. So of those that pass in a window the last to add saw them all.
        let in_time = attempt.is_current(now_ms());
        if added.is_ok() && in_time && attempt.passes() {
            return Ok(attempt.finish(true));
        }
        let given_back = attempt.give_back();
        added.and(given_back)?;
        if in_time {
            return Ok(attempt.finish(false));
        }
    }
    Err(Error::TooSlow)
}

/// Has charges come to what they are in truth. Their numbers stay until their time is over.
///
/// # Errors
/// [`Error::Store`].
pub fn settle_in_numbers<'s, S: Increment>(
    store: &S,
    settled: impl IntoIterator<Item = &'s Settled>,
) -> Result<(), Error<S::Error>> {
    for Settled {
        charge,
        sub_window,
        actual,
    } in settled
    {
        let change = signed(*actual).saturating_sub(signed(charge.cost));
        let key = number_key(charge, *sub_window);
        store.increment(&key, change).map_err(Error::Store)?;
    }
    Ok(())
}

/// When the number under this key is no longer of use, in milliseconds since 1970. `None` for a key that is none of
/// a request limit's numbers.
pub fn number_expires_ms(key: &str) -> Option<u64> {
    let (_, expiry) = key.strip_prefix(LIMIT_KEY_PREFIX)?.rsplit_once(":until:")?;
    expiry.parse().ok()
}

/// Where the count of one sub-window stands. The expiry follows from the rest; it is there for whoever removes keys.
fn number_key(charge: &Charge, index: u64) -> String {
    let until = sub_windows::counted_until_ms(index, window_ms(charge));
    format!("{}:{index}:until:{until}", charge.key)
}

/// What is in flight has none, and does not come here.
fn window_ms(charge: &Charge) -> u64 {
    charge.window_ms().unwrap_or(1)
}

/// What is reserved, and what is charged in the window: in this order.
fn read_rule<S: Increment>(
    store: &S,
    charge: &Charge,
    half_minute: u64,
    current: u64,
) -> Result<(u64, SubWindows), Error<S::Error>> {
    let reserved = if charge.is_reserved() {
        read_reserved(store, charge, half_minute).map_err(Error::Store)?
    } else {
        0
    };
    let windows = SubWindows::read(window_ms(charge), current, |index| {
        store.get(&number_key(charge, index)).map(natural)
    });
    Ok((reserved, windows.map_err(Error::Store)?))
}

struct Attempt<'a, S> {
    store: &'a S,
    now_ms: u64,
    rules: Vec<Rule<'a>>,
}

struct Rule<'a> {
    charge: &'a Charge,
    windows: SubWindows,
    /// What is reserved, and in which half minute that is asked.
    reserved: u64,
    half_minute: u64,
    full: bool,
    /// Whether this request's try is in the store.
    added: bool,
    /// Whether it is left out: a dry run that writes nothing new.
    passed_over: bool,
}

impl<'a, S: Increment> Attempt<'a, S> {
    fn read(store: &'a S, now_ms: u64, charges: &'a [Charge]) -> Result<Self, Error<S::Error>> {
        let rules = charges.iter().map(|charge| {
            let half_minute = half_minute(now_ms);
            let current = sub_windows::index(now_ms, window_ms(charge));
            let (reserved, windows) = read_rule(store, charge, half_minute, current)?;
            let used = windows.used().saturating_add(reserved);
            Ok(Rule {
                charge,
                full: used.saturating_add(charge.cost.max(1)) > charge.limit,
                windows,
                reserved,
                half_minute,
                added: false,
                passed_over: false,
            })
        });
        let rules = rules.collect::<Result<_, _>>()?;
        Ok(Self {
            store,
            now_ms,
            rules,
        })
    }

    fn passes(&self) -> bool {
        self.rules
            .iter()
            .all(|rule| rule.charge.dry_run || !rule.full)
    }

    /// Books what this request's new values cost; whether there was enough left for them. Requests that come at once
    /// may together book a little more.
    fn book_new_values(&self, new_values: Option<&NewValues>) -> Result<bool, Error<S::Error>> {
        let cost = self
            .new_values()
            .map(|rule| rule.charge.cost_when_new())
            .max();
        let (Some(cost), Some(new_values)) = (cost, new_values) else {
            return Ok(true);
        };
        let second = self.now_ms.checked_div(1000).unwrap_or_default();
        let until = second.saturating_add(2).saturating_mul(1000);
        let key = format!("{}:{second}:until:{until}", new_values.key);
        let cost = i64::from(cost);
        let spent = self.store.get(&key).map_err(Error::Store)?;
        if spent.saturating_add(cost) > i64::from(new_values.allowance) {
            return Ok(false);
        }
        self.store.increment(&key, cost).map_err(Error::Store)?;
        Ok(true)
    }

    fn new_values(&self) -> impl Iterator<Item = &Rule<'a>> {
        self.rules.iter().filter(|rule| rule.is_new())
    }

    fn refuse_new_values(self) -> Admitted {
        Admitted {
            too_many_new: true,
            ..self.finish(false)
        }
    }

    fn pass_over_new_values(&mut self) {
        for rule in &mut self.rules {
            rule.passed_over = rule.is_new();
        }
    }

    /// Adds this request where there is room, for as long as it may pass.
    fn add(&mut self) -> Result<(), Error<S::Error>> {
        // Dry runs last: they do not count what is refused.
        for dry_run in [false, true] {
            let rules = self.rules.iter_mut();
            for rule in rules
                .filter(|rule| rule.charge.dry_run == dry_run && !rule.full && !rule.passed_over)
            {
                rule.add(self.store)?;
                if rule.full && !dry_run {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether each rule's sub-window is the one that time is in.
    fn is_current(&self, now_ms: u64) -> bool {
        self.rules.iter().all(|rule| {
            let is_current =
                sub_windows::index(now_ms, window_ms(rule.charge)) == rule.windows.current();
            let has_moved = rule.charge.is_reserved() && half_minute(now_ms) != rule.half_minute;
            is_current && !has_moved
        })
    }

    fn give_back(&mut self) -> Result<(), Error<S::Error>> {
        let mut result = Ok(());
        for rule in &mut self.rules {
            result = result.and(rule.give_back(self.store));
        }
        result
    }

    fn finish(self, passes: bool) -> Admitted {
        let charges = self.rules.iter().map(|rule| {
            let Rule { charge, full, .. } = *rule;
            let windows = &rule.windows;
            let mut charged = windows.charged(self.now_ms, charge, rule.reserved, full);
            charged.passed_over = passes && rule.passed_over && !full;
            if charge.is_reserved() {
                charged.sub_window = rule.half_minute;
            }
            charged
        });
        Admitted {
            passes,
            too_many_new: false,
            charges: charges.collect(),
        }
    }
}

impl Rule<'_> {
    /// Whether a client invented the value, and nobody is counted under it.
    fn is_new(&self) -> bool {
        self.charge.cost_when_new() > 0 && self.windows.used() == 0 && self.reserved == 0
    }

    fn add<S: Increment>(&mut self, store: &S) -> Result<(), Error<S::Error>> {
        if self.charge.is_reserved() {
            return self.reserve(store);
        }
        let key = number_key(self.charge, self.windows.current());
        let sum = store
            .increment(&key, signed(self.charge.cost))
            .map_err(Error::Store)?;
        self.added = true;
        self.windows.set_current(natural(sum));
        if self.windows.used() > self.charge.limit {
            self.full = true;
            self.give_back(store)?;
        }
        Ok(())
    }

    fn reserve<S: Increment>(&mut self, store: &S) -> Result<(), Error<S::Error>> {
        let charge = self.charge;
        if charge.cost > 0 {
            let key = reservation_key(charge, self.half_minute);
            store
                .increment(&key, signed(charge.cost))
                .map_err(Error::Store)?;
            self.added = true;
        }
        let current = self.windows.current();
        (self.reserved, self.windows) = read_rule(store, charge, self.half_minute, current)?;
        let used = self.windows.used().saturating_add(self.reserved);
        // What costs nothing yet needs room all the same.
        let with = used.saturating_add(u64::from(charge.cost == 0));
        if with > charge.limit {
            self.full = true;
            self.give_back(store)?;
        }
        Ok(())
    }

    fn give_back<S: Increment>(&mut self, store: &S) -> Result<(), Error<S::Error>> {
        if !std::mem::take(&mut self.added) {
            return Ok(());
        }
        if self.charge.is_reserved() {
            let change = signed(self.charge.cost).saturating_neg();
            store
                .increment(&reservation_key(self.charge, self.half_minute), change)
                .map_err(Error::Store)?;
            self.reserved = self.reserved.saturating_sub(self.charge.cost);
            return Ok(());
        }
        let key = number_key(self.charge, self.windows.current());
        let cost = signed(self.charge.cost);
        store
            .increment(&key, cost.saturating_neg())
            .map_err(Error::Store)?;
        let left = self.windows.current_count();
        self.windows
            .set_current(left.saturating_sub(self.charge.cost));
        Ok(())
    }
}

fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
