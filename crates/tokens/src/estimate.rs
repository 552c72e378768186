//! The tokens of a JSON value, read byte by byte.

use crate::media::Media;
use crate::{Hundredths, weigh};

const IMAGE_TOKENS: u64 = 1_000;
const LOW_DETAIL_TOKENS: u64 = 100;

/// What frames a message, beside its role.
const STRING_FRAME: Hundredths = 20;

/// A member, a list, a mapping: what is written for it between texts.
const FRAME: Hundredths = 40;

/// `true`, `false`, `null`.
const WORD: Hundredths = 80;

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
pub struct TokenEstimate<'a> {
    rest: &'a [u8],
    /// Of the text that is being weighed.
    text: &'a [u8],
    sum: Hundredths,
    images: u64,
    in_low_detail: u64,
    key: Key,
    /// A picture's key has come, and no picture yet.
    expects_image: bool,
    /// The object of a picture is not over.
    may_be_low: bool,
    /// How many lists and mappings are open.
    depth: u64,
    /// What came last, so that after a comma another one comes.
    is_text_or_list: bool,
    /// Whether each text of a list is an input of its own.
    of_each: bool,
    /// Of those that have been read, the largest, and all together.
    largest: u64,
    before: u64,
}

/// The key whose value comes next, where it says something of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Detail,
    /// What may be base64, or a `data:` URL.
    Media,
    /// Where a picture is: `"image_url": "https://…"`, or below that key `"url"`.
    Image,
    Other,
}

impl<'a> TokenEstimate<'a> {
    /// Of a value of which nothing is read yet.
    pub fn new(json: &'a [u8]) -> Self {
        Self {
            rest: json,
            text: &[],
            sum: 0,
            images: 0,
            in_low_detail: 0,
            key: Key::Other,
            expects_image: false,
            may_be_low: false,
            depth: 0,
            is_text_or_list: false,
            of_each: false,
            largest: 0,
            before: 0,
        }
    }

    /// Of a list whose texts are inputs of their own, each of which has to fit.
    pub fn of_each(json: &'a [u8]) -> Self {
        Self {
            of_each: true,
            ..Self::new(json)
        }
    }

    /// The tokens of what has been read.
    pub fn tokens(&self) -> u64 {
        self.before.saturating_add(self.current())
    }

    /// Of inputs that are each for itself, the tokens of the largest.
    pub fn largest(&self) -> u64 {
        self.largest.max(self.current())
    }

    fn current(&self) -> u64 {
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
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                self.add(FRAME);
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.may_be_low = false;
                self.is_text_or_list = true;
            }
            b',' if self.depth == 1 && self.is_text_or_list => self.next_element(),
            // A number: a token of an embedding's input, if there are many.
            b'0'..=b'9' => self.skip_while(u8::is_ascii_digit, 100),
            b'a'..=b'z' => self.skip_while(u8::is_ascii_lowercase, WORD),
            _ => {}
        }
        true
    }

    fn skip_while(&mut self, is_more: impl Fn(&u8) -> bool, weight: Hundredths) {
        let more = self.rest.iter().take_while(|byte| is_more(byte)).count();
        self.rest = self.rest.get(more..).unwrap_or_default();
        self.is_text_or_list = false;
        self.add(weight);
    }

    /// A list's next text, which is an input of its own where each is.
    fn next_element(&mut self) {
        if self.of_each {
            self.largest = self.largest();
            self.before = self.tokens();
            (self.sum, self.images, self.in_low_detail) = (0, 0, 0);
        }
    }

    fn string(&mut self) {
        let text = self.rest;
        let length = end_of_string(text);
        let (text, rest) = text.split_at_checked(length).unwrap_or((text, &[]));
        self.rest = rest.get(1..).unwrap_or_default();
        self.is_text_or_list = true;
        let is_key = self.rest.trim_ascii_start().first() == Some(&b':');
        if is_key {
            let is_image = text == b"image_url";
            self.expects_image |= is_image;
            self.may_be_low |= is_image;
            self.key = match text {
                b"image_url" => Key::Image,
                b"url" if self.expects_image => Key::Image,
                b"url" | b"data" | b"file_data" | b"file_url" | b"video_url" => Key::Media,
                b"detail" if self.may_be_low => Key::Detail,
                _ => Key::Other,
            };
            self.text = text;
            return;
        }
        let key = std::mem::replace(&mut self.key, Key::Other);
        if key == Key::Detail && text == b"low" {
            self.in_low_detail = self.in_low_detail.saturating_add(1);
            self.may_be_low = false;
        } else if key == Key::Image && is_web_address(text) {
            self.image();
        } else if let (Key::Image | Key::Media, Some(media)) = (key, Media::of(text)) {
            match media.tokens(text.len()) {
                Some(tokens) => self.add(tokens.saturating_mul(100)),
                None => self.image(),
            }
        } else {
            // A message's own text is read to its end, whatever it begins with.
            self.text = text;
            self.add(STRING_FRAME);
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

/// Where a picture is, as clients write that.
fn is_web_address(text: &[u8]) -> bool {
    const MAX_BYTES: usize = 8 * 1024;
    let is_one = text.starts_with(b"https:") || text.starts_with(b"http:");
    is_one && text.len() <= MAX_BYTES
}

/// How long a string is whose beginning has been taken, without its quotation mark.
pub(crate) fn end_of_string(text: &[u8]) -> usize {
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
