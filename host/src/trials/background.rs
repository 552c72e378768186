//! Trials beside a gateway that serves.

use crate::log_lines::{notice, warn};
use crate::reload::Version;

use super::{Finding, TrialVerdict, try_all};

/// Whether versions are tried out once they are in force.
#[derive(Debug, Clone, Copy)]
pub enum Trials {
    /// In the background; what is wrong or odd is a warning of the log.
    Wanted,
    /// Not at all.
    Skipped,
}

impl Trials {
    /// Begins to try out what a version leads to, and the one before it did not, on the runtime at work.
    pub fn begin(self, version: &Version, former: Option<&Version>) {
        // One that cannot be read has been told of.
        let (Self::Wanted, Ok(gateway)) = (self, version.gateway()) else {
            return;
        };
        let former = former.and_then(|former| former.gateway().ok());
        let name = version.name();
        tokio::spawn(async move {
            let findings = try_all(&gateway, former.as_ref()).await;
            let is_told = |finding: &&Finding| finding.verdict != TrialVerdict::Fine;
            let told: Vec<_> = findings.iter().filter(is_told).collect();
            for finding in &told {
                warn(&format!("{} (tried for version {name})", finding.words));
            }
            if told.is_empty() && !findings.is_empty() {
                notice(&format!(
                    "What version {name} leads to answers: {} tried",
                    findings.len()
                ));
            }
        });
    }
}
