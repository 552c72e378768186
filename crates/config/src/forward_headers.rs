//! Which of a client's header fields reach every provider.

/// Those that every provider gets. The rest speak of the connection, of the client's credentials, of the client's own
/// account at a vendor, or of things that a provider has no business to know.
pub const PASSED_HEADERS: [&str; 5] = [
    "user-agent",
    "traceparent",
    "tracestate",
    "idempotency-key",
    "openai-beta",
];
