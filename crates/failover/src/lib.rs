//! Ordered targets.
