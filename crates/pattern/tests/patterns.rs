//! What expressions mean, and which are refused.

use proptest::prelude::*;
use spillway_pattern::{Pattern, PatternError};

#[test]
fn classes_are_asciis_and_scripts_are_known() {
    for (pattern, fitting, other) in [
        (r"^\d+$", "0123", "٣"),
        (r"^\w+$", "aZ_9", "é"),
        (r"^[\w-]+$", "a-b", "a b"),
        (r"^[^\d\s]$", "x", "7"),
        (r"^\W$", "é", "e"),
        (r"^[\D]$", "٣", "3"),
        (r"^a\sb$", "a\tb", "a\u{a0}b"),
        (r"\bkey\b", "地key地", "keys"),
        (r"a\B", "ab", "a b"),
        (r"^\p{Han}+$", "知识库", "知 识"),
        (r"^\p{Lu}", "Ä", "ä"),
        (r"^\P{Greek}$", "a", "α"),
        (r"^(?i)ärger$", "ÄRGER", "arger"),
        (r"^\\d$", r"\d", "7"),
        (r"^[]\d]+$", "]7", "a"),
        (r"^[^]\d]+$", "a", "]"),
        (r"^\[\d\]$", "[7]", "7"),
        (r"^[[:alpha:]\d]$", "a", "-"),
        (r"^\x{77e5}$", "知", "x"),
    ] {
        let read = Pattern::new(pattern).unwrap();
        assert!(read.is_match(fitting), "{pattern} {fitting}");
        assert!(!read.is_match(other), "{pattern} {other}");
    }
}

#[test]
fn what_is_none_is_told_in_one_line_and_what_is_too_much_is_refused() {
    for (pattern, error) in [
        ("(", "unclosed group"),
        ("[", "unclosed character class"),
        (r"(a)\1", "backreferences are not supported"),
        (
            "(?=a)",
            "look-around, including look-ahead and look-behind, is not supported",
        ),
        (r"\p{Emojis}", "Unicode property not found"),
        (
            r"\p{L}{1,200}",
            "it stands for too many states: write smaller counts, or fewer",
        ),
        (
            "((a{1,100}){1,100}){1,100}",
            "it stands for too many states: write smaller counts, or fewer",
        ),
    ] {
        assert_eq!(
            Pattern::new(pattern).unwrap_err().to_string(),
            error,
            "{pattern}"
        );
    }
    let long = "a".repeat(5000);
    assert_eq!(Pattern::new(&long).unwrap_err(), PatternError::TooLong);
    assert!(Pattern::new(&"(".repeat(500)).is_err());
    assert!(Pattern::new(r"^team-[\w-]{1,200}$").is_ok());
    assert!(Pattern::new(r"^\p{Han}{1,20}$").is_ok());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(pattern in any::<String>(), odd in r"[\\\[\]^()dwsbpL{},0-9*+?|-]{0,40}", text in any::<String>()) {
        for pattern in [pattern, odd] {
            if let Ok(read) = Pattern::new(&pattern) {
                let _ = read.is_match(&text);
            }
        }
    }

    #[test]
    fn what_is_escaped_means_itself(text in "[!-~]{1,30}") {
        let escaped: String = text
            .chars()
            .map(|letter| if letter.is_ascii_punctuation() { format!("\\{letter}") } else { letter.to_string() })
            .collect();
        let read = Pattern::new(&format!("^{escaped}$")).unwrap();
        prop_assert!(read.is_match(&text));
    }
}
