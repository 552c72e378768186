//! JSON and events that are odd, which clients read all the same.

use crate::*;

#[test]
fn what_clients_read_reaches_them() {
    let choice = |index: &str| {
        format!(
            "data: {{\"id\":\"1\",\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"hi\"}}}}]}}\n\n"
        )
    };
    let beside =
        |member: &str| chunk("hi").replace("\"id\":\"1\"", &format!("\"id\":\"1\",{member}"));
    for odd in [
        choice("\"0\""),
        choice("0.0"),
        choice("-1"),
        beside("\"id\":\"2\""),
        beside("\"x\":NaN"),
        beside("\"x\":[-Infinity,Infinity]"),
        chunk("\\ud83d"),
        chunk("a\tb"),
        chunk("hi").replace("\"index\":0", "\"index\":0,\"index\":0"),
        chunk("hi").replace(
            "\"delta\"",
            "\"logprobs\":{\"content\":[{\"logprob\":NaN}]},\"delta\"",
        ),
    ] {
        let script = vec![Step::Head(200, SSE), text(&odd), text(STOP), text(DONE)];
        let (summary, client) = stream(vec![script.clone()]);
        assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok), "{odd}");
        // What would end the stream for another client is written as JSON.
        let written = odd
            .replace("NaN", "null")
            .replace("-Infinity", "null")
            .replace("Infinity", "null")
            .replace('\t', "\\u0009");
        assert_eq!(client.text, format!("{written}{STOP}{DONE}"));
        let (completed, _) = complete(vec![script], "");
        assert_eq!(completed.answer.reason, Reason::Ok, "{odd}");
        let document = odd
            .replacen("data: ", "", 1)
            .replace("\"delta\"", "\"message\"");
        let (completed, _) = complete(vec![vec![Step::Head(200, JSON), text(&document)]], "");
        assert_eq!(completed.answer.reason, Reason::Ok, "{odd}");
        let written = written
            .replacen("data: ", "", 1)
            .replace("\"delta\"", "\"message\"");
        assert_eq!(
            String::from_utf8_lossy(&completed.answer.body).trim_end(),
            written.trim_end()
        );
    }
}

#[test]
fn what_says_nothing_is_passed_over() {
    for nothing in [
        "data: null\n\n",
        "data: ping\n\n",
        "data:\n\n",
        "data: \"ping\"\n\n",
        "data: 1\n\n",
        "data: {}\n\n",
        "data: {\"choices\":null}\n\n",
        "data: {\"choices\":5}\n\n",
        "data: []\n\n",
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        "event: ping\n\n",
        "retry: 100\n\n",
        "error: null\n\n",
    ] {
        for before in [true, false] {
            let mut script = vec![
                Step::Head(200, SSE),
                text(&chunk("hi")),
                text(STOP),
                text(DONE),
            ];
            script.insert(if before { 1 } else { 2 }, text(nothing));
            let (summary, client) = stream(vec![script]);
            assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok), "{nothing}");
            assert_eq!(client.text, format!("{}{STOP}{DONE}", chunk("hi")));
        }
    }
}

#[test]
fn an_event_too_large_is_refused_once_and_says_how_large() {
    let large = vec![Step::Head(200, SSE), text(&chunk(&"x".repeat(20 << 20)))];
    let (summary, _) = stream(vec![large.clone()]);
    let StreamEnd::Refused(answer) = &summary.end else {
        panic!("{:?}", summary.end);
    };
    assert_eq!(answer.status.as_u16(), 502);
    assert!(String::from_utf8_lossy(&answer.body).contains("16 MiB"));
    let (completed, _) = complete(vec![large], "");
    assert_eq!(completed.attempts[0].failure, Some(Failure::TooLarge));
    assert!(String::from_utf8_lossy(&completed.answer.body).contains("16 MiB"));
}

#[test]
fn usage_is_told_once_to_who_asked_for_it() {
    let usage = "{\"prompt_tokens\":1,\"completion_tokens\":2}";
    let last = STOP.replace("]}", &format!("],\"usage\":{usage}}}"));
    let alone = format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n");
    let every = chunk("hi").replace("]}", &format!("],\"usage\":{usage}}}"));
    let body = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    for script in [
        vec![&*chunk("hi"), &*last, DONE],
        vec![&*every, &*last, DONE],
        vec![&*every, &*last, &*alone, DONE],
        vec![&*chunk("hi"), STOP, &*alone, DONE],
        vec![&*alone, &*chunk("hi"), STOP, &*alone, DONE],
    ] {
        let mut steps = vec![Step::Head(200, SSE)];
        steps.extend(script.iter().map(|piece| text(piece)));
        let (summary, client, _) = stream_with(vec![steps], body, Client::default());
        assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok), "{script:?}");
        assert_eq!(
            client.text.matches("\"prompt_tokens\"").count(),
            1,
            "{}",
            client.text
        );
        let end = client.text.strip_suffix(DONE).unwrap();
        assert!(
            end.ends_with(&format!("\"choices\":[],\"usage\":{usage}}}\n\n")),
            "{end}"
        );
    }
}

