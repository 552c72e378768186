//! What a request to Dify tells of who is asking.

use std::borrow::Cow;

use serde::Deserialize;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    user: Option<Cow<'a, str>>,
}

/// Dify's `user` out of a JSON body: the end user, as the calling application names them. `None` where there is none,
/// it is empty, or the body is no JSON object (which Dify will say).
pub fn end_user(body: &[u8]) -> Option<String> {
    let body: Body<'_> = serde_json::from_slice(body).ok()?;
    body.user
        .map(Cow::into_owned)
        .filter(|user| !user.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_found_wherever_it_stands() {
        for (body, user) in [
            (r#"{"user":"u1","query":"q"}"#, Some("u1")),
            (
                r#"{"inputs":{"user":"other"},"user":"\u00fc"}"#,
                Some("\u{fc}"),
            ),
            (r#"{"inputs":{}}"#, None),
            (r#"{"user":""}"#, None),
            (r#"{"user":null}"#, None),
            (r#"{"user":7}"#, None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(end_user(body.as_bytes()).as_deref(), user, "{body}");
        }
    }
}
