//! The port to shared state.
