//! The admin API, `/_gateway/api/`: for who brings the operator's token. Without one in the configuration it is not there.

use http::StatusCode;
use spillway_platform::{Platform, RequestHead};
use spillway_surface::LocalReply;
use spillway_telemetry::Reason;

use super::{Console, only_read};

/// What all its paths begin with.
pub(super) const PREFIX: &str = "/_gateway/api/";

/// What reads the limits.
const LIMITS: &str = "/_gateway/api/limits";

impl<P: Platform> Console<P> {
    /// Answers below [`PREFIX`]; `None` where nothing is there.
    pub(super) async fn admin(&self, head: &RequestHead, is_read: bool) -> Option<LocalReply> {
        let token = self.admin_token.as_ref()?;
        if !token.is_in(&head.headers) {
            return Some(refusal(head));
        }
        match head.path() {
            LIMITS if !is_read => Some(only_read()),
            LIMITS => Some(self.limits(head.query()).await),
            _ => None,
        }
    }
}

fn refusal(head: &RequestHead) -> LocalReply {
    let text = if head.headers.first("authorization").is_some() {
        "This is not the token of `admin.token`."
    } else {
        "This needs the token of `admin.token`: send `Authorization: Bearer <token>`."
    };
    let mut reply = LocalReply::error(StatusCode::UNAUTHORIZED, Reason::Unauthorized, text);
    reply.headers.append("www-authenticate", "Bearer");
    reply
}
