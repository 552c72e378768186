//! Streamed answers.

use crate::*;

#[test]
fn a_stream_comes_from_the_first_target_that_gives_content() {
    let (summary, client) = stream(vec![streams()]);
    assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok));
    assert_eq!(client.text, streamed_text());
    let mut all = failures(SSE);
    all.push((vec![Step::Head(200, SSE), text(ROLE)], Failure::Truncated));
    all.push((
        vec![Step::Head(200, SSE), text(ROLE), text(DONE)],
        Failure::Truncated,
    ));
    all.push((
        vec![
            Step::Head(200, SSE),
            text("data: {\"error\":{\"message\":\"x\"}}\n\n"),
        ],
        Failure::Status(502),
    ));
    all.push((
        vec![Step::Head(200, SSE), text("data: {oops\n\n")],
        Failure::Reset,
    ));
    all.push((
        vec![Step::Wait(seconds(6)), Step::Head(200, SSE)],
        Failure::FirstTokenTimeout,
    ));
    all.push((
        vec![
            Step::Head(200, SSE),
            text(ROLE),
            Step::Wait(seconds(6)),
            text(&chunk("x")),
        ],
        Failure::FirstTokenTimeout,
    ));
    for (failing, failure) in all {
        let (summary, client) = stream(vec![failing.clone(), streams()]);
        assert_eq!(
            summary.end,
            StreamEnd::Complete(Reason::Fallback),
            "{failing:?}"
        );
        assert_eq!(
            client.text,
            streamed_text(),
            "{failing:?}: nothing of the first target is seen"
        );
        // No head in time is no content in time.
        let failure = match failure {
            Failure::Timeout => Failure::FirstTokenTimeout,
            other => other,
        };
        assert_eq!(summary.attempts[0].failure, Some(failure), "{failing:?}");
        let (served, attempts, reason) = client.head.unwrap();
        assert_eq!(
            (served.provider.as_str(), attempts, reason),
            ("b", 2, Reason::Fallback)
        );
    }
}

#[test]
fn after_content_a_failure_is_told_in_the_stream_and_nobody_else_is_asked() {
    for (last, expected) in [
        (
            Step::Fail(SendError::Reset("cut".to_owned())),
            "The connection to the model broke",
        ),
        (
            Step::Fail(SendError::BetweenBytesTimeout),
            "The model stopped answering",
        ),
        (
            text("data: {\"error\":{\"message\":\"overloaded\",\n\ndata: "),
            "The connection to the model broke",
        ),
        (
            text("data: {\"error\":{\"message\":\"overloaded\"}}\n\n"),
            "overloaded",
        ),
    ] {
        let (summary, client) = stream(vec![vec![
            Step::Head(200, SSE),
            text(&chunk("hi")),
            last.clone(),
        ]]);
        assert!(matches!(summary.end, StreamEnd::Broken(_)), "{last:?}");
        let (before, told) = client.text.split_at(chunk("hi").len());
        assert_eq!(before, chunk("hi"));
        assert!(
            told.starts_with("data: {\"error\":{") && told.ends_with("}\n\n"),
            "{told}"
        );
        assert!(
            told.contains(expected) && !told.contains("[DONE]"),
            "{told}"
        );
    }
    // A clean end without `finish_reason` is a cut, too.
    let (summary, _) = stream(vec![vec![Step::Head(200, SSE), text(&chunk("hi"))]]);
    assert_eq!(summary.end, StreamEnd::Broken(Failure::Truncated));
    // With it, the missing `[DONE]` is supplied.
    let (summary, client) = stream(vec![vec![
        Step::Head(200, SSE),
        text(&chunk("hi")),
        text(STOP),
    ]]);
    assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok));
    assert!(client.text.ends_with(DONE));
}

#[test]
fn a_client_is_kept_waiting_by_comments_and_still_served_by_the_second() {
    let slow = |time| {
        vec![
            Step::Wait(time),
            Step::Head(200, SSE),
            text(&chunk("hi")),
            text(STOP),
            text(DONE),
        ]
    };
    let sender = ScriptedSender::new(vec![slow(seconds(90)), slow(seconds(3))]);
    let mut client = Client {
        clock: sender.clock.clone(),
        ..Client::default()
    };
    let clock = sender.clock.clone();
    let route = r#","fallback":{"keep_alive":"2s"}"#;
    let body = r#"{"model":"m","stream":true}"#;
    let summary = with_call(
        &sender,
        route,
        body,
        Operation::ChatCompletions,
        |call, request| run(&clock, call.stream(request, &mut client)),
    );
    assert_eq!(summary.end, StreamEnd::Complete(Reason::Fallback));
    assert_eq!(
        client.head.unwrap().0.provider,
        "a",
        "the head went out while the first was being asked"
    );
    assert!(
        client
            .text
            .starts_with(": keep-alive\n\n: keep-alive\n\n: keep-alive\n\ndata: {"),
        "{}",
        client.text
    );
    assert_eq!(
        client.times[..4],
        [seconds(2), seconds(4), seconds(6), seconds(8)]
    );
}

