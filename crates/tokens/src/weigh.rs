//! What a text weighs.

use crate::weights::{CharacterClass, class_of};

/// In hundredths of a token.
pub type Hundredths = u64;

/// A space before a number.
const SPACE_BEFORE_DIGITS: Hundredths = 85;

/// What a text weighs, as it stands between quotation marks.
pub fn weigh(text: &[u8]) -> Hundredths {
    weigh_with(text, true)
}

/// What a text weighs, as it is meant.
pub fn weigh_text(text: &str) -> Hundredths {
    weigh_with(text.as_bytes(), false)
}

fn weigh_with(text: &[u8], has_escapes: bool) -> Hundredths {
    let (mut sum, mut run, mut length): (Hundredths, CharacterClass, u64) =
        (0, CharacterClass::Space, 0);
    let mut rest = text;
    while let Some((class, count, after)) = class_of(rest, has_escapes) {
        rest = after;
        if class == run && class.is_in_runs() {
            length = length.saturating_add(count);
            continue;
        }
        sum = sum.saturating_add(run.weight(length));
        if (run, length, class) == (CharacterClass::Space, 1, CharacterClass::Digit) {
            // A space goes with the word after it, but with no number.
            sum = sum.saturating_add(SPACE_BEFORE_DIGITS);
        }
        (run, length) = (class, count);
    }
    sum.saturating_add(run.weight(length))
}
