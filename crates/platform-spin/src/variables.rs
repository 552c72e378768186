//! Application variables.

use spin_sdk::variables::{self, Error};

/// A variable's value; `None` where the component has no such variable.
///
/// # Errors
/// The runtime's words where a provider of variables fails.
pub async fn variable(name: &str) -> Result<Option<String>, String> {
    match variables::get(name).await {
        Ok(value) => Ok(Some(value)),
        // A name that no variable can have is as good as an unknown one.
        Err(Error::Undefined(_) | Error::InvalidName(_)) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