#[test]
fn when_all_fail_after_the_head_the_stream_says_so() {
    let sender = ScriptedSender::new(vec![
        vec![
            Step::Wait(seconds(4)),
            Step::Fail(SendError::Reset(String::new())),
        ],
        vec![
            Step::Head(503, JSON),
            text(r#"{"error":{"message":"busy"}}"#),
        ],
    ]);
    let mut client = Client {
        clock: sender.clock.clone(),
        ..Client::default()
    };
    let clock = sender.clock.clone();
    let body = r#"{"model":"m","stream":true}"#;
    let route = r#","fallback":{"keep_alive":"2s"}"#;
    let summary = with_call(
        &sender,
        route,
        body,
        Operation::ChatCompletions,
        |call, request| run(&clock, call.stream(request, &mut client)),
    );
    assert_eq!(summary.end, StreamEnd::Broken(Failure::Status(503)));
    assert!(
        client
            .text
            .ends_with("data: {\"error\":{\"code\":null,\"message\":\"busy\",\"param\":null,\"type\":\"api_error\"}}\n\n"),
        "{}",
        client.text
    );
}

#[test]
fn when_all_fail_before_the_head_the_client_gets_a_plain_answer() {
    let busy = || {
        vec![
            Step::Head(429, JSON),
            text(r#"{"error":{"message":"slow down"}}"#),
        ]
    };
    // Who finds everybody limited comes back once, to the first key that has cooled.
    let (summary, client) = stream(vec![busy(), busy(), busy(), busy()]);
    let StreamEnd::Refused(answer) = &summary.end else {
        panic!("{:?}", summary.end)
    };
    assert_eq!(
        (answer.status.as_u16(), answer.reason),
        (429, Reason::UpstreamStatus)
    );
    assert!(client.head.is_none());
}

#[test]
fn a_client_that_leaves_ends_the_call() {
    let leaving = Client {
        leaves_after: Some(1),
        ..Client::default()
    };
    let script = vec![
        Step::Head(200, SSE),
        text(&chunk("a")),
        Step::Wait(seconds(1)),
        text(&chunk("b")),
        text(STOP),
        text(DONE),
    ];
    let (summary, client, _) = stream_with(vec![script], r#"{"model":"m","stream":true}"#, leaving);
    assert_eq!(summary.end, StreamEnd::ClientLeft);
    assert_eq!(client.text, chunk("a"));
}

#[test]
fn a_provider_that_only_sends_empty_chunks_is_given_up_before_it_fills_the_memory() {
    let padding = "x".repeat(64 * 1024);
    let empty = format!("data: {{\"choices\":[],\"x\":\"{padding}\"}}\n\n");
    let mut script = vec![Step::Head(200, SSE)];
    script.extend(std::iter::repeat_with(|| text(&empty)).take(20));
    let (summary, client) = stream(vec![script, streams()]);
    assert_eq!(summary.end, StreamEnd::Complete(Reason::Fallback));
    assert_eq!(client.text, streamed_text());
}

#[test]
fn of_several_choices_all_must_end() {
    let choice = |index: u8, reason: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"a\"}},\"finish_reason\":{reason}}}]}}\n\n"
        )
    };
    let cut = [choice(0, "null"), choice(1, "null"), choice(0, "\"stop\"")].concat();
    let (summary, _) = stream(vec![vec![Step::Head(200, SSE), text(&cut)]]);
    assert_eq!(summary.end, StreamEnd::Broken(Failure::Truncated));
    let whole = cut + &choice(1, "\"stop\"");
    let (summary, client) = stream(vec![vec![Step::Head(200, SSE), text(&whole)]]);
    assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok));
    assert!(client.text.ends_with(DONE));
}

