//! Header fields on their way to and from the runtime: none that any host may refuse, in either direction.
//!
//! A field that cannot be sent is left out, as an answer without it is worth more than an empty 500 in its place.

use spin_sdk::wasip3::http::types::Fields;

use super::platform::warn;
use spillway_platform::is_forbidden;
use spillway_platform::{Headers, MAX_ANSWER_SECTION_BYTES, SendError};

/// What the runtime takes of `headers`.
///
/// What belongs to one hop only is left out silently, as an upstream's answers hold it all the time; what the runtime
/// refuses besides is a mistake of somebody's, and logged.
pub(super) fn sendable(headers: &Headers) -> Fields {
    let list = headers.as_list();
    let fields = if list.iter().any(|(name, _)| is_forbidden(name)) {
        Fields::from_list(headers.clone().without_forbidden().as_list())
    } else {
        Fields::from_list(list)
    };
    fields.unwrap_or_else(|_| one_by_one(headers))
}

/// The slow way, for lists that hold something the runtime refuses: a name or value that is none, a second
/// `content-length`, more than there is room for.
fn one_by_one(headers: &Headers) -> Fields {
    let fields = Fields::new();
    for (name, value) in headers.iter() {
        if is_forbidden(name) {
            continue;
        }
        if let Err(error) = fields.append(name, value) {
            // Of the name only a beginning: it may be anybody's text.
            let name: String = name.chars().take(60).collect();
            warn(&format!(
                "the header {name:?} was left out, as the runtime does not take it: {error}"
            ));
        }
    }
    fields
}

/// What came with an answer, without what only concerns the connection that it came on.
///
/// # Errors
/// Where it cannot be handed on: the section is too large, or the body is packed in a way that nobody undoes.
pub(super) fn received(fields: &Fields) -> Result<Headers, SendError> {
    let headers = Headers::from_list(fields.copy_all());
    if headers.size() > MAX_ANSWER_SECTION_BYTES {
        return Err(SendError::Reset(format!(
            "the answer's header section is larger than {} KiB",
            MAX_ANSWER_SECTION_BYTES / 1024
        )));
    }
    if let Some(coding) = headers.transfer_coding_left() {
        return Err(SendError::Reset(format!(
            "the answer comes in the transfer coding `{coding}`, which was not asked for"
        )));
    }
    Ok(headers.with_one_length().without_forbidden())
}
