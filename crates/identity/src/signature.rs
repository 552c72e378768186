//! Signed requests, as Dify's plugin *Higress* and Alibaba Cloud's API gateway clients send them.
//!
//! The string to sign, its lines ended by LF: method, `Accept`, `Content-MD5`, `Content-Type`, `Date`, a line
//! `name:value` for each header that `x-ca-signature-headers` lists, sorted; then, without LF, the path as the client
//! sent it, and its query sorted by name with values decoded. `x-ca-signature` is the base64 of its HMAC-SHA256.
//! (Alibaba Cloud API Gateway, *Signature mechanism for client requests*.) The body is signed by `Content-MD5` alone,
//! where a client sends one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac as _};
use md5::Md5;
use sha2::{Digest as _, Sha256};
use spillway_config::HmacCredential;
use spillway_platform::{Headers, RequestHead};

/// Names of signed headers beyond this many are more than any client sends.
const MAX_SIGNED_HEADERS: usize = 32;

/// What is wrong with a signature. The text is for the client, and tells nothing that an attacker could use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// There is none, or it is no base64.
    #[error("The header x-ca-signature is missing, or is no base64.")]
    Missing,
    /// Another method than the one that is understood.
    #[error("x-ca-signature-method must be HmacSHA256.")]
    Method,
    /// Neither a signed timestamp nor a date.
    #[error(
        "The request says not when it was signed: send x-ca-timestamp (in milliseconds) and list it in x-ca-signature-headers, or send Date."
    )]
    NoTime,
    /// Signed too long ago, or in the future.
    #[error("The request was signed too long ago, or the client's clock is wrong.")]
    Stale,
    /// It is not what this request and this consumer's secret give.
    #[error(
        "The signature does not fit the request: the secret, the path or a signed header differs."
    )]
    Mismatch,
    /// Another query would give the same text to sign.
    #[error(
        "A parameter of the query holds `&`, or a name `=`: the text that is signed could not be told from that of other parameters. Send it in the body."
    )]
    Ambiguous,
}

/// What is left to be looked at of a request whose signature fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Names this very request: whoever sends it twice repeats what somebody else has sent. A digest.
    pub once: String,
    /// The signature is good until then, since 1970: as long as `once` has to be remembered.
    pub until: Duration,
    /// What the body's MD5 must be, as sent.
    pub content_md5: Option<String>,
}

/// One consumer's key pair. The secret is kept as the state that it brings HMAC into.
pub(crate) struct Signer {
    consumer: Arc<str>,
    access_key: String,
    mac: Hmac<Sha256>,
    clock_skew: Duration,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Signer")
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}

/// The access key that a request names; an empty one counts as absent.
pub(crate) fn access_key(headers: &Headers) -> Option<&str> {
    headers
        .text("x-ca-key")
        .map(str::trim)
        .filter(|key| !key.is_empty())
}

impl Signer {
    pub fn new(consumer: &str, pair: &HmacCredential) -> Option<Self> {
        let mac = Hmac::new_from_slice(pair.secret_key.as_bytes()).ok()?;
        Some(Self {
            consumer: consumer.into(),
            access_key: pair.access_key.clone(),
            mac,
            clock_skew: pair.clock_skew.duration(),
        })
    }

    pub fn consumer(&self) -> &Arc<str> {
        &self.consumer
    }

    pub fn verify(
        &self,
        request: &RequestHead,
        since_1970: Duration,
    ) -> Result<Signed, SignatureFault> {
        let headers = &request.headers;
        let method = headers.text("x-ca-signature-method");
        if method.is_some_and(|method| !method.trim().eq_ignore_ascii_case("hmacsha256")) {
            return Err(SignatureFault::Method);
        }
        let signature = headers
            .text("x-ca-signature")
            .and_then(|text| BASE64.decode(text.trim()).ok())
            .ok_or(SignatureFault::Missing)?;
        if is_ambiguous(request) {
            return Err(SignatureFault::Ambiguous);
        }
        let names = signed_names(headers);
        let mut mac = self.mac.clone();
        mac.update(string_to_sign(request, &names).as_bytes());
        // In constant time.
        mac.verify_slice(&signature)
            .map_err(|_| SignatureFault::Mismatch)?;

        let is_signed = |name: &str| names.iter().any(|signed| signed == name);
        let timestamp = headers
            .text("x-ca-timestamp")
            .filter(|_| is_signed("x-ca-timestamp"))
            .and_then(|text| text.trim().parse().ok())
            .map(Duration::from_millis);
        let signed_at = timestamp
            .or_else(|| date(headers))
            .ok_or(SignatureFault::NoTime)?;
        let until = signed_at.saturating_add(self.clock_skew);
        if since_1970 > until || signed_at > since_1970.saturating_add(self.clock_skew) {
            return Err(SignatureFault::Stale);
        }
        // A nonce that is not signed could be changed by whoever repeats the request; the signature cannot.
        let nonce = headers
            .first("x-ca-nonce")
            .filter(|nonce| is_signed("x-ca-nonce") && !nonce.is_empty());
        let mut once = Sha256::new();
        once.update(self.access_key.as_bytes());
        once.update([0]);
        once.update(nonce.unwrap_or(&signature));
        Ok(Signed {
            once: once
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            until,
            content_md5: headers
                .text("content-md5")
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty()),
        })
    }
}

/// The digest of a body, taken piece by piece: a large one is work that others should not wait for.
#[derive(Default)]
pub struct BodyDigest(Md5);

impl BodyDigest {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Whether the body is the one that `Content-MD5` was made of.
    pub fn fits(self, content_md5: &str) -> bool {
        BASE64.encode(self.0.finalize()) == content_md5
    }
}

fn date(headers: &Headers) -> Option<Duration> {
    let date = httpdate::parse_http_date(headers.text("date")?.trim()).ok()?;
    date.duration_since(std::time::UNIX_EPOCH).ok()
}

fn signed_names(headers: &Headers) -> Vec<String> {
    let list = headers.text("x-ca-signature-headers").unwrap_or_default();
    let mut names: Vec<String> = list
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .take(MAX_SIGNED_HEADERS)
        .collect();
    names.sort();
    names
}

fn string_to_sign(request: &RequestHead, names: &[String]) -> String {
    let headers = &request.headers;
    let text = |name: &str| {
        let value = headers.first(name).unwrap_or_default();
        String::from_utf8_lossy(value.trim_ascii()).into_owned()
    };
    let mut lines = vec![
        request.method.as_str().to_owned(),
        text("accept"),
        text("content-md5"),
        text("content-type"),
        text("date"),
    ];
    lines.extend(names.iter().map(|name| format!("{name}:{}", text(name))));
    lines.push(path_and_query(request));
    lines.join("\n")
}

/// Parameters are signed decoded: `?a=1%26b%3D2` and `?a=1&b=2` give the same text.
fn is_ambiguous(request: &RequestHead) -> bool {
    let query = request.query().unwrap_or_default();
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    parameters.any(|(name, value)| name.contains(['&', '=']) || value.contains('&'))
}

fn path_and_query(request: &RequestHead) -> String {
    let path = request.path().to_owned();
    let Some(query) = request.query().filter(|query| !query.is_empty()) else {
        return path;
    };
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        parameters
            .entry(name.into_owned())
            .or_insert_with(|| value.into_owned());
    }
    let parameters: Vec<String> = parameters
        .into_iter()
        .map(|(name, value)| {
            if value.is_empty() {
                name
            } else {
                format!("{name}={value}")
            }
        })
        .collect();
    format!("{path}?{}", parameters.join("&"))
}
