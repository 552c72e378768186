//! The parts of a message's content, as blocks.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::EncodeError;

/// A block of a message.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Block<'a> {
    Known(Known<'a>),
    /// One that OpenAI's API has no word for, in Anthropic's own form.
    Own(&'a RawValue),
    Made(Box<RawValue>),
}

impl Block<'_> {
    /// Ends a text that goes on by no white space.
    pub fn trim_end(&mut self) {
        if let Self::Known(Known::Text { text, .. }) = self {
            *text = Cow::Owned(text.trim_end().to_owned());
        }
    }
}

/// A block that OpenAI's API has a word for.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Known<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
    Image {
        source: MediaSource<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
    Document {
        source: MediaSource<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        input: Box<RawValue>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a RawValue>,
    },
}

/// Where an image or a document is.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum MediaSource<'a> {
    Base64 {
        media_type: &'static str,
        data: Cow<'a, str>,
    },
    Text {
        media_type: &'static str,
        data: String,
    },
    Url {
        url: Cow<'a, str>,
    },
    File {
        file_id: Cow<'a, str>,
    },
}

/// A part as OpenAI's API writes it.
#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    refusal: Option<Text<'a>>,
    /// An object, or as some engines take it the address alone.
    #[serde(borrow, default)]
    image_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    file: Option<File<'a>>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ImageUrl<'a> {
    #[serde(borrow)]
    url: Text<'a>,
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow, default)]
    file_data: Option<Text<'a>>,
    #[serde(borrow, default)]
    file_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    filename: Option<Text<'a>>,
}

/// A text, borrowed where it has no escapes: serde borrows none in an `Option<Cow<str>>`.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A list's elements. `place` is for the client.
pub(super) fn list<'a>(value: &'a RawValue, place: &str) -> Result<Vec<&'a RawValue>, EncodeError> {
    serde_json::from_str(value.get()).map_err(|_| EncodeError(format!("`{place}` must be a list.")))
}

/// A content's blocks. `place` is for the client: `messages[3]`.
pub(super) fn blocks<'a>(
    content: Option<&'a RawValue>,
    place: &str,
) -> Result<Vec<Block<'a>>, EncodeError> {
    let Some(content) = content else {
        return Ok(Vec::new());
    };
    let written = content.get();
    if written.starts_with('[') {
        let parts = list(content, &format!("{place}.content"))?;
        let blocks = parts.into_iter().map(|part| block(part, place));
        return Ok(blocks
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect());
    }
    match text_of(content) {
        Some(text) => Ok(text_block(text, None).into_iter().collect()),
        None => Err(EncodeError(format!(
            "`{place}.content` must be a text or a list of parts."
        ))),
    }
}

/// A JSON text's value, borrowed where it has no escapes.
pub(super) fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(value.get())
        .ok()
        .map(|text| text.0)
}

/// Texts of white space alone are refused by Anthropic.
pub(super) fn text_block<'a>(
    text: Cow<'a, str>,
    cache_control: Option<&'a RawValue>,
) -> Option<Block<'a>> {
    (!text.trim().is_empty()).then_some(Block::Known(Known::Text {
        text,
        cache_control,
    }))
}

