//! The ports to the outside: heads of messages, sending, time.
//! Must not know any policy, API surface or configuration.

mod headers;
mod in_hand;
mod message;
mod ports;
mod round_trips;

pub use headers::{
    Headers, MAX_ANSWER_SECTION_BYTES, MAX_MATCHED_BYTES, MAX_SECTION_BYTES, is_forbidden,
};
pub use in_hand::{BytesInHand, MAX_ANSWERS_IN_HAND, MAX_REQUESTS_IN_HAND, NoRoom, Room};
pub use message::{ForwardError, RequestHead, SendError, Timeouts, Upstream};
pub use ports::{
    ASKED_BYTES, ClientLeft, Clock, InboundResponse, IncomingBody, OutboundRequest, OutgoingBody,
    Sender, may_grow,
};
pub use round_trips::RoundTrips;
