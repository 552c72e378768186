//! The estimate of tokens against OpenAI's own tokenizers.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "a test"
)]

use serde_json::json;
use spillway_llm::{InputEstimate, InputTokens, ModelRequest, Operation};
use spillway_tokens::estimate_tokens;

/// Name, and a text of its kind.
fn texts() -> Vec<(&'static str, String)> {
    let own = |text: &str| text.to_owned();
    vec![
        (
            "English, a manual",
            own(include_str!("../../../docs/operating.md")),
        ),
        (
            "English, dense",
            own(include_str!("../../../docs/failover.md")),
        ),
        ("Rust", own(include_str!("../src/stream.rs"))),
        ("Python", own(include_str!("../../../bench/limit_redis.py"))),
        (
            "YAML",
            own(include_str!("../../../examples/everything/gateway.yaml")),
        ),
        ("JSON", own(include_str!("../../../gateway.schema.json"))),
        (
            "Lua",
            own(include_str!("../../state/src/limit_charge_v5.lua")),
        ),
        ("Chinese", own(include_str!("estimate/chinese.txt"))),
        ("Japanese", own(include_str!("estimate/japanese.txt"))),
        ("Korean", own(include_str!("estimate/korean.txt"))),
        ("German", own(include_str!("estimate/german.txt"))),
        ("French", own(include_str!("estimate/french.txt"))),
        ("Russian", own(include_str!("estimate/russian.txt"))),
        ("Arabic", own(include_str!("estimate/arabic.txt"))),
        ("Hindi", own(include_str!("estimate/hindi.txt"))),
        (
            "Numbers",
            (0..2_000)
                .map(|number| format!("{}, ", number * 7_919 % 100_000))
                .collect(),
        ),
    ]
}

#[test]
fn texts_come_to_no_less_and_not_much_more_than_they_are() {
    let newest = tiktoken_rs::o200k_base().unwrap();
    let older = tiktoken_rs::cl100k_base().unwrap();
    let mut outside = Vec::new();
    for (name, text) in texts() {
        let json = serde_json::to_vec(&text).unwrap();
        let estimate = estimate_tokens(&json, u64::MAX);
        let ratio = |tokens: usize| estimate as f64 / tokens as f64;
        let newest = ratio(newest.encode_ordinary(&text).len());
        let older = ratio(older.encode_ordinary(&text).len());
        println!("{name:20} {newest:5.2} of o200k_base, {older:5.2} of cl100k_base");
        if !(0.95..=1.6).contains(&newest) {
            outside.push(format!("{name}: {newest:.2}"));
        }
    }
    assert!(outside.is_empty(), "{outside:?}");
}

#[test]
fn pictures_and_sounds_count_as_a_whole() {
    let chat = |part: serde_json::Value| {
        let messages = json!([{ "role": "user", "content": [part] }]);
        estimate_tokens(&serde_json::to_vec(&messages).unwrap(), u64::MAX)
    };
    let picture = format!("iVBORw0KGgo{}", "A".repeat(3_000_000));
    let data = format!("data:image/png;base64,{picture}");
    for url in [data.as_str(), "https://pictures.example/cat.png"] {
        let high = chat(json!({ "type": "image_url", "image_url": { "url": url } }));
        assert!((1_000..1_030).contains(&high), "{high}");
        let low = json!({ "type": "image_url", "image_url": { "url": url, "detail": "low" } });
        assert!((100..130).contains(&chat(low)));
    }
    // Six seconds of MP3 at 128 kbit/s.
    let sound = format!("SUQz{}", "A".repeat(96_000 * 4 / 3));
    let sound =
        chat(json!({ "type": "input_audio", "input_audio": { "data": sound, "format": "mp3" } }));
    assert!((192..400).contains(&sound), "{sound}");
    // RIFF, a length, WEBP: a picture; WAVE: a sound.
    for (beginning, is_picture) in [("UklGRiQQAABXRUJQ", true), ("UklGRiQQAABXQVZF", false)] {
        let data = format!("{beginning}{}", "A".repeat(60_000));
        let tokens = chat(json!({ "type": "image", "source": { "type": "base64", "data": data } }));
        assert_eq!(tokens >= 1_000, is_picture, "{tokens}");
    }
    let link = chat(json!({ "type": "text", "text": "see https://pictures.example/cat.png" }));
    assert!(link < 40, "{link}");
}

#[test]
fn escapes_are_what_they_stand_for() {
    let text = "中文也是一样的。\n\"und\" 😀 ü";
    let plain = serde_json::to_string(text).unwrap();
    let escaped: String = plain
        .chars()
        .flat_map(|letter| {
            let units = letter.encode_utf16(&mut [0; 2]).to_vec();
            let escapes = units.into_iter().map(|unit| format!("\\u{unit:04x}"));
            if letter.is_ascii() {
                vec![letter.to_string()]
            } else {
                escapes.collect()
            }
        })
        .collect();
    let [plain, escaped] = [plain, escaped].map(|json| estimate_tokens(json.as_bytes(), u64::MAX));
    assert_eq!(plain, escaped);
}

