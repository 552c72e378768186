//! What a provider says went wrong inside an answer of 200, in whatever form.

use crate::*;

/// Forms of one error, and the words by which a client must know it.
const FORMS: [(&str, &str); 22] = [
    ("data: {\"error\":{\"message\":\"x y\"}}\n\n", "x y"),
    ("data: {\"error\":\"x y\"}\n\n", "x y"),
    (
        "data: {\"object\":\"error\",\"message\":\"x y\",\"code\":500}\n\n",
        "x y",
    ),
    ("error: {\"message\":\"x y\"}\n\n", "x y"),
    ("error: x y\n\n", "x y"),
    ("event: error\ndata: {\"message\":\"x y\"}\n\n", "x y"),
    ("event: error\ndata: x y\n\n", "x y"),
    ("data: {\"text\":\"x y\",\"error_code\":50001}\n\n", "x y"),
    ("data: {\"detail\":\"x y\"}\n\n", "x y"),
    (
        "data: {\"detail\":[{\"loc\":[\"body\",\"n\"],\"msg\":\"x y\"}]}\n\n",
        "body.n: x y",
    ),
    ("data: {\"code\":1302,\"msg\":\"x y\"}\n\n", "x y"),
    (
        "data: {\"base_resp\":{\"status_code\":1013,\"status_msg\":\"x y\"}}\n\n",
        "x y",
    ),
    ("{\"error\":{\"message\":\"x y\"}}\n\n", "x y"),
    (
        "data: [{\"error\":{\"code\":503,\"message\":\"x y\"}}]\n\n",
        "x y",
    ),
    (
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}],\"error\":{\"message\":\"x y\"}}\n\n",
        "x y",
    ),
    (
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"error\":{\"message\":\"x y\"}}]}\n\n",
        "x y",
    ),
    (
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"error\":{\"message\":\"x y\"}}}]}\n\n",
        "x y",
    ),
    ("[{\"error\":{\"message\":\"x y\"}}]\n\n", "x y"),
    (" {\"error\":{\"message\":\"x y\"}}\n\n", "x y"),
    (
        "data: {\"error\":{\"message\":\"x y\"},\"usage\":{\"prompt_tokens\":1}}\n\n",
        "x y",
    ),
    (
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"}}],\"base_resp\":{\"status_code\":1013,\"status_msg\":\"x y\"}}\n\n",
        "x y",
    ),
    (
        "data: {\"status\":\"error\",\"message\":\"x y\"}\n\n",
        "x y",
    ),
];

#[test]
fn after_text_it_is_told_in_the_stream_and_the_stream_does_not_look_complete() {
    for (form, words) in FORMS {
        let script = vec![
            Step::Head(200, SSE),
            text(&chunk("Hello")),
            text(form),
            text(DONE),
        ];
        let (summary, client) = stream(vec![script]);
        assert!(matches!(summary.end, StreamEnd::Broken(_)), "{form}");
        let told = client
            .text
            .strip_prefix(&chunk("Hello"))
            .unwrap_or_default();
        assert!(told.starts_with("data: {\"error\":{"), "{form}: {told}");
        assert!(
            told.contains(words) && !told.contains("[DONE]"),
            "{form}: {told}"
        );
    }
}

#[test]
fn before_text_the_next_target_serves_or_those_are_the_words() {
    for (form, words) in FORMS {
        let script = vec![Step::Head(200, SSE), text(ROLE), text(form), text(DONE)];
        let (summary, client) = stream(vec![script.clone(), streams()]);
        assert_eq!(summary.end, StreamEnd::Complete(Reason::Fallback), "{form}");
        assert_eq!(client.text, streamed_text(), "{form}");
        // A rate limit is tried more often than a failure.
        let (summary, _) = stream(vec![script; 4]);
        let StreamEnd::Refused(answer) = &summary.end else {
            panic!("{form}: {:?}", summary.end);
        };
        let told = String::from_utf8_lossy(&answer.body);
        assert!(
            told.contains(words) && answer.status.as_u16() >= 429,
            "{form}: {told}"
        );
        // The same where one document was asked for.
        let script = vec![Step::Head(200, SSE), text(ROLE), text(form), text(DONE)];
        let (completed, _) = complete(vec![script.clone(), answers()], "");
        assert_eq!(completed.answer.reason, Reason::Fallback, "{form}");
        let (completed, _) = complete(vec![script; 4], "");
        let told = String::from_utf8_lossy(&completed.answer.body);
        assert!(told.contains(words), "{form}: {told}");
    }
}

