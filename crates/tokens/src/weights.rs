//! Kinds of characters, and what runs of them weigh. Found by trying: see the tests of the estimate.

/// A kind of character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CharacterClass {
    /// Of the Latin alphabet.
    Latin,
    /// Latin with a mark: it splits a word.
    Accented,
    /// Of another alphabet: Greek, Cyrillic, Armenian.
    Letter,
    /// Of Hebrew or Arabic.
    Consonant,
    /// Of a script of India, Southeast Asia and others that tokenizers know less of.
    Syllable,
    Digit,
    /// One space; more of them indent.
    Space,
    Tab,
    NewLine,
    /// ASCII's.
    Sign,
    /// Chinese characters, kana, and their signs.
    Ideograph,
    Hangul,
    /// Pictures and rarities.
    Rare,
    /// Half of a character that is written in two escapes.
    HalfRare,
}

impl CharacterClass {
    /// Whether neighbours of this kind weigh together.
    pub fn is_in_runs(self) -> bool {
        !matches!(self, Self::Accented)
    }

    /// What a run of so many weighs, in hundredths of a token.
    pub fn weight(self, length: u64) -> u64 {
        let beyond = |most: u64, each: u64| length.saturating_sub(most).saturating_mul(each);
        match (self, length) {
            (_, 0) => 0,
            (Self::Latin, _) => beyond(6, 22).saturating_add(102),
            (Self::Accented, _) => 65,
            (Self::Letter, _) => beyond(3, 27).saturating_add(105),
            (Self::Consonant, _) => beyond(3, 34).saturating_add(112),
            (Self::Syllable, _) => length.saturating_mul(50),
            (Self::Digit, _) => length.div_ceil(3).saturating_mul(105),
            (Self::Space, 1) => 0,
            (Self::Space, _) => beyond(1, 6).saturating_add(60),
            (Self::Tab, _) => beyond(1, 15).saturating_add(100),
            (Self::NewLine, _) => beyond(1, 10).saturating_add(70),
            (Self::Sign, _) => beyond(1, 50).saturating_add(90),
            (Self::Ideograph, _) => length.saturating_mul(90),
            (Self::Hangul, _) => length.saturating_mul(80),
            (Self::Rare, _) => length.saturating_mul(250),
            (Self::HalfRare, _) => length.saturating_mul(125),
        }
    }

    fn of(point: u32) -> Self {
        match point {
            0x30..=0x39 => Self::Digit,
            0x41..=0x5a | 0x61..=0x7a => Self::Latin,
            0x0a | 0x0d => Self::NewLine,
            0x20 => Self::Space,
            0x09 => Self::Tab,
            0x00..=0x7f => Self::Sign,
            0x80..=0xbf | 0x2010..=0x206f => Self::Sign,
            0xc0..=0x24f | 0x1e00..=0x1eff => Self::Accented,
            0x300..=0x58f => Self::Letter,
            0x590..=0x6ff => Self::Consonant,
            0x700..=0x10ff | 0x1200..=0x1cff => Self::Syllable,
            0x1100..=0x11ff | 0x3130..=0x318f | 0xac00..=0xd7af => Self::Hangul,
            0x2e80..=0x312f | 0x3190..=0x9fff | 0xf900..=0xfaff | 0xff00..=0xffef => {
                Self::Ideograph
            }
            0xd800..=0xdfff => Self::HalfRare,
            _ => Self::Rare,
        }
    }
}

/// The kind of the next character, or of the next letters, how many these are, and what follows. In a JSON string an escape
/// is what it stands for.
pub(super) fn class_of(text: &[u8], has_escapes: bool) -> Option<(CharacterClass, u64, &[u8])> {
    let (first, rest) = text.split_first()?;
    if first.is_ascii_alphabetic() {
        let letters = text.iter().take_while(|byte| byte.is_ascii_alphabetic());
        let count = letters.count();
        let rest = text.get(count..).unwrap_or_default();
        return Some((
            CharacterClass::Latin,
            u64::try_from(count).unwrap_or(u64::MAX),
            rest,
        ));
    }
    let (class, rest) = class_of_one(*first, rest, has_escapes)?;
    Some((class, 1, rest))
}

fn class_of_one(first: u8, rest: &[u8], has_escapes: bool) -> Option<(CharacterClass, &[u8])> {
    if first == b'\\' && has_escapes {
        let (escape, rest) = rest.split_first()?;
        return Some(match escape {
            b'u' => {
                let (digits, rest) = rest.split_at_checked(4).unwrap_or((rest, &[]));
                let digits = std::str::from_utf8(digits).unwrap_or_default();
                let point = u32::from_str_radix(digits, 16).unwrap_or_default();
                (CharacterClass::of(point), rest)
            }
            b'n' | b'r' => (CharacterClass::NewLine, rest),
            b't' => (CharacterClass::Tab, rest),
            _ => (CharacterClass::Sign, rest),
        });
    }
    if first.is_ascii() {
        return Some((CharacterClass::of(u32::from(first)), rest));
    }
    // Its length by its first byte (RFC 3629); what is no UTF-8 weighs something, too.
    let (bits, more) = match first {
        0xc0..=0xdf => (first & 0x1f, 1),
        0xe0..=0xef => (first & 0x0f, 2),
        _ => (first & 0x07, 3),
    };
    let (following, rest) = rest.split_at_checked(more).unwrap_or((rest, &[]));
    let point = following.iter().fold(u32::from(bits), |point, byte| {
        point << 6 | u32::from(byte & 0x3f)
    });
    Some((CharacterClass::of(point), rest))
}
