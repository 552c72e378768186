//! The client's side: a request that may become a WebSocket, and the answer by which it does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::JOIN_FIELD;
use super::joins::{Joins, Kept};
use super::tunnel::{Traffic, join};
use crate::answer::{empty, internal_error};
use crate::body::GuardedBody;
use crate::capacity::Place;
use crate::log_lines::notice_of;

/// A client's connection that may be joined with a service's.
#[derive(Debug)]
pub struct Offer(OnUpgrade);

impl Offer {
    /// Looks at a request as it came. Where it does not ask for a WebSocket in order (RFC 6455 §4.1), it loses its
    /// `Upgrade`, which means nothing then (RFC 9110 §7.8).
    pub fn of(parts: &mut Parts) -> Option<Self> {
        let offer = parts.extensions.remove::<OnUpgrade>();
        let is_in_order = parts.method == Method::GET
            && parts.version == Version::HTTP_11
            && asks_for_websocket(&parts.headers)
            && has_no_body(&parts.headers);
        if !is_in_order {
            parts.headers.remove(UPGRADE);
            return None;
        }
        offer.map(Self)
    }

    /// The answer to the client. If it names a service's connection that is kept for it, the two are joined as soon as
    /// the answer has gone out, and keep the client's place. On the way [`JOIN_FIELD`] is taken out of every answer.
    pub fn answer(
        offer: Option<Self>,
        joins: &Arc<Joins>,
        mut response: Response<GuardedBody>,
        place: &Arc<Place>,
    ) -> Response<GuardedBody> {
        let name = response.headers_mut().remove(JOIN_FIELD);
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return response;
        }
        let kept = name.and_then(|name| joins.take(&name));
        let (Some(Self(client)), Some(kept)) = (offer, kept) else {
            return internal_error();
        };
        tokio::spawn(run(client, kept, joins.stopping(), Arc::clone(place)));
        let mut switching = empty(StatusCode::SWITCHING_PROTOCOLS);
        let headers = switching.headers_mut();
        *headers = std::mem::take(response.headers_mut());
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        switching
    }
}

fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let names = |field: HeaderName, wanted: &str| {
        let values = headers.get_all(field).into_iter();
        let mut members = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        members.any(|member| member.trim().eq_ignore_ascii_case(wanted))
    };
    names(UPGRADE, "websocket") && names(CONNECTION, "upgrade")
}

fn has_no_body(headers: &HeaderMap) -> bool {
    !headers.contains_key(TRANSFER_ENCODING)
        && headers
            .get(CONTENT_LENGTH)
            .is_none_or(|length| length == "0")
}

/// Joins the two, and says how that ended: to the component, and in the log.
async fn run(
    client: OnUpgrade,
    kept: Kept,
    stopping: impl Future<Output = ()>,
    _place: Arc<Place>,
) {
    let Kept {
        service,
        limits,
        end,
        log: (destination, component, line),
    } = kept;
    // Either may have broken in the meantime.
    let (Ok(client), Ok(service)) = tokio::join!(client, service) else {
        return;
    };
    let traffic = Traffic::new();
    let ended = join(
        TokioIo::new(client),
        TokioIo::new(service),
        limits,
        &traffic,
        stopping,
    )
    .await;
    end.end(ended.is_in_order());
    let line = format!(
        "{line} ms={} to_service={} to_client={} end={ended}",
        traffic.pace.elapsed().as_millis(),
        traffic.to_service.load(Ordering::Relaxed),
        traffic.to_client.load(Ordering::Relaxed),
    );
    notice_of(destination, &component, &line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::Clients;

    fn is_kept(method: Method, version: Version, fields: &[(&str, &str)]) -> bool {
        let mut request = http::Request::builder().method(method).version(version);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        assert!(Offer::of(&mut parts).is_none(), "there is no connection");
        parts.headers.contains_key(UPGRADE)
    }

    #[test]
    fn only_a_request_in_order_keeps_its_upgrade() {
        let good = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
        ];
        let kept = |fields: &[(&str, &str)]| is_kept(Method::GET, Version::HTTP_11, fields);
        assert!(kept(&good));
        assert!(kept(&[good[0], good[1], ("content-length", "0")]));
        assert!(kept(&[good[0], ("upgrade", "h2c, websocket")]));
        assert!(kept(&[good[0], ("upgrade", "h2c"), good[1]]));
        assert!(!is_kept(Method::POST, Version::HTTP_11, &good));
        assert!(!is_kept(Method::GET, Version::HTTP_10, &good));
        for fields in [
            &[good[1]][..],
            &[("connection", "upgraded"), good[1]],
            &[good[0], ("upgrade", "h2c")],
            &[good[0], ("upgrade", "websockets, h2c")],
            &[good[0], good[1], ("content-length", "3")],
            &[good[0], good[1], ("transfer-encoding", "chunked")],
        ] {
            assert!(!kept(fields), "{fields:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_never_shows_the_field_nor_switches_by_itself() {
        let joins = Arc::new(Joins::default());
        let clients = Arc::new(Clients::new(None, Vec::new()));
        let place = Arc::new(clients.enter("192.0.2.1".parse().unwrap()).unwrap());
        for status in [200, 101] {
            let mut response = empty(StatusCode::from_u16(status).unwrap());
            response
                .headers_mut()
                .insert(JOIN_FIELD, HeaderValue::from_static("0123"));
            let answer = Offer::answer(None, &joins, response, &place);
            assert!(!answer.headers().contains_key(JOIN_FIELD));
            assert_ne!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        }
    }
}
