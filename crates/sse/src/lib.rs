//! Event-stream reader and writer.
