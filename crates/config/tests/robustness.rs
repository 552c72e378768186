//! Whatever is read, nothing panics, overflows the stack or grows without bound; and what could be read can be
//! written.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use spillway_config::{normal_form, outbound_hosts, parse_normal_form, read, template};

/// Everything that a document can have.
const VALID: &str = include_str!("documents/everything.yaml");

#[test]
fn what_is_too_large_or_too_deep_is_refused_in_time() {
    let laughs = |levels: usize| {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..levels {
            let below = format!("*a{}", level.saturating_sub(1));
            text += &format!("a{level}: &a{level} [{}]\n", [below.as_str(); 9].join(", "));
        }
        text
    };
    let nested = |levels: usize| {
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..levels {
            text += &format!("a{level}: &a{level} [*a{}]\n", level.saturating_sub(1));
        }
        text
    };
    let block = |levels: usize| {
        (0..levels)
            .map(|level| format!("{}a:\n", " ".repeat(level)))
            .collect::<String>()
    };
    for (text, part) in [
        ("x".repeat(1 << 20) + "x", "more than 1 MiB"),
        (laughs(30), "too large"),
        (nested(200), "inside of one another"),
        (format!("a: &a [{}]\n", "*a,".repeat(9)), "stands inside"),
        (
            format!(
                "a: &a {}\nb: [{}]\n",
                "x".repeat(100_000),
                "*a, ".repeat(10_000)
            ),
            "too large",
        ),
        ("[".repeat(200), "inside of one another"),
        ("[".repeat(100_000), "inside of one another"),
        ("{a: ".repeat(100_000), "inside of one another"),
        ("- ".repeat(100_000), "inside of one another"),
        (block(1_000), "inside of one another"),
        ("? ".repeat(100_000), "inside of one another"),
        ("state:\n  redis: a\0b\n".to_owned(), "NUL"),
    ] {
        let start = Instant::now();
        let diagnostics = read(&text).unwrap_err();
        let message = &diagnostics.last().unwrap().message;
        let beginning: String = text.chars().take(20).collect();
        assert!(message.contains(part), "{beginning}: {message}");
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{beginning}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn many_mistakes_take_no_long_time() {
    let keys: String = (0..20_000)
        .map(|number| format!("key{number}: 1\n"))
        .collect();
    let same: String = "key: 1\n".repeat(20_000);
    let consumers: String = "  - { name: a, credentials: [{ api_key: b }] }\n".repeat(10_000);
    let patterns: String = (0..10_000)
        .map(|number| format!("'a{number}*b*c', "))
        .collect();
    for text in [
        keys,
        same,
        format!("consumers:\n{consumers}"),
        format!(
            "models: [{{ name: m, routes: [{{ match: {{ model: [{patterns}] }}, targets: [] }}, {{ match: {{ model: [{patterns}] }}, targets: [] }}] }}]"
        ),
        format!("consumers: [{}]", "{},".repeat(50_000)),
        format!("consumers: [{}]", "1,".repeat(50_000)),
        "#".repeat(1 << 20),
        "\"".repeat(1 << 19),
        "a".repeat(1 << 20),
        "a ".repeat(1 << 19),
        "\n".repeat(1 << 20),
        "a:\n".repeat(1 << 18),
        "!a ".repeat(1 << 18),
        "&a ".repeat(1 << 18),
        ": ".repeat(1 << 19),
        format!("a: |\n{}", " \n".repeat(1 << 18)),
    ] {
        let start = Instant::now();
        let diagnostics =
            read(&text).map_or_else(|diagnostics| diagnostics, |checked| checked.warnings);
        assert!(diagnostics.len() <= 100);
        let beginning: String = text.chars().take(20).collect();
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{beginning}: {:?}",
            start.elapsed()
        );
    }
}

/// The valid document with pieces of YAML put in or taken out somewhere.
fn mutated() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(String::new()),
        any::<char>().prop_map(String::from),
        prop::sample::select(vec![
            "{{",
            "}}",
            "{{ x }}",
            "{",
            "}",
            "[",
            "]",
            ":",
            ": ",
            "- ",
            "\n",
            "\n  ",
            "\t",
            "'",
            "\"",
            "#",
            "&a ",
            "*services",
            "!x ",
            "---\n",
            "...",
            "|",
            ">",
            "? ",
            "null",
            "~",
            "0",
            "-1",
            "1e999",
            "true",
            "\0",
            "<<: ",
            "name: ",
            "http://",
            "/",
            "..",
            "0x",
            ".inf",
            "%",
            "@",
            "`",
            ",",
        ])
        .prop_map(str::to_owned),
    ];
    let edit = (any::<prop::sample::Index>(), 0..12_usize, piece);
    prop::collection::vec(edit, 1..6).prop_map(|edits| {
        let mut letters: Vec<char> = VALID.chars().collect();
        for (at, removed, piece) in edits {
            let at = at.index(letters.len().saturating_add(1));
            let end = at.saturating_add(removed).min(letters.len());
            letters.splice(at..end, piece.chars());
        }
        letters.into_iter().collect()
    })
}

