//! Each dialect against each: what a provider is sent for a request, and what a client reads of an answer and of a
//! stream. What stands in `*.json` and `*.txt` must give what stands beside it;
//! `UPDATE_GOLDEN=1 cargo test -p spillway-llm --test dialects` writes those anew.
//!
//! Extend a full case rather than add a small one.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use spillway_llm::{
    Dialect, ModelRequest, ModelThere, Operation, Progress, StreamOptionsSent, StreamPipeline,
};

/// Of an answer that is made then.
const NOW: u64 = 1_800_000_000;

/// Those that are translated, and the folder of what their providers say. `requests` is for all of them.
const TRANSLATED: [(Dialect, &str); 1] = [(Dialect::Anthropic, "anthropic")];

/// Each case of these folders, with the dialect that it is in.
fn cases_by_dialect(folder: &str, extension: &str) -> Vec<(Dialect, PathBuf)> {
    let of_each = TRANSLATED.into_iter().flat_map(|(dialect, name)| {
        let cases = cases(&format!("{name}/{folder}"), extension);
        cases.into_iter().map(move |case| (dialect, case))
    });
    of_each.collect()
}

fn cases(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/dialects")
        .join(folder);
    let Ok(files) = fs::read_dir(&folder) else {
        panic!("there is no folder {}", folder.display());
    };
    let mut cases: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    let is_case = |name: &str| {
        let parts: Vec<&str> = name.split('.').collect();
        parts.len() == 2 && parts.last() == Some(&extension)
    };
    cases.retain(|path| {
        path.file_name()
            .is_some_and(|name| is_case(&name.to_string_lossy()))
    });
    cases.sort();
    assert!(cases.len() >= 4, "{folder:?}");
    cases
}

fn assert_golden(case: &Path, extension: &str, actual: &str) {
    let golden = case.with_extension(extension);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, actual).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(actual, expected, "{}", golden.display());
}

/// On lines of its own, numbers and order as written.
fn pretty(json: &[u8]) -> String {
    let mut out = String::new();
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for character in std::str::from_utf8(json).unwrap().chars() {
        if in_text {
            out.push(character);
            in_text = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
            continue;
        }
        match character {
            '{' | '[' => depth = depth.saturating_add(1),
            '}' | ']' => depth = depth.saturating_sub(1),
            '"' => in_text = true,
            _ => {}
        }
        out.push(character);
        if character == ',' && depth <= 2 {
            out.push('\n');
        }
    }
    out.push('\n');
    out
}

/// What is sent for a request, what of it is left out, or why it is refused.
fn sent(dialect: Dialect, body: &Bytes) -> String {
    let request = ModelRequest::parse(body, Operation::ChatCompletions).unwrap();
    let model = ModelThere::Configured("claude-x");
    match dialect.encode(&request, model, StreamOptionsSent::AsAsked) {
        Ok(body) => {
            assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
            let left_out = dialect.left_out(&request).join(", ");
            format!("{}left out: {left_out}\n", pretty(&body))
        }
        Err(error) => format!("refused: {error}\n"),
    }
}

#[test]
fn requests_are_said_in_the_providers_words() {
    for case in cases("requests", "json") {
        let body = Bytes::from(fs::read(&case).unwrap());
        for (dialect, name) in TRANSLATED {
            assert_golden(&case, &format!("{name}.txt"), &sent(dialect, &body));
        }
    }
}

#[test]
fn answers_are_said_in_openais_words() {
    for (dialect, case) in cases_by_dialect("answers", "json") {
        let body = Bytes::from(fs::read(&case).unwrap());
        let said = dialect.decode(body.clone(), NOW);
        assert_golden(&case, "openai.txt", &pretty(said.trim_ascii()));
        assert_eq!(Dialect::OpenAi.decode(body.clone(), NOW), body);
    }
}

/// What a client reads of a stream that comes in pieces of this size, and how it ends.
fn read(dialect: Dialect, stream: &[u8], wants_usage: bool, size: usize) -> String {
    let mut pipeline = StreamPipeline::new(dialect, wants_usage, NOW);
    let mut out = Vec::new();
    let mut progress = Progress::Open;
    for piece in stream.chunks(size) {
        progress = pipeline.push(piece);
        out.extend(pipeline.take_output());
        if progress != Progress::Open {
            break;
        }
    }
    if progress == Progress::Open {
        progress = pipeline.finish();
        out.extend(pipeline.take_output());
    }
    if progress == Progress::Done {
        out.extend(pipeline.take_ending());
    }
    let out = String::from_utf8(out).unwrap();
    format!("{out}-- {progress:?}, {:?}\n", pipeline.usage())
}

#[test]
fn streams_are_said_in_openais_words_however_they_are_cut() {
    for (dialect, case) in cases_by_dialect("streams", "txt") {
        let stream = fs::read(&case).unwrap();
        let whole = read(dialect, &stream, true, stream.len());
        assert_golden(&case, "openai.txt", &whole);
        for size in [1, 7, 100] {
            assert_eq!(read(dialect, &stream, true, size), whole, "{size}");
        }
        let without = read(dialect, &stream, false, 50);
        let usage = whole.lines().filter(|line| line.contains("\"usage\""));
        let without_usage = usage.fold(whole.clone(), |text, line| {
            text.replace(&format!("{line}\n\n"), "")
        });
        assert_eq!(without, without_usage);
    }
}
