//! Request limits: which of an API's rules hold for a request, under which keys its requests are counted, and what
//! the counts mean for it. Must not know where or how counting is done, nor what an answer looks like.

mod digest;
mod due;
mod error;
mod facts;
mod headers;
mod invention;
mod item;
mod rules;
mod verdict;

pub use digest::{DifyApp, DigestKey};
pub use due::{Due, InBody};
pub use error::Error;
pub use facts::RequestFacts;
pub use rules::{Applicable, Rule, Rules};
pub use verdict::{RuleOutcome, Standing, Verdict};
