//! Counters and reasons.
