//! The parsers, each with good input to break.

use spillway_forward::{ForwardedHeaders, PeerTrust, Router};
use spillway_llm::{
    Dialect, ModelRequest, ModelThere, Operation, StreamOptionsSent, StreamPipeline, inspect,
};
use spillway_platform::{Headers, RequestHead};
use spillway_sse::Reader;

/// One parser.
pub struct Target {
    /// What is fuzzed.
    pub name: &'static str,
    /// Good input.
    pub samples: &'static [&'static str],
    /// Must come back, whatever the input.
    pub run: fn(&[u8]),
}

/// All of them.
pub fn all() -> [Target; 5] {
    [
        Target {
            name: "event streams",
            samples: &STREAMS,
            run: event_stream,
        },
        Target {
            name: "configuration",
            samples: &CONFIGURATIONS,
            run: configuration,
        },
        Target {
            name: "paths and forwarded headers",
            samples: &PATHS,
            run: path,
        },
        Target {
            name: "credentials",
            samples: &CREDENTIALS,
            run: credentials,
        },
        Target {
            name: "JSON bodies",
            samples: &BODIES,
            run: body,
        },
    ]
}

const STREAMS: [&str; 4] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"input\":{}}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":2}}\n\n",
    "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"grüße\"}}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n",
    "event: message\r\nid: 4\r\ndata: {\"choices\":[{\"text\":\"a\",\"finish_reason\":\"stop\"}]}\r\n\r\n: ping\r\n\r\n",
    "data: {\"error\":{\"message\":\"overloaded\"}}\n\ndata: {\n\ndata: \"choices\": []}\n\n",
];

const CONFIGURATIONS: [&str; 2] = [
    include_str!("../../gateway.yaml"),
    "consumers:\n  - name: dify\n    credentials: [{ api_key: \"{{ dify_key }}\" }]\nagents:\n  - name: dify\n    domains: [\"*.example.com\"]\n    base_path: /x\n    services: { api: http://api:5001 }\n    routes:\n      - { name: a, path: { exact: /v1 }, match: { headers: { a: { prefix: b } } }, service: api }\nmodels:\n  - name: llm\n    policies: { auth: [dify] }\n    routes:\n      - targets: [{ provider: p, timeout: 5s }]\n        fallback: { on: [connect_error, \"5xx\"] }\nproviders:\n  - { name: p, base_url: https://p.example.com/v1 }\n",
];

const PATHS: [&str; 3] = [
    "/v1/chat-messages?a=b&a=%C3%BC+x\nh.example.com:8080\n198.51.100.9, 203.0.113.5",
    "/team/%2e%2e/console/api\n[::1]:3000\nfor=1",
    "/e/hook;..;/x\n*.example.com\n::ffff:10.0.0.1",
];

const CREDENTIALS: [&str; 2] = [
    "/dify-llm/v1/chat/completions?a=b&a=%zz&key=x\nak1\n5bvSVrtfLKK9jmAD9yMlTNkWkPYYR14pVJa2a01arrw=\nx-ca-key,x-ca-nonce,x-ca-timestamp\n1767323045000\nFri, 02 Jan 2026 03:04:05 GMT",
    "/\nak1\nAAAA\n,,x-ca-key,\n-1\nnever",
];

const BODIES: [&str; 5] = [
    r#"{"model":"c","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]},{"role":"assistant","tool_calls":[{"id":"t","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"t","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"stop":["a"],"tool_choice":"auto"}"#,
    r#"{"id":"m","type":"message","model":"c","content":[{"type":"thinking","thinking":"h"},{"type":"text","text":"t"},{"type":"tool_use","id":"t","name":"f","input":{"a":1}}],"stop_reason":"end_turn","usage":{"input_tokens":1}}"#,
    r#"{"model":"gpt-4o","messages":[{"role":"user","content":"gr\u00fc\u00dfe 😀"}],"stream":true,"stream_options":{"include_usage":true}}"#,
    r#"{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"content":"hi","tool_calls":[{"id":"a"}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1.0,"completion_tokens":null}}"#,
    r#"{"error":{"message":"m","type":"t"},"model":"m","mod\u0065l":7}"#,
];

fn event_stream(input: &[u8]) {
    let cut = input.len() / 3;
    let (first, second) = input.split_at(cut);
    let mut reader = Reader::with_limit(512);
    // An oversized event is an answer, too, here and below.
    let _ = reader.push(first);
    let _ = reader.push(second);
    let _ = reader.finish();
    while reader.next_event().is_some() {}
    for dialect in Dialect::ALL {
        let mut chunks = StreamPipeline::new(dialect, true, 0);
        let _ = chunks.push(first);
        let _ = chunks.push(second);
        let _ = chunks.finish();
        drop(chunks.take_ending());
    }
}

