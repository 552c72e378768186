//! Everything that a gateway asks of the outside, in one trait.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use crate::{
    BytesInHand, Clock, ForwardError, ForwardRequest, ForwardedBody, ForwardedResponse, Headers,
    JoinKey, ReceiveError, RequestHead, ResponseWriter, SendError, Sender, State, StateLocation,
};

/// Everything that a gateway asks of the outside. A copy costs nothing, and speaks for the same instance.
///
/// Two body paths: what nobody reads is *spliced*, moved by the runtime past the gateway; what policy reads is
/// *copied*. Which it is, is the caller's choice, message by message.
///
/// ```
/// use spillway_platform::{Headers, Platform};
///
/// async fn hello<P: Platform>(platform: &P, request: P::Request) -> Result<P::Response, P::Error> {
///     let path = platform.head(&request).path().to_owned();
///     platform.log(&format!("asked for {path}"));
///     platform.respond(http::StatusCode::OK, Headers::default(), "hello\n".into()).await
/// }
/// ```
pub trait Platform: Sender<Body: 'static> + Clock + Clone + 'static {
    /// A client's request, its body not read.
    type Request: 'static;
    /// What a request is answered with.
    type Response;
    /// Why there can be no answer: the runtime makes one.
    type Error;
    /// An upstream's body that nobody has read.
    type Unread: 'static;
    /// Writes a streamed answer.
    type Writer: ResponseWriter + 'static;
    /// The reading end of a streamed answer.
    type Reader: 'static;
    /// State that instances share.
    type State: State;

    /// A request's head.
    fn head(&self, request: &Self::Request) -> RequestHead;

    /// Reads a request's body whole. `until`, by the clock, is when it must be here; what is read takes room in
    /// `in_hand` until its last copy is dropped.
    ///
    /// # Errors
    /// [`ReceiveError`]; past the limit reading stops at once, and where there is no room nothing is read.
    fn read_body(
        &self,
        request: Self::Request,
        limit: u64,
        until: Duration,
        in_hand: &Arc<BytesInHand>,
    ) -> impl Future<Output = Result<Bytes, ReceiveError>>;

    /// Sends a request on, body and all.
    ///
    /// # Errors
    /// [`ForwardError`] where no head came. The client's body is gone then, as far as it was taken.
    fn forward(
        &self,
        body: ForwardedBody<Self::Request>,
        to: ForwardRequest<'_>,
    ) -> impl Future<Output = Result<ForwardedResponse<Self::Unread>, ForwardError>>;

    /// An upstream's body, to be read.
    ///
    /// # Errors
    /// Where the runtime does not give it.
    fn read(&self, body: Self::Unread) -> Result<Self::Body, SendError>;

    /// Answers with an upstream's body and trailers, unread.
    ///
    /// # Errors
    /// Where the status may not be sent; a fault of the caller.
    fn splice(
        &self,
        status: StatusCode,
        headers: &Headers,
        body: Self::Unread,
    ) -> Result<Self::Response, Self::Error>;

    /// Answers with a body in hand.
    ///
    /// # Errors
    /// As [`Platform::splice`].
    fn respond(
        &self,
        status: StatusCode,
        headers: Headers,
        body: Bytes,
    ) -> impl Future<Output = Result<Self::Response, Self::Error>>;

    /// The two ends of a body to be streamed.
    fn response_stream(&self) -> (Self::Writer, Self::Reader);

    /// Answers with a body that is being streamed. To be called once the first bytes are being written.
    ///
    /// # Errors
    /// As [`Platform::splice`].
    fn respond_with_stream(
        &self,
        status: StatusCode,
        headers: &Headers,
        body: Self::Reader,
    ) -> impl Future<Output = Result<Self::Response, Self::Error>>;

    /// No answer, for a fault of the gateway itself, in these words.
    fn fail(&self, words: &str) -> Self::Error;

    /// Runs a task of its own, beside and after the request's. It begins with the request's next turn, and does not make
    /// one: who waits for what it does [lets others go on](Self::yield_now) first.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);

    /// Has what was spawned begin before this request waits for anything else, and gives other requests their turns. This
    /// one may go on before either.
    fn yield_now(&self) -> impl Future<Output = ()>;

    /// Writes a line to the log, or several, in one go.
    fn log(&self, line: &str);

    /// Whether lines that the platform itself has to say are written as JSON. Not before it is told so.
    fn log_as_json(&self, is_json: bool);

    /// A number that differs from call to call, for spreading load and for nothing that must be secret.
    fn random_number(&self) -> u32;

    /// A number that no other call anywhere gets, for nothing that must be secret.
    fn unique_number(&self) -> u128;

    /// A name that nothing else has: [`Platform::unique_number`] in 32 hexadecimal digits.
    fn unique_name(&self) -> String {
        let halves = |byte: u8| [byte >> 4, byte & 15];
        let digits = self
            .unique_number()
            .to_be_bytes()
            .into_iter()
            .flat_map(halves);
        digits
            .map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0'))
            .collect()
    }

    /// An application variable; `None` where there is none of the name.
    ///
    /// # Errors
    /// The runtime's words where a provider of variables fails.
    fn variable(&self, name: &str) -> impl Future<Output = Result<Option<String>, String>>;

    /// A file that is mounted for the gateway.
    ///
    /// # Errors
    /// The runtime's words where it cannot be read.
    fn mounted_file(&self, path: &str) -> Result<String, String>;

    /// Where the host can join connections: its key.
    fn join_key(&self) -> Option<JoinKey>;

    /// Shared state. Connections are opened when they are first needed.
    fn open_state(&self, location: StateLocation) -> Self::State;
}
