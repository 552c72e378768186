//! Where an answer ends: never while content still comes, and never well where the provider says that it failed.

use spillway_platform::OutboundRequest;

use crate::*;

/// Chunks with so many seconds between them.
fn paced(chunks: &[&str], pause: u64) -> Vec<Step> {
    let mut script = vec![Step::Head(200, SSE)];
    for chunk in chunks {
        script.push(text(chunk));
        script.push(Step::Wait(seconds(pause)));
    }
    script
}

fn said(delta: &str, reason: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n"
    )
}

#[test]
fn what_a_choice_still_says_takes_its_end_back() {
    let word = |reason: &str| said(r#"{"content":"w"}"#, reason);
    let of = |index: u8, reason: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"w\"}},\"finish_reason\":{reason}}}]}}\n\n"
        )
    };
    let thought = said(r#"{"reasoning_content":"hm"}"#, "\"stop\"");
    let (stop, null, none) = (word("\"stop\""), word("\"null\""), word("null"));
    for (chunks, pause) in [
        (vec![&*stop; 7], 1),
        (vec![&*null; 7], 1),
        (vec![&*thought, &*stop], 7),
        (vec![&*thought, &*none], 7),
        (
            vec![
                &*of(0, "null"),
                &*of(0, "\"stop\""),
                &*of(1, "null"),
                &*of(1, "\"stop\""),
            ],
            7,
        ),
    ] {
        let mut script = paced(&chunks, pause);
        script.push(text(DONE));
        let (summary, client) = stream(vec![script]);
        assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok), "{chunks:?}");
        assert_eq!(client.text, format!("{}{DONE}", chunks.concat()));
    }
    // It went on, and was cut then.
    let (summary, client) = stream(vec![paced(&[&thought, &none], 1)]);
    assert_eq!(summary.end, StreamEnd::Broken(Failure::Truncated));
    assert!(!client.text.contains("[DONE]"), "{}", client.text);
}

#[test]
fn an_answer_that_is_whole_ends_cleanly_whatever_its_provider_does_then() {
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
    for (after, longest) in [
        (vec![Step::Wait(seconds(60)), text(DONE)], 20),
        (vec![text(usage), Step::Wait(seconds(60)), text(DONE)], 5),
        (vec![Step::Fail(SendError::Reset("cut".to_owned()))], 0),
        (
            vec![
                text(": ping\n\n"),
                Step::Wait(seconds(13)),
                text(": ping\n\n"),
                Step::Wait(seconds(60)),
            ],
            20,
        ),
    ] {
        let mut script = vec![Step::Head(200, SSE), text(&chunk("hi")), text(STOP)];
        script.extend(after.clone());
        let (summary, client) = stream(vec![script]);
        assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok), "{after:?}");
        let told = client.text.replace(": keep-alive\n\n", "");
        assert_eq!(told, format!("{}{STOP}{DONE}", chunk("hi")));
        assert_eq!(client.clock.now(), seconds(longest), "{after:?}");
    }
}

