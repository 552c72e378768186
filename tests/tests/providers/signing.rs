//! Signed requests as Dify's plugin *Higress* makes them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use spillway_tests::client::Request;

/// What a request is signed with.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    pub access_key: String,
    pub secret: String,
    pub nonce: String,
    /// Milliseconds since 1970.
    pub timestamp: u128,
    pub date: String,
}

const SIGNED: &str = "x-ca-key,x-ca-nonce,x-ca-signature-method,x-ca-timestamp";

impl Signer {
    /// The signature of a JSON request to a path (its query sorted and decoded).
    pub fn signature(&self, method: &str, content_type: &str, path: &str) -> String {
        let Self {
            access_key,
            nonce,
            timestamp,
            date,
            ..
        } = self;
        let text = format!(
            "{method}\n*/*\n\n{content_type}\n{date}\nx-ca-key:{access_key}\nx-ca-nonce:{nonce}\nx-ca-signature-method:HmacSHA256\nx-ca-timestamp:{timestamp}\n{path}"
        );
        // A key of any length is one.
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).ok();
        let sum = mac.map(|mac| mac.chain_update(text).finalize().into_bytes());
        sum.map_or_else(String::new, |sum| STANDARD.encode(sum))
    }

    /// The request with its signature.
    pub fn sign(&self, request: Request, path: &str) -> Request {
        let content_type = request
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            .map(|(_, value)| value.clone())
            .unwrap_or_default();
        let signature = self.signature(&request.method, &content_type, path);
        request
            .header("Accept", "*/*")
            .header("date", &self.date)
            .header("x-ca-key", &self.access_key)
            .header("x-ca-timestamp", &self.timestamp.to_string())
            .header("x-ca-nonce", &self.nonce)
            .header("x-ca-signature-method", "HmacSHA256")
            .header("x-ca-signature-headers", SIGNED)
            .header("x-ca-signature", &signature)
    }
}

#[test]
fn the_test_vector_of_the_plugin() {
    let signer = Signer {
        access_key: "ak1".to_owned(),
        secret: "sk1".to_owned(),
        nonce: "6a5b0d6e-0000-4000-8000-000000000001".to_owned(),
        timestamp: 1_767_323_045_000,
        date: "Fri, 02 Jan 2026 03:04:05 GMT".to_owned(),
    };
    assert_eq!(
        signer.signature("POST", "application/json", "/dify-llm/v1/chat/completions"),
        "5bvSVrtfLKK9jmAD9yMlTNkWkPYYR14pVJa2a01arrw="
    );
}
