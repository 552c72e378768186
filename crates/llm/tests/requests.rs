//! Requests: what is read, what is refused, and what is sent on.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::value::RawValue;
use spillway_config::Parameters;
use spillway_llm::{ModelRequest, ModelThere, Operation, RequestScan, StreamOptionsSent};

fn parse(body: &str) -> Result<ModelRequest, spillway_llm::RequestError> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    ModelRequest::parse(&body, Operation::ChatCompletions)
}

fn sent(body: &str, model: &str) -> String {
    String::from_utf8(
        parse(body)
            .unwrap()
            .body_for(ModelThere::Configured(model), StreamOptionsSent::WithUsage),
    )
    .unwrap()
}

#[test]
fn what_the_gateway_does_not_read_keeps_its_bytes_and_order() {
    let body = r#"{"unheard_of":[1.50,{"a" : 1e400}],"model":"gpt","messages":[{"role":"user","content":"gr\u00fc\u00dfe 😀"}],"x":null}"#;
    assert_eq!(sent(body, "gpt"), body);
    assert_eq!(sent(body, "o\"1"), body.replace("\"gpt\"", "\"o\\\"1\""));
}

#[test]
fn a_target_that_names_its_model_is_asked_for_no_other_one() {
    let body = r#"{"model":"m","models":["m","dear"],"fallbacks":["dear"],"n":1}"#;
    assert_eq!(sent(body, "m"), r#"{"model":"m","n":1}"#);
    assert_eq!(parse(body).unwrap().other_models, ["m", "dear", "dear"]);
    for (fallbacks, names) in [
        (
            r#"[{"model":"a","api_base":"http://x"},"b"]"#,
            Some(vec!["a", "b"]),
        ),
        (r#"[{"m":["a","b"]}]"#, Some(vec!["a", "b"])),
        ("null", Some(vec![])),
        (r#"[{"model":7}]"#, None),
        (r#""a""#, None),
        ("[7]", None),
    ] {
        let read = parse(&format!(r#"{{"model":"m","fallbacks":{fallbacks}}}"#));
        assert_eq!(
            read.ok().map(|read| read.other_models),
            names.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>()),
            "{fallbacks}"
        );
    }
    let as_asked = parse(body)
        .unwrap()
        .body_for(ModelThere::AsAsked, StreamOptionsSent::WithUsage);
    assert_eq!(String::from_utf8(as_asked).unwrap(), body);
}

#[test]
fn a_stream_asks_for_its_usage_and_keeps_the_clients_other_options() {
    assert_eq!(
        sent(r#"{"model":"m","stream":true}"#, "m"),
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#
    );
    assert_eq!(
        sent(
            r#"{"stream_options":{"include_obfuscation":false,"include_usage":false},"stream":true,"model":"m"}"#,
            "m"
        ),
        r#"{"stream":true,"model":"m","stream_options":{"include_obfuscation":false,"include_usage":true}}"#
    );
    let asked =
        parse(r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#).unwrap();
    assert!(asked.wants_usage && asked.stream);
    assert!(
        !parse(r#"{"model":"m","stream":null,"stream_options":null}"#)
            .unwrap()
            .stream
    );
    let embedding = ModelRequest::parse(
        &Bytes::from_static(br#"{"model":"m","stream":true}"#),
        Operation::Embeddings,
    )
    .unwrap();
    assert!(!embedding.stream, "embeddings are never streamed");
}

#[test]
fn doubled_and_escaped_members_cannot_make_gateway_and_provider_read_differently() {
    let body = r#"{"model":"cheap","mod\u0065l":"dear","stream":false,"stream":true}"#;
    assert_eq!(parse(body).unwrap().model, "dear");
    assert_eq!(
        sent(body, "dear"),
        r#"{"model":"dear","stream":true,"stream_options":{"include_usage":true}}"#
    );
}

#[test]
fn names_in_another_case_cannot_make_gateway_and_provider_read_differently() {
    for (body, expected) in [
        (
            r#"{"model":"gpt-small","Model":"gpt-big","MODEL":"x","x":1,"X":2}"#,
            r#"{"model":"m","x":1,"X":2,"max_tokens":100}"#,
        ),
        (
            r#"{"model":"m","Stream":true,"\u017ftream":true,"stream_option\u017f":{}}"#,
            r#"{"model":"m","max_tokens":100}"#,
        ),
        (
            r#"{"model":"m","Max_Tokens":9,"max_to\u212aens":9,"MAX_COMPLETION_TOKENS":9}"#,
            r#"{"model":"m","max_tokens":100}"#,
        ),
        (
            r#"{"model":"m","max_tokens":9,"max_to\u212aens":900}"#,
            r#"{"model":"m","max_tokens":9}"#,
        ),
        (
            r#"{"model":"m","User":"u","u\u017fer":"u","TopK":1,"topk":900,"TopP":1,"ä":0}"#,
            r#"{"model":"m","TopP":1,"ä":0,"max_tokens":100}"#,
        ),
        (
            r#"{"model":"m","stream":true,"stream_options":{"Include_Usage":false,"a":1}}"#,
            r#"{"model":"m","stream":true,"max_tokens":100,"stream_options":{"a":1,"include_usage":true}}"#,
        ),
    ] {
        let parameters: Parameters = serde_json::from_str(
            r#"{"caps":{"max_tokens":100},"forced":{"user":null,"topK":null}}"#,
        )
        .unwrap();
        let mut request = parse(body).unwrap();
        request.apply(&parameters, Operation::ChatCompletions);
        let sent = String::from_utf8(
            request.body_for(ModelThere::Configured("m"), StreamOptionsSent::WithUsage),
        )
        .unwrap();
        assert_eq!(sent, expected, "{body}");
    }
    let error = parse(r#"{"Model":"m"}"#).unwrap_err();
    assert_eq!(error.param, Some("model"));
}

#[test]
fn mistakes_are_named() {
    for (body, message, param) in [
        ("", "The request has no body. Send a JSON object.", None),
        (
            "{\"model\":",
            "it ends where a value should follow, at line 1 column 9",
            None,
        ),
        (
            "{\n  \"model\" \"m\"}",
            "expected `:` at line 2 column 11",
            None,
        ),
        ("[]", "expected `{` at line 1 column 1", None),
        ("{}", "`model` is missing", Some("model")),
        (r#"{"model":""}"#, "`model` must be a string", Some("model")),
        (r#"{"model":7}"#, "`model` must be a string", Some("model")),
        (
            r#"{"model":"m","stream":"yes"}"#,
            "`stream` must be true or false",
            Some("stream"),
        ),
        (
            r#"{"model":"m","stream_options":[]}"#,
            "`stream_options` must be an object whose",
            Some("stream_options"),
        ),
        (
            r#"{"model":"m"} x"#,
            "expected the end at line 1 column 15",
            None,
        ),
    ] {
        let error = parse(body).unwrap_err();
        assert!(error.message.contains(message), "{body}: {}", error.message);
        assert_eq!(error.param, param, "{body}");
    }
}

#[test]
fn parameters_are_defaulted_capped_and_forced() {
    let parameters: Parameters = serde_json::from_str(
        r#"{"defaults":{"temperature":0.7,"tags":["a"]},"caps":{"max_tokens":100,"n":2},"forced":{"store":false,"user":null}}"#,
    )
    .unwrap();
    let sent = |body: &str| {
        let mut request = parse(body).unwrap();
        request.apply(&parameters, Operation::ChatCompletions);
        String::from_utf8(
            request.body_for(ModelThere::Configured("m"), StreamOptionsSent::WithUsage),
        )
        .unwrap()
    };
    for (body, expected) in [
        (
            r#"{"model":"m","x":1.50}"#,
            r#"{"model":"m","x":1.50,"tags":["a"],"temperature":0.7,"max_tokens":100,"n":2,"store":false}"#,
        ),
        (
            r#"{"model":"m","temperature":0,"tags":null,"max_tokens":50,"n":1,"user":"u","store":true}"#,
            r#"{"model":"m","temperature":0,"tags":null,"max_tokens":50,"n":1,"store":false}"#,
        ),
        (
            r#"{"model":"m","max_completion_tokens":500,"n":9,"tags":[],"temperature":1}"#,
            r#"{"model":"m","max_completion_tokens":100,"n":2,"tags":[],"temperature":1,"store":false}"#,
        ),
        (
            r#"{"model":"m","max_tokens":1,"max_tokens":1e9,"n":"many","tags":0,"temperature":1}"#,
            r#"{"model":"m","max_tokens":100,"n":2,"tags":0,"temperature":1,"store":false}"#,
        ),
        (
            r#"{"model":"m","max_tokens":-1,"max_completion_tokens":0,"n":-0.5,"tags":0,"temperature":1}"#,
            r#"{"model":"m","max_tokens":100,"max_completion_tokens":0,"n":2,"tags":0,"temperature":1,"store":false}"#,
        ),
        (
            r#"{"model":"m","max_tokens":null,"n":1,"tags":0,"temperature":1}"#,
            r#"{"model":"m","max_tokens":100,"n":1,"tags":0,"temperature":1,"store":false}"#,
        ),
    ] {
        assert_eq!(sent(body), expected, "{body}");
    }
    let mut vectors = parse(r#"{"model":"m","n":1,"tags":0,"temperature":1}"#).unwrap();
    vectors.apply(&parameters, Operation::Embeddings);
    assert_eq!(
        String::from_utf8(
            vectors.body_for(ModelThere::Configured("m"), StreamOptionsSent::WithUsage)
        )
        .unwrap(),
        r#"{"model":"m","n":1,"tags":0,"temperature":1,"store":false}"#,
        "an embedding has no length of its output"
    );
    let parameters: Parameters = serde_json::from_str(
        r#"{"defaults":{"max_tokens":7},"forced":{"max_completion_tokens":9}}"#,
    )
    .unwrap();
    let mut request = parse(r#"{"model":"m","max_tokens":5}"#).unwrap();
    request.apply(&parameters, Operation::ChatCompletions);
    assert_eq!(
        String::from_utf8(
            request.body_for(ModelThere::Configured("m"), StreamOptionsSent::WithUsage)
        )
        .unwrap(),
        r#"{"model":"m","max_completion_tokens":9}"#
    );
    let parameters: Parameters = serde_json::from_str(r#"{"forced":{"max_tokens":null}}"#).unwrap();
    let mut request = parse(r#"{"model":"m","max_tokens":5,"max_completion_tokens":5}"#).unwrap();
    request.apply(&parameters, Operation::ChatCompletions);
    assert_eq!(
        String::from_utf8(
            request.body_for(ModelThere::Configured("m"), StreamOptionsSent::WithUsage)
        )
        .unwrap(),
        r#"{"model":"m"}"#,
        "both names are one"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ModelRequest::parse(&Bytes::from(body), Operation::ChatCompletions);
    }

    /// What is refused for its form is what another reader refuses, too.
    #[test]
    fn json_is_what_serde_takes_for_it(text in r#"([\[\]{}:,"0-9.eE+ \\\t\n\x01\x0b\x0cu01afné-]|true|false|null|""|:0){0,12}"#) {
        let body = format!("{{\"model\":\"m\",\"x\":{text}}}");
        let serde = serde_json::from_str::<std::collections::BTreeMap<String, &RawValue>>(&body);
        let read = parse(&body);
        prop_assert_eq!(serde.is_ok(), read.is_ok(), "{}: {:?} {:?}", body, serde.err(), read.err());
    }

    #[test]
    fn what_is_sent_is_json_again(text in "[a-z{}\\[\\]:,\"0-9\\\\]{0,60}", model in ".{1,20}") {
        let body = format!("{{\"model\":{},\"stream\":true,\"x\":{text}}}", serde_json::Value::from(model.clone()));
        if let Ok(request) = parse(&body) {
            let sent: serde_json::Value = serde_json::from_slice(&request.body_for(ModelThere::Configured(&model), StreamOptionsSent::WithUsage)).unwrap();
            prop_assert_eq!(&sent["model"], &serde_json::Value::from(model));
            prop_assert_eq!(&sent["stream_options"]["include_usage"], &serde_json::Value::from(true));
        }
    }
}

#[test]
fn a_name_is_512_bytes_at_most() {
    let body = |model: &str| format!(r#"{{"model":"{model}"}}"#);
    assert_eq!(parse(&body(&"x".repeat(512))).unwrap().model.len(), 512);
    // As JSON may write it, six bytes for each.
    assert_eq!(
        parse(&body(&"\\u0078".repeat(512))).unwrap().model.len(),
        512
    );
    for model in ["x".repeat(513), "\\u0078".repeat(513), "x".repeat(1 << 20)] {
        let error = parse(&body(&model)).unwrap_err();
        assert_eq!(error.param, Some("model"));
        assert!(error.message.contains("512 bytes"), "{}", error.message);
    }
}

#[test]
fn members_are_a_thousand_at_most() {
    let body = |count: usize| format!(r#"{{"model":"m"{}}}"#, r#","":0"#.repeat(count));
    assert!(parse(&body(999)).is_ok());
    let error = parse(&body(1_000)).unwrap_err();
    assert!(
        error.message.contains("more than 1,000 members"),
        "{}",
        error.message
    );
}

#[test]
fn a_large_body_is_read_in_steps_and_is_the_same() {
    // Characters of three bytes, so that steps end within them.
    let body = format!(
        r#"{{"a":"{}","model":"m","b":[1,2]}}"#,
        "\u{20ac}".repeat(1 << 20)
    );
    let mut scan = RequestScan::new(Bytes::from(body.clone()), Operation::ChatCompletions);
    let mut steps = 1;
    let request = loop {
        match scan.step() {
            Some(read) => break read.unwrap(),
            None => steps += 1,
        }
    };
    assert_eq!(steps, 4);
    assert_eq!(
        request.body_for(ModelThere::Configured("m"), StreamOptionsSent::WithUsage),
        body.as_bytes()
    );
    let mut bytes = body.into_bytes();
    bytes[(1 << 20) + 1] = b'x';
    let error = ModelRequest::parse(&Bytes::from(bytes), Operation::ChatCompletions).unwrap_err();
    assert!(
        error
            .message
            .contains("expected UTF-8 at line 1 column 104857"),
        "{}",
        error.message
    );
}

#[test]
fn deep_nesting_and_long_names_end_somewhere() {
    let body = |depth: usize| {
        format!(
            r#"{{"model":"m","x":{}{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert!(parse(&body(9_999)).is_ok());
    assert!(
        parse(&body(10_000))
            .unwrap_err()
            .message
            .contains("10,000 levels")
    );
    let error = parse(&format!(r#"{{"model":"m","{}":1}}"#, "x".repeat(2_000))).unwrap_err();
    assert!(error.message.contains("1,024 bytes"), "{}", error.message);
}
