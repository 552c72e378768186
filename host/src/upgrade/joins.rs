//! Services' connections that wait for their clients, and the key that components ask with.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::sync::watch;
use tokio::time::sleep;

use super::JOIN_FIELD;
use super::life_line::{LifeLine, LifeLineEnd, life_line};
use super::tunnel::Limits;
use crate::component::Component;
use crate::log_lines;
use crate::outbound::Destination;

/// The environment variable in which components find the key.
pub const KEY_VARIABLE: &str = "SPILLWAY_JOIN_KEY";

/// How long a connection waits for its client: the time of a component from the service's answer to its own. One whose
/// client has left in between is closed after it.
const UNCLAIMED: Duration = Duration::from_secs(10);

/// What is asked for with [`JOIN_FIELD`].
#[derive(Debug)]
pub struct Asked {
    max_duration: Duration,
    log: (log_lines::Destination, String, String),
}

/// A service's connection that waits for its client.
#[derive(Debug)]
pub struct Kept {
    /// The connection.
    pub service: OnUpgrade,
    /// How long the two may stay joined.
    pub limits: Limits,
    /// Tells the component of the end.
    pub end: LifeLineEnd,
    /// Where the line about it goes, the component that it is about, and what it begins with.
    pub log: (log_lines::Destination, String, String),
}

/// The connections of one host.
pub struct Joins {
    secret: RandomState,
    key: String,
    names: AtomicU64,
    waiting: Mutex<HashMap<String, Kept>>,
    stop: watch::Sender<bool>,
}

// The key stays out.
impl std::fmt::Debug for Joins {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Joins").finish_non_exhaustive()
    }
}

impl Default for Joins {
    fn default() -> Self {
        let secret = RandomState::new();
        Self {
            key: unguessable(&secret, "key"),
            secret,
            names: AtomicU64::new(0),
            waiting: Mutex::default(),
            stop: watch::Sender::new(false),
        }
    }
}

/// 128 bits by a keyed hash whose key is the process's own.
fn unguessable(secret: &RandomState, of: impl Hash) -> String {
    let first = secret.hash_one((0_u8, &of));
    let second = secret.hash_one((1_u8, &of));
    format!("{first:016x}{second:016x}")
}

impl Joins {
    /// What components ask with.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Takes the field out of a request that a component sends, and if it asks for a WebSocket makes it ask the
    /// service for one.
    pub fn ask<B>(&self, component: &Component, request: &mut Request<B>) -> Option<Asked> {
        let max_duration = self.requested_duration(request.headers_mut())?;
        let origin = Destination::of_uri(request.uri())?;
        let id = request
            .headers()
            .get("x-request-id")
            .and_then(|id| id.to_str().ok())
            .unwrap_or("-");
        let line = format!("websocket to={origin} request={id}");
        Some(Asked {
            max_duration,
            log: (component.stderr, component.id.clone(), line),
        })
    }

    fn requested_duration(&self, headers: &mut HeaderMap) -> Option<Duration> {
        let field = headers.remove(JOIN_FIELD)?;
        let (key, milliseconds) = field.to_str().ok()?.split_once(' ')?;
        if key != self.key {
            return None;
        }
        let max_duration = Duration::from_millis(milliseconds.parse().ok()?);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        Some(max_duration)
    }

    /// Keeps the connection of a service that has agreed; any other answer, and one to a request that asked for
    /// nothing, is given back.
    ///
    /// # Errors
    /// The answer to be passed on as it is.
    #[expect(
        clippy::result_large_err,
        reason = "it is handed on at once, and a box would cost every answer an allocation"
    )]
    pub fn keep(
        self: &Arc<Self>,
        asked: Option<Asked>,
        idle: Duration,
        mut response: Response<Incoming>,
    ) -> Result<Response<LifeLine>, Response<Incoming>> {
        response.headers_mut().remove(JOIN_FIELD);
        let service = response
            .extensions_mut()
            .remove::<OnUpgrade>()
            .filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS);
        let (Some(Asked { max_duration, log }), Some(service)) = (asked, service) else {
            return Err(response);
        };
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let name = unguessable(&self.secret, number);
        let Ok(field) = HeaderValue::from_str(&name) else {
            return Err(response);
        };
        let (end, line) = life_line();
        let kept = Kept {
            service,
            limits: Limits { idle, max_duration },
            end,
            log,
        };
        self.waiting().insert(name.clone(), kept);
        let joins = Arc::clone(self);
        tokio::spawn(async move {
            sleep(UNCLAIMED).await;
            joins.waiting().remove(&name);
        });
        response.headers_mut().insert(JOIN_FIELD, field);
        Ok(response.map(|_| line))
    }

    /// The connection of this name, which is then the caller's.
    pub fn take(&self, name: &HeaderValue) -> Option<Kept> {
        self.waiting().remove(name.to_str().ok()?)
    }

    /// Tells all joined connections to end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until they are told to.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.subscribe();
        async move {
            // An error would say that the host is gone.
            let _ = stop.wait_for(|stops| *stops).await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(JOIN_FIELD, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn only_who_knows_the_key_can_ask() {
        let joins = Joins::default();
        let other = Joins::default();
        let mut asked = fields(&format!("{} 1500", joins.key()));
        assert_eq!(
            joins.requested_duration(&mut asked),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(asked.get(UPGRADE).unwrap(), "websocket");
        assert_eq!(asked.get(CONNECTION).unwrap(), "upgrade");
        for value in [
            format!("{} 1500", other.key()),
            joins.key().to_owned(),
            format!("{} -1", joins.key()),
            "1500".to_owned(),
            String::new(),
        ] {
            let mut headers = fields(&value);
            assert!(joins.requested_duration(&mut headers).is_none(), "{value}");
            assert!(headers.is_empty(), "{value}: the field leaves with nobody");
        }
    }

    #[test]
    fn names_and_keys_are_not_alike() {
        let joins = Joins::default();
        let names: std::collections::HashSet<String> = (0..100_u64)
            .map(|number| unguessable(&joins.secret, number))
            .chain([joins.key().to_owned()])
            .collect();
        assert_eq!(names.len(), 101);
        assert!(names.iter().all(|name| name.len() == 32));
    }
}
