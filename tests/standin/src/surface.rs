//! What a stand-in normally answers: the seam between the socket and the services.

use crate::{Event, EventStream, RecordedRequest, Reply, Service};

/// A normal answer.
pub(crate) enum Answer {
    /// All at once.
    Whole(Reply),
    /// As an event stream.
    Events(Vec<Event>),
}

/// What a service answers.
pub(crate) trait Surface: std::fmt::Debug + Send + Sync + 'static {
    /// Who this is.
    fn service(&self) -> Service;

    /// The answer. `stream` holds wishes about an event stream's content.
    fn answer(&self, request: &RecordedRequest, stream: &EventStream) -> Answer;

    /// The answer when no stream is given even to a client that asked for one.
    fn answer_unstreamed(&self, request: &RecordedRequest) -> Reply;

    /// An error in the service's own form.
    fn error(&self, request: &RecordedRequest, status: u16) -> Reply;

    /// The event that reports an error within a stream.
    fn error_event(&self) -> Event;
}