#[test]
fn a_coded_error_goes_the_way_of_a_status() {
    for (error, status, label) in [
        (r#"{"code":400,"message":"bad temperature"}"#, 400, "400"),
        (r#"{"code":"400","message":"bad temperature"}"#, 400, "400"),
        (
            r#"{"code":400,"message":"prompt is too long"}"#,
            400,
            "context_length",
        ),
        (
            r#"{"message":"prompt is too long: 9 > 8"}"#,
            400,
            "context_length",
        ),
        (
            r#"{"code":"context_length_exceeded","message":"m"}"#,
            400,
            "context_length",
        ),
        (
            r#"{"type":"invalid_request_error","message":"m"}"#,
            400,
            "400",
        ),
        (r#"{"code":401,"message":"m"}"#, 502, "401"),
        (r#"{"code":"invalid_api_key","message":"m"}"#, 502, "401"),
        (r#"{"code":402,"message":"m"}"#, 402, "402"),
        (r#"{"code":429,"message":"m"}"#, 429, "429"),
        (r#"{"type":"rate_limit_error","message":"m"}"#, 429, "429"),
        (
            r#"{"code":503,"status":"UNAVAILABLE","message":"m"}"#,
            503,
            "503",
        ),
        (r#"{"message":"m"}"#, 502, "502"),
        (r#"{"code":7,"message":"m"}"#, 502, "502"),
        // Names without a status: Model Studio, Zhipu.
        (r#"{"code":"InvalidParameter","message":"m"}"#, 400, "400"),
        (
            r#"{"code":"Throttling.RateQuota","message":"m"}"#,
            429,
            "429",
        ),
        (r#"{"code":"1302","message":"m"}"#, 429, "429"),
    ] {
        let in_stream = vec![
            Step::Head(200, SSE),
            text(&format!("data: {{\"error\":{error}}}\n\n")),
        ];
        let in_document = vec![
            Step::Head(200, JSON),
            text(&format!("{{\"error\":{error}}}")),
        ];
        for script in [in_stream, in_document] {
            // Refusals of what was asked are told at once, all else by the last target.
            let (completed, sender) = complete(vec![script.clone(); 6], "");
            assert_eq!(completed.answer.status.as_u16(), status, "{error}");
            assert_eq!(
                completed.attempts[0].failure.unwrap().label(),
                label,
                "{error}"
            );
            let asked = sender.requests.borrow().len();
            assert_eq!(asked > 1, status != 400, "{error}");
            let (summary, _) = stream(vec![script; 6]);
            let StreamEnd::Refused(answer) = &summary.end else {
                panic!("{error}: {:?}", summary.end);
            };
            assert_eq!(answer.status.as_u16(), status, "{error}");
        }
    }
    let script = vec![
        Step::Head(200, SSE),
        text("data: {\"error\":{\"code\":400,\"message\":\"prompt is too long\"}}\n\n"),
    ];
    let (completed, _) = complete(
        vec![script, answers()],
        r#","fallback":{"on":["context_length"]}"#,
    );
    assert_eq!(completed.answer.reason, Reason::Fallback);
}

#[test]
fn codes_that_say_that_all_is_well_are_no_errors() {
    for beside in [
        r#""base_resp":{"status_code":0,"status_msg":"success"}"#,
        r#""error":null"#,
        r#""error":"""#,
        r#""error":{}"#,
        r#""error":false"#,
        r#""code":0,"message":"ok""#,
    ] {
        let with =
            |chunk: &str| chunk.replace("{\"id\":\"1\"", &format!("{{{beside},\"id\":\"1\""));
        let script = vec![
            Step::Head(200, SSE),
            text(&with(&chunk("hi"))),
            text(&with(STOP)),
            text(DONE),
        ];
        let (summary, client) = stream(vec![script]);
        assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok), "{beside}");
        assert_eq!(
            client.text,
            format!("{}{}{DONE}", with(&chunk("hi")), with(STOP))
        );
        let alone = format!("data: {{{beside}}}\n\n");
        let script = vec![
            Step::Head(200, SSE),
            text(&chunk("hi")),
            text(&alone),
            text(STOP),
            text(DONE),
        ];
        let (summary, _) = stream(vec![script]);
        assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok), "{beside}");
    }
}

#[test]
fn notices_are_no_errors() {
    for (notice, place) in [
        ("data: {\"message\":\"m\",\"status\":\"finished\"}\n\n", 3),
        ("data: {\"message\":\"m\",\"status\":\"running\"}\n\n", 1),
        ("data: {\"choices\":[],\"detail\":\"warming up\"}\n\n", 1),
        ("data: {\"detail\":\"bye\"}\n\n", 3),
        ("data: [PING]\n\n", 2),
        ("data: ping 12\n\n", 2),
        (
            "data: {\"error\":{\"message\":\"\",\"code\":null},\"choices\":[]}\n\n",
            2,
        ),
    ] {
        let mut script = vec![
            Step::Head(200, SSE),
            text(&chunk("hi")),
            text(STOP),
            text(DONE),
        ];
        script.insert(place, text(notice));
        let (summary, client) = stream(vec![script]);
        assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok), "{notice}");
        assert!(client.text.ends_with(DONE), "{notice}: {}", client.text);
    }
}