fn block<'a>(part: &'a RawValue, place: &str) -> Result<Option<Block<'a>>, EncodeError> {
    // Some clients write texts alone into the list.
    if let Some(text) = text_of(part) {
        return Ok(text_block(text, None));
    }
    // In words of our own: serde's would repeat what the client wrote, all of it.
    let read: Part<'a> = serde_json::from_str(part.get()).map_err(|_| {
        EncodeError(format!(
            "A part of `{place}.content` is none that OpenAI's API knows."
        ))
    })?;
    let cache_control = read.cache_control;
    let known = match (read.kind.as_ref(), read.text, read.image_url, read.file) {
        ("text" | "input_text" | "output_text", Some(Text(text)), ..) => {
            return Ok(text_block(text, cache_control));
        }
        ("refusal", ..) => {
            let refusal = read.refusal;
            return Ok(refusal.and_then(|Text(text)| text_block(text, cache_control)));
        }
        ("image_url", _, Some(image), _) => {
            let object = || serde_json::from_str::<ImageUrl<'a>>(image.get()).ok();
            let Some(url) = text_of(image).or_else(|| Some(object()?.url.0)) else {
                return Ok(Some(Block::Own(part)));
            };
            of_address(url, None, cache_control)?
        }
        ("file", _, _, Some(file)) => match (file.file_data, file.file_id) {
            (Some(Text(data)), _) => of_address(data, title_of(file.filename), cache_control)?,
            (None, Some(Text(file_id))) => Known::Document {
                source: MediaSource::File { file_id },
                title: title_of(file.filename),
                cache_control,
            },
            (None, None) => return Ok(Some(Block::Own(part))),
        },
        (kind @ ("input_audio" | "audio_url" | "video_url"), ..) => {
            return Err(EncodeError(format!(
                "This model takes texts, images and documents: `{place}.content` has a part of the type `{kind}`."
            )));
        }
        _ => return Ok(Some(Block::Own(part))),
    };
    Ok(Some(Block::Known(known)))
}

fn title_of(name: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    name.map(|Text(name)| name)
}

/// A `data:` URL (RFC 2397, in base 64) or a web address, of an image or of a document.
fn of_address<'a>(
    url: Cow<'a, str>,
    title: Option<Cow<'a, str>>,
    cache_control: Option<&'a RawValue>,
) -> Result<Known<'a>, EncodeError> {
    let source = match split(&url) {
        None => MediaSource::Url { url },
        Some((media_end, data_start)) => {
            let media_type = url.get(5..media_end).unwrap_or_default().to_owned();
            let data = match url {
                Cow::Borrowed(url) => Cow::Borrowed(url.get(data_start..).unwrap_or_default()),
                Cow::Owned(url) => Cow::Owned(url.get(data_start..).unwrap_or_default().to_owned()),
            };
            of_media(&media_type, data)?
        }
    };
    let is_image = match &source {
        MediaSource::Base64 { media_type, .. } => media_type.starts_with("image/"),
        MediaSource::Text { .. } => false,
        MediaSource::Url { .. } | MediaSource::File { .. } => title.is_none(),
    };
    Ok(if is_image {
        Known::Image {
            source,
            cache_control,
        }
    } else {
        Known::Document {
            source,
            title,
            cache_control,
        }
    })
}

/// By the media types that Anthropic takes: four kinds of images, PDF, and plain text as text.
fn of_media<'a>(media_type: &str, data: Cow<'a, str>) -> Result<MediaSource<'a>, EncodeError> {
    let media_type = match media_type.trim().to_ascii_lowercase().as_str() {
        "image/jpg" | "image/jpeg" => "image/jpeg",
        "image/png" => "image/png",
        "image/gif" => "image/gif",
        "image/webp" => "image/webp",
        "application/pdf" => "application/pdf",
        text if text.starts_with("text/") => {
            let bytes = STANDARD.decode(data.as_bytes()).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            let data = text
                .ok_or_else(|| EncodeError("A file of text is no base 64 of UTF-8.".to_owned()))?;
            return Ok(MediaSource::Text {
                media_type: "text/plain",
                data,
            });
        }
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(EncodeError(format!(
                "This model takes JPEG, PNG, GIF and WebP images, PDF and text: a part is of the type `{other}`."
            )));
        }
    };
    Ok(MediaSource::Base64 { media_type, data })
}

/// Where the media type of a `data:` URL ends, and where its data begin.
fn split(url: &str) -> Option<(usize, usize)> {
    let rest = url.strip_prefix("data:")?;
    let comma = rest.find(',')?;
    let head = rest.get(..comma)?;
    let media = head.find(';').unwrap_or(comma);
    Some((media.saturating_add(5), comma.saturating_add(6)))
}
