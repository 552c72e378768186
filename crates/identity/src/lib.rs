//! Who is calling: consumers and the credentials that show it.
//! Must not know what a consumer may do, nor keep in clear a secret that it does not need in clear.

mod admin_token;
mod api_key;
mod directory;
mod signature;

pub use admin_token::AdminToken;
pub use directory::{Caller, Directory, Identity};
pub use signature::{BodyDigest, SignatureFault, Signed};
