//! A stand-in: a listener, what it is told to do, and what it has seen.

use std::{
    net::{Shutdown, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use socket2::SockRef;
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};

use crate::{
    Behaviour, EventStream, RecordedRequest, ReservedPort, Service, StandinError, Step, connection,
    port,
    recorder::Recorder,
    script::Script,
    surface::{Answer, Surface},
};

/// One stand-in, listening on 127.0.0.1 within the tokio runtime it was started in, until dropped.
///
/// A request is answered by the first behaviour queued with [`next`](Self::next), else by the first
/// [`once`](Self::once) that it mentions, else by the latest [`when`](Self::when) that it mentions, else by
/// [`always`](Self::always), else normally.
#[derive(Debug)]
pub struct Standin {
    port: ReservedPort,
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    accepting: JoinHandle<()>,
}

/// What connections need of their stand-in.
#[derive(Debug)]
pub(crate) struct Shared {
    surface: Box<dyn Surface>,
    recorder: Recorder,
    script: Mutex<Script>,
}

impl Standin {
    pub(crate) fn start(surface: impl Surface) -> Result<Self, StandinError> {
        let standin = Self {
            port: ReservedPort::reserve()?,
            shared: Arc::new(Shared {
                surface: Box::new(surface),
                recorder: Recorder::new(),
                script: Mutex::new(Script::default()),
            }),
            running: Mutex::new(None),
        };
        standin.restart()?;
        Ok(standin)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.port.url()
    }

    /// Answers the next request so, once; several wait in line.
    pub fn next(&self, behaviour: Behaviour) {
        self.shared.script().next.push_back(behaviour);
    }

    /// Answers so, once, the next request that mentions the text in target, header values or body; several wait in
    /// line.
    pub fn once(&self, text: &str, behaviour: Behaviour) {
        self.shared.script().once.push((text.to_owned(), behaviour));
    }

    /// Answers so every request that mentions the text in target, header values or body.
    pub fn when(&self, text: &str, behaviour: Behaviour) {
        self.shared.script().when.push((text.to_owned(), behaviour));
    }

    /// Answers every other request so, from now on.
    pub fn always(&self, behaviour: Behaviour) {
        self.shared.script().always = behaviour;
    }

    /// Stops listening and drops every connection, as a killed process does. Connections are refused until
    /// [`restart`](Self::restart); nobody else gets the port.
    pub async fn kill(&self) {
        let running = lock(&self.running).take();
        if let Some(Running { stop, accepting }) = running {
            drop(stop);
            let _ = accepting.await;
        }
    }

    /// Listens again on the same port, after [`kill`](Self::kill).
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub fn restart(&self) -> Result<(), StandinError> {
        self.restart_at(self.address())
    }

    /// Listens again at another address, after [`kill`](Self::kill): a container that was replaced gets one.
    /// [`address`](Self::address) stays the old one.
    ///
    /// # Errors
    /// When it cannot be listened on.
    pub fn restart_at(&self, address: SocketAddr) -> Result<(), StandinError> {
        let mut running = lock(&self.running);
        if running.is_none() {
            let listener = port::listen(address)?;
            let (stop, stopped) = oneshot::channel();
            let accepting = tokio::spawn(accept(listener, Arc::clone(&self.shared), stopped));
            *running = Some(Running { stop, accepting });
        }
        Ok(())
    }

    /// All requests so far, in the order in which their bodies were complete.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.recorder.read(|seen| seen.requests.clone())
    }

    /// The requests so far that mention the text.
    pub fn requests_mentioning(&self, text: &str) -> Vec<RecordedRequest> {
        let mentions = |request: &&RecordedRequest| request.mentions(text);
        let found =
            |requests: &[RecordedRequest]| requests.iter().filter(mentions).cloned().collect();
        self.shared.recorder.read(|seen| found(&seen.requests))
    }

    /// How many connections it has taken.
    pub fn connections(&self) -> u64 {
        self.shared.recorder.read(|seen| seen.connections)
    }

    /// Waits until at least `count` requests have come, and gives them all.
    ///
    /// # Errors
    /// After 30 s.
    pub async fn wait_for_requests(
        &self,
        count: usize,
    ) -> Result<Vec<RecordedRequest>, StandinError> {
        let enough = |requests: &Vec<RecordedRequest>| requests.len() >= count;
        self.shared
            .recorder
            .wait(format!("{count} requests"), |seen| {
                enough(&seen.requests).then(|| seen.requests.clone())
            })
            .await
    }

    /// Waits until a request that mentions the text has come, and gives the first.
    ///
    /// # Errors
    /// After 30 s.
    pub async fn wait_for_request(&self, text: &str) -> Result<RecordedRequest, StandinError> {
        let what = format!("a request that mentions {text:?}");
        let find = |requests: &[RecordedRequest]| {
            requests
                .iter()
                .find(|request| request.mentions(text))
                .cloned()
        };
        self.shared
            .recorder
            .wait(what, |seen| find(&seen.requests))
            .await
    }

    /// Waits until so many bytes of request bodies have come, counted since the start and over all requests,
    /// finished or not.
    ///
    /// # Errors
    /// After 30 s.
    pub async fn wait_for_body_bytes(&self, count: u64) -> Result<(), StandinError> {
        self.shared
            .recorder
            .wait(format!("{count} bytes of body"), |seen| {
                (seen.body_bytes >= count).then_some(())
            })
            .await
    }

    /// Waits until the peer has closed at least `count` connections while a request or its answer was under
    /// way. Idle connections do not count.
    ///
    /// # Errors
    /// After 30 s.
    pub async fn wait_for_disconnects(&self, count: usize) -> Result<(), StandinError> {
        self.shared
            .recorder
            .wait(format!("{count} disconnects"), |seen| {
                (seen.disconnects >= count).then_some(())
            })
            .await
    }
}

