//! What the gateway tells of what it does: one record a request, which becomes counts and a line of the log.
//! Must not know who decides, nor where counts and lines go.

mod access_record;
mod address;
mod counters;
mod families;
mod family;
mod fields;
mod label;
mod log;
mod prometheus;
mod reason;

pub use access_record::{
    AccessRecord, ApiKind, AttemptDetail, CallDetail, CallTokens, Detail, RetrievalDetail,
    RunDetail, RunTokens,
};
pub use address::address_text;
pub use counters::Counters;
pub use families::FAMILIES;
pub use family::{Definition, Family, FamilyKind, totals_version};
pub use label::Label;
pub use log::LogStyle;
pub use prometheus::render;
pub use reason::Reason;
