//! One connection to a stand-in: requests in, scripted bytes out.

use std::convert::Infallible;

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
};

use crate::{Step, request::read_request, server::Shared};

/// More bytes than this after a request, while it is being answered, are no pipelining but a fault.
const PIPELINE_LIMIT: usize = 1024 * 1024;

/// How playing a script ended.
enum Played {
    /// All steps done; the connection can take another request.
    Whole,
    /// The script closed the connection.
    Closed,
    /// The script wants the connection reset.
    Reset,
    /// The peer left first.
    PeerLeft,
}

/// Serves requests until either side ends the connection.
pub(crate) async fn serve(mut stream: TcpStream, shared: &Shared) {
    let recorder = shared.recorder();
    let number = recorder.connection();
    let mut buffer = BytesMut::new();
    let _ = stream.set_nodelay(true);
    loop {
        let service = shared.service();
        let next = read_request(&mut stream, &mut buffer, service, number, recorder).await;
        let Ok(Some(request)) = next else {
            return;
        };
        let (complete, last) = (request.body_complete, request.wants_close());
        let steps = complete.then(|| shared.steps(&request));
        recorder.request(request);
        let Some(steps) = steps else {
            recorder.disconnect();
            return;
        };
        match play(&mut stream, &mut buffer, steps).await {
            Played::Whole if last => {
                let _ = stream.shutdown().await;
                return;
            }
            Played::Whole => {}
            Played::Closed => return,
            Played::Reset => {
                let _ = stream.set_zero_linger();
                return;
            }
            Played::PeerLeft => {
                recorder.disconnect();
                return;
            }
        }
    }
}

async fn play(stream: &mut TcpStream, buffer: &mut BytesMut, steps: Vec<Step>) -> Played {
    let (mut reader, mut writer) = stream.split();
    tokio::select! {
        biased;
        played = perform(&mut writer, steps) => played,
        never = watch_peer(&mut reader, buffer) => match never {
            Ok(never) => match never {},
            Err(PeerLeft) => Played::PeerLeft,
        },
    }
}

async fn perform(writer: &mut WriteHalf<'_>, steps: Vec<Step>) -> Played {
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Write(bytes) => {
                if number > 0 {
                    // Lets the other end read what was written before this write joins it. Not after the last: with the
                    // whole answer in hand the peer may send its next request, however large, at once.
                    tokio::task::yield_now().await;
                }
                if writer.write_all(&bytes).await.is_err() {
                    return Played::PeerLeft;
                }
            }
            Step::Wait(wait) => wait.pass().await,
            Step::Hold => std::future::pending().await,
            Step::Close => {
                let _ = writer.shutdown().await;
                return Played::Closed;
            }
            Step::Reset => return Played::Reset,
        }
    }
    Played::Whole
}

struct PeerLeft;

/// Ends when the peer leaves; keeps what it sends until then.
async fn watch_peer(
    reader: &mut ReadHalf<'_>,
    buffer: &mut BytesMut,
) -> Result<Infallible, PeerLeft> {
    loop {
        match reader.read_buf(buffer).await {
            Ok(1..) if buffer.len() <= PIPELINE_LIMIT => {}
            _ => return Err(PeerLeft),
        }
    }
}