impl Shared {
    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        lock(&self.script)
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub(crate) fn service(&self) -> Service {
        self.surface.service()
    }

    /// What to do about a request.
    pub(crate) fn steps(&self, request: &RecordedRequest) -> Vec<Step> {
        let behaviour = self.script().choose(request);
        self.steps_of(behaviour, request)
    }

    fn steps_of(&self, behaviour: Behaviour, request: &RecordedRequest) -> Vec<Step> {
        match behaviour {
            Behaviour::Normal => self.normally(request, &EventStream::new()),
            Behaviour::Stream(shape) => self.normally(request, &shape),
            Behaviour::Silent => vec![Step::Hold],
            Behaviour::Reset => vec![Step::Reset],
            Behaviour::Close => vec![Step::Close],
            Behaviour::Garbage => vec![
                Step::Write(Bytes::from_static(
                    b"\x16\x03\x01\x00\xff no HTTP at all\r\n\r\n",
                )),
                Step::Close,
            ],
            Behaviour::Error(status) => self.surface.error(request, status).steps(request),
            Behaviour::Reply(reply) => reply.steps(request),
            Behaviour::Unstreamed => self.surface.answer_unstreamed(request).steps(request),
            Behaviour::Raw(steps) => steps,
            Behaviour::After(wait, then) => {
                let mut steps = vec![Step::Wait(wait)];
                steps.extend(self.steps_of(*then, request));
                steps
            }
        }
    }

    fn normally(&self, request: &RecordedRequest, shape: &EventStream) -> Vec<Step> {
        match self.surface.answer(request, shape) {
            Answer::Whole(reply) => reply.steps(request),
            Answer::Events(events) => shape.steps(events, &self.surface.error_event()),
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move { connection::serve(stream, &shared).await });
                }
                // Out of file descriptors, or the peer left already: the next one may do better.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    // A process that is just being started holds copies of all sockets for a moment: closing alone would leave
    // this one listening.
    let _ = SockRef::from(&listener).shutdown(Shutdown::Both);
    drop(listener);
    connections.shutdown().await;
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