fn packed(kind: &str, text: &str) -> Vec<u8> {
    use std::io::Write as _;
    match kind {
        "gzip" => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        _ => {
            let mut encoder =
                flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
    }
}

#[test]
fn what_comes_packed_is_unpacked_or_named() {
    for kind in ["gzip", "deflate"] {
        let head = |status, content| Step::PackedHead(status, content, kind);
        let pieces = |text: &str| -> Vec<Step> {
            let packed = packed(kind, text);
            packed
                .chunks(7)
                .map(|piece| Step::Bytes(piece.to_vec()))
                .collect()
        };
        let script = |status, content, text: &str| {
            let mut script = vec![head(status, content)];
            script.extend(pieces(text));
            script
        };
        let (completed, _) = complete(vec![script(200, JSON, ANSWER)], "");
        assert_eq!(completed.answer.body, ANSWER);
        let (summary, client) = stream(vec![script(200, SSE, &streamed_text())]);
        assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok));
        assert_eq!(client.text, streamed_text());
        let (completed, _) = complete(
            vec![script(400, JSON, r#"{"error":{"message":"x y"}}"#)],
            "",
        );
        assert!(String::from_utf8_lossy(&completed.answer.body).contains("x y"));
        let mut cut = script(200, JSON, ANSWER);
        cut.truncate(4);
        let (completed, _) = complete(vec![cut, answers()], "");
        assert_eq!(completed.attempts[0].failure, Some(Failure::Reset));
        let bomb = vec![
            head(200, JSON),
            Step::Bytes(packed(kind, &" ".repeat(80 << 20))),
        ];
        let (completed, _) = complete(vec![bomb, answers()], "");
        assert_eq!(completed.attempts[0].failure, Some(Failure::TooLarge));
    }
    let unknown = |status| vec![Step::PackedHead(status, JSON, "br"), text("\u{1}\u{2}")];
    let (completed, _) = complete(vec![unknown(400)], "");
    let told = String::from_utf8_lossy(&completed.answer.body).into_owned();
    assert!(
        told.contains("packed as `br`") && !told.contains('\u{1}'),
        "{told}"
    );
    let (completed, _) = complete(vec![unknown(200), answers()], "");
    assert!(
        completed.attempts[0]
            .detail
            .as_deref()
            .unwrap()
            .contains("packed as `br`")
    );
}

#[test]
fn a_web_page_is_told_with_its_likely_cause() {
    let page = |kind| {
        vec![
            Step::Head(200, kind),
            text("<!DOCTYPE html><html><body>Welcome</body></html>"),
        ]
    };
    for kind in ["text/html; charset=utf-8", JSON] {
        let (completed, _) = complete(vec![page(kind); 6], "");
        let told = String::from_utf8_lossy(&completed.answer.body).into_owned();
        let name = kind.split(';').next().unwrap();
        assert!(
            told.contains("web page") && told.contains(name) && told.contains("/v1"),
            "{told}"
        );
        assert_eq!(completed.answer.status.as_u16(), 502);
        assert!(
            completed.attempts[0]
                .detail
                .as_deref()
                .unwrap()
                .contains("web page")
        );
        let (summary, _) = stream(vec![page(kind); 6]);
        let StreamEnd::Refused(answer) = &summary.end else {
            panic!("{:?}", summary.end);
        };
        assert!(String::from_utf8_lossy(&answer.body).contains("web page"));
    }
    let (completed, _) = complete(
        vec![vec![Step::Head(200, "text/plain"), text("busy, come back")]; 6],
        "",
    );
    let told = String::from_utf8_lossy(&completed.answer.body).into_owned();
    assert!(
        told.contains("busy, come back") && told.contains("text/plain"),
        "{told}"
    );
}

#[test]
fn what_only_clients_mind_little_is_minded_little() {
    let mark = "\u{feff}";
    for kind in [JSON, SSE] {
        let marked = vec![Step::Head(200, kind), text(&format!("{mark}{ANSWER}"))];
        let (completed, _) = complete(vec![marked.clone()], "");
        assert_eq!(completed.answer.reason, Reason::Ok);
        assert_eq!(&*completed.answer.body, ANSWER.as_bytes());
        let (summary, _) = stream(vec![marked]);
        assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok));
    }
    let script = vec![
        Step::Head(200, SSE),
        text(&chunk("hi")),
        text("data: [DONE]</s>\n\n"),
    ];
    let (summary, client) = stream(vec![script]);
    assert_eq!(summary.end, StreamEnd::Complete(Reason::Ok));
    assert_eq!(client.text, format!("{}{DONE}", chunk("hi")));
}

#[test]
fn a_document_that_is_too_large_for_a_stream_says_so() {
    let large = ANSWER.replace("hi", &"x".repeat(5 << 20));
    let (summary, _) = stream(vec![vec![Step::Head(200, JSON), text(&large)]]);
    let StreamEnd::Refused(answer) = &summary.end else {
        panic!("{:?}", summary.end);
    };
    let told = String::from_utf8_lossy(&answer.body);
    assert!(told.contains("4 MiB"), "{told}");
}
