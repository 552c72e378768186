//! What is done with a whole body, in steps: between two of them the instance's other requests and streams go on.

use bytes::Bytes;
use spillway_identity::BodyDigest;
use spillway_llm::{ModelRequest, Operation, RequestError, RequestScan};
use spillway_platform::Platform;

/// What a step of a digest takes: some 3 ms.
const STEP_BYTES: usize = 1024 * 1024;

/// Reads a body as a request.
///
/// # Errors
/// [`RequestError`].
pub(super) async fn read<P: Platform>(
    platform: &P,
    body: Bytes,
    operation: Operation,
) -> Result<ModelRequest, RequestError> {
    let mut scan = RequestScan::new(body, operation);
    loop {
        if let Some(read) = scan.step() {
            return read;
        }
        platform.yield_now().await;
    }
}

/// Whether it is the body that was signed, where one was.
pub(super) async fn is_signed<P: Platform>(
    platform: &P,
    body: &Bytes,
    content_md5: Option<String>,
) -> bool {
    let Some(content_md5) = content_md5 else {
        return true;
    };
    let mut digest = BodyDigest::default();
    for (number, piece) in body.chunks(STEP_BYTES).enumerate() {
        if number > 0 {
            platform.yield_now().await;
        }
        digest.push(piece);
    }
    digest.fits(&content_md5)
}
