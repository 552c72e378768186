//! What clients and upstreams do, as their scripts have it.

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use http::StatusCode;
use spillway_platform::{
    Clock, Headers, InboundResponse, OutboundRequest, ReceiveError, SendError, Sender,
};

use crate::{PeerStep, ReceivedRequest, Sim, SimBody, SimRequest};

impl Sim {
    /// Asks an upstream; the body of its answer is still to come.
    async fn ask(
        &self,
        asked: ReceivedRequest,
    ) -> Result<(StatusCode, Headers, SimBody), SendError> {
        self.0.asked.borrow_mut().push(asked.clone());
        let script = match self.0.upstreams.borrow_mut().get_mut(&asked.authority) {
            Some(upstream) => upstream(&asked),
            None => return Err(SendError::Connect("nobody is there".to_owned())),
        };
        let mut body = SimBody::new(self.clone(), script);
        match body.step().await {
            Some(PeerStep::Head(status, headers)) => {
                let status = StatusCode::from_u16(status)
                    .map_err(|error| SendError::Reset(error.to_string()))?;
                Ok((status, headers, body))
            }
            Some(PeerStep::Fail(error)) => Err(error),
            _ => Err(SendError::Reset("no head".to_owned())),
        }
    }

    /// A client's body, whole.
    pub(crate) async fn client_body(
        &self,
        request: SimRequest,
        limit: u64,
    ) -> Result<Bytes, ReceiveError> {
        let mut body = SimBody::new(self.clone(), request.body);
        let mut whole = BytesMut::new();
        while let Some(step) = body.step().await {
            let PeerStep::Piece(piece) = step else {
                return Err(ReceiveError::Broken("by its script".to_owned()));
            };
            whole.extend_from_slice(&piece);
            if u64::try_from(whole.len()).unwrap_or(u64::MAX) > limit {
                return Err(ReceiveError::TooLarge { limit });
            }
        }
        Ok(whole.freeze())
    }
}

impl Sender for Sim {
    type Body = SimBody;

    async fn send(&self, request: OutboundRequest) -> Result<InboundResponse<SimBody>, SendError> {
        let asked = ReceivedRequest {
            authority: request.authority,
            method: request.method,
            path_and_query: request.path_and_query,
            headers: request.headers,
            body: request.body,
        };
        let asking = std::pin::pin!(self.ask(asked));
        let timer = std::pin::pin!(self.sleep(request.timeouts.first_byte));
        let (status, headers, body) = match select(asking, timer).await {
            Either::Left((answered, _)) => answered?,
            Either::Right(_) => return Err(SendError::FirstByteTimeout),
        };
        Ok(InboundResponse {
            status,
            headers,
            body: body.patient_for(request.timeouts.between_bytes),
        })
    }
}
