//! What is reserved: the scripts on a real Redis do what the model in memory does, and no window has more than its limit
//! and what calls that were in flight together came to above their reservations.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]

mod redis_server;

use std::cell::RefCell;

use proptest::prelude::*;
use redis::Connection;
use redis_server::RedisServer;
use spillway_platform::{
    Admission, Admitted, Charge, LEASE_MS, LeaseName, Mode, SETTLEMENT_MS, Settled,
};
use spillway_state::{
    LEASE_RENEW_V2, LIMIT_CHARGE_V5, LIMIT_READ_V1, LIMIT_SETTLE_V2, MemoryStore,
    lease_renew_arguments, limit_charge_arguments, limit_read_arguments, limit_settle_arguments,
    read_limit_charge, read_limit_standings,
};

const NOW: u64 = 1_700_000_000_000;
const MINUTE: u64 = 60_000;

fn reserve(key: &str, cost: u64, limit: u64) -> Charge {
    Charge {
        key: key.to_owned(),
        cost,
        limit,
        mode: Mode::Reserve {
            window_ms: MINUTE,
            cost_when_new: 0,
        },
        dry_run: false,
    }
}

fn name(number: usize) -> LeaseName {
    LeaseName(format!("lease-{number}"))
}

fn settled(charge: &Charge, actual: u64) -> Settled {
    Settled {
        charge: charge.clone(),
        sub_window: 0,
        actual,
    }
}

/// A real Redis, and the model, of which the same is asked.
struct Both {
    connection: Connection,
    model: MemoryStore,
}

impl Both {
    fn new(server: &RedisServer) -> Self {
        Self {
            connection: server.connect(),
            model: MemoryStore::default(),
        }
    }

    fn admit(&mut self, now: u64, charges: &[Charge], lease: &LeaseName) -> Admitted {
        let asked = Admission {
            charges,
            lease,
            new_values: None,
        };
        let answer: Vec<i64> = redis::cmd("EVAL")
            .arg(LIMIT_CHARGE_V5)
            .arg(limit_charge_arguments(asked, Some(now)))
            .query(&mut self.connection)
            .unwrap();
        let admitted = read_limit_charge(&answer, charges).unwrap();
        assert_eq!(admitted, self.model.admit(now, asked), "{charges:?}");
        self.read(now, charges);
        admitted
    }

    /// Where these stand, without a question.
    fn read(&mut self, now: u64, charges: &[Charge]) {
        let answer: Vec<i64> = redis::cmd("EVAL")
            .arg(LIMIT_READ_V1)
            .arg(limit_read_arguments(charges, Some(now)))
            .query(&mut self.connection)
            .unwrap();
        let standings = read_limit_standings(&answer, charges).unwrap();
        assert_eq!(standings, self.model.standings(now, charges));
    }

    fn settle(&mut self, now: u64, settled: &[Settled], lease: &LeaseName) {
        redis::cmd("EVAL")
            .arg(LIMIT_SETTLE_V2)
            .arg(limit_settle_arguments(settled, lease, Some(now)))
            .exec(&mut self.connection)
            .unwrap();
        self.model.settle(now, settled, lease);
    }

    fn renew(&mut self, now: u64, charges: &[Charge], lease: &LeaseName) {
        redis::cmd("EVAL")
            .arg(LEASE_RENEW_V2)
            .arg(lease_renew_arguments(charges, lease, Some(now)))
            .exec(&mut self.connection)
            .unwrap();
        self.model.renew(now, charges, lease);
    }

    /// Used and reserved under a key at this time, by a question that finds no room.
    fn standing(&mut self, now: u64, key: &str) -> (u64, u64) {
        let asks = Charge {
            cost: 1,
            limit: 0,
            ..reserve(key, 1, 0)
        };
        let charged = self.admit(now, &[asks], &name(999)).charges[0];
        (charged.used, charged.reserved)
    }
}

#[test]
fn what_is_reserved_after_its_settlement_is_given_back_when_that_is_asked_again() {
    let redis = RedisServer::start();
    let mut both = Both {
        connection: redis.connect(),
        model: MemoryStore::default(),
    };
    let charge = reserve("late", 400, 500);
    // The admission was held up, and is done when it has been given back.
    both.settle(NOW, &[settled(&charge, 0)], &name(1));
    assert!(
        both.admit(NOW, std::slice::from_ref(&charge), &name(1))
            .passes
    );
    assert!(
        !both
            .admit(NOW, std::slice::from_ref(&charge), &name(2))
            .passes
    );
    both.settle(NOW, &[settled(&charge, 300)], &name(1));
    let next = both.admit(NOW, std::slice::from_ref(&charge), &name(2));
    assert!(next.passes);
    assert_eq!((next.charges[0].used, next.charges[0].reserved), (400, 400));
}