#[test]
fn vectors_of_tokens_are_counted_and_nothing_is_too_odd() {
    let input: Vec<u32> = (0..500).collect();
    let tokens = estimate_tokens(&serde_json::to_vec(&input).unwrap(), u64::MAX);
    assert!((500..503).contains(&tokens), "{tokens}");
    for odd in [
        "",
        "\"",
        "\"\\",
        "\"\\u",
        "\"\\u12",
        "{",
        "[\"a",
        "\"\u{10ffff}\"",
        "null",
    ] {
        estimate_tokens(odd.as_bytes(), u64::MAX);
        estimate_tokens(&[odd.as_bytes(), &[0xff, 0xe4, 0x22]].concat(), 7);
    }
}

#[test]
fn what_is_above_all_that_matters_is_not_read() {
    let text = serde_json::to_vec(&"many words ".repeat(5_000_000)).unwrap();
    let estimate = estimate_tokens(&text, 1_000);
    // A piece is weighed whole.
    assert!((1_001..6_000).contains(&estimate), "{estimate}");
}

#[test]
fn a_long_text_cannot_pass_for_something_else() {
    let text = "many words ".repeat(1_000);
    let written =
        |value: serde_json::Value| estimate_tokens(&serde_json::to_vec(&value).unwrap(), u64::MAX);
    let plain = written(json!([{ "role": "user", "content": text }]));
    for content in [
        json!(format!("data:image/png;base64,{text}")),
        json!([{ "type": "text", "text": format!("data:audio/mp3;base64,{text}") }]),
        json!([{ "text": text, "type": "text", "detail": "low" }]),
        json!([{ "type": "text", "text": format!("image_url {text}") }, { "image_url": { "a": "b" } }]),
        // Anthropic's plain texts.
        json!([{ "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": text } }]),
        json!([{ "image_url": { "url": format!("https://x/{text}") } }, { "image_url": text }]),
        json!([{ "file": { "file_data": format!("data:application/pdf;base64,{text}") } }]),
    ] {
        let disguised = written(json!([{ "role": "user", "content": content }]));
        assert!(disguised >= plain, "{disguised} of {plain}");
    }
}

#[test]
fn of_a_request_all_that_a_model_may_read_counts() {
    let long = "many words ".repeat(1_000);
    let body = |members: &str| {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        let body = bytes::Bytes::from(body);
        let request = ModelRequest::parse(&body, Operation::ChatCompletions).unwrap();
        let mut estimate =
            InputEstimate::new(&request, Operation::ChatCompletions, InputTokens::ANY);
        (0..1_000).find_map(|_| estimate.step()).unwrap().total
    };
    for members in [
        format!(r#""messages":[{{"role":"user","content":"{long}"}}]"#),
        format!(r#""messages":[],"messages":["{long}"]"#),
        format!(r#""messages":["{long}"],"messages":[]"#),
        format!(r#""Messages":["{long}"]"#),
        format!(r#""prompt":"{long}""#),
        format!(r#""tools":[{{"description":"{long}"}}]"#),
        format!(r#""system":"{long}""#),
    ] {
        let tokens = body(&members);
        assert!(
            (2_000..3_000).contains(&tokens),
            "{tokens}: {}",
            &members[..40]
        );
    }
    assert!(body(&format!(r#""metadata":{{"a":"{long}"}}"#)) < 10);
}

#[test]
fn white_space_has_a_length() {
    for (space, least) in [
        ("\t ".repeat(10_000), 9_000),
        ("\n".repeat(100_000), 6_000),
        (" ".repeat(100_000), 700),
        ("\u{a0}".repeat(10_000), 1_200),
    ] {
        let json = serde_json::to_vec(&space).unwrap();
        let tokens = estimate_tokens(&json, u64::MAX);
        assert!(tokens >= least, "{tokens} of {least}");
    }
}

#[test]
fn of_texts_that_are_embedded_each_has_to_fit() {
    let text = "many words ".repeat(100);
    let of = |operation, body: serde_json::Value| {
        let body = bytes::Bytes::from(serde_json::to_vec(&body).unwrap());
        let request = ModelRequest::parse(&body, operation).unwrap();
        let mut estimate = InputEstimate::new(&request, operation, InputTokens::ANY);
        (0..1_000).find_map(|_| estimate.step()).unwrap()
    };
    let embedded = |input: serde_json::Value| {
        of(
            Operation::Embeddings,
            json!({ "model": "m", "input": input }),
        )
    };
    let embeds = |input: serde_json::Value| embedded(input).largest;
    let all = embedded(json!([text, text, text])).total;
    assert!((600..900).contains(&all), "{all}");
    let one = embeds(json!(text));
    assert!((200..300).contains(&one), "{one}");
    for input in [
        json!([text, text, text]),
        json!(["a", text, "b", "c"]),
        json!([text]),
    ] {
        let tokens = embeds(input);
        assert!(tokens.abs_diff(one) < 5, "{tokens} of {one}");
    }
    let ids: Vec<u32> = (0..100).collect();
    assert!(embeds(json!(ids)).abs_diff(100) < 3);
    assert!(embeds(json!([ids, ids])).abs_diff(100) < 5);
    let prompts = json!({ "model": "m", "prompt": [text, text] });
    let prompts = of(Operation::Completions, prompts);
    assert!(prompts.largest.abs_diff(one) < 5);
    let messages = json!({ "model": "m", "messages": [text, text] });
    let messages = of(Operation::ChatCompletions, messages);
    assert!(messages.largest > one + one / 2);
}
