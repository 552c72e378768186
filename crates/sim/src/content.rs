//! What stands in requests and answers, by which each is told from every other.

use memchr::memmem;

/// By this a request is known wherever it turns up.
pub fn mark(number: u32) -> String {
    format!("mark-{number}-")
}

/// The numbers of all marks in a text, each once.
pub fn marks(text: &[u8]) -> Vec<u32> {
    let mut found: Vec<u32> = memmem::find_iter(text, MARK)
        .filter_map(|at| {
            let rest = text.get(at.saturating_add(MARK.len())..)?;
            // What is cut within its number is nobody's.
            let end = rest.iter().position(|byte| *byte == b'-')?;
            std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// With this a mark begins.
const MARK: &[u8] = b"mark-";

/// Words that are awkward to carry: what JSON escapes, and what takes several bytes.
const WORDS: [&str; 8] = [
    "plain",
    "\"said\"",
    "back\\slash",
    "line\nend",
    "é",
    "日本",
    "🚰",
    "data: [DONE]",
];

/// What a model says to a request, in pieces.
pub fn pieces(number: u32) -> Vec<String> {
    let count = usize::try_from(number).unwrap_or_default() % 7;
    let mut pieces = vec![mark(number)];
    let words = WORDS
        .iter()
        .cycle()
        .skip(count)
        .take(count.saturating_add(1));
    pieces.extend(words.map(|word| format!(" {word}")));
    pieces
}

/// The same whole.
pub fn content(number: u32) -> String {
    pieces(number).concat()
}

/// How many tokens the answer to this request has: of some far more than anybody expects.
pub const fn tokens(number: u32) -> u32 {
    5_u32.saturating_add((number % 5).saturating_mul(20))
}
