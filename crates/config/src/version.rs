//! What a configuration is called.

use sha2::{Digest as _, Sha256};

/// Bytes of the digest that its name shows.
const BYTES: usize = 6;

/// A normal form's name in logs, health and metrics: the first twelve hexadecimal digits of its SHA-256. The values of its
/// `{{ name }}` are not in it.
pub fn config_version(normal_form: &str) -> String {
    let digest = Sha256::digest(normal_form.trim().as_bytes());
    let bytes = digest.iter().take(BYTES);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_has_one_name() {
        // printf '{}' | sha256sum
        assert_eq!(config_version("{}\n"), "44136fa355b3");
        assert_eq!(config_version("{}"), config_version("{}\n"));
        assert_ne!(config_version("{}"), config_version("[]"));
    }
}
