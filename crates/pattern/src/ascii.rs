//! `\d`, `\w`, `\s` and `\b` of ASCII alone, as RE2 has them (its syntax page, "Perl character classes").

use std::borrow::Cow;

/// The expression with its classes spelt out. Escapes of anything else stay as they are.
pub(crate) fn with_ascii_classes(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut spelt = String::with_capacity(text.len());
    let mut letters = text.chars();
    // How many brackets are open: within them `\b` is no boundary.
    let mut brackets = 0_u32;
    let mut is_first_in_class = false;
    while let Some(letter) = letters.next() {
        let was_first = std::mem::take(&mut is_first_in_class);
        match letter {
            '\\' => match letters.next() {
                Some(escaped) => push_escape(&mut spelt, escaped, brackets > 0),
                None => spelt.push('\\'),
            },
            '[' => {
                brackets = brackets.saturating_add(1);
                is_first_in_class = true;
                spelt.push('[');
            }
            // `[]a]` and `[^]a]` have the bracket as their first letter.
            ']' if was_first => spelt.push(']'),
            ']' => {
                brackets = brackets.saturating_sub(1);
                spelt.push(']');
            }
            '^' if was_first => {
                is_first_in_class = true;
                spelt.push('^');
            }
            other => spelt.push(other),
        }
    }
    Cow::Owned(spelt)
}

fn push_escape(spelt: &mut String, escaped: char, is_in_class: bool) {
    let class = match escaped {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => r"[\t\n\f\r ]",
        'S' => r"[^\t\n\f\r ]",
        // Letters in RE2; beginnings and ends of words in the crate `regex`.
        '<' => "<",
        '>' => ">",
        'b' if !is_in_class => r"(?-u:\b)",
        'B' if !is_in_class => r"(?-u:\B)",
        _ => {
            spelt.push('\\');
            spelt.push(escaped);
            return;
        }
    };
    spelt.push_str(class);
}
