//! What a history is made of, before it happens: data, so that it can be made smaller.

use std::time::Duration;

use crate::settings::Settings;

mod oddity;

pub use oddity::Oddity;

/// One history.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What chance in it follows from.
    pub seed: u64,
    /// The configuration, and how many instances there are.
    pub settings: Settings,
    /// What clients do.
    pub requests: Vec<RequestPlan>,
    /// What fate does.
    pub faults: Vec<Fault>,
    /// How operations reach the store.
    pub store: StorePlan,
    /// What of the first provider fails for a while, whatever it is asked.
    pub outages: Vec<Outage>,
}

/// Something of the first provider that fails for a while, for calls and for what the gateway asks by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// From when.
    pub from: Duration,
    /// Until when.
    pub until: Duration,
    /// What.
    pub place: Place,
    /// What it does.
    pub behaviour: Behaviour,
}

/// A part of the first provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The endpoint of this number.
    Endpoint(usize),
    /// The key of this number.
    Key(usize),
}

/// What one client does.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestPlan {
    /// Its number, by which its traces are found in requests and answers.
    pub number: u32,
    /// When.
    pub at: Duration,
    /// What it asks for.
    pub api: Api,
    /// Who it is.
    pub caller: Persona,
    /// Under which request's nonce a signer signs it: another's is a repetition.
    pub nonce: u32,
    /// Which of a few apps, end users or models it names.
    pub subject: u8,
    /// So many bytes more than it needs.
    pub padding: usize,
    /// How its body comes.
    pub body: BodyPlan,
    /// What upstreams do with it, attempt by attempt; well after the last.
    pub behaviours: Vec<Behaviour>,
    /// How long it takes over each piece of its answer.
    pub pause: Duration,
    /// When it leaves, if it does.
    pub leaves: Option<Leave>,
}

/// An operation of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    /// `chat/completions`, not streamed.
    Chat,
    /// The same, streamed.
    ChatStream,
    /// `embeddings`.
    Embedding,
    /// `completions`.
    Completion,
    /// `responses`, with nothing that is stored.
    Response,
    /// The list of models, which the gateway answers itself.
    Models,
    /// What is no endpoint.
    Nowhere,
    /// A file, which is passed on.
    File,
    /// A run of a Dify app, not streamed.
    Run,
    /// The same, streamed.
    RunStream,
    /// A page of Dify's front end.
    Page,
    /// A form that Dify's API takes.
    Upload,
    /// A retrieval from RAGFlow.
    Ragflow,
    /// A retrieval from an engine that speaks Dify's contract.
    Engine,
    /// Whether the gateway is ready, as a probe asks.
    Ready,
    /// The metrics.
    Metrics,
    /// Where limits stand, as an operator asks.
    Limits,
}

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Persona {
    /// A consumer with a key.
    Ada,
    /// Another.
    Bob,
    /// One that signs.
    Signer,
    /// Nobody that is known.
    Nobody,
}

/// How a request's body comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyPlan {
    /// At once.
    Whole,
    /// In two pieces, with this between them.
    Slow(Duration),
    /// The first half, and no more.
    Broken,
    /// All of it, and it is no JSON.
    Garbled,
}

/// When a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// After this time, wherever its request stands.
    After(Duration),
    /// Once it has read so many pieces.
    Pieces(usize),
    /// After so many turns of tasks: between any two awaits.
    Turn(u64),
}

/// What an upstream does with a request. Shares are of 1,000, of the answer's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// It answers.
    Well,
    /// It answers after a while.
    Slow(Duration),
    /// It answers a little at a time, with a pause between pieces.
    Pieces(usize, Duration),
    /// Nobody listens.
    Refused,
    /// No connection comes to stand.
    NoConnection,
    /// It takes the request and says nothing.
    Silent,
    /// It breaks off before its head.
    Reset,
    /// An error, with a `Retry-After` or without.
    Status(u16, Option<u32>),
    /// A head, a share of the body, and a broken connection.
    CutAt(u16),
    /// The same with a clean end.
    EndAt(u16),
    /// The same, and nothing any more.
    StallAt(u16),
    /// Something that does not belong there, in the middle.
    GarbleAt(u16),
    /// The whole answer in the other form: as a stream where none was asked for, and the other way round.
    OtherForm,
    /// A web page, with 200.
    WebPage,
    /// Nothing, with 200.
    Empty,
    /// An error in a 200, which names this status.
    CodedError(u16),
    /// An error in the midst of a stream.
    ErrorEventAt(u16),
    /// The whole answer without its terminator.
    NoTerminator,
    /// Something more after the terminator.
    MoreAfterTerminator,
    /// What only some providers do.
    Odd(Oddity),
}

