//! A request's turns.

use spin_sdk::wasip3::wit_bindgen::yield_async;

/// Ends this turn of the request: what was spawned begins with the next one, and other requests have theirs.
///
/// It takes two yields. wit-bindgen (0.57, `async_support.rs`) polls a request's tasks by a `FuturesUnordered`, which
/// ends a turn only once all of its tasks were polled, or tasks have woken themselves twice: with two others that wait
/// for something, one yield has this task polled again at once, and what was spawned not before the next event.
pub(crate) async fn next_turn() {
    yield_async().await;
    yield_async().await;
}
