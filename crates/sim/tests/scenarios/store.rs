//! What the store does, and what is counted in it.

use super::*;

#[test]
fn a_stream_waits_for_nothing_but_the_store() {
    let mut plan = calm();
    request(&mut plan, seconds(1), Api::ChatStream);
    let history = happens(&plan);
    let outcome = outcome(&history, 0);
    assert!(
        outcome.ended.time - outcome.sent.time < Duration::from_millis(10),
        "{}",
        trace(&history)
    );
}

#[test]
fn a_place_that_is_asked_for_twice_is_one() {
    let mut plan = calm();
    plan.settings.at_once = 1;
    plan.store.resets = 1_000;
    request(&mut plan, seconds(1), Api::Run);
    request(&mut plan, seconds(3), Api::Run);
    let history = happens(&plan);
    assert_eq!([status(&history, 0), status(&history, 1)], [200, 200]);
    assert_eq!(history.leases, []);
}

#[test]
fn places_of_an_instance_that_died_are_free_after_their_lease() {
    let mut plan = calm();
    plan.settings.at_once = 1;
    let run = request(&mut plan, seconds(1), Api::RunStream);
    run.behaviours = vec![Behaviour::StallAt(500)];
    request(&mut plan, seconds(10), Api::Run);
    request(&mut plan, seconds(50), Api::Run);
    plan.faults = vec![Fault {
        when: When::At(seconds(5)),
        what: Strike::Deaths,
    }];
    let history = happens(&plan);
    assert_eq!([status(&history, 1), status(&history, 2)], [429, 200]);
}

#[test]
fn a_client_that_leaves_gives_its_place_back() {
    let mut plan = calm();
    plan.settings.at_once = 1;
    let run = request(&mut plan, seconds(1), Api::RunStream);
    run.behaviours = vec![Behaviour::Pieces(20, seconds(1))];
    run.leaves = Some(Leave::Pieces(2));
    request(&mut plan, seconds(8), Api::Run);
    let history = happens(&plan);
    assert_eq!(status(&history, 1), 200);
}

#[test]
fn a_store_that_says_nothing_lets_pass_or_refuses_as_configured() {
    for (denies, expected) in [(false, 200), (true, 503)] {
        let mut plan = calm();
        plan.settings.denies = denies;
        request(&mut plan, seconds(2), Api::Chat);
        plan.faults = vec![Fault {
            when: When::At(seconds(1)),
            what: Strike::StoreSilent(seconds(30)),
        }];
        assert_eq!(status(&happens(&plan), 0), expected);
    }
}

#[test]
fn a_request_that_the_runtime_gives_up_takes_no_connection_with_it() {
    // At each turn of the first request.
    for turn in 1..40 {
        let mut plan = calm();
        plan.settings.denies = true;
        for at in [1, 1, 60, 70] {
            request(&mut plan, seconds(at), Api::Chat);
        }
        plan.faults = vec![Fault {
            when: When::Turn(turn),
            what: Strike::Cancel(1),
        }];
        let history = happens(&plan);
        let others = history.outcomes.iter();
        for outcome in others.filter(|one| one.ending != Ending::Lost) {
            assert_eq!(
                status(&history, outcome.number),
                200,
                "turn {turn}\n{}",
                trace(&history)
            );
        }
    }
}

/// Many at once, on the connection of one instance, and each of them limited.
fn many_at_once(plan: &mut Plan, at: Duration) {
    for _ in 0..12 {
        request(plan, at, Api::Chat);
    }
}

#[test]
fn a_connection_that_breaks_while_many_wait_costs_nobody_a_verdict() {
    let mut plan = calm();
    plan.settings.denies = true;
    plan.store.latency_us = 20_000;
    request(&mut plan, seconds(1), Api::Chat);
    many_at_once(&mut plan, seconds(5));
    // The connection stands since the first, and breaks as soon as it is used again.
    plan.store.resets = 1_000;
    let history = happens(&plan);
    for number in 0..13 {
        assert_eq!(status(&history, number), 200, "{}", trace(&history));
    }
}

#[test]
fn a_store_that_was_away_for_a_moment_is_used_again_by_all_who_come_then() {
    for strike in [
        Strike::StoreDown(seconds(3)),
        Strike::StoreSilent(seconds(3)),
    ] {
        let mut plan = calm();
        plan.settings.denies = true;
        request(&mut plan, seconds(1), Api::Chat);
        many_at_once(&mut plan, seconds(5));
        // Whoever comes first finds out, and the others no more.
        request(&mut plan, seconds(12), Api::Chat);
        many_at_once(&mut plan, seconds(14));
        plan.faults = vec![Fault {
            when: When::At(Duration::from_millis(4_900)),
            what: strike,
        }];
        let history = happens(&plan);
        for number in 1..13 {
            assert_eq!(status(&history, number), 503, "{}", trace(&history));
        }
        for number in 14..26 {
            assert_eq!(status(&history, number), 200, "{}", trace(&history));
        }
    }
}

#[test]
fn a_place_that_could_not_be_given_back_at_once_is_given_back_soon() {
    let mut plan = calm();
    plan.settings.at_once = 1;
    let run = request(&mut plan, seconds(1), Api::Run);
    run.behaviours = vec![Behaviour::Slow(seconds(2))];
    plan.faults = vec![Fault {
        when: When::At(seconds(2)),
        what: Strike::StoreSilent(seconds(3)),
    }];
    request(&mut plan, seconds(15), Api::Run);
    let history = happens(&plan);
    assert_eq!(status(&history, 1), 200, "{}", trace(&history));
}

