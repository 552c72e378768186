//! Pictures, sounds and files within a request. Only what cannot be a text passes for one: a model reads texts to their end.

/// Of a sound or a video, so many characters of base64 are a token: MP3 of 128 kbit/s at 32 tokens a second, Gemini's rate.
const SOUND_BYTES_A_TOKEN: u64 = 600;

/// Of a PDF, so many are: a page of text is some 40 kB, and 500 tokens.
const PDF_BYTES_A_TOKEN: u64 = 80;

/// What base64 of some format begins with.
const MAGIC: [(&[u8], Media); 11] = [
    (b"iVBORw0KGgo", Media::Picture),
    (b"/9j/", Media::Picture),
    (b"R0lGOD", Media::Picture),
    (b"UklGR", Media::Sound),
    (b"SUQz", Media::Sound),
    (b"//u", Media::Sound),
    (b"//v", Media::Sound),
    (b"T2dnUw", Media::Sound),
    (b"ZkxhQw", Media::Sound),
    (b"AAAA", Media::Sound),
    (b"JVBERi", Media::Pdf),
];

/// What a value is, that is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    Picture,
    /// Or a video.
    Sound,
    Pdf,
}

impl Media {
    /// Of a value that may be a `data:` URL (RFC 2397), or base64 alone.
    pub fn of(text: &[u8]) -> Option<Self> {
        let Some(url) = text.strip_prefix(b"data:") else {
            let (_, media) = MAGIC.iter().find(|(magic, _)| text.starts_with(magic))?;
            // RIFF is WebP as well, whose name follows the length.
            let is_webp = text.get(11..16) == Some(b"XRUJQ");
            return is_base64(text).then_some(if is_webp { Self::Picture } else { *media });
        };
        let head = url.get(..100).unwrap_or(url);
        let at = memchr::memmem::find(head, b";base64,")?;
        let content = url.get(at.saturating_add(8)..)?;
        let media = match url {
            [b'i', b'm', b'a', b'g', b'e', b'/', ..] => Self::Picture,
            [b'a', b'u', b'd', b'i', b'o', b'/', ..] | [b'v', b'i', b'd', b'e', b'o', b'/', ..] => {
                Self::Sound
            }
            _ if url.starts_with(b"application/pdf") => Self::Pdf,
            _ => return None,
        };
        is_base64(content).then_some(media)
    }

    /// The tokens of one of this length, in bytes; `None` of a picture.
    pub fn tokens(self, length: usize) -> Option<u64> {
        let bytes_a_token = match self {
            Self::Picture => return None,
            Self::Sound => SOUND_BYTES_A_TOKEN,
            Self::Pdf => PDF_BYTES_A_TOKEN,
        };
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        let tokens = length.checked_div(bytes_a_token).unwrap_or_default();
        Some(tokens.saturating_add(50))
    }
}

/// Whether it has neither white space nor escapes, nor other scripts: no prose is without.
fn is_base64(text: &[u8]) -> bool {
    let is_written = |byte: u8| memchr::memchr(byte, text).is_some();
    // A slash may be escaped.
    let has_escapes = memchr::memmem::find_iter(text, b"\\").any(|at| {
        let next = text.get(at.saturating_add(1));
        next != Some(&b'/')
    });
    text.is_ascii() && !is_written(b' ') && !is_written(b'-') && !has_escapes
}
