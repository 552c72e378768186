//! How many tokens a request's input comes to, without a tokenizer.
//!
//! A tokenizer's table takes a quarter of a second to build in WebAssembly, and each vendor has its own. So the JSON
//! is read once, byte by byte, and what stands in it is weighed by kind: words by their length, digits in threes,
//! characters of other scripts each for itself, pictures and sounds as a whole. Nothing is copied or parsed.
//!
//! **Bound**, held by the tests against `o200k_base` and `cl100k_base`: prose and code of any of the scripts there come to no
//! less than 0.95 and no more than 1.6 of what OpenAI's newest tokenizer makes of them. An image counts 1,000 tokens (100 in
//! low detail), whatever a model takes for it; sounds and files by their length.
//!
//! Must not know who says a text, nor what is made of the number.

mod estimate;
mod media;
mod said;
mod weigh;
mod weights;

pub use estimate::{TokenEstimate, estimate_tokens};
pub use said::weigh_said;
pub use weigh::{Hundredths, weigh, weigh_text};
