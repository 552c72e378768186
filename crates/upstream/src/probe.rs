//! Probes: what a provider says to a request that has nothing of a client's.

use crate::Failure;

/// Why a probe is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// This instance got a 401 or a 403 with the key.
    Suspect,
    /// The key is out, and may be taken again by now. One instance is enough to ask.
    Out,
    /// A consumer's calls to the endpoint fail.
    Endpoint,
}

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// The provider takes the key.
    Accepted,
    /// It does not know the key.
    Refused,
    /// The key may not see the list of models. It may yet be good for chats: vendors have keys with so few rights, and
    /// some API gateways say 403 of a path that does not exist.
    Forbidden,
    /// Somebody is there, and says nothing of the key: the provider has no list of models, or no time.
    Unclear,
    /// Nobody answers, or what answers is broken.
    Failed,
}

impl Probed {
    /// What an answer's status tells. 501 says no more than that there is no list of models.
    pub fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Accepted,
            401 => Self::Refused,
            403 => Self::Forbidden,
            408 | 500 | 502..=599 => Self::Failed,
            _ => Self::Unclear,
        }
    }

    /// What it tells that there is no answer.
    pub fn of_failure(failure: Failure) -> Self {
        match failure {
            // The gateway's own doing.
            Failure::HostNotAllowed | Failure::NoRoom => Self::Unclear,
            _ => Self::Failed,
        }
    }
}
