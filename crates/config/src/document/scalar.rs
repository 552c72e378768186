//! What an unquoted YAML scalar means: the core schema of YAML 1.2.

use super::node::Content;

/// Null, a truth value, a number or, for everything else, the text itself.
pub(super) fn resolve(text: &str) -> Content {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Content::Null,
        "true" | "True" | "TRUE" => return Content::Bool(true),
        "false" | "False" | "FALSE" => return Content::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Content::Float(f64::NAN),
        _ => {}
    }
    number(text).unwrap_or_else(|| Content::Text(text.to_owned()))
}

/// The text of a mapping's key; none for what is no text and no number.
pub(super) fn key_text(content: &Content) -> Option<String> {
    match content {
        Content::Text(text) => Some(text.clone()),
        Content::Bool(value) => Some(value.to_string()),
        Content::Unsigned(number) => Some(number.to_string()),
        Content::Signed(number) => Some(number.to_string()),
        Content::Float(number) => Some(number.to_string()),
        Content::Null | Content::List(_) | Content::Map(_) | Content::Dropped => None,
    }
}

fn number(text: &str) -> Option<Content> {
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(Content::Float(f64::INFINITY));
    }
    // Rust also reads `inf` and `nan` as numbers, which YAML takes for text.
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        || text.contains('_')
    {
        return None;
    }
    let integer = text
        .parse()
        .map(Content::Unsigned)
        .or_else(|_| text.parse().map(Content::Signed));
    integer.or_else(|_| text.parse().map(Content::Float)).ok()
}

fn radix(digits: &str, radix: u32) -> Option<Content> {
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix)
        .ok()
        .map(Content::Unsigned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_mean_what_the_core_schema_says() {
        for (text, expected) in [
            ("", "Null"),
            ("~", "Null"),
            ("true", "Bool(true)"),
            ("12", "Unsigned(12)"),
            ("-12", "Signed(-12)"),
            ("+12", "Unsigned(12)"),
            ("0x1F", "Unsigned(31)"),
            ("0o17", "Unsigned(15)"),
            ("1.5", "Float(1.5)"),
            ("1e3", "Float(1000.0)"),
            ("-.inf", "Float(inf)"),
            ("yes", "Text(\"yes\")"),
            ("on", "Text(\"on\")"),
            ("5xx", "Text(\"5xx\")"),
            ("5s", "Text(\"5s\")"),
            ("inf", "Text(\"inf\")"),
            ("nan", "Text(\"nan\")"),
            ("1_000", "Text(\"1_000\")"),
            ("0x-1", "Text(\"0x-1\")"),
            ("+-1", "Text(\"+-1\")"),
            ("-", "Text(\"-\")"),
            (".", "Text(\".\")"),
            ("10.0.0.0/8", "Text(\"10.0.0.0/8\")"),
            ("1.2.3", "Text(\"1.2.3\")"),
        ] {
            assert_eq!(format!("{:?}", resolve(text)), expected, "{text}");
        }
    }
}
