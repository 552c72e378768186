//! A Dify installation: back end, front end and plugin daemon, each on a port of its own.

use serde_json::{Value, json};

use crate::{
    Event, EventStream, RecordedRequest, Reply, Service, Standin, StandinError,
    json::at,
    surface::{Answer, Surface},
};

mod runs;

/// A Dify installation. Each service is a [`Standin`] of its own, scripted and watched by itself.
#[derive(Debug)]
pub struct StandinDify {
    /// The back end, `api:5001`: service API, web apps' back end, console, files, MCP, triggers.
    pub api: Standin,
    /// The front end, `web:3000`: pages.
    pub web: Standin,
    /// The plugin daemon, `plugin_daemon:5002`: plugin endpoints below `/e/`.
    pub plugin_daemon: Standin,
}

impl StandinDify {
    /// Starts all three.
    ///
    /// # Errors
    /// When no ports can be listened on.
    pub fn start() -> Result<Self, StandinError> {
        Ok(Self {
            api: Standin::start(Api)?,
            web: Standin::start(Web)?,
            plugin_daemon: Standin::start(PluginDaemon)?,
        })
    }

    /// The services, by their names in a configuration.
    pub fn services(&self) -> [(&'static str, &Standin); 3] {
        [
            ("api", &self.api),
            ("web", &self.web),
            ("plugin_daemon", &self.plugin_daemon),
        ]
    }

    /// All requests so far that mention the text, whoever got them.
    pub fn requests_mentioning(&self, text: &str) -> Vec<RecordedRequest> {
        let services = self.services().into_iter();
        services
            .flat_map(|(_, standin)| standin.requests_mentioning(text))
            .collect()
    }
}

#[derive(Debug)]
struct Api;

impl Surface for Api {
    fn service(&self) -> Service {
        Service::Api
    }

    fn answer(&self, request: &RecordedRequest, stream: &EventStream) -> Answer {
        let streaming = at(&request.json(), "/response_mode") == "streaming";
        if !is_refused(request) {
            match (request.method.as_str(), runs::run(request.path())) {
                ("POST", Some(run)) if streaming => {
                    return Answer::Events(runs::events(run, &request.json(), stream));
                }
                ("GET", None) if is_event_resumption(request.path()) => {
                    return Answer::Events(runs::events(runs::Run::Workflow, &Value::Null, stream));
                }
                _ => {}
            }
        }
        Answer::Whole(self.answer_unstreamed(request))
    }

    fn answer_unstreamed(&self, request: &RecordedRequest) -> Reply {
        let path = request.path();
        if is_refused(request) {
            return self.error(request, 401);
        }
        if let ("POST", Some(run)) = (request.method.as_str(), runs::run(path)) {
            return Reply::json(200, &runs::blocking(run, &request.json()));
        }
        match (request.method.as_str(), path) {
            ("POST", "/v1/files/upload") => Reply::json(201, &uploaded(request)),
            ("POST", "/console/api/login") => Reply::json(200, &json!({"result": "success"}))
                .header(
                    "Set-Cookie",
                    "access_token=at-1; HttpOnly; Path=/; SameSite=Lax",
                )
                .header(
                    "Set-Cookie",
                    "refresh_token=rt-1; HttpOnly; Path=/; SameSite=Lax",
                )
                .header(
                    "Set-Cookie",
                    "csrf_token=ct-1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/",
                ),
            ("POST", "/v1/text-to-audio") => Reply::new(200)
                .header("Content-Type", "audio/mpeg")
                .body(binary(4096))
                .chunked(1000),
            ("GET" | "HEAD", path) if path.starts_with("/files") => file(request),
            ("GET" | "HEAD", "/v1") => with_slash(request),
            ("OPTIONS", _) => Reply::new(200)
                .header("Allow", "GET, PUT, POST, DELETE, OPTIONS, PATCH")
                .header("Access-Control-Allow-Origin", "*"),
            ("DELETE", _) => Reply::new(204),
            (method, _) => Reply::json(
                200,
                &json!({"service": "api", "method": method, "target": request.target}),
            )
            .header("X-Version", "1.17.0"),
        }
    }

    fn error(&self, _: &RecordedRequest, status: u16) -> Reply {
        let (code, message) = match status {
            400 => ("invalid_param", "The stand-in does not like a parameter."),
            401 => (
                "unauthorized",
                "Authorization header must be provided and start with 'Bearer'",
            ),
            404 => (
                "not_found",
                "The requested URL was not found on the server.",
            ),
            413 => ("file_too_large", "File size exceeded."),
            429 => (
                "too_many_requests",
                "Too many requests. Please try again later.",
            ),
            _ => ("internal_server_error", "The stand-in was told to fail."),
        };
        let body = json!({"code": code, "message": message, "status": status});
        let reply = Reply::json(status, &body);
        if status == 401 {
            reply.header("WWW-Authenticate", "Bearer realm=\"api\"")
        } else {
            reply
        }
    }

