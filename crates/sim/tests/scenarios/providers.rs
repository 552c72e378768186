//! What providers do, and what comes of it.

use super::*;

#[test]
fn what_one_consumer_makes_a_provider_answer_is_no_others_affair() {
    let mut plan = calm();
    for number in 0..12_u64 {
        let call = request(&mut plan, seconds(number), Api::Chat);
        if number < 10 {
            call.caller = Persona::Bob;
            let all = [500, 401, 429, 402, 403];
            let status = all[usize::try_from(number).unwrap() % all.len()];
            call.behaviours = vec![Behaviour::Status(status, Some(3_600)); 4];
        }
    }
    let history = happens(&plan);
    assert_eq!([status(&history, 10), status(&history, 11)], [200, 200]);
    assert_eq!(history.attempts(10).count(), 1);
}

/// How often an oddity's request is sent, and whether its client is told of an error in the end.
fn of_oddity(refused_goes_on: bool, oddity: Oddity) -> (usize, u16, bool) {
    let mut plan = calm();
    plan.settings.refused_goes_on = refused_goes_on;
    let call = request(&mut plan, seconds(1), Api::ChatStream);
    // One with several words.
    call.number = 5;
    call.behaviours = vec![Behaviour::Odd(oddity)];
    let history = happens(&plan);
    let text = outcome(&history, 5).answer().unwrap().text();
    let attempts = history.attempts(5).count();
    (attempts, status(&history, 5), text.contains("\"error\""))
}

#[test]
fn what_providers_do_oddly_costs_nothing_or_is_told_or_is_asked_of_another() {
    for oddity in Oddity::ALL {
        let expected = match oddity {
            _ if oddity.is_harmless() => (1, 200, false),
            // Content has gone out.
            Oddity::FailingFinish | Oddity::ErrorBesideChoices => (1, 200, true),
            Oddity::Filtered | Oddity::TooLong => (1, 400, true),
            _ => (2, 200, false),
        };
        assert_eq!(of_oddity(false, oddity), expected, "{oddity:?}");
        if expected.1 == 400 {
            assert_eq!(of_oddity(true, oddity), (2, 200, false), "{oddity:?}");
        }
    }
}

#[test]
fn an_error_in_a_200_is_what_its_code_says() {
    for (code, is_passed_on) in [
        (400, true),
        (404, true),
        (429, false),
        (401, false),
        (500, false),
    ] {
        let mut plan = calm();
        request(&mut plan, seconds(1), Api::Chat).behaviours = vec![Behaviour::CodedError(code)];
        let history = happens(&plan);
        let expected = if is_passed_on { (code, 1) } else { (200, 2) };
        assert_eq!((status(&history, 0), history.attempts(0).count()), expected);
    }
}

#[test]
fn an_embedding_of_one_model_is_none_of_another() {
    let mut plan = calm();
    request(&mut plan, seconds(1), Api::Embedding).behaviours =
        vec![Behaviour::Status(500, None); 4];
    let history = happens(&plan);
    let asked: Vec<&str> = history
        .attempts(0)
        .map(|asked| asked.request.authority.as_str())
        .collect();
    assert_ne!(status(&history, 0), 200);
    assert!(!asked.contains(&"second:2"), "{asked:?}");
}

#[test]
fn every_answer_has_the_gateways_own_id() {
    let mut plan = calm();
    for api in [
        Api::Chat,
        Api::ChatStream,
        Api::Embedding,
        Api::File,
        Api::Models,
        Api::Run,
    ] {
        request(&mut plan, seconds(1), api);
    }
    let history = happens(&plan);
    for outcome in &history.outcomes {
        let id = outcome.answer().unwrap().headers.text("x-request-id");
        assert_eq!(id, Some(format!("sim-{}", outcome.number).as_str()));
    }
}

#[test]
fn a_second_target_whose_breaker_is_open_is_asked_where_nobody_else_serves() {
    let mut plan = calm();
    plan.settings.breaker_failures = Some(1);
    plan.settings.has_second = false;
    // Nobody listens once, and the endpoint is ejected for ten seconds; within them it serves again.
    request(&mut plan, seconds(1), Api::Chat).behaviours = vec![Behaviour::Refused; 4];
    request(&mut plan, seconds(3), Api::Chat);
    let history = happens(&plan);
    assert_eq!([status(&history, 0), status(&history, 1)], [502, 200]);
}

#[test]
fn a_key_that_is_none_costs_one_call_its_first_attempt() {
    let mut plan = calm();
    plan.settings.keys = 2;
    plan.settings.has_second = false;
    plan.outages = vec![Outage {
        from: seconds(0),
        until: seconds(3_600),
        place: Place::Key(0),
        behaviour: Behaviour::Status(401, None),
    }];
    for number in 0..8 {
        request(&mut plan, seconds(1 + number), Api::Chat);
    }
    let history = happens(&plan);
    for number in 0..8 {
        assert_eq!(status(&history, number), 200);
    }
    let attempts: usize = (0..8).map(|number| history.attempts(number).count()).sum();
    assert_eq!(attempts, 9);
}