/// How operations reach the store. Rates are of 1,000 operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StorePlan {
    /// How long a request takes to it at most, in microseconds; and back, and the opening of a connection.
    pub latency_us: u32,
    /// At which a connection falls silent for good, before the operation is done or after.
    pub silent: u16,
    /// What is held up for longer than anybody waits, with all that was sent after it, and done then.
    pub late: u16,
    /// At which a connection breaks that has stood for a while, before the operation is done or after: a client sends
    /// it again, and by the connection that it opens it comes through.
    pub resets: u16,
    /// At which a connection breaks, and as soon as it stands.
    pub breaks: u16,
    /// What is answered with an error.
    pub errors: u16,
    /// Connections that are refused.
    pub refused: u16,
}

/// What fate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub when: When,
    /// What.
    pub what: Strike,
}

/// When fate strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At this time.
    At(Duration),
    /// After so many turns of tasks: between any two awaits.
    Turn(u64),
}

/// What fate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// An instance dies, and another takes its place. Counted through all kinds of APIs.
    Death(usize),
    /// All of them die, as a process does.
    Deaths,
    /// The runtime gives up one of an instance's requests.
    Cancel(usize),
    /// For so long the store takes no connections.
    StoreDown(Duration),
    /// For so long nothing comes back from it.
    StoreSilent(Duration),
    /// For so long what is sent to it is held up for longer than anybody waits, and done then.
    StoreLate(Duration),
    /// It loses all that it knew.
    StoreLoss,
    /// The date jumps, so many milliseconds.
    ClockStep(i64),
    /// The store's does. Never forward: it would be right to let more pass then.
    StoreClockStep(i64),
    /// New instances with a configuration that allows twice as much; the old ones see their requests through.
    NewConfiguration,
    /// The same with one that cannot be used.
    BrokenConfiguration,
}

impl StorePlan {
    /// Whether operations may fail.
    pub const fn is_faulty(&self) -> bool {
        self.silent > 0 || self.late > 0 || self.breaks > 0 || self.errors > 0 || self.refused > 0
    }
}

impl Plan {
    /// Whether the store may fail an operation.
    pub fn has_store_faults(&self) -> bool {
        let is_fault = |fault: &Fault| {
            matches!(
                fault.what,
                Strike::StoreDown(_)
                    | Strike::StoreSilent(_)
                    | Strike::StoreLate(_)
                    | Strike::StoreLoss
            )
        };
        self.store.is_faulty() || self.faults.iter().any(is_fault)
    }

    /// What an upstream does at this attempt of a request.
    pub fn behaviour(&self, number: u32, attempt: usize) -> Behaviour {
        let request = self.requests.iter().find(|one| one.number == number);
        let planned = request.and_then(|one| one.behaviours.get(attempt));
        planned.copied().unwrap_or(Behaviour::Well)
    }
}

impl Behaviour {
    /// Whether the upstream answers as it should, sooner or later.
    pub const fn is_well(self) -> bool {
        matches!(
            self,
            Self::Well | Self::Slow(_) | Self::Pieces(..) | Self::OtherForm
        ) || matches!(self, Self::Odd(oddity) if oddity.is_harmless())
    }
}

impl Api {
    /// Whether it is one of models, of Dify, or of knowledge.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Chat
            | Self::ChatStream
            | Self::Completion
            | Self::Embedding
            | Self::Response
            | Self::Models
            | Self::Nowhere
            | Self::File => Kind::Model,
            Self::Run | Self::RunStream | Self::Page | Self::Upload => Kind::Agent,
            Self::Ragflow | Self::Engine => Kind::Knowledge,
            Self::Ready | Self::Metrics | Self::Limits => Kind::Console,
        }
    }
}

/// A kind of API, which is a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Ingress to Dify.
    Agent,
    /// Models.
    Model,
    /// Knowledge.
    Knowledge,
    /// The gateway's own paths.
    Console,
}
