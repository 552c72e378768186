//! A request's turns.

use spin_sdk::wasip3::wit_bindgen::yield_async;

/// Gives what was spawned its turn before this request waits for anything else, and other requests theirs.
///
/// wit-bindgen (0.57, `async_support.rs`) takes what was spawned once a task ends or none can go on, and polls it only
/// with the next event: unless a task of the request was woken meanwhile, when it answers `Yield` and is called again at
/// once. Whoever calls this may itself be called again before what was spawned is.
pub(crate) async fn next_turn() {
    yield_async().await;
}