#[test]
fn an_end_that_means_a_failure_is_one() {
    for reason in [
        "error",
        "network_error",
        "insufficient_system_resource",
        "abort",
        "ABORT",
        "timeout",
    ] {
        let quoted = format!("\"{reason}\"");
        let ends = said("{}", &quoted);
        let (summary, client) = stream(vec![paced(&[&ends, DONE], 0), streams()]);
        assert_eq!(
            summary.end,
            StreamEnd::Complete(Reason::Fallback),
            "{reason}"
        );
        assert_eq!(client.text, streamed_text());
        let half = said(r#"{"content":"half"}"#, &quoted);
        let (summary, client) = stream(vec![paced(&[&half, DONE], 0), streams()]);
        assert_eq!(
            summary.end,
            StreamEnd::Complete(Reason::Fallback),
            "{reason}"
        );
        assert_eq!(client.text, streamed_text());

        for last in [&ends, &half] {
            let (summary, client) = stream(vec![paced(&[&chunk("hi"), last, DONE], 0)]);
            assert_eq!(
                summary.end,
                StreamEnd::Broken(Failure::Status(502)),
                "{reason}"
            );
            assert!(
                client.text.contains(&reason.to_lowercase())
                    && client.text.contains("data: {\"error\":{"),
                "{}",
                client.text
            );
            assert!(!client.text.contains("[DONE]"), "{}", client.text);
            assert_eq!(client.text.contains("half"), last == &half);
        }

        for content in ["\"\"", "null", "\"half\""] {
            let body = format!(
                r#"{{"choices":[{{"index":0,"message":{{"content":{content}}},"finish_reason":"{reason}"}}]}}"#
            );
            let fails = vec![Step::Head(200, JSON), text(&body)];
            let (completed, _) = complete(vec![fails.clone(), answers()], "");
            assert_eq!(completed.answer.reason, Reason::Fallback, "{body}");
            let (summary, client) = stream(vec![fails, streams()]);
            assert_eq!(summary.end, StreamEnd::Complete(Reason::Fallback), "{body}");
            assert_eq!(client.text, streamed_text());
        }
    }
}

#[test]
fn what_the_gateway_adds_it_takes_back_where_it_is_refused() {
    let refused = |status: u16, body: &str| vec![Step::Head(status, JSON), text(body)];
    let asked = |sender: &ScriptedSender| -> Vec<bool> {
        let requests = sender.requests.borrow();
        let asks = |request: &OutboundRequest| {
            String::from_utf8_lossy(&request.body).contains("include_usage")
        };
        requests.iter().map(asks).collect()
    };
    let plain = r#"{"model":"m","stream":true}"#;
    for refusal in [
        refused(
            400,
            r#"{"error":{"message":"Unrecognized request argument supplied: stream_options"}}"#,
        ),
        refused(
            422,
            r#"{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}"#,
        ),
        refused(400, r#"{"message":"Unknown field include_usage"}"#),
    ] {
        let (summary, client, sender) =
            stream_with(vec![refusal.clone(), streams()], plain, Client::default());
        assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok), "{refusal:?}");
        assert_eq!(client.text, streamed_text());
        assert_eq!(asked(&sender), [true, false]);
        assert_eq!(summary.attempts.len(), 2);
        // What the client itself asked for is its own matter.
        let own = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
        let (summary, _, sender) = stream_with(vec![refusal], own, Client::default());
        assert!(matches!(summary.end, StreamEnd::Refused(_)));
        assert_eq!(asked(&sender), [true]);
    }
    let other = refused(400, r#"{"error":{"message":"bad temperature"}}"#);
    let (summary, _, sender) = stream_with(vec![other], plain, Client::default());
    assert!(matches!(summary.end, StreamEnd::Refused(_)));
    assert_eq!(asked(&sender), [true]);
}

#[test]
fn who_tells_its_usage_unasked_is_not_asked() {
    let body = r#"{"model":"m","stream":true}"#;
    for (of_type, of_its_own, expected) in [
        ("openai", "", true),
        ("mistral", "", false),
        ("openai", r#","stream_options":false"#, false),
        ("mistral", r#","stream_options":true"#, true),
    ] {
        let written = format!(r#"{{"name":"a","type":"{of_type}"{of_its_own},"#);
        let document = document("").replace(r#"{"name":"a","#, &written);
        let sender = ScriptedSender::new(vec![streams()]);
        let clock = sender.clock.clone();
        let mut client = Client {
            clock: clock.clone(),
            ..Client::default()
        };
        let operation = Operation::ChatCompletions;
        with_call_by(&document, &sender, body, operation, |call, request| {
            run(&clock, call.stream(request, &mut client))
        });
        let requests = sender.requests.borrow();
        let sent = String::from_utf8_lossy(&requests[0].body);
        assert_eq!(sent.contains("include_usage"), expected, "{written}");
    }
}

#[test]
fn who_refuses_to_be_asked_is_not_asked_by_clients_either_and_they_get_what_they_asked_for() {
    let document = document("").replace(r#"{"name":"a","#, r#"{"name":"a","type":"mistral","#);
    let body = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    let last = STOP.replace(
        "\"choices\"",
        "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1},\"choices\"",
    );
    let mut script = vec![Step::Head(200, SSE), text(&chunk("hi")), text(&last)];
    script.push(text(DONE));
    let sender = ScriptedSender::new(vec![script]);
    let clock = sender.clock.clone();
    let mut client = Client {
        clock: clock.clone(),
        ..Client::default()
    };
    let operation = Operation::ChatCompletions;
    with_call_by(&document, &sender, body, operation, |call, request| {
        run(&clock, call.stream(request, &mut client))
    });
    let requests = sender.requests.borrow();
    let sent = String::from_utf8_lossy(&requests[0].body);
    assert!(!sent.contains("stream_options"), "{sent}");
    let usage: Vec<&str> = client
        .text
        .lines()
        .filter(|line| line.contains("prompt_tokens"))
        .collect();
    assert_eq!(usage.len(), 1, "{}", client.text);
    assert!(usage[0].contains("\"choices\":[]"), "{}", usage[0]);
}

#[test]
fn a_reason_may_be_an_object() {
    let ends = said("{}", r#"{"type":"abort","message":"x"}"#);
    let (summary, _) = stream(vec![paced(&[&ends, DONE], 0), streams()]);
    assert_eq!(summary.end, StreamEnd::Complete(Reason::Fallback));
    let ends = said("{}", r#"{"type":"stop","matched":1}"#);
    let (summary, client) = stream(vec![paced(&[&chunk("hi"), &ends, DONE], 0)]);
    assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok));
    assert_eq!(client.text, format!("{}{ends}{DONE}", chunk("hi")));
}

#[test]
fn thoughts_alone_are_no_answer_that_only_lacks_its_end() {
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
    let thought = said(r#"{"reasoning_content":"hm"}"#, "\"stop\"");
    let mut script = paced(&[&thought], 0);
    script.extend([
        text(usage),
        Step::Wait(seconds(7)),
        text(&chunk("hi")),
        text(STOP),
        text(DONE),
    ]);
    let (summary, client) = stream(vec![script]);
    assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok));
    assert!(client.text.contains("\"hi\""), "{}", client.text);
}

#[test]
fn that_stream_options_are_refused_is_learnt_from_what_serves_without_alone() {
    let quoting = vec![
        Step::Head(400, JSON),
        text(r#"{"error":{"message":"cannot answer: what are stream_options?"}}"#),
    ];
    let body = r#"{"model":"m","stream":true}"#;
    let sender = ScriptedSender::new(vec![quoting.clone(), quoting, streams()]);
    let clock = sender.clock.clone();
    with_call(
        &sender,
        "",
        body,
        Operation::ChatCompletions,
        |call, request| {
            for (round, ends_well) in [(0, false), (1, true)] {
                let mut client = Client {
                    clock: clock.clone(),
                    ..Client::default()
                };
                let summary = run(&clock, call.stream(request, &mut client));
                assert_eq!(
                    summary.end == StreamEnd::Complete(Reason::Ok),
                    ends_well,
                    "{round}: {:?}",
                    summary.end
                );
            }
        },
    );
    let asked: Vec<bool> = sender
        .requests
        .borrow()
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body).contains("include_usage"))
        .collect();
    assert_eq!(asked, [true, false, true]);
}

#[test]
fn stream_options_that_say_nothing_are_taken_back_too() {
    for nothing in ["null", "{}"] {
        let body = format!(r#"{{"model":"m","stream":true,"stream_options":{nothing}}}"#);
        let refusal = vec![
            Step::Head(400, JSON),
            text(r#"{"error":{"message":"Unknown field stream_options"}}"#),
        ];
        let (summary, _, sender) = stream_with(vec![refusal, streams()], &body, Client::default());
        assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok), "{nothing}");
        let requests = sender.requests.borrow();
        let last = String::from_utf8_lossy(&requests[1].body);
        assert!(!last.contains("stream_options"), "{last}");
    }
}
