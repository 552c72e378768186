//! Where a request to Dify says who its end user is.

use spillway_platform::Headers;

use crate::answer_headers::media_type_of;
use crate::{Class, Destination};

/// Where Dify's service API looks for `user`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserPlace {
    /// A member of the JSON body, and there alone.
    Body,
    /// A parameter of the query, and there alone.
    Query,
}

/// Where Dify looks for the end user of a request for `path`, below the API's base path. Elsewhere it goes by
/// cookies, passports and whoever published the app, whatever `user` a client may write.
pub(crate) fn user_place(method: &http::Method, path: &str) -> Option<UserPlace> {
    if !path.starts_with("/v1/") {
        return None;
    }
    match *method {
        http::Method::GET | http::Method::HEAD => Some(UserPlace::Query),
        _ => Some(UserPlace::Body),
    }
}

/// Whether Dify may read the body as JSON. Of several content types it takes one or the other, as its server does.
pub fn may_be_json(headers: &Headers) -> bool {
    headers.all("content-type").any(|value| {
        let media_type = media_type_of(value);
        media_type == "application/json" || media_type.ends_with("+json")
    })
}

impl Destination {
    /// By whom the request is counted, if `named` is who it says is asking. Runs that do not say it, or not so that it
    /// can be read, are counted as one user's: Dify may know better, and nobody gets around a limit so.
    pub fn counted_user<'u>(&self, named: Option<&'u str>) -> Option<&'u str> {
        let is_run = self.class == Class::Run && self.user_place.is_some();
        named.or(is_run.then_some(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    #[test]
    fn the_user_stands_where_dify_looks_for_it() {
        for (method, path, expected) in [
            (Method::POST, "/v1/chat-messages", Some(UserPlace::Body)),
            (Method::DELETE, "/v1/conversations/1", Some(UserPlace::Body)),
            (Method::GET, "/v1/messages", Some(UserPlace::Query)),
            (Method::GET, "/v1/workflow/1/events", Some(UserPlace::Query)),
            (Method::POST, "/api/chat-messages", None),
            (Method::POST, "/console/api/apps/1/chat-messages", None),
            (Method::POST, "/mcp/server/x/mcp", None),
            (Method::GET, "/v1", None),
            (Method::GET, "/v1x/messages", None),
        ] {
            assert_eq!(user_place(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn what_dify_reads_as_json_is_told_by_the_media_type() {
        for (types, expected) in [
            (&["application/json"][..], true),
            (&["Application/JSON ; charset=utf-16"], true),
            (&["application/vnd.x+json"], true),
            (&["application/problem+JSON;v=1"], true),
            (&["text/plain", "application/json"], true),
            (&["application/json", "text/plain"], true),
            (&["text/plain; x=application/json"], false),
            (&["application/jsonl"], false),
            (&["multipart/form-data; boundary=x"], false),
            (&[""], false),
            (&[], false),
        ] {
            let mut headers = Headers::default();
            for value in types {
                headers.append("content-type", *value);
            }
            assert_eq!(may_be_json(&headers), expected, "{types:?}");
        }
    }
}
