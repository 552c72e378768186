//! What a provider speaks: where its calls go, how they are authorised, and how requests, answers and streams are
//! written. Clients speak OpenAI's API; what a provider of another dialect says is brought into that.
//!
//! Where client and provider speak the same, request and answer keep their bytes. A translation keeps what it does not
//! know: unknown members go on as they are. What a dialect has no word for is either refused before anything is sent
//! ([`EncodeError`]), where the answer would be another one without it, or left out and named to the client
//! ([`Dialect::left_out`]).

pub(crate) mod anthropic;
mod openai;

use bytes::Bytes;
use spillway_config::{Protocol, ProviderType};
use spillway_platform::{Headers, Upstream};
use spillway_upstream::Failure;

use crate::pipeline::StreamDecoder;
use crate::plain::ChunkTemplate;
use crate::refusal::failure_of;
use crate::{ModelRequest, ModelThere, Operation, StreamOptionsSent};

/// What a provider speaks.
///
/// ```
/// use spillway_config::ProviderType;
/// use spillway_llm::{Dialect, Operation};
/// use spillway_platform::{Headers, Upstream};
///
/// let dialect = Dialect::of(ProviderType::named("claude").unwrap());
/// let upstream = Upstream::parse("https://api.anthropic.com").unwrap();
/// let path = dialect.endpoint(Operation::ChatCompletions, &upstream);
/// assert_eq!(path.as_deref(), Some("/v1/messages"));
/// assert_eq!(dialect.endpoint(Operation::Embeddings, &upstream), None);
///
/// let mut headers = Headers::default();
/// dialect.authorize(Some("sk-ant-1"), &mut headers);
/// assert_eq!(headers.text("x-api-key"), Some("sk-ant-1"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's API.
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
}

/// A request that a dialect cannot say. The text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EncodeError(pub(crate) String);

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::OpenAi, Self::Anthropic];

    /// That of a provider.
    pub fn of(provider_type: ProviderType) -> Self {
        match provider_type.protocol() {
            Protocol::OpenAi => Self::OpenAi,
            Protocol::Anthropic => Self::Anthropic,
        }
    }

    /// Path and query of an operation at an endpoint; of [`Operation::Stateful`] what the rest of the path follows. `None`
    /// where the dialect has no such operation.
    pub fn endpoint(self, operation: Operation, upstream: &Upstream) -> Option<String> {
        match self {
            Self::OpenAi => Some(openai::endpoint(operation, upstream)),
            Self::Anthropic => anthropic::endpoint(operation, upstream),
        }
    }

    /// Whether it has an operation at all.
    pub fn offers(self, operation: Operation) -> bool {
        match self {
            Self::OpenAi => true,
            Self::Anthropic => operation == Operation::ChatCompletions,
        }
    }

    /// Path and query of the list of models, which tells whether a key is taken and costs nothing.
    pub fn probe(self, upstream: &Upstream) -> String {
        match self {
            Self::OpenAi => openai::probe(upstream),
            Self::Anthropic => anthropic::probe(upstream),
        }
    }

    /// Appends the header fields by which the provider knows who calls, and in which version; without a secret the
    /// second alone.
    pub fn authorize(self, secret: Option<&str>, headers: &mut Headers) {
        match self {
            Self::OpenAi => openai::authorize(secret, headers),
            Self::Anthropic => anthropic::authorize(secret, headers),
        }
    }

    /// The request's body for a provider that calls the model so, and takes a stream's options so.
    ///
    /// # Errors
    /// [`EncodeError`].
    pub fn encode(
        self,
        request: &ModelRequest,
        model: ModelThere<'_>,
        stream_options: StreamOptionsSent,
    ) -> Result<Vec<u8>, EncodeError> {
        match self {
            Self::OpenAi => Ok(request.body_for(model, stream_options)),
            Self::Anthropic => anthropic::encode(request, model),
        }
    }

    /// Whether answers and streams have to be brought into the client's dialect.
    pub fn is_translated(self) -> bool {
        match self {
            Self::OpenAi => false,
            Self::Anthropic => true,
        }
    }

    /// The members of a request that the provider is not told, though the client means something by them.
    pub fn left_out(self, request: &ModelRequest) -> Vec<&str> {
        match self {
            Self::OpenAi => Vec::new(),
            Self::Anthropic => anthropic::left_out(request),
        }
    }

    /// A success's body as a client of OpenAI's API reads it. What is no answer stays as it is.
    pub fn decode(self, body: Bytes, unix_seconds: u64) -> Bytes {
        match self {
            Self::OpenAi => body,
            Self::Anthropic => anthropic::decode(&body, unix_seconds).map_or(body, Bytes::from),
        }
    }

    /// Reads a stream of this dialect.
    pub(crate) fn stream_decoder(self) -> StreamDecoder {
        match self {
            Self::OpenAi => StreamDecoder::OpenAi(ChunkTemplate::default()),
            Self::Anthropic => StreamDecoder::Anthropic(anthropic::StreamState::default()),
        }
    }

    /// Whose fault an error answer is.
    pub fn classify(self, status: u16, body: &[u8]) -> Failure {
        match self {
            Self::OpenAi | Self::Anthropic => failure_of(status, body),
        }
    }
}
