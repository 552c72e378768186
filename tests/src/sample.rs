//! Running some of the tests: `SPILLWAY_SAMPLE=SEED/PARTS` draws one in so many, the same ones for the same seed.

use std::env;

use anyhow::{Context as _, Result};

/// Whether a test belongs to this run.
///
/// # Errors
/// When the variable is no `SEED/PARTS`.
pub(crate) fn is_drawn(test: &str) -> Result<bool> {
    match env::var("SPILLWAY_SAMPLE") {
        Err(_) => Ok(true),
        Ok(sample) => drawn(&sample, test).with_context(|| {
            format!("SPILLWAY_SAMPLE={sample}: write SEED/PARTS, such as 17/4 for one test in four")
        }),
    }
}

fn drawn(sample: &str, test: &str) -> Option<bool> {
    let (seed, parts) = sample.split_once('/')?;
    let (seed, parts): (u64, u64) = (seed.parse().ok()?, parts.parse().ok()?);
    // FNV-1a, 64 bits, over the seed and the name: the same on every machine and with every compiler.
    let hash = seed
        .to_le_bytes()
        .into_iter()
        .chain(test.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    hash.checked_rem(parts).map(|part| part == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_together_are_all_tests() {
        let names: Vec<String> = (0..1_000).map(|n| format!("ingress::test_{n}")).collect();
        let count = names
            .iter()
            .filter(|name| drawn("7/4", name) == Some(true))
            .count();
        assert!((150..350).contains(&count), "{count} of 1,000");
        assert!(names.iter().all(|name| drawn("7/1", name) == Some(true)));
        let other = |seed| -> Vec<bool> {
            let sample = format!("{seed}/4");
            names
                .iter()
                .map(|name| drawn(&sample, name) == Some(true))
                .collect()
        };
        assert_ne!(other(1), other(2));
        for wrong in ["", "7", "7/0", "x/4"] {
            assert_eq!(drawn(wrong, "a"), None, "{wrong}");
        }
    }
}
