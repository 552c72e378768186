//! The ports to the outside: heads of messages, sending, time, shared state.
//! Must not know any policy, API surface or configuration.

mod forward;
mod gate;
mod gather;
mod headers;
mod in_hand;
mod join;
mod message;
mod platform;
mod ports;
mod receive;
mod round_trips;
mod state;

pub use forward::{ForwardRequest, ForwardedBody, ForwardedResponse};
pub use gate::{Gate, gated};
pub use gather::{Piece, gather};
pub use headers::{
    Headers, MAX_ANSWER_SECTION_BYTES, MAX_MATCHED_BYTES, MAX_SECTION_BYTES, is_forbidden,
};
pub use in_hand::{BytesInHand, MAX_ANSWERS_IN_HAND, MAX_REQUESTS_IN_HAND, NoRoom, Room};
pub use join::{JOIN_FIELD, Join, JoinKey, JoinName};
pub use message::{ForwardError, RequestHead, SendError, Timeouts, Upstream};
pub use platform::Platform;
pub use ports::{
    ASKED_BYTES, ClientLeft, Clock, InboundResponse, IncomingBody, OutboundRequest, OutgoingBody,
    ResponseWriter, Sender, may_grow,
};
pub use receive::ReceiveError;
pub use round_trips::RoundTrips;
pub use state::{
    Admission, Admitted, Charge, Charged, IndexedLimit, LEASE_MS, LIMIT_KEY_PREFIX, LeaseName,
    MAX_COST, MAX_INDEXED_LIMITS, MAX_INDEXED_UNSHARED, Mode, NewValues, PoolEntry, SETTLEMENT_MS,
    SETTLEMENT_TRIED_MS, Settled, State, StateError, StateLocation, USAGE_KEY_PREFIX, UsageProfile,
    Waiting,
};
