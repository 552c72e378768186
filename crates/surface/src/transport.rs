//! What it means for a client that an upstream gave no answer: one mapping, for every surface.

use std::fmt;

use http::StatusCode;
use spillway_platform::{ForwardError, SendError};
use spillway_telemetry::Reason;

use crate::LocalReply;

/// Who gave no answer, in a client's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer<'a> {
    /// One of Dify's services, or another back end.
    Service(&'a str),
    /// A model provider.
    Provider,
}

impl fmt::Display for Peer<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(formatter, "service `{name}`"),
            Self::Provider => formatter.write_str("model provider"),
        }
    }
}

/// Status and reason of an answer that did not come.
pub const fn transport_failure(error: &SendError) -> (StatusCode, Reason) {
    match error {
        SendError::HostNotAllowed => (StatusCode::BAD_GATEWAY, Reason::HostNotAllowed),
        SendError::Connect(_) | SendError::ConnectTimeout => {
            (StatusCode::BAD_GATEWAY, Reason::UpstreamRefused)
        }
        SendError::ConnectionLimit => (StatusCode::SERVICE_UNAVAILABLE, Reason::Overloaded),
        SendError::FirstByteTimeout | SendError::BetweenBytesTimeout => {
            (StatusCode::GATEWAY_TIMEOUT, Reason::UpstreamTimeout)
        }
        SendError::Reset(_) | SendError::Other(_) => {
            (StatusCode::BAD_GATEWAY, Reason::UpstreamError)
        }
    }
}

impl LocalReply {
    /// The upstream gave no answer.
    pub fn of_transport(error: &SendError, peer: Peer<'_>) -> Self {
        let (status, reason) = transport_failure(error);
        let message = match error {
            SendError::HostNotAllowed => format!(
                "The gateway is not allowed to reach the {peer}. Its log says which host spin.toml lacks."
            ),
            SendError::Connect(_) | SendError::ConnectTimeout => {
                format!(
                    "The {peer} cannot be reached. It may be restarting: try again in a moment."
                )
            }
            SendError::ConnectionLimit => {
                return Self::overloaded(
                    "The gateway has as many connections open as it may. Try again in a moment.",
                );
            }
            SendError::FirstByteTimeout | SendError::BetweenBytesTimeout => {
                format!("The {peer} did not answer in time.")
            }
            SendError::Reset(_) | SendError::Other(_) => {
                format!("The {peer} broke off before it answered. Try again.")
            }
        };
        Self::error(status, reason, message)
    }

    /// A request that was passed on got no answer, be it the client's or the upstream's doing.
    pub fn of_forward(error: &ForwardError, peer: Peer<'_>) -> Self {
        match error {
            ForwardError::Send(error) => Self::of_transport(error, peer),
            ForwardError::BodyTooLarge { limit } => Self::body_too_large(*limit),
            ForwardError::ClientBrokeOff => Self::body_broke_off(Reason::ClientLeft),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReplyBody, Surface};

    #[test]
    fn no_reply_names_an_address_and_each_has_a_status_of_its_kind() {
        for (error, status) in [
            (SendError::Connect("http://10.0.0.1:5001".to_owned()), 502),
            (SendError::ConnectTimeout, 502),
            (SendError::ConnectionLimit, 503),
            (SendError::FirstByteTimeout, 504),
            (SendError::BetweenBytesTimeout, 504),
            (SendError::Reset("10.0.0.1".to_owned()), 502),
            (SendError::HostNotAllowed, 502),
            (SendError::Other("10.0.0.1".to_owned()), 502),
        ] {
            for peer in [Peer::Service("api"), Peer::Provider] {
                let reply = LocalReply::of_transport(&error, peer);
                assert_eq!(reply.status.as_u16(), status, "{error:?}");
                assert!(
                    matches!(&reply.body, ReplyBody::Error { message, .. } if message.ends_with('.'))
                );
                let body = Surface::Dify.render(reply).body;
                assert!(!String::from_utf8_lossy(&body).contains("10.0.0.1"));
            }
        }
    }
}
