//! The body of a streamed answer, on its way from a component to its client.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use spillway_platform::{ClientLeft, Headers, OutgoingBody, ResponseWriter};

/// The writing end. Dropped before it is finished, the answer is cut.
pub struct SimWriter(Rc<RefCell<Pipe>>);

/// The reading end. Dropped, the client has left.
pub struct SimReader(Rc<RefCell<Pipe>>);

#[derive(Default)]
pub(crate) struct Pipe {
    pieces: VecDeque<Vec<u8>>,
    end: Option<PipeEnd>,
    has_reader: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PipeEnd {
    Finished,
    Cut,
}

pub(crate) fn pipe() -> (SimWriter, SimReader, Rc<RefCell<Pipe>>) {
    let pipe = Rc::new(RefCell::new(Pipe {
        has_reader: true,
        ..Pipe::default()
    }));
    let ends = (SimWriter(Rc::clone(&pipe)), SimReader(Rc::clone(&pipe)));
    (ends.0, ends.1, pipe)
}

impl Pipe {
    /// Ends it, unless it has ended.
    pub fn finish(&mut self, end: PipeEnd) {
        if self.end.is_none() {
            self.end = Some(end);
        }
        wake(&mut self.reader);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl SimReader {
    /// The next piece, or how the answer ended.
    pub(crate) async fn next(&mut self) -> Result<Vec<u8>, PipeEnd> {
        poll_fn(|context| {
            let mut pipe = self.0.borrow_mut();
            if let Some(piece) = pipe.pieces.pop_front() {
                wake(&mut pipe.writer);
                return Poll::Ready(Ok(piece));
            }
            if let Some(end) = pipe.end {
                return Poll::Ready(Err(end));
            }
            pipe.reader = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Drop for SimReader {
    fn drop(&mut self) {
        let mut pipe = self.0.borrow_mut();
        pipe.has_reader = false;
        wake(&mut pipe.writer);
    }
}

impl OutgoingBody for SimWriter {
    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), ClientLeft> {
        if !bytes.is_empty() {
            self.0.borrow_mut().pieces.push_back(bytes);
        }
        wake(&mut self.0.borrow_mut().reader);
        poll_fn(|context| {
            let mut pipe = self.0.borrow_mut();
            if !pipe.has_reader {
                return Poll::Ready(Err(ClientLeft));
            }
            if pipe.pieces.is_empty() {
                return Poll::Ready(Ok(()));
            }
            pipe.writer = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl ResponseWriter for SimWriter {
    async fn finish(self, _: Option<Headers>) {
        self.0.borrow_mut().finish(PipeEnd::Finished);
    }
}

impl Drop for SimWriter {
    fn drop(&mut self) {
        self.0.borrow_mut().finish(PipeEnd::Cut);
    }
}
