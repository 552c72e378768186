//! Limits of requests and of tokens: which of an API's rules hold for a request, under which keys it is counted, how
//! much it reserves, and what the counts mean for it. Must not know where or how counting is done, nor what an answer looks like.

mod applicable;
mod descriptor;
mod digest;
mod due;
mod error;
mod facts;
mod headers;
mod invention;
mod item;
mod message;
mod rules;
mod tokens;
mod verdict;

pub use applicable::{Applicable, Reserved};
pub use descriptor::{LimitDescription, Unit};
pub use digest::{DifyApp, DigestKey};
pub use due::{Due, InBody};
pub use error::Error;
pub use facts::RequestFacts;
pub use rules::{Rule, Rules};
pub use tokens::{TokenCounting, TokenDemand, TokenUse};
pub use verdict::{RuleOutcome, Standing, Verdict};