/// Reads, and holds what comes out against what is promised of it.
fn read_and_check(text: &str) {
    match read(text) {
        Ok(checked) => {
            let json = normal_form(&checked.gateway);
            assert_eq!(parse_normal_form(&json).unwrap(), checked.gateway);
            let resolved = template::resolve(&json, |_| Some("value".to_owned())).unwrap();
            parse_normal_form(&resolved).unwrap();
            outbound_hosts(&checked.gateway);
        }
        Err(diagnostics) => {
            assert!(!diagnostics.is_empty());
            assert!(
                diagnostics.is_sorted_by_key(|diagnostic| (diagnostic.line, diagnostic.column))
            );
            let lines = text.matches(['\n', '\r']).count().saturating_add(1);
            for diagnostic in diagnostics {
                assert!(
                    diagnostic.line >= 1 && diagnostic.line <= lines,
                    "{diagnostic:?}"
                );
                assert!(
                    diagnostic.column >= 1 && !diagnostic.message.is_empty(),
                    "{diagnostic:?}"
                );
            }
        }
    }
}

/// `PROPTEST_CASES` asks for more. What fails is shown and goes into a test, not into a file beside this one.
fn cases(number: u32) -> ProptestConfig {
    let asked = ProptestConfig::default().cases;
    ProptestConfig {
        cases: asked.max(number),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        read_and_check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_yaml_letters_are_read_without_panic(text in "[-\\[\\]{}:?&*!|>'\"#%@`, \n\ta0~<=.]{0,120}") {
        read_and_check(&text);
    }

    #[test]
    fn any_text_is_a_template_or_not(text in "[{} a_\"\\\\n]{0,60}", value in any::<String>()) {
        let names = template::names(&text);
        if let Ok(resolved) = template::resolve(&text, |name| names.contains(name).then(|| value.clone())) {
            prop_assert!(!names.is_empty() || resolved == text);
        }
    }

    #[test]
    fn any_value_stands_in_the_json_as_it_is(value in any::<String>(), before in "[^{\\p{Cc}]{0,8}", after in "[^{}\\p{Cc}]{0,8}") {
        let json = serde_json::json!({ "a": [format!("{before}{{{{ name }}}}{after}")], "b": {"c": {}} }).to_string();
        let resolved = template::resolve(&json, |_| Some(value.clone())).unwrap();
        let resolved: serde_json::Value = serde_json::from_str(&resolved).unwrap();
        prop_assert_eq!(&resolved, &serde_json::json!({ "a": [format!("{before}{}{after}", value.trim())], "b": {"c": {}} }));
    }
}

proptest! {
    #![proptest_config(cases(2048))]

    #[test]
    fn mutated_documents_are_read_without_panic(text in mutated()) {
        read_and_check(&text);
    }
}