#[test]
fn renewing_what_costs_nothing_before_reserves_nothing() {
    let redis = RedisServer::start();
    let mut both = Both {
        connection: redis.connect(),
        model: MemoryStore::default(),
    };
    let (free, dear) = (reserve("free", 0, 50), reserve("free", 50, 50));
    let one = std::slice::from_ref(&free);
    assert!(both.admit(NOW, one, &name(1)).passes);
    both.renew(NOW, one, &name(1));
    assert!(
        both.admit(NOW, std::slice::from_ref(&dear), &name(2))
            .passes
    );
    assert!(!both.admit(NOW, one, &name(1)).passes);
}

#[test]
fn what_is_reserved_counts_until_it_is_settled_by_what_it_came_to() {
    let server = RedisServer::start();
    let mut both = Both::new(&server);
    let charge = reserve("a", 400, 1_000);
    let one = [charge.clone()];
    assert!(both.admit(NOW, &one, &name(1)).passes);
    assert!(both.admit(NOW, &one, &name(2)).passes);
    let refused = both.admit(NOW, &one, &name(3));
    assert!(!refused.passes);
    assert_eq!(
        (refused.charges[0].used, refused.charges[0].remaining),
        (800, 200)
    );
    both.settle(NOW, &[settled(&charge, 100)], &name(1));
    both.settle(NOW, &[settled(&charge, 100)], &name(1));
    assert_eq!(
        both.standing(NOW, "a"),
        (500, 400),
        "once, however often it is said"
    );
    assert!(both.admit(NOW, &one, &name(3)).passes);
    // More than was reserved is charged whole: others wait for it.
    both.settle(NOW, &[settled(&charge, 1_500)], &name(2));
    assert_eq!(both.standing(NOW, "a"), (2_000, 400));
    both.settle(NOW, &[settled(&charge, 0)], &name(3));
    let wait = both.admit(NOW, &one, &name(4)).charges[0].reset_ms;
    assert!(!both.admit(NOW + wait - 1, &one, &name(4)).passes);
    assert!(both.admit(NOW + wait, &one, &name(4)).passes);
}

#[test]
fn what_costs_nothing_before_needs_room_and_is_charged_after() {
    let server = RedisServer::start();
    let mut both = Both::new(&server);
    let charge = reserve("a", 0, 500);
    let one = [charge.clone()];
    for number in 0..3 {
        assert!(both.admit(NOW, &one, &name(number)).passes, "{number}");
    }
    for number in 0..3 {
        both.settle(NOW, &[settled(&charge, 200)], &name(number));
    }
    assert_eq!(both.standing(NOW, "a"), (600, 0));
    assert!(!both.admit(NOW, &one, &name(4)).passes);
    assert!(both.admit(NOW + 2 * MINUTE, &one, &name(4)).passes);
}

#[test]
fn what_a_holder_that_died_reserved_is_free_after_its_lease() {
    let server = RedisServer::start();
    let mut both = Both::new(&server);
    let charge = reserve("a", 10, 500);
    let one = [charge.clone()];
    for number in 0..50 {
        assert!(both.admit(NOW, &one, &name(number)).passes);
    }
    let end = NOW + LEASE_MS;
    both.renew(end - 1, &one, &name(7));
    assert_eq!(both.standing(end - 1, "a"), (500, 500));
    assert_eq!(
        both.standing(end, "a"),
        (10, 10),
        "but for the one that lives"
    );
    // A late renewal and a late settlement: it was in flight all the same.
    both.renew(end, &one, &name(8));
    both.settle(end, &[settled(&charge, 30)], &name(9));
    assert_eq!(both.standing(end, "a"), (50, 20));
    both.settle(end, &[settled(&charge, 5)], &name(8));
    both.renew(end, &one, &name(8));
    assert_eq!(
        both.standing(end, "a"),
        (45, 10),
        "what is settled is not renewed"
    );
    assert_eq!(both.standing(end + LEASE_MS, "a"), (35, 0));
}

#[test]
fn a_request_that_is_sent_again_reserves_once() {
    let server = RedisServer::start();
    let mut both = Both::new(&server);
    let count = Charge {
        mode: Mode::Count {
            window_ms: MINUTE,
            cost_when_new: 0,
        },
        ..reserve("c", 1, 5)
    };
    let charges = [reserve("a", 400, 500), count];
    for _ in 0..3 {
        let admitted = both.admit(NOW, &charges, &name(1));
        assert!(admitted.passes);
        assert_eq!(
            (admitted.charges[0].used, admitted.charges[1].used),
            (400, 1)
        );
    }
    assert!(!both.admit(NOW, &charges, &name(2)).passes);
}

