//! Answers in one piece.

use crate::*;

#[test]
fn a_complete_answer_comes_from_the_first_target_that_gives_one() {
    let (completed, sender) = complete(vec![answers()], "");
    assert_eq!(completed.answer.body, ANSWER);
    assert_eq!(
        (completed.answer.status.as_u16(), completed.answer.reason),
        (200, Reason::Ok)
    );
    assert_eq!(
        completed.usage.map(|usage| (usage.input, usage.output)),
        Some((1, 2))
    );
    assert!(
        completed
            .answer
            .headers
            .contains("x-gateway-upstream-request-id")
            && !completed.answer.headers.contains("set-cookie")
    );
    let request = &sender.requests.borrow()[0];
    assert_eq!(
        format!("{}{}", request.authority, request.path_and_query),
        "a/v1/chat/completions"
    );
    assert_eq!(
        request.headers.text("authorization"),
        Some("Bearer key-a-1")
    );
    assert_eq!(request.headers.text("user-agent"), Some("test"));
    assert_eq!(request.headers.text("openai-organization"), None);
    assert_eq!(request.body, r#"{"model":"m","messages":[]}"#);

    for (failing, failure) in failures(JSON) {
        let (completed, sender) = complete(vec![failing.clone(), answers()], "");
        assert_eq!(completed.answer.body, ANSWER, "{failing:?}");
        assert_eq!(completed.answer.reason, Reason::Fallback);
        assert_eq!(completed.served.as_ref().unwrap().provider, "b");
        let outcomes: Vec<_> = completed
            .attempts
            .iter()
            .map(|attempt| attempt.failure)
            .collect();
        assert_eq!(outcomes, [Some(failure), None], "{failing:?}");
        let request = &sender.requests.borrow()[1];
        assert_eq!(
            format!(
                "{}://{}{}",
                request.scheme, request.authority, request.path_and_query
            ),
            "https://b:8443/api/chat/completions"
        );
        assert_eq!(request.body, r#"{"model":"mapped","messages":[]}"#);
        assert_eq!(
            request.headers.text("authorization"),
            Some("Bearer key-b-1")
        );
        assert_eq!(request.headers.text("openai-organization"), Some("org-1"));
    }
}

#[test]
fn a_provider_that_hangs_is_given_up_at_its_timeout() {
    for hanging in [
        vec![Step::Wait(seconds(99)), Step::Head(200, JSON)],
        vec![
            Step::Head(200, JSON),
            text("{"),
            Step::Wait(seconds(99)),
            text("}"),
        ],
    ] {
        let (completed, sender) = complete(vec![hanging, answers()], "");
        assert_eq!(completed.attempts[0].failure, Some(Failure::Timeout));
        assert_eq!(completed.answer.body, ANSWER);
        assert_eq!(sender.clock.now(), seconds(20));
    }
}

#[test]
fn the_clients_own_mistake_is_told_at_once_and_in_the_providers_words() {
    let error = r#"{"error":{"message":"bad value, key key-a-1","type":"invalid_request_error"}}"#;
    let (completed, sender) = complete(vec![vec![Step::Head(400, JSON), text(error)]], "");
    assert_eq!(sender.requests.borrow().len(), 1);
    assert_eq!(
        (completed.answer.status.as_u16(), completed.answer.reason),
        (400, Reason::UpstreamStatus)
    );
    assert_eq!(
        completed.answer.body,
        r#"{"error":{"code":null,"message":"bad value, key ***","param":null,"type":"invalid_request_error"}}"#
    );
    let (completed, _) = complete(
        vec![vec![Step::Head(404, "text/html"), text("<h1>nope</h1>")]],
        "",
    );
    let told = String::from_utf8(completed.answer.body.to_vec()).unwrap();
    assert!(
        told.contains(r#""message":"The model provider answered 404 Not Found: <h1>nope</h1>""#),
        "{told}"
    );
}

#[test]
fn when_all_fail_the_answer_says_what_was_tried() {
    let refused = vec![Step::Fail(SendError::Connect(String::new()))];
    let (completed, _) = complete(
        vec![vec![Step::Head(503, JSON), text("{}")], refused.clone()],
        "",
    );
    let told = String::from_utf8(completed.answer.body.to_vec()).unwrap();
    assert!(told.contains("Tried: a: 503, b: connect_error"), "{told}");
    assert_eq!(
        (completed.answer.status.as_u16(), completed.answer.reason),
        (502, Reason::UpstreamRefused)
    );
    let (completed, _) = complete(
        vec![refused, vec![Step::Fail(SendError::HostNotAllowed)]],
        "",
    );
    let told = String::from_utf8(completed.answer.body.to_vec()).unwrap();
    // The address is for the operator's log.
    assert!(
        told.contains("Its log says") && !told.contains("8443"),
        "{told}"
    );
    let detail = completed.attempts[1].detail.as_deref().unwrap();
    assert!(
        detail.contains(r#"add "https://b:8443" to `allowed_outbound_hosts`"#),
        "{detail}"
    );
    assert_eq!(completed.answer.reason, Reason::HostNotAllowed);
}

#[test]
fn attempts_and_conditions_are_bounded_by_the_route() {
    let busy = vec![Step::Head(503, JSON), text("{}")];
    let (completed, _) = complete(vec![busy.clone()], r#","fallback":{"max_attempts":1}"#);
    assert_eq!(completed.attempts.len(), 1);
    let (completed, _) = complete(vec![busy], r#","fallback":{"on":["connect_error"]}"#);
    assert_eq!(
        (completed.attempts.len(), completed.answer.status.as_u16()),
        (1, 503)
    );
    let hanging = vec![Step::Wait(seconds(99)), Step::Head(200, JSON)];
    let (completed, _) = complete(vec![hanging], r#","fallback":{"deadline":"10s"}"#);
    assert_eq!(
        (completed.attempts.len(), completed.answer.status.as_u16()),
        (1, 504)
    );
}

#[test]
fn a_call_that_a_limit_refused_never_goes_to_the_routes_first_target() {
    let as_written = document("");
    let weighted = |provider: &str| {
        let name = format!(r#""provider":"{provider}","#);
        as_written.replace(&name, &format!(r#"{name}"weight":1,"#))
    };
    // Whichever is drawn to be the first.
    for document in [as_written.clone(), weighted("a"), weighted("b")] {
        let sender = ScriptedSender::new(vec![answers()]);
        let clock = sender.clock.clone();
        let body = r#"{"model":"m","messages":[]}"#;
        let completed = with_call_by(
            &document,
            &sender,
            body,
            Operation::ChatCompletions,
            |mut call, request| {
                call.skips_first = true;
                run(&clock, call.complete(request))
            },
        );
        assert_eq!(
            completed.served.as_ref().unwrap().provider,
            "b",
            "{document}"
        );
        assert_eq!(completed.answer.reason, Reason::Fallback);
    }
}

#[test]
fn an_answer_that_there_is_no_room_for_is_nobodys_fault() {
    let small = Arc::new(BytesInHand::new(100 * 1024));
    let filler = " ".repeat(200 * 1024);
    let large = vec![Step::Head(200, JSON), text(ANSWER), text(&filler)];
    let sender = ScriptedSender::new(vec![large.clone(), answers()]);
    let clock = sender.clock.clone();
    let body = r#"{"model":"m","messages":[]}"#;
    let completed = with_call(
        &sender,
        "",
        body,
        Operation::ChatCompletions,
        |mut call, request| {
            call.in_hand = Arc::clone(&small);
            run(&clock, call.complete(request))
        },
    );
    let answer = &completed.answer;
    assert_eq!(
        (answer.status.as_u16(), answer.reason),
        (503, Reason::Overloaded)
    );
    assert_eq!(answer.headers.text("retry-after"), Some("1"));
    let outcomes: Vec<_> = completed.attempts.iter().map(|it| it.failure).collect();
    assert_eq!(
        outcomes,
        [Some(Failure::NoRoom)],
        "no other would have more room"
    );
    assert!(
        small.room(100 * 1024).is_ok(),
        "what was taken is given back"
    );
    assert_eq!(complete(vec![large], "").0.answer.status.as_u16(), 200);
}

#[test]
fn a_host_without_memory_holds_no_large_answer() {
    let filler = || text(&" ".repeat(1024 * 1024));
    for (script, expected) in [
        (vec![Step::MemoryIsShort, text(ANSWER)], 200),
        (vec![Step::MemoryIsShort, text(ANSWER), filler()], 503),
        (vec![text(ANSWER), filler(), Step::MemoryIsShort], 200),
        (
            vec![text(ANSWER), filler(), Step::MemoryIsShort, filler()],
            503,
        ),
    ] {
        let script = [vec![Step::Head(200, JSON)], script].concat();
        let (completed, _) = complete(vec![script], "");
        assert_eq!(completed.answer.status.as_u16(), expected);
    }
}

#[test]
fn a_target_that_is_not_asked_hides_no_failure_of_one_that_was() {
    let document = document("").replace(r#"{"name":"b","#, r#"{"name":"b","type":"anthropic","#);
    let broken = vec![
        Step::Head(500, JSON),
        text(r#"{"error":{"message":"down"}}"#),
    ];
    for (scripts, status) in [(vec![broken.clone(), broken], 500), (vec![answers()], 200)] {
        let sender = ScriptedSender::new(scripts);
        let clock = sender.clock.clone();
        let completed = with_call_by(
            &document,
            &sender,
            r#"{"model":"m","messages":[],"n":2}"#,
            Operation::ChatCompletions,
            |call, request| run(&clock, call.complete(request)),
        );
        assert_eq!(completed.answer.status.as_u16(), status);
        let failures: Vec<_> = completed.attempts.iter().map(|it| it.failure).collect();
        let expected = match status {
            200 => vec![None],
            _ => vec![Some(Failure::Status(500)), Some(Failure::Unsupported)],
        };
        assert_eq!(failures, expected);
    }
}