    fn error_event(&self) -> Event {
        let error = json!({"event": "error", "task_id": runs::TASK_ID, "code": "internal_server_error",
            "message": "The stand-in stopped.", "status": 500});
        Event::data(error.to_string())
    }
}

/// The service API takes no call without a key.
fn is_refused(request: &RecordedRequest) -> bool {
    let bearer = request
        .header("authorization")
        .is_some_and(|value| value.starts_with("Bearer "));
    request.path().starts_with("/v1/") && request.method != "OPTIONS" && !bearer
}

/// The index of the service API is `/v1/`. Dify's framework sends whoever left the slash out there, by the host
/// that it was asked by.
fn with_slash(request: &RecordedRequest) -> Reply {
    let host = request.header("host").unwrap_or_default();
    let query = request.target.strip_prefix("/v1").unwrap_or_default();
    let place = format!("http://{host}/v1/{query}");
    Reply::html(308, "<!doctype html><title>Redirecting...</title>").header("Location", &place)
}

/// `GET /v1/workflow/{task_id}/events`, a stream without a body asking for it.
fn is_event_resumption(path: &str) -> bool {
    path.starts_with("/v1/workflow/") && path.ends_with("/events")
}

fn uploaded(request: &RecordedRequest) -> Value {
    json!({"id": "8c2f0e6a-0000-4000-8000-000000000001", "name": "upload.bin", "size": request.body_length,
        "sha256": request.body_sha256, "extension": "bin", "mime_type": "application/octet-stream",
        "created_by": "end-user", "created_at": 1_767_225_600})
}

/// A file preview, which knows conditions and ranges.
fn file(request: &RecordedRequest) -> Reply {
    const SIZE: usize = 1024;
    let tagged = |reply: Reply| {
        reply
            .header("ETag", "\"file-1\"")
            .header("Accept-Ranges", "bytes")
    };
    if request.header("if-none-match").as_deref() == Some("\"file-1\"") {
        return tagged(Reply::new(304));
    }
    let range = request
        .header("range")
        .and_then(|range| first_and_last(&range));
    let whole = binary(SIZE);
    match range.and_then(|(first, last)| Some((first, last, whole.get(first..=last)?))) {
        Some((first, last, part)) => tagged(Reply::new(206))
            .header("Content-Type", "image/png")
            .header("Content-Range", &format!("bytes {first}-{last}/{SIZE}"))
            .body(part.to_vec()),
        None => tagged(Reply::new(200))
            .header("Content-Type", "image/png")
            .body(whole),
    }
}

fn first_and_last(range: &str) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Bytes of every value.
fn binary(size: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(size).collect()
}

#[derive(Debug)]
struct Web;

impl Surface for Web {
    fn service(&self) -> Service {
        Service::Web
    }

    fn answer(&self, request: &RecordedRequest, _: &EventStream) -> Answer {
        Answer::Whole(self.answer_unstreamed(request))
    }

    fn answer_unstreamed(&self, request: &RecordedRequest) -> Reply {
        if request.path().starts_with("/_next/static/") {
            return Reply::new(200)
                .header("Content-Type", "application/javascript; charset=UTF-8")
                .header("Cache-Control", "public, max-age=31536000, immutable")
                .body("console.log('stand-in');");
        }
        Reply::html(
            200,
            "<!DOCTYPE html><html><title>Dify stand-in</title><body>web</body></html>",
        )
    }

    fn error(&self, _: &RecordedRequest, status: u16) -> Reply {
        Reply::html(
            status,
            "<!DOCTYPE html><html><title>Error</title><body>stand-in</body></html>",
        )
    }

    fn error_event(&self) -> Event {
        Event::named("error")
    }
}

#[derive(Debug)]
struct PluginDaemon;

impl Surface for PluginDaemon {
    fn service(&self) -> Service {
        Service::PluginDaemon
    }

    fn answer(&self, request: &RecordedRequest, _: &EventStream) -> Answer {
        Answer::Whole(self.answer_unstreamed(request))
    }

    fn answer_unstreamed(&self, request: &RecordedRequest) -> Reply {
        let hook = request.header("dify-hook-url");
        let body = json!({"service": "plugin_daemon", "target": request.target, "hook_url": hook});
        Reply::json(200, &body)
    }

    fn error(&self, _: &RecordedRequest, status: u16) -> Reply {
        Reply::json(status, &json!({"error": "the stand-in was told to fail"}))
    }

    fn error_event(&self) -> Event {
        Event::named("error")
    }
}
