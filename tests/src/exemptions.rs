//! Tests that are known to fail on a host, each with its reason. One that passes all the same fails the run: it has to
//! be taken off the list.

use crate::repository::Host;

/// A test, `file::module::test`, and why it fails.
type Exemption = (&'static str, &'static str);

/// On `spillway up --harsh`.
const HARSH: &[Exemption] = &[(
    "host::trapped::streams_of_a_trapped_instance_end_dirty",
    "the harsh host ends them as Spin does, as if they were complete",
)];

/// On Spin 4.1.
const SPIN: &[Exemption] = &[(
    "framing::lengths::what_the_length_of_a_body_is",
    "hyper 1.10 keeps a connection on which both lengths were sent, and takes what follows for a request",
)];

/// Why a test is known to fail on this host; `None` where it has to pass.
pub(crate) fn exemption(host: Host, test: &str) -> Option<&'static str> {
    let list = match host {
        Host::Embedded => &[],
        Host::Harsh => HARSH,
        Host::Spin => SPIN,
    };
    list.iter()
        .find(|(name, _)| *name == test)
        .map(|(_, reason)| *reason)
}