#[test]
fn errors_in_a_stream_are_one_line_and_without_the_gateways_keys() {
    let error = "data: {\"error\":{\"message\":\"key key-a-1 is tired\"}}\n\n";
    let (_, client) = stream(vec![vec![
        Step::Head(200, SSE),
        text(&chunk("hi")),
        text(error),
    ]]);
    assert!(client.text.contains("key *** is tired"), "{}", client.text);

    let pretty = "{\n  \"error\": {\n    \"message\": \"busy\"\n  }\n}\n";
    let sender = ScriptedSender::new(vec![
        vec![Step::Wait(seconds(4)), Step::Head(503, JSON), text(pretty)],
        vec![Step::Head(503, JSON), text(pretty)],
    ]);
    let mut client = Client {
        clock: sender.clock.clone(),
        ..Client::default()
    };
    let clock = sender.clock.clone();
    let body = r#"{"model":"m","stream":true}"#;
    let route = r#","fallback":{"keep_alive":"2s"}"#;
    with_call(
        &sender,
        route,
        body,
        Operation::ChatCompletions,
        |call, request| run(&clock, call.stream(request, &mut client)),
    );
    let last = client.text.trim_end().rsplit("\n\n").next().unwrap();
    assert!(
        last.starts_with("data: {") && !last.contains('\n'),
        "{last:?}"
    );
}

#[test]
fn a_document_is_told_by_its_first_byte_whatever_its_content_type() {
    for kind in [SSE, "text/plain", "Application/JSON"] {
        let (summary, client) = stream(vec![vec![Step::Head(200, kind), text(ANSWER)]]);
        assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok), "{kind}");
        assert!(
            client.text.contains("\"content\":\"hi\"") && client.text.ends_with(DONE),
            "{}",
            client.text
        );
    }
}

#[test]
fn statuses_that_mean_nothing_here_go_on() {
    for status in [101, 204, 302, 304, 600, 999] {
        let (summary, client) = stream(vec![vec![Step::Head(status, SSE)], streams()]);
        assert_eq!(
            summary.end,
            StreamEnd::Complete(Reason::Fallback),
            "{status}"
        );
        assert_eq!(client.text, streamed_text());
    }
}

#[test]
fn silence_between_pieces_is_filled_with_comments_of_their_own_block() {
    let script = vec![
        Step::Head(200, SSE),
        text(&chunk("a")),
        Step::Wait(seconds(40)),
        text(STOP),
        text(DONE),
    ];
    let (_, client) = stream(vec![script]);
    assert_eq!(
        client.text,
        format!("{}: keep-alive\n\n: keep-alive\n\n{STOP}{DONE}", chunk("a"))
    );
}

#[test]
fn an_answer_in_one_piece_is_streamed_to_who_asked_for_a_stream() {
    let body = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    let (summary, client, _) = stream_with(vec![answers()], body, Client::default());
    assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok));
    let data: Vec<&str> = client
        .text
        .split_terminator("\n\n")
        .map(|block| block.strip_prefix("data: ").unwrap())
        .collect();
    assert_eq!(data.len(), 4, "{data:?}");
    let value = |index: usize| serde_json::from_str::<serde_json::Value>(data[index]).unwrap();
    assert_eq!(value(0)["object"], "chat.completion.chunk");
    assert_eq!(value(0)["choices"][0]["delta"]["content"], "hi");
    assert_eq!(value(1)["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        (&value(2)["choices"], &value(2)["usage"]["total_tokens"]),
        (&serde_json::json!([]), &3.into())
    );
    assert_eq!(data[3], "[DONE]");
}

proptest! {
    #[test]
    fn whatever_a_provider_streams_the_client_gets_one_form(
        pieces in prop::collection::vec(prop_oneof![
            Just(ROLE.to_owned()), Just(chunk("x")), Just(STOP.to_owned()), Just(DONE.to_owned()),
            Just("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\r\n\r\n".to_owned()),
            Just(": c\nid: 7\nevent: message\r\n".to_owned()), Just("data:\n\n".to_owned()), Just("\u{feff}".to_owned()),
            Just("data: {\"error\":\"x\"}\n\n".to_owned()), "[ -~\r\n]{0,20}",
        ], 0..12),
        cut in 1_usize..30,
    ) {
        let whole: Vec<u8> = pieces.concat().into_bytes();
        let mut script = vec![Step::Head(200, SSE)];
        script.extend(whole.chunks(cut).map(|piece| Step::Bytes(piece.to_vec())));
        let (summary, client) = stream(vec![script, streams()]);
        prop_assert!(!client.text.contains('\r'));
        for block in client.text.split_terminator("\n\n") {
            prop_assert!(block.starts_with("data: ") && !block.contains('\n'), "{:?}", block);
        }
        if matches!(summary.end, StreamEnd::Complete(_)) {
            prop_assert!(client.text.ends_with(DONE));
            prop_assert_eq!(client.text.matches("[DONE]").count(), 1);
        }
    }
}