#[test]
fn whatever_is_kept_has_an_expiry() {
    let server = RedisServer::start();
    let mut both = Both::new(&server);
    let charge = reserve("a", 400, 500);
    both.admit(NOW, std::slice::from_ref(&charge), &name(1));
    both.settle(NOW, &[settled(&charge, 7)], &name(1));
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query(&mut both.connection)
        .unwrap();
    assert_eq!(keys.len(), 3, "{keys:?}");
    for key in keys {
        let left: i64 = redis::cmd("PTTL")
            .arg(&key)
            .query(&mut both.connection)
            .unwrap();
        assert!(left > 0, "{key} would stay for ever");
    }
}

/// What happens next, after so many milliseconds.
#[derive(Debug, Clone)]
enum Happens {
    /// A request comes; of each rule (key, limit) what it costs.
    Comes(Vec<(usize, u64, u64)>),
    /// Of those in flight this one is settled; by this much of what it had reserved, in hundredths.
    Settles(usize, u64),
    Renews(usize),
    /// It is never heard of again.
    Dies(usize),
    /// Something is said once more that was said.
    IsSentAgain(usize),
}

fn happenings() -> impl Strategy<Value = Vec<(i64, Happens)>> {
    let rules = prop::collection::vec((0..3_usize, 50..300_u64, 0..120_u64), 1..4);
    let what = prop_oneof![
        4 => rules.prop_map(Happens::Comes),
        4 => (0..20_usize, 0..250_u64).prop_map(|(which, share)| Happens::Settles(which, share)),
        2 => (0..20_usize).prop_map(Happens::Renews),
        1 => (0..20_usize).prop_map(Happens::Dies),
        2 => (0..20_usize).prop_map(Happens::IsSentAgain),
    ];
    let step = prop_oneof![
        6 => Just(0_i64),
        6 => 0..3_000_i64,
        2 => 0..40_000_i64,
        1 => 0..200_000_i64,
        1 => -500..0_i64,
    ];
    prop::collection::vec((step, what), 1..80)
}

/// Its charges: a key stands once in a request, as outside of tests.
fn charges(prefix: &str, rules: &[(usize, u64, u64)]) -> Vec<Charge> {
    let mut charges: Vec<Charge> = Vec::new();
    for (key, limit, cost) in rules {
        let key = format!("{prefix}:{key}");
        if charges.iter().all(|charge| charge.key != key) {
            charges.push(reserve(&key, (*cost).min(*limit), *limit));
        }
    }
    charges
}

#[test]
fn random_histories_end_as_in_the_model() {
    let server = RedisServer::start();
    let state = RefCell::new((Both::new(&server), 0_usize));
    let configuration = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(configuration, |(happenings in happenings())| {
        let (both, number) = &mut *state.borrow_mut();
        *number += 1_000;
        let (prefix, mut now) = (number.to_string(), NOW);
        let mut in_flight: Vec<(LeaseName, Vec<Charge>)> = Vec::new();
        let mut last: Option<(u64, LeaseName, Vec<Settled>)> = None;
        for (step, what) in happenings {
            now = now.saturating_add_signed(step);
            let of = |which: usize| (!in_flight.is_empty()).then(|| which % in_flight.len());
            match what {
                Happens::Comes(rules) => {
                    *number += 1;
                    let (lease, charges) = (name(*number), charges(&prefix, &rules));
                    if both.admit(now, &charges, &lease).passes {
                        in_flight.push((lease, charges));
                    }
                }
                Happens::Settles(which, share) => if let Some(which) = of(which) {
                    let (lease, charges) = in_flight.remove(which);
                    let of_each = charges.iter().map(|charge| settled(charge, charge.cost * share / 100));
                    let of_each: Vec<Settled> = of_each.collect();
                    both.settle(now, &of_each, &lease);
                    last = Some((now, lease, of_each));
                },
                Happens::Renews(which) => if let Some(which) = of(which) {
                    let (lease, charges) = &in_flight[which];
                    both.renew(now, charges, lease);
                    both.read(now + 31_000, charges);
                },
                Happens::Dies(which) => if let Some(which) = of(which) {
                    in_flight.remove(which);
                },
                Happens::IsSentAgain(which) => match (of(which), &last) {
                    (Some(which), _) if which % 2 == 0 => {
                        let (lease, charges) = &in_flight[which];
                        both.admit(now, charges, lease);
                    }
                    // As long as that is known: here time is not the store's own.
                    (_, Some((then, lease, of_each))) if now.abs_diff(*then) < SETTLEMENT_MS => {
                        both.settle(now, of_each, lease);
                    }
                    _ => {}
                },
            }
        }
    });
}
