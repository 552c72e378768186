//! The recorded requests, and what the stand-in is told to answer where its normal answer does not show enough.

use spillway_tests::{
    client::Request,
    standin::{Behaviour, Reply, StandinDify},
};

mod answers;
mod bodies;
mod headers;
mod paths;
mod streams;

/// What browsers and clients of Dify ask for in these requests, unless a request says otherwise.
pub(crate) const HOST: &str = "dify.example.com";
/// Stands for the case's mark in bytes that are written as they are.
const MARK: &str = "{mark}";

/// One request, with the answer to it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Says in a few words what it shows. Unique.
    pub(crate) name: String,
    sent: Sent,
    /// What the stand-in does; left out: what Dify does.
    pub(crate) answered: Option<Behaviour>,
}

#[derive(Debug, Clone)]
enum Sent {
    Request(Request),
    Bytes(Vec<u8>),
}

/// A request ready to be written.
pub(crate) enum Written {
    Request(Request),
    Bytes(Vec<u8>),
}

impl Case {
    fn new(name: &str, request: Request) -> Self {
        Self {
            name: name.to_owned(),
            sent: Sent::Request(request),
            answered: None,
        }
    }

    /// A request written as it is, with [`MARK`] in it.
    fn bytes(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.to_owned(),
            sent: Sent::Bytes(bytes.into()),
            answered: None,
        }
    }

    fn behaving(mut self, behaviour: Behaviour) -> Self {
        self.answered = Some(behaviour);
        self
    }

    fn answered(self, reply: Reply) -> Self {
        self.behaving(Behaviour::Reply(reply))
    }

    /// The method, which decides how the answer ends.
    pub(crate) fn method(&self) -> String {
        match &self.sent {
            Sent::Request(request) => request.method.clone(),
            Sent::Bytes(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                text.split(' ').next().unwrap_or_default().to_owned()
            }
        }
    }

    /// The host that is asked for, as the request names it.
    pub(crate) fn host(&self) -> &str {
        let Sent::Request(request) = &self.sent else {
            return HOST;
        };
        let named = request.headers.iter().find(|(name, _)| name == "Host");
        named.map_or(HOST, |(_, host)| host)
    }

    /// The request with this mark in it.
    pub(crate) fn marked(&self, mark: &str) -> Written {
        match &self.sent {
            Sent::Request(request) => {
                let mut request = request.clone().header("X-Mark", mark);
                let has_host = request.headers.iter().any(|(name, _)| name == "Host");
                if !has_host {
                    request
                        .headers
                        .insert(0, ("Host".to_owned(), HOST.to_owned()));
                }
                Written::Request(request)
            }
            Sent::Bytes(bytes) => {
                let place = bytes
                    .windows(MARK.len())
                    .position(|window| window == MARK.as_bytes());
                let mut bytes = bytes.clone();
                if let Some(place) = place {
                    bytes.splice(place..place.saturating_add(MARK.len()), mark.bytes());
                }
                Written::Bytes(bytes)
            }
        }
    }
}

/// A call of Dify's service API.
fn service_api(method: &str, target: &str) -> Request {
    Request::new(method, target).bearer("app-parity-1")
}

/// All of them but [`to_a_dead_plugin_daemon`].
pub(crate) fn all(dify: &StandinDify) -> Vec<Case> {
    [
        paths::prefixes(),
        paths::odd_paths(),
        paths::methods(),
        bodies::cases(),
        headers::ordinary(),
        headers::spoofed(),
        headers::odd(),
        answers::ordinary(),
        streams::cases(),
        answers::odd(&dify.api.url()),
        answers::failures(),
    ]
    .concat()
}

/// What is sent once the plugin daemon is gone.
pub(crate) fn to_a_dead_plugin_daemon() -> Vec<Case> {
    answers::of_nobody()
}
