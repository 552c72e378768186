//! How far a text goes without anything that JSON reads in it.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The bytes before the first `"`, `\` or control character.
///
/// Eight at a time: subtracting borrows into a byte's high bit where it is less than what is subtracted, or nought
/// (Hacker's Delight, section 6-1). Only bytes above a true one can be taken for one wrongly, so the lowest is right.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut length: usize = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let special = (is_nought(word ^ of(b'"'))
            | is_nought(word ^ of(b'\\'))
            | (word.wrapping_sub(of(0x20)) & !word))
            & HIGHS;
        if special != 0 {
            let before = special.trailing_zeros() >> 3;
            return length.saturating_add(usize::try_from(before).unwrap_or_default());
        }
        length = length.saturating_add(8);
    }
    let plain = rest
        .iter()
        .take_while(|byte| !matches!(byte, b'"' | b'\\' | ..0x20))
        .count();
    length.saturating_add(plain)
}

const fn of(byte: u8) -> u64 {
    ONES.wrapping_mul(byte as u64)
}

const fn is_nought(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_byte_by_byte(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x1e..0x24u8, 0x5a..0x5eu8, 0x7e..0x82u8], 0..40)) {
            let expected = bytes.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | ..0x20)).count();
            prop_assert_eq!(plain_length(&bytes), expected);
        }
    }
}
