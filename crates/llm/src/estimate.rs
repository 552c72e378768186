//! How many tokens a request's input comes to, without a tokenizer.
//!
//! A tokenizer's table takes a quarter of a second to build in WebAssembly, and each vendor has its own. So the JSON
//! is read once, byte by byte, and what stands in it is weighed by kind: words by their length, digits in threes,
//! characters of other scripts each for itself, pictures and sounds as a whole. Nothing is copied or parsed.
//!
//! **Bound**, held by the tests against `o200k_base` and `cl100k_base`: prose and code of any of the scripts there come to no
//! less than 0.95 and no more than 1.6 of what OpenAI's newest tokenizer makes of them. An image counts 1,000 tokens (100 in
//! low detail), whatever a model takes for it; sounds and files by their length.

mod weights;

use weights::{CharacterClass, class_of};

/// In hundredths of a token.
type Hundredths = u64;

const IMAGE_TOKENS: u64 = 1_000;
const LOW_DETAIL_TOKENS: u64 = 100;

/// What frames a message, beside its role.
const STRING_FRAME: Hundredths = 20;

/// A space before a number.
const SPACE_BEFORE_DIGITS: Hundredths = 85;

/// Of a sound, so many characters of base64 are a token: MP3 of 128 kbit/s at 32 tokens a second, Gemini's rate.
const SOUND_BYTES_A_TOKEN: u64 = 600;

/// Of a document, so many are: a page of text is some 40 kB of PDF, and 500 tokens.
const FILE_BYTES_A_TOKEN: u64 = 80;

/// A value of `data` is a text up to this, in bytes.
const MAX_TEXT_DATA: usize = 256;

/// How much of a text is weighed in one go, in bytes: some 100 µs.
const PIECE_BYTES: usize = 16 * 1024;

/// An estimate of the tokens in this JSON value, a member of a request: messages, tools, a prompt. Once it is above `max` it
/// is of no more interest, and what is left is not read.
pub fn estimate_tokens(json: &[u8], max: u64) -> u64 {
    let mut estimate = TokenEstimate::new(json);
    while estimate.tokens() <= max && estimate.step() {}
    estimate.tokens()
}

/// An estimate on its way.
#[derive(Debug)]
pub(crate) struct TokenEstimate<'a> {
    rest: &'a [u8],
    /// Of the text that is being weighed.
    text: &'a [u8],
    sum: Hundredths,
    images: u64,
    in_low_detail: u64,
    key: Key,
    /// A picture's key has come, and no picture yet.
    expects_image: bool,
}

/// The key whose value comes next, where it says something of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Detail,
    Data,
    /// What may be a `data:` URL.
    Media,
    /// Where a picture is: `"image_url": "https://…"`, or below that key `"url"`.
    Image,
    Other,
}

impl<'a> TokenEstimate<'a> {
    pub fn new(json: &'a [u8]) -> Self {
        Self {
            rest: json,
            text: &[],
            sum: 0,
            images: 0,
            in_low_detail: 0,
            key: Key::Other,
            expects_image: false,
        }
    }

    /// The tokens of what has been read.
    pub fn tokens(&self) -> u64 {
        let in_low_detail = self.in_low_detail.min(self.images);
        let in_high = self.images.saturating_sub(in_low_detail);
        self.sum
            .div_ceil(100)
            .saturating_add(in_high.saturating_mul(IMAGE_TOKENS))
            .saturating_add(in_low_detail.saturating_mul(LOW_DETAIL_TOKENS))
    }

    /// How much is still to be read, in bytes.
    pub fn left(&self) -> usize {
        self.rest.len().saturating_add(self.text.len())
    }

    /// Reads on: a piece of a text, or what stands between texts. False where there is no more.
    pub fn step(&mut self) -> bool {
        if !self.text.is_empty() {
            let length = self.text.len().min(PIECE_BYTES);
            let (piece, rest) = self
                .text
                .split_at_checked(length)
                .unwrap_or((self.text, &[]));
            self.text = rest;
            self.add(weigh(piece));
            return true;
        }
        let Some((first, rest)) = self.rest.split_first() else {
            return false;
        };
        self.rest = rest;
        match first {
            b'"' => self.string(),
            // A number: a token of an embedding's input, if there are many.
            b'0'..=b'9' => {
                let more = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                self.rest = rest.get(more..).unwrap_or_default();
                self.sum = self.sum.saturating_add(100);
            }
            _ => {}
        }
        true
    }

    fn string(&mut self) {
        let text = self.rest;
        let length = end_of_string(text);
        let (text, rest) = text.split_at_checked(length).unwrap_or((text, &[]));
        self.rest = rest.get(1..).unwrap_or_default();
        let is_key = self.rest.trim_ascii_start().first() == Some(&b':');
        if is_key {
            self.expects_image |= text == b"image_url";
            self.key = match text {
                b"image_url" => Key::Image,
                b"url" if self.expects_image => Key::Image,
                b"url" | b"file_data" | b"file_url" | b"video_url" => Key::Media,
                b"detail" => Key::Detail,
                b"data" => Key::Data,
                _ => Key::Other,
            };
            self.text = text;
            return;
        }
        match std::mem::replace(&mut self.key, Key::Other) {
            Key::Image => self.image(),
            Key::Detail if text == b"low" => {
                self.in_low_detail = self.in_low_detail.saturating_add(1);
            }
            Key::Data if text.len() > MAX_TEXT_DATA => self.add(sound(text.len())),
            // A message's own text is read to its end, whatever it begins with.
            Key::Media if let Some(media) = media_of(text) => {
                if media.starts_with(b"image/") {
                    self.image();
                } else {
                    self.add(weigh_media(media));
                }
            }
            _ => {
                self.text = text;
                self.add(STRING_FRAME);
            }
        }
    }

    fn image(&mut self) {
        self.images = self.images.saturating_add(1);
        self.expects_image = false;
    }

    fn add(&mut self, weight: Hundredths) {
        self.sum = self.sum.saturating_add(weight);
    }
}

/// How long a string is whose beginning has been taken, without its quotation mark.
fn end_of_string(text: &[u8]) -> usize {
    let mut from = 0_usize;
    loop {
        let rest = text.get(from..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', rest) {
            None => return text.len(),
            Some(at) if rest.get(at) == Some(&b'"') => return from.saturating_add(at),
            Some(at) => from = from.saturating_add(at).saturating_add(2),
        }
    }
}

/// Of a `data:` URL with base64 (RFC 2397) its type and what follows.
fn media_of(text: &[u8]) -> Option<&[u8]> {
    let media = text.strip_prefix(b"data:")?;
    let head = media.get(..100).unwrap_or(media);
    memchr::memmem::find(head, b";base64,").map(|_| media)
}

fn weigh_media(media: &[u8]) -> Hundredths {
    if media.starts_with(b"audio/") {
        sound(media.len())
    } else {
        by_length(media.len(), FILE_BYTES_A_TOKEN)
    }
}

fn sound(length: usize) -> Hundredths {
    by_length(length, SOUND_BYTES_A_TOKEN)
}

fn by_length(length: usize, bytes_a_token: u64) -> Hundredths {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    let tokens = length.checked_div(bytes_a_token).unwrap_or_default();
    tokens.saturating_add(50).saturating_mul(100)
}

/// What a text weighs, as it stands between quotation marks.
fn weigh(text: &[u8]) -> Hundredths {
    let (mut sum, mut run, mut length): (Hundredths, CharacterClass, u64) =
        (0, CharacterClass::Space, 0);
    let mut rest = text;
    while let Some((class, count, after)) = class_of(rest) {
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
