//! A request's turns.

use spin_sdk::wasip3::wit_bindgen::yield_async;

/// Ends this turn of the request: what was spawned begins with the next one, and other requests have theirs.
///
/// Two yields, though one should do: wit-bindgen (0.57, `async_support.rs`) polls a request's tasks by a
/// `FuturesUnordered`, and answers `Yield` where one of them was woken meanwhile. The simulation's executor is stricter.
pub(crate) async fn next_turn() {
    yield_async().await;
    yield_async().await;
}
