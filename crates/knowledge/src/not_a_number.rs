//! `NaN` and `Infinity` in an engine's answer: Python writes them, JSON has none.

/// The document with `null` in their place; `None` where there are none.
pub(crate) fn replaced(document: &[u8]) -> Option<Vec<u8>> {
    const WORDS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
    let mut written = Vec::with_capacity(document.len());
    let mut rest = document;
    let (mut in_string, mut escaped, mut found) = (false, false, false);
    while let Some((&byte, behind)) = rest.split_first() {
        if !in_string && let Some(behind) = WORDS.iter().find_map(|word| rest.strip_prefix(*word)) {
            written.extend_from_slice(b"null");
            found = true;
            rest = behind;
            continue;
        }
        if byte == b'"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && byte == b'\\' && !escaped;
        written.push(byte);
        rest = behind;
    }
    found.then_some(written)
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_bare_words_are_replaced() {
        let given =
            br#"{"a": NaN, "b": [-Infinity,Infinity], "NaN": "NaN \" Infinity \\", "c":NaN}"#;
        let expected = br#"{"a": null, "b": [null,null], "NaN": "NaN \" Infinity \\", "c":null}"#;
        assert_eq!(replaced(given).as_deref(), Some(&expected[..]));
        assert_eq!(replaced(br#"{"a": "NaN"}"#), None);
    }
}