#[test]
fn a_distant_store_is_waited_for() {
    let mut plan = calm();
    plan.settings.denies = true;
    // There and back takes longer than the 100 ms that a request has beyond the distance.
    plan.store.latency_us = 75_000;
    request(&mut plan, seconds(1), Api::Chat);
    many_at_once(&mut plan, seconds(5));
    let history = happens(&plan);
    for number in 0..13 {
        assert_eq!(status(&history, number), 200, "{}", trace(&history));
    }
}

#[test]
fn a_signed_request_whose_nonce_is_claimed_twice_is_no_repetition() {
    for seed in 0..20 {
        let mut plan = calm();
        plan.seed = seed;
        plan.store.resets = 1_000;
        for at in [1, 5] {
            request(&mut plan, seconds(at), Api::Chat).caller = Persona::Signer;
        }
        let history = happens(&plan);
        assert_eq!(status(&history, 1), 200, "{}", trace(&history));
    }
}

#[test]
fn what_is_sent_on_to_nobody_is_counted_once_and_what_dify_does_not_know_not_at_all() {
    let mut plan = calm();
    plan.settings.requests_a_minute = 1;
    let unknown = request(&mut plan, seconds(1), Api::Run);
    unknown.behaviours = vec![Behaviour::Status(401, None)];
    request(&mut plan, seconds(3), Api::Run);
    request(&mut plan, seconds(5), Api::Run);
    let history = happens(&plan);
    let statuses: Vec<u16> = (0..3).map(|number| status(&history, number)).collect();
    assert_eq!(statuses, [401, 200, 429]);
}

#[test]
fn a_request_that_the_runtime_gives_up_gives_its_place_back_with_the_next_turn_of_its_instance() {
    // Turns of its admission, and of its run.
    for turn in 1..40 {
        let mut plan = calm();
        plan.settings.at_once = 1;
        let run = request(&mut plan, seconds(1), Api::Run);
        run.behaviours = vec![Behaviour::Slow(seconds(2))];
        plan.faults = vec![Fault {
            when: When::Turn(turn),
            what: Strike::Cancel(0),
        }];
        request(&mut plan, seconds(8), Api::Run).subject = 1;
        request(&mut plan, seconds(10), Api::Run);
        let history = happens(&plan);
        if outcome(&history, 0).ending == Ending::Lost {
            assert_eq!(status(&history, 2), 200, "turn {turn}\n{}", trace(&history));
        }
    }
}

#[test]
fn a_settlement_whose_answer_was_lost_is_done_once_though_it_is_sent_again() {
    for moment in 0..40 {
        let mut plan = calm();
        plan.seed = moment;
        plan.settings.denies = true;
        plan.settings.requests_a_minute = 2;
        request(&mut plan, seconds(1), Api::Run);
        request(&mut plan, seconds(2), Api::Run).behaviours = vec![Behaviour::Status(401, None)];
        for at in [30, 31, 32] {
            request(&mut plan, seconds(at), Api::Run);
        }
        // For some of these moments the settlement of the second is done, and its answer lost.
        let at = seconds(2) + Duration::from_micros(moment * 50);
        plan.faults = vec![Fault {
            when: When::At(at),
            what: Strike::StoreSilent(Duration::from_millis(2_200)),
        }];
        let history = happens(&plan);
        let passed = (2..5).filter(|number| status(&history, *number) == 200);
        // None where it was the admission whose answer was lost.
        assert!(passed.count() <= 1, "{}", trace(&history));
    }
}

#[test]
fn a_renewal_that_comes_late_takes_no_place_for_nobody() {
    let mut plan = calm();
    plan.settings.at_once = 1;
    plan.settings.denies = true;
    let run = request(&mut plan, seconds(1), Api::Run);
    run.behaviours = vec![Behaviour::Slow(seconds(11))];
    plan.faults = vec![Fault {
        when: When::At(Duration::from_millis(10_500)),
        what: Strike::StoreLate(seconds(1)),
    }];
    request(&mut plan, seconds(20), Api::Run);
    let history = happens(&plan);
    assert_eq!(status(&history, 1), 200, "{}", trace(&history));
}

/// How often the log says this.
fn said(history: &History, words: &str) -> usize {
    let lines = history.log.iter();
    lines.filter(|(_, line)| line.contains(words)).count()
}

#[test]
fn a_store_that_says_nothing_for_long_is_left_alone_once() {
    for seed in 0..10 {
        let mut plan = calm();
        plan.seed = seed;
        for number in 0..100 {
            let at = Duration::from_millis(1_000 + number * 300);
            request(&mut plan, at, Api::Chat);
        }
        // Whatever takes connections for it meanwhile.
        plan.faults = vec![Fault {
            when: When::At(seconds(5)),
            what: Strike::StoreSilent(seconds(20)),
        }];
        let history = happens(&plan);
        let told = ["left alone", "answers again"].map(|words| said(&history, words));
        assert_eq!(told, [1, 1], "{}", trace(&history));
        assert!(said(&history, "limits: ") < 10, "{}", trace(&history));
    }
}
