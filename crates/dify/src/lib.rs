//! Dify's runs, read along while their bytes go by: who asked, how the run ended, which tokens it took.
//! Must not know how bytes travel, nor change or hold back any of them.
//!
//! Source of the wire format: Dify's service API (`/v1/chat-messages`, `/v1/completion-messages`, `/v1/workflows/run`)
//! as of 1.17.

mod answer;
mod outcome;
mod python_json;
mod request;

pub use answer::{AnswerReader, Form};
pub use outcome::{ResponseMode, Run, RunOutcome, Tokens};
pub use request::end_user;