fn configuration(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let _ = spillway_config::parse_normal_form(&text);
    let _ = spillway_config::template::resolve(&text, |name| Some(name.to_owned()));
    if let Ok(checked) = spillway_config::read(&text) {
        let normal = spillway_config::normal_form(&checked.gateway);
        let again = spillway_config::parse_normal_form(&normal);
        assert_eq!(
            again.ok().as_ref(),
            Some(&checked.gateway),
            "the normal form reads back as it was"
        );
    }
}

fn path(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default().to_owned();
    let path_and_query = format!("/{}", next());
    let authority = next();
    let headers = vec![
        ("x-forwarded-for".to_owned(), next().into_bytes()),
        ("accept".to_owned(), input.to_vec()),
    ];
    let request = RequestHead {
        method: http::Method::GET,
        scheme: "http".to_owned(),
        authority,
        path_and_query,
        headers: Headers::from_list(headers),
        peer: Some(([10, 0, 0, 1], 4000).into()),
    };
    let trust: Vec<_> = "10.0.0.0/8".parse().into_iter().collect();
    let claims = ForwardedHeaders::of(&request, &PeerTrust::new(&trust));
    let mut sent = request.headers.clone();
    claims.apply(&mut sent);
    let _ = claims.host_name();
    let gateway = serde_json::from_str::<spillway_config::Gateway>(
        r#"{"agents":[{"name":"a","domains":["*.example.com"],"services":{"api":"http://a","web":"http://w"}},
            {"name":"b","base_path":"/team","services":{"api":"http://a"},
             "routes":[{"name":"r","path":"/v1","service":"api","match":{"query":{"a":{"prefix":"b"}}}}]}]}"#,
    )
    .unwrap_or_default();
    if let Ok(router) = Router::new(&gateway.agents) {
        let _ = router.route(&request, &claims.host);
    }
}

fn credentials(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let path_and_query = format!("/{}", lines.next().unwrap_or_default());
    let names = [
        "x-ca-key",
        "x-ca-signature",
        "x-ca-signature-headers",
        "x-ca-timestamp",
        "date",
        "authorization",
    ];
    let headers = names
        .into_iter()
        .zip(lines)
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let request = RequestHead {
        method: http::Method::POST,
        scheme: "http".to_owned(),
        authority: "gateway".to_owned(),
        path_and_query,
        headers: Headers::from_list(headers.collect()),
        peer: None,
    };
    let consumers = serde_json::from_str::<Vec<spillway_config::Consumer>>(
        r#"[{"name":"c","credentials":[{"hmac":{"access_key":"ak1","secret_key":"sk1"}},{"api_key":"k1"}]}]"#,
    )
    .unwrap_or_default();
    let now = std::time::Duration::from_millis(1_767_323_045_000);
    let directory = spillway_identity::Directory::new(&consumers);
    drop(directory.identify(&request, Some("key"), now));
}

fn body(input: &[u8]) {
    let _ = spillway_tokens::estimate_tokens(input, u64::MAX);
    spillway_dify::end_user(input);
    let _ = inspect(input);
    let _ = spillway_llm::as_document(input);
    let answer = bytes::Bytes::copy_from_slice(input);
    for dialect in Dialect::ALL {
        drop(dialect.decode(answer.clone(), 0));
    }
    let parameters = serde_json::from_str(
        r#"{"defaults":{"a":1},"caps":{"max_tokens":5},"forced":{"b":true,"user":null}}"#,
    );
    let bytes = bytes::Bytes::copy_from_slice(input);
    if let Ok(mut request) = ModelRequest::parse(&bytes, Operation::ChatCompletions)
        && let Ok(parameters) = parameters
    {
        request.apply(&parameters, Operation::ChatCompletions);
    }
    if let Ok(request) = ModelRequest::parse(&bytes, Operation::ChatCompletions) {
        // What is passed on unread may be JSON that serde_json itself would not read: then it came so.
        let is_json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).is_ok();
        assert!(
            is_json(&request.body_for(ModelThere::Configured("m"), StreamOptionsSent::WithUsage))
                || !is_json(input)
        );
        for dialect in Dialect::ALL {
            if let Ok(body) =
                dialect.encode(&request, ModelThere::AsAsked, StreamOptionsSent::AsAsked)
            {
                assert!(is_json(&body) || !is_json(input));
            }
        }
    }
}
